"""Archives of arrays (.npz), looked at before anything is unpacked; nothing in them is executed."""

import json
import math
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from gan_forensics.files.reader import open_regular, parse_json
from gan_forensics.files.shown import shown
from gan_forensics.files.writer import written_beside

# An archive unpacks to at most so many times its size, beyond what any may unpack to.
MOST_RATIO, ALWAYS = 100, 2**28
MOST_ARRAYS, MOST_HEADER = 20_000, 2**24
_PIECE = 2**24


class Head(NamedTuple):
    """What an archive says of an array: shape, type, and whether its first axis varies fastest."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool

    @property
    def nbytes(self) -> int:
        """The bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize


Choose = Callable[[Mapping[str, Head]], Iterable[str]]


def read_npz(
    path: Path | str, choose: Choose = lambda heads: heads, *, most: float = math.inf
) -> dict[str, np.ndarray]:
    """Arrays of an .npz file, which may come from a stranger.

    Args:
        path: of a regular file.
        choose: given the heads of all arrays, names those to read; raises ValueError where they
            are not what is wanted. Called before anything is unpacked.
        most: bytes that the chosen arrays may have; besides, they may be `MOST_RATIO` times as
            large as the file, or `ALWAYS` bytes.

    Returns:
        The arrays that were chosen, of plain numbers, truth values or text.

    Raises:
        OSError: when the file is missing or cannot be read.
        ValueError: the reason in one line, for a file that is no such archive, damaged, holds
            objects, or claims too much.
    """
    with open_regular(path) as file:
        try:
            return _chosen(file, choose, most)
        except MemoryError:
            raise ValueError("its arrays do not fit into memory") from None
        # A damaged archive raises errors of zipfile, zlib, struct, the system or NumPy.
        except Exception as error:
            raise ValueError(shown(error) or type(error).__name__) from error


def _chosen(file: BinaryIO, choose: Choose, most: float) -> dict[str, np.ndarray]:
    packed = file.seek(0, 2)
    file.seek(0)
    if not zipfile.is_zipfile(file):
        raise ValueError("it is not an npz archive")
    with zipfile.ZipFile(file) as archive:
        heads = _heads(archive)
        chosen = list(choose(heads))
        size = sum(heads[name].nbytes for name in chosen)
        if size > min(most, max(ALWAYS, MOST_RATIO * packed)):
            raise ValueError(f"{packed} bytes that unpack to {size / 2**30:.2g} GiB")
        return {name: _array(archive, name, heads[name]) for name in chosen}


def _heads(archive: zipfile.ZipFile) -> dict[str, Head]:
    """What the arrays of an archive are, checked against the space that the archive gives them."""
    entries = archive.infolist()
    if len(entries) > MOST_ARRAYS:
        raise ValueError(f"it has {len(entries)} arrays, more than the {MOST_ARRAYS} that are read")
    heads: dict[str, Head] = {}
    for entry in entries:
        name = entry.filename.removesuffix(".npy")
        if name == entry.filename or name in heads:
            raise ValueError(f"{shown(entry.filename)!r} is no array, or there are two of it")
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(f"{shown(name)} is packed in a way that is not read")
        with archive.open(entry) as stream:
            heads[name] = _head(stream)
            if stream.tell() + heads[name].nbytes != entry.file_size:
                raise ValueError(f"{shown(name)} has not the size that its shape asks for")
    return heads


def _head(stream: Any) -> Head:
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"arrays of version {version} are not read")
    shape, fortran, dtype = read(stream)
    if dtype.kind not in "biufcUS" or not dtype.itemsize:
        raise ValueError(f"it holds {dtype.name} values; arrays of numbers are needed")
    if any(side < 0 for side in shape) or len(shape) > 64:
        raise ValueError(f"an array of shape {shown(shape)}")
    return Head(shape, dtype, fortran)


def _array(archive: zipfile.ZipFile, name: str, head: Head) -> np.ndarray:
    flat = np.empty(math.prod(head.shape), head.dtype)
    with archive.open(f"{name}.npy") as stream:
        _head(stream)
        view = flat.view(np.uint8) if head.nbytes else np.empty(0, np.uint8)
        for start in range(0, len(view), _PIECE):
            part = stream.read(min(_PIECE, len(view) - start))
            if len(part) != min(_PIECE, len(view) - start):
                raise ValueError(f"{shown(name)} ends too early")
            view[start : start + len(part)] = np.frombuffer(part, np.uint8)
        if stream.read(1):
            raise ValueError(f"{shown(name)} does not end where it should")
    return flat.reshape(head.shape, order="F" if head.fortran else "C")


def write_archive(path: Path | str, header: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays and a header of JSON values as one .npz file."""
    named: dict[str, Any] = {"header": np.array(json.dumps(header)), **arrays}
    with written_beside(path) as partial, partial.open("wb") as file:
        np.savez(file, **named)


def read_archive(path: Path | str, *, most: float = math.inf) -> tuple[Any, dict[str, np.ndarray]]:
    """Header and arrays of a file of `write_archive`, which may come from a stranger.

    Raises:
        OSError, ValueError: as `read_npz`; and for a file without a header.
    """

    def all_with_header(heads: Mapping[str, Head]) -> Iterable[str]:
        head = heads.get("header")
        if head is None:
            raise ValueError("it has no header")
        if head.shape != () or head.dtype.kind != "U" or head.nbytes > 4 * MOST_HEADER:
            raise ValueError("its header is no text, or too long")
        return heads

    arrays = read_npz(path, all_with_header, most=most)
    return parse_json(str(arrays.pop("header")[()]), "its header"), arrays
