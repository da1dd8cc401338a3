"""The layers of a network, found by running it once without computing anything.

A layer is known by the names of the modules above it joined by dots, so that a network whose
modules carry published names has published layer names: "layer1.0.conv1".
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from gan_forensics.data.images import check_axes
from gan_forensics.nn.conv import Conv, convolve
from gan_forensics.nn.norms import BatchNorm, GroupNorm1, InstanceNorm
from gan_forensics.nn.resblocks import BlockConv
from gan_forensics.nn.spectral_norm import Dense, SNConv, SNDense

Variables = Mapping[str, Any]

MOST_CHANNELS = 4
CONVOLUTIONS = (Conv, SNConv, BlockConv)
PRODUCTS = (nn.Dense, Dense, SNDense)


class Layer(NamedTuple):
    """A linear layer of a network.

    Attributes:
        path: of its parameters.
        dense: whether it is a matrix product, and not a convolution.
        first: whether it is the first linear layer, whose inputs are pixels.
        linear: `(a, kernel) -> z`, the layer without its bias.
        shape: of its output.
        spectral_norm: whether it divides its kernel by an estimate of the largest singular value.
        norm: the path of the batch norm that reads the output, or None.
        epsilon: of that batch norm.

    Example:
        >>> layer = Layer(("conv",), False, True, lambda x, y: x, (3, 3, 3, 8), spectral_norm=False)
        >>> layer.shape
        (3, 3, 3, 8)
    """

    path: tuple[str, ...]
    dense: bool
    first: bool
    linear: Callable[[Array, Array], Array]
    shape: tuple[int, ...]
    spectral_norm: bool
    norm: tuple[str, ...] | None = None
    epsilon: float = 0.0

    @property
    def channels(self) -> int:
        """How many channels the output has."""
        return self.shape[-1]


def find_layers(module: nn.Module, variables: Variables, x: Any) -> dict[str, Layer]:
    """The linear layers of a network by name, in the order in which they run.

    Args:
        module: as for `logits_of`.
        variables: of the network.
        x: images, or anything with their shape and dtype.

    Raises:
        ValueError: for a network without a convolution.

    Example:
        >>> from gan_forensics.nn import Conv
        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x, train=False):
        ...         return nn.Dense(1)(nn.relu(Conv(4, (1, 1), name="conv")(x)).mean((1, 2)))
        >>> net = Net()
        >>> x = np.ones((2, 4, 4, 3), np.float32)
        >>> layers = find_layers(net, net.init(jax.random.key(0), x), x)
        >>> {name: layer.shape for name, layer in layers.items()}
        {'conv': (2, 4, 4, 4), 'Dense_0': (2, 1)}
    """
    found: dict[str, Layer] = {}
    outputs: list[tuple[Array, str]] = []  # Kept, so that no identity is used twice.

    def record(next_fun, args, kwargs, context):
        layer, y = context.module, next_fun(*args, **kwargs)
        if context.method_name != "__call__":
            return y
        if isinstance(layer, CONVOLUTIONS + PRODUCTS):
            name = ".".join(layer.path)
            found[name] = Layer(
                layer.path,
                dense=isinstance(layer, PRODUCTS),
                first=not found,
                linear=linear_of(layer),
                shape=y.shape,
                spectral_norm=getattr(layer, "spectral_norm", isinstance(layer, SNConv | SNDense)),
            )
            outputs.append((y, name))
        elif isinstance(layer, BatchNorm):
            for output, name in outputs:
                if output is args[0]:
                    norm = {"norm": layer.path, "epsilon": layer.epsilon}
                    found[name] = found[name]._replace(**norm)
        return y

    check_floats(x)

    def run(variables, x):
        with nn.intercept_methods(record):
            return logits_of(module, variables, x)

    jax.eval_shape(run, variables, x)
    if not any(not layer.dense for layer in found.values()):
        raise ValueError(
            f"{type(module).__name__} has no convolution of gan_forensics.nn: features are "
            "channels of convolutions, give a convolutional network"
        )
    return found


def feature_layers(layers: Mapping[str, Layer]) -> dict[str, Layer]:
    """The layers whose channels are features: convolutions to more than one channel.

    A convolution to one channel is a network's logit, which would hold all relevance by itself.

    Example:
        >>> conv = Layer(("conv",), False, True, lambda x, y: x, (1, 8, 8, 4), spectral_norm=False)
        >>> fc = Layer(("fc",), True, False, lambda x, y: x, (1, 4), spectral_norm=False)
        >>> list(feature_layers({"conv": conv, "fc": fc}))
        ['conv']
    """
    return {name: layer for name, layer in layers.items() if not layer.dense and layer.channels > 1}


def logits_of(module: nn.Module, variables: Variables, x: Any) -> Any:
    """`module.apply(variables, x, train=False)`, or its `logits` if it has these and others."""
    result = module.apply(variables, x, train=False)
    return getattr(result, "logits", result)


def linear_of(layer: nn.Module) -> Callable[[Array, Array], Array]:
    """`(a, kernel) -> z`: what the module computes with a kernel as it is, without its bias."""
    if isinstance(layer, BlockConv):
        # With the scaling that is fused into it, which is linear as well.
        plain = layer.clone(parent=None, spectral_norm=False, dtype=None)

        def scaled(a, kernel) -> Any:
            bias = jnp.zeros(kernel.shape[-1], kernel.dtype)
            return plain.apply({"params": {"kernel": kernel, "bias": bias}}, a, train=False)

        return scaled
    if isinstance(layer, SNConv):
        return partial(convolve, strides=layer.strides, padding=layer.padding)
    if isinstance(layer, Conv):
        return partial(
            convolve,
            strides=layer.strides,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=layer.groups,
        )
    return _product


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a norm, through which relevance passes unchanged."""
    return isinstance(module, BatchNorm | GroupNorm1 | InstanceNorm)


def check_floats(x: Any) -> None:
    """Refuse what are no images of floats [b, h, w, c], naming the mistake (ValueError)."""
    # A network may read maps of a few channels; no image is as narrow as that.
    if len(x.shape) != 4 or (x.shape[-1] > MOST_CHANNELS and x.shape[1] in (1, 3)):
        check_axes(x.shape)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise ValueError(
            f"pixels are {x.dtype} {list(x.shape)}: give floats, normalised as the network reads "
            "them (for detectors of this package: gan_forensics.forensics.neural.preprocess)"
        )


def as_images(x: Any) -> Float[Array, "b h w c"]:
    """The images as an array of floats, float32 at least.

    Raises:
        ValueError: for integers, whose relevance would mean nothing, and for other shapes.
    """
    x = x if isinstance(x, np.ndarray | jax.Array) else jnp.asarray(x)
    check_floats(x)  # before JAX shortens the type
    x = jnp.asarray(x)
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def at(tree: Variables, path: tuple[str, ...]) -> Any:
    """The subtree or array at a path."""
    for step in path:
        tree = tree[step]
    return tree


def _product(a: Float[Array, "*b i"], kernel: Float[Array, "i o"]) -> Float[Array, "*b o"]:
    return jnp.dot(a, kernel)
