"""What players minimise for one purpose: a task of terms, and what a term is.

A term is a pure function of a `gan_forensics.gans.context.Context`, which returns a number, or a
`Loss` where it has more to report. A task says which terms each player has; one of an adversarial
loss also says what it makes of any pair of images (`PairLoss`), and one of a penalty which penalty
it is, so that further tasks can judge transformed pairs in the same way.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
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
    """The value of a term, and what it has to report.

    Example:
        >>> gap = 0.25
        >>> Loss(10 * gap, {"gap": gap}).value
        2.5
    """

    value: Float[Array, ""]
    metrics: Mapping[str, Float[Array, ""]] = {}


# What a term returns; the metric of a plain number goes by the name of the term.
Term = Callable[["Context"], Loss | Float[Array, ""] | float]
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

    Example:
        >>> def feature_matching(c):
        ...     return ((c.real.pooled.mean(0) - c.fake.pooled.mean(0)) ** 2).sum()
        >>> Task(generator=(feature_matching,))
        Task(generator: feature_matching)
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
    """What a term is called, in messages and, where it returns a plain number, in metrics.

    Its function's name, or that of the function that made it, where its own says nothing.
    """
    while isinstance(term, functools.partial):
        term = term.func
    *outer, own = getattr(term, "__qualname__", type(term).__name__).split(".")
    made = outer[-2:-1] if own in (GENERATOR, DISCRIMINATOR, "<lambda>", "term") else ()
    return next(iter(made), own.strip("<>"))


def loss_of(term: Term, made: Any) -> Loss:
    """What a term returned, as its `Loss`: a plain number is reported by the term's name.

    Raises:
        ValueError: when it is none.
    """
    loss = made if isinstance(made, Loss) else Loss(made, {term_name(term): made})
    # Asked before JAX is, which takes lists and None for numbers or says nothing of the term.
    number = isinstance(loss.value, jax.Array | np.ndarray | np.generic | float | int)
    if not number or jnp.ndim(loss.value) != 0:
        given = f"{loss.value.dtype}{list(loss.value.shape)}" if number else repr(loss.value)[:60]
        raise ValueError(
            f"a term returned {given}: it returns one number, such as the mean over the images, or "
            "a Loss of one"
        )
    return loss


def check_tasks(tasks: Any) -> tuple[Task, ...]:
    """Refuse what is no sequence of tasks of terms (ValueError)."""
    how = "Task(generator=(my_term,)), adversarial('hinge')"
    if isinstance(tasks, Task) or not isinstance(tasks, Sequence):
        raise ValueError(f"tasks come in a list, got {_said(tasks)}: give [{how}]")
    for task in tasks:
        if not isinstance(task, Task):
            raise ValueError(f"a task is a Task, got {_said(task)}: give {how}")
        players = {GENERATOR: task.generator, DISCRIMINATOR: task.discriminator, **task.others}
        for player, terms in players.items():
            if not isinstance(terms, tuple):
                raise ValueError(
                    f"terms of a Task come in a tuple, got {_said(terms)}: give "
                    f"Task({player}=(my_term,))"
                )
            if wrong := [term for term in terms if not callable(term)]:
                raise ValueError(
                    f"a term is a function of the context, got {_said(wrong[0])} for the {player}"
                )
    return tuple(tasks)


def _said(thing: Any) -> str:
    """What something is, in few words."""
    name = getattr(thing, "__name__", None)
    if isinstance(thing, type):
        return f"the class {name}"
    if name:
        return f"the function {name}"
    simple = isinstance(thing, str | int | float) or thing is None
    return repr(thing)[:40] if simple else type(thing).__name__
