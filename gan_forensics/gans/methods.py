"""Every GAN of the project by name.

A method is a row of `METHODS` for each architecture that it comes in: tasks, of which the first is
the adversarial loss, networks, and the recipe that it was published with; adding one is adding a
row. Self-supervised methods are a task on top of any other, their `base` (`rows_of`). Families of
networks: "dcgan", the strided ones of `gan_forensics.nn.dcgan` (Chandrasegaran et al., CVPR 2021),
"resgan", the residual ones of `gan_forensics.nn.resgan` (Lee and Town, arXiv 2005.02494), those of
Dist-GAN (`gan_forensics.nn.dist_gan`), and perceptrons for points. DCGAN and WGAN-GP exist in
several, with recipes of their own.
"""

import difflib
from dataclasses import replace
from functools import partial
from typing import Any, cast

from gan_forensics.data.toy_points import world_of
from gan_forensics.gans.architectures import point_networks, residual_networks, strided_networks
from gan_forensics.gans.config import POINTS, Architecture, GanConfig
from gan_forensics.gans.dist_gan_methods import DIST_GANS, on_points, pair_of
from gan_forensics.gans.game import Recipe, penalised
from gan_forensics.gans.infomax import infomax_task
from gan_forensics.gans.method import Method, Supervision, only
from gan_forensics.gans.relativistic import GAMMA, relativistic_task
from gan_forensics.gans.rotation import rotation_task
from gan_forensics.gans.self_supervised_methods import MS_DIST_GAN, SUPERVISED
from gan_forensics.gans.task import DISCRIMINATOR
from gan_forensics.nn import resgan

_BATCH = partial(strided_networks, norm="batch")
_PLAIN = partial(residual_networks, spectral_norm=False)
_STRIDED_RECIPE = Recipe(1e-4)
_MIMICRY = Recipe(2e-4, betas=(0.0, 0.9), n_dis=5, first=DISCRIMINATOR)
# Who published the rates and moves of the rows of an architecture.
_TAILS: dict[str, Any] = {"recipe_of": "Chandrasegaran et al., CVPR 2021"}
_ZOO: dict[str, Any] = {"recipe_of": "Lee and Town, arXiv 2005.02494 (mimicry)"}

_R3GAN = Recipe(2e-4, betas=(0.0, 0.99), first=DISCRIMINATOR, own_minibatches=True)
_HUANG: dict[str, Any] = {
    "paper": "Huang et al., NeurIPS 2024",
    "recipe_of": "this project's choice",
}
# What self-supervised methods go on top of where a config says nothing.
OWN_BASE = "sngan"


def _relativistic(config: GanConfig):
    stacked = config.architecture == "stacked"
    return (relativistic_task(gamma=config.gamma or GAMMA, unit=stacked),)


# A method's own architecture comes first.
METHODS: dict[str, dict[Architecture, Method]] = {
    # The residual one is what mimicry calls DCGAN, with the loss "ns"; the published tables do not
    # say how often its discriminator moves.
    "dcgan": {
        "dcgan": Method(
            only("non_saturating"),
            _STRIDED_RECIPE,
            _BATCH,
            paper="Radford et al., ICLR 2016",
            **_TAILS,
        ),
        "resgan": Method(
            only("ns"),
            replace(_MIMICRY, n_dis=1),
            _PLAIN,
            paper="Radford et al., ICLR 2016",
            **_ZOO,
        ),
        **on_points(only("non_saturating"), paper="Goodfellow et al., NeurIPS 2014"),
    },
    # Targets 1 for real and 0 for fake, without the factor 1/2.
    "lsgan": {
        "dcgan": Method(
            only("least_squares"), _STRIDED_RECIPE, _BATCH, paper="Mao et al., ICCV 2017", **_TAILS
        ),
        **on_points(only("least_squares"), paper="Mao et al., ICCV 2017"),
    },
    # Chandrasegaran et al. train with the zero-centred penalty; the critic needs a norm that does
    # not tie images of a batch together. That of mimicry has none, pools by the mean, and the
    # penalty of the paper.
    "wgan-gp": {
        "dcgan": Method(
            only("wasserstein", penalised("0-gp")),
            replace(_STRIDED_RECIPE, learning_rate=2e-4, n_dis=5),
            partial(strided_networks, norm="layer"),
            paper="Gulrajani et al., NeurIPS 2017",
            **_TAILS,
        ),
        "resgan": Method(
            only("wasserstein", penalised("1-gp")),
            _MIMICRY,
            partial(_PLAIN, pooling="mean", outer_init="torch"),
            paper="Gulrajani et al., NeurIPS 2017",
            **_ZOO,
        ),
        # The released code of Dist-GAN compares with this weight.
        **on_points(
            only("wasserstein", penalised("1-gp", weight=0.1)),
            paper="Gulrajani et al., NeurIPS 2017",
        ),
    },
    # Hinge losses; spectral norm alone bounds the discriminator.
    "sngan": {
        "resgan": Method(
            only("hinge"), _MIMICRY, residual_networks, paper="Miyato et al., ICLR 2018", **_ZOO
        ),
        **on_points(
            only("hinge"),
            partial(point_networks, spectral_norm=True),
            paper="Miyato et al., ICLR 2018",
        ),
    },
    # On its own base the rotation head is one of the discriminator's outputs, as in mimicry.
    "ssgan": {
        "resgan": Method(
            only("hinge"),
            _MIMICRY,
            partial(residual_networks, rotations=4),
            paper="Chen et al., CVPR 2019",
            supervision=Supervision(
                lambda weights, spectral_norm, config, tasks: rotation_task(
                    discriminator_weight=weights[0], generator_weight=weights[1]
                ),
                lambda config: (1.0, 0.2),
            ),
            **_ZOO,
        )
    },
    # The paper's own learning rates are 1e-4 and 4e-4.
    "sagan": {
        "resgan": Method(
            only("hinge"),
            _MIMICRY,
            partial(residual_networks, attention=True),
            conditional=True,
            paper="Zhang et al., ICML 2019",
            **_ZOO,
        )
    },
    # Classes choose the generator's norms and project in the logit.
    "cgan-pd": {
        "resgan": Method(
            only("hinge"),
            _MIMICRY,
            residual_networks,
            conditional=True,
            paper="Miyato and Koyama, ICLR 2018",
            **_ZOO,
        )
    },
    "infomax-gan": {
        "resgan": Method(
            only("hinge", infomax_task(resgan.InfoMaxCritics(scores_only=True))),
            _MIMICRY,
            residual_networks,
            paper="Lee et al., WACV 2021",
            **_ZOO,
        )
    },
    **DIST_GANS,
    # Without a norm in the discriminator; the published networks are other ones.
    "r3gan": {
        "dcgan": Method(_relativistic, _R3GAN, partial(strided_networks, norm="none"), **_HUANG),
        "resgan": Method(_relativistic, _R3GAN, _PLAIN, **_HUANG),
        "stacked": Method(
            _relativistic,
            _R3GAN,
            pair_of,
            latent=lambda config: 256,
            prior=lambda config: "uniform",
            unit=True,
            **_HUANG,
        ),
        **on_points(_relativistic, **_HUANG),
    },
}
METHODS |= {
    **{name: s.on(METHODS[OWN_BASE]) for name, s in SUPERVISED.items() if name not in METHODS},
    "ms-dist-gan": MS_DIST_GAN,
}


