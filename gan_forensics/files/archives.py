"""Archives of arrays (.npz), looked at before anything is unpacked; nothing in them is executed."""

import json
import math
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from gan_forensics.files.reader import open_regular, parse_json
from gan_forensics.files.showing import shown
from gan_forensics.files.writer import written_beside

# An archive unpacks to at most so many times its size, beyond what any may unpack to.
MOST_RATIO, ALWAYS = 100, 2**28
MOST_ARRAYS, MOST_HEADER, MOST_EMPTY = 20_000, 2**24, 2**24
# Bytes of the directory at the end of a zip file; Python needs some ten times as much for it.
MOST_DIRECTORY = 2**24
# What is copied at a time: little enough to stay in the processor's cache.
_PIECE = 2**18


class Head(NamedTuple):
    """What an archive says of an array: shape, type, and whether its first axis varies fastest."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool

    @property
    def nbytes(self) -> int:
        """The bytes of the array."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def plain(self) -> bool:
        """Whether it is of numbers, truth values or text; others are not read."""
        return self.dtype.kind in "biufcUS" and self.dtype.itemsize > 0

    @property
    def like(self) -> np.ndarray:
        """An array of this shape and type, all zeros, that takes no memory."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)


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
    with _opened(path) as archive:
        return _chosen(archive, choose(archive.heads), most)


class _Open(NamedTuple):
    """An archive that is open: its size, and what its arrays are."""

    file: zipfile.ZipFile
    packed: int
    heads: dict[str, Head]


@contextmanager
def _opened(path: Path | str) -> Iterator[_Open]:
    """An archive whose heads are known; whatever goes wrong with it is a ValueError."""
    with open_regular(path) as file:
        try:
            packed = file.seek(0, 2)
            with open_zip(file) as archive:
                yield _Open(archive, packed, _heads(archive))
        except MemoryError:
            raise ValueError("its arrays do not fit into memory") from None
        # A damaged archive raises errors of zipfile, zlib, struct, the system or NumPy.
        except Exception as error:
            raise ValueError(shown(error, most=1000) or type(error).__name__) from error


def open_zip(file: BinaryIO) -> zipfile.ZipFile:
    """A zip file of a stranger, whose directory is of a size that can be read.

    Raises:
        zipfile.BadZipFile: for another one, what is no zip file, and a damaged one.
    """
    size = file.seek(0, 2)
    file.seek(max(0, size - 2**16 - 22))
    end = file.read()
    at = len(end) - 22
    if at < 0 or end[at : at + 4] != b"PK\5\6" or end[-2:] != b"\0\0":
        at = end.rfind(b"PK\5\6")  # A comment stands behind it.
    if at < 0:
        raise zipfile.BadZipFile("it is no zip archive")
    directory = int.from_bytes(end[at + 12 : at + 16], "little")
    if at >= 20 and end[at - 20 : at - 16] == b"PK\6\7":  # the same for files above 4 GiB
        if at < 76 or end[at - 76 : at - 72] != b"PK\6\6":
            raise zipfile.BadZipFile("its directory is not where it should be")
        directory = int.from_bytes(end[at - 36 : at - 28], "little")
    if directory > MOST_DIRECTORY:
        raise zipfile.BadZipFile(f"its directory has {directory} bytes, {MOST_DIRECTORY} are read")
    return zipfile.ZipFile(file)


def _chosen(archive: _Open, names: Iterable[str], most: float) -> dict[str, np.ndarray]:
    names = list(names)
    for name in names:
        if not archive.heads[name].plain:
            kind = archive.heads[name].dtype.name
            raise ValueError(f"{shown(name)} holds {kind} values; arrays of numbers are needed")
    check_size(sum(archive.heads[name].nbytes for name in names), archive.packed, most)
    return {name: _array(archive.file, name, archive.heads[name]) for name in names}


def most_unpacked(packed: int) -> int:
    """How many bytes a file of `packed` bytes may unpack to."""
    return max(ALWAYS, MOST_RATIO * packed)


def check_size(size: int, packed: int, most: float) -> None:
    """Refuse arrays of `size` bytes in a file of `packed` bytes, of which `most` are read."""
    if size > min(most, most_unpacked(packed)):
        raise ValueError(
            f"{packed} bytes that unpack to {size / 2**30:.2g} GiB, more than "
            f"{MOST_RATIO} times as much: numpy.savez does not pack"
        )


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
            size = stream.tell() + heads[name].nbytes
            if heads[name].plain and size != entry.file_size:
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
    try:
        shape, fortran, dtype = read(stream)
    except Exception as error:  # NumPy goes on to how its precautions are switched off.
        raise ValueError("the header of an array is damaged, or too long") from error
    if any(side < 0 for side in shape) or len(shape) > 64:
        raise ValueError(f"an array of shape {shown(shape)}")
    # Of an empty array too the sides are used: as the number of columns, of classes.
    if math.prod(side for side in shape if side) > MOST_EMPTY and 0 in shape:
        raise ValueError(f"an empty array of shape {shown(shape)}")
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
    return flat.reshape(head.shape, order="F" if head.fortran else "C")


def write_archive(path: Path | str, header: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays and a header of JSON values as one .npz file."""
    named: dict[str, Any] = {"header": np.array(json.dumps(header)), **arrays}
    with written_beside(path) as partial, partial.open("wb") as file:
        np.savez(file, **named)


def read_archive(
    path: Path | str,
    choose: Callable[[Any, Mapping[str, Head]], Iterable[str]] = lambda header, heads: heads,
    *,
    most: float = math.inf,
) -> tuple[Any, dict[str, np.ndarray]]:
    """Header and arrays of a file of `write_archive`, which may come from a stranger.

    Args:
        path: of a regular file.
        choose: given the header and the heads of the arrays beside it, names those to read, as of
            `read_npz`.
        most: as there.

    Raises:
        OSError, ValueError: as `read_npz`; and for a file without a header.
    """
    with _opened(path) as archive:
        head = archive.heads.pop("header", None)
        if head is None:
            raise ValueError("it has no header")
        if head.shape != () or head.dtype.kind != "U" or head.nbytes > 4 * MOST_HEADER:
            raise ValueError("its header is no text, or too long")
        text = _array(archive.file, "header", head)[()]
        header = parse_json(str(text), "its header")
        return header, _chosen(archive, choose(header, archive.heads), most)
