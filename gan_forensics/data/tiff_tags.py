"""The tags of a TIFF file, before Pillow and libtiff read all that they point to."""

import math
import struct
from collections.abc import Iterator
from typing import BinaryIO

from gan_forensics.data.refusal import Refusal

# What is read: plain, LZW, JPEG, deflate (two numbers), PackBits. libtiff makes fax lines (2 to 4)
# of anything and writes line after line of complaints; others are no photographs of strangers.
_READ = {1, 5, 7, 8, 32946, 32773}
# Strips or tiles of a picture, which become tuples: as many as a picture has rows.
MOST_VALUES = 2**16
MOST_TAGS = 2000
# A tile is unpacked whole; those beyond the picture are not.
_LEAST_TILE = 2**20
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
_SIZES |= {16: 8, 17: 8, 18: 8}
_BYTES = (1, 2, 6, 7)
_WIDTH, _HEIGHT, _COMPRESSION, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 259, 322, 323
_EXIF_FOLDER, _GPS_FOLDER = 34665, 34853
_FURTHER = (_EXIF_FOLDER, _GPS_FOLDER, 40965)  # and interoperability: folders of tags as well
# Bytes of a value that are read, and of all of them; tags may point to the same bytes.
MOST_VALUE, MOST_READ = 2**20, 2**22
_NUMBERS = {3: "H", 4: "L", 6: "b", 8: "h", 9: "l", 11: "f", 12: "d", 13: "L", 16: "Q"}
_NUMBERS |= {5: "LL", 10: "ll", 17: "q", 18: "Q"}
_MOST_NUMBERS = 64

_EXIF, _ORIENTATION = b"Exif\0\0", 274


def only_orientation(exif: bytes) -> bytes:
    """Exif data of the orientation alone that others say, wherever it stands among their tags.

    Pillow copies for each tag what it points to, and generators write all their settings into one.
    """
    at = 0
    while exif.startswith(_EXIF, at):
        at += len(_EXIF)
    order = ">" if exif[at : at + 2] == b"MM" else "<"
    turned = 1
    try:
        (first,) = struct.unpack_from(f"{order}L", exif, at + 4)
        (count,) = struct.unpack_from(f"{order}H", exif, at + first)
        for place in range(at + first + 2, at + first + 2 + 12 * count, 12):
            tag, kind, values, value = struct.unpack_from(f"{order}HHLH", exif, place)
            if (tag, kind, values) == (_ORIENTATION, 3, 1):
                turned = value
    except struct.error:  # It ends before; what is known by then counts.
        pass
    return _EXIF + b"II*\0" + struct.pack("<LHHHLHHL", 8, 1, _ORIENTATION, 3, 1, turned, 0, 0)


def check_tags(file: BinaryIO) -> None:
    """Look at the first picture's tags.

    Raises:
        ValueError: for a way of packing that is not read, or tags that claim too much.
        struct.error: when the file is cut.
    """
    file.seek(0)
    order = "<" if file.read(2) == b"II" else ">"
    (version,) = struct.unpack(f"{order}H", file.read(2))
    big = version == 43
    if big:
        file.seek(8)
    (at,) = struct.unpack(f"{order}{'Q' if big else 'L'}", file.read(8 if big else 4))
    left = file.seek(0, 2)
    tags, left = _tags(file, at, order, big, left)
    if tags.get(_COMPRESSION, 1) not in _READ:
        raise Refusal("a TIFF packed in a way that is not read (as a fax?); save it as PNG")
    size = tags.get(_TILE_WIDTH, 1) * tags.get(_TILE_HEIGHT, 1)
    if size > max(_LEAST_TILE, 4 * tags.get(_WIDTH, 1) * tags.get(_HEIGHT, 1)):
        raise Refusal("a TIFF of tiles far larger than its picture; save it as PNG")
    for place in (tags[further] for further in _FURTHER if further in tags):
        _, left = _tags(file, place, order, big, left)


