"""Initial variables of networks, drawn on the host.

Compiling a network to draw its parameters takes XLA longer than all else of a short run: every
kernel is a program of its own. Here a network is only traced, and its initialisers draw with NumPy.
The numbers depend on the key and the layer's place in its network alone, so they are the same on
every backend and for any number of devices.

The initialisers below are Flax's kind, `init(key, shape, dtype)`. Called by Flax itself, inside or
outside of `jit`, they draw with `jax.random` from the key as any other does.
"""

import contextlib
import contextvars
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, PyTree

from gan_forensics.runtime import once_for_equal

# Convolutions are then traced as one operation: the fast ones take long to trace. Their values are
# the same, since JAX keeps what it traced of functions that are jitted within a network.
_only_shapes: contextvars.ContextVar[bool] = contextvars.ContextVar("only shapes", default=False)

Initializer = Callable[[Any, Sequence[int], Any], Any]
Law = Literal["uniform", "normal", "truncated"]

# The deviation of a standard normal law that is cut at two deviations.
_CUT = 0.87962566103423978

# Where the initialisers below take (law, scale, shape, dtype) from; None is `jax.random`.
_Source = Callable[[Law, float, Sequence[int], Any], Any]
_source: contextvars.ContextVar[_Source | None] = contextvars.ContextVar(
    "of what a layer starts with", default=None
)


def only_shapes() -> bool:
    """Whether what is traced is asked for its shapes alone."""
    return _only_shapes.get()


@contextlib.contextmanager
def with_plain_convolutions() -> Iterator[None]:
    """Whatever is traced meanwhile convolves by single operations."""
    token = _only_shapes.set(True)
    try:
        yield
    finally:
        _only_shapes.reset(token)


def shapes_of(function: Callable, *arguments: Any) -> Any:
    """`jax.eval_shape` of a function that applies networks, in a fraction of the time."""
    with with_plain_convolutions():
        return jax.eval_shape(function, *arguments)


def initial_variables(network: nn.Module, key: Array, *inputs: Any, **options: Any) -> PyTree:
    """What `network.init(key, *inputs, **options)` returns, without compiling the network.

    Variables of layers with initialisers other than this module's are compiled and drawn by JAX.
    Inside a transformation, where the key is not known, all of them are.

    Args:
        network: of any kind.
        key: of the draw.
        *inputs: arrays, or `jax.ShapeDtypeStruct`s in their place.
        **options: of the network's call, such as `train`.
    """
    if isinstance(key, Tracer):
        return network.init(key, *(jnp.zeros(x.shape, x.dtype) for x in inputs), **options)
    entropy = np.asarray(jax.random.key_data(key)).ravel().tolist()
    found: dict[str, Any] = {}
    drawn: list[np.ndarray] = []

    def traced(key, *inputs):
        generators: dict[tuple[str, ...], np.random.Generator] = {}

        def with_generator(call, args, kwargs, context):
            path = context.module.path
            if path not in generators:
                place = list("/".join(path).encode())
                generators[path] = np.random.default_rng([*entropy, *place])

            def source(*what: Any) -> np.ndarray:
                drawn.append(_draw_on_host(generators[path], *what))
                return drawn[-1]

            token = _source.set(source)
            try:
                return call(*args, **kwargs)
            finally:
                _source.reset(token)

        with nn.intercept_methods(with_generator):
            found["variables"] = network.init(key, *inputs, **options)
        return found["variables"]

    shapes_of(traced, key, *inputs)
    leaves, structure = jax.tree.flatten(found["variables"])
    by_jax = tuple(i for i, leaf in enumerate(leaves) if not isinstance(leaf, np.ndarray))
    if by_jax:
        given = [jnp.zeros(x.shape, x.dtype) for x in inputs]
        draw_by_jax = _drawing_by_jax(network, tuple(options.items()), by_jax)
        for i, leaf in zip(by_jax, draw_by_jax(key, drawn, given), strict=True):
            leaves[i] = np.asarray(leaf)
    return jax.tree.unflatten(structure, leaves)


