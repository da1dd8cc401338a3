"""Winograd's short convolution along the rows of a map: half the products of a kernel of 3 rows.

Lavin and Gray, "Fast algorithms for convolutional neural networks", CVPR 2016, F(4, 3): four
values of a filter with three taps, y = A^T [(G w) * (B^T x)], take six products, not twelve. Here a
value is a row of the map and a product is a convolution with a kernel of one row, so that columns,
their padding and the channels stay what they are. (Along both axes, F(2x2, 3x3), the passes over
memory ate up the gain below 128 channels.)

Rounding errors are about three times those of the plain sum: too much for half precision only.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, Float

TILE = 4  # rows of the result that are made together
TAPS = 3  # rows of the kernel

# The points 0, 1, -1, 2, -2 and infinity.
_IMAGES = (  # B^T, of the rows -1, ..., 4 around a tile
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
_KERNELS = (  # G, of the rows of the kernel
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
_OUTPUTS = (  # A, of the rows of a tile, for each of the six products
    (1, 0, 0, 0),
    (1, 1, 1, 1),
    (1, -1, 1, -1),
    (1, 2, 4, 8),
    (1, -2, 4, -8),
    (0, 0, 0, 1),
)


def images(x: Float[Array, "b 4*t w c"]) -> list[Float[Array, "b t w c"]]:
    """B^T x, the six maps to be multiplied: of a map with a row of zeros above and one below."""
    b, h, width, channels = x.shape
    tiles = x.reshape(b, h // TILE, TILE, width, channels)
    inside = [tiles[:, :, row] for row in range(TILE)]
    # The neighbours' rows from the tiles themselves: to pad the whole map would copy it.
    zeros = jnp.zeros((b, 1, width, channels), x.dtype)
    above = jnp.concatenate([zeros, inside[-1][:, :-1]], axis=1)
    below = jnp.concatenate([inside[0][:, 1:], zeros], axis=1)
    return [_combined(row, [above, *inside, below]) for row in _IMAGES]


def kernels(w: Float[Array, "3 k i o"]) -> list[Float[Array, "1 k i o"]]:
    """G w, the six kernels to multiply with."""
    rows = [w[row : row + 1] for row in range(TAPS)]
    return [_combined(row, rows) for row in _KERNELS]


def outputs(products: Sequence[Float[Array, "b t w o"]]) -> Float[Array, "b 4*t w o"]:
    """A^T of the six products of maps and kernels: the convolution."""
    b, tiles, width, features = products[0].shape
    # Rows as an axis that is broadcast: to stack them would put branches into inner loops.
    parts = [
        jnp.asarray(rows, product.dtype).reshape(1, 1, TILE, 1, 1) * product[:, :, None]
        for rows, product in zip(_OUTPUTS, products, strict=True)
    ]
    y = sum(parts[1:], parts[0])
    return y.reshape(b, tiles * TILE, width, features)


def _combined(weights: Sequence[float], arrays: Sequence[Array]) -> Array:
    """The sum of the arrays, weighted; those of weight 0 are left out, not multiplied."""
    terms = [weight * x for weight, x in zip(weights, arrays, strict=True) if weight]
    return sum(terms[1:], terms[0])
