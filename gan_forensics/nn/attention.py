"""Self-attention between the places of a map (Zhang et al., "Self-attention GANs", ICML 2019)."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.nn.conv import Conv
from gan_forensics.nn.initial import zeros
from gan_forensics.nn.network import Network
from gan_forensics.nn.spectral_norm import SNConv


class SelfAttention(Network):
    """y = x + gamma o(A g(x)), where A = softmax(theta(x) phi(x)^T) over the keys.

    theta and phi are 1x1 convolutions to c / 8 channels, g to c / 2, o back to c, all without
    bias; phi and g are max-pooled 2x2, so a map of h w places has h w / 4 keys. The products are
    not divided by a root of their length. gamma is a scalar and starts at 0, where the layer is the
    identity. Raises ValueError for fewer than 8 channels.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> layer, x = SelfAttention(), jnp.ones((1, 4, 4, 16))
        >>> y, made = jax.eval_shape(lambda: layer.init_with_output(random_key(0), x, train=True))
        >>> y.shape, made["params"]["phi"]["kernel"].shape  # keys of 16 / 8 channels
        ((1, 4, 4, 16), (1, 1, 16, 2))
    """

    spectral_norm: bool = True
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h w c"]:
        """Add to every place what it finds at the others."""
        b, h, w, channels = x.shape
        if channels < 8:
            raise ValueError(
                f"self-attention needs at least 8 channels for its queries, got {channels}: "
                "make the network wider"
            )

        def pointwise(y, name, features):
            options: dict[str, Any] = dict(use_bias=False, dtype=self.dtype, name=name)
            if self.spectral_norm:
                return SNConv(features, 1, **options)(y, train=train)
            return Conv(features, 1, **options)(y)

        query = pointwise(x, "theta", channels // 8).reshape(b, h * w, -1)
        key = _max_pooled(pointwise(x, "phi", channels // 8))
        value = _max_pooled(pointwise(x, "g", channels // 2))
        scores = jnp.einsum("bqc,bkc->bqk", query, key)
        # float32 also in a bfloat16 network: the softmax has many small terms.
        scores = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
        weights = jax.nn.softmax(scores, axis=-1).astype(value.dtype)
        found = jnp.einsum("bqk,bkc->bqc", weights, value).reshape(b, h, w, -1)
        gamma = self.param("gamma", zeros, (), jnp.float32)
        y = pointwise(found, "o", channels)
        return x + gamma.astype(y.dtype) * y


def _max_pooled(x):
    """[b, h, w, c] to the maxima of blocks of 2x2, [b, h w / 4, c]; odd last places are left."""
    b, h, w, channels = x.shape
    blocks = x[:, : h // 2 * 2, : w // 2 * 2].reshape(b, h // 2, 2, w // 2, 2, channels)
    return blocks.max((2, 4)).reshape(b, -1, channels)
