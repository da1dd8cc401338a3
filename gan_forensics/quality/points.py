"""How good generated points are: modes and registered points of toy worlds, distances of others.

Points are float [n, d] in raw coordinates, unless said otherwise.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gan_forensics.data.sources import check_points
from gan_forensics.data.toy_points import World
from gan_forensics.quality.manifolds import prdc
from gan_forensics.quality.score import Score

Points = Float[np.ndarray, "n d"]
# Of the Dist-GAN release (Tran et al., ECCV 2018): points so near a centre belong to it, and a mode
# with 20 of them among 2000 samples is covered.
RADIUS = 0.1 * 2**0.5
LEAST, SAMPLES = 20, 2000
# A point at exactly the radius belongs to the mode, but its distance is rounded.
_SLACK = 1e-12
_DIRECTIONS = 128


class Registered(NamedTuple):
    """Points near the centres of a world.

    Attributes:
        counts: of each mode, int [m].
        n: all points.
        least: registered points that cover a mode.

    Example:
        >>> found = Registered(counts=np.array([30, 5, 0]), n=50, least=20)
        >>> found.covered, found.total
        (1, 35)
    """

    counts: Int[np.ndarray, " m"]
    n: int
    least: int

    @property
    def total(self) -> int:
        """All registered points."""
        return int(self.counts.sum())

    @property
    def covered(self) -> int:
        """Modes with at least `least` registered points."""
        return int((self.counts >= self.least).sum())


def registered(
    points: Points,
    centres: Float[np.ndarray, "m d"],
    *,
    radius: float = RADIUS,
    least: int = LEAST,
) -> Registered:
    """Count the points within the radius of each centre, the boundary included.

    Args:
        points: in the coordinates of the centres.
        centres: farther apart than two radii.
        radius: Euclidean; 0.1 sqrt(2) in raw coordinates.
        least: points that cover a mode.

    Raises:
        ValueError: for points that are not finite, or of another dimension than the centres.

    Example:
        >>> centres = np.array([[0.0, 0.0], [2.0, 0.0]])
        >>> found = registered(np.zeros((30, 2)), centres)
        >>> found.counts, found.covered
        (array([30,  0]), 1)
    """
    from scipy.spatial.distance import cdist

    points = check_points(points)
    if points.shape[1] != centres.shape[1]:
        raise ValueError(
            f"points have {points.shape[1]} coordinates, the centres {centres.shape[1]}: they are "
            "not of one world"
        )
    counts = (cdist(centres, points) <= radius + _SLACK).sum(1)
    return Registered(counts, len(points), least)


def ceiling(world: World, radius: float = RADIUS) -> float:
    """Share of the points of a perfect generator that are registered: 98.17 % in the plane.

    1 - exp(-r^2 / (2 sigma^2)) in two dimensions.

    Example:
        >>> from gan_forensics.data.toy_points import WORLDS
        >>> 0 < ceiling(WORLDS["toy:grid25"]) <= 1
        True
    """
    from scipy import stats

    assert world.centres is not None
    return float(stats.chi2.cdf((radius / world.sigma) ** 2, world.centres.shape[1]))


def sliced_wasserstein(
    real: Points, fake: Points, *, directions: int = _DIRECTIONS, seed: int = 0
) -> float:
    """Mean Wasserstein-1 distance of the projections on random directions.

    Directions are uniform on the sphere (Rabin et al., 2012), the same for a seed; in one dimension
    it is the Wasserstein-1 distance itself.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> sliced_wasserstein(x, x), 0 < sliced_wasserstein(x, x + [2, 0, 0]) <= 2
        (0.0, True)
    """
    from scipy import stats

    real, fake = _pair(real, fake)
    axes = np.random.default_rng(seed).standard_normal((directions, real.shape[1]))
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    each = [stats.wasserstein_distance(real @ axis, fake @ axis) for axis in axes]
    return float(np.mean(each))


def point_scores(
    points: Points, real: Points, world: World | None, *, seed: int = 0
) -> list[Score]:
    """Whatever can be said of generated points, by what is known of the real ones.

    Args:
        points: generated, [n, d].
        real: of the data, [m, d].
        world: that the data come from, if it is one: with centres, modes and registered points
            (20 of 2000 cover a mode, of other numbers as many in proportion, rounded up); of the
            line, distances, mean and standard deviation. None for other data: precision, recall,
            density, coverage and the sliced Wasserstein distance.
        seed: of the directions of projections.

    Raises:
        ValueError: for points that are not finite, of another dimension, or too few.

    Example:
        >>> from gan_forensics.data.toy_points import WORLDS
        >>> world = WORLDS["toy:grid25"]
        >>> points = np.repeat(world.centres, 40, axis=0)
        >>> [(score.name, score.value) for score in point_scores(points, points, world)[:1]]
        [('modes covered (of 25)', 25.0)]
    """
    real, points = _pair(real, points)
    counts = {"real": len(real), "fake": len(points)}
    if world is None:
        distance = sliced_wasserstein(real, points, seed=seed)
        settings = {"directions": _DIRECTIONS}
        name = "sliced Wasserstein-1 distance"
        return [
            *prdc(real, points, features="points").values(),
            Score(name, distance, None, counts, "points", seed, settings),
        ]
    if world.centres is None:
        return _line_scores(points[:, 0], real[:, 0], counts)
    least = -(-LEAST * len(points) // SAMPLES)
    found = registered(points, world.centres, least=least)
    settings = {"radius": RADIUS, "least": least, "of_modes": found.counts.tolist()}
    best = ceiling(world) * found.n
    named = {
        f"modes covered (of {len(found.counts)})": found.covered,
        "registered points": found.total,
        "registered points of a perfect generator": best,
    }
    own = {"fake": found.n}
    return [
        Score(name, float(value), None, own, "points", protocol=settings)
        for name, value in named.items()
    ]


def _line_scores(points, real, counts: dict[str, int]) -> list[Score]:
    from scipy import stats

    largest_gap, _ = stats.ks_2samp(real, points)
    named = {
        "Wasserstein-1 distance": stats.wasserstein_distance(real, points),
        "Kolmogorov-Smirnov distance": largest_gap,
        "mean": points.mean(),
        "mean of real points": real.mean(),
        "standard deviation": points.std(),
        "standard deviation of real points": real.std(),
    }
    return [Score(name, float(value), None, counts, "points") for name, value in named.items()]


def _pair(real: Points, fake: Points) -> tuple[Points, Points]:
    real, fake = check_points(real), check_points(fake)
    if real.shape[1] != fake.shape[1]:
        raise ValueError(
            f"real points have {real.shape[1]} coordinates, generated ones {fake.shape[1]}: they "
            "cannot be compared"
        )
    return real, fake
