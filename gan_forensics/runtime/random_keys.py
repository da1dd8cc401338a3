"""Where every key of random numbers begins: one seed draws the same numbers whatever JAX is told.

JAX takes the kind of its keys, an offset of all seeds and the width of integers from its
environment (`JAX_DEFAULT_PRNG_IMPL`, `JAX_RANDOM_SEED_OFFSET`, `JAX_ENABLE_X64`). Keys from here
are Threefry's, of the seed's lowest 32 bits, as JAX makes them when told nothing. What is drawn
with them depends on the width of integers and floats too, where a draw does not name its own.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array


def random_key(seed: int) -> Array:
    """The key of a seed.

    Raises:
        ValueError: where JAX is told to draw with Threefry in its earlier way, which draws others.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> key = random_key(2021)
        >>> jax.random.randint(key, (4,), 0, 10, jnp.int32).tolist()  # on every device the same
        [4, 9, 0, 7]
    """
    if not getattr(jax.config, "jax_threefry_partitionable", True):
        raise ValueError(
            "JAX_THREEFRY_PARTITIONABLE is off, with which a seed draws other numbers: leave it out"
        )
    words = jnp.array([0, int(seed) % 2**32], jnp.uint32)
    return jax.random.wrap_key_data(words, impl="threefry2x32")
