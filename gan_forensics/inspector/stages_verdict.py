"""Stages of the verdict: at once, after carriers, and tile by tile; and of a region picked by hand.

Every verdict is that of `DetectorScorer`, which is that of `gan-forensics detect score`.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_forensics.data.flat import FLAT
from gan_forensics.forensics.detector_scorer import DetectorScorer
from gan_forensics.forensics.failures import failure_of
from gan_forensics.forensics.format_audit import size_class
from gan_forensics.forensics.score_files import ScoredImage
from gan_forensics.forensics.tiles import (
    MOST_OF_MAP,
    SIDE,
    STEP,
    Tiling,
    all_places,
    check_sides,
    fixed_side,
    places,
    tile_scores,
)
from gan_forensics.forensics.verdicts import GENERATED, UNSURE, basis_of
from gan_forensics.inspector.findings import Finding, Opened, Tools
from gan_forensics.inspector.tile_map import tile_map
from gan_forensics.report.evidence import CARRIER_WORDS, tier_words
from gan_forensics.report.figures import is_number

if TYPE_CHECKING:
    from gan_forensics.forensics.detectors import Detector
    from gan_forensics.forensics.verdicts import Verdict

# A detector that takes whole images takes too long for a first verdict on more pixels.
AT_ONCE = 1_500_000
NONE = "no verdict: no detector that knows such images"
NONE_GIVEN = f"{NONE} (no detector was given)"
_DIGITS = 4


def verdict(opened: Opened, tools: Tools) -> Finding | None:
    """What each detector says of the image as it is; of those that take long, that it follows."""
    if opened.pixels is None or opened.header is None:
        return None
    rows = [
        _following(name, detector, opened)
        if _takes_long(detector, opened)
        else _row(name, detector, opened, carriers=False)
        for name, detector in tools.detectors
    ]
    return Finding("verdict", {**_facts(rows), "final": False})


def carriers(opened: Opened, tools: Tools) -> Finding | None:
    """What each detector says after JPEG, WebP and resizing: the final verdict."""
    if opened.pixels is None or opened.header is None or not tools.detectors:
        return None
    rows = [_row(name, detector, opened, carriers=True) for name, detector in tools.detectors]
    if all(row["error"] for row in rows):
        return None
    return Finding("carriers", {**_facts(rows), "final": True})


def tiles(opened: Opened, tools: Tools) -> Finding | None:
    """Which places of the image stand out, by each detector that looks at tiles."""
    if opened.pixels is None:
        return None
    found, pictures = [], {}
    for name, detector in tools.detectors:
        if detector.tiles is None or min(opened.pixels.shape[:2]) < detector.tiles.side:
            continue
        number = len(found) + 1
        facts, scores = _map_of(name, detector, opened.pixels)
        found.append(facts | {"picture": f"base-{number}", "layer": f"map-{number}"})
        base, layer = tile_map(
            opened.pixels, np.array(facts["places"]), scores, detector.tiles.side,
            _tile_threshold(detector),
        )  # fmt: skip
        pictures |= {f"base-{number}": base, f"map-{number}": layer}
    return Finding("tiles", {"detectors": found}, pictures=pictures) if found else None


def score_region(
    opened: Opened, tools: Tools, left: int, top: int, width: int, height: int
) -> dict[str, Any]:
    """What each detector says of a region of the image, at its own pixels.

    Args:
        opened: with pixels.
        tools: with detectors.
        left, top, width, height: of the region, in pixels of the image.

    Returns:
        By what they are called, values in words.

    Raises:
        ValueError: for an image without pixels, a region outside of it, and without a detector.
    """
    if opened.pixels is None:
        raise ValueError(f"there are no pixels to score: {opened.refusal}")
    if not tools.detectors:
        raise ValueError("there is no detector that could score a region: start with --detector")
    high, wide = opened.pixels.shape[:2]
    if min(width, height) < 1 or not (0 <= left <= wide - width and 0 <= top <= high - height):
        raise ValueError(
            f"a region of {width}x{height} pixels at {left}, {top} does not lie in an image of "
            f"{wide}x{high}"
        )
    facts = {"Region": f"{width} × {height} pixels at {left} from the left, {top} from the top"}
    for name, detector in tools.detectors:
        try:
            facts[name] = _region_of(detector, opened.pixels, (top, left, height, width))
        except Exception as error:  # Other detectors may well score it.
            facts[name] = failure_of("not scored", error).text
    return facts | {"Beware": BEWARE}


BEWARE = (
    "A region picked by eye is not calibrated as an image is: whoever looks at many places finds "
    "one that stands out, in photographs too. It says where to look, and is no verdict."
)


def _region_of(detector: "Detector", pixels: np.ndarray, box: tuple[int, int, int, int]) -> str:
    """How many tiles of a region stand out, and how far, in words."""
    high, wide = pixels.shape[:2]
    tiling = detector.tiles or Tiling(fixed_side(detector) or min(SIDE, high, wide))
    side, limit = tiling.side, _tile_threshold(detector)
    check_sides(high, wide, side)
    top, left, height, width = box
    grown = ""
    if min(height, width) < side:
        top, height = _at_least(top, height, side, high)
        left, width = _at_least(left, width, side, wide)
        grown = (
            f"; the region is smaller than a tile, and {width} × {height} pixels around it were "
            "judged instead"
        )
    part = pixels[top : top + height, left : left + width]
    at = places(height, width, tiling)
    scores = tile_scores(replace(detector, tiles=tiling), part, at)
    known = scores[~np.isnan(scores)]
    if not len(known):
        return f"nothing to judge: {FLAT}{grown}"
    above = int((known > limit).sum())
    if len(known) == 1:
        words = f"score {known[0]:.3g}, {'above' if above else 'not above'}"
    else:
        words = f"scores from {known.min():.3g} to {known.max():.3g}; {above} of {len(known)} above"
    flat = f"; {len(scores) - len(known)} flat ones left out" if len(known) < len(scores) else ""
    tiles = f"{len(known)} tiles of {side} × {side} pixels"
    if len(known) == 1:
        (y, x), *_ = at[~np.isnan(scores)]
        tiles = (
            f"one tile of {side} × {side} pixels, {left + x} from the left, {top + y} from the top"
        )
    return f"{tiles}: {words} the threshold of {limit:.3g}{flat}{grown}"


def _at_least(start: int, length: int, side: int, most: int) -> tuple[int, int]:
    """A span that is at least so long, around the same middle, inside of the image."""
    if length >= side:
        return start, length
    return min(max(0, start + length // 2 - side // 2), most - side), side


def _tile_threshold(detector: "Detector") -> float:
    """What tiles are compared with; of a detector without, its threshold for an image."""
    of_tiles = detector.tiles and detector.tiles.threshold
    return detector.threshold if of_tiles is None else of_tiles


def _takes_long(detector: "Detector", opened: Opened) -> bool:
    assert opened.pixels is not None
    height, width = opened.pixels.shape[:2]
    some = detector.tiles is not None or detector.preprocessing.crop is not None
    return not some and height * width > AT_ONCE


def _looks_at(detector: "Detector", pixels: np.ndarray) -> str:
    """What a detector sees of an image, and how much of it that is."""
    height, width = pixels.shape[:2]
    if detector.tiles is not None:
        if min(height, width) < detector.tiles.side:
            return f"{detector.tiles.words} pixels"
        squares, side = len(places(height, width, detector.tiles)), detector.tiles.side
        what = f"{squares} tile{'s' * (squares != 1)} of {side}x{side} pixels"
    elif detector.preprocessing.crop is not None:
        squares, side = 1, min(detector.preprocessing.crop, height, width)
        what = detector.preprocessing.words
    else:
        return detector.preprocessing.words or "the whole picture"
    return f"{what}: {100 * squares * side**2 / (height * width):.2g} % of the picture"


def _following(name: str, detector: "Detector", opened: Opened) -> dict[str, Any]:
    assert opened.pixels is not None
    row = {"file": name, **_knows(detector), "late": True}
    row |= {"looks_at": _looks_at(detector, opened.pixels)}
    return row | {"follows": True, "error": "", "after": []}


def _row(name: str, detector: "Detector", opened: Opened, *, carriers: bool) -> dict[str, Any]:
    """What a detector says of the image, or why it says nothing."""
    row: dict[str, Any] = {
        "file": name, **_knows(detector), "late": _takes_long(detector, opened),
        "follows": False, "error": "", "after": [],
    }  # fmt: skip
    header, pixels = opened.header, opened.pixels
    assert header is not None and pixels is not None
    scorer = DetectorScorer(detector, basis_of(detector), carriers=carriers)
    try:
        scorer.check(header)
        (found,) = scorer.judge([(pixels, header)])
    except Exception as error:  # Other detectors may well take it.
        return row | {"error": failure_of(opened.name, error).text}
    if found is None:
        return row | {"error": f"{opened.name}: {FLAT}"}
    image = scorer.scored(ScoredImage(opened.name, ""), found, header)
    said = image.verdict
    assert image.score is not None and said is not None
    size = size_class(header.height, header.width)
    threshold = scorer.basis.threshold
    return row | {
        "verdict": said.verdict,
        "why": said.why,
        "outside": image.outside,
        "seen": scorer.seen is not None,
        "looks_at": _looks_at(detector, pixels),
        "score": round(image.score, _DIGITS),
        "threshold": round(threshold, _DIGITS),
        "above": image.score > threshold,
        "log10_lr": _rounded(said.log10_lr),
        "log10_lr_bounds": [_rounded(said.lower), _rounded(said.upper)],
        "lr": _lr_words(said),
        "wording": said.wording,
        "no_lr": _without_lr(detector, image.tier) if said.log10_lr is None else "",
        "tier": image.tier,
        "tier_words": tier_words(image.tier),
        "size": size,
        "false_alarms": _false_alarms(detector, image.tier, size),
        "after": [
            {
                "carrier": carrier,
                "words": CARRIER_WORDS.get(carrier, carrier),
                "score": round(score, _DIGITS),
                "above": score > threshold,
            }
            for carrier, score in image.after.items()
        ],
    }


def _without_lr(detector: "Detector", tier: str) -> str:
    """Why there is no likelihood ratio in a tier, as far as a detector's file tells."""
    known = detector.calibration.tiers if detector.calibration else ()
    return next((of.unfit or of.without for of in known if of.name == tier), "")


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, _DIGITS)


