"""How many numbers networks hold, in words: what a state or a detector says of itself."""

import math
from collections.abc import Mapping
from typing import Any

import jax
from jaxtyping import PyTree


def parameters(tree: PyTree) -> int:
    """Numbers in all arrays of a tree: concrete, traced, or shapes alone.

    Example:
        >>> import jax.numpy as jnp
        >>> parameters({"kernel": jnp.ones((3, 4)), "bias": jnp.ones(4)})
        16
    """
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


def in_short(count: int) -> str:
    """A count as a line has room for it: 9,872, then 35.2 k and 1.24 M."""
    for unit, size in (("k", 1e3), ("M", 1e6)):
        if 10_000 <= count < 999.5 * size:
            return f"{count / size:.3g} {unit}"
    return f"{count:,}" if count < 10_000 else f"{count / 1e6:,.0f} M"


def networks_in_short(networks: Mapping[str, Any]) -> str:
    """Trees of parameters by network name: "generator 1.24 M, discriminator 663 k parameters"."""
    sizes = ", ".join(f"{name} {_size(tree)}" for name, tree in networks.items())
    return f"{sizes} parameters" if sizes else "no parameters"


def _size(tree: PyTree) -> str:
    # What maps of a state hold in the place of arrays, such as shardings, has no size.
    sized = all(hasattr(leaf, "shape") for leaf in jax.tree.leaves(tree))
    return in_short(parameters(tree)) if sized else "?"
