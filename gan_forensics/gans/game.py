"""The game of a generator against a discriminator, as a tuple of updates made of tasks.

`Game` is the frame of every GAN here: networks, a prior, the players in the order of their moves,
and tasks, of which the adversarial loss is one. A player's loss is the sum of the tasks' terms for
it. Real and generated images are separate passes with statistics of their own, and all networks
are in training mode in all moves, so that the generator's batch norm averages also move in the
discriminator's moves, and the discriminator's spectral norm vectors in the generator's.

Published codes differ in who moves first. Chandrasegaran et al. (CVPR 2021): the generator, then
the discriminator against the images of the generator that has just moved. Lee and Town (arXiv
2005.02494): the discriminator n_dis times, each on fresh images, then the generator.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.core import Tracer
from jaxtyping import Array, PyTree

from gan_forensics.gans.context import WEIGHTS, Context, Draws
from gan_forensics.gans.losses import LOSSES, AdversarialLoss
from gan_forensics.gans.optimizers import (
    Rate,
    adam,
    at_steps,
    half_linear_decay,
    linear_decay,
    staircase_decay,
)
from gan_forensics.gans.penalties import Kind, Norm, Sample, gradient_penalty
from gan_forensics.gans.priors import Prior, normal
from gan_forensics.gans.singular_values import singular_value_range
from gan_forensics.gans.task import (
    DISCRIMINATOR,
    GENERATOR,
    Augment,
    Loss,
    PairLoss,
    PairPenalty,
    Task,
    Weight,
    check_tasks,
)
from gan_forensics.nn.calling import told
from gan_forensics.nn.initial import initial_variables, shapes_of
from gan_forensics.runtime import random_key, split_over_data
from gan_forensics.train import Aux, Update


def adversarial(loss: str | AdversarialLoss) -> Task:
    """The task of every GAN: to tell real from generated images, and not to be told.

    Args:
        loss: a name of `LOSSES`, such as "hinge", or a loss of your own.

    Raises:
        ValueError: for an unknown name.

    Example:
        >>> adversarial("hinge")
        Task(discriminator: adversarial; generator: adversarial)
    """
    loss = loss_named(loss)

    def discriminator(context: Context) -> Loss:
        real, fake = context.real["logits"], context.fake["logits"]
        value = loss.discriminator(real, fake)
        means = {"real_logit": real.mean(), "fake_logit": fake.mean()}
        return Loss(value, {"adversarial": value, **means})

    def generator(context: Context) -> Loss:
        value = loss.generator(context.fake["logits"])
        return Loss(value, {"adversarial": value})

    return Task((discriminator,), (generator,), pair=pair_loss(loss))


def loss_named(loss: str | AdversarialLoss) -> AdversarialLoss:
    """The loss of a name of `LOSSES`, or itself; raises ValueError for an unknown name."""
    if isinstance(loss, AdversarialLoss):
        return loss
    if not isinstance(loss, str) or loss not in LOSSES:
        raise ValueError(
            f"unknown adversarial loss {loss!r}: give one of {', '.join(LOSSES)}, or an "
            "AdversarialLoss"
        )
    return LOSSES[loss]


def pair_loss(loss: AdversarialLoss) -> PairLoss:
    """A loss of logits alone, for any pair of real and generated images."""
    return PairLoss(
        lambda logits, context: loss.discriminator(logits["real"], logits["fake"]),
        lambda logits, context: loss.generator(logits["fake"]),
        zero=loss.zero,
    )


def penalised(
    kind: Kind,
    *,
    sample: Sample = "line",
    norm: Norm = "l2",
    weight: Weight = 10.0,
    name: str = "penalty",
) -> Task:
    """A gradient penalty on the discriminator, see `gan_forensics.gans.penalties`.

    A conditional discriminator is asked with the labels of the real images. `name` is that of the
    metric; a second penalty in a game needs another.

    Example:
        >>> task = penalised("1-gp", weight=10)
        >>> task, task.penalty.weight
        (Task(discriminator: penalised), 10)
    """

    def discriminator(context: Context) -> Loss:
        labels = context.labels("real")
        steepness = gradient_penalty(
            lambda x: context.logits_at(x, labels),
            context.images("real"),
            context.images("fake"),
            kind=kind,
            sample=sample,
            norm=norm,
            key=context.draws.key,
            alpha=context.draws.alpha,
        )
        return Loss(context.weigh(weight) * steepness, {name: steepness})

    return Task((discriminator,), penalty=PairPenalty(kind, norm, weight))


class Player(NamedTuple):
    """One who moves in a game.

    Attributes:
        name: of its update; tasks give their terms by it.
        optimizer: of the networks that it trains.
        trains: their names; by default the network of the player's own name.
        repeats: moves a step, each on fresh images.
        own_minibatches: as in `gan_forensics.train.Update`.

    Example:
        >>> from gan_forensics.gans import Player, adam
        >>> critic = Player("discriminator", adam(4e-4), repeats=5)
        >>> critic.repeats, critic.own_minibatches
        (5, False)
    """

    name: str
    optimizer: optax.GradientTransformation
    trains: tuple[str, ...] = ()
    repeats: int = 1
    own_minibatches: bool = False


Schedule = Literal["none", "linear", "half-linear", "staircase"]
SCHEDULES: tuple[Schedule, ...] = ("none", "linear", "half-linear", "staircase")
# Those that end with the run.
SPANNING: tuple[Schedule, ...] = ("linear", "half-linear")


@dataclass(frozen=True)
class Recipe:
    """How a generator and a discriminator move.

    Attributes:
        learning_rate: of both Adams; a number, or a schedule of the step, for which `schedule` does
            nothing.
        discriminator_learning_rate: of the discriminator's, where it differs.
        betas: of both Adams.
        n_dis: the discriminator's moves a step, each on fresh images.
        schedule: of the rates: "none" (constant), "linear" (to 0), or those of
            `gan_forensics.gans.optimizers` that released code has, "half-linear", "staircase".
        decay_steps: steps until the rate is 0, of the schedules that end.
        first: who moves first in a step.
        own_minibatches: whether every move has minibatches of its own; otherwise moves share them.

    Example:
        >>> recipe = Recipe(1e-4, n_dis=5, first="discriminator")
        >>> recipe.betas, [(player.name, player.repeats) for player in recipe.players()]
        ((0.5, 0.999), [('discriminator', 5), ('generator', 1)])
    """

    learning_rate: Rate
    discriminator_learning_rate: Rate | None = None
    betas: tuple[float, float] = (0.5, 0.999)
    n_dis: int = 1
    schedule: Schedule = "none"
    decay_steps: int | None = None
    first: Literal["generator", "discriminator"] = "generator"
    own_minibatches: bool = False

    def players(self, others: Mapping[str, tuple[str, ...]] | None = None) -> tuple[Player, ...]:
        """The two, in the order of their moves.

        Args:
            others: further players, who move once a step before the two, and what each trains.

        Raises:
            ValueError: for an unknown schedule, and one that ends without the steps until then.
        """
        others = others or {}
        if self.schedule not in SCHEDULES:
            raise ValueError(
                f"unknown schedule {self.schedule!r}; schedules are {', '.join(SCHEDULES)}"
            )
        steps = self.decay_steps
        if self.schedule in SPANNING and not steps:
            raise ValueError(
                f"the {self.schedule} schedule needs decay_steps, the steps until the rate is 0"
            )

        def over_time(rate: Rate, repeats: int) -> Rate:
            if callable(rate):
                return at_steps(rate, repeats=repeats)
            schedules = {
                "none": lambda: rate,
                "linear": lambda: linear_decay(rate, steps or 0, repeats=repeats),
                "half-linear": lambda: half_linear_decay(rate, steps or 0, repeats=repeats),
                "staircase": lambda: staircase_decay(
                    rate, moves_per_step=self.n_dis + 1 + len(others), repeats=repeats
                ),
            }
            return schedules[self.schedule]()

        def player(name: str, rate: Rate, repeats: int, trains: tuple[str, ...] = ()) -> Player:
            optimizer = adam(over_time(rate, repeats), betas=self.betas)
            return Player(name, optimizer, trains, repeats, self.own_minibatches)

        own = self.discriminator_learning_rate or self.learning_rate
        both = (
            player(GENERATOR, self.learning_rate, 1),
            player(DISCRIMINATOR, own, self.n_dis),
        )
        before = [player(name, self.learning_rate, 1, nets) for name, nets in others.items()]
        return (*before, *(both if self.first == GENERATOR else both[::-1]))


class Game:
    """Networks, players and tasks: a game whose moves are `updates`.

    The losses of the updates take, in place of a PRNG key, the random numbers themselves as
    `Draws`. With `classes` classes (an attribute of the generator) the game is conditional: both
    networks take labels as their second input, those of real images are the batch key "label",
    those of generated ones are uniform.

    Args:
        generator: from noise (and labels) to images; where it has an attribute `latent`, of noise
            of that length. How networks are called: `gan_forensics.nn.calling`.
        discriminator: of images (and labels) to logits, or to several outputs by name, see
            `gan_forensics.gans.discriminator_output.named_outputs`.
        tasks: what is minimised; the first is usually `adversarial`.
        players: in the order of their moves, `Recipe(1e-4).players()` for instance.
        prior: of the generator's noise; by default normal.
        data: the batch key of what the discriminator looks at.
        scale: m, where networks and all terms see (x / m + 1) / 2 instead of the data x: images
            in [-1, 1] come into [0, 1] by 1. What the generator makes is in that range too.
        weights: numbers that terms weigh by under a name; they are traced, a part of the state
            that nobody trains, so that games which differ in them share what is compiled.
        augment: what the discriminator is shown of images, in its own and the generator's moves.
        classes: of a conditional game, 0 for none; by default those that the generator has.

    Raises:
        ValueError: for a generator without an attribute `latent` where no prior is given, when two
            tasks bring a network of one name or have terms for nobody, a prior does not fit the
            generator, and, when traced, for what a task needs and the game lacks.

    Example:
        >>> from gan_forensics.gans import Game, Recipe, adversarial, penalised
        >>> from gan_forensics.nn.resgan import Discriminator, Generator
        >>> tasks = [adversarial("hinge"), penalised("1-gp")]
        >>> game = Game(Generator(32), Discriminator(32), tasks, Recipe(2e-4).players())
        >>> game.updates[1], game.prior.latent
        (Update('discriminator', trains discriminator), 128)
    """

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        tasks: Sequence[Task],
        players: Sequence[Player],
        *,
        prior: Prior | None = None,
        data: str = "image",
        scale: float | None = None,
        weights: Mapping[str, float] | None = None,
        augment: Augment | None = None,
        classes: int | None = None,
    ):
        tasks = check_tasks(tasks)
        latent: int | None = getattr(generator, "latent", prior.latent if prior else None)
        if latent is None:
            raise ValueError(
                f"{type(generator).__name__} has no attribute latent, the length of its noise: "
                "give a prior, such as gan_forensics.gans.PRIORS['normal'](128)"
            )
        self.prior = prior or normal(latent)
        self.classes: int = getattr(generator, "classes", 0) if classes is None else classes
        if self.prior.latent != latent:
            raise ValueError(
                f"the {self.prior.name} prior draws {self.prior.latent} numbers, the generator "
                f"takes {latent}: give both the same length"
            )
        self.networks: dict[str, nn.Module] = {GENERATOR: generator, DISCRIMINATOR: discriminator}
        for task in tasks:
            if twice := sorted(self.networks.keys() & task.networks.keys()):
                raise ValueError(f"two tasks bring networks named {twice}: give them other names")
            self.networks |= task.networks
            if lost := sorted(task.others.keys() - {player.name for player in players}):
                raise ValueError(
                    f"a task has terms for {lost}, who are not in the game: its players are "
                    f"{', '.join(player.name for player in players)}"
                )
        if scale is not None and not 0 < scale < float("inf"):
            raise ValueError(f"scale must be positive and finite, got {scale}")
        self.data, self.scale, self._weights = data, scale, dict(weights or {})
        self._augment = augment
        self.players = tuple(players)
        self.terms = {p.name: sum((task.terms(p.name) for task in tasks), ()) for p in players}
        taken = {name for player in players for name in player.trains or (player.name,)}
        left = tuple(name for name in self.networks if name not in taken)
        self.updates = tuple(
            Update(
                player.name,
                (player.trains or (player.name,)) + (left if player.name == DISCRIMINATOR else ()),
                self._loss(player.name),
                player.optimizer,
                player.repeats,
                player.own_minibatches,
            )
            for player in players
        )

    def _loss(self, player: str):
        def loss(trainable, frozen, stats, batch, key, step):
            context = self._context(player, {**frozen, **trainable}, stats, batch, key, step)
            value, metrics = context.total(self.terms[player])
            own = singular_value_range(trainable, context.stats)
            return value, Aux(context.stats, {**metrics, **own})

        return loss

    def _context(self, player, params, stats, batch, key, step, networks=None) -> Context:
        draws = key if isinstance(key, Draws) else self._draws(player, batch, key)
        networks = networks or self.networks
        if self.scale is not None:
            batch = {**batch, self.data: (batch[self.data] / self.scale + 1) / 2}
        # Further players compare images, which transforms of their own would disturb.
        augment = self._augment if player in (GENERATOR, DISCRIMINATOR) else None
        options: dict[str, Any] = {"step": step, "data": self.data, "augment": augment}
        return Context(networks, params, stats, batch=batch, draws=draws, **options)

    def as_data(self, made: Array) -> Array:
        """What the generator makes, in the range of the data."""
        return made if self.scale is None else (2 * made - 1) * self.scale

    def _draws(self, player: str, batch: Mapping[str, Array], key: Array) -> Draws:
        """Labels, then noise, as many as the batch has examples, and a key for the rest."""
        count = len(self._real(batch))
        if player == GENERATOR:
            rest = jax.random.fold_in(key, 2)
        else:
            key, rest = jax.random.split(key)
        labels = None
        if self.classes:
            labels = split_over_data(
                jax.random.randint(jax.random.fold_in(key, 1), (count,), 0, self.classes, jnp.int32)
            )
        z = self.prior.draw(key, count, batch)
        if z.shape != (count, self.prior.latent):
            raise ValueError(
                f"the {self.prior.name} prior drew {list(z.shape)}, for {count} images of a "
                f"generator that takes [{count}, {self.prior.latent}]"
            )
        return Draws(split_over_data(z), labels, key=rest)

    def _real(self, batch: Mapping[str, Array]) -> Array:
        """What the discriminator looks at."""
        if self.data not in batch:
            raise ValueError(
                f"the game looks at {self.data!r}, the batch has {', '.join(batch)}: give a "
                "source with it, or the game data=..."
            )
        return batch[self.data]

    def init(self, key: Array, batch: Mapping[str, Array]) -> tuple[dict, dict]:
        """Initial (parameters, statistics) by network name.

        Args:
            key: of the draw.
            batch: arrays by key as in training, with two examples or more.
        """
        keys = jax.random.split(key)
        real = self._real(batch)
        z = jax.ShapeDtypeStruct((len(real), self.prior.latent), jnp.float32)
        label = jax.ShapeDtypeStruct((len(real),), jnp.int32)
        labels = (label,) if self.classes else ()
        both = {
            GENERATOR: init_network(self.networks[GENERATOR], keys[0], z, *labels),
            DISCRIMINATOR: init_network(self.networks[DISCRIMINATOR], keys[1], real, *labels),
        }
        extra = [name for name in self.networks if name not in both]
        for place, (name, inputs) in enumerate(self._inputs(extra, both, batch, key).items()):
            both[name] = init_network(
                self.networks[name], jax.random.fold_in(key, 2 + place), *inputs
            )
        params, stats = ({n: pair[i] for n, pair in both.items()} for i in (0, 1))
        return params | self._traced(), stats

    def _traced(self) -> dict[str, dict[str, Array]]:
        weights = {name: jnp.float32(value) for name, value in self._weights.items()}
        return {WEIGHTS: weights} if weights else {}

    def _inputs(self, extra: Sequence[str], both, batch, key) -> dict[str, tuple]:
        """The shapes that networks of tasks are first applied to, found by tracing the losses."""
        if not extra:
            return {}
        probes = {name: _Probe(self.networks[name]) for name in extra}
        params = {n: p for n, (p, _) in both.items()} | {name: {} for name in extra}
        params |= self._traced()
        stats = {n: s for n, (_, s) in both.items()} | {name: {} for name in extra}
        labelled = {"label": np.zeros(len(self._real(batch)), np.int32), **batch}

        def losses(params, stats, batch, key):
            for player, terms in self.terms.items():
                if all(probe.inputs for probe in probes.values()):
                    break
                self._context(
                    player, params, stats, batch, key, 0, {**self.networks, **probes}
                ).total(terms)

        shapes_of(losses, params, stats, labelled, key)
        if unused := [name for name in extra if probes[name].inputs is None]:
            raise ValueError(f"no term applies the networks {unused} that tasks bring")
        return {name: probes[name].inputs or () for name in extra}


class _Probe:
    """Stands for a network without parameters, and notes what it is first applied to."""

    def __init__(self, network: nn.Module):
        self.network, self.inputs = network, None

    def apply(self, variables: Any, *inputs: Array, mutable: Any, rngs: Any = None):
        self.inputs = self.inputs or tuple(jax.ShapeDtypeStruct(x.shape, x.dtype) for x in inputs)
        told_so = told(self.network, train=True)
        return self.network.init_with_output(random_key(0), *inputs, **told_so)[0], {}


def init_network(network: nn.Module, key: Array, *inputs: Any) -> tuple[PyTree, PyTree]:
    """Initial (parameters, statistics) of a network for inputs shaped like these.

    Raises:
        ValueError: for parameters that start as NaN or infinite.
    """
    variables = dict(initial_variables(network, key, *inputs, **told(network, train=True)))
    for path, leaf in jax.tree_util.tree_flatten_with_path(variables)[0]:
        # Within a transformation they are not known, and inexact numbers alone can be lost.
        known = not isinstance(leaf, Tracer) and jnp.issubdtype(leaf.dtype, jnp.inexact)
        if known and not np.isfinite(leaf).all():
            raise ValueError(
                f"{type(network).__name__} starts with numbers that are not finite in "
                f"{jax.tree_util.keystr(path, simple=True, separator='/')}: look at its initialiser"
            )
    # What only keeps statistics has no parameters.
    return variables.pop("params", {}), variables
