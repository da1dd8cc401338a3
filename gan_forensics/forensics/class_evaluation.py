"""Evaluation of attributors: which source, and whether real or generated, from their logits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from gan_forensics.files import listed
from gan_forensics.forensics.class_metrics import (
    confusion_counts,
    mutual_information,
    purity,
    retrieve_others,
)
from gan_forensics.forensics.intervals import Interval, rate_interval, two_sample_interval


@dataclass(frozen=True)
class ClassesResult:
    """How well logits name sources; plain values, ready for JSON by `asdict`.

    Attributes:
        n: number of images.
        detection_accuracy: share of images where "the predicted source is a generator" is right.
            A source mistaken for another generator counts as right.
        balanced_detection_accuracy: mean of that share among real and among generated images; None
            where one of the two is missing. 0.5 for a constant answer.
        attribution_accuracy: share of images given to their own source.
        macro_attribution_accuracy: mean over the sources present of that share.
        nmi: normalised mutual information of true and predicted sources.
        purity: share of images that belong to the commonest true source of the predicted one.
        map_l2, map_cosine: mean average precision of finding, by features, the images of the same
            source among all others; None without features or where no source has two images.
        recall: of each source present: share of its images given to it.
        intervals: "detection_accuracy", "balanced_detection_accuracy", "attribution_accuracy",
            "macro_attribution_accuracy" and "recall/<source>", that of images drawn one by one.
        confusion: images of each source (row) given to each (column), both in the order of `names`.
        names: of the sources.
        real: which of them is real.
        protocol: what the numbers rest on.

    Example:
        >>> from gan_forensics.forensics import evaluate_classes
        >>> logits = 9.0 * np.eye(3)[[0, 1, 2, 2]]
        >>> names = ("real", "a", "b")
        >>> result = evaluate_classes(logits, np.array([0, 1, 2, 1]), names=names, real="real")
        >>> result.attribution_accuracy, result.recall["a"]
        (0.75, 0.5)
    """

    n: int
    detection_accuracy: float
    balanced_detection_accuracy: float | None
    attribution_accuracy: float
    macro_attribution_accuracy: float
    nmi: float
    purity: float
    map_l2: float | None
    map_cosine: float | None
    recall: Mapping[str, float]
    intervals: Mapping[str, Interval]
    confusion: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]
    real: str
    protocol: Mapping[str, Any]

    def __repr__(self) -> str:
        return (
            f"ClassesResult({self.n} images of {len(self.names)} sources, {self.real!r} is real, "
            f"attribution accuracy {self.attribution_accuracy:.4g}, detection accuracy "
            f"{self.detection_accuracy:.4g})"
        )


@dataclass(frozen=True)
class SeverityRow:
    """Accuracy under one perturbation at one severity.

    Example:
        >>> SeverityRow("jpeg", 3, accuracy=0.8, interval=rate_interval(8, 10), n=10).severity
        3
    """

    name: str
    severity: int
    accuracy: float
    interval: Interval
    n: int


def evaluate_classes(
    logits: Float[np.ndarray, "n c"],
    labels: Int[np.ndarray, " n"],
    *,
    names: Sequence[str],
    real: str,
    features: Float[np.ndarray, "n d"] | None = None,
    protocol: Mapping[str, Any] | None = None,
    level: float = 0.95,
) -> ClassesResult:
    """Evaluate the logits of images whose sources are known.

    The source of the largest logit is predicted, of equal ones the first.

    Args:
        logits: a column for each of `names`; any scores that rise with the evidence.
        labels: indices into `names`; some sources may be missing.
        names: of the sources, in any order.
        real: the name of the real one.
        features: what images are retrieved by.
        protocol: facts to carry along (data, split, perturbations, seeds, ...).
        level: of the confidence intervals.

    Raises:
        ValueError: for shapes, labels or names that do not fit each other, and for logits or
            features that are not finite.

    Example:
        >>> logits, labels = np.eye(3)[[0, 1, 1, 0]], np.array([0, 1, 2, 1])
        >>> result = evaluate_classes(logits, labels, names=("dag", "real", "sngan"), real="real")
        >>> result.attribution_accuracy, result.detection_accuracy
        (0.5, 0.5)
    """
    logits, labels, names = _checked(logits, labels, names, real)
    n, predicted, is_real = len(labels), logits.argmax(1), names.index(real)
    counts = confusion_counts(labels, predicted, len(names))
    sizes, right = counts.sum(1), counts.diagonal()
    present = np.flatnonzero(sizes)
    detected = (predicted == is_real) == (labels == is_real)
    kinds = [detected[labels == is_real], detected[labels != is_real]]
    balanced = None
    if all(map(len, kinds)):
        balanced = float(np.mean([kind.mean() for kind in kinds]))
    recall = {names[c]: float(right[c] / sizes[c]) for c in present}
    macro = float(np.mean(list(recall.values())))
    intervals = {
        "detection_accuracy": rate_interval(int(detected.sum()), n, level=level),
        "attribution_accuracy": rate_interval(int(right.sum()), n, level=level),
        # At worst as certain as if each source had as few images as the smallest.
        "macro_attribution_accuracy": rate_interval(
            macro * len(present) * int(sizes[present].min()),
            len(present) * int(sizes[present].min()),
            level=level,
        ),
    }
    if balanced is not None:
        interval = two_sample_interval(balanced, *map(len, kinds), level=level)
        intervals["balanced_detection_accuracy"] = interval
    for c in present:
        events, trials = int(right[c]), int(sizes[c])
        intervals[f"recall/{names[c]}"] = rate_interval(events, trials, level=level)
    precision: dict[str, float | None] = {"l2": None, "cosine": None}
    if features is not None and sizes.max() > 1:
        features = _finite("features", features, (n,))
        for metric in precision:
            precision[metric] = float(retrieve_others(features, labels, metric=metric).mean())
    facts = {
        "decision": f"the largest logit, of equal ones the first; generated unless it is {real}'s",
        "retrieval": "every image among all others of this evaluation",
        "intervals": f"level {level:g}, Clopper-Pearson, images drawn one by one; balanced: as a "
        "rate over the smaller class; macro: as one over sources as small as the smallest",
        **(protocol or {}),
    }
    return ClassesResult(
        n=n,
        detection_accuracy=float(detected.mean()),
        balanced_detection_accuracy=balanced,
        attribution_accuracy=float(right.sum() / n),
        macro_attribution_accuracy=macro,
        nmi=mutual_information(counts),
        purity=purity(counts),
        map_l2=precision["l2"],
        map_cosine=precision["cosine"],
        recall=recall,
        intervals=intervals,
        confusion=tuple(tuple(map(int, row)) for row in counts),
        names=names,
        real=real,
        protocol=facts,
    )


def severity_table(
    right: Mapping[tuple[str, int], Bool[np.ndarray, " n"]], *, level: float = 0.95
) -> list[SeverityRow]:
    """Accuracy against severity: a row for every perturbation and severity, sorted by both.

    Args:
        right: whether each image was named rightly, by (perturbation, severity).
        level: of the confidence intervals.

    Raises:
        ValueError: for an entry without images.

    Example:
        >>> right = {("jpeg", 1): np.array([True, True]), ("jpeg", 2): np.array([True, False])}
        >>> [(row.severity, row.accuracy) for row in severity_table(right)]
        [(1, 1.0), (2, 0.5)]
    """
    rows = []
    for (name, severity), hits in sorted(right.items()):
        hits = np.asarray(hits, bool)
        if not hits.size:
            raise ValueError(f"{name} at severity {severity} has no images")
        interval = rate_interval(int(hits.sum()), hits.size, level=level)
        rows.append(SeverityRow(name, int(severity), float(hits.mean()), interval, hits.size))
    return rows


def _checked(logits, labels, names, real: str):
    names = tuple(names)
    if len(set(names)) != len(names) or real not in names:
        raise ValueError(
            f"the sources {listed(names)} must be different names, and the real one among them; "
            f"{real!r} was given as the real one"
        )
    labels = np.asarray(labels)
    if labels.ndim != 1 or not len(labels) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"labels must be integers [n], got {labels.dtype} {list(labels.shape)}")
    if labels.min() < 0 or labels.max() >= len(names):
        raise ValueError(
            f"labels go from {labels.min()} to {labels.max()}; of {len(names)} sources they are "
            f"0 to {len(names) - 1}"
        )
    return _finite("logits", logits, (len(labels), len(names))), labels, names


def _finite(what: str, values, shape: tuple[int, ...]) -> np.ndarray:
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or values.shape[: len(shape)] != shape:
        expected = ", ".join(map(str, shape)) + (", d" if len(shape) == 1 else "")
        raise ValueError(f"{what} must be [{expected}], got {list(values.shape)}")
    if bad := int((~np.isfinite(values).all(1)).sum()):
        raise ValueError(f"{what} of {bad} of {len(values)} images are not finite")
    return values
