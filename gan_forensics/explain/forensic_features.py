"""Forensic feature relevance (FF-RS): which channels carry a detector's evidence.

Chandrasegaran et al., "Discovering transferable forensic features for CNN-generated images
detection" (ECCV 2022). With the relevance R of an image at the output of a convolution, the share
of a channel c is

    sum_hw max(R_c, 0) / sum_c'hw |R_c'|,

and omega is its mean over generated images that the detector is confident of: the share of the
layer's relevance that the channel holds as evidence for "generated". 0 <= omega, and the omegas of
a layer sum to its mean positive fraction, at most 1. The channels of highest omega, over all
layers, are the transferable forensic features.
"""

import functools
from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jaxtyping import Array, Bool, Float

from gan_forensics.explain.composites import Composite, beta_zero
from gan_forensics.explain.layers import feature_layers
from gan_forensics.explain.networks import as_function, check_floats, find_layers
from gan_forensics.explain.pixels import pixel_bounds
from gan_forensics.explain.propagation import relevance

CONFIDENCE = 0.9  # the score from which a generated image counts as recognised


def channel_shares(
    layers: Mapping[str, Float[Array | np.ndarray, "b h w _c"]],
) -> dict[str, Float[Array | np.ndarray, "b _c"]]:
    """Every channel's share of each image's relevance; 0 in a layer without any relevance.

    Example:
        >>> relevance = np.zeros((1, 2, 2, 3))
        >>> relevance[0, 0, 0] = 1, 2, 1
        >>> channel_shares({"conv": relevance})["conv"]
        array([[0.25, 0.5 , 0.25]])
    """
    shares = {}
    for name, r in layers.items():
        xp = r.__array_namespace__()
        space = tuple(range(1, r.ndim - 1))
        total = xp.abs(r).sum((*space, -1))[:, None]
        positive = xp.maximum(r, 0).sum(space)
        shares[name] = xp.where(total > 0, positive / xp.where(total > 0, total, 1), 0)
    return shares


@struct.dataclass
class FeatureRelevance:
    """FF-RS over a stream of images: sums of shares, which merge by addition.

    It is a pytree of sums: it checkpoints, crosses jit, and adds up over devices by `psum`.

    Attributes:
        count: images counted.
        shares: for every layer, the sum of its channels' shares.
        silent: for every layer, the images without any relevance there, whose shares are 0.

    Example:
        >>> state = FeatureRelevance(2, {"conv": np.array([1.0, 3.0])}, {"conv": 0})
        >>> state.merge(state).result()["conv"]
        array([0.5, 1.5])
    """

    count: Any
    shares: dict[str, Any]
    silent: dict[str, Any]

    @classmethod
    def zero(cls, channels: Mapping[str, int]) -> "FeatureRelevance":
        """The state before any image; `channels` by layer name."""
        return cls(
            count=np.zeros(()),
            shares={name: np.zeros(n) for name, n in channels.items()},
            silent={name: np.zeros(()) for name in channels},
        )

    def update(
        self,
        layers: Mapping[str, Float[Array | np.ndarray, "b h w _c"]],
        mask: Bool[Array | np.ndarray, " b"] | None = None,
    ) -> "FeatureRelevance":
        """The state after a batch.

        Args:
            layers: relevance at every layer of this state.
            mask: images to count; one that is masked out is ignored even if it holds NaN.

        Raises:
            ValueError: if the layers or their channels are not those of this state.
        """
        given = {name: r.shape[-1] for name, r in layers.items()}
        known = {name: s.shape[-1] for name, s in self.shares.items()}
        if given != known:
            odd = sorted(n for n in given | known if given.get(n) != known.get(n))
            raise ValueError(
                f"relevance at {', '.join(odd)} does not fit this statistic: give the layers and "
                "channels that it was made for"
            )
        first = next(iter(layers.values()))
        xp = first.__array_namespace__()
        kept = xp.ones(len(first), dtype=bool) if mask is None else xp.asarray(mask, dtype=bool)
        kept_maps = {
            n: xp.where(kept.reshape(-1, *[1] * (r.ndim - 1)), r, 0) for n, r in layers.items()
        }
        totals = {n: xp.abs(r).sum(tuple(range(1, r.ndim))) for n, r in kept_maps.items()}
        shares = channel_shares(kept_maps)
        return self.merge(
            FeatureRelevance(
                count=kept.sum(),
                shares={name: s.sum(0) for name, s in shares.items()},
                silent={name: (kept & (total == 0)).sum() for name, total in totals.items()},
            )
        )

    def merge(self, other: "FeatureRelevance") -> "FeatureRelevance":
        """The state that has seen what both have seen."""
        return jax.tree.map(lambda a, b: a + b, self, other)

    def result(self) -> dict[str, Float[np.ndarray, " c"]]:
        """Omega of every channel by layer, float64.

        Raises:
            ValueError: if no image was counted.
        """
        count = float(self.count)
        if count == 0:
            raise ValueError(
                "no image was counted: the detector is confident of none of them; lower the "
                "confidence, or give images that it recognises"
            )
        return {name: np.asarray(s, np.float64) / count for name, s in self.shares.items()}


