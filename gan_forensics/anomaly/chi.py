"""The chi law: the length of a normal vector with m independent unit components.

If z ~ N(0, scale^2 I_m), then |z| / scale is chi distributed with m degrees of freedom. With m = 2
it is the Rayleigh law, whose upper quantile is sqrt(-2 ln q). All functions take numbers or arrays
and work in float64.
"""

import numpy as np
from scipy import special


def mean(m, *, scale=1.0):
    """Expected length, sqrt(2) gamma((m + 1) / 2) / gamma(m / 2), times the scale."""
    m = _degrees(m)
    return scale * np.sqrt(2) * np.exp(special.gammaln((m + 1) / 2) - special.gammaln(m / 2))


def var(m, *, scale=1.0):
    """Variance, m - mean^2, times the squared scale."""
    m = _degrees(m)
    return np.square(scale) * (m - mean(m) ** 2)


def std(m, *, scale=1.0):
    """Standard deviation; for m = 2 it is scale * sqrt(2 - pi / 2)."""
    return np.sqrt(var(m, scale=scale))


def cdf(x, m, *, scale=1.0):
    """Probability of a length of at most x."""
    return special.gammainc(_degrees(m) / 2, _half_square(x, scale))


def sf(x, m, *, scale=1.0):
    """Probability of a length beyond x: the mass of the tail, precise also where it is tiny."""
    return special.gammaincc(_degrees(m) / 2, _half_square(x, scale))


def ppf(q, m, *, scale=1.0):
    """The length that a share q of the mass lies below; infinite for q = 1."""
    return scale * np.sqrt(2 * special.gammaincinv(_degrees(m) / 2, _share(q)))


def isf(q, m, *, scale=1.0):
    """The length that a share q of the mass lies beyond: `ppf(1 - q)` without the cancellation.

    Example:
        >>> round(float(isf(0.05, 2, scale=10.0)), 3)
        24.477
    """
    return scale * np.sqrt(2 * special.gammainccinv(_degrees(m) / 2, _share(q)))


def logpdf(x, m, *, scale=1.0):
    """Natural logarithm of the density at x; minus infinity below zero."""
    m, x = _degrees(m), np.asarray(x, np.float64) / scale
    inside = np.where(x >= 0, x, np.nan)
    value = special.xlogy(m - 1, inside) - inside**2 / 2
    value = value - (m / 2 - 1) * np.log(2) - special.gammaln(m / 2) - np.log(scale)
    return np.where(x >= 0, value, -np.inf)[()]


def _degrees(m):
    m = np.asarray(m, np.float64)
    if not (m > 0).all():
        raise ValueError(f"degrees of freedom must be positive, got {m}")
    return m


def _share(q):
    q = np.asarray(q, np.float64)
    if not ((q >= 0) & (q <= 1)).all():
        raise ValueError(f"a probability must lie in [0, 1], got {q}")
    return q


def _half_square(x, scale):
    return np.square(np.maximum(np.asarray(x, np.float64) / scale, 0)) / 2