def rows_of(config: GanConfig) -> dict[Architecture, Method]:
    """The rows of a config's method, on its base.

    Raises:
        ValueError: for an unknown method or base, and for a base of a method that takes none.
    """
    if config.method not in METHODS:
        raise ValueError(_unknown("method", config.method, list(METHODS)))
    if config.base is None or (config.base == OWN_BASE and config.method in SUPERVISED):
        return METHODS[config.method]
    if config.method not in SUPERVISED:
        raise ValueError(
            f"{config.method} goes on no base: leave base out, or choose {', '.join(SUPERVISED)}"
        )
    bases = [name for name in METHODS if name not in SUPERVISED and name != "ms-dist-gan"]
    if config.base in METHODS and config.base not in bases:
        raise ValueError(
            f"{config.base} is self-supervised itself and no base: bases are {', '.join(bases)}"
        )
    if config.base not in bases:
        raise ValueError(_unknown("base", config.base, bases))
    rows = SUPERVISED[config.method].on(METHODS[config.base])
    if not rows:
        raise ValueError(
            f"{config.base} is for points, and {config.method} turns images: choose another base"
        )
    return rows


def method_of(config: GanConfig) -> Method:
    """The row of a config; raises ValueError as `rows_of` and `architecture_of`."""
    return rows_of(config)[architecture_of(config)]


def _unknown(what: str, name: str, known: list[str]) -> str:
    longer = [one for one in known if name and one.startswith(name)]
    close = longer or difflib.get_close_matches(name, known, n=1, cutoff=0.0)
    return (
        f"unknown {what} {name!r}; did you mean {close[0]!r}? "
        f"{what.capitalize()}s are {', '.join(known)}"
    )


def architecture_of(config: GanConfig) -> Architecture:
    """The architecture that a config means.

    Raises:
        ValueError: for an unknown method, and for an architecture that it does not come in.
    """
    rows = rows_of(config)
    wanted = config.architecture or _own_architecture(config, list(rows))
    if wanted not in rows:
        if wanted in POINTS and not config.architecture:
            able = [name for name, some in METHODS.items() if wanted in some]
            raise ValueError(
                f"{config.method} has no networks for points, which {config.data} holds: give "
                f"images, or choose {', '.join(able)}"
            )
        raise ValueError(
            f"{config.method} does not come in the architecture {wanted!r}, only in "
            f"{' and '.join(rows)}"
        )
    return cast(Architecture, wanted)


def _own_architecture(config: GanConfig, rows: list[Architecture]) -> Architecture:
    """What a config means that names none, of a method that comes in these."""
    dimensions = config.dimensions
    if dimensions is None and (world := world_of(config.data)):
        dimensions = 1 if world.centres is None else world.centres.shape[1]
    if dimensions is not None:
        return "small-perceptron" if dimensions == 1 else "perceptron"
    if config.data.startswith("stacked:") and config.size == 28 and "stacked" in rows:
        return "stacked"
    # Strided networks halve down to 4x4, which 48 does not.
    if config.size == 48:
        return "resgan" if "resgan" in rows else "sngan" if "sngan" in rows else rows[0]
    return rows[0]
