"""The three bilinear maps that a convolution and all its derivatives are made of.

    convolve         y = w * x
    input_adjoint    x' = the x' with <y', w * x> = <x', x>     (a transposed convolution)
    kernel_adjoint   w' = the w' with <y', w * x> = <w', w>

Each has a custom derivative in terms of the other two, so that the set is closed under
differentiation: gradients of gradients (the gradient penalties of WGAN-GP and its kin) are as exact
and as fast as first gradients. Forward-mode differentiation is not defined.

XLA's CPU backend runs some of the adjoints ten to forty times slower than the convolution itself;
on CPUs they are therefore made of matrix products here. On GPU and TPU the native kernels serve.
"""

from functools import partial, reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata

from gan_forensics.nn import winograd

DIMENSIONS = ("NHWC", "HWIO", "NHWC")
# Up to this many channels products beat XLA's CPU convolution, which vectorises over channels: of
# gathered patches where they come in (3 -> 32 channels, 64x64, 4x4 stride 2: 2.5 against 10 ms),
# added up from shifted maps where they come out (64 -> 3, 32x32, 3x3: 2.9 against 9).
FEW_CHANNELS = 8
# Of few channels, patches of up to so many numbers make kernel gradients faster than a plain
# convolution over the batch (3 -> 32 channels, 32x32, 3x3: 3.8 against 6 ms; 64x64, 5x5: 44
# against 30).
SHORT_PATCH = 48
# On outputs up to this size the plain convolution is as fast as any product.
SMALL_MAP = 8
# From so many channels on, in and out, fewer products are worth more passes over the maps (batch
# 64, 32x32, 3x3, plain against fewer: 32 -> 32 channels 5.6 and 5.9 ms, 48 -> 48 11.3 and 10.0,
# 64 -> 64 20.8 and 16.6, 256 -> 256 290 and 179).
MANY_CHANNELS = 48


