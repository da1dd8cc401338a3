"""Fashion-MNIST: a small student of a small CNN, from few images and from many."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.data import ArraySource, open_source
from gan_forensics.data.images import to_float
from gan_forensics.distill import make_classifier
from gan_forensics.studies.distillation import Grid, follow_grid
from gan_forensics.studies.distillation_fit import (
    Classifier,
    Examples,
    Recipe,
    Selection,
    Task,
)

FASHION = "/usr/share/datasets/fashion-mnist"  # of Debian's package dataset-fashion-mnist
CLASSES = 10
# T-shirt, pullover, dress, coat, shirt; pictures of pullover, shirt, and ankle boot.
SIMILAR, TRIO = (0, 2, 3, 4, 6), (2, 6, 9)
# Of MNIST-5k, which stands in: 4, 7, 9; pictures of 4, 9, and 0.
DIGITS, DIGITS_TRIO = (4, 7, 9), (4, 9, 0)


@dataclass(frozen=True)
class Fashion:
    """How Fashion-MNIST is learnt.

    Attributes:
        data: folder of its IDX files; where it is absent, MNIST-5k stands in.
        images: sizes of the training part.
        validation: images that choose epochs and temperatures, of the train split too.
        seeds: of images, networks and order.
        size: of the images' sides, in pixels.
        teacher: width of the teachers' first layer.
        student: of the students'.
        steps: of every network.
        batch_size: images a minibatch.
        learning_rate: at the start.
        alpha: smoothing.
        temperatures: of distillation, with 1 among them.
        select: which accuracies are reported.
    """

    data: Path = Path(FASHION)
    images: tuple[int, ...] = (1000, 10_000)
    validation: int = 2000
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    size: int = 14
    teacher: int = 16
    student: int = 8
    steps: int = 3000
    batch_size: int = 64
    learning_rate: float = 0.05
    alpha: float = 0.1
    temperatures: tuple[float, ...] = (1, 2, 3, 64)
    select: tuple[Selection, ...] = ("last", "validation")


def source_of(settings: Fashion) -> tuple[str, str]:
    """The name of the source, and what is to be said where it stands in for another."""
    if settings.data.exists():
        return f"idx:{settings.data}", ""
    return "samples:mnist5k", (
        f"{settings.data} is absent (Debian: dataset-fashion-mnist): MNIST-5k stands in."
    )


@cache
def _part(name: str, size: int, split: str) -> Examples:
    source = open_source(name, size=size, split=split)
    assert isinstance(source, ArraySource)
    return Examples(to_float(source.arrays["image"]), source.arrays["label"].astype(int))


def drawn_images(settings: Fashion, images: int, seed: int) -> Task:
    """The task of a seed: its own training and validation images, and the whole test split."""
    name, _ = source_of(settings)
    whole, test = (_part(name, settings.size, split) for split in ("train", "test"))
    rows = np.random.default_rng((seed, 2022)).permutation(len(whole.label))
    parts = {"train": rows[:images], "validation": rows[len(rows) - settings.validation :]}
    drawn = {name: Examples(whole.image[some], whole.label[some]) for name, some in parts.items()}
    return Task(**drawn, test=test, classes=CLASSES)


def sizes_of(settings: Fashion) -> list[int]:
    """The numbers of training images that the source has beside the validation part.

    Raises:
        ValueError: when it has none of them.
    """
    name, _ = source_of(settings)
    have = len(_part(name, settings.size, "train").label) - settings.validation
    if not (sizes := [n for n in settings.images if n <= have]):
        raise ValueError(
            f"{name} has {have} images beside {settings.validation} for validation: ask for fewer "
            f"than {min(settings.images, default=0)}"
        )
    return sizes


def _small_cnn(width: int) -> Classifier:
    network, trunk = (make_classifier("small_cnn", k, width=width) for k in (CLASSES, None))
    return Classifier(network, trunk)


def followed_fashion(settings: Fashion, images: int, seed: int) -> dict[str, Any]:
    """The grid of a seed and a number of training images."""
    recipe = Recipe(
        settings.steps, batch_size=settings.batch_size, learning_rate=settings.learning_rate
    )
    digits = source_of(settings)[1]
    return follow_grid(
        Grid(
            (DIGITS if digits else SIMILAR,),
            DIGITS_TRIO if digits else TRIO,
            settings.alpha,
            settings.temperatures,
            select=settings.select,
        ),
        drawn_images(settings, images, seed),
        teacher=(_small_cnn(settings.teacher), recipe),
        student=(_small_cnn(settings.student), recipe),
        seed=seed,
        batched=False,
        pictures=seed == settings.seeds[0],
    )
