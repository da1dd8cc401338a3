"""How a JPEG file was written: its quantisation tables, its colours, its segments."""

import io
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gan_forensics.data.decoding import ImageError, opened_image
from gan_forensics.data.jpeg_quality import jpeg_quality, libjpeg_tables
from gan_forensics.data.jpeg_scans import segments
from gan_forensics.data.looking import MOST_REDUCED

_SAMPLING = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (1, 2): "4:4:0", (4, 1): "4:1:1"}
_APP0, _APP15, _COMMENT = 0xE0, 0xEF, 0xFE
# How segments of applications start, and whose they are.
_OWNERS = (
    (0xE0, b"JFIF\0", "JFIF"),
    (0xE0, b"JFXX\0", "JFIF"),
    (0xE1, b"Exif\0", "Exif"),
    (0xE1, b"http://ns.adobe.com/x", "XMP"),
    (0xE2, b"ICC_PROFILE\0", "colour profile"),
    (0xE2, b"MPF\0", "several pictures (MPF)"),
    (0xEB, b"JP", "boxes (JUMBF, as of C2PA)"),
    (0xED, b"Photoshop 3.0\0", "Photoshop (IPTC)"),
    (0xEE, b"Adobe", "Adobe"),
)


class JpegTables(NamedTuple):
    """How a JPEG file was written.

    Attributes:
        tables: the 64 steps of each quantisation table, row by row; the first is luminance's.
        quality: 1 to 100, by the first table (`jpeg_quality`).
        libjpeg: whether all tables are those of libjpeg for this quality.
        sampling: of the colours: "4:4:4", "4:2:2", "4:2:0" ...; "gray" without colours.
        progressive: whether it was written in several passes.
        segments: whose segments stand before the pixels, in their order, each once.

    Example:
        >>> JpegTables(((1,) * 64,), 100, True, "gray", False, ("JFIF",)).quality
        100
    """

    tables: tuple[tuple[int, ...], ...]
    quality: int
    libjpeg: bool
    sampling: str
    progressive: bool
    segments: tuple[str, ...]


def jpeg_tables(content: bytes, *, name: str) -> JpegTables:
    """How a JPEG file was written.

    Args:
        content: of the file.
        name: for error messages.

    Raises:
        ImageError: for what is no JPEG that can be opened.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> file = io.BytesIO()
        >>> Image.new("RGB", (8, 8)).save(file, "JPEG", quality=80)
        >>> found = jpeg_tables(file.getvalue(), name="a.jpg")
        >>> found.quality, found.libjpeg, found.sampling, found.segments
        (80, True, '4:2:0', ('JFIF',))
    """

    def read(image: Image.Image) -> JpegTables:
        by_number = getattr(image, "quantization")  # noqa: B009
        tables = tuple(tuple(map(int, by_number[number])) for number in sorted(by_number))
        quality = jpeg_quality(tables[0])
        written = (tuple(table) for table in libjpeg_tables(quality))
        libjpeg = all(mine == its for mine, its in zip(tables, written, strict=False))
        layers = getattr(image, "layer")  # noqa: B009
        sampling = "gray"
        if len(layers) > 1:
            (_, across, down, _), (_, wide, high, _) = layers[:2]
            factors = across // max(wide, 1), down // max(high, 1)
            sampling = _SAMPLING.get(factors, f"{factors[0]} by {factors[1]}")
        progressive = bool(image.info.get("progressive", False))
        return JpegTables(tables, quality, libjpeg, sampling, progressive, _owners(content))

    return opened_image(io.BytesIO(content), name, read, any_kind=True, jpeg_pixels=MOST_REDUCED)


def jpeg_luminance(content: bytes, *, name: str, most_pixels: int) -> UInt8[np.ndarray, "h w"]:
    """The luminance of a JPEG file as its blocks hold it: neither turned nor made of colours.

    Args:
        content: of the file.
        name: for error messages.
        most_pixels: that are decoded.

    Raises:
        ImageError: as `jpeg_tables`, for damaged pixels, and for CMYK and RGB, which have none.
    """

    def read(image: Image.Image) -> np.ndarray:
        coded_as_rgb = image.info.get("adobe_transform") == 0
        if image.mode not in ("RGB", "L") or coded_as_rgb:
            raise ImageError(f"{name}: its colours are stored without a luminance; save it anew")
        image.draft("L", image.size)  # pyright: ignore[reportAttributeAccessIssue]
        return np.asarray(image.convert("L"))

    return opened_image(io.BytesIO(content), name, read, any_kind=True, jpeg_pixels=most_pixels)


def _owners(content: bytes) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for marker, start, end in segments(io.BytesIO(content)):
        if marker == _COMMENT:
            found["comment"] = None
        elif _APP0 <= marker <= _APP15:
            owners = (owner for mark, begin, owner in _OWNERS
                      if mark == marker and content.startswith(begin, start, end))  # fmt: skip
            found[next(owners, f"APP{marker - _APP0}")] = None
    return tuple(found)
