"""What image files carry beside their pixels: Exif data, XMP, IPTC, and texts.

Read by hand, within limits and without an error: what strangers wrote ends where it cannot be read.
Nothing is unpacked but texts, and of them no more than is kept.
"""

import io
import struct
from collections.abc import Iterator
from typing import NamedTuple

from gan_forensics.data.box_files import item_places
from gan_forensics.data.jpeg_scans import segments
from gan_forensics.data.png_chunks import each_chunk, text_of
from gan_forensics.data.refusal import Refusal
from gan_forensics.data.sniff import HEADER, image_format
from gan_forensics.data.tiff_tags import tag_values

# Bytes of a text or a packet, of all texts, and how many there are.
MOST_TEXT, MOST_IN_ALL, MOST_TEXTS = 2**20, 2**22, 100
_MOST_PARTS, _MOST_ITEMS = 10_000, 20
_APP1, _APP13, _COM = 0xE1, 0xED, 0xFE
_EXIF, _XMP, _PHOTOSHOP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0"
_TAG_XMP, _TAG_IPTC, _RESOURCE_IPTC = 700, 33723, 0x0404
# What every packet has.
XMP_NAME = b"adobe:ns:meta"
_PNG_XMP, _RAW_PROFILE = "XML:com.adobe.xmp", "Raw profile type "


class Text(NamedTuple):
    """A text that stands in a file on its own.

    Attributes:
        where: the part of the file: "PNG tEXt", "JPEG comment" ...
        keyword: what it is called; "" where it has no name.
        text: of at most a million characters.
    """

    where: str
    keyword: str
    text: str


class Embedded(NamedTuple):
    """What was found.

    Attributes:
        exif: TIFF data, from their byte order on; b"" where there are none, as with the others.
        xmp: the packet, which is XML.
        iptc: datasets of the older form (IIM).
        texts: in the order of the file.
        looked: whether the file could be looked into: its format is known, and it is not damaged.
        cut: whether it has more texts, or longer ones, than these.
    """

    exif: bytes = b""
    xmp: bytes = b""
    iptc: bytes = b""
    texts: tuple[Text, ...] = ()
    looked: bool = True
    cut: bool = False


def embedded(content: bytes) -> Embedded:
    """What the bytes of a file carry.

    Example:
        >>> from PIL import Image
        >>> from PIL.PngImagePlugin import PngInfo
        >>> file, texts = io.BytesIO(), PngInfo()
        >>> texts.add_text("Software", "a pencil")
        >>> Image.new("L", (8, 4)).save(file, "PNG", pnginfo=texts)
        >>> embedded(file.getvalue()).texts
        (Text(where='PNG tEXt', keyword='Software', text='a pencil'),)
    """
    kind = image_format(content[:HEADER])
    reader = _READERS.get(kind or "")
    return reader(content) if reader else Embedded(looked=False)


def _of_jpeg(content: bytes) -> Embedded:
    exif = xmp = iptc = b""
    texts = []
    try:
        found = segments(io.BytesIO(content))
    except ValueError:  # Damaged, or more than are read.
        return Embedded(looked=False)
    for marker, start, end in found:
        data = content[start:end]
        if marker == _APP1 and data.startswith(_EXIF):
            exif = exif or data[len(_EXIF) :]
        elif marker == _APP1 and data.startswith(_XMP):
            xmp = xmp or data[len(_XMP) :]
        elif marker == _APP13 and data.startswith(_PHOTOSHOP):
            iptc = iptc or _iptc_of_photoshop(data[len(_PHOTOSHOP) :])
        elif marker == _COM:
            texts.append(Text("JPEG comment", "", data.decode(errors="replace").rstrip("\0")))
    return Embedded(exif, xmp, iptc, tuple(texts[:MOST_TEXTS]), cut=len(texts) > MOST_TEXTS)


