"""Numbers in MATLAB's .mat files of versions 4 to 7, looked at before anything is unpacked.

Read here and not by SciPy, whose reader follows damaged tags out of bounds and ends the process.
The format: "MAT-File Format" (MathWorks). A file of version 5 to 7 is a row of elements, (type,
bytes) and content, each a matrix or one that zlib packed; a matrix is a row of elements itself:
flags with its class, shape, name, numbers.
"""

import itertools
import math
import mmap
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gan_forensics.files.archives import MOST_ARRAYS, Choose, Head, check_size, most_unpacked
from gan_forensics.files.reader import open_regular
from gan_forensics.files.showing import shown

# NumPy's types of the numbers as they are stored, by MATLAB's number of each, and in version 4.
_STORED = dict(
    zip((1, 2, 3, 4, 5, 6, 7, 9, 12, 13), "i1 u1 i2 u2 i4 u4 f4 f8 i8 u8".split(), strict=True)
)
_STORED_4 = ("f8", "f4", "i4", "i2", "u2", "u1")
_MATRIX, _PACKED = 14, 15
# Classes of plain numbers: double, single, int8 to uint64; cells, structures and others are none.
_NUMBERS = range(6, 16)
_SPARSE = 5
_CLASSES = {1: "a cell array", 2: "a structure", 3: "an object", 4: "text", 16: "a function"}
_COMPLEX = 0x800
# Of a matrix: its flags, shape and name.
_BEGINNING = 2**12
_OTHER = np.dtype(object)


class _Matrix(NamedTuple):
    """A matrix: what it is, where its numbers begin in its content, and their type there.

    Of a sparse matrix `start` is where its rows are named, and `stored` the order of its bytes.
    """

    name: str
    head: Head
    content: memoryview
    packed: bool
    start: int
    stored: str
    sparse: int = 0  # of version 4: the rows that it is stored in
    what: str = ""


def read_mat(path: Path | str, choose: Choose, *, most: float = math.inf) -> dict[str, np.ndarray]:
    """Arrays of a .mat file, which may come from a stranger; arguments and errors of `read_npz`.

    Cells, structures, objects, functions, text and complex matrices are not read. Numbers keep the
    type that they are stored in, as SciPy has it; sparse matrices become dense ones of float64.
    """
    with open_regular(path) as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            found = list(itertools.islice(_matrices(memoryview(data)), MOST_ARRAYS + 1))
            if len(found) > MOST_ARRAYS:
                raise ValueError(f"it has more than {MOST_ARRAYS} arrays")
            matrices = {matrix.name: matrix for matrix in found}
            if len(matrices) < len(found):
                raise ValueError("it has two arrays of one name")
            wanted = list(choose({name: matrix.head for name, matrix in matrices.items()}))
            for name in wanted:
                if not matrices[name].head.plain:
                    what = matrices[name].what
                    raise ValueError(f"{shown(name)} is not of real numbers: it is {what}")
            check_size(sum(matrices[name].head.nbytes for name in wanted), len(data), most)
            return {name: _array(matrices[name]) for name in wanted}
        except (MemoryError, OSError):
            raise ValueError("its arrays do not fit into memory") from None
        except (struct.error, zlib.error) as error:
            raise ValueError("it is damaged, or no .mat file up to version 7") from error


def _matrices(data: memoryview) -> Iterator[_Matrix]:
    if len(data) < 128 or 0 in data[:4]:
        yield from _matrices_4(data)
        return
    order = "<" if data[126:128] == b"IM" else ">"
    if struct.unpack_from(f"{order}H", data, 124)[0] >> 8 == 2:
        raise ValueError("it is of MATLAB's version 7.3, which is not read: save it with -v7")
    at = 128
    while at < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        content, at = data[at + 8 : at + 8 + size], at + 8 + size
        if at > len(data):
            raise ValueError("it ends too early")
        if kind == _PACKED:
            start = zlib.decompressobj().decompress(content, _BEGINNING)
            if struct.unpack_from(f"{order}I", start)[0] == _MATRIX:
                yield _matrix(memoryview(start)[8:], content, order, packed=True)
        elif kind == _MATRIX:
            yield _matrix(content, content, order, packed=False)


