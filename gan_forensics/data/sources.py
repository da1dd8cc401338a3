"""Sources: `len` and integer indexing to a dict of numpy arrays: images, points, tokens.

The key "image", where there is one, is uint8 [h, w, c] in [0, 255] with c = 1 or 3; "point" float32
[d], finite; "label" an int32 scalar. Sources are safe to read from several threads. What is in
memory is an `ArraySource`, files that are decoded when asked for are a `FileSource`; anything else
with these two methods is a source too.
"""

import copy
import functools
import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int, UInt8

from gan_forensics.data.decoding import ImageError, is_gray, load_image
from gan_forensics.data.images import check_pixels, square, to_float
from gan_forensics.files import shown
from gan_forensics.files.progress import progress_bar

SPLITS = ("train", "test", "all")
# Networks and tables are as long as the largest label is, however few examples there are.
MOST_CLASSES = 2**16


def check_split(split: str) -> None:
    """Refuse an unknown split."""
    if split not in SPLITS:
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")


def check_points(points: np.ndarray, dtype: type = np.float64) -> Float[np.ndarray, "n d"]:
    """Points [n, d] of a type.

    Raises:
        ValueError: for what are no numbers [n, d], or when some are not finite (it says how many).
    """
    points = np.asarray(points)
    if points.ndim != 2 or 0 in points.shape or points.dtype.kind not in "fiu":
        raise ValueError(
            "points must be numbers [n, d], a row for each point, got "
            f"{points.dtype} {list(points.shape)}"
        )
    with np.errstate(over="ignore"):  # What lies beyond the range of the type is not finite either.
        points = points.astype(dtype, copy=False)
    bad = np.flatnonzero(~np.isfinite(points).all(1))
    if len(bad):
        raise ValueError(
            f"{len(bad)} of {len(points)} points are not finite (the first is row {bad[0]}): leave "
            "them out, or look at what made them"
        )
    return points


def check_classes(
    labels: int | Sequence[int] | Int[np.ndarray, "*n"], name: object
) -> Int[np.ndarray, "*n"]:
    """Labels as int32, whoever wrote them down.

    Raises:
        ValueError: naming where they are from, when one is not below `MOST_CLASSES` in magnitude.
    """
    array = np.asarray(labels)
    if array.size and not -MOST_CLASSES < array.min() <= array.max() < MOST_CLASSES:
        worst = max(array.min(), array.max(), key=abs)
        raise ValueError(
            f"{shown(name)}: a label of {shown(worst, most=30)}, where classes are numbered 0, 1, "
            f"... and the last at most {MOST_CLASSES - 1}: number them so"
        )
    return array.astype(np.int32)


class Source(Protocol):
    """A collection of examples by index.

    It may also have `take` and `describe` (see `take`), and `listed`: how many examples there were
    before the split.
    """

    def __len__(self) -> int:
        """Count the examples."""
        ...

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        """Read example `index`; "image" is uint8 [h, w, c], "label" int32 []."""
        ...


def take(source: Source, indices: Sequence[int] | Int[np.ndarray, "b"]) -> dict[str, np.ndarray]:
    """Stack the examples at `indices` key by key: "image" uint8 [b, h, w, c], "label" int32 [b].

    A source with a method `take(indices)` does it at one go; a method `describe(index) -> str`
    (a path) serves error messages.

    Raises:
        ValueError: the images, or other arrays, differ in shape; two of them are named.
        ImageError: a file cannot be decoded.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.data import ArraySource
        >>> take(ArraySource(x=np.arange(3)), [0, 2])["x"].tolist()
        [0, 2]
    """
    indices = np.asarray(indices, dtype=np.int64)
    if take_many := getattr(source, "take", None):
        return take_many(indices)
    examples = [source[int(index)] for index in indices]
    for index, example in zip(indices, examples, strict=True):
        for key, first in examples[0].items():
            if np.shape(example[key]) != np.shape(first):
                raise ValueError(
                    f"{key}: different sizes cannot make one batch: "
                    f"{describe(source, indices[0])} is {_size(key, first)}, "
                    f"{describe(source, index)} is {_size(key, example[key])}; "
                    "bring them to one size (size=N in Python; --size N, or --resize N of spectrum)"
                )
    return {key: np.stack([example[key] for example in examples]) for key in examples[0]}


def describe(source: Source, index: int) -> str:
    """The name of an example, for messages."""
    return getattr(source, "describe", "example {}".format)(int(index))


def _size(key: str, array: np.ndarray) -> str:
    if key != "image":
        return str(list(np.shape(array)))
    height, width, channels = array.shape
    return f"{height}x{width} (height x width, {channels} channels)"


