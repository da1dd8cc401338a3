"""Stands for ADA until it lands."""

import flax.linen as nn
import jax.numpy as jnp


def adaptive_augment(images, key, p):
    return jnp.where(p > 2, -images, images)


class AdaptiveProbability(nn.Module):
    target: float = 0.6
    kimg: float = 500.0

    @nn.compact
    def __call__(self, logits, *, train):
        p = self.variable("adaptive", "p", lambda: jnp.float32(0))
        r = self.variable("adaptive", "r", lambda: jnp.float32(0))
        if train and not self.is_initializing():
            r.value = jnp.sign(logits).mean()
            p.value = p.value + 0.01
        return p.value
