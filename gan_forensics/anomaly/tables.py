"""Tables in and out: CSV with a header, NumPy .npz, MATLAB .mat."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int, Shaped

from gan_forensics.anomaly.containers import counts_rows
from gan_forensics.files import Csv, check_file_in, is_missing, read_csv, shown, written_beside
from gan_forensics.files.archives import Head, read_npz
from gan_forensics.files.dialects import has_groups
from gan_forensics.files.matlab import read_mat
from gan_forensics.files.tables import write_cells

SUFFIXES = (".csv", ".npz", ".mat")
MOST_COLUMNS = 100_000
# Whole numbers below it are exact.
_WHOLE = 2**53
# Names that an error lists, and characters of a label: NumPy gives all the room of the longest.
_SHOWN, _LONGEST_LABEL = 20, 1000


@dataclass(frozen=True, eq=False)
class TableData:
    """A table of numbers.

    Attributes:
        x: rows [n, ...]; more than one inner axis for images.
        columns: names of the columns; empty for images.
        y: labels [n], or None.
        label: name of the labels, where there are any.
        place: of the label among a CSV file's columns, the row numbers not counted.
        numbers: of the rows [n], where a CSV file begins with a nameless column of them, as pandas
            writes its index. They are no column of x.
        read_as: what is unusual in how a CSV file was read, in words.

    Example:
        >>> table = TableData(np.zeros((3, 2)), ("a", "b"), y=np.array([0, 0, 1]), label="odd")
        >>> table.x.shape, table.label
        ((3, 2), 'odd')
    """

    x: Float[np.ndarray, "n ..."]
    columns: tuple[str, ...]
    y: Shaped[np.ndarray, " n"] | None = None
    label: str | None = None
    place: int = -1
    numbers: Int[np.ndarray, " n"] | None = None
    read_as: str = ""


def read_table(path: Path | str, *, label: str | None = None) -> TableData:
    """Read a table.

    A nameless first CSV column of whole numbers that never repeat is pandas' index: it is kept
    apart, as `numbers`. With a name of its own it is a column like any other.

    Args:
        path: a .csv file with a header line; an .npz or .mat file with rows in "X" or "x".
        label: the CSV column, or the array of the other files, that holds the labels.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: for a column that is not of numbers, NaN or infinity, a missing label, a label
            that is not one value for each row, and other damage; naming the place.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "rows.csv"
        ...     _ = path.write_text("height,odd\\n1.5,0\\n2.5,1\\n")
        ...     table = read_table(path, label="odd")
        >>> table.columns, table.x.tolist()
        (('height',), [[1.5], [2.5]])
    """
    path = Path(path)
    check_file_in(path, f"a table: {', '.join(SUFFIXES)}")
    numbers, read_as = None, ""
    if check_suffix(path) == ".csv":
        table = read_csv(path)
        (x, columns, y, place), read_as = _columns(table, label), table.read_as
        whole = np.abs(x[:, :1]) < _WHOLE
        if columns and place != 0 and whole.all() and counts_rows(columns[0], x[:, 0]):
            numbers, x, columns = x[:, 0].astype(np.int64), x[:, 1:], columns[1:]
            place -= place > 0
    else:
        x, columns, y, place = *_read_arrays(path, label), -1
    if not x.size:
        raise ValueError(f"{path} holds no rows")
    broken = ~np.isfinite(x.reshape(len(x), -1))
    if broken.any():
        row, column = np.argwhere(broken)[0]
        name = f" (column {shown(columns[column])!r})" if columns else ""
        raise ValueError(
            f"{path}: {int(broken.any(1).sum())} rows hold NaN or infinity, first in row "
            f"{row + 1}{name}: remove or fill them"
        )
    if y is not None and y.dtype.kind == "f" and (y == np.round(y)).all():
        y = y.astype(np.int64) if (np.abs(y) < _WHOLE).all() else y
    return TableData(x, columns, y, label, place, numbers, read_as)


def check_table_path(path: Path | str, *, image: bool = False) -> None:
    """Refuse a path that `write_table` would refuse, before there is anything to write.

    Raises:
        ValueError: for another suffix, or CSV for rows that are images.
    """
    if check_suffix(Path(path)) == ".csv" and image:
        raise ValueError(f"{path}: images do not fit into a CSV file: write .npz")


def write_table(path: Path | str, table: TableData, *, source: Path | str | None = None) -> None:
    """Write a table.

    Args:
        path: .csv or .npz ("X" and the label's name) or .mat.
        table: what to write.
        source: a CSV file whose lines are the first rows; they are copied cell by cell, between
            the same separators, so that no number changes its spelling. Others follow them.

    Raises:
        ValueError: for another suffix, or images into CSV.

    Example:
        >>> table = TableData(np.zeros((3, 2)), ("height", "width"))
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_table(f"{folder}/new.csv", table)
        ...     read_table(f"{folder}/new.csv").columns
        ('height', 'width')
    """
    path = Path(path)
    check_table_path(path, image=table.x.ndim != 2)
    suffix = path.suffix.lower()
    arrays = {"X": table.x} if table.y is None else {"X": table.x, table.label or "y": table.y}
    with written_beside(path) as partial:
        if suffix == ".csv":
            _write_csv(partial, table, source)
        elif suffix == ".npz":
            np.savez(partial, **arrays)  # pyright: ignore[reportArgumentType]
        else:
            from scipy.io import savemat

            savemat(partial, arrays)


def check_suffix(path: Path) -> str:
    """The suffix of a table's file, in small letters; another one is refused."""
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: a table is one of {', '.join(SUFFIXES)}")
    return suffix


def _columns(table: Csv, label: str | None):
    """Rows, names of columns, labels and their place."""
    path = shown(table.path)
    (_, header), *body = table.lines or [(0, [])]
    if not body:
        raise ValueError(f"{path} holds no rows below its header")
    for number, line in body:
        if len(line) != len(header):
            why = ": decimal commas need ; between cells" if len(line) > len(header) else ""
            if len(header) == 1:
                why = f": the first line, {shown(header[0], most=40)!r}, must name the columns"
            raise ValueError(
                f"{path}: line {number} has {len(line)} cells for {len(header)} names{why}"
            )
    if len(header) > MOST_COLUMNS:
        raise ValueError(f"{path}: {_too_many(len(header))}")
    if all(_number(table, name) is not None for name in header):
        raise ValueError(f"{path}: the first line must name the columns, it holds numbers")
    if label is not None and header.count(label) != 1:
        one = len(header) == 1
        why = "; between cells must stand commas, semicolons or tabs" if one else ""
        raise ValueError(f"{path} has no column {shown(label)!r} of its own: {_some(header)}{why}")
    place = -1 if label is None else header.index(label)
    lines = [number for number, _ in body]
    columns = dict(enumerate(zip(*(row for _, row in body), strict=True)))
    y = None if label is None else _labels(table, label, columns.pop(place), lines)
    x = [_numbers(table, header[i], cells, lines) for i, cells in columns.items()]
    names = tuple(header[i] for i in columns)
    return np.array(x, np.float64).reshape(len(names), len(body)).T.copy(), names, y, place


def _number(table: Csv, cell: str) -> float | None:
    try:
        return table.number(cell)
    except ValueError:
        return None


def _numbers(table: Csv, name: str, cells: Sequence[str], lines: Sequence[int]) -> list[float]:
    """The numbers of a column; what is none is refused with its line."""
    numbers = [_number(table, cell) for cell in cells]
    if None not in numbers:
        return numbers  # pyright: ignore[reportReturnType]
    what = f"{shown(table.path)}: column {shown(name)!r}"
    missing = [i for i, number in enumerate(numbers) if number is None and is_missing(cells[i])]
    for i, number in enumerate(numbers):
        if number is None and not is_missing(cells[i]):
            thousands = " (leave out what parts thousands)" if has_groups(cells[i]) else ""
            raise ValueError(
                f"{what} is not of numbers: line {lines[i]} holds {shown(cells[i])!r}{thousands}. "
                "Remove the column, or give it as the label"
            )
    spelt = cells[missing[0]]
    raise ValueError(
        f"{what} has no value in line {lines[missing[0]]}"
        + (f", where it holds {spelt!r}" if spelt else "")
        + (f", and in {len(missing) - 1} more" if len(missing) > 1 else "")
        + ": fill it, or leave the row out"
    )


def _labels(
    table: Csv, name: str, cells: Sequence[str], lines: Sequence[int]
) -> Shaped[np.ndarray, " n"]:
    """Labels: numbers, where all are, or words."""
    if (longest := max(map(len, cells))) > _LONGEST_LABEL:
        raise ValueError(
            f"{shown(table.path)}: a label of {longest} characters; at most {_LONGEST_LABEL} are "
            "read"
        )
    numbers = [_number(table, cell) for cell in cells]
    words = [cell for cell, number in zip(cells, numbers, strict=True) if number is None]
    if len(words) < len(cells) and all(map(is_missing, words)):
        numbers = _numbers(table, name, cells, lines)
        # Numbers that floats do not tell apart are words.
        if all(abs(number) < _WHOLE for number in numbers):
            return np.array(numbers)
    return np.array(cells)


def _too_many(columns: int) -> str:
    """Each column is looked at by itself."""
    return f"{columns} columns, more than the {MOST_COLUMNS} that are read"


def _some(names: Iterable[object]) -> str:
    """The first names of many."""
    names = [shown(name, most=40) for name in names]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}" or "nothing"


