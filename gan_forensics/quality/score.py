"""What a metric returns, and the checks that all metrics make of the features they are given."""

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Float64

# What features are called when the caller does not say where they come from.
UNNAMED = "unnamed features"


@dataclass(frozen=True)
class Score:
    """A number, and all that it needs to be compared with another.

    Attributes:
        name: of the metric.
        value: of the metric; NaN where it says nothing.
        spread: of the value; what over, `protocol` tells. None where it was computed once.
        counts: how many examples it saw, such as {"real": 5000, "fake": 5000}.
        features: what the examples were described by.
        seed: of its random choices; None where it makes none.
        protocol: settings, and further numbers such as a standard error.
        warning: what to mind when reading the value; empty for nothing.

    Example:
        >>> score = Score("KID", 0.012, 0.001, {"real": 500, "fake": 500}, "inception")
        >>> score.name, score.value, score.counts["fake"]
        ('KID', 0.012, 500)
    """

    name: str
    value: float
    spread: float | None
    counts: dict[str, int]
    features: str = UNNAMED
    seed: int | None = None
    protocol: dict[str, Any] = field(default_factory=dict)
    warning: str = ""

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        spread = "" if self.spread is None else f" ± {self.spread:.3g}"
        counts = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        mind = ", see its warning" if self.warning else ""
        return f"Score({self.name}: {self.value:.5g}{spread}; {counts}{mind})"

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON values."""
        return asdict(self)


def check_features(values: Float[Any, "n d"], what: str) -> Float64[np.ndarray, "n d"]:
    """Features as float64 [n, d].

    Raises:
        ValueError: for another rank, no rows, or the first value that is not finite (its place is
            named).
    """
    array = np.asarray(values)
    if array.ndim != 2 or 0 in array.shape or array.dtype.kind not in "fiu":
        raise ValueError(
            f"{what} must be numbers [n, d] with at least one row, got {array.dtype} "
            f"{list(array.shape)}: extract them with gan_forensics.quality.extract"
        )
    array = array.astype(np.float64, copy=False)
    finite = np.isfinite(array)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        bad = int((~finite.all(1)).sum())
        raise ValueError(
            f"{what} hold {array[row, column]} at row {row}, column {column} ({bad} of "
            f"{len(array)} rows are not finite): look at that image and at the feature network"
        )
    return array


def check_pair(real, fake) -> tuple[Float64[np.ndarray, "n d"], Float64[np.ndarray, "m d"]]:
    """Both feature sets as float64, refused unless they have equally many columns."""
    real, fake = check_features(real, "real features"), check_features(fake, "fake features")
    if real.shape[1] != fake.shape[1]:
        raise ValueError(
            f"real features {list(real.shape)} and fake features {list(fake.shape)} differ in "
            "length: both must come from one feature network"
        )
    return real, fake
