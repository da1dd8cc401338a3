"""Any function as a list of equations: what it does, whoever wrote it and however it is nested.

A function of parameters and an input is traced to its jaxpr, and everything that holds equations of
its own (jit, checkpoint, custom derivatives, scan) is opened, so that one flat list is left. Its
steps are evaluated one by one, by what they are or by what someone puts in their place.

Floats are of one type throughout, float32 at least, so that networks that compute in bfloat16 are
explained as exactly as others; the house's convolutions are met as single operations.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_forensics.nn import conv_kernels

# What is computed in the types that it was traced with.
_TYPED = frozenset({"bitcast_convert_type", "while", "cond", "scan"})


class Step(NamedTuple):
    """One equation.

    Attributes:
        name: of its primitive.
        equation: as JAX has it.
        inputs: numbers of the values that it reads.
        outputs: numbers of those that it makes.
        scope: names of the modules around it, outermost first, where they are known.
        asked: itself, or the call of a function of JAX or Flax that it is a part of.
        inner: a linear function with a derivative of its own, which stays one step.
        instead: what computes it with another derivative.
    """

    name: str
    equation: Any
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    scope: tuple[str, ...]
    asked: Any
    inner: "Program | None" = None
    instead: Callable | None = None

    def __call__(self, values: Sequence, dtype: Any) -> list:
        """What it computes of some values, with floats of a type."""
        return _computed(self, values, dtype)


class Program(NamedTuple):
    """A function as its equations, in the order in which they run; values have numbers.

    Attributes:
        steps: those that the outputs need.
        inputs: what it is given.
        outputs: what it returns.
        constants: the values that stand in the equations themselves.
        shapes: of every value, with its type as traced.
        touched: the values that the data have to do with, be it in a comparison.
        dtype: of all floats.
    """

    steps: list[Step]
    inputs: list[int]
    outputs: list[int]
    constants: dict[int, Any]
    shapes: list[jax.ShapeDtypeStruct]
    touched: frozenset[int]
    dtype: Any

    def start(self, inputs: Iterable) -> dict[int, Any]:
        """The values that are known before the first step."""
        values = {i: _as_float(c, self.dtype) for i, c in self.constants.items()}
        given = (_as_float(x, self.dtype) for x in inputs)
        return values | dict(zip(self.inputs, given, strict=True))

    def __call__(
        self, inputs: Iterable, visit: Callable[[int, Any], Any] = lambda _, value: value
    ) -> list:
        """Evaluate as written; `visit(number, value)` may put another value in a place."""
        values = {i: visit(i, value) for i, value in self.start(inputs).items()}
        for step in self.steps:
            made = step([values[i] for i in step.inputs], self.dtype)
            values.update((i, visit(i, y)) for i, y in zip(step.outputs, made, strict=True))
        return [values[i] for i in self.outputs]

    def readers(self) -> dict[int, list[int]]:
        """For every value the places of the steps that read it; -1 for an output."""
        found: dict[int, list[int]] = {}
        for place, step in enumerate(self.steps):
            for i in step.inputs:
                found.setdefault(i, []).append(place)
        for i in self.outputs:
            found.setdefault(i, []).append(-1)
        return found


def _is_float(dtype: Any) -> bool:
    return jnp.issubdtype(dtype, jnp.floating)


def _as_float(value: Any, dtype: Any) -> Any:
    """A value with floats of a type; others are left alone."""
    if dtype is None or not _is_float(jnp.result_type(value)):
        return value
    return jnp.asarray(value, dtype)


def _computed(step: Step, values: Sequence, dtype: Any) -> list:
    equation, name = step.equation, step.name
    if step.instead is not None:
        return [step.instead(*values)]
    if step.inner is not None and values[0].dtype != equation.invars[0].aval.dtype:
        return step.inner._replace(dtype=dtype)(values)
    if name == "convert_element_type" and _is_float(equation.params["new_dtype"]):
        return [jnp.asarray(values[0], dtype or equation.params["new_dtype"])]
    if name == "reduce_precision":
        return list(values)
    if name == "conv_general_dilated":
        fast = _fast_convolution(equation, values)
        if fast is not None:
            return [fast]
    if name in _TYPED:
        values = [
            jnp.asarray(v, a.aval.dtype) if _is_float(a.aval.dtype) else v
            for v, a in zip(values, equation.invars, strict=True)
        ]
    changed = {}
    if equation.params.get("preferred_element_type") is not None:
        changed["preferred_element_type"] = None
    return [_as_float(y, dtype) for y in bind(equation, values, **changed)]


def _fast_convolution(equation: Any, values: Sequence) -> Any:
    """The house's own convolution, whose derivatives are fast on CPUs too, where it is one.

    Whatever the order of the axes: XLA's CPU backend takes many times longer for some, within
    branches and loops.
    """
    p, (x, kernel) = equation.params, values
    if (
        len(p["window_strides"]) != 2
        or set(p["lhs_dilation"]) != {1}
        or p["batch_group_count"] != 1
    ):
        return None
    g = conv_kernels.Geometry(
        tuple(p["window_strides"]),
        tuple(map(tuple, p["padding"])),
        tuple(p["rhs_dilation"]),
        p["feature_group_count"],
    )
    numbers = p["dimension_numbers"]
    images, channels, *space = numbers.lhs_spec
    outputs, inputs, *taps = numbers.rhs_spec
    y = conv_kernels.convolve(
        _transposed(x, (images, *space, channels)), _transposed(kernel, (*taps, inputs, outputs)), g
    )
    images, channels, *space = numbers.out_spec
    return _transposed(y, [int(i) for i in np.argsort((images, *space, channels))])


def _transposed(x: Any, axes: Sequence[int]) -> Any:
    return x if list(axes) == sorted(axes) else x.transpose(axes)


def bind(equation: Any, values: Sequence, **changed: Any) -> list:
    """Evaluate one equation as it stands, or with some parameters changed."""
    # Before JAX 0.8 the functions inside an equation came apart from its other parameters.
    params = equation.primitive.get_bind_params({**equation.params, **changed})
    functions, params = params if isinstance(params, tuple) else ((), params)
    outputs = equation.primitive.bind(*functions, *values, **params)
    return list(outputs) if equation.primitive.multiple_results else [outputs]


def places_summed(step: Step) -> int:
    """How many values each result of a sum is made of."""
    equation = step.equation
    if step.name == "reduce_window_sum":
        return math.prod(equation.params["window_dimensions"])
    read, made = (math.prod(v.aval.shape) for v in (equation.invars[0], equation.outvars[0]))
    return read // max(made, 1)
