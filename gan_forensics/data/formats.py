"""Readers of what people keep images in: folders, path lists, IDX files, NumPy archives.

All take `size` and `crop` as `square` does.
"""

import csv
import gzip
import math
import zipfile
from pathlib import Path

import numpy as np
from jaxtyping import Int

from gan_forensics.data.images import check_pixels, square
from gan_forensics.data.listing import leaving, list_images, summary
from gan_forensics.data.sources import ArraySource, FileSource, check_points, rows_of_split
from gan_forensics.files import shown

_IMAGE_KEYS = ("image", "images", "x", "arr_0")
_POINT_KEY = "point"
_LABEL_KEYS = ("label", "labels", "y")
TEST_FOLDERS = ("test", "val", "valid", "validation")
_IDX_UBYTE = 0x08


def read_folder(
    folder: Path, *, split: str, follow_links: bool = False, **fit: int | None
) -> FileSource:
    """Read the images below a folder, lazily; what is among them says `list_images`.

    When every image lies in a subfolder, the first subfolder is its class and the label its rank
    in the sorted class names. Where the folder holds `train/` and one of `test/`, `val/`, `valid/`,
    `validation/` (the first that there is), these are the splits, and classes are the folders below
    them; otherwise `rows_of_split` divides the paths.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: it holds no image.
    """
    paths, left_out = list_images(folder, follow_links=follow_links)
    if not paths:
        others = f": {summary(left_out, 0)}" if left_out else ""
        raise ValueError(f"{folder}: no images in this folder or below{others}")
    below = [path.relative_to(folder).parts for path in paths]
    tops = {parts[0] for parts in below if len(parts) > 1}
    test = next((name for name in TEST_FOLDERS if name in tops), None)
    if "train" in tops and test:
        wanted = {"train": "train", "test": test}.get(split)
        keep = [row for row, parts in enumerate(below) if split == "all" or parts[0] == wanted]
        classes = [parts[1:-1] for parts in below]
    else:
        keep = rows_of_split(("/".join(parts) for parts in below), split)
        classes = [parts[:-1] for parts in below]
    # Ranks are taken over all images, so that every split numbers the classes alike.
    names = [part[0] if part else "" for part in classes]
    labels, label_names = (None, ()) if "" in names else _ranks(names)
    return FileSource(
        [paths[row] for row in keep],
        None if labels is None else labels[keep],
        among=paths,
        left_out=left_out,
        root=folder,
        columns=None,
        label_names=label_names,
        **fit,
    )


def read_list(
    file: Path, *, split: str, follow_links: bool = False, **fit: int | None
) -> FileSource:
    """Read the images that a CSV file names: `path` or `path,label` on each line, lazily.

    Paths are relative to the file, and lead out of its folder, by themselves or by links, only with
    `follow_links`. A first line that begins with `path` is a header, below which
    there may be more columns: one called label, others for `groups_of`. Labels are integers, or
    names (then numbered in sorted order).
    """
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            lines = [(number, row) for number, row in enumerate(csv.reader(stream), 1) if any(row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file}: not a CSV file in UTF-8 ({error})") from error
    header = ["path", "label"]
    if lines and lines[0][1][0].strip().lower() == "path":
        header = [name.strip() for name in lines.pop(0)[1]]
        header = [name.lower() if name.lower() in ("path", "label") else name for name in header]
        if twice := sorted({name for name in header if header.count(name) > 1}):
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
        path = file.parent / row[0].strip()
        if not follow_links and leaves(path):
            raise ValueError(
                f"{file}, line {number}: {shown(row[0].strip())} leaves the folder of the list; "
                "--follow-links allows it"
            )
        if not path.is_file():
            raise FileNotFoundError(
                f"{file}, line {number}: no file {row[0].strip()!r}; paths are relative to "
                f"{file.parent}"
            )
    cells = {name: [row[i].strip() for _, row in lines] for i, name in enumerate(header)}
    names = cells.pop("path")
    labels, label_names = _number(cells.pop("label")) if "label" in cells else (None, ())
    keep = rows_of_split(names, split)
    paths = [file.parent / name for name in names]
    return FileSource(
        [paths[row] for row in keep],
        None if labels is None else labels[keep],
        among=paths,
        left_out={},
        root=None,
        columns={name: [column[row] for row in keep] for name, column in cells.items()},
        label_names=label_names,
        **fit,
    )


def _number(labels: list[str]) -> tuple[Int[np.ndarray, "n"], tuple[str, ...]]:
    """Integers as they are, or the ranks of names, and these names."""
    try:
        return np.array([int(label) for label in labels], dtype=np.int32), ()
    except ValueError:
        return _ranks(labels)


def _ranks(names: list[str]) -> tuple[Int[np.ndarray, "n"], tuple[str, ...]]:
    known, ranks = np.unique(names, return_inverse=True)
    return ranks.astype(np.int32), tuple(map(str, known))


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
            arrays["label"] = _labels(beside, _read_idx_array(beside), len(image))
            break
    return arrays


def _read_idx_array(path: Path) -> np.ndarray:
    data = path.read_bytes()
    try:
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (EOFError, OSError) as error:
        raise ValueError(f"{path}: damaged gzip file ({error}); download it again") from error
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] != _IDX_UBYTE:
        raise ValueError(
            f"{path}: not an IDX file of unsigned bytes (it starts with {data[:4]!r}); give the "
            "images-idx3-ubyte file"
        )
    start = 4 + 4 * data[3]
    shape = [int.from_bytes(data[at : at + 4]) for at in range(4, start, 4)]
    if len(data) != start + math.prod(shape):
        raise ValueError(
            f"{path}: {len(data)} bytes where its header of shape {shape} promises "
            f"{start + math.prod(shape)}; download it again"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)


