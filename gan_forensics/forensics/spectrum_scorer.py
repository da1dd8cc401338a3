"""Curves of the spectra of image files, and the means of sets of them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.data import ImageError, square
from gan_forensics.data.decoding import Header
from gan_forensics.data.flat import FLAT, flat
from gan_forensics.data.survey import ERRORS, KEPT, OnBadImage
from gan_forensics.files import escaped, shown
from gan_forensics.spectra import Curve, SpectrumStatistic, log_spectrum_curve, ring_radii
from gan_forensics.spectra.curves import Normalise
from gan_forensics.spectra.gray import gray_channel

# Curves that are added to a mean at a time.
AT_ONCE = 1000


@dataclass(frozen=True)
class SpectrumScorer:
    """What gives images their curve, as `score_stream.score_shard` takes it.

    Attributes:
        normalise: as of `log_spectrum_curve`.
        size: that images are cut and resized to, if they are.
    """

    normalise: Normalise = "min-max"
    size: int | None = None

    @property
    def identity(self) -> dict[str, Any]:
        """What results rest on; there is no detector."""
        return {"normalise": self.normalise, "resize": self.size, "detector_sha256": None}

    @property
    def columns(self) -> dict[str, str]:
        """The curve, from low to high frequency."""
        return {"curve": "list<double>"}

    def check(self, header: Header) -> None:
        """Images of any size have a curve."""

    def prepared(self, pixels: Any) -> Any:
        """The image as it is looked at; ValueError refuses flat ones."""
        made = square(pixels, size=self.size)
        if flat([np.asarray(gray_channel(made))])[0]:
            raise ValueError(FLAT)
        return made

    def judge(self, given: list[tuple[Any, Header]]) -> Sequence[list[float]]:
        """The curve of each image."""
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
            escaped(path): _Set(str(given)) for path, given in zip(whole, self.sets, strict=True)
        }

    def take(self, row: Mapping[str, Any]) -> None:
        """Add the row of an image."""
        path = row["input"]
        while path not in self._found:
            if path == os.path.dirname(path):
                raise ValueError(f"{row['input']}: it is in none of the folders that are named")
            path = os.path.dirname(path)
        self._found[path].take(row, self.scorer.size)

    def curves(self, on_bad_image: OnBadImage) -> dict[str, Curve]:
        """The mean of each set, as of `spectra.mean_curves`.

        Raises:
            ImageError: for files that cannot be read, unless they are left out.
            ValueError: for images of several sizes, and a set of which nothing is left.
        """
        sets = list(self._found.values())
        bad = [text for each in sets for text in each.unread]
        if (count := sum(each.unread_count for each in sets)) and on_bad_image != "skip":
            first = "; ".join(map(shown, bad[:ERRORS]))
            raise ImageError(
                f"{count} images cannot be read; leave them out with --on-bad-image skip, or mend "
                f"them and start workers with --retry-failed: {first}"
            )
        first = sets[0]
        for each in sets:
            if not each.count:
                raise ValueError(f"{shown(each.name)}: none of its images can be used")
            if each.shape != first.shape:
                raise ValueError(
                    f"{shown(each.name)} holds images of {each.sides}, {shown(first.name)} of "
                    f"{first.sides}: bring all to one size (--resize N)"
                )
        return {each.name: each.curve() for each in sets}


class _Set:
    """A set of images: the sum of its curves, and what was left out."""

    def __init__(self, name: str):
        self.name = name
        self.count = self.unread_count = self.flat_count = 0
        self.unread: list[str] = []
        self.flat: list[str] = []
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
        if row["error_kind"]:
            is_flat = row["error"].endswith(FLAT)
            self.flat_count += is_flat
            self.unread_count += not is_flat
            some, what = (self.flat, name) if is_flat else (self.unread, row["error"])
            some += [what] * (len(some) < KEPT)
            return
        shape = (size, size) if size else (row["height"], row["width"])
        if self.shape not in (None, shape):
            raise ValueError(
                f"images of different sizes: {self._first} is {self.sides}, {name} is "
                f"{shape[0]}x{shape[1]}; --resize N brings all to one"
            )
        self.shape, self._first = shape, self._first or name
        self.count += 1
        self._waiting.append(row["curve"])
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
        if self.flat_count or self.unread_count:
            facts = {
                "images": self.count + self.flat_count + self.unread_count,
                "flat": {"count": self.flat_count, "first": self.flat},
                "unread": {"count": self.unread_count, "first": self.unread},
            }
        return Curve(mean, deviation, ring_radii(*self.shape), int(count), facts)
