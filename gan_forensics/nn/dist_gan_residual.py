"""The residual networks of Dist-GAN, with the names of the authors' TensorFlow scopes.

Tran, Bui and Cheung, "Dist-GAN", ECCV 2018 (arXiv 1803.08887). As published, with `c` a 3x3 and
`p` a 1x1 convolution, both with bias, `a` a ReLU (in encoders leaky, slope 0.2), `b` batch norm:

    UpBlock        c2(a(b1(c1(up(a(b0(x)))))))        + p3(up(x))         up: repetition
    EncoderBlock   mean(c2(a(b1(c1(a(b0(x)))))))      + mean(p3(x))       mean: of 2x2
    FirstBlock     half1(c2(a(c1(x))))                + p3(half2(x))      half: p of stride 2
    JudgeBlock     half1(c2(a(c1(a(x)))))             + half2(p3(x))

A discriminator thus halves with learned 1x1 convolutions, and has no norm of any kind. Where a
JudgeBlock does not halve, its halves are left out, and p3 too if the channels stay.

What is computed differs in the order of operations only: scalings commute with 1x1 convolutions;
those beside a 3x3 convolution are fused with it; and `half` reads every second place of c2, so
that c2 is computed only there.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
from jaxtyping import Array, Float

from gan_forensics.nn.conv import convolve
from gan_forensics.nn.dist_gan_layers import (
    LEAK,
    Judged,
    SlimConv,
    SlimDense,
    check_images,
    check_noise,
    flat,
)
from gan_forensics.nn.heads import sow_trunk
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import BatchNorm, at_least_float32
from gan_forensics.nn.resblocks import convolve_pooled, mean_pool
from gan_forensics.nn.upsample import convolve_upsampled, nearest

_upsampled = partial(convolve_upsampled, "nearest")
# The places 0, 2, ... of the "SAME" 3x3 convolution of a map of even side.
_every_second = partial(convolve, strides=2, padding=((1, 0), (1, 0)))


class UpBlock(Network):
    """Block of a generator: the map doubles."""

    features: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b 2*h 2*w o"]:
        """Map feature maps to maps of twice the side."""
        conv = partial(SlimConv, self.features, dtype=self.dtype)
        h = nn.relu(BatchNorm(dtype=self.dtype, name="bn0")(x, train=train))
        h = conv(3, convolution=_upsampled, name="conv1")(h, train=train)
        h = nn.relu(BatchNorm(dtype=self.dtype, name="bn1")(h, train=train))
        h = conv(3, name="conv2")(h, train=train)
        return h + nearest(conv(1, name="conv3")(x, train=train))


class EncoderBlock(Network):
    """Block of an encoder: the map halves, by means of 2x2."""

    features: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b 2*h 2*w c"], *, train: bool) -> Float[Array, "b h w o"]:
        """Map feature maps to maps of half the side."""
        conv = partial(SlimConv, self.features, dtype=self.dtype)
        h = _leaky(BatchNorm(dtype=self.dtype, name="bn0")(x, train=train))
        h = conv(3, name="conv1")(h, train=train)
        h = _leaky(BatchNorm(dtype=self.dtype, name="bn1")(h, train=train))
        h = conv(3, convolution=convolve_pooled, name="conv2")(h, train=train)
        return h + conv(1, name="conv3")(mean_pool(x), train=train)


class FirstBlock(Network):
    """First block of a discriminator: the map halves, and the shortcut before it is widened."""

    features: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b 2*h 2*w c"], *, train: bool) -> Float[Array, "b h w o"]:
        """Map images to maps of half the side."""
        conv = partial(SlimConv, dtype=self.dtype)
        h = nn.relu(conv(self.features, 3, name="conv1")(x, train=train))
        h = conv(self.features, 3, convolution=_every_second, name="conv2")(h, train=train)
        h = conv(self.features, 1, name="o_dsample_1")(h, train=train)
        x = conv(x.shape[-1], 1, name="o_dsample_2")(x[:, ::2, ::2], train=train)
        return h + conv(self.features, 1, name="conv3")(x, train=train)


class JudgeBlock(Network):
    """Later block of a discriminator.

    Attributes:
        features: channels of the result.
        halve: whether the map halves.
        dtype: of the computation.
    """

    features: int
    halve: bool
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 o"]:
        """Map feature maps to feature maps."""
        conv = partial(SlimConv, self.features, dtype=self.dtype)
        h = nn.relu(conv(3, name="conv1")(nn.relu(x), train=train))
        second = _every_second if self.halve else None
        h = conv(3, convolution=second, name="conv2")(h, train=train)
        if self.halve:
            h = conv(1, name="d_dsample_1")(h, train=train)
            x = x[:, ::2, ::2]
        if self.halve or x.shape[-1] != self.features:
            x = conv(1, name="conv3")(x, train=train)
        if self.halve:
            x = conv(1, name="d_dsample_2")(x, train=train)
        return h + x


class ResidualEncoder(Network):
    """Images in [0, 1] to latent codes.

    Attributes:
        size: of the images.
        channels: of the images.
        widths: channels of the first convolution, then of every block; each block halves.
        latent: length of the codes.
        dtype: of the computation.

    Raises ValueError for images of another size or number of channels.
    """

    size: int
    channels: int
    widths: tuple[int, ...]
    latent: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b latent"]:
        """Encode the images; the codes are not bounded."""
        check_images(x, self.size, self.channels)
        first, *rest = self.widths
        x = SlimConv(first, 3, dtype=self.dtype, name="e_conv0")(x, train=train)
        for i, features in enumerate(rest, 1):
            x = EncoderBlock(features, self.dtype, name=f"e_block{i}")(x, train=train)
        x = _leaky(BatchNorm(dtype=self.dtype, name="e_bn")(x, train=train))
        return SlimDense(self.latent, name="Linear")(flat(x), train=train)


class ResidualGenerator(Network):
    """Latent codes to images in [0, 1].

    Attributes:
        latent: length of the codes.
        start: side of the first map.
        widths: channels of the first map, then of every block; each block doubles.
        channels: of the images.
        dtype: of the computation.

    Raises ValueError for codes of another length.
    """

    latent: int
    start: int
    widths: tuple[int, ...]
    channels: int
    dtype: Any = None

    @nn.compact
    def __call__(self, z: Float[Array, "b latent"], *, train: bool) -> Float[Array, "b h w c"]:
        """Draw the images of the codes."""
        check_noise(z, self.latent)
        first, *rest = self.widths
        dense = SlimDense(self.start**2 * first, dtype=self.dtype, name="g_linear0")
        x = dense(z, train=train).reshape(-1, self.start, self.start, first)
        for i, features in enumerate(rest, 1):
            x = UpBlock(features, self.dtype, name=f"g_block{i}")(x, train=train)
        x = nn.relu(BatchNorm(dtype=self.dtype, name="g_bn")(x, train=train))
        x = SlimConv(self.channels, 3, dtype=self.dtype, name="g_conv_last")(x, train=train)
        return nn.sigmoid(at_least_float32(x))


class ResidualDiscriminator(Network):
    """Images in [0, 1] to `Judged`: the logit is of the features' sum over places.

    Attributes:
        size: of the images.
        channels: of the images.
        widths: channels of every block.
        halvings: how many blocks, from the first on, halve the map.
        dtype: of the computation.

    Raises ValueError for images of another size or number of channels.
    """

    size: int
    channels: int
    widths: tuple[int, ...]
    halvings: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Judged:
        """Judge the images (`train` makes no difference)."""
        check_images(x, self.size, self.channels)
        first, *rest = self.widths
        x = FirstBlock(first, self.dtype, name="d_optimized_block1")(x, train=train)
        for i, features in enumerate(rest, 2):
            block = JudgeBlock(features, i <= self.halvings, self.dtype, name=f"d_block{i}")
            x = block(x, train=train)
        # Sums over many places, and what is read from them: float32 also in a bfloat16 network.
        active = at_least_float32(nn.relu(x))
        pooled = active.sum((1, 2))
        sow_trunk(self, pooled)
        logits = SlimDense(1, name="linear_out")(pooled, train=train)
        return Judged(logits.reshape(-1), flat(active))


def _leaky(x):
    return jax.nn.leaky_relu(x, LEAK)
