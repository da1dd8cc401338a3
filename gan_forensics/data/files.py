"""Files out: written beside their place and renamed into it, so that nobody reads half of one."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


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
