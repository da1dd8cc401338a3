"""The quality that a JPEG file was written with, told by its quantisation tables."""

from collections.abc import Sequence

import numpy as np

# Table K.1 of ITU-T T.81: steps of the luminance's DCT coefficients, row by row.
_LUMINANCE = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
])  # fmt: skip
# Table K.2: of the chrominance's.
_CHROMINANCE = np.full((8, 8), 99)
_CHROMINANCE[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
# The tables of each quality from 1 to 100, as libjpeg scales them.
_PERCENT = np.array([5000 // q if q < 50 else 200 - 2 * q for q in range(1, 101)])[:, None]
_TABLES, _COLOUR_TABLES = (
    np.clip((table.ravel() * _PERCENT + 50) // 100, 1, 255) for table in (_LUMINANCE, _CHROMINANCE)
)


def libjpeg_tables(quality: int) -> tuple[list[int], list[int]]:
    """The steps of luminance and chrominance that libjpeg takes for a quality, row by row.

    Example:
        >>> luminance, chrominance = libjpeg_tables(50)
        >>> luminance[:3], chrominance[:3]
        ([16, 11, 10], [17, 18, 24])
    """
    return _TABLES[quality - 1].tolist(), _COLOUR_TABLES[quality - 1].tolist()


def jpeg_quality(luminance: Sequence[int]) -> int:
    """The quality from 1 to 100 whose table of libjpeg comes nearest.

    Exact for files of libjpeg and what builds on it. Cameras and editors have tables of their own:
    theirs are given the quality of like coarseness.

    Args:
        luminance: the 64 steps of a file's first table, row by row.
    """
    steps = np.asarray(luminance)
    # By ratios, so that the few coarse steps of high frequencies do not decide alone.
    return int(np.abs(np.log(_TABLES / np.maximum(steps, 1))).sum(1).argmin()) + 1
