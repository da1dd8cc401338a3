"""What is known of a value of a network, and what a step makes of it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gan_forensics.explain.equations import Step

# Moving values about, unchanged: the ordinary gradient moves relevance back the same way. A maximum
# hands it to the winner; which of several equal places of a window wins is up to the backend, the
# first on CPUs, while a maximum over whole axes shares it among them.
MOVES = frozenset(
    "reshape squeeze expand_dims transpose broadcast_in_dim slice concatenate pad rev split "
    "select_n reduce_window_max reduce_max reduce_min cummax cummin sort top_k gather "
    "dynamic_slice dynamic_update_slice scatter stack unstack tile optimization_barrier".split()
)
# Functions of values, place by place.
POINTWISE = frozenset(
    "max min clamp neg abs sign floor ceil round tanh logistic exp exp2 log log1p expm1 erf erfc "
    "sqrt rsqrt cbrt square integer_pow pow add sub mul div rem add_any sin cos tan asin acos atan "
    "sinh cosh asinh acosh atanh select_n convert_element_type reduce_precision copy "
    "copy_p".split()
)
SUMS = frozenset({"reduce_sum", "reduce_window_sum", "cumsum", "scatter-add"})
# Of values that are not negative they make such again.
_KEEPS_SIGNS = frozenset(
    "min add add_any mul div sqrt rsqrt cbrt tanh erf log1p expm1 convert_element_type "
    "reduce_precision copy copy_p".split()
).union(MOVES, SUMS)

# How sure it is that a value is a gate between closed and open: a sigmoid, a value between two
# bounds (a hard sigmoid, as it is written), or none.
SIGMOID, BOUNDED, NO_GATE = 2, 1, 0


@dataclass(frozen=True)
class Value:
    """What is known of a value.

    Attributes:
        data: whether relevance flows through it.
        leaves: the parameters that it depends on, by their places.
        varies: of a constant, the axes along which it may differ.
        origin, root: numbers of values, see above.
        of: the roots that it is a statistic of.
        gate: how sure it is that it is one.
        bounds: whether it was bounded from below, and from above, by constants.
        positive: whether it is known never to be negative.
        shallow: whether it has passed no layer yet.
        batch: the axis of the images, None where it is not known.
    """

    data: bool
    leaves: frozenset[int] = frozenset()
    varies: frozenset[int] = frozenset()
    origin: int = -1
    root: int = -1
    of: frozenset[int] = frozenset()
    gate: int = NO_GATE
    bounds: frozenset[str] = frozenset()
    positive: bool = False
    shallow: bool = True
    batch: int | None = 0


def never_negative(step: Step, known: Sequence[Value]) -> bool:
    """Whether the result of a step is known never to be negative."""
    name, signs = step.name, [value.positive for value in known]
    if name in ("logistic", "exp", "exp2", "square", "abs", "erfc", "iota"):
        return True
    if name == "integer_pow":
        return step.equation.params["y"] % 2 == 0 or signs[0]
    if name == "max":
        return any(signs)
    if name in ("select_n", "gather", "dynamic_slice"):
        return all(signs[1:] if name == "select_n" else signs[:1])
    return name in _KEEPS_SIGNS and step.inner is None and all(signs)


def varying(step: Step, known: list[frozenset[int]], shapes: Sequence[Any]) -> frozenset[int]:
    """The axes along which the result of constants may differ."""
    read, made = [shapes[i].shape for i in step.inputs], shapes[step.outputs[0]].shape
    name, params = step.name, step.equation.params
    if name in POINTWISE or name in ("convert_element_type", "copy"):
        return frozenset[int]().union(*known)
    if name == "broadcast_in_dim":
        return frozenset(params["broadcast_dimensions"][axis] for axis in known[0])
    if name == "transpose":
        return frozenset(params["permutation"].index(axis) for axis in known[0])
    if name in ("reshape", "squeeze", "expand_dims"):
        before, after = ([a for a, n in enumerate(s) if n > 1] for s in (read[0], made))
        if [read[0][a] for a in before] == [made[a] for a in after]:
            return frozenset(after[before.index(axis)] for axis in known[0])
    return wide(made)


def batch_axis(
    step: Step, place: int, value: Value, shapes: Sequence[Any], images: int
) -> int | None:
    """The axis of the images in the result, of the operand at a place.

    Where it was merged with others it is the outer one of them.
    """
    axis, params, name = value.batch, step.equation.params, step.name
    if axis is None:
        return None
    read, made = shapes[step.inputs[place]].shape, shapes[step.outputs[0]].shape
    if name == "transpose":
        return params["permutation"].index(axis)
    if name == "broadcast_in_dim":
        return params["broadcast_dimensions"][axis]
    if name in ("reduce_sum", "reduce_max", "reduce_min", "squeeze"):
        gone = params.get("axes", params.get("dimensions"))
        return None if axis in gone else axis - sum(other < axis for other in gone)
    if name == "stack":
        return axis + (params.get("axis", 0) <= axis)
    if name in ("reshape", "expand_dims"):
        before = math.prod(read[:axis])
        for new, size in enumerate(made):
            if math.prod(made[:new]) == before and size % images == 0:
                return new
        return None
    if name == "conv_general_dilated":
        spec = params["dimension_numbers"]
        return spec.out_spec[0] if axis == spec.lhs_spec[0] and place == 0 else None
    if name == "dot_general":
        contracted, batched = params["dimension_numbers"]
        if axis in contracted[place]:
            return None
        if axis in batched[place]:
            return tuple(batched[place]).index(axis)
        free = [a for a in range(len(read)) if a not in (*contracted[place], *batched[place])]
        other = shapes[step.inputs[0]].shape
        ahead = 0 if place == 0 else len(other) - len(contracted[0]) - len(batched[0])
        return len(batched[place]) + ahead + free.index(axis)
    if name == "gather":
        numbers = params["dimension_numbers"]
        sizes = params["slice_sizes"]
        if axis in numbers.operand_batching_dims:
            return axis if len(made) > axis and made[axis] == read[axis] else None
        kept = [a for a in range(len(read)) if a not in numbers.collapsed_slice_dims
                and a not in numbers.operand_batching_dims]  # fmt: skip
        if axis in kept and sizes[axis] == read[axis]:
            return numbers.offset_dims[kept.index(axis)]
        return None
    return axis if axis < len(made) and made[axis] == read[axis] else None


def wide(shape: Sequence[int]) -> frozenset[int]:
    """The axes with more than one place."""
    return frozenset(axis for axis, size in enumerate(shape) if size > 1)
