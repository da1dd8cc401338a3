"""Tables of the residual GANs (`gan_forensics.nn.resgan`), with the names that mimicry gives them.

A generator is `l1` (linear), `block2`, `block3`, ..., then batch norm `bN` and convolution `cN`; a
discriminator `block1`, `block2`, ..., then the logit `lN` and, if it has one, `l_y`: the rotation
head or the embedding of the projection. Blocks hold the convolutions `c1`, `c2`, `c_sc` and, in
generators, the norms `b1`, `b2`. SAGANs have an `attn_block`. How many blocks there are tells the
image size; channels are read from the shapes.

Spectrally normalised layers are PyTorch's (`weight_orig`, `weight_u`, `weight_v`), except for the
heads of SSGAN and cGAN-PD for 32x32 images, which are of another kind: `weight` and `sn_u` alone.
"""

import math
from collections.abc import Callable
from functools import partial

from gan_forensics.nn.resgan import SHAPES
from gan_forensics.nn.weight_tables import (
    Leaf,
    State,
    Table,
    any_name,
    count_in,
    layer_leaves,
    norm_leaves,
    size_in,
)

Path = tuple[str, ...]


def generator(
    state: State, *, conditional: bool = False, spectral: bool = False, attention: bool = False
) -> Table:
    """The generator of every method."""
    weight = "weight_orig" if spectral else "weight"
    blocks = _last_block(state) - 1
    after = max(
        (s.generator_attention for s in SHAPES.values() if len(s.generator) == blocks + 1),
        default=0,
    )
    read = size_in(
        state,
        (f"block2.c1.{weight}", 1),
        ("block2.b1.weight", 0),
        ("block2.b1.running_mean", 0),
        ("block2.b1.bn.running_mean", 0),
    )
    table = _first(state, read, weight)
    for i in range(1, blocks + 1):
        name, path = f"block{i + 1}", (f"block_{i}",)
        made = size_in(state, (f"{name}.c2.{weight}", 0), (f"{name}.c2.bias", 0))
        hidden = size_in(state, (f"{name}.c1.{weight}", 0), (f"{name}.c1.bias", 0))
        table |= _block_convolutions(
            name, path, (read, hidden, made), shortcut=True, spectral=spectral
        )
        for norm, features in ((1, read), (2, hidden)):
            table |= _norm(state, f"{name}.b{norm}", (*path, f"norm_{norm}"), features, conditional)
        read = made
        if attention and i == after:
            table |= _attention(read)
    last = blocks + 2
    table |= norm_leaves(f"b{last}", "norm", read, running=True)
    channels = size_in(state, (f"c{last}.{weight}", 0), (f"c{last}.bias", 0))
    return table | _layer(f"c{last}", ("last",), (channels, read, 3, 3), spectral=spectral)


def discriminator(
    state: State,
    *,
    spectral: bool = True,
    rotation: bool = False,
    projection: bool = False,
    attention: bool = False,
) -> Table:
    """The discriminator of every method but InfoMax-GAN."""
    blocks = _last_block(state)
    names = [f"block{i}" for i in range(1, blocks + 1)]
    table, features = _discriminator_blocks(state, names, spectral=spectral, attention=attention)
    # Of the networks for 48x48 images some count the logit on from the blocks, some do not.
    logit = f"l{blocks}" if any_name(state, f"l{blocks}.") else f"l{blocks + 1}"
    table |= _head(state, logit, "logit", (1, features), spectral=spectral)
    if rotation:
        table |= _head(state, "l_y", "rotation", (4, features), spectral=spectral)
    if projection:
        classes = size_in(
            state, ("l_y.weight_orig", 0), ("l_y.weight", 0), ("l_y.weight_u", 0), ("l_y.sn_u", 1)
        )
        table |= _embedding(state, "l_y", "embed", (classes, features))
    return table


