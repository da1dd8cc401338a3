"""The labels of all examples of a source, without decoding images where that can be."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from gan_forensics.data.sources import Rows, Source, chunks
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
