"""Any function, evaluated equation by equation with other derivatives.

A network's convolutions and norms are modules and can be met by name; its activations, sums, pools
and gates are plain functions. Here the function is traced to its equations (its jaxpr) and these
are evaluated one by one through a handler, which may put an operation of
`gan_forensics.explain.lrp` in the place of an equation. So networks are explained as they are
written. Equations that do not depend on the input are left alone; an equation that no rule is known
for is an error, never a silent gradient.
"""

import enum
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from gan_forensics.explain import lrp
from gan_forensics.explain.composites import Composite


class Kind(enum.IntEnum):
    """How a value came about: not from the input, from it, or from it through a sigmoid."""

    CONSTANT = 0
    DATA = 1
    GATE = 2


Handler = Callable[[Any, list, list[Kind]], tuple[list, Kind]]

# Moving values about, unchanged: the ordinary gradient moves relevance back the same way. A maximum
# over a window hands it to the winner; which of several equal places wins is up to the backend, the
# first on CPUs.
_MOVES = frozenset(
    "reshape squeeze expand_dims transpose broadcast_in_dim convert_element_type slice concatenate "
    "pad rev copy copy_p split select_n reduce_window_max reduce_precision".split()
)
# Functions of one value, place by place.
_POINTWISE = frozenset(
    "max min clamp neg abs tanh logistic exp exp2 log log1p expm1 erf sqrt rsqrt square "
    "integer_pow add sub mul div".split()
)
_SUMS = frozenset({"reduce_sum", "reduce_window_sum"})
_INNER = {"jit": "jaxpr", "pjit": "jaxpr", "custom_jvp_call": "call_jaxpr"}
# The custom derivatives that are relevance already: functions of `lrp`, by their names.
_RELEVANCE = frozenset({"relevance_layer", "pass_through"})


def evaluated_with(
    handler: Handler, function: Callable[..., Any], *, constants: int = 0
) -> Callable[..., Any]:
    """The function with `handler` deciding on every equation that depends on its input.

    Args:
        handler: from (equation, values, kinds) to (results, kind of the results).
        function: of pytrees of arrays.
        constants: how many of the last arguments are not to count as input.
    """

    def evaluate(*arguments):
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        inputs = arguments[: len(arguments) - constants]
        leaves = jax.tree.leaves(arguments)
        data = len(jax.tree.leaves(inputs))
        kinds = [Kind.DATA] * data + [Kind.CONSTANT] * (len(leaves) - data)
        outputs, _ = _run(closed, leaves, kinds, handler)
        return jax.tree.unflatten(jax.tree.structure(shape), outputs)

    return evaluate


def _run(closed, values: Sequence, kinds: Sequence[Kind], handler: Handler):
    jaxpr = closed.jaxpr
    known: dict[Any, tuple[Any, Kind]] = {}
    known.update(zip(jaxpr.invars, zip(values, kinds, strict=True), strict=True))
    known.update(
        (v, (c, Kind.CONSTANT)) for v, c in zip(jaxpr.constvars, closed.consts, strict=True)
    )

    def read(atom):
        # A literal carries its value; a variable has one in `known`.
        return (atom.val, Kind.CONSTANT) if hasattr(atom, "val") else known[atom]

    for equation in jaxpr.eqns:
        pairs = [read(atom) for atom in equation.invars]
        inputs, of = [value for value, _ in pairs], [kind for _, kind in pairs]
        inner = _INNER.get(equation.primitive.name)
        if max(of, default=Kind.CONSTANT) == Kind.CONSTANT:
            outputs, result = bind(equation, inputs), [Kind.CONSTANT] * len(equation.outvars)
        elif inner:
            outputs, result = _run(equation.params[inner], inputs, of, handler)
        elif equation.primitive.name == "stop_gradient" or not any(
            jnp.issubdtype(v.aval.dtype, jnp.inexact) for v in equation.outvars
        ):
            # Comparisons say where, not how much; and what is stopped is meant not to be explained.
            outputs, result = bind(equation, inputs), [Kind.CONSTANT] * len(equation.outvars)
        else:
            outputs, kind = handler(equation, inputs, of)
            result = [kind] * len(outputs)
        known.update(zip(equation.outvars, zip(outputs, result, strict=True), strict=True))
    pairs = [read(atom) for atom in jaxpr.outvars]
    return [value for value, _ in pairs], [kind for _, kind in pairs]


def bind(equation, values: Sequence) -> list:
    """Evaluate one equation as it stands."""
    # Before JAX 0.8 the functions inside an equation came apart from its other parameters.
    params = equation.primitive.get_bind_params(equation.params)
    functions, params = params if isinstance(params, tuple) else ((), params)
    outputs = equation.primitive.bind(*functions, *values, **params)
    return list(outputs) if equation.primitive.multiple_results else [outputs]


