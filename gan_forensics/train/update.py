"""A learner is a tuple of updates: a game of one or more players, turned into one pure step.

A classifier is one `Update`, a GAN two, an adversarial autoencoder three. Everything that training
changes lives in one `TrainState` of arrays; everything else (networks, losses, optimisers) is
closed over by the updates, so that a state can be saved, sharded and compared as it is.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, PyTree

from gan_forensics.runtime import once_for_equal
from gan_forensics.runtime.counts import networks_in_short
from gan_forensics.train.average import moved, newest_weight

Networks = Mapping[str, PyTree]


class Aux(NamedTuple):
    """What a loss returns beside its value.

    Attributes:
        stats: the new statistics (batch norm averages, spectral norm vectors, ...) of every
            network whose statistics moved; networks that are not named keep theirs.
        metrics: scalars to log, by name.

    Example:
        >>> aux = Aux(stats={}, metrics={"error": 0.25})
        >>> aux.metrics["error"]
        0.25
    """

    stats: Mapping[str, PyTree]
    metrics: Mapping[str, Float[Array, ""]]


Loss = Callable[
    [Networks, Networks, Networks, PyTree, Array, Int[Array, ""]], tuple[Float[Array, ""], Aux]
]


class Update(NamedTuple):
    """One player's move.

    Attributes:
        name: unique in its game; prefixes the metrics.
        trains: the names of the networks that the move changes.
        loss: the pure function `loss(trainable, frozen, stats, batch, key, step) -> (scalar, Aux)`;
            `trainable` and `frozen` hold the parameters of the networks that are and are not
            named in `trains`, `stats` the statistics of all, `step` counts the finished steps.
        optimizer: an optax transformation for the trained networks together.
        repeats: how many times the move is made in a step, each time on a fresh minibatch.
        own_minibatches: whether these minibatches are for this move alone; otherwise moves share
            the leading ones of a step.

    Example:
        >>> import optax
        >>> from gan_forensics.train import Aux, Update
        >>> def loss(trainable, frozen, stats, batch, key, step):
        ...     miss = trainable["point"]["x"] - batch["goal"].mean()
        ...     return miss**2, Aux(stats={}, metrics={"miss": miss})
        >>> Update("to_goal", ("point",), loss, optax.sgd(0.5), repeats=2)
        Update('to_goal', trains point, 2 moves a step)
    """

    name: str
    trains: tuple[str, ...]
    loss: Loss
    optimizer: optax.GradientTransformation
    repeats: int = 1
    own_minibatches: bool = False

    def __repr__(self) -> str:
        moves = f", {self.repeats} moves a step" if self.repeats != 1 else ""
        return f"Update({self.name!r}, trains {', '.join(self.trains)}{moves})"


@flax.struct.dataclass
class TrainState:
    """All that training changes, and nothing else.

    Attributes:
        step: number of finished steps.
        params: network name -> parameters.
        stats: network name -> statistics (an empty dict for a network without).
        opt: update name -> optimiser state.
        average: network name -> moving average of its parameters, without the initial draw.

    Example:
        >>> import jax.numpy as jnp
        >>> params = {"line": {"kernel": jnp.ones((3, 4)), "bias": jnp.ones(4)}}
        >>> TrainState(jnp.int32(7), params, stats={}, opt={}, average={})
        TrainState(step=7, line 16 parameters)
    """

    step: Int[Array, ""]
    params: Networks
    stats: Networks
    opt: Mapping[str, optax.OptState]
    average: Networks

    def __repr__(self) -> str:
        try:
            step = str(int(self.step))
        # Of many seeds, traced, a shape alone, or given to a step that made another of it.
        except (TypeError, ValueError, RuntimeError):
            shape = getattr(self.step, "shape", ())
            step = f"[{shape[0]} seeds]" if len(shape) == 1 else "?"
        average = f"; average of {', '.join(self.average)}" if self.average else ""
        return f"TrainState(step={step}, {networks_in_short(self.params)}{average})"


Step = Callable[[TrainState, PyTree, Array], tuple[TrainState, dict[str, Array]]]


def minibatches_per_step(updates: Sequence[Update]) -> int:
    """How many minibatches one step takes: those that are shared, then each move's own.

    Example:
        >>> import optax
        >>> from gan_forensics.train import Aux, Update, minibatches_per_step
        >>> def loss(trainable, frozen, stats, batch, key, step):
        ...     return batch.mean(), Aux({}, {})
        >>> critic = Update("critic", ("critic",), loss, optax.sgd(0.1), repeats=5)
        >>> generator = Update("generator", ("generator",), loss, optax.sgd(0.1))
        >>> minibatches_per_step([critic, generator])
        5
        >>> minibatches_per_step([critic, generator._replace(own_minibatches=True)])
        6
    """
    return max(stop for _, stop in _minibatches(updates))


def _minibatches(updates: Sequence[Update]) -> list[tuple[int, int]]:
    """The first minibatch of every move, and the one after its last."""
    end = max((u.repeats for u in updates if not u.own_minibatches), default=0)
    places = []
    for update in updates:
        first = end if update.own_minibatches else 0
        places.append((first, first + update.repeats))
        end += update.repeats if update.own_minibatches else 0
    return places


def _check(updates: Sequence[Update], params: Networks) -> None:
    if not updates:
        raise ValueError("a game needs at least one Update")
    names = [update.name for update in updates]
    if len(set(names)) < len(names):
        raise ValueError(f"update names {names} must differ: optimiser states go by name")
    for update in updates:
        unknown = sorted(set(update.trains) - set(params))
        if unknown or not update.trains:
            raise ValueError(
                f"update {update.name!r} trains {list(update.trains)}, of which {unknown} are not "
                f"networks; the networks are {sorted(params)}"
            )
        if update.repeats < 1:
            raise ValueError(f"update {update.name!r} repeats {update.repeats} times: at least 1")


def init_state(
    updates: Sequence[Update],
    params: Networks,
    stats: Networks,
    *,
    average: Sequence[str] = (),
) -> TrainState:
    """The state before the first step.

    Args:
        updates: the game.
        params: initial parameters by network name.
        stats: initial statistics by network name; missing networks have none.
        average: names of the networks of which a moving average is kept.

    Raises:
        ValueError: for duplicate update names and for networks that do not exist.

    Example:
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from gan_forensics.train import Aux, Update, init_state
        >>> def loss(trainable, frozen, stats, batch, key, step):
        ...     return (trainable["point"]["x"] - batch["goal"].mean()) ** 2, Aux({}, {})
        >>> update = Update("to_goal", ("point",), loss, optax.sgd(0.5))
        >>> init_state([update], {"point": {"x": jnp.zeros(3)}}, {}, average=["point"])
        TrainState(step=0, point 3 parameters; average of point)
    """
    _check(updates, params)
    if unknown := sorted(set(average) - set(params)):
        raise ValueError(f"no networks {unknown} to average; the networks are {sorted(params)}")
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=dict(params),
        stats={name: stats.get(name, {}) for name in params},
        opt=_start_optimizers(tuple(updates), dict(params)),
        average={name: jax.tree.map(jnp.array, params[name]) for name in average},
    )


@partial(jax.jit, static_argnums=0)  # One program: one for every shape would take far longer.
def _start_optimizers(updates: tuple[Update, ...], params: Networks) -> dict[str, optax.OptState]:
    return {u.name: u.optimizer.init({n: params[n] for n in u.trains}) for u in updates}


def _move(update: Update, state: TrainState, batch: PyTree, key: Array):
    """One update on one minibatch."""
    trainable = {name: state.params[name] for name in update.trains}
    frozen = {name: value for name, value in state.params.items() if name not in trainable}
    gradient = jax.value_and_grad(update.loss, has_aux=True)
    (loss, aux), gradients = gradient(trainable, frozen, state.stats, batch, key, state.step)
    if unknown := sorted(set(aux.stats) - set(state.stats)):
        raise ValueError(
            f"update {update.name!r} returned statistics of unknown networks {unknown}"
        )
    changes, opt = update.optimizer.update(gradients, state.opt[update.name], trainable)
    state = dataclasses.replace(
        state,
        params={**state.params, **dict(optax.apply_updates(trainable, changes))},  # pyright: ignore
        stats={**state.stats, **aux.stats},
        opt={**state.opt, update.name: opt},
    )
    metrics = {"loss": loss, "gradient_norm": optax.global_norm(gradients)}
    if taken := sorted(metrics.keys() & aux.metrics.keys()):
        raise ValueError(
            f"update {update.name!r} reports {taken}, names of the engine's own metrics"
        )
    metrics |= aux.metrics
    return state, {f"{update.name}/{name}": value for name, value in metrics.items()}


@once_for_equal
def make_step(updates: Sequence[Update], *, average_decay: float = 0.999) -> Step:
    """The pure function that makes every move of a game once.

    The moves are made in the order of the tuple. A move that repeats takes the minibatches
    0, 1, ..., repeats - 1, so moves share the leading ones, unless it has minibatches of its own:
    those follow the shared ones. Keys are derived from the run's key by the step, the move's place
    and the repeat: a resumed run needs no stored generator.

    Args:
        updates: the game.
        average_decay: a of the moving averages (`gan_forensics.train.average`), which move once
            after every step, for the networks that `init_state` was told to average.

    Returns:
        `step(state, batches, key) -> (state, metrics)`, to be jitted by the caller. The leaves of
        `batches` are [minibatches, batch, ...]; the metrics "update/name" are means over repeats.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from gan_forensics.runtime import random_key
        >>> from gan_forensics.train import Aux, Update, init_state, make_step
        >>> def loss(trainable, frozen, stats, batch, key, step):
        ...     return (trainable["point"]["x"] - batch["goal"].mean()) ** 2, Aux({}, {})
        >>> update = Update("to_goal", ("point",), loss, optax.sgd(0.5))
        >>> state = init_state([update], {"point": {"x": jnp.zeros(())}}, {})
        >>> goals = {"goal": jnp.full((1, 4), 3.0)}  # one minibatch of four
        >>> state, metrics = jax.jit(make_step([update]))(state, goals, random_key(0))
        >>> float(metrics["to_goal/loss"]), float(state.params["point"]["x"])
        (9.0, 3.0)
    """
    updates = tuple(updates)
    places = _minibatches(updates)

    def step(state: TrainState, batches: PyTree, key: Array):
        key = jax.random.fold_in(key, state.step)
        metrics: dict[str, Any] = {}
        for place, (update, (first, stop)) in enumerate(zip(updates, places, strict=True)):
            keys = jax.random.split(jax.random.fold_in(key, place), update.repeats)
            if update.repeats == 1:
                batch = jax.tree.map(lambda x, first=first: x[first], batches)
                state, logged = _move(update, state, batch, keys[0])
            else:
                state, logged = jax.lax.scan(
                    lambda state, minibatch, update=update: _move(update, state, *minibatch),
                    state,
                    (jax.tree.map(lambda x, a=first, b=stop: x[a:b], batches), keys),
                )
                logged = jax.tree.map(lambda x: x.mean(0), logged)
            metrics.update(logged)
        state = dataclasses.replace(state, step=state.step + 1)
        if state.average:
            weight = newest_weight(average_decay, state.step)
            average = {n: moved(m, state.params[n], weight) for n, m in state.average.items()}
            state = dataclasses.replace(state, average=average)
        return state, metrics

    return step
