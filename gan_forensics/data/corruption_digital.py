"""Colour, contrast and codecs of ImageNet-C (Hendrycks and Dietterich, ICLR 2019).

uint8 [h, w, c] in and out, severities 1 to 5; brightness and saturation need three channels.
"""

import numpy as np
from PIL import Image

from gan_forensics.data.augment import jpeg
from gan_forensics.data.corruption_scale import Pixels, Rng, levels, unit

BRIGHTNESS = (0.1, 0.2, 0.3, 0.4, 0.5)
# Factor of the saturation, and what is added.
SATURATE = ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2))
CONTRAST = (0.4, 0.3, 0.2, 0.1, 0.05)
PIXELATE = (0.6, 0.5, 0.4, 0.3, 0.25)
JPEG = (25, 18, 15, 10, 7)


def brightness(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """More value in HSV."""
    return _in_hsv(image, 2, 1, BRIGHTNESS[severity - 1])


def saturate(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """Less saturation in HSV, from severity 3 on more."""
    return _in_hsv(image, 1, *SATURATE[severity - 1])


def _in_hsv(image: Pixels, channel: int, factor: float, more: float) -> Pixels:
    from skimage.color import hsv2rgb, rgb2hsv

    hsv = rgb2hsv(unit(image))
    hsv[..., channel] = np.clip(hsv[..., channel] * factor + more, 0, 1)
    return levels(hsv2rgb(hsv))


def contrast(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """Every channel nearer to its mean."""
    x = unit(image)
    mean = x.mean((0, 1), keepdims=True)
    return levels((x - mean) * CONTRAST[severity - 1] + mean)


def pixelate(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """Shrunk and enlarged by box filters."""
    share = PIXELATE[severity - 1]
    height, width = image.shape[:2]
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    small = max(1, int(width * share)), max(1, int(height * share))
    for size in (small, (width, height)):
        picture = picture.resize(size, Image.Resampling.BOX)
    return np.array(picture).reshape(image.shape)


def jpeg_compression(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """JPEG by Pillow, chroma at half resolution."""
    return jpeg(image, JPEG[severity - 1])
