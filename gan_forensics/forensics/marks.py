"""What an image file itself says of its origin, apart from signed credentials.

Standard statements (the digital source type of IPTC, China's label of generated content), and the
settings that generators leave behind. Anybody can write all of it, and take it out: it is what a
file says, and its absence says nothing.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from gan_forensics.data.embedded import XMP_NAME, Embedded, Text
from gan_forensics.data.iptc import iptc_values
from gan_forensics.data.tiff_tags import tag_values
from gan_forensics.data.xmp import why_unread, xmp_properties
from gan_forensics.files import parse_json
from gan_forensics.forensics.exif_facts import exif_text
from gan_forensics.forensics.source_types import Says, source_type

# Characters of a text, and marks of either kind.
MOST_SHOWN, MOST_PRIVATE, MOST_MARKS = 20_000, 1000, 20
_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_PHOTOSHOP, _DUBLIN = "http://ns.adobe.com/photoshop/1.0/", "http://purl.org/dc/elements/1.1/"
_EXIF, _AUX = "http://ns.adobe.com/exif/1.0/", "http://ns.adobe.com/exif/1.0/aux/"
_XMP, _EVENT = "http://ns.adobe.com/xap/1.0/", "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
# GB 45438-2025, 6.2 and annex E.
_TC260 = ("http://www.tc260.org.cn/ns/AIGC/1.0/", "AIGC")
_TC260_LABELS = {
    "1": "content that is generated", "2": "content that may be generated",
    "3": "content that is suspected to be generated",
}  # fmt: skip
_TC260_FIELDS = {"ContentProducer", "ProduceID", "ContentPropagator", "PropagateID"}
# IPTC Photo Metadata Standard 2025.1.
_AI_FIELDS = {
    "AISystemUsed": "AI system used", "AISystemVersionUsed": "version of the AI system",
    "AIPromptInformation": "prompt given to the AI system",
}  # fmt: skip
_TEXT, _GOOGLE = "a text", "Made with Google AI"
# Names in fields of the program that wrote a file; programs that edit are none of them.
_GENERATORS = {
    "midjourney": "Midjourney", "dall-e": "DALL-E", "dall·e": "DALL-E", "novelai": "NovelAI",
    "stable diffusion": "Stable Diffusion", "stable-diffusion": "Stable Diffusion",
    "comfyui": "ComfyUI", "invokeai": "InvokeAI", "automatic1111": "AUTOMATIC1111",
    "fooocus": "Fooocus", "swarmui": "SwarmUI", "adobe firefly": "Adobe Firefly",
    "ideogram ai": "Ideogram", "drawthings": "Draw Things", "draw things": "Draw Things",
}  # fmt: skip
# Texts of PNG that generators alone write.
_KEYWORDS = {
    "invokeai_metadata": "InvokeAI", "invokeai_workflow": "InvokeAI", "invokeai_graph": "InvokeAI",
    "sd-metadata": "InvokeAI", "Dream": "InvokeAI", "fooocus_scheme": "Fooocus",
}  # fmt: skip
# Settings as AUTOMATIC1111 writes them; others follow it.
_STEPS, _FURTHER = re.compile(r"\bSteps: \d+, "), re.compile(r"\b(Sampler|Seed|CFG scale): ")
_WEB_UI = "AUTOMATIC1111 or a program that writes as it does"
_PEOPLE = {
    (_DUBLIN, "creator"): "creator (XMP)", (_DUBLIN, "rights"): "rights (XMP)",
    (_DUBLIN, "contributor"): "contributor (XMP)", (_PHOTOSHOP, "Credit"): "credit (XMP)",
    (_PHOTOSHOP, "CaptionWriter"): "writer of the caption (XMP)",
    (_EXTENSION, "AIPromptWriterName"): "writer of the prompt (XMP)",
    (_EXTENSION, "PersonInImage"): "person in the picture (XMP)",
    (_AUX, "SerialNumber"): "serial number (XMP)", (_AUX, "OwnerName"): "owner (XMP)",
    (_AUX, "LensSerialNumber"): "serial number of the lens (XMP)",
    (_EXIF, "GPSLatitude"): "latitude (XMP)", (_EXIF, "GPSLongitude"): "longitude (XMP)",
    (_PHOTOSHOP, "City"): "city (XMP)", (_EXTENSION, "Sublocation"): "place (XMP)",
}  # fmt: skip
_PEOPLE_IPTC = {
    "By-line": "by-line (IPTC)", "CopyrightNotice": "copyright (IPTC)", "Credit": "credit (IPTC)",
    "Writer": "writer of the caption (IPTC)",
}  # fmt: skip
_MAKE, _MODEL, _DESCRIPTION, _SOFTWARE, _COMMENT = 271, 272, 270, 305, 37510
_EXPOSURES = (33434, 33437, 37386)  # time, aperture, focal length


class Mark(NamedTuple):
    """A statement or trace in a file.

    Attributes:
        what: it is, or whose.
        where: in the file.
        says: what it comes to; "nothing" where it only tells of a program, or of a text.
        text: the statement itself, cut; "" of a text that may be anything.
        length: characters that it has.
    """

    what: str
    where: str
    says: Says | Literal["nothing"]
    text: str
    length: int


class Marks(NamedTuple):
    """What was found.

    Attributes:
        marks: of origin first.
        private: names of people, and texts that may be anything, by where they stand.
    """

    marks: tuple[Mark, ...]
    private: dict[str, str]


def marks_of(found: Embedded) -> Marks:
    """Statements on its origin in what a file carries; nothing is raised.

    Example:
        >>> some = Embedded(texts=(Text("PNG tEXt", "Software", "NovelAI"),))
        >>> [(mark.what, mark.says) for mark in marks_of(some).marks]
        [('NovelAI', 'generated')]
    """
    xmp, iptc = xmp_properties(found.xmp), iptc_values(found.iptc)
    marks = [
        *_of_xmp(xmp),
        *_of_iptc(iptc),
        *_of_texts(found.texts),
        *_of_exif(tag_values(found.exif), little=found.exif[:2] != b"MM"),
    ]
    silent = [mark for mark in marks if mark.says == "nothing"]
    kept = [mark for mark in marks if mark.says != "nothing"][:MOST_MARKS] + silent[:MOST_MARKS]
    return Marks(tuple(dict.fromkeys(kept)), _private(xmp, iptc, found.texts))


def unread_of(found: Embedded, content: bytes) -> tuple[str, ...]:
    """What of that which a file carries is not read to its end, and why.

    Args:
        found: what it carries.
        content: the file.

    Example:
        >>> unread_of(Embedded(xmp=b"<!DOCTYPE a []><a/>"), b"")
        ('XMP (a document type is declared)',)
    """
    why = why_unread(found.xmp)
    parts = [f"XMP ({why})"] if why else []
    if found.looked and not found.xmp and XMP_NAME in content:
        parts.append("XMP (what stands around it is damaged)")
    if found.exif and not tag_values(found.exif)["main"]:
        parts.append("Exif data (they are damaged)")
    if found.cut:
        parts.append("texts (more, or longer, than are read)")
    return tuple(parts)


def _mark(what: str, where: str, says: Says | Literal["nothing"], text: str) -> Mark:
    return Mark(what, where, says, text[:MOST_SHOWN], len(text))


def _of_xmp(xmp: Mapping[tuple[str, str], list[str]]) -> Iterator[Mark]:
    for address in xmp.get((_EXTENSION, "DigitalSourceType"), []):
        kind = source_type(address)
        yield _mark(f"IPTC digital source type: {kind.words}", "XMP", kind.says, address)
    for name, what in _AI_FIELDS.items():
        for text in xmp.get((_EXTENSION, name), []):
            yield _mark(what, "XMP", "generated", text)
    for text in xmp.get(_TC260, []):
        yield from _of_label(text, "XMP")
    for text in xmp.get((_PHOTOSHOP, "Credit"), []):
        if _GOOGLE.lower() in text.lower():
            yield _mark(_GOOGLE, "XMP credit", "generated", text)
    for text in xmp.get((_XMP, "CreatorTool"), []):
        yield _of_program(text, "XMP CreatorTool")
    for text in dict.fromkeys(xmp.get((_EVENT, "softwareAgent"), [])):
        yield _of_program(text, "XMP history")


def _of_iptc(iptc: Mapping[str, str]) -> Iterator[Mark]:
    if _GOOGLE.lower() in iptc.get("Credit", "").lower():
        yield _mark(_GOOGLE, "IPTC credit", "generated", iptc["Credit"])
    if program := iptc.get("OriginatingProgram"):
        yield _of_program(program, "IPTC OriginatingProgram")


def _of_texts(texts: tuple[Text, ...]) -> Iterator[Mark]:
    for where, keyword, text in texts:
        place = f"{where} {keyword}".strip()
        if keyword in _KEYWORDS:
            yield _mark(_KEYWORDS[keyword], place, "generated", text)
        elif keyword == "parameters" and '"sui_image_params"' in text:
            yield _mark("SwarmUI", place, "generated", text)
        elif keyword == "prompt" and '"class_type"' in text:
            yield _mark("ComfyUI", place, "generated", text)
        elif keyword == "workflow" and '"nodes"' in text:
            yield _mark("ComfyUI", place, "generated", text)
        elif keyword == "Description" and re.search(r"\bJob ID: [0-9a-f-]{36}", text):
            yield _mark("Midjourney", place, "generated", text)
        elif keyword == "AIGC":
            yield from _of_label(text, place)
        elif _has_settings(text):
            yield _mark(_WEB_UI, place, "generated", text)
        elif keyword in ("Software", "Source"):
            yield _of_program(text, place)
        else:
            yield Mark(_TEXT, place, "nothing", "", len(text))


def _of_exif(tags: Mapping[str, Mapping[int, Any]], *, little: bool) -> Iterator[Mark]:
    texts = {
        tag: exif_text(tags[folder].get(tag, ()), tag, little=little)
        for folder, numbers in (("main", (_MAKE, _MODEL, _DESCRIPTION, _SOFTWARE)),
                                ("exif", (_COMMENT,)))
        for tag in numbers
    }  # fmt: skip
    names = {_MAKE: "Make", _MODEL: "Model", _DESCRIPTION: "ImageDescription",
             _SOFTWARE: "Software", _COMMENT: "UserComment"}  # fmt: skip
    generator = False
    for tag, text in texts.items():
        place = f"Exif {names[tag]}"
        if re.match(r"(prompt|workflow):\s*\{", text):
            mark = _mark("ComfyUI", place, "generated", text)
        elif _has_settings(text):
            mark = _mark(_WEB_UI, place, "generated", text)
        elif label := [*_of_label(text, place)]:
            mark = label[0]
        elif text and tag in (_MAKE, _SOFTWARE):
            mark = _of_program(text, place)
        else:
            continue
        generator = generator or mark.says == "generated"
        if mark.says == "generated" or tag == _SOFTWARE:
            yield mark
    exposed = any(tag in tags["exif"] for tag in _EXPOSURES)
    if not generator and exposed and texts[_MAKE] and texts[_MODEL]:
        camera = f"{texts[_MAKE]} {texts[_MODEL]}"
        yield _mark("a camera's name and exposure", "Exif", "camera", camera)


def _has_settings(text: str) -> bool:
    if len(text) > 2 * MOST_SHOWN:  # They stand behind the prompt.
        text = f"{text[:MOST_SHOWN]}\n{text[-MOST_SHOWN:]}"
    steps = _STEPS.search(text)
    return steps is not None and _FURTHER.search(text, steps.end()) is not None


def _of_program(text: str, where: str) -> Mark:
    """The program that a file says it was written with."""
    lowered = text.lower()
    for name, generator in _GENERATORS.items():
        if name in lowered:
            return _mark(generator, where, "generated", text)
    return _mark("the program that wrote it", where, "nothing", text)


def _of_label(text: str, where: str) -> Iterator[Mark]:
    """China's label of generated content, alone or under its name."""
    if "Label" not in text or len(text) > MOST_SHOWN:
        return
    try:
        label = parse_json(text, where)
    except ValueError:
        return
    label = label.get("AIGC", label) if isinstance(label, dict) else None
    if isinstance(label, dict) and "Label" in label and _TC260_FIELDS & label.keys():
        said = _TC260_LABELS.get(str(label["Label"]))
        what = f"China's label of generated content (TC260): {said or 'of unknown value'}"
        yield _mark(what, where, "generated" if said else "other", text)


def _private(
    xmp: Mapping[tuple[str, str], list[str]], iptc: Mapping[str, str], texts: tuple[Text, ...]
) -> dict[str, str]:
    silent = [mark.where for mark in _of_texts(texts) if mark.what == _TEXT]
    found = {
        **{name: ", ".join(xmp.get(key, [])[:10]) for key, name in _PEOPLE.items()},
        **{name: iptc.get(key, "") for key, name in _PEOPLE_IPTC.items()},
        **{
            place: each.text
            for each in texts
            if (place := f"{each.where} {each.keyword}".strip()) in silent
        },
    }
    return {
        name: text[:MOST_PRIVATE] for name, text in found.items() if text and _GOOGLE not in text
    }
