"""What every attributor is to the rest: uint8 images in, logits of the sources and features out."""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int, UInt8


class Outputs(NamedTuple):
    """What a model says of images: a row of logits and a row of features for each."""

    logits: Float[np.ndarray, "n classes"]
    features: Float[np.ndarray, "n d"]


class Model(Protocol):
    """A fitted attributor: plain settings and plain arrays, which a file needs to build it again.

    The module of each has `assemble(settings, arrays, classes)`, which checks them against each
    other (ValueError) and builds the model.
    """

    @property
    def settings(self) -> Mapping[str, Any]:
        """JSON-able."""
        ...

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """By name."""
        ...

    def outputs(self, images: UInt8[np.ndarray, "n h w 3"]) -> Outputs:
        """Logits and features of images of the size that the model was fitted on."""
        ...


def check_labels(labels, count: int, classes: int, what: str) -> Int[np.ndarray, " n"]:
    """Labels, if they are integers 0 to classes - 1, one for each image."""
    labels = np.asarray(labels)
    if labels.shape != (count,) or (count and not np.issubdtype(labels.dtype, np.integer)):
        raise ValueError(
            f"{count} {what} images need as many integer labels, got {labels.dtype} "
            f"{list(labels.shape)}"
        )
    if count and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(
            f"{what} labels go from {labels.min()} to {labels.max()}; of {classes} classes they "
            f"are 0 to {classes - 1}"
        )
    return labels


def check_training_labels(labels, count: int, classes: int) -> Int[np.ndarray, " n"]:
    """`check_labels` of training images, and that every class has some."""
    labels = check_labels(labels, count, classes, "training")
    if missing := sorted(set(range(classes)) - set(labels.tolist())):
        raise ValueError(f"no training images of class {missing[0]}: every class needs some")
    return labels
