"""Image files in and out: decoding, cropping, resizing, quantising, saving.

Pixels are uint8 [h, w, c] in [0, 255] at the edges (files, sources, features of detectors) and
float32 in [-1, 1] inside; `to_float` and `to_uint8` are the only bridge between the two.

A spectrum shows every step that an image went through, so nothing is converted behind the
caller's back. What decodes to 8-bit RGB without a choice is decoded: gray (repeated three
times), bilevel, palette, a fully opaque alpha channel, the EXIF orientation (a permutation of
pixels, applied as viewers do), the main picture of a phone's multi-picture JPEG. Everything
that would need a choice (which background, which colour profile, which frame, how to come from
16 bits to 8) is refused with an `ImageError` that says how to make the choice. Embedded colour
profiles are ignored.
"""

import io
import math
import os
import re
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps

from gan_forensics.data.files import written_beside

SUFFIXES = frozenset(
    ".png .jpg .jpeg .jpe .bmp .gif .tif .tiff .webp .ppm .pgm .pbm .pnm .jp2 .avif".split()
)
_EIGHT_BIT_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA")


class ImageError(ValueError):
    """One image that cannot be used; the message is one line: which, what, how to mend it."""


def load_image(path: str | os.PathLike) -> UInt8[np.ndarray, "h w 3"]:
    """Decode an image file to RGB, as the module's docstring says.

    Returns:
        uint8 [h, w, 3] in [0, 255].

    Raises:
        ImageError: the file is missing, empty, damaged, not an image, animated, too large, has
            more than 8 bits a channel, a colour space other than RGB or gray, or transparency.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return decode_image(file, name=str(path))
    except ImageError:
        raise
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise ImageError(f"{path}: cannot be opened ({error.strerror or error})") from error


def decode_image(file: BinaryIO | bytes, *, name: str) -> UInt8[np.ndarray, "h w 3"]:
    """Decode an open image file or its bytes to RGB; `name` stands in error messages."""
    file = io.BytesIO(file) if isinstance(file, bytes) else file
    start = file.read(16)
    file.seek(0)
    if not start:
        raise ImageError(f"{name}: the file is empty (0 bytes); copy or download it again")
    try:
        with Image.open(file) as image:
            _refuse(image, name)
            pixels = np.array(_as_rgb(image, name))
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        size = re.search(r"\d+ pixels", str(error))
        raise ImageError(_too_large(name, size[0] if size else "too many pixels")) from None
    except Image.UnidentifiedImageError:
        raise ImageError(
            f"{name}: not an image that Pillow can read (it starts with {start[:8]!r}); "
            "remove it or convert it to PNG"
        ) from None
    # Pillow's format plugins raise nearly every exception there is on damaged files.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(
            f"{name}: damaged or truncated ({reason}); copy or download it again, or remove it"
        ) from error
    return pixels


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
    if image.mode == "CMYK":
        raise ImageError(
            f"{name}: CMYK colours; convert it to RGB with its colour profile and save it as PNG"
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


def _as_rgb(image: Image.Image, name: str) -> Image.Image:
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


def list_images(folder: str | os.PathLike) -> list[Path]:
    """List the image files below a folder, sorted by path.

    A file counts by its suffix (`SUFFIXES`, any case); hidden files and folders are skipped.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: the path is no folder, or holds no image.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: no such folder; check the path")
    if not folder.is_dir():
        raise ValueError(f"{folder}: not a folder; give the folder that holds the images")
    found = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            Path(parent, name)
            for name in files
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES
        ]
    if not found:
        raise ValueError(
            f"{folder}: no images in this folder or below; looked for {' '.join(sorted(SUFFIXES))}"
        )
    return sorted(found)


def check_pixels(images: np.ndarray, axes: str = "n, h, w") -> None:
    """Refuse what is not uint8 of these axes and 1 or 3 channels."""
    right = images.dtype == np.uint8 and images.ndim == len(axes.split()) + 1
    if not right or images.shape[-1] not in (1, 3):
        raise ValueError(
            f"images must be uint8 (see to_uint8) [{axes}, 1 or 3], channels last, got "
            f"{images.dtype} {list(images.shape)}"
        )


def center_crop(image: UInt8[np.ndarray, "h w c"], side: int) -> UInt8[np.ndarray, "s s c"]:
    """Cut out the central square; where it cannot be central it lies half a pixel up and left."""
    height, width = image.shape[:2]
    if not 1 <= side <= min(height, width):
        raise ValueError(
            f"cannot cut a square of {side} from an image of {height}x{width} (height x width); "
            f"the crop may be 1 to {min(height, width)}"
        )
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def resize(
    image: UInt8[np.ndarray, "h w c"], size: int, *, antialias: bool = True
) -> UInt8[np.ndarray, "size size c"]:
    """Resize to `size` x `size` pixels, bilinear with half-pixel centres.

    Args:
        image: uint8 [h, w, c], c = 1 or 3.
        size: side of the result.
        antialias: True: Pillow's bilinear, whose triangle grows with the reduction (as PIL,
            torchvision and the released training code of Chandrasegaran et al. resize). False:
            the four nearest pixels whatever the reduction (OpenCV's INTER_LINEAR, and that
            code's FID reference images), rounded half up; this folds high frequencies down.
            The two agree when enlarging, up to one level of rounding.
    """
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    if image.shape[:2] == (size, size):
        return image
    if antialias:
        return pillow_resize(image, size, size)
    top, bottom, down = _neighbours(image.shape[0], size)
    left, right, across = _neighbours(image.shape[1], size)
    down, across = down[:, None, None], across[:, None]
    rows = image[top] * (1 - down) + image[bottom] * down
    result = rows[:, left] * (1 - across) + rows[:, right] * across
    return np.floor(result + 0.5).astype(np.uint8)


