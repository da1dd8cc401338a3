"""Every GAN of the project by name, from a config to networks and updates.

A method is a function from networks to updates, and the recipe that it was published with; adding
one is adding a row to `METHODS`. There are two families of networks: "dcgan", the strided ones of
`gan_forensics.nn.dcgan` (Chandrasegaran et al., CVPR 2021), and "resgan", the residual ones of
`gan_forensics.nn.resgan` (Lee and Town, arXiv 2005.02494). DCGAN and WGAN-GP exist in both, with
recipes of their own: `RESIDUAL` has the second one.
"""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from gan_forensics.gans.adversarial import init_network
from gan_forensics.gans.cgan_pd import cgan_pd
from gan_forensics.gans.dcgan import dcgan, residual_dcgan
from gan_forensics.gans.infomax import CRITICS, infomax_gan
from gan_forensics.gans.lsgan import lsgan
from gan_forensics.gans.sagan import sagan
from gan_forensics.gans.sngan import sngan
from gan_forensics.gans.ssgan import ssgan
from gan_forensics.gans.turn import DISCRIMINATOR, GENERATOR, forward
from gan_forensics.gans.wgan_gp import residual_wgan_gp, wgan_gp
from gan_forensics.nn import dcgan as strided
from gan_forensics.nn import resgan
from gan_forensics.train import Update


