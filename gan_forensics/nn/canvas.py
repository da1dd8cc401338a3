"""Images of any size through one compiled program, with the values that they have by themselves.

A program is compiled for one size. Here an image lies at the top left of a larger canvas of zeros,
and what a convolutional network computes beyond its borders is set to zero again after every norm,
as the padding of the image by itself would be: convolutions, pools and sums then see what they see
without a canvas, and global means are over the image alone. So results are equal up to the rounding
of other shapes of arrays (some 1e-6 of the largest logit). The sides of the images are arguments
like the images, and may differ within a batch.
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from gan_forensics.nn.conv import Conv, same_padding
from gan_forensics.nn.efficientnet import EfficientNet
from gan_forensics.nn.norms import BatchNorm
from gan_forensics.nn.npr import nearest_residual
from gan_forensics.nn.resnet import GlobalMean, ResNet

# Every map of these is smaller than the image by a whole factor, which sides follow rounded up; all
# that makes something of zeros (norms have biases) is a norm, and pools follow a ReLU.
NETWORKS = (ResNet, EfficientNet)
# Front ends of theirs that look at 2x2 squares: whole ones, with their neighbours on no side.
SQUARES = (nearest_residual,)


def fits_canvas(network: nn.Module) -> bool:
    """Whether a network is known to compute the same on a canvas."""
    return isinstance(network, NETWORKS) and getattr(network, "front", None) in (None, *SQUARES)


def apply_on_canvas(
    network: nn.Module,
    variables: Any,
    x: Float[Array, "b h w c"],
    sides: Int[Array, "b 2"],
) -> Any:
    """`network.apply` in inference, of images that fill the top left of `x` only.

    Args:
        network: one that `fits_canvas`.
        variables: its parameters and statistics.
        x: images as the network reads them, anything beyond their sides; its own sides are
            multiples of the network's stride.
        sides: height and width of each image, at least the network's stride.

    Raises:
        ValueError: for another network or such sides of x.
    """
    if not fits_canvas(network):
        raise ValueError(f"{type(network).__name__} is not known to compute the same on a canvas")
    assert isinstance(network, NETWORKS)
    if getattr(network, "front", None) in SQUARES:
        sides = sides // 2 * 2
    if x.shape[1] % network.stride or x.shape[2] % network.stride:
        raise ValueError(
            f"a canvas of {x.shape[1]}x{x.shape[2]} pixels: its sides must be multiples of the "
            f"network's stride, {network.stride}"
        )

    def extent(maps: Array) -> Int[Array, "b 2"]:
        """The sides of the images in a map of the network."""
        factors = jnp.array([x.shape[1] // maps.shape[1], x.shape[2] // maps.shape[2]])
        return -(-sides // factors[None])

    def within(maps: Array) -> Array:
        """Zero beyond the images."""
        down, across = (
            jnp.arange(side)[None] < n[:, None]
            for side, n in zip(maps.shape[1:3], extent(maps).T, strict=True)
        )
        inside = down[:, :, None, None] & across[:, None, :, None]
        return jnp.where(inside, maps, jnp.zeros((), maps.dtype))

    def intercept(next_fun, args, kwargs, context):
        layer = context.module
        if context.method_name != "__call__":
            return next_fun(*args, **kwargs)
        if isinstance(layer, Conv):
            return next_fun(_aligned(layer, args[0], extent(args[0])), *args[1:], **kwargs)
        if isinstance(layer, BatchNorm):
            return within(next_fun(*args, **kwargs))
        if isinstance(layer, GlobalMean):
            places = extent(args[0]).prod(1).astype(args[0].dtype)
            return args[0].sum((1, 2)) / places[:, None]
        return next_fun(*args, **kwargs)

    with nn.intercept_methods(intercept):
        return network.apply(variables, within(x), train=False)


def _aligned(layer: Conv, maps: Array, extents: Int[Array, "b 2"]) -> Array:
    """The input of a strided "SAME" convolution, moved to where its windows begin.

    Such a convolution pads an odd side by one place more in front than an even one. The canvas is
    even, so that an image of odd side leaves the last place free to move into.
    """
    stride = layer.strides if isinstance(layer.strides, int) else max(layer.strides)
    if layer.padding != "SAME" or stride == 1:
        return maps
    taps = layer.kernel_size if isinstance(layer.kernel_size, int) else layer.kernel_size[0]
    more = same_padding(2 * taps + 1, taps, stride)[0] - same_padding(2 * taps, taps, stride)[0]
    if not more:
        return maps
    for axis, n in zip((1, 2), extents.T, strict=True):
        odd = (n % 2 == 1)[:, None, None, None]
        maps = jnp.where(odd, jnp.roll(maps, more, axis), maps)
    return maps
