"""The labels of all examples of a source, without decoding images where that can be."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from gan_forensics.data.sources import Rows, Source, check_classes, chunks, describe
from gan_forensics.files import listed

_AT_ONCE = 256


def known_labels(source: Source) -> Int[np.ndarray, " n"] | None:
    """Labels that are known without reading the examples; None where they are not."""
    if "label" in (arrays := getattr(source, "arrays", {})):
        return np.asarray(arrays["label"])
    if isinstance(source, Rows):
        of_all = known_labels(source.source)
        return None if of_all is None else of_all[source.rows]
    labels = getattr(source, "labels", None)
    return None if labels is None else np.asarray(labels)


def all_labels(source: Source) -> Int[np.ndarray, " n"]:
    """Labels of all examples, which are read where that is needed.

    Raises:
        ValueError: when it has none.
    """
    labels = known_labels(source)
    if labels is None and (read := getattr(source, "read_labels", None)):
        labels = read()
    if labels is not None:
        return labels
    if "label" not in source[0]:
        raise ValueError("the source has no labels")
    return np.concatenate([part["label"] for part in chunks(source, _AT_ONCE)])


class Labelled:
    """A source with labels that are given beside it.

    Args:
        source: without labels, or with others.
        labels: of each example, integers [n].

    Raises:
        ValueError: for labels of another number, or that are no integers.
    """

    def __init__(self, source: Source, labels: Sequence[int] | Int[np.ndarray, " n"]):
        array = np.asarray(labels)
        if array.shape != (len(source),) or array.dtype.kind not in "iu":
            raise ValueError(
                f"labels must be {len(source)} integers, one for each image, got {array.dtype} "
                f"{list(array.shape)}"
            )
        self.source, self.labels = source, check_classes(array, "labels")
        if take_many := getattr(source, "take", None):
            self.take = lambda rows: {**take_many(rows), "label": self.labels[rows]}

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {**self.source[index], "label": self.labels[index]}

    def describe(self, index: int) -> str:
        """Name the example as the source does."""
        return describe(self.source, index)


def without_images(missing: Sequence[int], count: int, names: Sequence[str]) -> str:
    """What to say of data that lack images of some classes among those that train."""
    which = listed([names[label] for label in missing]) if names else f"[{listed(missing)}]"
    mend = (
        "add images of each to what trains, or take these classes away"
        if names
        else "number the classes 0, 1, ... without gaps (folders that are whole numbers are their "
        "labels; names have no gaps)"
    )
    return f"has no training image of the classes {which} of {count}: {mend}"
