"""Image files in: one guarded decoder.

A spectrum shows every step that an image went through, so nothing is converted behind the caller's
back. What decodes to 8-bit RGB without a choice is decoded: gray (repeated three times, or kept as
one channel where that is asked for), bilevel, palette, a fully opaque alpha channel, the EXIF
orientation (a permutation of pixels, applied as viewers do), the main picture of a phone's
multi-picture JPEG. CMYK is converted as `gan_forensics.data.cmyk` says, and noted in its log.
Everything that would need a choice (which background, which frame, how to come from 16 bits to 8)
is refused with an `ImageError` that says how to make the choice. Embedded profiles of RGB and gray
are ignored.
"""

import io
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, TypeVar

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from gan_forensics.data.cmyk import cmyk_to_rgb
from gan_forensics.data.jpeg_quality import jpeg_quality
from gan_forensics.data.sniff import HEADER, image_format, why_not

_GRAY_MODES = ("1", "L", "LA")
_EIGHT_BIT_MODES = (*_GRAY_MODES, "P", "PA", "RGB", "RGBA", "CMYK")
_COLOURS = {"P": "palette", "PA": "palette", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK"}
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
_PNG, _XMP = b"\x89PNG\r\n\x1a\n", b"XML:com.adobe.xmp\0"
_LARGEST_PNG = 1 << 30  # to be taken apart in memory
T = TypeVar("T")


class ImageError(ValueError):
    """One image that cannot be used; the message is one line: which, what, how to mend it."""


class Header(NamedTuple):
    """What the first bytes of an image file say.

    Attributes:
        height: in pixels, as the image is decoded (the EXIF orientation applied).
        width: likewise.
        gray: whether the file stores gray levels rather than colours.
        container: the format, as Pillow names it: "PNG", "JPEG", "WEBP" ...
        colours: how the file stores its pixels: "gray", "RGB", "palette" or "CMYK"; with alpha too.
        quality: of JPEG, 1 to 100, as its quantisation table tells (`jpeg_quality`); else None.
    """

    height: int
    width: int
    gray: bool
    container: str
    colours: str
    quality: int | None


def load_image(
    path: str | os.PathLike, *, channels: Literal[1, 3] = 3
) -> UInt8[np.ndarray, "h w {channels}"]:
    """Decode an image file, as the module's docstring says.

    Args:
        path: of a regular file.
        channels: 3, RGB, or 1 for a file that stores gray levels.

    Returns:
        uint8 [h, w, channels] in [0, 255].

    Raises:
        ImageError: the file is missing, empty, damaged, not an image, animated, too large, has
            more than 8 bits a channel, transparency, another colour space than RGB, gray or CMYK,
            or colours where one channel is asked for.
    """
    return _of_file(path, lambda file: decode_image(file, name=str(path), channels=channels))


def read_header(path: str | os.PathLike) -> Header:
    """What an image file says of itself, without decoding it.

    Raises:
        ImageError: as `load_image`, as far as the header tells.
    """

    def header(image: Image.Image) -> Header:
        width, height = image.size
        # Pillow turns TIFF by itself.
        if image.format != "TIFF" and image.getexif().get(_ORIENTATION) in _TURNED:
            width, height = height, width
        # The pictures of a phone's multi-picture JPEG are JPEGs.
        container = "JPEG" if image.format == "MPO" else str(image.format)
        tables = getattr(image, "quantization", None) if container == "JPEG" else None
        quality = jpeg_quality(tables[min(tables)]) if tables else None
        colours = "gray" if (gray := _is_gray(image)) else _COLOURS[image.mode]
        return Header(height, width, gray, container, colours, quality)

    return _of_file(path, lambda file: _opened(file, str(path), header))


def is_gray(path: str | os.PathLike) -> bool:
    """Whether an image file stores gray levels; raises as `read_header`, at half its cost."""
    return _of_file(path, lambda file: _opened(file, str(path), _is_gray))


def decode_image(
    file: BinaryIO | bytes, *, name: str, channels: Literal[1, 3] = 3
) -> UInt8[np.ndarray, "h w {channels}"]:
    """Decode an open image file or its bytes as `load_image`; `name` stands in error messages."""
    file = io.BytesIO(file) if isinstance(file, bytes) else file

    def pixels(image: Image.Image) -> np.ndarray:
        if channels == 1 and not _is_gray(image):
            raise ImageError(f"{name}: colours where gray levels are asked for; read it as RGB")
        rgb = np.array(_as_rgb(image, name))
        return rgb if channels == 3 else np.ascontiguousarray(rgb[..., :1])

    return _opened(file, name, pixels)


def _of_file(path: str | os.PathLike, read: Callable[[BinaryIO], T]) -> T:
    path = Path(path)
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ImageError(f"{path}: cannot be opened (not a regular file)")
            return read(file)
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened ({error.strerror or error})") from error


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for somebody to write to a pipe."""
    return os.open(path, flags | os.O_NONBLOCK)


def _opened(file: BinaryIO, name: str, use: Callable[[Image.Image], T]) -> T:
    """What `use` makes of an image whose header was looked at; any failure is an `ImageError`."""
    start = file.read(HEADER)
    file.seek(0)
    if not start:
        raise ImageError(f"{name}: the file is empty (0 bytes); copy or download it again")
    if reason := why_not(start, name):
        raise ImageError(f"{name}: {reason} (it starts with {start[:8]!r})")
    kind = image_format(start, name) or ""
    try:
        with Image.open(file, formats=[kind]) as image:
            _refuse(image, name)
            return use(image)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        size = re.search(r"\d+ pixels", str(error))
        raise ImageError(_too_large(name, size[0] if size else "too many pixels")) from None
    # Pillow's format plugins raise nearly every exception there is on damaged files.
    except Exception as error:
        if kind == "PNG" and (rest := _without_text(file)):
            return _opened(rest, name, use)
        unidentified = isinstance(error, Image.UnidentifiedImageError)
        reason = "its header" if unidentified else " ".join(str(error).split())
        raise ImageError(
            f"{name}: damaged or truncated ({reason or type(error).__name__}); copy or download it "
            "again, or remove it"
        ) from error


def _without_text(file: BinaryIO) -> BinaryIO | None:
    """A PNG file without its texts, where it has some: Pillow refuses long ones, pixels and all.

    Generators write their settings so. The text that can turn an image, XMP, stays.
    """
    kept, dropped = io.BytesIO(), False
    file.seek(0)
    kept.write(file.read(len(_PNG)))
    while len(head := file.read(8)) == 8 and kept.tell() < _LARGEST_PNG:
        length, kind = int.from_bytes(head[:4]) + 4, head[4:]  # with its checksum
        start = file.read(min(length, len(_XMP)))
        if kind in (b"tEXt", b"zTXt", b"iTXt") and start != _XMP:
            dropped = True
            file.seek(length - len(start), io.SEEK_CUR)
        else:
            kept.write(head + start + file.read(length - len(start)))
    kept.seek(0)
    return kept if dropped else None


def _refuse(image: Image.Image, name: str) -> None:
    """Raise for what cannot be decoded faithfully, as far as the header tells."""
    # Between once and twice the limit Pillow only warns, and catching warnings is not thread-safe.
    if Image.MAX_IMAGE_PIXELS and image.width * image.height > Image.MAX_IMAGE_PIXELS:
        raise ImageError(_too_large(name, f"{image.width * image.height} pixels"))
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise ImageError(
            f"{name}: animated or multi-page ({frames} frames); save the frame you want as PNG"
        )
    if image.mode in ("I", "F") or ";16" in image.mode or _stores_16_bits(image):
        raise ImageError(
            f"{name}: more than 8 bits a channel (mode {image.mode}, {image.format}); choose a "
            "range and save it as 8-bit PNG"
        )
    if image.mode not in _EIGHT_BIT_MODES:
        raise ImageError(f"{name}: colour mode {image.mode}; convert it to RGB and save it as PNG")


def _stores_16_bits(image: Image.Image) -> bool:
    """Whether Pillow would silently cut 16-bit colour down to 8 (PNG, TIFF, PPM)."""
    for tile in getattr(image, "tile", ()):
        for argument in tile[3] if isinstance(tile[3], tuple) else (tile[3],):
            if isinstance(argument, str) and ";16" in argument:
                return True
            if image.format == "PPM" and isinstance(argument, int) and argument > 255:
                return True
    return False


def _is_gray(image: Image.Image) -> bool:
    if image.mode == "P":
        palette = np.reshape(image.getpalette("RGB") or [0, 0, 1], (-1, 3))
        return bool((palette == palette[:, :1]).all())
    return image.mode in _GRAY_MODES


def _as_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "CMYK":
        return cmyk_to_rgb(ImageOps.exif_transpose(image), name)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if np.asarray(image.getchannel("A")).min() < 255:
            raise ImageError(
                f"{name}: has transparent pixels; flatten it onto a background and save it as RGB"
            )
    return ImageOps.exif_transpose(image).convert("RGB")


def _too_large(name: str, size: str) -> str:
    return (
        f"{name}: {size}, more than the {Image.MAX_IMAGE_PIXELS} that are decoded for safety; "
        "crop or shrink it, or raise PIL.Image.MAX_IMAGE_PIXELS if you trust the file"
    )
