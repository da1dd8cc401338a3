"""What the corruptions of images share: types, rounding, and how lengths follow an image's size.

The published strengths are meant for pictures of 224 pixels a side. One rule carries them over to
any size, and leaves pictures of 224 pixels as they were published: **every length is a share of the
shorter side**. Lengths in pixels are multiplied by `scale_of`; maps (fog, flakes, drops, frost,
displacements) are made at `published_shape`, where the shorter side is 224, and then brought to the
size of the image by `at_own_size`. Noise of single pixels, JPEG's blocks, and what is a share
already (zoom, pixelate) have no length to scale.
"""

from typing import Protocol

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

PUBLISHED_SIDE = 224
Pixels = UInt8[np.ndarray, "h w c"]
Map = Float[np.ndarray, "h w"]
Rng = np.random.Generator | np.random.RandomState


class Corruption(Protocol):
    """What maps an image, a severity of 1 to 5 and a generator of draws to an image."""

    def __call__(self, image: Pixels, severity: int, rng: Rng) -> Pixels: ...  # noqa: D102


def scale_of(shape: tuple[int, ...]) -> float:
    """The shorter side of [h, w, ...] over the published one."""
    return min(shape[:2]) / PUBLISHED_SIDE


def published_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Height and width of [h, w, ...] enlarged or shrunk until the shorter one is 224."""
    height, width = (round(side / scale_of(shape)) for side in shape[:2])
    return height, width


def at_own_size(layer: Map, shape: tuple[int, ...]) -> Map:
    """A map of `published_shape`, brought to the sides of [h, w, ...]: bilinear, antialiased."""
    if layer.shape == shape[:2]:
        return layer
    picture = Image.fromarray(layer.astype(np.float32), "F")
    return np.array(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def unit(image: Pixels) -> Float[np.ndarray, "h w c"]:
    """Levels as float64 in [0, 1]."""
    return image / 255.0


def levels(values: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Levels of values, clipped to [0, 1]; cut off and not rounded, as published."""
    return (np.clip(values, 0, 1) * 255).astype(np.uint8)


def integers(rng: Rng, low: int, high: int, size: tuple[int, ...] | None = None):
    """Whole numbers from `low` to `high - 1`, by either kind of generator."""
    draw = rng.integers if isinstance(rng, np.random.Generator) else rng.randint
    return draw(low, high, size)
