"""The largest singular values of spectrally normalised layers, as training goes.

A layer divides its kernel by the sigma that its vectors u and v estimate; how far sigma drifts from
1 tells how hard the normalisation works (Miyato et al., ICLR 2018, section 4).
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict
from jaxtyping import Array, Float, PyTree

from gan_forensics.nn.spectral_norm import COLLECTION, spectral_norm


def largest_singular_values(params: PyTree, stats: PyTree) -> dict[str, Float[Array, ""]]:
    """Layer path, joined by "/", -> sigma = u^T W v, with the vectors of the last pass.

    Args:
        params: parameters of one network.
        stats: its statistics; the result is empty if they hold no "spectral_norm".

    Example:
        >>> import numpy as np
        >>> params = {"dense": {"kernel": np.diag([3.0, 1.0])}}
        >>> first = np.array([1.0, 0.0])
        >>> stats = {"spectral_norm": {"dense": {"u": first, "v": first}}}
        >>> {name: float(sigma) for name, sigma in largest_singular_values(params, stats).items()}
        {'dense': 3.0}
    """
    weights: dict[tuple[str, ...], Array] = flatten_dict(dict(params))  # pyright: ignore
    vectors: dict[tuple[str, ...], Array] = flatten_dict(  # pyright: ignore
        dict(stats.get(COLLECTION, {}))
    )
    sigmas = {}
    for *layer, vector in vectors:
        if vector != "u":
            continue
        if (*layer, "kernel") in weights:
            kernel = weights[*layer, "kernel"]
            matrix = kernel.reshape(-1, kernel.shape[-1]).T
        else:
            matrix = weights[*layer, "embedding"]
        u, v = vectors[*layer, "u"], vectors.get((*layer, "v"))
        sigmas["/".join(layer)] = spectral_norm(matrix, u, v, train=False)[3]
    return sigmas


def singular_value_range(
    params: Mapping[str, PyTree], stats: Mapping[str, PyTree]
) -> dict[str, Float[Array, ""]]:
    """The metrics "sigma_min" and "sigma_max" over all normalised layers of some networks.

    One product with a vector for each layer: nothing beside a pass of the network. Empty when no
    network has such a layer.

    Args:
        params: parameters by network name.
        stats: statistics by network name; networks that are missing are left out.
    """
    sigmas = [
        sigma
        for name in params
        for sigma in largest_singular_values(params[name], stats.get(name, {})).values()
    ]
    if not sigmas:
        return {}
    values = jax.lax.stop_gradient(jnp.stack(sigmas))
    return {"sigma_min": values.min(), "sigma_max": values.max()}
