"""Layers of Dist-GAN's networks, and what its discriminators say.

They start and compute as the layers of the authors' TensorFlow graph do: "SAME" padding, of which
an odd place comes after; Glorot-uniform kernels; zero biases; with `norm`, batch norm (decay 0.9,
epsilon 1e-5) in place of the bias. Networks give them the names of that graph's scopes, by which
published weights find their place (`gan_forensics.nn.weights_dist_gan`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from gan_forensics.nn.conv import convolve, convolve_transpose
from gan_forensics.nn.initial import glorot, zeros
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import BatchNorm, at_least_float32

LEAK = 0.2  # slope of the leaky ReLU below zero, but for the SN-GAN networks of the release


class Judged(NamedTuple):
    """What a discriminator says of images.

    Attributes:
        logits: high where an image looks real.
        features: the activation before the last dense layer, as rows in the order h, w, c; in the
            residual networks before the sum over places. Their number d is the d_f of lambda_w.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.nn import dist_gan_networks
        >>> from gan_forensics.runtime import random_key
        >>> network = dist_gan_networks("dcgan", 32, width=8).discriminator
        >>> x = jnp.ones((4, 32, 32, 3))
        >>> y, _ = jax.eval_shape(lambda: network.init_with_output(random_key(0), x, train=True))
        >>> type(y).__name__, y.logits.shape
        ('Judged', (4,))
    """

    logits: Float[Array, " b"]
    features: Float[Array, "b d"]


class SlimConv(Network):
    """Convolution: parameters `kernel` [k, k, in, out] and `bias` [out], or "BatchNorm" for it.

    Attributes:
        features: channels of the result.
        kernel_size: k.
        strides: of the convolution.
        norm: whether batch norm follows.
        convolution: of a map and a kernel, one that is fused with a scaling; strides are its own.
        dtype: of the computation.
    """

    features: int
    kernel_size: int
    strides: int = 1
    norm: bool = False
    convolution: Callable[[Array, Array], Array] | None = None
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 o"]:
        """Map images to feature maps."""
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", glorot(), shape, jnp.float32)
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        if self.convolution is None:
            y = convolve(x, kernel, strides=self.strides)
        else:
            y = self.convolution(x, kernel)
        return _normalised_or_shifted(self, y, train=train)


class SlimConvTranspose(Network):
    """Transposed convolution to `strides` times the side; parameters as in `SlimConv`.

    The kernel is [k, k, in, out] here and [k, k, out, in] in TensorFlow.
    """

    features: int
    kernel_size: int
    strides: int = 2
    norm: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 o"]:
        """Map feature maps to larger ones."""
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", glorot(), shape, jnp.float32)
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        y = convolve_transpose(x, kernel, strides=self.strides, padding="SAME")
        return _normalised_or_shifted(self, y, train=train)


class SlimDense(Network):
    """Linear layer of rows: parameters `kernel` [in, out] and `bias`, or "BatchNorm" for it."""

    features: int
    norm: bool = False
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b i"], *, train: bool) -> Float[Array, "b o"]:
        """Map rows to rows."""
        kernel = self.param("kernel", glorot(), (x.shape[-1], self.features), jnp.float32)
        x, kernel = promote_dtype(x, kernel, dtype=self.dtype)
        y = (x @ kernel).reshape(-1, 1, 1, self.features)
        return _normalised_or_shifted(self, y, train=train).reshape(-1, self.features)


def _normalised_or_shifted(layer: SlimConv | SlimConvTranspose | SlimDense, y, *, train: bool):
    if layer.norm:
        return BatchNorm(dtype=layer.dtype, name="BatchNorm")(y, train=train)
    bias = layer.param("bias", zeros, (layer.features,), jnp.float32)
    y, bias = promote_dtype(y, bias, dtype=layer.dtype)
    return y + bias.reshape(1, 1, 1, -1)


def flat(x: Float[Array, "b h w c"]) -> Float[Array, "b d"]:
    """Maps as rows, at least float32: what the last layers of networks read."""
    return at_least_float32(x).reshape(x.shape[0], -1)


def check_images(x, size: int, channels: int) -> None:
    """ValueError unless these are images of a network's size and channels."""
    if x.ndim != 4 or x.shape[1:] != (size, size, channels):
        raise ValueError(
            f"images must be [b, {size}, {size}, {channels}], got {list(x.shape)}: resize them or "
            "build the networks for their size and channels"
        )


def check_noise(z, latent: int) -> None:
    """ValueError unless these are latent codes of a network's length."""
    if z.ndim != 2 or z.shape[-1] != latent:
        raise ValueError(f"noise must be [b, {latent}], got {list(z.shape)}")
