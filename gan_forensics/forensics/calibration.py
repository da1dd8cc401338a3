"""Thresholds that bound false alarms: set on real images that trained nothing."""

import math
from dataclasses import dataclass

import numpy as np

from gan_forensics.forensics.metrics import check_scores


@dataclass(frozen=True)
class Calibration:
    """How a detector was fitted and how its threshold was chosen.

    Attributes:
        n_real: real images the classifier was trained on.
        n_fake: generated images the classifier was trained on.
        n_real_held_out: real images kept out of training, on which the threshold was set.
        n_fake_held_out: generated images kept out of training.
        target: accepted share of false alarms on real images.
        achieved: share of false alarms on the held-out real images (those that set the threshold).
        detection_rate: share of the held-out generated images above the threshold.
        seed: of the split and of the classifier.
    """

    n_real: int
    n_fake: int
    n_real_held_out: int
    n_fake_held_out: int
    target: float
    achieved: float
    detection_rate: float
    seed: int


def calibrate(
    real_scores, fake_scores, *, n_real: int, n_fake: int, false_alarms: float, seed: int
) -> tuple[float, Calibration]:
    """The threshold that scores of held-out images set, and the facts about it.

    Args:
        real_scores: [n], which alone set the threshold (`calibrated_threshold`).
        fake_scores: [m].
        n_real, n_fake, false_alarms, seed: as in `Calibration`; the third is its target.
    """
    threshold = calibrated_threshold(real_scores, false_alarms=false_alarms)
    return threshold, Calibration(
        n_real=n_real,
        n_fake=n_fake,
        n_real_held_out=len(real_scores),
        n_fake_held_out=len(fake_scores),
        target=false_alarms,
        achieved=float(np.mean(real_scores > threshold)),
        detection_rate=float(np.mean(fake_scores > threshold)),
        seed=seed,
    )


def smallest_calibration_set(false_alarms: float) -> int:
    """Fewest real images that can bound the false alarms: ceil(1 / false_alarms) - 1."""
    return math.ceil(1 / false_alarms - 1e-9) - 1


def calibrated_threshold(real_scores, *, false_alarms: float) -> float:
    """Threshold that a new real image exceeds with probability at most `false_alarms`.

    With n exchangeable real images, a new one outscores the k-th largest of them with probability
    at most k / (n + 1) (split conformal prediction), hence k = floor(false_alarms (n + 1)).

    Raises:
        ValueError: when there are too few real images for the bound, or NaN among their scores.
    """
    scores = check_scores("real", real_scores)
    # Rounding must not cost an image: 0.29 * 100 is 28.999999999999996.
    rank = math.floor(false_alarms * (len(scores) + 1) + 1e-9)
    if rank < 1:
        raise ValueError(
            f"{len(scores)} real images cannot bound the false alarms by {false_alarms:g}: at "
            f"least {smallest_calibration_set(false_alarms)} are needed"
        )
    return float(np.sort(scores)[::-1][rank - 1])
