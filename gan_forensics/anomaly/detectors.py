"""Detectors of anomalies behind one interface: fit on rows, score rows, low for anomalies."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gan_forensics.anomaly.isolation_forest import forest_scores, trees_of
from gan_forensics.anomaly.outlier_factor import outlier_factor

Rows = Float[np.ndarray, "n d"]
Scores = Float[np.ndarray, " n"]
# Smallest share of support vectors: the one-class SVM refuses 0.
SMALLEST_NU = 1e-3


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted detector.

    Attributes:
        training_scores: of its own training rows, for thresholds. LOF scores a training row
            without counting it among its own neighbours.
        score: rows -> scores, low for anomalies.
    """

    training_scores: Scores
    score: Callable[[Rows], Scores]


# (rows, contamination, seed) -> fitted
Detector = Callable[[Rows, float, int], Fitted]


def isolation_forest(x: Rows, contamination: float, seed: int) -> Fitted:
    """100 trees on min(256, n) rows each (Liu et al. 2008), scored in JAX."""
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(random_state=seed).fit(x)
    trees, rows = trees_of(forest), int(forest.max_samples_)

    def score(x: Rows) -> Scores:
        return forest_scores(trees, x, max_samples=rows)

    return Fitted(score(x), score)


def one_class_svm(x: Rows, contamination: float, seed: int) -> Fitted:
    """A one-class SVM with a Gaussian kernel and nu = contamination (Schölkopf et al. 2001)."""
    from sklearn.svm import OneClassSVM

    machine = OneClassSVM(nu=max(contamination, SMALLEST_NU)).fit(x)
    return Fitted(machine.score_samples(x), machine.score_samples)


def local_outlier_factor(x: Rows, contamination: float, seed: int) -> Fitted:
    """The local outlier factor with 20 distinct neighbours (Breunig et al. 2000)."""
    return Fitted(*outlier_factor(x))


DETECTORS: dict[str, Detector] = {
    "isolation_forest": isolation_forest,
    "one_class_svm": one_class_svm,
    "lof": local_outlier_factor,
}


def fit_detector(name: str, x: Rows, *, contamination: float, seed: int = 0) -> Fitted:
    """Fit a detector by name.

    Args:
        name: a key of `DETECTORS`.
        x: training rows, on comparable scales.
        contamination: the a-priori share of anomalies, in (0, 0.5]; the one-class SVM is built
            with it, the others only have their thresholds set by it.
        seed: of the forest; the others draw nothing.

    Raises:
        ValueError: for an unknown name or a contamination out of range.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 2))
        >>> fitted = fit_detector("lof", x, contamination=0.05)
        >>> near, far = fitted.score(np.array([[0.0, 0.0], [9.0, 9.0]]))
        >>> bool(near > far)
        True
    """
    if name not in DETECTORS:
        raise ValueError(f"unknown detector {name!r}: one of {', '.join(DETECTORS)}")
    if not 0 < contamination <= 0.5:
        raise ValueError(f"contamination must lie in (0, 0.5], got {contamination}")
    return DETECTORS[name](np.asarray(x, np.float64), contamination, seed)
