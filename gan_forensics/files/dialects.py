"""How the text of a table is written: its characters, what parts its cells, its decimals.

Spreadsheets write what their country does. Everything is decided by fixed rules, and where two
readings are possible the table is refused.
"""

import codecs
import csv
import re
from collections.abc import Iterable, Sequence

from gan_forensics.files.numbers import is_missing
from gan_forensics.files.showing import shown

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
# Lines by which the separator is found.
LOOKED_AT = 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", ""),
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)
_OTHERS = {
    b"PK\3\4": "a zip file, as .xlsx is",
    b"\xd0\xcf\x11\xe0": "an old file of Excel's",
    b"\x1f\x8b": "a gzip file",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x89HDF": "an HDF5 file",
}
# Bytes of texts; 0x1a ends some of DOS.
_CONTROLS = re.compile(rb"[\0-\x08\x0b\x0e-\x19\x1b-\x1f]")
_SET_APART = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
# A number with one mark among its digits, and one that may as well be grouped by thousands.
_MARKED = re.compile(r"[+-]?(?:[0-9]+[.,][0-9]*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?")
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:[.,'’ \u00a0\u202f][0-9]{3})+(?:[.,][0-9]+)?")
_PLAIN = re.compile(r"[+-]?[0-9]+(?:[eE][+-]?[0-9]+)?")


def decoded(data: bytes) -> tuple[str, str]:
    """The text of a file, and the name of its encoding where it is not UTF-8.

    A mark at the beginning tells UTF-8, UTF-16 and UTF-32; without one UTF-16 is known by its
    zeros. What is no UTF-8 anywhere is Latin-1, or Windows-1252, which has more signs.

    Raises:
        ValueError: when it is no text, or UTF-8 with damage.
    """
    for start, kind in _OTHERS.items():
        if data.startswith(start):
            raise ValueError(f"it is {kind}, not text")
    for mark, codec, name in _MARKS:
        if data.startswith(mark):
            return _whole(data[len(mark) :], codec, name or "UTF-8"), name
    start = data[:4096]
    zeros = [start[place::2].count(0) for place in (0, 1)]
    if min(zeros) == 0 and max(zeros) > len(start) // 4:
        return _whole(data, "utf-16-le" if zeros[1] else "utf-16-be", "UTF-16"), "UTF-16"
    if b"\0" in data:
        raise ValueError("it holds the character NUL")
    try:
        return data.decode("utf-8"), ""
    except UnicodeDecodeError as error:
        return _of_one_byte(data, error)


def _whole(data: bytes, codec: str, name: str) -> str:
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as error:
        raise ValueError(f"it begins as {name} and is damaged behind {error.start} bytes") from None
    if "\0" in text:
        raise ValueError("it holds the character NUL")
    return text


def _of_one_byte(data: bytes, error: UnicodeDecodeError) -> tuple[str, str]:
    """Text of one byte a letter, which no UTF-8 is."""
    line = data.count(b"\n", 0, error.start) + 1
    # Latin-1 has hardly ever two letters that are one of UTF-8; other encodings have.
    kept = data.decode("utf-8", errors="ignore")
    if _CONTROLS.search(data) or not kept.isascii():
        raise ValueError(
            f"line {line} has the byte 0x{data[error.start]:02x}, which is no text in UTF-8, and "
            "the others are not of Latin-1: save it in UTF-8"
        )
    if not re.search(rb"[\x80-\x9f]", data):
        return data.decode("latin-1"), "Latin-1"
    try:
        return data.decode("cp1252"), "Windows-1252"
    except UnicodeDecodeError:
        raise ValueError(
            f"line {line} has the byte 0x{data[error.start]:02x}: the text is neither in UTF-8 nor "
            "in Windows-1252: save it in UTF-8"
        ) from None


def separator_of(lines: Sequence[str]) -> str:
    """What parts the cells of a table: the one mark at which its first lines have equal cells.

    Args:
        lines: the first ones, which begin with the names of the columns.

    Raises:
        ValueError: when two marks do.
    """
    if lines and (told := _SET_APART.fullmatch(lines[0].strip())) and told[1] in SEPARATORS:
        return told[1]
    found = {}
    for mark in SEPARATORS:
        try:
            read = csv.reader(lines, delimiter=mark, skipinitialspace=True)
            rows = [row for row in read if any(map(str.strip, row))]
        except csv.Error:  # Cells that are too long.
            continue
        if rows and (names := len(trimmed(rows[0]))) > 1:
            found[mark] = all(len(row) >= names and not any(row[names:]) for row in rows)
    fit = [mark for mark, equal in found.items() if equal] or list(found)
    if len(fit) > 1 and found[fit[0]]:
        both = " and between ".join(SEPARATORS[mark] for mark in fit)
        raise ValueError(
            f"its lines have equal cells between {both}: which are meant? Put texts in quotes"
        )
    return fit[0] if len(fit) == 1 else ","


def told_separator(line: str) -> bool:
    """Whether a first line only tells the separator, as Excel has it: sep=;"""
    return bool(_SET_APART.fullmatch(line.strip()))


def trimmed(row: Sequence[str]) -> Sequence[str]:
    """A row without the empty cells at its end."""
    end = len(row)
    while end and not row[end - 1].strip():
        end -= 1
    return row[:end]


def decimals_of(columns: Iterable[Sequence[str]], separator: str, *, lines: Sequence[int]) -> str:
    """What stands before the decimals of a table, "." or ",".

    Columns of which a cell is no number say nothing. 1,234 may be 1.234 or 1234: one number that
    can only be read in one way (0,5; 12,34; 1234,5) decides for its table.

    Args:
        columns: cells.
        separator: of the cells; between semicolons points may part thousands too.
        lines: their numbers.

    Raises:
        ValueError: where that cannot be told, and for thousands that are set apart.
    """
    first: dict[str, str] = {}
    certain = {".": False, ",": False}
    for column in columns:
        if not all(map(_may_be_a_number, column)):
            continue
        for line, cell in zip(lines, column, strict=True):
            if _PLAIN.fullmatch(cell) or is_missing(cell):
                continue
            said = f"{shown(cell, most=40)!r} in line {line}"
            if not _MARKED.fullmatch(cell):
                raise ValueError(f"{said} has thousands set apart: leave out what parts them")
            mark = "," if "," in cell else "."
            first.setdefault(mark, said)
            certain[mark] |= not _GROUPED.fullmatch(cell)
    if len(first) == 2:
        both = " and ".join(first.values())
        raise ValueError(f"{both}: which mark is before decimals? Write all numbers in one way")
    for mark, said in first.items():
        if not certain[mark] and (mark == "," or separator == ";"):
            raise ValueError(
                f"{said}, and all its like, may have decimals or thousands: write one number with "
                "other than three decimals, or none with such a mark"
            )
    return "".join(first) or "."


def _may_be_a_number(cell: str) -> bool:
    kinds = (_PLAIN, _MARKED, _GROUPED)
    return any(kind.fullmatch(cell) for kind in kinds) or is_missing(cell)


def has_groups(cell: str) -> bool:
    """Whether a cell is a number whose thousands are set apart: 1,234.5, 1 234, 1'234."""
    return bool(_GROUPED.fullmatch(cell))
