"""Pictures that were never compressed or enlarged, as far as that can be had without a download."""

import functools
import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from gan_forensics.data import power_law_textures
from gan_forensics.data.samples import PHOTOS


@functools.cache
def halves():
    """Photographs at half their size, by means of 2x2 pixels: what was done to them is gone."""
    found = []
    for package, file in PHOTOS:
        with Image.open(Path(find_spec(package).origin).parent / file) as image:
            found.append(np.asarray(image.convert("RGB").reduce(2)))
    return found


def pictures(seed, side=512, crops=3, textures=6):
    """Crops of photographs and Gaussian textures of three exponents: uint8 arrays, up to `side`."""
    rng, drawn = np.random.default_rng(seed), []
    for photo in halves():
        height, width = photo.shape[:2]
        size = min(side, height, width)
        for _ in range(crops):
            top, left = rng.integers(0, height - size + 1), rng.integers(0, width - size + 1)
            drawn.append(photo[top : top + size, left : left + size])
    for exponent in (1.0, 1.25, 1.5):
        own = seed + int(100 * exponent)
        drawn += list(power_law_textures(textures, side, exponent=exponent, seed=own))
    return drawn


def jpeg(pixels, quality, **options):
    """The bytes of a JPEG file."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, **options)
    return stream.getvalue()


def decoded(content):
    """The pixels of a file's bytes."""
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def gray(pixels):
    """Gray levels, not rounded."""
    return pixels @ np.array([0.299, 0.587, 0.114], np.float32)
