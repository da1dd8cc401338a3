"""CSV files in and out.

In: from regular files alone, of a size that is read, as spreadsheets of any country write them.
Out: names that a spreadsheet would take for formulas are made plain text.
"""

import csv
import io
import itertools
import logging
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from gan_forensics.files.dialects import (
    LOOKED_AT,
    SEPARATORS,
    decimals_of,
    decoded,
    separator_of,
    told_separator,
    trimmed,
)
from gan_forensics.files.numbers import number
from gan_forensics.files.paths import is_stream
from gan_forensics.files.reader import read_bytes
from gan_forensics.files.showing import escaped, shown
from gan_forensics.files.terminal import say
from gan_forensics.files.writer import create, names_it, written_beside

# Python needs some ten times as much for the cells of a file.
MOST_CSV = 2**30
_log = logging.getLogger(__name__)
# What a spreadsheet takes for a number, here or where decimals stand behind a comma.
_NUMBER = re.compile(r"[+-]?(([0-9]+[.,]?[0-9]*|[.,][0-9]+)(e[+-]?[0-9]+)?|inf|nan)", re.IGNORECASE)
# What begins a formula, in the wide letters of East Asia too; a semicolon ends a cell where numbers
# have a decimal comma. A sign alone is none.
_FORMULA = re.compile(r"(^|;)(?=\s*[=+\-@＝＋－＠]\s*\S)")


