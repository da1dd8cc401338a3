"""Probabilities that mean what they say: one temperature for all logits, and how far they are off.

Logits [n, C] and labels [n] are of held-out images, which trained nothing. Logarithms are natural.
A temperature changes no order of an image's classes. Guo et al., ICML 2017.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int

from gan_forensics.forensics.intervals import rate_interval

# Ranges of an image's logits, in the mean, that the highest and the lowest temperature leave: all
# classes as good as equal, and one class as good as certain.
RANGES = 0.01, 10_000.0


class Bin(NamedTuple):
    """Images whose confidence, the probability of the class that was called, is in (low, high].

    Attributes:
        low, high: ends of the bin.
        n: images in it, at least one.
        confidence: their mean confidence.
        accuracy: share of them that was called rightly.
        accuracy_low, accuracy_high: ends of its exact interval of 95 %.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float
    accuracy_low: float
    accuracy_high: float


def fit_temperature(logits: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"]) -> float:
    """The temperature T > 0 under which softmax(logits / T) gives the labels the most likelihood.

    The mean of -ln softmax(b logits)_label is convex in b = 1 / T: where its derivative is zero is
    the only minimum. Two bounds keep T finite and positive.

    Where the called class is right every time, more confidence is always likelier. Therefore the
    mean confidence is kept to at most (n + 1) / (n + 2), what Laplace's rule of succession says
    after n right ones of n: a handful of images can not make anything sure. Where the logits say
    nothing about the labels, or the opposite, T grows until logits span `RANGES[0]` in the mean.
    Labels may be of one class alone; what is learnt then may not hold for the others.

    Args:
        logits: finite; of any scale.
        labels: 0 to classes - 1.

    Returns:
        T; 1 where every image has equal logits, which no temperature changes.

    Raises:
        ValueError: without an image, for one class, for logits that are not finite or labels that
            are not among the classes.

    Example:
        >>> round(fit_temperature(np.array([[2.0, 0.0]] * 4), np.array([0, 0, 0, 1])), 6)
        1.820478
    """
    from scipy.special import softmax

    logits, labels = _checked("logits", logits, labels)
    logits = logits - logits.max(1, keepdims=True)  # Softmax stays, and nothing overflows.
    span = float(-logits.min(1).mean())
    if not span > 0:
        return 1.0
    n, rows = len(logits), np.arange(len(logits))
    sure = (n + 1) / (n + 2)

    def slope(b: float) -> float:
        expected = (softmax(b * logits, 1) * logits).sum(1)
        return float((expected - logits[rows, labels]).mean())

    def too_sure(b: float) -> float:
        return float(softmax(b * logits, 1).max(1).mean()) - sure

    low, high = (size / span for size in RANGES)
    if slope(low) >= 0 or too_sure(low) >= 0:
        return 1 / low
    if too_sure(high) > 0:
        high = _root(too_sure, low, high)
    if slope(high) <= 0:
        return 1 / high
    return 1 / _root(slope, low, high)


def _root(function: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import root_scalar

    found = root_scalar(function, bracket=(low, high), method="brentq", xtol=1e-12 * low)
    return float(found.root)


def calibration_error(
    probabilities: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"], bins: int = 15
) -> float:
    """Expected calibration error: the mean of |accuracy - confidence| over images by their bin.

    In [0, 1]. Of few images it is too high even where every probability is right, since the
    accuracy of a bin is then mostly chance.

    Args:
        probabilities: each image's of the classes, which sum to 1.
        labels: 0 to classes - 1.
        bins: of equal width, (i / bins, (i + 1) / bins].

    Raises:
        ValueError: as `reliability`.

    Example:
        >>> round(calibration_error(np.array([[0.8, 0.2], [0.6, 0.4]]), np.array([0, 1])), 3)
        0.4
    """
    found = reliability(probabilities, labels, bins)
    n = sum(row.n for row in found)
    return sum(row.n / n * abs(row.accuracy - row.confidence) for row in found)


def reliability(
    probabilities: Float[np.ndarray, "n classes"], labels: Int[np.ndarray, " n"], bins: int = 15
) -> list[Bin]:
    """Confidence against accuracy: the bins that hold images, from low to high.

    The called class is the likeliest one, of equal ones the first.

    Raises:
        ValueError: for probabilities that are none, labels that are not among the classes, no
            images, or less than one bin.
    """
    probabilities, labels = _checked("probabilities", probabilities, labels)
    if bins < 1:
        raise ValueError(f"bins must be at least 1, got {bins}")
    if probabilities.min() < 0 or np.abs(probabilities.sum(1) - 1).max() > 1e-3:
        raise ValueError("probabilities must be at least 0 and sum to 1 for every image")
    confidence = probabilities.max(1)
    right = probabilities.argmax(1) == labels
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    rows = []
    for i in np.unique(place):
        members = place == i
        n, hits = int(members.sum()), int(right[members].sum())
        ends = rate_interval(hits, n)
        mean = float(confidence[members].mean())
        rows.append(
            Bin(float(i / bins), float((i + 1) / bins), n, mean, hits / n, ends.low, ends.high)
        )
    return rows


def _checked(what: str, values, labels) -> tuple[Float64[np.ndarray, "n c"], np.ndarray]:
    values, labels = np.asarray(values, np.float64), np.asarray(labels)
    if values.ndim != 2 or not len(values) or values.shape[1] < 2 or labels.shape != (len(values),):
        raise ValueError(
            f"{what} must be [images, classes] with a label for each image, at least one image and "
            f"two classes; got {list(values.shape)} and labels {list(labels.shape)}"
        )
    if not np.isfinite(values).all():
        rows = int((~np.isfinite(values).all(1)).sum())
        raise ValueError(f"{what} of {rows} of {len(values)} images are not finite: leave them out")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() >= values.shape[1]:
        raise ValueError(
            f"labels must be whole numbers from 0 to {values.shape[1] - 1}, one for each of "
            f"{values.shape[1]} classes, got {np.unique(labels)[:10].tolist()}"
        )
    return values, labels
