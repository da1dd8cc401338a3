"""The table by date: what was fitted on generators up to a year, on those of the next period.

All detectors and attributors see the images of the same sources: real ones and those of generators
up to the date, of seen semantics. They are scored on real images of the test split, on further ones
of these generators, half of them by training seeds that nothing was fitted on, and on generators of
the next period, of seen semantics as well: only the generators are new.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.data import take
from gan_forensics.data.attributed import Attributed
from gan_forensics.experiments.repmix_arms import (
    Attributors,
    Benchmark,
    seen_semantics,
)
from gan_forensics.forensics.attribution import fit_attributor
from gan_forensics.forensics.attribution_measure import some_of_each
from gan_forensics.forensics.fitting import fit_detector
from gan_forensics.studies.by_date import (
    Area,
    DateResult,
    Interval,
    Scores,
    by_date,
    periods,
)
from gan_forensics.studies.runner import stored_part

# Features and classifier of detectors of generated images.
DETECTORS = (
    ("durall", "knn"),
    ("durall", "logistic"),
    ("dzanic", "logistic"),
    ("unmasking", "svm"),
    ("dct", "logistic"),
)


def some_sources(images: Attributed, names: Sequence[str]) -> Attributed:
    """The images of some sources, with labels of these alone."""
    kept = [name for name in images.names if name in names]
    rows = np.flatnonzero([images.names[label] in kept for label in images.labels])
    part = images.part(rows)
    labels = np.array([kept.index(images.names[label]) for label in part.labels], np.int32)
    return part._replace(names=tuple(kept), labels=labels)


def _pixels(images: Attributed, rows: np.ndarray) -> np.ndarray:
    return take(images.source, rows)["image"]


def scores_until(
    lists: Path, settings: Attributors, years: Mapping[str, int], until: int, out: Path
) -> dict[str, Any]:
    """Scores of all detectors fitted up to a date, by kind of images and detector."""
    bench = Benchmark(lists)
    period = next(p for p in periods(years, settings.dates) if p.until == until)
    real = bench.test.real
    train, held_out = (
        some_sources(images, (real, *period.fitted)) for images in (bench.train, bench.held_out)
    )
    test = seen_semantics(bench.test, bench.known)
    everything = np.ones(len(test.labels), bool)
    rows = some_of_each(test, everything, most=2 * settings.most, seed=0)
    of = np.array([test.names[label] for label in test.labels[rows]])
    pixels = {
        "real": _pixels(test, rows[of == real]),
        "fitted": _pixels(test, rows[np.isin(of, period.fitted)]),
        "later": _pixels(test, rows[np.isin(of, period.later)]),
    }
    found: dict[str, Any] = {kind: {} for kind in pixels}
    labels = train.labels == train.names.index(real)
    trained = [_pixels(train, np.flatnonzero(mask)) for mask in (labels, ~labels)]
    for features, classifier in DETECTORS:
        detector = fit_detector(
            *trained, features=features, classifier=classifier, seed=0, reference=0
        )
        for kind, images in pixels.items():
            scores = detector.score(images)
            # An image without finite features shows no trace of a generator.
            lowest = np.nanmin(scores) if np.isfinite(scores).any() else 0.0
            found[kind][detector.name] = np.where(np.isnan(scores), lowest, scores).tolist()
    for arm in settings.date_arms:
        run = out / "fits" / f"{arm} until {until}".replace(" ", "-")
        attributor = fit_attributor(
            train, held_out, settings.config(arm, 0), run=run, resume=True, progress=False
        )
        place = attributor.names.index(real)
        for kind, images in pixels.items():
            outputs = attributor.model.outputs(np.repeat(images, 3 // images.shape[-1], -1))
            found[kind][arm] = (1 - attributor.probabilities(outputs)[:, place]).tolist()
    return found


def measure_date(
    lists: Path, settings: Attributors, years: Mapping[str, int], until: int, out: Path
) -> Any:
    """Scores up to a date, kept; (result, seconds)."""
    asked = {
        "benchmark": Benchmark(lists).digest(), "years": dict(years), "dates": settings.dates,
        "until": until, "most": settings.most, "detectors": DETECTORS,
        "arms": {arm: vars(settings.config(arm, 0)) for arm in settings.date_arms},
    }  # fmt: skip
    job = lambda: scores_until(lists, settings, years, until, out)  # noqa: E731
    return stored_part(out / "parts" / f"date-{until}.json", asked, job)


def results_by_date(found: Mapping[int, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The table's numbers, JSON-able, of the scores of each date."""
    scores = [
        Scores(until, **{k: {n: np.array(s) for n, s in by.items()} for k, by in kinds.items()})
        for until, kinds in found.items()
    ]
    return [asdict(result) for result in by_date(scores)]


def date_rows(results: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A flat row for each date, detector and side: its area with the ends of its interval."""
    return [
        {"until": one.until, "detector": name, "generators": side, "auc": area.auc}
        | {"auc_low": area.interval.low, "auc_high": area.interval.high}
        for one in read_dates(results)
        for side in ("fitted", "later")
        for name, area in getattr(one, side).items()
    ]


def read_dates(results: Sequence[Mapping[str, Any]]) -> list[DateResult]:
    """`DateResult`s of what results.json holds."""

    def interval(values: Any) -> Interval | None:
        return None if values is None else Interval(**values)

    def side(areas: Mapping[str, Any]) -> dict[str, Area]:
        return {name: Area(auc, Interval(**bounds)) for name, (auc, bounds) in areas.items()}

    return [
        DateResult(**{
            **one,
            "fitted": side(one["fitted"]),
            "later": side(one["later"]),
            "ranking_interval": interval(one["ranking_interval"]),
        })
        for one in results
    ]  # fmt: skip
