"""Exact one-dimensional fits of the exponent b in y_i (x/x_i)^b to many tails at once.

With y and f divided by y_i, every objective is a function of b alone and f_b = (x/x_i)^b is the
same for all images of one size.

Released objective (Dzanic et al., NeurIPS 2020): the script subtracts a row from a column, so it
minimises the largest singular value of the n x n matrix y_i - f_j. Its square has the closed form

    n^2/2 (s + sqrt(s^2 - 4 V_y V_f)),   s = V_y + V_f + (mean y - mean f)^2,

with population variances V. It is never below n^2 V_y and reaches that bound where mean f_b =
mean y, provided V_f <= V_y there: the fit matches a level, not a shape. Otherwise the minimum lies
between that b and 0, because V_f and the gap of the means both grow outside of that interval.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float

# Tails of images have |b| < 20. The bound keeps b finite where no power law comes close.
BOUND = 256.0
# Where every exponent fits alike (a spectrum of zeros) the released search stays where it starts.
START = -2.0
BISECTIONS = 64
GRID_STEP = 0.25


def fit_exponent(
    x: Float[np.ndarray, " n"],
    y: Float[np.ndarray, "b n"],
    *,
    fit: Literal["released", "vector"] = "released",
) -> Float[np.ndarray, " b"]:
    """Exponent of the power law through the first value of each tail that fits the rest best.

    Args:
        x: positive increasing radii.
        y: one tail per row.
        fit: "released" or "vector", see `dzanic_features`.

    Returns:
        float64, to about 1e-12 for "released" and 1e-10 for "vector"; clipped to [-256, 256], and
        -2 for a tail that starts with zero.

    Raises:
        ValueError: for an unknown fit.
    """
    if fit not in ("released", "vector"):
        raise ValueError(f"fit is {fit!r}; use 'released' or 'vector'")
    log_x = np.log(x / x[0])
    first = y[:, :1]
    relative = y / np.where(first == 0, 1, first)
    exponent = (_fit_spectral if fit == "released" else _fit_vector)(log_x, relative)
    return np.where(first[:, 0] == 0, START, exponent)


def _spectral_terms(y, f):
    """s, and the root of s^2 - 4 V_y V_f."""
    v_y, v_f, gap = y.var(-1), f.var(-1), y.mean(-1) - f.mean(-1)
    s = v_y + v_f + gap**2
    # s^2 - 4 V_y V_f as a sum of non-negative terms, exact where the two nearly cancel.
    return s, np.sqrt((v_y - v_f) ** 2 + gap**2 * (gap**2 + 2 * (v_y + v_f)))


def _fit_spectral(log_x, y):
    mean_y = y.mean(-1)

    def level_too_low(b):
        return _powers(log_x, b).mean(-1) < mean_y

    bound = np.full(len(y), BOUND)
    level = _bisect(level_too_low, -bound, bound)
    steeper = _powers(log_x, level).var(-1) > y.var(-1)

    def towards_zero_is_worse(b):
        # Sign of d(largest eigenvalue)/db, times the sign of the level exponent.
        f = _powers(log_x, b)
        slope = f * log_x[None]
        gap = f.mean(-1) - mean_y
        s, root = _spectral_terms(y, f)
        v_slope = 2 * ((f - f.mean(-1, keepdims=True)) * slope).mean(-1)
        largest = (s + root) / 2
        change = v_slope * (largest - y.var(-1)) + 2 * gap * slope.mean(-1) * largest
        return change * np.sign(level) < 0

    if not steeper.any():
        return level
    return np.where(steeper, _bisect(towards_zero_is_worse, np.zeros_like(level), level), level)


def _fit_vector(log_x, y):
    grid = np.arange(-BOUND, BOUND + GRID_STEP, GRID_STEP)
    f = _powers(log_x, grid)
    # |y - f|^2 without |y|^2, for every tail and grid point by one matrix product.
    best = grid[np.argmin((f**2).sum(-1)[None] - 2 * y @ f.T, axis=1)]

    def descends(b):
        f = _powers(log_x, b)
        return ((f - y) * f * log_x[None]).sum(-1) < 0

    return np.clip(_bisect(descends, best - GRID_STEP, best + GRID_STEP), -BOUND, BOUND)


def _powers(log_x, b):
    return np.exp(b[:, None] * log_x[None])


def _bisect(left_of_root, low, high):
    """Where a condition that holds at `low` ceases to hold on the way to `high`."""
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        left = left_of_root(middle)
        low, high = np.where(left, middle, low), np.where(left, high, middle)
    return (low + high) / 2
