"""A detector that is fitted on doped rows, as one step of a scikit-learn pipeline."""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OutlierMixin, clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from gan_forensics.anomaly.doping import Doping


def _has(name: str):
    """Whether the detector, fitted or not, has a method of this name."""

    def check(self: "DopedDetector") -> bool:
        from sklearn.ensemble import IsolationForest

        detector = getattr(self, "detector_", self.detector)
        return hasattr(IsolationForest if detector is None else detector, name)

    return check


class DopedDetector(OutlierMixin, BaseEstimator):
    """Fit a detector of anomalies on rows and the new ones that `Doping` makes of them.

    A transformer of scikit-learn may not change the number of rows, so doping in its `Pipeline` is
    part of the last step: `make_pipeline(StandardScaler(), DopedDetector(IsolationForest()))`. The
    same as `make_pipeline(StandardScaler(), Doping(), IsolationForest())` of imbalanced-learn.

    Args:
        detector: a detector of scikit-learn's kind; by default `IsolationForest()`.
        doping: by default `Doping()`.
        random_state: of both, in place of their own; None leaves them theirs.

    Attributes:
        detector_: fitted.
        doping_: fitted.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(60, 3))
        >>> doping = Doping(hidden=(8,), steps=10)
        >>> fitted = DopedDetector(doping=doping, random_state=0).fit(x)  # doctest: +SKIP
        >>> fitted.detector_.max_samples_  # doctest: +SKIP
        66
    """

    def __init__(self, detector: Any = None, doping: Doping | None = None, *, random_state=None):
        self.detector = detector
        self.doping = doping
        self.random_state = random_state

    def fit(self, X, y=None) -> "DopedDetector":
        """Fit both.

        Args:
            X: rows.
            y: labels, or None; they tell `Doping` which rows are normal, see there. The detector
                sees all rows and, if it takes labels, those of the new rows too.

        Raises:
            ValueError: as `Doping.fit`.
        """
        from sklearn.ensemble import IsolationForest

        # Not `or`: an ensemble that is not fitted has no truth value.
        doping: Any = Doping() if self.doping is None else clone(self.doping)
        detector: Any = IsolationForest() if self.detector is None else clone(self.detector)
        if self.random_state is not None:
            for part in (doping, detector):
                if "random_state" in part.get_params(deep=False):
                    part.set_params(random_state=self.random_state)
        self.doping_: Any = doping.fit(X, y)
        rows, labels = doping.appended(X, y)
        self.detector_: Any = detector.fit(rows, labels)
        return self

    @property
    def n_features_in_(self) -> int:
        """Columns of a row."""
        return self.doping_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns of a frame."""
        return self.doping_.feature_names_in_

    @property
    def offset_(self) -> float:
        """Of the detector: scores below it are anomalies."""
        return self.detector_.offset_

    @available_if(_has("score_samples"))
    def score_samples(self, X):
        """Scores [n] of the detector, low for anomalies."""
        return self._fitted(X).score_samples(X)

    @available_if(_has("decision_function"))
    def decision_function(self, X):
        """Scores [n] of the detector, shifted so that anomalies are negative."""
        return self._fitted(X).decision_function(X)

    @available_if(_has("predict"))
    def predict(self, X):
        """-1 for anomalies, 1 for other rows, [n]."""
        return self._fitted(X).predict(X)

    def _fitted(self, X) -> Any:
        """The fitted detector, once X is known to be like the rows that it was fitted on."""
        check_is_fitted(self, "detector_")
        validate_data(self, X, reset=False)
        return self.detector_
