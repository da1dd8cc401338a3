"""Detector files: NumPy archives of plain numbers with a JSON header.

Nothing in a file is executed, so it is safe to load from a stranger. The header's `kind` says what
the arrays are of; a threshold and its calibration every detector has.
"""

import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.data.files import written_beside
from gan_forensics.forensics.calibration import Calibration

FORMAT = "gan_forensics detector"
VERSION = 1
EARLIER = ("gan_forensics spectral detector", "gan_forensics neural detector")
# A detector of 20,000 training images of 128x128 DCT coefficients stays below this; an archive
# that claims more is refused before anything is unpacked.
LARGEST_FILE = 8 * 2**30


def write_archive(path: Path | str, header: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
    """Write a detector, beside its place first and then renamed into it.

    Args:
        path: of the file.
        header: "kind", "threshold", "calibration" (a `Calibration` or None) and what else the
            detector has besides arrays, JSON-able.
        arrays: by name.
    """
    header = {"format": FORMAT, "version": VERSION, **header}
    header["threshold"] = float(header["threshold"])
    header["calibration"] = asdict(header["calibration"]) if header["calibration"] else None
    named: dict[str, Any] = {"header": np.array(json.dumps(header)), **arrays}
    with written_beside(path) as partial, partial.open("wb") as file:
        np.savez(file, **named)


def read_archive(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Header and arrays of a detector file, as `write_archive` was given them.

    Raises:
        OSError: when the file is missing or cannot be read.
        ValueError: when it is no detector file, claims too much, or has an impossible threshold;
            what else a hostile archive raises comes from zipfile, zlib, numpy or json.
    """
    if not zipfile.is_zipfile(path):
        path.open("rb").close()  # A missing or unreadable file is an OSError, not a wrong format.
        raise ValueError("it is not an npz archive")
    with zipfile.ZipFile(path) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
    if claimed > LARGEST_FILE:
        raise ValueError(f"it claims to unpack to {claimed / 2**30:.0f} GiB")
    with np.load(path, allow_pickle=False) as archive:
        if "header" not in archive:
            raise ValueError("it has no header")
        header = json.loads(str(archive["header"][()]))
        written = header.get("format") if isinstance(header, dict) else None
        if written in EARLIER:
            raise ValueError("it was written by an earlier version: fit or train it again")
        if written != FORMAT:
            raise ValueError("its header is not that of a detector")
        if header.get("version") != VERSION:
            raise ValueError(
                f"it has version {header.get('version')!r}, this gan_forensics reads version "
                f"{VERSION}"
            )
        check_fields(header, {"kind": str, "threshold": float, "calibration": dict | None})
        if not math.isfinite(header["threshold"]):
            raise ValueError(f"threshold {header['threshold']} is not finite")
        if (facts := header["calibration"]) is not None:
            if facts.keys() != {field.name for field in fields(Calibration)} or not all(
                type(value) in (int, float) for value in facts.values()
            ):
                raise ValueError("its calibration facts are incomplete")
            header["calibration"] = Calibration(**facts)
        return header, {name: archive[name] for name in archive if name != "header"}


def check_fields(header: Mapping[str, Any], types: Mapping[str, Any]) -> None:
    """Refuse a header that lacks a field, or has one of another type.

    Raises:
        ValueError: naming the field.
    """
    for name, kind in types.items():
        if name not in header or not isinstance(header[name], kind):
            raise ValueError(f"its header has no valid {name!r}")