def _lr_words(said: "Verdict") -> str:
    """A likelihood ratio as a sentence has it; empty without one."""
    if said.log10_lr is None:
        return ""
    times = 10 ** abs(said.log10_lr)
    words = f"{times:.1f}" if times < 10 else f"{float(f'{times:.2g}'):,.0f}"
    ways = "if the image was generated than if it is a photograph"
    if said.log10_lr < 0:
        ways = "if the image is a photograph than if it was generated"
    return f"this score is {words} times more probable {ways}"


def _false_alarms(detector: "Detector", tier: str, size: str) -> dict[str, Any] | None:
    """How often photographs such as this are called generated, as measured; None if not."""
    calibration = detector.calibration
    known = calibration and calibration.false_alarms_of(tier, size)
    if not known:
        return None
    rate = known.rate
    return {
        "own": known.own, "among": known.among, "events": rate.events, "n": rate.n,
        "groups": rate.groups, "unsure_apart": bool(detector.calibrators),
        "rate": round(rate.rate, _DIGITS),
        "low": round(rate.low, _DIGITS), "high": round(rate.high, _DIGITS), "words": rate.words,
    }  # fmt: skip


def _knows(detector: "Detector") -> dict[str, Any]:
    """What a detector is, and what it was fitted on, as far as its file tells."""
    facts, calibration = detector.facts, detector.calibration
    generators, real = facts.get("generators"), facts.get("real")
    return {
        "detector": detector.name,
        "sha256": detector.sha256 or "",
        "tiles": detector.tiles.words if detector.tiles else "",
        "aim": None if calibration is None else calibration.target,
        "trained": "not told" if calibration is None else calibration.trained,
        "taught": calibration is None or calibration.n_real + calibration.n_fake > 0,
        "photographs": [real] if isinstance(real, str) else [],
        "set_on": calibration.n_calibration if calibration else 0,
        "generators": {
            str(name): int(count)
            for name, count in (generators.items() if isinstance(generators, Mapping) else ())
            if is_number(count)
        },
        "recalibrated": _recalibrated(detector),
    }


