"""CMYK images, of print shops and press agencies, to RGB.

An embedded profile that can be used decides, by its perceptual intent, towards sRGB. Without one it
is the naive conversion of CSS (Color Module Level 5, device-cmyk): R = 255 (1 - C)
(1 - K) and so on. Either is told to the log `gan_forensics.data.cmyk` at level INFO: (file, how).
"""

import io
import logging

from PIL import Image

log = logging.getLogger(__name__)
# Published CMYK profiles have up to 3 MB; a stranger's file is not parsed beyond this.
LARGEST_PROFILE = 8 << 20
_CMYK_AT, _CMYK = slice(16, 20), b"CMYK"


def cmyk_to_rgb(image: Image.Image, name: str) -> Image.Image:
    """Convert an image of mode CMYK; `name` stands in the log.

    Profiles that are damaged, too large, or of another colour space than CMYK count as none.
    """
    rgb, how = _by_profile(image), "by their embedded profiles"
    if rgb is None:
        rgb, how = image.convert("RGB"), "without a usable profile, as R = (1 - C) (1 - K)"
    log.info("%s: CMYK colours, converted %s", name, how)
    return rgb


def _by_profile(image: Image.Image) -> Image.Image | None:
    profile = image.info.get("icc_profile")
    if not profile or len(profile) > LARGEST_PROFILE or profile[_CMYK_AT] != _CMYK:
        return None
    try:
        from PIL import ImageCms  # a Pillow without LittleCMS lacks it

        return ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(profile)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.PERCEPTUAL,
            outputMode="RGB",
        )
    # LittleCMS refuses damaged profiles with errors of several kinds.
    except Exception:
        return None
