"""Real tables with rare classes: those scikit-learn carries, and ODDS files by folder."""

from pathlib import Path

import numpy as np
from sklearn import datasets

from gan_forensics.anomaly.tables import read_table
from gan_forensics.anomaly.tasks import Task, make_task

# Of the splits and of which anomalies are kept; not one of the experiment's seeds.
SPLIT_SEED = 0


def carried_task(name: str) -> Task:
    """A task from scikit-learn's data, split after a shuffle with a fixed seed.

        breast_cancer   357 benign tumours normal; 40 of 212 malignant ones, the first of a shuffle
        wine            130 wines of two cultivars normal; 14 of 48 of the third
        digits-K        1797 digits of 8x8 without K normal; as many Ks as make up 5 %

    Raises:
        ValueError: for another name.
    """
    if name == "breast_cancer":
        data = datasets.load_breast_cancer()
        return _rare(name, data.data, data.target == 0, 40, "malignant among benign tumours")
    if name == "wine":
        data = datasets.load_wine()
        return _rare(name, data.data, data.target == 2, 14, "the third cultivar among two others")
    kind, _, digit = name.partition("-")
    if kind == "digits" and digit in list("0123456789"):
        data = datasets.load_digits()
        anomalies = data.target == int(digit)
        count = round(0.05 / 0.95 * (~anomalies).sum())
        return _rare(name, data.data, anomalies, count, f"the digit {digit} among the other nine")
    raise ValueError(f"unknown table {name!r}: breast_cancer, wine, or digits-0 to digits-9")


def odds_task(folder: Path, name: str) -> Task:
    """A task from NAME.mat of ODDS (Rayana 2016), split by the order of its rows, as published."""
    table = read_table(folder / f"{name}.mat", label="y")
    assert table.y is not None
    return make_task(name, table.x, table.y, note=f"ODDS {name}, split by row order")


def _rare(name: str, x: np.ndarray, anomaly: np.ndarray, count: int, note: str) -> Task:
    """Keep `count` anomalies, so that they are as rare as the word says."""
    rng = np.random.default_rng(SPLIT_SEED)
    kept = rng.permutation(np.flatnonzero(anomaly))[:count]
    rows = np.concatenate([np.flatnonzero(~anomaly), kept])
    y = np.repeat([0, 1], [len(rows) - count, count])
    return make_task(name, x[rows], y, seed=SPLIT_SEED, note=f"scikit-learn: {note}")
