"""Image files in: one guarded decoder.

A spectrum shows every step that an image went through, so nothing is converted behind the caller's
back. What decodes to 8-bit RGB without a choice is decoded: gray (repeated three times, or kept as
one channel where that is asked for), bilevel, palette, a fully opaque alpha channel, the EXIF
orientation (a permutation of pixels, applied as viewers do), the main picture of a phone's
multi-picture JPEG or HEIC. CMYK is converted as `gan_forensics.data.cmyk` says, and noted in its
log. Everything that would need a choice (which background, which frame, how to come from 16 bits to
8) is refused with an `ImageError` that says how to make the choice. Embedded profiles of RGB and
gray are ignored.

Files may come from strangers. What they may cost is judged by their headers
(`gan_forensics.data.budget`), and a picture of which rows are missing is none. That is found where
a file ends too early, in any format; in a JPEG of one scan also where another end was put there or
its data are damaged so that too few or too many pixels come of them, and in a JPEG of several where
whole scans are missing. What changes pixels and leaves their number cannot be found: damage inside
of uncompressed data, of WebP, AVIF, HEIC or JPEG 2000, or of one of several scans.
"""

import io
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, TypeVar

import numpy as np
from jaxtyping import UInt8
from PIL import Image, JpegImagePlugin

from gan_forensics.data.budget import check_budget, check_bytes, check_pixels, too_large
from gan_forensics.data.cmyk import cmyk_to_rgb
from gan_forensics.data.heic import open_heic
from gan_forensics.data.jpeg_quality import jpeg_quality
from gan_forensics.data.jpeg_scans import MOST_EXIF, OneScan, only_scan
from gan_forensics.data.png_chunks import rows_missing, without_text
from gan_forensics.data.refusal import Refusal
from gan_forensics.data.sniff import HEADER, image_format, why_not
from gan_forensics.data.tiff_tags import only_orientation
from gan_forensics.files import open_regular, shown

# Files of several pictures, of which one is the picture.
_PRIMARY = ("MPO", "HEIF")
_GRAY_MODES = ("1", "L", "LA")
_EIGHT_BIT_MODES = (*_GRAY_MODES, "P", "PA", "RGB", "RGBA", "CMYK")
_COLOURS = {"P": "palette", "PA": "palette", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK"}
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
# Where the rows and columns of a file lie in the picture, by its EXIF orientation.
_VIEWS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda picture: picture[:, ::-1],
    3: lambda picture: picture[::-1, ::-1],
    4: lambda picture: picture[::-1],
    5: lambda picture: picture.swapaxes(0, 1),
    6: lambda picture: picture.swapaxes(0, 1)[::-1],
    7: lambda picture: picture[::-1, ::-1].swapaxes(0, 1),
    8: lambda picture: picture.swapaxes(0, 1)[:, ::-1],
}
# Pixels that are converted at a time: copies of a whole picture would take three times its memory.
_BAND = 2**18
T = TypeVar("T")


class ImageError(ValueError):
    """One image that cannot be used; the message is one line: which, what, how to mend it."""


class Header(NamedTuple):
    """What the first bytes of an image file say.

    Attributes:
        height: in pixels, as the image is decoded (the EXIF orientation applied).
        width: likewise.
        gray: whether the file stores gray levels rather than colours.
        container: the format, as Pillow names it: "PNG", "JPEG", "WEBP" ..., or "HEIC".
        colours: how the file stores its pixels: "gray", "RGB", "palette" or "CMYK"; with alpha too.
        quality: of JPEG, 1 to 100, as its quantisation table tells (`jpeg_quality`); else None.

    Example:
        >>> header = Header(480, 640, gray=False, container="JPEG", colours="RGB", quality=75)
        >>> header.height, header.width
        (480, 640)
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

    Example:
        >>> load_image("photos/a.jpg").shape  # doctest: +SKIP
        (480, 640, 3)
    """
    return _of_file(path, lambda file: decode_image(file, name=shown(path), channels=channels))


