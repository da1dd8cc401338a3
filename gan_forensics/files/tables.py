"""CSV files out: names that a spreadsheet would take for formulas are made plain text."""

import csv
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gan_forensics.files.paths import is_stream
from gan_forensics.files.shown import escaped, shown
from gan_forensics.files.terminal import say
from gan_forensics.files.writer import create, written_beside

_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?|-?inf|nan")


def cell(value: Any) -> Any:
    """A value as a CSV file takes it: text is escaped, and begins no formula.

    An apostrophe, which spreadsheets hide, goes before a name that begins with =, +, - or @, blanks
    aside. Numbers stay as they are, those that are formatted already too.
    """
    if not isinstance(value, str | Path):
        return value
    text = escaped(value)
    number = isinstance(value, str) and _NUMBER.fullmatch(text)
    return f"'{text}" if text.lstrip()[:1] in "=+-@" and text.strip() and not number else text


def write_csv(path: Path | str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a table of one or more rows with equal keys; cells as `cell` has them."""
    with written_beside(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: cell(value) for name, value in row.items()} for row in rows)


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
    with kept.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()

        def add(row: Mapping[str, Any]) -> None:
            nonlocal count
            writer.writerow({name: cell(value) for name, value in row.items()})
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