def relevance_handler(composite: Composite) -> Handler:
    """The handler that makes every equation propagate relevance.

    Raises (when used):
        ValueError: for an equation that no rule is known for, naming it.
    """
    epsilon = composite.epsilon

    def handle(equation, values, kinds):
        name = equation.primitive.name
        data = [i for i, kind in enumerate(kinds) if kind != Kind.CONSTANT]
        kind = max(kinds)
        if _own_derivative(equation) in _RELEVANCE:
            return bind(equation, values), Kind.DATA
        if name in _MOVES:
            return bind(equation, values), kind
        if name in _SUMS:
            # A sum over n places is n times their mean, and stabilised as such.
            (shape,) = (v.aval.shape for v in equation.outvars)
            n = _places(equation, shape)
            pooled = lrp.sum_pool(lambda x: bind(equation, [x])[0], values[0], epsilon=n * epsilon)
            return [pooled], kind
        if name in _POINTWISE and len(data) == 1:
            (y,) = bind(equation, values)
            x = jnp.broadcast_to(values[data[0]], y.shape)
            kind = Kind.GATE if name == "logistic" else kind
            return [lrp.pass_through(x, jax.lax.stop_gradient(y))], kind
        if name in ("add", "sub", "add_any") and len(data) == 2:
            p, q = values
            return [lrp.residual_sum(p, -q if name == "sub" else q, epsilon=epsilon)], Kind.DATA
        if name == "mul" and sorted(kinds) == [Kind.DATA, Kind.GATE]:
            g, v = values if kinds[0] == Kind.GATE else values[::-1]
            return [lrp.gate(g, v)], Kind.DATA
        bare = _bare_layer(equation, values, data, composite)
        if bare is not None:
            return [bare], Kind.DATA
        raise ValueError(
            f"no relevance rule for {_describe(equation)}: relevance passes linear layers, norms, "
            "activations, residual sums, pools and sigmoid gates; write the network with these"
        )

    return handle


def _bare_layer(equation, values, data, composite: Composite) -> Array | None:
    """A convolution or product with fixed weights that is no module of its own."""
    name = equation.primitive.name
    if _own_derivative(equation) == "convolve":
        rule = composite.conv
    elif name == "dot_general":
        rule = composite.dense
    else:
        return None
    if data != [0]:
        return None
    layer = lrp.linear_layer(lambda a, w: bind(equation, [a, w])[0], rule)
    out = jnp.zeros(equation.outvars[0].aval.shape, values[0].dtype)
    return layer(values[0], values[1], None, out, jnp.zeros(len(values[0]), values[0].dtype))


def guided_handler(equation, values, kinds):
    """Guided backpropagation: a ReLU passes gradients that are positive, where it is on.

    Springenberg et al., "Striving for simplicity" (ICLR 2015 workshop). All else, other activations
    too, has its ordinary gradient.
    """
    data = [i for i, kind in enumerate(kinds) if kind != Kind.CONSTANT]
    if equation.primitive.name == "max" and len(data) == 1:
        return [_guided_relu(values[data[0]], values[1 - data[0]])], Kind.DATA
    return bind(equation, values), Kind.DATA


@jax.custom_vjp
def _guided_relu(x, floor):
    return jnp.maximum(x, floor)


_guided_relu.defvjp(
    lambda x, floor: (jnp.maximum(x, floor), (x > floor, floor)),
    lambda saved, g: (jnp.where(saved[0], jnp.maximum(g, 0), 0), jnp.zeros_like(saved[1])),
)


def _places(equation, shape) -> int:
    """How many values each result of a sum is made of."""
    if equation.primitive.name == "reduce_window_sum":
        return math.prod(equation.params["window_dimensions"])
    return math.prod(equation.invars[0].aval.shape) // max(math.prod(shape), 1)


def _own_derivative(equation) -> str | None:
    """The name of the function with a custom derivative that an equation calls, if it does."""
    if equation.primitive.name != "custom_vjp_call":
        return None
    return equation.params["call_jaxpr"].jaxpr.debug_info.func_name


def _describe(equation) -> str:
    name = equation.primitive.name
    if own := _own_derivative(equation):
        name = f"the function {own!r} with a derivative of its own"
    shapes = ", ".join(str(list(atom.aval.shape)) for atom in equation.invars)
    where = str(equation.source_info.name_stack)
    return f"{name} of {shapes}" + (f" in {where}" if where else "")