def read_header(path: str | os.PathLike) -> Header:
    """What an image file says of itself, without decoding it.

    Raises:
        ImageError: as `load_image`, as far as the header tells.

    Example:
        >>> header = read_header("photos/a.jpg")  # doctest: +SKIP
        >>> header.height, header.width, header.quality  # doctest: +SKIP
        (480, 640, 75)
    """

    return _of_file(path, lambda file: decode_header(file, name=shown(path)))


def decode_header(file: BinaryIO | bytes, *, name: str) -> Header:
    """The header of an open image file or its bytes; `name` stands in error messages.

    Raises:
        ImageError: as `read_header`.
    """
    file = io.BytesIO(file) if isinstance(file, bytes) else file
    return opened_image(file, name, header_of)


def header_of(image: Image.Image) -> Header:
    """The header of a picture of Pillow that was opened from a file."""
    width, height = image.size
    if _orientation(image) in _TURNED:
        width, height = height, width
    # The pictures of a phone's multi-picture JPEG are JPEGs.
    container = {"MPO": "JPEG", "HEIF": "HEIC"}.get(str(image.format), str(image.format))
    tables = getattr(image, "quantization", None) if container == "JPEG" else None
    quality = jpeg_quality(tables[min(tables)]) if tables else None
    # Of modes beside those that are decoded their names.
    colours = "gray" if (gray := _is_gray(image)) else _COLOURS.get(image.mode, image.mode)
    return Header(height, width, gray, container, colours, quality)


def is_gray(path: str | os.PathLike) -> bool:
    """Whether an image file stores gray levels; raises as `read_header`, at half its cost."""
    return _of_file(path, lambda file: opened_image(file, shown(path), _is_gray))


def decode_image(
    file: BinaryIO | bytes, *, name: str, channels: Literal[1, 3] = 3
) -> UInt8[np.ndarray, "h w {channels}"]:
    """Decode an open image file or its bytes as `load_image`; `name` stands in error messages.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> file = io.BytesIO()
        >>> Image.new("L", (8, 4), 100).save(file, "PNG")
        >>> image = decode_image(file.getvalue(), name="gray.png")
        >>> image.shape, image[0, 0].tolist()
        ((4, 8, 3), [100, 100, 100])
    """
    return _decoded(file, name, channels, None)[1]


def decode_photograph(
    content: bytes, *, name: str, most_pixels: int
) -> tuple[Header, UInt8[np.ndarray, "h w 3"]]:
    """Header and pixels of an image that is the only one in memory, which may be a large JPEG.

    Args:
        content: of the file.
        name: for error messages.
        most_pixels: of a JPEG, in place of those that are decoded of many; other formats keep them.

    Raises:
        ImageError: as `load_image`.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> file = io.BytesIO()
        >>> Image.new("L", (8, 4), 100).save(file, "JPEG", quality=80)
        >>> header, image = decode_photograph(file.getvalue(), name="a.jpg", most_pixels=32)
        >>> header.quality, image.shape
        (80, (4, 8, 3))
    """
    return _decoded(content, name, 3, most_pixels)


def _decoded(
    file: BinaryIO | bytes, name: str, channels: int, jpeg_pixels: int | None
) -> tuple[Header, np.ndarray]:
    file = io.BytesIO(file) if isinstance(file, bytes) else file

    def whole(image: Image.Image) -> tuple[Header, np.ndarray]:
        if channels == 1 and not _is_gray(image):
            raise ImageError(f"{name}: colours where gray levels are asked for; read it as RGB")
        size = image.size
        image.load()
        if image.size != size:  # of HEIC, whose boxes and pixels may differ
            raise ValueError("its size is not that of its pixels")
        if image.format == "PNG" and _ends_black(image) and rows_missing(file):
            raise ValueError("its last rows are missing")
        return header_of(image), _as_array(image, name, channels)

    return opened_image(file, name, whole, whole=True, jpeg_pixels=jpeg_pixels)


def is_gray_picture(picture: Image.Image) -> bool:
    """Whether a picture of Pillow holds gray levels."""
    return _is_gray(picture)


