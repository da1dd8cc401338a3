"""The three toy worlds of DOPING's published experiments."""

from typing import Literal, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from gan_forensics.anomaly.edge import directions

World = Literal["A", "B", "C"]


class Labelled(NamedTuple):
    """Rows, and 1 where a row is an anomaly."""

    x: Float[np.ndarray, "n d"]
    y: Int[np.ndarray, " n"]


def toy_world(world: World, *, n: int = 1000, anomalies: int = 50, seed: int) -> Labelled:
    """Draw a toy world, shuffled.

        A   nominal N(0, I) in the plane, anomalies N((10, 0), I)
        B   the same in space, anomalies N((10, 0, 0), I)
        C   nominal on a ring of radius N(30, 5^2), anomalies N(0, 5^2 I) in its hole

    Args:
        world: which.
        n: rows in all; published: 1000.
        anomalies: how many of them; published: 50.
        seed: of the draw; published: 1 for training, 2 for testing.

    Raises:
        ValueError: for an unknown world or counts that do not fit.

    Example:
        >>> world = toy_world("C", n=100, anomalies=5, seed=0)
        >>> world.x.shape, int(world.y.sum())
        ((100, 2), 5)
    """
    if world not in ("A", "B", "C"):
        raise ValueError(f"unknown toy world {world!r}: A, B or C")
    if not 0 <= anomalies <= n or n < 1:
        raise ValueError(f"need 0 <= anomalies <= n and n >= 1, got {anomalies} and {n}")
    rng = np.random.default_rng(seed)
    nominal = n - anomalies
    if world == "C":
        radius = rng.normal(30, 5, (nominal, 1))
        inliers = radius * directions(nominal, 2, rng)
        outliers = 5 * rng.standard_normal((anomalies, 2))
    else:
        d = 2 if world == "A" else 3
        inliers = rng.standard_normal((nominal, d))
        outliers = rng.standard_normal((anomalies, d)) + 10 * np.eye(d)[0]
    order = rng.permutation(n)
    y = np.repeat([0, 1], [nominal, anomalies])
    return Labelled(np.concatenate([inliers, outliers])[order], y[order])
