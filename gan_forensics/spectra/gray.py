"""From images to the gray maps whose spectra are measured.

Every spectral feature here sees gray images. Floats are weighted as they are; 8-bit colour is
rounded to 8-bit gray first, because the published features were computed from 8-bit gray files.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num, UInt8

# Durall et al. (CVPR 2020), for float images.
LUMA = (0.2989, 0.5870, 0.1140)
# MATLAB's rgb2gray, as used for 8-bit images by Dzanic et al. (NeurIPS 2020).
LUMA_8BIT = (0.298936021293775, 0.587043074451121, 0.114020904255103)


def gray_levels(
    images: UInt8[Array | np.ndarray, "*batch h w 3"],
) -> UInt8[Array | np.ndarray, "*batch h w"]:
    """8-bit gray of 8-bit colour, rounded half up as MATLAB's rgb2gray does.

    OpenCV's weights differ by less than 1e-4, which moves a level by one in rare cases.

    Args:
        images: uint8 colour images, red first. NumPy in, NumPy (float64 inside) out; JAX likewise
            with float32 inside.

    Example:
        >>> import numpy as np
        >>> gray_levels(np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)).tolist()
        [[76, 150, 29]]
    """
    if images.dtype != np.uint8 or images.shape[-1] != 3:
        check_8bit(images, "gray levels")
        raise ValueError(f"gray levels are of three channels, got {list(images.shape)}")
    xp = images.__array_namespace__()
    real = xp.float64 if xp is np else xp.float32
    return xp.floor(_weigh(images.astype(real), LUMA_8BIT) + 0.5).astype(xp.uint8)


def gray_channel(
    images: UInt8[Array | np.ndarray, "*batch h w c"],
) -> UInt8[Array | np.ndarray, "*batch h w 1"]:
    """`gray_levels` of colour images as one channel; gray images as they are."""
    return images if images.shape[-1] == 1 else gray_levels(images)[..., None]


def to_gray(images: Num[Array | np.ndarray, "b h w *c"]) -> Float[Array | np.ndarray, "b h w"]:
    """Gray maps of a batch of images.

    Args:
        images: [b, h, w] gray or [b, h, w, c] with c = 1 or 3; floats in any range, or uint8.
            NumPy arrays are computed in float64, JAX arrays in float32.

    Raises:
        ValueError: for another shape or an integer type other than uint8.

    Example:
        >>> import numpy as np
        >>> to_gray(np.array([[[[1.0, -1.0, -1.0]]]])).round(4).tolist()  # .2989 - .5870 - .1140
        [[[-0.4021]]]
    """
    check_images(images)
    xp = images.__array_namespace__()
    real = xp.float64 if xp is np else xp.float32
    if images.ndim == 3:
        return images.astype(real)
    if images.shape[-1] == 1:
        return images[..., 0].astype(real)
    if images.dtype == np.uint8:
        return gray_levels(images).astype(real)
    return _weigh(images.astype(real), LUMA)


def check_images(images: Num[Array | np.ndarray, "..."]) -> None:
    """Refuse what is no batch of gray or colour images of uint8 or floats, naming the mistake.

    Raises:
        ValueError: saying what was given, and how to mend it.
    """
    shape = images.shape
    if not (len(shape) == 3 and shape[-1] > 3):  # gray maps
        if not (len(shape) == 4 and shape[-1] in (1, 3)):
            _pixels().check_axes(shape)
    if images.dtype != np.uint8 and not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(
            f"pixels must be uint8 in [0, 255] or floats in [-1, 1], got {images.dtype} "
            f"{list(shape)}: gan_forensics.data.as_images(images, range=(0, 255)) makes uint8 of "
            "what has that range"
        )


def check_8bit(images: Num[Array | np.ndarray, "..."], feature: str) -> None:
    """Refuse floats for a feature that is defined on 8-bit images (ValueError)."""
    check_images(images)
    if images.dtype != np.uint8:
        raise ValueError(
            f"{feature} are defined on 8-bit images, got {images.dtype}; "
            "gan_forensics.data.as_images(images, range=(0, 1)) makes them of what has that range"
        )


def in_levels(images: Any, feature: str) -> UInt8[np.ndarray, "b h w *c"]:
    """8-bit images as NumPy's, from whatever `gan_forensics.data.as_images` takes.

    Raises:
        ValueError: naming the mistake, and the feature that is defined on 8-bit images.
    """
    images = as_array(images)
    check_8bit(images, feature)
    return np.asarray(images)


def as_array(images: Any) -> Any:
    """Arrays of NumPy and JAX as they are, which may be traced; all else by `as_images`."""
    if isinstance(images, (np.ndarray, jax.Array)):
        return images
    from gan_forensics.data import as_images

    return as_images(images)


def check_range(images: Any) -> None:
    """Refuse float colour images of NumPy that are not in [-1, 1] (ValueError).

    Gray maps [b, h, w] may have any range, and those of JAX are not looked at.
    """
    if isinstance(images, np.ndarray) and images.ndim == 4 and images.dtype != np.uint8:
        if wrong := _pixels().range_mistake(images):
            raise ValueError(f"{wrong}, as in gan_forensics.data.as_images(images, range=(0, 1))")


def _pixels() -> Any:
    """What names mistakes; loaded where there is one, as it comes with all that reads images."""
    from gan_forensics.data import images

    return images


def _weigh(images, weights):
    red, green, blue = (images[..., i] * weight for i, weight in enumerate(weights))
    return red + green + blue
