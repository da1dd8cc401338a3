"""Stages that show what a picture is made of: its spectrum, beside those of others."""

from typing import Any

import numpy as np

from gan_forensics.data.flat import FLAT
from gan_forensics.forensics.format_audit import size_class
from gan_forensics.forensics.spectrum_bands import (
    SIDE,
    SIDES,
    Band,
    codec_class,
    tiles_curve,
    tiles_of,
)
from gan_forensics.forensics.tiles import STEP
from gan_forensics.inspector.findings import Finding, Opened, Tools
from gan_forensics.report.figures import figure_pixels
from gan_forensics.report.spectrum_bands import bands_figure, dct_colours
from gan_forensics.spectra.radial import ring_radii

_DIGITS = 4


def spectrum(opened: Opened, tools: Tools) -> Finding | None:
    """The curve of an image beside the bands of its own codec and size, and its DCT."""
    if opened.pixels is None or opened.header is None:
        return None
    known, header = tools.bands, opened.header
    shorter = min(opened.pixels.shape[:2])
    wanted = SIDE if known is None else known.side
    side = wanted if shorter >= wanted else shorter // STEP * STEP
    if side < SIDES[0]:
        why = f"its shorter side of {shorter} pixels is too little: {SIDES[0]} are needed"
        return Finding("spectrum", {"refusal": why})
    found = tiles_of(opened.pixels, side)
    if not len(found.gray):
        return Finding("spectrum", {"refusal": FLAT})
    normalise = "min-max" if known is None else known.normalise
    curve, frequency = tiles_curve(found.gray, normalise), ring_radii(side, side)
    # What a browser encoded anew has lost the codec that it had.
    bands = [] if known is None or side != known.side or opened.pasted else known.of(header)
    facts: dict[str, Any] = {
        "refusal": "",
        "side": side,
        "tiles": len(found.gray),
        "flat_tiles": found.flat,
        "normalise": normalise,
        "codec": codec_class(header.container, header.quality),
        "size": size_class(header.height, header.width),
        "pasted": opened.pasted,
        "frequency": np.round(frequency, _DIGITS).tolist(),
        "curve": np.round(curve, _DIGITS).tolist(),
        "bands": [_position(band, curve) for band in bands],
        "band_side": None if known is None else known.side,
        "known": [] if known is None else [
            {"codec": codec, "size": size, "images": images}
            for (codec, size), images in known.kinds.items()
        ],
    }  # fmt: skip
    pictures = {
        "curve": figure_pixels(bands_figure(frequency, curve, bands)),
        "dct": dct_colours(found.gray),
    }
    return Finding("spectrum", facts, pictures=pictures)


def _position(band: Band, curve: np.ndarray) -> dict[str, Any]:
    """At how many rings the curve lies outside of a band."""
    above, below = int((curve > band.high).sum()), int((curve < band.low).sum())
    return {
        "name": band.name, "images": band.images, "rings": len(curve),
        "above": above, "below": below, "outside": above + below,
        "expected": round(band.outside * len(curve)),
    }  # fmt: skip
