"""One image from its bytes as received to what all stages found: what page and report show."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from hashlib import sha256

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gan_forensics.forensics.failures import failure_of
from gan_forensics.inspector.findings import Finding, Opened, Stage, Tools
from gan_forensics.inspector.opening import open_bytes
from gan_forensics.inspector.stages import FIRST, LATER

# Stages that have a verdict of the whole image; after carriers it is final.
LAST_WORD = ("carriers", "verdict")


@dataclass(eq=False)
class Inspection:
    """What is known of one image so far. Neither its bytes nor its pixels are kept.

    Attributes:
        number: by which a session tells its images apart, from 1.
        name: as whoever gave it called it: text, never a path that is opened.
        sha256: of the bytes as received, in hexadecimal.
        size: how many bytes they are.
        received: when, in UTC, as ISO 8601 has it.
        pasted: whether a browser encoded it anew.
        height: of the pixels that were looked at; 0 where there are none.
        width: likewise.
        refusal: why there are none; "" where there are.
        note: what else was done to come by them; "" where nothing was.
        findings: by stage, in the order in which they came; their pictures are taken out.
        pictures: WebP files, by stage and name.
        errors: by stage, one line each: why it found nothing, though it applies.
        worked: the stages that were worked off, those that found nothing among them.

    Example:
        >>> some = received(b"no image", "a.png", number=1)
        >>> some.size, some.done, some.sha256[:8]
        (8, False, '7e9fcb3c')
    """

    number: int
    name: str
    sha256: str
    size: int
    received: str
    pasted: bool = False
    height: int = 0
    width: int = 0
    refusal: str = ""
    note: str = ""
    findings: dict[str, Finding] = field(default_factory=dict)
    pictures: dict[str, dict[str, bytes]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    worked: list[str] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether all stages were worked off."""
        return len(self.worked) == len(FIRST) + len(LATER)


def received(content: bytes, name: str, *, number: int, pasted: bool = False) -> Inspection:
    """The record of an image that nothing was looked at yet.

    Args:
        content: the file.
        name: what it is called.
        number: of this image in the session.
        pasted: whether a browser encoded it anew.
    """
    return Inspection(number, name, sha256(content).hexdigest(), len(content), now(), pasted)


def now() -> str:
    """The time in UTC, as ISO 8601 has it, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def opened(inspection: Inspection, content: bytes) -> Opened:
    """Open the bytes of an image, and write down why it has no pixels, or what they are."""
    name, pasted = inspection.name, inspection.pasted
    try:
        file = open_bytes(content, name, pasted=pasted)
    except Exception as error:  # It is the file's, and no other's: too little memory among others.
        file = Opened(name, content, pasted, refusal=failure_of(name, error).text)
    if file.pixels is not None:
        inspection.height, inspection.width = file.pixels.shape[:2]
    inspection.refusal, inspection.note = file.refusal, file.note
    return file


def work_off(
    inspection: Inspection, file: Opened, tools: Tools, stages: Mapping[str, Stage]
) -> Iterator[str]:
    """Work off stages, each as soon as the last one's name was taken; one that fails stops none.

    Args:
        inspection: gets what they find.
        file: its image.
        tools: what it is looked at with.
        stages: by name.

    Yields:
        The name of each stage that was worked off.
    """
    for name, stage in stages.items():
        try:
            finding = stage(file, tools)
            if finding is not None:
                pictures = {what: encoded(array) for what, array in finding.pictures.items()}
                inspection.pictures[name] = pictures
                inspection.findings[name] = replace(finding, pictures={})
        # Whatever it is, the other stages have nothing to do with it.
        except Exception as error:
            inspection.errors[name] = failure_of(name, error).text
        inspection.worked.append(name)
        yield name


def inspect(content: bytes, name: str, tools: Tools, *, number: int) -> Inspection:
    """All that is to be said of an image.

    Args:
        content: the file.
        name: what it is called.
        tools: what it is looked at with.
        number: of this image among others.
    """
    inspection = received(content, name, number=number)
    for _ in work_off(inspection, opened(inspection, content), tools, {**FIRST, **LATER}):
        pass
    return inspection


def in_a_word(inspection: Inspection, *stages: str) -> str:
    """What the first of some stages says in a few words, or why it failed; empty without any.

    Args:
        inspection: of the image.
        *stages: whose findings may have a fact `summary`; the one that has the last word first.
    """
    said = [str(inspection.findings[s].facts.get("summary", "")) for s in stages
            if s in inspection.findings]  # fmt: skip
    failed = [inspection.errors[stage] for stage in stages if stage in inspection.errors]
    return next(filter(None, [*said, *failed]), "")


def verdicts(inspection: Inspection) -> set[str]:
    """What detectors say of an image, each word once; those that have the last word count.

    Example:
        >>> verdicts(received(b"no image", "a.png", number=1))
        set()
    """
    found = next((inspection.findings[s] for s in LAST_WORD if s in inspection.findings), None)
    rows = found.facts.get("detectors", []) if found else []
    return {row["verdict"] for row in rows if "verdict" in row}


def encoded(picture: UInt8[np.ndarray, "h w c"]) -> bytes:
    """A picture to look at, as a file: WebP, with small losses.

    Example:
        >>> import numpy as np
        >>> encoded(np.zeros((2, 2, 3), np.uint8))[8:12]
        b'WEBP'
    """
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=90, method=1)
    return buffer.getvalue()
