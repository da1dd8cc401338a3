"""Residual networks of bottlenecks or basic blocks, in the layout whose weights are published.

He et al., "Deep residual learning for image recognition" (CVPR 2016), table 1, with the stride on
the 3x3 convolution as in torchvision. Wang et al., "CNN-generated images are surprisingly easy to
spot... for now" (CVPR 2020) train it with one logit as a detector of generated images.

Images are [b, h, w, c], normalised as the weights expect; logits are [b, classes]. Layers carry the
names of the published weights ("layer1.0.conv2", "layer2.0.downsample.0"), since channels are cited
by these names. Padding is symmetric: "SAME" would shift maps of even size under a stride.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
from jaxtyping import Array, Float

from gan_forensics.nn.conv import Conv, Padding
from gan_forensics.nn.initial import he_normal_fan_out, normal, torch_uniform
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import BatchNorm, at_least_float32

EXPANSION = 4  # channels of a block's output over those of its 3x3 convolution
# What to make of the activations [b, ...] at a level of a network: see `ResNet`.
Between = Callable[[int, Array], Array]
# What a network makes of its images before the first convolution.
Front = Callable[[Float[Array, "b h w c"]], Float[Array, "b h2 w2 c"]]


class GlobalMean(Network):
    """The mean of every channel over the whole map."""

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b c"]:
        """Average over height and width."""
        return x.mean((1, 2))


class Bottleneck(Network):
    """1x1 to `width`, 3x3 with the stride, 1x1 to 4 `width`; a projection where shapes change."""

    width: int
    stride: int = 1
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 o"]:
        """Add what three convolutions make of x to x itself, or to its projection."""
        out = EXPANSION * self.width
        layer = partial(conv_norm, self, train=train)
        y = nn.relu(layer(x, "conv1", "bn1", self.width))
        y = nn.relu(layer(y, "conv2", "bn2", self.width, 3, self.stride))
        y = layer(y, "conv3", "bn3", out)
        return nn.relu(y + _projected(self, x, out, train=train))


class BasicBlock(Network):
    """3x3 with the stride, 3x3, both to `width`; a projection where shapes change."""

    width: int
    stride: int = 1
    dtype: Any = None

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"], *, train: bool) -> Float[Array, "b h2 w2 o"]:
        """Add what two convolutions make of x to x itself, or to its projection."""
        layer = partial(conv_norm, self, train=train)
        y = nn.relu(layer(x, "conv1", "bn1", self.width, 3, self.stride))
        y = layer(y, "conv2", "bn2", self.width, 3)
        return nn.relu(y + _projected(self, x, self.width, train=train))


def _projected(block: Bottleneck | BasicBlock, x: Array, features: int, *, train: bool) -> Array:
    """x as it is, or projected by a layer of the compact `block` where shapes change."""
    if block.stride == 1 and x.shape[-1] == features:
        return x
    names = "downsample.0", "downsample.1"
    return conv_norm(block, x, *names, features, 1, block.stride, train=train)


class ResNet(Network):
    """Images to logits; the defaults are ResNet-50 with one logit.

    Attributes:
        blocks: blocks of each stage; every stage but the first halves the map.
        widths: channels of each stage's 3x3 convolutions (a quarter of a bottleneck's output).
        classes: number of logits; 1 for a detector, whose logit is high for generated images; None
            for no last layer, but what it would read: the means [b, channels].
        stem_kernel: side of the first convolution, of `widths[0]` channels.
        stem_stride: its stride.
        stem_pool: whether a 3x3 max pool with stride 2 follows it.
        dtype: that of the computation; parameters are float32.
        front: what the first convolution is shown of the images; None for themselves.
        block: what the stages are made of.

    Raises ValueError for images with a side shorter than `stride`, the pixels behind one place of
    the last map, and for stages that are not as many in `blocks` as in `widths`.
    """

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    classes: int | None = 1
    stem_kernel: int = 7
    stem_stride: int = 2
    stem_pool: bool = True
    dtype: Any = None
    front: Front | None = None
    block: type[Bottleneck] | type[BasicBlock] = Bottleneck

    @property
    def stride(self) -> int:
        """How many pixels apart the places of the last map are."""
        return self.stem_stride * (2 if self.stem_pool else 1) * 2 ** (len(self.blocks) - 1)

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool, between: Between | None = None
    ) -> Float[Array, "b2 classes"]:
        """Score the images; `train` uses and moves the batch statistics.

        `between` sees the activations at every level, and what it returns goes on in their place:
        level 0 are the images, 1 what the stem makes of them, 2 what the first stage does, and so
        on. It may change the number of rows.
        """
        if len(self.blocks) != len(self.widths):
            raise ValueError(
                f"{len(self.blocks)} stages of blocks and {len(self.widths)} of widths: give one "
                "number for every stage in both"
            )
        check_images(x, self.stride)
        between = between or (lambda level, x: x)
        if self.front is not None:
            x = self.front(x)

        x = between(0, x)
        kernel, stride = self.stem_kernel, self.stem_stride
        x = conv_norm(self, x, "conv1", "bn1", self.widths[0], kernel, stride, train=train)
        x = nn.relu(x)
        if self.stem_pool:
            pads = ((1, 1), (1, 1))
            x = nn.max_pool(x, (3, 3), (2, 2), pads)  # pyright: ignore[reportArgumentType]

        x = between(1, x)
        for stage, (count, width) in enumerate(zip(self.blocks, self.widths, strict=True)):
            for i in range(count):
                # The first block of a stage changes the size, but for stage 1.
                stride = 2 if stage > 0 and i == 0 else 1
                name = f"layer{stage + 1}.{i}"
                x = self.block(width, stride, self.dtype, name=name)(x, train=train)
            x = between(stage + 2, x)

        means = GlobalMean()(x)
        if self.classes is None:
            return at_least_float32(means)
        return logits(means, self.classes, name="fc", dtype=self.dtype)


def resnet50(classes: int | None = 1, *, dtype: Any = None) -> ResNet:
    """ResNet-50: 53 convolutions with 26,560 channels."""
    return ResNet(classes=classes, dtype=dtype)


def resnet18(classes: int | None = 1, *, width: int = 64, dtype: Any = None) -> ResNet:
    """ResNet-18, of basic blocks; `width` is that of its first stage."""
    widths = (width, 2 * width, 4 * width, 8 * width)
    return ResNet((2, 2, 2, 2), widths, classes, dtype=dtype, block=BasicBlock)


def resnet34(
    classes: int | None = 1, *, width: int = 64, front: Front | None = None, dtype: Any = None
) -> ResNet:
    """ResNet-34, of basic blocks."""
    widths = (width, 2 * width, 4 * width, 8 * width)
    return ResNet((3, 4, 6, 3), widths, classes, dtype=dtype, front=front, block=BasicBlock)


def place_resnet(classes: int | None = 1, *, width: int = 64, dtype: Any = None) -> ResNet:
    """ResNet-18 cut off after its first stage: two basic blocks, a place every 4 pixels.

    Chai et al., "What makes fake images detectable? Understanding properties that generalize" (ECCV
    2020): a place sees 43x43 pixels, so that it judges texture and not what an image shows. The
    logit of the mean is the mean of the logits of the places.
    """
    return ResNet((2,), (width,), classes, dtype=dtype, block=BasicBlock)


def resnet_small(classes: int | None = 1, *, width: int = 8, dtype: Any = None) -> ResNet:
    """A small twin for images of 32x32 and for CPUs: one block a stage, a 3x3 stem, no pool.

    Width 8 has 17 convolutions with 1,208 channels.
    """
    widths = (width, 2 * width, 4 * width, 8 * width)
    return ResNet((1, 1, 1, 1), widths, classes, 3, 1, stem_pool=False, dtype=dtype)


def conv_norm(
    module: Any,
    x: Float[Array, "b h w c"],
    conv: str,
    norm: str,
    features: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    train: bool,
    padding: Padding | None = None,
    groups: int = 1,
    **options: Any,
) -> Float[Array, "b h2 w2 o"]:
    """Convolution without bias and batch norm (with `options`), layers of the compact `module`.

    `padding` is symmetric by default; kernels start as torchvision's and TensorFlow's do: He et
    al. (ICCV 2015), fan out.
    """
    x = Conv(
        features,
        kernel,
        stride,
        kernel // 2 if padding is None else padding,
        groups=groups,
        use_bias=False,
        kernel_init=he_normal_fan_out(),
        dtype=module.dtype,
        name=conv,
    )(x)
    return BatchNorm(dtype=module.dtype, name=norm, **options)(x, train=train)


def check_images(x: Array, stride: int) -> None:
    """Refuse what is no batch of images, or smaller than one place of the last map.

    Raises:
        ValueError: naming the shape and the smallest side.
    """
    if x.ndim != 4 or min(x.shape[1:3]) < stride:
        raise ValueError(
            f"images must be [b, h, w, c] with sides of at least {stride} pixels, got "
            f"{list(x.shape)}: enlarge them or use a network with fewer strides"
        )


def logits(features: Float[Array, "b c"], classes: int, *, name: str, dtype: Any):
    """The last linear layer, float32 out: kernel N(0, 0.02^2) as in Wang et al., bias as PyTorch's.

    To be called inside a compact method.
    """
    layer = nn.Dense(
        classes,
        kernel_init=normal(0.02),
        bias_init=torch_uniform(features.shape[-1]),
        dtype=dtype,
        name=name,
    )
    return at_least_float32(layer(features))
