"""Curves of the spectra of image files, and the means of sets of them."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.data import ImageError, square
from gan_forensics.data.decoding import Header
from gan_forensics.data.flat import FLAT, flat
from gan_forensics.data.survey import ERRORS, KEPT, OnBadImage
from gan_forensics.files import escaped, listed, shown
from gan_forensics.forensics.failures import UNFIT
from gan_forensics.forensics.format_audit import size_class
from gan_forensics.forensics.spectrum_bands import (
    SpectrumBands,
    codec_class,
    make_bands,
    tiles_curve,
    tiles_of,
)
from gan_forensics.spectra import Curve, SpectrumStatistic, log_spectrum_curve, ring_radii
from gan_forensics.spectra.curves import Normalise
from gan_forensics.spectra.gray import gray_channel

# Curves that are added to a mean at a time.
AT_ONCE = 1000
SMALL = "hold no tile"
# Why an image is left out, as results name it.
IS_FLAT, IS_SMALL, UNREAD = "flat", "small", "unread"


@dataclass(frozen=True)
class SpectrumScorer:
    """What gives images their curve, as `score_stream.score_shard` takes it.

    Attributes:
        normalise: as of `log_spectrum_curve`.
        size: that images are cut and resized to, if they are.
        tile: the side of the tiles whose mean curve an image has; None for that of the whole.
    """

    normalise: Normalise = "min-max"
    size: int | None = None
    tile: int | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What results rest on; there is no detector."""
        return {
            "normalise": self.normalise, "resize": self.size, "tile": self.tile,
            "detector_sha256": None,
        }  # fmt: skip

    @property
    def side(self) -> int | None:
        """Of the squares that curves are of, where images may have any size."""
        return self.tile or self.size

    @property
    def columns(self) -> dict[str, str]:
        """The curve, from low to high frequency."""
        return {"curve": "list<double>"}

    def check(self, header: Header) -> None:
        """Images of any size have a curve, but for those that hold no tile (ValueError)."""
        if self.tile and min(header.height, header.width) < self.tile:
            raise ValueError(
                f"images of {header.height}x{header.width} {SMALL} of {self.tile}x{self.tile}"
            )

    def prepared(self, pixels: Any) -> Any:
        """The image as it is looked at, or the curve of its tiles; ValueError refuses flat ones."""
        if self.tile:
            gray = tiles_of(pixels, self.tile).gray
            if not len(gray):
                raise ValueError(FLAT)
            return tiles_curve(gray, self.normalise)
        made = square(pixels, size=self.size)
        if flat([np.asarray(gray_channel(made))])[0]:
            raise ValueError(FLAT)
        return made

    def judge(self, given: list[tuple[Any, Header]]) -> Sequence[list[float]]:
        """The curve of each image."""
        if self.tile:
            return [curve.tolist() for curve, _ in given]
        by_shape: dict[tuple[int, ...], list[int]] = {}
        for place, (image, _) in enumerate(given):
            by_shape.setdefault(image.shape, []).append(place)
        curves: dict[int, list[float]] = {}
        for places in by_shape.values():
            images = np.stack([given[place][0] for place in places])
            found = log_spectrum_curve(images, normalise=self.normalise, precision="float64")
            curves |= dict(zip(places, np.asarray(found).tolist(), strict=True))
        return [curves[place] for place in range(len(given))]

    def cells(self, found: list[float], header: Header) -> dict[str, Any]:
        """The curve."""
        return {"curve": found}


