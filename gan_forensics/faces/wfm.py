"""The .wfm format of wireframe faces (Ahlberg 2001, appendix D): one reader, one writer.

Lines that start with # are comments, except that titles of sections are known by their text:

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

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import numpy as np

from gan_forensics.faces.wireframe import LANDMARKS, Wireframe

_SECTIONS = (
    *("VERTEX LIST", "FACE LIST", "ANIMATION UNITS LIST", "SHAPE UNITS LIST"),
    *("ANIMATION PARAMETERS", "SHAPE PARAMETERS", "TEXTURE", "GLOBAL MOTION", "END OF FILE"),
)
_OPTIONAL = {"ANIMATION PARAMETERS", "SHAPE PARAMETERS", "TEXTURE", "GLOBAL MOTION"}
# Far above any face, far below what hurts: checked before anything is allocated.
_MAX_BYTES = 64 << 20
_MAX_COUNT = 100_000
_MAX_UNITS = 1_000
_MAX_MOVES = 10_000_000
_MAX_SIZE = 1e6


def read_wfm(path: str | PathLike) -> Wireframe:
    """Read a face; triangles stay wound as the file has them.

    Raises:
        ValueError: for anything that is no .wfm file, naming the line and what is wrong in it.
        OSError: when the file cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        data = file.read(_MAX_BYTES + 1)
    if len(data) > _MAX_BYTES:
        raise ValueError(f"{path}: more than {_MAX_BYTES >> 20} MiB, which no wireframe face needs")
    if b"\0" in data:
        raise ValueError(f"{path}: is not text; a .wfm file is lines of numbers and comments")
    # Comments of the original were Latin-1: one that cannot be decoded is no reason to give up.
    return _Reader(str(path), data.decode("utf-8", errors="replace").splitlines()).wireframe()


