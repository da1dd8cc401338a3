"""The images of a neural detector: real ones and generated ones, parted by what they are for."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

from gan_forensics.data import FileSource, ImageError, Rows, Source
from gan_forensics.data.survey import OnBadImage, surveyed
from gan_forensics.files import shown
from gan_forensics.forensics.calibration import smallest_calibration_set
from gan_forensics.forensics.calibrators import FEWEST
from gan_forensics.forensics.evidence import rest_trains
from gan_forensics.forensics.partition import parted
from gan_forensics.forensics.preprocessing import NATIVE, Preprocessing

Progress = Callable[[range], Iterable[int]]


class Parts(NamedTuple):
    """Disjoint real and generated images for each purpose, and how they were parted.

    Attributes:
        train: (real, generated) to train on.
        validation: (real, generated) that decide when to stop and which checkpoint is kept.
        calibration: real images that set the threshold.
        measurement: (real, generated) that what it achieves is measured on; None where the caller
            measures on images of its own.
        split: the split in words.
        groups: of the images of calibration and of measurement; None where each is its own.
        left_out: what was, as `data.survey.surveyed` gives it.
        reference: (real, generated) that likelihood ratios are calibrated on; None without.
        reference_groups: of their images; None where each is its own.
        without: why there are no reference images, or "".

    Example:
        >>> from gan_forensics.data import ArraySource
        >>> images = ArraySource(image=np.zeros((8, 4, 4, 3), np.uint8))
        >>> parts = Parts((images, images), (images, images), images, None, split="none, for show")
        >>> len(parts.calibration)
        8
    """

    train: tuple[Source, Source]
    validation: tuple[Source, Source]
    calibration: Source
    measurement: tuple[Source, Source] | None
    split: str
    groups: tuple[np.ndarray, tuple[np.ndarray, np.ndarray]] | None = None
    left_out: Mapping[str, Any] = MappingProxyType({})
    reference: tuple[Source, Source] | None = None
    reference_groups: tuple[np.ndarray, np.ndarray] | None = None
    without: str = ""


class RealAndFake:
    """Real images, then generated ones, all of three channels; "label" is 1 for generated."""

    def __init__(self, real: Source, fake: Source):
        self.real, self.fake = real, fake

    def __len__(self) -> int:
        return len(self.real) + len(self.fake)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        generated = index >= len(self.real)
        image = self.fake[index - len(self.real)] if generated else self.real[index]
        pixels = image["image"]
        pixels = np.repeat(pixels, 3 // pixels.shape[-1], -1)
        return {"image": pixels, "label": np.asarray(generated, np.int32)}


def part(
    real: tuple[Source, Source],
    fake: tuple[Source, Source],
    *,
    split: str,
    seed: int = 0,
    measure: bool = True,
    false_alarms: float = 0.05,
    preprocessing: Preprocessing = NATIVE,
    on_bad_image: OnBadImage = "stop",
    progress: Progress = iter,
) -> Parts:
    """Parts of (train, held-out) sources: the held-out images are parted at random.

    Real ones in equal parts for validation, calibration, measurement and reference, generated ones
    for the first and the last two. Where too few would be left for likelihood ratios, or for the
    threshold, there is no reference part. Flat images (`data.flat`) are left out.

    Args:
        real, fake: (train, held-out) sources.
        split: in words.
        seed: of the choice.
        measure: False leaves measuring to the caller, and its images to the other uses; without it
            there are no likelihood ratios.
        false_alarms: that the threshold will bound.
        preprocessing: what will be done to the images, after which some may be flat.
        on_bad_image: refuse files that cannot be read, all at once, or leave them out.
        progress: as in `chunks`.

    Raises:
        ValueError: for too few held-out images of a kind.
        ImageError: for files that cannot be read.

    Example:
        >>> from gan_forensics.data import ArraySource
        >>> images = np.random.default_rng(0).integers(0, 256, (30, 8, 8, 3), np.uint8)
        >>> sources = ArraySource(image=images[:18]), ArraySource(image=images[18:])
        >>> len(part(sources, sources, split="for show").calibration)
        4
    """
    given = {
        "real": real[0], "generated": fake[0],
        "real, held out": real[1], "generated, held out": fake[1],
    }  # fmt: skip
    _, usable, left_out = surveyed(
        given, view=preprocessing, on_bad_image=on_bad_image, progress=progress
    )
    real, fake = (usable[0], usable[2]), (usable[1], usable[3])
    uses = {"real": ("validation", "calibration"), "generated": ("validation",)}
    uses = {name: (*of, *("measurement",) * measure) for name, of in uses.items()}
    held = {"real": real[1], "generated": fake[1]}
    without = _no_reference(held, uses, false_alarms) if measure else ""
    if measure and not without:
        uses = {name: (*of, "reference") for name, of in uses.items()}
    parted_by: dict[str, dict[str, Source]] = {}
    for name, images in held.items():
        if len(images) < len(uses[name]):
            raise ValueError(
                f"{len(images)} held-out {name} images cannot serve for {', '.join(uses[name])}: "
                "give more images"
            )
        order = np.random.default_rng(seed).permutation(len(images))
        pieces = np.array_split(order, len(uses[name]))
        parted_by[name] = {
            use: Rows(images, np.sort(piece)) for use, piece in zip(uses[name], pieces, strict=True)
        }
    a, b = parted_by["real"], parted_by["generated"]

    def both(use: str) -> tuple[Source, Source] | None:
        return (a[use], b[use]) if use in a else None

    return Parts(
        (real[0], fake[0]),
        (a["validation"], b["validation"]),
        a["calibration"],
        both("measurement"),
        split,
        left_out=left_out,
        reference=both("reference"),
        without=without,
    )


def _no_reference(
    held: Mapping[str, Source], uses: Mapping[str, Sequence[str]], false_alarms: float
) -> str:
    """Why the held-out images do not suffice for one use more; empty where they do."""
    needed = {"real": max(FEWEST, smallest_calibration_set(false_alarms)), "generated": FEWEST}
    for name, most in needed.items():
        parts, count = len(uses[name]) + 1, len(held[name])
        if count // parts < most:
            return (
                f"{count} held-out {name} images are too few to set {FEWEST} apart for a "
                f"calibrator of likelihood ratios: give at least {most * parts}"
            )
    return ""


# Of the groups of images with real ones, and of the others: about a third is held out.
_SHARES = {"validation": 1 / 12, "calibration": 1 / 12, "measurement": 1 / 12, "reference": 1 / 12}
_FAKE_SHARES = {"validation": 1 / 8, "measurement": 1 / 8, "reference": 1 / 8}


def part_by_groups(
    real: Source,
    fake: Source,
    groups: tuple[np.ndarray, np.ndarray],
    *,
    split: str,
    seed: int = 0,
    preprocessing: Preprocessing = NATIVE,
    on_bad_image: OnBadImage = "stop",
    progress: Progress = iter,
) -> Parts:
    """Parts of sources, no group of images (such as the crops of one photograph) in two of them.

    Where the reference part would have too few groups for likelihood ratios, it trains too.

    Args:
        real, fake: the sources.
        groups: of each of their images.
        split, seed, preprocessing, on_bad_image, progress: as for `part`.

    Raises:
        ValueError: for too few groups.
        ImageError: for files that cannot be read.
    """
    surveys, (real, fake), left_out = surveyed(
        {"real": real, "generated": fake},
        view=preprocessing, on_bad_image=on_bad_image, progress=progress,
    )  # fmt: skip
    groups = groups[0][surveys[0].rows], groups[1][surveys[1].rows]
    rows = parted(*groups, shares=_SHARES, fake_shares=_FAKE_SHARES, seed=seed)
    without = rest_trains(rows, groups, _SHARES["reference"], grouped=True)
    for kind, name in enumerate(("real", "generated")):
        for use in ("train", *(_SHARES if kind == 0 else _FAKE_SHARES)):
            if use != "reference" and not len(rows[kind][use]):
                raise ValueError(
                    f"{len(set(groups[kind]))} groups of {name} images leave none for {use}: give "
                    "more groups"
                )

    def both(use: str) -> tuple[Source, Source]:
        return Rows(real, rows[0][use]), Rows(fake, rows[1][use])

    def of(use: str) -> tuple[np.ndarray, np.ndarray]:
        return groups[0][rows[0][use]], groups[1][rows[1][use]]

    return Parts(
        both("train"),
        both("validation"),
        both("calibration")[0],
        both("measurement"),
        split,
        (groups[0][rows[0]["calibration"]], of("measurement")),
        left_out,
        None if without else both("reference"),
        None if without else of("reference"),
        without,
    )


class OnDemand(Sequence):
    """Images made from things when asked for: a test set need not fit into memory."""

    def __init__(self, things: Any, make: Callable[[Any], np.ndarray]):
        self.things, self.make = things, make

    def __len__(self) -> int:
        return len(self.things)

    def __getitem__(self, index):
        return self.make(self.things[index])


def images_of(source: Source) -> Sequence[UInt8[np.ndarray, "_h _w c"]]:
    """All images of a source, of whatever sizes, each read when it is asked for."""
    return OnDemand(source, lambda example: example["image"])


@contextmanager
def file_named(source: Source, index: int) -> Iterator[None]:
    """Name the file whose image is refused (ValueError), where images are of files."""
    try:
        yield
    except ImageError:  # It does.
        raise
    except ValueError as error:
        if isinstance(source, FileSource):
            raise ValueError(f"{shown(source.describe(index))}: {error}") from None
        raise
