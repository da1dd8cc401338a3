"""How a classifier's last features lie among three of its classes, as points of a plane.

Features [n, d] are what the last linear layer reads; its rows [3, d] are the templates of the three
classes a, b, c. Two planes:

    template plane   through the three rows: coordinates along Gram-Schmidt of w_b - w_a and
                     w_c - w_a (Mueller et al., NeurIPS 2019, as it is commonly described)
    QR and PCA       features and rows extended by 1 and the bias; reduced QR of the rows spans
                     three dimensions; two principal axes of the training points *and* their
                     centroids there (Chandrasegaran et al., ICML 2022, figure 1 and its script)

An orthogonal change of the features' basis moves no point.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Features = Float[np.ndarray, "n d"]


def template_plane(features: Features, rows: Float[np.ndarray, "3 d"]) -> Float[np.ndarray, "n 2"]:
    """Coordinates (h . u1, h . u2) in the plane through three rows of the last layer.

    Raises:
        ValueError: for rows that are not three, or lie on one line.

    Example:
        >>> rows = np.eye(4)[:3]
        >>> template_plane(np.zeros((5, 4)), rows).shape
        (5, 2)
    """
    rows = _three(rows)
    features = _matching(features, rows.shape[1])
    first, second = rows[1] - rows[0], rows[2] - rows[0]
    u1 = first / (np.linalg.norm(first) or 1.0)
    rest = second - (second @ u1) * u1
    if np.linalg.norm(rest) <= 1e-12 * max(np.linalg.norm(second), np.linalg.norm(first)):
        raise ValueError("the three classes' rows lie on one line, which spans no plane")
    return features @ np.stack([u1, rest / np.linalg.norm(rest)], axis=1)


@dataclass(frozen=True)
class QrPca:
    """A plane that was fitted to training features, for any features.

    Attributes:
        basis: [d + 1, 3], orthonormal columns that span the extended rows.
        mean: [3], of training points and centroids.
        axes: [2, 3], the two principal ones; the fitted point that is farthest along each lies on
            its positive side.

    Example:
        >>> plane = QrPca(np.eye(4)[:, :3], np.zeros(3), np.eye(3)[:2])
        >>> plane.axes.shape
        (2, 3)
    """

    basis: Float[np.ndarray, "d1 3"]
    mean: Float[np.ndarray, " 3"]
    axes: Float[np.ndarray, "2 3"]

    def points(self, features: Features) -> Float[np.ndarray, "n 2"]:
        """Where features lie in the plane."""
        extended = _extended(_matching(features, len(self.basis) - 1))
        return (extended @ self.basis - self.mean) @ self.axes.T


def qr_pca(
    train: Sequence[Features], rows: Float[np.ndarray, "3 d"], biases: Float[np.ndarray, " 3"]
) -> QrPca:
    """Fit the plane to the training features of three classes.

    Args:
        train: features of each class.
        rows: of the last layer, [3, d], in the same order.
        biases: their biases. The released script reads those of the classes 0, 1 and 2 instead:
            give these to compare with it.

    Raises:
        ValueError: for other than three classes, or a class without features.

    Example:
        >>> train = [np.random.default_rng(k).normal(k, size=(20, 4)) for k in range(3)]
        >>> plane = qr_pca(train, np.eye(4)[:3], np.zeros(3))
        >>> plane.points(train[0]).shape
        (20, 2)
    """
    rows = _three(rows)
    biases = np.asarray(biases, np.float64)
    if len(train) != 3 or biases.shape != (3,):
        raise ValueError(
            f"need features and biases of three classes, got {len(train)} and {biases.shape}"
        )
    if empty := [i for i, group in enumerate(train) if not len(group)]:
        raise ValueError(f"classes {empty} of the three have no features")
    groups = [_extended(_matching(group, rows.shape[1])) for group in train]
    basis, _ = np.linalg.qr(np.column_stack([rows, biases]).T)
    points = np.concatenate([*groups, np.stack([group.mean(0) for group in groups])]) @ basis
    mean = points.mean(0)
    axes = np.linalg.svd(points - mean, full_matrices=False)[2][:2]
    along = (points - mean) @ axes.T
    farthest = np.take_along_axis(along, np.abs(along).argmax(0)[None], 0)
    return QrPca(basis, mean, axes * np.sign(farthest).T)


def _three(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, np.float64)
    if rows.ndim != 2 or len(rows) != 3:
        raise ValueError(f"need the rows [3, d] of three classes, got {list(rows.shape)}")
    return rows


def _matching(features: np.ndarray, width: int) -> np.ndarray:
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or features.shape[1] != width:
        raise ValueError(f"features must be [n, {width}] as the rows, got {list(features.shape)}")
    return features


def _extended(features: np.ndarray) -> np.ndarray:
    return np.column_stack([features, np.ones(len(features))])
