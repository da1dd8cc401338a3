"""The tags of a TIFF file, before Pillow and libtiff read all that they point to."""

import struct
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
_FURTHER = (34665, 34853, 40965)  # Exif, GPS, and interoperability: folders of tags as well

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
