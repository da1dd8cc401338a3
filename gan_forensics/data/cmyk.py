"""CMYK images, of print shops and press agencies, to RGB.

An embedded profile that can be used decides, by its perceptual intent, towards sRGB. Without one it
is the naive conversion of CSS (Color Module Level 5, device-cmyk): R = 255 (1 - C)
(1 - K) and so on. Either is told to the log `gan_forensics.data.cmyk` at level INFO: (file, how).
"""

import io
import logging
from collections.abc import Callable

from PIL import Image

log = logging.getLogger(__name__)
# Published CMYK profiles have up to 3 MB; a stranger's file is not parsed beyond this.
LARGEST_PROFILE = 8 << 20
_CMYK_AT, _CMYK = slice(16, 20), b"CMYK"


def cmyk_to_rgb(image: Image.Image, name: str) -> Callable[[Image.Image], Image.Image]:
    """How an image of mode CMYK, or a part of it, is converted; `name` stands in the log.

    Profiles that are damaged, too large, or of another colour space than CMYK count as none.
    """
    convert, how = _by_profile(image), "by their embedded profiles"
    if convert is None:
        convert, how = _naive, "without a usable profile, as R = (1 - C) (1 - K)"
    log.info("%s: CMYK colours, converted %s", name, how)
    return convert


def _naive(part: Image.Image) -> Image.Image:
    return part.convert("RGB")


def _by_profile(image: Image.Image) -> Callable[[Image.Image], Image.Image] | None:
    profile = image.info.get("icc_profile")
    if not profile or len(profile) > LARGEST_PROFILE or profile[_CMYK_AT] != _CMYK:
        return None
    try:
        from PIL import ImageCms  # a Pillow without LittleCMS lacks it

        transform = ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            "CMYK",
            "RGB",
            renderingIntent=ImageCms.Intent.PERCEPTUAL,
        )
        transform.apply(image.crop((0, 0, 1, 1)))
    # LittleCMS refuses damaged profiles with errors of several kinds.
    except Exception:
        return None
    return transform.apply
