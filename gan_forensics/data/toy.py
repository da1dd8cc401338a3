"""Synthetic images with a known spectrum."""

import numpy as np
from jaxtyping import UInt8

# Standard deviation of a pixel on the scale where 1 is the distance from mid-gray to white:
# 0.4 % of the pixels of a Gaussian lie beyond it and are clipped.
_CONTRAST = 0.35
_CHUNK = 256


def power_law_textures(
    n: int, size: int, *, exponent: float, seed: int, colour: float = 0.35
) -> UInt8[np.ndarray, "n size size 3"]:
    """Draw periodic Gaussian textures whose amplitude spectrum falls as 1/f^exponent.

    Each channel is `luminance + colour * own`, where luminance is shared by the three channels
    and `own` is independent, both of unit variance with the same spectrum; f is the distance
    from DC in cycles per image and the amplitude at f = 0 is 0 (mid-gray mean). The power
    spectrum therefore falls as 1/f^(2 exponent); natural images have exponents of 1 to 1.5.

    Args:
        n: how many; the first images of a longer draw are the same.
        size: side in pixels.
        exponent: of the amplitude spectrum; 0 is white noise.
        seed: of numpy's default generator.
        colour: weight of the independent part; 0 gives gray images.

    Returns:
        uint8 [n, size, size, 3]; values beyond [0, 255] (0.4 %) are clipped.

    Example:
        >>> power_law_textures(2, 8, exponent=2.0, seed=0).shape
        (2, 8, 8, 3)
    """
    if n < 1 or size < 2:
        raise ValueError(f"need n >= 1 images of size >= 2, got n={n} and size={size}")
    rng = np.random.default_rng(seed)
    axis = np.fft.fftfreq(size, 1 / size)
    f = np.hypot(axis[:, None], axis)
    amplitude = np.where(f > 0, np.maximum(f, 1) ** -float(exponent), 0)
    # Of white noise after the filter.
    deviation = np.sqrt((amplitude**2).sum()) / size
    amplitude = amplitude[:, : size // 2 + 1]
    textures = np.empty((n, size, size, 3), np.uint8)
    for first in range(0, n, _CHUNK):
        count = min(_CHUNK, n - first)
        noise = rng.standard_normal((count, 4, size, size))
        field = np.fft.irfft2(np.fft.rfft2(noise) * amplitude, s=(size, size))
        mixed = field[:, :1] + colour * field[:, 1:]
        level = _CONTRAST / deviation / np.hypot(1, colour) * mixed
        pixels = np.clip(np.floor(127.5 * (level + 1) + 0.5), 0, 255)
        textures[first : first + count] = pixels.transpose(0, 2, 3, 1)
    return textures
