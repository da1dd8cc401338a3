"""The bypass protocol: does a detector of one generator still see its siblings?

Chandrasegaran et al. (CVPR 2021) train a classifier on real images against those of a BASELINE
generator and score the images of generators that differ only in their last layer. The released
script drew images by the length of a directory name, with replacement and with the same indices
for both classes; here images are drawn from the whole pool, without replacement, and no image
serves both training and test.

The protocol of Dzanic et al. (NeurIPS 2020) for one generator is the same thing without variants:
`bypass_protocol(real, fake, {}, features="dzanic", classifier="knn")`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float64

from gan_forensics.forensics.classifiers import fit_classifier
from gan_forensics.forensics.metrics import count_scores, fake_accuracy, real_accuracy, roc_auc

BASELINE = "BASELINE"


def bypass_protocol(
    real_features: Float64[np.ndarray, "n d"],
    baseline_features: Float64[np.ndarray, "m d"],
    variants: Mapping[str, Float64[np.ndarray, "k d"]],
    *,
    features: str,
    classifier: str,
    real_test_features: Float64[np.ndarray, "l d"] | None = None,
    train_fraction: float = 0.1,
    runs: int = 10,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Train on real against BASELINE images, test on held-out ones and on every variant.

    Each run draws `n_train = round(train_fraction * min(n, m))` images of either class for
    training. BASELINE is tested on its remaining images, a variant on all of its images.

    Args:
        real_features: pool of real images that training images are drawn from; the rest of it is
            the test part, unless `real_test_features` is given.
        baseline_features: images of the generator that the classifier is trained on.
        variants: name -> images of a generator that the classifier never saw.
        features: name of the features, for the table.
        classifier: a key of `CLASSIFIERS`; it decides at its own boundary.
        real_test_features: real images to test on, all of them, where train and test images come
            from separate places (such as regions of photographs).
        train_fraction: share of the pools used for training.
        runs: independent draws.
        seed: of the draws and classifiers.

    Returns:
        A row for BASELINE and one per variant, in that order: `tail`, `features`, `classifier`,
        means over runs of `detection_rate`, `real_accuracy` (each with `_std`, the sample
        deviation, None for one run) and `auc`, and `n_real`, `n_fake` (test images per run),
        `n_train` (training images per class), `runs`. A detection rate means nothing without the
        real accuracy beside it: a classifier that calls everything generated detects 100 %.

    Raises:
        ValueError: when a part would be empty, or a name or width does not fit.
    """
    if BASELINE in variants:
        raise ValueError(f"{BASELINE} is tested on its own test part: leave it out of variants")
    if runs < 1 or not 0 < train_fraction < 1:
        raise ValueError(
            f"need runs >= 1 and 0 < train_fraction < 1, got {runs} and {train_fraction}"
        )
    n_train = round(train_fraction * min(len(real_features), len(baseline_features)))
    spare = len(baseline_features) - n_train
    if real_test_features is None:
        spare = min(spare, len(real_features) - n_train)
    if n_train < 1 or spare < 1:
        raise ValueError(
            f"{len(real_features)} real and {len(baseline_features)} {BASELINE} images leave "
            f"{n_train} per class for training and {max(spare, 0)} for test with "
            f"train_fraction={train_fraction:g}: give more images"
        )
    outcomes = {name: [] for name in (BASELINE, *variants)}
    sizes = {name: len(images) for name, images in variants.items()}
    sizes[BASELINE] = len(baseline_features) - n_train
    n_real = 0
    for run in range(runs):
        rng = np.random.default_rng([seed, run])
        real_train, real_test = _draw(real_features, n_train, rng)
        fake_train, fake_test = _draw(baseline_features, n_train, rng)
        if real_test_features is not None:
            real_test = real_test_features
        n_real = len(real_test)
        model = fit_classifier(
            real_train, fake_train, classifier=classifier, seed=int(rng.integers(2**31))
        )
        real_scores = model.decide(real_test)
        for tail, images in {BASELINE: fake_test, **variants}.items():
            counts = count_scores(real_scores, model.decide(images))
            accuracies = (rate(counts, model.boundary) for rate in (fake_accuracy, real_accuracy))
            outcomes[tail].append((*accuracies, roc_auc(counts)))
    rows = []
    for tail, values in outcomes.items():
        detection, real, auc = np.asarray(values, np.float64).T
        rows.append(
            {
                "tail": tail,
                "features": features,
                "classifier": classifier,
                "detection_rate": float(detection.mean()),
                "detection_rate_std": _spread(detection),
                "real_accuracy": float(real.mean()),
                "real_accuracy_std": _spread(real),
                "auc": float(auc.mean()),
                "n_real": n_real,
                "n_fake": sizes[tail],
                "n_train": n_train,
                "runs": runs,
            }
        )
    return rows


def _draw(pool: np.ndarray, n_train: int, rng: np.random.Generator):
    """A random split of the pool into `n_train` training rows and the rest."""
    order = rng.permutation(len(pool))
    return pool[order[:n_train]], pool[order[n_train:]]


def _spread(values: np.ndarray) -> float | None:
    """Sample standard deviation over runs; None for a single run, which has no spread."""
    return float(values.std(ddof=1)) if len(values) > 1 else None