def infomax_discriminator(state: State) -> Table:
    """The discriminator of InfoMax-GAN: here two networks, "discriminator" and "critics"."""
    blocks = count_in(state, r"local_feat_blocks\.(\d+)\.")
    names = [*(f"local_feat_blocks.{i}" for i in range(blocks)), "global_feat_blocks.0"]
    table, pooled = _discriminator_blocks(state, names, spectral=True, attention=False)
    table |= _head(state, "linear", "logit", (1, pooled), spectral=True)
    table = {name: leaf._replace(network="discriminator") for name, leaf in table.items()}

    local = size_in(state, ("local_nrkhs_a.weight_orig", 1), ("local_nrkhs_a.bias", 0))
    critics: Table = {}
    for side, features, ones in (("local", local, (1, 1)), ("global", pooled, ())):
        for part, ours in (("a", "a"), ("b", "b"), ("sc", "shortcut")):
            name = f"{side}_nrkhs_{part}"
            width = size_in(state, (f"{name}.weight_orig", 0), (f"{name}.bias", 0))
            made = features if part == "a" else width
            critics |= _layer(name, (f"{side}_{ours}",), (made, features, *ones), spectral=True)
    return table | {name: leaf._replace(network="critics") for name, leaf in critics.items()}


def _last_block(state: State) -> int:
    """The highest i of `block<i>`, at least 1."""
    return max(1, count_in(state, r"block(\d+)\.", first=1))


def _discriminator_blocks(
    state: State, names: list[str], *, spectral: bool, attention: bool
) -> tuple[Table, int]:
    """The table of the blocks, and the channels that the last one makes."""
    weight = "weight_orig" if spectral else "weight"
    shapes = [shape for shape in SHAPES.values() if len(shape.discriminator) == len(names)]
    halvings = max((shape.halvings for shape in shapes), default=0)
    after = max((shape.discriminator_attention for shape in shapes), default=0)
    read = size_in(state, (f"{names[0]}.c1.{weight}", 1), (f"{names[0]}.c_sc.{weight}", 1))
    table: Table = {}
    for i, name in enumerate(names, 1):
        made = size_in(state, (f"{name}.c2.{weight}", 0), (f"{name}.c2.bias", 0))
        hidden = size_in(state, (f"{name}.c1.{weight}", 0), (f"{name}.c1.bias", 0))
        shortcut = i <= halvings or read != made
        table |= _block_convolutions(
            name, (f"block_{i}",), (read, hidden, made), shortcut=shortcut, spectral=spectral
        )
        read = made
        if attention and i == after:
            table |= _attention(read)
    return table, read


def _block_convolutions(
    name: str, path: Path, channels: tuple[int, int, int], *, shortcut: bool, spectral: bool
) -> Table:
    read, hidden, made = channels
    table = _layer(f"{name}.c1", (*path, "conv_1"), (hidden, read, 3, 3), spectral=spectral)
    table |= _layer(f"{name}.c2", (*path, "conv_2"), (made, hidden, 3, 3), spectral=spectral)
    if shortcut:
        table |= _layer(f"{name}.c_sc", (*path, "shortcut"), (made, read, 1, 1), spectral=spectral)
    return table


def _norm(state: State, name: str, path: Path, features: int, conditional: bool) -> Table:
    if not conditional:
        return norm_leaves(name, path, features, running=True)
    classes = size_in(state, (f"{name}.embed.weight", 0))
    embedding = Leaf((classes, 2 * features), "params", (*path, "embedding"), (0, 1))
    running = norm_leaves(f"{name}.bn", path, features, running=True, affine=False)
    return {f"{name}.embed.weight": embedding, **running}


def _attention(channels: int) -> Table:
    table = {"attn_block.gamma": Leaf((), "params", ("attention", "gamma"), ())}
    eighth, half = channels // 8, channels // 2
    sizes = {"theta": (eighth, channels), "phi": (eighth, channels), "g": (half, channels)}
    for part, (made, read) in {**sizes, "o": (channels, half)}.items():
        shape = (made, read, 1, 1)
        table |= _layer(f"attn_block.{part}", ("attention", part), shape, spectral=True, bias=False)
    return table


def _head(state: State, name: str, path: str, shape: tuple[int, int], *, spectral: bool) -> Table:
    """A linear layer behind the pooling, spectrally normalised in either way."""
    if not spectral or f"{name}.weight" not in state:
        return _layer(name, (path,), shape, spectral=spectral)
    return _layer(name, (path,), shape, spectral=False) | _sn_u(name, (path,), shape[0])


