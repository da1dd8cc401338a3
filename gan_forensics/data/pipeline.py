"""Endless batches of a source: shuffled, shared by processes, resumable to the very batch.

Everything about batch i follows from (seed, i): the order is a permutation per epoch, and the
flips and the transform's draws have a generator per batch. They are drawn for the whole batch of
all processes, of which each takes its rows: an example's noise belongs to its place in that batch,
and the position of an iterator is one number, whatever was made ahead and however many processes
share the batches. A batch is made at one go, since a Python call per example would cost more than a
small training step leaves.
"""

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from gan_forensics.data.ahead import Ahead
from gan_forensics.data.identity import fingerprint
from gan_forensics.data.images import to_float
from gan_forensics.data.skip_bad import Epoch, SkipBad, StandIn
from gan_forensics.data.sources import Source, describe, take

Batch = dict[str, np.ndarray]


def _nothing(rng: np.random.Generator, rows: Int[np.ndarray, " b"]) -> Batch:
    return {}


class Transform(NamedTuple):
    """What becomes of a batch, after conversion and flips: what is drawn, and what that does.

    Attributes:
        apply: maps a batch and what was drawn for its examples to a batch.
        draw: maps a generator and the numbers of the examples [b] in the source, those of all
            processes, to arrays [b, ...] by name, of which `apply` gets its examples' own rows.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.data import ArraySource, Batches
        >>> noisy = Transform(
        ...     lambda batch, drawn: {"x": batch["x"] + drawn["noise"]},
        ...     draw=lambda rng, rows: {"noise": rng.standard_normal((len(rows), 2))},
        ... )
        >>> source = ArraySource(x=np.zeros((4, 2)))
        >>> whole = next(Batches(source, batch_size=4, seed=0, transform=noisy))
        >>> second = next(Batches(source, batch_size=4, seed=0, transform=noisy, shard=(1, 2)))
        >>> bool((whole["x"][2:] == second["x"]).all())
        True
    """

    apply: Callable[[Batch, Batch], Batch]
    draw: Callable[[np.random.Generator, Int[np.ndarray, " b"]], Batch] = _nothing


