"""Neighbouring pixel relations: what nearest up-sampling leaves between the pixels of an image.

Tan et al., "Rethinking the up-sampling operations in CNN-based generative network for generalizable
deepfake detection" (CVPR 2024). Up-sampling layers make the pixels of each 2x2 square depend on one
another; the residual of an image against its own nearest down- and up-sampling shows these
relations and little else, so that a small network learns them and not what the images depict.
Images keep their size: resizing would make relations of its own.
"""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.nn.resnet import ResNet

SCALE = 2 / 3


def nearest_residual(x: Float[Array, "b h w c"]) -> Float[Array, "b h2 w2 c"]:
    """2/3 of every pixel less the first one, at the top left, of its 2x2 square.

    The last row of an odd height and the last column of an odd width belong to no square and are
    left out. A quarter of the residual, the first pixels, is zero; so is all of it where an image
    is its own nearest up-sampling on this grid.
    """
    x = x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2]
    first = x[:, ::2, ::2]
    return SCALE * (x - jnp.repeat(jnp.repeat(first, 2, 1), 2, 2))


def npr(classes: int | None = 1, *, width: int = 64, dtype: Any = None) -> ResNet:
    """The residual through the first two stages of a ResNet-50, on a 3x3 stem of stride 2.

    3 and 4 bottlenecks of widths 64 and 128; places of the last map are 8 pixels apart.
    """
    widths = (width, 2 * width)
    return ResNet((3, 4), widths, classes, stem_kernel=3, dtype=dtype, front=nearest_residual)
