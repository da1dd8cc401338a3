"""Files out: written beside their place and renamed into it, so that nobody reads half of one.

Archives of arrays come in again as well: plain numbers and a JSON header, nothing to be executed.
"""

import json
import math
import os
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


@contextmanager
def written_beside(path: Path | str) -> Iterator[Path]:
    """A name beside `path`, of the same suffix, to write to; renamed to `path` at the end.

    Folders that are missing are made. What fails leaves `path` as it was, and nothing beside it.
    Processes that write the same file do not meet: the last one's stands.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
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
