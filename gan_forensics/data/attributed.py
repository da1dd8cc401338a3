"""Images with their sources: which generator, or the real world, each of them comes from.

Three layouts say so: folders SOURCE/SEMANTIC/INSTANCE, the lists of Attribution88 (Bui et al., ECCV
2022), and the folders of `gan-forensics benchmark build`, which are both. The semantic is what is
to be seen (dogs, bedrooms), the instance one training of the generator, by its seed. Names travel
with the labels: the order of folders and lines says nothing.
"""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from gan_forensics.data.files import shown
from gan_forensics.data.folder_words import REAL
from gan_forensics.data.listing import list_images, summary
from gan_forensics.data.sources import FileSource, Rows, Source

BENCHMARK = "benchmark.json"
LISTS = ("train", "val", "test")
_SPLIT_FOLDERS = {"train", "test", "val", "valid", "validation"}
# So many lines of a list that are wrong are named.
_SHOWN = 12


class Attributed(NamedTuple):
    """Images and where they come from.

    Attributes:
        source: of "image", uint8 [h, w, c].
        names: of the sources, generators and the real one, by label.
        real: which of the names is real.
        labels: of each image, 0 to len(names) - 1.
        semantics: of each image; "" where it is not known.
        instances: of each image, the training (its seed) of the generator; "" where not known.
    """

    source: Source
    names: tuple[str, ...]
    real: str
    labels: Int[np.ndarray, " n"]
    semantics: tuple[str, ...]
    instances: tuple[str, ...]

    def part(self, rows: Sequence[int] | Int[np.ndarray, " m"] | Bool[np.ndarray, " n"]):
        """Some of the images, by index or by a mask; names and what is real stay.

        Raises:
            ValueError: for a mask of another length.
        """
        rows = np.asarray(rows)
        if rows.dtype == bool:
            if rows.shape != (len(self.labels),):
                raise ValueError(f"a mask {list(rows.shape)} for {len(self.labels)} images")
            rows = np.flatnonzero(rows)
        rows = rows.astype(np.int64)  # An empty list is of floats.
        return self._replace(
            source=Rows(self.source, rows),
            labels=self.labels[rows],
            semantics=tuple(self.semantics[row] for row in rows),
            instances=tuple(self.instances[row] for row in rows),
        )


def open_attributed(
    name: str, *, real_is: str | None = None, follow_links: bool = False, split: str | None = None
) -> Attributed:
    """Open images with their sources.

    =====================  =========================================================================
    `folder:DIR`, `DIR`    images in SOURCE/SEMANTIC/INSTANCE, SOURCE/SEMANTIC or SOURCE below it,
                           or a benchmark (`split` train, val or test; by default all)
    `list:FILE.csv`        a header with `path`, `label` and maybe `dlabel`, `semantic`, `instance`;
                           paths are relative to the file and begin with the source's name, label 0
                           is real, dlabel numbers the semantics, seen ones first
    =====================  =========================================================================

    Args:
        name: one of the above.
        real_is: which source is real; by default that of a list's label 0, or the folder whose name
            is a word for it (`folder_words.REAL`).
        follow_links: of a folder, whether to follow links that leave it.
        split: of a benchmark.

    Raises:
        FileNotFoundError: the path is missing, or files that a list names (all that are).
        ValueError: one source alone, none or several that may be real, labels that are no whole
            numbers or out of range, a label of two sources or a source of two labels, semantics
            that are seen and unseen.
    """
    scheme, _, rest = name.partition(":")
    if scheme == "list":
        if split is not None:
            raise ValueError(f"{name}: a list is one split: leave split={split!r} out")
        rows = _listed(Path(rest).expanduser())
    else:
        folder = Path(rest if scheme == "folder" else name).expanduser()
        if (folder / BENCHMARK).is_file():
            return _benchmark(folder, split, real_is)
        if split is not None:
            raise ValueError(
                f"{name}: split={split!r} is for benchmarks, and there is no {BENCHMARK} in it"
            )
        rows = _in_folders(folder, follow_links)
    return _attributed(name, rows, _names_of(name, rows), real_is)