def write_wfm(path: str | PathLike, wireframe: Wireframe) -> None:
    """Write a face so that reading it gives the same numbers, names and notes.

    Raises:
        OSError: when the file cannot be written.
    """
    Path(path).write_text("\n".join(_lines(wireframe)) + "\n", encoding="utf-8")


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
            title = line.lstrip("#").strip().rstrip(":").upper() if line.startswith("#") else ""
            if title in _SECTIONS:
                if title in self.sections:
                    self.fail(f"a second {title}; the first is on line {self.starts[title]}")
                lines_of = self.sections[title] = []
                self.starts[title] = number
            elif line:
                lines_of.append((number, line))
        self.last = len(lines)

    def fail(self, what: str) -> None:
        raise ValueError(f"{self.name}, line {self.at}: {what}")

    def wireframe(self) -> Wireframe:
        if missing := [s for s in _SECTIONS if s not in self.sections and s not in _OPTIONAL]:
            raise ValueError(
                f"{self.name}: the section {missing[0]} is missing"
                + (": the file is cut off" if missing == ["END OF FILE"] else "")
                + "; found "
                + (", ".join(self.sections) or "no section at all")
                + f". A .wfm file has {', '.join(s for s in _SECTIONS if s not in _OPTIONAL)}"
            )
        for number, line in self.head:
            if not line.startswith("#"):
                self.at = number
                self.fail(f"{_short(line)} before the first section")
        vertices = self.table("VERTEX LIST", 3, "x y z")
        n = len(vertices)
        if not n:
            self.fail("a face needs vertices, the count is 0")
        triangles = self.table("FACE LIST", 3, "three vertices", index_below=n)
        animation, animation_names, animation_notes = self.units("ANIMATION UNITS LIST", n)
        shape, shape_names, shape_notes = self.units("SHAPE UNITS LIST", n)
        texture, texture_file = self.texture(n)
        landmarks, tracked, notes = self.tables_of_head(n)
        return Wireframe(
            vertices=vertices,
            triangles=triangles.astype(int),
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
            value = float(word)
        except ValueError:
            value = np.nan
        if not abs(value) <= _MAX_SIZE:
            self.fail(f"a finite number of at most {_MAX_SIZE:g} expected, got {_short(word)}")
        return value

    def index(self, value: float, below: int, what: str = "vertex") -> int:
        if value != int(value) or not 0 <= value < below:
            self.fail(f"{what} {value:g} does not exist: they are counted from 0 to {below - 1}")
        return int(value)

    def count(self, lines: list[tuple[int, str]], what: str, most: int) -> int:
        """Take the count at the head of these lines."""
        if not lines:
            self.fail(f"{what} ends before its count")
        (value,) = self.numbers(lines.pop(0), 1, f"the count of {what}")
        if value != int(value) or not 0 <= value <= most:
            self.fail(f"the count of {what} must be a whole number from 0 to {most}, got {value:g}")
        return int(value)

    def rows(self, lines: list, count: int, columns: int, what: str, of: str) -> list[list[float]]:
        """Take `count` lines of numbers."""
        if len(lines) < count:
            self.fail(f"{of} announces {count} lines, only {len(lines)} follow")
        taken = [self.numbers(line, columns, what) for line in lines[:count]]
        del lines[:count]
        return taken

    def table(self, section: str, columns: int, what: str, index_below: int = 0) -> np.ndarray:
        lines = self.data(section)
        count = self.count(lines, section, _MAX_COUNT)
        if len(lines) != count:
            self.fail(f"{section} announces {count} lines, {len(lines)} follow")
        rows = self.rows(lines, count, columns, what, section)
        if index_below:
            for number, row in zip((n for n, _ in self.data(section)[1:]), rows, strict=True):
                self.at = number
                if len({self.index(value, index_below) for value in row}) != columns:
                    self.fail(f"a triangle needs three different vertices, got {row}")
        return np.array(rows, float).reshape(count, columns)

    def data(self, section: str) -> list[tuple[int, str]]:
        """The section's lines that are not comments; errors before the first name its title."""
        self.at = self.starts.get(section, self.last)
        return [line for line in self.sections.get(section, []) if not line[1].startswith("#")]

    def units(self, section: str, n: int):
        """Dense units [u, n, 3], their names and notes."""
        self.at = self.starts[section]
        lines = list(self.sections[section])
        while lines and lines[0][1].startswith("#"):
            lines.pop(0)
        count = self.count(lines, section, min(_MAX_UNITS, _MAX_MOVES // n))
        units, names, notes = np.zeros((count, n, 3)), [], []
        for unit in units:
            comments = []
            while lines and lines[0][1].startswith("#"):
                comments.append(" ".join(lines.pop(0)[1].lstrip("#").split()))
            if not lines:
                self.fail(f"{section} announces {count} units, {len(names)} follow")
            if not comments:
                self.at = lines[0][0]
                self.fail(
                    f"unit {len(names)} of {section} has no comment with its name, or the unit "
                    f"before has more lines than it announces: {_short(lines[0][1])}"
                )
            what = f"unit {comments[0]!r}"
            moves = self.count(lines, what, _MAX_COUNT)
            if any(line.startswith("#") for _, line in lines[:moves]):
                length = [line.startswith("#") for _, line in lines].index(True)
                self.fail(f"{what} announces {moves} lines, {length} follow")
            for line in lines[:moves]:
                vertex, *move = self.numbers(line, 4, "vertex dx dy dz")
                unit[self.index(vertex, n)] += move
            if len(lines) < moves:
                self.fail(f"{what} announces {moves} lines, {len(lines)} follow")
            del lines[:moves]
            names.append(comments[0])
            notes.append(tuple(comments[1:]))
        if rest := [line for line in lines if not line[1].startswith("#")]:
            self.at = rest[0][0]
            self.fail(f"{section} announces {count} units, but goes on: {_short(rest[0][1])}")
        return units, tuple(names), tuple(notes)

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
        for line in lines[:count]:
            vertex, *place = self.numbers(line, 3, "vertex u v")
            texture[self.index(vertex, n)] = place
        if not count <= len(lines) <= count + 1:
            self.fail(
                f"TEXTURE announces {count} lines and may name a file, {len(lines)} lines follow"
            )
        return texture, lines[count][1] if len(lines) > count else ""

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
            self.at, line = number, line.lstrip("#").strip()
            name, _, rest = line.partition(":")
            if name.lower() == "landmarks":
                for pair in rest.split():
                    point, _, vertex = pair.partition(":")
                    point = self.index(self.number(point), LANDMARKS, "point")
                    if point in landmarks:
                        self.fail(f"point {point} is given a second vertex")
                    landmarks[point] = self.index(self.number(vertex), n)
            elif name.lower() == "tracked":
                tracked += [self.index(self.number(word), n) for word in rest.split()]
                if len(set(tracked)) < len(tracked):
                    self.fail("a vertex is tracked twice")
            else:
                notes.append(line)
        return landmarks, tuple(tracked), tuple(notes)


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


def _row(values) -> str:
    """Numbers as short as they can be and still be read back exactly."""
    return " ".join(
        f"{value:d}" if isinstance(value, np.integer) else _real(value) for value in values
    )


def _real(value: float) -> str:
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else text
