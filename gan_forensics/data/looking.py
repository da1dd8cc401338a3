"""A look at pictures from which no verdict comes: what their headers say, and a small picture.

What the decoder refuses (`gan_forensics.data.decoding`) needs a choice: a frame, a background, how
to come from 16 bits to 8. For a look the choice is made here and told; nothing is judged by it.
"""

import io
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gan_forensics.data.decoding import (
    Header,
    ImageError,
    bits_of,
    header_of,
    opened_image,
    view_of,
)
from gan_forensics.data.jpeg_scans import only_scan

# The longest side of a small picture.
SIDE = 1024
# Of a JPEG of one scan, of which libjpeg makes an eighth of the sides: 2 ns a pixel.
MOST_REDUCED = 2**30
# Their number is known without a walk through the file.
_COUNTED = ("PNG", "WEBP", "AVIF", "MPO", "HEIF")
_SQUARE, _LIGHT, _DARK = 8, 255, 204
_BAND = 2**24


class Look(NamedTuple):
    """What a header says of a picture, of one that is not decoded too.

    Attributes:
        header: as of those that are decoded; colours are by their mode's name where it is another.
        bits: a channel: 1, 8, 10, 12, 16 or 32.
        frames: pictures in the file; None for several that are not counted.
        alpha: whether it has a transparency, which may be opaque.

    Example:
        >>> header = Header(8, 8, gray=True, container="PNG", colours="gray", quality=None)
        >>> Look(header, bits=16, frames=1, alpha=False).bits
        16
    """

    header: Header
    bits: int
    frames: int | None
    alpha: bool


def look(content: bytes, *, name: str) -> Look:
    """What the header of a file says, also of what is not decoded.

    Args:
        content: of the file.
        name: for error messages.

    Raises:
        ImageError: for what is no picture, is too large, or has a damaged header.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> file = io.BytesIO()
        >>> Image.new("LA", (8, 4)).save(file, "PNG")
        >>> seen = look(file.getvalue(), name="a.png")
        >>> seen.header.width, seen.bits, seen.frames, seen.alpha
        (8, 8, 1, True)
    """

    def seen(image: Image.Image) -> Look:
        several = bool(getattr(image, "is_animated", False))
        frames = getattr(image, "n_frames", 1) if image.format in _COUNTED else None
        bits, alpha = bits_of(image), image.has_transparency_data
        return Look(header_of(image), bits, frames if several else 1, alpha)

    file = io.BytesIO(content)
    return opened_image(file, name, seen, any_kind=True, jpeg_pixels=MOST_REDUCED)


def glance(content: bytes, *, name: str) -> tuple[UInt8[np.ndarray, "h w 3"], str]:
    """A small picture of what is not decoded for a verdict, and what was done for it.

    Args:
        content: of the file.
        name: for error messages.

    Returns:
        The first or primary picture, of sides of at most `SIDE`, transparent places as a
        chequerboard; and a line that says so.

    Raises:
        ImageError: as `look`, for damaged pixels, and for a large JPEG of several scans.

    Example:
        >>> import io
        >>> from PIL import Image
        >>> file = io.BytesIO()
        >>> Image.new("LA", (8, 4), (90, 255)).save(file, "PNG")
        >>> picture, said = glance(file.getvalue(), name="a.png")
        >>> picture[0, 0].tolist(), said
        ([90, 90, 90], 'transparent places as a chequerboard')
    """
    file = io.BytesIO(content)

    def small(image: Image.Image) -> tuple[np.ndarray, str]:
        turned, said, factor = view_of(image), [], -(-max(image.size) // SIDE)
        if getattr(image, "is_animated", False):
            said.append("the primary picture" if image.format == "HEIF" else "the first picture")
        if image.format in ("JPEG", "MPO"):
            if only_scan(io.BytesIO(content), content) is None:
                raise ImageError(f"{name}: no small picture is made of a JPEG of several scans")
            image.draft("RGB", (1, 1))
            said.append("decoded at an eighth of its sides")
            factor = -(-max(image.size) // SIDE)
        bits = bits_of(image)
        image.load()
        if bits > 8:
            said.append(f"of {bits} bits a channel, 8 are shown")
        if image.mode in ("I", "F") or ";16" in image.mode:
            levels = np.asarray(image)[::factor, ::factor].astype(np.float64)
            lowest, highest = np.nanmin(levels), np.nanmax(levels)
            scaled = np.nan_to_num((levels - lowest) / max(highest - lowest, 1e-12))
            said.append("its darkest and lightest levels as black and white")
            picture = np.repeat((255 * scaled).clip(0, 255).astype(np.uint8)[..., None], 3, -1)
        elif image.has_transparency_data:
            said.append("transparent places as a chequerboard")
            picture = _on_squares(np.asarray(image.convert("RGBA").reduce(factor)))
        else:
            whole = image if image.mode == "RGB" else image.convert("RGB")
            picture = np.asarray(whole.reduce(factor))
        return np.ascontiguousarray(turned(picture)), "; ".join(said)

    return opened_image(file, name, small, any_kind=True, jpeg_pixels=MOST_REDUCED)


def shrunk(pixels: UInt8[np.ndarray, "h w 3"], side: int = SIDE) -> UInt8[np.ndarray, "a b 3"]:
    """A small picture: means of as many pixels as sides of at most `side` take.

    Example:
        >>> shrunk(np.full((40, 30, 3), 9, np.uint8), 20).shape
        (20, 15, 3)
    """
    factor = -(-max(pixels.shape) // side)
    if factor == 1:
        return pixels
    rows = max(1, _BAND // (3 * pixels.shape[1] * factor)) * factor
    bands = (pixels[top : top + rows] for top in range(0, len(pixels), rows))
    return np.concatenate([np.asarray(Image.fromarray(band).reduce(factor)) for band in bands])


def _on_squares(picture: UInt8[np.ndarray, "h w 4"]) -> UInt8[np.ndarray, "h w 3"]:
    rows, columns = (np.arange(n) // _SQUARE % 2 for n in picture.shape[:2])
    below = np.where(rows[:, None] ^ columns, _DARK, _LIGHT)[..., None]
    share = picture[..., 3:] / 255
    return np.round(picture[..., :3] * share + below * (1 - share)).astype(np.uint8)
