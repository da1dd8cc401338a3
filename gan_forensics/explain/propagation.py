"""Relevance of a network's logit: at its input and at every convolution, in one backward pass.

    explained = relevance(network, variables, images)
    explained.image                      # [b, h, w, c]
    explained.layers["layer1.0.conv1"]   # [b, h, w, c]

The network is an ordinary one, with its ordinary variables: its convolutions and norms are met as
modules (`gan_forensics.explain.layers`), what stands between them as equations
(`gan_forensics.explain.graph`). Batch norm counts as part of the convolution before it, spectral
norm as part of its layer's kernel (`gan_forensics.explain.canonize`), and the pooling that a
discriminator's convolution is fused with as part of the convolution.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from gan_forensics.explain import lrp
from gan_forensics.explain.canonize import effective
from gan_forensics.explain.composites import Composite, beta_zero
from gan_forensics.explain.graph import evaluated_with, relevance_handler
from gan_forensics.explain.layers import (
    Layer,
    Variables,
    as_images,
    find_layers,
    is_norm,
    logits_of,
)

if TYPE_CHECKING:
    from gan_forensics.explain.ranking import Feature
    from gan_forensics.report.figures import Figure


class Relevance(NamedTuple):
    """What one backward pass tells.

    Attributes:
        logits: of the network.
        image: relevance at the input.
        layers: relevance at the output of every convolution, by its name.
        lost: for every linear layer, the relevance of its output minus that of its input, for each
            image: what the bias, dead units and epsilon took. Rules conserve the rest.

    Example:
        >>> import numpy as np
        >>> found = Relevance(np.zeros((2, 1)), np.zeros((2, 8, 8, 3)), {}, {})
        >>> found.image.shape
        (2, 8, 8, 3)
    """

    logits: Float[Array, "b *classes"]
    image: Float[Array, "b h w c"]
    layers: dict[str, Float[Array, "b _h _w _c"]]
    lost: dict[str, Float[Array, " b"]]

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
            range: of their pixels, needed for arrays that are not uint8: (-1, 1) for what the GANs
                and detectors of this package read unless it went through `preprocess`.

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

        return relevance_figure(pictures(images, range=range), np.asarray(self.image).sum(-1))


def relevance(
    module: nn.Module,
    variables: Variables,
    x: Float[Array, "b h w c"],
    *,
    composite: Composite | None = None,
    start: Array | Callable[[Array], Array] | None = None,
) -> Relevance:
    """Propagate relevance from the logits to the input.

    A pure function of variables and images: jit it with the module fixed. Computed in the precision
    of its arguments, float32 at least, with the backend's most exact products.

    Args:
        module: called as `module.apply(variables, x, train=False)`, for logits or for something
            with `logits`, as discriminators give; may be written without any thought of relevance.
            Labels are given by a module around it. Self-attention, whose product is of two maps, is
            refused.
        variables: its "params", and "batch_stats" and "spectral_norm" if it has them.
        x: images as the network reads them.
        composite: which rule where, by default `beta_zero()`; mind its bounds of a pixel.
        start: relevance of the logits, or a function that makes it of them. By default 1 for the
            one logit of each image, as published: relevance is a share of the logit, and what
            speaks for the logit's own sign is positive, so for "real" where it is negative. With
            `lambda logits: logits` what speaks for "generated" is positive, whatever the logit.

    Raises:
        ValueError: if the network has several logits and `start` is not given, has no convolution,
            or does something that no rule is known for.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.nn import Conv
        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x, train=False):
        ...         return nn.Dense(1)(nn.relu(Conv(4, (1, 1), name="conv")(x)).mean((1, 2)))
        >>> net = Net()
        >>> x = np.ones((2, 2, 2, 3), np.float32)
        >>> found = relevance(net, net.init(jax.random.key(0), x), x)  # doctest: +SKIP
        >>> found.logits.shape, found.image.shape  # doctest: +SKIP
        ((2, 1), (2, 2, 2, 3))
    """
    x = as_images(x)
    layers = find_layers(module, variables, x)
    run = explained(module, variables, layers, composite or beta_zero())
    out, lost = _probes(layers, x)
    with jax.default_matmul_precision("highest"):
        (logits, _), back = jax.vjp(run, x, (out, lost))
        first = _start(logits, start)
        image, (out, lost) = back((first, {}))
    convolutions = {name: out[name] for name in layers if not layers[name].dense}
    return Relevance(logits, image, convolutions, lost)


class UnitRelevance(NamedTuple):
    """The relevance of each image's most active unit of one channel.

    Attributes:
        value: the activation of that unit, batch norm included, 0 if no unit is positive.
        place: its row and column.
        image: relevance of the input for it, when it has relevance 1.

    Example:
        >>> import numpy as np
        >>> found = UnitRelevance(np.ones(2), np.zeros((2, 2), int), np.zeros((2, 8, 8, 3)))
        >>> found.value.shape
        (2,)
    """

    value: Float[Array, " b"]
    place: Int[Array, "b 2"]
    image: Float[Array, "b h w c"]


def unit_relevance(
    module: nn.Module,
    variables: Variables,
    x: Float[Array, "b h w c"],
    *,
    layer: str | Sequence[str],
    channel: int | Int[Array, ""] | Int[Array, " b"],
    which: int | Int[Array, " b"] = 0,
    composite: Composite | None = None,
) -> UnitRelevance:
    """What makes a channel fire: relevance 1 at its most active unit, propagated to the input.

    The unit is the maximum over space of the positive part of the convolution's output, batch norm
    included (Chandrasegaran et al., ECCV 2022, "LRP-max").

    Args:
        module, variables, x, composite: as for `relevance`.
        layer: name of the channel's convolution; or several names, where layers differ by image.
        channel: one number, or one for each image.
        which: the place in `layer` of the one that is meant, likewise.

    Raises:
        ValueError: for a layer that the network does not have.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.nn import Conv
        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x, train=False):
        ...         return nn.Dense(1)(nn.relu(Conv(4, (1, 1), name="conv")(x)).mean((1, 2)))
        >>> net = Net()
        >>> x = np.ones((2, 2, 2, 3), np.float32)
        >>> variables = net.init(jax.random.key(0), x)
        >>> unit_relevance(net, variables, x, layer="conv", channel=1).value.shape  # doctest: +SKIP
        (2,)
    """
    x = as_images(x)
    names = (layer,) if isinstance(layer, str) else tuple(layer)
    layers = find_layers(module, variables, x)
    check_names(names, [name for name in layers if not layers[name].dense])
    run = explained(module, variables, layers, composite or beta_zero(), watched=names)
    channel, which = (jnp.broadcast_to(jnp.asarray(n), len(x)) for n in (channel, which))
    values, places, begin = [], [], {}
    with jax.default_matmul_precision("highest"):
        (logits, watched), back = jax.vjp(run, x, _probes(layers, x))
        for i, name in enumerate(names):
            maps = jnp.maximum(watched[name], 0)
            # All zeros for images that mean another layer, and so are their unit, value and place.
            chosen = jax.nn.one_hot(channel, maps.shape[-1], dtype=maps.dtype)
            chosen = chosen * (which == i)[:, None]
            active = (maps * chosen[:, None, None]).sum(-1).reshape(len(x), -1)
            peak = active.argmax(1)
            unit = jax.nn.one_hot(peak, active.shape[1], dtype=maps.dtype)
            begin[name] = (unit[:, :, None] * chosen[:, None]).reshape(maps.shape)
            values.append(active.max(1))
            places.append(jnp.stack(jnp.unravel_index(peak, maps.shape[1:3]), -1))
        image, _ = back((jnp.zeros_like(logits), begin))
    return UnitRelevance(jnp.stack(values).sum(0), jnp.stack(places).sum(0), image)


def explained(
    module: nn.Module,
    variables: Variables,
    layers: Mapping[str, Layer],
    composite: Composite,
    *,
    watched: tuple[str, ...] = (),
) -> Callable[..., Any]:
    """The network as a function whose derivative is relevance.

    It maps `(x, probes)` to the logits and the outputs of the `watched` layers, batch norm
    included. `probes` are those of `lrp.linear_layer`, `(out, lost)`, each by layer name.
    """
    folded_norms = {layer.norm for layer in layers.values()}

    def function(x, probes):
        out, lost = probes
        outputs: dict[str, Array] = {}

        def intercept(next_fun, args, kwargs, context):
            reached, name = context.module, ".".join(context.module.path)
            if context.method_name != "__call__":
                return next_fun(*args, **kwargs)
            if name in layers:
                layer = layers[name]
                rule = composite.rule(dense=layer.dense, first=layer.first)
                kernel, bias = effective(variables, layer)
                a = args[0].astype(x.dtype)
                y = lrp.linear_layer(layer.linear, rule)(a, kernel, bias, out[name], lost[name])
                outputs[name] = y
                return y
            if is_norm(reached):
                if reached.path in folded_norms:
                    return args[0]
                y = next_fun(jax.lax.stop_gradient(args[0]), *args[1:], **kwargs)
                return lrp.pass_through(args[0], y)
            return next_fun(*args, **kwargs)

        with nn.intercept_methods(intercept):
            logits = logits_of(module, variables, x)
        return logits, {name: outputs[name] for name in watched}

    return evaluated_with(relevance_handler(composite), function, constants=1)


def check_names(names, known) -> None:
    """Refuse names of layers that a network does not have.

    Raises:
        ValueError: listing them and those that it has.
    """
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(
            f"no layers {', '.join(map(repr, unknown))} in this network; its convolutions are "
            f"{', '.join(known)}"
        )


def _probes(layers: Mapping[str, Layer], x):
    """Zeros that are never read, and whose derivatives are what is asked for."""
    out = {name: jnp.zeros(layer.shape, x.dtype) for name, layer in layers.items()}
    return out, {name: jnp.zeros(len(x), x.dtype) for name in layers}


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
