"""What the last upsampling of a generator does to the spectrum.

The three resamplers themselves are networks' business and live in `gan_forensics.nn.upsample`.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float

from gan_forensics.nn.upsample import bilinear_matrix


def resampler_response(
    kind: Literal["zero_insertion", "nearest", "bilinear"], n: int
) -> Float[np.ndarray, " 2*n"]:
    """Amplitude gain of a resampler n -> 2n along one axis, relative to zero insertion.

    The root mean square of the output's spectrum for white noise, divided by that of zero
    insertion, which repeats the spectrum: Z[k] = X[k mod n]. The gain of an image is the outer
    product of its axes' gains.

    zero insertion: 1. Nearest: |1 + e^(-i pi k/n)|, zero at k = n, and as a convolution of Z with a
    box it is the gain of any signal, not of noise alone. Bilinear with aligned corners is not
    shift-invariant, so its gain is a mean over signals: sqrt(sum_i |(F P)_ki|^2 / n) with P the
    interpolation matrix and F the Fourier matrix of size 2n.

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
    if n < 2:
        raise ValueError(f"n is {n}; give a size of at least 2")
    if kind == "zero_insertion":
        return np.ones(2 * n)
    if kind == "nearest":
        return 2 * np.abs(np.cos(np.pi * np.arange(2 * n) / (2 * n)))
    if kind == "bilinear":
        return np.sqrt((np.abs(np.fft.fft(bilinear_matrix(n), axis=0)) ** 2).mean(1))
    raise ValueError(f"kind is {kind!r}; use 'zero_insertion', 'nearest' or 'bilinear'")
