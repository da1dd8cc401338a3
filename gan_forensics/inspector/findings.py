"""What is found of one image file: by stages, each a JSON-able record and pictures.

A stage is a function of an opened file and of what it is looked at with. The page, the report and
the JSON are all made of findings, and of nothing else.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from gan_forensics.data.decoding import Header

if TYPE_CHECKING:
    from gan_forensics.forensics.attributor_scorer import AttributorScorer
    from gan_forensics.forensics.detectors import Detector
    from gan_forensics.forensics.spectrum_bands import SpectrumBands


@dataclass(frozen=True, eq=False)
class Opened:
    """An image file as it was received.

    Attributes:
        name: as whoever gave it called it: text, never a path that is opened.
        content: its bytes.
        pasted: whether a browser encoded it anew, so that facts of the file are not the original's.
        header: what its first bytes say; None where nothing can be read.
        pixels: uint8 [h, w, 3] in [0, 255]; None where no verdict is possible.
        refusal: why there are no pixels, or no header; "" where there are.
        note: what else was done to come by the pixels; "" where nothing was.
    """

    name: str
    content: bytes
    pasted: bool = False
    header: Header | None = None
    pixels: UInt8[np.ndarray, "h w 3"] | None = None
    refusal: str = ""
    note: str = ""


@dataclass(frozen=True, eq=False)
class Tools:
    """What images are looked at with.

    Attributes:
        detectors: with the names of their files; none are needed.
        attributor: that ranks generators, with the name of its file, or None.
        bands: of spectra of photographs and of generators, or None.
        anchors: certificates, PEM, of those whose signatures are trusted, or None.
    """

    detectors: "tuple[tuple[str, Detector], ...]" = ()
    attributor: "tuple[str, AttributorScorer] | None" = None
    bands: "SpectrumBands | None" = None
    anchors: str | None = None


@dataclass(frozen=True, eq=False)
class Finding:
    """What a stage found.

    Attributes:
        stage: its name, which is that of its template too.
        facts: JSON-able; the same for the same file and tools.
        private: JSON-able: places, serial numbers, names of people, and texts that may hold
            anything, which reports leave out unless they are asked for.
        pictures: uint8 [h, w, 3 or 4], by name.
    """

    stage: str
    facts: Mapping[str, Any]
    private: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, UInt8[np.ndarray, "h w c"]] = field(default_factory=dict)


Stage = Callable[[Opened, Tools], Finding | None]
