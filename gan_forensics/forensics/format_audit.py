"""Can real and generated images be told apart without a look at their pixels?

Grommelt, Weiss, Pfreundt and Keuper, "Fake or JPEG? Revealing common biases in generated image
detection data sets" (2024): where real images are JPEGs of many sizes and generated ones PNGs of
one, a detector learns that, scores well, and says nothing about generated images. So the facts of
the files (container, JPEG quality, size, aspect, colours) are given to a classifier of their own.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_forensics.data import FileSource, Header, ImageError, Source, read_header
from gan_forensics.data.carriers import LONGEST
from gan_forensics.forensics.intervals import rate_interval
from gan_forensics.forensics.preprocessing import Preprocessing

if TYPE_CHECKING:
    from gan_forensics.forensics.score_files import ScoredImage

# Fewer files of a class say nothing.
FEWEST = 5
FOLDS = 5
# A second compression hides the first where its quality is lower by this much. Measured with
# regressions of spectra and DCTs, real images against real ones of which half were JPEGs: AUC .81
# and .68 for 70 then 60 and 90 then 75 on textures, .50 to .64 for 70 then 40 and 90 then 60;
# photographs of quality 80 to 95 are told from others with .45 to .53 after 75 already.
GAP, ADVISED = 25, 30


@dataclass(frozen=True)
class Seen:
    """What the files of some images are like.

    Attributes:
        containers: how many files of each, such as PNG.
        qualities: lowest and highest JPEG quality; None without JPEGs.
        shorter: the shortest and the longest of the shorter sides, in pixels.
        longer: likewise of the longer sides.
        colours: how many files store gray, RGB, palette, CMYK.
        by_class: whether files of the same size class (`size_class`) count as of the same size: for
            detectors that look at tiles, whatever the size.
    """

    containers: dict[str, int]
    qualities: tuple[int, int] | None
    shorter: tuple[int, int]
    longer: tuple[int, int]
    colours: dict[str, int]
    by_class: bool = False

    @property
    def words(self) -> str:
        """One line."""
        kinds = [f"{n} {name}" for name, n in sorted(self.containers.items())]
        if self.qualities:
            low, high = self.qualities
            kinds.append(f"JPEG quality {low}" + (f" to {high}" if high > low else ""))
        (a, b), (c, d) = self.shorter, self.longer
        kinds.append(f"{c}x{a}" if (a, c) == (b, d) else f"sides of {a} to {d}")
        return ", ".join([*kinds, " and ".join(sorted(self.colours))])


# The longest side of each size class but the last, in pixels.
SIDES = (256, 512, 1024, 2048, 4096, 8192)
SIZES = (
    f"up to {SIDES[0]} pixels",
    *(f"{low + 1} to {high} pixels" for low, high in zip(SIDES, SIDES[1:], strict=False)),
    f"above {SIDES[-1]} pixels",
)


def size_class(height: int, width: int) -> str:
    """The size class of an image, by its longer side in pixels.

    Photographs of 1, 12 and 48 megapixels are of different ones.

    Example:
        >>> size_class(480, 640), size_class(6048, 8064)
        ('513 to 1024 pixels', '4097 to 8192 pixels')
    """
    return SIZES[int(np.searchsorted(SIDES, max(height, width)))]


def seen(headers: Sequence[Header], *, by_class: bool = False) -> Seen:
    """Sum up what some files are like; `by_class` as of `Seen`."""
    qualities = [header.quality for header in headers if header.quality is not None]
    sides = [sorted((header.height, header.width)) for header in headers]
    shorter, longer = ([side[i] for side in sides] for i in (0, 1))
    return Seen(
        dict(Counter(header.container for header in headers)),
        (min(qualities), max(qualities)) if qualities else None,
        (min(shorter), max(shorter)),
        (min(longer), max(longer)),
        dict(Counter(header.colours for header in headers)),
        by_class,
    )


def read_seen(facts: Any) -> Seen | None:
    """What a detector's facts say that it saw; None where they are silent.

    Raises:
        ValueError: for facts that are not of `Seen`.
    """
    if facts is None:
        return None

    def two(values) -> tuple[int, int]:
        low, high = values
        return int(low), int(high)

    def counts(values) -> dict[str, int]:
        return {str(name): int(n) for name, n in values.items()}

    try:
        return Seen(
            containers=counts(facts["containers"]),
            qualities=facts["qualities"] and two(facts["qualities"]),
            shorter=two(facts["shorter"]),
            longer=two(facts["longer"]),
            colours=counts(facts["colours"]),
            by_class=facts.get("by_class", False) is True,
        )
    except (TypeError, KeyError, AttributeError, ValueError) as error:
        raise ValueError(f"the detector's facts about the files that it saw: {error}") from None


def outside(file: "Header | ScoredImage", known: Seen, tier: str = "clean") -> str:
    """How a file differs from those that a detector saw, in words; empty where it does not.

    Files of the tiers web and hard are judged by what was calibrated on such JPEGs of the seen
    files: container and quality are not outside then, and sizes are compared with those that the
    tier leaves of the seen ones.

    Args:
        file: its facts.
        known: what the detector saw.
        tier: of `data.carriers.TIERS`, whose calibrator judges the file.
    """
    found = []
    longest = LONGEST.get(tier)
    if longest is not None:
        known = _shipped(known, longest)
    elif file.container not in known.containers:
        found.append(f"{file.container} (fitted on {' and '.join(sorted(known.containers))})")
    elif file.quality is not None and known.qualities:
        low, high = known.qualities
        if not low <= file.quality <= high:
            found.append(f"JPEG quality {file.quality} (fitted on {low} to {high})")
    found += _of_other_size(sorted((file.height or 0, file.width or 0)), known)
    if file.colours not in known.colours:
        found.append(f"{file.colours} (fitted on {' and '.join(sorted(known.colours))})")
    return "; ".join(found)


def _of_other_size(sides: list[int], known: Seen) -> list[str]:
    if known.by_class:
        low, high = (np.searchsorted(SIDES, side) for side in known.longer)
        if low <= np.searchsorted(SIDES, sides[1]) <= high:
            return []
        of = SIZES[low] if low == high else f"{SIZES[low]} and on, as far as {SIZES[high]}"
        return [f"longer side {sides[1]} (fitted on {of})"]
    found = []
    for side, name, (low, high) in zip(
        sides, ("shorter", "longer"), (known.shorter, known.longer), strict=True
    ):
        if not low <= side <= high:
            of = f"{low} to {high}" if high > low else str(low)
            found.append(f"{name} side {side} (fitted on {of})")
    return found


def _shipped(known: Seen, longest: int) -> Seen:
    """What is left of the sides where the longer one is shrunk to at most `longest` pixels."""
    longer = min(known.longer[0], longest), min(known.longer[1], longest)
    # Which shorter side goes with which longer one is not known: the widest span that can be.
    least = round(known.shorter[0] * min(1.0, longest / known.longer[1]))
    return replace(known, longer=longer, shorter=(least, min(known.shorter[1], longest)))


@dataclass(frozen=True)
class Audit:
    """What the files of real and generated images give away.

    Attributes:
        real, generated: what they are like.
        accuracy: balanced accuracy of a classifier of these facts, cross-validated; chance is 0.5.
        remaining: the same of the facts that the preprocessing leaves.
        biased: whether the latter beats chance, with a confidence of at least 95 %.
        native: whether the former does.
        advice: what to do about it; empty where nothing needs to be done.
    """

    real: Seen
    generated: Seen
    accuracy: float
    remaining: float
    biased: bool
    native: bool
    advice: str


def file_headers(source: Source) -> tuple[list[Header], list[str]] | None:
    """The headers of all files of a source, of all its splits, and why others cannot be read.

    None where it is not of files.
    """
    if not isinstance(source, FileSource):
        return None
    found, errors = [], []
    for path in source.among:
        try:
            found.append(read_header(path))
        except ImageError as error:
            errors.append(str(error))
    return found, errors


def audit(
    real: Sequence[Header],
    generated: Sequence[Header],
    preprocessing: Preprocessing,
    *,
    seed: int = 0,
) -> Audit | None:
    """Cross-validate a classifier of the facts of files; None for fewer than `FEWEST` of a class.

    Args:
        real, generated: headers of the files.
        preprocessing: what will be done to the images. A crop leaves no fact about sizes; `recode`
            none about containers and quality, where it is `GAP` below the coarsest file.
        seed: of the folds.
    """
    if min(len(real), len(generated)) < FEWEST:
        return None
    headers = [*real, *generated]
    label = np.repeat([0, 1], [len(real), len(generated)])
    seen_real, seen_fake = seen(real), seen(generated)
    qualities = [h.quality for h in headers if h.quality is not None]
    recoded = preprocessing.recode is not None and preprocessing.recode <= min(
        [*qualities, 100]
    ) - GAP  # fmt: skip
    every = _facts(headers)
    left = {
        name: values
        for name, values in every.items()
        if not (recoded and name.startswith(("container", "quality")))
        and not (preprocessing.crop and name.startswith("size"))
    }
    accuracy, native = _accuracy(every, label, seed)
    remaining, biased = _accuracy(left, label, seed)
    return Audit(
        seen_real, seen_fake, accuracy, remaining, biased, native,
        _advice(left, label, qualities, seed) if biased else "",
    )  # fmt: skip


def _facts(headers: Sequence[Header]) -> dict[str, np.ndarray]:
    """Columns of numbers; the first word of a name says what they are of."""
    facts = {}
    for name in sorted({header.container for header in headers}):
        facts[f"container {name}"] = np.array([h.container == name for h in headers], float)
    facts["quality"] = np.array([h.quality or 0 for h in headers], float)
    facts["size height"] = np.log([h.height for h in headers])
    facts["size width"] = np.log([h.width for h in headers])
    facts["size aspect"] = facts["size width"] - facts["size height"]
    for name in sorted({header.colours for header in headers}):
        facts[f"colours {name}"] = np.array([h.colours == name for h in headers], float)
    return facts


def _accuracy(facts: dict[str, np.ndarray], label: np.ndarray, seed: int) -> tuple[float, bool]:
    """Cross-validated balanced accuracy, and whether it beats chance."""
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.tree import DecisionTreeClassifier

    x = np.stack(list(facts.values()), 1) if facts else np.zeros((len(label), 1))
    tree = DecisionTreeClassifier(max_depth=4, class_weight="balanced", random_state=seed)
    folds = StratifiedKFold(min(FOLDS, *np.bincount(label)), shuffle=True, random_state=seed)
    right = np.asarray(cross_val_predict(tree, x, label, cv=folds)) == label
    rates = [right[label == kind].mean() for kind in (0, 1)]
    # 97.5 % for each of the two ends, so that both hold with 95 %.
    ends = [rate_interval(int(r.sum()), len(r)).low for r in (right[label == k] for k in (0, 1))]
    return float(np.mean(rates)), bool(np.mean(ends) > 0.5)


def _advice(
    facts: dict[str, np.ndarray], label: np.ndarray, qualities: Sequence[int], seed: int
) -> str:
    """What would remove the facts that tell the classes apart."""
    steps = []
    kinds = {name.split()[0] for name in facts}
    telling = {
        kind
        for kind in sorted(kinds)
        if _accuracy({n: v for n, v in facts.items() if n.split()[0] == kind}, label, seed)[1]
    }
    if telling & {"container", "quality"}:
        quality = max(10, min([50, *(quality - ADVISED for quality in qualities)]))
        steps.append(f"--recode jpeg:{quality} compresses all alike")
    if "size" in telling:
        steps.append("--match-sizes cuts squares of one size out of all, without resizing")
    if "colours" in telling:
        steps.append("give both in the same colours, gray or not")
    return "; ".join(steps) or "prepare both alike: they differ in several facts together"
