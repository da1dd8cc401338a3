"""What every method of attribution fits: a model that gives logits and features of images.

Images are uint8 [n, h, w, 3] of the one size that the model was fitted on. C classes are sources,
the real one among them, in the order of the attributor's names.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int, UInt8

Images = UInt8[np.ndarray, "n h w 3"]


class Outputs(NamedTuple):
    """What a model says of images.

    Attributes:
        logits: of each source; softmax of them are its probabilities, before any temperature.
        features: what images are compared by: the embedding of a network, for instance.

    Example:
        >>> found = Outputs(logits=np.zeros((5, 3)), features=np.zeros((5, 16)))
        >>> found.logits.shape
        (5, 3)
    """

    logits: Float[np.ndarray, "n C"]
    features: Float[np.ndarray, "n d"]

    def rows(self, where: Any) -> "Outputs":
        """Those of some images, by indices or a mask."""
        return Outputs(self.logits[where], self.features[where])


class Model(Protocol):
    """A fitted model: what it computes, and what of it a file keeps."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """What it needs beside arrays, JSON-able."""
        ...

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """Its numbers."""
        ...

    def outputs(self, images: Images) -> Outputs:
        """Logits and features of images of its size."""
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
