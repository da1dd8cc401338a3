"""Radial (azimuthal) means: the average of a map over the rings around a centre.

Ring k holds the pixels whose distance rho from the centre has floor(rho) = k. The innermost and
the outermost occupied rings are dropped, as in the routine that Durall et al. (CVPR 2020) and
Chandrasegaran et al. (CVPR 2021) share, so a square of side S has floor((S-1)/sqrt 2) - 1 values
(88 for 128) and value k belongs to floor(rho) = k + 1. It is a mean per ring, not a sum, although
it is often called "azimuthal integration".

For an even side the centre (S-1)/2 lies half a pixel beside the zero frequency of a shifted
spectrum (index S/2), which therefore falls into the dropped innermost ring; for an odd side the
zero frequency is the centre and is dropped as well.

These are rings of pixels, as the authors' routine draws them on a map of any shape. On the spectrum
of an image that is not square they are ellipses of frequency: a step of one pixel is 1/w cycles
across and 1/h down. `frequency_bins` draws rings of frequency, which is what spectra of images are
averaged over wherever no published number has to be met.
"""

import functools
from typing import TYPE_CHECKING, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Precision = Literal["float32", "float64"]
Center = tuple[float, float] | None
Rings = Literal["pixels", "frequency"]

DROPPED = -1


def check_precision(precision: str) -> None:
    """Refuse a precision that has no path (ValueError)."""
    if precision not in ("float32", "float64"):
        raise ValueError(
            f"precision is {precision!r}; use 'float32' (JAX, works inside jit) or "
            "'float64' (NumPy on the host)"
        )


def spectrum_bins(h: int, w: int, rings: Rings) -> Int[np.ndarray, "{h} {w}"]:
    """`frequency_bins`, or `radial_bins` for "pixels", as in published code; alike for squares.

    Raises:
        ValueError: for other rings, and as `radial_bins`.
    """
    check_rings(rings)
    return radial_bins(h, w) if rings == "pixels" else frequency_bins(h, w)


def check_rings(rings: str) -> None:
    """Refuse rings that nobody draws (ValueError)."""
    if rings not in ("pixels", "frequency"):
        raise ValueError(f"rings is {rings!r}; use 'frequency', or 'pixels' as published code does")


def radial_bins(h: int, w: int, center: Center = None) -> Int[np.ndarray, "{h} {w}"]:
    """Ring number of every pixel of an [h, w] map.

    Args:
        h: height in pixels.
        w: width in pixels.
        center: (x, y) with x the column; by default ((w-1)/2, (h-1)/2).

    Returns:
        int32 [h, w]: 0 ... rings-1, and -1 on the innermost and outermost ring, which are dropped.

    Raises:
        ValueError: if fewer than three rings are occupied, so that none is left.

    Example:
        >>> radial_bins(4, 4)[1].tolist()
        [0, -1, -1, 0]
    """
    return _numbered(_distances(h, w, center))