def _tags(file: BinaryIO, at: int, order: str, big: bool, left: int) -> tuple[dict[int, int], int]:
    """First values of the tags at a place, and how many bytes of the file are left to the next."""
    form, size, inline = (f"{order}HHQ8s", 20, 8) if big else (f"{order}HHL4s", 12, 4)
    file.seek(at)
    (count,) = struct.unpack(f"{order}{'Q' if big else 'H'}", file.read(8 if big else 2))
    if count > MOST_TAGS:
        raise Refusal(f"a TIFF of more than {MOST_TAGS} tags; save it as PNG")
    found = {}
    for tag, kind, values, data in struct.iter_unpack(form, file.read(count * size)):
        needed = values * _SIZES.get(kind, 1)
        if needed > inline:  # Pillow copies all of it, and tags may point to the same bytes.
            left -= needed
        if left < 0 or (values > MOST_VALUES and kind not in _BYTES):
            raise Refusal("a TIFF whose tags claim more than it holds; save it as PNG")
        code = {3: "H", 4: "L", 13: "L", 16: "Q", 18: "Q"}.get(kind)
        if code and values == 1 and needed <= inline:
            found.setdefault(tag, struct.unpack_from(order + code, data)[0])
    return found, left


def tag_values(block: bytes) -> dict[str, dict[int, bytes | tuple[float, ...]]]:
    """Values of the tags of TIFF or Exif data, as far as they can be read; nothing is raised.

    Args:
        block: a TIFF file, or Exif data from their byte order on.

    Returns:
        By folder (`"main"` is that of the first picture, `"exif"` and `"gps"` those in it) and
        number of the tag: bytes of bytes, of texts and of what has no type, or finite numbers, the
        quotients of fractions; long ones are cut.

    Example:
        >>> block = b"II*\\0" + struct.pack("<LHHHL4sL", 8, 1, 305, 2, 4, b"Gimp", 0)
        >>> tag_values(block)["main"]
        {305: b'Gimp'}
    """
    order = ">" if block[:2] == b"MM" else "<"
    found: dict[str, dict[int, bytes | tuple[float, ...]]] = {"main": {}, "exif": {}, "gps": {}}
    budget = MOST_READ
    try:
        big = struct.unpack_from(f"{order}H", block, 2)[0] == 43
        (at,) = struct.unpack_from(f"{order}{'Q' if big else 'L'}", block, 8 if big else 4)
        places = {"main": at}
        for folder in ("main", "exif", "gps"):
            if folder not in places:
                continue
            for tag, kind, raw in _raw_values(block, places[folder], order, big):
                budget -= len(raw)
                if budget < 0:
                    return found
                value = _value(raw, kind, order)
                if folder == "main" and tag in (_EXIF_FOLDER, _GPS_FOLDER):
                    if isinstance(value, tuple) and value:
                        places["exif" if tag == _EXIF_FOLDER else "gps"] = int(value[0])
                else:
                    found[folder].setdefault(tag, value)
    except (struct.error, OverflowError):  # It ends before; what is known by then counts.
        pass
    return found


def _raw_values(block: bytes, at: int, order: str, big: bool) -> Iterator[tuple[int, int, bytes]]:
    """Number, type and bytes of each tag of a folder."""
    form, size, inline = (f"{order}HHQ8s", 20, 8) if big else (f"{order}HHL4s", 12, 4)
    (count,) = struct.unpack_from(f"{order}{'Q' if big else 'H'}", block, at)
    at += 8 if big else 2
    for place in range(at, at + size * min(count, MOST_TAGS), size):
        tag, kind, values, data = struct.unpack_from(form, block, place)
        needed = values * _SIZES.get(kind, 1)
        if needed > inline:
            (start,) = struct.unpack(f"{order}{'Q' if big else 'L'}", data)
            yield tag, kind, block[start : start + min(needed, MOST_VALUE)]
        else:
            yield tag, kind, data[:needed]


def _value(raw: bytes, kind: int, order: str) -> bytes | tuple[float, ...]:
    """Finite numbers, as far as they are some; the bytes themselves of other types."""
    if kind not in _NUMBERS:
        return raw
    count = min(len(raw) // _SIZES[kind], _MOST_NUMBERS)
    numbers = struct.unpack_from(order + _NUMBERS[kind] * count, raw)
    if kind in (5, 10):
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        numbers = tuple(above / below if below else math.nan for above, below in pairs)
    return numbers if all(map(math.isfinite, numbers)) else ()
