"""What players minimise for one purpose: a task of terms, and what a term is.

A term is a pure function of a `gan_forensics.gans.context.Context`, which returns its `Loss`. A
task says which terms each player has; one of an adversarial loss also says what it makes of any
pair of images (`PairLoss`), and one of a penalty which penalty it is, so that further tasks can
judge transformed pairs in the same way.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

import flax.linen as nn
from jaxtyping import Array, Float, Int

if TYPE_CHECKING:
    from gan_forensics.gans.context import Context

GENERATOR, DISCRIMINATOR = "generator", "discriminator"
Owner = Literal["real", "fake"]
Shown = Literal["real", "fake", "reconstruction"]
Images = Float[Array, "b *shape"]
Labels = Int[Array, " b"] | None
Transform = Callable[[Images], Images]
# A number, a schedule of the step, or the name of one of the game's traced `weights`.
Weight = float | str | Callable[[Int[Array, ""]], Float[Array, ""]]


class Loss(NamedTuple):
    """The value of a term, and what it has to report."""

    value: Float[Array, ""]
    metrics: Mapping[str, Float[Array, ""]] = {}


Term = Callable[["Context"], Loss]
# (context, whose images, images) to what the discriminator is shown of them.
Augment = Callable[["Context", Shown, Images], Images]


class PairLoss(NamedTuple):
    """An adversarial loss as a function of logits, for tasks that judge more pairs by it.

    Attributes:
        discriminator: of logits [b] by what they are of, the names in `discriminator_sees`, and of
            the context.
        generator: likewise, of those in `generator_sees`.
        discriminator_sees: of "real", "fake" and "reconstruction".
        generator_sees: likewise.
        zero: whether a logit of 0 stands between real and fake.
    """

    discriminator: Callable[[Mapping[str, Array], "Context"], Float[Array, ""]]
    generator: Callable[[Mapping[str, Array], "Context"], Float[Array, ""]]
    discriminator_sees: tuple[str, ...] = ("real", "fake")
    generator_sees: tuple[str, ...] = ("fake",)
    zero: bool = True


class PairPenalty(NamedTuple):
    """A gradient penalty of pairs, for tasks that judge more of them.

    Attributes:
        kind: of `gan_forensics.gans.penalties`.
        norm: likewise.
        weight: of it.
    """

    kind: Literal["0-gp", "1-gp", "lp"]
    norm: Literal["l2", "rms", "batch"]
    weight: Weight


class Task(NamedTuple):
    """One purpose: terms of the discriminator and of the generator, and networks that it brings.

    Attributes:
        discriminator: terms of its loss.
        generator: terms of its loss.
        networks: further networks by name. The discriminator trains those that no other player
            of the game trains.
        others: terms of further players of the game, by the player's name.
        pair: of an adversarial loss: what it makes of any pair of images.
        penalty: of a gradient penalty: which one it is.
    """

    discriminator: tuple[Term, ...] = ()
    generator: tuple[Term, ...] = ()
    networks: Mapping[str, nn.Module] = {}
    others: Mapping[str, tuple[Term, ...]] = {}
    pair: PairLoss | None = None
    penalty: PairPenalty | None = None

    def terms(self, player: str) -> tuple[Term, ...]:
        """The terms of a player."""
        own = {GENERATOR: self.generator, DISCRIMINATOR: self.discriminator, **self.others}
        return own.get(player, ())

    def __repr__(self) -> str:
        players = {DISCRIMINATOR: self.discriminator, GENERATOR: self.generator, **self.others}
        said = [f"{p}: {', '.join(map(term_name, terms))}" for p, terms in players.items() if terms]
        if self.networks:
            said.append(f"brings {', '.join(self.networks)}")
        return f"Task({'; '.join(said)})"


def term_name(term: Term) -> str:
    """What a term is called: its function's name, or that of the function that made it."""
    term = getattr(term, "func", term)  # of a partial one
    *outer, own = getattr(term, "__qualname__", type(term).__name__).split(".")
    made = outer[-2:-1] if own in (GENERATOR, DISCRIMINATOR, "<lambda>", "term") else ()
    return next(iter(made), own)
