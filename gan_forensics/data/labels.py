"""The labels of all examples of a source, without decoding images where that can be."""

import numpy as np
from jaxtyping import Int

from gan_forensics.data.sources import Source, chunks

_AT_ONCE = 256


def known_labels(source: Source) -> Int[np.ndarray, " n"] | None:
    """Labels that are known without reading the examples; None where they are not."""
    if "label" in (arrays := getattr(source, "arrays", {})):
        return np.asarray(arrays["label"])
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
