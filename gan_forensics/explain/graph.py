"""A network evaluated equation by equation, with relevance in the place of its derivative.

Every step is computed as written, through an operation of `gan_forensics.explain.lrp` that passes
relevance on as the role of the step asks. Steps that do not depend on the images are left alone; a
step that no rule is known for is an error, never a silent gradient.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gan_forensics.explain import lrp
from gan_forensics.explain.canonize import effective
from gan_forensics.explain.composites import Composite, told
from gan_forensics.explain.equations import Program, Step, places_summed
from gan_forensics.explain.intervals import Bounds, bounds_of
from gan_forensics.explain.layers import Layer
from gan_forensics.explain.networks import Network
from gan_forensics.explain.roles import Role
from gan_forensics.explain.tracing import described

# What else than layers does not conserve relevance, by the role of the step.
LOSSES = {
    "sum": "sums",
    "fixed": "sums",
    "move": "constants",
    "softmax": "attention",
    "bilinear": "attention",
}


def losses(network: Network) -> list[str]:
    """Where a network may lose relevance: its layers, and the kinds of `LOSSES` that it has."""
    inside = set[int]().union(*(layer.place.steps for layer in network.layers.values()))
    pairs = zip(network.program.steps, network.meaning.roles, strict=True)
    kinds = {
        LOSSES[role.kind]
        for number, (step, role) in enumerate(pairs)
        if role.kind in LOSSES
        and number not in inside
        and (role.kind != "move" or _constants(network, step))
    }
    return [*network.layers, *sorted(kinds - set(network.layers))]


def check_flow(network: Network) -> None:
    """Refuse a network whose logits have nothing of the images that relevance could flow to.

    Raises:
        ValueError: naming the step that stops it; and for one most of whose kernels stand in the
            function beside its parameters, where relevance would not see its layers.
    """
    program, values = network.program, network.meaning.values
    given = sum(np.size(leaf) for leaf in network.leaves)
    if given < (fixed := _fixed_weights(network)) and network.leaves:
        raise ValueError(
            f"{fixed} weights stand in the function, which are no layers beside its {given} "
            "parameters: give all weights as parameters, or none of them (None)"
        )
    if values[program.outputs[0]].data:
        return
    for step in reversed(program.steps):
        if any(values[i].data for i in step.inputs):
            raise ValueError(
                f"no relevance comes by {described(step, program.shapes)}: it makes whole numbers, "
                "yes or no, or stops gradients, and all that the logits have of the images comes "
                "that way; explain the network that reads what this step makes"
            )
    raise ValueError("the logits do not depend on the images: there is nothing to explain")


def _fixed_weights(network: Network) -> int:
    """How many numbers the kernels have that mix channels and stand in the function itself."""
    program, found = network.program, set[int]()
    for step, role in zip(program.steps, network.meaning.roles, strict=True):
        if role.kind == "fixed" and role.main >= 0:
            groups = step.equation.params.get("feature_group_count", 1)
            if groups == 1 or step.name != "conv_general_dilated":
                found |= network.meaning.values[step.inputs[1 - role.main]].leaves
    return sum(np.size(program.constants[i]) for i in found if i in program.constants)


def propagating(
    network: Network, composite: Composite, pixels: Bounds | None
) -> Callable[[Sequence, Array, tuple[dict, dict]], tuple[Any, dict[int, Any]]]:
    """The network as a function whose derivative is relevance.

    It maps `(parameters, x, probes)` to the logits and to all values by number. `probes` are
    `(out, lost)`, each by layer name: see `lrp.linear_layer`.

    Args:
        network: which.
        composite: which rule where.
        pixels: bounds of the images, for rules that need them.

    Raises (when called):
        ValueError: for a step that no rule is known for.
    """
    program, roles = network.program, network.meaning.roles
    # A layer is evaluated where the last of its steps stands, in the place of all of them.
    ends: dict[int, tuple[str, Layer]] = {}
    skipped: set[int] = set()
    for name, layer in network.layers.items():
        ends[max(layer.place.steps)] = name, layer
        skipped |= layer.place.steps

    def run(parameters, x, probes):
        out, lost = probes
        values = program.start([*parameters, x])
        for number, (step, role) in enumerate(zip(program.steps, roles, strict=True)):
            if number in ends:
                name, layer = ends[number]
                y = _layer(network, layer, composite, pixels, values, out.get(name), lost[name])
                # Whatever stands in between is known by what is made in the end.
                for place in (layer.place.step, *layer.place.chain):
                    values.update(dict.fromkeys(program.steps[place].outputs, y))
            elif number not in skipped:
                made = _propagated(network, step, role, composite.epsilon, values, lost)
                values.update(zip(step.outputs, made, strict=True))
        return values[program.outputs[0]], values

    return run


def _layer(
    network: Network,
    layer: Layer,
    composite: Composite,
    pixels: Bounds | None,
    values: dict[int, Any],
    out: Array | None,
    lost: Array,
) -> Array:
    program, place = network.program, layer.place
    rule = composite.rule(dense=layer.dense, first=layer.first)
    if layer.first and pixels is not None:
        bounds = bounds_of(program, network.meaning, values, place.reads, pixels)
        # Where none can be known, all that is left is the rule of other layers.
        if bounds is None:
            rule = composite.rule(dense=layer.dense, first=False)
        else:
            low, high = (_for_all(side, layer, values[place.reads]) for side in bounds)
            rule = told(rule, low=low, high=high)
    rule = told(rule, signed=not network.meaning.values[place.reads].positive)
    kernel, bias = effective(program, layer, values)
    operation = lrp.linear_layer(
        layer.linear, rule, _images(network, place.output), _images(network, place.reads)
    )
    if out is None:
        out = jnp.zeros(program.shapes[place.output].shape, program.dtype)
    else:
        out = layer.as_made(out)
    return operation(values[place.reads], kernel, bias, out, lost)


def _for_all(bound: Array, layer: Layer, a: Array) -> Array:
    """A bound as the layer reads it; a fused map knows how many images there are."""
    return bound if layer.place.fused is None else jnp.broadcast_to(bound, a.shape)


def _images(network: Network, number: int) -> lrp.Images:
    count = network.program.shapes[network.program.inputs[-1]].shape[0]
    return lrp.Images(count, network.meaning.values[number].batch)


def _constants(network: Network, step: Step) -> list[int]:
    """The operands of a step that hold no data but floats of their own."""
    program, values = network.program, network.meaning.values
    return [
        place
        for place, i in enumerate(step.inputs)
        if not values[i].data and jnp.issubdtype(program.shapes[i].dtype, jnp.floating)
    ]


def _propagated(
    network: Network,
    step: Step,
    role: Role,
    epsilon: float,
    values: dict[int, Any],
    lost: dict[str, Array],
) -> list:
    program, facts = network.program, network.meaning.values
    inputs = [values[i] for i in step.inputs]
    data = [place for place, i in enumerate(step.inputs) if facts[i].data]
    kind, dtype = role.kind, program.dtype
    if kind == "constant":
        return [jax.lax.stop_gradient(y) for y in step(inputs, dtype)]
    if kind == "winner" or (kind == "move" and not _constants(network, step)):
        return step(inputs, dtype)
    if kind in ("pointwise", "pass"):
        main = values[role.main] if kind == "pointwise" else inputs[role.main]
        (y,) = step([jax.lax.stop_gradient(value) for value in inputs], dtype)
        return [lrp.pass_through(jnp.broadcast_to(main, y.shape), y)]
    images = _images(network, step.outputs[0])
    if kind == "softmax":
        (y,) = step([jax.lax.stop_gradient(value) for value in inputs], dtype)
        x = values[role.main]
        return [lrp.softmax(x, y, lost[LOSSES[kind]], axes=role.axes, images=images)]
    if kind == "product":
        shape = program.shapes[step.outputs[0]].shape
        return [lrp.product(*(jnp.broadcast_to(value, shape) for value in inputs))]
    if kind == "unknown":
        raise ValueError(
            f"no relevance rule for {described(step, program.shapes)}: relevance passes linear "
            "layers, norms, activations, sums, products, pools, gates and softmax; write the "
            "network with these"
        )

    def function(parts, rest):
        filled = [*rest]
        for place, part in zip(data, parts, strict=True):
            filled.insert(place, part)
        return step(filled, dtype)[0]

    parts = [inputs[place] for place in data]
    rest = [value for place, value in enumerate(inputs) if place not in data]
    account = lost[LOSSES[kind]]
    if kind == "bilinear":
        p, q = parts
        joined = lambda p, q: step([p, q], dtype)[0]  # noqa: E731
        return [lrp.bilinear(joined, p, q, account, images=images, epsilon=epsilon)]
    reads = [_images(network, step.inputs[place]) for place in data]
    if kind == "move":
        return [lrp.moved(function, parts, account, images=images, rest=rest, reads=reads)]
    # A sum over n places is n times their mean, and stabilised as such.
    many = places_summed(step) if step.name in ("reduce_sum", "reduce_window_sum") else 1
    reads = reads if kind == "sum" and rest else []
    options: dict[str, Any] = {"images": images, "rest": rest, "reads": reads}
    return [lrp.linear_sum(function, parts, account, **options, epsilon=many * epsilon)]


def guided(network: Network) -> Program:
    """The network with guided backpropagation as its derivative.

    A ReLU passes gradients that are positive, where it is on: Springenberg et al., "Striving for
    simplicity" (ICLR 2015 workshop). All else, other activations too, has its ordinary gradient.
    """
    program, values = network.program, network.meaning.values
    # Norms and gates have maxima too, that are no activations.
    reached = network.meaning.reached(program)
    steps = [
        step._replace(instead=_guided_relu)
        if step.name == "max"
        and step.outputs[0] in reached
        and sum(values[i].data for i in step.inputs) == 1
        else step
        for step in program.steps
    ]
    return program._replace(steps=steps)


def _guided_relu(p: Array, q: Array) -> Array:
    """The maximum of data and a constant, in either order."""
    shape = jnp.broadcast_shapes(p.shape, q.shape)
    return _guided_maximum(jnp.broadcast_to(p, shape), jnp.broadcast_to(q, shape))


@jax.custom_vjp
def _guided_maximum(p, q):
    return jnp.maximum(p, q)


_guided_maximum.defvjp(
    lambda p, q: (jnp.maximum(p, q), p > q),
    lambda on, g: (jnp.where(on, jnp.maximum(g, 0), 0), jnp.where(on, 0, jnp.maximum(g, 0))),
)
