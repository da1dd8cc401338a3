"""Every GAN of the project by name, from a config to a game.

A method is a row of `METHODS`: an adversarial loss, tasks on top of it, networks, and the recipe
that it was published with; adding one is adding a row. There are two families of networks: "dcgan",
the strided ones of `gan_forensics.nn.dcgan` (Chandrasegaran et al., CVPR 2021), and "resgan", the
residual ones of `gan_forensics.nn.resgan` (Lee and Town, arXiv 2005.02494). DCGAN and WGAN-GP exist
in both, with recipes of their own.
"""

import difflib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import PyTree

from gan_forensics.gans.adversarial import Game, Recipe, adversarial, penalised
from gan_forensics.gans.context import DISCRIMINATOR, GENERATOR, Task
from gan_forensics.gans.infomax import infomax_task
from gan_forensics.gans.losses import LOSSES
from gan_forensics.gans.priors import PRIORS, Prior
from gan_forensics.gans.rotation import rotation_task
from gan_forensics.nn import dcgan as strided
from gan_forensics.nn import resgan
from gan_forensics.runtime import Precision, check_precision, computation_dtype
from gan_forensics.train import Learner, Update

Architecture = Literal["dcgan", "resgan"]


@dataclass(frozen=True)
class GanConfig:
    """Everything that decides what a training run computes.

    Attributes:
        method: a key of `METHODS`.
        data: a source: folder:PATH (or just a path), list:FILE.csv, idx:PATH, npz:FILE.npz,
            tfds:NAME, samples:photos|digits|mnist5k|lfw, toy:powerlaw.
        size: side of the images: for strided networks a power of two from 16, for residual ones
            32, 48, 64 or 128.
        tail: the last upsampling of a strided generator: BASELINE (transposed convolution),
            {N,Z,B}.1.{3,5,7} or {N,Z,B}.3.5 for nearest, zero insertion, bilinear, then that many
            convolutions of that kernel.
        width: of strided networks, channels of the maps at full and half size; by default 32.
        latent: length of the noise.
        prior: law of the noise.
        channels: of the images, 3 or 1; by default those of the data: files have 1 where all are
            gray (of a GAN without data, 3).
        batch_size: images a minibatch, over all processes.
        learning_rate: of both players; by default the method's own.
        discriminator_learning_rate: of the discriminator, where it differs.
        flip: whether to mirror half of the images.
        seed: of initialisation, data order and noise.
        architecture: strided (dcgan) or residual (resgan) networks; by default the method's own,
            and residual ones at size 48. "resgan" makes of dcgan and wgan-gp the residual GANs of
            mimicry, with its recipe.
        generator_width: of a residual generator, channels of its first map; by default as
            published for the size.
        discriminator_width: of a residual discriminator, its features; by default as published.
        classes: of a conditional method; by default as many as the data have.
        n_dis: the discriminator's moves a step, each on fresh images; by default the method's own.
        schedule: of the learning rates, none (constant) or linear (to 0).
        decay_steps: steps of the linear schedule; by default those of the run.
        average: decay of a moving average of the generator, which images are then drawn with; by
            default none is kept.
        precision: float32 products; tf32, products of factors rounded to 10 bits; bfloat16,
            activations of 7 bits (parameters, statistics and losses stay float32). By default the
            backend's own: float32 on CPUs, tf32 on recent GPUs, products of bfloat16 on TPUs.
        split: which images of the data train: train, or all, with those that are otherwise held
            out for measuring (about a quarter of a folder, or its test/); by default train.
    """

    method: str = "dcgan"
    data: str = "samples:photos"
    size: int = 64
    tail: str = "BASELINE"
    width: int | None = None
    latent: int = 128
    prior: Literal["normal", "uniform"] = "normal"
    channels: Literal[1, 3] | None = None
    batch_size: int = 64
    learning_rate: float | None = None
    discriminator_learning_rate: float | None = None
    flip: bool = False
    seed: int = 2021
    architecture: Architecture | None = None
    generator_width: int | None = None
    discriminator_width: int | None = None
    classes: int | None = None
    n_dis: int | None = None
    schedule: Literal["none", "linear"] = "none"
    decay_steps: int | None = None
    average: float | None = None
    precision: Precision | None = None
    split: Literal["train", "all"] | None = None


