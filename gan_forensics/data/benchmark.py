"""Attribution benchmarks out: images by source, semantic and instance, and the lists of splits.

The layout is that of Attribution88 (Bui et al., ECCV 2022): images in SOURCE/SEMANTIC/..., and
train.csv, val.csv and test.csv with the columns `path`, `label` (0 is real) and `dlabel` (of the
semantic, seen ones first), to which `semantic` and `instance` are added. benchmark.json says where
all of it comes from. `open_attributed` reads it.
"""

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from gan_forensics.data.attributed import BENCHMARK, LISTS
from gan_forensics.data.decoding import Header, read_header
from gan_forensics.data.images import check_pixels, save_png
from gan_forensics.data.sources import FileSource, Rows, Source
from gan_forensics.files import listed, read_json, shown, write_json
from gan_forensics.files.tables import cell, write_cells


class Group(NamedTuple):
    """Images of one source, semantic and instance.

    Attributes:
        source: generator, or the real one.
        semantic: what is to be seen.
        instance: of the generator's trainings; "" for real images.
        counts: how many by split, of "train", "val" and "test".
        facts: JSON-able: where they come from.
        draw: makes that many images, uint8 [n, s, s, c], in the order of the splits; and what was
            found while making them, JSON-able.
    """

    source: str
    semantic: str
    instance: str
    counts: Mapping[str, int]
    facts: Mapping[str, Any]
    draw: Callable[[int], tuple[UInt8[np.ndarray, "n s s c"], Mapping[str, Any]]]

    @property
    def name(self) -> str:
        """Folder of the images."""
        return "/".join(filter(None, (self.source, self.semantic, self.instance)))

    def rows(self) -> dict[str, list[int]]:
        """First row of each split that has some, and the row behind its last."""
        ends = np.cumsum([self.counts.get(split, 0) for split in LISTS]).tolist()
        spans = zip(LISTS, [0, *ends], ends, strict=False)
        return {split: [start, end] for split, start, end in spans if end > start}


def write_benchmark(
    folder: Path,
    groups: Sequence[Group],
    *,
    names: Sequence[str],
    seen: Sequence[str],
    unseen: Sequence[str],
    about: Mapping[str, Any],
    progress: Callable[[Sequence[Group]], Iterable[Group]] = iter,
) -> Mapping[str, Any]:
    """Write a benchmark beside its place, and rename it; one of the same settings is left alone.

    Args:
        folder: for it, which is empty, not there, or holds this very benchmark.
        groups: of images, in the order in which lists name them.
        names: of the sources, the real one first: labels are ranks in it.
        seen: semantics that may train something.
        unseen: others, whose images are all in "test".
        about: JSON-able, versions and the like; not compared with those of what is there.
        progress: may draw a bar over the groups.

    Returns:
        The content of benchmark.json.

    Raises:
        ValueError: for a folder that holds something else, images of different shapes, and names
            that a list could not hold as they are.
    """
    if odd := [name for group in groups for name in group[:3] if cell(name) != name]:
        raise ValueError(
            f"{listed(odd)}: a name that a spreadsheet takes for a formula, or that cannot be "
            "printed; choose another"
        )
    asked = _asked(groups, names, seen, unseen)
    if there := _there(folder, asked):
        return there
    # A drawn name and a new folder: nothing that lay there before is written through or removed.
    partial = folder.with_name(f".{folder.name[:40]}.{secrets.token_hex(8)}.partial")
    partial.mkdir(parents=True)
    semantics = [*seen, *unseen]
    lists, made, shapes = {split: [] for split in LISTS}, [], {}
    try:
        for group in progress(groups):
            total = sum(group.counts.values())
            images, found = group.draw(total)
            check_pixels(images)
            if len(images) != total:
                raise ValueError(f"{group.name}: {len(images)} images where {total} are needed")
            shapes.setdefault(images.shape[1:], group.name)
            distinct = len({image.tobytes() for image in images})
            made.append({**_asked_of(group), "distinct": distinct, **found})
            for split, (start, end) in group.rows().items():
                for row in range(start, end):
                    path = f"{group.name}/{split}-{row - start:05d}.png"
                    save_png(partial / path, images[row])
                    labels = (names.index(group.source), semantics.index(group.semantic))
                    lists[split].append((path, *labels, group.semantic, group.instance))
        if len(shapes) > 1:
            kinds = ", ".join(f"{_by(shape)} ({shown(name)})" for shape, name in shapes.items())
            raise ValueError(
                f"a benchmark has images of one size and as many channels, these are of {kinds}: "
                "bring them to one, or leave some out"
            )
        for split, rows in lists.items():
            with (partial / f"{split}.csv").open("w", newline="", encoding="utf-8") as file:
                write_cells(file, [("path", "label", "dlabel", "semantic", "instance"), *rows])
        facts = {
            **asked,
            "real": names[0],
            "shape": list(next(iter(shapes))),
            "counts": {split: len(rows) for split, rows in lists.items()},
            "groups": made,
            **about,
        }
        write_json(partial / BENCHMARK, facts)
        if folder.is_dir():
            folder.rmdir()  # It is empty; what is not is refused by the system.
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return facts