def picture_pixels(
    picture: Image.Image, *, name: str, channels: Literal[1, 3] = 3
) -> UInt8[np.ndarray, "h w {channels}"]:
    """The pixels of a picture of Pillow, as those of its file would be.

    Raises:
        ImageError: as `load_image`.
    """
    try:
        _refuse(picture, picture.format or "picture", None)
        picture.load()
        return _as_array(picture, name, channels)
    except Refusal as refusal:
        raise ImageError(f"{name}: {refusal}") from None
    except (
        Exception
    ) as error:  # A picture that was opened and not loaded may be damaged in any way.
        reason = shown(" ".join(str(error).split())) or type(error).__name__
        raise ImageError(f"{name}: damaged or truncated ({reason})") from error


def _of_file(path: str | os.PathLike, read: Callable[[BinaryIO], T]) -> T:
    path = Path(path)
    name = shown(path)
    try:
        with open_regular(path) as file:
            return read(file)
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{name}: no such file; check the path") from None
    except OSError as error:
        raise ImageError(f"{name}: cannot be opened ({error.strerror or error})") from error
    except ValueError as error:
        raise ImageError(str(error)) from error


def opened_image(
    file: BinaryIO,
    name: str,
    use: Callable[[Image.Image], T],
    *,
    whole: bool = False,
    any_kind: bool = False,
    jpeg_pixels: int | None = None,
) -> T:
    """What `use` makes of an image whose header was looked at; any failure is an `ImageError`.

    Args:
        file: at its start.
        name: for messages.
        use: gets the image before its pixels are decoded.
        whole: whether `use` decodes them.
        any_kind: whether it may be of several pictures, of more bits or of other colours than are
            decoded.
        jpeg_pixels: of a JPEG at most, in place of those of its format.
    """
    start = file.read(HEADER)
    if not start:
        raise ImageError(f"{name}: the file is empty (0 bytes); copy or download it again")
    if reason := why_not(start, name):
        raise ImageError(f"{name}: {reason} (it starts with {start[:8]!r})")
    kind = image_format(start, name) or ""
    try:
        watched: OneScan | None = None
        if whole and kind == "JPEG":
            check_bytes(file, kind)
            data = file.read()
            file = io.BytesIO(data)
            if scan := only_scan(file, data):
                watched = OneScan(data, scan)
            file.seek(0)
        else:
            check_budget(file, kind, several=any_kind)
        most = jpeg_pixels if kind == "JPEG" else None
        with _open(file, kind) as image:
            if any_kind:
                check_pixels(*image.size, kind, most)
            else:
                _refuse(image, kind, most)
            if watched:
                image.fp = watched  # pyright: ignore[reportAttributeAccessIssue]
                image.load()
                watched.check_end()
            return use(image)
    except ImageError:
        raise
    except Refusal as refusal:
        raise ImageError(f"{name}: {refusal}") from None
    except MemoryError:
        raise ImageError(f"{name}: its pixels do not fit into memory; crop or shrink it") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        size = re.search(r"\d+ pixels", str(error))
        raise ImageError(f"{name}: {too_large(size[0] if size else '', kind)}") from None
    # Pillow's format plugins raise nearly every exception there is on damaged files.
    except Exception as error:
        if kind == "PNG" and (rest := _less_text(file)):
            return opened_image(rest, name, use, whole=whole, any_kind=any_kind)
        unidentified = isinstance(error, (Image.UnidentifiedImageError, SyntaxError))
        reason = "its header" if unidentified else shown(" ".join(str(error).split()))
        raise ImageError(
            f"{name}: damaged or truncated ({reason or type(error).__name__}); copy or download it "
            "again, or remove it"
        ) from error


def _open(file: BinaryIO, kind: str) -> Image.Image:
    """A file of a format, whose pixels are not yet decoded."""
    if kind == "HEIC":
        return open_heic(file)
    if kind == "JPEG":  # As `Image.open` does, but for its own limit of pixels.
        return JpegImagePlugin.jpeg_factory(file)  # pyright: ignore[reportArgumentType]
    return Image.open(file, formats=[kind])


def _less_text(file: BinaryIO) -> BinaryIO | None:
    try:
        return without_text(file)
    except (MemoryError, ValueError):  # damaged in another way
        return None


