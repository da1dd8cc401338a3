"""Evaluation of any detector from the scores it gave; the positive class is "generated"."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gan_forensics.forensics.intervals import Interval, rate_interval, two_sample_interval
from gan_forensics.forensics.metrics import (
    METRICS,
    ScoreCounts,
    count_scores,
    fake_accuracy,
    real_accuracy,
)


@dataclass(frozen=True)
class OperatingPoint:
    """What happens at one threshold; an image is called generated when its score exceeds it.

    Attributes:
        threshold: the threshold.
        accuracy: share of all images called rightly (depends on the sizes of the classes).
        balanced_accuracy: mean of the two accuracies below.
        real_accuracy: share of real images called real.
        fake_accuracy: share of generated images called generated (detection rate).
        false_alarm_rate: 1 - real_accuracy.
        miss_rate: 1 - fake_accuracy.

    Example:
        >>> point = OperatingPoint(0.5, 0.9, 0.9, 0.95, 0.85, false_alarm_rate=0.05, miss_rate=0.15)
        >>> point.real_accuracy + point.false_alarm_rate
        1.0
    """

    threshold: float
    accuracy: float
    balanced_accuracy: float
    real_accuracy: float
    fake_accuracy: float
    false_alarm_rate: float
    miss_rate: float


@dataclass(frozen=True)
class DetectionResult:
    """How well scores tell generated from real images; plain values, ready for JSON by `asdict`.

    Attributes:
        n_real: number of real images.
        n_fake: number of generated images.
        average_precision: area under precision over recall (step rule); at chance it is the share
            of generated images. It has no interval: none is known that holds for few images.
        auc: area under the ROC curve; 0.5 at chance.
        eer: equal error rate.
        points: one operating point per named threshold rule.
        intervals: confidence intervals, that of images drawn one by one: "auc", "eer",
            "<rule>/real_accuracy" and "<rule>/fake_accuracy".
        protocol: what the numbers rest on.

    Example:
        >>> from gan_forensics.forensics import evaluate
        >>> result = evaluate([0.1, 0.2, 0.3], [0.7, 0.8, 0.9], threshold=0.5)
        >>> result.n_real, result.auc
        (3, 1.0)
    """

    n_real: int
    n_fake: int
    average_precision: float
    auc: float
    eer: float
    points: Mapping[str, OperatingPoint]
    intervals: Mapping[str, Interval]
    protocol: Mapping[str, Any]

    def __repr__(self) -> str:
        points = "".join(
            f"; {rule}: real {p.real_accuracy:.3g}, generated {p.fake_accuracy:.3g} called rightly"
            for rule, p in self.points.items()
        )
        return (
            f"DetectionResult({self.n_real} real, {self.n_fake} generated, AUC {self.auc:.4g}, "
            f"average precision {self.average_precision:.4g}{points})"
        )


def evaluate(
    real_scores,
    fake_scores,
    *,
    threshold: float | Mapping[str, float],
    protocol: Mapping[str, Any] | None = None,
    level: float = 0.95,
) -> DetectionResult:
    """Evaluate scores of real [n] and generated [m] images.

    Args:
        real_scores: scores of real images.
        fake_scores: scores of generated images, higher = more likely generated.
        threshold: one threshold (reported as the rule "fixed") or one per rule, such as
            `{"fixed": 0.5, "calibrated": detector.threshold}`.
        protocol: facts to carry along (data, features, classifier, seeds, ...).
        level: of the confidence intervals.

    Raises:
        ValueError: when a class is empty or a score is NaN.

    Example:
        >>> result = evaluate([0.1, 0.4, 0.2], [0.9, 0.3, 0.8], threshold=0.5)
        >>> round(result.auc, 3), round(result.points["fixed"].miss_rate, 3)
        (0.889, 0.333)
    """
    counts = count_scores(real_scores, fake_scores)
    thresholds = threshold if isinstance(threshold, Mapping) else {"fixed": threshold}
    values = {name: float(metric(counts)) for name, metric in METRICS.items()}
    points = {rule: operating_point(counts, value) for rule, value in thresholds.items()}
    facts = {
        "positive_class": "generated",
        "decision": "generated when score > threshold",
        "intervals": f"level {level:g}; rates: Clopper-Pearson; auc and eer: as rates over the "
        "smaller class",
        **(protocol or {}),
    }
    n_real, n_fake = int(counts.real.sum()), int(counts.fake.sum())
    intervals = {
        name: two_sample_interval(values[name], n_real, n_fake, level=level)
        for name in ("auc", "eer")
    }
    for rule, point in points.items():
        for name, n in (("real_accuracy", n_real), ("fake_accuracy", n_fake)):
            events = round(getattr(point, name) * n)
            intervals[f"{rule}/{name}"] = rate_interval(events, n, level=level)
    return DetectionResult(
        n_real=n_real,
        n_fake=n_fake,
        **values,
        points=points,
        intervals=intervals,
        protocol=facts,
    )


def evaluate_sources(
    real_scores,
    fake_scores: Mapping[str, Any],
    *,
    protocol: Mapping[str, Any] | None = None,
    **settings,
) -> dict[str, DetectionResult]:
    """Evaluate every source of generated images, by name, against the same real images.

    Settings are those of `evaluate`; each source's protocol names it.

    Raises:
        ValueError: as for `evaluate`, naming the source, and without any source.

    Example:
        >>> found = evaluate_sources([0.1, 0.2], {"a": [0.8, 0.9], "b": [0.0, 0.15]}, threshold=0.5)
        >>> {name: result.auc for name, result in found.items()}
        {'a': 1.0, 'b': 0.25}
    """
    if not fake_scores:
        raise ValueError("no source of generated images was given")
    results = {}
    for source, scores in fake_scores.items():
        facts = {**(protocol or {}), "source": source}
        try:
            results[source] = evaluate(real_scores, scores, protocol=facts, **settings)
        except ValueError as error:
            raise ValueError(f"source {source!r}: {error}") from error
    return results


def operating_point(counts: ScoreCounts, threshold: float) -> OperatingPoint:
    """What happens at one threshold."""
    real = float(real_accuracy(counts, threshold))
    fake = float(fake_accuracy(counts, threshold))
    n_real, n_fake = counts.real.sum(), counts.fake.sum()
    return OperatingPoint(
        threshold=float(threshold),
        accuracy=float((real * n_real + fake * n_fake) / (n_real + n_fake)),
        balanced_accuracy=(real + fake) / 2,
        real_accuracy=real,
        fake_accuracy=fake,
        false_alarm_rate=1 - real,
        miss_rate=1 - fake,
    )
