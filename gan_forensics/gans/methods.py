"""Every GAN of the project by name, from a config to networks, updates and images.

A method is a function from networks to updates plus the recipe that it was published with; adding
one is adding a row to `METHODS`.
"""

import difflib
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree, UInt8

from gan_forensics.data import Batches, image_grid, open_source, save_png, to_uint8
from gan_forensics.gans.adversarial import DISCRIMINATOR, GENERATOR, init_network
from gan_forensics.gans.dcgan import dcgan
from gan_forensics.gans.lsgan import lsgan
from gan_forensics.gans.wgan_gp import wgan_gp
from gan_forensics.nn.dcgan import Discriminator, Generator, Norm
from gan_forensics.train import (
    Cadence,
    CheckpointError,
    Checkpoints,
    RunFolderError,
    TrainState,
    Update,
    data_mesh,
    fit,
    init_state,
    read_config,
    replicated,
)


class Method(NamedTuple):
    """A row of the table: how the networks play, and the discriminator's norm and learning rate."""

    updates: Callable[..., tuple[Update, ...]]
    norm: Norm
    learning_rate: float


METHODS: dict[str, Method] = {
    "dcgan": Method(dcgan, "batch", 1e-4),
    "lsgan": Method(lsgan, "batch", 1e-4),
    "wgan-gp": Method(wgan_gp, "layer", 2e-4),
}


@dataclass(frozen=True)
class GanConfig:
    """Everything that decides what a training run computes.

    Attributes:
        method: dcgan, lsgan or wgan-gp.
        data: a source, e.g. samples:photos, folder:PATH, tfds:NAME.
        size: side of the images, a power of two from 16.
        tail: the generator's last upsampling: BASELINE, {N,Z,B}.1.{3,5,7} or {N,Z,B}.3.5.
        width: channels of the maps at full and half size.
        latent: length of the noise.
        channels: of the images, 3 or 1.
        batch_size: images a minibatch, over all processes.
        learning_rate: of both optimisers; 0 for the method's own.
        flip: whether to mirror half of the images.
        seed: of initialisation, data order and noise.
    """

    method: str = "dcgan"
    data: str = "samples:photos"
    size: int = 64
    tail: str = "BASELINE"
    width: int = 32
    latent: int = 128
    channels: int = 3
    batch_size: int = 64
    learning_rate: float = 0.0
    flip: bool = False
    seed: int = 2021


class Gan(NamedTuple):
    """A built GAN: its networks, and its updates."""

    config: GanConfig
    generator: nn.Module
    discriminator: nn.Module
    updates: tuple[Update, ...]


def build(config: GanConfig) -> Gan:
    """The networks and updates of a config.

    Raises:
        ValueError: for an unknown method, tail or size.
    """
    if config.method not in METHODS:
        close = difflib.get_close_matches(config.method, METHODS, n=1, cutoff=0.0)
        raise ValueError(
            f"unknown method {config.method!r}; did you mean {close[0]!r}? "
            f"Methods are {', '.join(METHODS)}"
        )
    method = METHODS[config.method]
    generator = Generator(
        config.size,
        width=config.width,
        tail=config.tail,
        channels=config.channels,
        latent=config.latent,
    )
    discriminator = Discriminator(config.size, width=config.width, norm=method.norm)
    rate = config.learning_rate or method.learning_rate
    updates = method.updates(generator, discriminator, learning_rate=rate)
    return Gan(config, generator, discriminator, updates)


def init(gan: Gan) -> tuple[PyTree, PyTree]:
    """Initial (parameters, statistics) by network name, from the config's seed."""
    config = gan.config
    keys = jax.random.split(jax.random.key(config.seed))
    # Two images, since batch norm cannot train on one.
    z = jnp.zeros((2, config.latent))
    x = jnp.zeros((2, config.size, config.size, config.channels))
    both = {
        GENERATOR: jax.jit(partial(init_network, gan.generator))(keys[0], z),
        DISCRIMINATOR: jax.jit(partial(init_network, gan.discriminator))(keys[1], x),
    }
    return {n: p for n, (p, _) in both.items()}, {n: s for n, (_, s) in both.items()}


