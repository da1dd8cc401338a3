"""Training a learner with many seeds in one program.

Steps of small networks are so short that starting them one by one would cost more than they do, so
a hundred run in one loop on the device. Seeds differ only in their arrays: they are one batch under
`vmap`, or take turns where `vmap` would be slower, as it is for convolutions.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from gan_forensics.files.progress import progress_bar
from gan_forensics.runtime import jit, products, random_key
from gan_forensics.train.learner import Learner
from gan_forensics.train.loop import NonFiniteLossError
from gan_forensics.train.update import TrainState, Update, make_step, minibatches_per_step

SEGMENT = 100


def train_seeds(
    learner: Learner,
    batches: Callable[[int], Iterator[PyTree]],
    *,
    seeds: Sequence[int],
    steps: int,
    batched: bool = True,
    metrics: tuple[str, ...] = (),
    look: Callable[[int, TrainState], None] | None = None,
    every: int | None = None,
    progress: bool = False,
) -> list[tuple[TrainState, dict[str, Float[np.ndarray, " steps"]]]]:
    """Train a learner once for every seed.

    Args:
        learner: compiled once, for any number of steps, as long as its updates are the same.
        batches: seed -> its minibatches, such as `fit` takes. They are drawn up to `SEGMENT` steps
            ahead, but never beyond the next look.
        seeds: of initial states, keys and minibatches; the result of one does not depend on the
            others beyond rounding.
        steps: how many.
        batched: whether the seeds are one batch under `vmap`; otherwise they take turns.
        metrics: those to record; by default all.
        look: `look(seed, state)` is called for every seed before the first step and after every
            `every` steps.
        every: steps between looks; by default all.
        progress: show how far it is (`gan_forensics.files.progress`).

    Returns:
        For every seed the state, and each metric "update/name" at every step.

    Raises:
        ValueError: without a seed or a step, and for a seed that is given twice.
        NonFiniteLossError: when a recorded metric stops being finite, naming step and seed.

    Example:
        >>> import itertools
        >>> import jax.numpy as jnp
        >>> import numpy as np
        >>> import optax
        >>> from gan_forensics.train import Aux, Learner, Update, train_seeds
        >>> def loss(trainable, frozen, stats, batch, key, step):
        ...     return (trainable["point"]["x"] - batch["goal"].mean()) ** 2, Aux({}, {})
        >>> update = Update("to_goal", ("point",), loss, optax.sgd(0.5))
        >>> learner = Learner(
        ...     "point", {}, (update,), init=lambda seed: ({"point": {"x": jnp.zeros(())}}, {})
        ... )
        >>> def goals(seed):
        ...     return itertools.repeat({"goal": np.full(4, seed, np.float32)})
        >>> made = train_seeds(learner, goals, seeds=[2, 5], steps=3)
        >>> [float(state.params["point"]["x"]) for state, _ in made]
        [2.0, 5.0]
        >>> made[1][1]["to_goal/loss"].tolist()
        [25.0, 0.0, 0.0]
    """
    if not seeds or len(set(seeds)) < len(seeds) or steps < 1:
        raise ValueError(f"need a seed, each once, and steps >= 1, got {seeds} and {steps}")
    sources = [batches(seed) for seed in seeds]
    per_step, every = minibatches_per_step(learner.updates), every or steps
    keys = jnp.stack([random_key(seed) for seed in seeds])
    # Stacking copies: the first segment donates the states, and others may hold their parameters.
    state = jax.tree.map(lambda *x: jnp.stack(x), *[learner.start(seed) for seed in seeds])
    advance = _segment(learner.updates, learner.average_decay, metrics, batched)
    done, histories = 0, []
    bar = progress_bar(total=steps, unit="step", desc=learner.kind, on=progress)
    with bar, products(learner.precision):
        while True:
            if look and done % every == 0:
                for place, seed in enumerate(seeds):
                    look(seed, _at(state, place))
            if done == steps:
                break
            count = min(SEGMENT, steps - done, every - done % every)
            state, logged = advance(state, keys, _minibatches(sources, count, per_step), count)
            logged = {name: x[:, :count] for name, x in jax.device_get(logged).items()}
            _check_finite(logged, done, seeds)
            histories.append(logged)
            done += count
            bar.update(count)
    history = {name: np.concatenate([h[name] for h in histories], axis=1) for name in histories[0]}
    return [(_at(state, place), _at(history, place)) for place in range(len(seeds))]


def _at(tree: PyTree, place: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[place], tree)


def _minibatches(sources: Sequence[Iterator[PyTree]], count: int, per_step: int) -> PyTree:
    """The next `count` steps' of all seeds, [seeds, SEGMENT, per_step, ...], filled with zeros."""

    def stacked(*leaves: np.ndarray) -> np.ndarray:
        whole = np.zeros((len(sources), SEGMENT, per_step, *leaves[0].shape), leaves[0].dtype)
        for place, leaf in zip(np.ndindex(len(sources), count, per_step), leaves, strict=True):
            whole[place] = leaf
        return whole

    drawn = [next(source) for source in sources for _ in range(count * per_step)]
    return jax.tree.map(stacked, *drawn)


@lru_cache(maxsize=32)
def _segment(
    updates: tuple[Update, ...], average_decay: float, metrics: tuple[str, ...], batched: bool
) -> Callable[[TrainState, Array, PyTree, int], Any]:
    """The first `count` steps of all seeds, compiled: (states, metrics [seeds, SEGMENT]).

    The count is no shape, so a run of any length is compiled once.
    """
    step = make_step(updates, average_decay=average_decay)

    def recorded(state: TrainState, batch: PyTree, key: Array):
        # What is not recorded is not computed either.
        state, logged = step(state, batch, key)
        return state, {name: logged[name] for name in metrics or logged}

    def one(state: TrainState, key: Array, batches: PyTree, count: int):
        def move(i, carry):
            state, history = carry
            state, logged = recorded(state, _at(batches, i), key)
            return state, {name: history[name].at[i].set(value) for name, value in logged.items()}

        kinds = jax.eval_shape(lambda: recorded(state, _at(batches, 0), key)[1])
        history = {name: jnp.zeros(SEGMENT, kind.dtype) for name, kind in kinds.items()}
        return jax.lax.fori_loop(0, count, move, (state, history))

    def in_turn(state: TrainState, keys: Array, batches: PyTree, count: int):
        seeds = (state, keys, batches)
        return jax.lax.map(lambda seed: one(seed[0], seed[1], seed[2], count), seeds)

    if batched:
        return jax.jit(jax.vmap(one, in_axes=(0, 0, 0, None)), donate_argnums=0)
    return jit(in_turn, donate_argnums=0)


def _check_finite(metrics: Mapping[str, np.ndarray], first: int, seeds: Sequence[int]) -> None:
    for name, values in metrics.items():
        if broken := np.argwhere(~np.isfinite(values)).tolist():
            place, step = min(broken, key=lambda at: at[1])
            raise NonFiniteLossError(
                f"{name} is {values[place, step]} at step {first + step} of seed {seeds[place]}: "
                "lower the learning rate or look at the scale of the data"
            )