def _asked_of(group: Group) -> dict[str, Any]:
    return {
        "source": group.source,
        "semantic": group.semantic,
        "instance": group.instance,
        "rows": group.rows(),
        **group.facts,
    }


def _asked(
    groups: Sequence[Group], names: Sequence[str], seen: Sequence[str], unseen: Sequence[str]
) -> dict[str, Any]:
    """All that a benchmark depends on, as JSON has it."""
    asked = {
        "names": list(names),
        "seen": list(seen),
        "unseen": list(unseen),
        "groups": [_asked_of(group) for group in groups],
    }
    return json.loads(json.dumps(asked))


def _there(folder: Path, asked: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A benchmark that is there already, if it is the one that is asked for."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    file = folder / BENCHMARK
    try:
        there = read_json(file)
        before = {key: there[key] for key in ("names", "seen", "unseen")}
        before["groups"] = [
            {key: have[key] for key in want}
            for have, want in zip(there["groups"], asked["groups"], strict=True)
        ]
    except (OSError, KeyError, TypeError, ValueError):
        before = None
    if before != asked:
        raise ValueError(
            f"{folder}: holds {'a benchmark of other settings' if file.exists() else 'other files'}"
            "; choose another folder"
        )
    return there


def check_alike(sources: Mapping[str, Source]) -> list[str]:
    """Refuse real files of several codecs or sizes, which would tell semantics or splits apart.

    Args:
        sources: by the name that messages have for them; those that are no files pass.

    Returns:
        Lines on what the files are, where that leaves traces in the pixels.

    Raises:
        ValueError: naming how many there are of each, with examples.
    """
    kinds: dict[str, list[str]] = {}
    sizes: dict[str, list[str]] = {}
    for source in sources.values():
        for path, header in _headers(source):
            kinds.setdefault(header.container, []).append(str(path))
            sizes.setdefault(f"{header.width}x{header.height}", []).append(str(path))
    for what, found in (("codecs", kinds), ("sizes (width x height)", sizes)):
        if len(found) > 1:
            some = "; ".join(
                f"{len(paths)} of {kind} ({shown(paths[0])})"
                for kind, paths in sorted(found.items(), key=lambda item: -len(item[1]))[:6]
            )
            raise ValueError(
                f"real files of {len(found)} {what}: {some}. Their traces stay in the pixels and "
                "would be what is learned: bring all to one, or leave some out"
            )
    return [
        f"the real files are {kind}: its traces are in real images alone, where no GAN learned them"
        for kind in kinds
        if kind not in ("PNG", "BMP", "TIFF", "PPM")
    ]


def _headers(source: Source) -> list[tuple[Path, Header]]:
    rows: Any = slice(None)
    if isinstance(source, Rows):
        source, rows = source.source, source.rows
    if not isinstance(source, FileSource):
        return []
    paths = source.paths[rows] if isinstance(rows, slice) else [source.paths[row] for row in rows]
    return [(path, read_header(path)) for path in paths]


def _by(shape: tuple[int, ...]) -> str:
    height, width, channels = shape
    return f"{height}x{width}x{channels}"
