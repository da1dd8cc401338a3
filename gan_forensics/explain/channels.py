"""Channels of an ordinary network at work: silenced, or watched for their largest activation.

Both act on the output of convolutions, before the batch norm that follows, in inference: a silenced
channel becomes, after its batch norm, the constant that stands for "nothing seen".
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gan_forensics.explain.layers import CONVOLUTIONS, Variables, check_floats, logits_of
from gan_forensics.explain.propagation import check_names


def masked_logits(
    module: nn.Module,
    variables: Variables,
    x: Float[Array, "b h w c"],
    masks: Mapping[str, Float[Array | np.ndarray, " _c"]],
) -> Float[Array, "b *classes"]:
    """The network's logits with channels multiplied by their masks.

    Masks are arguments like images: one compiled function serves all sets, and `jax.vmap` over a
    leading axis of the masks several of them at once.

    Args:
        module: as for `logits_of`.
        variables: of the network.
        x: images as the network reads them.
        masks: by layer name, a number for each channel; layers left out keep all.

    Raises:
        ValueError: for layers that the network does not have, and for masks of another length.

    Example:
        >>> import jax
        >>> from gan_forensics.nn import Conv
        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x, train=False):
        ...         return nn.Dense(1)(nn.relu(Conv(4, (1, 1), name="conv")(x)).mean((1, 2)))
        >>> net = Net()
        >>> x = np.ones((2, 2, 2, 3), np.float32)
        >>> variables = net.init(jax.random.key(0), x)
        >>> np.asarray(masked_logits(net, variables, x, {"conv": np.zeros(4)})).ravel()
        array([0., 0.], dtype=float32)
    """
    seen: list[str] = []

    def mask(name: str, y: Array) -> Array:
        seen.append(name)
        if name not in masks:
            return y
        factor = jnp.asarray(masks[name], y.dtype)
        if factor.shape != y.shape[-1:]:
            raise ValueError(
                f"the mask of {name!r} has shape {list(factor.shape)}, its channels are "
                f"{y.shape[-1]}: give one number for each"
            )
        return y * factor.reshape(1, 1, 1, -1)

    logits = _with_convolutions(mask, module, variables, x)
    check_names(masks, seen)
    return logits


def max_activations(
    module: nn.Module,
    variables: Variables,
    x: Float[Array, "b h w c"],
    layers: Sequence[str] | None = None,
) -> dict[str, Float[Array, "b _c"]]:
    """The largest value over space of every channel of the layers (by default all convolutions).

    Raises:
        ValueError: for layers that the network does not have.

    Example:
        >>> import jax
        >>> from gan_forensics.nn import Conv
        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x, train=False):
        ...         return nn.Dense(1)(nn.relu(Conv(4, (1, 1), name="conv")(x)).mean((1, 2)))
        >>> net = Net()
        >>> x = np.ones((2, 2, 2, 3), np.float32)
        >>> {n: a.shape for n, a in max_activations(net, net.init(jax.random.key(0), x), x).items()}
        {'conv': (2, 4)}
    """
    maxima: dict[str, Array] = {}
    seen: list[str] = []

    def watch(name: str, y: Array) -> Array:
        seen.append(name)
        if layers is None or name in layers:
            maxima[name] = y.max((1, 2))
        return y

    _with_convolutions(watch, module, variables, x)
    check_names(layers or (), seen)
    return maxima


class TopImages(NamedTuple):
    """The images that a channel fires most at, strongest first: [k, n] for k channels.

    Example:
        >>> found = TopImages(values=np.array([[0.9, 0.7]]), images=np.array([[4, 0]]))
        >>> found.images[0]
        array([4, 0])
    """

    values: Float[np.ndarray, "k n"]
    images: Int[np.ndarray, "k n"]


def top_images(maxima: Float[np.ndarray, "images k"], n: int) -> TopImages:
    """The n images of largest activation for each of k channels; earlier images first on ties.

    The first pass over a data set gathers `maxima`; a second then needs these images only.
    With fewer than n images, all of them.

    Example:
        >>> top_images(np.array([[0.1, 5.0], [0.9, 4.0], [0.5, 6.0]]), n=2).images
        array([[1, 2],
               [2, 0]])
    """
    maxima = np.asarray(maxima)
    order = np.argsort(-maxima, axis=0, kind="stable")[:n]
    return TopImages(np.take_along_axis(maxima, order, 0).T, order.T)


def _with_convolutions(visit, module: nn.Module, variables: Variables, x) -> Any:
    """Apply the network with `visit(name, output)` in the place of every convolution's output."""

    check_floats(x)

    def intercept(next_fun, args, kwargs, context):
        y = next_fun(*args, **kwargs)
        if isinstance(context.module, CONVOLUTIONS) and context.method_name == "__call__":
            return visit(".".join(context.module.path), y)
        return y

    with nn.intercept_methods(intercept):
        return logits_of(module, variables, x)
