"""What tells the data of one run from those of another, wherever they lie."""

import hashlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from gan_forensics.data.sources import ArraySource, FileSource, Source

# Files of which bytes are read, spread over all, and how many at each end; and other examples.
_SAMPLED, _BYTES = 256, 4096
# Under these names sources keep those that they are made from.
_INNER = ("source", "inner", "real", "fake")
_ROWS = 1024


def fingerprint(source: Source) -> dict[str, Any]:
    """The number of examples, and digests of what they are; JSON-able.

    Of files those of the "names" below the folder that all lie in, the "labels", the "sizes" of
    all, and the "bytes" at both ends of 256 of them; of arrays in memory those of all "values", of
    other data those of 256 examples. A folder that is moved or copied keeps its fingerprint.

    Raises:
        OSError: a file is gone.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.data import ArraySource
        >>> one, other = ArraySource(x=np.arange(3)), ArraySource(x=np.arange(1, 4))
        >>> fingerprint(one)["examples"], fingerprint(one) == fingerprint(other)
        (3, False)
    """
    found: dict[str, Any] = {"examples": len(source)}
    for number, leaf in enumerate(_leaves(source)):
        for name, digest in _digests(leaf).items():
            known = found.get(name)
            found[name] = _of(f"{known}{number}{digest}") if known else digest
    return found


def _leaves(source: Any) -> Iterator[Any]:
    inner = [vars(source)[name] for name in _INNER if name in getattr(source, "__dict__", {})]
    if not inner:
        yield source
    for each in inner:
        yield from _leaves(each)


def _digests(source: Source) -> dict[str, str]:
    if not isinstance(source, FileSource):
        return {"values": _values(source)}
    paths = [os.path.abspath(path) for path in source.paths]
    root = os.path.commonpath([os.path.dirname(path) for path in paths])
    names = "\0".join(os.path.relpath(path, root) for path in paths)
    sizes = np.array([os.path.getsize(path) for path in paths], np.int64)
    ends = hashlib.sha256()
    for row in _spread(len(paths)).tolist():
        with open(paths[row], "rb") as file:
            ends.update(file.read(_BYTES))
            file.seek(max(0, int(sizes[row]) - _BYTES))
            ends.update(file.read(_BYTES))
    labels = np.asarray([] if source.labels is None else source.labels, np.int64)
    return {
        "names": _of(names),
        "labels": _of(labels),
        "sizes": _of(sizes),
        "bytes": ends.hexdigest(),
    }


def _values(source: Source) -> str:
    """Of arrays in memory all rows, of other sources some examples."""
    digest = hashlib.sha256()
    if isinstance(source, ArraySource):
        for name, array in sorted(source.arrays.items()):
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            for first in range(0, len(array), _ROWS):
                digest.update(np.ascontiguousarray(array[first : first + _ROWS]).tobytes())
        return digest.hexdigest()
    for row in _spread(len(source)).tolist():
        for name, value in sorted(source[row].items()):
            digest.update(f"{name} {value.dtype} {value.shape}".encode())
            digest.update(value.tobytes())
    return digest.hexdigest()


def _spread(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, _SAMPLED).astype(int))


def _of(content: str | np.ndarray) -> str:
    data = os.fsencode(content) if isinstance(content, str) else content.tobytes()
    return hashlib.sha256(data).hexdigest()
