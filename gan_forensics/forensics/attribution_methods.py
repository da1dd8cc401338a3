"""The methods of attribution, one row each: how they are fitted, and read from a file again."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from gan_forensics.forensics import attribution_networks
from gan_forensics.forensics.attribution_model import Model
from gan_forensics.forensics.attribution_training import train_network


class Method(NamedTuple):
    """A row of `METHODS`.

    Attributes:
        fit: (labelled training images, (validation images, labels), config, names=, real=, side=,
            run=, resume=, facts=, progress=) -> model.
        assemble: (settings, arrays, classes=, real=) -> model, or a ValueError in one line.
        reads: settings of `AttributionConfig` that it has and not all methods do.
        folder: whether training fills a run folder, from which it can go on.
    """

    fit: Callable[..., Model]
    assemble: Callable[..., Model]
    reads: tuple[str, ...] = ()
    folder: bool = False


_TRAINED = ("epochs", "batch_size", "learning_rate", "flip", "crop_from")
_RESIDUAL = (*_TRAINED, "arch", "width", "weights", "optimizer")
_MIXED = ("mixed", "level", "mix_concentration", "compound")


def _network(*reads: str) -> Method:
    return Method(train_network, attribution_networks.assemble, reads, folder=True)


METHODS: dict[str, Method] = {
    "repmix": _network(*_RESIDUAL, *_MIXED),
    "resnet": _network(*_RESIDUAL),
}


def assemble(
    method: str, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray], **sources: Any
) -> Model:
    """The model of a method from what a file holds (see `Method.assemble`)."""
    return METHODS[method].assemble(settings, arrays, **sources)
