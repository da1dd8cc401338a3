"""Files out: written beside their place and renamed into it, so that nobody reads half of one.

Archives of arrays come in again as well: plain numbers and a JSON header, nothing to be executed.
Paths that cannot serve are refused in words, before any work.
"""

import errno
import json
import math
import os
import secrets
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

_IN_WORDS = {
    errno.ENOENT: "no such file or folder",
    errno.EEXIST: "a file of that name is in the way",
    errno.EISDIR: "is a folder, where a file is needed",
    errno.ENOTDIR: "leads through a file, where a folder is needed",
    errno.EACCES: "you have no permission for it",
    errno.EPERM: "you have no permission for it",
    errno.EROFS: "lies where nothing can be written",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "links that lead in a circle",
    errno.ENOSPC: "the disk is full",
}


def in_words(error: OSError) -> str:
    """What the system refused, in words: the path and what is wrong with it, without its number."""
    if error.errno is None:
        return str(error)
    # Of a rename the second name is the one that was asked for.
    path = error.filename2 or error.filename
    words = _IN_WORDS.get(error.errno, error.strerror or str(error))
    return f"{path}: {words}" if path else words


def check_folder_out(
    path: Path | str, option: str = "--out", *, given: Path | str | None = None
) -> None:
    """Refuse a folder for results that cannot be made, or not be written to.

    Args:
        path: the folder.
        option: that names it.
        given: what the option says, where that is a file in the folder.

    Raises:
        ValueError: naming the option and what is in the way.
    """
    path, given = Path(path), path if given is None else given
    # lexists: a link that leads nowhere is in the way too.
    there = next((some for some in (path, *path.parents) if os.path.lexists(some)), Path())
    if not there.is_dir():
        what = "it" if there == Path(given) else str(there)
        raise ValueError(f"{option} {given}: {what} is no folder; choose another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"{option} {given}: you have no permission to write to {there}")


def check_file_out(path: Path | str, option: str = "--out") -> None:
    """Refuse a file for results that is a folder, or whose folder cannot be made or written to.

    Raises:
        ValueError: naming the option and what is in the way.
    """
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{option} {path}: it is a folder, where the name of a file is needed")
    check_folder_out(path.parent, option, given=path)


def check_file_in(path: Path | str, what: str) -> None:
    """Refuse a file to read that is not there, or is a folder; `what` it must be.

    Raises:
        FileNotFoundError: when there is nothing.
        ValueError: when there is a folder.
    """
    if os.path.isdir(path):
        raise ValueError(f"{path}: it is a folder; give {what}")
    if not os.path.exists(path):
        raise FileNotFoundError(f"{path}: no such file; give {what}")


def no_link(name: str, flags: int) -> int:
    """An `opener` for `open` that follows no link: what is written stays where it was meant.

    Raises:
        ValueError: for a link.
    """
    try:
        return os.open(name, flags | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if os.path.islink(name):
            raise ValueError(
                f"{name}: it is a link, and nothing is written through one; remove it"
            ) from error
        raise


@contextmanager
def written_beside(path: Path | str) -> Iterator[Path]:
    """A name beside `path`, of the same suffix, to write to; renamed to `path` at the end.

    Folders that are missing are made. What fails leaves `path` as it was, and nothing beside it.
    Processes that write the same file do not meet: the last one's stands. The name is drawn, and
    its file new: what a stranger's folder holds, a link among it, cannot lie in its way. A link at
    `path` is replaced and not followed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Long names are cut, so that the drawn part fits into what systems allow.
    partial = path.with_name(f".{path.stem[:40]}.{secrets.token_hex(8)}.partial{path.suffix}")
    try:
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(path)) from error
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_text(path: Path | str, text: str) -> None:
    """Write a whole text file (UTF-8)."""
    with written_beside(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path | str, content: Any) -> None:
    """Write a JSON file."""
    write_text(path, json.dumps(content, indent=1) + "\n")


def shown(name: object) -> str:
    """A name as text that stays in its line: what cannot be printed stands as its escape code."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(name))


def write_archive(path: Path | str, header: Any, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays and a header of JSON values as one .npz file."""
    named: dict[str, Any] = {"header": np.array(json.dumps(header)), **arrays}
    with written_beside(path) as partial, partial.open("wb") as file:
        np.savez(file, **named)


def read_archive(
    path: Path | str, *, largest: float = math.inf
) -> tuple[Any, dict[str, np.ndarray]]:
    """Header and arrays of a file of `write_archive`, which may come from a stranger.

    Raises:
        OSError: when the file is missing or cannot be read.
        ValueError: in one line, for what is no such file, holds pickled objects, or claims to
            unpack to more than `largest` bytes (before anything is unpacked).
    """
    try:
        with Path(path).open("rb") as file:
            if not zipfile.is_zipfile(file):
                raise ValueError("it is not an npz archive")
            with zipfile.ZipFile(file) as archive:
                claimed = sum(entry.file_size for entry in archive.infolist())
            if claimed > largest:
                raise ValueError(f"it claims to unpack to {claimed / 2**30:.0f} GiB")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = dict(archive)
        if "header" not in arrays:
            raise ValueError("it has no header")
        return json.loads(str(arrays.pop("header")[()])), arrays
    except OSError:
        raise
    except Exception as error:  # A hostile archive can fail in zipfile, zlib, numpy or json.
        raise ValueError(" ".join(str(error).split()) or type(error).__name__) from error
