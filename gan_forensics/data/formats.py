"""Readers of what people keep images in: folders, path lists, IDX files, NumPy archives.

All take `size` and `crop` as `square` does.
"""

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Int

from gan_forensics.data.images import check_pixels, square
from gan_forensics.data.listing import leaving, list_images, summary
from gan_forensics.data.sources import (
    ArraySource,
    FileSource,
    Folders,
    check_classes,
    check_points,
    rows_of_split,
)
from gan_forensics.data.split_folders import Places, divided, part_of_name, rows_of_part
from gan_forensics.files import (
    archives,
    gunzip,
    gunzip_start,
    listed,
    read_bytes,
    read_csv,
    shown,
    whole_number,
)

_IMAGE_KEYS = ("image", "images", "x", "arr_0")
_POINT_KEY = "point"
_LABEL_KEYS = ("label", "labels", "y")
_IDX_UBYTE, _IDX_AXES = 0x08, 4
_MOST_IDX = 2**33  # bytes


def read_folder(
    folder: Path, *, split: str, follow_links: bool = False, **fit: int | None
) -> FileSource:
    """Read the images below a folder, lazily; what is among them says `list_images`.

    Folders that words of public data sets call splits (train, val, test and their like, in any
    case) are the splits, at the top or below each class; where there is no test, what is called
    validation is it. Otherwise `rows_of_split` divides the paths. Apart from them the first
    subfolder is the class: its number where all are whole numbers, else its rank in alphabetical
    order over all splits. There are labels where every image of the split lies in such a folder.

    Raises:
        FileNotFoundError: there is no such folder, or nothing for the split in it.
        ValueError: it holds no image, or other folders beside splits.
    """
    paths, left_out = list_images(folder, follow_links=follow_links)
    if not paths:
        others = f": {summary(left_out, 0)}" if left_out else ""
        raise ValueError(f"{folder}: no images in this folder or below{others}")
    below = [path.relative_to(folder).parts for path in paths]
    rows, labels, folders = divided(folder, below, split)
    keep = rows_of_split(("/".join(p) for p in below), split) if rows is None else np.array(rows)
    return FileSource(
        [paths[row] for row in keep],
        None if labels is None else labels[keep],
        among=paths,
        left_out=left_out,
        root=folder,
        columns=None,
        label_names=() if labels is None or folders.numbers else tuple(folders.classes),
        folders=folders,
        read_as="",
        **fit,
    )


def read_list(
    file: Path, *, split: str, follow_links: bool = False, **fit: int | None
) -> FileSource:
    """Read the images that a CSV file names: `path` or `path,label` on each line, lazily.

    Paths are relative to the file, and lead out of its folder, by themselves or by links, only with
    `follow_links`. A first line that begins with `path` is a header, below which
    there may be more columns: one called label, one called split (of the words for split folders),
    others for `groups_of`. Labels are integers, or names (then numbered in sorted order).
    """
    table = read_csv(file, first="path", numbers=False)
    lines = list(table.lines)
    header = ["path", "label"]
    if lines and lines[0][1][0].lower() == "path":
        known = ("path", "label", "split")
        header = [name.lower() if name.lower() in known else name for name in lines.pop(0)[1]]
        if twice := sorted(name for name, n in Counter(header).items() if n > 1):
            raise ValueError(f"{file}: two columns are called {twice[0]!r}: rename one")
    elif lines:
        header = header[: len(lines[0][1])]
    if not lines:
        raise ValueError(f"{file}: names no image; write one path on each line")
    leaves = leaving(file.parent)
    for number, row in lines:
        if len(row) != len(header):
            raise ValueError(
                f"{file}, line {number}: {len(row)} columns; every line must read 'path' or every "
                "line 'path,label', or as a first line 'path,...' names the columns"
            )
        path = file.parent / row[0]
        if not follow_links and leaves(path):
            raise ValueError(
                f"{file}, line {number}: {shown(row[0])} leaves the folder of the list; "
                "--follow-links allows it"
            )
        if not path.is_file():
            raise FileNotFoundError(
                f"{file}, line {number}: no file {shown(row[0])!r}; paths are relative to "
                f"{file.parent}"
            )
    cells = {name: [row[i] for _, row in lines] for i, name in enumerate(header)}
    names = cells.pop("path")
    labels, label_names = (
        _number(file, names, cells.pop("label")) if "label" in cells else (None, ())
    )
    keep, folders = _rows_of_list(file, names, cells, split)
    if twice := _twice(names, labels, folders, keep, split):
        said = Folders({}, {}, False, ()) if folders is None else folders
        folders = said._replace(notes=(*said.notes, twice))
    paths = [file.parent / name for name in names]
    return FileSource(
        [paths[row] for row in keep],
        None if labels is None else labels[keep],
        among=paths,
        left_out={},
        root=None,
        columns={name: [column[row] for row in keep] for name, column in cells.items()},
        label_names=label_names,
        folders=folders,
        read_as=table.read_as,
        **fit,
    )


