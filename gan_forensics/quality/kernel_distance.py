"""Kernel inception distance (Binkowski et al., ICLR 2018): MMD^2 with k(x, y) = (x.y / d + 1)^3."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from gan_forensics.quality.order import Order, in_order
from gan_forensics.quality.score import UNNAMED, Score, check_pair

# Rows of the kernel matrix that exist at one time.
CHUNK = 1024


def polynomial_mmd2(
    real: Float[np.ndarray, "n d"],
    fake: Float[np.ndarray, "m d"],
    *,
    estimator: Literal["unbiased", "u-statistic"] = "unbiased",
) -> float:
    """Squared maximum mean discrepancy with the cubic kernel; negative values are possible.

    "unbiased": means of k over different real pairs and over different fake pairs, less twice the
    mean of k over all real-fake pairs. "u-statistic": for equally many, pairs of the same row
    are left out of the mixed mean too (Gretton et al. 2012, equation 4).

    Raises:
        ValueError: for an unknown estimator, fewer than two examples, or sets that do not fit.

    Example:
        >>> round(polynomial_mmd2(np.zeros((3, 2)), np.ones((3, 2))), 3)
        7.0
    """
    real, fake = check_pair(real, fake)
    n, m = len(real), len(fake)
    if min(n, m) < 2:
        raise ValueError(f"{n} real and {m} fake examples: MMD needs two of each")
    if estimator not in ("unbiased", "u-statistic"):
        raise ValueError(f"unknown estimator {estimator!r}: choose 'unbiased' or 'u-statistic'")
    within = sum(
        (_kernel_sum(x, x) - _kernel_diagonal(x, x)) / (len(x) * (len(x) - 1)) for x in (real, fake)
    )
    between = _kernel_sum(real, fake)
    if estimator == "unbiased":
        return float(within - 2 * between / (n * m))
    if n != m:
        raise ValueError(f"the u-statistic pairs rows: {n} real and {m} fake examples differ")
    return float(within - 2 * (between - _kernel_diagonal(real, fake)) / (n * (n - 1)))


def kid(
    real: Float[np.ndarray, "n d"],
    fake: Float[np.ndarray, "m d"],
    *,
    subsets: int = 10,
    subset_size: int | None = None,
    seed: int = 0,
    order: Order = "content",
    features: str = UNNAMED,
) -> Score:
    """Mean of the unbiased MMD^2 over random subsets, each drawn without replacement.

    The same examples in any order have the same value: subsets are drawn from sorted rows.

    Args:
        real: features.
        fake: features.
        subsets: how many subsets; 10 as in mimicry (torch-fidelity: 100).
        subset_size: examples of each kind in a subset; by default the smaller count / `subsets`,
            as in mimicry (torch-fidelity: 1000), but not fewer than 2.
        seed: of the draws.
        order: "content" as above; "given" draws from the rows as they come.
        features: what the features are.

    Returns:
        The value with the population standard deviation over subsets as spread, and in `protocol`
        the standard error of the mean (subsets are drawn anew each time, so they may overlap).

    Raises:
        ValueError: for features as in `fid`, subsets that cannot be drawn, an unknown order.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> real, fake = rng.normal(size=(200, 4)), rng.normal(1.0, size=(200, 4))
        >>> score = kid(real, fake, features="my features")
        >>> score.name, score.value > 0.1
        ('kernel distance on my features', True)
    """
    real, fake = check_pair(real, fake)
    fewest = min(len(real), len(fake))
    if subsets < 1:
        raise ValueError(f"{subsets} subsets: draw at least one")
    size = max(fewest // subsets, min(2, fewest)) if subset_size is None else subset_size
    if not 2 <= size <= fewest:
        raise ValueError(
            f"subsets of {size} cannot be drawn from {len(real)} real and {len(fake)} fake "
            f"examples: give a subset size from 2 to {fewest}"
        )
    real, fake = in_order(real, order), in_order(fake, order)
    rng = np.random.default_rng(seed)
    scores = np.array([
        polynomial_mmd2(
            real[rng.choice(len(real), size, replace=False)],
            fake[rng.choice(len(fake), size, replace=False)],
        )
        for _ in range(subsets)
    ])  # fmt: skip
    error = float(scores.std(ddof=1) / np.sqrt(subsets)) if subsets > 1 else None
    return Score(
        name="KID" if features.startswith("inception-") else f"kernel distance on {features}",
        value=float(scores.mean()),
        spread=float(scores.std()),
        counts={"real": len(real), "fake": len(fake)},
        features=features,
        seed=seed,
        protocol={
            "kernel": "(x.y / d + 1)^3",
            "subsets": subsets,
            "subset_size": size,
            "order": "as given" if order == "given" else "drawn from rows sorted by their numbers",
            "spread": "population standard deviation over subsets",
            "standard_error": error,
        },
    )


def _kernel_sum(x, y) -> float:
    """Sum of the kernel over all pairs, some rows at a time."""
    parts = (x[i : i + CHUNK] @ y.T for i in range(0, len(x), CHUNK))
    return sum(float(((part / x.shape[1] + 1) ** 3).sum()) for part in parts)


def _kernel_diagonal(x, y) -> float:
    return float(((np.einsum("nd,nd->n", x, y) / x.shape[1] + 1) ** 3).sum())
