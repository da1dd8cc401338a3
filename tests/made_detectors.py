"""A detector whose calibrators are of drawn scores, for tests that need no fit."""

import functools

import numpy as np

from gan_forensics.data.carriers import TIERS
from gan_forensics.forensics.calibration import Calibration
from gan_forensics.forensics.calibrators import fit_calibrator
from gan_forensics.forensics.decisions import Classifier
from gan_forensics.forensics.detectors import SpectralDetector


@functools.cache
def made_detector(side: int = 8) -> SpectralDetector:
    """Photographs score N(0, 1), generated images N(3, 1); it looks at DCTs of square images."""
    rng = np.random.default_rng(0)
    calibrator = fit_calibrator(rng.normal(0, 1, 50), rng.normal(3, 1, 60))
    model = Classifier(
        "linear", np.zeros(3 * side**2), np.ones(3 * side**2),
        {"weights": rng.normal(0, 1, 3 * side**2), "intercept": np.zeros(())},
    )  # fmt: skip
    return SpectralDetector(
        "dct", "logistic", (side, side, 3), model, 1.7, Calibration(9, 9, 9, None, 0.05, 0),
        calibrators=dict.fromkeys(TIERS, calibrator),
    )  # fmt: skip
