"""CSV files in and out.

In: from regular files alone, of a size that is read. Out: names that a spreadsheet would take for
formulas are made plain text.
"""

import csv
import io
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from gan_forensics.files.paths import is_stream
from gan_forensics.files.reader import open_regular
from gan_forensics.files.shown import escaped, shown
from gan_forensics.files.terminal import say
from gan_forensics.files.writer import create, names_it, written_beside

# Python needs some ten times as much for the cells of a file.
MOST_CSV = 2**30
_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|inf|nan)", re.IGNORECASE)
# What begins a formula, in the wide letters of East Asia too; a semicolon ends a cell where numbers
# have a decimal comma. A sign alone is none.
_FORMULA = re.compile(r"(^|;)(?=\s*[=+\-@＝＋－＠]\s*\S)")


@contextmanager
def open_csv(path: Path | str) -> Iterator[TextIO]:
    """A CSV file in UTF-8, to be read within; spreadsheets begin theirs with a mark.

    Raises:
        OSError: when there is none, or it cannot be read.
        ValueError: naming the path, when it is no regular file, no such text, or too large.
    """
    try:
        with open_regular(path) as file:
            if (size := os.fstat(file.fileno()).st_size) > MOST_CSV:
                raise ValueError(f"{shown(path)}: {size} bytes, more than the {MOST_CSV} of a CSV")
            with io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
                yield text
    except (UnicodeDecodeError, csv.Error) as error:
        reason = shown(error, most=200)
        raise ValueError(f"{shown(path)}: not a CSV file in UTF-8 ({reason})") from error
    except MemoryError:
        raise ValueError(f"{shown(path)}: its cells do not fit into memory") from None


def read_csv(path: Path | str) -> list[list[str]]:
    """The lines of a CSV file, each a list of cells; empty lines are empty lists.

    Raises:
        OSError, ValueError: as `open_csv`.
    """
    with open_csv(path) as file:
        return list(csv.reader(_text(file)))


def _text(file: TextIO) -> Iterator[str]:
    """The lines of a file; the character NUL, which no path can have, is not text."""
    for line in file:
        if "\0" in line:
            raise csv.Error("it holds the character NUL")
        yield line


def cell(value: Any) -> Any:
    """A value as a CSV file takes it: text is escaped, and begins no formula.

    An apostrophe, which spreadsheets hide, goes before a name that begins with =, +, - or @, blanks
    aside. Numbers stay as they are, those that are formatted already too.
    """
    if not isinstance(value, str | Path):
        return value
    text = escaped(value)
    return text if _NUMBER.fullmatch(text.strip()) else _FORMULA.sub(r"\1'", text)


def write_cells(file: TextIO, rows: Iterable[Iterable[Any]], *, end: str = "\r\n") -> None:
    """Write rows to a text file that was opened with `newline=""`; cells as `cell` has them."""
    csv.writer(file, lineterminator=end).writerows([cell(value) for value in row] for row in rows)


def write_csv(path: Path | str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table of one or more rows with equal keys; cells as `cell` has them."""
    with written_beside(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        columns = list(rows[0])
        write_cells(file, [columns, *([row[name] for name in columns] for row in rows)])


@contextmanager
def rows_kept(
    path: Path | str, columns: Sequence[str]
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Keep rows as they come, for a table that is written at the end; yields what adds a row.

    They go to a new file beside `path`, NAME.partial-<drawn>.csv. It is removed at a good end; what
    fails, or is killed, leaves it, and a line on standard error names it where that is possible.
    Of a device or a pipe nothing is kept.
    """
    path = Path(path)
    if is_stream(path):
        yield lambda row: None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = path.with_name(f"{path.stem[:40]}.partial-{secrets.token_hex(4)}{path.suffix}")
    create(kept, path)
    count = 0
    with names_it(kept), kept.open("w", newline="", encoding="utf-8") as file:
        write_cells(file, [columns])

        def add(row: Mapping[str, Any]) -> None:
            nonlocal count
            write_cells(file, [[row.get(name, "") for name in columns]])
            file.flush()  # A process that is killed leaves its rows.
            count += 1

        try:
            yield add
        except BaseException:
            if count:
                say(f"{count} rows that were ready are in {shown(kept)}")
            else:
                kept.unlink(missing_ok=True)
            raise
    kept.unlink(missing_ok=True)
