"""What the Exif data of an image file say, apart by whether they may tell of people and places.

Cameras write them, and so can anybody: they are what the file says, not what was found out.
"""

from collections.abc import Mapping
from typing import NamedTuple

from gan_forensics.data.tiff_tags import tag_values

Value = bytes | tuple[float, ...]
# Characters of a text.
MOST_SHOWN = 1000
_CODINGS = {b"ASCII\0\0\0": "utf-8", b"\0" * 8: "utf-8"}
_UNICODE, _BELOW = b"UNICODE\0", b"\1"
# Seconds that are still told as one of so many.
_QUICKEST = 1e-6
_TURNED = {
    1: "as stored", 2: "mirrored", 3: "turned by 180 degrees", 4: "mirrored upside down",
    5: "mirrored, turned to the left", 6: "turned to the right",
    7: "mirrored, turned to the right", 8: "turned to the left",
}  # fmt: skip
# Names as the Exif standard has them. Those of texts:
_MAIN = {
    271: "Make", 272: "Model", 305: "Software", 306: "DateTime", 11: "ProcessingSoftware",
}  # fmt: skip
_EXIF = {
    36867: "DateTimeOriginal", 36868: "DateTimeDigitized", 36880: "OffsetTime",
    36881: "OffsetTimeOriginal", 42035: "LensMake", 42036: "LensModel", 42041: "CameraFirmware",
    42042: "RAWDevelopingSoftware", 42043: "ImageEditingSoftware",
    42044: "MetadataEditingSoftware",
}  # fmt: skip
# Names of people and devices, and texts that may hold anything.
_PRIVATE_MAIN = {
    315: "Artist", 316: "HostComputer", 33432: "Copyright", 40093: "XPAuthor",
    270: "ImageDescription", 40091: "XPTitle", 40092: "XPComment", 40094: "XPKeywords",
    40095: "XPSubject",
}  # fmt: skip
_PRIVATE_EXIF = {
    37510: "UserComment", 42038: "ImageTitle",
    42016: "ImageUniqueID", 42032: "CameraOwnerName", 42033: "BodySerialNumber",
    42037: "LensSerialNumber", 42039: "Photographer", 42040: "ImageEditor",
}  # fmt: skip


class ExifFacts(NamedTuple):
    """By the names of the Exif standard.

    Attributes:
        public: texts, whole numbers and numbers.
        private: places, serial numbers, names of people, and texts that may hold anything.
    """

    public: dict[str, str | float]
    private: dict[str, str]


def exif_facts(exif: bytes) -> ExifFacts:
    """What Exif data say, as far as they can be read; nothing is raised.

    Args:
        exif: from their byte order on, as `gan_forensics.data.embedded` finds them.

    Example:
        >>> from PIL import Image
        >>> made = Image.Exif()
        >>> made[271], made[315] = "Canon", "Ann"
        >>> exif_facts(made.tobytes()[6:])
        ExifFacts(public={'Make': 'Canon'}, private={'Artist': 'Ann'})
    """
    tags = tag_values(exif)
    little = exif[:2] != b"MM"
    public: dict[str, str | float] = {
        **_texts(tags["main"], _MAIN, little),
        **_texts(tags["exif"], _EXIF, little),
        **_numbers(tags["main"], tags["exif"]),
    }
    private = {
        **_texts(tags["main"], _PRIVATE_MAIN, little),
        **_texts(tags["exif"], _PRIVATE_EXIF, little),
        **_place(tags["gps"]),
    }
    return ExifFacts(public, private)


def exif_text(value: Value, tag: int = 0, *, little: bool = True) -> str:
    """A tag's value as text: of Windows' own tags and of comments as these are coded.

    Args:
        value: as `tag_values` has it.
        tag: its number.
        little: whether the least byte of numbers stands first.

    Example:
        >>> exif_text(b"UNICODE\\0\\0h\\0i", 37510)
        'hi'
    """
    if not isinstance(value, bytes):
        return ""
    if 40091 <= tag <= 40095:
        text = value.decode("utf-16-le", "replace")
    elif tag == 37510 and value[:8] == _UNICODE:
        # Writers disagree about the order of bytes. Letters are mostly of the first 256.
        orders = ("utf-16-le", "utf-16-be") if little else ("utf-16-be", "utf-16-le")
        both = [value[8:].decode(order, "replace") for order in orders]
        text = max(both, key=lambda each: sum(letter < "\u0100" for letter in each[:200]))
    elif tag == 37510:
        text = value[8:].decode(_CODINGS.get(value[:8], "latin-1"), "replace")
    else:
        text = value.decode("utf-8", "replace")
    return text.split("\0")[0].strip()


def _texts(tags: Mapping[int, Value], names: Mapping[int, str], little: bool) -> dict[str, str]:
    found = {
        name: exif_text(tags[tag], tag, little=little)[:MOST_SHOWN]
        for tag, name in names.items()
        if tag in tags
    }
    return {name: text for name, text in found.items() if text}


def _numbers(main: Mapping[int, Value], exif: Mapping[int, Value]) -> dict[str, str | float]:
    found: dict[str, str | float] = {}
    if (turned := _first(main, 274)) in _TURNED:
        found["Orientation"] = _TURNED[int(turned)]
    if seconds := _first(exif, 33434):
        quick = _QUICKEST < seconds < 0.3
        found["ExposureTime"] = f"1/{round(1 / seconds)} s" if quick else f"{seconds:g} s"
    if number := _first(exif, 33437):
        found["FNumber"] = f"f/{number:g}"
    for tag, name in ((34855, "PhotographicSensitivity"), (40962, "PixelXDimension"),
                      (40963, "PixelYDimension")):  # fmt: skip
        if (value := _first(exif, tag)) is not None:
            found[name] = int(value)
    if length := _first(exif, 37386):
        found["FocalLength"] = f"{length:g} mm"
    if (length := _first(exif, 41989)) is not None:
        found["FocalLengthIn35mmFilm"] = f"{length:g} mm"
    if (zoom := _first(exif, 41988)) is not None:
        found["DigitalZoomRatio"] = round(zoom, 3)
    if (flash := _first(exif, 37385)) is not None:
        found["Flash"] = "fired" if int(flash) & 1 else "did not fire"
    if isinstance(note := exif.get(37500), bytes):
        found["MakerNote"] = f"{len(note)} bytes of the maker's own, which are not read"
    return found


def _place(gps: Mapping[int, Value]) -> dict[str, str]:
    found = {}
    for name, tag, most in (("GPSLatitude", 2, 90), ("GPSLongitude", 4, 180)):
        parts = gps.get(tag)
        if isinstance(parts, tuple) and len(parts) == 3:
            degrees = parts[0] + parts[1] / 60 + parts[2] / 3600
            side = exif_text(gps.get(tag - 1, b""))[:1].upper()
            if 0 <= degrees <= most and side in ("N", "S", "E", "W"):
                found[name] = f"{degrees:.6f} {side}"
    if (height := _first(gps, 6)) is not None:
        found["GPSAltitude"] = f"{-height if gps.get(5) == _BELOW else height:g} m"
    if date := exif_text(gps.get(29, b"")):
        found["GPSDateStamp"] = date[:MOST_SHOWN]
    clock = gps.get(7)
    if isinstance(clock, tuple) and len(clock) == 3:
        found["GPSTimeStamp"] = ":".join(f"{int(part) % 100:02}" for part in clock) + " UTC"
    return found


def _first(tags: Mapping[int, Value], tag: int) -> float | None:
    value = tags.get(tag)
    return value[0] if isinstance(value, tuple) and value else None