def feature_relevance(
    function: Any,
    parameters: Any,
    batches: Iterable[Float[np.ndarray, "b h w c"]],
    *,
    range: tuple[Any, Any] | None = None,
    composite: Composite | None = None,
    confidence: float = CONFIDENCE,
) -> FeatureRelevance:
    """FF-RS of a detector over batches of generated images, in memory for one batch.

    Args:
        function, parameters: the detector, as for `relevance`, with one logit that is high for
            generated images.
        batches: images as the network reads them. Smaller batches than the first are filled up, so
            that one compilation serves all of them.
        range: the least and the greatest value that an image may have, as for `relevance`.
        composite: which rule where, as for `relevance`.
        confidence: images with a lower score, sigmoid(logit), are not counted.

    Returns:
        The state; `result()` gives the omegas and raises if no image was confidently recognised.

    Raises:
        ValueError: if there is no batch, or a batch is larger than the first, if the network has no
            convolution, and as `relevance` does.

    Example:
        >>> import flax.linen as nn
        >>> class Net(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x, train=False):
        ...         return nn.Dense(1)(nn.relu(nn.Conv(4, (1, 1))(x)).mean((1, 2)))
        >>> net = Net()
        >>> x = np.ones((2, 4, 4, 3), np.float32)
        >>> variables = net.init(jax.random.key(0), x)
        >>> state = feature_relevance(net, variables, [x], range=(-1, 1))  # doctest: +SKIP
        >>> {name: shares.shape for name, shares in state.result().items()}  # doctest: +SKIP
        {'Conv_0': (4,)}
    """
    state, size = None, 0
    composite = composite or beta_zero()
    for batch in batches:
        batch = np.asarray(batch)
        check_floats(batch)
        pixel_bounds(jnp.asarray(batch), range, composite)
        if state is None:
            size = len(batch)
            function, parameters = as_function(function, parameters)
            found = feature_layers(find_layers(function, parameters, jnp.asarray(batch)))
            if not found:
                raise ValueError(
                    "the network has no convolution to several channels, and features are channels "
                    "of convolutions: give a convolutional network"
                )
            state = FeatureRelevance.zero({n: layer.channels for n, layer in found.items()})
            step = _compiled(function, tuple(found), _hashable(range), composite, confidence)
        if len(batch) > size:
            raise ValueError(
                f"a batch of {len(batch)} after a first one of {size}: give the largest first"
            )
        mask = np.arange(size) < len(batch)
        filled = np.concatenate([batch, np.repeat(batch[:1], size - len(batch), 0)])
        # Sums over many batches are kept on the host, in float64.
        state = state.merge(jax.tree.map(np.asarray, step(parameters, filled, mask)))
    if state is None:
        raise ValueError("no images: give at least one batch")
    return state


def _hashable(bounds: tuple[Any, Any] | None) -> tuple[tuple[float, ...], ...] | None:
    return bounds and tuple(tuple(np.ravel(bound).tolist()) for bound in bounds)


@functools.lru_cache(maxsize=16)
def _compiled(function, names, bounds, composite, confidence):
    """One function for all calls that differ in images alone, so that it is compiled once."""
    return jax.jit(functools.partial(_step, function, names, bounds, composite, confidence))


def _step(function, names, bounds, composite, confidence, parameters, x, mask) -> FeatureRelevance:
    explained = relevance(function, parameters, x, range=bounds, composite=composite)
    layers = {name: explained.layers[name] for name in names}
    zero = FeatureRelevance.zero({name: r.shape[-1] for name, r in layers.items()})
    zero = jax.tree.map(lambda a: jnp.asarray(a, x.dtype), zero)
    return zero.update(layers, mask & (jax.nn.sigmoid(explained.logits.reshape(-1)) >= confidence))
