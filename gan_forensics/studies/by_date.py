"""A table by date: detectors fitted on generators up to a date, scored on those of the next period.

Generators are ordered by year of publication, as a detector in use meets them. How well detectors
do on what they were fitted on (held-out images of it) is compared with how well they do on what
came next: the AUC of each, and how far their RANKING stays, Kendall's tau-b between the two rows of
AUCs. 1 is the same order, 0 an unrelated one, -1 the reverse; ties are neither for nor against.

Intervals are those of images drawn anew from the same generators. That other generators had
appeared is not in them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64
from numpy.typing import ArrayLike

from gan_forensics.files import listed
from gan_forensics.forensics.intervals import Interval, two_sample_interval
from gan_forensics.forensics.metrics import ScoreCounts, check_scores, count_scores, roc_auc
from gan_forensics.report.blocks import Table

# Weights of images that are held at once.
_AT_ONCE = 2**22


class Period(NamedTuple):
    """Generators of years up to `until`, to fit on, and those that came next."""

    until: int
    fitted: tuple[str, ...]
    later: tuple[str, ...]


def periods(years: Mapping[str, int], dates: Sequence[int]) -> list[Period]:
    """Split generators at each date: those up to it, and those after it up to the next date.

    After the last date come all later ones. A date without a generator on either side is left out.

    Args:
        years: of publication, by the generator's name.
        dates: years, ascending.

    Raises:
        ValueError: for dates that do not ascend, or that leave no period.

    Example:
        >>> periods({"dcgan": 2015, "wgan": 2017, "stylegan": 2018}, [2015, 2017])[1]
        Period(until=2017, fitted=('dcgan', 'wgan'), later=('stylegan',))
    """
    if not dates or any(b <= a for a, b in zip(dates, dates[1:], strict=False)):
        raise ValueError(f"dates must ascend, at least one, got {list(dates)}")
    names = sorted(years, key=lambda name: years[name])
    found = []
    for date, end in zip(dates, [*dates[1:], float("inf")], strict=True):
        fitted = tuple(name for name in names if years[name] <= date)
        later = tuple(name for name in names if date < years[name] <= end)
        if fitted and later:
            found.append(Period(date, fitted, later))
    if not found:
        known = ", ".join(f"{name} {years[name]}" for name in names)
        raise ValueError(f"no date of {list(dates)} has generators before and after it: {known}")
    return found


class Scores(NamedTuple):
    """What detectors that were fitted on generators up to a date say, by the detector's name.

    All detectors score the same images in the same order; higher = more likely generated.

    Attributes:
        until: the date.
        real: real images that trained nothing.
        fitted: held-out images of generators up to the date.
        later: images of generators of the next period.
    """

    until: int
    real: Mapping[str, Float[np.ndarray, " n"]]
    fitted: Mapping[str, Float[np.ndarray, " m"]]
    later: Mapping[str, Float[np.ndarray, " k"]]


class Area(NamedTuple):
    """An AUC and its interval."""

    auc: float
    interval: Interval


@dataclass(frozen=True)
class DateResult:
    """What became of detectors after a date; plain values, ready for JSON by `asdict`.

    Attributes:
        until: the date.
        n_real, n_fitted, n_later: images of each kind.
        fitted: by detector, the AUC on generators up to the date.
        later: by detector, the AUC on those of the next period.
        ranking: Kendall's tau-b of the two; None for one detector, or where all of them tie.
        ranking_interval: 95 % of samples of images drawn anew (percentiles); samples in which all
            detectors tie count as 0.
    """

    until: int
    n_real: int
    n_fitted: int
    n_later: int
    fitted: Mapping[str, Area]
    later: Mapping[str, Area]
    ranking: float | None
    ranking_interval: Interval | None


def by_date(scores: Sequence[Scores], *, samples: int = 1000, seed: int = 0) -> list[DateResult]:
    """Measure detectors on either side of each date.

    Args:
        scores: of each date.
        samples: of the interval of the ranking; all detectors see the same ones.
        seed: of these.

    Raises:
        ValueError: when a date's detectors did not score the same images, or a score is NaN.
    """
    return [
        _measured(some, samples, np.random.default_rng([seed, place]))
        for place, some in enumerate(scores)
    ]


def _measured(scores: Scores, samples: int, rng: np.random.Generator) -> DateResult:
    names = list(scores.real)
    kinds = [
        _stacked(scores.until, names, kind, getattr(scores, kind)) for kind in scores._fields[1:]
    ]
    real, fitted, later = kinds
    n, m, k = (kind.shape[1] for kind in kinds)
    before, after = (
        {
            name: Area(auc, two_sample_interval(auc, n, fake.shape[1]))
            for name, auc in zip(names, _areas(real, fake), strict=True)
        }
        for fake in (fitted, later)
    )
    ranking = float(kendall(*([area.auc for area in side.values()] for side in (before, after))))
    interval = None
    if np.isnan(ranking):
        ranking = None
    else:
        drawn, step = [], max(1, _AT_ONCE // (n + m + k))
        for start in range(0, samples, step):
            size = min(step, samples - start)
            weights = [rng.multinomial(c, np.full(c, 1 / c), size) for c in (n, m, k)]
            sides = (
                _weighted_areas(real, fake, weights[0], of)
                for fake, of in zip((fitted, later), weights[1:], strict=True)
            )
            drawn.append(np.nan_to_num(kendall(*sides)))
        low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
        interval = Interval(float(low), float(high), 0.95)
    return DateResult(scores.until, n, m, k, before, after, ranking, interval)


def _stacked(
    until: int, names: Sequence[str], kind: str, scores: Mapping[str, np.ndarray]
) -> Float64[np.ndarray, "detectors n"]:
    """Scores of every detector, a row each."""
    if not names or set(scores) != set(names):
        raise ValueError(
            f"{until}: {kind} images need scores of the detectors {listed(names)}, got those of "
            f"{listed(scores)}"
        )
    rows = [check_scores(f"{until}, {name}: {kind}", scores[name]) for name in names]
    if len({len(row) for row in rows}) > 1:
        sizes = ", ".join(f"{name} {len(row)}" for name, row in zip(names, rows, strict=True))
        raise ValueError(f"{until}: detectors scored different numbers of {kind} images: {sizes}")
    return np.stack(rows)


def _areas(real: np.ndarray, fake: np.ndarray) -> list[float]:
    return [float(roc_auc(count_scores(r, f))) for r, f in zip(real, fake, strict=True)]


def _weighted_areas(
    real: np.ndarray, fake: np.ndarray, real_weights: np.ndarray, fake_weights: np.ndarray
) -> Float64[np.ndarray, "samples detectors"]:
    """The AUC of each detector when images count as often as samples [b, n], [b, m] drew them."""
    columns = []
    for r, f in zip(real, fake, strict=True):
        scores, place = np.unique(-np.concatenate([r, f]), return_inverse=True)
        order = np.argsort(place, kind="stable")
        starts = np.searchsorted(place[order], np.arange(len(scores)))
        both = [
            np.concatenate([real_weights, np.zeros_like(fake_weights)], 1),
            np.concatenate([np.zeros_like(real_weights), fake_weights], 1),
        ]
        counts = [np.add.reduceat(w[:, order], starts, 1).astype(np.float64) for w in both]
        columns.append(roc_auc(ScoreCounts(-scores, *counts)))
    return np.stack(columns, -1)


def kendall(a: ArrayLike, b: ArrayLike) -> Float64[np.ndarray, "*b"]:
    """Kendall's tau-b (Biometrika 1945) of the last axes of two [*b, n]; NaN for ties alone."""
    signs = []
    for values in (np.asarray(a, np.float64), np.asarray(b, np.float64)):
        one, other = np.triu_indices(values.shape[-1], 1)
        signs.append(np.sign(values[..., one] - values[..., other]))
    untied = np.sqrt(np.abs(signs[0]).sum(-1) * np.abs(signs[1]).sum(-1))
    agree = (signs[0] * signs[1]).sum(-1)
    return np.divide(agree, untied, out=np.full(np.shape(agree), np.nan), where=untied > 0)


