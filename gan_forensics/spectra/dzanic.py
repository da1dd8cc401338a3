"""The three features of Dzanic, Shah and Witherden (NeurIPS 2020), as their released code does it.

An image is reduced to the decay of its spectrum at the highest frequencies: the exponent b of a
power law through the smoothed tail of the radial magnitude, and the tail's first and last value.
Only radii beyond 0.85 of the largest enter, i.e. the four corners of the spectrum.

Everything between the magnitudes of the transform and the 60 values of the tail (binning,
smoothing, choice of the tail) is linear and depends on the image size alone. It is kept here as one
sparse matrix per size. All in float64 on the host: the magnitudes span six decades.
"""

import functools
import math
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from jaxtyping import Array, Float, Int, UInt8

from gan_forensics.spectra.chunks import over_chunks
from gan_forensics.spectra.exponent import fit_exponent
from gan_forensics.spectra.gray import in_levels, to_gray
from gan_forensics.spectra.radial import (
    DROPPED,
    Rings,
    check_rings,
    frequencies,
    half_plane_labels,
    segment_mean_matrix,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

BINS = 200
KEPT_RADIUS = 0.5
# The released script declares 0.75 in a variable that it never uses, and fits from 0.85.
FIT_RADIUS = 0.85
SPAN = 5


class Tail(NamedTuple):
    """Where the tail of one image size is sampled, and how to get it from a transform."""

    radius: Float[np.ndarray, " tail"]
    matrix: "csr_array"


def dzanic_features(
    images: UInt8[Array | np.ndarray, "b h w *c"],
    *,
    fit: Literal["released", "vector"] = "released",
    rings: Rings = "pixels",
) -> Float[np.ndarray, "b 3"]:
    """Decay features (b, y_i, y_f) of each image.

    b is the exponent of y_i (r/r_i)^b through the tail, y_i and y_f the first and last value of the
    smoothed mean magnitude there.

    Args:
        images: uint8 [b, h, w] gray or [b, h, w, c] at their native size; colour is rounded to
            8-bit gray.
        fit: "released" minimises the largest singular value of the matrix y_i - f_j, which the
            authors' script arrives at by broadcasting a column against a row; "vector" the norm of
            y - f, which was meant. Both exactly, where the authors stop a simplex at 1e-4.
        rings: "pixels" as released, which on images that are not square are ellipses of frequency,
            so that the tail is no longer the corners alone; or "frequency". Alike for squares.

    Returns:
        float64 [b, 3].

    Raises:
        ValueError: for images that are not uint8, an unknown fit, or images so small that fewer
            than five bins are occupied.

    Example:
        >>> import numpy as np
        >>> dzanic_features(np.eye(64, dtype=np.uint8)[None] * 255).shape
        (1, 3)
    """
    images = in_levels(images, "decay features")
    tail = tail_geometry(*images.shape[1:3], rings)
    values = over_chunks(lambda chunk: tail_values(np.asarray(to_gray(chunk)), rings), images)
    return np.column_stack(
        [fit_exponent(tail.radius, values, fit=fit), values[:, 0], values[:, -1]]
    )


def tail_values(
    gray: Float[np.ndarray, "b h w"], rings: Rings = "pixels"
) -> Float[np.ndarray, "b tail"]:
    """Smoothed mean magnitude of the spectrum in the 60 outermost of the 200 radial bins."""
    from scipy.fft import rfft2

    matrix = tail_geometry(*gray.shape[1:], rings).matrix
    magnitude = np.abs(np.asarray(rfft2(gray)))
    return (matrix @ magnitude.reshape(len(gray), math.prod(magnitude.shape[1:])).T).T


@functools.lru_cache(maxsize=16)
def tail_geometry(h: int, w: int, rings: Rings = "pixels") -> Tail:
    """The tail's radii, relative to the outermost bin, and its map from half-plane magnitudes.

    Raises:
        ValueError: if fewer than five bins are occupied.
    """
    from scipy.sparse import csr_array

    labels, centres = decay_bins(h, w, rings)
    occupied = np.unique(labels[labels >= 0])
    if len(occupied) < SPAN:
        raise ValueError(
            f"images of {h}x{w} pixels occupy {len(occupied)} radial bins beyond half the largest "
            f"radius; at least {SPAN} are needed, so give larger images"
        )
    means = segment_mean_matrix(half_plane_labels(labels))
    if len(occupied) == BINS:
        smoothing = moving_average(BINS)
    else:
        smoothing = np.zeros((BINS, BINS))
        smoothing[:, occupied] = local_regression(occupied)
    first = round(BINS * (FIT_RADIUS - KEPT_RADIUS) / (1 - KEPT_RADIUS))
    matrix = csr_array(csr_array(smoothing)[first:] @ means)
    return Tail(radius=centres[first:] / centres[-1], matrix=matrix)


def decay_bins(
    h: int, w: int, rings: Rings = "pixels"
) -> tuple[Int[np.ndarray, "h w"], Float[np.ndarray, " bins"]]:
    """Bin of every pixel of a shifted spectrum (-1 = not kept), and the bins' central radii.

    Distances are measured from the 1-based pixel round(S/2) of each axis. For an even side that is
    one row and one column short of the zero frequency, an oversight of the released code that its
    published features contain; for an odd side it is the zero frequency. Rings of "frequency" on an
    image that is not square are measured from the zero frequency itself, in cycles per pixel.
    """
    check_rings(rings)
    if rings == "frequency" and h != w:
        radius, largest = frequencies(h, w), np.sqrt(0.5)
    else:
        n_y, n_x = (int(np.floor(side / 2 + 0.5)) for side in (h, w))
        rows, columns = np.arange(1, h + 1)[:, None], np.arange(1, w + 1)[None, :]
        radius = np.sqrt((rows - n_y) ** 2 + (columns - n_x) ** 2)
        largest = np.sqrt(n_y**2 + n_x**2)
    kept = radius > KEPT_RADIUS * largest
    edges = np.linspace(radius[kept].min(), radius[kept].max(), BINS + 1)
    # A radius equal to an edge belongs to the bin below; the smallest has none below but its own.
    labels = np.maximum(np.searchsorted(edges, radius, side="left") - 1, 0)
    labels = np.where(kept, np.minimum(labels, BINS - 1), DROPPED)
    return labels, (edges[:-1] + edges[1:]) / 2


def moving_average(n: int) -> Float[np.ndarray, "{n} {n}"]:
    """Matrix of a centred mean over five values, windows shrinking symmetrically at the ends."""
    position = np.arange(n)
    reach = np.minimum(np.minimum(position, n - 1 - position), SPAN // 2)
    inside = np.abs(position[:, None] - position[None, :]) <= reach[:, None]
    return inside / inside.sum(1, keepdims=True)


def local_regression(occupied: Int[np.ndarray, " m"], n: int = BINS) -> Float[np.ndarray, "{n} m"]:
    """Matrix of a local linear regression over the five nearest occupied bins, at all n bins.

    Weights are tricube, (1 - (d/d_max)^3)^3, with d_max the distance in bins to the farthest of
    the five, which therefore weighs nothing. So does any other bin at that distance, and it does
    not matter which of two equally far ones is taken as the fifth.
    """
    offset = occupied[None, :] - np.arange(n)[:, None]
    nearest = np.argsort(np.abs(offset), axis=1, kind="stable")[:, :SPAN]
    d = np.take_along_axis(offset, nearest, axis=1).astype(np.float64)
    distance = np.abs(d)
    weight = (1 - (distance / distance.max(1, keepdims=True)) ** 3) ** 3
    weight /= weight.sum(1, keepdims=True)
    # The weighted line through (d, y), read at d = 0: mean(y) - slope * mean(d).
    mean = (weight * d).sum(1, keepdims=True)
    variance = (weight * (d - mean) ** 2).sum(1, keepdims=True)
    coefficient = weight * (1 - mean * (d - mean) / variance)
    matrix = np.zeros((n, len(occupied)))
    np.put_along_axis(matrix, nearest, coefficient, axis=1)
    return matrix
