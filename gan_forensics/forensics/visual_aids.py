"""Aids for the eye: error levels and the strength of noise, as small pictures.

Krawetz, "A picture's worth" (2007), looks at what one more JPEG compression changes; the noise is
what a wavelet denoiser takes away (`gan_forensics.forensics.noise_residuals`). Neither is a
measure of anything: edges and textures are bright in both, whoever made the picture.

Pictures are uint8 [h, w, 3] in [0, 255].
"""

import io

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from gan_forensics.data.looking import SIDE
from gan_forensics.forensics.noise_residuals import GRAY, noise_extract

# Of the further compression, and how much brighter differences are shown than they are.
QUALITY, BRIGHTER = 90, 15
LEVELS, SIGMA, NOISE_BRIGHTER = 2, 3.0, 20
# Sides of the middle of which the noise is shown.
MIDDLE = 2048
# Rows at a time, of whole blocks of 4:2:0, and rows beside them that filters reach.
_ROWS, _REACH = 512, 32


def error_levels(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "a b 3"]:
    """How much pixels change when the picture is compressed once more, at quality 90.

    Args:
        pixels: of the picture.

    Returns:
        Mean absolute differences, `BRIGHTER` times, with sides of at most 1024.

    Example:
        >>> error_levels(np.full((32, 24, 3), 128, np.uint8)).max()
        np.uint8(0)
    """

    def changes(top: int) -> Float[np.ndarray, "r w 3"]:
        band = pixels[top : top + _ROWS]
        buffer = io.BytesIO()
        Image.fromarray(band).save(buffer, "JPEG", quality=QUALITY)
        again = np.asarray(Image.open(buffer, formats=["JPEG"]))
        return np.abs(band.astype(np.float32) - again)

    return _small(pixels.shape[:2], changes, BRIGHTER)


def noise_strength(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "a b 3"]:
    """How strong the noise is at each place of the middle of a picture, in gray.

    Args:
        pixels: of the picture.

    Returns:
        Mean absolute residuals, `NOISE_BRIGHTER` times, with sides of at most 1024.

    Example:
        >>> noise_strength(np.full((64, 48, 3), 128, np.uint8)).shape
        (64, 48, 3)
    """
    top, left = (max(0, (n - MIDDLE) // 2) for n in pixels.shape[:2])
    part = pixels[top : top + MIDDLE, left : left + MIDDLE]

    def residuals(start: int) -> Float[np.ndarray, "r w 3"]:
        first = max(0, start - _REACH)
        band = part[first : start + _ROWS + _REACH] @ np.array(GRAY, np.float32)
        levels = np.rint(band).astype(np.uint8)[..., None]
        noise = np.abs(noise_extract(levels, LEVELS, SIGMA))[start - first :][:_ROWS]
        return np.repeat(noise, 3, -1)

    return _small(part.shape[:2], residuals, NOISE_BRIGHTER)


def _small(shape: tuple[int, int], band_at, brighter: int) -> UInt8[np.ndarray, "a b 3"]:
    """Means over squares of what a picture's bands of rows come to."""
    height, width = shape
    factor = -(-max(shape) // SIDE)
    sums = np.zeros((-(-height // factor), -(-width // factor), 3))
    columns = np.arange(0, width, factor)
    for top in range(0, height, _ROWS):
        band = np.add.reduceat(band_at(top), columns, axis=1)
        rows = np.arange(top, min(top + _ROWS, height)) // factor
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        sums[rows[starts]] += np.add.reduceat(band, starts, axis=0)
    counts = (np.diff([*range(0, n, factor), n]) for n in shape)
    pixels = next(counts)[:, None] * next(counts)[None]
    return np.clip(np.rint(brighter * sums / pixels[..., None]), 0, 255).astype(np.uint8)
