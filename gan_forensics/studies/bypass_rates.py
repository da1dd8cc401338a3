"""The bypass protocol: does a detector of one generator still see its siblings?

Chandrasegaran et al. (CVPR 2021) train a classifier on real images against those of a BASELINE
generator and score the images of generators that differ only in their last layer. The released
script drew images by the length of a directory name, with replacement and with the same indices
for both classes; here images are drawn from the whole pool, without replacement, and no image
serves both training and test. The protocol of Dzanic et al. (NeurIPS 2020) for one generator is the
same thing with a single pool.

Rates are taken at a detector's own boundary and at the threshold that bounds its false alarms,
which is set on real images that trained and test nothing (`forensics.calibration`).
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from gan_forensics.forensics.calibration import calibrated_threshold
from gan_forensics.forensics.metrics import count_scores, fake_accuracy, roc_auc

BASELINE = "BASELINE"
# The share of real images that the second threshold may call generated.
FALSE_ALARMS = 0.05

# Of features [n, d], or images [n, h, w, c]: what the detector looks at.
Rows = np.ndarray
# Of real and generated rows and a seed; what comes back has `boundary` and `decide(rows)`.
Fit = Callable[[Rows, Rows, int], Any]


class Parts(NamedTuple):
    """Real images, or their features, in disjoint parts.

    Attributes:
        train: the pool that detectors' training images are drawn from.
        calibration: sets thresholds.
        test: measures false alarms.
    """

    train: Rows
    calibration: Rows
    test: Rows


@dataclass(frozen=True, eq=False)
class Drawn:
    """A detector of one draw of training images.

    Attributes:
        decide: rows -> scores [n], which rise with the evidence for "generated".
        boundary: where the detector itself decides.
        threshold: where at most `FALSE_ALARMS` of new real images are called generated.
        left: of each pool, the places that did not train it.
        n_train: images of either class that did.
        real_scores: of the real test images.
    """

    decide: Callable[[Rows], np.ndarray]
    boundary: float
    threshold: float
    left: Mapping[Hashable, np.ndarray]
    n_train: int
    real_scores: np.ndarray


class Rates(NamedTuple):
    """What detectors do on one set of generated images, means over their draws.

    Attributes:
        detected: share called generated at the detectors' own boundary.
        detected_at_5: at the threshold of 5 % false alarms.
        auc: against the real test images.
    """

    detected: float
    detected_at_5: float
    auc: float


class Alarms(NamedTuple):
    """Shares of real test images called generated, means over draws; see `Rates`."""

    false_alarms: float
    false_alarms_at_5: float


def draw_detectors(
    real: Parts,
    pools: Mapping[Any, Rows],
    *,
    fit: Fit,
    train_fraction: float = 0.1,
    runs: int = 10,
    seed: int = 0,
) -> list[Drawn]:
    """Train detectors of real against generated images, one for each draw of training images.

    Each draws `n_train = round(train_fraction * min(real, smallest pool))` images of either class,
    the generated ones in equal parts from all pools.

    Args:
        real: see `Parts`.
        pools: the generated images to train on, by name.
        fit: trains a detector.
        train_fraction: share of the smaller class used for training.
        runs: independent draws.
        seed: of the draws and detectors.

    Raises:
        ValueError: when a part would be empty, or cannot bound the false alarms.

    Example:
        >>> from gan_forensics.forensics import fit_classifier
        >>> rng = np.random.default_rng(0)
        >>> real = Parts(*(rng.normal(size=(n, 3)) for n in (100, 60, 60)))
        >>> fit = lambda real, fake, seed: fit_classifier(real, fake, classifier="knn", seed=seed)
        >>> drawn = draw_detectors(real, {"gan": rng.normal(3.0, size=(100, 3))}, fit=fit, runs=2)
        >>> len(drawn), drawn[0].n_train
        (2, 10)
    """
    if runs < 1 or not 0 < train_fraction < 1:
        raise ValueError(
            f"need runs >= 1 and 0 < train_fraction < 1, got {runs} and {train_fraction}"
        )
    smallest = min(map(len, pools.values()))
    n_train = round(train_fraction * min(len(real.train), smallest))
    shares = [len(part) for part in np.array_split(np.arange(n_train), len(pools))]
    if n_train < len(pools) or smallest <= max(shares) or not len(real.test):
        raise ValueError(
            f"{len(real.train)} real and {smallest} generated images, with {len(real.test)} real "
            f"ones to test on, leave {n_train} per class for training and "
            f"{max(smallest - max(shares), 0)} for test with train_fraction={train_fraction:g}: "
            "give more images"
        )
    drawn = []
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        real_train, _ = _draw(len(real.train), n_train, rng)
        places = {
            name: _draw(len(pool), share, rng)
            for (name, pool), share in zip(pools.items(), shares, strict=True)
        }
        fake = np.concatenate([pools[name][used] for name, (used, _) in places.items()])
        model = fit(real.train[real_train], fake, int(rng.integers(2**31)))
        threshold = calibrated_threshold(model.decide(real.calibration), false_alarms=FALSE_ALARMS)
        left = {name: rest for name, (_, rest) in places.items()}
        scores = model.decide(real.test)
        drawn.append(Drawn(model.decide, model.boundary, threshold, left, n_train, scores))
    return drawn


def rates_of(
    drawn: Sequence[Drawn], name: Hashable, rows: Rows, *, real_scores: Sequence[np.ndarray] = ()
) -> Rates:
    """The rates of generated images; of those that were trained on, the images that are left.

    Args:
        drawn: of `draw_detectors`.
        name: of the images, as among the pools.
        rows: all of them.
        real_scores: what each detector says of the real images that the AUC is against; by default
            of those that belong to its training.

    Example:
        >>> from gan_forensics.forensics import fit_classifier
        >>> rng = np.random.default_rng(0)
        >>> real = Parts(*(rng.normal(size=(n, 3)) for n in (100, 60, 60)))
        >>> fake = rng.normal(5.0, size=(100, 3))
        >>> fit = lambda real, fake, seed: fit_classifier(real, fake, classifier="knn", seed=seed)
        >>> drawn = draw_detectors(real, {"gan": fake}, fit=fit, runs=1)
        >>> rates_of(drawn, "gan", fake).auc > 0.99
        True
    """
    outcomes = []
    for place, each in enumerate(drawn):
        tested = rows[each.left[name]] if name in each.left else rows
        against = real_scores[place] if real_scores else each.real_scores
        counts = count_scores(against, each.decide(tested))
        at = (fake_accuracy(counts, t) for t in (each.boundary, each.threshold))
        outcomes.append((*at, roc_auc(counts)))
    return Rates(*np.mean(outcomes, axis=0).tolist())


def alarms_of(drawn: Sequence[Drawn], *, real_scores: Sequence[np.ndarray] = ()) -> Alarms:
    """The false alarms on real test images; `real_scores` as for `rates_of`."""
    scores = real_scores or [each.real_scores for each in drawn]
    shares = [
        [float((real > t).mean()) for t in (each.boundary, each.threshold)]
        for each, real in zip(drawn, scores, strict=True)
    ]
    return Alarms(*np.mean(shares, axis=0).tolist())


def _draw(n: int, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A random split of n places into `count` and the rest."""
    order = rng.permutation(n)
    return order[:count], order[count:]