def generate(
    gan: Gan, state: TrainState, n: int, *, seed: int, batch_size: int = 64
) -> UInt8[np.ndarray, "n h w c"]:
    """Draw n images, uint8, with running batch norm statistics.

    Image i depends on the seed and on i alone, not on n or the batch size.
    """
    key = jax.random.key(seed)
    params, stats = state.params[GENERATOR], state.stats[GENERATOR]
    batches = []
    for first in range(0, n, batch_size):
        z = _noise(key, jnp.arange(first, first + batch_size), gan.config.latent)
        batches.append(np.asarray(_images(gan.generator, params, stats, z)))
    return to_uint8(np.concatenate(batches)[:n])


@partial(jax.jit, static_argnums=2)
def _noise(key: Array, places: Array, latent: int) -> Float[Array, "b latent"]:
    return jax.vmap(lambda i: jax.random.normal(jax.random.fold_in(key, i), (latent,)))(places)


@partial(jax.jit, static_argnums=0)
def _images(generator: nn.Module, params, stats, z):
    return generator.apply({"params": params, **stats}, z, train=False)


def train_gan(
    config: GanConfig, run: Path, cadence: Cadence, *, resume: bool = False, **options: Any
) -> TrainState:
    """Train a config in a run folder; `options` go to `gan_forensics.train.fit`.

    The samples of the run are 8x8 grids of the same noise at every time.

    Raises:
        ValueError: for a config that cannot be built, or data that do not fit it.
    """
    gan = build(config)
    source = open_source(config.data, size=config.size, split="train")
    channels = source[0]["image"].shape[-1]
    if channels != config.channels:
        raise ValueError(
            f"{config.data} has images of {channels} channels, the config {config.channels}: "
            f"set channels to {channels}"
        )
    processes = jax.process_count()
    if config.batch_size % processes:
        raise ValueError(
            f"a batch of {config.batch_size} cannot be split over {processes} processes"
        )
    batches = Batches(
        source,
        batch_size=config.batch_size // processes,
        seed=config.seed,
        flip=config.flip,
        shard=(jax.process_index(), processes),
    )

    def sample(state: TrainState, path: Path) -> None:
        save_png(path.with_suffix(".png"), image_grid(generate(gan, state, 64, seed=0)))

    params, stats = init(gan)
    return fit(
        gan.updates,
        params,
        stats,
        batches,
        run=run,
        cadence=cadence,
        config={"gan": asdict(config)},
        seed=config.seed,
        resume=resume,
        sample=sample,
        **options,
    )


def load_gan(run: Path, *, best: str | None = None) -> tuple[Gan, TrainState]:
    """The GAN of a run folder, with the state of its newest whole checkpoint.

    With `best`, a metric that the run kept its best checkpoint by, it is that one. Nothing in the
    folder is changed, so that a run can be looked at while it trains.

    Raises:
        RunFolderError: when the folder is not a GAN's run folder.
        CheckpointError: when it has no checkpoint that can be read.
    """
    saved = read_config(run)
    try:
        gan = build(GanConfig(**saved["gan"]))
    except (KeyError, TypeError) as error:
        raise RunFolderError(f"{run} was not written by this version ({error})") from error
    params, stats = init(gan)
    state = jax.device_put(init_state(gan.updates, params, stats), replicated(data_mesh()))
    empty = CheckpointError(f"{run} holds no checkpoint yet: train it first")
    if not (run / "checkpoints").is_dir():
        raise empty
    checkpoints = Checkpoints(run, best=best, read_only=True)
    try:
        restored = checkpoints.restore(state)
    finally:
        checkpoints.close()
    if restored is None:
        raise empty
    return gan, restored[0]
