"""From images to the gray maps whose spectra are measured.

Every spectral feature here sees gray images. Floats are weighted as they are; 8-bit colour is
rounded to 8-bit gray first, because the published features were computed from 8-bit gray files.
"""

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
    """
    xp = images.__array_namespace__()
    real = xp.float64 if xp is np else xp.float32
    return xp.floor(_weigh(images.astype(real), LUMA_8BIT) + 0.5).astype(xp.uint8)


def to_gray(images: Num[Array | np.ndarray, "b h w *c"]) -> Float[Array | np.ndarray, "b h w"]:
    """Gray maps of a batch of images.

    Args:
        images: [b, h, w] gray or [b, h, w, c] with c = 1 or 3; floats in any range, or uint8.
            NumPy arrays are computed in float64, JAX arrays in float32.

    Raises:
        ValueError: for another shape or an integer type other than uint8.
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
    """Refuse what is no batch of gray or colour images of uint8 or floats (ValueError)."""
    shape = images.shape
    if images.dtype != np.uint8 and not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(f"images are {images.dtype}; give uint8 in [0, 255] or floats in [-1, 1]")
    if len(shape) == 3 and shape[-1] < 4:
        raise ValueError(
            f"images of shape {shape} look like one image without a batch axis; use images[None]"
        )
    if not (len(shape) == 3 or (len(shape) == 4 and shape[-1] in (1, 3))):
        raise ValueError(
            f"images have shape {shape}; give [b, h, w] (gray) or [b, h, w, c] with c = 1 or 3"
        )


def check_8bit(images: Num[Array | np.ndarray, "..."], feature: str) -> None:
    """Refuse floats for a feature that is defined on 8-bit images (ValueError)."""
    if images.dtype != np.uint8:
        raise ValueError(
            f"{feature} are defined on 8-bit images, got {images.dtype}; quantise first, e.g. with "
            "gan_forensics.data.to_uint8"
        )
    check_images(images)


def _weigh(images, weights):
    red, green, blue = (images[..., i] * weight for i, weight in enumerate(weights))
    return red + green + blue
