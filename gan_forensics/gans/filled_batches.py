"""Arrays a few rows at a time, all times as many, so that what runs on them is compiled once."""

from collections.abc import Iterator

import numpy as np


def filled_batches(*arrays: np.ndarray, size: int) -> Iterator[tuple]:
    """Where the rows of a batch stand, then that batch of each array [n, ...].

    A last batch that is not full is filled up with its first row, whose results are to be dropped.

    Args:
        arrays: of one length.
        size: rows of every batch.

    Example:
        >>> [(rows.start, batch.tolist()) for rows, batch in filled_batches(np.arange(3), size=2)]
        [(0, [0, 1]), (2, [2, 2])]
    """
    for first in range(0, len(arrays[0]), size):
        rows = slice(first, min(first + size, len(arrays[0])))
        missing = first + size - rows.stop
        filled = (np.concatenate([a[rows], np.repeat(a[rows][:1], missing, 0)]) for a in arrays)
        yield rows, *filled
