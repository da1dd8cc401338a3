"""Adam as GANs use it, and the learning rate over time."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from gan_forensics.files import shown

ADAM_EPSILON = 1e-8
Rate = float | Callable[[Int[Array, ""]], Float[Array, ""]]


def adam(
    learning_rate: Rate, *, betas: tuple[float, float] = (0.5, 0.999)
) -> optax.GradientTransformation:
    """Adam with epsilon 1e-8; its state shows the learning rate, which rules may change there.

    Example:
        >>> import jax.numpy as jnp
        >>> optimizer = adam(2e-4)
        >>> state = optimizer.init({"kernel": jnp.zeros((2, 3))})
        >>> f"{state.hyperparams['learning_rate']:g}"
        '0.0002'
    """
    if callable(learning_rate):
        learning_rate = partial(_rate, learning_rate)
    tuned = optax.inject_hyperparams(optax.adam, static_args=("b1", "b2", "eps"))
    return tuned(learning_rate=learning_rate, b1=betas[0], b2=betas[1], eps=ADAM_EPSILON)


def _rate(schedule: Callable[[Int[Array, ""]], Any], moves: Int[Array, ""]) -> Float[Array, ""]:
    """What a schedule says, in float32, which quotients of integers need not be."""
    return jnp.asarray(schedule(moves), jnp.float32)


def at_steps(schedule: Rate, *, repeats: int) -> Rate:
    """A schedule of the step as one of the moves of a player who makes `repeats` in each."""
    return (lambda moves: schedule(moves // repeats)) if callable(schedule) else schedule


class LostSchedule(NamedTuple):
    """A schedule of a run that was loaded, of which only words are known: it trains nothing."""

    words: str

    def __call__(self, step: Int[Array, ""]) -> Float[Array, ""]:
        """No number."""
        return jnp.full((), jnp.nan, jnp.float32)


def check_rate(name: str, rate: Any) -> None:
    """Refuse what is neither a positive number nor a schedule: a function of the step to a number.

    Raises:
        ValueError: with what it is.
    """
    if isinstance(rate, LostSchedule):
        return
    if not callable(rate):
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not rate > 0:
            raise ValueError(
                f"{name} must be positive, got {rate!r}: a number, a schedule of the step such as "
                "those of optax, or nothing for the default"
            )
        return
    try:
        # As in a step, where the number is not known, and as it is.
        jax.eval_shape(rate, jax.ShapeDtypeStruct((), jnp.int32))
        value = float(jnp.asarray(rate(jnp.int32(0))))
    except Exception as error:  # Whatever a function of somebody else raises.
        reason = shown(" ".join(str(error).split()), most=200) or type(error).__name__
        raise ValueError(
            f"{name} is no schedule, a function of the step that JAX can trace: {reason}"
        ) from error
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be a schedule of positive numbers, it is {value} at step 0")


def rate_in_words(rate: Rate) -> float | str:
    """A rate as JSON: a number as it is, of a schedule what it is at some steps."""
    if isinstance(rate, LostSchedule):
        return rate.words
    if not callable(rate):
        return rate
    steps = (0, 1, 10, 100, 1000, 10_000, 100_000)
    values = [f"{float(rate(jnp.int32(step))):.9g} at {step}" for step in steps]
    return f"{SCHEDULED}{', '.join(values)}"


# How configs name a rate that only Python knows.
SCHEDULED = "a schedule: "


def linear_decay(
    learning_rate: float, steps: int, *, repeats: int = 1
) -> Callable[[Int[Array, ""]], Float[Array, ""]]:
    """The rate lr (1 - t / T) of the step after t finished ones; 0 from T on.

    Args:
        learning_rate: lr, of the first step.
        steps: T.
        repeats: moves that a player makes in one step; they share its rate, so that two players
            of one game have the same rate in every step however often each moves.

    Returns:
        A function of the number of finished moves.

    Raises:
        ValueError: when there are no steps to decay over.

    Example:
        >>> rate = linear_decay(2e-4, 10, repeats=5)
        >>> [round(float(rate(moves)) * 1e4, 2) for moves in (0, 4, 5, 50, 60)]
        [2.0, 2.0, 1.8, 0.0, 0.0]
    """
    if steps < 1 or repeats < 1:
        raise ValueError(
            f"a linear decay takes at least one step and one move a step, got {steps} and {repeats}"
        )
    return lambda moves: learning_rate * jnp.maximum(1 - (moves // repeats) / steps, 0)


def half_linear_decay(
    learning_rate: float, steps: int, *, repeats: int = 1
) -> Callable[[Int[Array, ""]], Float[Array, ""]]:
    """The rate lr max(0, min(1 - t / T, 1/2)): half of lr up to T / 2, then linearly to 0.

    As released for the residual networks of Tran et al. (ECCV 2018); arguments and errors as those
    of `linear_decay`.
    """
    linear = linear_decay(learning_rate, steps, repeats=repeats)
    return lambda moves: jnp.minimum(linear(moves), learning_rate / 2)


def staircase_decay(
    learning_rate: float, *, moves_per_step: int, repeats: int = 1
) -> Callable[[Int[Array, ""]], Float[Array, ""]]:
    """The rate lr 0.9^floor(m / 10,000), where m counts the moves of all players of a game.

    As released for the 2-D points of Tran et al. (ECCV 2018), whose optimisers share one counter.

    Args:
        learning_rate: lr.
        moves_per_step: of all players together.
        repeats: moves that this player makes in one step.

    Example:
        >>> rate = staircase_decay(1.0, moves_per_step=7)
        >>> [round(float(rate(steps)), 2) for steps in (0, 1428, 1429, 2858)]
        [1.0, 1.0, 0.9, 0.81]
    """
    return lambda moves: learning_rate * 0.9 ** ((moves // repeats) * moves_per_step // 10_000)
