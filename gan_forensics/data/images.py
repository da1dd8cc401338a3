"""Images in memory: cropping, resizing, quantising, tiling, and PNG files out.

Pixels are uint8 [h, w, c] in [0, 255] at the edges (files, sources, features of detectors) and
float32 in [-1, 1] inside; `to_float` and `to_uint8` are the only bridge between the two. Files come
in through `gan_forensics.data.decoding`.
"""

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from gan_forensics.files import written_beside

# How far floats may lie beyond -1 and 1 by rounding, of bfloat16 too.
ROUNDING = 0.01


def check_pixels(images: np.ndarray, axes: str = "n, h, w") -> None:
    """Refuse what is not uint8 of these axes and 1 or 3 channels, channels last."""
    check_axes(images.shape, axes)
    if images.dtype != np.uint8:
        raise ValueError(
            f"pixels must be uint8 in [0, 255], got {images.dtype} {list(images.shape)}: "
            "gan_forensics.data.as_images(images, range=(0, 1)) makes them of what has that range"
        )


def as_image(image: Any) -> UInt8[np.ndarray, "h w c"]:
    """One image: pixels [h, w, c] of any library, a picture of Pillow, or a path; see `as_images`.

    Raises:
        ValueError: naming the mistake.
    """
    if isinstance(image, np.ndarray):
        check_pixels(image, "h, w")
        return image
    from gan_forensics.data.given_images import as_images

    return as_images([image])[0]


def check_axes(shape: tuple[int, ...], axes: str = "n, h, w", name: str = "") -> None:
    """Refuse images [n, h, w, c], or one [h, w, c], whose axes are missing or in another order.

    Raises:
        ValueError: in one line, with what mends it.
    """
    if mistake := _mistaken(shape, one=axes == "h, w"):
        raise ValueError(f"{name}images must be [{axes}, 1 or 3], got {list(shape)}: {mistake}")


def _mistaken(shape: tuple[int, ...], *, one: bool) -> str:
    """What is wrong with the axes of images, or of one image, and what mends it."""
    wanted, colours = 3 if one else 4, (1, 3)
    if len(shape) == wanted:
        *_, height, width, channels = shape
        if channels in colours:
            return ""
        if shape[-3] in colours:
            order = "(1, 2, 0)" if one else "(0, 2, 3, 1)"
            return f"channels come first (NCHW), and must be last: x.transpose{order}"
        if channels == 4:
            return "4 channels, with transparency: flatten it onto a background, or take x[..., :3]"
        return f"{channels} channels: give gray (1) or RGB (3)"
    if len(shape) == wanted - 1:
        if one or not shape or shape[-1] not in colours:
            return "the axis of channels is missing: x[..., None] for gray images"
        return "the axis of images is missing: x[None] for a single one"
    if len(shape) == 2:
        return "the axes of images and channels are missing: x[None, ..., None] for a gray one"
    return f"{len(shape)} axes"


def range_mistake(floats: Float[np.ndarray, "*shape"]) -> str:
    """What is wrong with floats that should lie in [-1, 1]; "" for nothing.

    Floats of which none is negative are taken for such in [0, 1], unless all are equal.
    """
    if not floats.size:
        return ""
    low, high = float(floats.min()), float(floats.max())
    pixels = f"pixels are {floats.dtype} from {low:.4g} to {high:.4g}"
    if low < -1 - ROUNDING or high > 1 + ROUNDING:
        return f"{pixels} where -1 to 1 is meant, so their range must be stated"
    if 0 <= low < high:
        return f"{pixels}, as in [0, 1], where -1 to 1 is meant: their range must be stated"
    return ""


def center_crop(image: UInt8[np.ndarray, "h w c"], side: int) -> UInt8[np.ndarray, "s s c"]:
    """Cut out the central square; where it cannot be central it lies half a pixel up and left.

    Example:
        >>> import numpy as np
        >>> center_crop(np.zeros((6, 8, 3), np.uint8), 4).shape
        (4, 4, 3)
    """
    image = as_image(image)
    height, width = image.shape[:2]
    if not 1 <= side <= min(height, width):
        raise ValueError(
            f"cannot cut a square of {side} from an image of {height}x{width} (height x width); "
            f"the crop may be 1 to {min(height, width)}"
        )
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


