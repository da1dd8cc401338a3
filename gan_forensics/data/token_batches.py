"""Endless batches of sentence pairs of similar length, resumable to the very batch.

Sentences are padded to one of a few lengths (`bucket`), so that a step compiles for a few shapes.
Each epoch deals every pair once; which pairs share a batch, and the order of the batches, follow
from (seed, epoch), so that the state of an iterator is one number, however many processes share
the batches.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from gan_forensics.data.pipeline import saved_position
from gan_forensics.data.vocabulary import END, PAD

_SHORTEST = 8
# The pairs of a batch are a multiple of this, so that devices and processes can share them.
ROWS = 8


def bucket(length: int) -> int:
    """The length that a sentence of `length` tokens is padded to: 8, 12, 16, 24, 32, 48, 64 ..."""
    if length < 1:
        raise ValueError(f"a length must be at least 1, got {length}")
    size = _SHORTEST
    while size < length:
        # By 3/2 from a power of two, by 4/3 to the next one.
        size = size * 3 // 2 if size & (size - 1) == 0 else size * 4 // 3
    return size


class TokenBatches:
    """An endless iterator of batches of sentence pairs.

    A batch is a dict: "source" and "target" int32 [b, l], ids, `END`, then `PAD`, and every extra
    key [b, l, ...] padded with 0. b is a multiple of 8 with b l <= tokens (8 where that is less);
    rows that only fill up are all `PAD`, at most one batch of an epoch has some.

    Attributes:
        batches_per_epoch: until every pair was dealt once.
        shapes: the (b, l) that occur.
        left_out: how many pairs are longer than `longest`.

    Example:
        >>> batches = TokenBatches([[5, 6]] * 8, [[7]] * 8, tokens=64, seed=0, longest=10)
        >>> batch = next(batches)
        >>> batch["source"].shape, batch["source"][0].tolist()  # 2 ends it, 0 fills up
        ((8, 8), [5, 6, 2, 0, 0, 0, 0, 0])
    """

    def __init__(
        self,
        source: Sequence[Sequence[int] | np.ndarray],
        target: Sequence[Sequence[int] | np.ndarray],
        *,
        tokens: int,
        seed: int,
        longest: int,
        extra: Mapping[str, Sequence[np.ndarray]] | None = None,
        shard: tuple[int, int] = (0, 1),
    ):
        """Sort the pairs by length.

        Args:
            source: ids of each sentence, without `END`.
            target: of its translation.
            tokens: of one side of a batch, padding among them.
            seed: of the order.
            longest: pairs of which a side has more tokens, `END` among them, are left out.
            extra: arrays [t, ...] for each pair by name, where t counts the target's tokens and its
                `END`; their other axes are the same for all pairs.
            shard: (index, count) of processes, of which each gets its slice of every batch.

        Raises:
            ValueError: nothing to deal, lists that do not belong together, or more processes than
                can share a batch.
        """
        index, count = shard
        if not 0 <= index < count or ROWS % count:
            raise ValueError(
                f"batches of a multiple of {ROWS} pairs are shared by 1, 2, 4 or {ROWS} processes "
                f"(index, count) with 0 <= index < count, got {shard}"
            )
        self._shard = index, count
        extra = dict(extra or {})
        counts = {"source": len(source), "target": len(target)}
        counts |= {key: len(arrays) for key, arrays in extra.items()}
        if len(set(counts.values())) > 1:
            raise ValueError(f"every list must have an entry for each pair, got {counts}")
        if tokens < 1 or longest < 1:
            raise ValueError(f"tokens and longest must be at least 1, got {tokens} and {longest}")
        lengths = np.array(
            [max(len(s), len(t)) + 1 for s, t in zip(source, target, strict=True)], np.int64
        )
        self._rows = np.flatnonzero(lengths <= longest)
        self.left_out = len(lengths) - len(self._rows)
        if not len(self._rows):
            raise ValueError(
                f"no pair to deal: {len(lengths)} given, {self.left_out} of them longer than "
                f"longest={longest}"
            )
        for key, arrays in extra.items():
            for row in self._rows.tolist():
                if len(arrays[row]) != len(target[row]) + 1:
                    raise ValueError(
                        f"{key}: pair {row} has {len(arrays[row])} entries, its target and END "
                        f"{len(target[row]) + 1}"
                    )
        self._source, self._target, self._extra = source, target, extra
        self._buckets = np.array([bucket(length) for length in lengths[self._rows]])
        self._tokens = tokens
        self._order = {"pairs": len(lengths), "tokens": tokens, "seed": seed, "longest": longest}
        self._next, self._epoch, self._plan = 0, 0, self._deal(0)
        self.batches_per_epoch = len(self._plan)
        self.shapes = sorted({(self._size(length), length) for length, _ in self._plan})

    def __iter__(self) -> Iterator[dict[str, np.ndarray]]:
        return self

    def __next__(self) -> dict[str, np.ndarray]:
        epoch, within = divmod(self._next, self.batches_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._plan = epoch, self._deal(epoch)
        length, rows = self._plan[within]
        self._next += 1
        index, count = self._shard
        size = self._size(length) // count
        first, rows = rows[0], rows[index * size : (index + 1) * size]
        batch = {
            "source": _padded([[*self._source[row], END] for row in rows], size, length),
            "target": _padded([[*self._target[row], END] for row in rows], size, length),
        }
        for key, arrays in self._extra.items():
            like = np.asarray(arrays[first])
            batch[key] = _filled([arrays[row] for row in rows], size, length, like=like)
        return batch

    def state(self) -> dict[str, int]:
        """Return the position as a JSON-able dict: the next batch, and what it is counted in."""
        return {"next_batch": self._next, **self._order}

    def restore(self, state: dict[str, int]) -> None:
        """Continue where `state` was taken.

        Raises:
            ValueError: the state is of other pairs, tokens, seed or longest.
        """
        self._next = saved_position(state, self._order)

    def fingerprint(self) -> dict[str, Any]:
        """The number of pairs and a digest of their tokens."""
        digest = hashlib.sha256()
        for tokens in (*self._source, *self._target):
            digest.update(np.asarray([len(tokens), *tokens], np.int64).tobytes())
        return {"examples": len(self._source), "values": digest.hexdigest()}

    def close(self) -> None:
        """Nothing to stop: batches are made when asked for."""

    def _size(self, length: int) -> int:
        return max(self._tokens // length // ROWS * ROWS, ROWS)

    def _deal(self, epoch: int) -> list[tuple[int, np.ndarray]]:
        """The batches of an epoch: (length, numbers of the pairs), in their order."""
        rng = np.random.default_rng((self._order["seed"], epoch))
        order = rng.permutation(len(self._rows))
        plan, waiting = [], np.zeros(0, np.int64)
        for length in np.unique(self._buckets):
            # What does not fill a batch goes along with the next longer ones.
            pool = np.concatenate([waiting, order[self._buckets[order] == length]])
            full = len(pool) // self._size(length) * self._size(length)
            plan += [
                (int(length), self._rows[rows]) for rows in _split(pool[:full], self._size(length))
            ]
            waiting = pool[full:]
        if len(waiting):
            plan.append((int(self._buckets.max()), self._rows[waiting]))
        return [plan[index] for index in rng.permutation(len(plan))]


def _split(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[first : first + size] for first in range(0, len(rows), size)]


def _padded(sentences: list[list[int]], size: int, length: int) -> np.ndarray:
    result = np.full((size, length), PAD, np.int32)
    for row, ids in zip(result, sentences, strict=False):
        row[: len(ids)] = ids
    return result


def _filled(arrays: list[np.ndarray], size: int, length: int, *, like: np.ndarray) -> np.ndarray:
    result = np.zeros((size, length, *like.shape[1:]), like.dtype)
    for row, array in zip(result, arrays, strict=False):
        row[: len(array)] = array
    return result