def _refuse(image: Image.Image, kind: str, most: int | None) -> None:
    """Raise for what cannot be decoded faithfully, as far as the header tells."""
    # Between once and twice the limit Pillow only warns, and catching warnings is not thread-safe.
    check_pixels(*image.size, kind, most)
    # To count the pages of a TIFF Pillow reads all; of a GIF the budget did it.
    several = kind != "GIF" and getattr(image, "is_animated", False)
    if several and image.format not in _PRIMARY:
        raise Refusal("animated or multi-page; save the frame you want as PNG")
    if bits_of(image) > 8:
        raise Refusal(
            f"more than 8 bits a channel (mode {image.mode}, {image.format}); choose a range and "
            "save it as 8-bit PNG"
        )
    if image.mode not in _EIGHT_BIT_MODES:
        raise Refusal(f"colour mode {image.mode}; convert it to RGB and save it as PNG")


def bits_of(image: Image.Image) -> int:
    """Bits a channel of a picture whose pixels are not yet decoded: 1, 8, 10, 12, 16 or 32.

    Pillow would silently cut deeper colour down to 8 (PNG, TIFF, PPM, HEIC).
    """
    if image.mode in ("1", "I", "F"):
        return 1 if image.mode == "1" else 32
    if ";16" in image.mode:
        return 16
    for tile in getattr(image, "tile", ()):
        for argument in tile[3] if isinstance(tile[3], tuple) else (tile[3],):
            if isinstance(argument, str) and ";16" in argument:
                return 16
            if image.format == "PPM" and isinstance(argument, int) and argument > 255:
                return 16
    return image.info.get("bit_depth", 8) if image.format == "HEIF" else 8


def _is_gray(image: Image.Image) -> bool:
    if image.mode == "P":
        palette = np.reshape(image.getpalette("RGB") or [0, 0, 1], (-1, 3))
        return bool((palette == palette[:, :1]).all())
    return image.mode in (*_GRAY_MODES, "I", "F") or image.mode.startswith("I;")


def _orientation(image: Image.Image) -> int:
    """How the picture is turned; Pillow turns TIFF by itself, libheif HEIC."""
    if image.format in ("TIFF", "HEIF"):
        return 1
    if image.format == "PNG" and "exif" not in image.info:
        image.load()  # As Pillow does: they may stand behind the pixels.
    exif, text = image.info.get("exif"), image.info.get("Raw profile type exif", "")
    if exif is None and len(text) > 2 * MOST_EXIF:
        # ImageMagick's, below three lines; texts that are none are left out (`_less_text`).
        exif = bytes.fromhex("".join(text.split("\n")[3:]))
    if exif is not None and len(exif) > MOST_EXIF:
        image.info["exif"] = only_orientation(exif)
    return image.getexif().get(_ORIENTATION, 1)


def view_of(image: Image.Image) -> Callable[[np.ndarray], np.ndarray]:
    """Turns rows and columns of a file's pixels to where they lie in the picture."""
    return _VIEWS.get(_orientation(image), lambda picture: picture)


def _ends_black(image: Image.Image) -> bool:
    """Whether a PNG's last rows may never have been unpacked."""
    if image.info.get("interlace"):
        return True
    return not any(image.crop((0, image.height - 1, *image.size)).tobytes())


def _as_array(image: Image.Image, name: str, channels: int) -> np.ndarray:
    """The pixels of an image that was decoded, turned and converted in one go."""
    width, height = image.size
    turned = view_of(image)
    swapped = turned(np.empty((2, 1))).shape == (1, 2)
    picture = np.empty(
        (width, height, channels) if swapped else (height, width, channels), np.uint8
    )
    rows, mode = turned(picture), "RGB" if channels == 3 else "L"
    convert = cmyk_to_rgb(image, name) if image.mode == "CMYK" else None
    step = max(1, _BAND // width)
    for top in range(0, height, step):
        part = image if step >= height else image.crop((0, top, width, min(top + step, height)))
        if convert:
            part = convert(part)
        elif part.has_transparency_data:
            part = part.convert("RGBA")
            if part.getchannel("A").getextrema()[0] != 255:
                raise Refusal(
                    "has transparent pixels; flatten it onto a background and save it as RGB"
                )
        if part.mode != mode:
            part = part.convert(mode)
        rows[top : top + step] = np.asarray(part).reshape(-1, width, channels)
    return picture