def dates_table(results: Sequence[DateResult]) -> Table:
    """AUCs and ranks before and after each date, and below them how far the ranking stayed."""
    rows = []
    for found in results:
        date = f"until {found.until}"
        before, after = (
            np.array([area.auc for area in side.values()]) for side in (found.fitted, found.later)
        )
        for name in found.fitted:
            cells = []
            for areas, side in ((found.fitted, before), (found.later, after)):
                auc, interval = areas[name]
                cells += [f"{auc:.3f} ({interval.low:.3f} to {interval.high:.3f})"]
                cells += [1 + int((side > auc).sum())]
            rows.append([date, name, *cells])
        said = "not defined: one detector, or all tie"
        if found.ranking is not None and found.ranking_interval is not None:
            low, high = found.ranking_interval.low, found.ranking_interval.high
            said = f"{found.ranking:.2f} ({low:.2f} to {high:.2f})"
        rows.append([date, "order of the detectors, Kendall's tau-b", said, None, None, None])
    return Table(
        "AUC of detectors fitted on generators up to a date, on held-out images of those and on "
        "generators of the next period, with 95 % intervals (as of a rate over the smaller class; "
        "of tau-b: images drawn anew, the generators kept). Rank 1 is the best.",
        [
            "fitted",
            "detector",
            "AUC on what it was fitted on",
            "rank",
            "AUC on what came next",
            "rank",
        ],
        rows,
    )
