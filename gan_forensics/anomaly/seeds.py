"""Training the same small game with many seeds at once.

Steps are so short that starting them one by one would cost more than they do, so a hundred run in
one loop on the device; seeds differ only in their arrays, so they are one batch under `vmap`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, PyTree

from gan_forensics.train import TrainState, Update, init_state, make_step
from gan_forensics.train.loop import NonFiniteLossError

SEGMENT = 100
Order = Literal["shuffled", "sequential"]
Rows = dict[str, Any]


class Game(NamedTuple):
    """A game on rows of a table.

    Attributes:
        updates: the moves of a step.
        init: generator -> parameters by network.
        minibatches: (rows of the table {"x": [steps, b, d], ...}, generator) -> what the moves see,
            noise included, [steps, minibatches of a step, b, ...].
    """

    updates: tuple[Update, ...]
    init: Callable[[np.random.Generator], Mapping[str, PyTree]]
    minibatches: Callable[[Rows, np.random.Generator], Rows]


class Trained(NamedTuple):
    """Networks and history of one seed.

    Attributes:
        params: network -> parameters.
        history: metric "update/name" -> its value at every step, [steps].
    """

    params: Mapping[str, PyTree]
    history: dict[str, Float[np.ndarray, " steps"]]


def row_order(
    n: int, *, batch: int, steps: int, rng: np.random.Generator, order: Order = "shuffled"
) -> Int[np.ndarray, "steps batch"]:
    """Which rows every step sees.

    An epoch is ceil(n / batch) steps; its last minibatch wraps to the epoch's own first rows.
    "shuffled" draws a new permutation for each epoch, "sequential" keeps the order of the table.
    """
    per_epoch = -(-n // batch)
    epochs = -(-steps // per_epoch)
    wrapped = np.arange(per_epoch * batch) % n
    rows = [
        (rng.permutation(n) if order == "shuffled" else np.arange(n))[wrapped]
        for _ in range(epochs)
    ]
    return np.concatenate(rows).reshape(-1, batch)[:steps]


def train_seeds(
    game: Game,
    table: Mapping[str, np.ndarray],
    *,
    seeds: Sequence[int],
    steps: int,
    batch: int,
    order: Order = "shuffled",
    progress: bool = False,
) -> list[Trained]:
    """Train a game once for every seed, all in one batch.

    Args:
        game: compiled once for as long as the same object is given.
        table: arrays [n, ...] of one length; "x" holds the rows.
        seeds: of initial weights, order of rows, and noise. Networks of a seed do not depend on the
            other seeds beyond rounding.
        steps: how many.
        batch: rows a minibatch.
        order: of the rows.
        progress: show a bar, where there is a terminal.

    Raises:
        ValueError: without a seed or a step.
        NonFiniteLossError: when a loss or gradient stops being finite, naming step and seed.
    """
    if not seeds or steps < 1 or batch < 1:
        raise ValueError(f"need a seed, steps >= 1 and batch >= 1, got {seeds}, {steps}, {batch}")
    n = len(table["x"])
    # Noise is drawn on the host: it is little, and in the step it would double the compilation.
    starts, orders, noises = (
        [np.random.default_rng((seed, purpose)) for seed in seeds] for purpose in (1, 2, 3)
    )
    chosen = [row_order(n, batch=batch, steps=steps, rng=rng, order=order) for rng in orders]
    states = [init_state(game.updates, game.init(rng), {}) for rng in starts]
    state = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    advance, histories = _segment(game), []
    for first in _shown(range(0, steps, SEGMENT), progress):
        parts = []
        for order_of, noise in zip(chosen, noises, strict=True):
            rows = order_of[first : first + SEGMENT]
            parts.append(game.minibatches({k: v[rows] for k, v in table.items()}, noise))
        count = len(rows)
        state, metrics = advance(state, jax.tree.map(_padded, *parts), count)
        metrics = {name: values[:, :count] for name, values in jax.device_get(metrics).items()}
        _check_finite(metrics, first, seeds)
        histories.append(metrics)
    history = {k: np.concatenate([h[k] for h in histories], axis=1) for k in histories[0]}
    return [
        Trained(
            jax.tree.map(lambda leaf, i=i: leaf[i], state.params),
            {name: values[i] for name, values in history.items()},
        )
        for i in range(len(seeds))
    ]


def _padded(*leaves: np.ndarray) -> np.ndarray:
    """Minibatches of all seeds [seeds, SEGMENT, ...]; a short segment is filled with zeros."""
    whole = np.zeros((len(leaves), SEGMENT, *leaves[0].shape[1:]), leaves[0].dtype)
    for row, leaf in zip(whole, leaves, strict=True):
        row[: len(leaf)] = leaf
    return whole


@lru_cache(maxsize=32)
def _segment(game: Game) -> Callable[[TrainState, Rows, int], Any]:
    """The first `count` steps of all seeds on minibatches [seeds, segment, minibatches, b, ...].

    The count is no shape, so a run of any length is compiled once. Metrics are [seeds, segment].
    """
    step = make_step(game.updates)

    def one(state: TrainState, batches: Rows, count: int):
        # The moves' noise is in their minibatches; the key is one that nobody reads.
        key = jax.random.key(0)

        def batch_of(i):
            return jax.tree.map(lambda leaf: leaf[i], batches)

        def move(i, carry):
            state, history = carry
            state, metrics = step(state, batch_of(i), key)
            return state, {name: history[name].at[i].set(value) for name, value in metrics.items()}

        kinds = jax.eval_shape(lambda: step(state, batch_of(0), key)[1])
        segment = len(batches["x"])
        history = {name: jnp.zeros(segment, kind.dtype) for name, kind in kinds.items()}
        return jax.lax.fori_loop(0, count, move, (state, history))

    return jax.jit(jax.vmap(one, in_axes=(0, 0, None)), donate_argnums=0)


def _check_finite(metrics: Mapping[str, np.ndarray], first: int, seeds: Sequence[int]) -> None:
    for name, values in metrics.items():
        if broken := np.argwhere(~np.isfinite(values)).tolist():
            place, step = min(broken, key=lambda at: at[1])
            raise NonFiniteLossError(
                f"{name} is {values[place, step]} at step {first + step} of seed {seeds[place]}: "
                "lower the learning rate, or bring the data to the unit cube"
            )


def _shown(segments: Sequence[int], progress: bool) -> Iterator[int]:
    from tqdm import tqdm

    return iter(tqdm(segments, unit=f"{SEGMENT} steps", disable=None if progress else True))
