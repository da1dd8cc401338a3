"""What every equation of a network means to relevance, found before anything is computed.

Each value that carries data is known by where it came from:

- its *origin*: the value that it is a function of, place by place. Whatever stands between the two
  (GELU, SiLU, hard swish, mish, softplus, however they are written) passes all relevance unchanged,
  and so does what joins two values of one origin;
- its *root*: the same, through moves and norms as well. What was summed up over places of a root,
  and passed no layer with parameters since, is a *statistic* of it. What a value is shifted or
  divided by is then a norm (layer, group, instance, RMS, L2), and relevance passes to the value:
  the identity rule of AttnLRP (Achtibat et al., ICML 2024, arXiv 2402.05602, on normalisation; Ali
  et al., ICML 2022, hold the divisor constant likewise).
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from gan_forensics.explain.equations import Program, Step
from gan_forensics.explain.values import (
    BOUNDED,
    MOVES,
    NO_GATE,
    POINTWISE,
    SIGMOID,
    SUMS,
    Value,
    batch_axis,
    never_negative,
    varying,
    wide,
)

_COMPARISONS = frozenset("gt ge lt le eq ne and or not xor is_finite".split())
_EXTREMES = frozenset({"reduce_max", "reduce_min"})
_PRODUCTS = frozenset({"conv_general_dilated", "dot_general"})


class Role(NamedTuple):
    """What a step does with relevance.

    Attributes:
        kind: "constant", "move", "pointwise", "pass", "softmax", "sum", "winner", "product",
            "layer", "fixed", "bilinear" or "unknown".
        main: the operand that all goes to, or the number of the value that does.
        axes: that a softmax is taken over.
    """

    kind: str
    main: int = -1
    axes: tuple[int, ...] = ()


class Meaning(NamedTuple):
    """What is known of all values, by number, and the role of every step, by place."""

    values: dict[int, Value]
    roles: list[Role]

    def reached(self, program: Program) -> set[int]:
        """The values that relevance comes by on its way; gates and statistics of norms are not."""
        found = set(program.outputs)
        for step, role in zip(reversed(program.steps), reversed(self.roles), strict=True):
            if not found & set(step.outputs):
                continue
            data = [i for i in step.inputs if self.values[i].data]
            if role.kind == "pass":
                data = [step.inputs[role.main]]
            elif role.kind in ("pointwise", "softmax") and len(data) > 1:
                data = [role.main]
            found.update(data)
        return found


def meaning(program: Program, leaves: int) -> Meaning:
    """Read a program whose first inputs are so many parameters, and whose last one is images.

    Arrays that stand in the function itself shift and scale as parameters do. What is multiplied by
    them is a layer where there are no parameters at all, and else a fixed filter.
    """
    reader = _Reader(program, leaves)
    for place, number in enumerate(program.inputs):
        shape = program.shapes[number].shape
        if place < leaves:
            reader.values[number] = Value(False, frozenset({place}), wide(shape))
        else:
            reader.values[number] = Value(True, origin=number, root=number)
    for number, constant in program.constants.items():
        shape = jnp.shape(constant)
        own = frozenset({number}) if shape else frozenset[int]()
        known = jnp.issubdtype(constant.dtype, np.number) and not isinstance(constant, Tracer)
        # By NumPy: within a trace, what JAX compares is traced, of known numbers too.
        positive = known and bool(np.all(np.asarray(constant) >= 0))
        reader.values[number] = Value(False, own, wide(shape), positive=positive)
    roles = [reader.read(step) for step in program.steps]
    return Meaning(reader.values, roles)


class _Reader:
    def __init__(self, program: Program, parameters: int):
        self.program, self.parameters = program, parameters
        self.images = program.shapes[program.inputs[-1]].shape[0]
        self.values: dict[int, Value] = {}
        self.makers: dict[int, Step] = {}

    def read(self, step: Step) -> Role:
        shapes = self.program.shapes
        known = [self.values[i] for i in step.inputs]
        data = [place for place, value in enumerate(known) if value.data]
        for i in step.outputs:
            self.makers[i] = step
        carries = any(jnp.issubdtype(shapes[i].dtype, jnp.inexact) for i in step.outputs)
        if not data or not carries or step.name == "stop_gradient":
            # Comparisons say where, not how much; what is stopped is meant not to be explained.
            role, made = Role("constant"), self.constant(step, known)
        else:
            role, made = self.carried(step, known, data)
        for i in step.outputs:
            carried = made.data and jnp.issubdtype(shapes[i].dtype, jnp.inexact)
            value = replace(made, data=carried, positive=never_negative(step, known))
            own = {"origin": i} if made.origin < 0 else {}
            own |= {"root": i} if made.root < 0 else {}
            self.values[i] = replace(value, **own) if made.data else value
        return role

    def constant(self, step: Step, known: Sequence[Value]) -> Value:
        leaves = frozenset[int]().union(*(value.leaves for value in known))
        origins = {value.origin for value in known if value.origin >= 0}
        varies = varying(step, [value.varies for value in known], self.program.shapes)
        alike = len(origins) == 1 and step.name in POINTWISE | _COMPARISONS
        origin = origins.pop() if alike else -1
        return Value(False, leaves, varies, origin)

    def carried(self, step: Step, known: list[Value], data: list[int]) -> tuple[Role, Value]:
        """The role of a step that reads data, and what it makes."""
        shapes, name = self.program.shapes, step.name
        read = [known[place] for place in data]
        roots = {value.root for value in read}
        made = Value(
            data=True,
            root=roots.pop() if len(roots) == 1 else -1,
            of=read[0].of.intersection(*(value.of for value in read[1:])),
            gate=min(value.gate for value in read),
            shallow=all(value.shallow for value in read),
            batch=batch_axis(step, data[0], read[0], shapes, self.images),
        )
        # A sum is the root of what follows, and a statistic of what it is made of.
        summed = frozenset.intersection(*(value.of | {value.root} for value in read))
        total = replace(made, root=-1, of=summed)
        if step.inner is not None:
            return Role("fixed"), replace(made, root=-1, of=frozenset())
        one_origin = self.one_origin(step, known, data)
        if name in POINTWISE and one_origin is not None:
            return Role("pointwise", one_origin), self.of_one_origin(step, known, made, one_origin)
        if name in MOVES:
            return Role("move"), total if name in _EXTREMES else made
        if name in SUMS:
            return Role("sum"), total
        if name in _PRODUCTS:
            return self.product(step, known, data, total)
        if name in POINTWISE and len(data) == 1:
            return self.beside_a_constant(step, known, data[0], made)
        if name in ("add", "sub", "mul", "div", "add_any", "max", "min") and len(data) == 2:
            return self.joined(step, read, made)
        return Role("unknown"), replace(made, root=-1, of=frozenset())

    def one_origin(self, step: Step, known: Sequence[Value], data: list[int]) -> int | None:
        """The value that the result is a function of, place by place, if there is just one."""
        shapes = self.program.shapes
        origins = {known[place].origin for place in data}
        if step.name == "select_n":
            # What is chosen by counts as well: `where(x > 0, x, 0)` is a ReLU.
            pairs = zip(step.inputs, known, strict=True)
            origins |= {v.origin for i, v in pairs if i in self.program.touched}
        origin = origins.pop()
        if origins or origin < 0 or shapes[step.outputs[0]].shape != shapes[origin].shape:
            return None
        constants = [v for v in known if not v.data]
        if step.name == "select_n" and known[0].origin != origin:
            return None
        if step.name in ("add", "sub") and len(data) == 1 and _is_summand(constants[0]):
            return None
        return origin

    def of_one_origin(self, step: Step, known: list[Value], made: Value, origin: int) -> Value:
        read = [value.bounds for value in known if value.data]
        bounds = read[0] if len(read) == 1 else frozenset[str]()
        sides = {"max": {"low"}, "min": {"high"}, "clamp": {"low", "high"}}
        bounds |= sides.get(step.name, set())
        gate = SIGMOID if step.name == "logistic" else made.gate
        gate = max(gate, BOUNDED) if len(bounds) == 2 else gate
        return replace(made, origin=origin, gate=gate, bounds=bounds)

    def beside_a_constant(
        self, step: Step, known: list[Value], main: int, made: Value
    ) -> tuple[Role, Value]:
        constants = [v for place, v in enumerate(known) if place != main]
        if step.name in ("add", "sub") and _is_summand(constants[0]):
            return Role("sum"), replace(made, root=-1, of=frozenset())
        if step.name == "select_n":
            return Role("move"), made
        return Role("pass", main), made

    def joined(self, step: Step, read: list[Value], made: Value) -> tuple[Role, Value]:
        """Two values of different origins."""
        name = step.name
        fresh = replace(made, gate=NO_GATE, root=-1)
        if name == "div" and (softmax := self.softmax(step)) is not None:
            return softmax, fresh
        for main in (0,) if name == "div" else (0, 1):
            value, other = read[main], read[1 - main]
            if name in ("sub", "mul", "div") and value.root in other.of:
                shapes = self.program.shapes
                same = shapes[step.inputs[main]].shape == shapes[step.outputs[0]].shape
                normed = replace(fresh, root=value.root, of=value.of)
                return Role("pass", main), replace(normed, origin=value.origin if same else -1)
        if name in ("add", "add_any", "sub"):
            return Role("sum"), fresh
        if name in ("max", "min"):
            return Role("winner"), fresh
        if name == "div":
            # A quotient is its numerator, scaled.
            return Role("pass", 0), fresh
        gates = [value.gate for value in read]
        if gates[0] != gates[1]:
            return Role("pass", gates.index(min(gates))), fresh
        return Role("product"), fresh

    def product(
        self, step: Step, known: list[Value], data: list[int], total: Value
    ) -> tuple[Role, Value]:
        fresh = Value(data=True, shallow=total.shallow, batch=total.batch)
        if len(data) == 2:
            return Role("bilinear"), replace(fresh, of=total.of)
        images_first = data[0] == 0 or step.name == "dot_general"
        weights = known[1 - data[0]].leaves
        if self.parameters:
            weights = {leaf for leaf in weights if leaf < self.parameters}
        if weights and images_first:
            return Role("layer", data[0]), replace(fresh, shallow=False)
        return Role("fixed", data[0]), fresh

    def softmax(self, step: Step) -> Role | None:
        """`exp(x - shift) / sum(exp(x - shift))` as one, with the value x that it is made of."""
        above, below = step.inputs
        while below in self.makers and self.makers[below].name in MOVES:
            below = self.makers[below].inputs[0]
        total = self.makers.get(below)
        if total is None or total.name != "reduce_sum" or total.inputs[0] != above:
            return None
        exponential = self.makers.get(above)
        if exponential is None or exponential.name != "exp":
            return None
        x = exponential.inputs[0]
        shift = self.makers.get(x)
        if shift is not None and shift.name == "sub" and self.values[shift.inputs[0]].data:
            by = shift.inputs[1]
            if by in self.program.touched:
                x = shift.inputs[0]
        return Role("softmax", x, tuple(total.equation.params["axes"]))


def _is_summand(constant: Value) -> bool:
    """Whether a constant that is added has values of its own for places, as positions have."""
    return bool(constant.leaves) and len(constant.varies) > 1
