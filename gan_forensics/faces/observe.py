"""What the tracker sees of a face: smooth SIFT descriptors at points that need not be integers.

OpenCV rounds a keypoint to a whole pixel, so that its descriptor is a staircase in the position:
no optimiser can walk on it. Here the same histogram (4 x 4 places x 8 orientations, bins
interpolated linearly under a Gaussian) is pooled in two steps. Once per image, gradients are
shared out to eight orientation maps and gathered on a grid of a few pixels; then the histogram
of a point is a weighted sum over that grid, its weights continuous functions of the point. This
project's reconstruction: which window and which orientation Tran et al. (2013) gave to their
SIFT descriptors is not known to us.

Everything is differentiable, batched, and mirrors exactly: the grid is symmetric about the centre
of the image, and angles are measured from the nearest axis, so that a mirrored image of the same
size has mirrored maps up to the rounding of sums.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.faces.sift import base_blur, gradients, quantised

# Histograms are in gray levels x pixels; real patches have a norm of tens to thousands. Below this
# norm descriptors fade to zero, and with them their gradients, where the image is constant.
_FLAT = 0.1
# SIFT clips the entries of a descriptor at .2 of its norm. Here the corner is a hyperbola of this
# width, in shares of the clip: searches would stick at corners, of which there are hundreds.
_CLIP, _CORNER = 0.2, 0.1


class Maps(NamedTuple):
    """What `orientation_maps` finds in an image; fit for `jit` and `vmap`.

    Attributes:
        cells: [hc, wc, 8], gradient magnitude by cell and orientation, 0 being to the right, 2
            upwards, in steps of 45 degrees.
        first: [2], place (u, v) of the first cell in the image, in pixels, at most a stride
            outside.
    """

    cells: Float[Array, "hc wc 8"]
    first: Float[Array, "2"]


def orientation_maps(image: Float[Array, "h w"], stride: int) -> Maps:
    """Gradients of a gray image, shared between eight orientations and pooled on a coarse grid.

    A pixel is shared linearly between neighbouring orientations and cells, so that the maps add up
    to the magnitude of the gradient. The outermost pixels carry nothing, as in SIFT.

    Args:
        image: gray levels in 0..255, at least 7 x 7.
        stride: pixels between neighbouring cells of the grid, which is centred on the image.
    """
    right, up = gradients(base_blur(image))
    # Between an axis and its diagonal, by octants: exact under mirrors and quarter turns.
    across, along = jnp.abs(right), jnp.abs(up)
    smaller, larger = jnp.minimum(across, along), jnp.maximum(across, along)
    share = _arctan(smaller / jnp.maximum(larger, 1e-20)) * (4 / math.pi)
    magnitude = jnp.sqrt(right * right + up * up)
    diagonal = magnitude * share
    straight = magnitude - diagonal
    nearest = jnp.where(across >= along, jnp.where(right > 0, 0, 4), jnp.where(up > 0, 2, 6))
    between = jnp.where(right > 0, jnp.where(up > 0, 1, 7), jnp.where(up > 0, 3, 5))
    nearest, between = nearest.astype(jnp.int8), between.astype(jnp.int8)
    # What is above is computed once, not again for each of the eight maps.
    straight, diagonal, nearest, between = jax.lax.optimization_barrier(
        (straight, diagonal, nearest, between)
    )
    maps = []
    for amount, orientation, first in ((straight, nearest, 0), (diagonal, between, 1)):
        which = jnp.arange(first, 8, 2, dtype=jnp.int8)[:, None, None]
        chosen = jnp.where(which == orientation[None], amount[None], 0)
        maps.append(_pooled(_pooled(chosen, stride, 1), stride, 2))
    cells = jnp.stack(maps, 1)
    cells = jnp.moveaxis(cells.reshape(8, *cells.shape[2:]), 0, -1)
    first = [_grid(image.shape[axis], stride)[0] for axis in (1, 0)]
    return Maps(cells, jnp.asarray(first, image.dtype))


def smooth_sift(
    maps: Maps, points: Float[Array, "k 2"], *, size: float | Float[Array, ""], stride: int
) -> Float[Array, "k 128"]:
    """Smooth SIFT descriptors of upright keypoints, differentiable in the points.

    Args:
        maps: of the image.
        points: (u, v), to the right and down, in pixels of the image.
        size: diameter of the keypoints as OpenCV counts it: a bin is 1.5 size wide.
        stride: that of the maps. At most two thirds of `size`: coarser grids blur the bins.

    Returns:
        Descriptors of norm 1, clipped at .2 before the last normalisation as SIFT's are: 4 rows x
        4 columns x 8 orientations. Zeros where the image is constant or left behind.
    """
    rows, columns = (weight[:, :4] for weight in _weights(maps, points, size, stride))
    v = _summed(maps.cells, rows, columns).reshape(-1, 128)
    norm = jnp.sqrt(jnp.sum(v * v, -1, keepdims=True) + _FLAT**2)
    w, _, _ = _clipped(v, norm)
    return w / jnp.sqrt(jnp.sum(w * w, -1, keepdims=True) + _FLAT**2)


def smooth_sift_with_jacobian(
    maps: Maps, points: Float[Array, "k 2"], *, size: float | Float[Array, ""], stride: int
) -> tuple[Float[Array, "k 128"], Float[Array, "k 128 2"]]:
    """Descriptors as `smooth_sift` has them, and their derivatives by (u, v), per pixel."""
    rows, columns = _weights(maps, points, size, stride)
    sums = _summed(maps.cells, rows, columns)
    v = sums[:, :4, :4].reshape(-1, 128)
    by_u, by_v = sums[:, :4, 4:], sums[:, 4:, :4]
    slopes = jnp.stack([by_u.reshape(-1, 128), by_v.reshape(-1, 128)], -1)

    norm = jnp.sqrt(jnp.sum(v * v, -1, keepdims=True) + _FLAT**2)
    w, by_value, by_norm = _clipped(v, norm)
    of_norm = jnp.einsum("kd,kdi->ki", v / norm, slopes)
    slopes = by_value[..., None] * slopes + by_norm[..., None] * of_norm[:, None]
    norm = jnp.sqrt(jnp.sum(w * w, -1, keepdims=True) + _FLAT**2)
    d = w / norm
    along = jnp.einsum("kd,kdi->ki", d, slopes)
    return d, (slopes - d[..., None] * along[:, None]) / norm[..., None]


def _clipped(v: Float[Array, "k 128"], norm: Float[Array, "k 1"]):
    """Entries clipped at a share of the norm, and the derivatives by entry and norm.

    min(v, c) with a round corner: (v - r + q) / 2, r^2 = (v - c)^2 + (h c)^2 and q such that 0
    stays 0.
    """
    c = _CLIP * norm
    r = jnp.sqrt((v - c) ** 2 + (_CORNER * c) ** 2)
    q = math.sqrt(1 + _CORNER**2)
    w = 0.5 * (v - r + q * c)
    by_norm = 0.5 * _CLIP * (q + (v - c - _CORNER**2 * c) / r)
    return w, 0.5 * (1 - (v - c) / r), by_norm


def rounded_sift(
    maps: Maps, points: Float[Array, "k 2"], *, size: float | Float[Array, ""]
) -> Float[Array, "k 128"]:
    """OpenCV's descriptors of upright keypoints, within 1 of 255, from maps of stride 1.

    What `faces.sift` computes for an angle of 0, but with maps shared by all points and searches
    of an image, and a size that may be traced. The points are rounded to whole pixels.
    """
    rows, columns = (weight[:, :4] for weight in _weights(maps, jnp.round(points), size, 1))
    return quantised(_summed(maps.cells, rows, columns).reshape(-1, 128))


def _weights(
    maps: Maps, points: Float[Array, "k 2"], size: float | Float[Array, ""], stride: int
) -> tuple[Float[Array, "k 8 hc"], Float[Array, "k 8 wc"]]:
    """Of each cell's row and column in each point's four bins; then their slopes by the point."""
    width = 1.5 * size
    found = []
    for axis, count in ((1, maps.cells.shape[0]), (0, maps.cells.shape[1])):
        centres = maps.first[axis] + stride * jnp.arange(count)
        away = ((centres[None] - points[:, axis, None]) / width)[:, None]
        gauss = jnp.exp(away * away / -8)
        from_bin = away + (1.5 - jnp.arange(4, dtype=away.dtype))[None, :, None]
        bins = jnp.maximum(0, 1 - jnp.abs(from_bin))
        slopes = jnp.where(bins > 0, -jnp.sign(from_bin), 0) - bins * away / 4
        found.append(jnp.concatenate([bins * gauss, slopes * gauss / -width], 1))
    return found[0], found[1]


def _summed(
    cells: Float[Array, "hc wc 8"], rows: Float[Array, "k r hc"], columns: Float[Array, "k c wc"]
) -> Float[Array, "k r c 8"]:
    """Weighted sums of the cells for every point.

    Over all cells: windows cut out around the points cost half as much, but would tie the size of
    the keypoints, which follows the face, to compiled code.
    """
    k, r, _ = rows.shape
    by_row = rows.reshape(k * r, -1) @ cells.reshape(len(cells), -1)
    return jnp.einsum("krxo,kcx->krco", by_row.reshape(k, r, -1, 8), columns)


def _arctan(x: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Arc tangent on [0, 1] to 2e-6: no branches, where `jnp.arctan2` costs more than all else."""
    y = x * x
    high = 0.19354346 + y * (-0.11643287 + y * (0.05265332 - y * 0.01172120))
    return x * (0.99997726 + y * (-0.33262347 + y * high))


def _grid(length: int, stride: int) -> tuple[float, int]:
    """Place of the first cell along an axis, and the number of cells that cover its pixels."""
    count = math.ceil((length - 1) / stride) + 1
    return (length - 1 - stride * (count - 1)) / 2, count


def _pooled(maps: Float[Array, "m h w"], stride: int, axis: int) -> Float[Array, "m h w"]:
    """Gather pixels into cells along an axis, each shared between its two neighbours linearly."""
    length = maps.shape[axis]
    first, count = _grid(length, stride)
    start = math.floor(first) - stride + 1
    pad = [(0, 0)] * 3
    pad[axis] = (-start, max(0, start + stride * (count + 1) - length))
    padded = jnp.pad(maps, pad)
    total = jnp.zeros((), maps.dtype)
    for i in range(2 * stride):
        weight = max(0.0, 1 - abs(start + i - first) / stride)
        stop = i + stride * (count - 1) + 1
        total += weight * jax.lax.slice_in_dim(padded, i, stop, stride, axis)
    return total
