"""The recipes of SS/MS-Dist-GAN as released, the published numbers, and ours beside them.

Recipes: the authors' code (arXiv 1911.06997; `msdistgan`), whose task is the matching form. Common
to all: batches of 64, one discriminator move a step, penalty 0.5, no augmentation, Adam 2e-4
(0.5, 0.9), for residual networks 2e-4 (0, 0.9) at half the rate that falls to 0 from half of the
run on. For SSGAN as the host nothing was released: its rows are what an independent code does
(Hou et al., NeurIPS 2021: weights 1.0 and 0.2), on mimicry's networks and rates. Of the published
tables one number is known here; the others stay empty until somebody has read or run them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gan_forensics.experiments.infomax_published import train_and_measure
from gan_forensics.gans import GanConfig
from gan_forensics.gans.config import Architecture
from gan_forensics.report import Section, Table

Weights = tuple[float, float]  # of the task in the discriminator's and the generator's loss


class Recipe(NamedTuple):
    """How the Dist-GANs of one data set are trained.

    Attributes:
        source: of the data.
        size: of the images.
        architecture: of the networks.
        ss: weights of the rotation task.
        ms: weights of the multi-class task.
        latent: length of the noise.
        steps: of the run.
    """

    source: str
    size: int
    architecture: Architecture
    ss: Weights
    ms: Weights
    latent: int = 128
    steps: int = 300_000


RECIPES = {
    "cifar10": Recipe("tfds:cifar10", 32, "resnet", (0.5, 0.0), (0.5, 0.1)),
    "cifar100": Recipe("tfds:cifar100", 32, "resnet", (0.5, 0.0), (0.5, 0.1)),
    "imagenet32": Recipe("tfds:imagenet_resized/32x32", 32, "resnet", (0.5, 0.0), (0.5, 0.1)),
    "stl10": Recipe("tfds:stl10:unlabelled", 48, "resnet", (1.0, 0.0), (1.0, 0.01)),
    "celeba": Recipe("tfds:celeb_a", 64, "dcgan", (1.0, 0.0), (1.0, 0.1), latent=100),
}
HOSTED = ("cifar10", "cifar100", "stl10", "imagenet32")  # those with rows of SSGAN as the host
DIST, DIST_SS, DIST_MS = "dist-gan", "dist-gan-ss", "dist-gan-ms"
SSGAN, SSGAN_MS = "ssgan", "ssgan-ms"
ARMS = (SSGAN, SSGAN_MS, DIST, DIST_SS, DIST_MS)
# FIDs, as quoted by others; networks residual.
PUBLISHED = {("cifar10", DIST_MS): 11.40}


@dataclass(frozen=True)
class Published:
    """Which recipes are run, and how the GANs are measured.

    Attributes:
        recipes: keys of `RECIPES`.
        arms: of each, of `ARMS`.
        seeds: of training.
        inception: file with the FID Inception weights; needed as soon as there are recipes.
        images: real and generated ones that are compared.
        draws: of generated images of one model.
        steps: instead of the recipe's, for a try; 0 for those.
    """

    recipes: tuple[str, ...] = tuple(RECIPES)
    arms: tuple[str, ...] = ARMS
    seeds: tuple[int, ...] = (0,)
    inception: Path | None = None
    images: int = 10_000
    draws: int = 3
    steps: int = 0


def recipe_config(name: str, arm: str, seed: int = 0) -> GanConfig:
    """The GAN of a recipe and an arm.

    Raises:
        ValueError: for an unknown recipe or arm, and for a pair that was not published.
    """
    if (name, arm) not in pairs():
        raise ValueError(
            f"unknown recipe and arm {name!r}, {arm!r}; there are "
            f"{', '.join(' '.join(pair) for pair in pairs())}"
        )
    recipe = RECIPES[name]
    shared: dict[str, Any] = {"data": recipe.source, "size": recipe.size, "seed": seed}
    shared |= {"batch_size": 64, "latent": recipe.latent, "decay_steps": recipe.steps}
    if arm in (SSGAN, SSGAN_MS):
        method = {"method": "ssgan"} if arm == SSGAN else {"method": "ms-gan", "base": "sngan"}
        shared |= {"architecture": "resgan", "schedule": "linear", "latent": 128}
        return GanConfig(**shared, **method, **_weights((1.0, 0.2)))
    shared |= {"architecture": recipe.architecture}
    if arm == DIST_MS:
        return GanConfig("ms-dist-gan", **shared, **_weights(recipe.ms))
    shared |= {"bundle": "released"}
    if arm == DIST:
        return GanConfig("dist-gan", **shared)
    return GanConfig("ssgan", base="dist-gan", **shared, **_weights(recipe.ss))


def _weights(weights: Weights) -> dict[str, Any]:
    names = ("task_discriminator_weight", "task_generator_weight")
    return dict(zip(names, weights, strict=True))


def pairs() -> list[tuple[str, str]]:
    """The recipes and arms that the paper has rows of."""
    return [
        (name, arm)
        for name in RECIPES
        for arm in ARMS
        if name in HOSTED or arm not in (SSGAN, SSGAN_MS)
    ]


def reproduce(config: Published, out: Path) -> list[dict[str, Any]]:
    """Train and measure the recipes' GANs, in run folders `out/published/RECIPE-ARM-seedN`.

    Raises:
        ValueError: without Inception weights, before anything is trained.
    """
    runs = {
        (name, arm, seed): (recipe_config(name, arm, seed), config.steps or RECIPES[name].steps)
        for name, arm in pairs()
        for seed in config.seeds
        if name in config.recipes and arm in config.arms
    }
    return train_and_measure(
        runs, out, inception=config.inception, images=config.images, draws=config.draws
    )


def published_section(rows: Sequence[Mapping[str, Any]]) -> Section:
    """Recipes and published numbers, with ours beside them where they were measured."""
    ours: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        if row["name"] == "FID":
            ours.setdefault((row["recipe"], row["method"]), []).append(row["value"])
    beside = [
        [
            name,
            arm,
            PUBLISHED.get((name, arm)),
            float(np.mean(ours[name, arm])) if (name, arm) in ours else None,
        ]
        for name, arm in pairs()
    ]
    recipes = [
        [name, r.source, r.size, r.architecture, r.steps, *r.ss, *r.ms, r.latent]
        for name, r in RECIPES.items()
    ]
    columns = ["data", "source", "size", "networks", "steps", "SS, D", "SS, G", "MS, D", "MS, G"]
    return Section(
        "Published recipes and numbers",
        [
            Table("Recipes of Dist-GAN as the host.", [*columns, "noise"], recipes),
            Table(
                "FID with 10,000 real training and generated images, published and ours. Empty: "
                "not known here, or not run. The published number is a third party's quotation, "
                "and nobody is known to have reproduced it.",
                ["data", "arm", "FID", "FID, ours"],
                beside,
            ),
        ],
    )
