"""Twenty groups of five classes, and perceptrons: the toy on which the effect was seen.

A class is a group's centre plus an offset, a sample a class plus noise, in 32 dimensions; the input
is the sample and tanh of a random rotation of twice the sample. Drawn anew for every seed.
"""

import math
from dataclasses import dataclass
from typing import Any

import flax.linen as nn
import numpy as np
from jaxtyping import Array, Float

from gan_forensics.studies.distillation import Grid, follow_grid
from gan_forensics.studies.distillation_fit import Classifier, Examples, Recipe, Selection, Task

DIMENSIONS, GROUPS, SIBLINGS = 32, 20, 5
CLASSES = GROUPS * SIBLINGS
# Of centres, offsets and noise, in units of 2 / sqrt(dimensions).
SCALES = (2.2, 0.6, 1.0)
# Samples of a class that train, choose and test.
PER_CLASS = {"train": 40, "validation": 20, "test": 20}
HIERARCHY = tuple(tuple(range(k, k + SIBLINGS)) for k in range(0, CLASSES, SIBLINGS))
# Two siblings and a class of another group.
TOY_TRIO = (0, 1, 5)


class Perceptron(nn.Module):
    """Dense layers with ReLU, then a linear one unless there are no classes."""

    classes: int | None
    hidden: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Float[Array, "b d"], *, train: bool) -> Float[Array, "b k"]:
        """Score vectors; `train` changes nothing."""
        for width in self.hidden:
            x = nn.relu(nn.Dense(width)(x))
        return x if self.classes is None else nn.Dense(self.classes, name="fc")(x)


@dataclass(frozen=True)
class Toy:
    """How the toy is trained.

    Attributes:
        seeds: of data, networks and order; the interval is over them.
        teacher: widths of its hidden layers.
        student: of the student's.
        teacher_epochs: of teachers.
        student_epochs: of students.
        batch_size: samples a minibatch.
        learning_rate: at the start.
        alpha: smoothing.
        temperatures: of distillation, with 1 among them.
        select: which accuracies are reported.
    """

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    teacher: tuple[int, ...] = (256, 256)
    student: tuple[int, ...] = (64,)
    teacher_epochs: int = 30
    student_epochs: int = 40
    batch_size: int = 128
    learning_rate: float = 0.05
    alpha: float = 0.1
    temperatures: tuple[float, ...] = (1, 2, 3, 64)
    select: tuple[Selection, ...] = ("last", "validation")


def perceptron(hidden: tuple[int, ...]) -> Classifier:
    """A classifier of the toy's classes."""
    return Classifier(Perceptron(CLASSES, hidden), Perceptron(None, hidden))


def toy_recipe(settings: Toy, epochs: int) -> Recipe:
    """So many epochs of whole minibatches, with ten looks or one an epoch."""
    per_epoch = CLASSES * PER_CLASS["train"] // settings.batch_size
    return Recipe(
        epochs * per_epoch,
        looks=math.gcd(epochs, 10),
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
    )


def drawn(seed: int) -> Task:
    """The task of a seed."""
    rng = np.random.default_rng((seed, 2022))
    group, offset, noise = (2 * scale / math.sqrt(DIMENSIONS) for scale in SCALES)
    centres = group * rng.normal(size=(GROUPS, 1, DIMENSIONS))
    classes = (centres + offset * rng.normal(size=(GROUPS, SIBLINGS, DIMENSIONS))).reshape(
        CLASSES, DIMENSIONS
    )
    turn = rng.normal(size=(DIMENSIONS, DIMENSIONS)) / math.sqrt(DIMENSIONS)
    parts = {}
    for name, count in PER_CLASS.items():
        label = np.repeat(np.arange(CLASSES), count)
        z = classes[label] + noise * rng.normal(size=(len(label), DIMENSIONS))
        x = np.concatenate([z, np.tanh(2 * z @ turn)], 1).astype(np.float32)
        parts[name] = Examples(x, label)
    return Task(**parts, classes=CLASSES)


def followed_toy(settings: Toy, seed: int) -> dict[str, Any]:
    """The toy's grid of a seed."""
    return follow_grid(
        Grid(HIERARCHY, TOY_TRIO, settings.alpha, settings.temperatures, select=settings.select),
        drawn(seed),
        teacher=(perceptron(settings.teacher), toy_recipe(settings, settings.teacher_epochs)),
        student=(perceptron(settings.student), toy_recipe(settings, settings.student_epochs)),
        seed=seed,
        batched=True,
        pictures=seed == settings.seeds[0],
    )
