"""Bytes and JSON of strangers: from regular files alone, and within limits set before reading."""

import hashlib
import json
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from gan_forensics.files.paths import refuse_remote
from gan_forensics.files.showing import shown

# Settings, results and manifests are far smaller; Python needs some twenty times as much for them.
MOST_JSON = 16 * 2**20
_PIECE = 2**16
# Lists and objects within each other; functions that go through them call themselves.
MOST_DEPTH = 100


@contextmanager
def open_regular(path: Path | str) -> Iterator[BinaryIO]:
    """A regular file to read; pipes and devices, at which one could wait without an end, are not.

    Raises:
        OSError: when there is none, or it cannot be read.
        ValueError: when it is no regular file.

    Example:
        >>> with open_regular("scores.csv") as file:  # doctest: +SKIP
        ...     file.read(5)
        b'photo'
        >>> with open_regular("/dev/null") as file:
        ...     file.read()
        Traceback (most recent call last):
        ValueError: /dev/null: it is not a regular file
    """
    refuse_remote(path)
    opener = lambda name, flags: os.open(name, flags | os.O_NONBLOCK)  # noqa: E731
    with open(path, "rb", opener=opener) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{shown(path)}: it is not a regular file")
        yield file


def read_bytes(path: Path | str, *, most: int) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: when there is none, or it cannot be read.
        ValueError: when it is no regular file, or has more than `most` bytes.

    Example:
        >>> read_bytes("scores.csv", most=100)[:5]  # doctest: +SKIP
        b'photo'
        >>> read_bytes("/dev/null", most=100)
        Traceback (most recent call last):
        ValueError: /dev/null: it is not a regular file
    """
    with open_regular(path) as file:
        # Memory is asked for at once, and no more of it than the file says; some files say 0, and
        # some grow while they are read.
        data = file.read(min(most, os.fstat(file.fileno()).st_size) + 1)
        while part := file.read(min(most + 1 - len(data), 2**20)):
            data += part
        if len(data) > most:
            size = max(os.fstat(file.fileno()).st_size, len(data))
            raise ValueError(f"{shown(path)}: {size} bytes, more than the {most} that are read")
        return data


def sha256_of(path: Path | str) -> str:
    """SHA-256 of a regular file, by which it can be known again.

    Raises:
        OSError, ValueError: as `open_regular`.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as empty:
        ...     sha256_of(empty.name)[:8]
        'e3b0c442'
    """
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore[reportArgumentType]


def read_json(path: Path | str, *, most: int = MOST_JSON) -> Any:
    """The JSON value in a file.

    Raises:
        OSError: when there is none, or it cannot be read.
        ValueError: naming the path, for anything but JSON in UTF-8 of at most `most` bytes.

    Example:
        >>> from gan_forensics.files import write_json  # doctest: +SKIP
        >>> write_json("scores.json", {"a.png": 0.5})  # doctest: +SKIP
        >>> read_json("scores.json")  # doctest: +SKIP
        {'a.png': 0.5}
    """
    return parse_json(read_bytes(path, most=most), path)


def parse_json(data: bytes | str, name: object) -> Any:
    """The JSON value of bytes or text; what is wrong is a ValueError that names its origin.

    Example:
        >>> parse_json(b'{"a": 1}', "a.json")
        {'a': 1}
    """
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        value = json.loads(text)
        _check_depth(value)
        return value
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else shown(error, most=200)
        raise ValueError(f"{shown(name)}: it is not readable as JSON ({reason})") from error


def _check_depth(value: Any) -> None:
    within, depth = [value], 0
    while within := [each for each in within if isinstance(each, dict | list)]:
        if (depth := depth + 1) > MOST_DEPTH:
            raise RecursionError
        within = [
            inner
            for each in within
            for inner in (each.values() if isinstance(each, dict) else each)
        ]


def gunzip(data: bytes, *, most: int) -> bytes:
    """Unpack gzip.

    Raises:
        ValueError: when it is damaged, or unpacks to more than `most` bytes.

    Example:
        >>> import zlib
        >>> gunzip(zlib.compress(b"digits", wbits=31), most=100)  # 31 makes it gzip
        b'digits'
        >>> gunzip(zlib.compress(b"digits", wbits=31), most=5)
        Traceback (most recent call last):
        ValueError: it unpacks to more than is read
    """
    whole = []
    try:
        while data:
            unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
            part = unpacker.decompress(data, most + 1)
            most -= len(part)
            if most < 0:
                raise ValueError("it unpacks to more than is read")
            if not unpacker.eof:
                raise ValueError("it ends too early")
            whole.append(part)
            data = unpacker.unused_data.lstrip(b"\0")
    except zlib.error as error:
        raise ValueError(f"it is no whole gzip file ({error})") from error
    return b"".join(whole)


def gunzip_start(data: bytes, size: int) -> bytes:
    """The first `size` bytes of what gzip holds, or all where there are fewer.

    Raises:
        ValueError: when it is damaged there.

    Example:
        >>> import zlib
        >>> gunzip_start(zlib.compress(b"digits", wbits=31), 3)  # 31 makes it gzip
        b'dig'
    """
    try:
        return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(data, size)
    except zlib.error as error:
        raise ValueError(f"it is no whole gzip file ({error})") from error


class _Unpacked:
    """A stream of what gzip holds, of which `left` bytes more are read."""

    def __init__(self, name: object, file: BinaryIO, left: int):
        self.name, self.file, self.left = name, file, left
        self.unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end."""
        whole = b""
        while len(whole) < size:
            if self.unpacker.eof:  # Of several parts one behind the other the next begins.
                # Zeros that fill up a block are no part.
                data = (self.unpacker.unused_data or self.file.read(_PIECE)).lstrip(b"\0")
                self.unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
            else:
                data = self.unpacker.unconsumed_tail or self.file.read(_PIECE)
            if not data:
                break
            part = self.unpacker.decompress(data, size - len(whole))
            whole, self.left = whole + part, self.left - len(part)
            if self.left < 0:
                raise ValueError(f"{shown(self.name)}: it unpacks to more than is read")
        return whole


@contextmanager
def unpacked(path: Path | str, *, most: int) -> Iterator[Any]:
    """What a gzip file holds, to be read within, piece by piece.

    Raises:
        OSError, ValueError: as `open_regular`; and in reading for more than `most` bytes.
        zlib.error: in reading, when it is damaged.

    Example:
        >>> with unpacked("digits.gz", most=2**20) as file:  # doctest: +SKIP
        ...     file.read(4)
        b'digi'
    """
    with open_regular(path) as file:
        yield _Unpacked(path, file, most)