def _recalibrated(detector: "Detector") -> dict[str, Any] | None:
    """What a detector's threshold and likelihood ratios rest on since it was fitted, if on other.

    Of several times the last counts.
    """
    records = detector.facts.get("recalibrated")
    last = records[-1] if isinstance(records, list) and records else None
    sources = last.get("sources") if isinstance(last, Mapping) else None
    if not isinstance(last, Mapping) or not isinstance(sources, Mapping):
        return None
    photographs, *generated = map(str, sources.values()) if sources else [""]
    return {"how": str(last.get("how", "")), "photographs": photographs, "generated": generated}


def _facts(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows, what they come to in a line, and whether detectors disagree."""
    said = {row["file"]: row["verdict"] for row in rows if "verdict" in row}
    certain = Counter(word for word in said.values() if word != UNSURE)
    waiting = [row["file"] for row in rows if row["follows"]]
    disagree = len(certain) > 1
    if not said:
        summary = f"verdict follows ({len(waiting)} waiting)" if waiting else NONE
        summary = summary if rows else NONE_GIVEN
    elif len(rows) == 1:
        (row,) = rows
        summary = f"{row['verdict']}: {row['why']}" if row["why"] else row["verdict"]
        if row["verdict"] == GENERATED and row["lr"]:
            summary += f", {row['wording']}"
    else:
        other = {True: "follows", False: "no verdict"}
        summary = "; ".join(
            f"{row['file']}: {said.get(row['file'], other[row['follows']])}" for row in rows
        )
    return {
        "detectors": rows,
        "disagree": disagree,
        "any": bool(said or waiting),
        "summary": f"{summary} (the detectors disagree)" if disagree else summary,
    }


def _map_of(
    name: str, detector: "Detector", pixels: np.ndarray
) -> tuple[dict[str, Any], np.ndarray]:
    """The scores of the tiles that cover an image, and what they come to."""
    assert detector.tiles is not None
    at = all_places(pixels.shape[0], pixels.shape[1], detector.tiles)
    scores = tile_scores(detector, pixels, at)
    known, limit = scores[~np.isnan(scores)], _tile_threshold(detector)
    side, calibration = detector.tiles.side, detector.calibration
    step = -(-side // STEP) * STEP
    whole = ((pixels.shape[0] - side) // step + 1) * ((pixels.shape[1] - side) // step + 1)
    return {
        "file": name,
        "side": side,
        "places": at.tolist(),
        "scores": [None if score != score else round(float(score), _DIGITS) for score in scores],
        "threshold": round(limit, _DIGITS),
        "set": detector.tiles.threshold is not None,
        "share": None if calibration is None else calibration.target,
        "above": int((known > limit).sum()),
        "scored": len(known),
        "flat": int(len(scores) - len(known)),
        "spread": len(at) < whole and len(at) > MOST_OF_MAP // 2,
    }, scores