@once_for_equal
def _drawing_by_jax(network: nn.Module, options: tuple, places: tuple[int, ...]) -> Callable:
    """A compiled function of the key, of what the host drew, and of inputs, to some variables."""

    @jax.jit
    def draw(key: Array, drawn: Sequence[Array], inputs: Sequence[Array]) -> list[Array]:
        left = iter(drawn)
        token = _source.set(lambda *_: next(left))
        try:
            leaves = jax.tree.leaves(network.init(key, *inputs, **dict(options)))
        finally:
            _source.reset(token)
        return [leaves[place] for place in places]

    return draw


def _draw_on_host(
    rng: np.random.Generator, law: Law, scale: float, shape: Sequence[int], dtype
) -> np.ndarray:
    if law == "uniform":
        drawn = rng.random(shape, np.float32)
        drawn -= 0.5
        drawn *= 2 * scale
    elif law == "normal":
        drawn = rng.standard_normal(shape, np.float32)
        drawn *= scale
    else:
        from scipy.special import ndtr, ndtri

        drawn = scale * ndtri(rng.uniform(ndtr(-2), ndtr(2), shape))
    return drawn.astype(dtype, copy=False)


def _draw(law: Law, scale: float, key, shape: Sequence[int], dtype) -> Any:
    """`scale` times standard numbers: uniform in [-1, 1), normal, or normal cut at two."""
    if source := _source.get():
        return source(law, scale, shape, dtype)
    if law == "uniform":
        return jax.random.uniform(key, shape, dtype, -scale, scale)
    if law == "normal":
        return scale * jax.random.normal(key, shape, dtype)
    return scale * jax.random.truncated_normal(key, -2, 2, shape, dtype)


def constant(value: float) -> Initializer:
    """All entries are `value`."""

    def init(key, shape, dtype=jnp.float32):
        full = jnp.full if _source.get() is None else np.full
        return full(shape, value, dtype)

    return init


zeros, ones = constant(0), constant(1)


def normal(deviation: float, mean: float = 0.0) -> Initializer:
    """The normal law of this deviation and mean."""

    def init(key, shape, dtype=jnp.float32):
        drawn = _draw("normal", deviation, key, shape, dtype)
        return drawn + mean if mean else drawn

    return init


def torch_uniform(fan_in: int) -> Initializer:
    """PyTorch's default initialiser of weights and biases: U(-1/sqrt(fan_in), 1/sqrt(fan_in)).

    `fan_in` is kh kw in / groups for a convolution, and, as PyTorch reckons it for the weight
    [in, out, kh, kw] of a transposed one, kh kw **out**.
    """

    def init(key, shape, dtype=jnp.float32):
        return _draw("uniform", fan_in**-0.5, key, shape, dtype)

    return init


def glorot(gain: float = 1.0) -> Initializer:
    """Glorot's uniform initialiser: U(-a, a) with a = gain sqrt(6 / (fan_in + fan_out)).

    Kernels are [..., in, out]; a fan counts the places of the leading axes too.
    """

    def init(key, shape, dtype=jnp.float32):
        places = math.prod(shape[:-2])
        reach = gain * math.sqrt(6 / (places * (shape[-2] + shape[-1])))
        return _draw("uniform", reach, key, shape, dtype)

    return init


def he_normal_fan_out() -> Initializer:
    """He et al. (ICCV 2015), fan out: the normal law of deviation sqrt(2 / fan_out)."""

    def init(key, shape, dtype=jnp.float32):
        deviation = math.sqrt(2 / (math.prod(shape[:-2]) * shape[-1]))
        return _draw("normal", deviation, key, shape, dtype)

    return init


def he_normal() -> Initializer:
    """He et al. (ICCV 2015), fan in: the normal law of deviation sqrt(2 / fan_in)."""

    def init(key, shape, dtype=jnp.float32):
        return _draw("normal", math.sqrt(2 / math.prod(shape[:-1])), key, shape, dtype)

    return init


def lecun_normal() -> Initializer:
    """Flax's default of kernels: a cut normal law of deviation sqrt(1 / fan_in)."""

    def init(key, shape, dtype=jnp.float32):
        return _draw("truncated", math.prod(shape[:-1]) ** -0.5 / _CUT, key, shape, dtype)

    return init