def _rows_of_list(
    file: Path, names: list[str], cells: dict[str, list[str]], split: str
) -> tuple[Int[np.ndarray, "m"], Folders | None]:
    """The rows of a split: by a column `split` of its words, which is taken out of the cells."""
    words = cells.get("split", [])
    parts = [part_of_name(word) or "" for word in words]
    if not any(parts):
        return rows_of_split(names, split), None
    if "" in parts:
        row = parts.index("")
        raise ValueError(
            f"{file}: {shown(names[row])} has {shown(words[row])!r} as its split: write train, val "
            "or test on every line, or call the column otherwise"
        )
    del cells["split"]
    rows, splits = rows_of_part(
        file,
        Places(tuple(parts), tuple(words), ()),
        split,
        mend="call the column otherwise, and the images are divided",
    )
    return np.array(rows), Folders(splits, {}, False, ())


def _twice(
    names: list[str],
    labels: Int[np.ndarray, "n"] | None,
    folders: Folders | None,
    keep: Int[np.ndarray, "m"],
    split: str,
) -> str:
    """That a list names files more than once, with two labels or in two splits; else empty."""
    places: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        places.setdefault(os.path.normpath(name), []).append(row)
    again = {name: rows for name, rows in places.items() if len(rows) > 1}
    if not again:
        return ""
    apart = sum(labels is not None and len(set(labels[rows])) > 1 for rows in again.values())
    chosen = set(keep.tolist())
    both = sum(0 < len(chosen & set(rows)) < len(rows) for rows in again.values())
    words = [f"{apart} with different labels"] * bool(apart)
    words += [f"{both} of them in several splits"] * bool(both and split != "all")
    return (
        f"{len(again)} files are named more than once, the first is {shown(next(iter(again)))}"
        + (f": {', '.join(words)}" if words else "")
    )


def _number(
    file: Path, names: list[str], labels: list[str]
) -> tuple[Int[np.ndarray, "n"], tuple[str, ...]]:
    """Integers as they are, or the ranks of names, and these names; 1 beside 01 are names."""
    if "" in labels:
        raise ValueError(
            f"{file}: {labels.count('')} of {len(labels)} images have no label, the first is "
            f"{shown(names[labels.index('')])}: write one on every line, or leave the column out"
        )
    try:
        numbers = [whole_number(label) for label in labels]
    except ValueError:
        return _ranks(labels)
    if len(set(numbers)) < len(set(labels)):
        return _ranks(labels)
    return check_classes(numbers, file), ()


def _ranks(names: list[str]) -> tuple[Int[np.ndarray, "n"], tuple[str, ...]]:
    # Not by NumPy, to which all names are as long as the longest.
    known = sorted(set(names))
    rank = {name: place for place, name in enumerate(known)}
    return np.array([rank[name] for name in names], np.int32), tuple(known)


def read_idx(path: Path, *, split: str, **fit: int | None) -> ArraySource:
    """Read an IDX file of ubyte images (MNIST's format), plain or gzipped, into memory.

    The labels are read from the file beside it that is called `labels` and `idx1` instead of
    `images` and `idx3`, if there is one. For a folder, its files `train-images*` and
    `t10k-images*` are the splits; a single file is divided by `rows_of_split`.
    """
    if not path.is_dir():
        return part_of(_read_idx_pair(path), split, **fit)
    patterns = {"train": "train-images*", "test": "t10k-images*"}
    parts = []
    for name in ("train", "test") if split == "all" else (split,):
        files = sorted(path.glob(patterns[name]))
        if not files:
            raise FileNotFoundError(f"{path}: no IDX file {patterns[name]} for the {name} split")
        parts.append(_read_idx_pair(files[0]))
    keys = set.intersection(*(set(part) for part in parts))
    arrays = {key: np.concatenate([part[key] for part in parts]) for key in keys}
    return part_of(arrays, "all", **fit)


def _read_idx_pair(path: Path) -> dict[str, np.ndarray]:
    image = _read_idx_array(path)
    if image.ndim not in (3, 4):
        raise ValueError(
            f"{path}: holds an array of {image.ndim} axes; images have [n, h, w] or [n, h, w, c]"
        )
    arrays = {"image": image if image.ndim == 4 else image[..., None]}
    name = path.name.replace("images", "labels").replace("idx3", "idx1").removesuffix(".gz")
    for beside in (path.with_name(name), path.with_name(name + ".gz")):
        if name != path.name.removesuffix(".gz") and beside.exists():
            labels = _read_idx_array(beside)
            try:
                _check_labels(labels, image.shape[:1])
            except ValueError as error:
                raise ValueError(f"{shown(beside)}: {error}") from error
            arrays["label"] = labels
            break
    return arrays


