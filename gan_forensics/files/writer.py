"""The one way to write a file: beside its place, under a drawn name, and renamed into it.

So nobody reads half of a file, what fails leaves the old one, and nothing that a stranger's folder
holds, a link among it, leads a write elsewhere.
"""

import errno
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from gan_forensics.files.paths import is_stream, open_file
from gan_forensics.files.showing import shown
from gan_forensics.files.terminal import say

# How long a pipe is waited for that nobody reads from.
SECONDS = 60
# Errors of writing that say no name.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def no_link(name: str, flags: int) -> int:
    """An `opener` for `open` that follows no link: what is written stays where it was meant.

    Raises:
        ValueError: for a link.

    Example:
        >>> with open("notes.txt", "w", opener=no_link) as file:  # doctest: +SKIP
        ...     file.write("two of them")
        11
    """
    try:
        return os.open(name, flags | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if os.path.islink(name):
            raise ValueError(
                f"{shown(name)}: it is a link, and nothing is written through one; remove it"
            ) from error
        raise


def drawn_beside(path: Path) -> Path:
    """A new name beside `path`, of the same suffix, that nobody can have foreseen."""
    # Long names are cut, so that the drawn part fits into what systems allow.
    return path.with_name(f".{path.stem[:40]}.{secrets.token_hex(8)}.partial{path.suffix}")


def create(path: Path, asked: Path) -> None:
    """Make an empty file where there is nothing, not even a link; errors name what was `asked`."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise type(error)(error.errno, error.strerror, str(asked)) from error


@contextmanager
def written_beside(path: Path | str) -> Iterator[Path]:
    """A name beside `path`, of the same suffix, to write to; renamed to `path` at the end.

    Folders that are missing are made. What fails leaves `path` as it was, and nothing beside it.
    Processes that write the same file do not meet: the last one's stands. Devices, pipes and open
    files (/dev/stdout) get the bytes at the end and stay what they are.

    Raises:
        ValueError: for a link at `path`; its folder may be reached through links.

    Example:
        >>> with written_beside("curve.csv") as path:  # doctest: +SKIP
        ...     path.write_text("0.1,0.5")
        7
    """
    path = Path(path)
    if is_stream(path):
        with tempfile.TemporaryDirectory() as folder, names_it(path):
            whole = Path(folder) / f"whole{path.suffix}"
            whole.touch()
            yield whole
            with whole.open("rb") as source, _stream(path) as target:
                shutil.copyfileobj(source, target)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    create(partial := drawn_beside(path), path)
    try:
        with names_it(path):
            yield partial
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def written_once(path: Path | str) -> Iterator[Path]:
    """As `written_beside`, for a file that the first of several processes writes, and no other.

    Raises:
        FileExistsError: at the end, when there is one already; it is left as it is.

    Example:
        >>> with written_once("plan.jsonl") as path:  # doctest: +SKIP
        ...     path.write_text("the first one's")
        15
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    create(partial := drawn_beside(path), path)
    try:
        with names_it(path):
            yield partial
            try:
                os.link(partial, path)
            except OSError as error:
                if isinstance(error, FileExistsError) or os.path.lexists(path):
                    raise FileExistsError(
                        errno.EEXIST, os.strerror(errno.EEXIST), str(path)
                    ) from None
                # A file system without hard links.
                os.rename(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def names_it(path: Path) -> Iterator[None]:
    """Name `path` where there is no room for what is written; such errors name no file.

    Example:
        >>> import errno
        >>> from pathlib import Path
        >>> with names_it(Path("scores.csv")):
        ...     raise OSError(errno.ENOSPC, "No space left on device")
        Traceback (most recent call last):
        OSError: [Errno 28] No space left on device: 'scores.csv'
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        raise type(error)(error.errno, error.strerror, str(path)) from error


def _stream(path: Path) -> BinaryIO:
    """A device, pipe or open file, to write to."""
    number = open_file(path)
    if number is not None:
        sys.stdout.flush()
        return os.fdopen(os.dup(number), "wb")
    for tried in range(round(10 * SECONDS)):
        try:
            # A pipe that nobody reads from would be waited for without an end.
            file = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if not tried:
                say(f"{shown(path)}: waiting for somebody to read from the pipe")
            time.sleep(0.1)
            continue
        os.set_blocking(file, True)
        return os.fdopen(file, "wb")
    raise OSError(f"{shown(path)}: nobody read from the pipe for {SECONDS} seconds")


def write_text(path: Path | str, text: str) -> None:
    """Write a whole text file (UTF-8); what is no text, as half a character is, as its code.

    Example:
        >>> from gan_forensics.files import read_bytes  # doctest: +SKIP
        >>> write_text("notes.txt", "größer")  # doctest: +SKIP
        >>> read_bytes("notes.txt", most=100).decode()  # doctest: +SKIP
        'größer'
    """
    with written_beside(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path | str, content: Any) -> None:
    """Write a JSON file.

    Example:
        >>> from gan_forensics.files import read_json  # doctest: +SKIP
        >>> write_json("scores.json", {"a.png": 0.5})  # doctest: +SKIP
        >>> read_json("scores.json")  # doctest: +SKIP
        {'a.png': 0.5}
    """
    write_text(path, json.dumps(content, indent=1) + "\n")
