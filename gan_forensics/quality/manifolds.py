"""Precision, recall, density and coverage (Naeem et al., ICML 2020; Kynkaanniemi et al. 2019).

Around every example lies a ball that reaches to its k-th nearest neighbour in its own set.

    precision  share of fakes inside the ball of any real example
    recall     share of real examples inside the ball of any fake
    density    mean number of real balls that a fake lies in, divided by k (may exceed 1)
    coverage   share of real balls that hold a fake

Balls are closed, as Kynkaanniemi et al. define them: a point at the radius, within rounding, lies
inside. (The code that Naeem et al. released has open ones. They differ where distances tie: around
an image that is there k + 1 times the radius is 0 and an open ball holds nothing, so that a set of
copies has no precision against itself.) How many radii are 0 is told beside the values.
"""

import numpy as np
from jaxtyping import Float, Float64

from gan_forensics.quality.score import UNNAMED, Score, check_pair

# Rows of a distance matrix that exist at one time.
CHUNK = 1024
# Rounding of squared distances, as a share of the largest squared length. Single-precision features
# of one image may themselves differ in their last digits, by batch, device or precision.
SLACK = 1e-12
# Of the published evaluation.
NEIGHBOUR = 5


def prdc(
    real: Float[np.ndarray, "n d"],
    fake: Float[np.ndarray, "m d"],
    *,
    k: int = NEIGHBOUR,
    features: str = UNNAMED,
) -> dict[str, Score]:
    """Precision, recall, density and coverage of fake features, by name.

    Distances are exact (float64, Euclidean) and computed a thousand rows at a time. A set has 1, 1,
    (k + 1) / k and 1 with itself, and more density where distances tie.

    Args:
        real: features.
        fake: features.
        k: which neighbour the balls reach to, the example itself not counted.
        features: what the features are.

    Returns:
        The values; in their protocol the balls and how many radii are 0, which a warning tells too.

    Raises:
        ValueError: for features as in `fid`, and for k that a set is too small for.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(50, 3))
        >>> {name: score.value for name, score in prdc(x, x, k=5).items()}
        {'precision': 1.0, 'recall': 1.0, 'density': 1.2, 'coverage': 1.0}
    """
    rounded = [np.asarray(x).dtype in (np.float16, np.float32) for x in (real, fake)]
    real, fake = check_pair(real, fake)
    n, m = len(real), len(fake)
    if not 1 <= k < min(n, m):
        raise ValueError(
            f"k = {k} needs more than {k} examples of each kind, got {n} real and {m} fake: "
            f"choose k from 1 to {min(n, m) - 1} or give more"
        )
    # Distances do not feel a shift, but rounding does: that of single precision was before it.
    centre = real.mean(0)
    # One after the other: of many long features, three sets in double precision are too many.
    real, longest_real = _moved(real, centre, rounded[0])
    fake, longest_fake = _moved(fake, centre, rounded[1])
    slack = SLACK * max(longest_real, longest_fake)
    real_radii, fake_radii = (_squared_radii(x, k) for x in (real, fake))
    zero = {"real": int((real_radii <= slack).sum()), "fake": int((fake_radii <= slack).sum())}
    real_radii, fake_radii = real_radii + slack, fake_radii + slack

    in_real_balls = np.zeros(m, np.int64)
    recalled, covered = np.zeros(n, bool), np.zeros(n, bool)
    for rows in _chunks(n):
        distances = _squared_distances(real[rows], fake)
        inside = distances <= real_radii[rows, None]
        in_real_balls += inside.sum(0)
        covered[rows] = inside.any(1)
        recalled[rows] = (distances <= fake_radii[None, :]).any(1)
    values = {
        "precision": (in_real_balls > 0).mean(),
        "recall": recalled.mean(),
        "density": in_real_balls.mean() / k,
        "coverage": covered.mean(),
    }
    counts = {"real": n, "fake": m}
    unequal = f"{n} real and {m} fake examples: radii depend on the counts"
    warnings = [unequal] if n != m else []
    if any(zero.values()):
        warnings.append(
            f"{zero['real']} of {n} real radii and {zero['fake']} of {m} fake ones are zero: {k} "
            "or more other examples are copies, and such balls hold copies alone"
        )
    settings, warning = {"k": k, "balls": "closed", "zero_radii": zero}, "; ".join(warnings)
    return {
        name: Score(name, float(value), None, counts, features, None, dict(settings), warning)
        for name, value in values.items()
    }


def _chunks(n: int):
    return (slice(i, min(i + CHUNK, n)) for i in range(0, n, CHUNK))


def _moved(given, centre, of_given: bool) -> tuple[Float64[np.ndarray, "n d"], float]:
    """Features from a centre, and the largest squared length that was rounded."""
    moved = given - centre
    return moved, _squared_lengths(given if of_given else moved).max()


def _squared_lengths(x: Float64[np.ndarray, "n d"]) -> Float64[np.ndarray, " n"]:
    return np.einsum("nd,nd->n", x, x)


def _squared_distances(x, y) -> Float64[np.ndarray, "n m"]:
    products = x @ y.T
    distances = _squared_lengths(x)[:, None] + _squared_lengths(y)[None, :]
    products *= 2
    distances -= products
    return distances


def _squared_radii(x: Float64[np.ndarray, "n d"], k: int) -> Float64[np.ndarray, " n"]:
    """Squared distance of every example to its k-th nearest neighbour; each pair is met once."""
    radii = np.empty(len(x))
    # The k + 1 least distances to the rows above.
    above = np.full((len(x), k + 1), np.inf)
    for rows in _chunks(len(x)):
        distances = _squared_distances(x[rows], x[rows.start :])
        # Oneself, whom rounding could otherwise move behind a twin.
        np.fill_diagonal(distances, -np.inf)
        seen = np.concatenate([above[rows], distances], axis=1)
        radii[rows] = np.partition(seen, k, axis=1)[:, k]
        below = distances[:, len(distances) :].T
        seen = np.concatenate([above[rows.stop :], below], axis=1)
        above[rows.stop :] = np.partition(seen, k, axis=1)[:, : k + 1]
    return radii
