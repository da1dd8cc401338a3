"""The door by which images enter: arrays of any library, pictures of Pillow, files, folders.

What is given may be

- an array [n, h, w, c] of NumPy, JAX, PyTorch or another library, channels last, c = 1 or 3;
- a picture of Pillow, or the path of an image file: one image;
- the path of a folder, or the name of a source, such as "samples:photos" (see `open_source`);
- a list of such pictures, paths, and arrays [h, w, c];
- a sequence of another kind, which makes its images when they are asked for;
- a source: `len` and indexing to dicts with an "image".

uint8 is taken as it is. Other numbers are refused until their range is stated, for nothing in them
tells [0, 1] from [-1, 1] or from a dark image.
"""

import os
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from gan_forensics.data import account
from gan_forensics.data.decoding import is_gray_picture, picture_pixels
from gan_forensics.data.images import check_axes, square, to_uint8
from gan_forensics.data.names import has_points, open_source
from gan_forensics.data.sources import ArraySource, FileSource, Source
from gan_forensics.files import refuse_remote, say, shown

Range = tuple[float, float]
# How far beyond its range a pixel may lie by rounding, as a share of the range.
_ROUNDING = 1e-5
_BYTES = bytes | bytearray | memoryview
_RANGES = "as_images(x, range=(0, 1)), (-1, 1) or (0, 255)"


def as_images(
    images: Any, *, range: Range | None = None, size: int | None = None
) -> UInt8[np.ndarray, "n h w c"]:
    """Images of any kind as uint8 [n, h, w, c] in [0, 255], channels last, c = 1 or 3.

    Args:
        images: an array [n, h, w, c] of any library, a picture of Pillow, a path of an image or of
            a folder, the name of a source, a list of arrays [h, w, c], pictures and paths, or a
            source. What a folder leaves out is said.
        range: (least, largest) that pixels of arrays may have, mapped onto 0 and 255 and rounded;
            needed for all that is not uint8.
        size: images are cut to their central square and resized to this side, with antialiasing;
            by default they keep their own size, which must be one.

    Raises:
        ValueError: in one line, for axes in another order or number, pixels of a type that needs a
            range, or out of theirs, and images of several sizes.
        ImageError: for a file or picture that cannot be used.
        FileNotFoundError: for a path that is not there.

    Example:
        >>> import numpy as np
        >>> from PIL import Image
        >>> as_images(np.full((2, 8, 8, 3), 0.5), range=(0, 1))[0, 0, 0]
        array([128, 128, 128], dtype=uint8)
        >>> as_images([Image.new("L", (9, 8))]).shape
        (1, 8, 9, 1)
    """
    source = as_source(images, range=range, size=size)
    if isinstance(source, ArraySource) and set(source.arrays) >= {"image"}:
        return source.arrays["image"]
    # One after the other: `take` would hold all of them twice.
    pixels = _Filled(len(source))
    for row in np.arange(len(source)).tolist():
        pixels.add(row, source[row], source)
    return pixels.array


def as_source(images: Any, *, range: Range | None = None, size: int | None = None) -> Source:
    """Images of any kind as a source, whose files are read when they are asked for.

    Args:
        images: as `as_images`, which may be of several sizes here.
        range: as there.
        size: as there.

    Raises:
        ValueError: as there, as far as it is known before files are read.
        FileNotFoundError: for a path that is not there.

    Example:
        >>> import numpy as np
        >>> two = as_source([np.zeros((8, 8, 3), np.uint8), np.zeros((6, 9, 3), np.uint8)], size=4)
        >>> len(two), two[1]["image"].shape
        (2, (4, 4, 3))
    """
    if range is not None:
        _check_range(range)
    if size is not None and (isinstance(size, bool) or not isinstance(size, Integral) or size < 1):
        raise ValueError(f"size is the side of a square in pixels, such as 64, got {size!r}")
    if isinstance(images, str | os.PathLike):
        return _of_path(images, range, size)
    if isinstance(images, Image.Image):
        return _Listed([images], range, size)
    if _is_array(images):
        return ArraySource(image=_sized(_pixels(images, range, "n, h, w"), size))
    if isinstance(images, Sequence) and not isinstance(images, _BYTES | list | tuple):
        return _OnDemand(images, range, size)
    if isinstance(images, list | tuple):
        if not images:
            raise ValueError("no images: the list is empty")
        if all(isinstance(each, str | os.PathLike) for each in images):
            return FileSource([_image_file(each) for each in images], size=size)
        return _Listed(images, range, size)
    indexed = hasattr(images, "__len__") and hasattr(images, "__getitem__")
    if indexed and not isinstance(images, _BYTES | Mapping):
        return images if size is None else resized(images, size)
    raise ValueError(
        f"images must be an array [n, h, w, c], a picture of Pillow, a path, a list of these or a "
        f"source, got {type(images).__name__}{_mend(images)}"
    )