Networks = tuple[nn.Module, nn.Module]  # generator, discriminator


class Method(NamedTuple):
    """A row of the table.

    Attributes:
        loss: the adversarial loss, as a task.
        recipe: as published.
        networks: generator and discriminator of a config.
        tasks: on top of the adversarial one.
        conditional: whether it takes classes.
        paper: that published the method.
    """

    loss: Task
    recipe: Recipe
    networks: Callable[[GanConfig], Networks]
    tasks: tuple[Task, ...] = ()
    conditional: bool = False
    paper: str = ""

    def game(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        tasks: Sequence[Task] = (),
        prior: Prior | None = None,
        **recipe: Any,
    ) -> Game:
        """The method's game for any networks, with further tasks and another `Recipe`.

        Raises:
            ValueError: for networks without the classes that it takes.
        """
        classes = [getattr(n, "classes", 0) for n in (generator, discriminator)]
        if self.conditional and (classes[0] < 1 or classes[0] != classes[1]):
            raise ValueError(
                "generator and discriminator need the same classes, got "
                f"{classes[0]} and {classes[1]}"
            )
        tasks = (self.loss, *self.tasks, *tasks)
        players = replace(self.recipe, **recipe).players()
        return Game(generator, discriminator, tasks, players, prior=prior)


def _strided(config: GanConfig, *, norm: strided.Norm) -> Networks:
    if config.generator_width or config.discriminator_width:
        raise ValueError(
            "dcgan networks have one width: set width, not generator_width or discriminator_width"
        )
    width, dtype = config.width or 32, computation_dtype(config.precision)
    # The networks say so themselves, but only when they see an input.
    strided.parse_tail(config.tail)
    strided.generator_widths(config.size, width)
    return (
        strided.Generator(
            config.size,
            width=width,
            tail=config.tail,
            channels=config.channels or 3,
            latent=config.latent,
            dtype=dtype,
        ),
        strided.Discriminator(config.size, width=width, norm=norm, dtype=dtype),
    )


def _residual(
    config: GanConfig,
    *,
    spectral_norm: bool = True,
    pooling: Literal["sum", "mean"] = "sum",
    attention: bool = False,
    rotations: int = 0,
    outer_init: resgan.Init = "glorot",
) -> Networks:
    if config.tail != "BASELINE" or config.width:
        raise ValueError(
            "tail and width are of dcgan networks; residual ones have no tail to choose and "
            "generator_width and discriminator_width: leave them out, or choose another "
            "architecture"
        )
    shared = {
        "classes": config.classes or 0,
        "attention": attention,
        "outer_init": outer_init,
        "dtype": computation_dtype(config.precision),
    }
    generator = resgan.Generator(
        config.size,
        width=config.generator_width,
        channels=config.channels or 3,
        latent=config.latent,
        spectral_norm=attention,
        **shared,
    )
    discriminator = resgan.Discriminator(
        config.size,
        width=config.discriminator_width,
        rotations=rotations,
        spectral_norm=spectral_norm,
        pooling=pooling,
        **shared,
    )
    # The networks say so themselves, but only when they see an input.
    resgan.channels_of(generator)
    resgan.channels_of(discriminator)
    return generator, discriminator


_LOSS = {name: adversarial(loss) for name, loss in LOSSES.items()}
_HINGE = _LOSS["hinge"]
_BATCH = partial(_strided, norm="batch")
_PLAIN = partial(_residual, spectral_norm=False)
_STRIDED_RECIPE = Recipe(1e-4)
_MIMICRY = Recipe(2e-4, betas=(0.0, 0.9), n_dis=5, first=DISCRIMINATOR)

