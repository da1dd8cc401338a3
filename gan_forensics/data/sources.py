"""Sources: `len` and integer indexing to a dict of numpy arrays: images, points, tokens.

The key "image", where there is one, is uint8 [h, w, c] in [0, 255] with c = 1 or 3; "label" an
int32 scalar. Sources are safe to read from several threads. What is in memory is an
`ArraySource`, files that are decoded when asked for are a `FileSource`; anything else with
these two methods is a source too.
"""

import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from gan_forensics.data.images import ImageError, load_image, square, to_float

SPLITS = ("train", "test", "all")


class Source(Protocol):
    """A collection of examples by index. It may also have `take` and `describe` (see `take`)."""

    def __len__(self) -> int:
        """Count the examples."""
        ...

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Read example `index`; "image" is uint8 [h, w, c], "label" int32 []."""
        ...


@runtime_checkable
class _TakesMany(Protocol):
    def take(self, indices: np.ndarray) -> dict[str, np.ndarray]: ...


@runtime_checkable
class _Describes(Protocol):
    def describe(self, index: int) -> str: ...


def take(source: Source, indices: Sequence[int] | Int[np.ndarray, "b"]) -> dict[str, np.ndarray]:
    """Stack the examples at `indices` key by key: "image" uint8 [b, h, w, c], "label" int32 [b].

    A source with a method `take(indices)` does it at one go; a method `describe(index) -> str`
    (a path) serves error messages.

    Raises:
        ValueError: the images, or other arrays, differ in shape; two of them are named.
        ImageError: a file cannot be decoded.
    """
    indices = np.asarray(indices, dtype=np.int64)
    if isinstance(source, _TakesMany):
        return source.take(indices)
    examples = [source[int(index)] for index in indices]
    for index, example in zip(indices, examples, strict=True):
        for key, first in examples[0].items():
            if np.shape(example[key]) != np.shape(first):
                raise ValueError(
                    f"{key}: different sizes cannot make one batch: "
                    f"{_describe(source, indices[0])} is {_size(key, first)}, "
                    f"{_describe(source, index)} is {_size(key, example[key])}; "
                    "bring them to one size (images with size=N, --resize N)"
                )
    return {key: np.stack([example[key] for example in examples]) for key in examples[0]}


def _describe(source: Source, index: int) -> str:
    name = source.describe(int(index)) if isinstance(source, _Describes) else None
    return name or f"example {index}"


def _size(key: str, array: np.ndarray) -> str:
    if key != "image":
        return str(list(np.shape(array)))
    height, width, channels = array.shape
    return f"{height}x{width} (height x width, {channels} channels)"


class ArraySource:
    """Examples kept in memory as one array per key."""

    def __init__(self, **arrays: np.ndarray):
        """Keep the arrays.

        Args:
            **arrays: one or more [n, ...] of any kind, such as points [n, 2]; `image` must be
                uint8 [n, h, w, c] with c = 1 or 3, and `label` integers [n].

        Raises:
            ValueError: no array, arrays of different n, or an `image` of another kind.
        """
        arrays = {key: np.asarray(array) for key, array in arrays.items()}
        image = arrays.get("image")
        if image is not None and (
            image.dtype != np.uint8 or image.ndim != 4 or image.shape[-1] not in (1, 3)
        ):
            raise ValueError(
                "images must be uint8 (see to_uint8) [n, h, w, 1 or 3], channels last, got "
                f"{image.dtype} {list(image.shape)}"
            )
        shapes = {key: array.shape for key, array in arrays.items()}
        lengths = {shape[:1] for shape in shapes.values()}
        if len(lengths) != 1 or () in lengths:
            raise ValueError(f"a source needs one or more equally long arrays, got {shapes}")
        if "label" in arrays:
            arrays["label"] = arrays["label"].astype(np.int32)
        self.arrays = arrays

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {key: np.asarray(array[index]) for key, array in self.arrays.items()}

    def take(self, indices: Int[np.ndarray, "b"]) -> dict[str, np.ndarray]:
        """Index every array once."""
        return {key: array[indices] for key, array in self.arrays.items()}


class Rows:
    """Some examples of a source, in the order of `rows`."""

    def __init__(self, source: Source, rows: Sequence[int] | Int[np.ndarray, "m"]):
        self.source, self.rows = source, np.asarray(rows)
        if isinstance(source, _TakesMany):
            self.take = lambda indices: source.take(self.rows[indices])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return self.source[int(self.rows[index])]

    def describe(self, index: int) -> str:
        """Name the example as the source does."""
        return _describe(self.source, self.rows[index])


class FileSource:
    """Image files, decoded to RGB when asked for, then centre-cropped and resized if so told."""

    def __init__(
        self,
        paths: Sequence[Path],
        labels: Int[np.ndarray, "n"] | None = None,
        *,
        size: int | None = None,
        crop: int | None = None,
    ):
        """Remember the paths; `size` and `crop` as in `square`."""
        self.paths, self.labels = list(paths), labels
        self._size, self._crop = size, crop

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        image = load_image(self.paths[index])
        try:
            example = {"image": square(image, size=self._size, crop=self._crop)}
        except ValueError as error:
            raise ImageError(f"{self.paths[index]}: {error}") from None
        if self.labels is not None:
            example["label"] = np.asarray(self.labels[index], np.int32)
        return example

    def describe(self, index: int) -> str:
        """Name the file."""
        return str(self.paths[index])


def rows_of_split(names: Iterable[object], split: str) -> Int[np.ndarray, "m"]:
    """Choose the rows of a split where the data bring none of their own.

    An example is held out for "test" when the CRC-32 of its name (the path below the folder, or
    the row number) is a multiple of 4: about a quarter, and the same ones wherever the folder
    lies and whatever is added to it later.

    Raises:
        ValueError: an unknown split, or one that is empty.
    """
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    names = list(names)
    if split == "all":
        return np.arange(len(names))
    held_out = np.array([zlib.crc32(str(name).encode()) % 4 == 0 for name in names], dtype=bool)
    rows = np.flatnonzero(held_out == (split == "test"))
    if not len(rows):
        raise ValueError(
            f"the {split} split of {len(names)} examples is empty; give more, or split='all'"
        )
    return rows


def batches_once(source: Source, batch_size: int) -> Iterator[dict[str, np.ndarray]]:
    """Go through a source once, in order, for evaluation; the last batch may be smaller.

    Yields:
        What the source has; "image", where there is one, as float32 [b, h, w, c] in [-1, 1].
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    for first in range(0, len(source), batch_size):
        batch = take(source, range(first, min(first + batch_size, len(source))))
        if "image" in batch:
            batch = {**batch, "image": to_float(batch["image"])}
        yield batch
