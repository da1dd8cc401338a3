"""Points of which the rotated copies are known: data, arms, and on which copy they end.

Three Gaussians in the plane, rotated by quarters; perceptrons that say non-saturating losses.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gan_forensics.experiments.small_networks import PlaneDiscriminator
from gan_forensics.gans import LOSSES, Game, Gan, GanConfig, Recipe, adversarial, penalised
from gan_forensics.gans.context import Context
from gan_forensics.gans.dag import dag_task
from gan_forensics.gans.transforms import Policy, Transform
from gan_forensics.nn.points import PointGenerator
from gan_forensics.runtime import split_over_data
from gan_forensics.studies.collapse import Followed, follow

# Three modes, of which no rotation by a quarter is another.
CENTRES = np.array([(2.0, 0.5), (2.5, 1.5), (1.2, 2.2)])
SHARES, DEVIATION = (0.5, 0.3, 0.2), 0.12
NEAR = 0.5  # of a centre: four deviations
TURNS = 4
# Counter-clockwise by 0 to 3 quarters, for rows: x @ turn.
_TURN = np.array([[0.0, 1.0], [-1.0, 0.0]], np.float32)
TURN = np.stack([np.linalg.matrix_power(_TURN, k) for k in range(TURNS)])


def drawn(rng: np.random.Generator, n: int) -> Float[np.ndarray, "n 2"]:
    """Points of the data."""
    modes = rng.choice(len(CENTRES), n, p=SHARES)
    return (CENTRES[modes] + DEVIATION * rng.normal(size=(n, 2))).astype(np.float32)


def masses(points: Float[np.ndarray, "n 2"]) -> dict[str, float]:
    """Shares of points near the data's modes and near each of their rotated copies.

    Returns:
        `original`, `turned` (of the three rotated copies together) and `copy`, which of the four
        holds most: 0 is the data's own.
    """
    centres = CENTRES @ TURN  # [turns, modes, 2]
    distance = np.linalg.norm(points[:, None, None] - centres, axis=-1)
    near = (distance.min(-1) <= NEAR).mean(0)
    return {"original": near[0], "turned": near[1:].sum(), "copy": float(near.argmax())}


def turned(points: Float[Array, "b 2"], quarters: Int[Array, " b"]) -> Float[Array, "b 2"]:
    """Each point rotated by so many quarters."""
    return jnp.einsum("bi,bij->bj", points, jnp.asarray(TURN)[quarters])


def _rotation(quarters: int) -> Transform:
    def by(quarters):
        return lambda points: points @ jnp.asarray(TURN[quarters % TURNS])

    return Transform(
        f"rotation by {90 * quarters} degrees",
        lambda points, key: by(quarters)(points),
        by(-quarters),
    )


ROTATIONS = Policy("rotation of points", tuple(map(_rotation, range(TURNS))))


def _rotated(owners: tuple[str, ...], probability: float = 1.0) -> Callable[..., Array]:
    """An augmentation: uniform rotations with a probability, of real or generated points."""

    def augment(context: Context, owner: str, points: Array) -> Array:
        if owner not in owners:
            return points
        key, chosen = jax.random.split(context.key(f"rotation of {owner}"))
        many = (len(points),)
        quarters = split_over_data(jax.random.randint(key, many, 0, TURNS, jnp.int32))
        kept = split_over_data(jax.random.bernoulli(chosen, jnp.float32(probability), many))
        return turned(points, quarters * kept)

    return augment


BOTH = ("real", "fake")
NONE, CLASSICAL, DIFF, HALF = "GAN", "classical DA", "DiffAugment, rotations", "rotations, p = 0.5"
DAG, DAG_1 = "DAG, weight 0.2", "DAG, weight 1"
# What is rotated before the one head sees it, and the weight of DAG's own heads.
PLANE: dict[str, tuple[Callable[..., Array] | None, float]] = {
    NONE: (None, 0.0),
    CLASSICAL: (_rotated(("real",)), 0.0),
    DIFF: (_rotated(BOTH), 0.0),
    HALF: (_rotated(BOTH, 0.5), 0.0),
    DAG: (None, 0.2),
    DAG_1: (None, 1.0),
}


def plane_gan(arm: str, *, batch_size: int, learning_rate: float = 1e-3) -> Gan:
    """An arm of `PLANE`: perceptrons of 64-64, R1 of 0.1 on the main head, Adam (0.5, 0.9)."""
    augment, weight = PLANE[arm]
    main = adversarial(LOSSES["non_saturating"])
    tasks = [main, penalised("0-gp", sample="real", weight=0.1)]
    if weight:
        assert main.pair is not None
        tasks.append(dag_task([ROTATIONS], main.pair, weight=weight))
    game = Game(
        PointGenerator(2, 2, (64, 64), sigmoid=False),
        PlaneDiscriminator((64, 64)),
        tasks,
        Recipe(learning_rate, betas=(0.5, 0.9)).players(),
        data="point",
        augment=augment,
    )
    config = GanConfig(
        "dcgan",
        data="three rotated gaussians",
        architecture="perceptron",
        dimensions=2,
        latent=2,
        batch_size=batch_size,
        learning_rate=learning_rate,
    )
    return Gan(config, game)


@dataclass(frozen=True)
class Plane:
    """Arms on points.

    Attributes:
        arms: of `PLANE`.
        seeds: of every arm.
        steps: of training.
        every: steps between looks.
        batch_size: points a minibatch.
        points: measured at every look.
    """

    arms: tuple[str, ...] = tuple(PLANE)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    steps: int = 5000
    every: int = 500
    batch_size: int = 128
    points: int = 4000


def followed_points(arm: str, settings: Plane) -> Callable[[int], Followed]:
    """A function that follows one seed of an arm on points."""
    gan = cache(lambda: plane_gan(arm, batch_size=settings.batch_size))

    def batches(seed: int) -> Iterator[Any]:
        rng = np.random.default_rng((seed, 7))
        while True:
            yield {"point": drawn(rng, settings.batch_size)}

    def follow_seed(seed: int) -> Followed:
        return follow(
            gan(),
            batches,
            lambda points, state: masses(points),
            world="three rotated gaussians",
            seeds=(seed,),
            steps=settings.steps,
            every=settings.every,
            samples=settings.points,
        )

    return follow_seed
