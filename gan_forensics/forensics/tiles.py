"""Tiles: whole photographs judged by a stated number of squares of one size, at their own pixels.

A detector of small squares says nothing of a photograph of 12 megapixels, and resizing it would
change its spectrum. With tiles it looks at `Tiling.count` squares at most, evenly spread, and the
upper quartile of their scores is the score of the photograph: the maximum would be above any
threshold sooner or later, the more tiles the sooner; the mean would dilute a picture of which half
is generated. What an upper quartile above the threshold means is known only where the threshold
was set on whole photographs under the same tiling (`recalibration`).

Corners are multiples of 16 pixels, so that tiles lie on the blocks of a JPEG alike wherever they
are. Flat tiles (`data.flat`: bars and borders) are left out. All tiles go through programs of one
shape: no photograph is compiled for.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int, UInt8

from gan_forensics.data import Source
from gan_forensics.data.flat import flat
from gan_forensics.forensics import canvases
from gan_forensics.forensics.calibration import weighted_threshold
from gan_forensics.forensics.format_audit import read_seen
from gan_forensics.forensics.likelihood_ratios import group_weights
from gan_forensics.forensics.neural_parts import file_named

if TYPE_CHECKING:
    from gan_forensics.forensics.detectors import Detector

# Corners of tiles are multiples of this: of the blocks of JPEG, with halved colours too.
STEP = 16
# Of a network that takes any size, at most: as large as the smallest images that it was fitted on.
SIDE = 256
MOST_SIDE, MOST_COUNT = 4096, 256
# Tiles of a map, at most: more of them are spread evenly with gaps.
MOST_OF_MAP = 400
# Of the scores of its tiles, an image's own: see above.
QUARTILE = 0.75
# Tiles scored together, at most.
_AT_ONCE = 16

Pixels = UInt8[np.ndarray, "h w c"]
Places = Int[np.ndarray, "k 2"]


@dataclass(frozen=True)
class Tiling:
    """How a detector looks at photographs of any size: by tiles.

    Attributes:
        side: of a tile, in pixels.
        count: tiles of a photograph, at most.
        threshold: score above which a tile stands out in a map: in the mean over the photographs
            that the detector was calibrated on, the share of false alarms of their tiles is above
            it. None before that.

    Raises:
        ValueError: for a side, a count or a threshold that cannot be.

    Example:
        >>> Tiling(256).count
        16
    """

    side: int
    count: int = 16
    threshold: float | None = None

    def __post_init__(self):
        for name, most in (("side", MOST_SIDE), ("count", MOST_COUNT)):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= most:
                raise ValueError(f"the {name} of tiles is a whole number from 1 to {most}")
        known = self.threshold
        if known is not None and (type(known) not in (int, float) or not math.isfinite(known)):
            raise ValueError("the threshold of tiles is a finite number, or none")

    @property
    def words(self) -> str:
        """It, as a sentence says it."""
        return f"at most {self.count} tiles of {self.side}x{self.side}"


def tiled(detector: "Detector") -> "Detector":
    """A detector that looks at whole photographs by tiles, with neither calibrators nor a measure.

    Its tiles have the side of the squares that it was fitted on; of a network that takes any size,
    of the smallest images, and at most `SIDE`. Its threshold is still that of single squares:
    `recalibration.recalibrated` sets it.

    Args:
        detector: without tiles.

    Raises:
        ValueError: for one that has tiles, or that cannot have any, with the reason.

    Example:
        >>> from gan_forensics.forensics import fit_detector
        >>> rng = np.random.default_rng(0)
        >>> real, fake = (rng.integers(0, top, (100, 16, 16, 3), np.uint8) for top in (200, 256))
        >>> detector = tiled(fit_detector(real, fake, features="dct", classifier="logistic"))
        >>> detector.tiles.words
        'at most 16 tiles of 16x16'
        >>> detector.score(rng.integers(0, 256, (2, 90, 70, 3), np.uint8)).shape
        (2,)
    """
    if detector.tiles is not None:
        raise ValueError(f"{detector.name} looks at tiles already ({detector.tiles.words})")
    known = read_seen(detector.facts.get("seen"))
    made = Tiling(fixed_side(detector) or (min(SIDE, known.shorter[0]) if known else SIDE))
    return replace(detector, tiles=made, calibrators={})


def fixed_side(detector: "Detector") -> int | None:
    """The side that tiles of a detector must have; None where it takes squares of any.

    Raises:
        ValueError: for a detector that cannot look at tiles.
    """
    steps, shape = detector.preprocessing, getattr(detector, "image_shape", None)
    if steps.size is not None:
        raise ValueError(
            f"{detector.name} brings every image to {steps.size}x{steps.size}: it looks at the "
            "whole image at one size and needs no tiles"
        )
    if shape is not None and shape[0] != shape[1]:
        raise ValueError(
            f"{detector.name} was fitted on images of {shape[0]}x{shape[1]}, and tiles are "
            "squares: fit it on squares (`detect fit --match-sizes`)"
        )
    if steps.crop is not None or shape is not None:
        return steps.crop or shape[0]  # pyright: ignore[reportOptionalSubscript]
    if detector.arch == "autogan":  # pyright: ignore[reportAttributeAccessIssue]
        raise ValueError(
            f"{detector.name} looks at the spectrum of a whole image, and its file does not tell "
            "of which size: train it on squares of one (`train detector --match-sizes`)"
        )
    return getattr(detector.network, "side", None)  # pyright: ignore[reportAttributeAccessIssue]


def read_tiling(header: Mapping[str, Any]) -> Tiling | None:
    """The tiling of a detector file's header; before version 5 there was none.

    Raises:
        ValueError: for what is none.
    """
    given = header.get("tiles") if header.get("version", 0) > 4 else None
    if given is None:
        return None
    if not isinstance(given, dict) or given.keys() != asdict(Tiling(1)).keys():
        raise ValueError("its header has no valid 'tiles'")
    return Tiling(**given)


def check_fits(detector: "Detector") -> None:
    """Refuse a tiling of another side than the detector takes (ValueError)."""
    if detector.tiles is None:
        return
    side = fixed_side(detector)
    if side not in (None, detector.tiles.side):
        raise ValueError(f"its tiles of {detector.tiles.side} pixels do not fit it: {side} do")
    detector.untiled.check_shape((detector.tiles.side, detector.tiles.side, 3))


def places(height: int, width: int, tiling: Tiling) -> Places:
    """Top and left of the tiles [k, 2] that an image is scored by: k is at most `tiling.count`.

    Example:
        >>> places(300, 600, Tiling(256, count=4)).tolist()
        [[16, 0], [16, 336]]
    """
    return _grid(height, width, tiling.side, tiling.count)


def all_places(height: int, width: int, tiling: Tiling) -> Places:
    """Top and left of tiles [k, 2] that cover an image but for strips: those of a map.

    They do not overlap. k is at most `MOST_OF_MAP`: larger images have gaps between them.

    Example:
        >>> len(all_places(3000, 4000, Tiling(256))), len(all_places(6048, 8064, Tiling(256)))
        (165, 391)
    """
    return _grid(height, width, tiling.side, MOST_OF_MAP)


def _grid(height: int, width: int, side: int, most: int) -> Places:
    """Rows and columns of tiles that do not overlap and lie as close together as `most` allows."""
    check_sides(height, width, side)
    step = -(-side // STEP) * STEP
    room = [(length - side) // step + 1 for length in (height, width)]

    def gap(rows: int) -> tuple[float, int]:
        columns = min(room[1], most // rows)
        return max(height / rows, width / columns), -rows * columns

    rows = min(range(1, min(room[0], most) + 1), key=gap)
    columns = min(room[1], most // rows)
    down, across = _spread(height - side, rows), _spread(width - side, columns)
    return np.stack(np.meshgrid(down, across, indexing="ij"), -1).reshape(-1, 2)


def _spread(rest: int, count: int) -> Int[np.ndarray, " count"]:
    """Where so many tiles begin: from one border to the other, one alone in the middle."""
    if count == 1:
        return np.array([rest // 2 // STEP * STEP])
    return np.arange(count) * rest // (count - 1) // STEP * STEP


def check_sides(height: int, width: int, side: int) -> None:
    """Refuse an image that is smaller than a tile (ValueError)."""
    if min(height, width) < side:
        raise ValueError(
            f"images of {height}x{width} are smaller than the tiles of {side}x{side} that the "
            "detector looks at: give larger ones"
        )


def tile_scores(detector: "Detector", image: Pixels, at: Places) -> Float64[np.ndarray, " k"]:
    """The scores of some tiles of an image; NaN for those that are flat.

    Args:
        detector: with tiles.
        image: uint8 [h, w, 1 or 3].
        at: top and left of each [k, 2], as of `places` or `all_places`.

    Example:
        >>> tile_scores(detector, image, all_places(3000, 4000, detector.tiles))  # doctest: +SKIP
        array([-2.1, -1.7, nan, ...
    """
    return _scored(detector, _cut(image, at, _tiling(detector).side))


def scores(detector: "Detector", source: Source) -> Float64[np.ndarray, " n"]:
    """The scores of the images of a source by their tiles; NaN where all of them are flat."""
    return np.array([aggregate(some) for some in scores_by_image(detector, source)])


def scores_by_image(detector: "Detector", source: Source) -> list[Float64[np.ndarray, " _k"]]:
    """The scores of the tiles of each image of a source, one image in memory at a time."""
    tiling, counts = _tiling(detector), []

    def every() -> Iterator[Pixels]:
        for row in range(len(source)):
            with file_named(source, row):
                image = source[row]["image"]
                detector.check_shape(image.shape)
            at = places(image.shape[0], image.shape[1], tiling)
            counts.append(len(at))
            yield from _cut(image, at, tiling.side)

    found = _scored(detector, every())
    return np.split(found, np.cumsum(counts)[:-1])


def aggregate(of_tiles: Float64[np.ndarray, " k"]) -> float:
    """The score of an image: the upper quartile of those of its tiles that are not flat.

    Example:
        >>> aggregate(np.array([0.0, np.nan, 1.0, 2.0, 3.0, 4.0]))
        3.0
    """
    known = of_tiles[~np.isnan(of_tiles)]
    return float(np.quantile(known, QUARTILE)) if len(known) else math.nan


def looked_at(detector: "Detector", image: Pixels) -> UInt8[np.ndarray, "_h _w _c"]:
    """The tiles that are not flat, one below the other; the first where all are flat."""
    tiling = _tiling(detector)
    at = places(image.shape[0], image.shape[1], tiling)
    seen = [detector.untiled.view(tile) for tile in _cut(image, at, tiling.side)]
    telling = [tile for tile, empty in zip(seen, flat(seen), strict=True) if not empty]
    return np.concatenate(telling or seen[:1])


def tile_threshold(
    of_photographs: Iterable[np.ndarray], groups: np.ndarray | None, *, false_alarms: float
) -> float:
    """The score that tiles of photographs exceed as seldom as photographs raise false alarms.

    Args:
        of_photographs: scores of the tiles of each, as `scores_by_image` gives them.
        groups: of the photographs, or None; each, or each group, has one vote.
        false_alarms: the share.

    Example:
        >>> tile_threshold([np.arange(10.0)] * 19, None, false_alarms=0.1)
        8.0
    """
    each = [some[~np.isnan(some)] for some in of_photographs]
    names = np.arange(len(each)) if groups is None else groups
    of = np.repeat(names, [len(some) for some in each])
    return weighted_threshold(np.concatenate(each), group_weights(of), false_alarms=false_alarms)


def _tiling(detector: "Detector") -> Tiling:
    if detector.tiles is None:
        raise ValueError(
            f"{detector.name} has no tiles: `detect recalibrate --tiles` gives it some"
        )
    return detector.tiles


def _cut(image: Pixels, at: Places, side: int) -> Iterator[UInt8[np.ndarray, "s s c"]]:
    """Tiles of an image; copies, which do not keep it in memory."""
    for top, left in at.tolist():
        yield image[top : top + side, left : left + side].copy()


def at_once(side: int) -> int:
    """How many tiles are scored together."""
    return canvases.room(side, side, _AT_ONCE)


def _scored(detector: "Detector", tiles: Iterable[Pixels]) -> Float64[np.ndarray, " k"]:
    """Scores of tiles, in batches of one shape: copies of the first fill the last one up."""
    most = at_once(_tiling(detector).side)
    found: list[np.ndarray] = []
    some: list[Pixels] = []

    def judged() -> None:
        filled = [*some, *some[:1] * (most - len(some))]
        found.append(detector.untiled.score(np.stack(filled))[: len(some)])
        some.clear()

    for tile in tiles:
        some.append(tile)
        if len(some) == most:
            judged()
    if some:
        judged()
    return np.concatenate(found)
