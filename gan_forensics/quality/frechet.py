"""Frechet distance between Gaussians, and the Frechet inception distance made of it.

    d^2 = |m1 - m2|^2 + tr(S1) + tr(S2) - 2 tr (S1 S2)^(1/2)

(Dowson and Landau 1982; Heusel et al., NeurIPS 2017). With any factors S1 = F1^T F1, S2 = F2^T F2
the products S1 S2 and (F1 F2^T)^T (F1 F2^T) have the same eigenvalues other than zero, so that

    tr (S1 S2)^(1/2) = sum of the singular values of F1 F2^T.

No general matrix square root is needed, nothing becomes complex, and a covariance of fewer examples
than features costs and loses nothing: the centred features themselves are its factor.
"""

import numpy as np
from jaxtyping import Float, Float64

from gan_forensics.quality.moments import FeatureMoments
from gan_forensics.quality.score import UNNAMED, Score, check_features, check_pair

INCEPTION = "inception-2015-12-05"
# Up to this many singular values come from an SVD, exact to rounding. More come as roots of the
# eigenvalues of a symmetric matrix, three times as fast; those below 1e-8 of the largest are then
# lost in rounding.
SVD_LIMIT = 512
# Negative eigenvalues of a covariance beyond this share of the largest are no rounding errors.
NEGATIVE = 1e-6


def frechet_distance(
    mean1: Float[np.ndarray, " d"],
    cov1: Float[np.ndarray, "d d"],
    mean2: Float[np.ndarray, " d"],
    cov2: Float[np.ndarray, "d d"],
) -> float:
    """Squared Frechet distance between two Gaussians, in float64.

    Covariances may be singular.

    Raises:
        ValueError: for shapes that do not fit, numbers that are not finite, and matrices that are
            no covariances (not symmetric, or with a negative eigenvalue).

    Example:
        >>> frechet_distance(np.zeros(2), np.diag([4.0, 1.0]), np.ones(2), np.diag([1.0, 1.0]))
        3.0
    """
    mean1, cov1 = _gaussian(mean1, cov1, "first")
    mean2, cov2 = _gaussian(mean2, cov2, "second")
    if mean1.shape != mean2.shape:
        raise ValueError(
            f"means of {len(mean1)} and {len(mean2)} features: both Gaussians must come from one "
            "feature network"
        )
    if np.array_equal(mean1, mean2) and np.array_equal(cov1, cov2):
        return 0.0
    return _distance(mean1, _factor(cov1), np.trace(cov1), mean2, _factor(cov2), np.trace(cov2))


def fid(
    real: Float[np.ndarray, "n d"] | FeatureMoments,
    fake: Float[np.ndarray, "m d"] | FeatureMoments,
    *,
    features: str = UNNAMED,
) -> Score:
    """Frechet distance between Gaussians fitted to real and fake features (ddof 1).

    The result is called FID if `features` are those of the standard Inception network
    (`INCEPTION`), otherwise "Frechet distance on ..." what they are.

    Args:
        real: features, or their moments (which several processes may have gathered).
        fake: as `real`.
        features: what the features are.

    Raises:
        ValueError: for sets of different width, values that are not finite (with their place), or
            fewer than two examples.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> real, fake = rng.normal(size=(500, 4)), rng.normal(3.0, size=(500, 4))
        >>> score = fid(real, fake, features="my features")
        >>> score.name, 30 < score.value < 42
        ('Frechet distance on my features', True)
    """
    if isinstance(real, FeatureMoments) != isinstance(fake, FeatureMoments):
        raise ValueError("give features or moments of both sets, not one of each")
    if isinstance(real, FeatureMoments) and isinstance(fake, FeatureMoments):
        (*first, n), (*second, m) = real.result(), fake.result()
        warning = _check_counts(n, m, len(first[0]))
        value = frechet_distance(*first, *second)
    else:
        real, fake = check_pair(real, fake)
        (n, d), m = real.shape, len(fake)
        warning = _check_counts(n, m, d)
        value = 0.0 if np.array_equal(real, fake) else _distance(*_thin(real), *_thin(fake))
    return Score(
        name="FID" if features.startswith(INCEPTION) else f"Frechet distance on {features}",
        value=value,
        spread=None,
        counts={"real": n, "fake": m},
        features=features,
        protocol={"covariance": "ddof 1, float64"},
        warning=warning,
    )


