"""The spectrum input of AutoGAN's detector (Zhang, Karaman and Chang, WIFS 2019)."""

from typing import Literal

import numpy as np
from jaxtyping import Array, Bool, Float, UInt8

from gan_forensics.spectra.chunks import over_chunks
from gan_forensics.spectra.gray import in_levels

Band = Literal["low", "mid", "high"]

SIZE = 224
SMALLEST = 8
EPSILON = 1e-3
PERCENTILES = (5, 95)
# Limits of squares on the shifted 224x224 spectrum, as shares of its side; half-open.
LOW = (57 / SIZE, 177 / SIZE)
NOT_HIGH = (21 / SIZE, 203 / SIZE)


def crop_side(height: int, width: int) -> int:
    """The side of the square that is cut out of an image: 224, or 7/8 of what is below 256.

    Raises:
        ValueError: for sides below 8.
    """
    if min(height, width) < SMALLEST:
        raise ValueError(
            f"images of {height}x{width} pixels are too small for a spectrum: sides of at least "
            f"{SMALLEST}"
        )
    return min(SIZE, 7 * min(height, width) // 8)


def autogan_spectrum(
    images: UInt8[Array | np.ndarray, "b h w c"], *, band: Band | None = None
) -> Float[np.ndarray, "b s s c"]:
    """Log magnitude per channel, stretched to [-1, 1] between its 5th and 95th percentile.

    The central square of `crop_side` pixels, x / 255, ln(|fft2| + 1e-3), percentiles per image and
    channel, clipped. The zero frequency stays in the corner [0, 0].

    Args:
        images: uint8 [b, h, w, c], 256x256 in the paper.
        band: None for all frequencies; "low", "mid" or "high" sets all others to zero.

    Returns:
        float64.

    Raises:
        ValueError: for other types, images below 8 pixels or an unknown band.

    Example:
        >>> import numpy as np
        >>> autogan_spectrum(np.zeros((2, 16, 16, 3), np.uint8)).shape
        (2, 14, 14, 3)
    """
    from gan_forensics.data.images import check_axes

    images = in_levels(images, "AutoGAN spectra")
    if images.ndim != 4:
        check_axes(images.shape)
    size = crop_side(*images.shape[1:3])
    mask = None if band is None else band_mask(band, size)[None, :, :, None]
    top, left = ((side - size) // 2 for side in images.shape[1:3])
    cropped = images[:, top : top + size, left : left + size]

    def spectrum(chunk):
        from scipy.fft import fft2

        magnitude = np.log(np.abs(np.asarray(fft2(chunk / 255.0, axes=(1, 2)))) + EPSILON)
        low, high = np.percentile(magnitude, PERCENTILES, axis=(1, 2), keepdims=True)
        span = high - low
        # A constant image has no span: its zero frequency is clipped to 1, the rest is -1.
        stretched = np.clip(2 * (magnitude - low) / (span + (span == 0)) - 1, -1, 1)
        return stretched if mask is None else np.where(mask, stretched, 0)

    return over_chunks(spectrum, cropped)


def band_mask(band: Band, size: int = SIZE) -> Bool[np.ndarray, "size size"]:
    """Where an unshifted spectrum belongs to a band; the three bands are a partition.

    Raises:
        ValueError: for an unknown band.
    """
    low, not_high = (np.zeros((size, size), bool) for _ in range(2))
    for square, limits in ((low, LOW), (not_high, NOT_HIGH)):
        inside = slice(*(round(share * size) for share in limits))
        square[inside, inside] = True
    bands = {"low": low, "mid": not_high & ~low, "high": ~not_high}
    if band not in bands:
        raise ValueError(f"band is {band!r}; use None or one of {', '.join(bands)}")
    return np.fft.ifftshift(bands[band])
