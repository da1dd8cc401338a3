"""Mimicry's recipes and published numbers for SNGAN, SSGAN and InfoMax-GAN, and ours beside them.

Recipes and numbers: README of mimicry (Lee and Town, arXiv 2005.02494), the code of InfoMax-GAN
(Lee et al., WACV 2021). Common to all: Adam 2e-4 (0, 0.9), batches of 64, noise of length 128,
networks of the published widths, no moving average.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from gan_forensics.data import open_source, take
from gan_forensics.gans import GanConfig, generate, train_gan
from gan_forensics.quality import evaluate_images, inception_features
from gan_forensics.report import Section, Table
from gan_forensics.studies.runner import write_samples
from gan_forensics.train import Cadence

METHODS = ("sngan", "ssgan", "infomax-gan")


class Recipe(NamedTuple):
    """How the GANs of one data set are trained.

    Attributes:
        source: of the data.
        size: of the images.
        n_dis: the discriminator's steps before one of the generator.
        steps: of the generator.
        schedule: of the learning rate.
    """

    source: str
    size: int
    n_dis: int
    steps: int
    schedule: Literal["none", "linear"]


RECIPES = {
    "cifar10": Recipe("tfds:cifar10", 32, 5, 100_000, "linear"),
    "cifar100": Recipe("tfds:cifar100", 32, 5, 100_000, "linear"),
    "imagenet32": Recipe("tfds:imagenet_resized/32x32", 32, 5, 100_000, "linear"),
    "stl10": Recipe("tfds:stl10:unlabelled", 48, 5, 100_000, "linear"),
    "celeba64": Recipe("tfds:celeb_a", 64, 5, 100_000, "linear"),
    "celeba128": Recipe("tfds:celeb_a", 128, 2, 100_000, "none"),
    "lsun128": Recipe("tfds:lsun/bedroom", 128, 2, 100_000, "linear"),
    "imagenet128": Recipe("tfds:imagenet2012", 128, 5, 450_000, "none"),
}

# By data and method: FID with its deviation over three evaluations of one model, KID, inception
# score, with 50,000 real and 50,000 generated images.
TABLE = """
cifar10     sngan       16.77 0.04 0.0125  7.97
cifar10     ssgan       14.65 0.04 0.0101  8.17
cifar10     infomax-gan 15.12 0.10 0.0112  8.08
cifar10     cgan-pd     10.84 0.03 0.0070  8.25
cifar10     wgan-gp     22.29 0.06 0.0204  7.33
cifar100    sngan       22.61 0.06 0.0156  7.57
cifar100    ssgan       22.18 0.10 0.0161  7.56
cifar100    infomax-gan 18.94 0.13 0.0135  7.86
cifar100    cgan-pd     14.16 0.01 0.0085  8.92
imagenet32  sngan       23.04 0.06 0.0157  8.97
imagenet32  ssgan       21.79 0.09 0.0152  9.11
imagenet32  infomax-gan 20.68 0.02 0.0149  9.04
imagenet32  cgan-pd     21.17 0.05 0.0145  9.08
stl10       sngan       39.56 0.10 0.0369  8.04
stl10       ssgan       37.06 0.19 0.0332  8.25
stl10       infomax-gan 35.52 0.10 0.0326  8.54
stl10       wgan-gp     43.01 0.19 0.0440  8.55
celeba64    sngan        5.71 0.02 0.0033  2.68
celeba64    ssgan        6.03 0.04 0.0036  2.67
celeba64    infomax-gan  5.71 0.06 0.0033  2.68
celeba128   sngan       12.93 0.04 0.0076  2.72
celeba128   ssgan       15.18 0.10 0.0101  2.63
celeba128   infomax-gan  9.50 0.04 0.0063  2.84
lsun128     sngan       25.87 0.03 0.0141  2.30
lsun128     ssgan       12.02 0.07 0.0077  2.12
lsun128     infomax-gan 12.13 0.16 0.0080  2.22
imagenet128 sngan       65.74 0.31 0.0663 13.05
imagenet128 ssgan       62.48 0.31 0.0616 13.30
imagenet128 infomax-gan 58.91 0.14 0.0579 13.68
"""
PUBLISHED = {
    (name, method): tuple(map(float, scores))
    for name, method, *scores in map(str.split, TABLE.strip().splitlines())
}


@dataclass(frozen=True)
class Published:
    """Which recipes are run, and how the GANs are measured.

    Attributes:
        recipes: keys of `RECIPES`.
        methods: of each.
        seeds: of training.
        inception: file with the FID Inception weights; needed as soon as there are recipes.
        images: real and generated ones that are compared.
        draws: of generated images of one model.
        steps: instead of the recipe's, for a try; 0 for those.
    """

    recipes: tuple[str, ...] = tuple(RECIPES)
    methods: tuple[str, ...] = METHODS
    seeds: tuple[int, ...] = (0,)
    inception: Path | None = None
    images: int = 50_000
    draws: int = 3
    steps: int = 0


def recipe_config(name: str, method: str, seed: int) -> GanConfig:
    """The GAN of a recipe.

    Raises:
        ValueError: for an unknown recipe.
    """
    if name not in RECIPES:
        raise ValueError(f"unknown recipe {name!r}; recipes are {', '.join(RECIPES)}")
    recipe = RECIPES[name]
    return GanConfig(
        method=method,
        data=recipe.source,
        size=recipe.size,
        n_dis=recipe.n_dis,
        schedule=recipe.schedule,
        decay_steps=recipe.steps if recipe.schedule == "linear" else None,
        batch_size=64,
        latent=128,
        architecture="resgan",
        seed=seed,
    )


def reproduce(config: Published, out: Path) -> list[dict[str, Any]]:
    """Train and measure the recipes' GANs, in run folders `out/published/RECIPE-METHOD-seedN`.

    Raises:
        ValueError: without Inception weights, before anything is trained.
    """
    runs = {
        (name, method, seed): (
            recipe_config(name, method, seed),
            config.steps or RECIPES[name].steps,
        )
        for name in config.recipes
        for method in config.methods
        for seed in config.seeds
    }
    return train_and_measure(
        runs, out, inception=config.inception, images=config.images, draws=config.draws
    )


def train_and_measure(
    runs: Mapping[tuple[str, str, int], tuple[GanConfig, int]],
    out: Path,
    *,
    inception: Path | None,
    images: int,
    draws: int,
    real: str | None = None,
) -> list[dict[str, Any]]:
    """Train GANs in run folders `out/published/RECIPE-METHOD-seedN`; FID, KID, inception score.

    Args:
        runs: (recipe, method, seed) -> the GAN and its steps.
        out: of the run folders.
        inception: file with the FID Inception weights.
        images: real training and generated ones that are compared.
        draws: of generated images of one model.
        real: source of the real images; by default that which the GAN was trained on.

    Raises:
        ValueError: without Inception weights, before anything is trained.
    """
    if inception is None:
        from gan_forensics.quality.inception import HOW_TO_GET

        how = HOW_TO_GET.replace("--weights", "--published.inception")
        raise ValueError(f"FID, KID and inception score need weights: {how}")
    extractor = inception_features(inception)
    rows = []
    with tempfile.TemporaryDirectory(prefix="features_") as cache:
        for (name, method, seed), (gan, steps) in runs.items():
            run = out / "published" / f"{name}-{method}-seed{seed}"
            every, often = min(5000, steps), min(50, steps)
            cadence = Cadence(steps, log_every=often, checkpoint_every=every, sample_every=every)
            trained = train_gan(gan, run, cadence, resume=True)
            made = [generate(*trained, images, seed=draw) for draw in range(draws)]
            source = open_source(real or gan.data, size=gan.size, split="train")
            chosen = np.random.default_rng(0).permutation(len(source))[:images]
            others = take(source, np.sort(chosen))["image"]
            scores = evaluate_images(
                others, made, extractor, metrics=("fid", "kid", "is"), cache=cache
            )
            rows += [
                {"recipe": name, "method": method, "seed": seed, "steps": steps, **score.to_dict()}
                for score in scores
            ]
            write_samples(out / "samples", {run.name: made[0][:40]}, columns=10)
    return rows


def published_section(rows: Sequence[Mapping[str, Any]]) -> Section:
    """Recipes and published numbers, with ours beside them where they were measured."""
    return Section("Published recipes and numbers", [_preface(rows), recipe_table(), beside(rows)])


def recipe_table() -> Table:
    """The recipes."""
    return Table(
        "Recipes. Adam 2e-4 (0, 0.9), batches of 64, noise of length 128, published widths",
        ["data", "source", "size", "n_dis", "generator steps", "learning rate"],
        [
            [name, r.source, r.size, r.n_dis, r.steps, "to 0" if r.schedule == "linear" else "fix"]
            for name, r in RECIPES.items()
        ],
    )


def beside(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Published FID, KID and inception score, and ours: means over training seeds."""
    ours: dict[tuple[str, str, str], list[float]] = {}
    for row in rows:
        metric = {"FID": "FID", "KID": "KID"}.get(row["name"], "IS")
        ours.setdefault((row["recipe"], row["method"], metric), []).append(row["value"])
    lines = []
    for (recipe, method), (value, spread, kid, score) in PUBLISHED.items():
        theirs = (f"{value:.2f} ± {spread:.2f}", f"{kid:.4f}", f"{score:.2f}")
        line: list[Any] = [recipe, method]
        for metric, published in zip(("FID", "KID", "IS"), theirs, strict=True):
            values = ours.get((recipe, method, metric))
            line += [published, float(np.mean(values)) if values else None]
        lines.append(line)
    return Table(
        "Published (50,000 real and generated images; ± over three evaluations of one model, not "
        "over trainings) and ours",
        ["data", "method", "FID", "FID, ours", "KID", "KID, ours", "IS", "IS, ours"],
        lines,
    )


def _preface(rows: Sequence[Mapping[str, Any]]) -> str:
    run = "" if rows else " None of these has been run here: the columns of ours are empty."
    return (
        "InfoMax-GAN, SSGAN and SNGAN as published with mimicry. InfoMax-GAN has the best FID of "
        f"the three on five of the eight, shares the best on one; SSGAN on two.{run}\n\n"
        "Known differences of ours: of CelebA the train split is used and of STL-10 three quarters "
        "of the unlabelled images (mimicry: all of either); ImageNet at 128 is cropped to the "
        "shorter side before resizing (mimicry crops 224 pixels without resizing first); generated "
        "images are quantised by (x + 1) 127.5 (mimicry stretches the range of each set); the "
        "generator is in evaluation mode for every metric; the last, incomplete batch of an epoch "
        "is left out."
    )
