"""A plain GAN on rows of a table: the control that makes new rows without an autoencoder.

Non-saturating losses and perceptrons (Goodfellow et al. 2014); the generator maps N(0, I).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import jax
import numpy as np
import optax
from jaxtyping import Array, Float, PyTree

from gan_forensics.anomaly.seeds import Game, Rows, train_seeds
from gan_forensics.gans.losses import LOSSES
from gan_forensics.nn.mlp import MLP, Output, init_mlp, map_rows, run_mlp
from gan_forensics.train import Aux, Update

GENERATOR, DISCRIMINATOR = "generator", "discriminator"
GAME = LOSSES["non_saturating"]


@dataclass(frozen=True)
class GANConfig:
    """Networks and recipe.

    Attributes:
        features: d, columns of a row.
        latent: length of the noise.
        hidden: widths of the hidden layers of both networks.
        output: of the generator: "sigmoid" for rows in the unit cube, "linear" for any others.
        learning_rate: of both Adams (beta1 0.5).
        batch: rows a minibatch.
    """

    features: int
    latent: int = 16
    hidden: tuple[int, ...] = (128, 128)
    output: Output = "sigmoid"
    learning_rate: float = 1e-3
    batch: int = 100


@dataclass(frozen=True, eq=False)
class PlainGAN:
    """A trained generator of rows."""

    config: GANConfig
    params: Mapping[str, PyTree]

    def sample(self, n: int, *, rng: np.random.Generator) -> Float[np.ndarray, "n d"]:
        """Draw rows."""
        noise = rng.standard_normal((n, self.config.latent))
        return map_rows(_networks(self.config)[GENERATOR], self.params[GENERATOR], noise)


def _networks(config: GANConfig) -> dict[str, MLP]:
    return {
        GENERATOR: MLP(config.hidden, config.features, config.output),
        DISCRIMINATOR: MLP(config.hidden, 1),
    }


@lru_cache(maxsize=32)
def gan_game(config: GANConfig) -> Game:
    """The generator's move, then the discriminator's, with noise of its own."""
    nets = _networks(config)

    def rows(params: PyTree, noise: Array) -> Array:
        return run_mlp(nets[GENERATOR], params, noise)

    def logits(params: PyTree, x: Array) -> Array:
        return run_mlp(nets[DISCRIMINATOR], params, x)[:, 0]

    def generator(trainable, frozen, stats, batch, key, step):
        fake = logits(frozen[DISCRIMINATOR], rows(trainable[GENERATOR], batch["noise"][:, 0]))
        return GAME.generator(fake), Aux({}, {})

    def discriminator(trainable, frozen, stats, batch, key, step):
        fake = jax.lax.stop_gradient(rows(frozen[GENERATOR], batch["noise"][:, 1]))
        real_logits = logits(trainable[DISCRIMINATOR], batch["x"])
        fake_logits = logits(trainable[DISCRIMINATOR], fake)
        return GAME.discriminator(real_logits, fake_logits), Aux({}, {})

    def init(rng: np.random.Generator) -> dict[str, PyTree]:
        return {
            GENERATOR: init_mlp(nets[GENERATOR], config.latent, rng=rng),
            DISCRIMINATOR: init_mlp(nets[DISCRIMINATOR], config.features, rng=rng),
        }

    def minibatches(rows: Rows, rng: np.random.Generator) -> Rows:
        # One draw for each of the two moves.
        shape = (*rows["x"].shape[:2], 2, config.latent)
        noise = rng.standard_normal(shape).astype(np.float32)
        return {name: leaf[:, None] for name, leaf in {**rows, "noise": noise}.items()}

    adam = optax.adam(config.learning_rate, b1=0.5)
    updates = (
        Update(GENERATOR, (GENERATOR,), generator, adam),
        Update(DISCRIMINATOR, (DISCRIMINATOR,), discriminator, adam),
    )
    return Game(updates, init, minibatches)


def train_gans(
    config: GANConfig, x: Float[np.ndarray, "n d"], *, seeds: Sequence[int], steps: int
) -> list[PlainGAN]:
    """Train one GAN for every seed on the same rows, all in one batch."""
    trained = train_seeds(
        gan_game(config),
        {"x": np.asarray(x, np.float32)},
        seeds=seeds,
        steps=steps,
        batch=config.batch,
    )
    return [PlainGAN(config, one.params) for one in trained]
