"""Losses of the reverse-engineering network (Asnani et al., 2021, its branch for attribution).

They shape a residual to be a fingerprint: small, without low frequencies, with one strong peak in
the rest of its spectrum, and with a spectrum that equals its own transpose.
"""

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, UInt8

from gan_forensics.nn.fingerprint_networks import centred_magnitude, to_gray

# Of their training images, all channels.
MEAN, DEVIATION = 0.649, 0.1269


def normalise(images: UInt8[Array | np.ndarray, "b h w 3"]) -> Float[Array, "b h w 3"]:
    """(x / 255 - .649) / .1269 of images in [0, 255]: what the network reads; float32."""
    return (jnp.asarray(images, jnp.float32) / 255 - MEAN) / DEVIATION


def low_band(side: int) -> int:
    """How many frequencies a side are low: 51 of 128, in proportion for others, round(.4 side)."""
    return round(0.4 * side)


def losses(
    residual: Float[Array | np.ndarray, "b h h 3"],
    scores: Float[Array | np.ndarray, "b classes"],
    labels: Int[Array | np.ndarray, " b"],
    *,
    band: int | None = None,
) -> dict[str, Float[Array, ""]]:
    """The five terms, weighted, and their sum.

    With g the gray residual and M its centred magnitude spectrum:

        low             .05 mean of M^2 over the central band
        peak            -.001 max of M outside of it, over the whole batch
        gray            .01 mean of g^2
        cross_entropy   10 mean softmax cross-entropy of the scores
        symmetry        .1 mean of (M - M^T)^2
        total           their sum

    The published network gives sigmoids as scores, and the softmax is taken of these: they are
    probabilities treated as logits, and a loss below 10 ln(1 + (C - 1) / e) cannot be reached.

    Args:
        residual: of square images.
        scores: of the network.
        labels: indices of the right scores.
        band: side of the central band; by default `low_band`. The published code has 51 at any
            side.

    Raises:
        ValueError: for maps that are not square, or a band that does not fit into them.
    """
    height, width = residual.shape[1:3]
    band = low_band(height) if band is None else band
    if height != width or not 1 <= band < height:
        raise ValueError(
            f"the losses need square residuals and a band within them, got {height}x{width} and a "
            f"band of {band}"
        )
    gray = to_gray(jnp.asarray(residual))
    magnitude = centred_magnitude(gray)
    low = slice(height // 2 - band // 2, height // 2 - band // 2 + band)
    outside = magnitude.at[:, low, low].set(0)
    entropy = optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(scores), labels)
    terms = {
        "low": 0.05 * jnp.square(magnitude[:, low, low]).mean(),
        "peak": -0.001 * outside.max(),
        "gray": 0.01 * jnp.square(gray).mean(),
        "cross_entropy": 10 * entropy.mean(),
        "symmetry": 0.1 * jnp.square(magnitude - magnitude.swapaxes(1, 2)).mean(),
    }
    return {**terms, "total": jnp.stack(list(terms.values())).sum()}
