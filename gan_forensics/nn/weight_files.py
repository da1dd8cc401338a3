"""State dicts from files, running no code that a file may contain."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from gan_forensics.nn.weight_tables import to_numpy


def load_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Read a state dict from a file, running no code that it may contain.

    `.npz` needs nothing else, `.safetensors` the extra of that name, `.pt`, `.pth` and `.ckpt` the
    extra `torch`; of a Lightning checkpoint the entry "state_dict" is taken, of one of Wang et al.
    (CVPR 2020) the entry "model".

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
    for entry in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(entry), Mapping):
            state = state[entry]
    if not isinstance(state, Mapping) or not all(map(torch.is_tensor, state.values())):
        raise ValueError(f"{path} holds no state dict: save the network's `state_dict()`")
    return {name: to_numpy(tensor) for name, tensor in state.items()}


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