def _distance(mean1, factor1, trace1, mean2, factor2, trace2) -> float:
    shift = mean1 - mean2
    cross = _sum_of_singular_values(factor1 @ factor2.T)
    # The distance of equal Gaussians is zero, and rounding must not make it negative.
    return max(float(shift @ shift + trace1 + trace2 - 2 * cross), 0.0)


def _thin(features: Float64[np.ndarray, "n d"]):
    """Mean, a factor F with F^T F = covariance, and the trace of the covariance."""
    n, d = features.shape
    mean = features.mean(0)
    centred = (features - mean) / np.sqrt(n - 1)
    trace = float(np.einsum("nd,nd->", centred, centred))
    return mean, centred if n <= d else _factor(centred.T @ centred), trace


def _factor(covariance: Float64[np.ndarray, "d d"]) -> Float64[np.ndarray, "r d"]:
    """A matrix F with F^T F = covariance; r is the rank as far as float64 tells."""
    import scipy.linalg

    try:
        return scipy.linalg.cholesky(covariance, check_finite=False)
    except np.linalg.LinAlgError:
        pass  # Singular, or no covariance: the eigenvalues tell.
    values, vectors = np.linalg.eigh(covariance)
    largest = max(float(values[-1]), 0.0)
    if values[0] < -NEGATIVE * largest or (largest == 0.0 and values[0] < 0):
        raise ValueError(
            f"a covariance has the eigenvalue {values[0]:.3g} (the largest is {largest:.3g}): it "
            "must be positive semi-definite; compute it in float64"
        )
    kept = values > np.finfo(np.float64).eps * len(values) * largest
    return np.sqrt(values[kept])[:, None] * vectors[:, kept].T


def _sum_of_singular_values(matrix: Float64[np.ndarray, "a b"]) -> float:
    if not matrix.size:
        return 0.0
    if min(matrix.shape) <= SVD_LIMIT:
        return float(np.linalg.svd(matrix, compute_uv=False).sum())
    small = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    values = np.linalg.eigvalsh(small @ small.T)
    return float(np.sqrt(np.clip(values, 0, None)).sum())


def _gaussian(mean, covariance, which: str):
    mean, covariance = np.asarray(mean, np.float64), np.asarray(covariance, np.float64)
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)):
        raise ValueError(
            f"the {which} Gaussian has a mean {list(mean.shape)} and a covariance "
            f"{list(covariance.shape)}: give [d] and [d, d]"
        )
    check_features(mean[None], f"the {which} mean")
    check_features(covariance, f"the {which} covariance")
    scale = np.abs(covariance).max()
    if np.abs(covariance - covariance.T).max() > NEGATIVE * scale:
        raise ValueError(f"the {which} covariance is not symmetric")
    return mean, (covariance + covariance.T) / 2


def _check_counts(n: int, m: int, d: int) -> str:
    """Refuse what has no covariance, and warn of one that cannot have full rank."""
    if min(n, m) < 2:
        raise ValueError(
            f"{n} real and {m} fake examples: a covariance needs two of each, and more than "
            "features to be of full rank"
        )
    few = [f"{count} {what}" for count, what in ((n, "real"), (m, "fake")) if count < d + 1]
    if not few:
        return ""
    return (
        f"{' and '.join(few)} examples for {d} features: the covariance cannot have full rank "
        f"(that takes {d + 1}), so the distance depends on the count; compare it only with "
        "distances at the same counts"
    )
