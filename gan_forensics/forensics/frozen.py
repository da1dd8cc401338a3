"""Detectors on the frozen features of a network that never was told what is generated.

Ojha et al., "Towards universal fake image detectors that generalize across generative models"
(CVPR 2023): a linear layer on the features of a large pretrained network, or the nearest neighbours
among them, generalises to generators that a network trained for the purpose misses. Here

    extractor = inception_features("pt_inception-2015-12-05-6726825d.pth")
    detector = fit_detector(real, fake, features=extractor, classifier="logistic")
    detector.save("probe.npz")
    load_detector("probe.npz", frozen=extractor).score(images)

with any `gan_forensics.quality.FeatureExtractor`, those of the user's own included, and any of
`CLASSIFIERS`. What differs: their network is CLIP's ViT-L/14, which this package does not have, and
their layer has no penalty; "logistic" standardises the features and has scikit-learn's (L2, C = 1).
Their neighbours are those by cosine, one by default; "knn" takes five, by Euclidean distance of
standardised features. Thresholds here are calibrated, theirs is one half.

A detector file keeps the name of the features and a digest of what computes them (weights and
settings), not the weights: who scores brings the same ones, and others are refused.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gan_forensics.files import shown
from gan_forensics.quality import FeatureExtractor, inception_features, random_features
from gan_forensics.quality.frechet import INCEPTION
from gan_forensics.quality.inception import HOW_TO_GET


class Frozen(NamedTuple):
    """Frozen features that have a name on the command line.

    Attributes:
        extractor: the extractor's own name, by which detector files know it.
        build: weights file -> extractor.
        weights: how to get that file; empty where there is none.
    """

    extractor: str
    build: Callable[[Any], FeatureExtractor]
    weights: str = ""


FROZEN: dict[str, Frozen] = {
    "inception": Frozen(INCEPTION, lambda path: inception_features(path), HOW_TO_GET),
    # Of a network that knows nothing: what a probe of weights has to beat.
    "random": Frozen("random-network features", lambda path: random_features()),
}


def frozen_features(name: str, weights: Path | str | None = None) -> FeatureExtractor:
    """The extractor of a key of `FROZEN`.

    Args:
        name: of the features.
        weights: the file of their network's weights, where they have one.

    Raises:
        ValueError: without the weights, or with weights for features that have none; and as
            `gan_forensics.quality.inception_features`.
    """
    frozen = FROZEN[name]
    if weights is None and frozen.weights:
        raise ValueError(f"{name} features need weights: {frozen.weights}")
    if weights is not None and not frozen.weights:
        raise ValueError(f"--weights {weights}: {name} features have none; leave it out")
    return frozen.build(weights)


def described(extractor: FeatureExtractor) -> dict[str, Any]:
    """What a detector file says of an extractor."""
    return {"digest": extractor.fingerprint, "protocol": dict(extractor.protocol)}


def the_same(
    path: Path | str,
    name: str,
    known: Mapping[str, Any],
    given: Path | str | FeatureExtractor | None,
) -> FeatureExtractor:
    """The extractor that a detector was fitted with, from what the user gives.

    Args:
        path: of the detector file, for messages.
        name: of its features.
        known: `described` of the extractor that it was fitted with.
        given: the extractor, or the file of its weights; None where it has none.

    Raises:
        ValueError: without one that is needed, or for another one.
    """
    wanted, digest = shown(name), shown(known["digest"][:12])
    file = shown(known["protocol"].get("weights", "other settings"))
    if isinstance(given, FeatureExtractor):
        extractor = given
    else:
        named = next((key for key, frozen in FROZEN.items() if frozen.extractor == name), None)
        if named is None:
            raise ValueError(
                f"{path} decides by features of an extractor of its maker's own, {wanted}: load it "
                "in Python, load_detector(path, frozen=extractor)"
            )
        if given is None and FROZEN[named].weights:
            raise ValueError(
                f"{path} decides by {wanted} features, whose weights ({file}) are not in it: give "
                "that file to `detect score` or `detect robustness` with --weights FILE"
            )
        extractor = frozen_features(named, given)
    if (extractor.name, extractor.fingerprint) != (name, known["digest"]):
        found = extractor.protocol.get("weights", extractor.name)
        raise ValueError(
            f"{path} was fitted with the {wanted} features of {file} (digest "
            f"{digest}), and {found} gives others ({extractor.fingerprint[:12]}): "
            "give the weights and settings of the fit, or fit a detector with these"
        )
    return extractor
