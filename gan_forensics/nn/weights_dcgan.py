"""Tables of the convolutional GAN of the spectrum studies (`gan_forensics.nn.dcgan`)."""

import re

from gan_forensics.nn.weight_tables import (
    State,
    Table,
    any_name,
    conv_transpose_leaves,
    count_in,
    layer_leaves,
    norm_leaves,
    size_in,
)

BLOCK = r"net\.(\d+)\.[01]\."


def generator(state: State) -> Table:
    """`net.i` = (transposed convolution, batch norm, ReLU) for each map, then the tail.

    The tail is `net.n` for BASELINE; otherwise an upsampling without parameters stands at n, and
    one convolution or three follow it.
    """
    n = count_in(state, BLOCK)
    table: Table = {}
    features = size_in(state, ("net.0.0.weight", 0))
    for i in range(n):
        made = size_in(state, (f"net.{i}.1.weight", 0), (f"net.{i}.0.weight", 1))
        kernel = (features, made, 4, 4)
        table |= conv_transpose_leaves(f"net.{i}.0", f"conv_{i}", kernel, bias=False)
        table |= norm_leaves(f"net.{i}.1", f"norm_{i}", made, running=True)
        features = made

    if any_name(state, f"net.{n}."):
        channels = size_in(state, (f"net.{n}.bias", 0), (f"net.{n}.weight", 1))
        kernel = (features, channels, 4, 4)
        return table | conv_transpose_leaves(f"net.{n}", "tail_0", kernel, bias=True)

    count = 3 if any_name(state, f"net.{n + 2}.") or any_name(state, f"net.{n + 3}.") else 1
    last = f"net.{n + count}"
    channels = size_in(state, (f"{last}.bias", 0), (f"{last}.weight", 0))
    for i in range(count):
        name = f"net.{n + 1 + i}"
        made = channels if i == count - 1 else features
        k = size_in(state, (f"{name}.weight", 2))
        table |= layer_leaves(name, f"tail_{i}", (made, features, k, k), bias=True)
    return table


def discriminator(state: State) -> Table:
    """`net.0` = convolution, `net.i` from 2 on = (convolution, norm, leaky ReLU), last the logit.

    The norm is batch norm if there are running statistics, and absent if blocks have nothing at 1.
    """
    n = count_in(state, BLOCK, first=2)
    batch = any(name.endswith(("running_mean", "running_var")) for name in state)
    plain = not any(re.match(r"net\.\d+\.1\.", name) for name in state)
    features = size_in(state, ("net.0.bias", 0), ("net.0.weight", 0))
    kernel = (features, size_in(state, ("net.0.weight", 1)), 4, 4)
    table = layer_leaves("net.0", "conv_0", kernel, bias=True)
    for i in range(1, n + 1):
        block = f"net.{i + 1}"
        made = size_in(state, (f"{block}.1.weight", 0), (f"{block}.0.weight", 0))
        kernel = (made, features, 4, 4)
        table |= layer_leaves(f"{block}.0", f"conv_{i}", kernel, bias=plain)
        if not plain:
            table |= norm_leaves(f"{block}.1", f"norm_{i}", made, running=batch)
        features = made
    return table | layer_leaves(f"net.{n + 2}", "logit", (1, features, 4, 4), bias=True)
