"""Relevance in photographs of any size, without a compilation for each.

A detector of tiles is explained tile by tile, since that is how it looks. Another one is explained
on the image as it sees it, of which the middle is cut out to a few sizes, of at most a megapixel.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from gan_forensics.data import grayscale
from gan_forensics.data.flat import FLAT, flat
from gan_forensics.data.images import as_image
from gan_forensics.explain import Feature, rank
from gan_forensics.forensics import tiles
from gan_forensics.forensics.canvases import BYTES_EXPLAINED, check_memory
from gan_forensics.forensics.explanations import (
    Explanation,
    common_scale,
    evidence,
    explain,
    faded,
)
from gan_forensics.forensics.neural import NeuralDetector, logits_of
from gan_forensics.forensics.preprocessing import cut_middle

# Sides that the middle of an image is cut to.
SIDES = (32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)
# Tiles that are explained together: copies of the first fill the last batch up.
_AT_ONCE = 4
# The longest side of a picture, and the shade of the frames of tiles on it.
LONGEST, FRAME = 1024, 235


class Looked(NamedTuple):
    """What of a photograph was explained.

    Attributes:
        image: the photograph; as the detector sees it, for one without tiles.
        places: top and left of the parts that were explained.
        parts: as the network saw them.
        found: their explanations.
        score: of all of them together, as the detector scores them.
        gray: the same of the parts without their colours.
    """

    image: UInt8[np.ndarray, "h w 3"]
    places: Int[np.ndarray, "k 2"]
    parts: UInt8[np.ndarray, "k h2 w2 3"]
    found: list[Explanation]
    score: float
    gray: float


def look(detector: NeuralDetector, image: UInt8[np.ndarray, "h w 3"]) -> Looked:
    """Explain a photograph, and score what was explained without its colours as well.

    Args:
        detector: with tiles or without.
        image: of any size that it takes.

    Raises:
        ValueError: for another size, a flat image, and detectors that cannot be explained
            (`explain`).

    Example:
        >>> found = look(detector, image)  # doctest: +SKIP
        >>> len(found.parts), found.score - found.gray  # doctest: +SKIP
        (16, 1.4)
    """
    image = as_image(image)
    detector.check_shape(image.shape)
    height, width = image.shape[:2]
    if detector.tiles is None:
        image = detector.view(image)
        height, width = image.shape[:2]
        # What brings all images to one size costs no compilation for each.
        fixed = detector.preprocessing.crop or detector.preprocessing.size
        if not fixed or max(height, width) > SIDES[-1]:
            height, width = (max((s for s in SIDES if s <= n), default=n) for n in (height, width))
        parts = cut_middle(image, height, width)[None]
        at = (np.array([image.shape[:2]]) - (height, width)) // 2
    else:
        side = detector.tiles.side
        at = tiles.places(height, width, detector.tiles)
        parts = np.stack([
            detector.untiled.view(image[y : y + side, x : x + side]) for y, x in at.tolist()
        ])  # fmt: skip
    check_memory(detector.network, *parts.shape[1:3], bytes_a_pixel=BYTES_EXPLAINED)
    told = ~flat(parts)
    if not told.any():
        raise ValueError(FLAT)
    at, parts = at[told], parts[told]
    found = explain(detector, _filled(parts, _AT_ONCE))[: len(parts)]
    score = tiles.aggregate(np.array([one.score for one in found]))
    return Looked(image, at, parts, found, score, _score(detector, grayscale(parts)))


def _score(detector: NeuralDetector, parts: UInt8[np.ndarray, "k h w 3"]) -> float:
    """The score of parts, in batches of the shape in which the detector scores them."""
    at_once = 1 if detector.tiles is None else tiles.at_once(detector.tiles.side)
    filled, run = _filled(parts, at_once), logits_of(detector.network)
    logits = [
        np.asarray(run(detector.variables, filled[i : i + at_once]), np.float64)
        for i in range(0, len(filled), at_once)
    ]
    return tiles.aggregate(np.concatenate(logits)[: len(parts)])


def _filled(parts: UInt8[np.ndarray, "k h w 3"], length: int) -> UInt8[np.ndarray, "n h w 3"]:
    """Parts, and copies of the first one, which fill the last batch up; one alone as it is."""
    copies = 0 if len(parts) == 1 else -len(parts) % length
    return np.concatenate([parts, np.repeat(parts[:1], copies, 0)])


def deciding(looked: Looked, *, generated: bool) -> list[Feature]:
    """The channels by their shares in the relevance of their layers, the largest first.

    Args:
        looked: at a photograph; the shares are means over its parts.
        generated: of evidence for "generated", or for "real".

    Example:
        >>> [channel.name for channel in deciding(found, generated=True)[:1]]  # doctest: +SKIP
        ['layer3.0.conv2.#17(T=64)']
    """
    row = 0 if generated else 1
    return rank({
        name: np.mean([one.channels[name][row] for one in looked.found], 0)
        for name in looked.found[0].channels
    })  # fmt: skip


class Layered(NamedTuple):
    """A picture, and the evidence to be laid over it.

    Attributes:
        base: in gray, at half contrast.
        layer: transparent where there is no evidence, or nothing was explained.
        scale: the relevance in full colour, in logits.
    """

    base: UInt8[np.ndarray, "h w 3"]
    layer: UInt8[np.ndarray, "h w 4"]
    scale: float


def laid_over(looked: Looked) -> Layered:
    """The whole picture, at most `LONGEST` pixels a side, and the evidence in it.

    Parts are framed where they are several.
    """
    height, width = looked.image.shape[:2]
    factor = min(1.0, LONGEST / max(height, width))
    shape = max(1, round(height * factor)), max(1, round(width * factor))
    small = looked.image if factor == 1 else np.asarray(
        Image.fromarray(looked.image).resize((shape[1], shape[0]), Image.Resampling.BOX)
    )  # fmt: skip
    base = faded(small)
    layer = np.zeros((*shape, 4), np.uint8)
    boxes = []
    for top, left in looked.places.tolist():
        ends = top + looked.parts.shape[1], left + looked.parts.shape[2]
        rows = slice(round(top * factor), max(round(ends[0] * factor), round(top * factor) + 1))
        columns = slice(
            round(left * factor), max(round(ends[1] * factor), round(left * factor) + 1)
        )
        boxes.append((rows, columns))
    maps = [
        _shrunk(one.relevance, *base[box].shape[:2])
        for one, box in zip(looked.found, boxes, strict=True)
    ]
    scale = common_scale(maps)
    for box, found in zip(boxes, maps, strict=True):
        layer[box] = evidence(found, scale)
        if len(boxes) > 1:
            _frame(base[box])
    return Layered(base, layer, scale)


def closest(looked: Looked, *, generated: bool) -> Layered:
    """The part that speaks most for the verdict, at its own pixels."""
    scores = [one.score if generated else -one.score for one in looked.found]
    place = int(np.argmax(scores))
    found = looked.found[place].relevance
    scale = common_scale([found])
    return Layered(faded(looked.parts[place]), evidence(found, scale), scale)


def _shrunk(
    values: Float[np.ndarray, "h w"], height: int, width: int
) -> Float[np.ndarray, "{height} {width}"]:
    if values.shape == (height, width):
        return values
    picture = Image.fromarray(np.asarray(values, np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BOX))


def _frame(box: UInt8[np.ndarray, "h w 3"]) -> None:
    box[[0, -1]] = FRAME
    box[:, [0, -1]] = FRAME