# Who published the rates and moves of an architecture's rows.
RECIPES: dict[Architecture, str] = {
    "dcgan": "Chandrasegaran et al., CVPR 2021",
    "resgan": "Lee and Town, arXiv 2005.02494 (mimicry)",
}

# A method's own architecture comes first.
METHODS: dict[str, dict[Architecture, Method]] = {
    # The residual one is what mimicry calls DCGAN, with the loss "ns"; the published tables do not
    # say how often its discriminator moves.
    "dcgan": {
        "dcgan": Method(
            _LOSS["non_saturating"], _STRIDED_RECIPE, _BATCH, paper="Radford et al., ICLR 2016"
        ),
        "resgan": Method(
            _LOSS["ns"], replace(_MIMICRY, n_dis=1), _PLAIN, paper="Radford et al., ICLR 2016"
        ),
    },
    # Targets 1 for real and 0 for fake, without the factor 1/2.
    "lsgan": {
        "dcgan": Method(
            _LOSS["least_squares"], _STRIDED_RECIPE, _BATCH, paper="Mao et al., ICCV 2017"
        )
    },
    # Chandrasegaran et al. train with the zero-centred penalty; the critic needs a norm that does
    # not tie images of a batch together. That of mimicry has none, pools by the mean, and the
    # penalty of the paper.
    "wgan-gp": {
        "dcgan": Method(
            _LOSS["wasserstein"],
            replace(_STRIDED_RECIPE, learning_rate=2e-4, n_dis=5),
            partial(_strided, norm="layer"),
            (penalised("0-gp"),),
            paper="Gulrajani et al., NeurIPS 2017",
        ),
        "resgan": Method(
            _LOSS["wasserstein"],
            _MIMICRY,
            partial(_PLAIN, pooling="mean", outer_init="torch"),
            (penalised("1-gp"),),
            paper="Gulrajani et al., NeurIPS 2017",
        ),
    },
    # Hinge losses; spectral norm alone bounds the discriminator.
    "sngan": {"resgan": Method(_HINGE, _MIMICRY, _residual, paper="Miyato et al., ICLR 2018")},
    "ssgan": {
        "resgan": Method(
            _HINGE,
            _MIMICRY,
            partial(_residual, rotations=4),
            (rotation_task(),),
            paper="Chen et al., CVPR 2019",
        )
    },
    # The paper's own learning rates are 1e-4 and 4e-4.
    "sagan": {
        "resgan": Method(
            _HINGE,
            _MIMICRY,
            partial(_residual, attention=True),
            conditional=True,
            paper="Zhang et al., ICML 2019",
        )
    },
    # Classes choose the generator's norms and project in the logit.
    "cgan-pd": {
        "resgan": Method(
            _HINGE, _MIMICRY, _residual, conditional=True, paper="Miyato and Koyama, ICLR 2018"
        )
    },
    "infomax-gan": {
        "resgan": Method(
            _HINGE,
            _MIMICRY,
            _residual,
            (infomax_task(resgan.InfoMaxCritics(scores_only=True)),),
            paper="Lee et al., WACV 2021",
        )
    },
}


def architecture_of(config: GanConfig) -> Architecture:
    """The architecture that a config means.

    Raises:
        ValueError: for an unknown method, and for an architecture that it does not come in.
    """
    if config.method not in METHODS:
        close = difflib.get_close_matches(config.method, METHODS, n=1, cutoff=0.0)
        raise ValueError(
            f"unknown method {config.method!r}; did you mean {close[0]!r}? "
            f"Methods are {', '.join(METHODS)}"
        )
    rows = METHODS[config.method]
    # Strided networks halve down to 4x4, which 48 does not.
    own = "resgan" if config.size == 48 and "resgan" in rows else next(iter(rows))
    wanted = config.architecture or own
    if wanted not in rows:
        raise ValueError(
            f"{config.method} does not come in the architecture {wanted!r}, only in "
            f"{' and '.join(rows)}"
        )
    return wanted


