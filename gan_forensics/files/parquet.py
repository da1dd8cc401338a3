"""Parquet in and out: typed tables that pandas and DuckDB read, row by row in constant memory.

Arrow takes the table of a stranger apart; what it claims to unpack to is looked at before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from gan_forensics.files.archives import MOST_RATIO, most_unpacked
from gan_forensics.files.reader import open_regular
from gan_forensics.files.showing import shown
from gan_forensics.files.writer import written_beside

# Rows that are written as one group, and that are read at a time.
ROWS, READ = 10_000, 1000
# Of a file that is read piece by piece.
_BUFFER = 2**20


def write_parquet(
    path: Path | str,
    types: Mapping[str, str],
    rows: Iterable[Mapping[str, Any]],
    facts: Mapping[str, str] | None = None,
    *,
    after: Any = None,
) -> int:
    """Write rows as they come, few of them in memory; what a row lacks is null.

    Args:
        path: of the file.
        types: Arrow's name of the type of each column, such as "string", "int32" or "double", or
            "list<double>".
        rows: values by column.
        facts: text by name, kept in the file beside the rows.
        after: makes further facts when all rows were written.

    Returns:
        How many rows there were.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     made = write_parquet(f"{folder}/a.parquet", {"score": "double"}, [{"score": 0.5}])
        ...     made, list(read_parquet(f"{folder}/a.parquet"))
        (1, [{'score': 0.5}])
    """
    import pyarrow
    from pyarrow.parquet import ParquetWriter

    schema = pyarrow.schema([(name, _type(kind)) for name, kind in types.items()])
    count, rows = 0, iter(rows)
    with written_beside(path) as partial, partial.open("wb") as file:
        with ParquetWriter(file, schema) as writer:
            while some := list(islice(rows, ROWS)):
                columns = {name: [row.get(name) for row in some] for name in types}
                writer.write_table(pyarrow.table(columns, schema))
                count += len(some)
            writer.add_key_value_metadata({**(facts or {}), **(after() if after else {})})
    return count


def _type(kind: str) -> Any:
    import pyarrow

    if kind.startswith("list<"):
        return pyarrow.list_(_type(kind[5:-1]))
    return getattr(pyarrow, {"double": "float64"}.get(kind, kind))()


@contextmanager
def _opened(path: Path | str) -> Iterator[Any]:
    """A Parquet file that is open; whatever goes wrong with it is a ValueError."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    with open_regular(path) as file:
        try:
            yield ParquetFile(file, pre_buffer=False, buffer_size=_BUFFER)
        except (pyarrow.ArrowException, OSError, MemoryError) as error:
            raise ValueError(
                f"{shown(path)}: no Parquet file that can be read ({shown(error, most=200)})"
            ) from error


def read_parquet(
    path: Path | str, columns: Sequence[str] | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of a table of ours, in their order; null is None.

    Raises:
        OSError: when there is none, or it cannot be read.
        ValueError: when it is no whole Parquet file.

    Example:
        >>> next(read_parquet("scores.parquet"))["verdict"]  # doctest: +SKIP
        'generated'
    """
    with _opened(path) as file:
        for batch in file.iter_batches(READ, columns=columns and list(columns), use_threads=False):
            yield from batch.to_pylist()


def parquet_facts(path: Path | str) -> dict[str, str]:
    """What `write_parquet` was told to keep beside the rows, and their number as "rows".

    Raises:
        OSError, ValueError: as `read_parquet`.

    Example:
        >>> parquet_facts("scores.parquet")["rows"]  # doctest: +SKIP
        '1000'
    """
    with _opened(path) as file:
        kept = file.metadata.metadata or {}
        facts = {
            name.decode(errors="replace"): value.decode(errors="replace")
            for name, value in kept.items()
        }
        return {**facts, "rows": str(file.metadata.num_rows)}


def binary_cells(path: Path | str, preferred: str) -> Iterator[bytes | None]:
    """The cells of the one column of bytes, or of the field "bytes" in a column, one at a time.

    Args:
        path: of a file that may come from a stranger.
        preferred: the column that is taken where there are several.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is no Parquet file or damaged, has no such column or several, or claims
            to unpack to far more than its size.

    Example:
        >>> len(next(binary_cells("images.parquet", "image")))  # doctest: +SKIP
        68231
    """
    with _opened(path) as file:
        column, inner = _column_of_bytes(file.schema_arrow, path, preferred)
        name = f"{column}.bytes" if inner else column
        # Of whole groups of rows: Arrow aborts the process at the records of damaged columns.
        groups = range(file.metadata.num_row_groups)
        claimed = sum(file.metadata.row_group(i).total_byte_size for i in groups)
        if claimed > most_unpacked(Path(path).stat().st_size):
            raise ValueError(
                f"it says that it unpacks to {claimed} bytes, more than {MOST_RATIO} times its size"
            )
        # Cells that a dictionary repeats cost their whole size each.
        for batch in file.iter_batches(1, columns=[name], use_threads=False):
            cell = batch.column(0)[0].as_py()
            yield cell and cell["bytes"] if inner else cell


def _column_of_bytes(schema: Any, path: Path | str, preferred: str) -> tuple[str, bool]:
    """The column of bytes, and whether they are its field "bytes"."""
    from pyarrow import types

    def binary(kind: Any) -> bool:
        return types.is_binary(kind) or types.is_large_binary(kind)

    found = {}
    for field in schema:
        if binary(field.type):
            found[field.name] = False
        elif types.is_struct(field.type):
            place = field.type.get_field_index("bytes")
            if place >= 0 and binary(field.type.field(place).type):
                found[field.name] = True
    if len(found) > 1 and preferred in found:
        found = {preferred: found[preferred]}
    if len(found) != 1:
        names = ", ".join(shown(name, most=60) for name in list(found or schema.names)[:12])
        what = f"{len(found)} columns hold bytes" if found else "no column holds bytes"
        raise ValueError(
            f"{shown(path)}: {what} ({names}); one column of image bytes is needed, or of several "
            f"one that is called {preferred!r}"
        )
    return next(iter(found.items()))
