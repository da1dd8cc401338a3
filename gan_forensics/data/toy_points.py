"""Toy worlds: points whose density is known, most of them Gaussians around known centres.

Layouts of the Dist-GAN release (Tran et al., ECCV 2018), drawn anew; its files are not needed.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from gan_forensics.data.sources import ArraySource


class World(NamedTuple):
    """A density of points.

    Attributes:
        name: `toy:NAME` of the source.
        centres: float64 [m, d] of Gaussians of equal weight; None where there are no modes.
        sigma: standard deviation of every coordinate around its centre, or of the line.
        scale: m of the networks' coordinates (x / m + 1) / 2, which lie in [0, 1]: the largest
            coordinate of a centre and 3.6 sigma. None where raw coordinates are used.
        n: points of the source by default.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.data import world_of
        >>> points = world_of("toy:grid9").sample(18, seed=0)
        >>> np.bincount([points[i]["label"] for i in range(18)]).tolist()  # the modes share them
        [2, 2, 2, 2, 2, 2, 2, 2, 2]
    """

    name: str
    centres: Float64[np.ndarray, "m d"] | None
    sigma: float
    scale: float | None
    n: int

    def sample(self, n: int, seed: int) -> ArraySource:
        """Draw n points: "point" float32 [n, d], and "label" int32 [n], the mode, if there are any.

        The modes come in random order and share the points equally: every m points in turn hold
        each mode once. The first points of a longer draw are the same.

        Raises:
            ValueError: for n < 1 or a negative seed.
        """
        if n < 1 or seed < 0:
            raise ValueError(
                f"{self.name}: n must be at least 1 and seed at least 0, got n={n}, seed={seed}"
            )
        noise = np.random.default_rng((seed, 0))
        if self.centres is None:
            return ArraySource(point=LINE_MEAN + self.sigma * noise.standard_normal((n, 1)))
        modes, dimension = self.centres.shape
        turns = np.random.default_rng((seed, 1)).random((-(-n // modes), modes))
        label = turns.argsort(1).reshape(-1)[:n]
        offsets = self.sigma * noise.standard_normal((n, dimension))
        return ArraySource(point=self.centres[label] + offsets, label=label)


# The line is N(4, 1).
LINE_MEAN = 4.0
_SIGMA = 0.05


def _gaussians(name: str, centres, *, each: int) -> World:
    centres = np.array(centres, np.float64)
    scale = float(np.abs(centres).max()) + 3.6 * _SIGMA
    return World(name, centres, _SIGMA, scale, each * len(centres))


def _grid(axis: tuple[float, ...]) -> list[tuple[float, float]]:
    return [(x, y) for x in axis for y in axis]


def _arc(middle: float, degrees: range) -> list[tuple[float, float]]:
    angles = np.deg2rad(list(degrees))
    return list(zip(middle + np.cos(angles), np.sin(angles), strict=True))


_PLUS = [(k, 0) for k in range(-3, 4)] + [(0, k) for k in range(-3, 4) if k]
_SINE = _arc(-1, range(150, -1, -30)) + _arc(1, range(0, -151, -30))

WORLDS: dict[str, World] = {
    world.name: world
    for world in (
        World("toy:line", None, 1.0, None, 10_000),
        _gaussians("toy:grid9", _grid((-2, 0, 2)), each=2000),
        _gaussians("toy:grid25", _grid((-4, -2, 0, 2, 4)), each=2000),
        _gaussians("toy:plus", _PLUS, each=4000),
        _gaussians("toy:sine", _SINE, each=4000),
    )
}


def world_of(name: str) -> World | None:
    """The world of a source's name, options and all; None where it names no world.

    Example:
        >>> world_of("toy:grid9").centres.shape
        (9, 2)
    """
    return WORLDS.get(name.partition("?")[0])


def draw(world: World, *, n: int | None = None, seed: int = 0) -> ArraySource:
    """The source of a world: `n` points, by default 10,000 of the line, 2000 or 4000 a mode."""
    return world.sample(world.n if n is None else n, seed)
