"""What the last upsampling of a generator does to the spectrum.

The resamplers themselves are networks' business and live in `gan_forensics.nn.upsample`.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float


def resampler_response(
    kind: Literal["zero_insertion", "nearest", "bilinear", "binomial", "kaiser"], n: int
) -> Float[np.ndarray, " 2*n"]:
    """Amplitude gain of a resampler n -> 2n along one axis, relative to zero insertion.

    The root mean square of the output's spectrum for white noise, divided by that of zero
    insertion, which repeats the spectrum: Z[k] = X[k mod n]. The gain of an image is the outer
    product of its axes' gains. With R [2n, n] the resampler of one axis and F the Fourier matrix
    of size 2n it is sqrt(sum_i |(F R)_ki|^2 / n).

    zero insertion: 1. Nearest: |1 + e^(-i pi k/n)|, zero at k = n, and as a convolution of Z with a
    box it is the gain of any signal, not of noise alone. Bilinear with aligned corners is not
    shift-invariant, so its gain is a mean over signals. Binomial and Kaiser are zero insertion and
    a filter h, [1, 3, 3, 1] / 4 or 12 taps (cutoff 1/4 cycle per pixel, beta 3.395): away from the
    border |sum_u h[u] e^(-i pi k u/n)|, zero at k = n; taps that reach over the border meet zeros,
    which leaves a little at k = n, less the larger n.

    Args:
        kind: name of the function in `gan_forensics.nn.upsample`.
        n: size before upsampling, at least 2.

    Returns:
        float64 [2n] in the order of `numpy.fft.fftfreq(2n)`.

    Raises:
        ValueError: for an unknown kind or n < 2.

    Example:
        >>> resampler_response("nearest", 2).round(3)
        array([2.   , 1.414, 0.   , 1.414])
    """
    from gan_forensics.nn import upsample  # loads Flax, which spectra can do without

    # Zero insertion, then these taps along each axis.
    filters = {"binomial": upsample.BINOMIAL, "kaiser": upsample.KAISER}
    if n < 2:
        raise ValueError(f"n is {n}; give a size of at least 2")
    if kind == "zero_insertion":
        return np.ones(2 * n)
    if kind == "nearest":
        return 2 * np.abs(np.cos(np.pi * np.arange(2 * n) / (2 * n)))
    if kind == "bilinear":
        return _mean_gain(upsample.bilinear_matrix(n))
    if kind in filters:
        return _mean_gain(_filter_matrix(filters[kind], n))
    raise ValueError(
        f"kind is {kind!r}; use 'zero_insertion', 'nearest', 'bilinear', 'binomial' or 'kaiser'"
    )


def _mean_gain(matrix: Float[np.ndarray, "2*n n"]) -> Float[np.ndarray, " 2*n"]:
    return np.sqrt((np.abs(np.fft.fft(matrix, axis=0)) ** 2).mean(1))


def _filter_matrix(taps: np.ndarray, n: int) -> Float[np.ndarray, "2*{n} {n}"]:
    """R of zero insertion and taps: what x[i] adds to y[m] is taps[2i - m + T / 2]."""
    place = 2 * np.arange(n) - np.arange(2 * n)[:, None] + len(taps) // 2
    inside = (place >= 0) & (place < len(taps))
    return np.where(inside, taps[np.clip(place, 0, len(taps) - 1)], 0.0)
