"""PyTorch's files of weights, looked at before PyTorch reads them.

PyTorch runs no code of a file that it reads by `weights_only`, but believes what stands in it: a
tensor of a few bytes may claim to be of gigabytes, and some of what it may call takes as long as a
file likes. So the pickles of a file are looked through first for what they would call, which for
weights is little, and tensors are copied only where their numbers are in the file.
"""

import io
import os
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gan_forensics.files import open_regular, shown
from gan_forensics.files.archives import open_zip
from gan_forensics.nn.weight_tables import to_numpy

# What a pickle of weights calls, by module and name; PyTorch allows more.
_CALLED = re.compile(
    r"collections (OrderedDict|Counter)|torch (Size|device|\w+Storage)|torch\._utils _rebuild_(tensor"
    r"(_v2)?|parameter)|torch\.nn\.parameter Parameter|torch (b?float|u?int)\d+|torch bool"
)
_MOST_PICKLE = 2**26
# Of a file without a zip directory, as PyTorch wrote them before 1.6: number, version, system,
# content, keys; then the numbers.
_PICKLES = 5
# Weights are float32 here: bfloat16 doubles, and one tensor may have two names.
_MOST_RATIO, _ALWAYS = 4, 2**20


def read_torch(path: Path) -> dict[str, np.ndarray]:
    """The state dict in a file, or in its entry "state_dict" or "model".

    Raises:
        ImportError: without PyTorch.
        ValueError: the reason in one line.
    """
    import torch  # pyright: ignore[reportMissingImports]

    check_pickles(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # Of many kinds: pickle's, zip's, torch's own.
        # Not PyTorch's words, which go on to how its precautions are switched off.
        reason = str(error).partition("\n")[0] if isinstance(error, RuntimeError) else ""
        reason = "" if "weights_only" in reason else f": {shown(reason, most=200)}"
        raise ValueError(f"PyTorch finds no weights in it{reason}") from None
    for entry in ("state_dict", "model"):
        if isinstance(state, Mapping) and isinstance(state.get(entry), Mapping):
            state = state[entry]
    if not isinstance(state, Mapping) or not all(map(torch.is_tensor, state.values())):
        raise ValueError("it holds no state dict: save the network's `state_dict()`")
    left = max(_ALWAYS, _MOST_RATIO * os.path.getsize(path))
    for name, tensor in state.items():
        if not isinstance(name, str):
            raise ValueError("a name in it is no text")
        left -= _check_tensor(torch, name, tensor)
        if left < 0:
            raise ValueError("its tensors have many times as many numbers as the file")
    return {name: to_numpy(tensor) for name, tensor in state.items()}


def _check_tensor(torch: Any, name: str, tensor: Any) -> int:
    """Refuse what is not plain, or of more numbers than are stored; how many bytes it becomes."""
    plain = tensor.layout is torch.strided and tensor.device.type == "cpu"
    if not plain or tensor.is_quantized or tensor.is_complex() or tensor.is_nested:
        raise ValueError(
            f"{shown(name)} is sparse, quantised, complex or without numbers: save it as a dense "
            "tensor of real numbers"
        )
    stored = tensor.untyped_storage().nbytes()
    if tensor.numel() * tensor.element_size() > stored:
        raise ValueError(
            f"{shown(name)} of shape {list(tensor.shape)} has more numbers than the {stored} bytes "
            "that are stored for it: save a copy of it (`.contiguous()`)"
        )
    return tensor.numel() * max(4, tensor.element_size())


def check_pickles(path: Path) -> None:
    """Refuse a file whose pickles call what weights do not need, or that would be unpacked.

    Raises:
        ValueError: the reason in one line.
    """
    try:
        with open_regular(path) as file:
            zipped = file.read(4) == b"PK\3\4"
            file.seek(0)
            for pickle in _in_zip(file) if zipped else _in_sequence(file):
                for called in pickle:
                    if not _CALLED.fullmatch(called):
                        raise ValueError(f"it holds {shown(called.replace(' ', '.'))}, no weights")
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise ValueError(shown(error) or type(error).__name__) from error


def _in_zip(file: BinaryIO) -> Iterator[Iterator[str]]:
    packed = file.seek(0, 2)
    with open_zip(file) as archive:
        entries = archive.infolist()
        # PyTorch packs nothing.
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or (
            sum(entry.file_size for entry in entries) > packed
        ):
            raise ValueError("it unpacks to more than it holds, which PyTorch's files do not")
        for entry in entries:
            # Names are compared without regard to case there.
            if entry.filename.lower().endswith(".pkl"):
                if entry.file_size > _MOST_PICKLE:
                    raise ValueError(f"a pickle of {entry.file_size} bytes in it")
                yield _called(io.BytesIO(archive.read(entry)))


def _in_sequence(file: BinaryIO) -> Iterator[Iterator[str]]:
    for _ in range(_PICKLES):
        yield _called(file)


def _called(stream: BinaryIO | io.BytesIO) -> Iterator[str]:
    """The names that a pickle looks up, "module name"; it is read, not executed."""
    at = stream.tell()
    for code, argument, place in pickletools.genops(stream):
        if (place or 0) - at > _MOST_PICKLE:
            raise ValueError("it is no file of PyTorch, or has too long a pickle")
        if code.name in ("GLOBAL", "INST"):
            yield str(argument)
        elif code.name == "STACK_GLOBAL":
            yield "by computed names"
