"""The linear layers of a network, found among its equations: convolutions and matrix products.

A layer is an equation that multiplies data with a kernel of parameters. The shifts and factors for
each channel that follow it and that nothing else reads, its bias and its batch norm, belong to it.
It is known by the path of its kernel among the parameters, without the last step: "layer1.0.conv1"
for a network whose modules carry published names, "Conv_0" or "encoder.conv" for others. A layer
that runs twice is "name" and "name[1]".
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from gan_forensics.explain.equations import Program, Step
from gan_forensics.explain.roles import Meaning

# What a kernel is called within its layer.
_KERNELS = frozenset("kernel w W weight weights embedding".split())
_SAME = frozenset("convert_element_type copy copy_p reduce_precision".split())
_AFFINE = frozenset("add add_any sub mul div".split())

Path = tuple[str, ...]


class Place(NamedTuple):
    """Where a layer stands among the equations; values and steps by their numbers.

    Attributes:
        step: that multiplies.
        fused: a linear map of the data that this layer alone reads, which counts as part of it.
        reads: the data.
        kernel: the kernel.
        chain: the steps that follow and belong to the layer.
        made: what `step` makes.
        plain: what the layer makes with its own bias, before any norm.
        output: what it makes in the end.
        axes: for every axis of channels of the output, that of the kernel.
    """

    step: int
    fused: int | None
    reads: int
    kernel: int
    chain: tuple[int, ...]
    made: int
    plain: int
    output: int
    axes: tuple[tuple[int, int], ...]

    @property
    def steps(self) -> set[int]:
        """All that belong to the layer."""
        return {self.step, *self.chain} | (set() if self.fused is None else {self.fused})


class Layer(NamedTuple):
    """A linear layer of a network.

    Attributes:
        path: of its parameters.
        dense: whether it is a matrix product, and not a convolution.
        first: whether no layer stands between its inputs and the network's.
        linear: `(a, kernel) -> z`, the layer without its bias.
        shape: of its output, with the channels last.
        norm: the path of the batch norm that belongs to it, or None.
        epsilon: of that batch norm.
        place: where it stands among the equations.

    Example:
        >>> layer = Layer(("conv",), False, True, lambda x, y: x, (3, 3, 3, 8))
        >>> layer.channels
        8
    """

    path: Path
    dense: bool
    first: bool
    linear: Callable[[Array, Array], Array]
    shape: tuple[int, ...]
    norm: Path | None = None
    epsilon: float = 0.0
    place: Place = Place(0, None, 0, 0, (), 0, 0, 0, ())

    @property
    def channels(self) -> int:
        """How many channels the output has."""
        return self.shape[-1]

    def channels_last(self, y: Array) -> Array:
        """What the layer makes, with the channels last."""
        return y if self.dense else jnp.moveaxis(y, self.place.axes[0][0], -1)

    def as_made(self, y: Array) -> Array:
        """The inverse of `channels_last`."""
        return y if self.dense else jnp.moveaxis(y, -1, self.place.axes[0][0])


def feature_layers(layers: Mapping[str, Layer]) -> dict[str, Layer]:
    """The layers whose channels are features: convolutions to more than one channel.

    A convolution to one channel is a network's logit, which would hold all relevance by itself.

    Example:
        >>> conv = Layer(("conv",), False, True, lambda x, y: x, (1, 8, 8, 4))
        >>> fc = Layer(("fc",), True, False, lambda x, y: x, (1, 4))
        >>> list(feature_layers({"conv": conv, "fc": fc}))
        ['conv']
    """
    return {name: layer for name, layer in layers.items() if not layer.dense and layer.channels > 1}


def convolutions(layers: Mapping[str, Layer]) -> list[str]:
    """The names of those that are convolutions."""
    return [name for name, layer in layers.items() if not layer.dense]


def check_names(names: Iterable[str], known: Iterable[str]) -> None:
    """Refuse names of layers that a network does not have.

    Raises:
        ValueError: listing them and those that it has.
    """
    known = list(known)
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(
            f"no layers {', '.join(map(repr, unknown))} in this network; its convolutions are "
            f"{', '.join(known)}"
        )


def layers_of(program: Program, meaning: Meaning, paths: Sequence[Path]) -> dict[str, Layer]:
    """The layers of a program by name, in the order in which they run.

    Args:
        program: of a network.
        meaning: of it.
        paths: of the parameters that are its first inputs.
    """
    readers, found = program.readers(), {}
    for number, role in enumerate(meaning.roles):
        if role.kind != "layer":
            continue
        layer = _layer(program, meaning, paths, readers, number)
        name = ".".join(layer.path) or f"{'dense' if layer.dense else 'conv'}_{len(found)}"
        again = sum(other == name or other.startswith(f"{name}[") for other in found)
        found[f"{name}[{again}]" if again else name] = layer
    return found


def _layer(
    program: Program,
    meaning: Meaning,
    paths: Sequence[Path],
    readers: Mapping[int, list[int]],
    number: int,
) -> Layer:
    step, values = program.steps[number], meaning.values
    side = meaning.roles[number].main
    reads, kernel = step.inputs[side], step.inputs[1 - side]
    main = _main_leaf(program, paths, values[kernel].leaves)
    owner = paths[main][:-1] if main is not None else ()
    axes = _channel_axes(step, side, program)
    chain = _chain(program, meaning, readers, number, dict(axes))
    plain, norm, epsilon = step.outputs[0], None, 0.0
    for place in chain:
        after = program.steps[place]
        leaves = frozenset[int]().union(*(values[i].leaves for i in after.inputs
                                          if not values[i].data))  # fmt: skip
        owners = {paths[leaf][:-1] for leaf in leaves if leaf < len(paths)}
        own = owner in owners or (leaves and not owners)
        if plain == step.outputs[0] and after.name in ("add", "add_any") and own:
            plain = after.outputs[0]
        elif leaves and owners:
            norm = norm or min(owners)
            epsilon = epsilon or _epsilon(program, after)
    output = program.steps[chain[-1]].outputs[0] if chain else step.outputs[0]
    fused = _fused(program, readers, reads, step)
    if fused is not None:
        reads = program.steps[fused].inputs[0]
    dense, shape = step.name == "dot_general", list(program.shapes[output].shape)
    if not dense:
        shape.append(shape.pop(axes[0][0]))
    linear = partial(_linear, step, None if fused is None else program.steps[fused],
                     side, program.dtype)  # fmt: skip
    place = Place(
        number, fused, reads, kernel, chain, step.outputs[0], plain, output, axes
    )  # fmt: skip
    path = _name(paths[main]) if main is not None else ()
    return Layer(path, dense, values[reads].shallow, linear, tuple(shape), norm, epsilon, place)


def _epsilon(program: Program, step: Step) -> float:
    """The number that is added to the variance of a norm, among what a step multiplies with."""
    makers = {i: made for made in program.steps for i in made.outputs}
    waiting = [i for i in step.inputs if i not in program.touched]
    while waiting:
        made = makers.get(waiting.pop())
        if made is None:
            continue
        for i in made.inputs if made.name in ("add", "add_any") else ():
            if np.size(program.constants.get(i, ())) == 1:
                return float(np.reshape(program.constants[i], ()))
        waiting += made.inputs
    return 0.0


def _linear(step: Step, fused: Step | None, side: int, dtype, a: Array, kernel: Array) -> Array:
    (a,) = (a,) if fused is None else fused([a], dtype)
    return step([a, kernel] if side == 0 else [kernel, a], dtype)[0]


def _name(path: Path) -> Path:
    return path[:-1] if len(path) > 1 and path[-1] in _KERNELS else path


def _main_leaf(program: Program, paths: Sequence[Path], leaves: Iterable[int]) -> int | None:
    """The largest parameter that a kernel is made of; vectors of its spectral norm are smaller."""
    named = sorted(leaf for leaf in leaves if leaf < len(paths))
    sizes = {leaf: program.shapes[program.inputs[leaf]].size for leaf in named}
    return max(named, key=lambda leaf: (sizes[leaf], "kernel" in paths[leaf]), default=None)


def _channel_axes(step: Step, side: int, program: Program) -> tuple[tuple[int, int], ...]:
    """The axes of the output that are the kernel's own, each with that of the kernel."""
    params = step.equation.params
    if step.name == "conv_general_dilated":
        numbers = params["dimension_numbers"]
        return ((numbers.out_spec[1], numbers.rhs_spec[0]),)
    contracted, batched = params["dimension_numbers"]
    rank = [len(program.shapes[i].shape) for i in step.inputs]
    free = [[a for a in range(rank[k]) if a not in (*contracted[k], *batched[k])] for k in (0, 1)]
    ahead = len(batched[0]) + (len(free[0]) if side == 0 else 0)
    shared = [(place, axis) for place, axis in enumerate(batched[1 - side])]
    return (*shared, *((ahead + place, axis) for place, axis in enumerate(free[1 - side])))


