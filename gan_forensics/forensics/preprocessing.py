"""What a detector does to every image before it looks: part of the detector, and of its file."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from gan_forensics.data import Source, center_crop, jpeg, square
from gan_forensics.data.sources import describe
from gan_forensics.files import shown

# Images of any size are brought to a file's size: a few pixels must not become gigabytes.
LARGEST_SIZE = 2048
Pixels = UInt8[np.ndarray, "h w c"]


@dataclass(frozen=True)
class Preprocessing:
    """Steps in this order, for images of any size; without any, images are taken as they are.

    Attributes:
        crop: side of the central square that is cut out, without resizing.
        size: side that the central square is resized to.
        recode: quality of a JPEG that the image is compressed to and decompressed from (`recoded`).

    Raises:
        ValueError: for a side below 1, a size above `LARGEST_SIZE`, a quality out of 1 to 100, or a
            crop beside a size.

    Example:
        >>> Preprocessing(crop=4)(np.zeros((8, 6, 3), np.uint8)).shape
        (4, 4, 3)
    """

    crop: int | None = None
    size: int | None = None
    recode: int | None = None

    def __post_init__(self):
        for name, value in asdict(self).items():
            if value is not None and (type(value) is not int or value < 1):
                given = shown(repr(value))
                raise ValueError(f"{name} must be a whole number of at least 1, got {given}")
        if self.size is not None and self.size > LARGEST_SIZE:
            raise ValueError(f"size is at most {LARGEST_SIZE} pixels a side, got {self.size}")
        if self.recode is not None and self.recode > 100:
            raise ValueError(f"the quality of JPEG is 1 to 100, got {self.recode}")
        if self.crop is not None and self.size is not None:
            raise ValueError("crop cuts squares of one size, size resizes: give one of the two")

    def __call__(self, image: Pixels) -> UInt8[np.ndarray, "h2 w2 c"]:
        """Apply it.

        Raises:
            ValueError: for an image that is smaller than the crop.
        """
        if self.crop is not None:
            self.shape(image.shape)
            image = center_crop(image, self.crop)
        elif self.size is not None:
            image = square(image, size=self.size)
        return image if self.recode is None else recoded(image, self.recode)

    def shape(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """What becomes of a shape [h, w, c]; refused (ValueError) where it is below the crop."""
        height, width, channels = shape
        if self.crop is not None and self.crop > min(height, width):
            raise ValueError(
                f"images of {height}x{width} are smaller than the square of {self.crop} that the "
                "detector cuts out of every image: give larger ones"
            )
        side = self.crop or self.size
        return (side, side, channels) if side else (height, width, channels)

    @property
    def words(self) -> str:
        """The steps, as a sentence lists them; empty where there is none."""
        steps = {
            f"cut to the central {self.crop}x{self.crop}": self.crop,
            f"centre-cropped and resized to {self.size}x{self.size}": self.size,
            f"compressed as JPEG {self.recode}": self.recode,
        }
        return ", ".join(step for step, given in steps.items() if given is not None)


# What brings images of several sizes to one: at the fit of a command, and in Python.
TO_ONE_SIZE = (
    "--match-sizes cuts squares of one size, --size N resizes; in Python "
    "preprocessing=Preprocessing(crop=N) or (size=N)"
)
NATIVE = Preprocessing()  # images as they are


def recoded(image: Pixels, quality: int) -> Pixels:
    """Compress as JPEG and decompress, with blocks half a block off those of an earlier JPEG.

    On the same blocks the steps of two compressions leave a pattern that images compressed once do
    not have, so that a detector still tells JPEG from PNG files.
    """
    padded = np.pad(image, ((4, 4), (4, 4), (0, 0)), mode="symmetric")
    return jpeg(padded, quality)[4:-4, 4:-4]


def read_preprocessing(header: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing of a detector file's header; files of before have none.

    Raises:
        ValueError: for steps that cannot be.
    """
    steps = header.get("preprocessing", {})
    if not isinstance(steps, dict) or not steps.keys() <= {"crop", "size", "recode"}:
        raise ValueError("its header has no valid 'preprocessing'")
    return Preprocessing(**steps)


def cut_middle(
    image: UInt8[np.ndarray, "h w c"], height: int, width: int
) -> UInt8[np.ndarray, "h2 w2 c"]:
    """The middle of an image, of at most so many pixels a side."""
    top, left = max(0, (image.shape[0] - height) // 2), max(0, (image.shape[1] - width) // 2)
    return image[top : top + height, left : left + width]


class Prepared:
    """A source whose images went through a preprocessing."""

    def __init__(self, source: Source, preprocessing: Preprocessing):
        self.source, self.preprocessing = source, preprocessing

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        example = self.source[index]
        try:
            return {**example, "image": self.preprocessing(example["image"])}
        except ValueError as error:
            raise ValueError(f"{self.describe(index)}: {error}") from None

    def describe(self, index: int) -> str:
        """Name the example as the source does."""
        return describe(self.source, index)
