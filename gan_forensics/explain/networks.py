"""Networks that anyone wrote, read for explanation.

    a Linen module, its variables, images         called at inference, in its own words
    an NNX module, None, images                   likewise; a copy of it is called
    a function, its parameters, images            `function(parameters, images)`

Each gives logits, or something with `logits`. A function whose weights stand in it needs no
parameters: pass None.
"""

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_forensics.data.images import check_axes
from gan_forensics.explain.equations import Program
from gan_forensics.explain.layers import Layer, Path, layers_of
from gan_forensics.explain.roles import Meaning, meaning
from gan_forensics.explain.tracing import traced
from gan_forensics.files import shown
from gan_forensics.nn.calling import apply, told

MOST_CHANNELS = 4

# What to do about a network that reads more than images.
_AROUND = (
    "a network that reads more than images is given by a function around it, "
    "lambda p, x: network.apply(p, x, labels)"
)


class Network(NamedTuple):
    """A network as its equations.

    Attributes:
        program: its equations; of the parameters, then the images.
        meaning: what they mean to relevance.
        layers: its linear layers, by name.
        leaves: its parameters.
    """

    program: Program
    meaning: Meaning
    layers: dict[str, Layer]
    leaves: list[Any]

    def channel_axis(self, number: int) -> int:
        """The axis of channels of a value: that of the layer that makes it, or else the last."""
        for layer in self.layers.values():
            if number in (layer.place.made, layer.place.plain, layer.place.output):
                return layer.place.axes[0][0]
        return -1


def network_of(function: Any, parameters: Any, x: Any) -> Network:
    """Read a network; nothing is computed.

    Args:
        function, parameters: as above.
        x: images, or anything with their shape and dtype.

    Raises:
        ValueError: for what is no network, and one that gives several arrays.
    """
    function, parameters = as_function(function, parameters)
    pairs, _ = jax.tree_util.tree_flatten_with_path(parameters)
    linen = isinstance(function, _Linen)
    paths = [_path(path, linen) for path, _ in pairs]
    leaves = [leaf if hasattr(leaf, "dtype") else np.asarray(leaf) for _, leaf in pairs]
    floats = [jax.dtypes.canonicalize_dtype(a.dtype) for a in (x, *leaves)
              if jnp.issubdtype(a.dtype, jnp.floating)]  # fmt: skip
    dtype = jnp.result_type(jnp.float32, *floats)
    program, made = traced(function, parameters, x, dtype=dtype)
    if len(program.outputs) != 1 or len(program.shapes[program.outputs[0]].shape) < 1:
        raise ValueError(
            f"the network gives {jax.tree.map(lambda a: list(a.shape), made)}: give one that "
            "returns the logits alone, one row for each image, or something with `logits`"
        )
    found = meaning(program, len(leaves))
    return Network(program, found, layers_of(program, found, paths), leaves)


def find_layers(function: Any, parameters: Any, x: Any) -> dict[str, Layer]:
    """The linear layers of a network by name, in the order in which they run.

    Args:
        function, parameters: as for `relevance`.
        x: images, or anything with their shape and dtype.

    Example:
        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x, train=False):
        ...         return nn.Dense(1)(nn.relu(nn.Conv(4, (1, 1))(x)).mean((1, 2)))
        >>> net = Net()
        >>> x = np.ones((2, 4, 4, 3), np.float32)
        >>> layers = find_layers(net, net.init(jax.random.key(0), x), x)
        >>> {name: layer.shape for name, layer in layers.items()}
        {'Conv_0': (2, 4, 4, 4), 'Dense_0': (2, 1)}
    """
    check_floats(x)
    return network_of(function, parameters, x).layers


def as_function(function: Any, parameters: Any) -> tuple[Callable[[Any, Any], Any], Any]:
    """A network as a function of parameters and images; equal for equal networks, and for its own.

    Raises:
        ValueError: for what is no network.
    """
    if isinstance(function, _Linen | _Nnx | _Plain):
        return function, parameters
    if isinstance(function, type):
        raise ValueError(
            f"{function.__name__} is a class: give a network that is made of it, "
            f"{function.__name__}()"
        )
    if isinstance(function, nn.Module):
        _check_variables(function, parameters)
        return _Linen(function), parameters
    nnx: Any = sys.modules.get("flax.nnx")  # Who has such a module has imported it.
    if nnx is not None and isinstance(function, nnx.Module):
        definition, state = nnx.split(function)
        return _Nnx(definition), state if parameters is None else parameters
    if not callable(function):
        raise ValueError(
            f"a network is a Linen or NNX module or a function (parameters, images) -> logits, got "
            f"{type(function).__name__}"
        )
    return _Plain(function), parameters


