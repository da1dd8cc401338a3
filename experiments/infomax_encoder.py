"""A small discriminator with InfoMax critics as an encoder, and the images that it looks at.

Two of the claims of InfoMax-GAN are about the discriminator alone: that it forgets less, and that
its InfoNCE tells diverse batches from collapsed ones. Both are shown on the networks of the GANs,
without a generator.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Float32, Int, PyTree

from gan_forensics.data import open_source, take, to_float
from gan_forensics.gans.game import init_network
from gan_forensics.gans.infomax import CRITICS
from gan_forensics.gans.task import DISCRIMINATOR
from gan_forensics.nn import resgan
from gan_forensics.runtime import random_key
from gan_forensics.train import Aux, Learner, Update


class Labelled(NamedTuple):
    """Images in [-1, 1] and their classes 0, 1, ..."""

    images: Float32[np.ndarray, "n h w c"]
    labels: Int[np.ndarray, " n"]

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return int(self.labels.max()) + 1

    def rows(self, label: int) -> Int[np.ndarray, " m"]:
        """The rows of one class."""
        return np.flatnonzero(self.labels == label)


def labelled(data: str, split: str, *, size: int = 32) -> Labelled:
    """A whole labelled source in memory.

    Raises:
        ValueError: for a source without labels.
    """
    source = open_source(data, size=size, split=split)
    found = take(source, np.arange(len(source)))
    if "label" not in found:
        raise ValueError(f"{data} has no labels, which tell the classes apart: give labelled data")
    return Labelled(to_float(found["image"]), found["label"])


class Encoded(NamedTuple):
    """What the encoder makes of images; p and q are for `gan_forensics.gans.infomax_loss`."""

    logits: Float[Array, " b"]
    p: Float[Array, "b l r"]
    q: Float[Array, "b r"]


class Encoder(NamedTuple):
    """A discriminator of the GANs, and critics on its features."""

    discriminator: resgan.Discriminator
    critics: resgan.InfoMaxCritics

    def init(self, key: Array, images: Float[Array, "b h w c"]) -> tuple[PyTree, PyTree]:
        """Initial (parameters, statistics) by network name."""
        one, two = jax.random.split(key)
        first = init_network(self.discriminator, one, images)
        known = {"params": first[0], **first[1]}
        # The critics ask for the shapes alone: nothing is compiled.
        seen = jax.eval_shape(partial(self.discriminator.apply, train=False), known, images)
        second = init_network(self.critics, two, seen.local, seen.pooled)  # pyright: ignore
        both = {DISCRIMINATOR: first, CRITICS: second}
        return {n: p for n, (p, _) in both.items()}, {n: s for n, (_, s) in both.items()}

    def __call__(
        self, params: PyTree, stats: PyTree, images: Float[Array, "b h w c"], *, train: bool
    ) -> tuple[Encoded, PyTree]:
        """What is seen in the images, and the statistics, which move in training."""
        moved = {}

        def passed(name, network, *inputs) -> Any:
            variables = {"params": params[name], **stats[name]}
            if not train:
                moved[name] = stats[name]
                return network.apply(variables, *inputs, train=False)
            outputs, moved[name] = network.apply(
                variables, *inputs, train=True, mutable=list(stats[name])
            )
            return outputs

        seen = passed(DISCRIMINATOR, self.discriminator, images)
        p, q = passed(CRITICS, self.critics, seen.local, seen.pooled)
        return Encoded(seen.logits, p, q), moved


def encoder(width: int, critics: int, *, size: int = 32) -> Encoder:
    """The encoder of images of a size; `critics` is the length R of its projections."""
    return Encoder(resgan.Discriminator(size, width=width), resgan.InfoMaxCritics(critics))


def encoder_learner(
    network: Encoder,
    loss: Callable[[Encoded], Float[Array, ""]],
    optimizer: optax.GradientTransformation,
    data: Labelled,
) -> Learner:
    """The encoder of these images as a learner, by a loss of what it sees in a minibatch."""

    def of_images(trainable, frozen, stats, batch, key, step):
        seen, moved = network(trainable, stats, batch["image"], train=True)
        return loss(seen), Aux(moved, {})

    update = Update("encoder", (DISCRIMINATOR, CRITICS), of_images, optimizer)
    two = jnp.asarray(data.images[:2])
    return Learner("encoder", {}, (update,), lambda seed: network.init(random_key(seed), two))