_POSITIVE = (
    "batch_size latent width generator_width discriminator_width learning_rate "
    "discriminator_learning_rate n_dis classes decay_steps"
).split()


class Gan(NamedTuple):
    """A built GAN: its config, with the method's own values filled in, and its game."""

    config: GanConfig
    game: Game

    @property
    def generator(self) -> nn.Module:
        """From noise (and labels) to images."""
        return self.game.networks[GENERATOR]

    @property
    def discriminator(self) -> nn.Module:
        """From images (and labels) to logits and what else it returns."""
        return self.game.networks[DISCRIMINATOR]

    @property
    def updates(self) -> tuple[Update, ...]:
        """The moves of a step."""
        return self.game.updates

    @property
    def learner(self) -> Learner:
        """What `gan_forensics.train.fit` trains."""
        average = self.config.average
        return Learner(
            "gan",
            asdict(self.config),
            self.updates,
            lambda seed: init(self, seed),
            average=(GENERATOR,) if average else (),
            average_decay=average or 0.0,
            precision=self.config.precision,
        )


def build(config: GanConfig, *, tasks: Sequence[Task] = ()) -> Gan:
    """The networks and updates of a config, with further tasks on top of the method's.

    Raises:
        ValueError: for an unknown method, tail, size, prior or architecture, and for settings that
            do not go together.
    """
    architecture = architecture_of(config)
    for name in _POSITIVE:
        value = getattr(config, name)
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be positive, got {value}: leave it out for the default")
    method = METHODS[config.method][architecture]
    if method.conditional and not config.classes:
        raise ValueError(
            f"{config.method} is conditional: set classes to the number of classes of the data"
        )
    if config.classes and not method.conditional:
        conditional = [
            n for n, rows in METHODS.items() if any(r.conditional for r in rows.values())
        ]
        raise ValueError(
            f"{config.method} knows no classes: leave classes out, or choose "
            f"{' or '.join(conditional)}"
        )
    if config.schedule not in ("none", "linear"):
        raise ValueError(f"unknown schedule {config.schedule!r}; schedules are none and linear")
    if config.schedule == "none" and config.decay_steps is not None:
        raise ValueError("decay_steps are of the linear schedule: leave them out, or choose it")
    if config.schedule == "linear" and not config.decay_steps:
        raise ValueError("the linear schedule needs decay_steps, the steps until the rate is 0")
    if config.average is not None and not 0 < config.average < 1:
        raise ValueError(f"average is a decay between 0 and 1, got {config.average}")
    if config.prior not in PRIORS:
        raise ValueError(f"unknown prior {config.prior!r}; priors are {', '.join(PRIORS)}")
    check_precision(config.precision)
    recipe = {
        "learning_rate": config.learning_rate or method.recipe.learning_rate,
        "n_dis": config.n_dis or method.recipe.n_dis,
    }
    config = replace(config, architecture=architecture, channels=config.channels or 3, **recipe)
    game = method.game(
        *method.networks(config),
        tasks=tasks,
        prior=PRIORS[config.prior](config.latent),
        discriminator_learning_rate=config.discriminator_learning_rate,
        decay_steps=config.decay_steps if config.schedule == "linear" else None,
        **recipe,
    )
    return Gan(config, game)


def init(gan: Gan, seed: int | None = None) -> tuple[dict[str, PyTree], dict[str, PyTree]]:
    """Initial (parameters, statistics) by network name, from the config's seed or another.

    Methods of one architecture start alike from one seed, as far as they have the same layers.
    """
    config = gan.config
    # Two images, since batch norm cannot train on one.
    images: Any = np.zeros((2, config.size, config.size, config.channels or 3), np.float32)
    return gan.game.init(jax.random.key(config.seed if seed is None else seed), {"image": images})
