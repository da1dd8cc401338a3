"""How well a detector of anomalies does: by its scores, at a threshold set beforehand, by a grid.

Anomalies are the positive class, y = 1, and have *low* scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gan_forensics.anomaly.detectors import Fitted

# Contaminations tried by Lim et al.'s published experiments.
GRID = (0.001, 0.003, 0.005, 0.007, *(round(0.01 + 0.02 * i, 2) for i in range(15)))
# Of the mechanism that the paper proposes: false alarms on this share of the rarest normal rows.
RAREST = 0.1
# Means of shares that lie so near to 0 or 1 have no Student interval.
CEILING = 0.015


class Rates(NamedTuple):
    """Error rates of verdicts; precision is 1 where nothing was called an anomaly, F1 then 0."""

    tpr: float
    fpr: float
    f1: float


def rates(called: Int[np.ndarray, " n"], y: Int[np.ndarray, " n"]) -> Rates:
    """Rates of verdicts.

    Args:
        called: -1 (or True) where a row was called an anomaly, 1 (or False) elsewhere.
        y: 1 where it is one, else 0.

    Raises:
        ValueError: when y is of one class only.

    Example:
        >>> rates(np.array([-1, -1, 1, 1]), np.array([1, 0, 0, 0]))
        Rates(tpr=1.0, fpr=0.3333333333333333, f1=0.6666666666666666)
    """
    y = check_labels(y)
    called = np.asarray(called)
    called = called if called.dtype == bool else called == -1
    if called.shape != y.shape:
        raise ValueError(f"{len(called)} verdicts for {len(y)} labels")
    tpr, fpr = float(called[y == 1].mean()), float(called[y == 0].mean())
    precision = float(y[called].mean()) if called.any() else 1.0
    f1 = 2 * precision * tpr / (precision + tpr) if precision + tpr > 0 else 0.0
    return Rates(tpr, fpr, f1)


def trapezoid_auc(fpr: Sequence[float], tpr: Sequence[float]) -> float:
    """Area below the points in the order given, extended by (0, 0) and (1, 1).

    Published by Lim et al. without sorting; where every contamination has a forest of its own the
    points need not be monotone.

    Example:
        >>> trapezoid_auc([0.0, 0.5, 1.0], [0.0, 1.0, 1.0])
        0.75
    """
    x = np.concatenate([[0.0], np.asarray(fpr, np.float64), [1.0]])
    return float(np.trapezoid(np.concatenate([[0.0], np.asarray(tpr, np.float64), [1.0]]), x))


@dataclass(frozen=True)
class Measured:
    """One detector on one test set.

    Attributes:
        auc: of the scores, ties counting one half.
        average_precision: of the scores.
        f1: at the threshold of the a-priori contamination.
        rare_false_alarms: share of the rarest normal rows called anomalies at that threshold.
        false_alarms: share of all normal rows called anomalies there.
        by_grid: rates at each contamination of `GRID`.

    Example:
        >>> run = Measured(0.9, 0.5, 0.4, 0.1, 0.05, by_grid=())
        >>> run.average_precision
        0.5
    """

    auc: float
    average_precision: float
    f1: float
    rare_false_alarms: float
    false_alarms: float
    by_grid: tuple[Rates, ...]


def measure(
    fitted: Fitted,
    x: Float[np.ndarray, "n d"],
    y: Int[np.ndarray, " n"],
    *,
    contamination: float,
    rarity: Float[np.ndarray, " n"],
) -> Measured:
    """Measure a fitted detector.

    Thresholds are quantiles of its scores of its own (augmented) training rows, so no test label
    sets any but the oracle that a reader may take over `by_grid`.

    Args:
        fitted: the detector.
        x: test rows.
        y: 1 for anomalies.
        contamination: the a-priori share of anomalies.
        rarity: of every test row, such as `rarity_of`; only its order counts.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 2))
        >>> from gan_forensics.anomaly import fit_detector
        >>> fitted, y = fit_detector("lof", x, contamination=0.05), np.array([0, 0, 1])
        >>> test = np.array([[0.0, 0.0], [0.1, 0.0], [9.0, 9.0]])
        >>> measure(fitted, test, y, contamination=0.05, rarity=np.arange(3.0)).auc
        1.0
    """
    from sklearn.metrics import average_precision_score, roc_auc_score

    y = check_labels(y)
    scores = fitted.score(x)
    a_priori, *offsets = np.percentile(
        fitted.training_scores, 100 * np.array((contamination, *GRID))
    )
    called = scores < a_priori
    normal = np.flatnonzero(y == 0)
    count = max(1, round(RAREST * len(normal)))
    rare = normal[np.argsort(-np.asarray(rarity)[normal], kind="stable")[:count]]
    at = rates(called, y)
    return Measured(
        auc=float(roc_auc_score(y, -scores)),
        average_precision=float(average_precision_score(y, -scores)),
        f1=at.f1,
        rare_false_alarms=float(called[rare].mean()),
        false_alarms=at.fpr,
        by_grid=tuple(rates(scores < offset, y) for offset in offsets),
    )


def best_over_grid(runs: Sequence[Measured]) -> tuple[float, float]:
    """The published F1: the largest mean F1 over `GRID`, and its contamination.

    An oracle: the threshold is chosen by the labels of the test set.

    Example:
        >>> by_grid = tuple(Rates(tpr=1.0, fpr=0.0, f1=1 - share) for share in GRID)
        >>> best, contamination = best_over_grid([Measured(1.0, 1.0, 0.5, 0.0, 0.0, by_grid)])
        >>> best == 1 - GRID[0], contamination == GRID[0]
        (True, True)
    """
    means = np.array([[r.f1 for r in run.by_grid] for run in runs]).mean(0)
    return float(means.max()), GRID[int(means.argmax())]


def grid_auc(runs: Sequence[Measured]) -> float:
    """The published AUC: the trapezoid below rates averaged over runs at each contamination.

    Example:
        >>> by_grid = tuple(Rates(tpr=1.0, fpr=share, f1=0.5) for share in GRID)
        >>> 0.9 < grid_auc([Measured(1.0, 1.0, 0.5, 0.0, 0.0, by_grid)]) <= 1
        True
    """
    points = np.array([[(r.fpr, r.tpr) for r in run.by_grid] for run in runs]).mean(0)
    return trapezoid_auc(points[:, 0], points[:, 1])


def rarity_of(
    x: Float[np.ndarray, "n d"], train: Float[np.ndarray, "k d"], *, k: int = 10
) -> Float[np.ndarray, " n"]:
    """Mean distance of rows to their k nearest training rows, copies included.

    A row that is among these as often as that is not rare: 0.
    """
    from sklearn.neighbors import NearestNeighbors

    finder = NearestNeighbors(n_neighbors=min(k, len(train))).fit(train)
    return finder.kneighbors(x)[0].mean(1)


class Difference(NamedTuple):
    """Mean of paired differences with a Student interval."""

    mean: float
    low: float
    high: float


def paired_difference(
    treated: Sequence[float], control: Sequence[float], *, level: float = 0.95
) -> Difference:
    """Mean of treated - control over seeds, with its t interval.

    Raises:
        ValueError: when the two do not pair, or there are fewer than two pairs.

    Example:
        >>> found = paired_difference([0.9, 0.8, 0.85], [0.7, 0.6, 0.65])
        >>> round(found.mean, 3)
        0.2
    """
    from scipy import stats

    a, b = np.asarray(treated, np.float64), np.asarray(control, np.float64)
    if a.shape != b.shape or a.ndim != 1 or len(a) < 2:
        raise ValueError(f"need two or more pairs, got {a.shape} and {b.shape}")
    d = a - b
    mean = float(d.mean())
    reach = float(stats.t.ppf(0.5 + level / 2, len(d) - 1) * d.std(ddof=1) / np.sqrt(len(d)))
    return Difference(mean, mean - reach, mean + reach)


def paired_gain(
    treated: Sequence[float], control: Sequence[float]
) -> tuple[float, float | None, float | None]:
    """Mean gain of shares in [0, 1] over seeds, and the ends of its 95 % interval if it has one.

    Student's interval covers 94 % and more up to a mean of .985 (six anomalies, two to twenty
    seeds), but 85 to 93 % above, where single seeds reach the bound; and equal differences would
    give it no width. There the ends are None.

    Raises:
        ValueError: as `paired_difference`.
    """
    gain = paired_difference(treated, control)
    means = float(np.mean(treated)), float(np.mean(control))
    at_bound = max(means) > 1 - CEILING or min(means) < CEILING
    if at_bound or not gain.high > gain.low:
        return gain.mean, None, None
    return gain.mean, gain.low, gain.high


def check_labels(y) -> Int[np.ndarray, " n"]:
    """Labels as int [n], refused unless both 0 (normal) and 1 (anomaly) occur."""
    y = np.asarray(y)
    found = np.unique(y).tolist()
    if y.ndim != 1 or not set(found) <= {0, 1}:
        raise ValueError(f"labels must be a list of 0 (normal) and 1 (anomaly), got {found[:5]}")
    if len(found) < 2:
        raise ValueError(
            f"all {len(y)} labels are {found[0] if found else 'missing'}: measuring a detector "
            "needs normal rows and anomalies"
        )
    return y.astype(np.int64)
