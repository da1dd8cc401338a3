"""HEIC, the pictures of phones: files of boxes, opened by libheif through pillow-heif.

Of a file with several pictures (a burst, a depth map, a thumbnail) the primary one is meant. How it
is turned and cropped is a property of the picture, which libheif applies; what its Exif data say of
it does not count then (ISO/IEC 23008-12, annex A). libheif decodes no picture of another size than
the file's properties (`ispe`) give it, so that these tell what a picture costs, with those of all
the tiles of which it is made.
"""

from typing import BinaryIO

from PIL import Image

from gan_forensics.data.box_files import boxes, check_exif
from gan_forensics.data.refusal import Refusal

# libheif reads 1000 items. Tiles are parts of a picture, and it has a transparency.
MOST_PARTS, _MOST_DEPTH = 1000, 4
_MOST_META = 2**22


def heic_sizes(file: BinaryIO) -> list[tuple[int, int]]:
    """Widths and heights of the primary picture and of all that is decoded for it.

    Args:
        file: at any place.

    Raises:
        Refusal: for a film, and for pictures of very many parts.
        ValueError, IndexError: for what cannot be read.
    """
    check_exif(file)
    top = {kind: (start, stop) for kind, start, stop in boxes(file, 0, file.seek(0, 2))}
    if b"meta" not in top:
        if b"moov" in top:
            raise Refusal("animated, a film in HEIC; save the frame you want as PNG")
        raise ValueError("its header")
    start, stop = top[b"meta"]
    meta = {kind: (begin, end) for kind, begin, end in boxes(file, start + 4, stop)}
    if not {b"pitm", b"iprp"} <= meta.keys():
        raise ValueError("its header")
    first = _content(file, *meta[b"pitm"])
    primary = int.from_bytes(first[4 : 8 if first[0] else 6])
    sizes = _sizes_of_items(file, *meta[b"iprp"])
    made_of = _parts_of_items(file, *meta[b"iref"]) if b"iref" in meta else {}
    found: list[tuple[int, int]] = []

    def add(item: int, depth: int) -> None:
        if item not in sizes:
            raise ValueError("its sizes")
        found.append(sizes[item])
        if len(found) > MOST_PARTS or depth > _MOST_DEPTH:
            raise Refusal("a HEIC of very many parts; save it as PNG")
        for part in made_of.get(item, ()):
            add(part, depth + 1)

    add(primary, 0)
    return found


def open_heic(file: BinaryIO) -> Image.Image:
    """The primary picture of a file, not yet decoded, as Pillow's plugins open theirs."""
    from pillow_heif.as_plugin import HeifImageFile

    return HeifImageFile(file)


def _content(file: BinaryIO, start: int, stop: int) -> bytes:
    if stop - start > _MOST_META:
        raise Refusal(f"a HEIC of more than {_MOST_META} bytes of properties; save it as PNG")
    file.seek(start)
    return file.read(stop - start)


def _sizes_of_items(file: BinaryIO, start: int, stop: int) -> dict[int, tuple[int, int]]:
    """The largest size that is a property of each item."""
    properties: list[tuple[int, int]] = []
    tables = []
    for kind, begin, end in list(boxes(file, start, stop)):
        if kind == b"ipco":
            for part, at, close in list(boxes(file, begin, end)):
                size = _content(file, at, close)[4:12] if part == b"ispe" else bytes(8)
                properties.append((int.from_bytes(size[:4]), int.from_bytes(size[4:])))
        elif kind == b"ipma":
            tables.append(_content(file, begin, end))
    sizes: dict[int, tuple[int, int]] = {}
    for table in tables:
        version, wide = table[0], table[3] & 1
        numbers = _Numbers(table, 4)
        for _ in range(numbers.next(4)):
            item = numbers.next(4 if version else 2)
            for _ in range(numbers.next(1)):
                place = numbers.next(2) & 0x7FFF if wide else numbers.next(1) & 0x7F
                if 0 < place <= len(properties) and any(properties[place - 1]):
                    sizes[item] = max(sizes.get(item, (0, 0)), properties[place - 1], key=_area)
    return sizes


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _parts_of_items(file: BinaryIO, start: int, stop: int) -> dict[int, list[int]]:
    """What each item is made of: tiles and layers, and what lies beside it, as transparency."""
    wide = 4 if _content(file, start, stop)[0] else 2
    made_of: dict[int, list[int]] = {}
    for kind, begin, end in list(boxes(file, start + 4, stop)):
        numbers = _Numbers(_content(file, begin, end), 0)
        item, others = numbers.next(wide), range(numbers.next(2))
        for other in (numbers.next(wide) for _ in others):
            if kind == b"dimg":
                made_of.setdefault(item, []).append(other)
            elif kind == b"auxl":
                made_of.setdefault(other, []).append(item)
    return made_of


class _Numbers:
    """Numbers one after the other; IndexError behind the last one."""

    def __init__(self, data: bytes, at: int):
        self._data, self._at = data, at

    def next(self, size: int) -> int:
        self._at += size
        if self._at > len(self._data):
            raise IndexError("its tables")
        return int.from_bytes(self._data[self._at - size : self._at])
