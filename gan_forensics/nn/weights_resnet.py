"""Tables of the detectors' bodies: torchvision's ResNet, efficientnet_pytorch's EfficientNet.

Widths, depths and the number of logits are read from the shapes, so that the same tables serve
published detectors (one logit), their ImageNet bodies (1000) and small twins, and one table all
depths of a kind of block.
"""

from collections.abc import Callable

from gan_forensics.nn.resnet import EXPANSION
from gan_forensics.nn.weight_tables import (
    State,
    Table,
    any_name,
    conv_norm_leaves,
    count_in,
    layer_leaves,
    size_in,
    squeeze_leaves,
)


def resnet50(state: State) -> Table:
    """`conv1`, `bn1`, `layer<stage>.<i>` with three convolutions and maybe a projection, `fc`."""
    return _resnet(state, _bottleneck)


def resnet34(state: State) -> Table:
    """The same with two convolutions a block: ResNet-18 too."""
    return _resnet(state, _basic_block)


def _resnet(state: State, block_of: Callable[[State, str, int], tuple[Table, int]]) -> Table:
    weight = "conv1.weight"
    made = size_in(state, (weight, 0), ("bn1.weight", 0))
    kernel = size_in(state, (weight, 2))
    table = _unit((), "conv1", "bn1", (made, size_in(state, (weight, 1)), kernel, kernel))
    for stage in range(1, 1 + count_in(state, r"layer(\d+)\.", first=1)):
        for i in range(count_in(state, rf"layer{stage}\.(\d+)\.")):
            block = f"layer{stage}.{i}"
            leaves, out = block_of(state, block, made)
            table |= leaves
            if i == 0 and (stage > 1 or made != out):
                table |= _unit((block,), "downsample.0", "downsample.1", (out, made, 1, 1))
            made = out
    classes = size_in(state, ("fc.weight", 0), ("fc.bias", 0))
    return table | layer_leaves("fc", "fc", (classes, made), bias=True)


def _bottleneck(state: State, block: str, made: int) -> tuple[Table, int]:
    """The three convolutions of a block on `made` channels, and how many channels it gives."""
    width = _width(state, block)
    out = EXPANSION * width
    table = _unit((block,), "conv1", "bn1", (width, made, 1, 1))
    table |= _unit((block,), "conv2", "bn2", (width, width, 3, 3))
    return table | _unit((block,), "conv3", "bn3", (out, width, 1, 1)), out


def _basic_block(state: State, block: str, made: int) -> tuple[Table, int]:
    """The two convolutions of a block on `made` channels, and how many channels it gives."""
    width = _width(state, block)
    table = _unit((block,), "conv1", "bn1", (width, made, 3, 3))
    return table | _unit((block,), "conv2", "bn2", (width, width, 3, 3)), width


def _width(state: State, block: str) -> int:
    return size_in(state, (f"{block}.conv1.weight", 0), (f"{block}.bn1.weight", 0))


def efficientnet_b0(state: State) -> Table:
    """`_conv_stem`, `_bn0`, `_blocks.<i>`, `_conv_head`, `_bn1`, `_fc`.

    A block has no `_expand_conv` where it does not widen; the two linear maps of its
    squeeze-and-excitation are kept as 1x1 convolutions there and as matrices here.
    """
    weight = "_conv_stem.weight"
    made = size_in(state, (weight, 0), ("_bn0.weight", 0))
    kernel = size_in(state, (weight, 2))
    table = _unit((), "_conv_stem", "_bn0", (made, size_in(state, (weight, 1)), kernel, kernel))
    for i in range(count_in(state, r"_blocks\.(\d+)\.")):
        block = f"_blocks.{i}"
        wide = size_in(state, (f"{block}._depthwise_conv.weight", 0), (f"{block}._bn1.weight", 0))
        if any_name(state, f"{block}._expand_conv.") or any_name(state, f"{block}._bn0."):
            table |= _unit((block,), "_expand_conv", "_bn0", (wide, made, 1, 1))
        kernel = size_in(state, (f"{block}._depthwise_conv.weight", 2))
        table |= _unit((block,), "_depthwise_conv", "_bn1", (wide, 1, kernel, kernel))
        hidden = size_in(state, (f"{block}._se_reduce.weight", 0), (f"{block}._se_reduce.bias", 0))
        for name, shape in (("_se_reduce", (hidden, wide)), ("_se_expand", (wide, hidden))):
            table |= squeeze_leaves(f"{block}.{name}", (block, "_se", name), shape)
        made = size_in(state, (f"{block}._project_conv.weight", 0), (f"{block}._bn2.weight", 0))
        table |= _unit((block,), "_project_conv", "_bn2", (made, wide, 1, 1))
    head = size_in(state, ("_conv_head.weight", 0), ("_bn1.weight", 0))
    table |= _unit((), "_conv_head", "_bn1", (head, made, 1, 1))
    classes = size_in(state, ("_fc.weight", 0), ("_fc.bias", 0))
    return table | layer_leaves("_fc", "_fc", (classes, head), bias=True)


def _unit(path: tuple[str, ...], conv: str, norm: str, shape: tuple[int, int, int, int]) -> Table:
    """A convolution without bias and its batch norm, below `path`, of the same names here."""
    names = ".".join((*path, conv)), ".".join((*path, norm))
    return conv_norm_leaves(*names, (*path, conv), (*path, norm), shape)
