"""Deletion and insertion: what a score becomes as the places of an image that a map names go.

Samek et al., "Evaluating the visualization of what a deep neural network has learned" (IEEE TNNLS
2017, arXiv 1509.06321), and Petsiuk et al., "RISE" (BMVC 2018, arXiv 1806.07421). An image is cut
into n square patches, ranked by the evidence that a map finds in them, most of it first. With x the
image, x' a baseline that holds nothing of it, and x_j the image whose first n j / k patches, to the
nearest patch, are those of the baseline,

    deletion:   score(x_j), j = 0 ... k, from the image to the baseline;
    insertion:  the same with x and x' exchanged, from the baseline to the image.

A map that is faithful to the network has a deletion curve that falls early and an insertion curve
that rises early. What a curve amounts to is the area below it over the share of patches, 0 to 1,
which is the mean score along it.
"""

import math
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int, Real

Baseline = Literal["blur", "mean"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
SIGMA = 5.0  # of the blur in pixels, as released with RISE


def baseline_images(
    x: Real[np.ndarray, "b h w c"], baseline: Baseline
) -> Real[np.ndarray, "b h w c"]:
    """What stands where a place was removed.

    Args:
        x: images.
        baseline: "blur", the image under a Gaussian of `SIGMA` pixels, its edges reflected; "mean",
            its mean colour everywhere. Rounded where the images are of whole numbers.

    Raises:
        ValueError: for another baseline.

    Example:
        >>> baseline_images(np.array([[[[0.0], [1.0]]]]), "mean").ravel()
        array([0.5, 0.5])
    """
    if baseline not in BASELINES:
        raise ValueError(f"unknown baseline {baseline!r}; baselines are {', '.join(BASELINES)}")
    values = np.asarray(x, np.float64)
    if baseline == "mean":
        values = np.broadcast_to(values.mean((1, 2), keepdims=True), x.shape)
    else:
        from scipy.ndimage import gaussian_filter

        values = gaussian_filter(values, (0, SIGMA, SIGMA, 0), mode="reflect")
    return (np.rint(values) if np.issubdtype(x.dtype, np.integer) else values).astype(x.dtype)


def patch_places(height: int, width: int, patch: int) -> Int[np.ndarray, "h w"]:
    """The number of the patch that each pixel lies in, row by row; the last ones may be narrower.

    Example:
        >>> patch_places(2, 3, 2)
        array([[0, 0, 1],
               [0, 0, 1]])
    """
    rows, columns = np.arange(height) // patch, np.arange(width) // patch
    return rows[:, None] * math.ceil(width / patch) + columns


def removal_ranks(
    evidence: Float[np.ndarray, "b h w"], *, patch: int = 1, seed: int = 0
) -> Int[np.ndarray, "b n"]:
    """When each patch is removed: 0 for the one with the most evidence, summed over its pixels.

    With patches of one pixel the ranks are those of any increasing function of the evidence.
    Patches of equal evidence are removed in an order drawn at random, which is the same for all
    maps, so that no corner of the image goes first.

    Args:
        evidence: of each pixel for what is explained.
        patch: side of the patches in pixels.
        seed: of the draw.

    Raises:
        ValueError: for maps with NaN, or the same value everywhere, which have no order.

    Example:
        >>> removal_ranks(np.array([[[0.1, 0.5, 0.2]]]))
        array([[2, 0, 1]])
    """
    evidence = np.asarray(evidence, np.float64)
    for row, found in enumerate(evidence):
        if not np.isfinite(found).all():
            raise ValueError(
                f"the map of image {row} has {int((~np.isfinite(found)).sum())} values that are no "
                "numbers: leave the image out, or look for what overflows in the network"
            )
        if found.min() == found.max():
            raise ValueError(
                f"the map of image {row} is {found.min():g} everywhere, so that no place comes "
                "first: leave the image or the method out"
            )
    _, height, width = evidence.shape
    places = patch_places(height, width, patch).ravel()
    sums = np.stack([np.bincount(places, found.ravel()) for found in evidence])
    draws = random_ranks(len(sums), sums.shape[1], seed=seed)
    return np.argsort(np.lexsort((draws, -sums), axis=1), axis=1)


def random_ranks(images: int, patches: int, *, seed: int) -> Int[np.ndarray, "b n"]:
    """Ranks of patches in an order drawn for each image; those of the first do not see the others.

    Example:
        >>> sorted(random_ranks(1, 4, seed=0)[0].tolist())
        [0, 1, 2, 3]
    """
    rng = np.random.default_rng(seed)
    return rng.permuted(np.tile(np.arange(patches), (images, 1)), axis=1)


def removed_counts(patches: int, steps: int) -> Int[np.ndarray, " k1"]:
    """How many patches are gone after 0, 1 ... `steps` steps.

    Raises:
        ValueError: for more steps than patches.

    Example:
        >>> removed_counts(8, 3)
        array([0, 3, 5, 8])
    """
    if not 1 <= steps <= patches:
        raise ValueError(
            f"{steps} steps and {patches} patches: give 1 to {patches} steps, or smaller patches"
        )
    return np.floor(np.arange(steps + 1) * patches / steps + 0.5).astype(int)


def removal_curves(
    score: Callable[[np.ndarray, np.ndarray], Float[np.ndarray, " jobs"]],
    x: Real[np.ndarray, "b h w c"],
    filled: Real[np.ndarray, "baselines b h w c"],
    ranks: Int[np.ndarray, "orders b n"],
    *,
    patch: int,
    steps: int,
    at_once: int,
) -> Float[np.ndarray, "2 orders baselines b k1"]:
    """Deletion and insertion curves of every order and baseline.

    Args:
        score: from images [at_once, h, w, c] and which of `x` each of them was to their scores.
        x: images.
        filled: what stands in them where a place was removed.
        ranks: of `removal_ranks`.
        patch: side of the patches in pixels.
        steps: k.
        at_once: images of each call of `score`; the last ones are copies where fewer are left.

    Example:
        >>> x = np.array([[[[3.0], [1.0]]]])
        >>> mean = lambda images, rows: images.mean((1, 2, 3))
        >>> ranks = np.array([[[0, 1]]])
        >>> deletion, insertion = removal_curves(
        ...     mean, x, 0 * x[None], ranks, patch=1, steps=2, at_once=1
        ... )
        >>> deletion[0, 0, 0], insertion[0, 0, 0]
        (array([2. , 0.5, 0. ]), array([0. , 1.5, 2. ]))
    """
    _, height, width, _ = x.shape
    places, counts = patch_places(height, width, patch), removed_counts(ranks.shape[-1], steps)

    def scores(shape: tuple[int, ...], images: Callable[..., np.ndarray]) -> np.ndarray:
        """`score` of all images of a grid, whose last but one axis is that of `x`."""
        found = np.zeros(math.prod(shape))
        for first in range(0, found.size, at_once):
            jobs = np.minimum(np.arange(first, first + at_once), found.size - 1)
            at = np.unravel_index(jobs, shape)
            found[jobs] = score(images(*at), at[-2])
        return found.reshape(shape)

    def mixed(kind, order, baseline, row, step):
        gone = (ranks[order, row] < counts[1 + step, None])[:, places]
        removed = gone ^ (kind == 1)[:, None, None]  # An insertion starts with nothing.
        return np.where(removed[..., None], filled[baseline, row], x[row])

    whole = scores((len(x), 1), lambda row, _: x[row])[:, 0]
    empty = scores((len(filled), len(x), 1), lambda baseline, row, _: filled[baseline, row])
    curves = np.zeros((2, len(ranks), len(filled), len(x), steps + 1))
    curves[..., 1:-1] = scores((*curves.shape[:-1], steps - 1), mixed)
    curves[0, ..., 0] = curves[1, ..., -1] = whole
    curves[0, ..., -1] = curves[1, ..., 0] = empty[..., 0]
    return curves


def area(curve: Float[np.ndarray, "*b k1"]) -> Float[np.ndarray, "*b"]:
    """The area below curves over the share of patches from 0 to 1, by the trapezoid rule.

    Example:
        >>> float(area(np.array([1.0, 0.5, 0.0])))
        0.5
    """
    return (curve[..., 1:] + curve[..., :-1]).mean(-1) / 2
