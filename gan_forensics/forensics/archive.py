"""Detector files: archives of plain numbers, safe to load from a stranger.

The header's `kind` says what the arrays are of; a threshold, its calibration and calibrators of
likelihood ratios every detector has. These have their facts in the header, "calibrators" by tier,
and their arrays under calibrator/TIER/.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.data.carriers import TIERS
from gan_forensics.files import is_stream, sha256_of, shown
from gan_forensics.files.archives import Head, read_archive, write_archive
from gan_forensics.forensics.calibration import read_calibration
from gan_forensics.forensics.calibrators import read_calibrator

FORMAT = "gan_forensics detector"
VERSION = 5
# Files that are read all the same; see `read_calibration` for what they lack. Before version 3
# there were no calibrators, before version 5 no tiles.
READABLE = (1, 2, 3, 4, VERSION)
EARLIER = ("gan_forensics spectral detector", "gan_forensics neural detector")
# A detector of 20,000 training images of 128x128 DCT coefficients stays below this.
LARGEST_FILE = 8 * 2**30
# Reference images of a class, whose scores a calibrator keeps.
MOST_REFERENCE = 10**7
SIDES = range(1, 2**16 + 1)  # of images


def write_detector(
    path: Path | str, header: Mapping[str, Any], arrays: Mapping[str, Any]
) -> str | None:
    """Write a detector file.

    The header has "kind", "threshold", "calibration" (a `Calibration` or None), "calibrators"
    (tier -> `Calibrator`) and what else the detector has besides arrays, JSON-able.

    Returns:
        The SHA-256 of the file; None for a stream, which is gone.
    """
    records = {tier: one.as_record() for tier, one in header["calibrators"].items()}
    facts = {
        "threshold": float(header["threshold"]),
        "calibration": header["calibration"] and asdict(header["calibration"]),
        "calibrators": {tier: facts for tier, (facts, _) in records.items()},
    }
    own = {
        f"{_prefix(tier)}{name}": array
        for tier, (_, of) in records.items()
        for name, array in of.items()
    }
    write_archive(
        path, {"format": FORMAT, "version": VERSION, **header, **facts}, {**arrays, **own}
    )
    return None if is_stream(path) else sha256_of(path)


Choose = Callable[[Mapping[str, Any], Mapping[str, Head]], Iterable[str]]


def read_detector(path: Path | str, choose: Choose) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a detector file, as `write_detector` was given them.

    Args:
        path: of the file.
        choose: given the header and what the arrays are, those of the calibrators apart, names
            those to read; raises ValueError where they do not fit together. Calibrators are read
            where it names some.

    Raises:
        OSError: when the file is missing or cannot be read.
        ValueError: when it is no detector file, claims too much, or has an impossible threshold.
    """

    def checked(header: Any, heads: Mapping[str, Head]) -> Iterable[str]:
        _check_header(header)
        if header["version"] < 3:
            header["calibrators"] = {}
        own = _check_calibrators(header, heads)
        others = {name: head for name, head in heads.items() if name not in own}
        chosen = list(choose(header, others))
        return [*chosen, *own] if chosen else []

    header, arrays = read_archive(path, checked, most=LARGEST_FILE)
    if (facts := header["calibration"]) is not None:
        header["calibration"] = read_calibration(facts, header["version"])
    for tier, facts in header["calibrators"].items():
        prefix = _prefix(tier)
        names = [name for name in arrays if name.startswith(prefix)]
        own = {name.removeprefix(prefix): arrays.pop(name) for name in names}
        if arrays:
            header["calibrators"][tier] = read_calibrator(facts, own)
    return header, arrays


def _prefix(tier: str) -> str:
    return f"calibrator/{tier}/"


def _check_calibrators(header: Mapping[str, Any], heads: Mapping[str, Head]) -> set[str]:
    """The names of the arrays of the calibrators, refused before they are read if they are none."""
    check_fields(header, {"calibrators": dict})
    own: set[str] = set()
    for tier, facts in header["calibrators"].items():
        if tier not in TIERS or not isinstance(facts, dict):
            raise ValueError(f"its header has an impossible calibrator of {shown(tier)!r}")
        own |= {name for name in heads if name.startswith(_prefix(tier))}
    for name in sorted(own):
        shape, dtype = heads[name].shape, heads[name].dtype
        if dtype != np.float64 or len(shape) > 1 or math.prod(shape) > MOST_REFERENCE:
            raise ValueError(
                f"{shown(name)} is {dtype} {list(shape)}, not float64 of at most {MOST_REFERENCE}"
            )
    return own


def _check_header(header: Any) -> None:
    written = header.get("format") if isinstance(header, dict) else None
    if written in EARLIER:
        raise ValueError("it was written by an earlier version: fit or train it again")
    if written == "gan_forensics attributor":
        raise ValueError("it is an attributor: `gan-forensics attribute score` reads it")
    if written != FORMAT:
        raise ValueError("its header is not that of a detector")
    if header.get("version") not in READABLE:
        version = shown(repr(header.get("version")))
        raise ValueError(f"it has version {version}, this gan_forensics reads version {VERSION}")
    check_fields(header, {"kind": str, "threshold": float, "calibration": dict | None})
    if not math.isfinite(header["threshold"]):
        raise ValueError(f"threshold {header['threshold']} is not finite")


def check_fields(header: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    """Refuse a header that lacks a field, or has one of another type.

    Of a `range` a field is a whole number in it, of a pair of numbers one above the first and at
    most the second.

    Raises:
        ValueError: naming the field.
    """
    for name, kind in types.items():
        if name not in header or not _is(header[name], kind):
            where = ""
            if isinstance(kind, range):
                where = f": a whole number from {kind.start} to {kind.stop - 1}"
            elif isinstance(kind, tuple):
                where = f": a number above {kind[0]} and at most {kind[1]}"
            raise ValueError(f"its header has no valid {shown(name)!r}{where}")


def _is(value: Any, kind: Any) -> bool:
    if isinstance(kind, range):
        return type(value) is int and value in kind
    if isinstance(kind, tuple):
        return type(value) in (int, float) and kind[0] < value <= kind[1]
    return isinstance(value, kind)


def check_image_shape(header: Mapping[str, Any], channels: tuple[int, ...]) -> None:
    """Refuse an "image_shape" that is no [h, w, c] of images."""
    check_fields(header, {"image_shape": list})
    shape = header["image_shape"]
    right = len(shape) == 3 and all(type(n) is int and n in SIDES for n in shape)
    if not right or shape[2] not in channels:
        of = " or ".join(map(str, channels))
        raise ValueError(f"image shape {shown(shape)} is not [h, w, {of}]")
