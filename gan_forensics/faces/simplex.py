"""The downhill simplex of Nelder and Mead (1965), compiled: no derivatives of the objective needed.

The rules are those of Lagarias et al. (1998) with reflection 1, expansion 2, contraction 1/2 and
shrinkage 1/2, which scipy follows too.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int


class Simplex(NamedTuple):
    """Corners by ascending value, and how often the objective was evaluated."""

    corners: Float[Array, "m n"]
    values: Float[Array, "m"]
    evaluations: Int[Array, ""]


def _sorted(corners, values, evaluations) -> Simplex:
    # Stable, as scipy's: of equal values the older corner stays in front.
    order = jnp.argsort(values, stable=True)
    return Simplex(corners[order], values[order], evaluations)


def begin(
    objective: Callable[[Float[Array, "n"]], Float[Array, ""]], corners: Float[Array, "m n"]
) -> Simplex:
    """The simplex of these n + 1 corners, evaluated."""
    return _sorted(corners, jax.lax.map(objective, corners), jnp.asarray(len(corners)))


def step(objective: Callable[[Float[Array, "n"]], Float[Array, ""]], simplex: Simplex) -> Simplex:
    """One move: the worst corner is reflected, expanded or contracted, or all corners shrink."""
    corners, values, evaluations = simplex
    worst = corners[-1]
    centre = corners[:-1].mean(0)
    reflected = 2 * centre - worst
    at_reflected = objective(reflected)

    def shrink(evaluations):
        smaller = 0.5 * (corners[1:] + corners[:1])
        at_smaller = jax.lax.map(objective, smaller)
        return (
            jnp.concatenate([corners[:1], smaller]),
            jnp.concatenate([values[:1], at_smaller]),
            evaluations + len(smaller),
        )

    def replaced(corner, value, evaluations):
        return corners.at[-1].set(corner), values.at[-1].set(value), evaluations

    def expand(evaluations):
        expanded = centre + 2 * (reflected - centre)
        at_expanded = objective(expanded)
        better = at_expanded < at_reflected
        corner = jnp.where(better, expanded, reflected)
        return replaced(corner, jnp.minimum(at_expanded, at_reflected), evaluations + 1)

    def keep(evaluations):
        return replaced(reflected, at_reflected, evaluations)

    def contract(evaluations):
        outside = at_reflected < values[-1]
        contracted = centre + 0.5 * (jnp.where(outside, reflected, worst) - centre)
        at_contracted = objective(contracted)
        taken = jnp.where(outside, at_contracted <= at_reflected, at_contracted < values[-1])
        return jax.lax.cond(
            taken,
            lambda count: replaced(contracted, at_contracted, count),
            shrink,
            evaluations + 1,
        )

    which = jnp.where(at_reflected < values[0], 0, jnp.where(at_reflected < values[-2], 1, 2))
    return _sorted(*jax.lax.switch(which, (expand, keep, contract), evaluations + 1))


def minimise(
    objective: Callable[[Float[Array, "n"]], Float[Array, ""]],
    corners: Float[Array, "m n"],
    *,
    evaluations: int,
) -> Simplex:
    """Moves until the objective was evaluated at least so often (a last move may exceed it)."""
    return jax.lax.while_loop(
        lambda simplex: simplex.evaluations < evaluations,
        lambda simplex: step(objective, simplex),
        begin(objective, corners),
    )