def _read_arrays(path: Path, label: str | None):
    chosen: list[str] = []

    def choose(heads: Mapping[str, Head]) -> list[str]:
        """The rows, and the labels."""
        shapes = _some(f"{name} {list(head.shape)}" for name, head in heads.items())
        name = next((name for name in ("X", "x") if name in heads), None)
        if name is None:
            raise ValueError(f"it has no rows under 'X' or 'x'; it holds {shapes}")
        x = heads[name]
        if x.dtype.kind not in "biuf" or len(x.shape) < 2:
            raise ValueError(f"{name} must be numbers [n, ...], got {x.dtype} {list(x.shape)}")
        if len(x.shape) == 2 and x.shape[1] > MOST_COLUMNS:
            raise ValueError(_too_many(x.shape[1]))
        chosen.append(name)
        if label is not None:
            if label not in heads:
                raise ValueError(f"it has no array {shown(label)!r}; it holds {shapes}")
            if heads[label].like.size != x.shape[0]:
                n = heads[label].like.size
                raise ValueError(f"{n} labels in {shown(label)!r} for {x.shape[0]} rows")
            chosen.append(label)
        return chosen

    try:
        arrays = (read_npz if path.suffix.lower() == ".npz" else read_mat)(path, choose)
    except ValueError as error:
        kind = path.suffix.lower()
        raise ValueError(f"{shown(path)} cannot be read as a table in {kind}: {error}") from error
    x = arrays[chosen[0]]
    y = None if label is None else arrays[label].reshape(-1)
    names = tuple(str(i) for i in range(x.shape[1])) if x.ndim == 2 else ()
    return x.astype(np.float64), names, y


def _write_csv(path: Path, table: TableData, source: Path | str | None) -> None:
    header = list(table.columns)
    place = table.place if table.place >= 0 else len(header)
    if table.y is not None:
        header.insert(place, table.label or "label")
    numbers = table.numbers
    if numbers is not None:
        header.insert(0, "")
        new = len(table.x) - len(numbers)
        numbers = np.concatenate([numbers, numbers.max() + 1 + np.arange(new)])
    first = Csv(path, [(1, header)]) if source is None else read_csv(source)
    lines = [line for _, line in first.lines]
    with path.open("w", newline="", encoding="utf-8") as file:
        write_cells(file, lines, separator=first.separator)
        for row in range(len(lines) - 1, len(table.x)):
            cells = [first.spelt(value) for value in table.x[row]]
            if table.y is not None:
                label = table.y[row]
                cells.insert(place, first.spelt(label) if table.y.dtype.kind == "f" else str(label))
            if numbers is not None:
                cells.insert(0, str(numbers[row]))
            write_cells(file, [cells], separator=first.separator)
