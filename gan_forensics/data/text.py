"""Parallel text: sentences and their translations, opened by a name.

What is left out is counted with its reason in `facts`. Where the data bring no splits of their
own, a pair's split follows from its source sentence (compatibility forms, case and blanks made
equal), so that no sentence is both trained on and tested.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from gan_forensics.data.catalogues import (
    LARGEST,
    Pairs,
    catalogue_files,
    normalised,
    read_catalogue,
    translations,
)
from gan_forensics.data.names import with_options
from gan_forensics.data.number_words import number_words
from gan_forensics.data.tfds_text import read_tfds_text
from gan_forensics.files import check_file_in, open_regular, read_bytes, refuse_remote

SPLITS = ("train", "validation", "test")
SOURCES = (
    "pair:SOURCE.txt,TARGET.txt",
    "po:PATH",
    "numbers:de",
    "numbers:ru",
    "tfds:ted_multi_translate:en-de",
    "tfds:wmt16_translate/de-en",
    "tfds:ted_hrlr_translate/ru_to_en",
)
# Longer sentences are left out: words as IWSLT's preparation does, letters where there is no blank.
LONGEST_WORDS, LONGEST_LETTERS = 175, 2000


class ParallelText(NamedTuple):
    """Sentences and their translations.

    Attributes:
        source: the sentences.
        target: their translations, in the same order.
        facts: "name", "split", "read", "kept" and "left_out" (counts by reason); JSON-able.

    Example:
        >>> text = ParallelText(("four",), ("vier",), {"name": "numbers", "kept": 1})
        >>> text.source[0], text.target[0]
        ('four', 'vier')
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    facts: dict


def open_parallel(name: str, *, split: str = "train", seed: int = 0) -> ParallelText:
    """Open the parallel text that a string names.

    ====================================  =====================================================
    `pair:SOURCE.txt,TARGET.txt`          aligned files: a sentence a line, UTF-8
    `po:PATH`                             a gettext catalogue (.po, .mo), or a folder of them
    `numbers:de`, `numbers:ru`            numbers in words, from English (`n`, `largest`)
    `tfds:NAME[/CONFIG][:SOURCE-TARGET]`  translations of a TensorFlow data set (`data_dir`)
    ====================================  =====================================================

    Options are appended as in `numbers:de?n=500&largest=9999`.

    Args:
        name: one of the above.
        split: "train", "validation" or "test": those of the TensorFlow data set; of files and
            catalogues fourteen, one and one sixteenth by a hash of the source sentence; numbers are
            drawn for each split. "all" of files and catalogues, which bring no splits.
        seed: of the draw or the hash.

    Raises:
        ValueError: an unknown name, option or split; files empty, not aligned or not UTF-8.
        FileNotFoundError: a file is missing.

    Example:
        >>> text = open_parallel("numbers:de?n=100&largest=999")  # doctest: +SKIP
        >>> text.source[0], text.target[0]  # doctest: +SKIP
        ('eight hundred and fifty', 'achthundertfünfzig')
    """
    refuse_remote(name)
    if split not in (*SPLITS, "all"):
        raise ValueError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}")
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    scheme, _, rest = name.partition(":")
    if split == "all" and not undivided(name):
        raise ValueError(f"{name} has splits of its own: choose one of {', '.join(SPLITS)}")
    if scheme == "numbers":
        language, _, query = rest.partition("?")
        opener = partial(_numbers, language, split=split, seed=seed)
        return _facts(with_options(opener, name, query), Counter(), name, split)
    if scheme == "tfds":
        match = re.fullmatch(r"(?P<set>[\w./-]+)(?::(?P<pair>[\w-]+))?(?:\?(?P<query>.*))?", rest)
        if match:
            opener = partial(read_tfds_text, match["set"], pair=match["pair"], split=split)
            pairs, left_out = with_options(opener, name, match["query"] or "")
            return _parallel(pairs, left_out, name, split)
    readers = {"pair": _read_pair, "po": _read_catalogues}
    if scheme not in readers or not rest:
        raise ValueError(f"unknown parallel text {name!r}; choose one of {', '.join(SOURCES)}")
    pairs, left_out = readers[scheme](rest)
    return _parallel(pairs, left_out, name, split, seed=None if split == "all" else seed)


