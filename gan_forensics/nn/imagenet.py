"""How the bodies that were trained on ImageNet read pixels: (x - mean) / std, x in [0, 1]."""

import jax.numpy as jnp
from jaxtyping import Array, Float

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def normalise(images: Float[Array, "b h w c"]) -> Float[Array, "b h w 3"]:
    """ImageNet's normalisation of pixels in [0, 1]; gray is repeated."""
    mean, std = _constants(images)
    return (images - mean) / std


def levels(images: Float[Array, "b h w 3"]) -> Float[Array, "b h w 3"]:
    """The 8-bit levels 0 to 255 of normalised images, exactly; flat, so without a gradient."""
    mean, std = _constants(images)
    return jnp.round(255 * (images * std + mean))


def _constants(images: Array) -> tuple[Array, ...]:
    return tuple(jnp.asarray(v, images.dtype).reshape(1, 1, 1, 3) for v in (MEAN, STD))
