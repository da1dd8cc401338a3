"""Likelihood ratios of two propositions about an image, and how good a set of them is.

LR = p(score | it was generated) / p(score | it is a photograph), as log10. How good they are is
measured on images of which the truth is known: n photographs and m generated images,

    Cllr = 1/2 [ mean_photographs log2(1 + LR) + mean_generated log2(1 + 1 / LR) ]

(Brümmer and du Preez, Computer Speech and Language 2006): 0 for perfect ones, 1 for LRs of 1. With
the LRs that pool-adjacent-violators makes of them, the best that keep their order, it splits into
Cllr_min, what the scores can tell, and Cllr_cal = Cllr - Cllr_min, what wrong calibration costs.

LRs may be infinite. `weights` let images count by groups: crops of one photograph are one vote
(`group_weights`); None where each image has its own.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from gan_forensics.forensics.metrics import check_scores

Weights = tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " m"]] | None
# Beyond these log10 LRs do not matter to `elub_bounds`, and its steps are so wide.
_EXTREME, _STEP = 9.0, 0.01
# Between 1 / INCONCLUSIVE and INCONCLUSIVE an LR says nothing for either proposition.
INCONCLUSIVE = 2.0
# The verbal scale of the European Network of Forensic Science Institutes (guideline for evaluative
# reporting in forensic science, 2015, approach of likelihood ratios): words from an LR on.
VERBAL_SCALE = (
    (2.0, "weak support"),
    (10.0, "moderate support"),
    (100.0, "moderately strong support"),
    (1_000.0, "strong support"),
    (10_000.0, "very strong support"),
    (1_000_000.0, "extremely strong support"),
)


def cllr(real_log10_lr, fake_log10_lr, *, weights: Weights = None) -> float:
    """Log-likelihood-ratio cost of LRs of photographs [n] and of generated images [m].

    Raises:
        ValueError: when a class is empty or an LR is NaN.

    Example:
        >>> cllr([0.0, 0.0], [0.0])
        1.0
    """
    real, fake = _checked(real_log10_lr, fake_log10_lr)
    of_real, of_fake = _shares(weights, len(real), len(fake))
    return float(of_real @ _log2_1p(real) + of_fake @ _log2_1p(-fake)) / 2


def cllr_min(real_log10_lr, fake_log10_lr, *, weights: Weights = None) -> float:
    """The least cost that a monotone map of these LRs has: what their order can tell.

    Example:
        >>> cllr_min([-3.0, -2.0], [-1.0])
        0.0
    """
    return cllr(*pav(real_log10_lr, fake_log10_lr, weights=weights), weights=weights)


def cllr_cal(real_log10_lr, fake_log10_lr, *, weights: Weights = None) -> float:
    """What wrong calibration costs: Cllr - Cllr_min.

    Example:
        >>> round(cllr_cal([-3.0, -2.0], [-1.0]), 3)
        1.734
    """
    whole = cllr(real_log10_lr, fake_log10_lr, weights=weights)
    return whole - cllr_min(real_log10_lr, fake_log10_lr, weights=weights)


class Pav(NamedTuple):
    """The map of pool-adjacent-violators, from a score to log10 LR.

    Attributes:
        scores: where it has knots, ascending.
        probability: of "generated" at each knot, when both classes are as likely; between knots
            it is linear, beyond them constant.

    Example:
        >>> Pav(np.array([0.0, 1.0]), np.array([0.0, 1.0]))(np.array([0.5]))
        array([0.])
    """

    scores: Float64[np.ndarray, " k"]
    probability: Float64[np.ndarray, " k"]

    def __call__(self, scores: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
        """Log10 LR of scores, infinite where the fit saw one class alone; NaN for NaN."""
        p = np.interp(np.clip(scores, self.scores[0], self.scores[-1]), *self)
        with np.errstate(divide="ignore"):
            return np.log10(p) - np.log10(1 - p)


def fit_pav(real_scores, fake_scores, *, weights: Weights = None) -> Pav:
    """Pool adjacent violators (isotonic regression of the class), both classes of equal weight.

    Scores may be infinite, and LRs themselves.

    Raises:
        ValueError: when a class is empty or a score is NaN.

    Example:
        >>> fit_pav([0.0, 2.0], [1.0, 3.0]).probability
        array([0. , 0.5, 0.5, 1. ])
    """
    from scipy.optimize import isotonic_regression

    real, fake = _checked(real_scores, fake_scores)
    of_real, of_fake = _shares(weights, len(real), len(fake))
    scores, place = np.unique(np.concatenate([real, fake]), return_inverse=True)
    mass = [
        np.bincount(some, share, minlength=len(scores))
        for some, share in ((place[: len(real)], of_real), (place[len(real) :], of_fake))
    ]
    both = mass[0] + mass[1]
    blocks = isotonic_regression(mass[1] / both, weights=both).blocks
    sums = [np.add.reduceat(part, blocks[:-1]) for part in mass]
    # A block of one class alone has probability 0 or 1 without rounding.
    probability = np.repeat(sums[1] / (sums[0] + sums[1]), np.diff(blocks))
    ends = np.zeros(len(scores), bool)
    ends[blocks[:-1]] = ends[blocks[1:] - 1] = True
    return Pav(scores[ends], probability[ends])


def pav(real_log10_lr, fake_log10_lr, *, weights: Weights = None) -> tuple[np.ndarray, np.ndarray]:
    """The LRs [n] and [m] that pool-adjacent-violators makes of these.

    Example:
        >>> pav([-9.0, 0.1], [0.1, 9.0])
        (array([-inf,   0.]), array([ 0., inf]))
    """
    real, fake = _checked(real_log10_lr, fake_log10_lr)
    # By rank: infinite ones have no place on a line.
    values, rank = np.unique(np.concatenate([real, fake]), return_inverse=True)
    ranks = rank.astype(np.float64)
    found = fit_pav(ranks[: len(real)], ranks[len(real) :], weights=weights)
    return found(ranks[: len(real)]), found(ranks[len(real) :])


def devpav(real_log10_lr, fake_log10_lr, *, weights: Weights = None) -> float:
    """How far LRs lie from what pool-adjacent-violators makes of them, in log10.

    The area between the map and the identity over the length of the axis, of points where the map
    is finite (Vergeer, Alberink, Sjerps and Ypma, Forensic Science International 2021). NaN where
    there is no such point: the LRs part the classes.

    Example:
        >>> devpav([0.0, 1.0], [0.0, 1.0])
        0.5
    """
    real, fake = _checked(real_log10_lr, fake_log10_lr)
    x = np.concatenate([real, fake])
    y = np.concatenate(pav(real, fake, weights=weights))
    x, first = np.unique(x, return_index=True)
    y = y[first]
    finite = np.isfinite(y)
    x, y = x[finite], y[finite]
    if not len(x):
        return float("nan")
    if not np.isfinite(x).all():
        return float("inf")
    away = np.abs(y - x)
    if len(x) == 1:
        return float(away[0])
    before, after, step = away[:-1], away[1:], np.diff(x)
    crosses = (y - x)[:-1] * (y - x)[1:] < 0
    total = before + after
    with np.errstate(invalid="ignore"):
        area = step * np.where(crosses, (before**2 + after**2) / (2 * total), total / 2)
    return float(area.sum() / (x[-1] - x[0]))


def elub_bounds(real_log10_lr, fake_log10_lr, *, weights: Weights = None) -> tuple[float, float]:
    """Empirical lower and upper bound of log10 LRs, beyond which they would be extrapolated.

    With one misleading LR more in each class, decisions at every threshold between the bounds cost
    no more than decisions without LRs (Vergeer, van Es, de Jongh, Alberink and Stoel, Science and
    Justice 2016). With n photographs the upper bound is about log10(n + 1) at most, with m
    generated images the lower one -log10(m + 1). In steps of 0.01; never on the wrong side of 0.

    Args:
        real_log10_lr: of photographs [n].
        fake_log10_lr: of generated images [m].
        weights: of these; their sums count as n and m.

    Example:
        >>> [round(bound, 2) for bound in elub_bounds([-2.0] * 99, [2.0] * 9)]
        [-0.99, 1.95]
    """
    both = _checked(real_log10_lr, fake_log10_lr)
    real, fake = (np.clip(llr, -_EXTREME, _EXTREME) for llr in both)
    of = weights or (np.ones(len(real)), np.ones(len(fake)))
    n_real, n_fake = (float(w.sum()) for w in of)
    least = max(min(real.min(), fake.min()), -np.log10(n_fake + 1))
    most = min(max(real.max(), fake.max()), np.log10(n_real + 1))
    low = min(0, int(np.floor_divide(least, _STEP)))
    high = max(0, int(np.floor_divide(most, _STEP)) + 1)
    thresholds = np.linspace(low * _STEP, high * _STEP, high - low + 1)
    # One generated image more below every threshold, one photograph more above it.
    missed = 1 - _above(fake, of[1], thresholds) / (n_fake + 1)
    alarms = (_above(real, of[0], thresholds) + 1) / (n_real + 1)
    factor = 10**thresholds
    harmful = np.minimum(factor, 1) < missed + factor * alarms
    left, right = thresholds[harmful & (thresholds <= 0)], thresholds[harmful & (thresholds >= 0)]
    lower = np.max(left + _STEP, initial=thresholds[0])
    upper = np.min(right - _STEP, initial=thresholds[-1])
    return float(min(lower, 0)), float(max(upper, 0))


class Tippett(NamedTuple):
    """Tippett curves: the share of images of either class whose LR is at least so large.

    Attributes:
        log10_lr: ascending.
        real: share of photographs.
        fake: share of generated images.

    Example:
        >>> Tippett(np.zeros(1), np.ones(1), np.ones(1)).real
        array([1.])
    """

    log10_lr: Float64[np.ndarray, " k"]
    real: Float64[np.ndarray, " k"]
    fake: Float64[np.ndarray, " k"]


def tippett(real_log10_lr, fake_log10_lr, *, weights: Weights = None) -> Tippett:
    """Tippett curves at every LR that occurs.

    Example:
        >>> tippett([-1.0, 0.0], [1.0]).real
        array([1. , 0.5, 0. ])
    """
    real, fake = _checked(real_log10_lr, fake_log10_lr)
    shares = _shares(weights, len(real), len(fake))
    at = np.unique(np.concatenate([real, fake]))
    return Tippett(
        at, *(_at_least(llr, w, at) for llr, w in zip((real, fake), shares, strict=True))
    )


def pav_curve(
    real_log10_lr, fake_log10_lr, *, weights: Weights = None, step: float = 0.01
) -> tuple[np.ndarray, np.ndarray]:
    """The map of pool-adjacent-violators from log10 LR to log10 LR on a grid, for a PAV plot.

    From half a unit below the least finite LR to half a unit above the greatest.

    Raises:
        ValueError: where no LR is finite.

    Example:
        >>> x, y = pav_curve([0.0, 1.0], [0.0, 1.0], step=0.5)
        >>> y
        array([0., 0., 0., 0.])
    """
    real, fake = _checked(real_log10_lr, fake_log10_lr)
    both = np.concatenate([real, fake])
    both = both[np.isfinite(both)]
    if not len(both):
        raise ValueError("no LR is finite: there is no map to draw")
    x = np.arange(both.min() - 0.5, both.max() + 0.5, step)
    real, fake = (np.clip(llr, x[0], x[-1]) for llr in (real, fake))
    return x, fit_pav(real, fake, weights=weights)(x)


class EceCurves(NamedTuple):
    """Empirical cross-entropy in bits by prior odds.

    Attributes:
        log10_prior_odds: of "generated".
        stated: with the LRs as they are.
        pav: with those of pool-adjacent-violators: what perfect calibration would leave.
        neutral: with LRs of 1: what the prior alone leaves.

    Example:
        >>> EceCurves(*[np.zeros(1)] * 4).stated
        array([0.])
    """

    log10_prior_odds: Float64[np.ndarray, " k"]
    stated: Float64[np.ndarray, " k"]
    pav: Float64[np.ndarray, " k"]
    neutral: Float64[np.ndarray, " k"]


def ece_curves(
    real_log10_lr,
    fake_log10_lr,
    *,
    weights: Weights = None,
    log10_prior_odds: Float64[np.ndarray, " k"] | None = None,
) -> EceCurves:
    """Empirical cross-entropy (Ramos and Gonzalez-Rodriguez, Forensic Science Int. 2013).

    At prior probability P of "generated", what is left to learn of an image's class:
    P mean_generated log2(1 + 1 / (LR odds)) + (1 - P) mean_photographs log2(1 + LR odds). At odds
    of 1 it is Cllr.

    Args:
        real_log10_lr: of photographs [n].
        fake_log10_lr: of generated images [m].
        weights: of these.
        log10_prior_odds: where, by default from -3 to 3 in steps of 0.01.

    Example:
        >>> float(ece_curves([0.0], [0.0], log10_prior_odds=np.zeros(1)).stated[0])
        1.0
    """
    real, fake = _checked(real_log10_lr, fake_log10_lr)
    shares = _shares(weights, len(real), len(fake))
    at = np.arange(-3, 3, 0.01) if log10_prior_odds is None else np.asarray(log10_prior_odds)

    def entropy(real, fake):
        prior = _probability(at)
        of_real = np.stack([shares[0] @ _log2_1p(real + odds) for odds in at])
        of_fake = np.stack([shares[1] @ _log2_1p(-fake - odds) for odds in at])
        return (1 - prior) * of_real + prior * of_fake

    best = pav(real, fake, weights=weights)
    none = np.zeros(len(real)), np.zeros(len(fake))
    return EceCurves(at, entropy(real, fake), entropy(*best), entropy(*none))


def posterior(log10_lr, prior: float) -> Float64[np.ndarray, " n"]:
    """The probability that an image was generated, of its LR and the probability before it.

    Args:
        log10_lr: [n].
        prior: probability of "generated" before the image was looked at, between 0 and 1; it
            belongs to whoever decides, never to a detector.

    Raises:
        ValueError: for a prior that leaves nothing to learn.

    Example:
        >>> posterior([1.0], 0.5).round(3)
        array([0.909])
    """
    if not 0 < prior < 1:
        raise ValueError(f"prior is {prior}: give a probability between 0 and 1, both excluded")
    return _probability(np.asarray(log10_lr, np.float64) + np.log10(prior) - np.log10(1 - prior))


def verbal(log10_lr: float) -> str:
    """An LR in the words of `VERBAL_SCALE`, and for which proposition it speaks.

    Example:
        >>> verbal(2.5)
        'moderately strong support for generated'
        >>> verbal(-0.1)
        'inconclusive'
    """
    if np.isnan(log10_lr):
        return ""
    # LRs that are bounded by 10 or 100 are so to rounding.
    size = abs(log10_lr) + 1e-9
    words = [word for least, word in VERBAL_SCALE if size >= np.log10(least)]
    if not words:
        return "inconclusive"
    return f"{words[-1]} for {'generated' if log10_lr > 0 else 'photograph'}"


def group_weights(groups) -> Float64[np.ndarray, " n"]:
    """1 over the size of each image's group, so that every group counts one.

    Example:
        >>> group_weights(["a", "a", "b"])
        array([0.5, 0.5, 1. ])
    """
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    return 1 / np.bincount(group)[group]


def _checked(real, fake) -> tuple[Float64[np.ndarray, " n"], Float64[np.ndarray, " m"]]:
    return check_scores("real", real), check_scores("generated", fake)


def _shares(weights: Weights, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights that sum to 1 in each class."""
    if weights is None:
        return np.full(n, 1 / n), np.full(m, 1 / m)
    real, fake = (np.asarray(w, np.float64) for w in weights)
    return real / real.sum(), fake / fake.sum()


def _log2_1p(log10_lr):
    """log2(1 + 10^x), without overflow."""
    return np.logaddexp2(0, np.asarray(log10_lr) * np.log2(10))


def _probability(log10_odds):
    from scipy.special import expit

    return expit(np.log(10) * log10_odds)


def _above(values, weights, thresholds) -> np.ndarray:
    """The weight of values above each threshold."""
    order = np.argsort(values)
    total = np.concatenate([[0.0], np.cumsum(weights[order])])
    return total[-1] - total[np.searchsorted(values[order], thresholds, side="right")]


def _at_least(values, weights, thresholds) -> np.ndarray:
    """The weight of values at or above each threshold."""
    order = np.argsort(values)
    rest = np.concatenate([np.cumsum(weights[order][::-1])[::-1], [0.0]])
    return rest[np.searchsorted(values[order], thresholds, side="left")]