def refuse_shared_semantics(seen: Attributed, unseen: Attributed) -> None:
    """Refuse images of unseen semantics whose semantics are among the seen ones.

    Raises:
        ValueError: naming the semantics of both.
    """
    _refuse_shared(set(seen.semantics) - {""}, set(unseen.semantics) - {""}, "the images")


class _Row(NamedTuple):
    """An image of a layout; `line` and `label` are of lists alone."""

    path: Path
    source: str
    semantic: str
    instance: str
    line: int = 0
    label: int = -1


def _attributed(
    name: str, rows: Sequence[_Row], names: Sequence[str], real_is: str | None
) -> Attributed:
    labels = np.array([names.index(row.source) for row in rows], np.int32)
    paths = [row.path for row in rows]
    return Attributed(
        FileSource(paths, labels),
        tuple(names),
        _real(name, names, real_is, listed=rows[0].label >= 0),
        labels,
        tuple(row.semantic for row in rows),
        tuple(row.instance for row in rows),
    )


def _names_of(name: str, rows: Sequence[_Row]) -> list[str]:
    """Names by label; of folders, which have none, in alphabetical order."""
    if rows[0].label < 0:
        names = sorted({row.source for row in rows})
    else:
        of_label = {row.label: row.source for row in rows}
        names = [of_label[label] for label in sorted(of_label)]
    if len(names) < 2:
        raise ValueError(
            f"{name}: one source alone, {shown(names[0])!r}: give folders of several, SOURCE/..., "
            "one of which is real"
        )
    return names


def _real(name: str, names: Sequence[str], real_is: str | None, *, listed: bool) -> str:
    """Which source is real."""
    there = ", ".join(map(shown, names))
    if real_is is not None:
        if real_is not in names:
            raise ValueError(f"{name}: no source is called {real_is!r}; there are {there}")
        return real_is
    words = [source for source in names if source.lower() in REAL]
    if listed and (not words or names[0] in words):
        return names[0]
    if not listed and len(words) == 1:
        return words[0]
    if listed:
        raise ValueError(
            f"{name}: label 0 is real, and it is {shown(names[0])!r}, while {shown(words[0])!r} "
            "has another: number them anew, or say which is real (--real-is NAME)"
        )
    found = f"{len(words)} of them are words for it" if words else "none of them is a word for it"
    raise ValueError(f"{name}: which source is real? {found}: {there}; say so (--real-is NAME)")


def _in_folders(folder: Path, follow_links: bool) -> list[_Row]:
    paths, left_out = list_images(folder, follow_links=follow_links)
    if not paths:
        others = f": {summary(left_out, 0)}" if left_out else ""
        raise ValueError(f"{folder}: no images in this folder or below{others}")
    rows = []
    for path in paths:
        source, *below = (*path.relative_to(folder).parts[:-1], "")
        if not source or len(below) > 3:
            raise ValueError(
                f"{shown(path)}: images lie in SOURCE/SEMANTIC/INSTANCE, SOURCE/SEMANTIC or SOURCE "
                f"below {folder}; move it there"
            )
        semantic, instance = (*below[:-1], "", "")[:2]
        rows.append(_Row(path, source, semantic, instance))
    if (tops := {row.source for row in rows}) <= _SPLIT_FOLDERS:
        raise ValueError(
            f"{folder}: {', '.join(sorted(tops))} are splits, not sources; give one of these "
            "folders, which holds SOURCE/..."
        )
    return rows


