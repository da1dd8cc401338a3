"""Endless batches of a source: shuffled, sharded, prefetched, resumable to the very batch.

Everything about batch i follows from (seed, i): the order is a permutation per epoch, and the
flips and the transform's noise have a generator per batch. The state of an iterator is
therefore one number, whatever was prefetched. Grain numbers the batches, makes them ahead on
threads and keeps the position; a batch is made at one go, since a Python call per example would
cost more than a small training step leaves.
"""

import functools
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from gan_forensics.data.identity import fingerprint
from gan_forensics.data.images import to_float
from gan_forensics.data.sources import Source, take

Batch = dict[str, np.ndarray]
Transform = Callable[[Batch, np.random.Generator], Batch]


class Batches:
    """An endless iterator of batches: dicts of the source's arrays [b, ...], as they are.

    Only "image", where there is one, is converted: to float32 [b, h, w, c] in [-1, 1].

    Every epoch is a fresh permutation of all examples; what does not fill a last batch is left
    out of that epoch. With several processes each takes its slice of every global batch, so
    that the global batches are the same however many processes share them.

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
            batch_size: examples a batch, for this process.
            seed: of order, flips and transform.
            transform: maps a batch (after conversion and flips) and a numpy generator, fresh
                for each batch and process, to a batch.
            shuffle: whether to permute; otherwise every epoch goes in order.
            flip: whether to mirror each image left to right with probability 1/2.
            shard: (index, count) of processes, e.g. (jax.process_index(), jax.process_count()).

        Raises:
            ValueError: fewer examples than one batch, an impossible shard, or a flip where there
                are no images.
        """
        index, count = shard
        if not 0 <= index < count:
            raise ValueError(f"shard must be (index, count) with 0 <= index < count, got {shard}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        examples, global_batch = len(source), batch_size * count
        self.batches_per_epoch = examples // global_batch
        self._source = source
        # What decides which examples make batch i; iterators that agree on it agree on all.
        self._order = {
            "examples": examples,
            "batch_size": batch_size,
            "seed": seed,
            "processes": count,
            "shuffle": shuffle,
            "flip": flip,
        }
        if not self.batches_per_epoch:
            among = f" over {count} processes" if count > 1 else ""
            listed = getattr(source, "listed", examples)
            held = f" (of {listed}; --split all takes those held out too)"
            raise ValueError(
                f"{examples} examples{held if listed > examples else ''} are fewer than one batch "
                f"of {batch_size}{among}; give more examples, or a batch size of at most "
                f"{examples // count}"
            )
        if flip and "image" not in (example := source[0]):
            raise ValueError(
                f"flip=True mirrors images, and the source has none, but {', '.join(example)}: "
                "leave it out"
            )
        import grain  # loads JAX and Orbax, which readers of images can do without

        make = _batch_maker(source, self._order, transform, index)
        # Sources in memory take many at one go and gain nothing from a second thread; files do.
        threads = 1 if hasattr(source, "take") else min(8, os.cpu_count() or 1)
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
        batches = grain.MapDataset.range(sys.maxsize).map(make).to_iter_dataset(options)
        self._iterator = iter(batches)

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        return next(self._iterator)

    def state(self) -> dict[str, int | bool]:
        """Return the position as a JSON-able dict: the next batch, and what it is counted in."""
        return {"next_batch": self._iterator.get_state()["next_index"], **self._order}

    def restore(self, state: dict[str, int | bool]) -> None:
        """Continue where `state` was taken, bit for bit.

        Raises:
            ValueError: the state is of other data, batch size, seed or process count.
        """
        self._iterator.set_state({"next_index": saved_position(state, self._order)})

    def fingerprint(self) -> dict[str, Any]:
        """What tells these data from others, see `gan_forensics.data.fingerprint`."""
        return fingerprint(self._source)

    def close(self) -> None:
        """Stop prefetching."""
        self._iterator.close()


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


def _batch_maker(
    source: Source, order: dict[str, int], transform: Transform | None, index: int
) -> Callable[[int], Batch]:
    """Batch number -> batch: a pure function, called from several threads."""
    examples, seed = order["examples"], order["seed"]
    global_batch = order["batch_size"] * order["processes"]
    own = slice(index * order["batch_size"], (index + 1) * order["batch_size"])

    # Two, since prefetching threads may stand on both sides of an epoch's end.
    @functools.lru_cache(maxsize=2)
    def permutation(epoch: int) -> np.ndarray:
        if not order["shuffle"]:
            return np.arange(examples)
        return np.random.default_rng((seed, 0, epoch)).permutation(examples)

    def make(number: int) -> Batch:
        epoch, within = divmod(int(number), examples // global_batch)
        indices = permutation(epoch)[within * global_batch :][:global_batch][own]
        batch = dict(take(source, indices))
        if order["flip"]:
            mirrored = np.random.default_rng((seed, 1, number)).random(global_batch)[own] < 0.5
            batch["image"] = _mirror(batch["image"], mirrored)
        if "image" in batch:
            batch["image"] = to_float(batch["image"])
        if transform is None:
            return batch
        return transform(batch, np.random.default_rng((seed, 2, number, index)))

    return make


def _mirror(image: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Mirror the images [b, h, w, c] at `which`, left to right, in a copy."""
    chosen, result = image[which], image.copy()
    mirrored = np.empty_like(chosen)
    # Channel by channel: NumPy reverses runs of three bytes four times slower.
    for channel in range(image.shape[-1]):
        mirrored[..., channel] = chosen[:, :, ::-1, channel]
    result[which] = mirrored
    return result
