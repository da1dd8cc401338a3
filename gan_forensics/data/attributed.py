"""Images with their sources: which generator, or the real world, each of them comes from.

Three layouts say so: folders SOURCE/SEMANTIC/INSTANCE, the lists of Attribution88 (Bui et al., ECCV
2022), and the folders of `gan-forensics benchmark build`, which are both. The semantic is what is
to be seen (dogs, bedrooms), the instance one training of the generator, by its seed. Names travel
with the labels: the order of folders and lines says nothing.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from gan_forensics.data.attributed_lists import Row, read_rows
from gan_forensics.data.folder_words import REAL
from gan_forensics.data.listing import list_images, summary
from gan_forensics.data.sources import FileSource, Rows, Source
from gan_forensics.data.split_folders import part_of_name
from gan_forensics.files import listed, read_json, shown

BENCHMARK = "benchmark.json"
LISTS = ("train", "val", "test")


class Attributed(NamedTuple):
    """Images and where they come from.

    Attributes:
        source: of "image", uint8 [h, w, c].
        names: of the sources, generators and the real one, by label.
        real: which of the names is real.
        labels: of each image, 0 to len(names) - 1.
        semantics: of each image; "" where it is not known.
        instances: of each image, the training (its seed) of the generator; "" where not known.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.data import ArraySource
        >>> source = ArraySource(image=np.zeros((3, 8, 8, 3), np.uint8))
        >>> labels, unknown = np.array([0, 1, 1]), ("",) * 3
        >>> images = Attributed(source, ("dcgan", "photos"), "photos", labels, unknown, unknown)
        >>> images.part(images.labels == 1).labels.tolist()
        [1, 1]
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
        follow_links: whether to follow links that leave the folder.
        split: of a benchmark.

    Raises:
        FileNotFoundError: the path is missing, or files that a list names (all that are).
        ValueError: one source alone, none or several that may be real, labels that are no whole
            numbers or out of range, a label of two sources or a source of two labels, semantics
            that are seen and unseen.

    Example:
        >>> images = open_attributed("folder:images", real_is="photos")  # doctest: +SKIP
        >>> images.names, images.labels.tolist()  # doctest: +SKIP
        (('dcgan', 'photos'), [0, 0, 1, 1])
    """
    scheme, _, rest = name.partition(":")
    if scheme == "list":
        if split is not None:
            raise ValueError(f"{name}: a list is one split: leave split={split!r} out")
        rows = read_rows(Path(rest).expanduser(), follow_links=follow_links)
    else:
        folder = Path(rest if scheme == "folder" else name).expanduser()
        if (folder / BENCHMARK).is_file():
            return _benchmark(folder, split, real_is, follow_links)
        if not folder.exists():
            raise FileNotFoundError(
                f"{name}: no such folder; images with their sources are folder:DIR with SOURCE/ in "
                "it, list:FILE.csv, or a folder of `benchmark build`"
            )
        if split is not None:
            raise ValueError(
                f"{name}: split={split!r} is for benchmarks, and there is no {BENCHMARK} in it"
            )
        rows = _in_folders(folder, follow_links)
    return _attributed(name, rows, _names_of(name, rows), real_is)


def _attributed(
    name: str, rows: Sequence[Row], names: Sequence[str], real_is: str | None
) -> Attributed:
    labels = np.array([names.index(row.source) for row in rows], np.int32)
    paths = [row.path for row in rows]
    return Attributed(
        FileSource(paths, labels),
        tuple(names),
        _real(name, names, real_is, by_list=rows[0].label >= 0),
        labels,
        tuple(row.semantic for row in rows),
        tuple(row.instance for row in rows),
    )


def _names_of(name: str, rows: Sequence[Row]) -> list[str]:
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


def _real(name: str, names: Sequence[str], real_is: str | None, *, by_list: bool) -> str:
    """Which source is real."""
    there = listed(names)
    if real_is is not None:
        if real_is not in names:
            raise ValueError(f"{name}: no source is called {real_is!r}; there are {there}")
        return real_is
    words = [source for source in names if source.lower() in REAL]
    if by_list and (not words or names[0] in words):
        return names[0]
    if not by_list and len(words) == 1:
        return words[0]
    if by_list:
        raise ValueError(
            f"{name}: label 0 is real, and it is {shown(names[0])!r}, while {shown(words[0])!r} "
            "has another: number them anew, or say which is real (--real-is NAME)"
        )
    found = f"{len(words)} of them are words for it" if words else "none of them is a word for it"
    raise ValueError(f"{name}: which source is real? {found}: {there}; say so (--real-is NAME)")


def _in_folders(folder: Path, follow_links: bool) -> list[Row]:
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
        rows.append(Row(path, source, semantic, instance))
    for level, names in (
        ("", {row.source for row in rows}),
        ("SOURCE/", {row.semantic for row in rows}),
    ):
        splits = sorted(filter(part_of_name, names))
        if len(set(map(part_of_name, splits))) > 1 or (not level and len(splits) == len(names)):
            raise ValueError(
                f"{folder}: {level}{listed(splits)} are splits, not "
                f"{'semantics' if level else 'sources'}: give a folder of one split, in which "
                "images lie in SOURCE/SEMANTIC/..."
            )
    return rows


def _benchmark(
    folder: Path, split: str | None, real_is: str | None, follow_links: bool
) -> Attributed:
    if split is not None and split not in LISTS:
        raise ValueError(f"split={split!r}: a benchmark has {', '.join(LISTS)}")
    facts = read_benchmark(folder)
    names, unseen = facts["names"], set(facts["unseen"])
    rows = []
    for part in LISTS if split is None else (split,):
        some = read_rows(folder / f"{part}.csv", names, follow_links=follow_links)
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
        facts = read_json(file)
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
            f"{where}: {listed(both)}: seen in training and unseen; a semantic is one of both"
        )
