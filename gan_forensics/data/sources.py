"""Sources: `len` and integer indexing to a dict of numpy arrays.

The key "image" is uint8 [h, w, c] in [0, 255] with c = 1 or 3; "label", where there is one, is
an int32 scalar. Sources are safe to read from several threads. What is in memory is an
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
        """Read example `index`: "image" uint8 [h, w, c] and maybe "label" int32 []."""
        ...


@runtime_checkable
class _TakesMany(Protocol):
    def take(self, indices: np.ndarray) -> dict[str, np.ndarray]: ...


@runtime_checkable
class _Describes(Protocol):
    def describe(self, index: int) -> str: ...


def take(source: Source, indices: Sequence[int] | Int[np.ndarray, "b"]) -> dict[str, np.ndarray]:
    """Stack the examples at `indices`: "image" uint8 [b, h, w, c], "label" int32 [b].

    A source with a method `take(indices)` does it at one go; a method `describe(index) -> str`
    (a path) serves error messages.

    Raises:
        ValueError: the images differ in size; two of them are named.
        ImageError: a file cannot be decoded.
    """
    indices = np.asarray(indices, dtype=np.int64)
    if isinstance(source, _TakesMany):
        return source.take(indices)
    examples = [source[int(index)] for index in indices]
    first = examples[0]["image"].shape
    for index, example in zip(indices, examples, strict=True):
        if example["image"].shape != first:
            raise ValueError(
                "images of different sizes cannot make one batch: "
                f"{_describe(source, indices[0])} is {_size(first)}, "
                f"{_describe(source, index)} is {_size(example['image'].shape)}; "
                "bring them to one size with size=N (--resize N)"
            )
    return {key: np.stack([example[key] for example in examples]) for key in examples[0]}


def _describe(source: Source, index: int) -> str:
    name = source.describe(int(index)) if isinstance(source, _Describes) else None
    return name or f"image {index}"


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[0]}x{shape[1]} (height x width, {shape[2]} channels)"


class ArraySource:
    """Examples kept in memory as one array per key."""

    def __init__(self, **arrays: np.ndarray):
        """Keep the arrays.

        Args:
            **arrays: `image` uint8 [n, h, w, c] with c = 1 or 3, maybe `label` integer [n], and
                any others with the same n.
        """
        image = arrays.get("image")
        if image is None:
            raise ValueError(f"an array source needs image=, got {sorted(arrays)}")
        if image.dtype != np.uint8 or image.ndim != 4 or image.shape[-1] not in (1, 3):
            raise ValueError(
                f"expected images uint8 [n, h, w, 1 or 3], got {image.dtype} {list(image.shape)}"
            )
        lengths = {key: len(array) for key, array in arrays.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"arrays of one source must be equally long, got {lengths}")
        if "label" in arrays:
            arrays["label"] = np.asarray(arrays["label"]).astype(np.int32)
        self.arrays = arrays

    def __len__(self) -> int:
        return len(self.arrays["image"])

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
        "image" float32 [b, h, w, c] in [-1, 1] and what else the source has.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    for first in range(0, len(source), batch_size):
        batch = take(source, range(first, min(first + batch_size, len(source))))
        yield {**batch, "image": to_float(batch["image"])}