def _embedding(state: State, name: str, path: str, shape: tuple[int, int]) -> Table:
    """A spectrally normalised table, whose rows stand as they are."""
    if f"{name}.weight" in state:
        leaf = Leaf(shape, "params", (path, "embedding"), (0, 1))
        return {f"{name}.weight": leaf} | _sn_u(name, (path,), shape[0])
    return {
        f"{name}.weight_orig": Leaf(shape, "params", (path, "embedding"), (0, 1)),
        f"{name}.weight_u": Leaf(shape[:1], "spectral_norm", (path, "u"), (0,)),
        f"{name}.weight_v": Leaf(shape[1:], "spectral_norm", (path, "v"), (0,)),
    }


def _sn_u(name: str, path: Path, outputs: int) -> Table:
    leaf = Leaf((1, outputs), "spectral_norm", (*path, "u"), (0,), view=(outputs,))
    return {f"{name}.sn_u": leaf}


def _first(state: State, channels: int, weight: str) -> Table:
    """The linear layer that makes the first map: (c, h, w) there, (h, w, c) here."""
    outputs = size_in(state, (f"l1.{weight}", 0), ("l1.bias", 0))
    latent = size_in(state, (f"l1.{weight}", 1), ("l1.weight_v", 0))
    side = math.isqrt(outputs // channels) if channels else 0
    outputs, map_there = channels * side**2, (channels, side, side)
    table = _layer("l1", ("first",), (outputs, latent), spectral=weight == "weight_orig")
    for name, leaf in table.items():
        if leaf.shape == (outputs, latent):
            table[name] = leaf._replace(
                view=(*map_there, latent), axes=(3, 1, 2, 0), final=(latent, outputs)
            )
        elif not name.endswith("weight_v"):
            table[name] = leaf._replace(view=map_there, axes=(1, 2, 0), final=(outputs,))
    return table


def _layer(
    name: str, path: Path, shape: tuple[int, ...], *, spectral: bool, bias: bool = True
) -> Table:
    """A convolution [out, in, kh, kw] or a linear layer [out, in]."""
    table = layer_leaves(name, path, shape, bias=bias)
    if not spectral:
        return table
    outputs, inputs, *taps = shape
    length = inputs * math.prod(taps)
    # v goes through a kernel in the order (in, kh, kw) there, (kh, kw, in) here.
    v = Leaf(
        (length,),
        "spectral_norm",
        (*path, "v"),
        (*range(1, len(shape) - 1), 0),
        view=(inputs, *taps),
        final=(length,),
    )
    kernel = table.pop(f"{name}.weight")
    return table | {
        f"{name}.weight_orig": kernel,
        f"{name}.weight_u": Leaf((outputs,), "spectral_norm", (*path, "u"), (0,)),
        f"{name}.weight_v": v,
    }


# The unconditional generators are one network; "dcgan_resnet" is mimicry's residual DCGAN.
_UNCONDITIONAL = ("dcgan_resnet", "wgan_gp", "sngan", "ssgan", "infomax")
ARCHITECTURES: dict[str, tuple[str, Callable[[State], Table]]] = {
    **{f"{method}_generator": ("", generator) for method in _UNCONDITIONAL},
    "cgan_pd_generator": ("", partial(generator, conditional=True)),
    "sagan_generator": (
        "",
        partial(generator, conditional=True, spectral=True, attention=True),
    ),
    "dcgan_resnet_discriminator": ("", partial(discriminator, spectral=False)),
    "wgan_gp_discriminator": ("", partial(discriminator, spectral=False)),
    "sngan_discriminator": ("", discriminator),
    "ssgan_discriminator": ("", partial(discriminator, rotation=True)),
    "infomax_discriminator": ("", infomax_discriminator),
    "cgan_pd_discriminator": ("", partial(discriminator, projection=True)),
    "sagan_discriminator": ("", partial(discriminator, projection=True, attention=True)),
}