def read_npz(file: Path, *, split: str, **fit: int | None) -> ArraySource:
    """Read a NumPy archive into memory: points under `point`, or images.

    Points are finite numbers [n, d]. Images, under `image`, `images`, `x` or `arr_0`, are uint8
    [n, h, w] or [n, h, w, 1 or 3]. Labels, integers [n], are optional, under `label`, `labels` or
    `y`. Pickled objects are refused.
    """
    try:
        # Opened here, since np.load leaves the file open when the archive is damaged.
        with file.open("rb") as stream:
            archive = np.load(stream, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise ValueError("a single array, not an archive; save it with numpy.savez")
            arrays = _examples(archive)
            labels = [archive[key] for key in _LABEL_KEYS if key in archive.files][:1]
    # A damaged archive raises errors of zipfile, zlib, struct or NumPy.
    except Exception as error:
        kind = "images or points"
        raise ValueError(f"{file}: cannot be read as an archive of {kind}: {error}") from error
    if labels:
        (examples,) = arrays.values()
        arrays["label"] = _labels(file, labels[0], len(examples))
    return part_of(arrays, split, **fit)


def holds_points(file: Path) -> bool:
    """Whether an archive has points; False for what is no archive, which `read_npz` refuses."""
    try:
        with zipfile.ZipFile(file) as archive:
            return f"{_POINT_KEY}.npy" in archive.namelist()
    except (OSError, ValueError, zipfile.BadZipFile, NotImplementedError):
        return False


def _examples(archive: np.lib.npyio.NpzFile) -> dict[str, np.ndarray]:
    """The points of an archive, or its images."""
    images = [key for key in _IMAGE_KEYS if key in archive.files]
    if _POINT_KEY in archive.files:
        if images:
            raise ValueError(
                f"it has points and, under {images[0]}, images: save them in two files"
            )
        return {"point": check_points(archive[_POINT_KEY], np.float32)}
    if not images:
        raise ValueError(
            f"it has {', '.join(archive.files) or 'nothing'}; images must be under one of "
            f"{', '.join(_IMAGE_KEYS)}, points [n, d] under {_POINT_KEY}"
        )
    image = archive[images[0]]
    image = image[..., None] if image.ndim == 3 else image
    check_pixels(image)
    return {"image": image}


def _labels(file: Path, labels: np.ndarray, n: int) -> np.ndarray:
    if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(
            f"{file}: labels are {labels.dtype} {list(labels.shape)}; the {n} examples need {n} "
            "integers"
        )
    return labels


def part_of(arrays: dict[str, np.ndarray], split: str, **fit: int | None) -> ArraySource:
    """The rows of a split, their images, where there are some, through `square`.

    Raises:
        ValueError: for a size or crop where there are no images.
    """
    if any(fit.values()) and "image" not in arrays:
        given = ", ".join(f"{name}={value}" for name, value in fit.items() if value)
        raise ValueError(
            f"{given}: size and crop are for images, and there are none, but {', '.join(arrays)}: "
            "leave it out"
        )
    listed = len(next(iter(arrays.values())))
    if split != "all":
        rows = rows_of_split(range(listed), split)
        arrays = {key: array[rows] for key, array in arrays.items()}
    if any(fit.values()):
        squares = [square(image, **fit) for image in arrays["image"]]
        arrays = {**arrays, "image": np.stack(squares)}
    source = ArraySource(**arrays)
    source.listed = listed
    return source
