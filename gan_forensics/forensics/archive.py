"""Detector files: archives of plain numbers, safe to load from a stranger.

The header's `kind` says what the arrays are of; a threshold and its calibration every detector has.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.files.archives import read_archive, write_archive
from gan_forensics.forensics.calibration import read_calibration

FORMAT = "gan_forensics detector"
VERSION = 2
# Files that are read all the same; see `read_calibration` for what they lack.
READABLE = (1, VERSION)
EARLIER = ("gan_forensics spectral detector", "gan_forensics neural detector")
# A detector of 20,000 training images of 128x128 DCT coefficients stays below this.
LARGEST_FILE = 8 * 2**30


def write_detector(path: Path | str, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write a detector file.

    The header has "kind", "threshold", "calibration" (a `Calibration` or None) and what else the
    detector has besides arrays, JSON-able.
    """
    calibration = header["calibration"] and asdict(header["calibration"])
    facts = {"threshold": float(header["threshold"]), "calibration": calibration}
    write_archive(path, {"format": FORMAT, "version": VERSION, **header, **facts}, arrays)


def read_detector(path: Path | str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a detector file, as `write_detector` was given them.

    Raises:
        OSError: when the file is missing or cannot be read.
        ValueError: when it is no detector file, claims too much, or has an impossible threshold.
    """
    header, arrays = read_archive(path, most=LARGEST_FILE)
    written = header.get("format") if isinstance(header, dict) else None
    if written in EARLIER:
        raise ValueError("it was written by an earlier version: fit or train it again")
    if written == "gan_forensics attributor":
        raise ValueError("it is an attributor: `gan-forensics attribute score` reads it")
    if written != FORMAT:
        raise ValueError("its header is not that of a detector")
    if header.get("version") not in READABLE:
        raise ValueError(
            f"it has version {header.get('version')!r}, this gan_forensics reads version {VERSION}"
        )
    check_fields(header, {"kind": str, "threshold": float, "calibration": dict | None})
    if not math.isfinite(header["threshold"]):
        raise ValueError(f"threshold {header['threshold']} is not finite")
    if (facts := header["calibration"]) is not None:
        header["calibration"] = read_calibration(facts, header["version"])
    return header, arrays


def check_fields(header: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    """Refuse a header that lacks a field, or has one of another type."""
    for name, kind in types.items():
        if name not in header or not isinstance(header[name], kind):
            raise ValueError(f"its header has no valid {name!r}")
