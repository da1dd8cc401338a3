"""Flax networks only: arrays in, arrays out; losses and optimisers live elsewhere.

The `help()` of a network is about itself; what modules of Flax inherit is in Flax's own.

    Generator, Discriminator        of a DCGAN whose last upsampling is chosen
    TAILS, ANTIALIASED, parse_tail  names of last upsamplings, and what they stand for
    GBlock, DBlock, DBlockOptimized residual blocks of a generator and of a discriminator
    Features, InfoMaxCritics        what residual discriminators say, and critics on top of it
    DistGanNetworks, Judged, dist_gan_networks
                                    generator, discriminator and encoder that are tied together
    Transformer                     encoder and decoder of text
    YuClassifier, DctCnn, ReverseEngineering
                                    attributors of images
    SelfAttention                   over the places of a map
    Conv, ConvTranspose             layers with PyTorch's geometry
    SNConv, SNDense, SNEmbed        layers with spectral normalisation
    BatchNorm, ConditionalBatchNorm, GroupNorm1, InstanceNorm
                                    normalisation as in PyTorch
    convolve, convolve_transpose    the functions behind the layers
    nearest, bilinear, bilinear_half_pixel, zero_insertion, binomial, kaiser
                                    resamplers that double a map
    from_torch, load_weights, read_dist_gan_weights
                                    published weights
"""

from gan_forensics.nn.attention import SelfAttention
from gan_forensics.nn.conv import Conv, ConvTranspose, convolve, convolve_transpose
from gan_forensics.nn.dcgan import Discriminator, Generator
from gan_forensics.nn.dist_gan import DistGanNetworks, Judged, dist_gan_networks
from gan_forensics.nn.fingerprint_networks import DctCnn, ReverseEngineering, YuClassifier
from gan_forensics.nn.norms import BatchNorm, ConditionalBatchNorm, GroupNorm1, InstanceNorm
from gan_forensics.nn.resblocks import DBlock, DBlockOptimized, GBlock
from gan_forensics.nn.resgan import Features, InfoMaxCritics
from gan_forensics.nn.spectral_norm import SNConv, SNDense, SNEmbed
from gan_forensics.nn.tails import ANTIALIASED, TAILS, parse_tail
from gan_forensics.nn.transformer import Transformer
from gan_forensics.nn.upsample import (
    bilinear,
    bilinear_half_pixel,
    binomial,
    kaiser,
    nearest,
    zero_insertion,
)
from gan_forensics.nn.weight_files import load_weights
from gan_forensics.nn.weights import from_torch
from gan_forensics.nn.weights_dist_gan import read_dist_gan_weights

__all__ = [
    "ANTIALIASED",
    "BatchNorm",
    "bilinear",
    "bilinear_half_pixel",
    "binomial",
    "ConditionalBatchNorm",
    "Conv",
    "convolve",
    "convolve_transpose",
    "ConvTranspose",
    "DBlock",
    "DBlockOptimized",
    "DctCnn",
    "Discriminator",
    "dist_gan_networks",
    "DistGanNetworks",
    "Features",
    "from_torch",
    "GBlock",
    "Generator",
    "GroupNorm1",
    "InfoMaxCritics",
    "InstanceNorm",
    "Judged",
    "kaiser",
    "load_weights",
    "nearest",
    "parse_tail",
    "read_dist_gan_weights",
    "ReverseEngineering",
    "SelfAttention",
    "SNConv",
    "SNDense",
    "SNEmbed",
    "TAILS",
    "Transformer",
    "YuClassifier",
    "zero_insertion",
]
