"""Residual blocks of the GANs around SNGAN, with their convolutions and scalings fused.

Miyato et al., "Spectral normalization for GANs", ICLR 2018, as published in mimicry (Lee and Town,
arXiv 2005.02494):

    GBlock             h = c2(relu(b2(c1(up(relu(b1(x)))))))     y = h + up(c_sc(x))
    DBlock             h = pool(c2(relu(c1(relu(x)))))           y = h + pool(c_sc(relu(x) or x))
    DBlockOptimized    h = pool(c2(relu(c1(x))))                 y = h + c_sc(pool(x))

c1 and c2 are 3x3 convolutions, c_sc is 1x1 and left out where it is not needed; b1 and b2 are batch
norms, conditional ones in a GBlock with classes.

What is computed differs from what is written above only in the order of operations:
- 3x3 convolution, then 2x2 mean: a 3x3 convolution of stride 2 (`convolve_pooled`);
- 1x1 convolution before an upsampling instead of after it, and after a pooling instead of before
  it: they commute, since the weights of both scalings sum to 1, so that the bias passes too.
"""

from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float, Int

from gan_forensics.nn.conv import convolve, parameters
from gan_forensics.nn.initial import glorot
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import BatchNorm, ConditionalBatchNorm
from gan_forensics.nn.spectral_norm import normalised_kernel
from gan_forensics.nn.upsample import bilinear_half_pixel, convolve_upsampled, nearest

Upsampling = Literal["bilinear", "nearest"]
# What the shortcut of a DBlock reads: "identity", its input x, as the paper draws it; or "relu",
# relu(x), as in the published networks, whose activation overwrote its input. The gradient differs
# accordingly, and so does the map between two blocks as others see it.
ShortcutPreact = Literal["relu", "identity"]
Init = Literal["glorot", "torch"]

UPSAMPLINGS = {"bilinear": bilinear_half_pixel, "nearest": nearest}


