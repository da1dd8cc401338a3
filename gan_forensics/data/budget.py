"""What a picture may cost, judged by its header before anything of it is unpacked.

Small files can ask for gigabytes and hours: pixels of one colour pack without an end, and frames,
chunks, tags or empty scans cost time although they hold nothing. Formats cost differently; measured
at 20 megapixels on one core, all in all, with the copy that is returned:

    ====================  ===============  ============
    format                bytes a pixel    ns a pixel
    ====================  ===============  ============
    PNG, BMP, PPM, TIFF   7                10 to 45
    JPEG                  7, of 10 inside  9 to 30
    GIF                   7                15
    AVIF                  15               20
    JPEG 2000             17 to 20         65
    WebP                  20 to 25         25 to 45
    ====================  ===============  ============

So that none takes more than about a gigabyte and four seconds.
"""

import os
import re
import struct
from typing import BinaryIO

from PIL import Image

from gan_forensics.data.box_files import check_exif, check_jpeg2000
from gan_forensics.data.heic import heic_sizes
from gan_forensics.data.jpeg_scans import segments
from gan_forensics.data.png_chunks import chunks
from gan_forensics.data.refusal import Refusal
from gan_forensics.data.tiff_tags import check_tags
from gan_forensics.files import shown

# Names how many pixels Pillow reads at most, in place of its 89 million.
VARIABLE = "GAN_FORENSICS_PIXELS"
# Of a JPEG, where whole photographs are looked at one at a time: those of 200 megapixels of phones.
# Measured on one core: 108 megapixels 0.8 s and 0.7 GB, 200 megapixels 2.4 s and 1.3 GB.
MOST_OF_PHOTOGRAPH = 2**28
# Of these pixels, by what a pixel takes.
_SHARES = {"WEBP": 0.4, "JPEG2000": 0.5, "AVIF": 0.6, "HEIC": 0.6}
# Of the pixels that are decoded, those of all parts together: the picture, its tiles, its
# transparency and the tiles of that.
MOST_PARTS = 4
# A row takes eight bytes beside its pixels; JPEG has no longer sides.
MOST_SIDE = 65535
# Python unpacks these, in 1 us a sample or a run: RLE of BMP, PPM as text, or of another range than
# 255. Of text a pixel takes some 12 bytes, of RLE 2 at most.
MOST_SLOW, MOST_TEXT, MOST_RLE = 2**20, 2**24, 2**22
# The largest picture without compression is below it. Decoders copy the files of some formats.
MOST_BYTES = 2**29
_MOST_BYTES = {"JPEG": 2**28, "JPEG2000": 2**27, "WEBP": 2**27, "AVIF": 2**27, "HEIC": 2**27}
# Of a GIF: Python reads the blocks, of 255 bytes, of what is no picture.
_MOST_EXTENSIONS, _MOST_BLOCKS, _MOST_OF_PICTURE = 1000, 2**12, 2**20
_PPM_HEADER = 4096
_COMMENT = re.compile(rb"#[^\r\n]*")
_PPM = re.compile(rb"P([1-6])\s+(\d{1,9})\s+(\d{1,9})\s+(\d{1,9})?")


def set_most_pixels(told: str | None) -> None:
    """Have Pillow read as many pixels as `VARIABLE` says; nothing changes where it says nothing.

    Raises:
        ValueError: for what is no whole number above 0.
    """
    if told:
        if not (told.isascii() and told.isdecimal() and int(told)):
            raise ValueError(
                f"{VARIABLE}={shown(told)}: it must be a whole number of pixels, such as 200000000"
            )
        Image.MAX_IMAGE_PIXELS = int(told)


set_most_pixels(os.environ.get(VARIABLE))


def most_of_photograph() -> int:
    """How many pixels of one JPEG are decoded at most where it is the only picture in memory.

    What `VARIABLE` says counts alone where it says something.
    """
    told = os.environ.get(VARIABLE)
    return Image.MAX_IMAGE_PIXELS or 0 if told else MOST_OF_PHOTOGRAPH


def check_budget(file: BinaryIO, kind: str, *, several: bool = False) -> None:
    """Look at a file of a format (by its name in Pillow) before Pillow opens it.

    Args:
        file: at any place; at its start afterwards.
        kind: of the file.
        several: whether a GIF may hold several pictures, of which the first is read.

    Raises:
        ValueError: what is too much, in words.
        struct.error, IndexError: when the header is cut.
    """
    size = check_bytes(file, kind)
    if kind == "PNG":
        chunks(file)
    elif kind == "JPEG":
        segments(file)
    elif kind == "GIF":
        _check_gif(file, several)
    elif kind == "TIFF":
        check_tags(file)
    elif kind == "WEBP":
        check_pixels(*_webp_size(file.read(30)), kind)
    elif kind == "AVIF":
        check_exif(file)
    elif kind == "HEIC":
        _check_parts(heic_sizes(file), kind)
    elif kind == "JPEG2000":
        check_pixels(*check_jpeg2000(file), kind)
    elif kind == "BMP":
        _check_bmp(file.read(64), size)
    elif kind == "PPM":
        _check_ppm(file.read(_PPM_HEADER), size)
    file.seek(0)


