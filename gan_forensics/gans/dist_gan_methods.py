"""The rows of Dist-GAN, GN-GAN and their baselines, and of any method on points.

Networks, rates and weights are those of the released code of Tran et al. (ECCV 2018, and for
"stacked" NeurIPS 2019). Of GN-GAN (AAAI 2019) no code was released: that it shares nets and recipe
with Dist-GAN, and that its weights are 1, is recollection.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from gan_forensics.gans.architectures import (
    Networks,
    dist_networks,
    point_encoder,
    point_networks,
)
from gan_forensics.gans.autoencoder import AUTOENCODER, ENCODER
from gan_forensics.gans.config import Architecture, GanConfig
from gan_forensics.gans.dist_gan import (
    CORRECTED,
    GUARDED,
    Setting,
    Switches,
    dist_gan_penalty,
    dist_gan_task,
    distance_task,
)
from gan_forensics.gans.game import Recipe
from gan_forensics.gans.gradient_matching import gradient_matching_task
from gan_forensics.gans.losses import LOSSES
from gan_forensics.gans.method import Method
from gan_forensics.gans.mode_regularised import MANIFOLD, mdgan_task, rgan_tasks
from gan_forensics.gans.neighbours import neighbour_task
from gan_forensics.gans.task import DISCRIMINATOR, GENERATOR, Task

_LOG, _HINGE = LOSSES["non_saturating"], LOSSES["hinge"]
SETTINGS: dict[Architecture, Setting] = {
    "dcgan": Setting(_LOG),
    "sngan": Setting(_HINGE),
    "resnet": Setting(_HINGE),
    "stacked": Setting(_LOG, penalty=0.5, regulariser=0.01, share=0.05),
    "perceptron": Setting(_LOG, penalty=0.1, regulariser=0.1, space="unit data", share=0.5),
    "small-perceptron": Setting(GUARDED, penalty=0.1, regulariser=0.1, space="data", share=0.5),
}


def switches_of(config: GanConfig) -> Switches:
    """The switches of a config's bundle."""
    architecture = config.architecture
    # On a line the latent-data distance starts at the data, as published.
    line = Switches(anchor="real")
    if config.bundle != "released":
        return line if architecture == "small-perceptron" else CORRECTED
    if architecture == "small-perceptron":
        return line._replace(penalty="batch")
    if architecture == "perceptron":
        return Switches(penalty="rms", reconstruction="fake")
    if architecture == "stacked" or config.size == 28:
        return Switches(penalty="rms")
    released = Switches(penalty="rms", trains=(ENCODER,))
    if architecture == "dcgan":
        # Configured for networks of half the width.
        return released._replace(features={32: 2048, 64: 8192}[config.size])
    return released._replace(penalty_sign=-1, hinge_on="score")


def _tasks(config: GanConfig, *, neighbours: bool) -> tuple[Task, ...]:
    assert config.architecture is not None
    setting, switches = SETTINGS[config.architecture], switches_of(config)
    shared = (
        dist_gan_task(encoder_of(config), setting, switches, steps=config.decay_steps or 0),
        dist_gan_penalty(setting, switches),
    )
    if not neighbours:
        return (*shared, distance_task(setting, switches))
    embedding = neighbour_task(weight=setting.regulariser, place="autoencoder")
    return (*shared, embedding, gradient_matching_task())


def encoder_of(config: GanConfig):
    """The encoder of a config."""
    if config.architecture in ("perceptron", "small-perceptron"):
        return point_encoder(config)
    return dist_networks(config).encoder


def pair_of(config: GanConfig) -> Networks:
    """Generator and discriminator of a Dist-GAN's networks."""
    networks = dist_networks(config)
    return networks.generator, networks.discriminator


def _as_switched(config: GanConfig) -> dict[str, tuple[str, ...]]:
    return {AUTOENCODER: switches_of(config).trains}


_IMAGES = Recipe(2e-4, betas=(0.5, 0.9), first=DISCRIMINATOR, own_minibatches=True)
_PLANE = Recipe(
    1e-3,
    betas=(0.8, 0.999),
    n_dis=5,
    schedule="staircase",
    first=DISCRIMINATOR,
    own_minibatches=True,
)
_LINE = Recipe(1e-3, betas=(0.5, 0.9), n_dis=3, first=DISCRIMINATOR, own_minibatches=True)
_RECIPE_OF = "Tran et al., ECCV 2018 (released code)"


def on_points(
    tasks: Callable[[GanConfig], Sequence[Task]],
    networks: Callable[[GanConfig], Networks] = point_networks,
    **row: Any,
) -> dict[Architecture, Method]:
    """The rows of a method on points: in the plane (or more dimensions), and on a line."""
    shared = {
        "latent": lambda config: config.dimensions or 1,
        "recipe_of": f"{_RECIPE_OF}, on points",
        **row,
    }
    return {
        "perceptron": Method(tasks, _PLANE, networks, prior=lambda config: "uniform", **shared),
        "small-perceptron": Method(tasks, _LINE, networks, **shared),
    }


def _latent(config: GanConfig) -> int:
    if config.architecture == "stacked":
        return 256
    return 100 if config.architecture == "dcgan" and config.size in (28, 64) else 128


def _rows(*, neighbours: bool, paper: str) -> dict[Architecture, Method]:
    tasks = partial(_tasks, neighbours=neighbours)
    shared: dict[str, Any] = {
        "networks": pair_of,
        "latent": _latent,
        "prior": lambda config: "uniform",
        "others": _as_switched,
        "bundle": "corrected",
        "unit": True,
        "paper": paper,
        "recipe_of": _RECIPE_OF,
    }
    residual = Recipe(
        2e-4,
        betas=(0.0, 0.9),
        schedule="half-linear",
        first=DISCRIMINATOR,
        own_minibatches=True,
    )
    return {
        "dcgan": Method(tasks, _IMAGES, timed=True, **shared),
        "sngan": Method(tasks, _IMAGES, timed=True, **shared),
        "resnet": Method(tasks, residual, timed=True, **shared),
        "stacked": Method(tasks, _IMAGES, **shared),
        **on_points(tasks, others=_as_switched, bundle="corrected", paper=paper),
    }


def _rgan(config: GanConfig) -> tuple[Task, ...]:
    return rgan_tasks(point_encoder(config), _loss_on_points(config))


def _mdgan(config: GanConfig) -> tuple[Task, ...]:
    _, manifold = point_networks(config)
    return (mdgan_task(point_encoder(config), manifold, _loss_on_points(config)),)


def _loss_on_points(config: GanConfig):
    assert config.architecture is not None
    return SETTINGS[config.architecture].loss


_CHE = "Che et al., ICLR 2017"
DIST_GANS: dict[str, dict[Architecture, Method]] = {
    "dist-gan": _rows(neighbours=False, paper="Tran et al., ECCV 2018"),
    "gn-gan": _rows(neighbours=True, paper="Tran et al., AAAI 2019"),
    "rgan": on_points(_rgan, others=lambda config: {AUTOENCODER: (ENCODER,)}, paper=_CHE),
    "mdgan": on_points(
        _mdgan,
        others=lambda config: {MANIFOLD: (MANIFOLD,), AUTOENCODER: (ENCODER, GENERATOR)},
        paper=_CHE,
    ),
}