def undivided(name: str) -> bool:
    """Whether a parallel text has no splits of its own: files and catalogues."""
    return name.startswith(("pair:", "po:"))


def part_of_sentence(source: str, seed: int = 0) -> str:
    """Which split a pair belongs to, by a hash of its normalised source: a sixteenth for "test"."""
    number = hashlib.sha256(f"{seed} {normalised(source)}".encode()).digest()[0] % 16
    return {0: "test", 1: "validation"}.get(number, "train")


def _numbers(
    language: str, *, split: str, seed: int, n: int | None = None, largest: int = 999_999
) -> Pairs:
    n = {"train": 10_000}.get(split, 500) if n is None else n
    words = number_words(language, n=n, split=split, seed=seed, largest=largest)
    return list(zip(*words, strict=True))


def _parallel(
    pairs: Iterable[tuple[str, str]],
    left_out: Counter,
    name: str,
    split: str,
    *,
    seed: int | None = None,
) -> ParallelText:
    """Leave out what is blank or over-long, and with a seed the other splits."""
    kept = []
    for source, target in pairs:
        source, target = " ".join(source.split()), " ".join(target.split())
        if not source or not target:
            left_out["blank"] += 1
        elif max(len(source.split()), len(target.split())) > LONGEST_WORDS or (
            max(len(source), len(target)) > LONGEST_LETTERS
        ):
            left_out[f"over {LONGEST_WORDS} words or {LONGEST_LETTERS} letters"] += 1
        elif seed is not None and part_of_sentence(source, seed) != split:
            left_out["other splits"] += 1
        else:
            kept.append((source, target))
    if not kept:
        gone = ", ".join(f"{count} {why}" for why, count in left_out.items()) or "nothing"
        raise ValueError(
            f"{name}: no pair in the {split} split; left out: {gone}. Give more pairs, or for "
            "validation others (train translator --validation NAME)"
        )
    return _facts(kept, left_out, name, split)


def _facts(pairs: Pairs, left_out: Counter, name: str, split: str) -> ParallelText:
    facts = {
        "name": name,
        "split": split,
        "read": len(pairs) + left_out.total(),
        "kept": len(pairs),
        "left_out": dict(left_out),
    }
    source, target = zip(*pairs, strict=True)
    return ParallelText(source, target, facts)


def read_lines(path: Path | str) -> list[str]:
    """The lines of a UTF-8 text file, blank ones among them, without their ends.

    Raises:
        ValueError: it is not UTF-8 (the line is named) or a folder.
        FileNotFoundError: it is missing.
    """
    path = Path(path).expanduser()
    check_file_in(path, "a text file")
    lines = []
    # Only a line feed ends a line: splitlines would also cut at form feeds and the like.
    with open_regular(path) as file:
        for number, line in enumerate(file, 1):
            try:
                lines.append(line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n"))
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path}, line {number}: byte {line[error.start]:#04x} at {error.start} is not "
                    "UTF-8; convert the file (iconv -t UTF-8)"
                ) from error
    return lines


def _read_pair(rest: str) -> tuple[Pairs, Counter]:
    paths = rest.split(",")
    if len(paths) != 2:
        raise ValueError(
            f"pair:{rest}: give two files with a comma between, and none in their names"
        )
    source, target = map(read_lines, paths)
    for path, lines in zip(paths, (source, target), strict=True):
        if not any(line.strip() for line in lines):
            raise ValueError(f"{path}: it is empty; give a sentence a line")
    if len(source) != len(target):
        raise ValueError(
            f"{paths[0]} has {len(source)} lines, {paths[1]} {len(target)}: line n of one must be "
            "the translation of line n of the other (blank lines where there is none)"
        )
    return list(zip(source, target, strict=True)), Counter()


def _read_catalogues(rest: str) -> tuple[Pairs, Counter]:
    path = Path(rest).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"po:{rest}: no such file or folder; check the path")
    pairs, left_out = [], Counter()
    for file in catalogue_files(path):
        found, gone = read_catalogue(read_bytes(file, most=LARGEST), str(file))
        pairs, left_out = pairs + found, left_out + gone
    pairs, gone = translations(pairs)
    return pairs, left_out + gone
