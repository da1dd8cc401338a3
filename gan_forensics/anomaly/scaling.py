"""Bringing the columns of a table to one scale and back, by the training rows alone."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

Scale = Literal["minmax", "standard", "none"]


@dataclass(frozen=True, eq=False)
class Scaler:
    """(x - shift) / size, column by column.

    Attributes:
        shift: [d].
        size: [d]; 1 for constant columns, which therefore become 0 and come back as they were.
        within: least and largest values [2, d] that come back; None for any.
    """

    shift: Float[np.ndarray, " d"]
    size: Float[np.ndarray, " d"]
    within: Float[np.ndarray, "2 d"] | None = None

    def __call__(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Rows in units of the training rows; those of others may leave the unit cube."""
        return (np.asarray(x, np.float64) - self.shift) / self.size

    def undo(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n d"]:
        """Rows back in their own units, what lies beyond `within` at its ends.

        Those are observed values; mirrored at them, no new row would have one of a column whose
        rows mostly lie there, such as amounts of which most are 0.
        """
        rows = np.asarray(x, np.float64) * self.size + self.shift
        return rows if self.within is None else np.clip(rows, *self.within)


def fit_scaler(x: Float[np.ndarray, "n d"], *, scale: Scale = "minmax") -> Scaler:
    """Measure training rows.

    Args:
        x: training rows.
        scale: "minmax" onto [0, 1] and back into the range of the training rows, "standard" to
            mean 0 and deviation 1, or "none".
    """
    x = np.asarray(x, np.float64)
    if scale == "minmax":
        # Halved first: the difference of two large numbers of opposite sign may overflow.
        shift, size = x.min(0), 2 * (x.max(0) / 2 - x.min(0) / 2)
    elif scale == "standard":
        shift, size = x.mean(0), x.std(0)
    elif scale == "none":
        shift, size = np.zeros(x.shape[1]), np.ones(x.shape[1])
    else:
        raise ValueError(f"unknown scale {scale!r}: minmax, standard or none")
    if not (np.isfinite(shift).all() and np.isfinite(size).all()):
        raise ValueError("the columns' ranges overflow: bring the table to smaller units")
    constant = constant_columns(x)
    return Scaler(
        np.where(constant, x[0], shift),
        np.where(constant | (size == 0), 1.0, size),
        np.stack([x.min(0), x.max(0)]) if scale == "minmax" else None,
    )


def constant_columns(x: Float[np.ndarray, "n d"]) -> np.ndarray:
    """Which columns [d] hold one value only."""
    return (x == x[:1]).all(0)
