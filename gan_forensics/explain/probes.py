"""What forensic features respond to: colour.

Chandrasegaran et al. (ECCV 2022): convert the images to gray (`data.grayscale`) and see what
changes, in the scores of the detector and in the largest activations of its channels.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

LEVEL = 0.05  # below or at this p value a channel counts as colour-conditional
LEAST_SCORE = 0.2  # generated images scored lower in colour are left out of the comparison


class MedianTest(NamedTuple):
    """Mood's median test.

    Attributes:
        statistic: Pearson's chi square.
        pvalue: for one degree of freedom.
        median: of both samples together.
        table: counts [[a above, b above], [a not above, b not above]].

    Example:
        >>> found = MedianTest(np.zeros(2), np.ones(2), np.zeros(2), np.zeros((2, 2, 2), int))
        >>> found.pvalue
        array([1., 1.])
    """

    statistic: Float[np.ndarray, "*k"]
    pvalue: Float[np.ndarray, "*k"]
    median: Float[np.ndarray, "*k"]
    table: Int[np.ndarray, "2 2 *k"]


def median_test(
    a: Shaped[np.ndarray, "n *k"], b: Shaped[np.ndarray, "m *k"], *, correction: bool = True
) -> MedianTest:
    """Do two samples have the same median? As `scipy.stats.median_test` with its defaults.

    Counts above and not above the common median are compared by Pearson's chi square with Yates's
    correction, `sum (max(|O - E| - 1/2, 0))^2 / E`, p = erfc(sqrt(chi^2 / 2)). Many tests are done
    at once along further axes. Where no value is above the median (all values equal, say) the
    samples do not differ: statistic 0 and p = 1, where scipy raises.

    Args:
        a, b: the samples along the first axis, none of them NaN.
        correction: False leaves out the 1/2.

    Raises:
        ValueError: for an empty sample, NaN, or samples of different further axes.

    Example:
        >>> found = median_test(np.arange(20), np.arange(20) + 100)
        >>> found.table.tolist(), bool(found.pvalue < 0.001)
        ([[0, 20], [20, 0]], True)
    """
    from scipy.special import erfc

    a, b = np.asarray(a), np.asarray(b)
    if a.ndim < 1 or a.shape[1:] != b.shape[1:] or not len(a) or not len(b):
        raise ValueError(
            f"samples of shape {list(a.shape)} and {list(b.shape)}: give [n, *k] and [m, *k] with "
            "at least one value each"
        )
    if np.isnan(a).any() or np.isnan(b).any():
        raise ValueError("a sample holds NaN: leave out what was not measured")
    median = np.median(np.concatenate([a, b]), axis=0)
    above = np.stack([(a > median[None]).sum(0), (b > median[None]).sum(0)])
    sizes = np.array([len(a), len(b)]).reshape(2, *[1] * (a.ndim - 1))
    observed = np.stack([above, sizes - above])
    expected = observed.sum(1)[:, None] * (sizes / sizes.sum())[None]
    # What the table is off by is the same in all four places.
    off = np.abs(observed - expected)
    off = np.maximum(off - 0.5, 0) if correction else off
    defined = expected > 0
    chi = np.where(defined, off**2 / np.where(defined, expected, 1), 0).sum((0, 1))
    chi = np.where(defined.all((0, 1)), chi, 0.0)
    return MedianTest(chi, erfc(np.sqrt(chi / 2)), median, observed)


class ColourConditional(NamedTuple):
    """Which channels respond otherwise to gray images than to colour.

    Attributes:
        pvalue: of the median test, for each channel.
        conditional: `pvalue <= level`.
        share: the share of channels that are.

    Example:
        >>> ColourConditional(np.array([0.01, 0.5]), np.array([True, False]), share=0.5).share
        0.5
    """

    pvalue: Float[np.ndarray, " k"]
    conditional: Bool[np.ndarray, " k"]
    share: float


def colour_conditional(
    colour: Float[np.ndarray, "n k"], gray: Float[np.ndarray, "m k"], *, level: float = LEVEL
) -> ColourConditional:
    """Test the channels' largest activations on colour images against those on gray ones.

    As published: Mood's median test for every channel, no correction for many tests, samples
    treated as independent. The test says that gray moves a channel's maximum, which it does for
    nearly all channels of some detectors: report the share of random and of low-ranked channels
    beside it.

    Args:
        colour, gray: largest activations, before the batch norm, of n and m images.
        level: of significance.

    Raises:
        ValueError: as `median_test`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> gray = rng.normal(size=(100, 2))
        >>> colour_conditional(gray + [5, 0], gray).conditional
        array([ True, False])
    """
    pvalue = median_test(colour, gray).pvalue
    conditional = pvalue <= level
    return ColourConditional(pvalue, conditional, float(np.mean(conditional)))


class GrayDrop(NamedTuple):
    """Median scores of generated images in colour and in gray, and how many images.

    Attributes:
        colour, gray: medians.
        points: how far the median falls, in percentage points.
        count: images that scored at least the least score in colour.

    Example:
        >>> GrayDrop(colour=0.9, gray=0.4, points=50.0, count=20).points
        50.0
    """

    colour: float
    gray: float
    points: float
    count: int


def gray_drop(
    colour: Float[np.ndarray, " n"], gray: Float[np.ndarray, " n"], *, least: float = LEAST_SCORE
) -> GrayDrop:
    """How far the median score of generated images falls when their colour is taken away.

    Args:
        colour, gray: scores in [0, 1] of the same images.
        least: images scored lower in colour are left out.

    Raises:
        ValueError: for scores of different length, and if no image scores enough in colour.

    Example:
        >>> gray_drop(np.array([0.75, 0.75, 0.1]), np.array([0.5, 0.25, 0.1]))
        GrayDrop(colour=0.75, gray=0.375, points=37.5, count=2)
    """
    colour, gray = np.asarray(colour), np.asarray(gray)
    if colour.ndim != 1 or colour.shape != gray.shape:
        raise ValueError(
            f"scores of shape {list(colour.shape)} and {list(gray.shape)}: give one of each for "
            "every image"
        )
    kept = colour >= least
    if not kept.any():
        raise ValueError(
            f"no image scores {least} or more in colour: the detector recognises none of them"
        )
    medians = float(np.median(colour[kept])), float(np.median(gray[kept]))
    return GrayDrop(*medians, 100 * (medians[0] - medians[1]), int(kept.sum()))