def pillow_resize(
    image: UInt8[np.ndarray, "h w c"], height: int, width: int
) -> UInt8[np.ndarray, "{height} {width} c"]:
    """Pillow's bilinear resize, which antialiases."""
    # Pillow has no [h, w, 1].
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.array(picture).reshape(height, width, image.shape[-1])


def _neighbours(length: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of the two source pixels beside each target pixel, and the weight of the second."""
    centre = np.clip((np.arange(size) + 0.5) * (length / size) - 0.5, 0, length - 1)
    first = np.floor(centre).astype(int)
    return first, np.minimum(first + 1, length - 1), centre - first


def square(
    image: UInt8[np.ndarray, "h w c"], *, size: int | None = None, crop: int | None = None
) -> UInt8[np.ndarray, "size size c"]:
    """Centre-crop to a square of `crop` pixels (default: the shorter side), then resize to `size`.

    The resize is antialiased. With neither argument the image is returned as it is.
    """
    if size is None and crop is None:
        return image
    image = center_crop(image, min(image.shape[:2]) if crop is None else crop)
    return image if size is None else resize(image, size)


def to_float(image: UInt8[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Map uint8 [0, 255] to float32 [-1, 1]: x = u / 127.5 - 1."""
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise ValueError(f"expected uint8 pixels in [0, 255], got {image.dtype}; see to_uint8")
    return image / np.float32(127.5) - np.float32(1)


def to_uint8(
    image: Float[np.ndarray, "*shape"], *, rounding: Literal["nearest", "floor"] = "nearest"
) -> UInt8[np.ndarray, "*shape"]:
    """Quantise [-1, 1] to uint8 [0, 255]; values outside are clipped.

    Args:
        image: any float array, range [-1, 1].
        rounding: "nearest": floor(255 (0.5 x + 0.5) + 0.5), halves up; undoes `to_float`
            exactly. "floor": floor(255 (0.5 x + 0.5)), as the released generators of
            Chandrasegaran et al. (CVPR 2021) save their images: half a level darker on average,
            and one level darker than the original for pixels that `to_float` rounded down.

    Raises:
        ValueError: an integer array, a NaN, or an unknown rounding.
    """
    if rounding not in ("nearest", "floor"):
        raise ValueError(f"unknown rounding {rounding!r}; choose 'nearest' or 'floor'")
    image = np.asarray(image)
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(f"expected float pixels in [-1, 1], got {image.dtype}: quantised already?")
    level = 255 * (0.5 * image.astype(np.float32) + 0.5)
    if np.isnan(level).any():
        raise ValueError(f"{np.isnan(level).sum()} pixels are NaN; the generator has diverged")
    if rounding == "nearest":
        level += 0.5
    return np.floor(np.clip(level, 0, 255)).astype(np.uint8)


def save_png(path: Path | str, image: UInt8[np.ndarray, "h w c"]) -> None:
    """Write a uint8 image [h, w], [h, w, 1] or [h, w, 3] as PNG; see `written_beside`."""
    image = np.asarray(image)
    check_pixels(image[..., None] if image.ndim == 2 else image, "h, w")
    picture = Image.fromarray(image[..., 0] if image.shape[2:] == (1,) else image)
    with written_beside(path) as partial:
        picture.save(partial, format="PNG")


def image_grid(
    images: UInt8[np.ndarray, "n h w c"], columns: int | None = None, *, gap: int = 2
) -> UInt8[np.ndarray, "H W 3"]:
    """Tile images into one picture with white gaps; gray images are repeated to three channels.

    Args:
        images: uint8, c = 1 or 3.
        columns: images per row; by default as near to a square as possible.
        gap: pixels between and around the images.
    """
    from skimage.util import montage

    images = np.asarray(images)
    check_pixels(images)
    n, h, w, _ = images.shape
    columns = math.ceil(math.sqrt(n)) if columns is None else min(columns, n)
    if n == 0 or columns < 1:
        raise ValueError(f"cannot tile {n} images in {columns} columns: both must be at least 1")
    return montage(
        np.broadcast_to(images, (n, h, w, 3)),
        fill=[255, 255, 255],
        grid_shape=(math.ceil(n / columns), columns),
        padding_width=gap,
        channel_axis=-1,
    )
