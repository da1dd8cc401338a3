"""The detectors that a study compares, by name: features with a classifier, or a network.

"durall-knn" is a row of `forensics.FEATURES` with one of `forensics.classifiers.CLASSIFIERS`; a
name without a dash is a network of `forensics.neural.ARCHITECTURES`, trained by `fit_network`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from gan_forensics.data.flat import flat
from gan_forensics.forensics.classifiers import CLASSIFIERS, fit_classifier
from gan_forensics.forensics.features import FEATURES, lookup
from gan_forensics.forensics.neural import ARCHITECTURES, NeuralDetector
from gan_forensics.studies.bypass_rates import Fit, Rows

Images = UInt8[np.ndarray, "n h w c"]
# Networks learn from pixels: they are given half of the images, and one draw, as a draw costs a
# training.
NETWORK_FRACTION, NETWORK_RUNS = 0.5, 1


class Detector(NamedTuple):
    """A detector that is not trained yet.

    Attributes:
        features: which it looks at; None for a network, which looks at images.
        fit: trains it.
    """

    features: str | None
    fit: Fit

    def rows(self, images: Images, source: str = "the data") -> Rows:
        """What it looks at: features of images, or images that are not flat, which have no score.

        Raises:
            ValueError: as `rows_of`.
        """
        if self.features is not None:
            return rows_of(self.features, images, source)
        return _some(images, ~flat(images), source)

    def draws(self, train_fraction: float, runs: int) -> dict[str, Any]:
        """How its training images are drawn, where others' are drawn as given."""
        if self.features is None:
            train_fraction, runs = NETWORK_FRACTION, NETWORK_RUNS
        return {"train_fraction": train_fraction, "runs": runs}


def rows_of(features: str, images: Images, source: str = "the data") -> Rows:
    """Features of the images that have some that are finite.

    As published, images that are flat and have finite features stay: a young GAN makes many.

    Raises:
        ValueError: when none has, naming the source.
    """
    values = FEATURES[features](images)
    return _some(values, np.isfinite(values).all(axis=1), source)


def _some(rows: Rows, known: np.ndarray, source: str) -> Rows:
    """Rows that are known; the very array where all are."""
    if not known.any():
        raise ValueError(f"{source}: not one of {len(rows)} images has a spectrum; it collapsed")
    return rows if known.all() else rows[known]


def find_detector(name: str) -> Detector:
    """The detector of a name.

    Raises:
        ValueError: for unknown features, classifiers and networks, with those that there are.
    """
    features, dash, classifier = name.partition("-")
    if not dash:
        if name not in ARCHITECTURES:
            raise ValueError(
                f"unknown detector {name!r}: give FEATURES-CLASSIFIER, such as durall-knn, or a "
                f"network, one of {', '.join(sorted(ARCHITECTURES))}"
            )
        return Detector(None, _network(name))
    lookup(FEATURES, features, "features")
    lookup(CLASSIFIERS, classifier, "classifier")

    def fit(real: Rows, fake: Rows, seed: int) -> Any:
        return fit_classifier(real, fake, classifier=classifier, seed=seed)

    return Detector(features, fit)


class _Trained(NamedTuple):
    decide: Callable[[Rows], np.ndarray]
    boundary: float


def _network(arch: str) -> Fit:
    def fit(real: Rows, fake: Rows, seed: int) -> _Trained:
        from gan_forensics.forensics.neural_fit import fit_network

        detector: NeuralDetector = fit_network(real, fake, arch=arch, seed=seed)
        return _Trained(detector.score, 0.0)

    return fit