def _read_idx_array(path: Path) -> np.ndarray:
    data = read_bytes(path, most=_MOST_IDX)
    packed, size = data[:2] == b"\x1f\x8b", 4 + 4 * _IDX_AXES
    try:
        start = gunzip_start(data, size) if packed else data[:size]
        if len(start) < 4 or start[:2] != b"\0\0" or start[2] != _IDX_UBYTE:
            raise ValueError(
                f"not an IDX file of unsigned bytes (it starts with {start[:4]!r}); give the "
                "images-idx3-ubyte file"
            )
        if start[3] > _IDX_AXES:
            raise ValueError(f"holds an array of {start[3]} axes; images have [n, h, w]")
        begin = 4 + 4 * start[3]
        shape = [int.from_bytes(start[at : at + 4]) for at in range(4, begin, 4)]
        promised = begin + math.prod(shape)
        if packed:
            if promised > archives.most_unpacked(len(data)):
                raise ValueError(f"{len(data)} bytes whose header promises {promised}")
            data = gunzip(data, most=promised)
    except ValueError as error:
        raise ValueError(f"{shown(path)}: {error}") from error
    if len(data) != promised:
        raise ValueError(
            f"{shown(path)}: {len(data)} bytes where its header of shape {shape} promises "
            f"{promised}; download it again"
        )
    return np.frombuffer(data, np.uint8, offset=begin).reshape(shape)


def read_npz(file: Path, *, split: str, **fit: int | None) -> ArraySource:
    """Read a NumPy archive into memory: points under `point`, or images.

    Points are finite numbers [n, d]. Images, under `image`, `images`, `x` or `arr_0`, are uint8
    [n, h, w] or [n, h, w, 1 or 3]. Labels, integers [n], are optional, under `label`, `labels` or
    `y`. Pickled objects are refused.
    """
    try:
        arrays = archives.read_npz(file, _wanted)
        label = next((arrays.pop(key) for key in _LABEL_KEYS if key in arrays), None)
        ((key, examples),) = arrays.items()
        if key == _POINT_KEY:
            arrays = {"point": check_points(examples, np.float32)}
        else:
            arrays = {"image": examples[..., None] if examples.ndim == 3 else examples}
        if label is not None:
            arrays["label"] = check_classes(label, "its labels")
    except ValueError as error:
        kind = "images or points"
        raise ValueError(
            f"{shown(file)}: cannot be read as an archive of {kind}: {error}"
        ) from error
    return part_of(arrays, split, **fit)


def holds_points(file: Path) -> bool:
    """Whether an archive has points; False for what is no archive, which `read_npz` refuses."""
    names: list[str] = []

    def none_of(heads: Mapping[str, archives.Head]) -> Iterable[str]:
        names.extend(heads)
        return ()

    try:
        archives.read_npz(file, none_of)
    except (OSError, ValueError):
        return False
    return _POINT_KEY in names


def _wanted(heads: Mapping[str, archives.Head]) -> list[str]:
    """The names of the points of an archive, or its images, and of their labels."""
    images = [key for key in _IMAGE_KEYS if key in heads]
    if _POINT_KEY in heads:
        if images:
            raise ValueError(
                f"it has points and, under {images[0]}, images: save them in two files"
            )
        wanted = [_POINT_KEY]
    elif images:
        image = heads[images[0]].like
        check_pixels(image[..., None] if image.ndim == 3 else image)
        wanted = images[:1]
    else:
        raise ValueError(
            f"it has {listed(heads) or 'nothing'}; images must be under one of "
            f"{', '.join(_IMAGE_KEYS)}, points [n, d] under {_POINT_KEY}"
        )
    label = next((key for key in _LABEL_KEYS if key in heads), None)
    if label is None:
        return wanted
    _check_labels(heads[label].like, heads[wanted[0]].shape[:1])
    return [*wanted, label]


def _check_labels(labels: np.ndarray, length: tuple[int, ...]) -> None:
    if labels.shape != length or not np.issubdtype(labels.dtype, np.integer):
        n = next(iter(length), 0)
        raise ValueError(
            f"labels are {labels.dtype} {list(labels.shape)}; the {n} examples need {n} integers"
        )


def part_of(arrays: dict[str, np.ndarray], split: str, **fit: int | None) -> ArraySource:
    """The rows of a split, their images, where there are some, through `square`.

    Raises:
        ValueError: for a size or crop where there are no images.
    """
    if any(fit.values()) and "image" not in arrays:
        given = ", ".join(f"{name}={value}" for name, value in fit.items() if value)
        raise ValueError(
            f"{given}: size and crop are for images, and there are none, but {listed(arrays)}: "
            "leave it out"
        )
    whole = len(next(iter(arrays.values())))
    if split != "all":
        rows = rows_of_split(range(whole), split)
        arrays = {key: array[rows] for key, array in arrays.items()}
    if any(fit.values()):
        squares = [square(image, **fit) for image in arrays["image"]]
        arrays = {**arrays, "image": np.stack(squares)}
    source = ArraySource(**arrays)
    source.listed = whole
    return source