@dataclass(frozen=True)
class Csv:
    """The cells of a CSV file, without blanks around them.

    Attributes:
        path: of the file.
        lines: number and cells of every line that has any, names of columns first; cells that are
            empty in all lines at their ends are left out.
        separator: of the cells.
        decimals: what stands before the decimals of its numbers.
        read_as: what is unusual in how it was read, in words; empty for commas, points and UTF-8.
        whole: whether the last line has its end.

    Example:
        >>> from pathlib import Path
        >>> lines = [(1, ["photo", "score"]), (2, ["a.png", "0,5"])]
        >>> table = Csv(Path("scores.csv"), lines, separator=";", decimals=",")
        >>> [(where, table.number(row["score"])) for where, row in table.rows()]
        [('scores.csv, line 2', 0.5)]
    """

    path: Path
    lines: list[tuple[int, list[str]]]
    separator: str = ","
    decimals: str = "."
    read_as: str = ""
    whole: bool = True

    def number(self, text: str) -> float:
        """The number in a cell; ValueError as `numbers.number`."""
        return number(text, decimals=self.decimals)

    def rows(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Path and line of every row in words, and its cells by the names of their columns.

        Raises:
            ValueError: for a row of other than one cell for each name.
        """
        (_, names), *body = self.lines or [(0, [])]
        for line, cells in body:
            where = f"{shown(self.path)}, line {line}"
            if len(cells) != len(names):
                raise ValueError(f"{where}: {len(cells)} cells for {len(names)} columns")
            yield where, dict(zip(names, cells, strict=True))

    def spelt(self, value: float) -> str:
        """A number as the file writes numbers, with all its digits."""
        return repr(float(value)).replace(".", self.decimals)


def read_csv(path: Path | str, *, first: str = "", numbers: bool = True) -> Csv:
    """Read a CSV file, as spreadsheets of any country write it.

    Between cells stand commas, semicolons or tabs, before decimals a point or a comma; text is in
    UTF-8, UTF-16 or one byte a letter (`dialects`). What is unusual is logged, for whoever prints.

    Args:
        path: of the file.
        first: the name that its first line begins with if it names columns; without it cells stand
            between commas. By default every first line names columns.
        numbers: whether it has any with decimals.

    Raises:
        OSError: when there is none, or it cannot be read.
        ValueError: naming the path, when it is no regular file, no such text, too large, or can be
            read in two ways.

    Example:
        >>> table = read_csv("scores.csv")  # doctest: +SKIP
        >>> [row for _, row in table.rows()]  # doctest: +SKIP
        [{'photo': 'a.png', 'score': '0.5'}]
    """
    path = Path(path)
    data = read_bytes(path, most=MOST_CSV)
    try:
        text, encoding = decoded(data)
        del data
        return _parsed(path, text, encoding, first, numbers)
    except MemoryError:
        raise ValueError(f"{shown(path)}: its cells do not fit into memory") from None
    except (csv.Error, ValueError) as error:
        raise ValueError(f"{shown(path)}: not read as CSV: {shown(error, most=300)}") from None


def _parsed(path: Path, text: str, encoding: str, first: str, numbers: bool) -> Csv:
    """The cells of a text."""
    start = list(itertools.islice(io.StringIO(text, newline=""), LOOKED_AT))
    named = not first or (bool(start) and _first_name(start[0]) == first)
    separator = separator_of(start) if named else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)
    read = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    if start and told_separator(start[0]):
        del read[0]
    lines = [(number, row) for number, row in read if any(row)]
    width = len(trimmed(lines[0][1])) if lines else 0
    if any(trimmed(row[width:]) for _, row in lines):
        width = len(lines[0][1])
    ended = sum(len(row) > width and not any(row[width:]) for _, row in lines)
    lines = [(n, row if any(row[width:]) else row[:width]) for n, row in lines]
    blank = sum(n < lines[-1][0] or bool(row) for n, row in read if not any(row)) if lines else 0
    marked = separator == ";" or any("," in cell for _, row in lines for cell in row)
    decimals = "."
    if numbers and marked:
        body = [line for line in lines[1:] if len(line[1]) == width]
        columns = zip(*(row for _, row in body), strict=True)
        decimals = decimals_of(columns, separator, lines=[number for number, _ in body])
    words = [
        f"{SEPARATORS[separator]} between cells" if separator != "," else "",
        "commas before decimals" if decimals == "," else "",
        f"text in {encoding}" if encoding else "",
        f"empty lines left out ({blank})" if blank else "",
        f"empty cells at the ends of lines left out ({ended})" if ended else "",
    ]
    if read_as := ", ".join(filter(None, words)):
        _log.info("%s: read with %s", path, read_as)
    whole = text.endswith(("\n", "\r"))
    return Csv(path, lines, separator, decimals, read_as, whole)


def _first_name(line: str) -> str:
    return re.split("[,;\t]", line)[0].strip(' \r\n"').lower()


def cell(value: Any) -> Any:
    """A value as a CSV file takes it: text is escaped, and begins no formula.

    An apostrophe, which spreadsheets hide, goes before a name that begins with =, +, - or @, blanks
    aside. Numbers stay as they are, those that are formatted already too.
    """
    if not isinstance(value, str | Path):
        return value
    text = escaped(value)
    return text if _NUMBER.fullmatch(text.strip()) else _FORMULA.sub(r"\1'", text)


def write_cells(
    file: TextIO, rows: Iterable[Iterable[Any]], *, end: str = "\r\n", separator: str = ","
) -> None:
    """Write rows to a text file that was opened with `newline=""`; cells as `cell` has them."""
    writer = csv.writer(file, delimiter=separator, lineterminator=end)
    writer.writerows([cell(value) for value in row] for row in rows)


def write_csv(
    path: Path | str,
    rows: Iterable[Mapping[str, Any]],
    *,
    columns: Sequence[str] | None = None,
) -> None:
    """Write a table of rows with equal keys; cells as `cell` has them, None as an empty one.

    Args:
        path: of the file.
        rows: one or more; or any number, one by one, where the columns are named.
        columns: by default the keys of the first row.

    Example:
        >>> rows = [{"seed": 0, "fid": 12.5}, {"seed": 1, "fid": 13.0}]  # doctest: +SKIP
        >>> write_csv("fid.csv", rows)  # doctest: +SKIP
        >>> print(open("fid.csv").read(), end="")  # doctest: +SKIP
        seed,fid
        0,12.5
        1,13.0
    """
    if columns is None:
        rows = list(rows)
        columns = list(rows[0])
    names = list(columns)
    with written_beside(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        write_cells(file, itertools.chain([names], ([row[name] for name in names] for row in rows)))


@contextmanager
def rows_kept(
    path: Path | str, columns: Sequence[str]
) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Keep rows as they come, for a table that is written at the end; yields what adds a row.

    They go to a new file beside `path`, NAME.partial-<drawn>.csv. It is removed at a good end; what
    fails, or is killed, leaves it, and a line on standard error names it where that is possible.
    Of a device or a pipe nothing is kept.

    Example:
        >>> from gan_forensics.files import read_csv, write_csv  # doctest: +SKIP
        >>> rows = [{"seed": 0, "fid": 12.5}]  # doctest: +SKIP
        >>> with rows_kept("fid.csv", ["seed", "fid"]) as keep:  # doctest: +SKIP
        ...     keep(rows[0])  # in fid.partial-1b2c3d4e.csv until all are there
        ...     write_csv("fid.csv", rows)
        >>> [row for _, row in read_csv("fid.csv").rows()]  # doctest: +SKIP
        [{'seed': '0', 'fid': '12.5'}]
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
