"""MobileNetV2: inverted bottlenecks with ReLU6 and without squeeze-and-excitation.

Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks" (CVPR 2018), table 2, in
the layout of torchvision, whose weights are published and whose names the layers carry
("features.2.conv.0.0"). Images are [b, h, w, c], normalised as the weights expect; logits are
[b, classes]. Padding is symmetric. In training, dropout draws from the key "dropout".
"""

import math
from functools import partial
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from gan_forensics.nn.dropout import Dropout
from gan_forensics.nn.efficientnet import Block, scaled_blocks, scaled_features
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import at_least_float32
from gan_forensics.nn.resnet import GlobalMean, check_images, conv_norm, logits

STEM, HEAD = 32, 1280  # channels of the first convolution and of the last
DROPOUT = 0.2
# The rows of table 2: how many blocks, and the first of them; the others have no stride.
STAGES = (
    (1, Block(3, 1, 1, 16)),
    (2, Block(3, 2, 6, 24)),
    (3, Block(3, 2, 6, 32)),
    (4, Block(3, 2, 6, 64)),
    (3, Block(3, 1, 6, 96)),
    (3, Block(3, 2, 6, 160)),
    (1, Block(3, 1, 6, 320)),
)


class InvertedResidual(Network):
    """1x1 up, depthwise, 1x1 down without a nonlinearity; plus the input where shapes allow."""

    block: Block
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 o"]:
        """Map a feature map."""
        kernel, stride, expand, features = self.block
        wide = x.shape[-1] * expand
        layer = partial(conv_norm, self, train=train)
        y, at = x, 0
        if expand != 1:
            y, at = nn.relu6(layer(y, "conv.0.0", "conv.0.1", wide)), 1
        names = f"conv.{at}.0", f"conv.{at}.1"
        y = nn.relu6(layer(y, *names, wide, kernel, stride, groups=wide))
        y = layer(y, f"conv.{at + 1}", f"conv.{at + 2}", features)
        return y + x if stride == 1 and x.shape[-1] == features else y


class MobileNetV2(Network):
    """Images to logits; the defaults are MobileNetV2 of width 1.

    Attributes:
        blocks: the inverted bottlenecks, first to last.
        stem: channels of the first convolution, 3x3 with stride 2.
        head: channels of the last one, 1x1.
        classes: number of logits; None for no last layer, but what it would read: the means
            [b, head].
        dtype: that of the computation; parameters are float32.

    Raises ValueError for images with a side shorter than `stride`, the pixels behind one place of
    the last map.
    """

    blocks: tuple[Block, ...] = scaled_blocks(stages=STAGES)
    stem: int = STEM
    head: int = HEAD
    classes: int | None = 1000
    dtype: Any = None

    @property
    def stride(self) -> int:
        """How many pixels apart the places of the last map are."""
        return 2 * math.prod(block.stride for block in self.blocks)

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b classes"]:
        """Score the images; `train` uses and moves the batch statistics."""
        check_images(x, self.stride)
        layer = partial(conv_norm, self, train=train)
        x = nn.relu6(layer(x, "features.0.0", "features.0.1", self.stem, 3, 2))
        for i, block in enumerate(self.blocks, 1):
            block = Block(*block)
            x = InvertedResidual(block, self.dtype, name=f"features.{i}")(x, train=train)
        last = f"features.{len(self.blocks) + 1}"
        means = GlobalMean()(nn.relu6(layer(x, f"{last}.0", f"{last}.1", self.head)))
        if self.classes is None:
            return at_least_float32(means)
        means = Dropout(DROPOUT)(means, deterministic=not train)
        return logits(means, self.classes, name="classifier.1", dtype=self.dtype)


def mobilenet_v2(
    classes: int | None = 1000, *, width: int = STEM, dtype: Any = None
) -> MobileNetV2:
    """MobileNetV2; `width` is that of its first convolution, by which all channels are scaled.

    As torchvision's `width_mult` = width / 32: in multiples of 8, and not below 1280 at the head.
    """
    scale = width / STEM
    return MobileNetV2(
        scaled_blocks(scale, stages=STAGES),
        scaled_features(STEM, scale),
        scaled_features(HEAD, max(1.0, scale)),
        classes,
        dtype,
    )
