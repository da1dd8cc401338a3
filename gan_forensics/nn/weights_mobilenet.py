"""Tables of torchvision's networks of inverted bottlenecks: MobileNetV2 and EfficientNet-B0.

Widths, depths and the number of logits are read from the shapes.
"""

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


def mobilenet_v2(state: State) -> Table:
    """`features.0`, `features.<i>.conv`, `features.<last>`, `classifier.1`; names here are theirs.

    The first block, which does not widen, has one convolution and norm less.
    """
    last = _last(state)
    table, made = _stem(state, ("features.0.0",), ("features.0.1",))
    for i in range(1, last):
        block = f"features.{i}"
        at = 1 if any_name(state, f"{block}.conv.3.") else 0
        conv, norm = f"conv.{at}.0", f"conv.{at}.1"
        wide = _size(state, f"{block}.{conv}", f"{block}.{norm}")
        if at:
            table |= _named(block, "conv.0.0", "conv.0.1", (wide, made, 1, 1))
        kernel = size_in(state, (f"{block}.{conv}.weight", 2))
        table |= _named(block, conv, norm, (wide, 1, kernel, kernel))
        conv, norm = f"conv.{at + 1}", f"conv.{at + 2}"
        made = _size(state, f"{block}.{conv}", f"{block}.{norm}")
        table |= _named(block, conv, norm, (made, wide, 1, 1))
    names = f"features.{last}.0", f"features.{last}.1"
    head = _size(state, *names)
    table |= conv_norm_leaves(*names, names[:1], names[1:], (head, made, 1, 1))
    return table | _classifier(state, "classifier.1", head)


def efficientnet_b0(state: State) -> Table:
    """`features.0`, `features.<stage>.<i>.block`, `features.<last>`, `classifier.1`.

    Blocks are counted through here, and their layers have efficientnet_pytorch's names.
    """
    last = _last(state)
    table, made = _stem(state, ("_conv_stem",), ("_bn0",))
    blocks = [
        f"features.{stage}.{i}.block"
        for stage in range(1, last)
        for i in range(count_in(state, rf"features\.{stage}\.(\d+)\.block"))
    ]
    for i, block in enumerate(blocks):
        leaves, made = _mbconv(state, block, f"_blocks.{i}", made)
        table |= leaves
    names = f"features.{last}.0", f"features.{last}.1"
    head = _size(state, *names)
    table |= conv_norm_leaves(*names, ("_conv_head",), ("_bn1",), (head, made, 1, 1))
    return table | _classifier(state, "_fc", head)


def _mbconv(state: State, block: str, name: str, made: int) -> tuple[Table, int]:
    """One block on `made` channels, which is `name` here, and how many channels it gives."""
    table: Table = {}

    def unit(at: int, conv: str, norm: str, shape: tuple[int, int, int, int]) -> Table:
        names = f"{block}.{at}.0", f"{block}.{at}.1"
        return conv_norm_leaves(*names, (name, conv), (name, norm), shape)

    at = 1 if any_name(state, f"{block}.3.") else 0
    wide = _size(state, f"{block}.{at}.0", f"{block}.{at}.1")
    if at:
        table |= unit(0, "_expand_conv", "_bn0", (wide, made, 1, 1))
    kernel = size_in(state, (f"{block}.{at}.0.weight", 2))
    table |= unit(at, "_depthwise_conv", "_bn1", (wide, 1, kernel, kernel))
    squeeze, path = f"{block}.{at + 1}", (name, "_se")
    hidden = size_in(state, (f"{squeeze}.fc1.weight", 0), (f"{squeeze}.fc1.bias", 0))
    table |= squeeze_leaves(f"{squeeze}.fc1", (*path, "_se_reduce"), (hidden, wide))
    table |= squeeze_leaves(f"{squeeze}.fc2", (*path, "_se_expand"), (wide, hidden))
    made = _size(state, f"{block}.{at + 2}.0", f"{block}.{at + 2}.1")
    return table | unit(at + 2, "_project_conv", "_bn2", (made, wide, 1, 1)), made


def _last(state: State) -> int:
    """The number of the last convolution among the `features`."""
    return max(1, count_in(state, r"features\.(\d+)\.") - 1)


def _size(state: State, conv: str, norm: str) -> int:
    """How many channels a convolution makes, by itself or its norm."""
    return size_in(state, (f"{conv}.weight", 0), (f"{norm}.weight", 0))


def _stem(state: State, conv: tuple[str], norm: tuple[str]) -> tuple[Table, int]:
    """The first convolution, at the paths `conv` and `norm` here, and how many channels it has."""
    made = _size(state, "features.0.0", "features.0.1")
    read, kernel = (size_in(state, ("features.0.0.weight", axis)) for axis in (1, 2))
    shape = (made, read, kernel, kernel)
    return conv_norm_leaves("features.0.0", "features.0.1", conv, norm, shape), made


def _named(block: str, conv: str, norm: str, shape: tuple[int, int, int, int]) -> Table:
    """A convolution and its norm in a block that has the same names here."""
    names = f"{block}.{conv}", f"{block}.{norm}"
    return conv_norm_leaves(*names, (block, conv), (block, norm), shape)


def _classifier(state: State, name: str, head: int) -> Table:
    classes = size_in(state, ("classifier.1.weight", 0), ("classifier.1.bias", 0))
    return layer_leaves("classifier.1", name, (classes, head), bias=True)