def _check_variables(network: nn.Module, variables: Any) -> None:
    """Refuse what are no variables of a Linen module (ValueError)."""
    if not isinstance(variables, Mapping) or (variables and "params" not in variables):
        got = ", ".join(map(str, variables)) if isinstance(variables, Mapping) else variables
        raise ValueError(
            f"the variables of {type(network).__name__} are a dict of collections, "
            f'{{"params": ...}}, as its init gives them; got {shown(str(got))}'
        )


def _check_call(name: str, call: Any, *given: Any, **named: Any) -> None:
    """Refuse what cannot be called with images alone, before anything is (ValueError)."""
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):
        return  # Some compiled functions do not tell.
    try:
        signature.bind(*given, **named)
    except TypeError as mistake:
        raise ValueError(f"{name}: {mistake}; {_AROUND}") from None


class _Linen(NamedTuple):
    network: nn.Module

    def __call__(self, variables, x):
        network = self.network
        _check_call(type(network).__name__, network.__call__, x, **told(network, train=False))
        return _logits(apply(network, variables, x, train=False))


class _Nnx(NamedTuple):
    definition: Any

    def __call__(self, state, x):
        nnx: Any = sys.modules["flax.nnx"]
        network = nnx.merge(self.definition, state)
        network.eval()
        flag = told(network, train=False)
        _check_call(type(network).__name__, network.__call__, x, **flag)
        return _logits(network(x, **flag))


class _Plain(NamedTuple):
    function: Callable

    def __call__(self, parameters, x):
        name = getattr(self.function, "__name__", type(self.function).__name__)
        _check_call(name, self.function, parameters, x)
        return _logits(self.function(parameters, x))


def _logits(result: Any) -> Any:
    if isinstance(result, Mapping):
        if "logits" not in result:
            names = shown(", ".join(map(str, result)))
            raise ValueError(f'the network gives {names}: give one that returns "logits"')
        return result["logits"]
    return getattr(result, "logits", result)


def _path(path: tuple, linen: bool) -> Path:
    """The names along the path of a parameter, without the collection."""
    steps = []
    for step in path:
        names = (getattr(step, name, None) for name in ("key", "name", "idx"))
        steps.append(str(next((name for name in names if name is not None), step)))
    if len(steps) > 1 and (linen or steps[0] == "params"):
        steps = steps[1:]
    return tuple(steps[:-1] if len(steps) > 1 and steps[-1] in ("value", "raw_value") else steps)


def check_floats(x: Any) -> None:
    """Refuse what are no images of floats [b, h, w, c] or vectors [b, n] (ValueError)."""
    # A network may read maps of a few channels; no image is as narrow as that.
    maps = len(x.shape) == 4 and (x.shape[-1] <= MOST_CHANNELS or x.shape[1] not in (1, 3))
    if not maps and len(x.shape) == 4:
        raise ValueError(
            f"images are {list(x.shape)}: channels come first (NCHW), and must be last: "
            "x.transpose(0, 2, 3, 1), and for a network that reads them first "
            "lambda p, x: network(p, x.transpose(0, 3, 1, 2))"
        )
    if len(x.shape) not in (2, 4):
        check_axes(x.shape)
    if not x.shape[0]:
        raise ValueError(f"no images: {list(x.shape)}; give one or more")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"pixels are {x.dtype} {list(x.shape)}: give floats, normalised as the network reads "
            "them (for detectors of this package: gan_forensics.forensics.neural.preprocess)"
        )


def as_given(x: Any) -> Any:
    """The images as one array of their own type, which the network reads.

    Raises:
        ValueError: as `as_images`.
    """
    if not isinstance(x, np.ndarray | jax.Array):
        try:
            x = jnp.asarray(x)
        except (TypeError, ValueError):
            raise ValueError(f"images are one array, got {type(x).__name__}: {_AROUND}") from None
    check_floats(x)  # before JAX shortens the type
    return x


def as_images(x: Any) -> Float[Array, "b *axes"]:
    """The images as an array of floats, float32 at least.

    Raises:
        ValueError: for integers, whose relevance would mean nothing, and for other shapes.
    """
    x = jnp.asarray(as_given(x))
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))
