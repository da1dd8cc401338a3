"""EigenFace: principal components and a linear support vector machine, or nearest neighbours.

The classical attributors of Frank et al. (ICML 2020). Hyperparameters are those of the grid that
name most validation images, of equally good ones the first. The released k-NN measures distances
between the inputs themselves; here they are measured in the components of 95 % of the variance,
as the machine's are, since a file of all training images would be a hundred times larger.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Int64, UInt8

from gan_forensics.data import Source
from gan_forensics.forensics.attribution_model import Outputs, check_labels, check_training_labels
from gan_forensics.forensics.eigenspace import (
    SUBSET,
    Eigenspace,
    assemble_eigenspace,
    count_of,
    fit_eigenspace,
    source_coordinates,
)

SHARES = (0.25, 0.5, 0.75, 0.95)
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
NEIGHBOURS = (1, *(2**j + 1 for j in range(1, 11)))
SHARE_OF_NEIGHBOURS = 0.95
# Distances of a chunk of images to all training images.
CHUNK = 2**22
STEPS = 10_000


@dataclass(frozen=True, eq=False)
class EigenfaceModel:
    """A linear machine for each source against the rest, on coordinates of an eigenspace.

    Logits are the machines' decision values, features the coordinates.
    """

    space: Eigenspace
    weights: Float32[np.ndarray, "classes r"]
    intercept: Float32[np.ndarray, " classes"]
    chosen: Mapping[str, float]

    @property
    def settings(self) -> Mapping[str, Any]:
        """What is analysed, and what was chosen."""
        return _settings("svm", self.space, self.chosen)

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """Of the eigenspace and the machines."""
        return {**self.space.arrays, "weights": self.weights, "intercept": self.intercept}

    def outputs(self, images: UInt8[np.ndarray, "n h w 3"]) -> Outputs:
        """Logits and features of images; ValueError for those of another size."""
        x = self.space.coordinates(images)
        return Outputs(x @ self.weights.T.astype(np.float64) + self.intercept[None], x)


@dataclass(frozen=True, eq=False)
class NeighboursModel:
    """The sources of the k nearest training images in an eigenspace.

    Logits are ln((votes + 1) / (k + classes)), features the coordinates.
    """

    space: Eigenspace
    points: Float32[np.ndarray, "m r"]
    labels: Int64[np.ndarray, " m"]
    classes: int
    chosen: Mapping[str, float]

    @property
    def settings(self) -> Mapping[str, Any]:
        """What is analysed, and what was chosen."""
        return _settings("neighbours", self.space, self.chosen)

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """Of the eigenspace, and the training images in it."""
        return {**self.space.arrays, "points": self.points, "labels": self.labels}

    def outputs(self, images: UInt8[np.ndarray, "n h w 3"]) -> Outputs:
        """Logits and features of images; ValueError for those of another size."""
        x, k = self.space.coordinates(images), int(self.chosen["k"])
        votes = count_votes(self.labels[nearest(x, self.points, k)], self.classes)
        return Outputs(np.log((votes + 1) / (k + self.classes)), x)


def fit_eigenface(
    source: Source,
    labels: Int[np.ndarray, " n"],
    validation: Source,
    validation_labels: Int[np.ndarray, " m"],
    *,
    classes: int,
    input: str = "pixels",
    shares: Sequence[float] = SHARES,
    penalties: Sequence[float] = PENALTIES,
    subset: int = SUBSET,
    seed: int = 0,
) -> EigenfaceModel:
    """The machines whose share of variance and penalty name most validation images.

    Args:
        source: uint8 images of one size.
        labels: the class of each, 0 to classes - 1, all of them present.
        validation, validation_labels: as these, other images.
        classes: number of sources, two or more.
        input: "pixels" or "dct".
        shares: of the variance, to try.
        penalties: C of the machine, to try; larger ones fit the training images more closely.
        subset, seed: of the images that components are found from (`fit_eigenspace`).

    Raises:
        ValueError: for labels that do not fit, a class without images, no validation images, or an
            unknown input.
    """
    labels, held = _checked(source, labels, validation, validation_labels, classes)
    options: dict[str, Any] = dict(classes=classes, input=input, subset=subset, seed=seed)
    space, powers = fit_eigenspace(source, labels, share=max(shares), **options)
    x = source_coordinates(space, source, "images")
    y = source_coordinates(space, validation, "validation images")
    best, found = -1.0, None
    for share in shares:
        count = count_of(powers, share)
        for penalty in penalties:
            weights, intercept = fit_svm(x[:, :count], labels, classes=classes, penalty=penalty)
            scores = y[:, :count] @ weights.T + intercept[None]
            accuracy = float((scores.argmax(1) == held).mean())
            if accuracy > best:
                best, found = accuracy, (weights, intercept, {"share": share, "penalty": penalty})
    if found is None:
        raise ValueError("no share of variance or no penalty to try: give one of each or more")
    weights, intercept, chosen = found
    return EigenfaceModel(
        space.first(weights.shape[1]),
        weights.astype(np.float32),
        intercept.astype(np.float32),
        {**chosen, "validation_accuracy": best},
    )


def fit_neighbours(
    source: Source,
    labels: Int[np.ndarray, " n"],
    validation: Source,
    validation_labels: Int[np.ndarray, " m"],
    *,
    classes: int,
    input: str = "pixels",
    counts: Sequence[int] = NEIGHBOURS,
    subset: int = SUBSET,
    seed: int = 0,
) -> NeighboursModel:
    """The number of neighbours that names most validation images.

    Args:
        source, labels, validation, validation_labels, classes, input: as for `fit_eigenface`.
        counts: numbers of neighbours to try, as far as there are so many training images.
        subset, seed: of the images that components are found from (`fit_eigenspace`).

    Raises:
        ValueError: as there, or for no count that the training images allow.
    """
    labels, held = _checked(source, labels, validation, validation_labels, classes)
    allowed = [count for count in counts if 1 <= count <= len(labels)]
    if not allowed:
        raise ValueError(
            f"none of {', '.join(map(str, counts))} neighbours can be had of {len(labels)} images"
        )
    options: dict[str, Any] = dict(classes=classes, input=input, subset=subset, seed=seed)
    space, _ = fit_eigenspace(source, labels, share=SHARE_OF_NEIGHBOURS, **options)
    points = source_coordinates(space, source, "images").astype(np.float32)
    y = source_coordinates(space, validation, "validation images")
    of = labels[nearest(y, points, max(allowed))]
    accuracies = {
        k: float((count_votes(of[:, :k], classes).argmax(1) == held).mean()) for k in allowed
    }
    k = max(allowed, key=accuracies.__getitem__)
    chosen = {"k": k, "validation_accuracy": accuracies[k]}
    return NeighboursModel(space, points, labels, classes, chosen)


def assemble(
    settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray], classes: int
) -> EigenfaceModel | NeighboursModel:
    """The model of these settings and arrays; which of the two, the settings say.

    Raises:
        ValueError: when they do not fit each other.
    """
    space = assemble_eigenspace(settings, arrays)
    chosen, rank = settings.get("chosen"), len(space.components)
    if not isinstance(chosen, Mapping) or not all(
        isinstance(value, int | float) for value in chosen.values()
    ):
        raise ValueError(f"what was chosen, {chosen!r}, must be numbers by name")
    if settings.get("classifier") == "svm":
        weights = _array(arrays, "weights", (classes, rank)).astype(np.float32)
        intercept = _array(arrays, "intercept", (classes,)).astype(np.float32)
        return EigenfaceModel(space, weights, intercept, dict(chosen))
    if settings.get("classifier") != "neighbours":
        raise ValueError(
            f"unknown classifier {settings.get('classifier')!r}: it is svm or neighbours"
        )
    number = np.shape(arrays.get("labels", ()))[0] if np.ndim(arrays.get("labels", 0)) else 0
    points = _array(arrays, "points", (number, rank)).astype(np.float32)
    labels = check_labels(arrays["labels"], number, classes, "neighbours'").astype(np.int64)
    if type(chosen.get("k")) is not int or not 1 <= chosen["k"] <= number:
        raise ValueError(f"k {chosen.get('k')!r} must be 1 to {number}, the number of points")
    return NeighboursModel(space, points, labels, classes, dict(chosen))


def fit_svm(
    x: Float64[np.ndarray, "n r"], labels: Int[np.ndarray, " n"], *, classes: int, penalty: float
) -> tuple[Float64[np.ndarray, "classes r"], Float64[np.ndarray, " classes"]]:
    """Weights and intercepts of a linear machine for each class against the rest.

    Each minimises |w|^2 / 2 + b^2 / 2 + C sum max(0, 1 - y (<w, x> + b))^2. Every class has images.
    """
    from sklearn.svm import LinearSVC

    # The primal, whose solution is exact to the tolerance and draws nothing.
    settings: Any = {"loss": "squared_hinge", "dual": False, "max_iter": STEPS}
    machine: Any = LinearSVC(C=penalty, **settings).fit(x, labels)
    weights, intercept = machine.coef_, machine.intercept_
    if classes == 2:  # One machine serves both, the second against the first.
        weights, intercept = (np.concatenate([-part, part]) for part in (weights, intercept))
    return weights, intercept


def nearest(
    x: Float[np.ndarray, "n r"], points: Float[np.ndarray, "m r"], k: int
) -> Int64[np.ndarray, "n k"]:
    """Indices of the k nearest points of each row, the nearest first."""
    points = np.asarray(points, np.float64)
    squares = np.square(points).sum(1)
    size = max(1, CHUNK // len(points))
    found = [np.zeros((0, k), np.int64)]
    for first in range(0, len(x), size):
        # Without |x|^2, which is the same for all points.
        distance = squares[None] - 2 * x[first : first + size] @ points.T
        near = np.argpartition(distance, k - 1, axis=1)[:, :k]
        order = np.take_along_axis(distance, near, 1).argsort(1, kind="stable")
        found.append(np.take_along_axis(near, order, 1))
    return np.concatenate(found)


def count_votes(labels: Int[np.ndarray, "n k"], classes: int) -> Int64[np.ndarray, "n classes"]:
    """How many of the labels of each row are of each class."""
    return (labels[..., None] == np.arange(classes)).sum(1)


def _settings(classifier: str, space: Eigenspace, chosen: Mapping[str, float]) -> dict[str, Any]:
    facts = {"classifier": classifier, "input": space.input, "side": list(space.side)}
    return {**facts, "chosen": dict(chosen)}


def _checked(source, labels, validation, validation_labels, classes: int):
    labels = check_training_labels(labels, len(source), classes).astype(np.int64)
    held = check_labels(validation_labels, len(validation), classes, "validation")
    if classes < 2 or not len(held):
        raise ValueError(
            f"{classes} classes and {len(held)} validation images: give two classes or more, and "
            "images to choose the settings by"
        )
    return labels, held


def _array(arrays: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> np.ndarray:
    array = np.asarray(arrays.get(name, np.zeros(0)))
    if array.shape != shape or not array.size or not np.isfinite(array).all():
        raise ValueError(f"{name} {list(array.shape)} must be {list(shape)}, finite, not empty")
    return array