def _matrix(start: memoryview, content: memoryview, order: str, *, packed: bool) -> _Matrix:
    """What the beginning of a matrix says."""
    _, at, _, after = _tag(start, 0, order)
    (flags,) = struct.unpack_from(f"{order}I", start, at)
    kind, at, size, after = _tag(start, after, order)
    if kind != 5 or size % 4 or size > 4 * 64:
        raise ValueError("a shape that is none")
    shape = struct.unpack_from(f"{order}{size // 4}i", start, at)
    if any(side < 0 for side in shape):
        raise ValueError("a shape that is none")
    _, at, size, after = _tag(start, after, order)
    if at + size > len(start):
        raise ValueError("a name that is too long")
    name = bytes(start[at : at + size]).decode("latin-1")
    what = "complex" if flags & _COMPLEX else _CLASSES.get(flags & 0xFF, "of an unknown class")
    if flags & 0xFF not in (_SPARSE, *_NUMBERS) or flags & _COMPLEX:
        return _Matrix(name, Head(shape, _OTHER, True), content, packed, 0, "", what=what)
    if flags & 0xFF == _SPARSE:
        if len(shape) != 2:
            raise ValueError("a shape that is none")
        head = Head(shape, np.dtype(np.float64), True)
        return _Matrix(name, head, content, packed, after + 8 * packed, order, sparse=1)
    kind, at, size, _ = _tag(start, after, order)
    if kind not in _STORED:
        raise ValueError(f"{shown(name)} is stored in a way that is not known")
    stored = np.dtype(order + _STORED[kind])
    if size != math.prod(shape) * stored.itemsize:
        raise ValueError(f"{shown(name)} has not the size that its shape asks for")
    # Of a packed matrix the type and the bytes stand before its beginning.
    return _Matrix(
        name,
        Head(shape, stored.newbyteorder("="), True),
        content,
        packed,
        at + 8 * packed,
        stored.str,
    )


def _tag(data: memoryview, at: int, order: str) -> tuple[int, int, int, int]:
    """Type of an element, where its content begins, its bytes, and where the next one begins."""
    kind, size = struct.unpack_from(f"{order}II", data, at)
    if kind >> 16:  # Up to four bytes stand in the place of their number.
        if kind >> 16 > 4:
            raise ValueError("an element that is too small for its bytes")
        return kind & 0xFFFF, at + 4, kind >> 16, at + 8
    return kind, at + 8, size, at + 8 + size + -size % 8


