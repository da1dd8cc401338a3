"""Dropout whose masks do not depend on the width of JAX's floats."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array

from gan_forensics.nn.network import Network
from gan_forensics.runtime import split_over_data


class Dropout(Network):
    """Dropout (Srivastava et al., JMLR 2014): numbers are kept and scaled up, or 0.

    What Flax's layer does where `JAX_ENABLE_X64` is off; where it is on, that one draws others.
    """

    rate: float

    @nn.compact
    def __call__(self, x: Array, *, deterministic: bool) -> Array:
        """Drop numbers [b, ...] with the chance `rate`; none where it is deterministic."""
        if deterministic or self.rate == 0:
            return x
        kept = 1 - self.rate
        key = self.make_rng("dropout")
        mask = split_over_data(jax.random.bernoulli(key, jnp.float32(kept), x.shape))
        return jnp.where(mask, x / kept, jnp.zeros((), x.dtype))
