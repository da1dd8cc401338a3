"""What a file is, by its first bytes: suffixes are not trusted, and no file is decoded for it."""

import functools
import re
from importlib.util import find_spec
from pathlib import PurePath

# First bytes that tell every format below.
HEADER = 64
# Formats that are read, by their names in Pillow; HEIC by pillow-heif. Others that Pillow knows are
# left out on purpose: drawings, previews of camera files and what needs other programs would be a
# silent choice.
_READ = {"PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF", "HEIC"}
_OPTIONAL = {"WEBP": "webp", "JPEG2000": "jpg_2000", "AVIF": "avif"}
_STARTS = (
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"\xff\xd8\xff", "JPEG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II\x2a\0\x10\0\0\0CR", "camera raw"),
    (b"II\x2a\0", "TIFF"),
    (b"MM\0\x2a", "TIFF"),
    (b"II\x2b\0", "TIFF"),
    (b"MM\0\x2b", "TIFF"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
    # Known, and not read.
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"8BPS\0", "Photoshop"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"qoif", "QOI"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"%PDF", "PDF"),
    (b"SIMPLE  =", "FITS"),
    (b"DDS |", "DDS"),
    (b"IIU\0", "camera raw"),
    (b"IIRO", "camera raw"),
    (b"FUJIFILMCCD-RAW", "camera raw"),
)  # fmt: skip
_BMP = re.compile(rb"BM.{12}[\x0c\x28\x34\x38\x40\x6c\x7c]\0\0\0", re.DOTALL)
_PPM = re.compile(rb"P[1-6]\s+(#|\d)")
_ICON = re.compile(rb"\0\0[\1\2]\0[\1-\x20]\0")
_SVG = re.compile(rb"\s*(<\?xml[^>]*>\s*)?<svg[\s>]")
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
_NO_HEIC = (
    "HEIC, which is not read here: pip install 'gan_forensics[inspect]' (pillow-heif), or convert "
    "to PNG"
)
# Camera files that are TIFF by their first bytes; what a TIFF reader finds there is a preview.
_RAW = {".arw", ".cr2", ".dng", ".iiq", ".nef", ".nrw", ".pef", ".sr2", ".srw", ".3fr"}


def image_format(start: bytes, name: str = "") -> str | None:
    """The image format of a file that starts so, one that is not read included; None for others.

    Args:
        start: the first `HEADER` bytes.
        name: of the file, which only tells camera files from plain TIFF.
    """
    for magic, kind in _STARTS:
        if start.startswith(magic):
            raw = kind == "TIFF" and PurePath(name).suffix.lower() in _RAW
            return "camera raw" if raw else kind
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start[4:8] == b"ftyp":
        end = min(int.from_bytes(start[:4]), len(start))
        brands = {start[8:12], *(start[at : at + 4] for at in range(16, end, 4))}
        if brands & {b"avif", b"avis"}:
            return "AVIF"
        return "HEIC" if brands & _HEIC else "camera raw" if b"crx " in brands else None
    for pattern, kind in ((_BMP, "BMP"), (_PPM, "PPM"), (_ICON, "icon"), (_SVG, "SVG")):
        if pattern.match(start):
            return kind
    return None


def why_not(start: bytes, name: str = "") -> str | None:
    """Why a file that starts so is not read as an image; None where it is."""
    if not start:
        return "empty (0 bytes)"
    kind = image_format(start, name)
    if kind is None:
        return "not an image"
    if kind in _readable():
        return None
    if kind == "HEIC":
        return _NO_HEIC
    return f"{kind}, which is not read: convert to PNG"


@functools.cache
def _readable() -> set[str]:
    """The formats that are read, as far as this Pillow was built with them."""
    from PIL import features

    heic = find_spec("pillow_heif") is not None
    return {
        k
        for k in _READ
        if (heic if k == "HEIC" else k not in _OPTIONAL or features.check(_OPTIONAL[k]))
    }
