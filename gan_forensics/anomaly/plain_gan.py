"""A plain GAN on rows of a table: the control that makes new rows without an autoencoder.

Non-saturating losses and perceptrons (Goodfellow et al. 2014); the generator maps N(0, I).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial

import jax
import numpy as np
import optax
from jaxtyping import Array, Float, PyTree

from gan_forensics.anomaly.minibatches import Rows, table_minibatches
from gan_forensics.gans.losses import LOSSES
from gan_forensics.nn.mlp import MLP, Output, init_mlp, map_rows, run_mlp
from gan_forensics.train import Aux, Learner, Update
from gan_forensics.train.seeds import train_seeds

GENERATOR, DISCRIMINATOR = "generator", "discriminator"
LOSS = LOSSES["non_saturating"]


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

    Example:
        >>> GANConfig(features=4).hidden
        (128, 128)
    """

    features: int
    latent: int = 16
    hidden: tuple[int, ...] = (128, 128)
    output: Output = "sigmoid"
    learning_rate: float = 1e-3
    batch: int = 100

    def __post_init__(self):
        if min(self.features, self.latent, self.batch, *self.hidden) < 1:
            raise ValueError(
                "features, latent, batch and hidden widths must be 1 or more, got "
                f"{self.features}, {self.latent}, {self.batch} and {self.hidden}"
            )


@dataclass(frozen=True, eq=False)
class PlainGAN:
    """A trained generator of rows.

    Example:
        >>> (gan,) = train_gans(GANConfig(4), x, seeds=[0], steps=3000)  # doctest: +SKIP
    """

    config: GANConfig
    params: Mapping[str, PyTree] = field(repr=False)

    def sample(self, n: int, *, rng: np.random.Generator) -> Float[np.ndarray, "n d"]:
        """Draw rows."""
        noise = rng.standard_normal((n, self.config.latent))
        return map_rows(_networks(self.config)[GENERATOR], self.params[GENERATOR], noise)


def _networks(config: GANConfig) -> dict[str, MLP]:
    return {
        GENERATOR: MLP(config.hidden, config.features, config.output),
        DISCRIMINATOR: MLP(config.hidden, 1),
    }


def with_noise(config: GANConfig, rows: Rows, rng: np.random.Generator) -> Rows:
    """Rows {"x": [steps, b, d]} and noise, a draw for each of the two moves, [steps, 1, b, ...]."""
    noise = rng.standard_normal((*rows["x"].shape[:2], 2, config.latent)).astype(np.float32)
    return {name: leaf[:, None] for name, leaf in {**rows, "noise": noise}.items()}


@lru_cache(maxsize=32)
def gan_learner(config: GANConfig) -> Learner:
    """The generator's move, then the discriminator's; the same object for the same config."""
    nets = _networks(config)

    def rows(params: PyTree, noise: Array) -> Array:
        return run_mlp(nets[GENERATOR], params, noise)

    def logits(params: PyTree, x: Array) -> Array:
        return run_mlp(nets[DISCRIMINATOR], params, x)[:, 0]

    def generator(trainable, frozen, stats, batch, key, step):
        fake = logits(frozen[DISCRIMINATOR], rows(trainable[GENERATOR], batch["noise"][:, 0]))
        return LOSS.generator(fake), Aux({}, {})

    def discriminator(trainable, frozen, stats, batch, key, step):
        fake = jax.lax.stop_gradient(rows(frozen[GENERATOR], batch["noise"][:, 1]))
        real_logits = logits(trainable[DISCRIMINATOR], batch["x"])
        fake_logits = logits(trainable[DISCRIMINATOR], fake)
        return LOSS.discriminator(real_logits, fake_logits), Aux({}, {})

    def init(seed: int):
        rng = np.random.default_rng((seed, 1))
        widths = {GENERATOR: config.latent, DISCRIMINATOR: config.features}
        return {name: init_mlp(nets[name], width, rng=rng) for name, width in widths.items()}, {}

    adam = optax.adam(config.learning_rate, b1=0.5)
    updates = (
        Update(GENERATOR, (GENERATOR,), generator, adam),
        Update(DISCRIMINATOR, (DISCRIMINATOR,), discriminator, adam),
    )
    return Learner("plain_gan", asdict(config), updates, init)


def train_gans(
    config: GANConfig, x: Float[np.ndarray, "n d"], *, seeds: Sequence[int], steps: int
) -> list[PlainGAN]:
    """Train one GAN for every seed on the same rows, all in one batch.

    Example:
        >>> gans = train_gans(GANConfig(4), x, seeds=range(3), steps=1000)  # doctest: +SKIP
    """
    table, noise = {"x": np.asarray(x, np.float32)}, partial(with_noise, config)
    batches = table_minibatches(table, noise, steps=steps, batch=config.batch)
    trained = train_seeds(gan_learner(config), batches, seeds=seeds, steps=steps)
    return [PlainGAN(config, state.params) for state, _ in trained]
