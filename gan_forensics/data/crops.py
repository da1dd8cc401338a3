"""Crops of classifiers' images: random ones for training, the central one for everything else.

Inception's random resized crop, as torchvision draws it, a mirror image in half of the cases, and
for fine-grained classes turns, gray images, brightness and contrast (Chandrasegaran et al., ICML
2022, released code). Images are uint8 [h, w, c] on the host.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageEnhance

from gan_forensics.data.augment import grayscale, image_by_image
from gan_forensics.data.images import center_crop, pillow_resize
from gan_forensics.data.pipeline import Transform
from gan_forensics.data.sources import Source, describe

# How much larger than the crop images are read: 256 for 224.
MARGIN = 8 / 7
_ATTEMPTS = 10


@dataclass(frozen=True)
class RandomCrops:
    """What happens to every training image, in this order.

    Attributes:
        side: of the result, a square.
        area: lowest and highest share of the image that is cut out, drawn uniformly.
        ratio: lowest and highest width over height, whose logarithm is drawn uniformly.
        turn: greatest angle in degrees; what turns in from outside is black.
        gray: probability of losing the colour.
        jitter: by how much brightness, then contrast, are multiplied at most: 1 +- jitter.
    """

    side: int
    area: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    turn: float = 0.0
    gray: float = 0.0
    jitter: float = 0.0

    def __call__(
        self, image: UInt8[np.ndarray, "h w c"], rng: np.random.Generator
    ) -> UInt8[np.ndarray, "s s c"]:
        """Augment one image."""
        top, left, height, width = drawn_box(image.shape[:2], rng, area=self.area, ratio=self.ratio)
        image = pillow_resize(image[top : top + height, left : left + width], self.side, self.side)
        if rng.random() < 0.5:
            image = image[:, ::-1]
        if self.turn or self.jitter:
            picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
            angle = rng.uniform(-self.turn, self.turn)
            picture = picture.rotate(angle, resample=Image.Resampling.BILINEAR)
            for change in (ImageEnhance.Brightness, ImageEnhance.Contrast):
                picture = change(picture).enhance(rng.uniform(1 - self.jitter, 1 + self.jitter))
            image = np.asarray(picture).reshape(image.shape)
        if rng.random() < self.gray and image.shape[-1] == 3:
            image = grayscale(image)
        return np.ascontiguousarray(image)

    @property
    def transform(self) -> Transform:
        """Augments batches of float images in [-1, 1]: the `transform` of `Batches`."""
        return image_by_image(self)


def drawn_box(
    size: tuple[int, ...],
    rng: np.random.Generator,
    *,
    area: tuple[float, float],
    ratio: tuple[float, float],
) -> tuple[int, int, int, int]:
    """Top, left, height and width of a random crop of an image of this height and width.

    Ten draws may fail to fit into the image; then it is the largest central crop of a ratio that
    is allowed.
    """
    height, width = size
    for _ in range(_ATTEMPTS):
        wanted = height * width * rng.uniform(*area)
        shape = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(wanted * shape)), round(math.sqrt(wanted / shape))
        if 0 < w <= width and 0 < h <= height:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    shape = min(max(width / height, ratio[0]), ratio[1])
    h, w = min(height, round(width / shape)), min(width, round(height * shape))
    return (height - h) // 2, (width - w) // 2, h, w


class CentreCrops:
    """A source whose images are cut down to their central squares."""

    def __init__(self, source: Source, side: int):
        self.source, self.side = source, side

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        example = self.source[index]
        return {**example, "image": center_crop(example["image"], self.side)}

    def describe(self, index: int) -> str:
        """Name the example as the source does."""
        return describe(self.source, index)
