"""Detector files: archives of plain numbers, safe to load from a stranger.

The header's `kind` says what the arrays are of; a threshold and its calibration every detector has.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.files import shown
from gan_forensics.files.archives import Head, read_archive, write_archive
from gan_forensics.forensics.calibration import read_calibration

FORMAT = "gan_forensics detector"
VERSION = 2
# Files that are read all the same; see `read_calibration` for what they lack.
READABLE = (1, VERSION)
EARLIER = ("gan_forensics spectral detector", "gan_forensics neural detector")
# A detector of 20,000 training images of 128x128 DCT coefficients stays below this.
LARGEST_FILE = 8 * 2**30
SIDES = range(1, 2**16 + 1)  # of images


def write_detector(path: Path | str, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write a detector file.

    The header has "kind", "threshold", "calibration" (a `Calibration` or None) and what else the
    detector has besides arrays, JSON-able.
    """
    calibration = header["calibration"] and asdict(header["calibration"])
    facts = {"threshold": float(header["threshold"]), "calibration": calibration}
    write_archive(path, {"format": FORMAT, "version": VERSION, **header, **facts}, arrays)


Choose = Callable[[Mapping[str, Any], Mapping[str, Head]], Iterable[str]]


def read_detector(path: Path | str, choose: Choose) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a detector file, as `write_detector` was given them.

    Args:
        path: of the file.
        choose: given the header and what the arrays are, names those to read; raises ValueError
            where they do not fit together.

    Raises:
        OSError: when the file is missing or cannot be read.
        ValueError: when it is no detector file, claims too much, or has an impossible threshold.
    """

    def checked(header: Any, heads: Mapping[str, Head]) -> Iterable[str]:
        _check_header(header)
        return choose(header, heads)

    header, arrays = read_archive(path, checked, most=LARGEST_FILE)
    if (facts := header["calibration"]) is not None:
        header["calibration"] = read_calibration(facts, header["version"])
    return header, arrays


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
