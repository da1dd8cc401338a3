"""The elastic transform of ImageNet-C (Hendrycks and Dietterich, ICLR 2019).

uint8 [h, w, c] in and out, severities 1 to 5. Lengths follow `corruption_scale`.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from gan_forensics.data.corruption_scale import (
    Map,
    Pixels,
    Rng,
    at_own_size,
    levels,
    published_shape,
    scale_of,
    unit,
)

# Amplitude, deviation of the fields' Gaussian, jitter of the three points, for 224 pixels; the
# published factors are those of 244.
ELASTIC = tuple(
    (244 * a, 244 * b, 244 * c)
    for a, b, c in (
        (2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02),
    )
)  # fmt: skip
# Coordinates of the affine map are whole parts of 1/1024, then of 1/32 of a pixel, as OpenCV's.
FINE, COARSE = 1024, 32


def elastic_transform(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """A random affine map, then displacements of two smoothed fields."""
    amplitude, sigma, jitter = ELASTIC[severity - 1]
    scale, shape = scale_of(image.shape), published_shape(image.shape)
    moves = rng.uniform(-jitter, jitter, (3, 2)).astype(np.float32)
    x = unit(image).astype(np.float32)
    x = affine(x, moves * np.float32(scale))
    right, down = (
        at_own_size(amplitude * smoothed(rng.uniform(-1, 1, shape), sigma), image.shape) * scale
        for _ in range(2)
    )
    rows, columns = np.indices(image.shape[:2])
    # Float32, as published: it decides what a coordinate is.
    place = [rows + down.astype(np.float32), columns + right.astype(np.float32)]
    return levels(_sampled(x, place, "reflect"))


def affine(
    x: Float[np.ndarray, "h w c"], moves: Float[np.ndarray, "3 2"]
) -> Float[np.ndarray, "h w c"]:
    """The affine map that moves three points (x, y) about the middle, mirrored at the border.

    Args:
        x: any range.
        moves: in pixels, of the points right below, right above, and left above the middle.
    """
    height, width = x.shape[:2]
    third = min(height, width) // 3
    corners = np.array([[1, 1], [1, -1], [-1, -1]], np.float32) * third
    points = np.array([width // 2, height // 2], np.float32) + corners
    # Where each pixel of the result comes from.
    back = np.linalg.solve(np.c_[(points + moves).astype(float), np.ones(3)], points).T
    rows, columns = np.arange(height)[:, None], np.arange(width)
    place = []
    for along, across, offset in back:
        steps = np.rint(along * columns * FINE) + np.rint((across * rows + offset) * FINE)
        place.append(np.floor(steps / (FINE // COARSE) + 0.5) / COARSE)
    return _sampled(x, place[::-1], "mirror")


def smoothed(field: Map, sigma: float, truncate: float = 3.0) -> Map:
    """A Gaussian of radius int(truncate sigma + 0.5), mirrored at the borders, however wide.

    The cosine transform diagonalises it: scipy's filter of a thousand taps takes 20 times as long.
    """
    from scipy.fft import dctn, idctn

    rows, columns = (gaussian_response(side, sigma, truncate) for side in field.shape)
    waves = np.asarray(dctn(field, type=2)) * rows[:, None] * columns
    return np.asarray(idctn(waves, type=2))


def smoothing_matrix(side: int, sigma: float, truncate: float = 3.0) -> Float[np.ndarray, "n n"]:
    """What `smoothed` does along one side, as a matrix."""
    from scipy.fft import dct, idct

    response = gaussian_response(side, sigma, truncate)
    return np.asarray(idct(response[:, None] * dct(np.eye(side), axis=0), axis=0))


@lru_cache(maxsize=32)
def gaussian_response(side: int, sigma: float, truncate: float) -> Float[np.ndarray, " n"]:
    """What the Gaussian leaves of each cosine of a side."""
    taps = np.arange(-int(truncate * sigma + 0.5), int(truncate * sigma + 0.5) + 1)
    weights = np.exp(-(taps**2) / (2 * sigma**2))
    return np.cos(np.pi / side * np.outer(np.arange(side), taps)) @ (weights / weights.sum())


def _sampled(x: Float[np.ndarray, "h w c"], place, mode: str) -> Float[np.ndarray, "h w c"]:
    from scipy.ndimage import map_coordinates

    channels = [
        map_coordinates(channel, place, order=1, mode=mode) for channel in x.transpose(2, 0, 1)
    ]
    return np.stack(channels, -1)
