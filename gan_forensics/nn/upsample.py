"""Upsampling by two, [b, h, w, c] -> [b, 2h, 2w, c]: the last scaling of a generator.

The three alternatives to a transposed convolution that Chandrasegaran et al. (CVPR 2021) compare,
and two that filter: zero insertion, then a low-pass filter along either axis, which has a gain of 2
at frequency 0 (upsampling as signal processing has it; in generators since Karras et al., CVPR
2020). They act on each channel alone and have no parameters.
"""

import functools
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.linen.dtypes import promote_dtype
from jaxtyping import Array, Float

from gan_forensics.nn.conv import convolve, convolve_transpose, parameters
from gan_forensics.nn.network import Network

# The row 1, 3, 3, 1 of Pascal's triangle, as in Karras et al., CVPR 2020.
BINOMIAL = np.array([1.0, 3.0, 3.0, 1.0]) / 4
# 12 taps as in Karras et al., NeurIPS 2021: an ideal filter cut off at 1/4 cycle per pixel, the
# highest frequency of the map before, in a Kaiser window of `KAISER_BETA`, 40 dB (Kaiser, 1974).
KAISER_TAPS, KAISER_CUTOFF, KAISER_BETA = 12, 0.25, 3.395


def _kaiser() -> Float[np.ndarray, " 12"]:
    place = np.arange(KAISER_TAPS) - (KAISER_TAPS - 1) / 2
    taps = np.sinc(2 * KAISER_CUTOFF * place) * np.kaiser(KAISER_TAPS, KAISER_BETA)
    return 2 * taps / taps.sum()


KAISER = _kaiser()


def zero_insertion(x: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w c"]:
    """z[2i, 2j] = x[i, j] and zero elsewhere: the spectrum is repeated four times.

    Example:
        >>> import jax.numpy as jnp
        >>> zero_insertion(jnp.ones((1, 2, 2, 1)))[0, ..., 0].sum().item()
        4.0
    """
    return jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), (0, 1, 1), (0, 1, 1), (0, 0, 0)])