def _mend(images: Any) -> str:
    """What makes images of what holds them in another way."""
    if hasattr(images, "read"):
        return ": give its path, or what Image.open of Pillow makes of it"
    if isinstance(images, _BYTES):
        return ": Image.open of Pillow reads them from an io.BytesIO"
    return ": make a list of it" if hasattr(images, "__next__") else ""


def resized(source: Source, size: int) -> Source:
    """A source whose images are cut to their central square and resized, with antialiasing."""
    if isinstance(source, ArraySource) and "image" in source.arrays:
        return ArraySource(**{**source.arrays, "image": _sized(source.arrays["image"], size)})
    return source.resized(size) if isinstance(source, FileSource) else _Resized(source, size)


class _Listed:
    """A list of arrays, pictures and paths; gray ones get three channels where one is in colour."""

    def __init__(
        self, images: Sequence[Any], range: Range | None, size: int | None, first: int = 0
    ):
        self._size, self.listed, self._first = size, len(images), first
        self._images = [_opened(each, range, row) for row, each in enumerate(images, first)]
        self._channels: Any = max(_channels(each) for each in self._images)

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        image = self._images[index]
        if isinstance(image, Path):
            image = FileSource([image])[0]["image"]
        elif isinstance(image, Image.Image):
            image = picture_pixels(image, name=self.describe(index), channels=self._channels)
        image = square(image, size=self._size)
        return {"image": np.repeat(image, self._channels // image.shape[-1], -1)}

    def describe(self, index: int) -> str:
        """Name the image: its path, or its place in the list."""
        image = self._images[index]
        name = image if isinstance(image, Path) else getattr(image, "filename", "")
        return shown(name) if name else f"image {self._first + index}"


class _OnDemand:
    """A sequence that makes its images when they are asked for."""

    def __init__(self, images: Sequence[Any], range: Range | None, size: int | None):
        self._images, self._range, self._size = images, range, size

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        image = self._images[index]
        if isinstance(image, Mapping):  # a source that is a sequence
            return {**image, "image": square(image["image"], size=self._size)}
        return _Listed([image], self._range, self._size, first=index)[0]


class _Resized:
    """A source whose images are brought to one size."""

    def __init__(self, source: Source, size: int):
        self.source, self._size = source, size

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        example = self.source[index]
        return {**example, "image": square(example["image"], size=self._size)}


class _Filled:
    """An array that is filled image by image, of the size of the first."""

    def __init__(self, count: int):
        self._count, self.array = count, np.empty((0, 0, 0, 0), np.uint8)

    def add(self, row: int, example: Mapping[str, np.ndarray], source: Source) -> None:
        """Put one image to its place."""
        if "image" not in example:
            raise ValueError(f"the source has {', '.join(example)}, and images are needed")
        image = example["image"]
        if not row:
            self.array = np.empty((self._count, *image.shape), np.uint8)
        if image.shape != self.array.shape[1:]:
            names = [getattr(source, "describe", "image {}".format)(each) for each in (0, row)]
            sizes = ["x".join(map(str, each)) for each in (self.array.shape[1:], image.shape)]
            raise ValueError(
                f"images of several sizes: {names[0]} is {sizes[0]} (height x width x channels), "
                f"{names[1]} is {sizes[1]}; size=N brings all to one"
            )
        self.array[row] = image


def _of_path(path: str | os.PathLike, range: Range | None, size: int | None) -> Source:
    """The source of a name, a folder or a single file."""
    name = os.fspath(path)
    refuse_remote(name)
    if range is not None:
        raise ValueError(f"range is for arrays, and {shown(name)} names files: leave it out")
    if isinstance(path, str) and not Path(name).exists() and ":" in name:
        if has_points(name):
            raise ValueError(f"{shown(name)} has points, and images are needed")
        source = open_source(name, size=size)
    elif Path(name).expanduser().is_dir():
        source = open_source(f"folder:{name}", size=size)
    else:
        return FileSource([_file(path)], size=size)
    if line := account.left_out(source):
        say(f"{shown(name)}: {line}")
    return source


def _file(path: str | os.PathLike) -> Path:
    refuse_remote(path)
    file = Path(path).expanduser()
    if not file.exists():
        raise FileNotFoundError(
            f"{shown(path)}: no such file or folder; check the path, or name a source such as "
            "samples:photos"
        )
    return file


def _image_file(path: str | os.PathLike) -> Path:
    """One of a list of paths."""
    if (file := _file(path)).is_dir():
        raise ValueError(
            f"{shown(path)} is a folder, and a list has one image in each place: give the folder "
            "alone, or the paths in it"
        )
    return file


def _opened(image: Any, range: Range | None, row: int) -> Any:
    """One of a list: a path, a picture, or pixels."""
    if isinstance(image, str | os.PathLike):
        return _image_file(image)
    if isinstance(image, Image.Image):
        return image
    if _is_array(image):
        return _pixels(image, range, "h, w", name=f"image {row}: ")
    raise ValueError(
        f"image {row} of the list is a {type(image).__name__}: give arrays [h, w, c], pictures of "
        "Pillow, or paths"
    )


def _channels(image: Any) -> int:
    if isinstance(image, Path):
        return FileSource([image]).channels
    if isinstance(image, Image.Image):
        return 1 if is_gray_picture(image) else 3
    return image.shape[-1]


def _pixels(array: Any, range: Range | None, axes: str, *, name: str = "") -> np.ndarray:
    """The uint8 pixels of an array of any library."""
    array = as_numpy(array)
    check_axes(array.shape, axes, name)
    if not array.size:
        if 0 in array.shape[-3:]:
            raise ValueError(f"{name}images {list(array.shape)} hold no pixel")
        return np.zeros(array.shape, np.uint8)  # No images; whoever needs some says so.
    if array.dtype == np.uint8 and range is None:
        return array
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name}pixels must be numbers, got {array.dtype}")
    if lost := np.isnan(array).sum():
        raise ValueError(f"{name}{lost:,} of {array.size:,} pixels are NaN")
    least, largest = float(array.min()), float(array.max())
    if range is None:
        raise ValueError(
            f"{name}pixels are {array.dtype} from {least:.4g} to {largest:.4g}: say which range "
            f"they have, {_RANGES}"
        )
    low, high = range
    slack = _ROUNDING * (high - low)
    if not low - slack <= least <= largest <= high + slack:
        raise ValueError(
            f"{name}pixels from {least:.4g} to {largest:.4g} are not within range=({low:g}, "
            f"{high:g}): clip them, or say which range they have, {_RANGES}"
        )
    if array.dtype == np.uint8 and (low, high) == (0, 255):
        return array
    scaled = (array.astype(np.float64) - low) * (2 / (high - low)) - 1
    return to_uint8(scaled, range=(-1, 1))


def as_numpy(array: Any) -> np.ndarray:
    """An array of NumPy, JAX, PyTorch (of any device, with gradients) or another library."""
    if hasattr(array, "detach"):
        array = array.detach().cpu()
        if "bfloat16" in str(array.dtype):  # which NumPy does not know
            array = array.float()
    array = np.asarray(array)
    # JAX has types of its own, of which NumPy knows neither the kind nor the largest number.
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _check_range(range: Any) -> None:
    if not (
        isinstance(range, tuple | list)
        and len(range) == 2
        and all(isinstance(end, Real) for end in range)
        and range[0] < range[1]
    ):
        raise ValueError(f"range is (least, largest), such as (0, 1) or (-1, 1), got {range!r}")


def _sized(pixels: np.ndarray, size: int | None) -> np.ndarray:
    if size is None or pixels.shape[1:3] == (size, size):
        return pixels
    return np.stack([square(image, size=size) for image in pixels])