def check_bytes(file: BinaryIO, kind: str) -> int:
    """How large a file is, which is at its start then; one that is too large is refused."""
    size, most = file.seek(0, 2), _MOST_BYTES.get(kind, MOST_BYTES)
    if size > most:
        raise Refusal(f"{size} bytes, more than the {most} that are read of {kind}; shrink it")
    file.seek(0)
    return size


def check_pixels(width: int, height: int, kind: str, most: int | None = None) -> None:
    """Refuse more pixels than are decoded of a format (or than `most`), or a very long side."""
    if not Image.MAX_IMAGE_PIXELS:
        return
    if width * height > (most or _most_pixels(kind)):
        raise Refusal(too_large(f"{width * height} pixels", kind, most))
    if max(width, height) > MOST_SIDE:
        raise Refusal(
            f"{width}x{height} (width x height), and sides of at most {MOST_SIDE} are decoded; "
            "crop or shrink it"
        )


def too_large(size: str, kind: str, most: int | None = None) -> str:
    """That so many pixels are more than are decoded."""
    return (
        f"{size or 'too many pixels'}, more than the {most or _most_pixels(kind)} that are decoded "
        f"of {kind} for safety: cut out a part (shrinking changes the spectrum), or, for files "
        f"that you trust, raise the environment variable {VARIABLE}"
    )


def _most_pixels(kind: str) -> int:
    return int((Image.MAX_IMAGE_PIXELS or 0) * _SHARES.get(kind, 1))


def _check_slow(width: int, height: int, size: int, what: str, most_bytes: int) -> None:
    if width * height > MOST_SLOW or size > most_bytes:
        raise Refusal(
            f"{width * height} pixels in {size} bytes, more than is read of {what} ({MOST_SLOW} in "
            f"{most_bytes}); save it as PNG"
        )


def _webp_size(head: bytes) -> tuple[int, int]:
    """Width and height; no pixels for what is no such file, which the decoder finds out."""
    if head[12:16] == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if head[12:16] == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("its header")


def _check_parts(sizes: list[tuple[int, int]], kind: str) -> None:
    """Refuse a picture that is made of far more pixels than are decoded of its format."""
    for width, height in sizes:
        check_pixels(width, height, kind)
    total = sum(width * height for width, height in sizes)
    if Image.MAX_IMAGE_PIXELS and total > MOST_PARTS * _most_pixels(kind):
        raise Refusal(f"{total} pixels in {len(sizes)} parts of a {kind}; save it as PNG")


def _check_bmp(head: bytes, size: int) -> None:
    (header,) = struct.unpack_from("<L", head, 14)
    if header < 40:
        return
    width, height, _, _, packed = struct.unpack_from("<llHHL", head, 18)
    if packed in (1, 2):
        _check_slow(abs(width), abs(height), size, "BMP in RLE", MOST_RLE)


def _check_ppm(head: bytes, size: int) -> None:
    match = _PPM.match(_COMMENT.sub(b"", head) + b" ")
    if match is None:
        raise Refusal(f"damaged, or comments of more than {_PPM_HEADER} bytes; save it as PNG")
    kind, width, height = int(match[1]), int(match[2]), int(match[3])
    if kind <= 3:
        _check_slow(width, height, size, "PPM as text", MOST_TEXT)
    elif kind in (5, 6) and match[4] != b"255":
        _check_slow(width, height, size, "PPM of a range other than 255", MOST_TEXT)


def _check_gif(file: BinaryIO, several: bool) -> None:
    """Refuse a second picture, and very many blocks that are none before it."""
    flags = file.read(13)[10]
    if flags & 128:
        file.seek(3 << (flags & 7) + 1, 1)
    pictures, extensions = 0, 0
    while True:
        mark = file.read(1)
        if mark == b",":
            pictures += 1
            if pictures > 1 and several:
                return
            if pictures > 1:
                raise Refusal("animated or multi-page; save the frame you want as PNG")
            flags = file.read(9)[8]
            if flags & 128:
                file.seek(3 << (flags & 7) + 1, 1)
            file.read(1)
            _pass_blocks(file, _MOST_OF_PICTURE)
        elif mark == b"!":
            extensions += 1
            file.read(1)
            _pass_blocks(file, _MOST_BLOCKS)
            if extensions > _MOST_EXTENSIONS:
                raise Refusal(f"a GIF of more than {_MOST_EXTENSIONS} extensions; save it as PNG")
        elif pictures:  # Its end; what Pillow would search for further pictures is not.
            return
        else:
            raise ValueError("it holds no picture")


def _pass_blocks(file: BinaryIO, most: int) -> None:
    for _ in range(most):
        size = file.read(1)
        if not size or not size[0]:
            return
        file.seek(size[0], 1)
    raise Refusal("a GIF of very many blocks; save it as PNG")
