"""One set, one score: an order of examples that does not depend on how they were stored.

A score that cuts its examples into splits, or draws subsets of them, would take other ones from a
folder that is sorted by class than from the same images shuffled.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float, Int

# "content": whatever the order given, the same; "given": the rows as they come, for parity with
# published code.
Order = Literal["content", "given"]


def in_order(rows: Float[np.ndarray, "n d"], order: Order) -> Float[np.ndarray, "n d"]:
    """Rows in the order of their content, or as they are given.

    Raises:
        ValueError: for an unknown order.
    """
    if order not in ("content", "given"):
        raise ValueError(f"unknown order {order!r}: choose 'content' or 'given'")
    return rows if order == "given" else rows[content_order(rows)]


def content_order(rows: Float[np.ndarray, "n d"]) -> Int[np.ndarray, " n"]:
    """Indices that sort rows by their first number, ties by the next ones.

    Rows that are alike keep their order, which nobody can tell. Negative numbers come after
    positive ones: what counts is that the order is always the same one.

    Example:
        >>> content_order(np.array([[2.0, 1.0], [1.0, 5.0], [1.0, 4.0]]))
        array([2, 1, 0])
    """
    # The most significant byte first, so that whole rows compare as bytes, at one go.
    big_endian = np.ascontiguousarray(rows, ">f8")
    return np.argsort(big_endian.view(f"V{big_endian[0].nbytes}")[:, 0], kind="stable")
