"""What a published state dict should hold, and where each array stands here: tables of leaves.

PyTorch keeps kernels as [out, in, kh, kw] and, transposed, as [in, out, kh, kw]; ours are
[kh, kw, in, out] in both cases, without a flip. Matrices are [out, in] there and [in, out] here.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gan_forensics.files import shown


class Leaf(NamedTuple):
    """One array of a network: its shape in PyTorch, and where and how it stands here.

    Attributes:
        shape: in PyTorch.
        collection: "params", "batch_stats" or any other collection of the network's variables.
        path: names from the collection down to the array.
        axes: the order of the axes here, as indices of those of `view`.
        view: the shape as which the array is read before its axes are turned; `shape` if None.
        final: the shape here; that of the turned view if None.
        network: which network it belongs to, where one state dict holds several.
    """

    shape: tuple[int, ...]
    collection: str
    path: tuple[str, ...]
    axes: tuple[int, ...]
    view: tuple[int, ...] | None = None
    final: tuple[int, ...] | None = None
    network: str = ""

    def turned(self, array: np.ndarray) -> np.ndarray:
        """The array as it stands here."""
        array = array.reshape(self.view or self.shape).transpose(self.axes)
        final = array.shape if self.final is None else self.final
        return np.ascontiguousarray(array).reshape(final)  # contiguous alone gives scalars an axis


Table = dict[str, Leaf]
State = Mapping[str, Any]


def layer_leaves(
    name: str, path: str | tuple[str, ...], shape: tuple[int, ...], *, bias: bool
) -> Table:
    """A convolution [out, in, kh, kw] or a linear layer [out, in], by PyTorch's shape."""
    axes = (*range(2, len(shape)), 1, 0)
    return _layer(name, path, shape, axes, (shape[0],) if bias else None)


def conv_transpose_leaves(
    name: str, path: str | tuple[str, ...], shape: tuple[int, int, int, int], *, bias: bool
) -> Table:
    """A transposed convolution with PyTorch's kernel `shape` [in, out, kh, kw]."""
    return _layer(name, path, shape, (2, 3, 0, 1), (shape[1],) if bias else None)


def _layer(name, path, shape, axes, bias: tuple[int] | None) -> Table:
    path = _steps(path)
    leaves = {f"{name}.weight": Leaf(shape, "params", (*path, "kernel"), axes)}
    if bias:
        leaves[f"{name}.bias"] = Leaf(bias, "params", (*path, "bias"), (0,))
    return leaves


def norm_leaves(
    name: str, path: str | tuple[str, ...], features: int, *, running: bool, affine: bool = True
) -> Table:
    """A normalisation layer, with running statistics if it is batch norm."""
    path = _steps(path)
    entries = [("weight", "params", "scale"), ("bias", "params", "bias")] if affine else []
    if running:
        entries += [("running_mean", "batch_stats", "mean"), ("running_var", "batch_stats", "var")]
    return {
        f"{name}.{theirs}": Leaf((features,), collection, (*path, ours), (0,))
        for theirs, collection, ours in entries
    }


def conv_norm_leaves(
    conv: str,
    norm: str,
    conv_path: tuple[str, ...],
    norm_path: tuple[str, ...],
    shape: tuple[int, int, int, int],
) -> Table:
    """A convolution without bias and the batch norm that reads it."""
    leaves = layer_leaves(conv, conv_path, shape, bias=False)
    return leaves | norm_leaves(norm, norm_path, shape[0], running=True)


def squeeze_leaves(name: str, path: tuple[str, ...], shape: tuple[int, int]) -> Table:
    """A 1x1 convolution with bias there, a matrix here."""
    return {
        f"{name}.weight": Leaf((*shape, 1, 1), "params", (*path, "kernel"), (1, 0), view=shape),
        f"{name}.bias": Leaf(shape[:1], "params", (*path, "bias"), (0,)),
    }


def any_name(state: State, prefix: str) -> bool:
    """Whether anything in the state dict starts with the prefix."""
    return any(name.startswith(prefix) for name in state)


def size_in(state: State, *places: tuple[str, int]) -> int:
    """The size that the first of (name, axis) tells; 0, which fits nothing, if none is there."""
    for name, axis in places:
        shape = np.shape(state[name]) if name in state else ()
        if axis < len(shape):
            return shape[axis]
    return 0


def count_in(state: State, pattern: str, *, first: int = 0) -> int:
    """How many numbered parts there are from `first` on, by the highest number in the names.

    Raises:
        ValueError: for a number that only a larger state dict could have.
    """
    count = 0
    for name in state:
        if match := re.match(pattern, name, re.ASCII):
            number = int(match[1]) if len(match[1]) < 10 else math.inf
            if number > len(state) + first:
                raise ValueError(
                    f"{shown(name)}: a layer of that number cannot be among {len(state)} arrays"
                )
            count = max(count, int(number) + 1 - first)
    return count


def to_numpy(array: Any) -> np.ndarray:
    """An array of a state dict, numpy's or PyTorch's."""
    # A tensor may be on a device, ask for gradients, or be a bfloat16 that numpy does not know.
    if hasattr(array, "detach"):
        array = array.detach().cpu()
        array = (array if array.element_size() == 8 else array.float()).numpy()
    return np.asarray(array)


def _steps(path: str | tuple[str, ...]) -> tuple[str, ...]:
    return (path,) if isinstance(path, str) else path
