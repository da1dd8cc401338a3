"""Rows that are there more than once: what they are, for statistics of neighbours.

The nearest rows of one that is there often are its own copies, at distance 0: densities become
infinite, and what lies between two neighbours is a copy again.
"""

from hashlib import blake2b
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Shaped


class Copies(NamedTuple):
    """Which rows of a table are alike.

    Attributes:
        first: where each distinct row stands first, ascending, [m].
        of: which distinct row each row is, [n].
        counts: how often each distinct row is there, [m].
    """

    first: Int[np.ndarray, " m"]
    of: Int[np.ndarray, " n"]
    counts: Int[np.ndarray, " m"]

    @property
    def repeated(self) -> int:
        """Rows that have stood before."""
        return len(self.of) - len(self.first)


def copies(rows: Shaped[np.ndarray, "n ..."]) -> Copies:
    """Find rows that hold the same numbers, bit for bit (but 0 is -0).

    Example:
        >>> found = copies(np.array([[2.0], [1.0], [2.0], [2.0]]))
        >>> found.first, found.of, found.counts, found.repeated
        (array([0, 1]), array([0, 1, 0, 0]), array([3, 1]), 2)
    """
    rows = np.asarray(rows)
    if rows.size == 0:
        empty = np.zeros(0, np.int64)
        return Copies(empty, empty, empty)
    # Digests, so that wide tables are not copied. Adding nothing makes -0 a 0.
    zero = rows.dtype.type(0)
    digests = [blake2b((row + zero).tobytes(), digest_size=16).digest() for row in rows]
    _, first, of, counts = np.unique(
        np.array(digests, "V16"), return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return Copies(first[order], place[of.ravel()], counts[order])


def copies_said(found: Copies, what: str) -> str:
    """The count of rows that repeat others as the first half of a sentence."""
    verb = "repeats" if found.repeated == 1 else "repeat"
    return f"{found.repeated} of {len(found.of)} {what} {verb} another"