class Geometry(NamedTuple):
    """Everything static about a convolution; hashable, so that it can be a jit constant."""

    strides: tuple[int, int]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, int]
    groups: int


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def convolve(x, w, g: Geometry):
    """Images [b, h, w, c] and kernel [kh, kw, c / groups, o] to [b, h2, w2, o]."""
    return lax.platform_dependent(
        x, w, cpu=partial(_convolve_cpu, g=g), default=partial(convolve_native, g=g)
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def input_adjoint(y, w, g: Geometry, image: tuple[int, int]):
    """Outputs [b, h2, w2, o] and kernel [kh, kw, c / groups, o] to [b, *image, c]."""
    return lax.platform_dependent(
        y,
        w,
        cpu=partial(_input_adjoint_cpu, g=g, image=image),
        default=partial(input_adjoint_native, g=g, image=image),
    )


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def kernel_adjoint(x, y, g: Geometry, kernel: tuple[int, int]):
    """Images [b, h, w, c] and outputs [b, h2, w2, o] to [*kernel, c / groups, o]."""
    return lax.platform_dependent(
        x,
        y,
        cpu=partial(_kernel_adjoint_cpu, g=g, kernel=kernel),
        default=partial(_kernel_adjoint_native, g=g, kernel=kernel),
    )


convolve.defvjp(
    lambda x, w, g: (convolve(x, w, g), (x, w)),
    lambda g, saved, y: (
        input_adjoint(y, saved[1], g, saved[0].shape[1:3]),
        kernel_adjoint(saved[0], y, g, saved[1].shape[:2]),
    ),
)
input_adjoint.defvjp(
    lambda y, w, g, image: (input_adjoint(y, w, g, image), (y, w)),
    lambda g, image, saved, x: (
        convolve(x, saved[1], g),
        kernel_adjoint(x, saved[0], g, saved[1].shape[:2]),
    ),
)
kernel_adjoint.defvjp(
    lambda x, y, g, kernel: (kernel_adjoint(x, y, g, kernel), (x, y)),
    lambda g, kernel, saved, w: (
        input_adjoint(saved[1], w, g, saved[0].shape[1:3]),
        convolve(saved[0], w, g),
    ),
)


# --- native kernels ---------------------------------------------------------------------------


def convolve_native(x, w, *, g: Geometry):
    """`convolve` as one operation of XLA."""
    return lax.conv_general_dilated(
        x,
        w,
        g.strides,
        g.padding,
        rhs_dilation=g.dilation,
        dimension_numbers=DIMENSIONS,
        feature_group_count=g.groups,
    )


def input_adjoint_native(y, w, *, g: Geometry, image):
    """`input_adjoint` as one operation of XLA."""
    x = jax.ShapeDtypeStruct((y.shape[0], *image, w.shape[2] * g.groups), y.dtype)
    return jax.linear_transpose(lambda x: convolve_native(x, w, g=g), x)(y)[0]


def _kernel_adjoint_native(x, y, *, g: Geometry, kernel):
    w = jax.ShapeDtypeStruct((*kernel, x.shape[-1] // g.groups, y.shape[-1]), x.dtype)
    return jax.linear_transpose(lambda w: convolve_native(x, w, g=g), w)(y)[0]


# --- CPU kernels ------------------------------------------------------------------------------


def _whole_map(x_shape, kernel, g: Geometry) -> bool:
    """Whether the kernel covers the whole unpadded image: then a convolution is one product."""
    return (
        tuple(x_shape[1:3]) == tuple(kernel)
        and g.padding == ((0, 0), (0, 0))
        and g.dilation == (1, 1)
        and g.groups == 1
    )


def _padded(x, padding):
    """Pad height and width with zeros; negative numbers cut."""
    config = [(0, 0, 0), *((low, high, 0) for low, high in padding), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), config)


def _taps(x, kernel, out, g: Geometry):
    """For every kernel tap (row-major) the [b, h2, w2, c] inputs that it meets."""
    padded = _padded(x, g.padding)
    (sh, sw), (dh, dw) = g.strides, g.dilation
    return [
        padded[
            :,
            u * dh : u * dh + (out[0] - 1) * sh + 1 : sh,
            v * dw : v * dw + (out[1] - 1) * sw + 1 : sw,
        ]
        for u in range(kernel[0])
        for v in range(kernel[1])
    ]


def _out_size(image, kernel, g: Geometry):
    return tuple(
        (size + low + high - (taps - 1) * step - 1) // stride + 1
        for size, taps, (low, high), step, stride in zip(
            image, kernel, g.padding, g.dilation, g.strides, strict=True
        )
    )


def _fold_image(x, kernel, out, g: Geometry):
    """Strided blocks of the padded image as channels: strides become 1, kernels ceil(k / s)."""
    (b, h, width, channels), (sh, sw) = x.shape, g.strides
    rows, columns = (o - 1 + -(-k // s) for o, k, s in zip(out, kernel, g.strides, strict=True))
    (top, _), (left, _) = g.padding
    sides = ((top, rows * sh - h - top), (left, columns * sw - width - left))
    blocks = _padded(x, sides).reshape(b, rows, sh, columns, sw, channels)
    return blocks.swapaxes(2, 3).reshape(b, rows, columns, sh * sw * channels)


def _fold_kernel(w, g: Geometry):
    """The kernel [kh, kw, c, o] for `_fold_image`: [ceil(kh / sh), ceil(kw / sw), sh sw c, o]."""
    (kh, kw, channels, features), (sh, sw) = w.shape, g.strides
    nh, nw = -(-kh // sh), -(-kw // sw)
    w = jnp.pad(w, ((0, nh * sh - kh), (0, nw * sw - kw), (0, 0), (0, 0)))
    w = w.reshape(nh, sh, nw, sw, channels, features).swapaxes(1, 2)
    return w.reshape(nh, nw, sh * sw * channels, features)


UNIT = Geometry((1, 1), ((0, 0), (0, 0)), (1, 1), 1)


def _convolve_cpu(x, w, *, g: Geometry):
    kernel, (channels, features) = w.shape[:2], w.shape[2:]
    if _whole_map(x.shape, kernel, g):
        return (x.reshape(x.shape[0], -1) @ w.reshape(-1, features))[:, None, None]
    out = _out_size(x.shape[1:3], kernel, g)
    if features <= FEW_CHANNELS < channels and g == UNIT._replace(padding=g.padding):
        # The adjoint of another convolution, which makes few channels fast.
        mirrored = w[::-1, ::-1].swapaxes(2, 3)
        return _input_adjoint_strided(x, mirrored, g=_from_output(kernel, g), image=out)
    if channels > FEW_CHANNELS or g.groups > 1:
        return _convolve_plain(x, w, g=g)
    if g.strides != (1, 1) and g.dilation == (1, 1):
        # Copying runs of few floats is slow.
        x, w, g = _fold_image(x, kernel, out, g), _fold_kernel(w, g), UNIT
    patches = jnp.concatenate(_taps(x, w.shape[:2], out, g), axis=-1)
    return patches @ w.reshape(-1, features)


def _convolve_plain(x, w, *, g: Geometry):
    """XLA's convolution, with half of its products where the rows allow it."""
    rows = (w.shape[0], g.padding[0], x.shape[1] % winograd.TILE)
    if (
        rows != (winograd.TAPS, (1, 1), 0)
        or min(w.shape[2:]) < MANY_CHANNELS
        or g != UNIT._replace(padding=g.padding)
        or jnp.finfo(x.dtype).bits < 32
    ):
        return convolve_native(x, w, g=g)
    # Not inlined: XLA would compute x anew in each of the maps made of it, and y wherever it is
    # used.
    with set_xla_metadata(inlineable="false"):
        return _convolve_winograd(x, w, g=g)


@partial(jax.jit, static_argnames="g")
def _convolve_winograd(x, w, *, g: Geometry):
    g = g._replace(padding=((0, 0), g.padding[1]))
    pairs = zip(winograd.images(x), winograd.kernels(w), strict=True)
    return winograd.outputs([convolve_native(x, w, g=g) for x, w in pairs])


def _input_adjoint_cpu(y, w, *, g: Geometry, image):
    kernel, (channels, features) = w.shape[:2], w.shape[2:]
    if _whole_map((0, *image), kernel, g):
        x = y.reshape(y.shape[0], features) @ w.reshape(-1, features).T
        return x.reshape(y.shape[0], *image, channels)
    unit, dilated = g.strides == (1, 1), g.dilation != (1, 1)
    if g.groups > 1 or (dilated and not unit):
        return input_adjoint_native(y, w, g=g, image=image)
    if dilated or (unit and channels > FEW_CHANNELS):
        return _input_adjoint_plain(y, w, g=g, image=image)
    return _input_adjoint_strided(y, w, g=g, image=image)


# The adjoints that are convolutions themselves are written with the axes where XLA wants them: it
# moves them there by itself only outside loops, and in a loop, where a step that repeats lives,
# takes up to a thousand times longer for convolutions with axes elsewhere.


def _input_adjoint_plain(y, w, *, g: Geometry, image):
    """Of stride 1: the convolution with the turned kernel."""
    sides = tuple(
        ((k - 1) * step - low, size - out + low)
        for k, step, (low, _), size, out in zip(
            w.shape[:2], g.dilation, g.padding, image, y.shape[1:3], strict=True
        )
    )
    return _convolve_plain(y, w[::-1, ::-1].swapaxes(2, 3), g=g._replace(padding=sides))


def _kernel_adjoint_plain(x, y, *, g: Geometry, kernel):
    """Of one group: the convolution of images with outputs as kernels, over the batch.

    A row of the image is taken as one axis of columns and channels, in which a column is a step of
    so many channels. Then the batch alone moves, and the result has its axes in place: moving the
    channels too would read every value from another page of memory.
    """
    (b, h, width, channels), features = x.shape, y.shape[-1]
    reach = tuple((k - 1) * step + 1 for k, step in zip(kernel, g.dilation, strict=True))
    (top, bottom), (left, right) = (
        (low, (out - 1) * stride + taps - size - low)
        for low, out, stride, taps, size in zip(
            (g.padding[0][0], g.padding[1][0]),
            y.shape[1:3],
            g.strides,
            reach,
            (h, width),
            strict=True,
        )
    )
    rows = Geometry(
        (g.dilation[0], 1),
        ((top, bottom), (left * channels, right * channels)),
        (g.strides[0], g.strides[1] * channels),
        1,
    )
    x = x.transpose(1, 2, 3, 0).reshape(1, h, width * channels, b)
    w = convolve_native(x, y.transpose(1, 2, 0, 3), g=rows)
    return w.reshape(kernel[0], reach[1], channels, features)[:, :: g.dilation[1]]


def _kernel_adjoint_planes(x, y, *, g: Geometry, kernel):
    """Of few channels: image by image a product, of patches whose rows run over the places."""
    (b, *image, channels), (_, *out, features) = x.shape, y.shape
    planes = x.transpose(0, 3, 1, 2).reshape(b * channels, *image, 1)
    taps = [tap.reshape(b, channels, -1) for tap in _taps(planes, kernel, out, g)]
    w = jnp.concatenate(taps, axis=1) @ y.reshape(b, -1, features)
    return w.sum(0).reshape(*kernel, channels, features)


def _input_adjoint_strided(y, w, *, g: Geometry, image):
    """Transposed convolution on the low-resolution map, then depth to space.

    With the kernel cut into blocks of one stride, block a of the kernel at low-resolution place i
    falls on output block i + a. So output block t is the sum over a of y[t - a] times block a: all
    sh sw c values of a block at once, by products of y and shifted sums, or as a convolution.
    """
    (b, h, width, features), channels = y.shape, w.shape[2]
    (sh, sw), blocks = g.strides, _fold_kernel(w, g)
    nh, nw, depth = blocks.shape[:3]
    if channels > FEW_CHANNELS:
        everywhere = UNIT._replace(padding=((nh - 1,) * 2, (nw - 1,) * 2))
        total = convolve_native(y, blocks[::-1, ::-1].swapaxes(2, 3), g=everywhere)
    else:
        parts = y.reshape(-1, features) @ blocks.reshape(-1, features).T
        parts = parts.reshape(b, h, width, nh, nw, depth)
        shifted = [
            jnp.pad(parts[:, :, :, i, j], ((0, 0), (i, nh - 1 - i), (j, nw - 1 - j), (0, 0)))
            for i in range(nh)
            for j in range(nw)
        ]
        total = reduce(jnp.add, shifted)
    rows, columns = h + nh - 1, width + nw - 1
    total = total.reshape(b, rows, columns, sh, sw, channels).swapaxes(2, 3)
    total = total.reshape(b, rows * sh, columns * sw, channels)
    # Cut the padding off; places that no kernel tap reached are zero.
    cut = [
        (-low, size - (full - low))
        for size, full, (low, _) in zip(image, total.shape[1:3], g.padding, strict=True)
    ]
    return _padded(total, cut)


def _kernel_adjoint_cpu(x, y, *, g: Geometry, kernel):
    (b, _, _, channels), features = x.shape, y.shape[-1]
    out = y.shape[1:3]
    if _whole_map(x.shape, kernel, g):
        w = x.reshape(b, -1).T @ y.reshape(b, features)
        return w.reshape(*kernel, channels, features)
    if g.groups > 1:
        grouped = y.reshape(*y.shape[:3], g.groups, -1)
        w = [
            jnp.einsum("bhwgi,bhwgo->igo", tap.reshape(*tap.shape[:3], g.groups, -1), grouped)
            for tap in _taps(x, kernel, out, g)
        ]
        return jnp.stack(w).reshape(*kernel, channels // g.groups, features)

    short = kernel[0] * kernel[1] * channels <= SHORT_PATCH
    if max(out) > SMALL_MAP:
        if channels <= FEW_CHANNELS and (short or features <= FEW_CHANNELS):
            return _kernel_adjoint_planes(x, y, g=g, kernel=kernel)
        if features <= FEW_CHANNELS and g == UNIT._replace(padding=g.padding):
            # The same sum, seen from the output, of which few channels come in.
            w = _kernel_adjoint_cpu(y, x, g=_from_output(kernel, g), kernel=kernel)
            return w[::-1, ::-1].swapaxes(2, 3)
    return _kernel_adjoint_plain(x, y, g=g, kernel=kernel)


def _from_output(kernel, g: Geometry) -> Geometry:
    """Of stride 1: the geometry in which the image is the output, and the output the image."""
    sides = ((k - 1 - lo, k - 1 - hi) for k, (lo, hi) in zip(kernel, g.padding, strict=True))
    return g._replace(padding=tuple(sides))
