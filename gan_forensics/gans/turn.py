"""A player's turn in the game of a generator and a discriminator, and the terms that charge for it.

A composable GAN loss is a sum of small terms. In its turn a player draws noise, generates images
and lets the discriminator look at them; every `Term` is then a function of that `Turn`. Terms that
look at the same images find the discriminator's answers there (`turn.real`, `turn.fake`), so no
pass is made twice; one that needs other images makes a pass of its own (`turn.look`). What two
players are charged for one purpose is a `Task`, and a method is a list of tasks.

    turn.fake.logits          what the discriminator said of the generator's images
    turn.look(images, y)      one more pass of the discriminator
    turn.apply(name, *x)      one pass of any network of the game, in training mode

Every pass moves the statistics of its network (batch norm averages, spectral norm vectors) before
the next one, whosever turn it is; `turn.stats` has them at the end.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

GENERATOR, DISCRIMINATOR = "generator", "discriminator"
Owner = Literal["real", "fake"]


class Draws(NamedTuple):
    """The random numbers of a turn.

    Attributes:
        z: noise of the generator.
        labels: classes of the generated images, in a conditional game.
        alpha: share of the *fake* image in the points of a gradient penalty, from 0 to 1; if it
            is None, drawn from `key`.
        key: PRNG key for whatever else a term draws.
    """

    z: Float[Array, "b latent"]
    labels: Int[Array, " b"] | None = None
    alpha: Float[Array, " b"] | None = None
    key: Array | None = None


class Seen(NamedTuple):
    """Images, and what the discriminator made of them in one pass.

    A discriminator that returns logits alone leaves the rest None.
    """

    images: Float[Array, "b h w c"]
    labels: Int[Array, " b"] | None
    logits: Float[Array, " b"]
    local: Float[Array, "b h w cl"] | None = None
    pooled: Float[Array, "b cg"] | None = None
    rotation: Float[Array, "b 4"] | None = None


class Charge(NamedTuple):
    """What a term costs, and what it has to say."""

    value: Float[Array, ""]
    metrics: Mapping[str, Float[Array, ""]]


Term = Callable[["Turn"], Charge]


class Task(NamedTuple):
    """One purpose as terms of both players, and the networks that it brings into the game.

    The brought networks are trained by the discriminator.
    """

    discriminator: tuple[Term, ...] = ()
    generator: tuple[Term, ...] = ()
    networks: Mapping[str, nn.Module] = {}


def forward(
    network: nn.Module, params: PyTree, stats: PyTree, *inputs: Array
) -> tuple[Any, PyTree]:
    """One pass in training mode: (outputs, moved statistics)."""
    return network.apply({"params": params, **stats}, *inputs, train=True, mutable=list(stats))


class Turn:
    """What lies before a player: its draws, the images, and the networks to look at them with.

    It lives while one loss is computed; the loss stays a pure function of its arguments.

    Attributes:
        draws: the turn's random numbers.
        stats: statistics of the networks that made a pass, as the last one left them.
        real: the discriminator's look at real images; None in the generator's turn.
        fake: its look at generated images.
    """

    def __init__(
        self,
        networks: Mapping[str, nn.Module],
        params: Mapping[str, PyTree],
        stats: Mapping[str, PyTree],
        draws: Draws,
    ):
        self._networks, self._params, self._before = networks, params, stats
        self.stats: dict[str, PyTree] = {}
        self.draws = draws
        self.real: Seen | None = None
        self.fake: Seen | None = None

    def seen(self, owner: Owner) -> Seen:
        """The look at the real or at the generated images.

        Raises:
            ValueError: for the real ones in the generator's turn, which has none.
        """
        found = self.real if owner == "real" else self.fake
        if found is None:
            raise ValueError(
                f"nobody has looked at {owner} images in this turn; a generator's term must be "
                "of the fake ones"
            )
        return found

    def apply(self, name: str, *inputs: Array) -> Any:
        """One pass of a network in training mode; its statistics move."""
        before = self.stats.get(name, self._before[name])
        outputs, self.stats[name] = forward(
            self._networks[name], self._params[name], before, *inputs
        )
        return outputs

    def generate(self) -> Float[Array, "b h w c"]:
        """The images of the turn's noise (and labels)."""
        labels = self.draws.labels
        return self.apply(GENERATOR, self.draws.z, *(() if labels is None else (labels,)))

    def look(self, images: Float[Array, "b h w c"], labels: Int[Array, " b"] | None) -> Seen:
        """One pass of the discriminator; its statistics move."""
        outputs = self.apply(DISCRIMINATOR, images, *(() if labels is None else (labels,)))
        return Seen(images, labels, *_features(outputs))

    def logits_at(
        self, images: Float[Array, "b h w c"], labels: Int[Array, " b"] | None
    ) -> Float[Array, " b"]:
        """The discriminator's logits, in training mode, leaving its statistics where they are."""
        stats = self.stats.get(DISCRIMINATOR, self._before[DISCRIMINATOR])
        inputs = (images,) if labels is None else (images, labels)
        outputs, _ = forward(
            self._networks[DISCRIMINATOR], self._params[DISCRIMINATOR], stats, *inputs
        )
        return _features(outputs)[0]

    def pay(self, terms: tuple[Term, ...]) -> Charge:
        """The sum of the terms, in their order.

        Raises:
            ValueError: when two terms report a metric of one name.
        """
        value, metrics = 0.0, {}
        for term in terms:
            charge = term(self)
            if twice := sorted(metrics.keys() & charge.metrics.keys()):
                raise ValueError(f"two terms report {twice}: a task may be in a game only once")
            value, metrics = value + charge.value, {**metrics, **charge.metrics}
        return Charge(jnp.asarray(value), metrics)


def _features(outputs: Any) -> tuple:
    """(logits, local, pooled, rotation) of a discriminator; the last three may be missing."""
    if isinstance(outputs, jax.Array):
        return (outputs, None, None, None)
    return (outputs.logits, outputs.local, outputs.pooled, outputs.rotation)
