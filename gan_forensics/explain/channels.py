"""Channels of an ordinary network at work: silenced, or watched for their largest activation.

Both act on the output of convolutions, bias included, before the batch norm that follows, in
inference: a silenced channel becomes, after its batch norm, the constant that stands for "nothing
seen".
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gan_forensics.explain.layers import check_names, convolutions
from gan_forensics.explain.networks import check_floats, network_of


def masked_logits(
    function: Any,
    parameters: Any,
    x: Float[Array, "b h w c"],
    masks: Mapping[str, Float[Array | np.ndarray, " _c"]],
) -> Float[Array, "b *classes"]:
    """The network's logits with channels multiplied by their masks.

    Masks are arguments like images: one compiled function serves all sets, and `jax.vmap` over a
    leading axis of the masks several of them at once.

    Args:
        function, parameters: as for `relevance`.
        x: images as the network reads them.
        masks: by layer name, a number for each channel; layers left out keep all.

    Raises:
        ValueError: for layers that the network does not have, and for masks of another length.

    Example:
        >>> import jax
        >>> import flax.linen as nn
        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x, train=False):
        ...         return nn.Dense(1)(nn.relu(nn.Conv(4, (1, 1))(x)).mean((1, 2)))
        >>> net = Net()
        >>> x = np.ones((2, 2, 2, 3), np.float32)
        >>> variables = net.init(jax.random.key(0), x)
        >>> np.asarray(masked_logits(net, variables, x, {"Conv_0": np.zeros(4)})).ravel()
        array([0., 0.], dtype=float32)
    """
    check_floats(x)
    network = network_of(function, parameters, x)
    check_names(masks, convolutions(network.layers))
    factors: dict[int, Array] = {}
    for name, given in masks.items():
        layer, factor = network.layers[name], jnp.asarray(given, network.program.dtype)
        if factor.shape != (layer.channels,):
            raise ValueError(
                f"the mask of {name!r} has shape {list(factor.shape)}, its channels are "
                f"{layer.channels}: give one number for each"
            )
        beside = factor.reshape((1,) * (len(layer.shape) - 1) + (-1,))
        factors[layer.place.plain] = layer.as_made(beside)

    def mask(number: int, value: Any) -> Any:
        return value * factors[number] if number in factors else value

    (logits,) = network.program([*network.leaves, x], mask)
    return logits


def max_activations(
    function: Any,
    parameters: Any,
    x: Float[Array, "b h w c"],
    layers: Sequence[str] | None = None,
) -> dict[str, Float[Array, "b _c"]]:
    """The largest value over space of every channel of the layers (by default all convolutions).

    Raises:
        ValueError: for layers that the network does not have.

    Example:
        >>> import jax
        >>> import flax.linen as nn
        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x, train=False):
        ...         return nn.Dense(1)(nn.relu(nn.Conv(4, (1, 1))(x)).mean((1, 2)))
        >>> net = Net()
        >>> x = np.ones((2, 2, 2, 3), np.float32)
        >>> {n: a.shape for n, a in max_activations(net, net.init(jax.random.key(0), x), x).items()}
        {'Conv_0': (2, 4)}
    """
    check_floats(x)
    network = network_of(function, parameters, x)
    known = convolutions(network.layers)
    check_names(layers or (), known)
    wanted = known if layers is None else layers
    places = {network.layers[name].place.plain: name for name in wanted}
    maxima: dict[str, Array] = {}

    def watch(number: int, value: Any) -> Any:
        if number in places:
            maps = network.layers[places[number]].channels_last(value)
            maxima[places[number]] = maps.max(tuple(range(1, maps.ndim - 1)))
        return value

    network.program([*network.leaves, x], watch)
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
