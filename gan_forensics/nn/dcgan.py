"""The convolutional GAN of the spectrum studies, with many ways to make the last upsampling.

Chandrasegaran et al., "A closer look at Fourier spectrum discrepancies for CNN-generated images
detection" (CVPR 2021): one DCGAN generator and discriminator (Radford et al., ICLR 2016) for the
DCGAN, LSGAN and WGAN-GP experiments, where only the tail of the generator changes
(`gan_forensics.nn.tails`).

Images are [b, size, size, channels] in [-1, 1], noise is [b, latent], logits are [b]. `size` is
a power of two, 16 or more. Parameters are float32 and start as PyTorch's; `dtype` is that of the
computation. `train=True` uses and moves batch statistics (collection "batch_stats").
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.nn.conv import Conv, ConvTranspose
from gan_forensics.nn.heads import sow_trunk
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import BatchNorm, GroupNorm1, InstanceNorm, at_least_float32
from gan_forensics.nn.tails import parse_tail, upsampled

Norm = Literal["batch", "layer", "instance", "none"]
NORMS: tuple[Norm, ...] = ("batch", "layer", "instance", "none")


class Generator(Network):
    """Noise to images: transposed convolutions with batch norm and ReLU, the tail, tanh.

    The first map is 4x4 with `min(width 2^(n-1), 16 width)` channels for n = log2(size) - 2
    upsamplings; the i-th of the n - 1 upsamplings before the tail makes
    `min(width 2^(n-2-i), 8 width)` channels, so that the tail reads `width` of them.
    Raises ValueError for an unknown tail, a size that does not fit and noise of another length.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> network, z = Generator(32, width=8), jnp.ones((4, 128))
        >>> jax.eval_shape(lambda: network.init_with_output(random_key(0), z, train=True))[0].shape
        (4, 32, 32, 3)
    """

    size: int
    width: int = 32
    tail: str = "BASELINE"
    channels: int = 3
    latent: int = 128
    dtype: Any = None

    @nn.compact
    def __call__(self, z: Float[Array, "b latent"], *, train: bool) -> Float[Array, "b h w c"]:
        """Draw the images of the noise z ~ N(0, I)."""
        widths = generator_widths(self.size, self.width)
        tail = parse_tail(self.tail)
        if z.ndim != 2 or z.shape[-1] != self.latent:
            raise ValueError(f"noise must be [b, {self.latent}], got {list(z.shape)}")

        x = z.reshape(-1, 1, 1, self.latent)
        for i, features in enumerate(widths):
            strides, padding = (1, 0) if i == 0 else (2, 1)
            x = ConvTranspose(
                features, 4, strides, padding, use_bias=False, dtype=self.dtype, name=f"conv_{i}"
            )(x)
            x = nn.relu(BatchNorm(dtype=self.dtype, name=f"norm_{i}")(x, train=train))

        x = upsampled(x, tail, self.channels, width=self.width, dtype=self.dtype)
        return jnp.tanh(at_least_float32(x))


class Discriminator(Network):
    """Images to logits: stride-2 convolutions with leaky ReLU, halving down to 4x4.

    Widths are `min(width 2^i, 16 width)`; every convolution but the first and last is followed by
    `norm`: "batch" without a gradient penalty, "layer" (`GroupNorm1`) or "instance" with one,
    because batch norm ties the images of a batch together; "none" has biases instead.
    Raises ValueError for an unknown norm and for images of another size.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> network, x = Discriminator(32, width=8), jnp.ones((4, 32, 32, 3))
        >>> jax.eval_shape(lambda: network.init_with_output(random_key(0), x, train=True))[0].shape
        (4,)
    """

    size: int
    width: int = 32
    norm: Norm = "batch"
    dtype: Any = None

    @property
    def piecewise_linear(self) -> bool:
        """Whether images are judged by layers and leaky ReLUs alone."""
        return self.norm == "none"

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, " b"]:
        """Score the images; a high logit says real (`train` only matters with batch norm)."""
        widths = discriminator_widths(self.size, self.width)
        if self.norm not in NORMS:
            raise ValueError(f"unknown norm {self.norm!r}; norms are {', '.join(NORMS)}")
        if x.ndim != 4 or x.shape[1:3] != (self.size, self.size):
            raise ValueError(
                f"images must be [b, {self.size}, {self.size}, c], got {list(x.shape)}: "
                "resize them or build the discriminator for their size"
            )

        for i, features in enumerate(widths):
            use_bias = i == 0 or self.norm == "none"
            x = Conv(features, 4, 2, 1, use_bias=use_bias, dtype=self.dtype, name=f"conv_{i}")(x)
            if i > 0:
                x = self._normalised(x, i, train=train)
            x = jax.nn.leaky_relu(x, 0.2)
        sow_trunk(self, x.reshape(x.shape[0], -1))
        logits = Conv(1, 4, padding=0, dtype=self.dtype, name="logit")(x)
        return at_least_float32(logits.reshape(-1))

    def _normalised(self, x, i: int, *, train: bool):
        if self.norm == "batch":
            return BatchNorm(dtype=self.dtype, name=f"norm_{i}")(x, train=train)
        if self.norm == "layer":
            return GroupNorm1(dtype=self.dtype, name=f"norm_{i}")(x)
        if self.norm == "instance":
            return InstanceNorm(dtype=self.dtype, name=f"norm_{i}")(x)
        return x


def generator_widths(size: int, width: int) -> list[int]:
    """Channels of the generator's maps 4x4, 8x8, ..., size/2: the maps before the tail."""
    n = _doublings(size)
    first = min(width * 2 ** (n - 1), 16 * width)
    return [first] + [min(width * 2 ** (n - 2 - i), 8 * width) for i in range(n - 1)]


def discriminator_widths(size: int, width: int) -> list[int]:
    """Channels of the discriminator's maps size/2, size/4, ..., 4x4."""
    return [min(width * 2**i, 16 * width) for i in range(_doublings(size))]


def _doublings(size: int) -> int:
    """How many times a 4x4 map doubles on its way to `size`."""
    if size < 16 or size & (size - 1):
        raise ValueError(f"size must be a power of two, 16 or more, got {size}")
    return size.bit_length() - 3
