"""Whether classes move towards those that resemble them: an index of this project's own.

Chandrasegaran et al. (ICML 2022) name the effect systematic diffusion and measure it by distances
between class centroids; their formula is not known here. This one: with c_k the mean feature of
class k,

    n_kl = |c_k - c_l| / mean over all pairs of |c_i - c_j|,   m(p, S) = mean over l in S of n_pl,
    eta(p, S) = (m before - m after) / m before.

Positive: class p came closer to the classes of S, relative to all. Diffusion is systematic where
eta is larger for similar classes than for others; spreading evenly leaves it at 0 for both. It does
not depend on scale, place or rotation of the features, so that two networks can be compared.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

Centroids = Float[np.ndarray, "k d"]


def centroids(
    features: Float[np.ndarray, "n d"], labels: Int[np.ndarray, " n"], classes: int
) -> Centroids:
    """The mean feature of every class.

    Raises:
        ValueError: for a class without an example, and labels that are no class.

    Example:
        >>> features = np.array([[0.0, 0.0], [2.0, 0.0], [5.0, 5.0]])
        >>> centroids(features, np.array([0, 0, 1]), classes=2)
        array([[1., 0.],
               [5., 5.]])
    """
    features, labels = np.asarray(features, np.float64), np.asarray(labels)
    if labels.shape != features.shape[:1] or (labels < 0).any() or (labels >= classes).any():
        raise ValueError(f"need a label of 0 to {classes - 1} for each of {len(features)} features")
    counts = np.bincount(labels, minlength=classes)
    if len(empty := np.flatnonzero(counts == 0)):
        raise ValueError(f"classes {empty.tolist()} have no example: leave them out or add some")
    sums = np.zeros((classes, features.shape[1]))
    np.add.at(sums, labels, features)
    return sums / counts[:, None]


def normalised_distances(c: Centroids) -> Float[np.ndarray, "k k"]:
    """Distances between centroids over their mean, of all pairs of different classes.

    Raises:
        ValueError: for fewer than two centroids, and centroids that are all equal.

    Example:
        >>> normalised_distances(np.array([[0.0, 0.0], [3.0, 4.0]]))
        array([[0., 1.],
               [1., 0.]])
    """
    c = np.asarray(c, np.float64)
    if c.ndim != 2 or len(c) < 2:
        raise ValueError(f"need two centroids or more, got {list(c.shape)}")
    distances = np.linalg.norm(c[:, None] - c[None], axis=-1)
    mean = distances.sum() / (len(c) * (len(c) - 1))
    if not mean > 0:
        raise ValueError("all centroids are equal: their distances say nothing")
    return distances / mean


def diffusion_index(
    before: Centroids, after: Centroids, target: int, others: Sequence[int]
) -> float:
    """eta: by how much of their distance the class `target` came closer to `others`.

    Args:
        before: centroids of the student at the lower temperature.
        after: those at the higher one, of the same classes; the features may be of another width.
        target: the class.
        others: the classes that it may come closer to: similar ones, or dissimilar ones.

    Raises:
        ValueError: for no other class, the class itself among them, and unknown classes.

    Example:
        >>> before = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> round(diffusion_index(before, before, 0, [1]), 3)
        0.0
    """
    if len(before) != len(after):
        raise ValueError(f"{len(before)} classes before and {len(after)} after: give the same")
    named = [target, *others]
    if not len(others) or target in others or min(named) < 0 or max(named) >= len(before):
        raise ValueError(
            f"others must be classes of 0 to {len(before) - 1} beside {target}, got {list(others)}"
        )
    near, far = (normalised_distances(c)[target, list(others)].mean() for c in (before, after))
    return float((near - far) / near)


def mean_diffusion(before: Centroids, after: Centroids, groups: Sequence[Sequence[int]]):
    """Means of eta over all classes that have similar ones: (to similar ones, to all others).

    Args:
        before: centroids at the lower temperature.
        after: at the higher one.
        groups: classes that resemble one another; a class may be in none, then it is only one of
            the others.

    Raises:
        ValueError: when no group has two classes, or no class is left over.

    Example:
        >>> before = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        >>> [round(float(x), 3) for x in mean_diffusion(before, before, [(0, 1), (2, 3)])]
        [0.0, 0.0]
    """
    similar, dissimilar = [], []
    for group in groups:
        outside = [k for k in range(len(before)) if k not in group]
        for target in group if len(group) > 1 else ():
            siblings = [k for k in group if k != target]
            similar.append(diffusion_index(before, after, target, siblings))
            dissimilar.append(diffusion_index(before, after, target, outside))
    if not similar:
        raise ValueError("no group of two classes or more: nothing is similar")
    return float(np.mean(similar)), float(np.mean(dissimilar))


def similar_classes(rows: Float[np.ndarray, "k d"], m: int) -> list[list[int]]:
    """For every class its m nearest by the cosine of rows of a reference network's last layer.

    For data without a hierarchy of classes; take the teacher without smoothing for all students.

    Raises:
        ValueError: unless 1 <= m < number of classes.

    Example:
        >>> similar_classes(np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]]), m=1)
        [[1], [0], [1]]
    """
    rows = np.asarray(rows, np.float64)
    if not 1 <= m < len(rows):
        raise ValueError(f"m must be 1 to {len(rows) - 1}, got {m}")
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    return np.argsort(-cosine, axis=1, kind="stable")[:, :m].tolist()
