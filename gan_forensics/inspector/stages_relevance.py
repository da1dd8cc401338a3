"""The stage that shows what a detector used."""

from typing import Any

import numpy as np

from gan_forensics.data import grayscale
from gan_forensics.forensics.neural import NeuralDetector
from gan_forensics.forensics.photograph_relevance import Layered, closest, deciding, laid_over, look
from gan_forensics.inspector.findings import Finding, Opened, Tools

_DIGITS = 4
# Channels that are named.
_CHANNELS = 5
SPECTRAL = "it looks at numbers of the whole spectrum, so that no place of the picture stands out"


def relevance(opened: Opened, tools: Tools) -> Finding | None:
    """Where the evidence of the first neural detector lies, in which channels, and without colours.

    Relevance is no map of alterations: it is what the score is made of.
    """
    if opened.pixels is None or not tools.detectors:
        return None
    networks = [(n, d) for n, d in tools.detectors if isinstance(d, NeuralDetector)]
    others = {
        n: "only the first network is explained" if isinstance(d, NeuralDetector) else SPECTRAL
        for n, d in tools.detectors
        if not networks or d is not networks[0][1]
    }
    if not networks:
        return Finding("relevance", {"detector": "", "others": others})
    name, detector = networks[0]
    facts: dict[str, Any] = {"detector": name, "network": detector.arch, "others": others}
    try:
        looked = look(detector, opened.pixels)
    except ValueError as error:
        return Finding("relevance", {**facts, "refusal": str(error)})
    generated = bool(looked.score > detector.threshold)
    whole = laid_over(looked)
    several = detector.tiles is not None
    pictures = _pictures("", whole)
    if several:
        near = closest(looked, generated=generated)
        facts["close_scale"] = _rounded(near.scale)
        pictures |= _pictures("close_", near)
    return Finding("relevance", {
        **facts,
        "refusal": "",
        "tiles": several,
        "parts": len(looked.parts),
        "part": list(looked.parts.shape[1:3]),
        "image": list(looked.image.shape[:2]),
        "resized": detector.preprocessing.size,
        "score": _rounded(looked.score),
        "threshold": _rounded(detector.threshold),
        "generated": generated,
        "gray": _rounded(looked.gray),
        "gray_generated": bool(looked.gray > detector.threshold),
        "colourless": bool(np.array_equal(looked.parts, grayscale(looked.parts))),
        "scale": _rounded(whole.scale),
        "channels": [
            {"layer": one.layer, "channel": one.channel, "channels": one.channels,
             "share": _rounded(one.omega)}
            for one in deciding(looked, generated=generated)[:_CHANNELS]
        ],
    }, pictures=pictures)  # fmt: skip


def _pictures(prefix: str, found: Layered) -> dict[str, np.ndarray]:
    return {f"{prefix}base": found.base, f"{prefix}layer": found.layer}


def _rounded(value: float) -> float:
    """To so many digits that count, for scores of any size."""
    return float(f"{value:.{_DIGITS}g}")
