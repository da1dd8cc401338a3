"""From relevance at the input to pictures: heat maps and the patches that they single out."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped


def heat_map(image: Float[Array | np.ndarray, "*b h w c"]) -> Float[Array | np.ndarray, "*b h w"]:
    """Positive evidence at every pixel: relevance summed over colours, over its maximum.

    Values in [0, 1]; 0 everywhere for an image without positive relevance.

    Example:
        >>> heat_map(np.ones((1, 2, 2, 3))).shape
        (1, 2, 2)
    """
    xp = np if isinstance(image, np.ndarray) else jnp
    positive = xp.maximum(image.sum(-1), 0)
    most = positive.max((-2, -1), keepdims=True)
    return positive / xp.where(most > 0, most, 1)


class Box(NamedTuple):
    """Rows top to bottom and columns left to right, all inclusive.

    Example:
        >>> Box(top=2, bottom=5, left=1, right=3).bottom
        5
    """

    top: int
    bottom: int
    left: int
    right: int

    def crop(
        self, image: Shaped[np.ndarray, "h w *c"], *, drop_last: bool = False
    ) -> Shaped[np.ndarray, "h2 w2 *c"]:
        """The part of an image in the box; `drop_last` leaves out its last row and column.

        The released code of Chandrasegaran et al. (ECCV 2022) leaves them out, except where the
        box is the whole image for want of a pixel; a box of one row then has an empty crop.
        """
        short = 1 if drop_last else 0
        rows = slice(self.top, self.bottom + 1 - short)
        return image[rows, self.left : self.right + 1 - short]


def bounding_box(heat: Float[np.ndarray, "h w"], *, percentile: float = 75.0) -> Box:
    """The smallest box around all pixels hotter than the percentile of the map.

    The percentile is linearly interpolated; the whole image if no pixel is hotter.

    Example:
        >>> heat = np.zeros((8, 8))
        >>> heat[2:4, 5:7] = 1
        >>> bounding_box(heat)
        Box(top=2, bottom=3, left=5, right=6)
    """
    heat = np.asarray(heat)
    rows, columns = np.nonzero(heat > np.percentile(heat, percentile))
    if not len(rows):
        return Box(0, heat.shape[0] - 1, 0, heat.shape[1] - 1)
    return Box(int(rows.min()), int(rows.max()), int(columns.min()), int(columns.max()))
