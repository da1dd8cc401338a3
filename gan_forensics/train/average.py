"""Moving averages of parameters, of which the initial draw is no part.

The usual recursion, average <- a average + (1 - a) parameters, starts at the initial draw, which is
a^t of it after t steps: 67 % after 400 with a = .999. What is kept here is that average with its
start taken out (as Adam corrects its moments; Kingma and Ba, ICLR 2015, section 3),

    m_t = (1 - a) sum_s a^(t - s) p_s / (1 - a^t)        for s = 1 ... t,

by a recursion that needs t alone: m_t = m_(t-1) + w_t (p_t - m_(t-1)), w_t = (1 - a) / (1 - a^t).
The first weight is 1, so m_1 is p_1 whatever stood there before.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

# What the record beside a checkpoint says of averages as they are kept here.
RECORD, WITHOUT_START = "average", "without its start"


def newest_weight(decay: float, step: Int[Array, ""] | int) -> Float[Array, ""]:
    """w_t of step t = 1, 2, ...: 1, 1 / (1 + a), ..., from there down to 1 - a.

    By exp(x) - 1, since 1 - a^t keeps no digits in float32 where a^t is near 1.

    Raises:
        ValueError: for a decay that does not lie between 0 and 1.
    """
    if not 0 < decay < 1:
        raise ValueError(f"the decay of an average lies between 0 and 1, got {decay}")
    log = jnp.float32(math.log(decay))
    return jnp.expm1(log) / jnp.expm1(log * jnp.asarray(step, jnp.float32))


def moved(average: PyTree, params: PyTree, weight: Float[Array, ""]) -> PyTree:
    """The average after a step; by differences, so that the average of equal numbers is theirs."""
    return jax.tree.map(lambda old, new: old + weight * (new - old), average, params)


def without_start(average: PyTree, start: PyTree, *, decay: float, step: int) -> PyTree:
    """(average - a^t start) / (1 - a^t): what the usual recursion left, with its start taken out.

    Args:
        average: after `step` steps, of which there is at least one.
        start: where it began.
        decay: a.
        step: t.
    """
    rest = -math.expm1(step * math.log(decay))  # 1 - a^t
    return jax.tree.map(
        lambda mean, first: jnp.asarray(first + (mean - first) / rest, mean.dtype), average, start
    )


def span(decay: float) -> int:
    """How many of the newest steps an average is about the mean of: 1 / (1 - a)."""
    return round(1 / (1 - decay))


def needs_correction(record: Any) -> bool:
    """Whether a checkpoint, by the record beside it, holds what the usual recursion left."""
    return not isinstance(record, Mapping) or record.get(RECORD) != WITHOUT_START