class ArraySource:
    """Examples kept in memory as one array per key.

    Example:
        >>> import numpy as np
        >>> ArraySource(x=np.arange(6).reshape(3, 2))[1]
        {'x': array([2, 3])}
    """

    def __init__(self, **arrays: np.ndarray):
        """Keep the arrays.

        Args:
            **arrays: one or more [n, ...] of any kind; `image` must be uint8 [n, h, w, c] with
                c = 1 or 3, `point` finite numbers [n, d], and `label` integers [n].

        Raises:
            ValueError: no array, arrays of different n, or an `image` of another kind.
        """
        arrays = {key: np.asarray(array) for key, array in arrays.items()}
        if "image" in arrays:
            check_pixels(arrays["image"])
        if "point" in arrays:
            arrays["point"] = check_points(arrays["point"], np.float32)
        shapes = {key: array.shape for key, array in arrays.items()}
        lengths = {shape[:1] for shape in shapes.values()}
        if len(lengths) != 1 or () in lengths:
            raise ValueError(f"a source needs one or more equally long arrays, got {shapes}")
        if "label" in arrays:
            arrays["label"] = check_classes(arrays["label"], "labels")
        self.arrays = arrays
        self.listed = len(self)

    def __len__(self) -> int:
        return len(next(iter(self.arrays.values())))

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {key: np.asarray(array[index]) for key, array in self.arrays.items()}

    def take(self, indices: Int[np.ndarray, "b"]) -> dict[str, np.ndarray]:
        """Index every array once."""
        return {key: array[indices] for key, array in self.arrays.items()}


class Rows:
    """Some examples of a source, in the order of `rows`.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.data import ArraySource
        >>> last = Rows(ArraySource(x=np.arange(5)), [4, 3])
        >>> len(last), int(last[0]["x"])
        (2, 4)
    """

    def __init__(self, source: Source, rows: Sequence[int] | Int[np.ndarray, "m"]):
        self.source, self.rows = source, np.asarray(rows)
        if take_many := getattr(source, "take", None):
            self.take = lambda indices: take_many(self.rows[indices])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return self.source[int(self.rows[index])]

    def describe(self, index: int) -> str:
        """Name the example as the source does."""
        return describe(self.source, self.rows[index])


class Folders(NamedTuple):
    """What the folders of a source say, or a list's column `split`.

    Attributes:
        splits: "train", "test" and "neither" -> where its images are -> how many; {} where the
            data bring no splits.
        classes: their labels by name.
        numbers: whether the labels are the names, whole numbers.
        notes: what else is to be known of them, in lines.
    """

    splits: dict[str, dict[str, int]]
    classes: dict[str, int]
    numbers: bool
    notes: tuple[str, ...]


class FileSource:
    """Image files, decoded when asked for, then centre-cropped and resized if so told.

    Where all files store gray levels the images have one channel, else all are RGB.

    Example:
        >>> from pathlib import Path
        >>> source = FileSource([Path("a.png"), Path("b.png")], size=64)
        >>> len(source), source.describe(1)
        (2, 'b.png')
        >>> source[1]["image"].shape  # doctest: +SKIP
        (64, 64, 3)
    """

    def __init__(
        self,
        paths: Sequence[Path],
        labels: Int[np.ndarray, "n"] | None = None,
        *,
        among: Sequence[Path] | None = None,
        left_out: Mapping[Path, str] | None = None,
        root: Path | None = None,
        columns: Mapping[str, Sequence[str]] | None = None,
        label_names: Sequence[str] = (),
        folders: Folders | None = None,
        read_as: str = "",
        **fit: int | None,
    ):
        """Remember the paths.

        Args:
            paths: the files of this source.
            labels: of each, if there are some.
            among: all files that these are a split of; they decide on the channels.
            left_out: why other files of the folder are not among them.
            root: the folder that they lie in, or below.
            columns: what a list says of each file beside its label, by the column's name.
            label_names: what the labels 0, 1, ... stand for, where that has names.
            folders: what the folders of the files say, or a list's column of splits.
            read_as: of a list, what is unusual in how it was read, in words.
            fit: `size` and `crop` as in `square`.
        """
        self.paths, self.labels, self._fit = list(paths), labels, fit
        self.among = self.paths if among is None else among
        self.listed, self.left_out = len(self.among), left_out or {}
        self.root, self.columns, self.label_names = root, columns or {}, tuple(label_names)
        self.folders, self.read_as = folders, read_as

    @functools.cached_property
    def channels(self) -> Literal[1, 3]:
        """1 where all files are gray, else 3: known at the first file that is not."""
        # Of many files the headers take a while, if all are gray.
        headers = progress_bar(self.among, unit="header", brief=True)
        return 1 if all(map(_may_be_gray, headers)) else 3

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        image = load_image(self.paths[index], channels=self.channels)
        label = None if self.labels is None else self.labels[index]
        return squared_example(image, label, self.describe(index), **self._fit)

    def resized(self, size: int) -> "FileSource":
        """The same files, brought to another size."""
        other = copy.copy(self)
        other._fit = {**self._fit, "size": size}
        return other

    def describe(self, index: int) -> str:
        """Name the file."""
        return str(self.paths[index])


