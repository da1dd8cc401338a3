"""Published weights as ours: read a file, and rename and turn its arrays.

    state = load_weights("celeba_dcgan_N.1.5.pt")
    variables = from_torch("dcgan_generator", state)
    images = Generator(128, tail="N.1.5").apply(variables, z, train=False)

An architecture is a function from a state dict to the table of what it should hold: for every
PyTorch name its shape there and its place here (`Leaf`). What differs is listed in one error.
PyTorch keeps kernels as [out, in, kh, kw] and, transposed, as [in, out, kh, kw]; ours are
[kh, kw, in, out] in both cases, without a flip.
"""

import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class Leaf(NamedTuple):
    """One array of a network: its shape in PyTorch, and where and how it stands here."""

    shape: tuple[int, ...]
    collection: str
    path: tuple[str, ...]
    axes: tuple[int, ...]


Table = dict[str, Leaf]
State = Mapping[str, Any]

# Counters that PyTorch stores beside the running statistics, and that nothing here needs.
_IGNORED = ".num_batches_tracked"


def from_torch(arch: str, state_dict: State) -> dict[str, dict]:
    """Turn a PyTorch state dict into the variables of our network.

    Args:
        arch: one of `ARCHITECTURES`.
        state_dict: name -> numpy array or torch tensor, names as in the authors' code. A Lightning
            checkpoint of the whole GAN may be given: its "G." or "D." part is taken.

    Returns:
        `{"params": ..., "batch_stats": ...}` as nested dicts of float32 numpy arrays.

    Raises:
        ValueError: for an unknown architecture, and for names that are missing, unknown, or of
            another shape (all of them, in one message).
    """
    if arch not in ARCHITECTURES:
        raise ValueError(
            f"unknown architecture {arch!r}; architectures are {', '.join(ARCHITECTURES)}"
        )
    player, table_of = ARCHITECTURES[arch]
    state = _part(state_dict, player)
    table = table_of(state)
    _check(arch, state, table)

    variables: dict[str, dict] = {"params": {}, "batch_stats": {}}
    for name, leaf in table.items():
        branch = variables[leaf.collection]
        for step in leaf.path[:-1]:
            branch = branch.setdefault(step, {})
        array = _to_numpy(state[name]).astype(np.float32)
        branch[leaf.path[-1]] = np.ascontiguousarray(array.transpose(leaf.axes))
    return variables


def _part(state: State, player: str) -> State:
    """The arrays of one player, if the state dict holds several."""
    part = {name[len(player) :]: state[name] for name in state if name.startswith(player)}
    return part or state


def _check(arch: str, state: State, table: Table) -> None:
    names = {name for name in state if not name.endswith(_IGNORED)}
    problems = [f"missing: {name} {list(table[name].shape)}" for name in table.keys() - names]
    problems += [f"unknown: {name} {list(np.shape(state[name]))}" for name in names - table.keys()]
    problems += [
        f"wrong shape: {name} is {list(np.shape(state[name]))}, should be {list(leaf.shape)}"
        for name, leaf in table.items()
        if name in names and tuple(np.shape(state[name])) != leaf.shape
    ]
    if problems:
        raise ValueError(
            f"these weights are not those of a {arch}:\n  " + "\n  ".join(sorted(problems))
        )


def _to_numpy(array: Any) -> np.ndarray:
    # A tensor may be on a device, ask for gradients, or be a bfloat16 that numpy does not know.
    if hasattr(array, "detach"):
        array = array.detach().cpu().float().numpy()
    return np.asarray(array)


# Tables of layers, from which an architecture is put together -----------------------------------


def conv_leaves(name: str, path: str, shape: tuple[int, int, int, int], *, bias: bool) -> Table:
    """A convolution with PyTorch's kernel `shape` [out, in, kh, kw]."""
    leaves = {f"{name}.weight": Leaf(shape, "params", (path, "kernel"), (2, 3, 1, 0))}
    if bias:
        leaves[f"{name}.bias"] = Leaf(shape[:1], "params", (path, "bias"), (0,))
    return leaves


def conv_transpose_leaves(
    name: str, path: str, shape: tuple[int, int, int, int], *, bias: bool
) -> Table:
    """A transposed convolution with PyTorch's kernel `shape` [in, out, kh, kw]."""
    leaves = {f"{name}.weight": Leaf(shape, "params", (path, "kernel"), (2, 3, 0, 1))}
    if bias:
        leaves[f"{name}.bias"] = Leaf(shape[1:2], "params", (path, "bias"), (0,))
    return leaves


def norm_leaves(name: str, path: str, features: int, *, running: bool) -> Table:
    """A normalisation layer with an affine map, and running statistics if it is batch norm."""
    entries = [("weight", "params", "scale"), ("bias", "params", "bias")]
    if running:
        entries += [("running_mean", "batch_stats", "mean"), ("running_var", "batch_stats", "var")]
    return {
        f"{name}.{theirs}": Leaf((features,), collection, (path, ours), (0,))
        for theirs, collection, ours in entries
    }


# Architectures ----------------------------------------------------------------------------------


