"""Which labels a translation is asked for: what images are now, and what of it shall change."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, UInt8

from gan_forensics.data import to_float
from gan_forensics.gans.stargan import StarGan, labels_of
from gan_forensics.gans.task import DISCRIMINATOR
from gan_forensics.runtime import jit, products
from gan_forensics.train import TrainState

# An asked share of exclusive attributes may differ from 1 by so much, which is rounding.
_ROUNDING = 1e-6


def told_labels(
    gan: StarGan,
    state: TrainState,
    images: UInt8[np.ndarray, "n h w c"],
    *,
    batch_size: int = 16,
) -> Float32[np.ndarray, "n l"]:
    """What images are, as the discriminator tells: 0 or 1 for each of the config's attributes.

    Of exclusive ones it is the likeliest.

    Args:
        gan: what was trained.
        state: as training left it.
        images: of the size that it was trained on.
        batch_size: images at a time.
    """

    @jit
    def program(params, x):
        judged: Any = gan.discriminator.apply({"params": params}, x, train=False)
        return judged["labels"]

    parts = []
    with products(gan.config.precision):
        for first in range(0, len(images), batch_size):
            some = images[first : first + batch_size]
            # Of one shape, compiled once.
            padded = np.concatenate([some, np.repeat(some[:1], batch_size - len(some), axis=0)])
            logits = program(state.params[DISCRIMINATOR], jnp.asarray(to_float(padded)))
            parts.append(np.asarray(logits)[: len(some)])
    logits = np.concatenate(parts)
    labels = (logits > 0).astype(np.float32)
    group = [name in (gan.config.exclusive or ()) for name in gan.config.attributes]
    if any(group):
        labels[:, group] = np.eye(sum(group))[logits[:, group].argmax(1)]
    return labels


def asked_of(
    target: str, attributes: Sequence[str], exclusive: Sequence[str] = ()
) -> dict[str, float]:
    """What a target asks for, by name: "blond", "male=0", or several of them, "blond,male=0".

    Of exclusive attributes those that are not named become 0.

    Raises:
        ValueError: for unknown names and numbers out of range, with what there is; and for
            exclusive attributes that do not make up one.
    """
    asked = labels_of([part.strip() for part in target.split(",")], attributes)
    named = [name for name in exclusive if name in asked]
    if named and abs(sum(asked[name] for name in named) - 1) > _ROUNDING:
        raise ValueError(
            f"{target!r}: an image is exactly one of {', '.join(exclusive)}: ask for one of them, "
            "or for shares that make up 1"
        )
    return {**(dict.fromkeys(exclusive, 0.0) if named else {}), **asked}


def changed(
    labels: Float32[np.ndarray, "n l"], asked: Mapping[str, float], attributes: Sequence[str]
) -> Float32[np.ndarray, "n l"]:
    """Labels of images where what is asked for is changed, and all else stays."""
    labels = np.array(labels, np.float32)
    for name, value in asked.items():
        labels[:, attributes.index(name)] = value
    return labels
