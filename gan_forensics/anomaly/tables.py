"""Tables in and out: CSV with a header, NumPy .npz, MATLAB .mat."""

import csv
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from gan_forensics.data.files import written_beside

SUFFIXES = (".csv", ".npz", ".mat")


@dataclass(frozen=True, eq=False)
class TableData:
    """A table of numbers.

    Attributes:
        x: rows [n, ...]; more than one inner axis for images.
        columns: names of the columns; empty for images.
        y: labels [n], or None.
        label: name of the labels, where there are any.
        place: of the label among a CSV file's columns.
    """

    x: Float[np.ndarray, "n ..."]
    columns: tuple[str, ...]
    y: Int[np.ndarray, " n"] | None = None
    label: str | None = None
    place: int = -1


def read_table(path: Path | str, *, label: str | None = None) -> TableData:
    """Read a table.

    Args:
        path: a .csv file with a header line; an .npz or .mat file with rows in "X" or "x".
        label: the CSV column, or the array of the other files, that holds the labels.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: for a column that is not of numbers, NaN or infinity, a missing label, a label
            that is not one value for each row, and other damage; naming the place.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: a table is one of {', '.join(SUFFIXES)}")
    table = _read_csv(path, label) if suffix == ".csv" else _read_arrays(path, label)
    if not table.x.size:
        raise ValueError(f"{path} holds no rows")
    broken = ~np.isfinite(table.x.reshape(len(table.x), -1))
    if broken.any():
        row, column = np.argwhere(broken)[0]
        name = f" (column {table.columns[column]!r})" if table.columns else ""
        raise ValueError(
            f"{path}: {int(broken.any(1).sum())} rows hold NaN or infinity, first in row "
            f"{row + 1}{name}: remove or fill them"
        )
    return table


def write_table(path: Path | str, table: TableData, *, source: Path | str | None = None) -> Path:
    """Write a table.

    Args:
        path: .csv or .npz ("X" and the label's name) or .mat.
        table: what to write.
        source: a CSV file whose lines are the first rows; they are copied as they stand, so that
            no number changes its spelling.

    Raises:
        ValueError: for another suffix, or images into CSV.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: a table is one of {', '.join(SUFFIXES)}")
    with written_beside(path) as partial:
        if suffix == ".csv":
            _write_csv(partial, table, source)
        else:
            arrays = {"X": table.x}
            if table.y is not None:
                arrays[table.label or "y"] = table.y
            if suffix == ".npz":
                np.savez(partial, **arrays)  # pyright: ignore[reportArgumentType]
            else:
                from scipy.io import savemat

                savemat(partial, arrays)
    return path


def anomaly_labels(y: np.ndarray) -> Int[np.ndarray, " n"]:
    """1 for the rarer of two labels, 0 for the other.

    Raises:
        ValueError: unless there are exactly two labels, one rarer than the other.
    """
    values, counts = np.unique(y, return_counts=True)
    if len(values) != 2:
        shown = ", ".join(map(str, values[:6].tolist()))
        raise ValueError(
            f"the labels must be two, normal and anomaly; found {len(values)}: {shown}"
        )
    if counts[0] == counts[1]:
        if set(values.tolist()) != {0, 1}:
            raise ValueError(f"{counts[0]} rows of either label: label anomalies 1 and others 0")
        return (y == 1).astype(np.int64)
    return (y == values[counts.argmin()]).astype(np.int64)


def _read_csv(path: Path, label: str | None) -> TableData:
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = [line for line in csv.reader(file) if line]
    if len(lines) < 2:
        raise ValueError(f"{path} holds no rows below its header")
    header, body = lines[0], lines[1:]
    for number, line in enumerate(body, start=2):
        if len(line) != len(header):
            raise ValueError(f"{path}: line {number} has {len(line)} cells for {len(header)} names")
    if all(_number(cell) is not None for cell in header):
        raise ValueError(f"{path}: the first line must name the columns, it holds numbers")
    place = -1
    if label is not None:
        if header.count(label) != 1:
            raise ValueError(f"{path} has no column {label!r} of its own: {', '.join(header)}")
        place = header.index(label)
    kept = [i for i in range(len(header)) if i != place]
    x = np.empty((len(body), len(kept)))
    for row, line in enumerate(body):
        for column, i in enumerate(kept):
            value = _number(line[i])
            if value is None:
                raise ValueError(
                    f"{path}: column {header[i]!r} is not of numbers: line {row + 2} holds "
                    f"{line[i]!r}. Remove the column, or give it as the label"
                )
            x[row, column] = value
    y = None
    if label is not None:
        cells = [line[place] for line in body]
        numbers = [_number(cell) for cell in cells]
        y = np.array(cells if None in numbers else numbers)
        if y.dtype.kind == "f" and (y == np.round(y)).all():
            y = y.astype(np.int64)
    return TableData(x, tuple(header[i] for i in kept), y, label, place)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _read_arrays(path: Path, label: str | None) -> TableData:
    try:
        if path.suffix.lower() == ".npz":
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
        else:
            from scipy.io import loadmat

            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                arrays = {k: v for k, v in loadmat(path).items() if not k.startswith("__")}
    except FileNotFoundError:
        raise
    except Exception as error:  # Readers of binary files raise nearly anything on damaged ones.
        raise ValueError(f"{path} is not a readable {path.suffix} file: {error}") from error
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in arrays.items())
    name = next((name for name in ("X", "x") if name in arrays), None)
    if name is None:
        raise ValueError(f"{path} has no rows under 'X' or 'x'; it holds {shapes or 'nothing'}")
    x = arrays[name]
    if x.dtype.kind not in "biuf" or x.ndim < 2:
        raise ValueError(f"{path}: {name} must be numbers [n, ...], got {x.dtype} {list(x.shape)}")
    y = None
    if label is not None:
        if label not in arrays:
            raise ValueError(f"{path} has no array {label!r}; it holds {shapes}")
        y = arrays[label].reshape(-1)
        if len(y) != len(x):
            raise ValueError(f"{path}: {len(y)} labels in {label!r} for {len(x)} rows")
        if y.dtype.kind == "f" and (y == np.round(y)).all():
            y = y.astype(np.int64)
    names = tuple(str(i) for i in range(x.shape[1])) if x.ndim == 2 else ()
    return TableData(x.astype(np.float64), names, y, label)


def _write_csv(path: Path, table: TableData, source: Path | str | None) -> None:
    if table.x.ndim != 2:
        raise ValueError("images do not fit into a CSV file: write .npz")
    header = list(table.columns)
    place = table.place if table.place >= 0 else len(header)
    if table.y is not None:
        header.insert(place, table.label or "label")
    first, copied = 0, []
    if source is not None:
        with Path(source).open(newline="", encoding="utf-8-sig") as file:
            header, *copied = [line for line in csv.reader(file) if line]
        first = len(copied)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(copied)
        for row in range(first, len(table.x)):
            cells = [repr(float(value)) for value in table.x[row]]
            if table.y is not None:
                cells.insert(place, str(table.y[row]))
            writer.writerow(cells)
