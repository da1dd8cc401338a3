"""Which folders are splits and which are classes: what the places of images below a folder say."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from gan_forensics.data.sources import MOST_CLASSES, Folders
from gan_forensics.files import listed, shown

# What public data sets call the parts that they are divided into, in any case, ...
_WORDS = {
    "train": ("train", "training", "trn", "trainval", "train_val"),
    "validation": ("val", "valid", "validation", "validate", "dev", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "holdout", "held_out", "held-out"),
}
_PART_OF = {word: part for part, words in _WORDS.items() for word in words}
# ... maybe as in test_set, images-val and train2017.
_NAME = re.compile(
    r"(?:(?:set|data|images|imgs?)[ _-])?"
    rf"(?P<word>{'|'.join(sorted(_PART_OF, key=len, reverse=True))})"
    r"(?:[ _-]?(?:set|split|data|dataset|images|imgs?|samples))?(?:[ _-]?\d{1,4})?"
)


class Places(NamedTuple):
    """What the folders above each image say.

    Attributes:
        parts: "train", "validation" or "test" of each image; () where there are no splits.
        where: the folder that says it, of each image.
        classes: the class of each image, "" for none.
        notes: what was decided, in lines.
        mixed: why splits cannot be told from classes; empty where they can.
    """

    parts: tuple[str, ...]
    where: tuple[str, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    mixed: str = ""


def part_of_name(name: str) -> str | None:
    """Which part of a data set a name stands for: "train", "validation", "test", or None."""
    found = _NAME.fullmatch(name.strip().casefold())
    return _PART_OF[found["word"]] if found else None


def places_of(folders: Sequence[tuple[str, ...]]) -> Places:
    """Tell splits from classes by the names of the folders that each image lies in, from the top.

    Splits are at the top (train/cat/, val/cat/), where a folder with others beside it is none, or
    below the classes (cat/train/, cat/val/).
    """
    tops = list(dict.fromkeys(names[0] if names else "" for names in folders))
    splits = [top for top in tops if part_of_name(top)]
    if not splits:
        return _below_classes(folders, tops)
    others = [top for top in tops if top not in splits]
    if not others:
        again = _repeated(folders)
        classes = [names[1 + (names[0] in again) :] for names in folders]
        return Places(
            tuple(part_of_name(names[0]) or "" for names in folders),
            tuple(f"{names[0]}/" for names in folders),
            tuple(names[0] if names else "" for names in classes),
        )
    there, beside = listed([f"{top}/" for top in splits]), _in_words(others)
    if _is_train(splits, folders):
        note = f"{there} is taken for a class beside {beside}: no folder for a test is there"
        return _by_top(folders)._replace(notes=(note,))
    one = len(splits) == 1
    return _mixed(
        folders,
        f"{there} {'is a split by its name' if one else 'are splits by their names'}, and {beside} "
        f"beside {'it' if one else 'them'} is none: move that into a split (train/CLASS/) or away, "
        "or rename the split",
    )


def _mixed(folders: Sequence[tuple[str, ...]], why: str) -> Places:
    """Neither splits nor classes."""
    return Places((), (), ("",) * len(folders), mixed=why)


def _in_words(tops: Sequence[str]) -> str:
    return listed([f"{top}/" if top else "images in no folder" for top in tops], most=6)


def _by_top(folders: Sequence[tuple[str, ...]]) -> Places:
    """No splits; the first folder is the class."""
    return Places((), (), tuple(names[0] if names else "" for names in folders))


def _repeated(folders: Sequence[tuple[str, ...]]) -> set[str]:
    """Splits as archives unpack them at times: all of test_set/ lies in test_set/test_set/."""
    again = {names[0] for names in folders if names[1:2] == names[:1]}
    return again - {names[0] for names in folders if names[1:2] != names[:1]}


def _is_train(splits: Sequence[str], folders: Sequence[tuple[str, ...]]) -> bool:
    """Whether `train` is a vehicle: the one split by name, and no images lie any deeper."""
    if [split.casefold() for split in splits] != ["train"]:
        return False
    return all(len(names) == 1 for names in folders)


def _below_classes(folders: Sequence[tuple[str, ...]], tops: Sequence[str]) -> Places:
    """Splits below the classes, or below the one folder of a data set; mostly there are none."""
    parts = [part_of_name(names[1]) if len(names) > 1 else None for names in folders]
    if len(tops) == 1 and all(parts) and all(len(names) > 2 for names in folders):
        inner = places_of([names[1:] for names in folders])
        return inner._replace(where=tuple(f"{tops[0]}/{where}" for where in inner.where))
    of_top: dict[str, set[str | None]] = {}
    for names, part in zip(folders, parts, strict=True):
        of_top.setdefault(names[0] if names else "", set()).add(part)
    divided = [top for top, found in of_top.items() if "train" in found and found - {"train", None}]
    if not divided:
        return _by_top(folders)
    if all(parts):
        where = tuple(f"*/{names[1]}/" for names in folders)
        return Places(
            tuple(part or "" for part in parts), where, tuple(names[0] for names in folders)
        )
    top = next(top for top, found in of_top.items() if None in found)
    return _mixed(
        folders,
        f"{divided[0]}/ is divided into train/ and others, and "
        f"{'what is in ' if top == divided[0] else ''}{_in_words([top])} is not: put all images "
        "into CLASS/train/ and CLASS/test/, or none",
    )


def rows_of_part(
    name: object, places: Places, split: str, *, mend: str = ""
) -> tuple[list[int], dict[str, dict[str, int]]]:
    """The rows of a split where the data bring splits, and how many images of what are in which.

    Where there is a test, what is called validation is in neither; else it is the test.

    Args:
        name: of the folder or list, for messages.
        places: of the images.
        split: "train", "test" or "all".
        mend: what to do where the data lack it; by default what is for folders.

    Raises:
        FileNotFoundError: for a split that the data lack.
    """
    held = "test" if "test" in places.parts else "validation"
    use_of = {"train": "train", held: "test"}
    uses = [use_of.get(part, "neither") for part in places.parts]
    counts = Counter(zip(uses, places.where, strict=True))
    splits = {
        use: {place: n for (of, place), n in counts.items() if of == use}
        for use in ("train", "test", "neither")
        if use in uses
    }
    if split != "all" and split not in splits:
        there = listed(list(dict.fromkeys(places.where)))
        mend = mend or f"name the folder inside ({there}), which is then divided"
        raise FileNotFoundError(
            f"{shown(name)}: nothing in it is for the split {split}, it has {there} alone: add "
            f"what is missing, or {mend}"
        )
    return [row for row, use in enumerate(uses) if split in ("all", use)], splits


def numbered(names: Sequence[str]) -> tuple[Int[np.ndarray, " n"], dict[str, int], bool]:
    """The label of each image (-1 without a class), those of the classes, and whether by number.

    Where all names are whole numbers they are the labels; else these count the names in
    alphabetical order. Numbers too large for labels, such as dates, are names, and so are 7 beside
    007.
    """
    known = sorted(set(names) - {""})
    numbers = bool(known) and all(map(_is_label, known))
    numbers = numbers and len(set(map(int, known))) == len(known)
    labels = {name: int(name) if numbers else rank for rank, name in enumerate(known)}
    return np.array([labels.get(name, -1) for name in names], np.int32), labels, numbers


def _is_label(name: str) -> bool:
    digits = name.lstrip("0")
    return name.isascii() and name.isdecimal() and len(digits) < 6 and int(name) < MOST_CLASSES


def divided(
    folder: Path, below: Sequence[tuple[str, ...]], split: str
) -> tuple[list[int] | None, Int[np.ndarray, " n"] | None, Folders]:
    """What the folders of images say: the rows of a split (None: no splits), labels, and all of it.

    Args:
        folder: that the images lie below.
        below: the parts of their paths below it.
        split: "train", "test" or "all".

    Raises:
        FileNotFoundError: for a split that the folder lacks.
        ValueError: for split folders with others beside them, unless all images are asked for.
    """
    places = places_of([parts[:-1] for parts in below])
    if places.mixed and split != "all":
        raise ValueError(f"{shown(folder)}: {places.mixed} (the split all takes everything)")
    rows, splits = None, {}
    if places.parts:
        rows, splits = rows_of_part(folder, places, split)
    labels, classes, numbers = numbered(places.classes)
    notes = [*places.notes, *([f"{places.mixed}. No classes are taken"] if places.mixed else [])]
    chosen = np.arange(len(below)) if rows is None else np.array(rows)
    without = chosen[labels[chosen] < 0]
    if len(without) and classes:
        notes.append(
            f"no labels: {len(without)} of {len(chosen)} images lie in no folder of a class, the "
            f"first is {shown('/'.join(below[without[0]]))}"
        )
    if alone := _alone(places):
        notes.append(f"classes of one split alone: {listed(alone)}")
    taken = None if len(without) else labels
    return rows, taken, Folders(splits, classes, numbers, tuple(notes))


def _alone(places: Places) -> list[str]:
    """The classes that one split alone has, with the folder of the split."""
    found: dict[str, dict[str, str]] = {}
    for name, part, where in zip(places.classes, places.parts, places.where, strict=False):
        found.setdefault(name, {})[part] = where
    return [
        f"{name} ({where})"
        for name, of in sorted(found.items())
        if name and len(of) == 1 < len(set(places.parts))
        for where in of.values()
    ]