class Batches:
    """An endless iterator of batches: dicts of the source's arrays [b, ...], as they are.

    Only "image", where there is one, is converted: to float32 [b, h, w, c] in [-1, 1].

    Every epoch is a fresh permutation of all examples; what does not fill a last batch is left
    out of that epoch. Of several processes each takes its slice of every batch, so that the
    batches are the same however many processes share them.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.data import ArraySource
        >>> photos = ArraySource(image=np.full((5, 8, 8, 3), 255, np.uint8))
        >>> batches = Batches(photos, batch_size=2, seed=0)
        >>> batch = next(batches)
        >>> batch["image"].shape, batch["image"].max().item(), batches.batches_per_epoch
        ((2, 8, 8, 3), 1.0, 2)
    """

    def __init__(
        self,
        source: Source,
        *,
        batch_size: int,
        seed: int,
        transform: Transform | None = None,
        shuffle: bool = True,
        flip: bool = False,
        shard: tuple[int, int] = (0, 1),
    ):
        """Start at the first batch.

        Args:
            source: where the examples are; the arrays of a key must have one shape.
            batch_size: examples a batch, over all processes.
            seed: of order, flips and transform.
            transform: what becomes of a batch.
            shuffle: whether to permute; otherwise every epoch goes in order.
            flip: whether to mirror each image left to right with probability 1/2.
            shard: (index, count) of processes, e.g. (jax.process_index(), jax.process_count()).

        Raises:
            ValueError: fewer examples than one batch, an impossible shard, a batch that cannot be
                split evenly, or a flip where there are no images.
        """
        index, count = shard
        if not 0 <= index < count:
            raise ValueError(f"shard must be (index, count) with 0 <= index < count, got {shard}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if batch_size % count:
            raise ValueError(
                f"a batch of {batch_size} cannot be split over {count} processes: choose a batch "
                f"size that is a multiple of {count}"
            )
        if transform is not None and not isinstance(transform, Transform):
            raise ValueError(
                "transform must be a Transform(apply, draw), which draws for the batch of all "
                f"processes, got {transform!r}"
            )
        examples = len(source)
        self.batches_per_epoch = examples // batch_size
        self._source = source
        # What decides which examples make batch i; iterators that agree on it agree on all.
        self._order = {
            "examples": examples,
            "batch_size": batch_size,
            "seed": seed,
            "shuffle": shuffle,
            "flip": flip,
        }
        if not self.batches_per_epoch:
            listed = getattr(source, "listed", examples)
            held = f" (of {listed}; --split all takes those held out too)"
            raise ValueError(
                f"{examples} examples{held if listed > examples else ''} are fewer than one batch "
                f"of {batch_size}; give more examples, or a batch size of at most "
                f"{examples // count * count}"
            )
        if flip and "image" not in (example := source[0]):
            raise ValueError(
                f"flip=True mirrors images, and the source has none, but {', '.join(example)}: "
                "leave it out"
            )
        part = batch_size // count
        own = slice(index * part, (index + 1) * part)
        make = _Maker(source, self._order, transform, own)
        # Sources in memory take many at one go and gain nothing from a second thread; files do.
        threads = 1 if hasattr(source, "take") else min(8, os.cpu_count() or 1)
        self._ahead = Ahead(make, threads=threads, describe=make.describe)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        batch, stand_ins = next(self._ahead)
        if isinstance(self._source, SkipBad):
            self._source.stand_ins += stand_ins
        return batch

    def state(self) -> dict[str, int | bool]:
        """Return the position as a JSON-able dict: the next batch, and what it is counted in."""
        return {"next_batch": self._ahead.number, **self._order}

    def restore(self, state: Mapping[str, int | bool]) -> None:
        """Continue where `state` was taken, bit for bit, by however many processes.

        Raises:
            ValueError: the state is of other data, batch size or seed.
        """
        state = dict(state)
        if "processes" in state:  # An earlier version's, which counted a process's own examples.
            state["batch_size"] = state.get("batch_size", 0) * state.pop("processes")
        self._ahead.go_to(saved_position(state, self._order))

    def fingerprint(self) -> dict[str, Any]:
        """What tells these data from others, see `gan_forensics.data.fingerprint`."""
        return fingerprint(self._source)

    def close(self) -> None:
        """Stop making batches ahead."""
        self._ahead.close()


def saved_position(state: Mapping[str, int | bool], order: Mapping[str, int | bool]) -> int:
    """The next batch of a saved state, if that is of batches in this order.

    Raises:
        ValueError: it is of others; says what differs.
    """
    changed = [
        f"{key} was {state.get(key)}, is {value}"
        for key, value in order.items()
        if state.get(key) != value
    ]
    if changed or "next_batch" not in state:
        raise ValueError(
            "the saved position belongs to other batches "
            f"({'; '.join(changed) or 'it has no next_batch'}); resume with the same settings "
            "and data, or start afresh"
        )
    return int(state["next_batch"])


class _Maker:
    """Batch number -> its rows `own`: a pure function, called from several threads."""

    def __init__(
        self, source: Source, order: Mapping[str, int], transform: Transform | None, own: slice
    ):
        self.source, self.order, self.transform, self.own = source, order, transform, own
        self.size, self.per_epoch = order["batch_size"], order["examples"] // order["batch_size"]
        # Two, since threads that work ahead may stand on both sides of an epoch's end.
        self.permutation = functools.lru_cache(maxsize=2)(self._permutation)

    def _permutation(self, epoch: int) -> Int[np.ndarray, " n"]:
        if not self.order["shuffle"]:
            return np.arange(self.order["examples"])
        rng = np.random.default_rng((self.order["seed"], 0, epoch))
        return rng.permutation(self.order["examples"])

    def _places(self, number: int) -> tuple[int, Int[np.ndarray, " b"]]:
        """The epoch of a batch, and the places in it of the examples of all processes."""
        epoch, within = divmod(number, self.per_epoch)
        return epoch, np.arange(within * self.size, (within + 1) * self.size)

    def __call__(self, number: int) -> tuple[Batch, list[StandIn]]:
        epoch, places = self._places(number)
        seed, own, stand_ins = self.order["seed"], self.own, []
        rows = self.permutation(epoch)[places]
        if isinstance(self.source, SkipBad):
            used = self.per_epoch * self.size
            whole = Epoch(self.source, epoch, self.permutation(epoch), used=used)
            batch, stand_ins = dict(take(whole, places[own])), whole.stand_ins
        else:
            batch = dict(take(self.source, rows[own]))
        if self.order["flip"]:
            mirrored = np.random.default_rng((seed, 1, number)).random(self.size)[own] < 0.5
            batch["image"] = _mirror(batch["image"], mirrored)
        if "image" in batch:
            batch["image"] = to_float(batch["image"])
        if self.transform is not None:
            # The 0 was a process's number: of one process all results stay as they were.
            drawn = self.transform.draw(np.random.default_rng((seed, 2, number, 0)), rows)
            drawn = {key: array[own] for key, array in drawn.items()}
            batch = self.transform.apply(batch, drawn)
        return batch, stand_ins

    def describe(self, number: int) -> str:
        epoch, places = self._places(number)
        first, *others = self.permutation(epoch)[places][self.own]
        return f"batch {number + 1} ({describe(self.source, first)} and {len(others)} others)"


def _mirror(image: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Mirror the images [b, h, w, c] at `which`, left to right, in a copy."""
    chosen, result = image[which], image.copy()
    mirrored = np.empty_like(chosen)
    # Channel by channel: NumPy reverses runs of three bytes four times slower.
    for channel in range(image.shape[-1]):
        mirrored[..., channel] = chosen[:, :, ::-1, channel]
    result[which] = mirrored
    return result