def nearest(x: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w c"]:
    """y[2i + u, 2j + v] = x[i, j] for u, v in {0, 1}: pure repetition.

    Example:
        >>> import jax.numpy as jnp
        >>> nearest(jnp.array([0.0, 1.0]).reshape(1, 1, 2, 1))[0, 1, :, 0].tolist()
        [0.0, 0.0, 1.0, 1.0]
    """
    b, h, w, c = x.shape
    return jnp.broadcast_to(x[:, :, None, :, None], (b, h, 2, w, 2, c)).reshape(b, 2 * h, 2 * w, c)


def convolve_upsampled(
    kind: str, x: Float[Array, "b h w c"], kernel: Float[Array, "k k c o"]
) -> Float[Array, "b 2*h 2*w o"]:
    """Upsample, then convolve with k odd and padding (k - 1) / 2.

    Kinds are "nearest", "zero", "bilinear", "binomial" and "kaiser".

    Zero insertion and repetition followed by a convolution are one transposed convolution of the
    small map, also at the border: with z the zero-inserted map, repetition is z[m] + z[m - 1], so
    that its kernel is w[u] + w[u - 1]. The map of full size, mostly zeros or copies, is never made.
    """
    k = kernel.shape[0]
    if made := _MADE.get(kind):
        return convolve(made(x), kernel, padding=k // 2)
    if kind == "nearest":
        wide = jnp.pad(kernel, ((1, 1), (0, 0), (0, 0), (0, 0)))
        wide = jnp.pad(wide[1:] + wide[:-1], ((0, 0), (1, 1), (0, 0), (0, 0)))
        kernel = wide[:, 1:] + wide[:, :-1]
    return convolve_transpose(
        x, kernel[::-1, ::-1], strides=2, padding=k // 2, output_padding=int(kind == "zero")
    )


def bilinear(x: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w c"]:
    """Y = P_h X P_w^T, linear interpolation with aligned corners (see `bilinear_matrix`).

    `jax.image.resize` places pixels by their areas instead (align_corners=False), which is another
    operation.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> jax.eval_shape(bilinear, jnp.ones((1, 2, 3, 1))).shape
        (1, 4, 6, 1)
    """
    return _interpolate(_interpolate(x, 1), 2)


def binomial(x: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w c"]:
    """Zero insertion, then the taps `BINOMIAL`: `bilinear_half_pixel` with zeros outside.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> jax.eval_shape(binomial, jnp.ones((1, 2, 2, 1))).shape
        (1, 4, 4, 1)
    """
    return _filtered(_filtered(x, BINOMIAL, 1), BINOMIAL, 2)


def kaiser(x: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w c"]:
    """Zero insertion, then the taps `KAISER`; zeros outside.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> jax.eval_shape(kaiser, jnp.ones((1, 8, 8, 1))).shape
        (1, 16, 16, 1)
    """
    return _filtered(_filtered(x, KAISER, 1), KAISER, 2)


# Those whose map of full size is made; the others are folded into the convolution.
_MADE = {"bilinear": bilinear, "binomial": binomial, "kaiser": kaiser}


@jax.custom_vjp
def bilinear_half_pixel(x: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w c"]:
    """Bilinear upsampling that places pixels by their areas: `jax.image.resize`, PyTorch's default.

    Along each axis y[2i] = (3 x[i] + x[i-1]) / 4 and y[2i+1] = (3 x[i] + x[i+1]) / 4, with the
    border repeated.

    Example:
        >>> import jax.numpy as jnp
        >>> bilinear_half_pixel(jnp.array([0.0, 1.0]).reshape(1, 1, 2, 1))[0, 0, :, 0].tolist()
        [0.0, 0.25, 0.75, 1.0]
    """
    b, h, w, c = x.shape

    def pair(x, axis):
        before, here, after = (_part(x, i, x.shape[axis] - 2 + i, axis) for i in range(3))
        return 0.75 * here + 0.25 * before, 0.75 * here + 0.25 * after

    rows = pair(_with_border(_with_border(x, 1), 2), 1)
    phases = [jnp.stack(pair(row, 2), axis=3) for row in rows]
    return jnp.stack(phases, axis=2).reshape(b, 2 * h, 2 * w, c)


# The derivative, written out: automatic differentiation of the shifts makes three times as many
# passes over the map. It is the sum over the border repeated, too: x[i] collects
# (y[2i-1] + 3 y[2i] + 3 y[2i+1] + y[2i+2]) / 4.
@jax.custom_vjp
def _half_pixel_adjoint(y: Float[Array, "b 2*h 2*w c"]) -> Float[Array, "b h w c"]:
    for axis in (1, 2):
        n = y.shape[axis] // 2
        y = _with_border(y, axis).reshape(*y.shape[:axis], n + 1, 2, *y.shape[axis + 1 :])
        odd, even = (jax.lax.index_in_dim(y, i, axis + 1, keepdims=False) for i in (0, 1))
        inner = _part(even, 0, n, axis) + _part(odd, 1, n + 1, axis)
        y = 0.75 * inner + 0.25 * (_part(odd, 0, n, axis) + _part(even, 1, n + 1, axis))
    return y


bilinear_half_pixel.defvjp(
    lambda x: (bilinear_half_pixel(x), None), lambda _, y: (_half_pixel_adjoint(y),)
)
_half_pixel_adjoint.defvjp(
    lambda y: (_half_pixel_adjoint(y), None), lambda _, x: (bilinear_half_pixel(x),)
)


def _part(x, start: int, stop: int, axis: int):
    return jax.lax.slice_in_dim(x, start, stop, axis=axis)


def _with_border(x, axis: int):
    """One more place on either side, equal to the outermost."""
    n = x.shape[axis]
    return jnp.concatenate([_part(x, 0, 1, axis), x, _part(x, n - 1, n, axis)], axis)


def _interpolate(x, axis: int):
    # The two diagonals of P on either side of each pixel, as shifts: on a CPU about twice as fast
    # as the product with P, whose gain from few multiplications its transpositions eat up.
    n = x.shape[axis]
    i = np.arange(n).reshape(-1, *[1] * (x.ndim - 1 - axis))[(None,) * axis]
    back, ahead = (jnp.asarray(t / (2 * n - 1), x.dtype) for t in (i, n - 1 - i))
    even = (1 - back) * x + back * _shift(x, 1, axis)
    odd = (1 - ahead) * x + ahead * _shift(x, -1, axis)
    pair = jnp.stack([even, odd], axis + 1)
    return pair.reshape(*x.shape[:axis], 2 * n, *x.shape[axis + 1 :])


def _filtered(x, taps: np.ndarray, axis: int):
    """y[m] = sum_u taps[u] z[m + u - T / 2] with T taps and z the zero-inserted map, by phases."""
    phases = []
    for phase in (0, 1):
        reach = range((phase + len(taps)) % 2, len(taps), 2)
        moved = ((phase + u - len(taps) // 2) // 2 for u in reach)
        phases.append(
            sum(float(taps[u]) * _shift(x, -j, axis) for u, j in zip(reach, moved, strict=True))
        )
    pair = jnp.stack(phases, axis + 1)
    return pair.reshape(*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :])


def _shift(x, step: int, axis: int):
    pad = [(0, 0, 0)] * x.ndim
    pad[axis] = (step, -step, 0)
    return jax.lax.pad(x, jnp.zeros((), x.dtype), pad)


@functools.lru_cache(maxsize=32)
def bilinear_matrix(n: int) -> Float[np.ndarray, "2*{n} {n}"]:
    """P, float64: row i interpolates linearly at i (n-1)/(2n-1), so the corners stay in place."""
    place = np.arange(2 * n) * (n - 1) / (2 * n - 1)
    return np.maximum(0, 1 - np.abs(place[:, None] - np.arange(n)[None, :]))


class UpsampleConv(Network):
    """`convolve_upsampled` as a layer; parameters as those of `Conv`."""

    kind: str
    features: int
    kernel_size: int
    use_bias: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b 2*h 2*w o"]:
        """Map feature maps to maps of twice the side."""
        k = self.kernel_size
        shape = (k, k, x.shape[-1], self.features)
        kernel, bias = parameters(self, shape, use_bias=self.use_bias)
        x, kernel, bias = promote_dtype(x, kernel, bias, dtype=self.dtype)
        y = convolve_upsampled(self.kind, x, kernel)
        return y if bias is None else y + bias.reshape(1, 1, 1, -1)
