"""The methods of attribution, one row each: how they are fitted, and read from a file again."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gan_forensics.data import ArraySource, Source
from gan_forensics.data.sources import describe
from gan_forensics.forensics import attribution_networks, eigenface, prnu
from gan_forensics.forensics.attribution_model import Model
from gan_forensics.forensics.attribution_training import perturbation_of, train_network

if TYPE_CHECKING:
    from gan_forensics.forensics.attribution_config import AttributionConfig


class Method(NamedTuple):
    """A row of `METHODS`.

    Attributes:
        fit: ((training source, labels), (validation images, labels), config, names=, real=, side=,
            run=, resume=, facts=, progress=) -> model. Validation images are perturbed already.
        assemble: (settings, arrays, classes=, real=) -> model, or a ValueError in one line.
        check: (settings, heads of arrays, classes=) -> None, or a ValueError before these are
            read.
        reads: settings of `AttributionConfig` that it has and not all methods do.
        folder: whether training fills a run folder, from which it can go on.
    """

    fit: Callable[..., Model]
    assemble: Callable[..., Model]
    check: Callable[..., None] = lambda settings, heads, *, classes: None
    reads: tuple[str, ...] = ()
    folder: bool = False

    def read_settings(self, config: "AttributionConfig") -> dict[str, Any]:
        """The settings that it reads, JSON-able."""
        given = asdict(config)
        return {name: value for name, value in given.items() if name in (*EVERY, *self.reads)}


# Settings of all methods.
EVERY = ("method", "perturbations", "perturb_probability", "frost_textures", "seed")

_TRAINED = ("epochs", "batch_size", "learning_rate", "flip", "crop_from")
_RESIDUAL = (*_TRAINED, "arch", "width", "weights", "optimizer")
_MIXED = ("mixed", "level", "mix_concentration", "compound")


def _network(*reads: str) -> Method:
    assemble, check = attribution_networks.assemble, attribution_networks.check
    return Method(train_network, assemble, check, reads, folder=True)


def _classical(
    fit: Callable[..., Model], assemble: Callable[..., Model], *, seeded: bool = True
) -> Method:
    """A method that is fitted in one go, on images each perturbed once."""

    def fitted(train, validation, config, *, names, **others: Any) -> Model:
        source, labels = train
        return fit(
            Perturbed(source, config), labels, ArraySource(image=validation[0]), validation[1],
            classes=len(names), **({"seed": config.seed} if seeded else {}),
        )  # fmt: skip

    def read(settings, arrays, *, classes: int, real: int) -> Model:
        return assemble(settings, arrays, classes)

    return Method(fitted, read)


class Perturbed:
    """A source each of whose images went through the perturbation of training, always the same."""

    def __init__(self, source: Source, config: Any):
        self.source, self.seed = source, config.seed
        self.perturbation = perturbation_of(config)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        example = self.source[index]
        if self.perturbation is None:
            return example
        rng = np.random.default_rng((self.seed, 13, int(index)))
        return {**example, "image": self.perturbation(example["image"], rng)}

    def describe(self, index: int) -> str:
        """Name the example as the source does."""
        return describe(self.source, index)


METHODS: dict[str, Method] = {
    "repmix": _network(*_RESIDUAL, *_MIXED),
    "resnet": _network(*_RESIDUAL),
    "yu": _network(*_TRAINED, "width"),
    "dct-cnn": _network(*_TRAINED),
    "reverse-engineering": _network(*_TRAINED, "width"),
    "prnu": _classical(prnu.fit_prnu, prnu.assemble, seeded=False),
    "eigenface": _classical(eigenface.fit_eigenface, eigenface.assemble),
    "eigenface-dct": _classical(partial(eigenface.fit_eigenface, input="dct"), eigenface.assemble),
    "neighbours": _classical(eigenface.fit_neighbours, eigenface.assemble),
}
