"""What an attributor does on images of its own: by what was new about them, under what they went.

Accuracy on further images of the very generators that it was fitted on says little: another
training seed of the same GAN may be missed altogether. So three groups are measured apart: "seen",
images of generators that it was fitted on; "new seeds", of generators trained anew; "unseen
semantics", of content that it never saw. Each as they are, and after the corruptions of training
and those that are held out from it, at severities drawn from 1 to 5.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from jaxtyping import Bool, Int

from gan_forensics.data.attributed import Attributed
from gan_forensics.data.corruptions import HELD_OUT_CORRUPTIONS, TRAIN_CORRUPTIONS
from gan_forensics.data.perturbations import RandomCorruption, at_hand, perturb
from gan_forensics.forensics.attribution import Attributor
from gan_forensics.forensics.attribution_model import Outputs
from gan_forensics.forensics.attribution_parts import relabelled
from gan_forensics.forensics.class_evaluation import evaluate_classes
from gan_forensics.forensics.temperature import calibration_error, reliability

Progress = Callable[[range], Iterable[int]]
SEEN, NEW_SEEDS, UNSEEN = "seen", "new seeds", "unseen semantics"
CONDITIONS: dict[str, tuple[str, ...]] = {
    "clean": (),
    "trained": TRAIN_CORRUPTIONS,
    "held-out": HELD_OUT_CORRUPTIONS,
}
# Images of each source and group that are measured on.
MOST = 500
_AT_ONCE = 64


def known_parts(train: Attributed) -> dict[str, list]:
    """The semantics of training images, and the sources with their instances, JSON-able."""
    labels = [train.names[label] for label in train.labels]
    return {
        "semantics": sorted(set(train.semantics)),
        "instances": sorted({(s, i) for s, i in zip(labels, train.instances, strict=True)}),
    }


def groups(test: Attributed, known: Mapping[str, Any]) -> dict[str, Bool[np.ndarray, " n"]]:
    """Which test images are of which group, by `known_parts` of the training; empty groups go.

    Real images have no training seed: those of semantics that were seen stand in both of the first
    two groups, against whose generated images they are measured.
    """
    trained = {(source, instance) for source, instance in known.get("instances", ())}
    contents = set(known.get("semantics", ()))
    unseen = np.array([s not in contents for s in test.semantics], bool)
    real = test.labels == test.names.index(test.real)
    labels = [test.names[label] for label in test.labels]
    fresh = np.array(
        [each not in trained for each in zip(labels, test.instances, strict=True)], bool
    )
    found = {
        SEEN: ~unseen & (real | ~fresh),
        NEW_SEEDS: ~unseen & (real | fresh),
        UNSEEN: unseen,
    }
    return {name: mask for name, mask in found.items() if (mask & ~real).any()}


def some_of_each(
    images: Attributed, mask: Bool[np.ndarray, " n"], *, most: int, seed: int
) -> Int[np.ndarray, " k"]:
    """Rows of a group: of each source and training seed an equal share of at most so many."""
    rng = np.random.default_rng((seed, 20))
    rows = []
    for label in range(len(images.names)):
        own = np.flatnonzero(mask & (images.labels == label))
        by_seed = [
            rng.permutation([row for row in own if images.instances[row] == instance])
            for instance in sorted({images.instances[row] for row in own})
        ]
        rows += [seeded[: max(1, most // len(by_seed))] for seeded in by_seed]
    return np.sort(np.concatenate(rows)).astype(np.int64)


def outputs_after(
    attributor: Attributor,
    images: Attributed,
    rows: Int[np.ndarray, " k"],
    change: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
    *,
    seed: int = 0,
    progress: Progress = iter,
) -> Outputs:
    """Outputs of some images, each changed with a generator of its own after the preprocessing.

    The generator follows from the seed and the image's row, so that all attributors see the same.

    Raises:
        ValueError: for images that cannot be scored, naming the first.
    """
    from gan_forensics.data.sources import describe

    parts = []
    for first in progress(range(0, len(rows), _AT_ONCE)):
        some = []
        for row in rows[first : first + _AT_ONCE]:
            try:
                image = attributor.prepared(images.source[int(row)]["image"])
            except ValueError as error:
                raise ValueError(f"{describe(images.source, int(row))}: {error}") from None
            if change is not None:
                image = change(image, np.random.default_rng((seed, 21, int(row))))
            some.append(image)
        parts.append(attributor.model.outputs(np.stack(some)))
    return Outputs(*(np.concatenate(of) for of in zip(*parts, strict=True)))


def measured(
    attributor: Attributor,
    test: Attributed,
    known: Mapping[str, Any],
    *,
    most: int = MOST,
    seed: int = 0,
    frost_textures: str | None = None,
    progress: Progress = iter,
) -> dict[str, Any]:
    """Every group under every condition, JSON-able: group -> condition -> what was found.

    Args:
        attributor: to be measured.
        test: images that it was not fitted on; whatever the order of its sources, names count.
        known: `known_parts` of what it was fitted on.
        most: images of each source and group.
        seed: of the choice and the corruptions.
        frost_textures: as in `corrupt`; without them, and without an installed package's, frost is
            the procedural one, and the protocol says so.
        progress: as in `chunks`.

    Raises:
        ValueError: as `outputs_after`.
    """
    test = relabelled(test, attributor.names, attributor.real)
    result: dict[str, Any] = {}
    conditions = {
        name: at_hand(kinds, frost_textures=frost_textures)[0] for name, kinds in CONDITIONS.items()
    }
    for group, mask in groups(test, known).items():
        rows = some_of_each(test, mask, most=most, seed=seed)
        result[group] = {
            condition: cell(
                attributor, test.labels[rows],
                outputs_after(
                    attributor, test, rows, corruption(kinds, frost_textures),
                    seed=seed, progress=progress,
                ),
                {"group": group, "condition": condition, "corruptions": list(kinds)},
            )
            for condition, kinds in conditions.items()
        }  # fmt: skip
    return result


def corruption(kinds: tuple[str, ...], frost_textures: str | None) -> RandomCorruption | None:
    """One of these kinds for every image, or none where there are no kinds."""
    return RandomCorruption(kinds, 1.0, frost_textures=frost_textures) if kinds else None


def cell(
    attributor: Attributor,
    labels: Int[np.ndarray, " n"],
    outputs: Outputs,
    protocol: Mapping[str, Any],
) -> dict[str, Any]:
    """What was found on some images, with the calibration error and the share of none of these."""
    found = evaluate_classes(
        outputs.logits, labels, names=attributor.names, real=attributor.real,
        features=outputs.features, protocol=protocol,
    )  # fmt: skip
    return {
        **asdict(found),
        "calibration_error": calibration_error(attributor.probabilities(outputs), labels),
        "reliability": [
            one._asdict() for one in reliability(attributor.probabilities(outputs), labels)
        ],
        "none_of_these": float(attributor.none_of_these(outputs).mean()),
    }


def against_severity(
    attributor: Attributor,
    test: Attributed,
    rows: Int[np.ndarray, " k"],
    kinds: Iterable[str],
    *,
    progress: Progress = iter,
) -> dict[str, list[float]]:
    """Attribution accuracy under each kind of corruption at severities 1 to 5."""
    labels = relabelled(test, attributor.names, attributor.real).labels[rows]

    def accuracy(name: str) -> float:
        after = outputs_after(
            attributor, test, rows, lambda image, rng: perturb(image, name, rng), progress=progress
        )
        return float((np.argmax(after.logits, 1) == labels).mean())

    return {kind: [accuracy(f"{kind}-{s}") for s in range(1, 6)] for kind in kinds}
