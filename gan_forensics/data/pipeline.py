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
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import numpy as np

from gan_forensics.data.images import to_float
from gan_forensics.data.sources import Source, take

Batch = dict[str, np.ndarray]
Transform = Callable[[Batch, np.random.Generator], Batch]


@dataclass(frozen=True)
class _Order:
    """What decides which examples make batch i; two iterators that agree on it agree on all."""

    examples: int
    batch_size: int
    seed: int
    processes: int
    shuffle: bool
    flip: bool

    @property
    def global_batch(self) -> int:
        return self.batch_size * self.processes

    @property
    def batches_per_epoch(self) -> int:
        return self.examples // self.global_batch


class Batches:
    """An endless iterator of batches: dicts of the source's arrays [b, ...], as they are.

    Only "image", where there is one, is converted: to float32 [b, h, w, c] in [-1, 1].

    Every epoch is a fresh permutation of all examples; what does not fill a last batch is left
    out of that epoch. With several processes each takes its slice of every global batch, so
    that the global batches are the same however many processes share them.
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
        self._order = _Order(len(source), batch_size, seed, count, shuffle, flip)
        if not self.batches_per_epoch:
            among = f" over {count} processes" if count > 1 else ""
            raise ValueError(
                f"{len(source)} examples are fewer than one batch of {batch_size}{among}; give "
                f"more examples, or a batch size of at most {len(source) // count}"
            )
        if flip and "image" not in (example := source[0]):
            raise ValueError(
                f"flip=True mirrors images, and the source has none, but {', '.join(example)}: "
                "leave it out"
            )
        import grain  # loads JAX and Orbax, which readers of images can do without

        make = _Maker(source, self._order, transform, index)
        # Sources in memory take many at one go and gain nothing from a second thread; files do.
        threads = 1 if hasattr(source, "take") else min(8, os.cpu_count() or 1)
        options = grain.ReadOptions(num_threads=threads, prefetch_buffer_size=2 * threads)
        batches = grain.MapDataset.range(sys.maxsize).map(make).to_iter_dataset(options)
        self._iterator = iter(batches)

    @property
    def batches_per_epoch(self) -> int:
        """Count the batches of one epoch."""
        return self._order.batches_per_epoch

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        return next(self._iterator)

    def state(self) -> dict[str, int | bool]:
        """Return the position as a JSON-able dict: the next batch, and what it is counted in."""
        return {"next_batch": self._iterator.get_state()["next_index"], **asdict(self._order)}

    def restore(self, state: dict[str, int | bool]) -> None:
        """Continue where `state` was taken, bit for bit.

        Raises:
            ValueError: the state is of other data, batch size, seed or process count.
        """
        own = asdict(self._order)
        changed = [
            f"{key} was {state.get(key)}, is {value}"
            for key, value in own.items()
            if state.get(key) != value
        ]
        if changed or "next_batch" not in state:
            raise ValueError(
                "the saved position belongs to other batches "
                f"({'; '.join(changed) or 'it has no next_batch'}); resume with the same settings "
                "and data, or start afresh"
            )
        self._iterator.set_state({"next_index": int(state["next_batch"])})

    def close(self) -> None:
        """Stop prefetching."""
        self._iterator.close()


class _Maker:
    """Batch number -> batch; a pure function, called from several threads."""

    def __init__(self, source: Source, order: _Order, transform: Transform | None, index: int):
        self.source, self.order, self.transform, self.index = source, order, transform, index
        # Two, since prefetching threads may stand on both sides of an epoch's end.
        self.permutation = functools.lru_cache(maxsize=2)(self._permutation)

    def _permutation(self, epoch: int) -> np.ndarray:
        if not self.order.shuffle:
            return np.arange(self.order.examples)
        rng = np.random.default_rng((self.order.seed, 0, epoch))
        return rng.permutation(self.order.examples)

    def __call__(self, number: int) -> Batch:
        order = self.order
        epoch, within = divmod(int(number), order.batches_per_epoch)
        own = slice(self.index * order.batch_size, (self.index + 1) * order.batch_size)
        first = within * order.global_batch
        indices = self.permutation(epoch)[first : first + order.global_batch][own]
        batch = dict(take(self.source, indices))
        if order.flip:
            rng = np.random.default_rng((order.seed, 1, number))
            mirrored = rng.random(order.global_batch)[own] < 0.5
            batch["image"] = _mirror(batch["image"], mirrored)
        if "image" in batch:
            batch["image"] = to_float(batch["image"])
        if self.transform is None:
            return batch
        return self.transform(batch, np.random.default_rng((order.seed, 2, number, self.index)))


def _mirror(image: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Mirror the images [b, h, w, c] at `which`, left to right."""
    chosen = image[which]
    mirrored = np.empty_like(chosen)
    # Channel by channel: NumPy reverses runs of three bytes four times slower.
    for channel in range(image.shape[-1]):
        mirrored[..., channel] = chosen[:, :, ::-1, channel]
    result = image.copy()
    result[which] = mirrored
    return result
