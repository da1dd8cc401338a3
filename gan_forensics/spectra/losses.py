"""Spectral regularisation of the generator (Durall et al., CVPR 2020).

The paper and its released code are two methods. The paper adds a differentiable cross-entropy
between the generated curve and the mean real one (its equations 10 and 11). The code computes the
curves outside the graph and multiplies the generator's loss by 1 + lambda l, so no gradient flows
through the spectrum and, with the default lambda of 1e-5, the step changes by less than 1e-5
relative. `spectral_loss` offers both under their names.
"""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.runtime import by_shares
from gan_forensics.spectra.curves import log_spectrum_curve
from gan_forensics.spectra.gray import check_images, check_range

# PyTorch's binary cross-entropy clamps its logs here; min-max curves hold exact zeros and ones.
LOWEST_LOG = -100.0
# Predictions nearer than this to 0 and 1 get no gradient: there the log's is unbounded.
MARGIN = 1e-7


def curve_cross_entropy(
    predicted: Float[Array, "*batch rings"], target: Float[Array, "*batch rings"]
) -> Float[Array, ""]:
    """Mean of -[t ln p + (1-t) ln(1-p)] over batch and bins, logs clamped at -100.

    Args:
        predicted: p in [0, 1].
        target: t in [0, 1], of the same shape.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(curve_cross_entropy(jnp.array([0.5]), jnp.array([1.0]))), 3)  # ln 2
        0.693
    """
    log_p = jnp.maximum(jnp.log(predicted), LOWEST_LOG)
    log_q = jnp.maximum(jnp.log1p(-predicted), LOWEST_LOG)
    return -jnp.mean(target * log_p + (1 - target) * log_q)


def stop_gradient_at_ends(predicted: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """The same values, as constants where they lie within 1e-7 of 0 or 1."""
    inside = (predicted > MARGIN) & (predicted < 1 - MARGIN)
    return jnp.where(inside, predicted, jax.lax.stop_gradient(predicted))


def spectral_loss(
    fake: Float[Array, "b h w c"],
    real: Float[Array, "n h w c"],
    *,
    mode: Literal["released", "differentiable"],
) -> Float[Array, ""]:
    """Distance between the min-max log-spectrum curves of generated and real images.

    Args:
        fake: generated images in [-1, 1].
        real: real images in [-1, 1] of the same size.
        mode: how the value is meant to be used,
            "released": l of the authors' code, cross-entropy with the *real* curve as prediction
            and the generated curve as target, image by image. A constant for differentiation: the
            generator's total is L_G (1 + lambda l), whose gradient is (1 + lambda l) times that of
            L_G. It weights the update and carries no spectral gradient.
            "differentiable": L_spec of the paper, cross-entropy with the *generated* curve as
            prediction and the batch mean of the real curves as target. The gradient flows into
            `fake` only, through the bins at least 1e-7 away from 0 and 1 (as if the curve were
            clipped there; its two ends are constants anyway). The generator's total is
            L_G + lambda L_spec.

    Raises:
        ValueError: for an unknown mode, images of different sizes, or in "released" mode batches
            of different sizes.

    Example:
        >>> import jax.numpy as jnp
        >>> import numpy as np
        >>> x = np.random.default_rng(0).uniform(-1, 1, (2, 1, 8, 8, 1)).astype(np.float32)
        >>> one, other = jnp.asarray(x)
        >>> loss = lambda fake: float(spectral_loss(fake, one, mode="differentiable"))
        >>> loss(one) < loss(other)  # no curve costs less than the real one
        True
    """
    if mode not in ("released", "differentiable"):
        raise ValueError(f"mode is {mode!r}; use 'released' or 'differentiable'")
    for images in (fake, real):
        check_images(images)
        if images.dtype == jnp.uint8:
            raise ValueError(
                f"pixels are uint8 {list(images.shape)}, and this is of floats in [-1, 1]: "
                "gan_forensics.data.to_float(images)"
            )
        check_range(images)
    if fake.shape[1:] != real.shape[1:]:
        raise ValueError(f"fake images {fake.shape} and real images {real.shape} differ in size")
    if mode == "released":
        if len(fake) != len(real):
            raise ValueError(
                f"mode 'released' pairs images one by one, got {len(fake)} fake and {len(real)} "
                "real; give as many of each"
            )
        predicted, target = (_curves(jax.lax.stop_gradient(each)) for each in (real, fake))
        return curve_cross_entropy(predicted, target)
    target = _curves(jax.lax.stop_gradient(real)).mean(0, keepdims=True)
    predicted = stop_gradient_at_ends(_curves(fake))
    return curve_cross_entropy(predicted, jnp.broadcast_to(target, predicted.shape))


def _curves(images):
    def curves(images):
        return jnp.asarray(log_spectrum_curve(images, normalise="min-max", precision="float32"))

    return by_shares(curves, images)
