"""Flax networks only: arrays in, arrays out; losses and optimisers live elsewhere."""

from gan_forensics.nn.conv import Conv, ConvTranspose, convolve, convolve_transpose
from gan_forensics.nn.dcgan import TAILS, Discriminator, Generator, parse_tail
from gan_forensics.nn.layers import BatchNorm, GroupNorm1, InstanceNorm
from gan_forensics.nn.upsample import bilinear, nearest, zero_insertion
from gan_forensics.nn.weights import from_torch, load_weights
