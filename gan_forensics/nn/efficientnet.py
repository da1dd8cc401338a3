"""EfficientNet: inverted bottlenecks with squeeze-and-excitation.

Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural networks" (ICML 2019),
table 1. Two packages publish weights, of networks that differ in padding and batch norm
(`CONVENTIONS`); the layers carry the names of efficientnet_pytorch ("_blocks.3._depthwise_conv").
Images are [b, h, w, c], normalised as the weights expect; logits are [b, classes]. In training,
dropout and the dropping of whole branches draw from the key "dropout".
"""

import math
from functools import partial
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.nn.dropout import Dropout
from gan_forensics.nn.initial import lecun_normal, zeros
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import at_least_float32
from gan_forensics.nn.resnet import GlobalMean, check_images, conv_norm, logits
from gan_forensics.runtime import split_over_data

Convention = Literal["efficientnet_pytorch", "torchvision"]
# What a convolution and its batch norm are told. TensorFlow's: "SAME" of the actual size, which
# under a stride pads an even side behind alone; PyTorch's own: symmetric, as `conv_norm` does.
CONVENTIONS: dict[Convention, dict[str, Any]] = {
    "efficientnet_pytorch": {"padding": "SAME", "epsilon": 1e-3, "momentum": 0.01},
    "torchvision": {},
}
SQUEEZE = 0.25  # hidden units of squeeze-and-excitation, as a share of a block's input channels
DROPOUT = 0.2
DROP_BRANCH = 0.2  # at the last block; it grows linearly from 0 at the first


class Block(NamedTuple):
    """What one block does: kernel and stride of its depthwise convolution, widening, channels."""

    kernel: int
    stride: int
    expand: int
    features: int


# The rows of table 1: how many blocks, and the first of them; the others have no stride.
STAGES = (
    (1, Block(3, 1, 1, 16)),
    (2, Block(3, 2, 6, 24)),
    (2, Block(5, 2, 6, 40)),
    (3, Block(3, 2, 6, 80)),
    (3, Block(5, 1, 6, 112)),
    (4, Block(5, 2, 6, 192)),
    (1, Block(3, 1, 6, 320)),
)


def scaled_features(features: int, width: float, divisor: int = 8) -> int:
    """Channels times `width`, rounded to a multiple of `divisor` but never down by over 10 %.

    Example:
        >>> scaled_features(32, 1.0), scaled_features(24, 0.15, 2), scaled_features(16, 0.15, 2)
        (32, 4, 4)
    """
    if width == 1:
        return features
    wanted = features * width
    rounded = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * wanted else rounded


def scaled_blocks(
    width: float = 1.0,
    depth: float = 1.0,
    divisor: int = 8,
    *,
    stages: tuple[tuple[int, Block], ...] = STAGES,
) -> tuple[Block, ...]:
    """The blocks of `stages`, with channels times `width` and repeats times `depth`, rounded up."""
    blocks: list[Block] = []
    for repeats, block in stages:
        first = block._replace(features=scaled_features(block.features, width, divisor))
        blocks += [first] + [first._replace(stride=1)] * (math.ceil(repeats * depth) - 1)
    return tuple(blocks)


class SqueezeExcite(Network):
    """A gate for every channel from the means of all (Hu et al., CVPR 2018), times the map."""

    hidden: int
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b h w c"]:
        """Scale every channel by a number in (0, 1)."""
        dense = partial(nn.Dense, dtype=self.dtype, kernel_init=lecun_normal(), bias_init=zeros)
        squeezed = nn.silu(dense(self.hidden, name="_se_reduce")(GlobalMean()(x)))
        gate = dense(x.shape[-1], name="_se_expand")(squeezed)
        return nn.sigmoid(gate)[:, None, None, :] * x


class MBConv(Network):
    """1x1 up, depthwise, squeeze-and-excitation, 1x1 down; plus the input where shapes allow."""

    block: Block
    drop: float = 0.0
    dtype: Any = None
    convention: Convention = "efficientnet_pytorch"

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 o"]:
        """Map a feature map; `drop` is the chance that an image keeps its input only."""
        block, channels = self.block, x.shape[-1]
        wide = channels * block.expand
        layer = partial(conv_norm, self, train=train, **CONVENTIONS[self.convention])
        y = x
        if block.expand != 1:
            y = nn.silu(layer(y, "_expand_conv", "_bn0", wide))
        kernel, stride = block.kernel, block.stride
        y = nn.silu(layer(y, "_depthwise_conv", "_bn1", wide, kernel, stride, groups=wide))
        y = SqueezeExcite(max(1, int(channels * SQUEEZE)), self.dtype, name="_se")(y)
        y = layer(y, "_project_conv", "_bn2", block.features)
        if block.stride != 1 or channels != block.features:
            return y
        if train and self.drop > 0:
            key, shape = self.make_rng("dropout"), (len(x), 1, 1, 1)
            kept = split_over_data(jax.random.bernoulli(key, jnp.float32(1 - self.drop), shape))
            y = jnp.where(kept, y / (1 - self.drop), 0)
        return y + x


class EfficientNet(Network):
    """Images to logits; the defaults are EfficientNet-B0 with one logit.

    Attributes:
        blocks: the inverted bottlenecks, first to last.
        stem: channels of the first convolution, 3x3 with stride 2.
        head: channels of the last one, 1x1.
        classes: number of logits; 1 for a detector, whose logit is high for generated images; None
            for no last layer, but what it would read: the means [b, head].
        dtype: that of the computation; parameters are float32.
        convention: whose weights it computes with, a key of `CONVENTIONS`.

    Raises ValueError for images with a side shorter than `stride`, the pixels behind one place of
    the last map.
    """

    blocks: tuple[Block, ...] = scaled_blocks()
    stem: int = 32
    head: int = 1280
    classes: int | None = 1
    dtype: Any = None
    convention: Convention = "efficientnet_pytorch"

    @property
    def stride(self) -> int:
        """How many pixels apart the places of the last map are."""
        return 2 * math.prod(block.stride for block in self.blocks)

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b classes"]:
        """Score the images; `train` uses and moves the batch statistics."""
        check_images(x, self.stride)
        layer = partial(conv_norm, self, train=train, **CONVENTIONS[self.convention])
        x = nn.silu(layer(x, "_conv_stem", "_bn0", self.stem, 3, 2))
        for i, block in enumerate(self.blocks):
            drop = DROP_BRANCH * i / len(self.blocks)
            name = f"_blocks.{i}"
            x = MBConv(Block(*block), drop, self.dtype, self.convention, name=name)(x, train=train)
        features = GlobalMean()(nn.silu(layer(x, "_conv_head", "_bn1", self.head)))
        if self.classes is None:
            return at_least_float32(features)
        features = Dropout(DROPOUT)(features, deterministic=not train)
        return logits(features, self.classes, name="_fc", dtype=self.dtype)


def efficientnet_b0(
    classes: int | None = 1,
    *,
    dtype: Any = None,
    convention: Convention = "efficientnet_pytorch",
) -> EfficientNet:
    """EfficientNet-B0: 49 convolutions of maps with 21,008 channels."""
    return EfficientNet(classes=classes, dtype=dtype, convention=convention)


def efficientnet(
    width: float, depth: float, *, divisor: int = 8, classes: int = 1, dtype: Any = None
) -> EfficientNet:
    """EfficientNet-B0 scaled; below 1 for small twins (`divisor` 2 allows few channels)."""
    return EfficientNet(
        scaled_blocks(width, depth, divisor),
        scaled_features(32, width, divisor),
        scaled_features(1280, width, divisor),
        classes,
        dtype,
    )
