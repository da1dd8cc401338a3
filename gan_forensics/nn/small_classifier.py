"""A small classifier whose last features measure images where no published network fits."""

from typing import Any, NamedTuple

import flax.linen as nn
from jaxtyping import Array, Float

from gan_forensics.nn.conv import Conv
from gan_forensics.nn.initial import lecun_normal, zeros
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import at_least_float32

STAGES = 3


class Classified(NamedTuple):
    """Features before the last layer, and logits."""

    features: Float[Array, "b d"]
    logits: Float[Array, "b classes"]


class SmallClassifier(Network):
    """Three 3x3 convolutions with ReLU, 2x2 mean pooling between them; global mean; linear.

    The features are the d = 4 `width` global means.
    """

    classes: int
    width: int = 16
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Classified:
        """Images in [-1, 1] with sides of at least 4 to features and logits."""
        if min(x.shape[1:3]) < 4:
            raise ValueError(
                f"images of {x.shape[1]}x{x.shape[2]} are too small: sides of 4 or more"
            )
        for stage in range(STAGES):
            x = Conv(self.width * 2**stage, 3, dtype=self.dtype, name=f"conv_{stage}")(x)
            x = nn.relu(x)
            if stage < STAGES - 1:
                x = nn.avg_pool(x, (2, 2), (2, 2))
        features = at_least_float32(x).mean((1, 2))
        start: dict[str, Any] = dict(kernel_init=lecun_normal(), bias_init=zeros)
        return Classified(features, nn.Dense(self.classes, name="logits", **start)(features))
