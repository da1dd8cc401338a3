"""Lists of images with their sources, in the format of Attribution88: what they say is checked.

A header, `path,label,dlabel`, and maybe `semantic` and `instance`; paths are relative to the file
and begin with the source's folder. Everything that is wrong with the lines is told at once.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from gan_forensics.data.listing import leaving
from gan_forensics.files import read_csv, shown, whole_number

# So many lines of a list that are wrong are named.
_SHOWN = 12


class Row(NamedTuple):
    """An image of a layout; `line` and `label` are of lists alone."""

    path: Path
    source: str
    semantic: str
    instance: str
    line: int = 0
    label: int = -1


def read_rows(file: Path, names: Sequence[str] = (), *, follow_links: bool = False) -> list[Row]:
    """The rows of a list, whose labels are checked against the names where they are known.

    Args:
        file: the list.
        names: of the sources by label; () where the list says it by its first folders.
        follow_links: whether files may be links that leave the folder of the list.

    Raises:
        FileNotFoundError: for files that are not there, all of them with their lines.
        ValueError: for what is no such list, and labels that are out of range or contradict.
    """
    header, lines = _read(file)
    rows, numbers, missing, outside, linked = [], [], [], [], []
    leaves = leaving(file.parent)
    for line, cells in lines:
        row = dict(zip(header, cells, strict=True))
        pure = PurePosixPath(row["path"])
        if pure.is_absolute() or ".." in pure.parts or len(pure.parts) < 2:
            outside.append((line, row["path"]))
            continue
        try:
            label, dlabel = whole_number(row["label"]), whole_number(row.get("dlabel", "0"))
        except ValueError:
            numbers.append((line, f"label {row['label']!r}, dlabel {row.get('dlabel', '')!r}"))
            continue
        if label < 0 or dlabel < 0 or (names and label >= len(names)):
            numbers.append((line, f"label {label}, dlabel {dlabel}"))
            continue
        if not (file.parent / pure).is_file():
            missing.append((line, row["path"]))
        elif not follow_links and leaves(file.parent / pure):
            linked.append((line, row["path"]))
        semantic = row.get("semantic", row.get("dlabel", ""))
        rows.append(
            Row(
                file.parent / pure, pure.parts[0], semantic, row.get("instance", ""), line, label
            )
        )  # fmt: skip
    if outside:
        raise ValueError(_several(file, outside, "paths that do not begin with a source's folder"))
    if linked:
        what = "links that leave the folder of the list (--follow-links allows them)"
        raise ValueError(_several(file, linked, what))
    if numbers:
        allowed = f"0 to {len(names) - 1}" if names else "0, 1, ..."
        what = f"labels that are no whole numbers or out of range ({allowed})"
        raise ValueError(_several(file, numbers, what))
    if missing:
        what = f"files are missing (paths are relative to {file.parent})"
        raise FileNotFoundError(_several(file, missing, what))
    _check_labels(file, rows, names)
    _check_semantics(file, rows, header, lines)
    return rows


def _read(file: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """The header of a list and, by their numbers, its other lines."""
    if file.is_dir():
        raise ValueError(f"list:{file}: is a folder; write folder:{file} for the images in it")
    if not file.is_file():
        raise FileNotFoundError(f"list:{file}: no such file; check the path")
    lines = read_csv(file, numbers=False).lines
    header = [cell.lower() for cell in lines[0][1]] if lines else []
    if not {"path", "label"} <= set(header) or len(set(header)) < len(header):
        raise ValueError(
            f"{file}: its first line must name the columns, path, label and dlabel (and semantic, "
            f"instance), each once; got {shown(','.join(header)) or 'nothing'}"
        )
    if len(lines) == 1:
        raise ValueError(f"{file}: names no image; write one on each line")
    odd = [(n, f"{len(cells)} columns") for n, cells in lines if len(cells) != len(header)]
    if odd:
        raise ValueError(_several(file, odd, f"lines of other than {len(header)} columns"))
    return header, lines[1:]


def _several(file: Path, found: Sequence[tuple[int, str]], what: str) -> str:
    """One message for all lines of a list that are wrong; the first dozen are named."""
    some = "; ".join(f"line {line}: {shown(text)}" for line, text in found[:_SHOWN])
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{file}: {len(found)} {what}: {some}{more}"


def _check_labels(file: Path, rows: Sequence[Row], names: Sequence[str]) -> None:
    """Refuse labels that are not those of the sources, one to one and without gaps."""
    source_of, label_of = dict(enumerate(names)), {name: i for i, name in enumerate(names)}
    wrong = []
    for row in rows:
        source = source_of.setdefault(row.label, row.source)
        label = label_of.setdefault(row.source, row.label)
        if source != row.source:
            wrong.append((row.line, f"label {row.label} is {source!r}, and here {row.source!r}"))
        elif label != row.label:
            wrong.append((row.line, f"{row.source!r} has label {label}, and here {row.label}"))
    if wrong:
        raise ValueError(
            f"{_several(file, wrong, 'labels of two sources, or sources of two labels')}; a source "
            "is the first folder of a path"
        )
    if 0 not in source_of:
        raise ValueError(f"{file}: no real source: label 0, which is real, is on no line")
    if (most := max(source_of)) >= len(source_of):
        first = next(row.line for row in rows if row.label == most)
        raise ValueError(
            f"{file}, line {first}: label {most} is out of range: {len(source_of)} sources have "
            f"labels 0 to {len(source_of) - 1}"
        )


def _check_semantics(
    file: Path,
    rows: Sequence[Row],
    header: Sequence[str],
    lines: Sequence[tuple[int, list[str]]],
) -> None:
    """Refuse a semantic of two numbers, which could be seen and unseen, and two of one number."""
    if not {"semantic", "dlabel"} <= set(header):
        return
    column = header.index("dlabel")
    pairs = {
        (row.semantic, whole_number(cells[column]))
        for row, (_, cells) in zip(rows, lines, strict=True)
    }
    names, numbers = ({pair[i] for pair in pairs} for i in (0, 1))
    if len(pairs) > min(len(names), len(numbers)):
        listed = ", ".join(f"{shown(name)} {number}" for name, number in sorted(pairs)[:_SHOWN])
        raise ValueError(
            f"{file}: a semantic of two dlabels, or a dlabel of two semantics: {listed}; those "
            "seen in training come first, and none is seen and unseen"
        )
