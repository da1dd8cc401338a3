"""MATLAB's .mat files up to version 7, looked at before anything is unpacked."""

import math
import warnings
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from gan_forensics.files.archives import Choose, Head, check_size, most_unpacked
from gan_forensics.files.reader import open_regular
from gan_forensics.files.shown import shown

_WHOLE = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
# MATLAB's classes that are read, and NumPy's name of each.
_TYPES = {name: name for name in ("double", "single", *_WHOLE)} | {"logical": "bool"}
_COMPRESSED = 15
_PIECE = 2**16


def read_mat(path: Path | str, choose: Choose, *, most: float = math.inf) -> dict[str, np.ndarray]:
    """Arrays of a .mat file, which may come from a stranger; arguments and errors of `read_npz`.

    Cells, structures, objects, functions, text and sparse matrices are not read.
    """
    from scipy.io import loadmat, whosmat

    with open_regular(path) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _check_unpacked(file)
            found = whosmat(file)
            heads = {name: _head(shape, kind) for name, shape, kind in found}
            if len(heads) < len(found):
                raise ValueError("it has two arrays of one name")
            wanted = list(choose(heads))
            for name in wanted:
                if not heads[name].plain:
                    raise ValueError(f"{shown(name)} is not of numbers")
            packed = file.seek(0, 2)
            check_size(sum(heads[name].nbytes for name in wanted), packed, most)
            file.seek(0)
            arrays: dict[str, Any] = loadmat(file, variable_names=wanted)
            return {name: _checked(name, arrays[name], heads[name]) for name in wanted}
        except MemoryError:
            raise ValueError("its arrays do not fit into memory") from None
        # A damaged file raises nearly anything.
        except Exception as error:
            raise ValueError(shown(error, most=1000) or type(error).__name__) from error


def _head(shape: tuple[int, ...], kind: str) -> Head:
    return Head(tuple(map(int, shape)), np.dtype(_TYPES.get(kind, object)), True)


def _checked(name: str, array: Any, head: Head) -> np.ndarray:
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biuf":
        raise ValueError(f"{shown(name)} is not of real numbers")
    if array.shape != head.shape:
        raise ValueError(f"{shown(name)} has not the shape that it says")
    return array


def _check_unpacked(file: BinaryIO) -> None:
    """Refuse version 7.3, and what unpacks to too much: SciPy believes the sizes that stand in it.

    Its elements, (type, bytes) and content, may each be packed by zlib.
    """
    packed = file.seek(0, 2)
    file.seek(0)
    start = file.read(128)
    if len(start) < 128 or 0 in start[:4]:
        return  # Version 4, in which nothing is packed.
    order = "little" if start[126:128] == b"IM" else "big"
    if int.from_bytes(start[124:126], order) >> 8 == 2:
        raise ValueError("it is of MATLAB's version 7.3, which is not read: save it with -v7")
    left = most_unpacked(packed)
    while len(tag := file.read(8)) == 8:
        kind, size = (int.from_bytes(tag[at : at + 4], order) for at in (0, 4))
        if kind != _COMPRESSED:
            file.seek(size, 1)
            continue
        unpacker = zlib.decompressobj()
        while size > 0 and not unpacker.eof:
            if not (part := file.read(min(size, _PIECE))):
                raise ValueError("it ends too early")
            size -= len(part)
            while part:
                left -= len(unpacker.decompress(part, _PIECE))
                if left < 0:
                    raise ValueError(f"{packed} bytes that unpack to more than is read")
                part = unpacker.unconsumed_tail
        file.seek(size, 1)
    file.seek(0)
