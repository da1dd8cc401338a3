"""Augmentations of detectors of generated images: blur, JPEG, gray, crops, flips, on the host.

Wang et al., "CNN-generated images are surprisingly easy to spot... for now" (CVPR 2020), section
3.2: an image is blurred with probability p, and compressed with probability p, in this order, then
cropped and mirrored. Chandrasegaran et al. (ECCV 2022) add gray images for colour-robust detectors.
All functions map uint8 [h, w, c] in [0, 255] to the same.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gan_forensics.data.images import (
    as_image,
    center_crop,
    pillow_resize,
    to_float,
    to_uint8,
)
from gan_forensics.data.pipeline import Batch, Transform

Rounding = Literal["round", "truncate-like-reference"]
Encoder = Literal["opencv", "pillow"]
Pixels = UInt8[np.ndarray, "h w c"]


def blur(image: Pixels, sigma: float, *, rounding: Rounding = "round") -> Pixels:
    """Blur each channel with a Gaussian of radius floor(4 sigma + 0.5), mirrored at the borders.

    Args:
        image: uint8.
        sigma: standard deviation in pixels; below 0.125 nothing changes.
        rounding: "round" to the nearest level, once. "truncate-like-reference": as the released
            code of Wang et al. does, which filters uint8 in place and so cuts off after either of
            the two passes; its images are about one level darker.

    Raises:
        ValueError: for a negative sigma, another rounding, or pixels that are not uint8.

    Example:
        >>> import numpy as np
        >>> image = np.zeros((5, 5, 1), np.uint8)
        >>> image[2, 2] = 255
        >>> blur(image, 0.5)[2, :, 0].tolist()
        [0, 21, 158, 21, 0]
    """
    from scipy.ndimage import gaussian_filter

    image = as_image(image)
    _check_name("rounding", rounding, Rounding)
    if not sigma >= 0:
        raise ValueError(f"sigma must not be negative, got {sigma}")
    sigmas = (sigma, sigma, 0)
    if rounding == "truncate-like-reference":
        return gaussian_filter(image, sigmas, output=np.uint8)
    exact = gaussian_filter(image, sigmas, output=np.float32)
    return np.floor(exact + 0.5).astype(np.uint8)


def jpeg(image: Pixels, quality: int, *, encoder: Encoder = "pillow") -> Pixels:
    """Compress and decompress, with the encoder's own defaults (chroma at half resolution).

    Args:
        image: uint8, c = 1 or 3.
        quality: 1 to 100.
        encoder: "pillow", or "opencv" (extra `opencv`); both use a libjpeg.

    Raises:
        ValueError: for a quality out of range, an unknown encoder, or pixels that are not uint8.
        ImportError: without OpenCV.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
        >>> loss = lambda quality: np.abs(jpeg(noise, quality).astype(float) - noise).mean()
        >>> bool(loss(10) > loss(90))
        True
    """
    image = as_image(image)
    _check_name("encoder", encoder, Encoder)
    if not 1 <= quality <= 100:
        raise ValueError(f"the quality of JPEG is a number from 1 to 100, got {quality}")
    gray = image.shape[-1] == 1
    if encoder == "opencv":
        try:
            import cv2
        except ImportError as error:
            raise ImportError(
                "the JPEG encoder opencv needs OpenCV: pip install 'gan_forensics[opencv]', or "
                "leave it out of the encoders"
            ) from error
        # OpenCV's channels are blue, green, red.
        given = image if gray else np.ascontiguousarray(image[..., ::-1])
        _, data = cv2.imencode(".jpg", given, [int(cv2.IMWRITE_JPEG_QUALITY), int(quality)])
        found = cv2.imdecode(data, 0 if gray else 1)
        assert found is not None
        return found[..., None] if gray else np.ascontiguousarray(found[..., ::-1])
    stream = io.BytesIO()
    Image.fromarray(image[..., 0] if gray else image).save(stream, "JPEG", quality=int(quality))
    # Our own bytes, as above: they need no guard.
    return np.array(Image.open(stream, formats=["JPEG"])).reshape(image.shape)


def grayscale(image: UInt8[np.ndarray, "*b h w 3"]) -> UInt8[np.ndarray, "*b h w 3"]:
    """Gray with three equal channels: (19595 R + 38470 G + 7471 B + 32768) >> 16, Pillow's "L".

    Example:
        >>> import numpy as np
        >>> grayscale(np.array([[[255, 0, 0]]], np.uint8)).tolist()
        [[[76, 76, 76]]]
    """
    image = image if np.ndim(image) > 3 else as_image(image)
    if image.dtype != np.uint8 or image.shape[-1] != 3:
        raise ValueError(f"expected uint8 [h, w, 3], got {image.dtype} {list(image.shape)}")
    weighted = image.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)
    level = ((weighted + 32768) >> 16).astype(np.uint8)
    return np.repeat(level[..., None], 3, -1)


def resize_shorter(image: Pixels, size: int) -> UInt8[np.ndarray, "h2 w2 c"]:
    """Resize so that the shorter side is `size`, bilinear with antialiasing; the other is cut down.

    The longer side becomes floor(size * longer / shorter), as torchvision's `Resize` does.

    Example:
        >>> import numpy as np
        >>> resize_shorter(np.zeros((60, 81, 3), np.uint8), 20).shape
        (20, 27, 3)
    """
    image = as_image(image)
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    height, width = image.shape[:2]
    if min(height, width) == size:
        return image
    if height <= width:
        height, width = size, int(size * width / height)
    else:
        height, width = int(size * height / width), size
    return pillow_resize(image, height, width)


@dataclass(frozen=True)
class Augmentation:
    """What happens to every image that a detector is trained on, in this order.

    Attributes:
        blur: probability of a blur.
        jpeg: probability of a compression.
        crop: side of the square that is cut out; 0 for none.
        flip: probability of mirroring left to right.
        grayscale: probability of losing the colour.
        sigma: lowest and highest standard deviation of the blur, drawn uniformly.
        quality: lowest and highest quality of the compression, both drawn.
        encoders: of the compression, drawn uniformly.
        place: of the crop, drawn or the centre.
        rounding: of the blur.

    Example:
        >>> import numpy as np
        >>> augment = Augmentation(jpeg=0.5, crop=4, encoders=("pillow",))
        >>> augment(np.zeros((8, 8, 3), np.uint8), np.random.default_rng(0)).shape
        (4, 4, 3)
        >>> Augmentation(blur=2)
        Traceback (most recent call last):
        ValueError: blur is a probability from 0 to 1, got 2
    """

    blur: float = 0.0
    jpeg: float = 0.0
    crop: int = 0
    flip: float = 0.0
    grayscale: float = 0.0
    sigma: tuple[float, float] = (0.0, 3.0)
    quality: tuple[int, int] = (30, 100)
    encoders: tuple[Encoder, ...] = ("opencv", "pillow")
    place: Literal["random", "centre"] = "random"
    rounding: Rounding = "truncate-like-reference"

    def __post_init__(self):
        for name in ("blur", "jpeg", "flip", "grayscale"):
            if not 0 <= (chance := getattr(self, name)) <= 1:
                raise ValueError(f"{name} is a probability from 0 to 1, got {chance}")
        if self.jpeg and not self.encoders:
            raise ValueError("JPEG needs at least one encoder")

    def __call__(self, image: Pixels, rng: np.random.Generator) -> UInt8[np.ndarray, "h2 w2 c"]:
        """Augment one image; what is drawn depends on `rng` and the image's size alone."""
        image = as_image(image)
        if rng.random() < self.blur:
            image = blur(image, rng.uniform(*self.sigma), rounding=self.rounding)
        if rng.random() < self.jpeg:
            encoder = self.encoders[rng.integers(len(self.encoders))]
            low, high = self.quality
            image = jpeg(image, int(rng.integers(low, high + 1)), encoder=encoder)
        if self.crop:
            image = (
                center_crop(image, self.crop) if self.place == "centre" else self._cut(image, rng)
            )
        if rng.random() < self.flip:
            image = image[:, ::-1]
        if rng.random() < self.grayscale:
            image = grayscale(image)
        return np.ascontiguousarray(image)

    @property
    def transform(self) -> Transform:
        """Augments batches of float images in [-1, 1]: the `transform` of `Batches`."""
        return image_by_image(self)

    def for_validation(self) -> "Augmentation":
        """The same with the parameters that Wang et al. validate with.

        The probabilities stay; sigma is 1.5, the quality 65 by Pillow, the crop the central one,
        and nothing is mirrored.
        """
        fixed = {"sigma": (1.5, 1.5), "quality": (65, 65), "encoders": ("pillow",)}
        return replace(self, **fixed, place="centre", flip=0.0)

    def _cut(self, image: Pixels, rng: np.random.Generator) -> Pixels:
        if min(image.shape[:2]) < self.crop:
            raise ValueError(
                f"cannot crop {self.crop}x{self.crop} from an image of "
                f"{image.shape[0]}x{image.shape[1]}: crop less, or enlarge the images"
            )
        top, left = (int(rng.integers(side - self.crop + 1)) for side in image.shape[:2])
        return image[top : top + self.crop, left : left + self.crop]


def image_by_image(change: Callable[[Pixels, np.random.Generator], Pixels]) -> Transform:
    """Changes the float images in [-1, 1] of a batch, as uint8.

    Every image has a generator of its own, so that it does not depend on its neighbours.
    """

    def apply(batch: Batch, drawn: Batch) -> Batch:
        images = to_uint8(batch["image"], range=(-1, 1))
        seeds = drawn["seed"]
        made = [change(x, np.random.default_rng(s)) for x, s in zip(images, seeds, strict=True)]
        return {**batch, "image": to_float(np.stack(made))}

    return Transform(apply, lambda rng, rows: {"seed": rng.integers(2**63, size=len(rows))})


def installed_encoders() -> tuple[Encoder, ...]:
    """The JPEG encoders that there are: OpenCV's only where it is installed.

    Example:
        >>> "pillow" in installed_encoders()
        True
    """
    return ("opencv", "pillow") if find_spec("cv2") else ("pillow",)


def _check_name(kind: str, name: str, names: Any) -> None:
    if name not in get_args(names):
        raise ValueError(f"unknown {kind} {name!r}; choose of {', '.join(get_args(names))}")
