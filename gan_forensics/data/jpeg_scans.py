"""The scans of a JPEG file: how many there are, and whether they hold the whole picture.

libjpeg makes a picture of whatever it finds: where the data end too early, or are damaged, it fills
up with gray and says nothing that Pillow would hear.
"""

import re
from typing import BinaryIO, NamedTuple

from gan_forensics.data.refusal import Refusal

# An encoder makes some ten. Each goes through all blocks of the picture, if it is empty too:
# 0.4 ns a pixel, so that 20,000 of them are minutes.
MOST_SCANS = 64
MOST_SEGMENTS = 2000
# Those of Photoshop (APP13) Pillow takes apart.
MOST_PHOTOSHOP = 64
# Of an Exif segment, twice; Pillow copies of it for each of its entries what that points to.
MOST_EXIF = 2**17
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_EOI, _SOS, _APP1, _APP13 = 0xD9, 0xDA, 0xE1, 0xED
_FRAMES = (0xC0, 0xC1, 0xC2)  # sequential, and progressive
_OTHER_FRAMES = {0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
_ALONE = {0x01, *range(0xD0, 0xDA)}  # markers without a segment
# Codes of many bits, and more of them than libjpeg reads ahead (64 bits).
_PAD = b"\xfe" * 12
# Behind the pixels lie a few bytes at most.
_LEFT_OVER, _LEFT_OVER_SHARE = 512, 64


class Segment(NamedTuple):
    """A marker, and where the bytes that belong to it start and end; at a scan its header."""

    marker: int
    start: int
    end: int


def segments(file: BinaryIO, at: int = 2) -> list[Segment]:
    """The segments from a place on, to the first scan or the end, whose marker is the last one's.

    Raises:
        ValueError: for more than are read, and for what is no JPEG.
    """
    found, exif, photoshop, marker = [], 0, 0, 0
    while marker not in (_EOI, _SOS):
        file.seek(at)
        head = file.read(16)
        filled = len(head) - len(head.lstrip(b"\xff"))  # A marker may have many.
        if not filled or filled > 8 or filled == len(head):
            raise ValueError("no marker where one must be")
        marker, start = head[filled], at + filled + 1
        at = start
        if marker not in _ALONE:
            length = int.from_bytes(head[filled + 1 : filled + 3])
            if length < 2 or len(head) < filled + 3:
                raise ValueError("a segment of no length")
            at, start = start + length, start + 2
            exif += length if marker == _APP1 and head[filled + 3 :][:4] == b"Exif" else 0
            photoshop += marker == _APP13
        found.append(Segment(marker, start, at))
        if len(found) > MOST_SEGMENTS or photoshop > MOST_PHOTOSHOP:
            raise Refusal("a JPEG of very many segments; save it anew")
        if exif > MOST_EXIF:
            raise Refusal(f"more than {MOST_EXIF} bytes of Exif data; remove them")
    return found


def only_scan(file: BinaryIO, data: bytes) -> tuple[int, int] | None:
    """Look through the scans of a JPEG file (and its bytes).

    Returns:
        Where the only scan of a sequential file starts and ends; None where there are several, or
        the file ends in it.

    Raises:
        ValueError: for too many, for some that are missing, and for kinds that are not read.
    """
    at, frame, sent, count = 2, b"", {}, 0
    while True:
        for marker, start, end in segments(file, at):
            if marker in _OTHER_FRAMES:
                raise Refusal("a JPEG of arithmetic coding or without loss; save it as PNG")
            if marker in _FRAMES:
                frame = bytes([marker]) + data[start:end]
            if marker == _SOS:
                count += 1
                header = data[start:end]
                _add(sent, header)
        if marker == _EOI:
            break
        if count > MOST_SCANS:
            raise Refusal(f"a JPEG of more than {MOST_SCANS} scans; save it anew")
        behind = _MARKER.search(data, end)
        if behind is None:  # Pillow says that the file is truncated.
            return None
        if count == 1 and frame[:1] != b"\xc2" and header[:1] == frame[6:7]:
            return end, behind.start()
        if header[1 + 2 * header[0]] == 0 and 8 * (behind.start() - end) < _least_bits(
            frame, header
        ):
            raise ValueError("a scan of most rows is missing")
        at = behind.start()
    progressive = frame[:1] == b"\xc2"
    for component in frame[7::3]:
        bits = sent.get(component, [None] * 64)
        if any(bits) or None in (bits if progressive else bits[:1]):
            raise ValueError("its last scans are missing")
    return None


def _least_bits(frame: bytes, header: bytes) -> int:
    """What a scan of mean levels takes at least: a bit for each block of its components."""
    height, width = int.from_bytes(frame[2:4]), int.from_bytes(frame[4:6])
    factors = {
        frame[at]: (frame[at + 1] >> 4, frame[at + 1] & 15) for at in range(7, len(frame), 3)
    }
    across, down = (max(sides) for sides in zip(*factors.values(), strict=True))
    return sum(
        -(-width * wide // (8 * across)) * -(-height * high // (8 * down))
        for component in header[1 : 1 + 2 * header[0] : 2]
        for wide, high in (factors[component],)
    )


def _add(sent: dict[int, list[int | None]], header: bytes) -> None:
    """Note down how many bits a scan leaves open of the coefficients that it holds."""
    count = header[0]
    first, last, bits = header[1 + 2 * count : 4 + 2 * count]
    for component in header[1 : 1 + 2 * count : 2]:
        left = sent.setdefault(component, [None] * 64)
        left[first : last + 1] = [bits & 15] * len(left[first : last + 1])


class OneScan:
    """The bytes of a sequential JPEG file, for an image to be loaded from, which hear its end.

    libjpeg takes bytes until the last row is there. So it must ask for those at the scan's end, and
    for nothing behind them but what it reads ahead; some bytes stand there in the marker's place,
    which would make it fill up.
    """

    def __init__(self, data: bytes, scan: tuple[int, int]):
        start, self._end = scan
        tail = max(_LEFT_OVER, (self._end - start) // _LEFT_OVER_SHARE)
        self._late = max(start, self._end - tail)
        self._data, self._at, self._ended = data, 0, False

    def read(self, size: int) -> bytes:
        """As files do.

        Raises:
            ValueError: behind the scan.
        """
        if self._at == self._end:
            if self._ended:
                raise ValueError("its last rows are missing")
            self._ended = True
            return _PAD
        start, stop = self._at, self._late if self._at < self._late else self._end
        self._at = min(start + size, stop)
        return self._data[start : self._at]

    def check_end(self) -> None:
        """Refuse (ValueError) a picture, now loaded, that left over more than a filling."""
        if self._at <= self._late and len(set(self._data[self._late : self._end])) > 1:
            raise ValueError("its pixels end before its data")

    def seek(self, offset: int) -> int:
        """As files do."""
        self._at = offset
        return offset

    def tell(self) -> int:
        """As files do."""
        return self._at
