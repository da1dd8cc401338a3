"""Limited data: the ways to augment that are compared, and how each is trained and measured."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.data import ArraySource, Source, open_source, take
from gan_forensics.experiments.dag_measures import (
    Images,
    Reals,
    follow_limited,
    reals_of,
    references,
    subset,
)
from gan_forensics.gans import Gan, GanConfig, build
from gan_forensics.gans.transforms import policies_of
from gan_forensics.quality import FeatureExtractor, Leak, leak_meter, small_classifier_features
from gan_forensics.studies.collapse import Followed
from gan_forensics.studies.runner import process_copy

PLAIN, ADA, CR, BCR, R3GAN = "none", "ADA", "CR", "bCR", "R3GAN"
DA, DIFFAUGMENT = "classical", "DiffAugment"
DAG_CROP, DAG_ROTATION = "DAG, rotation and crop", "DAG, rotation"
# Policies that some arm has.
LEAKS = ("rotation", "crop", "random-translation", "cutout")
LEAK_IMAGES = 2000  # real ones, on which the meters are trained
# Fields of the config by arm.
LIMITED: dict[str, dict[str, Any]] = {
    PLAIN: {},
    DA: {"augment": "classical", "transforms": "rotation,crop"},
    DIFFAUGMENT: {"augment": "diffaugment"},
    ADA: {"augment": "ada"},
    CR: {"augment": "cr"},
    BCR: {"augment": "bcr"},
    DAG_CROP: {"augment": "dag", "transforms": "rotation,crop"},
    DAG_ROTATION: {"augment": "dag", "transforms": "rotation"},
    R3GAN: {"method": "r3gan", "architecture": "dcgan"},
}


def limited_config(
    arm: str,
    *,
    data: str,
    size: int,
    channels: int,
    width: int,
    batch_size: int,
    learning_rate: float,
    steps: int,
    gamma: float,
) -> GanConfig:
    """An arm of `LIMITED` with strided networks, without batch norm in the discriminator.

    Args:
        arm: of `LIMITED`.
        data: source of the images.
        size: of the images.
        channels: of the images.
        width: of the networks.
        batch_size: images a minibatch.
        learning_rate: of both players.
        steps: of the run, of whose images ADA's time constant is 2 %.
        gamma: of R3GAN.
    """
    own = {"method": "dcgan", **LIMITED[arm]}
    if arm == ADA:
        own["ada_kimg"] = 0.02 * steps * batch_size / 1000
    if arm == R3GAN:
        own["gamma"] = gamma
    return GanConfig(
        data=data,
        size=size,
        channels=channels,  # pyright: ignore[reportArgumentType]
        width=width,
        batch_size=batch_size,
        learning_rate=learning_rate,
        norm="none",
        **own,
    )


@dataclass(frozen=True)
class Limited:
    """Arms on a part of the training images.

    Attributes:
        arms: of `LIMITED`.
        fractions: of the training images; each class has its share, and less is a part of more.
        seeds: of every arm.
        steps: of training.
        every: steps between looks.
        batch_size: images a minibatch.
        learning_rate: of both players.
        width: of the strided networks.
        size: of the images.
        gammas: of R3GAN's penalties: one, or those that are tried in the place of arms.
        images: generated at every look.
        classifier_steps: training of the features.
        leaks: policies whose transforms are looked for in generated images.
        leak_steps: training of each of their classifiers.
    """

    arms: tuple[str, ...] = tuple(LIMITED)
    fractions: tuple[float, ...] = (0.1, 1.0)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    steps: int = 2000
    every: int = 500
    batch_size: int = 32
    learning_rate: float = 5e-4
    width: int = 16
    size: int = 16
    gammas: tuple[float, ...] = (1.0,)
    images: int = 2000
    classifier_steps: int = 3000
    leaks: tuple[str, ...] = LEAKS
    leak_steps: int = 300

    def runs(self) -> dict[str, tuple[str, float, float]]:
        """What is trained: name -> (arm, fraction, gamma)."""
        return {
            f"{arm}{f', gamma {gamma:g}' * (len(self.gammas) > 1)}, {fraction:.0%}": (
                arm,
                fraction,
                gamma,
            )
            for fraction in self.fractions
            for arm in self.arms
            for gamma in (self.gammas if arm == R3GAN else self.gammas[:1])
        }


def features_of(
    data: str, settings: Limited, out: Path, arm: str = ""
) -> tuple[Source, Source, FeatureExtractor]:
    """Training and held-out images, and features of a classifier of the former."""
    size, steps = settings.size, settings.classifier_steps
    train, held_out = (open_source(data, size=size, split=split) for split in ("train", "test"))
    name = "".join(c if c.isalnum() else "-" for c in data)
    whole = out / "classifiers" / f"{name} {size} {steps}"
    return train, held_out, _features(data, size, steps, process_copy(whole, arm))


# Arms of one process share them, and what is compiled for them.
@cache
def _features(data: str, size: int, steps: int, run: Path) -> FeatureExtractor:
    return small_classifier_features(open_source(data, size=size, split="train"), run, steps=steps)


def followed_images(
    name: str, settings: Limited, data: str, out: Path
) -> Callable[[int], Followed]:
    """A function that follows one seed of an arm on a fraction of the images."""
    arm, fraction, gamma = settings.runs()[name]

    @cache
    def shared() -> tuple[Gan, ArraySource, Reals]:
        train, held_out, extractor = features_of(data, settings, out, name)
        some = subset(train, fraction)
        config = limited_config(
            arm,
            data=data,
            size=settings.size,
            channels=some.arrays["image"].shape[-1],
            width=settings.width,
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            steps=settings.steps,
            gamma=gamma,
        )
        return build(config), some, reals_of(some, held_out, extractor)

    def leaks(made: Images) -> dict[str, float]:
        meters = _meters(data, settings.size, settings.leaks, settings.leak_steps)
        return {f"leak, {policy}": meter(made).leak for policy, meter in meters.items()}

    def follow_seed(seed: int) -> Followed:
        gan, some, reals = shared()
        options = {key: getattr(settings, key) for key in ("steps", "every", "images")}
        return follow_limited(gan, some, reals, seeds=(seed,), further=leaks, **options)

    return follow_seed


# Of the whole training set, whatever the fraction.
@cache
def _meters(
    data: str, size: int, policies: tuple[str, ...], steps: int
) -> dict[str, Callable[[Images], Leak]]:
    sources = (open_source(data, size=size, split=split) for split in ("train", "test"))
    rng = np.random.default_rng(0)
    train, held_out = (
        take(source, rng.permutation(len(source))[:LEAK_IMAGES])["image"] for source in sources
    )
    return {
        policy.name: leak_meter(
            policy.name, [t.apply for t in policy.transforms], train, held_out, steps=steps
        )
        for policy in policies_of(policies)
    }


def read_reals(settings: Limited, data: str, out: Path) -> dict[str, Any]:
    """What the measures say of real images, for each fraction of the training images."""
    train, held_out, extractor = features_of(data, settings, out)
    sets = {f: reals_of(subset(train, f), held_out, extractor) for f in settings.fractions}
    return {
        "features": extractor.name,
        "accuracy": extractor.protocol["accuracy_on_training_images"],
        "held_out": len(held_out),
        "fractions": {
            f"{fraction:.0%}": {"images": len(reals.train), **references(reals)}
            for fraction, reals in sets.items()
        },
    }