def mean_pool(x: Float[Array, "b 2*h 2*w c"]) -> Float[Array, "b h w c"]:
    """The mean of every block of 2x2."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean((2, 4))


def convolve_pooled(
    x: Float[Array, "b 2*h 2*w i"], kernel: Float[Array, "k k i o"]
) -> Float[Array, "b h w o"]:
    """Convolve with k odd and padding (k - 1) / 2, then take the mean of every block of 2x2.

    The mean commutes with the convolution: taken before it, over all windows of 2x2, it leaves a
    convolution of stride 2 with the same kernel, a quarter of the work.
    """
    return convolve(window_means(x), kernel, strides=2, padding=kernel.shape[0] // 2 - 1)


@jax.custom_vjp
def window_means(x: Float[Array, "b h w c"]) -> Float[Array, "b h+1 w+1 c"]:
    """The mean of every window of 2x2, also of those that overlap the border, zero outside."""
    return _inner_window_means(jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))))


@jax.custom_vjp
def _inner_window_means(x: Float[Array, "b h w c"]) -> Float[Array, "b h-1 w-1 c"]:
    rows = x[:, 1:] + x[:, :-1]
    return (rows[:, :, 1:] + rows[:, :, :-1]) / 4


# Each is the adjoint of the other.
window_means.defvjp(lambda x: (window_means(x), None), lambda _, y: (_inner_window_means(y),))
_inner_window_means.defvjp(
    lambda x: (_inner_window_means(x), None), lambda _, y: (window_means(y),)
)


class BlockConv(Network):
    """A convolution of a block, of odd kernel and as large as its input, or halved by `pool`.

    Parameters as in `Conv`, or in `SNConv` where `spectral_norm` is set.
    """

    features: int
    kernel_size: int
    pool: bool = False
    upsampling: Upsampling | None = None
    spectral_norm: bool = False
    kernel_init: Any = None
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 o"]:
        """Map feature maps to feature maps, scaled if asked for."""
        shape = (self.kernel_size, self.kernel_size, x.shape[-1], self.features)
        kernel, bias = parameters(self, shape, kernel_init=self.kernel_init)
        if self.spectral_norm:
            kernel = normalised_kernel(self, kernel, train=train)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        padding = self.kernel_size // 2
        if self.pool:
            y = convolve_pooled(x, kernel)
        elif self.upsampling == "nearest":
            y = convolve_upsampled("nearest", x, kernel)
        elif self.upsampling == "bilinear":
            y = convolve(bilinear_half_pixel(x), kernel, padding=padding)
        else:
            y = convolve(x, kernel, padding=padding)
        return y + bias.reshape(1, 1, 1, -1)


class GBlock(Network):
    """Residual block of a generator; the map doubles with `upsample`.

    Attributes:
        features: channels of the result.
        hidden: channels between the convolutions, by default `features`.
        upsample: how the map doubles; None leaves it as it is.
        classes: conditional batch norm of so many classes; 0 for batch norm.
        spectral_norm: in the convolutions.
        outer_init: of the shortcut's kernel, "glorot" or "torch" (WGAN-GP).
        dtype: of the computation.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> block, x = GBlock(16, upsample="bilinear"), jnp.ones((1, 4, 4, 32))
        >>> jax.eval_shape(lambda: block.init_with_output(random_key(0), x, train=True))[0].shape
        (1, 8, 8, 16)
    """

    features: int
    hidden: int | None = None
    upsample: Upsampling | None = "bilinear"
    classes: int = 0
    spectral_norm: bool = False
    outer_init: Init = "glorot"
    dtype: Any = None

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], labels: Int[Array, " b"] | None = None, *, train: bool
    ) -> Float[Array, "b h2 w2 o"]:
        """Map feature maps; ValueError where there are classes but no labels of the images."""

        def norm(x, name):
            if self.classes:
                if labels is None:
                    raise ValueError(f"a block with {self.classes} classes needs labels [b]")
                layer = ConditionalBatchNorm(self.classes, dtype=self.dtype, name=name)
                return layer(x, labels, train=train)
            return BatchNorm(dtype=self.dtype, name=name)(x, train=train)

        conv = _convolution(self, train=train)
        h = nn.relu(norm(x, "norm_1"))
        h = conv("conv_1", h, self.hidden or self.features, upsampling=self.upsample)
        h = conv("conv_2", nn.relu(norm(h, "norm_2")), self.features)
        if self.upsample or x.shape[-1] != self.features:
            x = conv("shortcut", x, self.features)
        return h + (UPSAMPLINGS[self.upsample](x) if self.upsample else x)


class DBlock(Network):
    """Residual block of a discriminator, without normalisation of its maps.

    Attributes:
        features: channels of the result; between the convolutions there are those of the input.
        hidden: channels between the convolutions, by default those of the input.
        downsample: whether the map is halved.
        spectral_norm: in the convolutions.
        shortcut_preact: what the shortcut reads, see `ShortcutPreact`.
        outer_init: of the shortcut's kernel, "glorot" or "torch" (WGAN-GP).
        dtype: of the computation.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> block, x = DBlock(32, downsample=True), jnp.ones((1, 8, 8, 16))
        >>> jax.eval_shape(lambda: block.init_with_output(random_key(0), x, train=True))[0].shape
        (1, 4, 4, 32)
    """

    features: int
    hidden: int | None = None
    downsample: bool = False
    spectral_norm: bool = True
    shortcut_preact: ShortcutPreact = "relu"
    outer_init: Init = "glorot"
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 o"]:
        """Map feature maps."""
        conv = _convolution(self, train=train)
        active = nn.relu(x)
        h = nn.relu(conv("conv_1", active, self.hidden or x.shape[-1]))
        h = conv("conv_2", h, self.features, pool=self.downsample)
        shortcut = active if self.shortcut_preact == "relu" else x
        if self.downsample or x.shape[-1] != self.features:
            shortcut = mean_pool(shortcut) if self.downsample else shortcut
            shortcut = conv("shortcut", shortcut, self.features)
        return h + shortcut


class DBlockOptimized(Network):
    """First residual block of a discriminator: reads images, so nothing is activated before it.

    Attributes as those of `DBlock`; it always halves, and has `features` channels inside.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> block, x = DBlockOptimized(32), jnp.ones((1, 8, 8, 3))
        >>> jax.eval_shape(lambda: block.init_with_output(random_key(0), x, train=True))[0].shape
        (1, 4, 4, 32)
    """

    features: int
    spectral_norm: bool = True
    outer_init: Init = "glorot"
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 o"]:
        """Map images to feature maps of half the side."""
        conv = _convolution(self, train=train)
        h = nn.relu(conv("conv_1", x, self.features))
        h = conv("conv_2", h, self.features, pool=True)
        return h + conv("shortcut", mean_pool(x), self.features)


def _convolution(block: GBlock | DBlock | DBlockOptimized, *, train: bool):
    """What makes the convolutions of a block: 1x1 for the shortcut, 3x3 otherwise."""
    inits = {"glorot": glorot(), "torch": None}

    def convolution(name, x, features, **scaling):
        shortcut = name == "shortcut"
        layer = BlockConv(
            features,
            1 if shortcut else 3,
            spectral_norm=block.spectral_norm,
            kernel_init=inits[block.outer_init] if shortcut else glorot(2**0.5),
            dtype=block.dtype,
            name=name,
            **scaling,
        )
        return layer(x, train=train)

    return convolution
