"""A detector of brightness, by tiles or not: what its tiles score is what they are drawn with."""

import numpy as np

from gan_forensics.forensics.calibration import Calibration
from gan_forensics.forensics.decisions import Classifier
from gan_forensics.forensics.detectors import SpectralDetector

SIDE = 16


def brightness(side=SIDE, **changes) -> SpectralDetector:
    """Scores squares by the mean of their pixels, in [-1, 1]."""
    values = side * side * 3
    weights = {"weights": np.full(values, 1 / values), "intercept": np.zeros(())}
    model = Classifier("linear", np.zeros(values), np.ones(values), weights)
    calibration = Calibration(9, 9, 9, None, 0.05, 0)
    return SpectralDetector(
        "pixels", "logistic", (side, side, 3), model, 0.0, calibration, **changes
    )


def drawn(levels, side=SIDE, seed=0):
    """A picture of squares: each of noise around its level, or of one colour where that is None."""
    rng = np.random.default_rng(seed)
    rows = []
    for row in levels:
        squares = [
            np.full((side, side, 3), 255)
            if level is None
            else level + rng.integers(-10, 11, (side, side, 3))
            for level in row
        ]
        rows.append(np.concatenate(squares, 1))
    return np.concatenate(rows).astype(np.uint8)
