"""State dicts from files, running no code that a file may contain."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from gan_forensics.files import open_regular, shown
from gan_forensics.files.archives import MOST_HEADER, Head, read_npz
from gan_forensics.nn.torch_files import read_torch

# Far more than any of our networks has; their names are looked through for every layer.
MOST_ARRAYS = 4096


def load_weights(path: str | Path) -> dict[str, np.ndarray]:
    """Read a state dict from a file, running no code that it may contain.

    `.npz` needs nothing else, `.safetensors` the extra of that name, `.pt`, `.pth` and `.ckpt` the
    extra `torch`; of a Lightning checkpoint the entry "state_dict" is taken, of one of Wang et al.
    (CVPR 2020) the entry "model".

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for another suffix, and for a file that cannot be read safely.

    Example:
        >>> import numpy as np  # doctest: +SKIP
        >>> np.savez("weights.npz", **{"conv.weight": np.ones((8, 3, 4, 4))})  # doctest: +SKIP
        >>> load_weights("weights.npz")["conv.weight"].shape  # doctest: +SKIP
        (8, 3, 4, 4)
    """
    path = Path(path)
    if path.suffix not in READERS:
        raise ValueError(f"cannot read weights from {shown(path)}: use one of {', '.join(READERS)}")
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {shown(path)}: check the path")
    try:
        state = READERS[path.suffix](path)
        if len(state) > MOST_ARRAYS:
            raise ValueError(
                f"it has {len(state)} arrays, more than the {MOST_ARRAYS} of a network"
            )
        return state
    except MemoryError:
        raise ValueError(f"{shown(path)}: its arrays do not fit into memory") from None
    except ValueError as error:
        raise ValueError(
            f"{shown(path)} cannot be read as a file of plain arrays ({error}): it is damaged, of "
            "another kind, or holds pickled objects; save the arrays of its state dict alone"
        ) from (error if error.__cause__ else None)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    def numbers(heads: Mapping[str, Head]) -> Iterable[str]:
        for name, head in heads.items():
            if head.dtype.kind not in "biuf":
                raise ValueError(f"{shown(name)} holds {head.dtype.name} values, not numbers")
        return heads

    return read_npz(path, numbers)


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        import safetensors.numpy
    except ImportError as error:
        raise _lacking("safetensors", path) from error
    with open_regular(path) as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(MOST_HEADER, file.seek(0, 2)):
            raise ValueError(f"a header of {length} bytes")
    try:
        return safetensors.numpy.load_file(path)
    # SafetensorError, and what its types that NumPy lacks raise.
    except Exception as error:
        raise ValueError(shown(error, most=200) or type(error).__name__) from error


def _read_torch(path: Path) -> dict[str, np.ndarray]:
    try:
        return read_torch(path)
    except ImportError as error:
        raise _lacking("torch", path) from error


def _lacking(extra: str, path: Path) -> ImportError:
    return ImportError(f"reading {path} needs {extra}: pip install 'gan_forensics[{extra}]'")


READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    ".npz": _read_npz,
    ".safetensors": _read_safetensors,
    **dict.fromkeys((".pt", ".pth", ".ckpt"), _read_torch),
}
