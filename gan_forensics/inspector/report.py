"""Reports of inspections: self-contained HTML, and JSON of the same.

Both say what was found and with what. The same files and tools give the same JSON but for the times
in it.
"""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from markupsafe import Markup

from gan_forensics.files import file_stem, write_text
from gan_forensics.inspector.findings import Tools
from gan_forensics.inspector.inspection import LAST_WORD, Inspection, in_a_word, now, verdicts
from gan_forensics.inspector.rendering import article, rendered
from gan_forensics.inspector.stages import SHOWN
from gan_forensics.report.provenance import provenance

FORMAT, VERSION = "gan_forensics inspection", 1
# What is different when the same is done again.
TIMES = ("written", "received")
_STEM = re.compile(r"\d{4,}-")


def report_json(inspections: Sequence[Inspection], tools: Tools, *, private: bool) -> str:
    """All findings as JSON.

    Args:
        inspections: of the images.
        tools: what they were looked at with.
        private: whether places, serial numbers and names of people are among it.
    """
    record = {
        "format": FORMAT,
        "version": VERSION,
        "written": now(),
        "with": described(tools),
        "private": private,
        "done": all(one.done for one in inspections),
        "images": [record_of(one, private=private) for one in inspections],
    }
    return json.dumps(record, indent=1, allow_nan=False) + "\n"


def report_html(inspections: Sequence[Inspection], tools: Tools, *, private: bool) -> str:
    """All findings as a page that needs nothing beside it.

    Args:
        inspections: of the images.
        tools: what they were looked at with.
        private: whether places, serial numbers and names of people are shown.
    """
    return rendered(
        "report.html",
        title=inspections[0].name if len(inspections) == 1 else f"{len(inspections)} images",
        images=[
            article(one, served=False, private=private, opened=len(inspections) == 1)
            for one in inspections
        ],
        undone=sum(not one.done for one in inspections),
        tools=described(tools),
        private=private,
        written=now(),
        served=False,
    )


def record_of(inspection: Inspection, *, private: bool) -> dict[str, Any]:
    """What is known of an image, JSON-able.

    Example:
        >>> from gan_forensics.inspector.inspection import received
        >>> record = record_of(received(b"no image", "a.png", number=1), private=False)
        >>> record["name"], record["bytes"], record["findings"]
        ('a.png', 8, {})
    """
    findings: dict[str, Any] = {}
    for stage in SHOWN:
        if found := inspection.findings.get(stage):
            findings[stage] = dict(found.facts)
            if private and found.private:
                findings[stage]["private"] = dict(found.private)
    return {
        "name": inspection.name,
        "sha256": inspection.sha256,
        "bytes": inspection.size,
        "received": inspection.received,
        "pasted": inspection.pasted,
        "done": inspection.done,
        "height": inspection.height,
        "width": inspection.width,
        "refusal": inspection.refusal,
        "note": inspection.note,
        "findings": findings,
        "errors": dict(inspection.errors),
    }


def described(tools: Tools) -> dict[str, Any]:
    """What images were looked at with: versions, and the digests of files."""
    known = provenance()
    bands = tools.bands
    return {
        **{name: known[name] for name in ("gan_forensics", "commit", "jax")},
        "detectors": [
            {"file": file, "name": detector.name, "sha256": detector.sha256}
            for file, detector in tools.detectors
        ],
        "attributor": None
        if tools.attributor is None
        else {
            "file": tools.attributor[0],
            "method": tools.attributor[1].model.method,
            "sha256": tools.attributor[1].sha256,
        },
        "bands": None if bands is None else sorted({band.name for band in bands.bands}),
        "trusted_certificates": (tools.anchors or "").count("-----BEGIN CERTIFICATE-----"),
    }


class Line(NamedTuple):
    """What the index says of an image.

    Attributes:
        name: of the image.
        page: the file of its report, beside the index.
        verdict: what detectors say, in words.
        provenance: what the file says, in words.
        refusal: why no verdict is possible; "" where one is.
        judged: whether a detector gave one.
    """

    name: str
    page: str
    verdict: str
    provenance: str
    refusal: str
    judged: bool

    @property
    def address(self) -> str:
        """By which the index links to the report."""
        return Markup(f"./{quote(self.page)}")


def write_reports(
    inspections: Iterable[Inspection], tools: Tools, out: Path, *, private: bool
) -> list[Line]:
    """Write a page and a JSON of each image, and one index of all, with a JSON of all findings.

    What was written stays, whatever becomes of the images that follow; the index is written last.

    Args:
        inspections: of the images, each done.
        tools: what they are looked at with.
        out: the folder; what lies in it under these names is replaced.
        private: whether places, serial numbers and names of people are among it.

    Returns:
        What the index says, an entry for each image.
    """
    lines: list[Line] = []
    known: list[Inspection] = []
    for one in inspections:
        stem = f"{one.number:04d}-{file_stem(Path(one.name).stem)}"
        write_text(out / f"{stem}.html", report_html([one], tools, private=private))
        write_text(out / f"{stem}.json", report_json([one], tools, private=private))
        known.append(replace(one, pictures={}))
        lines.append(
            Line(
                one.name, f"{stem}.html",
                in_a_word(one, *LAST_WORD), in_a_word(one, "provenance"), one.refusal,
                bool(verdicts(one)),
            )
        )  # fmt: skip
    page = rendered(
        "index.html",
        title=f"{len(lines)} images" if len(lines) != 1 else lines[0].name,
        lines=lines,
        tools=described(tools),
        private=private,
        written=now(),
        served=False,
    )
    write_text(out / "index.html", page)
    write_text(out / "index.json", report_json(known, tools, private=private))
    return lines


def earlier_reports(out: Path, lines: Sequence[Line]) -> list[str]:
    """Files of reports in a folder that are of none of these images.

    Args:
        out: the folder.
        lines: what its index says.

    Example:
        >>> earlier_reports(Path("nowhere"), [])
        []
    """
    own = {Path(line.page).stem for line in lines}
    return sorted(
        path.name
        for path in out.glob("*-*")
        if path.suffix in (".html", ".json") and _STEM.match(path.name) and path.stem not in own
    )
