"""The chunks of a PNG file: their number, texts that Pillow refuses, and rows that are missing."""

import io
import itertools
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from gan_forensics.data.refusal import Refusal

_START, _XMP = b"\x89PNG\r\n\x1a\n", b"XML:com.adobe.xmp\0"
# Encoders write chunks of 8 kB or more; Pillow takes 3 us for each.
MOST_CHUNKS = 100_000
_NO_PIXELS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP")
_BANDS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the type of colours
# Left, top, and steps across and down of each pass of an interlaced picture.
_PASSES = (
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)
)  # fmt: skip
_PIECE, _LONGEST_KEYWORD = 2**20, 79


class Chunk(NamedTuple):
    """The kind of a chunk, and where its data start and end."""

    kind: bytes
    start: int
    end: int


def chunks(file: BinaryIO) -> list[Chunk]:
    """The chunks of a file, as far as it goes.

    Raises:
        Refusal: for more than are read.
        ValueError: when it ends in its pixels.
    """
    found, size = [], file.seek(0, 2)
    for chunk in each_chunk(file):
        if chunk.kind == b"IDAT" and chunk.end > size:
            raise ValueError("it ends in its pixels")
        found.append(chunk)
    return found


def each_chunk(file: BinaryIO) -> Iterator[Chunk]:
    """Chunk after chunk of a file, whether it is whole or not.

    Raises:
        Refusal: for more than are read, behind those that are.
    """
    at = len(_START)
    for number in itertools.count():
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            return
        if number == MOST_CHUNKS:
            raise Refusal(f"a PNG of more than {MOST_CHUNKS} chunks; save it anew")
        chunk = Chunk(head[4:], at + 8, at + 8 + int.from_bytes(head[:4]))
        yield chunk
        if chunk.kind == b"IEND":
            return
        at = chunk.end + 4  # behind its checksum


def without_text(file: BinaryIO) -> BinaryIO | None:
    """A PNG file without texts and profile, where it has some: Pillow refuses it for long ones.

    Generators write their settings so. The text that can turn an image, XMP, stays.
    """
    kept, dropped, size = io.BytesIO(), False, file.seek(0, 2)
    kept.write(_START)
    for kind, start, end in chunks(file):
        file.seek(start)
        if kind in _NO_PIXELS and file.read(len(_XMP)) != _XMP:
            dropped = True
            continue
        file.seek(start - 8)
        kept.write(file.read(min(end + 4, size) - start + 8))
    kept.seek(0)
    return kept if dropped else None


def rows_missing(file: BinaryIO) -> bool:
    """Whether the packed pixels are fewer than the header says: Pillow leaves such rows black."""
    found = chunks(file)
    file.seek(found[0].start)
    header = file.read(13)
    width, height = int.from_bytes(header[:4]), int.from_bytes(header[4:8])
    bits, interlaced = header[8] * _BANDS[header[9]], header[12]
    missing = sum(
        -(-(height - top) // down) * (1 + (-(-(width - left) // across) * bits + 7) // 8)
        for left, top, across, down in (_PASSES if interlaced else ((0, 0, 1, 1),))
        if width > left
    )
    unpacker = zlib.decompressobj()
    for kind, start, end in found:
        file.seek(start if kind == b"IDAT" else end)
        while missing > 0 and file.tell() < end:
            waiting = file.read(min(_PIECE, end - file.tell()))
            if not waiting:
                return True
            while waiting and missing > 0:
                missing -= len(unpacker.decompress(waiting, _PIECE))
                waiting = unpacker.unconsumed_tail
    return missing > 0


def text_of(kind: bytes, data: bytes, most: int) -> tuple[str, str, bool]:
    """Keyword and text of a chunk of text (tEXt, zTXt or iTXt), of at most so many bytes.

    The last of the three is whether the text has more.

    Nothing is raised: what cannot be unpacked is "".
    """
    name, _, rest = data.partition(b"\0")
    packed, coding = kind == b"zTXt", "latin-1"
    if kind == b"iTXt":
        packed, coding = rest[:1] == b"\1", "utf-8"
        rest = (rest[2:].split(b"\0", 2) + [b"", b""])[2]  # Behind language and translation.
    elif packed:
        rest = rest[1:]
    if packed:
        try:
            rest = zlib.decompressobj().decompress(rest, most + 1)
        except zlib.error:
            rest = b""
    keyword, text = name[:_LONGEST_KEYWORD].decode("latin-1"), rest[:most]
    return keyword, text.decode(coding, errors="replace"), len(rest) > most
