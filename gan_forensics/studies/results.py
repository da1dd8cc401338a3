"""What an experiment leaves in results.json: tables of flat rows, and named extras.

    {"tables": {"rows": [{"seed": 0, "arm": "doping", "auc": 0.9, ...}, ...], ...},
     "finding": "...", "protocol": {...}, "seconds": {...}, ...}

A row is an object of numbers, text, true, false and null; those of a table have the same columns.
`rows` holds one row for each seed and whatever else is told apart; other tables are what the
experiment says of something else. All beside `tables` are extras, of any form.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_forensics.files import listed, read_json, shown, write_json

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]
Tables = Mapping[str, Iterable[Mapping[str, Any]]]


@dataclass(frozen=True, repr=False)
class Results:
    """What an experiment found: tables of flat rows, and named extras.

    Attributes:
        out: the folder, with `report.html`.
        content: all of results.json: `tables`, and the extras.

    Example:
        >>> tables = {"rows": [{"seed": 0, "auc": 0.5}]}
        >>> results = Results(Path("runs/d"), {"tables": tables, "finding": "Nothing."})
        >>> results
        Results('runs/d': rows 1)
        >>> results.rows()
        [{'seed': 0, 'auc': 0.5}]
    """

    out: Path
    content: Mapping[str, Any]

    def __repr__(self) -> str:
        """The folder, and the rows of each table."""
        counts = ", ".join(f"{name} {len(self.rows(name)):,}" for name in self.tables)
        return f"Results({str(self.out)!r}: {counts})"

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables."""
        return tuple(self.content["tables"])

    @property
    def finding(self) -> str:
        """What was found, in words."""
        return self.content["finding"]

    @property
    def extras(self) -> dict[str, Any]:
        """All beside the tables: the protocol, seconds, curves ..."""
        return {name: value for name, value in self.content.items() if name != "tables"}

    def rows(self, name: str = "rows") -> list[Row]:
        """A table as dicts with the same keys, one for each row.

        Raises:
            ValueError: for a table that is not there; it names those that are.
        """
        if name not in self.content["tables"]:
            raise ValueError(f"no table {name!r}; there are {listed(self.tables)}")
        return self.content["tables"][name]

    def table(self, name: str = "rows") -> "pd.DataFrame":
        """A table as a data frame; needs the extra `frames`.

        Raises:
            ImportError: without pandas; `rows` does without.
            ValueError: for a table that is not there; it names those that are.
        """
        rows = self.rows(name)
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "data frames need pandas: pip install 'gan_forensics[frames]', or take rows()"
            ) from error
        return pd.DataFrame(rows)


def read_results(out: Path | str) -> Results:
    """The results that lie in the folder of an experiment.

    Args:
        out: the folder, as `run` and the command `python -m experiments.NAME` leave it.

    Raises:
        FileNotFoundError: for a folder without results.json.
        ValueError: for one of another form, such as a run folder's.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = write_results(Path(folder), {"finding": "nothing"}, {"rows": [{"seed": 0}]})
        ...     results = read_results(folder)
        >>> results.finding, results.tables
        ('nothing', ('rows',))
    """
    path = Path(out) / "results.json"
    content = read_json(path)
    try:
        if flat(content["tables"]) != content["tables"]:
            raise ValueError("rows of a table have other columns")
        if not isinstance(content["finding"], str):
            raise ValueError("the finding is no text")
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(
            f"{shown(path)}: these are no results of an experiment ({shown(repr(error), most=200)})"
        ) from error
    return Results(Path(out), content)


def write_results(out: Path, results: Mapping[str, Any], tables: Tables) -> dict[str, Any]:
    """Write results.json into the folder of an experiment: the one form of all experiments.

    Args:
        out: the folder.
        results: the extras, with `finding`.
        tables: name -> rows; `rows` among them, each with a `seed`.

    Returns:
        What is written: `tables`, and the extras.

    Raises:
        ValueError: for tables of another form, and an extra called `tables`.
    """
    if "tables" in results:
        raise ValueError("an extra must not be called 'tables'")
    kept = flat(tables)
    if "rows" not in kept or any("seed" not in row for row in kept["rows"]):
        raise ValueError(f"'rows' must be among {listed(kept)}, and each of them have a 'seed'")
    content = {"tables": kept, **results}
    write_json(out / "results.json", content)
    return content


def flat(tables: Tables) -> dict[str, list[Row]]:
    """Tables whose rows have the same columns each, in the order in which they first appear.

    What a row lacks is None; numbers of NumPy are Python's.

    Raises:
        ValueError: for a value that is no number, text, true, false or None, naming its place.
    """
    kept = {}
    for name, rows in tables.items():
        rows = [{key: _plain(name, key, value) for key, value in row.items()} for row in rows]
        columns = dict.fromkeys(key for row in rows for key in row)
        kept[name] = [{key: row.get(key) for key in columns} for row in rows]
    return kept


def _plain(table: str, column: str, value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if not _is_scalar(value):
        raise ValueError(
            f"table {table!r}, column {column!r}: rows hold numbers, text, true, false and None, "
            f"got {type(value).__name__}"
        )
    return value


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, str | bool | int | float | np.generic)


def scalars(found: Mapping[str, Any]) -> Row:
    """The entries that a row can hold; lists and objects are left out."""
    return {name: value for name, value in found.items() if _is_scalar(value)}


def seed_rows(
    rows: Iterable[Mapping[str, Any]], seeds: Sequence[int], *, keep: Sequence[str]
) -> list[Row]:
    """A row for each seed of rows of means, as `studies.pages.over_seeds` makes them.

    Args:
        rows: with `NAME_by_seed`, a value for each seed, which becomes `NAME`.
        seeds: of the values.
        keep: columns that tell the rows apart, or are the same for every seed.
    """
    kept = []
    for row in rows:
        by_seed = {k.removesuffix("_by_seed"): v for k, v in row.items() if k.endswith("_by_seed")}
        for place, seed in enumerate(seeds):
            names = {name: row[name] for name in keep}
            kept.append({"seed": seed, **names, **{k: v[place] for k, v in by_seed.items()}})
    return kept
