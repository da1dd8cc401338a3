"""Carriers: what happens to a picture on its way, by name.

Sites and messengers compress and shrink, screens enlarge, cameras and editors add noise. A verdict
must not depend on it. Every carrier maps uint8 [h, w, c] to the same, deterministically; those that
end in another size say so. Tiers are how hard a picture was treated, in three steps: what a score
is worth as evidence is calibrated in each of them.
"""

import io
import zlib
from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gan_forensics.data.augment import jpeg
from gan_forensics.data.images import pillow_resize

Pixels = UInt8[np.ndarray, "h w c"]
# Of an image, a height and a width.
Resizer = Callable[[Pixels, int, int], UInt8[np.ndarray, "h2 w2 c"]]


def webp(image: Pixels, quality: int) -> Pixels:
    """Compress and decompress as lossy WebP."""
    stream = io.BytesIO()
    _picture(image).save(stream, "WEBP", quality=quality)
    with Image.open(stream, formats=["WEBP"]) as opened:  # our own bytes
        decoded = np.array(opened.convert("RGB"))
    return decoded[..., : image.shape[-1]]


def down_up(image: Pixels, factor: float, resizer: Resizer = pillow_resize) -> Pixels:
    """Shrink by a factor and enlarge to the size of before, by default bilinear, antialiased."""
    return resizer(scaled(image, factor, resizer), *image.shape[:2])


def scaled(
    image: Pixels, factor: float, resizer: Resizer = pillow_resize
) -> UInt8[np.ndarray, "h2 w2 c"]:
    """Resize both sides by a factor, by default bilinear with antialiasing."""
    height, width = (max(1, round(side * factor)) for side in image.shape[:2])
    return resizer(image, height, width)


def enlarged(image: Pixels, factor: float) -> UInt8[np.ndarray, "h2 w2 c"]:
    """Resize both sides by a factor, bicubic as editors do."""
    height, width = (round(side * factor) for side in image.shape[:2])
    resized = _picture(image).resize((width, height), Image.Resampling.BICUBIC)
    return np.array(resized).reshape(height, width, image.shape[-1])


def noise(image: Pixels, deviation: float) -> Pixels:
    """Add Gaussian noise of so many levels, the same for the same pixels."""
    rng = np.random.default_rng(zlib.crc32(np.ascontiguousarray(image).tobytes()))
    noisy = image + deviation * rng.standard_normal(image.shape)
    return np.clip(np.floor(noisy + 0.5), 0, 255).astype(np.uint8)


def shipped(image: Pixels, longest: int, quality: int) -> UInt8[np.ndarray, "h2 w2 c"]:
    """As a site ships it: its long side shrunk to at most `longest` pixels, then JPEG.

    Smaller images keep their size.
    """
    if (side := max(image.shape[:2])) > longest:
        image = scaled(image, longest / side)
    return jpeg(image, quality)


def tier_of(quality: int | None) -> str:
    """The tier of `TIERS` that an image file says it is of, by the quality of its compression.

    JPEG up to quality 50 (half-way between 40 and 60) is "hard", up to 70 "web", all else "clean".
    It is what the last file says, no more: a picture that was compressed hard and saved again as
    PNG or in better quality passes for clean, as WebP does, which does not state its quality. The
    size decides nothing, since small pictures are made small too. Whoever knows the way that a
    picture took names the tier.

    Args:
        quality: 1 to 100, of the `Header` of `gan_forensics.data.read_header`; None where it states
            none.

    Example:
        >>> tier_of(60), tier_of(None)
        ('web', 'clean')
    """
    if quality is None:
        return "clean"
    return next((tier for tier, most in _QUALITIES.items() if quality <= most), "clean")


def _unchanged(image: Pixels) -> Pixels:
    return image


def _picture(image: Pixels) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


# A screenshot is a picture as a screen of 125 % shows it, stored without loss.
CARRIERS: dict[str, Callable[[Pixels], UInt8[np.ndarray, "h2 w2 c"]]] = {
    "jpeg-90": partial(jpeg, quality=90),
    "jpeg-75": partial(jpeg, quality=75),
    "jpeg-50": partial(jpeg, quality=50),
    "webp-80": partial(webp, quality=80),
    "down-up-0.75": partial(down_up, factor=0.75),
    "up-1.5": partial(enlarged, factor=1.5),
    "noise-3": partial(noise, deviation=3.0),
    "screenshot": partial(scaled, factor=1.25),
}
# What they store their pictures in.
CONTAINERS = {"jpeg-90": "JPEG", "jpeg-75": "JPEG", "jpeg-50": "JPEG", "webp-80": "WEBP"}
# As messengers and sites carry pictures, for asking whether a verdict holds.
RESHIPPED = ("jpeg-75", "webp-80", "down-up-0.75")
# The longest side that a tier leaves.
LONGEST = {"web": 768, "hard": 512}
# From a picture as it was made to one that came a long way; of few pixels both are only compressed.
TIERS: dict[str, Callable[[Pixels], UInt8[np.ndarray, "h2 w2 c"]]] = {
    "clean": _unchanged,
    "web": partial(shipped, longest=LONGEST["web"], quality=60),
    "hard": partial(shipped, longest=LONGEST["hard"], quality=40),
}
# The best JPEG that still counts as a tier: half-way to the next one.
_QUALITIES = {"hard": 50, "web": 70}
