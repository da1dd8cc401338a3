"""A function traced to its equations, and everything that holds equations of its own opened."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer

from gan_forensics.explain.equations import Program, Step
from gan_forensics.nn.initial import with_plain_convolutions

# Calls of other equations, which are opened.
_CALLS = frozenset(
    "jit pjit closed_call core_call remat remat2 checkpoint custom_jvp_call custom_vjp_call "
    "custom_vjp_call_jaxpr custom_lin".split()
)
# Sums and moves: a function made of these alone, and of factors that are no data, is linear.
LINEAR = frozenset(
    "add sub neg mul div reduce_sum reduce_window_sum cumsum reshape squeeze expand_dims transpose "
    "broadcast_in_dim convert_element_type slice concatenate pad rev copy copy_p".split()
)
_ADDS = frozenset("add sub reduce_sum reduce_window_sum cumsum".split())


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
    f"{Path(__file__).parents[1].as_posix()}/",
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


def described(step: Step, shapes: Mapping[int, Any] | Sequence[Any]) -> str:
    """A step in words: what, of which shapes, in which module, and where in the user's code."""
    sizes = ", ".join(str(list(shapes[i].shape)) for i in step.inputs)
    module = f" in {'/'.join(step.scope)}" if step.scope else ""
    place = user_place(step.asked)
    return f"{step.name} of {sizes}{module}" + (f" at {place}" if place else "")
