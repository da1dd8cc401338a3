"""What the translators of `experiments.translation_distillation` learn: sentences as ids."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gan_forensics.data.catalogues import Pairs, normalised, read_packages
from gan_forensics.data.text import open_parallel, part_of_sentence
from gan_forensics.data.vocabulary import Vocabulary, train_vocabulary
from gan_forensics.experiments.fetch_catalogues import of_words

SPLITS = ("train", "validation", "test")
# The catalogues, whose archives lie in a folder of their own.
CATALOGUES, HELD_OUT = "catalogues", "package held out"


class Task(NamedTuple):
    """Sentences of one task.

    Attributes:
        text: (sources, targets) by split: "train", "validation", "test", maybe `HELD_OUT`.
        vocabulary: of both languages, learnt from "train".
        facts: what was read and left out; JSON-able.
    """

    text: dict[str, tuple[Sequence[str], Sequence[str]]]
    vocabulary: Vocabulary
    facts: dict[str, Any]

    def ids(self, split: str) -> tuple[list[list[int]], list[list[int]]]:
        """The sentences of a split as ids."""
        source, target = self.text[split]
        encode = self.vocabulary.encode
        return [encode(line) for line in source], [encode(line) for line in target]


def open_task(
    source: str,
    *,
    sizes: tuple[int, ...] = (),
    largest: int = 0,
    seed: int,
    pieces: int,
    kind: str,
    catalogues: Path | None = None,
    held_out: str = "",
) -> Task:
    """Read a task and learn its vocabulary.

    Args:
        source: as `open_parallel` takes it, or `CATALOGUES`.
        sizes: how many numbers in words of each split; none for texts that end by themselves.
        largest: number that occurs.
        seed: of numbers and of splits by hash.
        pieces: of the vocabulary.
        kind: of the vocabulary.
        catalogues: folder of the archives.
        held_out: the package that no sentence of is trained on.
    """
    if source == CATALOGUES:
        if catalogues is None:
            raise ValueError("give the folder of experiments.fetch_catalogues with --catalogues")
        text, facts = _catalogues(catalogues, held_out, seed)
    else:
        text, facts = {}, {}
        for split, n in zip(SPLITS, sizes or (None, None, None), strict=True):
            name = source if n is None else f"{source}?n={n}&largest={largest}"
            found = open_parallel(name, split=split, seed=seed)
            text[split], facts[split] = (found.source, found.target), found.facts
    lines = [line for side in text["train"] for line in side]
    vocabulary = train_vocabulary(lines, size=pieces, kind=kind)
    return Task(text, vocabulary, {**facts, "pieces": len(vocabulary)})


def _catalogues(folder: Path, held_out: str, seed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Catalogues split by package and, among the others, by source sentence."""
    packages = read_packages(folder, "de")
    names = [package.name for package in packages]
    if held_out not in names:
        raise ValueError(f"no package {held_out!r} to hold out; there are {', '.join(names)}")
    pairs: dict[str, Pairs] = {split: [] for split in (*SPLITS, HELD_OUT)}
    seen: set[tuple[str, str]] = set()
    known: set[str] = set()
    repeated = shared = 0
    # The one that is held out comes last, when all that is trained on is known.
    for package in sorted(packages, key=lambda package: package.name == held_out):
        for source, target in of_words(package.pairs):
            if (source, target) in seen:
                repeated += 1
            elif package.name != held_out:
                pairs[part_of_sentence(source, seed)].append((source, target))
                known.add(normalised(source))
            elif normalised(source) in known:
                shared += 1
            else:
                pairs[HELD_OUT].append((source, target))
            seen.add((source, target))
    facts = {
        "packages": {package.name: package.facts for package in packages},
        "held out": held_out,
        "repeated between packages": repeated,
        "of the package held out, known from others": shared,
        "pairs": {split: len(some) for split, some in pairs.items()},
    }
    return {split: tuple(zip(*some, strict=True)) for split, some in pairs.items()}, facts
