"""How generated images in [-1, 1] become the uint8 that features are computed from.

The choice moves every score, so it is a part of the protocol: "fixed" maps [-1, 1] to [0, 255] as
everywhere in this project; "stretch" maps [min, max] of the whole set, as the evaluation code of
mimicry (Lee and Town 2020) does, so that an image depends on the company it keeps.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float, UInt8

from gan_forensics.data.images import check_axes, to_uint8

# Of the published code; keeps a set of equal pixels finite.
STRETCH_EPSILON = 1e-5


def quantise(
    images: Float[np.ndarray, "n h w c"], *, protocol: Literal["fixed", "stretch"] = "fixed"
) -> UInt8[np.ndarray, "n h w c"]:
    """Bring float images to uint8.

    Raises:
        ValueError: for an unknown protocol, integer images, images that hold NaN, axes in another
            order, and, of "fixed", floats in another range than [-1, 1].

    Example:
        >>> quantise(np.array([-1.0, 0.0, 1.0]).reshape(1, 1, 3, 1)).ravel()
        array([  0, 128, 255], dtype=uint8)
    """
    images = np.asarray(images)
    check_axes(images.shape)
    if protocol == "fixed":
        return to_uint8(images)
    if protocol != "stretch":
        raise ValueError(f"unknown quantisation {protocol!r}: choose 'fixed' or 'stretch'")
    if not np.issubdtype(images.dtype, np.floating) or not np.isfinite(images).all():
        raise ValueError(f"expected finite float images, got {images.dtype}: quantised already?")
    x = images.astype(np.float32)
    low, high = x.min(), x.max()
    # In float32 and in this order, so that rounding falls as it does there.
    x = (x - low) / np.float32(float(high) - float(low) + STRETCH_EPSILON)
    return np.clip(x * np.float32(255) + np.float32(0.5), 0, 255).astype(np.uint8)