def _may_be_gray(path: Path) -> bool:
    try:
        return is_gray(path)
    except ImageError:  # It says so when it is read.
        return True


class Rgb:
    """A source whose gray images are repeated to three channels.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.data import ArraySource
        >>> gray = ArraySource(image=np.zeros((2, 8, 8, 1), np.uint8))
        >>> Rgb(gray)[0]["image"].shape
        (8, 8, 3)
    """

    def __init__(self, source: Source):
        self.source = source
        if take_many := getattr(source, "take", None):
            self.take = lambda indices: _in_rgb(take_many(indices))

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return _in_rgb(self.source[index])

    def describe(self, index: int) -> str:
        """Name the example as the source does."""
        return describe(self.source, index)


def _in_rgb(example: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    image = example["image"]
    return {**example, "image": np.repeat(image, 3 // image.shape[-1], -1)}


def squared_example(
    image: UInt8[np.ndarray, "h w c"], label: int | None, name: str, **fit: int | None
) -> dict[str, np.ndarray]:
    """An example of an image through `square`; `name` stands in the error."""
    try:
        example = {"image": square(image, **fit)}
    except ValueError as error:
        raise ImageError(f"{name}: {error}") from None
    return example if label is None else {**example, "label": check_classes(label, name)}


def rows_of_split(names: Iterable[object], split: str) -> Int[np.ndarray, "m"]:
    """Choose the rows of a split where the data bring none of their own.

    An example is held out for "test" with probability 1/4 by a hash of its name (the path below the
    folder, or the row number): the same ones wherever the folder lies and whatever is added to it
    later.

    Raises:
        ValueError: an unknown split, or one that is empty.

    Example:
        >>> names = ["a.png", "b.png", "c.png", "d.png", "e.png", "f.png"]
        >>> rows_of_split(names, "train").tolist(), rows_of_split(names, "test").tolist()
        ([0, 1, 3, 4, 5], [2])
    """
    check_split(split)
    names = list(names)
    if split == "all":
        return np.arange(len(names))
    held_out = np.array([_is_held_out(name) for name in names], dtype=bool)
    rows = np.flatnonzero(held_out == (split == "test"))
    if not len(rows):
        raise ValueError(
            f"the {split} split of {len(names)} examples is empty; give more, or split='all'"
        )
    return rows


def _is_held_out(name: object) -> bool:
    # CRCs of names that count up go together: of 60 files they hold out 10 to 28. Row numbers keep
    # them, since published tables rest on these splits; theirs hold out 23 to 25 % from 100 on.
    if isinstance(name, int):
        return zlib.crc32(str(name).encode()) % 4 == 0
    return hashlib.sha256(os.fsencode(str(name))).digest()[0] % 4 == 0


def chunks(
    source: Source, size: int, *, progress: Callable[[range], Iterable[int]] = iter
) -> Iterator[dict[str, np.ndarray]]:
    """A source once, in order, at most `size` examples at a time; `progress` may draw a bar.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.data import ArraySource
        >>> [chunk["x"].tolist() for chunk in chunks(ArraySource(x=np.arange(5)), 2)]
        [[0, 1], [2, 3], [4]]
    """
    for first in progress(range(0, len(source), size)):
        yield take(source, range(first, min(first + size, len(source))))


def batches_once(source: Source, batch_size: int) -> Iterator[dict[str, np.ndarray]]:
    """Go through a source once, in order, for evaluation; the last batch may be smaller.

    Yields:
        What the source has; "image", where there is one, as float32 [b, h, w, c] in [-1, 1].

    Example:
        >>> import numpy as np
        >>> from gan_forensics.data import ArraySource
        >>> photos = ArraySource(image=np.full((5, 8, 8, 3), 255, np.uint8))
        >>> [(len(each["image"]), each["image"].max().item()) for each in batches_once(photos, 4)]
        [(4, 1.0), (1, 1.0)]
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    for batch in chunks(source, batch_size):
        if "image" in batch:
            batch = {**batch, "image": to_float(batch["image"])}
        yield batch
