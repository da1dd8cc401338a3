"""Which label of a table marks its normal rows, and which its anomalies."""

from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from gan_forensics.files import number

# Of all rows: the share from which the most frequent label is normal without being told.
CLEAR = 2 / 3
# The same where custom says so too.
AGREED = 0.55
# Pairs that have a meaning of their own, (normal, anomaly): of this library, of scikit-learn.
CUSTOMARY = ((0, 1), (1, -1))


class UnclearLabels(ValueError):
    """Labels of which none marks so many rows that it must be the normal one."""


def label_counts(y) -> Counter:
    """How many rows carry each label.

    Args:
        y: labels [n]: an array, a pandas Series or a list.

    Raises:
        ValueError: unless y is one-dimensional, and for missing labels: NaN, None, empty text.
    """
    labels = np.asarray(y)
    if labels.ndim != 1 or not len(labels):
        raise ValueError(f"labels must be [n] with n >= 1, got {list(labels.shape)}")
    missing = np.asarray(y.isna()) if hasattr(y, "isna") else np.zeros(len(labels), bool)
    missing = missing | np.array([_missing(label) for label in labels.tolist()])
    if missing.any():
        raise ValueError(
            f"{int(missing.sum())} of {len(labels)} labels are missing, the first in row "
            f"{int(missing.argmax()) + 1}: fill them or leave their rows out"
        )
    return Counter(labels.tolist())


def normal_label(y, *, anomaly: Any = None) -> Any:
    """The label of the normal rows.

    Args:
        y: labels [n].
        anomaly: the label of anomalies; the other one of two is then normal, however rare. By
            default the most frequent label is normal, if two thirds of the rows carry it, or 55 %
            where custom says so too (0 of 0 and 1, 1 of -1 and 1); not against custom.

    Raises:
        UnclearLabels: when nothing is told and there is no such label.
        ValueError: for missing labels, an anomaly that is no label, and one that leaves no label,
            or several, for the normal rows.

    Example:
        >>> normal_label(["good", "good", "bad"], anomaly="bad")
        'good'
    """
    counts = label_counts(y)
    shown = ", ".join(f"{label!r} in {n}" for label, n in counts.most_common(6))
    shown += ", ..." if len(counts) > 6 else ""
    if anomaly is None:
        label, count = counts.most_common(1)[0]
        why = ""
        custom = next((pair for pair in CUSTOMARY if set(counts) == set(pair)), (None, None))
        if count < (AGREED if label == custom[0] else CLEAR) * counts.total():
            share = "55 %" if label == custom[0] else "two thirds"
            why = f"none marks {share}, as normal rows should"
        elif custom[1] is not None and label == custom[1]:
            why = f"{label!r} marks most, though it mostly stands for anomalies"
        if why:
            one = "" if len(counts) == 2 else ", after giving all kinds of anomalies one label"
            raise UnclearLabels(
                f"which label is the anomaly? Of {counts.total()} rows, {shown}: {why}. Say it by "
                f"anomaly= (--anomaly){one}"
            )
        return label
    normal = [label for label in counts if label != anomaly]
    if len(normal) == len(counts) > 1:
        raise ValueError(f"anomaly {anomaly!r} is none of the labels: {shown}")
    if not normal:
        raise ValueError(f"all {counts.total()} rows are anomalies ({anomaly!r}): none is normal")
    if len(normal) > 1:
        raise ValueError(
            f"anomaly {anomaly!r} leaves {len(normal)} labels for normal rows ({shown}): give all "
            "normal rows one label and all anomalies another"
        )
    return normal[0]


class Anomalies(NamedTuple):
    """Labels of a task: `y` is 1 where a row carries `anomaly`, 0 where it carries `normal`."""

    y: Int[np.ndarray, " n"]
    anomaly: Any
    normal: Any


def anomaly_labels(y, *, anomaly: Any = None) -> Anomalies:
    """Two labels as 0 (normal) and 1 (anomaly).

    Args:
        y: labels [n].
        anomaly: as of `normal_label`.

    Raises:
        ValueError: unless there are exactly two labels, and as `normal_label`.

    Example:
        >>> found = anomaly_labels(["good", "good", "bad"], anomaly="bad")
        >>> found.y
        array([0, 0, 1])
    """
    counts = label_counts(y)
    if len(counts) != 2:
        shown = ", ".join(map(repr, list(counts)[:5])) + (", ..." if len(counts) > 5 else "")
        raise ValueError(
            f"the labels must be two, normal and anomaly; found {len(counts)}: {shown}"
        )
    normal = normal_label(y, anomaly=anomaly)
    (other,) = set(counts) - {normal}
    return Anomalies((np.asarray(y) != normal).astype(np.int64), other, normal)


def label_spelt(y, text: str) -> Any:
    """The label of y that a command line spells so, "1" for 1 and for 1.0; else the text itself."""
    for label in label_counts(y):
        if str(label) == text:
            return label
        try:
            if not isinstance(label, str) and number(text) == label:
                return label
        except ValueError:
            pass
    return text


def _missing(label: Any) -> bool:
    """NaN, None, or text that stands for them: numpy spells NaN "nan" among words."""
    if isinstance(label, str):
        return label.strip().lower() in ("", "nan")
    return label is None or (isinstance(label, float) and label != label)
