"""The rows of self-supervised GANs: any other method, with a task on top of it.

Weights are (l_d, l_g), of the discriminator's and of the generator's term. Those on Dist-GAN are of
the code released with MS-GAN, whose self-supervised rows all train the discriminator alone.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from gan_forensics.gans.architectures import dist_networks
from gan_forensics.gans.autoencoder import AUTOENCODER, ENCODER
from gan_forensics.gans.config import POINTS, Architecture, GanConfig
from gan_forensics.gans.dag import dag_task
from gan_forensics.gans.dist_gan import (
    Setting,
    Switches,
    dist_gan_penalty,
    dist_gan_task,
    distance_task,
)
from gan_forensics.gans.dist_gan_methods import DIST_GANS
from gan_forensics.gans.losses import LOSSES
from gan_forensics.gans.method import Method, Supervision
from gan_forensics.gans.multi_class import label_augmented_task, matching_task, multi_class_task
from gan_forensics.gans.rotation import rotation_task
from gan_forensics.gans.task import GENERATOR, Task
from gan_forensics.gans.transforms import policies_of
from gan_forensics.nn.heads import ClassHead

Weights = tuple[float, float]
Rows = dict[Architecture, Method]

# By architecture of Dist-GAN and size of the images, where that matters: SS, and matching.
_RELEASED: dict[tuple[str, int | None], tuple[Weights, Weights]] = {
    ("resnet", 32): ((0.5, 0.0), (0.5, 0.1)),
    ("resnet", 48): ((1.0, 0.0), (1.0, 0.01)),
    ("sngan", 32): ((1.0, 0.0), (1.0, 0.01)),
    ("sngan", 48): ((0.5, 0.0), (0.5, 0.05)),
    ("dcgan", None): ((1.0, 0.0), (1.0, 0.1)),
    ("stacked", 4): ((0.5, 0.0), (0.5, 0.2)),
    ("stacked", 2): ((1.0, 0.0), (1.0, 1.0)),
}


class Supervised(NamedTuple):
    """A self-supervised method, for any base."""

    supervision: Supervision
    paper: str

    def on(self, rows: Rows) -> Rows:
        """The rows of a base with the task on top; turning is for images."""
        return {
            architecture: row._replace(supervision=self.supervision, paper=self.paper)
            for architecture, row in rows.items()
            if architecture not in POINTS
        }


def _released(config: GanConfig, place: int, otherwise: Weights) -> Weights:
    """The released weights on Dist-GAN, or others."""
    if config.base not in DIST_GANS and config.method != "ms-dist-gan":
        return otherwise
    detail: int | None = config.size
    if config.architecture == "stacked":
        width = config.width or 8
        detail = 2 if config.discriminator_width and width == 2 * config.discriminator_width else 4
    elif config.architecture == "dcgan":
        detail = None
    return _RELEASED[config.architecture or "", detail][place]


def _weighted(weights: Weights, spectral_norm: bool) -> dict[str, Any]:
    return {
        "discriminator_weight": weights[0],
        "generator_weight": weights[1],
        "spectral_norm": spectral_norm,
    }


def _rotation(weights: Weights, spectral_norm: bool, config: GanConfig, tasks) -> Task:
    return rotation_task(
        discriminator_weight=weights[0],
        generator_weight=weights[1],
        head=ClassHead(4, spectral_norm),
        sampler="pool" if config.base in DIST_GANS and config.bundle == "released" else "quarters",
    )


# Of ssgan-la, where a config says none.
LABELLED_LOSS = "cross-entropy"


def _labelled(weights: Weights, spectral_norm: bool, config: GanConfig, tasks) -> Task:
    options = _weighted(weights, spectral_norm)
    return label_augmented_task(loss=config.label_augmented_loss or LABELLED_LOSS, **options)


def _multi_head(
    weights: Weights, spectral_norm: bool, config: GanConfig, tasks: Sequence[Task]
) -> Task:
    """Transformed pairs alone, the identity among them, judged by a head for each transform."""
    pair = tasks[0].pair
    if pair is None:
        raise ValueError(
            f"{config.method} judges transformed pairs by the adversarial loss, and that of "
            f"{config.base} says nothing of pairs: choose another base"
        )
    return dag_task(
        policies_of("rotation"),
        pair,
        weight=1.0,
        normalisation="module",
        penalty=next((task.penalty for task in tasks if task.penalty), None),
        spectral_norm=spectral_norm,
    )


def _of(task: Callable[..., Task]) -> Callable[..., Task]:
    return lambda weights, spectral_norm, config, tasks: task(**_weighted(weights, spectral_norm))


_HOU = "Hou et al., NeurIPS 2021"
_TRAN = "Tran et al., NeurIPS 2019"
SUPERVISED: dict[str, Supervised] = {
    "ssgan": Supervised(
        Supervision(_rotation, lambda config: _released(config, 0, (1.0, 0.2))),
        "Chen et al., CVPR 2019",
    ),
    "ss-adversarial": Supervised(
        Supervision(_of(matching_task), lambda config: _released(config, 1, (1.0, 0.1))),
        "Tran et al., arXiv 1905.05469",
    ),
    "ms-gan": Supervised(Supervision(_of(multi_class_task), lambda config: (1.0, 0.2)), _TRAN),
    "ssgan-la": Supervised(Supervision(_labelled, lambda config: (1.0, 1.0), replaces=True), _HOU),
    "ssgan-la-plus": Supervised(Supervision(_labelled, lambda config: (1.0, 0.2)), _HOU),
    "multi-head-da": Supervised(Supervision(_multi_head, None, replaces=True), _HOU),
}


# MS-Dist-GAN as released: networks of the earlier Dist-GAN, its settings, and matching on top.
_networks = partial(dist_networks, era="2018")


def _setting(config: GanConfig) -> Setting:
    hinge = config.architecture in ("sngan", "resnet") or (
        config.architecture == "dcgan" and config.size == 32
    )
    if hinge:
        return Setting(LOSSES["hinge"], penalty=0.5)
    stacked = config.architecture == "stacked"
    return Setting(
        LOSSES["non_saturating"], penalty=0.5, regulariser=0.01 if stacked else 1.0, share=0.05
    )


def _switches(config: GanConfig) -> Switches:
    if config.bundle != "released":
        return Switches()
    digits = config.architecture == "stacked" or config.size == 28
    released = Switches(penalty="rms", trains=(ENCODER, GENERATOR) if digits else (ENCODER,))
    if _setting(config).loss.name != "hinge":
        return released
    on = "logit" if config.architecture == "dcgan" else "score"
    return released._replace(penalty_sign=-1, hinge_on=on)


def _ms_dist_tasks(config: GanConfig) -> tuple[Task, ...]:
    setting, switches = _setting(config), _switches(config)
    encoder = _networks(config).encoder
    return (
        dist_gan_task(encoder, setting, switches, steps=config.decay_steps or 0),
        dist_gan_penalty(setting, switches),
        distance_task(setting, switches),
    )


def _ms_dist_networks(config: GanConfig):
    networks = _networks(config)
    return networks.generator, networks.discriminator


MS_DIST_GAN: Rows = {
    architecture: row._replace(
        tasks=_ms_dist_tasks,
        networks=_ms_dist_networks,
        others=lambda config: {AUTOENCODER: _switches(config).trains},
        bundle="released",
        recipe_of=f"{_TRAN} (released code)",
    )
    for architecture, row in SUPERVISED["ss-adversarial"].on(DIST_GANS["dist-gan"]).items()
}
