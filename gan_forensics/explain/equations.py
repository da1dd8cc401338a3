"""Any function as a list of equations: what it does, whoever wrote it and however it is nested.

A function of parameters and an input is traced to its jaxpr, and everything that holds equations of
its own (jit, checkpoint, custom derivatives, scan) is opened, so that one flat list is left. Its
steps are evaluated one by one, by what they are or by what someone puts in their place.

Floats are of one type throughout, float32 at least, so that networks that compute in bfloat16 are
explained as exactly as others; the house's convolutions are met as single operations.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from gan_forensics.nn import conv_kernels
from gan_forensics.nn.initial import with_plain_convolutions

# Calls of other equations, which are opened.
_CALLS = frozenset(
    "jit pjit closed_call core_call remat remat2 checkpoint custom_jvp_call custom_vjp_call "
    "custom_vjp_call_jaxpr custom_lin".split()
)
# What is computed in the types that it was traced with.
_TYPED = frozenset({"bitcast_convert_type", "while", "cond", "scan"})
# Sums and moves: a function made of these alone, and of factors that are no data, is linear.
LINEAR = frozenset(
    "add sub neg mul div reduce_sum reduce_window_sum cumsum reshape squeeze expand_dims transpose "
    "broadcast_in_dim convert_element_type slice concatenate pad rev copy copy_p".split()
)
_ADDS = frozenset("add sub reduce_sum reduce_window_sum cumsum".split())


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


def traced(function: Callable, parameters: Any, x: Any, *, dtype: Any) -> tuple[Program, Any]:
    """The equations of `function(parameters, x)`, and the shape of what it returns.

    The program's inputs are the leaves of the parameters, then x.
    """
    with with_plain_convolutions():
        closed, shape = jax.make_jaxpr(function, return_shape=True)(parameters, x)
    flat = _Flat()
    leaves = len(closed.jaxpr.invars) - 1
    inputs = [flat.value(v.aval) for v in closed.jaxpr.invars]
    flat.touched.add(inputs[leaves])
    outputs = flat.opened(closed, inputs, (), None)
    return flat.program(inputs, outputs, dtype), shape


def user_place(equation: Any) -> str:
    """Where in the user's own code an equation stands, "file:line", or "" where it is not known."""
    try:
        frames = equation.source_info.traceback.frames
    except AttributeError:
        return ""
    for frame in frames:
        if _is_users(frame.file_name):
            return f"{frame.file_name}:{frame.line_num}"
    return ""


_NOT_THE_USERS = (
    *(f"/site-packages/{name}/" for name in ("jax", "jaxlib", "flax")),
    "/gan_forensics/",
    "/contextlib.py",
    "/functools.py",
    "<frozen",
    "<string>",
)


def _is_users(path: str) -> bool:
    path = path.replace("\\", "/")
    return not any(part in path for part in _NOT_THE_USERS)


