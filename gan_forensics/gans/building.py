"""From a config to a GAN: the networks, the game, and the initial state."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, Generic, NamedTuple, TypeVar

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import PyTree

from gan_forensics.data.toy_points import world_of
from gan_forensics.gans.architectures import latent_of
from gan_forensics.gans.augment import transforms_of
from gan_forensics.gans.config import POINTS, Architecture, GanConfig, OwnConfig
from gan_forensics.gans.game import SPANNING, Game, Recipe, Schedule
from gan_forensics.gans.method import Method
from gan_forensics.gans.methods import METHODS, architecture_of, method_of
from gan_forensics.gans.offered import check_game
from gan_forensics.gans.optimizers import check_rate, rate_in_words
from gan_forensics.gans.priors import PRIORS, Prior
from gan_forensics.gans.task import DISCRIMINATOR, GENERATOR, Task
from gan_forensics.nn.limits import check_limits
from gan_forensics.runtime import check_precision, once_for_equal, random_key
from gan_forensics.runtime.counts import networks_in_short
from gan_forensics.train import Learner, TrainState, Update

_WHOLE = (
    "size batch_size latent width generator_width discriminator_width n_dis classes decay_steps "
    "dimensions"
).split()
_POSITIVE = (*_WHOLE, "point_scale", "gamma", "dag_weight", "ada_kimg")
_RATES = ("learning_rate", "discriminator_learning_rate")
# Of a method's recipe, what a config may say.
_OF_RECIPE = (*_RATES, "n_dis", "schedule", "decay_steps")


Config = TypeVar("Config", GanConfig, OwnConfig)


class Gan(NamedTuple, Generic[Config]):
    """A built GAN: its config, with the method's own values filled in, and its game.

    The config is a `GanConfig`, or the `OwnConfig` of a GAN of `make_gan`.

    Example:
        >>> from gan_forensics.gans import GanConfig, build
        >>> gan = build(GanConfig("dcgan", size=16, width=4))
        >>> gan
        Gan(dcgan of 16x16x3, generator 17.1 k, discriminator 853 parameters)
        >>> gan.updates
        (Update('generator', trains generator), Update('discriminator', trains discriminator))
    """

    config: Config
    game: Game

    def __repr__(self) -> str:
        # Shapes are found by tracing: nothing is drawn.
        params, _ = jax.eval_shape(lambda: init(self, 0))
        made = {name: params[name] for name in self.game.networks}
        size = "x".join(map(str, self.config.shape))
        of = size if len(self.config.shape) == 3 else f"points of {size} numbers"
        return f"Gan({self.config.method} of {of}, {networks_in_short(made)})"

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
        rates = {name: getattr(self.config, name) for name in _RATES}
        known = {name: rate_in_words(rate) for name, rate in rates.items() if rate is not None}
        return Learner(
            "gan",
            {**asdict(self.config), **known},
            self.updates,
            lambda seed: init(self, seed),
            average=(GENERATOR,) if average else (),
            average_decay=average or 0.0,
            precision=self.config.precision,
        )


def check_gan(gan: Any) -> None:
    """Refuse what is no GAN (ValueError): a config, or arguments in another order."""
    if isinstance(gan, Gan):
        return
    mend = (
        "build(config) makes one of it"
        if isinstance(gan, GanConfig)
        else ("give what build or make_gan returned, first")
    )
    raise ValueError(f"a Gan is needed, got {_kind(gan)}: {mend}")


def check_state(state: Any) -> None:
    """Refuse what is no state of training (ValueError)."""
    if not isinstance(state, TrainState):
        raise ValueError(f"a TrainState is needed, as fit or load returned it, got {_kind(state)}")


def _kind(value: Any) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def check_seed(seed: Any) -> None:
    """Refuse a seed that is no whole number from 0 to 2**32 - 1 (ValueError)."""
    whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not whole or not 0 <= seed < 2**32:
        raise ValueError(f"seed must be a whole number from 0 to 2**32 - 1, got {seed!r}")


def build(config: GanConfig, *, tasks: Sequence[Task] = ()) -> Gan[GanConfig]:
    """The networks and updates of a config, with further tasks on top of the method's.

    Raises:
        ValueError: for an unknown method, tail, size, prior or architecture, for settings that do
            not go together, and for terms of `tasks` that ask for what is not there.

    Example:
        >>> from gan_forensics.gans import GanConfig, build
        >>> gan = build(GanConfig("dcgan", size=16, width=4))
        >>> gan.config.latent, gan.config.learning_rate
        (128, 0.0001)
    """
    if not isinstance(config, GanConfig):
        raise ValueError(
            f"a GanConfig is needed, got {_kind(config)}: build(GanConfig(method='dcgan', size=64))"
        )
    for name in (*_WHOLE, "seed"):
        value = getattr(config, name)
        if value is not None and not isinstance(value, int | np.integer):
            raise ValueError(f"{name} must be a whole number, got {value!r}")
    check_seed(config.seed)
    if config.channels not in (None, 1, 3):
        raise ValueError(f"channels must be 1 or 3, got {config.channels!r}")
    architecture = architecture_of(config)
    for name in _POSITIVE:
        value = getattr(config, name)
        if value is not None and not value > 0:
            raise ValueError(f"{name} must be positive, got {value}: leave it out for the default")
    for name in _RATES:
        if (rate := getattr(config, name)) is not None:
            check_rate(name, rate)
    if callable(config.learning_rate) and config.schedule not in (None, "none"):
        raise ValueError(
            f"learning_rate is a schedule itself: leave schedule={config.schedule!r} out"
        )
    check_limits(config)
    method = method_of(config)
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
    names = config.label_names
    if names and (len(names) != config.classes or not all(isinstance(n, str) for n in names)):
        raise ValueError(f"{len(names)} label_names for {config.classes} classes: leave them out")
    if not spans_run(config) and config.decay_steps is not None:
        raise ValueError(
            f"decay_steps are of the schedules {' and '.join(SPANNING)}, and of losses that change "
            "over a run: leave them out, or choose such a schedule"
        )
    if spans_run(config) and not config.decay_steps:
        raise ValueError(
            "schedules that end with the run, and losses that change over it (of dist-gan and its "
            "like), need decay_steps, the steps of the run"
        )
    if config.bundle is not None and method.bundle is None:
        bundled = [n for n, rows in METHODS.items() if any(r.bundle for r in rows.values())]
        raise ValueError(
            f"{config.method} comes in no bundles: leave bundle out, or choose "
            f"{' or '.join(bundled)}"
        )
    if config.average is not None and not 0 < config.average < 1:
        raise ValueError(f"average is a decay between 0 and 1, got {config.average}")
    if config.prior is not None and config.prior not in PRIORS:
        raise ValueError(f"unknown prior {config.prior!r}; priors are {', '.join(PRIORS)}")
    check_precision(config.precision)
    _check_tasks(config, architecture, method)
    config = _filled(config, architecture, method)
    prior = PRIORS[config.prior or ""](latent_of(config))
    # The seed is of states alone.
    game = _game(method, replace(config, seed=0), prior, tuple(tasks))
    if tasks:  # The method's own are known to find what they ask for.
        check_game(game, config.shape)
    return Gan(config, game)


@once_for_equal
def _game(method: Method, config: GanConfig, prior: Prior, tasks: tuple[Task, ...]) -> Game:
    return method.game(
        *method.networks(config),
        config=config,
        tasks=tasks,
        prior=prior,
        **{name: getattr(config, name) for name in _OF_RECIPE},
    )


def _check_tasks(config: GanConfig, architecture: Architecture, method: Method) -> None:
    """Refuse settings of tasks that a config has not."""
    weights = ("task_discriminator_weight", "task_generator_weight")
    for name in weights:
        value = getattr(config, name)
        if value is not None and method.supervision is None:
            raise ValueError(
                f"{name} is of self-supervised methods, and {config.method} is none: leave it out"
            )
        if value is not None and value < 0:
            raise ValueError(f"{name} must be 0 or more, got {value}")
    owners = {
        "gamma": ("r3gan",),
        "label_augmented_loss": ("ssgan-la", "ssgan-la-plus"),
    }
    for name, methods in owners.items():
        if getattr(config, name) is not None and not {config.method, config.base} & {*methods}:
            raise ValueError(
                f"{name} is of {' and '.join(methods)}, not of {config.method}: leave it out"
            )
    strided = architecture == "dcgan" and not method.unit
    if config.norm is not None and not strided:
        raise ValueError(
            f"norm {config.norm} is of strided discriminators alone: leave it out, or choose the "
            "architecture dcgan"
        )
    if config.norm == "batch" and "r3gan" in (config.method, config.base):
        raise ValueError(
            "r3gan's penalties need a discriminator that does not tie images together: leave norm "
            "out, or choose layer, instance or none"
        )
    transforms_of(config)
    if architecture in POINTS and config.augment not in (None, "none"):
        raise ValueError(
            f"augment {config.augment} is for images, and {config.data} has points: leave it out"
        )


def recipe_of(config: GanConfig) -> Recipe:
    """How the players of a built config move."""
    chosen = {name: getattr(config, name) for name in _OF_RECIPE}
    return replace(method_of(config).recipe, **chosen)


def spans_run(config: GanConfig) -> bool:
    """Whether a config depends on the length of its run."""
    method = method_of(config)
    return method.timed or _schedule(config, method) in SPANNING


def _schedule(config: GanConfig, method: Method) -> Schedule:
    """What rules the learning rates, unless they are schedules themselves."""
    own = "none" if callable(config.learning_rate) else method.recipe.schedule
    return config.schedule or own


def _filled(config: GanConfig, architecture: Architecture, method: Method) -> GanConfig:
    """A config with what the method says in the place of what is left out."""
    config = replace(
        config,
        architecture=architecture,
        learning_rate=config.learning_rate or method.recipe.learning_rate,
        n_dis=config.n_dis or method.recipe.n_dis,
        schedule=_schedule(config, method),
        bundle=config.bundle or method.bundle,
    )
    if architecture not in POINTS:
        _refuse(config, "points", dimensions=config.dimensions, point_scale=config.point_scale)
        config = replace(config, channels=config.channels or 3)
    else:
        _refuse(config, "images", channels=config.channels)
        config = _measured(config, architecture)
    return replace(
        config,
        latent=config.latent or method.latent(config),
        prior=config.prior or method.prior(config),
    )


def _refuse(config: GanConfig, what: str, **given: Any) -> None:
    for name, value in given.items():
        if value is not None:
            raise ValueError(
                f"{name} {value} is for {what}, and {config.architecture} networks are not: "
                "leave it out"
            )


def _measured(config: GanConfig, architecture: Architecture) -> GanConfig:
    """The config of points with their dimensions and scale, where it names a toy world."""
    world = world_of(config.data)
    if config.dimensions is None:
        if world is None:
            raise ValueError(
                f"{config.method} with {architecture} networks is for points, and {config.data} is "
                "not known to hold any: give a toy world (toy:grid9), npz:FILE.npz with an array "
                "`point` [n, d], or dimensions"
            )
        own = 1 if world.centres is None else world.centres.shape[1]
        config = replace(config, dimensions=own)
    if architecture == "small-perceptron":
        # Its generator ends in no sigmoid, so it makes points as they are.
        _refuse(config, "perceptrons", point_scale=config.point_scale)
        return config
    scale = config.point_scale or (world.scale if world else None)
    if scale is None:
        raise ValueError("points need point_scale, about their largest number")
    return replace(config, point_scale=scale)


def init(gan: Gan, seed: int | None = None) -> tuple[dict[str, PyTree], dict[str, PyTree]]:
    """Initial (parameters, statistics) by network name, from the config's seed or another.

    Methods of one architecture start alike from one seed, as far as they have the same layers.

    Example:
        >>> from gan_forensics.gans import GanConfig, build, init
        >>> gan = build(GanConfig("dist-gan", data="toy:grid9", width=4))
        >>> params, stats = init(gan, seed=1)
        >>> sorted(params), stats["generator"]
        (['discriminator', 'encoder', 'generator'], {})
    """
    config = gan.config
    # Two examples, since batch norm cannot train on one; in no memory.
    batch: Any = {gan.game.data: np.broadcast_to(np.float32(0), (2, *config.shape))}
    return gan.game.init(random_key(config.seed if seed is None else seed), batch)
