"""Relevance of a network's logit: at its input and at every convolution, in one backward pass.

    explained = relevance(network, variables, images, range=(-1, 1))
    explained.image                      # [b, h, w, c]
    explained.layers["layer1.0.conv1"]   # [b, h, w, c]

The network is an ordinary one, a Linen or NNX module or a function, written without any thought of
relevance: it is met as its equations (`gan_forensics.explain.equations`), whose roles are found
(`roles`) and which are evaluated with relevance as their derivative (`graph`).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from gan_forensics.explain.composites import Composite, beta_zero
from gan_forensics.explain.graph import check_flow, losses, propagating
from gan_forensics.explain.intervals import Bounds
from gan_forensics.explain.layers import Layer, check_names, convolutions
from gan_forensics.explain.networks import Network, as_given, as_images, network_of
from gan_forensics.explain.pixels import pixel_bounds

if TYPE_CHECKING:
    from gan_forensics.explain.ranking import Feature
    from gan_forensics.report.figures import Figure


class Relevance(NamedTuple):
    """What one backward pass tells.

    Attributes:
        logits: of the network.
        image: relevance at the input.
        layers: relevance at the output of every convolution, by its name, with the channels last,
            in the order in which they run (under jit JAX sorts them).
        lost: what relevance did not arrive, for each image, by where it was lost: at a layer, by
            its name (its bias, dead units, epsilon); in "sums" (epsilon of residual sums, means and
            resizes, and what constants added that differ from place to place, as positions; one
            number for each channel that is no layer's own bias is passed by, as a norm's is); in
            "attention" (the constant term of softmax, epsilon of its products); with "constants"
            that were put beside data (padding, a class token). The image's relevance and all that
            was lost sum to what started: for each image, unless the network mixes them (a
            minibatch's deviation), and then for all together.
        range: of a pixel, as it was told.

    Example:
        >>> found = Relevance(np.zeros((2, 1)), np.zeros((2, 8, 8, 3)), {}, {})
        >>> found.image.shape
        (2, 8, 8, 3)
    """

    logits: Float[Array, "b *classes"]
    image: Float[Array, "b h w c"]
    layers: dict[str, Float[Array, "b _h _w _c"]]
    lost: dict[str, Float[Array, " b"]]
    range: tuple[Any, Any] | None = None

    def __repr__(self) -> str:
        """What there is, without the arrays themselves."""
        shapes = ", ".join(f"{name} {list(np.shape(r))}" for name, r in self.layers.items())
        return (
            f"Relevance(logits {list(np.shape(self.logits))}, image {list(np.shape(self.image))}, "
            f"layers: {shapes or 'none'}; lost: {', '.join(self.lost) or 'none'})"
        )

    def top_channels(self, n: int = 5) -> "list[Feature]":
        """The n channels of largest omega, over these images and all convolutions.

        Omega as forensic features count it (`feature_relevance`): the share of its layer's absolute
        relevance that a channel holds as positive one, in the mean over images, here all of them.
        A convolution to one channel is no feature. With the default start, positive is what speaks
        for the sign of each image's logit; with `lambda logits: logits`, for "generated".

        Raises:
            ValueError: for n below 1, and where no convolution has several channels.

        Example:
            >>> import numpy as np
            >>> maps = {"conv": np.ones((2, 4, 4, 3)) * [3, -2, 5]}
            >>> found = Relevance(np.zeros((2, 1)), np.zeros((2, 8, 8, 3)), maps, {})
            >>> [(feature.name, feature.omega) for feature in found.top_channels(2)]
            [('conv.#2(T=3)', 0.5), ('conv.#0(T=3)', 0.3)]
        """
        from gan_forensics.explain.forensic_features import FeatureRelevance
        from gan_forensics.explain.ranking import rank

        maps = {name: np.asarray(r) for name, r in self.layers.items() if r.shape[-1] > 1}
        if n < 1 or not maps:
            raise ValueError(
                f"the {n} top channels of {len(maps)} convolutions with several channels: ask for "
                "1 or more, of a network that has such"
            )
        state = FeatureRelevance.zero({name: r.shape[-1] for name, r in maps.items()})
        return rank(state.update(maps).result())[:n]

    def figure(self, images: Any, *, range: tuple[float, float] | None = None) -> "Figure":
        """Each image and the relevance in it, side by side, all on one scale of colours.

        Args:
            images: those that were explained, as they are to be seen, of any kind that
                `gan_forensics.data.as_images` takes.
            range: of the pixels of arrays that are not uint8, by default the one that was told to
                `relevance`, where it is two numbers.

        Raises:
            ValueError: as `as_images`, and for other images than those that were explained.

        Example:
            >>> import numpy as np
            >>> found = Relevance(np.zeros((2, 1)), np.zeros((2, 8, 8, 3)), {}, {})
            >>> len(found.figure(np.zeros((2, 8, 8, 3), np.uint8)).axes)  # two pairs and the scale
            5
        """
        from gan_forensics.data import as_images as pictures
        from gan_forensics.report.relevance import relevance_figure

        if range is None and getattr(images, "dtype", np.uint8) != np.uint8:
            ends = self.range or ()
            if ends and all(np.ndim(end) == 0 for end in ends):
                range = float(ends[0]), float(ends[1])
        return relevance_figure(pictures(images, range=range), np.asarray(self.image).sum(-1))


def relevance(
    function: Any,
    parameters: Any,
    x: Float[Array, "b h w c"],
    *,
    range: tuple[Any, Any] | None = None,
    composite: Composite | None = None,
    start: Array | Callable[[Array], Array] | None = None,
) -> Relevance:
    """Propagate relevance from the logits to the input.

    A pure function of parameters and images: jit it with the network fixed. Computed in the
    precision of its arguments, float32 at least, with the backend's most exact products.

    Convolutions and matrix products with parameters have the rules of the composite, bias and batch
    norm included. Activations, gated values, and layer, group, instance and RMS norms pass all
    relevance on; sums share it by what each part adds; products of two values halve it; attention
    is that of AttnLRP (Achtibat et al., ICML 2024): `gan_forensics.explain.lrp` names each rule's
    source.

    Args:
        function: a Linen module, called at inference in its own words; an NNX module; or any
            function (parameters, images). It gives logits, or something with `logits`. Whatever
            else it reads, labels or a second image, is given by a function around it:
            `lambda p, x: network.apply(p, x, labels)`.
        parameters: of the function: the variables of a Linen module; None for an NNX module, and
            for a function whose weights all stand in it. Kernels that stand in a function which has
            parameters as well are taken for fixed filters, no layers; an error where they outnumber
            the parameters.
        x: images as the network reads them, or vectors [b, n].
        range: the least and the greatest value that an image may have, as numbers or for each
            channel: (-1, 1) for this house's GANs, `composites.IMAGENET` for images that went
            through `preprocess`. It bounds the pixels in the rule of the first layers, and is
            needed where they have one for bounded inputs, as by default. Values outside are an
            error, except under jit, where nobody can know them.
        composite: which rule where, by default `beta_zero()`.
        start: relevance of the logits, or a function that makes it of them. By default 1 for the
            one logit of each image, as published: relevance is a share of the logit, and what
            speaks for the logit's own sign is positive, so for "real" where it is negative. With
            `lambda logits: logits` what speaks for "generated" is positive, whatever the logit.

    Raises:
        ValueError: if the network has several logits and `start` is not given, if bounds are needed
            and not given or do not hold, or if the network does something that no rule is known
            for, or that leaves nothing of the images to explain (whole numbers, comparisons,
            `stop_gradient`); the step, its module and the line of code that asks for it are named.

    Example:
        >>> import flax.linen as nn
        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x, train=False):
        ...         return nn.Dense(1)(nn.relu(nn.Conv(4, (1, 1))(x)).mean((1, 2)))
        >>> net = Net()
        >>> x = np.ones((2, 2, 2, 3), np.float32)
        >>> variables = net.init(jax.random.key(0), x)
        >>> found = relevance(net, variables, x, range=(-1, 1))  # doctest: +SKIP
        >>> found.logits.shape, found.image.shape, list(found.layers)  # doctest: +SKIP
        ((2, 1), (2, 2, 2, 3), ['Conv_0'])
    """
    own, x, composite = as_given(x), as_images(x), composite or beta_zero()
    pixels = pixel_bounds(x, range, composite)
    with jax.default_matmul_precision("highest"):
        network = network_of(function, parameters, own)
        check_flow(network)
        run = _of_images(network, composite, pixels)
        logits, back = jax.vjp(lambda *a: run(*a)[0], x, _probes(network))
        image, (out, lost) = back(_start(logits, start))
    # As the layers run: JAX has sorted them by name.
    out = {name: out[name] for name in convolutions(network.layers)}
    lost = {name: lost[name] for name in losses(network)}
    return Relevance(logits, image, out, lost, range)


class UnitRelevance(NamedTuple):
    """The relevance of each image's most active unit of one channel.

    Attributes:
        value: the activation of that unit, batch norm included, 0 if no unit is positive.
        place: its row and column.
        image: relevance of the input for it, when it has relevance 1.

    Example:
        >>> found = UnitRelevance(np.ones(2), np.zeros((2, 2), int), np.zeros((2, 8, 8, 3)))
        >>> found.value.shape
        (2,)
    """

    value: Float[Array, " b"]
    place: Int[Array, "b 2"]
    image: Float[Array, "b h w c"]


def unit_relevance(
    function: Any,
    parameters: Any,
    x: Float[Array, "b h w c"],
    *,
    layer: str | Sequence[str],
    channel: int | Int[Array, ""] | Int[Array, " b"],
    which: int | Int[Array, " b"] = 0,
    range: tuple[Any, Any] | None = None,
    composite: Composite | None = None,
) -> UnitRelevance:
    """What makes a channel fire: relevance 1 at its most active unit, propagated to the input.

    The unit is the maximum over space of the positive part of the convolution's output, batch norm
    included (Chandrasegaran et al., ECCV 2022, "LRP-max").

    Args:
        function, parameters, x, range, composite: as for `relevance`.
        layer: name of the channel's convolution; or several names, where layers differ by image.
        channel: one number, or one for each image.
        which: the place in `layer` of the one that is meant, likewise.

    Raises:
        ValueError: for a layer or channel that the network does not have, and as `relevance` does.

    Example:
        >>> import flax.linen as nn
        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x, train=False):
        ...         return nn.Dense(1)(nn.relu(nn.Conv(4, (1, 1))(x)).mean((1, 2)))
        >>> net = Net()
        >>> x = np.ones((2, 2, 2, 3), np.float32)
        >>> unit = {"layer": "Conv_0", "channel": 1, "range": (-1, 1)}
        >>> variables = net.init(jax.random.key(0), x)
        >>> unit_relevance(net, variables, x, **unit).value.shape  # doctest: +SKIP
        (2,)
    """
    own, x, composite = as_given(x), as_images(x), composite or beta_zero()
    pixels = pixel_bounds(x, range, composite)
    names = (layer,) if isinstance(layer, str) else tuple(layer)
    values, places, begin = [], [], {}
    with jax.default_matmul_precision("highest"):
        network = network_of(function, parameters, own)
        layers = network.layers
        check_names(names, convolutions(layers))
        _check_channels([layers[name] for name in names], names, channel, which)
        channel, which = (jnp.broadcast_to(jnp.asarray(n), len(x)) for n in (channel, which))
        run = _of_images(network, composite, pixels)

        def watched(x, probes):
            _, found = run(x, probes)
            return {n: layers[n].channels_last(found[layers[n].place.output]) for n in names}

        outputs, back = jax.vjp(watched, x, _probes(network))
        for i, name in enumerate(names):
            maps = jnp.maximum(outputs[name], 0)
            # All zeros for images that mean another layer, and so are their unit, value and place.
            chosen = jax.nn.one_hot(channel, maps.shape[-1], dtype=maps.dtype)
            chosen = chosen * (which == i)[:, None]
            active = (maps * chosen[:, None, None]).sum(-1).reshape(len(x), -1)
            peak = active.argmax(1)
            unit = jax.nn.one_hot(peak, active.shape[1], dtype=maps.dtype)
            begin[name] = (unit[:, :, None] * chosen[:, None]).reshape(maps.shape)
            values.append(active.max(1))
            places.append(jnp.stack(jnp.unravel_index(peak, maps.shape[1:3]), -1))
        image, _ = back(begin)
    return UnitRelevance(jnp.stack(values).sum(0), jnp.stack(places).sum(0), image)


def _check_channels(
    layers: Sequence[Layer], names: Sequence[str], channel: Any, which: Any
) -> None:
    """Refuse channels that their layers do not have; under jit nobody can know them."""
    if isinstance(channel, Tracer) or isinstance(which, Tracer):
        return
    for number, place in np.broadcast(channel, which):
        if not 0 <= place < len(names):
            raise ValueError(f"which={place}: layer= names {len(names)}, counted from 0")
        if not 0 <= number < layers[place].channels:
            raise ValueError(
                f"there is no channel {number} in {names[place]!r}: it has "
                f"{layers[place].channels}, counted from 0"
            )


def _of_images(network: Network, composite: Composite, pixels: Bounds | None) -> Callable:
    run = propagating(network, composite, pixels)
    return lambda x, probes: run(network.leaves, x, probes)


def _probes(network: Network):
    """Zeros that are never read, and whose derivatives are what is asked for."""
    program, layers = network.program, network.layers
    images = program.shapes[program.inputs[-1]].shape[0]
    out = {n: jnp.zeros(layers[n].shape, program.dtype) for n in convolutions(layers)}
    return out, {name: jnp.zeros(images, program.dtype) for name in losses(network)}


def _start(logits, start):
    if start is None:
        if logits.size != len(logits):
            raise ValueError(
                f"the network has logits of shape {list(logits.shape)}: say which to explain by "
                "start=, for instance a one-hot array of that shape"
            )
        return jnp.ones_like(logits)
    first = jnp.asarray(start(logits) if callable(start) else start, logits.dtype)
    if first.shape != logits.shape:
        raise ValueError(
            f"start has shape {list(first.shape)}, the logits {list(logits.shape)}: give one "
            "number for every logit"
        )
    return first
