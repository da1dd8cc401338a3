"""Labelled tables as tasks of anomaly detection: what trains, what chooses, what tests."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from gan_forensics.anomaly.evaluate import check_labels

# Share of the training rows that settings are chosen on.
HELD_OUT = 0.25
# Contamination that detectors take at most.
LARGEST = 0.5


@dataclass(frozen=True, eq=False)
class Task:
    """A split table; no row is in two parts.

    Attributes:
        name: of the table.
        train: normal rows only, [n, d]; the last quarter is held out while settings are chosen.
        validation: anomalies that settings are chosen with, [a, d].
        test: rows [t, d], disjoint from both.
        y: 1 where a test row is an anomaly.
        contamination: the a-priori share of anomalies, by which thresholds are set.
        note: what the table is.

    Example:
        >>> from gan_forensics.anomaly import make_task
        >>> x, y = np.random.default_rng(0).normal(size=(100, 3)), np.repeat([0, 1], [90, 10])
        >>> task = make_task("mine", x, y, seed=0)
        >>> task.train.shape[1], int(task.y.sum()) + len(task.validation)
        (3, 10)
    """

    name: str
    train: Float[np.ndarray, "n d"]
    validation: Float[np.ndarray, "a d"]
    test: Float[np.ndarray, "t d"]
    y: Int[np.ndarray, " t"]
    contamination: float
    note: str = ""

    @property
    def fitted_on(self) -> Float[np.ndarray, "k d"]:
        """Training rows that are not held out while settings are chosen."""
        return self.train[: len(self.train) - self._held_out]

    @property
    def chosen_on(self) -> tuple[Float[np.ndarray, "v d"], Int[np.ndarray, " v"]]:
        """Held-out training rows and validation anomalies, with their labels."""
        held_out = self.train[len(self.train) - self._held_out :]
        y = np.repeat([0, 1], [len(held_out), len(self.validation)])
        return np.concatenate([held_out, self.validation]), y

    @property
    def _held_out(self) -> int:
        return max(1, round(HELD_OUT * len(self.train)))


def make_task(
    name: str,
    x: Float[np.ndarray, "n d"],
    y: Int[np.ndarray, " n"],
    *,
    seed: int | None = None,
    contamination: float | None = None,
    note: str = "",
) -> Task:
    """Split a table: half of the normal rows train, the others test, as Lim et al. published it.

    The second half of the anomalies tests; the first, which the published code left out, is what
    settings are chosen with.

    Args:
        name: of the table.
        x: rows.
        y: 1 for anomalies.
        seed: of a shuffle before the split; None splits by the order of the rows, as published.
        contamination: a-priori share of anomalies, in (0, 0.5]; by default that of the table, and
            0.5 where more than half of its rows are anomalies.
        note: what the table is.

    Raises:
        ValueError: when the parts would be empty, labels are of one class, or the contamination is
            out of range.

    Example:
        >>> x, y = np.random.default_rng(0).normal(size=(100, 3)), np.repeat([0, 1], [90, 10])
        >>> task = make_task("mine", x, y, seed=0, contamination=0.1)
        >>> task.name, task.contamination
        ('mine', 0.1)
    """
    x, y = np.asarray(x, np.float64), check_labels(y)
    if x.ndim != 2 or len(x) != len(y):
        raise ValueError(f"rows {list(x.shape)} do not fit {len(y)} labels: give [n, d] and [n]")
    if not np.isfinite(x).all():
        raise ValueError(f"{name}: {int((~np.isfinite(x)).any(1).sum())} rows are not finite")
    if contamination is None:
        # It sets a threshold alone, and detectors take none above a half.
        contamination = min(LARGEST, float(y.mean()))
    if not 0 < contamination <= LARGEST:
        raise ValueError(
            f"{name}: a contamination of {contamination:.3g} is no share of rare rows: give one "
            f"above 0 and at most {LARGEST:g}"
        )
    if seed is not None:
        order = np.random.default_rng(seed).permutation(len(x))
        x, y = x[order], y[order]
    normal, anomalies = x[y == 0], x[y == 1]
    if len(normal) < 8 or len(anomalies) < 2:
        raise ValueError(
            f"{name}: {len(normal)} normal rows and {len(anomalies)} anomalies cannot be split: at "
            "least 8 and 2 are needed"
        )
    half, half_anomalies = len(normal) // 2, len(anomalies) // 2
    train = normal[:half]
    if seed is None:
        # The order of a file may mean something, so what is held out must not be its end alone.
        train = train[np.random.default_rng(0).permutation(half)]
    test = np.concatenate([normal[half:], anomalies[half_anomalies:]])
    labels = np.repeat([0, 1], [len(normal) - half, len(anomalies) - half_anomalies])
    return Task(name, train, anomalies[:half_anomalies], test, labels, contamination, note)
