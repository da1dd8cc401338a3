"""Readers of what people keep images in: folders, IDX files, NumPy archives.

All take `size` and `crop` as `square` does.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from gan_forensics.data.images import check_pixels, square
from gan_forensics.data.listing import list_images, summary
from gan_forensics.data.sources import (
    ArraySource,
    FileSource,
    check_classes,
    check_points,
    rows_of_split,
)
from gan_forensics.data.split_folders import divided
from gan_forensics.files import (
    archives,
    gunzip,
    gunzip_start,
    listed,
    read_bytes,
    shown,
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