def resize(
    image: UInt8[np.ndarray, "h w c"], size: int, *, antialias: bool = True
) -> UInt8[np.ndarray, "size size c"]:
    """Resize to `size` x `size` pixels, bilinear with half-pixel centres.

    Args:
        image: uint8 [h, w, c], c = 1 or 3.
        size: side of the result.
        antialias: True: Pillow's bilinear, whose triangle grows with the reduction (as PIL,
            torchvision and the released training code of Chandrasegaran et al. resize). False:
            the four nearest pixels whatever the reduction (OpenCV's INTER_LINEAR, and that
            code's FID reference images), rounded half up; this folds high frequencies down.
            The two agree when enlarging, up to one level of rounding.

    Example:
        >>> import numpy as np
        >>> edge = np.array([[[255], [0]], [[255], [0]]], np.uint8)
        >>> resize(edge, 1).tolist(), resize(edge, 4)[0, :, 0].tolist()
        ([[[128]]], [255, 191, 64, 0])
    """
    image = as_image(image)
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    if image.shape[:2] == (size, size):
        return image
    return (pillow_resize if antialias else bilinear_resize)(image, size, size)


def bilinear_resize(
    image: UInt8[np.ndarray, "h w c"], height: int, width: int
) -> UInt8[np.ndarray, "{height} {width} c"]:
    """`resize` without antialiasing, to any shape."""
    top, bottom, down = _neighbours(image.shape[0], height)
    left, right, across = _neighbours(image.shape[1], width)
    down, across = down[:, None, None], across[:, None]
    rows = image[top] * (1 - down) + image[bottom] * down
    result = rows[:, left] * (1 - across) + rows[:, right] * across
    return np.floor(result + 0.5).astype(np.uint8)


def pillow_resize(
    image: UInt8[np.ndarray, "h w c"],
    height: int,
    width: int,
    *,
    kernel: Image.Resampling = Image.Resampling.BILINEAR,
) -> UInt8[np.ndarray, "{height} {width} c"]:
    """Pillow's resize, which antialiases: bilinear, or by another of its kernels."""
    # Pillow has no [h, w, 1].
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture = picture.resize((width, height), kernel)
    return np.array(picture).reshape(height, width, image.shape[-1])


