"""Bounds of what a first layer reads, from the bounds of a pixel: interval arithmetic.

Between the pixels and the layer there may stand a normalisation, padding, a mean of windows, a
resize. Padding has the bounds of what it holds: outside of the image there is nothing to bound.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array

from gan_forensics.explain.equations import Program, Step
from gan_forensics.explain.roles import Meaning
from gan_forensics.explain.values import MOVES, POINTWISE, SUMS

Bounds = tuple[Array, Array]


def bounds_of(
    program: Program, meaning: Meaning, values: Mapping[int, Any], number: int, pixels: Bounds
) -> Bounds | None:
    """The least and the greatest of a value, or None where something unknown lies between.

    Args:
        program: of a network.
        meaning: of it.
        values: what the program's constants are, by number.
        number: of a value that has passed no layer.
        pixels: bounds of the images, with the axes of images, of which the first may be 1.
    """
    makers = {i: step for step in program.steps for i in step.outputs}
    found: dict[int, Bounds | None] = {program.inputs[-1]: pixels}

    def look(i: int) -> Bounds | None:
        if not meaning.values[i].data:
            return values[i], values[i]
        if i not in found:
            found[i] = None
            step = makers[i]
            sides = [look(j) for j in step.inputs]
            if all(side is not None for side in sides):
                data = [meaning.values[j].data for j in step.inputs]
                found[i] = _through(program, step, sides, data)
        return found[i]

    return look(number)


def _through(program: Program, step: Step, sides: list[Any], data: list[bool]) -> Bounds | None:
    name, lows, highs = step.name, [s[0] for s in sides], [s[1] for s in sides]

    def at(*ends):
        return step(list(ends), program.dtype)[0]

    if name in POINTWISE and name != "select_n" and sum(data) == 1:
        # Monotone functions have their extremes at the ends, even ones another at 0.
        place = data.index(True)
        zero = jnp.clip(jnp.zeros((), program.dtype), lows[place], highs[place])
        ends = [lows[place], highs[place], zero]
        made = [at(*(end if i == place else s for i, s in enumerate(lows))) for end in ends]
        return _least(made)
    if name in ("add", "add_any"):
        return lows[0] + lows[1], highs[0] + highs[1]
    if name == "sub":
        return lows[0] - highs[1], highs[0] - lows[1]
    if name == "mul":
        return _least([a * b for a in sides[0] for b in sides[1]])
    if name in ("pad", "rev"):
        return at(*lows), at(*highs)
    # All else knows how many images there are.
    shapes = [program.shapes[i].shape for i in step.inputs]
    lows, highs = (
        [jnp.broadcast_to(end, shape) if moved else end
         for end, shape, moved in zip(ends, shapes, data, strict=True)]
        for ends in (lows, highs)
    )  # fmt: skip
    if name in MOVES or name in SUMS:
        return at(*lows), at(*highs)
    if step.inner is not None:
        return None
    if name in ("conv_general_dilated", "dot_general") and sum(data) == 1:
        place = data.index(True)
        weights = lows[1 - place]

        def part(end, weights):
            return at(*((end, weights) if place == 0 else (weights, end)))

        up, down = jnp.maximum(weights, 0), jnp.minimum(weights, 0)
        low, high = lows[place], highs[place]
        return part(low, up) + part(high, down), part(high, up) + part(low, down)
    return None


def _least(made: list[Array]) -> Bounds:
    low = high = made[0]
    for other in made[1:]:
        low, high = jnp.minimum(low, other), jnp.maximum(high, other)
    return low, high