def _iptc_of_photoshop(data: bytes) -> bytes:
    """The resource of IPTC among those of Photoshop."""
    at = 0
    for _ in range(_MOST_PARTS):
        if data[at : at + 4] != b"8BIM" or len(data) < at + 7:
            return b""
        number, name = struct.unpack_from(">HB", data, at + 4)
        at += 6 + (name + 2) // 2 * 2  # The name, with its length, is even.
        size = int.from_bytes(data[at : at + 4])
        if number == _RESOURCE_IPTC:
            return data[at + 4 : at + 4 + size]
        at += 4 + (size + 1) // 2 * 2
    return b""


def _of_png(content: bytes) -> Embedded:
    exif = xmp = iptc = b""
    texts, left, cut = [], MOST_IN_ALL, False
    try:
        for kind, start, end in each_chunk(io.BytesIO(content)):
            if kind == b"eXIf":
                exif = exif or content[start:end].removeprefix(_EXIF)
            if kind not in (b"tEXt", b"zTXt", b"iTXt"):
                continue
            keyword, text, more = text_of(kind, content[start:end], min(left, MOST_TEXT))
            cut = cut or more
            left -= len(text)
            raw = text.encode(errors="replace")
            if keyword == _PNG_XMP:
                xmp = xmp or raw
            elif keyword.startswith(_RAW_PROFILE):
                profile = keyword.removeprefix(_RAW_PROFILE)
                if profile in ("exif", "APP1"):
                    exif = exif or _unhexed(raw).removeprefix(_EXIF)
                elif profile == "xmp":
                    xmp = xmp or _unhexed(raw)
                elif profile == "iptc":
                    iptc = iptc or _iptc_of_photoshop(_unhexed(raw))
            elif len(texts) < MOST_TEXTS:
                texts.append(Text(f"PNG {kind.decode()}", keyword, text))
            else:
                cut = True
    except Refusal:  # More chunks than are read.
        cut = True
    return Embedded(exif, xmp, iptc, tuple(texts), cut=cut)


def _unhexed(raw: bytes) -> bytes:
    """What ImageMagick writes as hexadecimal digits, below three lines."""
    try:
        return bytes.fromhex("".join(raw.decode("ascii", "replace").split("\n")[3:]))
    except ValueError:
        return b""


def _of_webp(content: bytes) -> Embedded:
    parts = {}
    for kind, start, end in _riff_chunks(content):
        parts.setdefault(kind, content[start : min(end, start + MOST_IN_ALL)])
    return Embedded(parts.get(b"EXIF", b"").removeprefix(_EXIF), parts.get(b"XMP ", b""))


def _riff_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    at = 12
    for _ in range(_MOST_PARTS):
        if len(content) < at + 8:
            return
        size = int.from_bytes(content[at + 4 : at + 8], "little")
        yield content[at : at + 4], at + 8, at + 8 + size
        at += 8 + (size + 1) // 2 * 2


def _of_tiff(content: bytes) -> Embedded:
    tags = tag_values(content)["main"]
    packets = [tags.get(tag, b"") for tag in (_TAG_XMP, _TAG_IPTC)]
    xmp, iptc = (bytes(each) if isinstance(each, bytes) else b"" for each in packets)
    return Embedded(content, xmp, iptc)


def _of_boxes(content: bytes) -> Embedded:
    exif, packets = _items(content, b"Exif"), _items(content, b"mime")
    # Behind how many bytes those of the byte order begin.
    exif = [each[4 + int.from_bytes(each[:4]) :] for each in exif]
    xmp = [each for each in packets if XMP_NAME in each]
    return Embedded((exif or [b""])[0], (xmp or [b""])[0])


def _items(content: bytes, kind: bytes) -> list[bytes]:
    try:
        places = item_places(io.BytesIO(content), kind)
    except (ValueError, IndexError):
        return []
    return [content[start : min(end, start + MOST_TEXT)] for start, end in places[:_MOST_ITEMS]]


_READERS = {
    "JPEG": _of_jpeg, "PNG": _of_png, "WEBP": _of_webp, "TIFF": _of_tiff, "AVIF": _of_boxes,
    "HEIC": _of_boxes,
}  # fmt: skip
