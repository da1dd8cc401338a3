"""Representation mixing: two images, each with its label, as one between them.

Bui et al., "RepMix: Representation Mixing for Robust Attribution of Synthesized Images" (ECCV
2022, arXiv 2207.02063). The images of a mixture lie in adjacent rows; its weights beta are drawn
for every mixture, from Dirichlet(0.4, 0.4) by default. C sources, one of which is real.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Float32, Int

from gan_forensics.nn.resnet import Between

LEVEL, CONCENTRATION = 5, 0.4


def draw_weights(
    rng: np.random.Generator, count: int, *, images: int = 2, concentration: float = CONCENTRATION
) -> Float32[np.ndarray, "count images"]:
    """Weights of mixtures: Dirichlet(a, ..., a) each, which is Beta(a, a) for two images.

    Raises:
        ValueError: for fewer than one image, or a concentration that is not positive.
    """
    if images < 1 or not concentration > 0:
        raise ValueError(
            "a mixture has at least one image and a positive concentration, got "
            f"{images} and {concentration}"
        )
    return rng.dirichlet([concentration] * images, size=count).astype(np.float32)


def mixed(h: Float[Array, "bn *shape"], weights: Float[Array, "b n"]) -> Float[Array, "b *shape"]:
    """The mixing layer: h~_i = sum_n beta_in h_in, where h_in is row i n of h."""
    parts = h.reshape(*weights.shape, *h.shape[1:])
    return jnp.einsum("bn,bn...->b...", weights.astype(h.dtype), parts)


def mixing_at(level: int, weights: Float[Array, "b n"]) -> Between:
    """What mixes at one level of an `AttributionNetwork`, and leaves the others alone.

    All images go through the layers below the level, and through their batch norms, unmixed.
    Pooling and linear layers commute with mixing, so that with four stages level 5, behind the
    last, gives what level 6, the embedding, does.
    """
    return lambda here, x: mixed(x, weights) if here == level else x


def gated(
    sources: Float[Array, "*b C"], detection: Float[Array, "*b 2"], *, real: int
) -> Float[Array, "*b C"]:
    """The attribution logits: a_real = z_real r_0, a_j = z_j r_1, with r = softmax(d).

    A product of a logit and a probability: where generated is sure, a_real is 0, not -infinity.

    Args:
        sources: z.
        detection: d, of real and of generated.
        real: which source is real.
    """
    gate = gates(detection, sources.shape[-1], real=real)
    return sources * gate


def gates(detection: Float[Array, "*b 2"], classes: int, *, real: int) -> Float[Array, "*b C"]:
    """What `gated` multiplies the logit of each source with."""
    r = jax.nn.softmax(detection, -1)
    return jnp.where(jnp.arange(classes) == real, r[..., :1], r[..., 1:])


class Compound(NamedTuple):
    """The loss of a batch, its two parts, and the share that the softmax gives the labels."""

    total: Float[Array, ""]
    attribution: Float[Array, ""]
    detection: Float[Array, ""]
    soft_accuracy: Float[Array, ""]


def compound_loss(
    sources: Float[Array, "b C"],
    detection: Float[Array, "b 2"],
    labels: Int[Array, "b n"],
    weights: Float[Array, "b n"],
    *,
    real: int,
) -> Compound:
    """L = L_attr + L_det of mixtures, in nats, with the gated logits a:

        L_attr = mean_i sum_n beta_in CE(a_i, y_in)
        L_det  = mean_i sum_n beta_in v CE(d_i, [y_in != real]),  v = 1 for real, 1 / (C - 1) else.

    The factors v are not normalised. Single images are mixtures of one, of weight 1.

    Args:
        sources, detection: z and d of the mixtures.
        labels: of the images of each.
        weights: of the images of each.
        real: the label that is real.
    """
    classes = sources.shape[-1]
    logits = gated(sources, detection, real=real)
    generated = (labels != real).astype(jnp.int32)
    factor = jnp.where(generated == 1, 1 / (classes - 1), 1.0)
    attribution = (weights * _cross_entropy(logits, labels)).sum(-1).mean()
    detected = (weights * factor * _cross_entropy(detection, generated)).sum(-1).mean()
    return Compound(
        attribution + detected, attribution, detected, soft_accuracy(logits, labels, weights)
    )


def mixed_cross_entropy(
    logits: Float[Array, "b C"], labels: Int[Array, "b n"], weights: Float[Array, "b n"]
) -> Float[Array, ""]:
    """mean_i sum_n beta_in CE(logits_i, y_in), the loss without gate and detection."""
    return (weights * _cross_entropy(logits, labels)).sum(-1).mean()


def soft_accuracy(
    logits: Float[Array, "b C"], labels: Int[Array, "b n"], weights: Float[Array, "b n"]
) -> Float[Array, ""]:
    """mean_i sum_n beta_in softmax(a_i)_y: what the released code logs as its accuracy."""
    probabilities = jnp.take_along_axis(jax.nn.softmax(logits, -1), labels, -1)
    return (weights * probabilities).sum(-1).mean()


def _cross_entropy(logits: Float[Array, "b k"], labels: Int[Array, "b n"]) -> Float[Array, "b n"]:
    """The cross-entropy of each row's logits with each of its labels."""
    several = jnp.broadcast_to(logits[:, None], (*labels.shape, logits.shape[-1]))
    return optax.softmax_cross_entropy_with_integer_labels(several, labels)
