"""Rows and labels in the containers that they came in: arrays, pandas frames and Series.

New rows are float64; every column takes them in its own dtype, so that appending changes none.
"""

import itertools
import warnings
from collections.abc import Hashable
from typing import Any

import numpy as np
from jaxtyping import Float

# What pandas and its CSV files call an index that became a column.
NAMELESS = ("", "Unnamed: 0")


def is_frame(X: Any) -> bool:
    """Whether X is a pandas DataFrame (pandas itself need not be installed)."""
    return hasattr(X, "iloc") and hasattr(X, "columns")


def counts_rows(name: Hashable, values: np.ndarray) -> bool:
    """Whether a first column is pandas' index: without a name, whole numbers that never repeat."""
    if name not in NAMELESS or values.dtype.kind not in "iuf":
        return False
    return bool((values == np.round(values)).all()) and len(np.unique(values)) == len(values)


def check_columns(frame: Any) -> None:
    """Refuse a data frame whose columns are not numbers with names of their own.

    Raises:
        ValueError: naming the columns.
    """
    twice = frame.columns[frame.columns.duplicated()]
    if len(twice):
        raise ValueError(f"several columns are named {twice[0]!r}: give each a name of its own")
    for name, dtype in frame.dtypes.items():
        if getattr(dtype, "kind", "O") not in "biuf":
            raise ValueError(
                f"column {name!r} is of {dtype}, not of numbers: leave it out or make it numbers "
                "(pandas.to_numeric, pandas.get_dummies)"
            )
    if len(frame.columns) and counts_rows(frame.columns[0], frame.iloc[:, 0].to_numpy()):
        warnings.warn(
            f"column {frame.columns[0]!r} only numbers the rows, and is learnt from: read the "
            "table with index_col=0, or drop the column",
            stacklevel=2,
        )


def append_rows(X: Any, new: Float[np.ndarray, "k ..."]) -> Any:
    """X with new rows behind its own, in its container and dtypes.

    New values of integers and booleans are rounded. The index of a frame goes on behind its
    largest number; where it is not of numbers, new rows are "doped-0", "doped-1", ...
    """
    if not is_frame(X):
        x = np.asarray(X)
        x = x.astype(np.float64) if x.dtype == object else x
        return np.concatenate([x, _as_dtype(new, x.dtype)])
    if not len(new):
        return X.copy()
    import pandas

    columns = {
        name: pandas.Series(_as_dtype(new[:, i], dtype), dtype=dtype)
        for i, (name, dtype) in enumerate(X.dtypes.items())
    }
    added = pandas.DataFrame(columns, columns=X.columns)
    added.index = _more(X.index, len(new))
    return pandas.concat([X, added])


def append_labels(y: Any, label: Any, n: int) -> Any:
    """y with a label n times behind its own; a Series keeps its dtype, name and index."""
    if not hasattr(y, "iloc"):
        labels = np.asarray(y)
        return np.concatenate([labels, np.repeat(np.asarray([label], labels.dtype), n)])
    if not n:
        return y.copy()
    import pandas

    added = pandas.Series([label] * n, index=_more(y.index, n), dtype=y.dtype, name=y.name)
    return pandas.concat([y, added])


def _as_dtype(values: np.ndarray, dtype: Any) -> np.ndarray:
    """Values in a dtype of numpy, or in that behind one of pandas."""
    kind = np.dtype(getattr(dtype, "numpy_dtype", dtype))
    if kind.kind == "b":
        return values > 0.5
    if kind.kind in "iu":
        # Decoders without bounds may leave the range of a small type, which would wrap around.
        limits = np.iinfo(kind)
        values = np.clip(np.round(values), limits.min, limits.max)
    return values.astype(kind)


def _more(index: Any, n: int) -> Any:
    """n further entries of an index."""
    import pandas

    if getattr(index.dtype, "kind", "O") in "iu":
        first = int(index.max()) + 1
        return pandas.RangeIndex(first, first + n, name=index.name)
    taken = set(index.get_level_values(0))
    fresh = (name for i in itertools.count() if (name := f"doped-{i}") not in taken)
    names = list(itertools.islice(fresh, n))
    if index.nlevels > 1:
        entries = [(name, *[""] * (index.nlevels - 1)) for name in names]
        return pandas.MultiIndex.from_tuples(entries, names=index.names)
    return pandas.Index(names, name=index.name)
