"""Metrics of two-class scores; the positive class is "generated", higher scores say so.

All metrics are functions of how many real and generated images fall on each distinct score
(`ScoreCounts`). Another sample of the same images only changes those counts, so metrics take any
leading batch axes in the counts and a thousand samples are one call.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, eq=False)
class ScoreCounts:
    """Counts of real and generated images per distinct score.

    Attributes:
        scores: [u] distinct scores in descending order.
        real: [..., u] how many real images have each score.
        fake: [..., u] how many generated images have each score.
    """

    scores: Float64[np.ndarray, " u"]
    real: Float64[np.ndarray, "... u"]
    fake: Float64[np.ndarray, "... u"]


def count_scores(real_scores, fake_scores) -> ScoreCounts:
    """Count equal scores of real [n] and generated [m] images.

    Raises:
        ValueError: when a class is empty, not one-dimensional, or holds NaN.

    Example:
        >>> float(roc_auc(count_scores([0.1, 0.4], [0.3, 0.9])))
        0.75
    """
    real, fake = check_scores("real", real_scores), check_scores("generated", fake_scores)
    scores, inverse = np.unique(np.concatenate([real, fake]), return_inverse=True)
    place = len(scores) - 1 - inverse
    counts = (np.bincount(part, minlength=len(scores)) for part in np.split(place, [len(real)]))
    return ScoreCounts(scores[::-1], *(part.astype(np.float64) for part in counts))


def check_scores(name: str, scores) -> Float64[np.ndarray, " n"]:
    """Scores as float64 [n], refused when empty, of another rank, or NaN."""
    array = np.asarray(scores, np.float64)
    if array.ndim != 1 or not len(array):
        raise ValueError(
            f"{name} scores must be a non-empty list of numbers, got shape {list(array.shape)}"
        )
    if count := int(np.isnan(array).sum()):
        raise ValueError(
            f"{count} of {len(array)} {name} scores are NaN: leave out images that could not be "
            "scored and say how many they were"
        )
    return array


def roc_auc(counts: ScoreCounts) -> np.ndarray:
    """Probability that a generated image outscores a real one, ties counting one half."""
    above = np.cumsum(counts.fake, axis=-1) - 0.5 * counts.fake
    return (above * counts.real).sum(-1) / (counts.real.sum(-1) * counts.fake.sum(-1))


def average_precision(counts: ScoreCounts) -> np.ndarray:
    """Sum over thresholds of recall step x precision; depends on the share of fakes."""
    found = np.cumsum(counts.fake, axis=-1)
    called = found + np.cumsum(counts.real, axis=-1)
    # A sample may leave the highest scores empty: no image called, no recall step.
    precision = np.divide(found, called, out=np.zeros_like(found), where=called > 0)
    return (counts.fake * precision).sum(-1) / counts.fake.sum(-1)


def equal_error_rate(counts: ScoreCounts) -> np.ndarray:
    """Where misses equal false alarms, on straight lines between the points of the ROC."""
    alarms = np.cumsum(counts.real, axis=-1) / counts.real.sum(-1, keepdims=True)
    misses = 1 - np.cumsum(counts.fake, axis=-1) / counts.fake.sum(-1, keepdims=True)
    start = np.zeros_like(alarms[..., :1])
    alarms = np.concatenate([start, alarms], axis=-1)
    misses = np.concatenate([start + 1, misses], axis=-1)
    # misses - alarms falls from 1 to -1; the crossing lies between `after` and the point before.
    after = np.argmax(misses <= alarms, axis=-1)[..., None]
    a0, a1 = (np.take_along_axis(alarms, after - i, -1)[..., 0] for i in (1, 0))
    m0, m1 = (np.take_along_axis(misses, after - i, -1)[..., 0] for i in (1, 0))
    t = (m0 - a0) / ((m0 - a0) - (m1 - a1))
    return a0 + t * (a1 - a0)


def real_accuracy(counts: ScoreCounts, threshold: float) -> np.ndarray:
    """Share of real images at or below the threshold: 1 - false alarm rate."""
    return (counts.real * (counts.scores <= threshold)).sum(-1) / counts.real.sum(-1)


def fake_accuracy(counts: ScoreCounts, threshold: float) -> np.ndarray:
    """Share of generated images above the threshold: detection rate, 1 - miss rate."""
    return (counts.fake * (counts.scores > threshold)).sum(-1) / counts.fake.sum(-1)


METRICS: dict[str, Callable[[ScoreCounts], np.ndarray]] = {
    "average_precision": average_precision,
    "auc": roc_auc,
    "eer": equal_error_rate,
}


def geometric_mean_threshold(real_scores, fake_scores) -> float:
    """The score t* at the vertex of the ROC curve where sqrt(TPR TNR) is largest.

    As Chandrasegaran et al. (ECCV 2022) calibrate detectors, on the very images that they test.
    The rates of t* count scores >= t*; of equally good vertices it is the one of highest score.
    Their released code then calls an image generated when p > t*, which leaves out the sample that
    defines t*. Every decision of this project is `score > threshold` too: pass t* to repeat the
    released numbers, `inclusive(t*)` for the rates that t* was chosen by.

    Args:
        real_scores: [n], higher = more likely generated.
        fake_scores: [m].

    Raises:
        ValueError: when a class is empty or a score is NaN.

    Example:
        >>> geometric_mean_threshold([0.1, 0.2, 0.3], [0.5, 0.8, 0.9])
        0.5
    """
    counts = count_scores(real_scores, fake_scores)
    found, alarms = np.cumsum(counts.fake), np.cumsum(counts.real)
    # Points inside a straight line of equal steps are no vertices of the curve.
    inner = np.diff(found, 2).astype(bool) | np.diff(alarms, 2).astype(bool)
    ends = np.ones(min(len(found), 2), bool)
    vertex = np.concatenate([ends[:1], inner, ends[1:]])
    product = (found / found[-1]) * (1 - alarms / alarms[-1])
    return float(counts.scores[np.argmax(np.where(vertex, np.sqrt(product), -1))])


def inclusive(threshold: float) -> float:
    """The threshold that "score > threshold" needs to mean "score >= the one given".

    Example:
        >>> 0.5 > inclusive(0.5) > 0.499
        True
    """
    return float(np.nextafter(threshold, -np.inf))
