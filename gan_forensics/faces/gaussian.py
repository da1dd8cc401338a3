"""Gaussians of high dimension, kept as mean, leading eigenpairs and one residual variance.

The covariance of a landmark's descriptors is U diag(eigenvalues) U' + residual (I - U U'). After a
frame the mean and the eigenvalues move while the eigenvectors stay: that they are updated from the
previous frame is Tran et al. 2013; the formula is this project's reconstruction, since the body of
the paper could not be read. `merge` is the other reading, in which the eigenvectors move as well.

Arrays carry any axes before the last ones; means and values are in the units of the observations.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float


class Gaussian(NamedTuple):
    """A Gaussian of d dimensions with k eigenpairs.

    Attributes:
        mean: its mean.
        vectors: U, orthonormal eigenvectors as rows.
        values: their eigenvalues, of descending order when learned.
        residual: variance in every direction that is none of theirs.
    """

    mean: Float[Array, "*b d"]
    vectors: Float[Array, "*b k d"]
    values: Float[Array, "*b k"]
    residual: Float[Array, "*b"]


def learn(
    samples: Float[Array, "n d"],
    weights: Float[Array, "n"],
    *,
    components: int,
    floor: float = 1e-2,
) -> Gaussian:
    """Gaussian of the samples: their mean, the covariance's leading eigenpairs, the rest as one.

    Args:
        samples: one a row.
        weights: 1 for samples that count, 0 for others; at least two count.
        components: eigenpairs to keep.
        floor: share of the mean variance of a dimension that is added to every variance, so that
            none vanishes.
    """
    size = samples.shape[-1]
    total = weights.sum()
    mean = weights @ samples / total
    centred = (samples - mean[None]) * jnp.sqrt(weights / (total - 1))[:, None]
    # Of the smaller of the two Gram matrices; both have the same eigenvalues above zero.
    if samples.shape[0] < size:
        values, left = jnp.linalg.eigh(centred @ centred.T)
        values, left = values[::-1][:components], left[:, ::-1][:, :components]
        vectors = left.T @ centred
        # Directions without samples are given no length, and so no part in any distance.
        lengths = jnp.linalg.norm(vectors, axis=-1, keepdims=True)
        vectors = vectors / jnp.maximum(lengths, jnp.finfo(lengths.dtype).tiny)
    else:
        values, right = jnp.linalg.eigh(centred.T @ centred)
        values, vectors = values[::-1][:components], right.T[::-1][:components]
    trace = (centred**2).sum()
    lift = floor * trace / size
    values = jnp.maximum(values, 0)
    rest = jnp.maximum(trace - values.sum(), 0) / max(size - components, 1)
    return Gaussian(mean, vectors, values + lift, rest + lift)


def coordinates(
    gaussian: Gaussian, samples: Float[Array, "*b d"]
) -> tuple[Float[Array, "*b k"], Float[Array, "*b"]]:
    """Coordinates a = U (x - mean) along the eigenvectors, and the squared length of the rest."""
    difference = samples - gaussian.mean
    along = jnp.einsum("...kd,...d->...k", gaussian.vectors, difference)
    return along, (difference**2).sum(-1) - (along**2).sum(-1)


def squared_distance(gaussian: Gaussian, samples: Float[Array, "*b d"]) -> Float[Array, "*b"]:
    """Squared Mahalanobis distance: sum of a_j^2 / eigenvalue_j, plus the rest over the residual.

    In expectation over the Gaussian itself it is d.
    """
    k, d = gaussian.vectors.shape[-2:]
    along, rest = coordinates(gaussian, samples)
    inside = (along**2 / gaussian.values).sum(-1)
    # Eigenpairs for all dimensions leave no rest but rounding.
    return inside + rest / gaussian.residual if d > k else inside


def log_density(gaussian: Gaussian, samples: Float[Array, "*b d"]) -> Float[Array, "*b"]:
    """Natural log of the density; exact where there are as many eigenpairs as dimensions, too."""
    k, d = gaussian.vectors.shape[-2:]
    log_volume = jnp.log(gaussian.values).sum(-1)
    if d > k:
        log_volume += (d - k) * jnp.log(gaussian.residual)
    return -0.5 * (squared_distance(gaussian, samples) + log_volume + d * jnp.log(2 * jnp.pi))


def isotropic(gaussian: Gaussian) -> Gaussian:
    """The Gaussian of the same mean and total variance that has one variance in all directions."""
    k, d = gaussian.vectors.shape[-2:]
    mean = (gaussian.values.sum(-1) + (d - k) * gaussian.residual) / d
    return gaussian._replace(values=mean[..., None] * jnp.ones_like(gaussian.values), residual=mean)


def update(gaussian: Gaussian, sample: Float[Array, "*b d"], rate: Float[Array, "*b"]) -> Gaussian:
    """Mean and eigenvalues moved towards an observation, eigenvectors kept.

    With a = U (x - mean): eigenvalue_j <- (1 - rate) eigenvalue_j + rate a_j^2, the residual
    likewise with the mean square of the rest, mean <- (1 - rate) mean + rate x. A reconstruction.

    Args:
        gaussian: before the observation.
        sample: x, the observation.
        rate: share of the new, in [0, 1]; 0 where the observation does not count.
    """
    k, d = gaussian.vectors.shape[-2:]
    along, rest = coordinates(gaussian, sample)
    values = gaussian.values + rate[..., None] * (along**2 - gaussian.values)
    residual = gaussian.residual + rate * (rest / max(d - k, 1) - gaussian.residual)
    mean = gaussian.mean + rate[..., None] * (sample - gaussian.mean)
    return Gaussian(mean, gaussian.vectors, values, residual)


def merge(
    gaussian: Gaussian,
    samples: Float[Array, "n d"],
    *,
    count: Float[Array, ""],
    forgetting: float = 1.0,
) -> tuple[Gaussian, Float[Array, ""]]:
    """Sequential Karhunen-Loeve: mean, eigenvectors and eigenvalues of old and new samples.

    Of the old samples only the kept eigenpairs are known, so this is exact as long as nothing was
    dropped; the residual is what the kept pairs leave of the merged variance (Ross et al. 2008,
    section 3; without forgetting, the components of scikit-learn's IncrementalPCA).

    Args:
        gaussian: of `count` samples.
        samples: new ones, one a row.
        count: samples that the Gaussian stands for.
        forgetting: factor in (0, 1] on what the old samples weigh.

    Returns:
        The Gaussian of all, with as many eigenpairs, and the count that it stands for.
    """
    k, d = gaussian.vectors.shape
    n = samples.shape[0]
    old = forgetting * count
    total = old + n
    fresh = samples.mean(0)
    mean = (old * gaussian.mean + n * fresh) / total
    # Rows whose Gram matrix is the scatter of all samples about the merged mean.
    pairs = gaussian.vectors * jnp.sqrt(gaussian.values * (old - forgetting))[:, None]
    shift = jnp.sqrt(old * n / total) * (fresh - gaussian.mean)
    rows = jnp.concatenate([pairs, samples - fresh[None], shift[None]])
    _, singular, vectors = jnp.linalg.svd(rows, full_matrices=False)
    values = singular**2 / (total - 1)
    dropped = values[k:].sum() / max(d - k, 1)
    residual = gaussian.residual * (old - forgetting) / (total - 1) + dropped
    return Gaussian(mean, vectors[:k], values[:k], residual), total
