"""Images of sources that nobody knew: "none of these", and how often that is right.

KNOWNNESS says how much an image is like a known source, in higher scores. The rule: "none of
these" where the score is BELOW the threshold that accepts a stated share (95 %) of images of known
sources, set on held-out ones (`known_threshold`). Known is the positive class: a false positive is
an image of an unknown source that is taken for a known one. Images by further training runs of
known generators are known ones.

The share that is accepted is kept for images like those that set the threshold, whatever the
unknown ones are like. How many of these are found depends on them: it is measured on sources that
were left out (`leave_one_out`), and another source may do better or worse than all of those.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from gan_forensics.data.copies import copies
from gan_forensics.files import listed
from gan_forensics.forensics.calibration import (
    Rate,
    calibrated_threshold,
    measured_rate,
    smallest_calibration_set,
)
from gan_forensics.forensics.intervals import Interval, rate_interval, two_sample_interval
from gan_forensics.forensics.metrics import check_scores, count_scores, roc_auc

if TYPE_CHECKING:
    from gan_forensics.forensics.attribution_model import Outputs

# Share of images of known sources that the rule accepts.
ACCEPTED = 0.95
# The neighbour whose distance counts: one odd image in the gallery shall decide nothing.
NEIGHBOUR = 5
# Distances that are held at once.
_AT_ONCE = 2**22


def probability(outputs: "Outputs", gallery: "Outputs | None" = None) -> Float64[np.ndarray, " n"]:
    """The largest probability of a known source (Hendrycks and Gimpel, ICLR 2017).

    Of the logits as given: divided by the temperature where probabilities shall be calibrated.
    """
    from scipy.special import softmax

    return softmax(_array(outputs.logits), 1).max(1)


def logit(outputs: "Outputs", gallery: "Outputs | None" = None) -> Float64[np.ndarray, " n"]:
    """The largest logit (Hendrycks et al., ICML 2022)."""
    return _array(outputs.logits).max(1)


def energy(outputs: "Outputs", gallery: "Outputs | None" = None) -> Float64[np.ndarray, " n"]:
    """ln sum_c exp(logit_c), the negative free energy at temperature 1 (Liu et al., 2020)."""
    from scipy.special import logsumexp

    return np.asarray(logsumexp(_array(outputs.logits), 1))


def neighbours(outputs: "Outputs", gallery: "Outputs | None" = None) -> Float64[np.ndarray, " n"]:
    """Minus the distance to the `NEIGHBOUR`-th nearest image of a gallery of known sources.

    Features are brought to length 1 first (Sun et al., ICML 2022): scores are in [-2, 0]. The
    gallery must not hold the images that are scored, which would be their own neighbours. Images
    of it with the same features count once, so that no picture that is there often decides alone;
    of fewer than `NEIGHBOUR` that differ the farthest counts.

    Raises:
        ValueError: without a gallery, with one of less than `NEIGHBOUR` images or of other
            features.
    """
    if gallery is None or len(gallery.features) < NEIGHBOUR:
        given = "none" if gallery is None else f"{len(gallery.features)} images"
        raise ValueError(
            f"scores by neighbours need a gallery of at least {NEIGHBOUR} images of known sources, "
            f"got {given}"
        )
    differing = gallery.features[copies(gallery.features).first]
    queries, known = _unit(outputs.features), _unit(differing)
    if queries.shape[1] != known.shape[1]:
        raise ValueError(
            f"images have {queries.shape[1]} features, those of the gallery {known.shape[1]}"
        )
    scores = np.empty(len(queries))
    step, k = max(1, _AT_ONCE // len(known)), min(NEIGHBOUR, len(known))
    for start in range(0, len(queries), step):
        cosine = queries[start : start + step] @ known.T
        nearest = np.partition(cosine, -k, 1)[:, -k]
        scores[start : start + step] = -np.sqrt(np.maximum(2 - 2 * nearest, 0))
    return scores


KNOWNNESS: dict[str, Callable[["Outputs", "Outputs | None"], Float64[np.ndarray, " n"]]] = {
    "probability": probability,
    "logit": logit,
    "energy": energy,
    "neighbours": neighbours,
}


def _array(values) -> Float64[np.ndarray, "n d"]:
    return np.asarray(values, np.float64)


def _unit(features) -> Float64[np.ndarray, "n d"]:
    """Features of length 1; those that are all 0 stay."""
    features = _array(features)
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.where(length > 0, length, 1)


def known_threshold(scores, accepted: float = ACCEPTED) -> float:
    """The threshold that a new image of a known source reaches with this probability or more.

    `calibrated_threshold` in the mirror: finite-sample correct, whatever the scores are like, for
    images exchangeable with those that set it. An image is "none of these" when score < threshold.

    Args:
        scores: [n], of held-out images of known sources.
        accepted: in (0, 1).

    Raises:
        ValueError: for too few images to promise that share, or scores that are NaN.

    Example:
        >>> known_threshold(np.arange(39))
        1.0
    """
    scores = check_scores("known", scores)
    if not 0 < accepted < 1:
        raise ValueError(f"the accepted share must be between 0 and 1, got {accepted}")
    if len(scores) < (least := smallest_calibration_set(1 - accepted)):
        raise ValueError(
            f"{len(scores)} held-out images of known sources cannot promise that {accepted:.4g} of "
            f"further ones are accepted: at least {least} are needed"
        )
    return -calibrated_threshold(-scores, false_alarms=1 - accepted)


def none_of_these(scores, threshold: float) -> Bool[np.ndarray, " n"]:
    """Which images are of no known source by the rule: score < threshold.

    Raises:
        ValueError: for scores that are NaN.
    """
    return check_scores("image", scores) < threshold


class LeftOut(NamedTuple):
    """A source that an attributor must not know, and the names of those that it may."""

    name: str
    known: tuple[str, ...]


def leave_one_out(names: Sequence[str], real: str) -> Iterator[LeftOut]:
    """Every generator left out once, in the order of the names; the real source never is.

    Raises:
        ValueError: when the real source is not among the names, a name is twice among them, or
            there are less than two generators: the last one cannot be left out.
    """
    if real not in names or len(set(names)) != len(names):
        raise ValueError(f"names must be different and hold {real!r}, got {listed(names)}")
    if len(names) < 3:
        raise ValueError(
            f"leaving a generator out needs at least two beside {real!r}, got {listed(names)}"
        )
    for name in names:
        if name != real:
            yield LeftOut(name, tuple(other for other in names if other != name))


@dataclass(frozen=True)
class OpenSetResult:
    """How well scores tell images of known sources from others; plain values, ready for `asdict`.

    Attributes:
        n_known: images of known sources.
        n_unknown: images of other sources.
        accuracy: share of the known images whose source was called rightly, without any rule.
        auroc: probability that a known image outscores an unknown one, ties counting one half.
        fpr_at_95: share of unknown images taken for known at the highest threshold that accepts
            95 % of these known images (those of the measurement: no promise for others).
        oscr: area under the rate of known images accepted and called rightly, over the share of
            unknown images accepted, for all thresholds (Dhamija et al., 2018). At most `accuracy`.
        accepted_known: at the threshold of the rule, known images that are accepted; None without.
        accepted_unknown: at that threshold, unknown images that are accepted; None without.
        intervals: of 95 %: "accuracy", "auroc", "fpr_at_95", "oscr".
    """

    n_known: int
    n_unknown: int
    accuracy: float
    auroc: float
    fpr_at_95: float
    oscr: float
    accepted_known: Rate | None
    accepted_unknown: Rate | None
    intervals: Mapping[str, Interval]


def open_set_result(
    known_scores, known_right, unknown_scores, *, threshold: float | None = None
) -> OpenSetResult:
    """Measure scores [n] of known images, which were called rightly [n] or not, and unknown [m].

    The OSCR is the AUC of known images of which those called wrongly lose to every unknown one:
    it has the interval of an AUC (`two_sample_interval`). The interval of the false positives at
    95 % covers that the threshold was found on these images too.

    Args:
        known_scores: images that neither trained the attributor nor set the threshold.
        known_right: bool, whether the likeliest source is theirs.
        unknown_scores: images of sources that the attributor does not know.
        threshold: of the rule, set on other images by `known_threshold`.

    Raises:
        ValueError: when either kind is missing, a score is not finite, or lengths differ.

    Example:
        >>> found = open_set_result([3, 2, 1], [True, False, True], [0, 2.5])
        >>> round(found.auroc, 3), found.fpr_at_95, found.oscr
        (0.667, 0.5, 0.5)
    """
    known, unknown = check_scores("known", known_scores), check_scores("unknown", unknown_scores)
    right = np.asarray(known_right)
    if right.shape != known.shape or right.dtype != bool:
        raise ValueError(
            f"known_right must be true or false for each of {len(known)} known images, got "
            f"{right.dtype} {list(right.shape)}"
        )
    if not (np.isfinite(known).all() and np.isfinite(unknown).all()):
        raise ValueError("scores must be finite")
    n, m = len(known), len(unknown)
    auroc = float(roc_auc(count_scores(unknown, known)))
    oscr = float(roc_auc(count_scores(unknown, np.where(right, known, -np.inf))))
    # Of n ascending scores, the highest with at least 95 % of them at or above it.
    at_95 = np.sort(known)[int(np.floor((1 - ACCEPTED) * n + 1e-9))]
    hits = int(right.sum())
    return OpenSetResult(
        n_known=n,
        n_unknown=m,
        accuracy=hits / n,
        auroc=auroc,
        fpr_at_95=float((unknown >= at_95).mean()),
        oscr=oscr,
        accepted_known=None if threshold is None else measured_rate(known >= threshold),
        accepted_unknown=None if threshold is None else measured_rate(unknown >= threshold),
        intervals={
            "accuracy": rate_interval(hits, n),
            "auroc": two_sample_interval(auroc, n, m),
            "fpr_at_95": _false_positives_interval(known, unknown),
            "oscr": two_sample_interval(oscr, n, m),
        },
    )


def _false_positives_interval(known: np.ndarray, unknown: np.ndarray) -> Interval:
    """Of the share of unknown images above the score that 95 % of all known images reach.

    That score lies between two of the known ones with 97.5 % (binomial ranks of a quantile); the
    shares of unknown images above either are within their exact intervals with 97.5 %.
    """
    from scipy import stats

    tail, n = 0.05 / 4, len(known)
    ranked = np.concatenate([[-np.inf], np.sort(known), [np.inf]])
    low = ranked[int(stats.binom.ppf(tail, n, 1 - ACCEPTED))]
    high = ranked[min(int(stats.binom.ppf(1 - tail, n, 1 - ACCEPTED)) + 1, n + 1)]
    most, fewest = (int((unknown >= score).sum()) for score in (low, high))
    return Interval(
        rate_interval(fewest, len(unknown), level=1 - 2 * tail).low,
        rate_interval(most, len(unknown), level=1 - 2 * tail).high,
        0.95,
    )