def _matrices_4(data: memoryview) -> Iterator[_Matrix]:
    """Matrices of version 4: type and class in one number, shape, complex, length of the name."""
    at = 0
    while at < len(data):
        order = "<" if 0 <= struct.unpack_from("<i", data, at)[0] < 5000 else ">"
        kind, rows, columns, is_complex, length = struct.unpack_from(f"{order}5i", data, at)
        if not 0 <= kind < 5000 or min(rows, columns, length) < 0 or kind // 10 % 10 > 5:
            raise ValueError("it is no .mat file up to version 7")
        name = bytes(data[at + 20 : at + 20 + length]).rstrip(b"\0").decode("latin-1")
        stored = np.dtype(order + _STORED_4[kind // 10 % 10])
        plain = kind % 10 == 0 and not is_complex
        head = Head((rows, columns), stored.newbyteorder("=") if plain else _OTHER, True)
        start = at + 20 + length
        at = start + rows * columns * stored.itemsize * (2 if is_complex else 1)
        if at > len(data):
            raise ValueError("it ends too early")
        what = "complex" if is_complex else {1: "text"}.get(kind % 10, "complex")
        matrix = _Matrix(name, head, data, False, start, stored.str, what=what)
        # Rows of a sparse one are row, column and value of a number; the last has its sides.
        if kind % 10 == 2 and columns == 3 and rows:
            sides = _array(matrix._replace(head=Head((rows, 3), stored, True)))[-1, :2]
            if not all(0 <= side < 2**31 and side == int(side) for side in sides.tolist()):
                raise ValueError("a shape that is none")
            shape = (int(sides[0]), int(sides[1]))
            matrix = matrix._replace(head=Head(shape, np.dtype(np.float64), True), sparse=rows)
        yield matrix


def _array(matrix: _Matrix) -> np.ndarray:
    if matrix.sparse:
        return _dense(matrix)
    stored, count = np.dtype(matrix.stored), math.prod(matrix.head.shape)
    content, end = matrix.content, matrix.start + count * stored.itemsize
    if matrix.packed:
        if end > most_unpacked(len(content)):
            raise ValueError(f"{shown(matrix.name)} unpacks to more than is read")
        content = zlib.decompressobj().decompress(content, end)
    if len(content) < end:
        raise ValueError(f"{shown(matrix.name)} ends too early")
    flat = np.frombuffer(content, stored, count, matrix.start)
    return flat.astype(matrix.head.dtype).reshape(matrix.head.shape, order="F")


def _dense(matrix: _Matrix) -> np.ndarray:
    """A sparse matrix with its zeros; numbers of one place add up, as SciPy has it."""
    rows, columns, values = (_triplets if matrix.stored in "<>" else _triplets_4)(matrix)
    shape = matrix.head.shape
    for places, side in ((rows, shape[0]), (columns, shape[1])):
        if len(places) and not 0 <= places.min() <= places.max() < side:
            raise ValueError(f"{shown(matrix.name)} has numbers outside of its shape")
    dense = np.zeros(shape, order="F")
    np.add.at(dense, (rows, columns), values)
    return dense


def _triplets(matrix: _Matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and values of version 5: rows, where each column begins, values."""
    content, order = matrix.content, matrix.stored
    if matrix.packed:
        most = most_unpacked(len(content))
        content = memoryview(zlib.decompressobj().decompress(content, most + 1))
        if len(content) > most:
            raise ValueError(f"{shown(matrix.name)} unpacks to more than is read")
    after, parts = matrix.start, []
    for _ in range(3):
        kind, at, size, after = _tag(content, after, order)
        if kind not in _STORED or at + size > len(content):
            raise ValueError(f"{shown(matrix.name)} is damaged, or ends too early")
        stored = np.dtype(order + _STORED[kind])
        parts.append(np.frombuffer(content, stored, size // stored.itemsize, at))
    rows, begins, values = (part.astype(kind) for part, kind in zip(parts, "qqd", strict=True))
    count = int(begins[-1]) if len(begins) else 0
    if len(begins) != matrix.head.shape[1] + 1 or begins[0] or (np.diff(begins) < 0).any():
        raise ValueError(f"{shown(matrix.name)} has columns that are none")
    if count > min(len(rows), len(values)):
        raise ValueError(f"{shown(matrix.name)} has fewer numbers than its columns ask for")
    columns = np.repeat(np.arange(len(begins) - 1), np.diff(begins))
    return rows[:count], columns, values[:count]


def _triplets_4(matrix: _Matrix) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of version 4: a table of them, counted from 1, and a last row."""
    head = Head((matrix.sparse, 3), np.dtype(np.float64), True)
    table = _array(matrix._replace(head=head, sparse=0))[:-1]
    if not (np.abs(table[:, :2]) < 2**31).all():  # NaN too
        raise ValueError(f"{shown(matrix.name)} has numbers outside of its shape")
    rows, columns = (table[:, i].astype(np.int64) - 1 for i in (0, 1))
    return rows, columns, table[:, 2]
