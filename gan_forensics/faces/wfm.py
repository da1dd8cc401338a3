"""The .wfm format of wireframe faces (Ahlberg 2001, appendix D): one reader, one writer.

Lines that start with # are comments, except that titles of sections are known by their text; what
follows the last is not read:

    VERTEX LIST            count, then x y z
    FACE LIST              count, then three indices of vertices
    ANIMATION UNITS LIST   count; per unit a comment with its name, further comments, a count, and
                           lines of vertex dx dy dz, which add where a vertex is named twice
    SHAPE UNITS LIST       the same
    ANIMATION PARAMETERS   count, then index value; or one bare value for each unit
    SHAPE PARAMETERS       the same
    TEXTURE                count, then vertex u v, then a file's name; or a bare u v per vertex
    GLOBAL MOTION          rotation, scale, translation
    END OF FILE

The bare forms are those of a later variant of CANDIDE-3, which has no GLOBAL MOTION either. Two
comments before the vertex list are this project's: `# landmarks: 36:53 39:56 ...` names the vertex
of points of the 68-point scheme, `# tracked: 53 56 ...` the vertices that a tracker follows.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import NoReturn

import numpy as np

from gan_forensics.faces.wireframe import LANDMARKS, Wireframe
from gan_forensics.files import listed, open_regular, shown, write_text
from gan_forensics.files import number as plain_number

_SECTIONS = (
    *("VERTEX LIST", "FACE LIST", "ANIMATION UNITS LIST", "SHAPE UNITS LIST"),
    *("ANIMATION PARAMETERS", "SHAPE PARAMETERS", "TEXTURE", "GLOBAL MOTION", "END OF FILE"),
)
_OPTIONAL = {"ANIMATION PARAMETERS", "SHAPE PARAMETERS", "TEXTURE", "GLOBAL MOTION"}
# Far above any face, far below what hurts: checked before anything is allocated.
_MAX_BYTES = 64 << 20
_MAX_COUNT = 100_000
_MAX_UNITS = 1_000
_MAX_MOVES = 3_000_000
_MAX_SIZE = 1e6


def read_wfm(path: str | PathLike) -> Wireframe:
    """Read a face; triangles stay wound as the file has them.

    Raises:
        ValueError: for anything that is no .wfm file, naming the line and what is wrong in it.
        OSError: when the file cannot be read.

    Example:
        >>> import tempfile
        >>> from gan_forensics.faces import load_wireframe
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_wfm(f"{folder}/mine.wfm", load_wireframe())
        ...     wireframe = read_wfm(f"{folder}/mine.wfm")
        >>> wireframe.vertices.shape[1]
        3
    """
    path = Path(path)
    with open_regular(path) as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError(
            f"{shown(path)}: more than {_MAX_BYTES >> 20} MiB, which no wireframe face needs"
        )
    if b"\0" in data:
        raise ValueError(
            f"{shown(path)}: is not text; a .wfm file is lines of numbers and comments"
        )
    # Comments of the original were Latin-1: one that cannot be decoded is no reason to give up.
    return _Reader(shown(path), data.decode("utf-8", errors="replace").splitlines()).wireframe()


def write_wfm(path: str | PathLike, wireframe: Wireframe) -> None:
    """Write a face so that reading it gives the same numbers, names and notes.

    Raises:
        ValueError: for a face, names or notes that could not be read back.
        OSError: when the file cannot be written.

    Example:
        >>> import tempfile
        >>> from gan_forensics.faces import load_wireframe
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_wfm(f"{folder}/mine.wfm", load_wireframe())
        ...     again = read_wfm(f"{folder}/mine.wfm")
        >>> len(again.vertices) == len(load_wireframe().vertices)
        True
    """
    text = "\n".join(_lines(wireframe)) + "\n"
    again = _Reader("what would be written", text.splitlines()).wireframe()
    for name in ("animation_names", "animation_notes", "shape_names", "shape_notes", "notes"):
        given, read = getattr(wireframe, name), getattr(again, name)
        if given != read:
            odd = next((a for a, b in zip(given, read, strict=False) if a != b), given)
            raise ValueError(
                f"{name}: {_short(str(odd))} could not be read back; give lines without spaces at "
                "their ends or twice in a row, that do not begin with # or as a table does"
            )
    write_text(Path(path), text)


class _Reader:
    """Goes through the lines of one file; errors know where it stands."""

    def __init__(self, name: str, lines: list[str]):
        self.name = name
        self.at = 0  # Number of the line read last, from 1.
        self.sections: dict[str, list[tuple[int, str]]] = {}
        self.starts: dict[str, int] = {}
        self.head: list[tuple[int, str]] = []
        lines_of = self.head
        for number, line in enumerate(lines, 1):
            line, self.at = line.strip(), number
            if (title := _title(line)) in _SECTIONS:
                if title in self.sections:
                    self.fail(f"a second {title}; the first is on line {self.starts[title]}")
                lines_of = self.sections[title] = []
                self.starts[title] = number
                if title == "END OF FILE":
                    break
            elif line:
                lines_of.append((number, line))
        self.last = len(lines)

    def fail(self, what: str) -> NoReturn:
        raise ValueError(f"{self.name}, line {self.at}: {what}")

    def wireframe(self) -> Wireframe:
        if missing := [s for s in _SECTIONS if s not in self.sections and s not in _OPTIONAL]:
            raise ValueError(
                f"{self.name}: the section {missing[0]} is missing"
                + (": the file is cut off" if missing == ["END OF FILE"] else "")
                + "; found "
                + (listed(self.sections) or "no section at all")
                + f". A .wfm file has {', '.join(s for s in _SECTIONS if s not in _OPTIONAL)}"
            )
        for number, line in self.head:
            if not line.startswith("#"):
                self.at = number
                self.fail(f"{_short(line)} before the first section")
        vertices = self.vertices()
        n = len(vertices)
        triangles = self.triangles(n)
        animation, animation_names, animation_notes = self.units("ANIMATION UNITS LIST", n)
        shape, shape_names, shape_notes = self.units("SHAPE UNITS LIST", n)
        texture, texture_file = self.texture(n)
        landmarks, tracked, notes = self.tables_of_head(n)
        return Wireframe(
            vertices=vertices,
            triangles=triangles,
            animation=animation,
            animation_names=animation_names,
            shape=shape,
            shape_names=shape_names,
            landmarks=landmarks,
            tracked=tracked,
            animation_notes=animation_notes,
            shape_notes=shape_notes,
            animation_parameters=self.parameters("ANIMATION PARAMETERS", len(animation)),
            shape_parameters=self.parameters("SHAPE PARAMETERS", len(shape)),
            texture=texture,
            texture_file=texture_file,
            motion=self.motion(),
            notes=notes,
        )

    def numbers(self, line: tuple[int, str], columns: int, what: str) -> list[float]:
        self.at = line[0]
        words = line[1].split()
        if len(words) != columns:
            self.fail(f"{what} expected, that is {columns} numbers; got {_short(line[1])}")
        return [self.number(word) for word in words]

    def number(self, word: str) -> float:
        try:
            value = plain_number(word)
        except ValueError:
            value = np.nan
        if not abs(value) <= _MAX_SIZE:
            self.fail(f"a finite number of at most {_MAX_SIZE:g} expected, got {_short(word)}")
        return value

    def index(self, value: float, below: int, what: str = "vertex") -> int:
        if value != int(value) or not 0 <= value < below:
            self.fail(f"{what} {value:g} does not exist: they are counted from 0 to {below - 1}")
        return int(value)

    def count(self, lines: deque[tuple[int, str]], what: str, most: int) -> int:
        """Take the count at the head of these lines."""
        if not lines:
            self.fail(f"{what} ends before its count")
        (value,) = self.numbers(lines.popleft(), 1, f"the count of {what}")
        if value != int(value) or not 0 <= value <= most:
            self.fail(f"the count of {what} must be a whole number from 0 to {most}, got {value:g}")
        return int(value)

    def table(self, section: str, what: str) -> deque[tuple[int, str]]:
        """The lines of a section that holds a count and as many lines."""
        lines = self.data(section)
        count = self.count(lines, section, _MAX_COUNT)
        if len(lines) != count:
            self.fail(f"{section} announces {count} {what}, {len(lines)} follow")
        return lines

    def vertices(self) -> np.ndarray:
        lines = self.table("VERTEX LIST", "vertices")
        if not lines:
            self.fail("a face needs vertices, the count is 0")
        return np.array([self.numbers(line, 3, "x y z") for line in lines])

    def triangles(self, n: int) -> np.ndarray:
        lines = self.table("FACE LIST", "triangles")
        triangles = np.zeros((len(lines), 3), int)
        for triangle, line in zip(triangles, lines, strict=True):
            triangle[:] = [self.index(v, n) for v in self.numbers(line, 3, "three vertices")]
            if len(set(triangle.tolist())) < 3:
                self.fail(f"a triangle needs three different vertices, got {_short(line[1])}")
        return triangles

    def data(self, section: str) -> deque[tuple[int, str]]:
        """The section's lines that are not comments; errors before the first name its title."""
        self.at = self.starts.get(section, self.last)
        return deque(line for line in self.sections.get(section, []) if line[1][0] != "#")

    def units(self, section: str, n: int):
        """Dense units [u, n, 3], their names and notes."""
        self.at = self.starts[section]
        lines = deque(self.sections[section])
        self.comments(lines)
        count = self.count(lines, section, min(_MAX_UNITS, _MAX_MOVES // n))
        units, names, notes = np.zeros((count, n, 3)), [], []
        for unit in units:
            comments = self.comments(lines)
            if not lines:
                self.fail(f"{section} announces {count} units, {len(names)} follow")
            if not comments:
                self.at = lines[0][0]
                self.fail(
                    f"unit {len(names)} of {section} has no comment with its name, or the unit "
                    f"before has more lines than it announces: {_short(lines[0][1])}"
                )
            what = f"unit {_short(comments[0])}"
            moves = self.count(lines, what, _MAX_COUNT)
            for done in range(moves):
                if not lines or lines[0][1][0] == "#":
                    self.fail(f"{what} announces {moves} lines, {done} follow")
                vertex, *move = self.numbers(lines.popleft(), 4, "vertex dx dy dz")
                unit[self.index(vertex, n)] += move
            names.append(comments[0])
            notes.append(tuple(comments[1:]))
        self.comments(lines)
        if lines:
            self.at = lines[0][0]
            self.fail(f"{section} announces {count} units, but goes on: {_short(lines[0][1])}")
        return units, tuple(names), tuple(notes)

    def comments(self, lines: deque[tuple[int, str]]) -> list[str]:
        """Take the comments at the head of these lines; those without a text say nothing."""
        found = []
        while lines and lines[0][1][0] == "#":
            found.append(" ".join(lines.popleft()[1].lstrip("#").split()))
        return [comment for comment in found if comment]

    def parameters(self, section: str, units: int) -> np.ndarray:
        values = np.zeros(units)
        lines = self.data(section)
        if len(lines) == units and all(len(line.split()) == 1 for _, line in lines):
            values[:] = [self.numbers(line, 1, "a value")[0] for line in lines]
        elif lines:
            count = self.count(lines, section, units)
            if len(lines) != count:
                self.fail(f"{section} announces {count} lines, {len(lines)} follow")
            for line in lines:
                index, value = self.numbers(line, 2, "index value")
                values[self.index(index, units, "unit")] = value
        return values

    def texture(self, n: int) -> tuple[np.ndarray, str]:
        texture = np.full((n, 2), np.nan)
        lines = self.data("TEXTURE")
        if len(lines) == n and all(len(line.split()) == 2 for _, line in lines):
            texture[:] = [self.numbers(line, 2, "u v") for line in lines]
            return texture, ""
        if not lines:
            return texture, ""
        count = self.count(lines, "TEXTURE", n)
        if not count <= len(lines) <= count + 1:
            self.fail(
                f"TEXTURE announces {count} lines and may name a file, {len(lines)} lines follow"
            )
        for _ in range(count):
            vertex, *place = self.numbers(lines.popleft(), 3, "vertex u v")
            texture[self.index(vertex, n)] = place
        return texture, lines[0][1] if lines else ""

    def motion(self) -> np.ndarray:
        lines = self.data("GLOBAL MOTION")
        if not lines:
            return np.array([[0.0] * 3, [1.0] * 3, [0.0] * 3])
        if len(lines) != 3:
            self.fail(f"rotation, scale and translation expected, got {len(lines)} lines")
        return np.array([self.numbers(line, 3, "x y z") for line in lines])

    def tables_of_head(self, n: int) -> tuple[dict[int, int], tuple[int, ...], tuple[str, ...]]:
        """Landmarks, tracked vertices and the other comments before the first section."""
        landmarks, tracked, notes = {}, [], []
        for number, line in self.head:
            self.at = number
            name, entries = _table(line)
            if name == "landmarks":
                for pair in entries:
                    point, _, vertex = pair.partition(":")
                    point = self.index(self.number(point), LANDMARKS, "point")
                    if point in landmarks:
                        self.fail(f"point {point} is given a second vertex")
                    landmarks[point] = self.index(self.number(vertex), n)
            elif name == "tracked":
                tracked += [self.index(self.number(word), n) for word in entries]
                if len(set(tracked)) < len(tracked):
                    self.fail("a vertex is tracked twice")
            else:
                notes.append(line.lstrip("#").strip())
        return landmarks, tuple(tracked), tuple(notes)


def _title(line: str) -> str:
    """What a line says if it is the title of a section."""
    return line.lstrip("#").strip().rstrip(":").upper()


def _table(line: str) -> tuple[str, list[str]]:
    """Name and entries of a comment that is one of the two tables; "" where it is not."""
    name, colon, rest = line.lstrip("#").strip().partition(":")
    return (name, rest.split()) if colon and name in ("landmarks", "tracked") else ("", [])


def _short(text: str) -> str:
    """At most 40 characters of what stands in a line, safe to print."""
    return ascii(text if len(text) <= 40 else text[:40] + "...")


def _lines(wireframe: Wireframe) -> Iterable[str]:
    yield from (f"# {note}".rstrip() for note in wireframe.notes)
    pairs = sorted(wireframe.landmarks.items())
    for start in range(0, len(pairs), 12):
        row = pairs[start : start + 12]
        yield "# landmarks: " + " ".join(f"{point}:{vertex}" for point, vertex in row)
    if wireframe.tracked:
        yield "# tracked: " + " ".join(map(str, wireframe.tracked))
    for title, table in ("VERTEX LIST", wireframe.vertices), ("FACE LIST", wireframe.triangles):
        yield from ("", f"# {title}:", str(len(table)), *map(_row, table))
    for title, units, names, notes in (
        ("ANIMATION", wireframe.animation, wireframe.animation_names, wireframe.animation_notes),
        ("SHAPE", wireframe.shape, wireframe.shape_names, wireframe.shape_notes),
    ):
        yield from ("", f"# {title} UNITS LIST:", str(len(units)))
        for unit, name, comments in zip(units, names, notes, strict=True):
            moved = np.flatnonzero(unit.any(1))
            yield from ("", f"# {name}", *(f"# {comment}" for comment in comments))
            yield from (str(len(moved)), *(f"{vertex} {_row(unit[vertex])}" for vertex in moved))
    for title, values in (
        ("ANIMATION", wireframe.animation_parameters),
        ("SHAPE", wireframe.shape_parameters),
    ):
        rows = [f"{index} {_row([value])}" for index, value in enumerate(values)]
        yield from ("", f"# {title} PARAMETERS:", str(len(values)), *rows)
    placed = np.flatnonzero(~np.isnan(wireframe.texture).any(1))
    yield from ("", "# TEXTURE:", str(len(placed)))
    yield from (f"{vertex} {_row(wireframe.texture[vertex])}" for vertex in placed)
    yield from (wireframe.texture_file,) if wireframe.texture_file else ()
    yield from ("", "# GLOBAL MOTION:", *map(_row, wireframe.motion), "", "# END OF FILE")


def _row(values: Sequence | np.ndarray) -> str:
    """Numbers as short as they can be and still be read back exactly."""
    return " ".join(
        f"{value:d}" if isinstance(value, np.integer) else _real(value) for value in values
    )


def _real(value: float) -> str:
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else text