def _dcgan_generator(state: State) -> Table:
    """`net.i` = (transposed convolution, batch norm, ReLU) for each map, then the tail.

    The tail is `net.n` for BASELINE; otherwise an upsampling without parameters stands at n, and
    one convolution or three follow it.
    """
    n = _blocks(state, first=0)
    table: Table = {}
    features = _size(state, ("net.0.0.weight", 0))
    for i in range(n):
        made = _size(state, (f"net.{i}.1.weight", 0), (f"net.{i}.0.weight", 1))
        kernel = (features, made, 4, 4)
        table |= conv_transpose_leaves(f"net.{i}.0", f"conv_{i}", kernel, bias=False)
        table |= norm_leaves(f"net.{i}.1", f"norm_{i}", made, running=True)
        features = made

    if _any(state, f"net.{n}."):
        channels = _size(state, (f"net.{n}.bias", 0), (f"net.{n}.weight", 1))
        kernel = (features, channels, 4, 4)
        return table | conv_transpose_leaves(f"net.{n}", "tail_0", kernel, bias=True)

    count = 3 if _any(state, f"net.{n + 2}.") or _any(state, f"net.{n + 3}.") else 1
    last = f"net.{n + count}"
    channels = _size(state, (f"{last}.bias", 0), (f"{last}.weight", 0))
    for i in range(count):
        name = f"net.{n + 1 + i}"
        made = channels if i == count - 1 else features
        k = _size(state, (f"{name}.weight", 2))
        table |= conv_leaves(name, f"tail_{i}", (made, features, k, k), bias=True)
    return table


def _dcgan_discriminator(state: State) -> Table:
    """`net.0` = convolution, `net.i` from 2 on = (convolution, norm, leaky ReLU), last the logit.

    The norm is batch norm if there are running statistics, and absent if blocks have nothing at 1.
    """
    n = _blocks(state, first=2)
    batch = any(name.endswith(("running_mean", "running_var")) for name in state)
    plain = not any(re.match(r"net\.\d+\.1\.", name) for name in state)
    features = _size(state, ("net.0.bias", 0), ("net.0.weight", 0))
    kernel = (features, _size(state, ("net.0.weight", 1)), 4, 4)
    table = conv_leaves("net.0", "conv_0", kernel, bias=True)
    for i in range(1, n + 1):
        block = f"net.{i + 1}"
        made = _size(state, (f"{block}.1.weight", 0), (f"{block}.0.weight", 0))
        kernel = (made, features, 4, 4)
        table |= conv_leaves(f"{block}.0", f"conv_{i}", kernel, bias=plain)
        if not plain:
            table |= norm_leaves(f"{block}.1", f"norm_{i}", made, running=batch)
        features = made
    return table | conv_leaves(f"net.{n + 2}", "logit", (1, features, 4, 4), bias=True)


def _blocks(state: State, *, first: int) -> int:
    """The number of blocks `net.i.0` from `first` on: as many as the highest name tells."""
    found = [re.match(r"net\.(\d+)\.[01]\.", name) for name in state]
    return max((int(match[1]) + 1 - first for match in found if match), default=0)


def _any(state: State, prefix: str) -> bool:
    return any(name.startswith(prefix) for name in state)


def _size(state: State, *places: tuple[str, int]) -> int:
    """The size that the first of (name, axis) tells; 0, which fits nothing, if none is there."""
    for name, axis in places:
        shape = np.shape(state[name]) if name in state else ()
        if axis < len(shape):
            return shape[axis]
    return 0


# Name -> (the player's name in a checkpoint of the whole GAN, table of the architecture).
ARCHITECTURES: dict[str, tuple[str, Callable[[State], Table]]] = {
    "dcgan_generator": ("G.", _dcgan_generator),
    "dcgan_discriminator": ("D.", _dcgan_discriminator),
}


# Files ------------------------------------------------------------------------------------------


def load_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Read a state dict from a file, running no code that it may contain.

    `.npz` needs nothing else, `.safetensors` the extra of that name, `.pt`, `.pth` and `.ckpt` the
    extra `torch`; of a Lightning checkpoint the entry "state_dict" is taken.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for another suffix, and for a file that cannot be read safely.
    """
    path = Path(path)
    if path.suffix not in READERS:
        raise ValueError(f"cannot read weights from {path}: use one of {', '.join(READERS)}")
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}: check the path")
    return READERS[path.suffix](path)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        # Opened here, because numpy leaves a damaged file open.
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            if isinstance(arrays, np.ndarray):
                raise ValueError("it holds a single array without a name")
            return dict(arrays)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _unreadable(path, error) from error


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError as error:
        raise _lacking("safetensors", path) from error
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise _unreadable(path, error) from error


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise _lacking("torch", path) from error
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of many kinds: pickle's, zip's, torch's own
        raise _unreadable(path, error) from error
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not all(map(torch.is_tensor, state.values())):
        raise ValueError(f"{path} holds no state dict: save the network's `state_dict()`")
    return {name: _to_numpy(tensor) for name, tensor in state.items()}


def _unreadable(path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"{path} cannot be read as a file of plain arrays ({error}): it is damaged, of another "
        "kind, or holds pickled objects; save the arrays of its state dict alone"
    )


def _lacking(extra: str, path: Path) -> ImportError:
    return ImportError(f"reading {path} needs {extra}: pip install 'gan_forensics[{extra}]'")


READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    **dict.fromkeys((".pt", ".pth", ".ckpt"), _read_torch),
}