def _chain(
    program: Program,
    meaning: Meaning,
    readers: Mapping[int, list[int]],
    number: int,
    axes: Mapping[int, int],
) -> tuple[int, ...]:
    """The shifts and factors for each channel that follow a step and that alone read it."""
    value, chain, kept = program.steps[number].outputs[0], [], 0
    while len(readers.get(value, ())) == 1 and readers[value][0] >= 0:
        place = readers[value][0]
        step = program.steps[place]
        if step.name in _AFFINE:
            other = step.inputs[1 - step.inputs.index(value)]
            known = meaning.values[other]
            divides = step.name == "div" and step.inputs[0] == other
            beside = program.shapes[step.outputs[0]].shape != program.shapes[value].shape
            if other in program.touched or divides or beside or not known.varies <= set(axes):
                break
            chain.append(place)
            kept = len(chain) if known.leaves else kept
        elif step.name in _SAME:
            chain.append(place)
        else:
            break
        value = step.outputs[0]
    return tuple(chain[:kept])


def _fused(
    program: Program, readers: Mapping[int, list[int]], reads: int, step: Step
) -> int | None:
    """The step of a linear function with a derivative of its own that only this layer reads."""
    if len(readers[reads]) != 1 or step.name != "conv_general_dilated":
        return None
    for place, before in enumerate(program.steps):
        if reads in before.outputs:
            return place if before.inner is not None else None
    return None
