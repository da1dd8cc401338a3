"""Files as they are received: opened once, by the one decoder, and never with an exception."""

import struct
from threading import Lock

import numpy as np
from PIL import Image

from gan_forensics.data.budget import most_of_photograph
from gan_forensics.data.decoding import Header, ImageError, decode_photograph
from gan_forensics.data.looking import Look, look
from gan_forensics.data.sniff import HEADER, image_format
from gan_forensics.files import shown
from gan_forensics.inspector.findings import Opened
from gan_forensics.runtime.free_memory import free_memory

# What a pixel takes while it is decoded: Pillow's copy, the array and, where there are several
# scans, all coefficients of libjpeg.
_BYTES_A_PIXEL = 13
_LARGE = Lock()
# Parts of PNG that tell how it is shown, and how many a browser's have at most.
_MOST_PARTS = 100_000
_SHOWN = frozenset(
    b"IHDR PLTE tRNS IDAT IEND sRGB gAMA cHRM iCCP cICP pHYs sBIT bKGD mDCV cLLI".split()
)


def open_bytes(content: bytes, name: str, *, pasted: bool = False) -> Opened:
    """A file as it was received: what it says of itself, and its pixels or why there are none.

    JPEGs of up to 268 megapixels are decoded whole; of those beyond the limit of other commands one
    at a time, where there is memory for it.

    Args:
        content: its bytes.
        name: what whoever gave it calls it.
        pasted: whether a browser encoded it anew.

    Example:
        >>> open_bytes(b"no picture", "a.png").refusal[:12]
        'not an image'
    """
    called, header = shown(name), None
    try:
        seen = None
        # Those whose headers cost little, and tell what is to be noted.
        if image_format(content[:HEADER]) in ("JPEG", "HEIC"):
            seen = look(content, name=called)
            header = seen.header
        header, pixels = _decoded(content, called, header)
    except ImageError as error:
        refusal = str(error).removeprefix(f"{called}: ")
        return Opened(name, content, pasted, header or _header(content, called), None, refusal)
    return Opened(name, content, pasted, header, pixels, note=_note(header, seen))


def encoded_anew(content: bytes, name: str) -> bool:
    """Whether what was pasted is a picture that a browser encoded, rather than a file.

    Browsers call such a picture image.png, and write nothing into it but how it is shown. A file
    that was copied is pasted as it is.

    Args:
        content: what was pasted.
        name: what the browser calls it.

    Example:
        >>> encoded_anew(b"\\x89PNG\\r\\n\\x1a\\n", "cat.png")
        False
    """
    if name != "image.png" or image_format(content[:HEADER]) != "PNG":
        return False
    at = 8
    for _ in range(_MOST_PARTS):
        if at + 8 > len(content):
            return True
        size, kind = struct.unpack_from(">L4s", content, at)
        if kind not in _SHOWN:
            return False
        at += 12 + size
    return False


def _decoded(content: bytes, called: str, header: Header | None) -> tuple[Header, np.ndarray]:
    most = most_of_photograph()
    if header is None or not _is_large(header) or header.height * header.width > most:
        return decode_photograph(content, name=called, most_pixels=most)
    with _LARGE:
        needed, free = _BYTES_A_PIXEL * header.height * header.width, free_memory()
        if needed > free:
            raise ImageError(
                f"{called}: {header.height * header.width} pixels take {needed / 1e9:.1f} GB of "
                f"memory while they are decoded, and {free / 1e9:.1f} GB are free; close other "
                "programs, or cut out a part"
            )
        return decode_photograph(content, name=called, most_pixels=most)


def _header(content: bytes, called: str) -> Header | None:
    try:
        return look(content, name=called).header
    except ImageError:
        return None


def _is_large(header: Header) -> bool:
    """Whether other commands would not decode it."""
    return 0 < (Image.MAX_IMAGE_PIXELS or 0) < header.height * header.width


def _note(header: Header, seen: Look | None) -> str:
    notes = []
    if seen and seen.frames != 1:
        which = "primary" if header.container == "HEIC" else "first"
        notes.append(f"the {which} of {seen.frames} pictures in the file")
    if header.colours == "CMYK":
        notes.append("its CMYK colours converted to RGB")
    if _is_large(header):
        millions = header.height * header.width / 1e6
        notes.append(f"decoded whole, {millions:.0f} megapixels; other commands refuse so many")
    return "; ".join(notes)
