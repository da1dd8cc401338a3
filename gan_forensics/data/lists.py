"""Lists of image files: CSV files of paths, with labels, splits and more columns."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
from jaxtyping import Int

from gan_forensics.data.listing import leaving
from gan_forensics.data.sources import FileSource, Folders, check_classes, rows_of_split
from gan_forensics.data.split_folders import Places, part_of_name, rows_of_part
from gan_forensics.files import read_csv, refuse_remote, shown, whole_number


def read_list(
    file: Path, *, split: str, follow_links: bool = False, **fit: int | None
) -> FileSource:
    """Read the images that a CSV file names: `path` or `path,label` on each line, lazily.

    Paths are relative to the file, and lead out of its folder, by themselves or by links, only with
    `follow_links`. A first line that begins with `path` is a header, below which
    there may be more columns: one called label, one called split (of the words for split folders),
    others for `groups_of`. Labels are integers, or names (then numbered in sorted order).
    """
    table = read_csv(file, first="path", numbers=False)
    lines = list(table.lines)
    header = ["path", "label"]
    if lines and lines[0][1][0].lower() == "path":
        known = ("path", "label", "split")
        header = [name.lower() if name.lower() in known else name for name in lines.pop(0)[1]]
        if twice := sorted(name for name, n in Counter(header).items() if n > 1):
            raise ValueError(f"{file}: two columns are called {twice[0]!r}: rename one")
    elif lines:
        header = header[: len(lines[0][1])]
    if not lines:
        raise ValueError(f"{file}: names no image; write one path on each line")
    leaves = leaving(file.parent)
    for number, row in lines:
        if len(row) != len(header):
            raise ValueError(
                f"{file}, line {number}: {len(row)} columns; every line must read 'path' or every "
                "line 'path,label', or as a first line 'path,...' names the columns"
            )
        path = file.parent / row[0]
        if not follow_links and leaves(path):
            raise ValueError(
                f"{file}, line {number}: {shown(row[0])} leaves the folder of the list; "
                "--follow-links allows it"
            )
        if not path.is_file():
            refuse_remote(row[0], f"{file}, line {number}:")
            raise FileNotFoundError(
                f"{file}, line {number}: no file {shown(row[0])!r}; paths are relative to "
                f"{file.parent}"
            )
    cells = {name: [row[i] for _, row in lines] for i, name in enumerate(header)}
    names = cells.pop("path")
    labels, label_names = (
        _number(file, names, cells.pop("label")) if "label" in cells else (None, ())
    )
    keep, folders = _rows_of_list(file, names, cells, split)
    if twice := _twice(names, labels, folders, keep, split):
        said = Folders({}, {}, False, ()) if folders is None else folders
        folders = said._replace(notes=(*said.notes, twice))
    paths = [file.parent / name for name in names]
    return FileSource(
        [paths[row] for row in keep],
        None if labels is None else labels[keep],
        among=paths,
        left_out={},
        root=None,
        columns={name: [column[row] for row in keep] for name, column in cells.items()},
        label_names=label_names,
        folders=folders,
        read_as=table.read_as,
        **fit,
    )


def _rows_of_list(
    file: Path, names: list[str], cells: dict[str, list[str]], split: str
) -> tuple[Int[np.ndarray, "m"], Folders | None]:
    """The rows of a split: by a column `split` of its words, which is taken out of the cells."""
    words = cells.get("split", [])
    parts = [part_of_name(word) or "" for word in words]
    if not any(parts):
        return rows_of_split(names, split), None
    if "" in parts:
        row = parts.index("")
        raise ValueError(
            f"{file}: {shown(names[row])} has {shown(words[row])!r} as its split: write train, val "
            "or test on every line, or call the column otherwise"
        )
    del cells["split"]
    rows, splits = rows_of_part(
        file,
        Places(tuple(parts), tuple(words), ()),
        split,
        mend="call the column otherwise, and the images are divided",
    )
    return np.array(rows), Folders(splits, {}, False, ())


def _twice(
    names: list[str],
    labels: Int[np.ndarray, "n"] | None,
    folders: Folders | None,
    keep: Int[np.ndarray, "m"],
    split: str,
) -> str:
    """That a list names files more than once, with two labels or in two splits; else empty."""
    places: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        places.setdefault(os.path.normpath(name), []).append(row)
    again = {name: rows for name, rows in places.items() if len(rows) > 1}
    if not again:
        return ""
    apart = sum(labels is not None and len(set(labels[rows])) > 1 for rows in again.values())
    chosen = set(keep.tolist())
    both = sum(0 < len(chosen & set(rows)) < len(rows) for rows in again.values())
    words = [f"{apart} with different labels"] * bool(apart)
    words += [f"{both} of them in several splits"] * bool(both and split != "all")
    return (
        f"{len(again)} files are named more than once, the first is {shown(next(iter(again)))}"
        + (f": {', '.join(words)}" if words else "")
    )


def _number(
    file: Path, names: list[str], labels: list[str]
) -> tuple[Int[np.ndarray, "n"], tuple[str, ...]]:
    """Integers as they are, or the ranks of names, and these names; 1 beside 01 are names."""
    if "" in labels:
        raise ValueError(
            f"{file}: {labels.count('')} of {len(labels)} images have no label, the first is "
            f"{shown(names[labels.index('')])}: write one on every line, or leave the column out"
        )
    try:
        numbers = [whole_number(label) for label in labels]
    except ValueError:
        return _ranks(labels)
    if len(set(numbers)) < len(set(labels)):
        return _ranks(labels)
    return check_classes(numbers, file), ()


def _ranks(names: list[str]) -> tuple[Int[np.ndarray, "n"], tuple[str, ...]]:
    # Not by NumPy, to which all names are as long as the longest.
    known = sorted(set(names))
    rank = {name: place for place, name in enumerate(known)}
    return np.array([rank[name] for name in names], np.int32), tuple(known)
