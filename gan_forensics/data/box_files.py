"""AVIF, HEIC and JPEG 2000: files of boxes, looked at before their decoders unpack anything."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

from gan_forensics.data.refusal import Refusal

# As in `gan_forensics.data.jpeg_scans`.
MOST_EXIF = 2**17
_MOST_BOXES = 10_000
# Of JPEG 2000: each takes memory or time of its own, whatever the picture's size. Tiles of 256x256
# of the largest picture are 1400, code blocks of 16x16 half a million.
MOST_TILES, MOST_BLOCKS, MOST_LAYERS = 4096, 2**20, 200
_COD, _COC, _SOT, _SOD, _EOC = 0xFF52, 0xFF53, 0xFF90, 0xFF93, 0xFFD9


def boxes(file: BinaryIO, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of the boxes between two places.

    Raises:
        ValueError: for more than are read.
    """
    for _ in range(_MOST_BOXES):
        file.seek(at)
        head = file.read(16)
        if at + 8 > end or len(head) < 8:
            return
        size, start = int.from_bytes(head[:4]), at + 8
        if size == 1:
            size, start = int.from_bytes(head[8:16]), at + 16
        stop = end if size == 0 else at + size
        if stop < start:
            return
        yield head[4:8], start, min(stop, end)
        at = stop
    raise Refusal(f"more than {_MOST_BOXES} boxes; save it as PNG")


def check_exif(file: BinaryIO) -> None:
    """Look at the Exif data of an AVIF or HEIC file, which are read when it is opened.

    Raises:
        ValueError: for too many.
    """
    if sum(end - start for start, end in item_places(file, b"Exif")) > MOST_EXIF:
        raise Refusal(f"more than {MOST_EXIF} bytes of Exif data; remove them")


def item_places(file: BinaryIO, kind: bytes) -> list[tuple[int, int]]:
    """Where the parts of items of a kind start and end in an AVIF or HEIC file, one by one.

    Raises:
        ValueError: when its tables are damaged.
    """
    places = []
    for box, start, end in boxes(file, 0, file.seek(0, 2)):
        if box != b"meta":
            continue
        parts = {part: (at, stop) for part, at, stop in boxes(file, start + 4, end)}
        if b"iinf" not in parts or b"iloc" not in parts:
            continue
        at, stop = parts[b"iinf"]
        file.seek(at)
        version = file.read(1)[0]
        wanted = set()
        for part, first, _ in boxes(file, at + (8 if version else 6), stop):
            file.seek(first)
            entry = file.read(16)
            if part == b"infe" and len(entry) == 16 and entry[0] in (2, 3):
                wide = 2 if entry[0] == 2 else 4
                if entry[6 + wide : 10 + wide] == kind:
                    wanted.add(int.from_bytes(entry[4 : 4 + wide]))
        file.seek(parts[b"iloc"][0])
        if wanted:
            table = file.read(parts[b"iloc"][1] - file.tell())
            places += _places(table, wanted, parts.get(b"idat", (0, 0))[0])
    return places


def _places(table: bytes, items: set[int], inside: int) -> list[tuple[int, int]]:
    """What a table of places (iloc) gives to items; some count from the box of data inside."""
    at = 0

    def number(size: int) -> int:
        nonlocal at
        at += size
        return int.from_bytes(table[at - size : at])

    version, sizes = table[0], table[4:6]
    offset, length, base = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    index = sizes[1] & 15 if version else 0
    at, places = 6, []
    for _ in range(number(2 if version < 2 else 4)):
        item = number(2 if version < 2 else 4)
        first = inside if version and number(2) & 15 == 1 else 0
        at += 2
        first += number(base)
        for _ in range(number(2)):
            at += index
            start, size = first + number(offset), number(length)
            if item in items:
                places.append((start, start + size))
        if at > len(table):
            raise ValueError("its table of places")
    return places


def check_jpeg2000(file: BinaryIO) -> tuple[int, int]:
    """Look at the headers of a JPEG 2000 file; returns width and height.

    Raises:
        ValueError: for tiles, code blocks or layers that cost far more than the picture's pixels,
            and for more than four channels.
        struct.error: when the file is cut.
    """
    end = file.seek(0, 2)
    file.seek(0)
    at = 0
    if file.read(4) != b"\xff\x4f\xff\x51":
        at = next((start for kind, start, _ in boxes(file, 0, end) if kind == b"jp2c"), end)
    file.seek(at)
    if file.read(4) != b"\xff\x4f\xff\x51":
        raise ValueError("its header")
    size = struct.unpack(">HH8LH", file.read(38))
    right, bottom, left, top, tile_width, tile_height, *_, channels = size[2:]
    width, height = right - left, bottom - top
    if not (tile_width and tile_height) or min(width, height) < 1:
        raise ValueError("its header")
    tiles = -(-right // tile_width) * -(-bottom // tile_height)
    if tiles > MOST_TILES or channels > 4:
        raise Refusal(f"a JPEG 2000 of {tiles} tiles, {channels} channels; save it as PNG")
    at += 4 + size[0]
    for _ in range(8 * MOST_TILES):
        file.seek(at)
        head = file.read(12)
        if len(head) < 4:
            return width, height
        marker, length = struct.unpack(">HH", head[:4])
        if marker == _EOC:
            return width, height
        if marker in (_COD, _COC):
            file.seek(at + 4)
            _check_coding(file.read(length - 2), marker == _COD, width, height, channels)
        if marker == _SOT:
            tile_end = at + int.from_bytes(head[6:10]) if any(head[6:10]) else end
        if marker == _SOD:
            at = max(tile_end, at + 2)  # pyright: ignore[reportPossiblyUnbound]
        else:
            at += 2 + length
    raise Refusal("a JPEG 2000 of very many parts; save it as PNG")


def _check_coding(coding: bytes, whole: bool, width: int, height: int, channels: int) -> None:
    """Refuse layers, code blocks and precincts that are very many."""
    if whole and int.from_bytes(coding[2:4]) > MOST_LAYERS:
        raise Refusal(f"a JPEG 2000 of more than {MOST_LAYERS} layers; save it as PNG")
    style = coding[5:] if whole else coding[2:]
    levels, across, down = style[0], style[1] + 2, style[2] + 2
    blocks = (width * height * channels) >> min(across + down, 12)
    if coding[0] & 1 if whole else coding[1] & 1:
        for level, sides in enumerate(reversed(style[5 : 6 + levels])):
            # The highest resolution has the last of them; a precinct holds a code block or more.
            across, down = sides & 15, sides >> 4
            blocks += channels * ((width >> level >> across) + 1) * ((height >> level >> down) + 1)
    if levels > 32 or blocks > MOST_BLOCKS:
        raise Refusal(f"a JPEG 2000 of more than {MOST_BLOCKS} code blocks; save it as PNG")
