"""Confidence intervals that keep what they promise at every rate and count.

A bootstrap of three right answers of three is "100 % to 100 %"; the exact interval begins at 29 %.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Interval:
    """A confidence interval [low, high] of the stated level.

    Example:
        >>> Interval(low=0.2, high=0.4, level=0.95).high
        0.4
    """

    low: float
    high: float
    level: float


def rate_interval(events: float, n: float, *, level: float = 0.95) -> Interval:
    """The exact interval of a rate (Clopper and Pearson, Biometrika 1934).

    It holds the rate with a probability of at least `level`, whatever the rate and n.

    Args:
        events: how often it happened, 0 to n; need not be a whole number (`grouped_rate`).
        n: independent trials, more than 0.
        level: between 0 and 1.

    Raises:
        ValueError: for counts that cannot be.

    Example:
        >>> round(rate_interval(0, 3).high, 2)
        0.71
    """
    from scipy import stats

    if not 0 <= events <= n or not n > 0 or not 0 < level < 1:
        raise ValueError(
            f"a rate needs 0 <= events <= n, n > 0 and 0 < level < 1, got {events} of {n}, {level}"
        )
    tail = (1 - level) / 2
    events = round(float(events), 9)  # What rounding left of nothing, 1e-17, is nothing.
    low = stats.beta.ppf(tail, events, n - events + 1) if events > 0 else 0.0
    high = stats.beta.ppf(1 - tail, events + 1, n - events) if events < n else 1.0
    return Interval(float(low), float(high), level)


def two_sample_interval(
    value: float, n_real: float, n_fake: float, *, level: float = 0.95
) -> Interval:
    """The interval of an AUC or an equal error rate: that of a rate over the smaller class.

    Whatever the distributions, the variance of an AUC is at most a (1 - a) / min(n_real, n_fake)
    (van Dantzig, 1951; Birnbaum and Klose, Ann. Math. Stat. 1957), and an equal error rate is a
    mean of a rate of each class. The bound is reached where some generated images score below all
    real ones, as smooth or blank ones do. There simulated coverage of narrower intervals falls
    below 90 % (Newcombe 2006, DeLong et al. 1988): an AUC of 1 on a hundred images says nothing
    about a hundredth of them.

    Args:
        value: in [0, 1].
        n_real, n_fake: images of either class.
        level: between 0 and 1.

    Raises:
        ValueError: for counts or a value that cannot be.

    Example:
        >>> round(two_sample_interval(1.0, 3, 100).low, 2)
        0.29
    """
    smaller = min(n_real, n_fake)
    return rate_interval(value * smaller, smaller, level=level)


def grouped_rate(events, groups) -> tuple[float, int]:
    """The rate of grouped trials and how many trials it is worth: one for each group.

    Crops of one photograph go right or wrong together, so that every group has one vote: the rate
    is the mean of the groups' rates. Its variance is at most that of as many single trials, and
    `rate_interval` of it is wide enough however much the members of a group agree.

    Args:
        events: [n], whether it happened.
        groups: [n], which group each trial is of, any values; None where each is its own.

    Returns:
        The rate and the number of groups.

    Example:
        >>> grouped_rate([1, 1, 1, 0], groups=["a", "a", "a", "b"])
        (0.5, 2)
    """
    events = np.asarray(events, np.float64)
    if groups is None:
        return float(events.mean()), len(events)
    _, group = np.unique(np.asarray(groups), return_inverse=True)
    rates = np.bincount(group, events) / np.bincount(group)
    return float(rates.mean()), len(rates)