class _Flat:
    """A list of equations that grows."""

    def __init__(self):
        self.steps: list[Step] = []
        self.shapes: list[jax.ShapeDtypeStruct] = []
        self.constants: dict[int, Any] = {}
        self.touched: set[int] = set()

    def value(self, aval: Any) -> int:
        self.shapes.append(jax.ShapeDtypeStruct(aval.shape, aval.dtype))
        return len(self.shapes) - 1

    def constant(self, value: Any, dtype: Any = None) -> int:
        value = value if hasattr(value, "shape") else np.asarray(value, dtype)
        number = self.value(value)
        self.constants[number] = value
        return number

    def opened(
        self, closed: Any, inputs: Sequence[int], scope: tuple[str, ...], asked: Any
    ) -> list[int]:
        """Append the equations of a jaxpr; the numbers of what it returns."""
        jaxpr, constants = getattr(closed, "jaxpr", closed), getattr(closed, "consts", ())
        known = dict(zip(jaxpr.invars, inputs, strict=True))
        known.update(zip(jaxpr.constvars, map(self.constant, constants), strict=True))

        def read(atom):
            # A literal carries its value; a variable has one in `known`.
            literal = hasattr(atom, "val")
            return self.constant(atom.val, atom.aval.dtype) if literal else known[atom]

        for equation in jaxpr.eqns:
            numbers = [read(a) for a in equation.invars]
            outputs = self.appended(equation, numbers, scope, asked)
            known.update(zip(equation.outvars, outputs, strict=True))
        return [read(atom) for atom in jaxpr.outvars]

    def appended(
        self, equation: Any, inputs: list[int], scope: tuple[str, ...], asked: Any
    ) -> list[int]:
        name, scope = equation.primitive.name, scope + _scope(equation)
        touched = any(i in self.touched for i in inputs)
        inner = None
        if name in _CALLS:
            closed = _inner(equation)
            inner = self.linear(closed, inputs) if touched and "vjp" in name else None
            if inner is None:
                # What JAX traced of its own functions it keeps, with the places of other calls.
                theirs = equation if asked is None and not _is_users(_source(closed)) else asked
                return self.opened(closed, inputs, scope, theirs)
        elif name == "scan" and touched:
            return self.unrolled(equation, inputs, scope, asked)
        elif name == "cond" and (branch := self.branch(equation, inputs[0])) is not None:
            return self.opened(branch, inputs[1:], scope, asked)
        outputs = [self.value(v.aval) for v in equation.outvars]
        if touched:
            self.touched.update(outputs)
        step = Step(name, equation, tuple(inputs), tuple(outputs), scope, asked or equation, inner)
        self.steps.append(step)
        return outputs

    def unrolled(
        self, equation: Any, inputs: list[int], scope: tuple[str, ...], asked: Any
    ) -> list[int]:
        """A scan, turn by turn."""
        closed, length = equation.params["jaxpr"], equation.params["length"]
        fixed, carried = equation.params["num_consts"], equation.params["num_carry"]
        state, stacked = inputs[fixed : fixed + carried], inputs[fixed + carried :]
        kept: list[list[int]] = []
        for turn in range(length)[:: -1 if equation.params["reverse"] else 1]:
            parts = [self.made(lambda a, i=turn: lax.index_in_dim(a, i, 0, False), a)
                     for a in stacked]  # fmt: skip
            found = self.opened(closed, [*inputs[:fixed], *state, *parts], scope, asked)
            state = found[:carried]
            kept.append(found[carried:])
        kept = kept[:: -1 if equation.params["reverse"] else 1]
        return state + [
            self.made(lambda *a: jnp.stack(a), *each) for each in zip(*kept, strict=True)
        ]

    def made(self, function: Callable, *inputs: int) -> int:
        """Append what a small function of some values does."""
        shapes = [self.shapes[i] for i in inputs]
        return self.opened(jax.make_jaxpr(function)(*shapes), inputs, (), None)[0]

    def branch(self, equation: Any, index: int) -> Any:
        """The branch that a `cond` takes, where this is known without the data."""
        branches, platforms = equation.params["branches"], equation.params.get("branches_platforms")
        if platforms:
            return branches[platforms.index(None)] if None in platforms else branches[-1]
        chosen = self.constants.get(index)
        if chosen is None or isinstance(chosen, Tracer):
            return None
        return branches[min(max(int(chosen), 0), len(branches) - 1)]

    def linear(self, closed: Any, inputs: list[int]) -> Program | None:
        """What a function with a derivative of its own does, where it is linear and a sum."""
        if len(inputs) != 1 or len(closed.jaxpr.outvars) != 1:
            return None
        flat = _Flat()
        start = flat.value(closed.jaxpr.invars[0].aval)
        flat.touched.add(start)
        program = flat.program([start], flat.opened(closed, [start], (), None), None)
        names = {
            "add" if step.inner else step.name
            for step in program.steps
            if flat.touched & set(step.outputs)
        }
        factors = all(
            sum(i in flat.touched for i in step.inputs) == 1
            for step in program.steps
            if step.name in ("mul", "div")
        )
        return program if names <= LINEAR and names & _ADDS and factors else None

    def program(self, inputs: list[int], outputs: list[int], dtype: Any) -> Program:
        needed, steps = set(outputs), []
        for step in reversed(self.steps):
            if needed & set(step.outputs):
                steps.append(step)
                needed.update(step.inputs)
        constants = {i: c for i, c in self.constants.items() if i in needed}
        touched = frozenset(self.touched)
        return Program(steps[::-1], inputs, outputs, constants, self.shapes, touched, dtype)


def _inner(equation: Any) -> Any:
    """The equations that an equation calls."""
    found = (equation.params.get(name) for name in ("jaxpr", "call_jaxpr", "fun_jaxpr"))
    return next(jaxpr for jaxpr in found if jaxpr is not None)


def _source(closed: Any) -> str:
    """The file of the function that was called, "" where it is not known."""
    jaxpr = getattr(closed, "jaxpr", closed)
    told = getattr(getattr(jaxpr, "debug_info", None), "func_src_info", None) or ""
    return told.partition(" at ")[2]


def _scope(equation: Any) -> tuple[str, ...]:
    """The modules that an equation is said to stand in; calls have names like "jit(relu)"."""
    names = str(equation.source_info.name_stack).split("/")
    return tuple(name for name in names if name and "(" not in name)


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


def described(step: Step, shapes: Mapping[int, Any] | Sequence[Any]) -> str:
    """A step in words: what, of which shapes, in which module, and where in the user's code."""
    sizes = ", ".join(str(list(shapes[i].shape)) for i in step.inputs)
    module = f" in {'/'.join(step.scope)}" if step.scope else ""
    place = user_place(step.asked)
    return f"{step.name} of {sizes}{module}" + (f" at {place}" if place else "")
