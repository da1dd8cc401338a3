"""The spectrum input of AutoGAN's detector (Zhang, Karaman and Chang, WIFS 2019)."""

from typing import Literal

import numpy as np
import scipy.fft
from jaxtyping import Array, Bool, Float, UInt8

from gan_forensics.spectra.chunks import over_chunks
from gan_forensics.spectra.gray import check_8bit

Band = Literal["low", "mid", "high"]

SIZE = 224
EPSILON = 1e-3
# Half-open limits of squares on the shifted 224x224 spectrum.
LOW = slice(57, 177)
NOT_HIGH = slice(21, 203)


def autogan_spectrum(
    images: UInt8[Array | np.ndarray, "b h w c"], *, band: Band | None = None
) -> Float[np.ndarray, "b 224 224 c"]:
    """Log magnitude per channel, stretched to [-1, 1] between its 5th and 95th percentile.

    The central 224x224 pixels, x / 255, ln(|fft2| + 1e-3), percentiles per image and channel,
    clipped. The zero frequency stays in the corner [0, 0].

    Args:
        images: uint8 [b, h, w, c] of at least 224x224 pixels (256x256 in the paper).
        band: None for all frequencies; "low", "mid" or "high" sets all others to zero.

    Returns:
        float64.

    Raises:
        ValueError: for other types, smaller images or an unknown band.
    """
    images = np.asarray(images)
    check_8bit(images, "AutoGAN spectra")
    if images.ndim != 4 or min(images.shape[1:3]) < SIZE:
        raise ValueError(
            f"images have shape {images.shape}; give [b, h, w, c] of at least {SIZE}x{SIZE} pixels"
        )
    mask = None if band is None else band_mask(band)[None, :, :, None]
    top, left = ((side - SIZE) // 2 for side in images.shape[1:3])
    cropped = images[:, top : top + SIZE, left : left + SIZE]

    def spectrum(chunk):
        magnitude = np.log(np.abs(np.asarray(scipy.fft.fft2(chunk / 255.0, axes=(1, 2)))) + EPSILON)
        low, high = np.percentile(magnitude, (5, 95), axis=(1, 2), keepdims=True)
        span = high - low
        # A constant image has no span: its zero frequency is clipped to 1, the rest is -1.
        stretched = np.clip(2 * (magnitude - low) / (span + (span == 0)) - 1, -1, 1)
        return stretched if mask is None else np.where(mask, stretched, 0)

    return over_chunks(spectrum, cropped)


def band_mask(band: Band) -> Bool[np.ndarray, "224 224"]:
    """Where an unshifted 224x224 spectrum belongs to a band; the three bands are a partition.

    Raises:
        ValueError: for an unknown band.
    """
    low, not_high = (np.zeros((SIZE, SIZE), bool) for _ in range(2))
    low[LOW, LOW] = True
    not_high[NOT_HIGH, NOT_HIGH] = True
    bands = {"low": low, "mid": not_high & ~low, "high": ~not_high}
    if band not in bands:
        raise ValueError(f"band is {band!r}; use None or one of {', '.join(bands)}")
    return np.fft.ifftshift(bands[band])
