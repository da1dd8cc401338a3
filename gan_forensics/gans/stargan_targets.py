"""Which labels a translation is asked for: what images are now, and what of it shall change."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float32, UInt8

from gan_forensics.data import to_float
from gan_forensics.files import listed, number
from gan_forensics.gans.filled_batches import filled_batches
from gan_forensics.gans.stargan import StarGan
from gan_forensics.gans.task import DISCRIMINATOR
from gan_forensics.runtime import jit, products
from gan_forensics.train import TrainState

# An asked share of exclusive attributes may differ from 1 by so much, which is rounding.
_ROUNDING = 1e-6


def target_labels(
    labels: Float32[np.ndarray, "n l"],
    attributes: Sequence[str],
    exclusive: Sequence[str] = (),
) -> Float32[np.ndarray, "l n l"]:
    """The targets that the paper shows, one for each attribute.

    Of the exclusive ones each in the place of the others; any other is turned into its opposite.

    Args:
        labels: of the images.
        attributes: names of the columns.
        exclusive: some of them.

    Example:
        >>> import numpy as np
        >>> labels = np.array([[1, 0, 0]], np.float32)  # black hair, no smile
        >>> hair = ["black", "blond"]
        >>> target_labels(labels, [*hair, "smiling"], exclusive=hair)[:, 0].tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]
    """
    labels = np.asarray(labels, np.float32)
    groups = [name in exclusive for name in attributes]
    targets = np.repeat(labels[None], len(attributes), axis=0)
    for place, one_of_many in enumerate(groups):
        if one_of_many:
            targets[place][:, groups] = 0
            targets[place, :, place] = 1
        else:
            targets[place, :, place] = 1 - labels[:, place]
    return targets


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

    logits = np.empty((len(images), len(gan.config.attributes)), np.float32)
    with products(gan.config.precision):
        for rows, x in filled_batches(images, size=batch_size):
            judged = program(state.params[DISCRIMINATOR], jnp.asarray(to_float(x)))
            logits[rows] = np.asarray(judged)[: len(logits[rows])]
    labels = (logits > 0).astype(np.float32)
    group = [name in (gan.config.exclusive or ()) for name in gan.config.attributes]
    if any(group):
        labels[:, group] = np.eye(sum(group))[logits[:, group].argmax(1)]
    return labels


def labels_of(asked: Sequence[str], attributes: Sequence[str]) -> dict[str, float]:
    """What is asked of some attributes, such as "Male" (1), "Male=0" or "Smiling=0.5".

    Raises:
        ValueError: for an unknown attribute, with near ones, a number out of range, and one that is
            named twice.
    """
    found: dict[str, float] = {}
    for text in asked:
        name, equals, value = text.partition("=")
        if name not in attributes:
            close = difflib.get_close_matches(name, attributes, n=1, cutoff=0.0)
            raise ValueError(
                f"unknown attribute {name!r}; did you mean {close[0]!r}? There are "
                f"{listed(attributes)}"
            )
        if name in found:
            raise ValueError(f"attribute {name!r} is named twice")
        try:
            asked_for = number(value) if equals else 1.0
        except ValueError:
            asked_for = float("nan")
        if not 0 <= asked_for <= 1:
            raise ValueError(f"{text!r}: give {name}=0 to {name}=1")
        found[name] = asked_for
    return found


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
            f"{target!r}: an image is exactly one of {listed(exclusive)}: ask for one of them, "
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