def _listed(file: Path, names: Sequence[str] = ()) -> list[_Row]:
    """The rows of a list, whose labels are checked against the names where they are known."""
    header, lines = _read(file)
    rows, numbers, missing, outside = [], [], [], []
    for line, cells in lines:
        row = dict(zip(header, cells, strict=True))
        pure = PurePosixPath(row["path"])
        if pure.is_absolute() or ".." in pure.parts or len(pure.parts) < 2:
            outside.append((line, row["path"]))
            continue
        try:
            label, dlabel = int(row["label"]), int(row.get("dlabel", "0"))
        except ValueError:
            numbers.append((line, f"label {row['label']!r}, dlabel {row.get('dlabel', '')!r}"))
            continue
        if label < 0 or dlabel < 0 or (names and label >= len(names)):
            numbers.append((line, f"label {label}, dlabel {dlabel}"))
            continue
        if not (file.parent / pure).is_file():
            missing.append((line, row["path"]))
        semantic = row.get("semantic", row.get("dlabel", ""))
        rows.append(
            _Row(
                file.parent / pure, pure.parts[0], semantic, row.get("instance", ""), line, label
            )
        )  # fmt: skip
    if outside:
        raise ValueError(_several(file, outside, "paths that do not begin with a source's folder"))
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
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            lines = [(n, [c.strip() for c in r]) for n, r in enumerate(csv.reader(stream), 1)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{file}: not a CSV file in UTF-8 ({error})") from error
    lines = [(number, cells) for number, cells in lines if any(cells)]
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


def _check_labels(file: Path, rows: Sequence[_Row], names: Sequence[str]) -> None:
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
    rows: Sequence[_Row],
    header: Sequence[str],
    lines: Sequence[tuple[int, list[str]]],
) -> None:
    """Refuse a semantic of two numbers, which could be seen and unseen, and two of one number."""
    if not {"semantic", "dlabel"} <= set(header):
        return
    column = header.index("dlabel")
    pairs = {
        (row.semantic, int(cells[column])) for row, (_, cells) in zip(rows, lines, strict=True)
    }
    names, numbers = ({pair[i] for pair in pairs} for i in (0, 1))
    if len(pairs) > min(len(names), len(numbers)):
        listed = ", ".join(f"{shown(name)} {number}" for name, number in sorted(pairs)[:_SHOWN])
        raise ValueError(
            f"{file}: a semantic of two dlabels, or a dlabel of two semantics: {listed}; those "
            "seen in training come first, and none is seen and unseen"
        )


def _benchmark(folder: Path, split: str | None, real_is: str | None) -> Attributed:
    if split is not None and split not in LISTS:
        raise ValueError(f"split={split!r}: a benchmark has {', '.join(LISTS)}")
    facts = read_benchmark(folder)
    names, unseen = facts["names"], set(facts["unseen"])
    rows = []
    for part in LISTS if split is None else (split,):
        some = _listed(folder / f"{part}.csv", names)
        if part != "test":
            _refuse_shared({row.semantic for row in some}, unseen, f"{folder}/{part}.csv")
        rows += some
    return _attributed(str(folder), rows, names, real_is or facts["real"])


def read_benchmark(folder: Path) -> Mapping:
    """The provenance of a benchmark, benchmark.json, as far as reading it rests on it checked.

    Raises:
        ValueError: in one line, for what is no such file.
    """
    file = folder / BENCHMARK
    try:
        facts = json.loads(file.read_text(encoding="utf-8"))
        lists = {key: facts[key] for key in ("names", "seen", "unseen")}
        text = all(isinstance(name, str) for some in lists.values() for name in some)
        if not text or facts["real"] not in lists["names"] or len(lists["names"]) < 2:
            raise ValueError("names are text, and the real one is among them")
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{file}: not written by `benchmark build` ({error})") from error
    _refuse_shared(set(lists["seen"]), set(lists["unseen"]), str(file))
    return facts


def _refuse_shared(seen: set[str], unseen: set[str], where: str) -> None:
    if both := sorted(seen & unseen):
        raise ValueError(
            f"{where}: {', '.join(map(shown, both))}: seen in training and unseen; a semantic is "
            "one of both"
        )