@dataclass
class MeanCurves:
    """The mean curves of sets of images, of the rows of all shards.

    Attributes:
        sets: paths of folders, or of files of images, none of which lies in another.
        scorer: what the curves were made by.
    """

    sets: Sequence[Path]
    scorer: SpectrumScorer
    _found: dict[str, "_Set"] = field(default_factory=dict)

    def __post_init__(self):
        whole = [os.path.abspath(path) for path in self.sets]
        for path in whole:
            for other in whole:
                if path != other and f"{path}/".startswith(f"{other}/"):
                    raise ValueError(
                        f"{shown(path)} lies in {shown(other)}, and each image is in one shard: "
                        "give them apart, in two folders of results"
                    )
        self._found = {
            escaped(path): _Set(str(given), kept=self.scorer.tile is not None)
            for path, given in zip(whole, self.sets, strict=True)
        }

    def take(self, row: Mapping[str, Any]) -> None:
        """Add the row of an image."""
        path = row["input"]
        while path not in self._found:
            if path == os.path.dirname(path):
                raise ValueError(f"{row['input']}: it is in none of the folders that are named")
            path = os.path.dirname(path)
        self._found[path].take(row, self.scorer.side)

    def curves(self, on_bad_image: OnBadImage) -> dict[str, Curve]:
        """The mean of each set, as of `spectra.mean_curves`.

        Raises:
            ImageError: for files that cannot be read, unless they are left out.
            ValueError: for images of several sizes, and a set of which nothing is left.
        """
        sets = list(self._found.values())
        bad = [text for each in sets for text in each.first[UNREAD]]
        if (count := sum(each.left_out[UNREAD] for each in sets)) and on_bad_image != "skip":
            first = "; ".join(map(shown, bad[:ERRORS]))
            raise ImageError(
                f"{count} images cannot be read; leave them out with --on-bad-image skip, or mend "
                f"them and start workers of shards with --retry-failed: {first}"
            )
        first = sets[0]
        for each in sets:
            if not each.count:
                why = listed([f"{n} are {reason}" for reason, n in each.left_out.items()])
                raise ValueError(
                    f"{shown(each.name)}: none of its images can be used" + f": {why}" * bool(why)
                )
            if each.shape != first.shape:
                raise ValueError(
                    f"{shown(each.name)} holds images of {each.sides}, {shown(first.name)} of "
                    f"{first.sides}: bring all to one size (--resize N)"
                )
        return {each.name: each.curve() for each in sets}

    def check_names(self) -> None:
        """Refuse two sets that bands would call alike (ValueError)."""
        names: dict[str, str] = {}
        for whole, each in self._found.items():
            if (other := names.setdefault(os.path.basename(whole), each.name)) != each.name:
                raise ValueError(
                    f"{shown(other)} and {shown(each.name)}: bands go by the names of folders, and "
                    "these have one: rename one of them"
                )

    def bands(self) -> SpectrumBands:
        """Bands of the curves of tiles, by the names of the folders without their paths.

        Raises:
            ValueError: as `make_bands`.
        """
        assert self.scorer.tile is not None
        return make_bands(
            {os.path.basename(whole): each.by_kind for whole, each in self._found.items()},
            side=self.scorer.tile,
            normalise=self.scorer.normalise,
        )


class _Set:
    """A set of images: the sum of its curves, those of tiles too, and what was left out."""

    def __init__(self, name: str, *, kept: bool):
        self.name = name
        self.count = 0
        # By the classes of codec and size; quantiles ask for all of them.
        self.by_kind: dict[tuple[str, str], list[np.ndarray]] = {}
        self._kept = kept
        self.left_out: Counter[str] = Counter()
        self.first: dict[str, list[str]] = {reason: [] for reason in (IS_FLAT, IS_SMALL, UNREAD)}
        self.shape: tuple[int, int] | None = None
        self._first = ""
        self._statistic: SpectrumStatistic | None = None
        self._waiting: list[list[float]] = []

    @property
    def sides(self) -> str:
        """Its size in words."""
        return "x".join(map(str, self.shape or ()))

    def take(self, row: Mapping[str, Any], size: int | None) -> None:
        """Add a row."""
        name = row["input"] if row["member"] is None else f"{row['input']}/{row['member']}"
        if row.get("error_kind"):
            reason = _reason(row)
            self.left_out[reason] += 1
            some = self.first[reason]
            some += [row["error"] if reason == UNREAD else name] * (len(some) < KEPT)
            return
        of = row["height"], row["width"]
        shape = (size, size) if size else of
        if self.shape not in (None, shape):
            raise ValueError(
                f"images of different sizes: {self._first} is {self.sides}, {name} is "
                f"{shape[0]}x{shape[1]}; --resize N brings all to one"
            )
        self.shape, self._first = shape, self._first or name
        self.count += 1
        self._waiting.append(row["curve"])
        if self._kept:
            kind = codec_class(row["codec"], row["quality"]), size_class(*of)
            self.by_kind.setdefault(kind, []).append(np.array(row["curve"], np.float32))
        if len(self._waiting) == AT_ONCE:
            self._add()

    def _add(self) -> None:
        values = np.array(self._waiting)
        self._waiting.clear()
        if len(values):
            before = self._statistic or SpectrumStatistic.zero(values.shape[1])
            self._statistic = before.update(values)

    def curve(self) -> Curve:
        """The mean of all."""
        self._add()
        assert self._statistic is not None and self.shape is not None
        mean, deviation, count = (np.asarray(value) for value in self._statistic.result())
        facts: dict[str, Any] = {}
        if self.left_out:
            facts = {
                "images": self.count + self.left_out.total(),
                **{
                    reason: {"count": self.left_out[reason], "first": some}
                    for reason, some in self.first.items()
                    if some or reason != IS_SMALL
                },
            }
        return Curve(mean, deviation, ring_radii(*self.shape), int(count), facts)


def _reason(row: Mapping[str, Any]) -> str:
    """Why an image has no curve."""
    if row["error"].endswith(FLAT):
        return IS_FLAT
    return IS_SMALL if f" {SMALL} of " in row["error"] and row["error_kind"] == UNFIT else UNREAD
