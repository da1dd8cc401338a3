"""Convolutions and transposed convolutions: the only place of the project that convolves.

Layouts: images NHWC, kernels HWIO `[kh, kw, in / groups, out]`. A convolution here is the
cross-correlation of every deep-learning library. Gradients of any order are exact, and fast on
CPUs too (`gan_forensics.nn.conv_kernels`).
"""

import math
from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from gan_forensics.nn import conv_kernels
from gan_forensics.nn.conv_kernels import Geometry
from gan_forensics.nn.initial import Initializer, only_shapes, torch_uniform
from gan_forensics.nn.network import Network

Padding = str | int | Sequence[tuple[int, int]]


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """Padding before and after one axis so that the output has ceil(size / stride) places.

    The extra place of an odd total goes after, as in TensorFlow and XLA.
    """
    reach = (kernel - 1) * dilation + 1
    total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return total // 2, total - total // 2


def geometry(
    image: Sequence[int],
    kernel: Sequence[int],
    *,
    strides: int | tuple[int, int] = 1,
    padding: Padding = "SAME",
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Geometry:
    """Resolve strides, padding and dilation for an image and a kernel, both (height, width).

    `padding` is "SAME", "VALID", one number for all four sides (PyTorch's meaning), or a
    (before, after) pair for each axis.

    Raises:
        ValueError: for an unknown padding or when the kernel does not fit the padded image.
    """
    strides, dilation = _pair(strides), _pair(dilation)
    if padding == "SAME":
        pads = tuple(map(same_padding, image, kernel, strides, dilation))
    elif padding == "VALID":
        pads = ((0, 0), (0, 0))
    elif isinstance(padding, int):
        pads = ((padding, padding),) * 2
    elif not isinstance(padding, str) and len(padding) == 2:
        pads = tuple((int(low), int(high)) for low, high in padding)
    else:
        raise ValueError(
            f"padding {padding!r}: give 'SAME', 'VALID', a number, or two (before, after) pairs"
        )
    for size, taps, (low, high), step in zip(image, kernel, pads, dilation, strict=True):
        if size + low + high < (taps - 1) * step + 1:
            raise ValueError(
                f"a kernel of {taps} taps with dilation {step} does not fit an image side of "
                f"{size} with padding ({low}, {high}): enlarge the image or the padding"
            )
    return Geometry(strides, pads, dilation, groups)


def convolve(
    x: Float[Array, "b h w c"],
    kernel: Float[Array, "kh kw i o"],
    *,
    strides: int | tuple[int, int] = 1,
    padding: Padding = "SAME",
    dilation: int | tuple[int, int] = 1,
    groups: int = 1,
) -> Float[Array, "b h2 w2 o"]:
    """Convolve images with a kernel; arguments as for `geometry`.

    Raises:
        ValueError: if channels and groups do not fit each other, or the kernel not the image.

    Example:
        >>> import jax.numpy as jnp
        >>> x, kernel = jnp.ones((1, 3, 3, 1)), jnp.ones((3, 3, 1, 1))
        >>> convolve(x, kernel)[0, :, :, 0].tolist()  # how many pixels the kernel covers
        [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]
    """
    channels, (per_group, out) = x.shape[-1], kernel.shape[2:]
    if channels != per_group * groups or out % groups:
        raise ValueError(
            f"images of {channels} channels and a kernel {kernel.shape} do not fit {groups} "
            "groups: the kernel needs channels / groups inputs, and outputs divisible by groups"
        )
    g = geometry(
        x.shape[1:3],
        kernel.shape[:2],
        strides=strides,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    if only_shapes():
        return conv_kernels.convolve_native(x, kernel, g=g)
    return conv_kernels.convolve(x, kernel, g)


def convolve_transpose(
    x: Float[Array, "b h w i"],
    kernel: Float[Array, "kh kw i o"],
    *,
    strides: int | tuple[int, int] = 1,
    padding: int | Literal["SAME"] = 0,
    output_padding: int = 0,
) -> Float[Array, "b h2 w2 o"]:
    """Transposed convolution: y[s i + u - p] += x[i] kernel[u], with PyTorch's or TF's geometry.

    With a number for `padding` the output side is (h - 1) s - 2 p + k + output_padding. A PyTorch
    weight [in, out, kh, kw] is this kernel after `transpose(2, 3, 0, 1)`, without a flip. With
    "SAME" it is h s, and p what "SAME" pads before a map of that side: the adjoint of the "SAME"
    convolution of stride s, TensorFlow's `conv2d_transpose`. Its filter [kh, kw, out, in] is this
    kernel after `swapaxes(2, 3)`.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> x, kernel = jnp.ones((1, 8, 8, 16)), jnp.ones((4, 4, 16, 3))
        >>> jax.eval_shape(lambda: convolve_transpose(x, kernel, strides=2, padding=1)).shape
        (1, 16, 16, 3)
    """
    strides, taps = _pair(strides), kernel.shape[:2]
    if padding == "SAME":
        sides = [size * step for size, step in zip(x.shape[1:3], strides, strict=True)]
        pads = tuple(map(same_padding, sides, taps, strides))
    else:
        sides = [
            (size - 1) * step - 2 * padding + reach + output_padding
            for size, step, reach in zip(x.shape[1:3], strides, taps, strict=True)
        ]
        pads = ((padding, padding - output_padding),) * 2
    g = Geometry(strides, pads, (1, 1), 1)
    # The adjoint of a convolution from `out` channels to `in` channels.
    kernel = kernel.swapaxes(2, 3)
    if only_shapes():
        return conv_kernels.input_adjoint_native(x, kernel, g=g, image=tuple(sides))
    return conv_kernels.input_adjoint(x, kernel, g, tuple(sides))


def parameters(
    module: nn.Module,
    shape: Sequence[int],
    *,
    kernel_init: Initializer | None = None,
    use_bias: bool = True,
    fan_in: int | None = None,
) -> tuple[Float[Array, "*rest out"], Float[Array, " out"] | None]:
    """Kernel of a `shape` with the outputs last, and bias of a layer; they start as PyTorch's.

    `fan_in` is as for `torch_uniform`, by default what an output reads.
    """
    init = torch_uniform(fan_in or math.prod(shape[:-1]))
    kernel = module.param("kernel", kernel_init or init, tuple(shape), jnp.float32)
    return kernel, module.param("bias", init, (shape[-1],), jnp.float32) if use_bias else None


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    first, second = value
    return first, second


class Conv(Network):
    """Convolution layer: parameters `kernel` [kh, kw, in / groups, out] and `bias` [out].

    Initialised as PyTorch does unless told otherwise; arguments as for `geometry`.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> layer, x = Conv(16, 3, strides=2), jnp.ones((1, 8, 8, 3))
        >>> y, made = jax.eval_shape(lambda: layer.init_with_output(random_key(0), x))
        >>> y.shape, made["params"]["kernel"].shape
        ((1, 4, 4, 16), (3, 3, 3, 16))
    """

    features: int
    kernel_size: int | tuple[int, int]
    strides: int | tuple[int, int] = 1
    padding: Padding = "SAME"
    dilation: int | tuple[int, int] = 1
    groups: int = 1
    use_bias: bool = True
    kernel_init: Initializer | None = None
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 o"]:
        """Map images to feature maps."""
        shape = (*_pair(self.kernel_size), x.shape[-1] // self.groups, self.features)
        kernel, bias = parameters(self, shape, kernel_init=self.kernel_init, use_bias=self.use_bias)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = convolve(
            x,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)


class ConvTranspose(Network):
    """Transposed convolution layer with PyTorch's geometry: `kernel` [kh, kw, in, out], `bias`.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> layer, x = ConvTranspose(16, 4, strides=2, padding=1), jnp.ones((1, 8, 8, 3))
        >>> jax.eval_shape(lambda: layer.init_with_output(random_key(0), x))[0].shape
        (1, 16, 16, 16)
    """

    features: int
    kernel_size: int | tuple[int, int]
    strides: int | tuple[int, int] = 1
    padding: int = 0
    output_padding: int = 0
    use_bias: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 o"]:
        """Map feature maps to larger ones: side (h - 1) s - 2 p + k + output_padding."""
        kh, kw = _pair(self.kernel_size)
        shape, fan_in = (kh, kw, x.shape[-1], self.features), kh * kw * self.features
        kernel, bias = parameters(self, shape, use_bias=self.use_bias, fan_in=fan_in)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = convolve_transpose(
            x,
            kernel,
            strides=self.strides,
            padding=self.padding,
            output_padding=self.output_padding,
        )
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)
