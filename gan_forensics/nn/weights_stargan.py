"""Tables of StarGAN (`gan_forensics.nn.stargan`), by the names of its released code."""

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


def generator(state: State) -> Table:
    """`main`: stem 0, down 3 and 6, blocks from 9 on, two upsamplings, the image.

    Every convolution but the last is followed by a norm and a ReLU, so that three numbers make a
    layer. A second upsampling that is no transposed convolution has one more number, for what
    resamples. Running statistics are optional: the released code keeps them and never reads them.
    """
    running = any(name.endswith("running_mean") for name in state)
    width, read = (size_in(state, ("main.0.weight", axis)) for axis in (0, 1))
    blocks = count_in(state, r"main\.(\d+)\.main\.", first=9)

    table: Table = {}

    def normed(place: int, name: str, features: int, prefix: str = "main") -> None:
        table.update(norm_leaves(f"{prefix}.{place}", f"{name}_norm", features, running=running))

    table |= layer_leaves("main.0", "stem", (width, read, 7, 7), bias=False)
    normed(1, "stem", width)
    for i, place in enumerate((3, 6)):
        shape = (width * 2 ** (i + 1), width * 2**i, 4, 4)
        table |= layer_leaves(f"main.{place}", f"down_{i}", shape, bias=False)
        normed(place + 1, f"down_{i}", shape[0])
    wide = 4 * width
    for i in range(blocks):
        for half, place in enumerate((0, 3)):
            name, prefix = f"block_{i}_{half}", f"main.{9 + i}.main"
            table |= layer_leaves(f"{prefix}.{place}", name, (wide, wide, 3, 3), bias=False)
            normed(place + 1, name, wide, prefix)
    place = 9 + blocks
    shape = (wide, 2 * width, 4, 4)
    table |= conv_transpose_leaves(f"main.{place}", "up_0", shape, bias=False)
    normed(place + 1, "up_0", 2 * width)
    place += 3
    if any_name(state, f"main.{place}."):
        shape = (2 * width, width, 4, 4)
        table |= conv_transpose_leaves(f"main.{place}", "up_1", shape, bias=False)
    else:
        place += 1
        table |= layer_leaves(f"main.{place}", "up_1", (width, 2 * width, 5, 5), bias=False)
    normed(place + 1, "up_1", width)
    last = f"main.{place + 3}"
    channels = size_in(state, (f"{last}.weight", 0))
    return table | layer_leaves(last, "image", (channels, width, 7, 7), bias=False)


def discriminator(state: State) -> Table:
    """`main.0`, `main.2`, ...: convolutions; `conv1` judges patches, `conv2` labels."""
    layers = (count_in(state, r"main\.(\d+)\.") + 1) // 2
    features = size_in(state, ("main.0.weight", 1))
    table: Table = {}
    for i in range(layers):
        made = size_in(state, (f"main.{2 * i}.weight", 0))
        kernel = (made, features, 4, 4)
        table |= layer_leaves(f"main.{2 * i}", f"conv_{i}", kernel, bias=True)
        features = made
    table |= layer_leaves("conv1", "logits", (1, features, 3, 3), bias=False)
    labels, reach = (size_in(state, ("conv2.weight", axis)) for axis in (0, 2))
    return table | layer_leaves("conv2", "labels", (labels, features, reach, reach), bias=False)


ARCHITECTURES = {
    "stargan_generator": ("G.", generator),
    "stargan_discriminator": ("D.", discriminator),
}
