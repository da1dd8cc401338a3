"""Stages that show the file: how it was written, traces of its history, and aids for the eye."""

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from gan_forensics.data.budget import most_of_photograph
from gan_forensics.data.decoding import ImageError
from gan_forensics.data.embedded import embedded
from gan_forensics.data.jpeg_tables import JpegTables, jpeg_luminance, jpeg_tables
from gan_forensics.data.looking import glance, look, shrunk
from gan_forensics.data.sniff import HEADER, image_format
from gan_forensics.files import shown
from gan_forensics.forensics import visual_aids
from gan_forensics.forensics.exif_facts import exif_facts
from gan_forensics.forensics.jpeg_history import (
    DOUBLE,
    GRID,
    MIDDLE,
    earlier_jpeg,
    jpeg_traces,
    middle,
)
from gan_forensics.forensics.noise_residuals import GRAY
from gan_forensics.forensics.resampling import PEAK, enlargement
from gan_forensics.inspector.findings import Finding, Opened, Tools

# Pixels of these are stored without loss, or at least on no blocks of another codec.
_PLAIN = ("PNG", "BMP", "TIFF", "PPM")
_DIGITS = 3


def file(opened: Opened, tools: Tools) -> Finding:
    """How the file was written, whether it was compressed or enlarged before, its Exif data."""
    name = shown(opened.name)
    header, pixels = opened.header, opened.pixels
    kind = header.container if header else image_format(opened.content[:HEADER], opened.name)
    exif = exif_facts(embedded(opened.content).exif)
    facts: dict[str, Any] = {
        "pasted": opened.pasted,
        "bytes": len(opened.content),
        "container": kind,
        "decoded": pixels is not None,
        "header": None if header is None else {
            "height": header.height, "width": header.width, "colours": header.colours,
        },
        "seen": None, "jpeg": None, "earlier": None, "traces": None, "enlarged": None,
        "preview": "", "exif": exif.public,
    }  # fmt: skip
    pictures: dict[str, np.ndarray] = {}
    if pixels is not None:
        pictures["preview"] = shrunk(pixels)
        facts["enlarged"] = _enlarged(pixels)
        if kind in _PLAIN:
            facts["traces"] = _traces(pixels)
    elif header is not None:
        facts["seen"] = _seen(opened.content, name)
        try:
            pictures["preview"], facts["preview"] = glance(opened.content, name=name)
        except ImageError:  # Its pixels are damaged, which the refusal says.
            pass
    if kind == "JPEG" and header is not None:
        try:
            tables = jpeg_tables(opened.content, name=name)
            facts["jpeg"] = _written(tables)
            if pixels is not None:
                facts["earlier"] = _earlier(opened.content, name, tables)
        except ImageError:  # Damaged in a way that leaves its pixels, or without luminance.
            pass
    return Finding("file", facts, exif.private, pictures)


def aids(opened: Opened, tools: Tools) -> Finding | None:
    """Error levels and the strength of noise, which may help an eye that knows them."""
    if opened.pixels is None:
        return None
    facts: dict[str, Any] = {"pasted": opened.pasted, "error_levels": None}
    pictures = {"noise": visual_aids.noise_strength(opened.pixels)}
    facts["noise"] = {
        "levels": visual_aids.LEVELS,
        "sigma": visual_aids.SIGMA,
        "brighter": visual_aids.NOISE_BRIGHTER,
        "whole": max(opened.pixels.shape[:2]) <= visual_aids.MIDDLE,
        "side": visual_aids.MIDDLE,
    }
    if opened.header and opened.header.container == "JPEG":
        pictures["error_levels"] = visual_aids.error_levels(opened.pixels)
        facts["error_levels"] = {
            "quality": visual_aids.QUALITY, "brighter": visual_aids.BRIGHTER,
        }  # fmt: skip
    return Finding("aids", facts, pictures=pictures)


def _seen(content: bytes, name: str) -> dict[str, Any] | None:
    try:
        seen = look(content, name=name)
    except ImageError:
        return None
    return {"bits": seen.bits, "frames": seen.frames, "alpha": seen.alpha}


def _written(tables: JpegTables) -> dict[str, Any]:
    return {
        "quality": tables.quality,
        "libjpeg": tables.libjpeg,
        "sampling": tables.sampling,
        "progressive": tables.progressive,
        "segments": list(tables.segments),
        "tables": [np.reshape(table, (8, 8)).tolist() for table in tables.tables],
    }


def _gray(pixels: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "a b"]:
    """Gray levels of the middle of a picture, which is all that is looked at."""
    part, *_ = middle(pixels, MIDDLE + 8)
    return part @ np.array(GRAY, np.float32)


def _enlarged(pixels: UInt8[np.ndarray, "h w 3"]) -> dict[str, Any] | None:
    found = enlargement(_gray(pixels))
    return found and {
        "found": found.found,
        "peak": round(found.peak, 1),
        "limit": PEAK,
        "frequency": round(found.frequency, _DIGITS),
        "factors": list(found.factors),
    }


def _traces(pixels: UInt8[np.ndarray, "h w 3"]) -> dict[str, Any] | None:
    found = jpeg_traces(_gray(pixels))
    return found and {
        "found": found.found,
        "gap": round(found.gap, _DIGITS),
        "limit": GRID,
        "grid": list(found.grid),
        "quality": found.quality,
    }


def _earlier(content: bytes, name: str, tables: JpegTables) -> dict[str, Any] | None:
    luminance = jpeg_luminance(content, name=name, most_pixels=most_of_photograph())
    found = earlier_jpeg(luminance, tables.tables[0])
    return found and {
        "found": found.found,
        "score": round(found.score, _DIGITS),
        "limit": DOUBLE,
        "frequencies": found.frequencies,
        "quality": found.quality if found.found else None,
    }
