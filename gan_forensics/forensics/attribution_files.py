"""Attributor files: archives of plain numbers and a JSON header, safe to load from a stranger."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.files import check_file_in, shown
from gan_forensics.files.archives import Head, read_archive, write_archive
from gan_forensics.forensics.archive import FORMAT as DETECTOR
from gan_forensics.forensics.archive import LARGEST_FILE, check_fields, check_image_shape
from gan_forensics.forensics.attribution import Attributor
from gan_forensics.forensics.attribution_methods import METHODS
from gan_forensics.forensics.attribution_model import Outputs
from gan_forensics.forensics.features import lookup
from gan_forensics.forensics.preprocessing import read_preprocessing

FORMAT = "gan_forensics attributor"
VERSION = 1
MOST_SOURCES = 1000
_GALLERY = ("gallery/logits", "gallery/features", "gallery/labels")
_FITTED_ON = "fitted_on"


def write_attributor(path: Path | str, attributor: Attributor) -> None:
    """Write an attributor to a file."""
    header = {
        "format": FORMAT,
        "version": VERSION,
        "method": attributor.method,
        "names": list(attributor.names),
        "real": attributor.real,
        "image_shape": list(attributor.image_shape),
        "preprocessing": asdict(attributor.preprocessing),
        "temperature": attributor.temperature,
        "threshold": attributor.threshold,
        "accepted": attributor.accepted,
        "settings": dict(attributor.model.settings),
        "facts": dict(attributor.facts),
    }
    gallery = (*attributor.gallery, attributor.gallery_labels)
    arrays = {f"model/{name}": array for name, array in attributor.model.arrays.items()}
    arrays[_FITTED_ON] = attributor.fitted_on
    write_archive(path, header, arrays | dict(zip(_GALLERY, gallery, strict=True)))


def load_attributor(path: Path | str) -> Attributor:
    """Read an attributor that its `save` wrote; nothing in the file is executed.

    Raises:
        OSError: when the file is missing or cannot be read.
        ValueError: in one line, when it is no such file or does not fit together.

    Example:
        >>> attributor = load_attributor("attributor.npz")  # doctest: +SKIP
    """
    check_file_in(path, "an attributor file, which `gan-forensics attribute fit` writes")
    try:
        return _assembled(*read_archive(path, _choose, most=LARGEST_FILE))
    except OSError:
        raise
    except Exception as error:  # What a hostile header asks for can fail anywhere.
        reason = shown(" ".join(str(error).split()), most=1000) or type(error).__name__
        raise ValueError(
            f"{shown(path)} is not a usable attributor file: {reason} "
            "(write one with `gan-forensics attribute fit`)"
        ) from error


def _choose(header: Any, heads: Mapping[str, Head]) -> Iterable[str]:
    """All arrays, where they are those of the header."""
    _check_header(header)
    given = {name.removeprefix("model/"): head for name, head in heads.items()}
    given = {name: given[name] for name in given.keys() - {*_GALLERY, _FITTED_ON}}
    METHODS[header["method"]].check(header["settings"], given, classes=len(header["names"]))
    return heads


def _check_header(header: Any) -> None:
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        if isinstance(header, dict) and header.get("format") == DETECTOR:
            raise ValueError("it is a detector: `gan-forensics detect score` reads it")
        raise ValueError("its header is not that of an attributor")
    if header.get("version") != VERSION:
        version = shown(repr(header.get("version")))
        raise ValueError(f"it has version {version}, this gan_forensics reads {VERSION}")
    check_fields(header, {
        "method": str, "names": list, "real": str, "temperature": float,
        "threshold": float, "accepted": float, "settings": dict, "facts": dict,
    })  # fmt: skip
    _names(header)
    check_image_shape(header, (3,))
    for name in ("temperature", "threshold", "accepted"):
        if not math.isfinite(header[name]) or (name == "temperature" and header[name] <= 0):
            raise ValueError(f"{name} {header[name]} cannot be")
    lookup(METHODS, header["method"], "method")
    known = header["facts"].get("known", {})
    names = [*known.get("semantics", ()), *(n for pair in known.get("instances", ()) for n in pair)]
    if not all(isinstance(name, str) for name in names):
        raise ValueError("what it was fitted on is not told by names")
    read_preprocessing(header)


def _assembled(header: Mapping[str, Any], arrays: dict[str, np.ndarray]) -> Attributor:
    """Check the arrays and build the attributor, of a header that was checked."""
    names, real, shape = _names(header), header["real"], header["image_shape"]
    gallery = _gallery(arrays, len(names))
    fitted_on = arrays.pop(_FITTED_ON, None)
    if fitted_on is None or fitted_on.ndim != 1 or fitted_on.dtype != np.uint64:
        raise ValueError("it does not tell what images it was fitted on")
    given = {
        name.removeprefix("model/"): array for name, array in arrays.items() if name not in _GALLERY
    }
    model = METHODS[header["method"]].assemble(
        header["settings"], given, classes=len(names), real=names.index(real)
    )
    return Attributor(
        names=names,
        real=real,
        method=header["method"],
        model=model,
        image_shape=(shape[0], shape[1], 3),
        preprocessing=read_preprocessing(header),
        temperature=header["temperature"],
        threshold=header["threshold"],
        accepted=header["accepted"],
        gallery=gallery[0],
        gallery_labels=gallery[1],
        fitted_on=np.sort(fitted_on),
        facts=header["facts"],
    )


def _names(header: Mapping[str, Any]) -> tuple[str, ...]:
    names = header["names"]
    known = all(isinstance(name, str) and name for name in names)
    if not known or not 2 <= len(names) <= MOST_SOURCES or len(set(names)) < len(names):
        raise ValueError(f"its names are not 2 to {MOST_SOURCES} different ones")
    if header["real"] not in names:
        raise ValueError("its real source is none of its names")
    return tuple(names)


def _gallery(arrays: Mapping[str, np.ndarray], classes: int) -> tuple[Outputs, np.ndarray]:
    if missing := sorted(set(_GALLERY) - arrays.keys()):
        raise ValueError(f"it lacks the arrays {missing}")
    logits, features, labels = (arrays[name] for name in _GALLERY)
    rows = {array.shape[:1] for array in (logits, features, labels)}
    if len(rows) != 1 or logits.shape[1:] != (classes,) or features.ndim != 2 or labels.ndim != 1:
        raise ValueError("the arrays of its gallery do not fit together")
    if logits.dtype != np.float32 or features.dtype != np.float32 or labels.dtype.kind != "i":
        raise ValueError("the arrays of its gallery are of other types")
    if not (np.isfinite(logits).all() and np.isfinite(features).all()):
        raise ValueError("the arrays of its gallery are not finite")
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError("the labels of its gallery are out of range")
    return Outputs(logits, features), labels