def _neighbours(length: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Indices of the two source pixels beside each target pixel, and the weight of the second."""
    centre = np.clip((np.arange(size) + 0.5) * (length / size) - 0.5, 0, length - 1)
    first = np.floor(centre).astype(int)
    return first, np.minimum(first + 1, length - 1), centre - first


def square(
    image: UInt8[np.ndarray, "h w c"], *, size: int | None = None, crop: int | None = None
) -> UInt8[np.ndarray, "size size c"]:
    """Centre-crop to a square of `crop` pixels (default: the shorter side), then resize to `size`.

    The resize is antialiased. With neither argument the image is returned as it is.

    Example:
        >>> import numpy as np
        >>> square(np.zeros((6, 8, 3), np.uint8), size=4).shape
        (4, 4, 3)
    """
    image = as_image(image)
    if size is None and crop is None:
        return image
    image = center_crop(image, min(image.shape[:2]) if crop is None else crop)
    return image if size is None else resize(image, size)


def to_float(image: UInt8[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Map uint8 [0, 255] to float32 [-1, 1]: x = u / 127.5 - 1.

    Example:
        >>> import numpy as np
        >>> to_float(np.array([0, 255], np.uint8)).tolist()
        [-1.0, 1.0]
    """
    image = np.asarray(image)
    if image.dtype != np.uint8:
        raise ValueError(
            f"expected uint8 pixels in [0, 255], got {image.dtype}: gan_forensics.data.as_images"
            "(x, range=(0, 1)) makes them of what has that range"
        )
    return image / np.float32(127.5) - np.float32(1)


def to_uint8(
    image: Float[np.ndarray, "*shape"],
    *,
    range: tuple[float, float] | None = None,
    rounding: Literal["nearest", "floor"] = "nearest",
) -> UInt8[np.ndarray, "*shape"]:
    """Quantise floats to uint8 [0, 255].

    Args:
        image: any float array.
        range: the floats that become 0 and 255; values outside are clipped. By default -1 and 1,
            where the array shows that it is meant: values beyond are refused, and so are those of
            which none is negative, such as floats in [0, 1].
        rounding: "nearest": floor(255 (0.5 x + 0.5) + 0.5), halves up; undoes `to_float`
            exactly. "floor": floor(255 (0.5 x + 0.5)), as the released generators of
            Chandrasegaran et al. (CVPR 2021) save their images: half a level darker on average,
            and one level darker than the original for pixels that `to_float` rounded down.

    Raises:
        ValueError: an integer array, a NaN, an unknown rounding, a range that ends before it
            starts, or none where the array needs one.

    Example:
        >>> import numpy as np
        >>> to_uint8(np.array([-1.0, 0.0, 1.0])), to_uint8(np.array([0.0, 1.0]), range=(0, 1))
        (array([  0, 128, 255], dtype=uint8), array([  0, 255], dtype=uint8))
    """
    if rounding not in ("nearest", "floor"):
        raise ValueError(f"unknown rounding {rounding!r}; choose 'nearest' or 'floor'")
    image = np.asarray(image)
    if image.dtype.name == "bfloat16":  # which NumPy does not know for a float
        image = image.astype(np.float32)
    if not np.issubdtype(image.dtype, np.floating):
        raise ValueError(f"expected float pixels in [-1, 1], got {image.dtype}: quantised already?")
    wrong = range_mistake(image) if range is None else ""
    image = image.astype(np.float32)
    if bad := np.isnan(image).sum():
        raise ValueError(f"{bad} pixels are NaN; the generator has diverged")
    if wrong:
        raise ValueError(f"{wrong}: to_uint8(x, range=(0, 1)), (-1, 1) or (0, 255)")
    low, high = range or (-1, 1)
    if not low < high:
        raise ValueError(f"a range is (lowest, highest), got {range}")
    # Of [-1, 1], in this order, so that rounding falls as it does in published code.
    level = 255 * (0.5 * image + 0.5 if (low, high) == (-1, 1) else (image - low) / (high - low))
    if rounding == "nearest":
        level += 0.5
    return np.floor(np.clip(level, 0, 255)).astype(np.uint8)


def save_png(path: Path | str, image: UInt8[np.ndarray, "h w c"]) -> None:
    """Write a uint8 image [h, w], [h, w, 1] or [h, w, 3] as PNG; see `written_beside`.

    Example:
        >>> import numpy as np  # doctest: +SKIP
        >>> from gan_forensics.data import load_image  # doctest: +SKIP
        >>> save_png("black.png", np.zeros((8, 8, 3), np.uint8))  # doctest: +SKIP
        >>> load_image("black.png").shape  # doctest: +SKIP
        (8, 8, 3)
    """
    gray = isinstance(image, np.ndarray) and image.ndim == 2
    image = as_image(image[..., None] if gray else image)
    picture = Image.fromarray(image[..., 0] if image.shape[2:] == (1,) else image)
    with written_beside(path) as partial:
        picture.save(partial, format="PNG")


def image_grid(
    images: UInt8[np.ndarray, "n h w c"], columns: int | None = None, *, gap: int = 2
) -> UInt8[np.ndarray, "H W 3"]:
    """Tile images into one picture with white gaps; gray images are repeated to three channels.

    Args:
        images: of one size, as `as_images` takes them.
        columns: images per row; by default as near to a square as possible.
        gap: pixels between and around the images.

    Example:
        >>> import numpy as np
        >>> image_grid(np.zeros((6, 8, 8, 3), np.uint8), 3, gap=2).shape  # 2 rows, 3 columns
        (22, 32, 3)
    """
    from skimage.util import montage

    from gan_forensics.data.given_images import as_images

    images = as_images(images)
    n, h, w, _ = images.shape
    columns = math.ceil(math.sqrt(n)) if columns is None else min(columns, n)
    if n == 0 or columns < 1:
        raise ValueError(f"cannot tile {n} images in {columns} columns: both must be at least 1")
    return montage(
        np.broadcast_to(images, (n, h, w, 3)),
        fill=[255, 255, 255],
        grid_shape=(math.ceil(n / columns), columns),
        padding_width=gap,
        channel_axis=-1,
    )
