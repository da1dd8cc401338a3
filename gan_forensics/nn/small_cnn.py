"""A small classifier for images of some 8 to 64 pixels and for CPUs."""

from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import at_least_float32
from gan_forensics.nn.resnet import GlobalMean, check_images, conv_norm, logits

STAGES = 3


class SmallCnn(Network):
    """Three stages of a 3x3 convolution, batch norm and ReLU, 2x2 maxima between; mean; linear.

    Attributes:
        classes: number of logits; None for the means [b, 4 width] that the last layer reads.
        width: channels of the first stage; each has twice as many as the one before.
        dtype: that of the computation; parameters are float32.

    Images are [b, h, w, 1 or 3]. Raises ValueError for sides under 4 pixels.
    """

    classes: int | None
    width: int = 16
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b classes"]:
        """Score the images; `train` uses and moves the batch statistics."""
        check_images(x, 2 ** (STAGES - 1))
        for stage in range(STAGES):
            features = self.width * 2**stage
            x = conv_norm(self, x, f"conv{stage}", f"bn{stage}", features, 3, train=train)
            x = nn.relu(x)
            if stage < STAGES - 1:
                x = nn.max_pool(x, (2, 2), (2, 2))
        means = GlobalMean()(x)
        if self.classes is None:
            return at_least_float32(means)
        return logits(means, self.classes, name="fc", dtype=self.dtype)
