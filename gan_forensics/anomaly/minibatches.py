"""Minibatches of rows of a table, with the noise that goes with them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import numpy as np
from jaxtyping import Int

from gan_forensics.train.seeds import SEGMENT

Order = Literal["shuffled", "sequential"]
Rows = dict[str, Any]


def row_order(
    n: int, *, batch: int, steps: int, rng: np.random.Generator, order: Order = "shuffled"
) -> Int[np.ndarray, "steps batch"]:
    """Which rows every step sees.

    An epoch is ceil(n / batch) steps; its last minibatch wraps to the epoch's own first rows.
    "shuffled" draws a new permutation for each epoch, "sequential" keeps the order of the table.

    Raises:
        ValueError: for an empty batch.
    """
    if batch < 1:
        raise ValueError(f"a batch needs a row or more, got {batch}")
    per_epoch = -(-n // batch)
    epochs = -(-steps // per_epoch)
    wrapped = np.arange(per_epoch * batch) % n
    rows = [
        (rng.permutation(n) if order == "shuffled" else np.arange(n))[wrapped]
        for _ in range(epochs)
    ]
    return np.concatenate(rows).reshape(-1, batch)[:steps]


def table_minibatches(
    table: Mapping[str, np.ndarray],
    with_noise: Callable[[Rows, np.random.Generator], Rows],
    *,
    steps: int,
    batch: int,
    order: Order = "shuffled",
) -> Callable[[int], Iterator[Rows]]:
    """Seed, of order and noise -> the minibatches of a run.

    Noise is drawn on the host: it is little, and in the step it would double the compilation.

    Args:
        table: arrays [n, ...] of one length; "x" holds the rows.
        with_noise: (rows of some steps {"x": [steps, b, d], ...}, generator) -> what the moves see,
            [steps, minibatches of a step, b, ...].
        steps: of the run.
        batch: b, rows a minibatch.
        order: of the rows.
    """

    def minibatches(seed: int) -> Iterator[Rows]:
        ordering, noise = (np.random.default_rng((seed, purpose)) for purpose in (2, 3))
        chosen = row_order(len(table["x"]), batch=batch, steps=steps, rng=ordering, order=order)
        for first in range(0, steps, SEGMENT):
            rows = chosen[first : first + SEGMENT]
            drawn = with_noise({name: values[rows] for name, values in table.items()}, noise)
            for place in np.ndindex(drawn["x"].shape[:2]):
                yield {name: values[place] for name, values in drawn.items()}

    return minibatches
