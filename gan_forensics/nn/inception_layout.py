"""Inception v3 as a table: what the FID network is made of, from first to last.

Both the network (`gan_forensics.nn.inception`) and the list of its published weights
(`gan_forensics.nn.weights_inception`) are made from it. Names are torchvision's.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

FEATURES = 2048
CLASSES = 1008

Pooling = Literal["average", "max", "reduce"]


class Unit(NamedTuple):
    """Convolution without bias, batch norm, ReLU; padded to keep the size if `same`."""

    name: str
    features: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    same: bool = True


class Fork(NamedTuple):
    """Units that see the same map; their outputs are concatenated."""

    units: tuple[Unit, ...]


class Block(NamedTuple):
    """Branches that see the same map, the last of which pools; outputs are concatenated.

    `pooling` "average" and "max" go over 3x3 places with stride 1 and are followed by a 1x1 unit of
    `pooled` features; "reduce" is 3x3 maximum with stride 2, and nothing follows.
    """

    name: str
    branches: tuple[tuple[Unit | Fork, ...], ...]
    pooling: Pooling
    pooled: int = 0


class MaxPool(NamedTuple):
    """3x3 maximum with stride 2, without padding."""


def _chain(name: str, *units: tuple) -> tuple[Unit, ...]:
    """Units one behind the other, `name`_1 and so on, from what they are besides their names."""
    return tuple(Unit(f"{name}_{i}", *unit) for i, unit in enumerate(units, 1))


def _halving(name: str, features: int) -> Unit:
    return Unit(name, features, (3, 3), 2, same=False)


def _block_a(name: str, pooled: int) -> Block:
    branches = (
        (Unit("branch1x1", 64),),
        _chain("branch5x5", (48,), (64, (5, 5))),
        _chain("branch3x3dbl", (64,), (96, (3, 3)), (96, (3, 3))),
    )
    return Block(name, branches, "average", pooled)


def _block_b(name: str) -> Block:
    branches = (
        (_halving("branch3x3", 384),),
        (*_chain("branch3x3dbl", (64,), (96, (3, 3))), _halving("branch3x3dbl_3", 96)),
    )
    return Block(name, branches, "reduce")


def _block_c(name: str, inner: int) -> Block:
    row, column = (inner, (1, 7)), (inner, (7, 1))
    branches = (
        (Unit("branch1x1", 192),),
        _chain("branch7x7", (inner,), row, (192, (7, 1))),
        _chain("branch7x7dbl", (inner,), column, row, column, (192, (1, 7))),
    )
    return Block(name, branches, "average", 192)


def _block_d(name: str) -> Block:
    wide = _chain("branch7x7x3", (192,), (192, (1, 7)), (192, (7, 1)))
    branches = (
        (Unit("branch3x3_1", 192), _halving("branch3x3_2", 320)),
        (*wide, _halving("branch7x7x3_4", 192)),
    )
    return Block(name, branches, "reduce")


def _block_e(name: str, pooling: Pooling) -> Block:
    def fork(stem: str) -> Fork:
        return Fork((Unit(f"{stem}a", 384, (1, 3)), Unit(f"{stem}b", 384, (3, 1))))

    branches = (
        (Unit("branch1x1", 320),),
        (Unit("branch3x3_1", 384), fork("branch3x3_2")),
        (*_chain("branch3x3dbl", (448,), (384, (3, 3))), fork("branch3x3dbl_3")),
    )
    return Block(name, branches, pooling, 192)


STAGES: tuple[Unit | MaxPool | Block, ...] = (
    _halving("Conv2d_1a_3x3", 32),
    Unit("Conv2d_2a_3x3", 32, (3, 3), same=False),
    Unit("Conv2d_2b_3x3", 64, (3, 3)),
    MaxPool(),
    Unit("Conv2d_3b_1x1", 80),
    Unit("Conv2d_4a_3x3", 192, (3, 3), same=False),
    MaxPool(),
    _block_a("Mixed_5b", 32),
    _block_a("Mixed_5c", 64),
    _block_a("Mixed_5d", 64),
    _block_b("Mixed_6a"),
    _block_c("Mixed_6b", 128),
    _block_c("Mixed_6c", 160),
    _block_c("Mixed_6d", 160),
    _block_c("Mixed_6e", 192),
    _block_d("Mixed_7a"),
    _block_e("Mixed_7b", "average"),
    _block_e("Mixed_7c", "max"),
)


def kernel_shapes() -> Iterator[tuple[tuple[str, ...], tuple[int, int, int, int]]]:
    """Every unit of the network: its path, and the shape [kh, kw, in, out] of its kernel."""
    channels = 3
    for stage in STAGES:
        if isinstance(stage, Unit):
            yield (stage.name,), (*stage.kernel, channels, stage.features)
            channels = stage.features
        elif isinstance(stage, Block):
            made = stage.pooled or channels
            for branch in stage.branches:
                inside = channels
                for part in branch:
                    units = part.units if isinstance(part, Fork) else (part,)
                    for unit in units:
                        shape = (*unit.kernel, inside, unit.features)
                        yield (stage.name, unit.name), shape
                    inside = sum(unit.features for unit in units)
                made += inside
            if stage.pooled:
                yield (stage.name, "branch_pool"), (1, 1, channels, stage.pooled)
            channels = made