@dataclass(frozen=True)
class GanConfig:
    """Everything that decides what a training run computes.

    Attributes:
        method: a key of `METHODS`.
        data: a source, e.g. samples:photos, folder:PATH, tfds:NAME.
        size: side of the images: for dcgan networks a power of two from 16, for residual ones 32,
            48, 64 or 128.
        tail: the last upsampling of a dcgan generator: BASELINE, {N,Z,B}.1.{3,5,7}, {N,Z,B}.3.5.
        width: of dcgan networks, channels of the maps at full and half size.
        latent: length of the noise.
        channels: of the images, 3 or 1.
        batch_size: images a minibatch, over all processes.
        learning_rate: of both optimisers; 0 for the method's own.
        flip: whether to mirror half of the images.
        seed: of initialisation, data order and noise.
        architecture: dcgan or resgan; "" for the method's own. "resgan" makes of dcgan and wgan-gp
            the residual GANs of mimicry, with its recipe; at size 48 they are that anyway.
        generator_width: of a residual generator, channels of its first map; 0 for the published.
        discriminator_width: of a residual discriminator, its features; 0 for the published.
        classes: of a conditional method; 0 for as many as the data have.
        n_dis: the discriminator's moves a step; 0 for the method's own.
        schedule: of the learning rates, none (constant) or linear (to 0).
        decay_steps: steps of the linear schedule; 0 for those of the run.
        average: decay of a moving average of the generator, which images are then drawn with; 0
            for none.
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
    architecture: Literal["", "dcgan", "resgan"] = ""
    generator_width: int = 0
    discriminator_width: int = 0
    classes: int = 0
    n_dis: int = 0
    schedule: Literal["none", "linear"] = "none"
    decay_steps: int = 0
    average: float = 0.0


class Networks(NamedTuple):
    """The networks of a game, in the order in which its method takes them."""

    generator: nn.Module
    discriminator: nn.Module
    critics: nn.Module | None = None


class Method(NamedTuple):
    """A row of the table: the game, its recipe, and the networks that it is played with."""

    updates: Callable[..., tuple[Update, ...]]
    networks: Callable[[GanConfig], Networks]
    learning_rate: float
    n_dis: int
    architecture: Literal["dcgan", "resgan"]
    conditional: bool = False


class Gan(NamedTuple):
    """A built GAN: its networks, and its updates."""

    config: GanConfig
    generator: nn.Module
    discriminator: nn.Module
    updates: tuple[Update, ...]
    critics: nn.Module | None = None


def _strided(config: GanConfig, *, norm: strided.Norm) -> Networks:
    if config.generator_width or config.discriminator_width:
        raise ValueError(
            "dcgan networks have one width: set width, not generator_width or discriminator_width"
        )
    return Networks(
        strided.Generator(
            config.size,
            width=config.width,
            tail=config.tail,
            channels=config.channels,
            latent=config.latent,
        ),
        strided.Discriminator(config.size, width=config.width, norm=norm),
    )


def _residual(
    config: GanConfig,
    *,
    spectral_norm: bool = True,
    pooling: Literal["sum", "mean"] = "sum",
    attention: bool = False,
    rotations: int = 0,
    critics: bool = False,
    outer_init: resgan.Init = "glorot",
) -> Networks:
    if config.tail != "BASELINE":
        raise ValueError(
            f"the tail {config.tail} is one of dcgan networks; residual ones have none to choose: "
            "leave it at BASELINE, or choose another architecture"
        )
    return Networks(
        resgan.Generator(
            config.size,
            width=config.generator_width or None,
            channels=config.channels,
            latent=config.latent,
            classes=config.classes,
            attention=attention,
            spectral_norm=attention,
            outer_init=outer_init,
        ),
        resgan.Discriminator(
            config.size,
            width=config.discriminator_width or None,
            classes=config.classes,
            rotations=rotations,
            spectral_norm=spectral_norm,
            pooling=pooling,
            attention=attention,
            outer_init=outer_init,
        ),
        resgan.InfoMaxCritics(scores_only=True) if critics else None,
    )


_PLAIN = partial(_residual, spectral_norm=False)
_CRITIC = partial(_PLAIN, pooling="mean", outer_init="torch")

METHODS: dict[str, Method] = {
    "dcgan": Method(dcgan, partial(_strided, norm="batch"), 1e-4, 1, "dcgan"),
    "lsgan": Method(lsgan, partial(_strided, norm="batch"), 1e-4, 1, "dcgan"),
    "wgan-gp": Method(wgan_gp, partial(_strided, norm="layer"), 2e-4, 5, "dcgan"),
    "sngan": Method(sngan, _residual, 2e-4, 5, "resgan"),
    "ssgan": Method(ssgan, partial(_residual, rotations=4), 2e-4, 5, "resgan"),
    "sagan": Method(sagan, partial(_residual, attention=True), 2e-4, 5, "resgan", True),
    "cgan-pd": Method(cgan_pd, _residual, 2e-4, 5, "resgan", True),
    "infomax-gan": Method(infomax_gan, partial(_residual, critics=True), 2e-4, 5, "resgan"),
}
RESIDUAL: dict[str, Method] = {
    "dcgan": Method(residual_dcgan, _PLAIN, 2e-4, 1, "resgan"),
    "wgan-gp": Method(residual_wgan_gp, _CRITIC, 2e-4, 5, "resgan"),
}


def method_of(config: GanConfig) -> Method:
    """The row that a config means.

    Raises:
        ValueError: for an unknown method, and for an architecture that it does not come in.
    """
    if config.method not in METHODS:
        close = difflib.get_close_matches(config.method, METHODS, n=1, cutoff=0.0)
        raise ValueError(
            f"unknown method {config.method!r}; did you mean {close[0]!r}? "
            f"Methods are {', '.join(METHODS)}"
        )
    rows = {row.architecture: row for row in (METHODS[config.method],)}
    if config.method in RESIDUAL:
        rows["resgan"] = RESIDUAL[config.method]
    own = METHODS[config.method].architecture
    # Strided networks halve down to 4x4, which 48 does not.
    wanted = config.architecture or ("resgan" if config.size == 48 and "resgan" in rows else own)
    if wanted not in rows:
        raise ValueError(
            f"{config.method} does not come in the architecture {wanted!r}, only in "
            f"{' and '.join(rows)}"
        )
    return rows[wanted]


def build(config: GanConfig) -> Gan:
    """The networks and updates of a config.

    Raises:
        ValueError: for an unknown method, tail, size or architecture, and for settings that do not
            go together.
    """
    method = method_of(config)
    if method.conditional and config.classes < 1:
        raise ValueError(
            f"{config.method} is conditional: set classes to the number of classes of the data"
        )
    if config.classes and not method.conditional:
        conditional = [name for name, row in METHODS.items() if row.conditional]
        raise ValueError(
            f"{config.method} knows no classes: leave classes at 0, or choose "
            f"{' or '.join(conditional)}"
        )
    if config.schedule not in ("none", "linear"):
        raise ValueError(f"unknown schedule {config.schedule!r}; schedules are none and linear")
    if config.schedule == "linear" and config.decay_steps < 1:
        raise ValueError("the linear schedule needs decay_steps, the steps until the rate is 0")
    if not 0 <= config.average < 1:
        raise ValueError(f"average is a decay from 0 to below 1, got {config.average}")
    networks = method.networks(config)
    updates = method.updates(
        *(network for network in networks if network is not None),
        learning_rate=config.learning_rate or method.learning_rate,
        n_dis=config.n_dis or method.n_dis,
        decay_steps=config.decay_steps if config.schedule == "linear" else 0,
    )
    return Gan(config, networks.generator, networks.discriminator, updates, networks.critics)


def init(gan: Gan) -> tuple[dict[str, PyTree], dict[str, PyTree]]:
    """Initial (parameters, statistics) by network name, from the config's seed.

    Methods of one architecture start alike from one seed, as far as they have the same layers.
    """
    config = gan.config
    key = jax.random.key(config.seed)
    keys = jax.random.split(key)
    # Two images, since batch norm cannot train on one.
    z = jnp.zeros((2, config.latent))
    x = jnp.zeros((2, config.size, config.size, config.channels))
    labels = (jnp.zeros(2, jnp.int32),) if config.classes else ()
    both = {
        GENERATOR: _init(gan.generator, keys[0], z, *labels),
        DISCRIMINATOR: _init(gan.discriminator, keys[1], x, *labels),
    }
    if gan.critics is not None:
        seen = jax.eval_shape(
            lambda *inputs: forward(gan.discriminator, *both[DISCRIMINATOR], *inputs)[0], x, *labels
        )
        features = (jnp.zeros(f.shape, f.dtype) for f in (seen.local, seen.pooled))
        both[CRITICS] = _init(gan.critics, jax.random.fold_in(key, 2), *features)
    return {n: p for n, (p, _) in both.items()}, {n: s for n, (_, s) in both.items()}


def _init(network: nn.Module, key: Array, *inputs: Array) -> tuple[PyTree, PyTree]:
    return jax.jit(partial(init_network, network))(key, *inputs)