def frequency_bins(h: int, w: int) -> Int[np.ndarray, "{h} {w}"]:
    """Ring number of every coefficient of a shifted [h, w] spectrum, in rings of frequency.

    A ring is as wide as one frequency step of the longer side, 1 / max(h, w) cycles per pixel: the
    finest step that the image resolves. A step along that side changes the distance by at most one
    ring, so no ring is empty; on the shorter side's coarser step a band of frequencies would smear
    over its neighbours. For a square these are the rings of `radial_bins`, half a pixel beside the
    zero frequency where the side is even, because published curves have them there; else the zero
    frequency itself is the centre. The innermost and outermost ring are dropped alike.

    Raises:
        ValueError: as `radial_bins`.

    Example:
        >>> for row in frequency_bins(4, 8).tolist():  # a step down is two steps to the right
        ...     print(*row)
        -1 -1 3 3 3 3 3 -1
        3 2 1 1 1 1 1 2
        3 2 1 0 -1 0 1 2
        3 2 1 1 1 1 1 2
    """
    if h == w:
        return radial_bins(h, w)
    # Multiplied before divided: whole distances come out whole, and floor() leaves them there.
    y, x = ((np.arange(side) - side // 2) * max(h, w) / side for side in (h, w))
    return _numbered(np.hypot(x[None, :], y[:, None]))


def frequencies(h: int, w: int) -> Float[np.ndarray, "{h} {w}"]:
    """Cycles per pixel of every coefficient of a shifted [h, w] spectrum; float64.

    0.5 is the Nyquist frequency of either axis, whatever its length; corners reach 0.707.
    """
    y, x = (np.fft.fftshift(np.fft.fftfreq(side)) for side in (h, w))
    return np.hypot(x[None, :], y[:, None])


def ring_radii(h: int, w: int) -> Float[np.ndarray, " rings"]:
    """Mean frequency, in cycles per pixel, of each ring of `frequency_bins`; float64.

    Example:
        >>> ring_radii(8, 8).round(2).tolist()
        [0.21, 0.33, 0.46]
    """
    means = segment_mean_matrix([frequency_bins(h, w)]) @ frequencies(h, w).ravel()
    return np.asarray(means)


def radial_mean(
    image: Num[Array | np.ndarray, "*batch h w"],
    center: Center = None,
    *,
    precision: Precision = "float32",
) -> Float[Array | np.ndarray, "*batch rings"]:
    """Mean of a map over each ring of pixels around its centre (`radial_bins`).

    Args:
        image: any real map, with any leading batch axes.
        center: (x, y) with x the column; by default ((w-1)/2, (h-1)/2). Static under jit.
        precision: "float32" computes in JAX, and inside jit; "float64" in NumPy on the host.

    Returns:
        The ring means from the inside outwards, without the innermost and outermost ring.

    Raises:
        ValueError: for a map with fewer than three rings, or an unknown precision.

    Example:
        >>> import numpy as np
        >>> radial_mean(np.ones((2, 128, 128))).shape
        (2, 88)
    """
    check_precision(precision)
    if np.ndim(image) < 2:
        raise ValueError(f"a map needs two axes [..., h, w], got shape {np.shape(image)}")
    *batch, h, w = np.shape(image)
    if precision == "float64":
        maps = np.asarray(image, np.float64).reshape(-1, h * w)
        means = np.asarray(_mean_matrix(h, w, center) @ maps.T).T
    else:
        means = _means_jit(jnp.asarray(image, jnp.float32).reshape(-1, h * w), h, w, center)
    return means.reshape(*batch, means.shape[1])


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _means_jit(maps, h: int, w: int, center: Center):
    return segment_means(maps, [radial_bins(h, w, center)])


def segment_means(
    values: Float[Array, "b p"], labels: list[Int[np.ndarray, "..."]]
) -> Float[Array, "b rings"]:
    """Mean of the values of each label, where a value may carry one label per given map.

    A segment sum with the batch as the innermost axis costs one vector addition per pixel and
    label: less than the transform before it at every size, without the [rings, pixels] matrix of a
    matrix product and without the cancellation of differences of cumulative sums.
    """
    rings = 1 + max(int(each.max()) for each in labels)
    counts = sum(np.bincount(each[each >= 0], minlength=rings) for each in labels)
    columns = values.T
    sums = sum(
        # A label beyond the last segment is dropped; a negative one would count from the end.
        jax.ops.segment_sum(columns, jnp.asarray(np.where(each < 0, rings, each).ravel()), rings)
        for each in labels
    )
    return (sums / jnp.asarray(counts, jnp.float32)[:, None]).T


def segment_mean_matrix(labels: list[Int[np.ndarray, "..."]]) -> "csr_array":
    """The linear map of `segment_means` as a sparse float64 matrix [rings, pixels]."""
    from scipy.sparse import csr_array

    rows = np.concatenate([each.ravel() for each in labels])
    pixels = labels[0].size
    columns = np.tile(np.arange(pixels), len(labels))
    kept = rows >= 0
    counts = np.bincount(rows[kept])
    return csr_array(
        (1.0 / counts[rows[kept]], (rows[kept], columns[kept])), shape=(len(counts), pixels)
    )


def half_plane_labels(shifted: Int[np.ndarray, "h w"]) -> list[Int[np.ndarray, "h half"]]:
    """Labels of a full shifted spectrum, moved onto the coefficients that `rfft2` computes.

    A real image has F[-k, -l] = conj F[k, l], so a coefficient of the half plane stands for itself
    and, in the inner columns, for its mirror image. For even squares the two lie in different
    rings, since the centre of the rings is not the zero frequency: hence two label maps.

    Returns:
        [own, mirrored], each [h, w//2 + 1]; -1 where there is no label.
    """
    h, w = shifted.shape
    plane = np.fft.ifftshift(shifted)
    half = w // 2 + 1
    mirrored = np.full((h, half), DROPPED, shifted.dtype)
    inner = np.arange(1, (w + 1) // 2)
    mirrored[:, inner] = plane[-np.arange(h)][:, w - inner]
    return [plane[:, :half], mirrored]


def _numbered(distance: Float[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
    """Whole distances, numbered from the second occupied ring on; -1 on the first and the last."""
    h, w = distance.shape
    _, inverse = np.unique(np.floor(distance), return_inverse=True)
    ring = inverse.reshape(h, w) - 1
    outermost = ring.max()
    if outermost < 1:
        raise ValueError(
            f"a map of {h}x{w} pixels has no ring left after the innermost and the outermost are "
            "dropped; give at least 4x4 pixels"
        )
    ring[ring == outermost] = DROPPED
    return ring.astype(np.int32)


def _distances(h: int, w: int, center: Center) -> np.ndarray:
    x0, y0 = ((w - 1) / 2, (h - 1) / 2) if center is None else center
    return np.hypot(np.arange(w)[None, :] - x0, np.arange(h)[:, None] - y0)


@functools.lru_cache(maxsize=16)
def _mean_matrix(h: int, w: int, center: Center) -> "csr_array":
    return segment_mean_matrix([radial_bins(h, w, center)])
