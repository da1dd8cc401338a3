"""The law of a generator's noise."""

import functools
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Draw = Callable[[Array, int, Mapping[str, Array] | None], Float[Array, "n latent"]]


class Prior(NamedTuple):
    """What the noise z of a generator is drawn from.

    Attributes:
        name: for messages.
        latent: length of z.
        draw: (key, n, batch) -> z; the batch of real examples serves priors that depend on data,
            and is None where images are drawn after training.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> def signs(key, n, batch):
        ...     return jax.random.rademacher(key, (n, 8), jnp.float32)
        >>> Prior("signs", 8, signs).draw(random_key(0), 3, None).shape
        (3, 8)
    """

    name: str
    latent: int
    draw: Draw


# One object for one law, so that what is compiled for it is found again.
@functools.cache
def normal(latent: int) -> Prior:
    """N(0, I)."""
    return Prior(
        "normal", latent, lambda key, n, _: jax.random.normal(key, (n, latent), jnp.float32)
    )


@functools.cache
def uniform(latent: int) -> Prior:
    """Each number uniform in [-1, 1), as in Dist-GAN and its kin."""
    return Prior(
        "uniform", latent, lambda key, n, _: jax.random.uniform(key, (n, latent), jnp.float32, -1.0)
    )


PRIORS = {"normal": normal, "uniform": uniform}
