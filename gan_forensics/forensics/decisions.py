"""Decision functions of fitted classifiers, written out on plain arrays.

A fitted classifier is a kind and a few arrays, nothing that would need unpickling. Scores rise
with the evidence that an image was *generated*; `boundary` is where the classifier itself decides.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64

from gan_forensics.files import shown

Features = Float64[np.ndarray, "n d"]
Scores = Float64[np.ndarray, " n"]


def neighbours(x: Features, *, points, generated, k) -> Scores:
    """Share of generated images among the k nearest training points, in [0, 1]."""
    from scipy.spatial import KDTree

    count = int(k)
    _, index = KDTree(points).query(x, k=count)
    return generated[index.reshape(len(x), count)].mean(axis=1)


def linear(x: Features, *, weights, intercept) -> Scores:
    """`<w, x> + b`: a linear support vector machine, or the logit of a logistic regression."""
    return x @ weights + intercept


def rbf(x: Features, *, support, dual, intercept, gamma) -> Scores:
    """`sum_i a_i exp(-gamma |x - s_i|^2) + b` with the signed dual coefficients a."""
    from scipy.spatial.distance import cdist

    return np.exp(-gamma * cdist(x, support, "sqeuclidean")) @ dual + intercept


def poly(x: Features, *, support, dual, intercept, gamma, degree) -> Scores:
    """`sum_i a_i (gamma <x, s_i>)^degree + b` with the signed dual coefficients a."""
    return (gamma * (x @ support.T)) ** degree @ dual + intercept


def mlp(x: Features, *, weights_0, biases_0, weights_1, biases_1, weights_2, biases_2) -> Scores:
    """Logit of a perceptron with two hidden layers of logistic units."""
    from scipy.special import expit

    hidden = expit(x @ weights_0 + biases_0)
    hidden = expit(hidden @ weights_1 + biases_1)
    return (hidden @ weights_2 + biases_2)[:, 0]


@dataclass(frozen=True)
class Kind:
    """A decision function, the axes of its arrays (letters are sizes), and its boundary."""

    decide: Callable[..., Scores]
    axes: Mapping[str, str]
    boundary: float = 0.0


_SUPPORT = {"support": "m d", "dual": "m", "intercept": "", "gamma": ""}
KINDS: dict[str, Kind] = {
    "neighbours": Kind(neighbours, {"points": "m d", "generated": "m", "k": ""}, 0.5),
    "linear": Kind(linear, {"weights": "d", "intercept": ""}),
    "rbf": Kind(rbf, _SUPPORT),
    "poly": Kind(poly, {**_SUPPORT, "degree": ""}),
    "mlp": Kind(mlp, {
        "weights_0": "d a", "biases_0": "a", "weights_1": "a b", "biases_1": "b",
        "weights_2": "b 1", "biases_2": "1",
    }),
}  # fmt: skip


def check_arrays(kind: str, given: Mapping[str, np.ndarray]) -> dict[str, int]:
    """Refuse arrays whose names, shapes and types are not those of a kind; their sizes by letter.

    Raises:
        ValueError: naming the array.
    """
    if kind not in KINDS:
        raise ValueError(f"unknown kind {shown(kind)!r}: known are {', '.join(sorted(KINDS))}")
    wanted = {"mean": "d", "scale": "d", **KINDS[kind].axes}
    if wanted.keys() != given.keys():
        raise ValueError(
            f"a classifier of kind {kind!r} has the arrays {sorted(wanted)}, got "
            f"{shown(sorted(given))}"
        )
    sizes = {"1": 1}
    for name, axes in ((name, axes.split()) for name, axes in wanted.items()):
        array = given[name]
        if array.dtype != np.float64:
            raise ValueError(f"array {name!r} must be float64, got {array.dtype}")
        shape = [sizes.setdefault(a, n) for a, n in zip(axes, array.shape, strict=False)]
        if len(axes) != array.ndim or list(array.shape) != shape:
            expected = [sizes.get(axis, axis) for axis in axes]
            raise ValueError(f"array {name!r} has shape {list(array.shape)}, expected {expected}")
    return sizes


@dataclass(frozen=True, eq=False)
class Classifier:
    """A fitted two-class classifier: standardise, then decide.

    Attributes:
        kind: a key of `KINDS`.
        mean: [d], subtracted from the features (zeros where nothing is standardised).
        scale: [d], then divided by (ones where nothing is standardised).
        arrays: what the kind's decision function takes.

    Raises:
        ValueError: when the arrays are not those of the kind, do not fit together, or are not
            finite.
    """

    kind: str
    mean: Float64[np.ndarray, " d"] = field(repr=False)
    scale: Float64[np.ndarray, " d"] = field(repr=False)
    arrays: Mapping[str, np.ndarray] = field(repr=False)

    def __post_init__(self):
        given = {"mean": self.mean, "scale": self.scale, **self.arrays}
        sizes = check_arrays(self.kind, given)
        for name, array in given.items():
            if array.size == 0 or not np.isfinite(array).all():
                raise ValueError(f"array {name!r} is empty or holds values that are not finite")
        if not (self.scale > 0).all():
            raise ValueError("scale must be positive throughout")
        if self.kind == "neighbours" and not 1 <= self.arrays["k"] <= sizes["m"]:
            raise ValueError(f"k = {self.arrays['k']} does not fit {sizes['m']} training points")

    @property
    def boundary(self) -> float:
        """The score above which the classifier says "generated"."""
        return KINDS[self.kind].boundary

    def decide(self, features: Features) -> Scores:
        """Scores [n] of features [n, d]; NaN where a row of features is not finite.

        Flat images may have features that are finite: who scores images looks at `data.flat` too.

        Raises:
            ValueError: on features of another width than the training features.
        """
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise ValueError(
                f"features {list(features.shape)} do not fit a classifier of {len(self.mean)} "
                "values per image: compute them from images of the size it was fitted on"
            )
        scores = np.full(len(features), np.nan)
        known = np.isfinite(features).all(axis=1)
        if known.any():
            x = features[known].astype(np.float64, copy=False)  # a copy already, scaled in place
            x -= self.mean
            x /= self.scale
            scores[known] = KINDS[self.kind].decide(x, **self.arrays)
        return scores
