"""Wireframe faces: shape and animation units on a triangle mesh, and its symmetry and winding.

    g(sigma, alpha) = g0 + S sigma + A alpha

with the columns of S for what tells persons apart and those of A for what moves (Ahlberg,
"CANDIDE-3 - an updated parameterised face", 2001, equation 1). Model axes: right-handed, +x the
person's left, which is right in an image, +y up, +z out of the face.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64, Int

from gan_forensics.files import shown

# Points of the iBUG scheme that detectors give and models name their vertices by.
LANDMARKS = 68


@dataclass(frozen=True, eq=False)
class Wireframe:
    """A face of n vertices, t triangles, a animation and s shape units.

    Attributes:
        vertices: [n, 3] of the neutral mean face, in model units.
        triangles: [t, 3] indices of vertices, from 0.
        animation: [a, n, 3] how far each vertex moves when a unit's parameter is 1.
        animation_names: of the units, as "AUV11 Jaw drop (AU26/27)".
        shape: [s, n, 3] the same for shape units.
        shape_names: of the units, as "Mouth width".
        landmarks: vertex of each point of the 68-point scheme (from 0) that the model has.
        tracked: vertices whose surroundings the tracker compares.
        animation_notes: further lines about each unit; for MPEG-4 parameters its unit of measure.
        shape_notes: the same for shape units.
        animation_parameters: [a] stored with the model; zeros for a neutral face.
        shape_parameters: [s] the same; zeros for the mean face.
        texture: [n, 2] place of each vertex in the texture, NaN where it has none.
        texture_file: name of the texture's file; empty without one.
        motion: [3, 3] rotation, scale and translation stored with the model, one a row.
        notes: lines at the head of the file.

    Example:
        >>> from gan_forensics.faces import load_wireframe
        >>> wireframe = load_wireframe()
        >>> wireframe.vertices.shape[1], len(wireframe.landmarks) > 40
        (3, True)
    """

    vertices: Float64[np.ndarray, "n 3"]
    triangles: Int[np.ndarray, "t 3"]
    animation: Float64[np.ndarray, "a n 3"]
    animation_names: tuple[str, ...]
    shape: Float64[np.ndarray, "s n 3"]
    shape_names: tuple[str, ...]
    landmarks: dict[int, int]
    tracked: tuple[int, ...]
    animation_notes: tuple[tuple[str, ...], ...]
    shape_notes: tuple[tuple[str, ...], ...]
    animation_parameters: Float64[np.ndarray, " a"]
    shape_parameters: Float64[np.ndarray, " s"]
    texture: Float64[np.ndarray, "n 2"]
    texture_file: str = ""
    motion: Float64[np.ndarray, "3 3"] = field(
        default_factory=lambda: np.array([[0.0] * 3, [1.0] * 3, [0.0] * 3])
    )
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"Wireframe({len(self.vertices)} vertices, {len(self.triangles)} triangles, "
            f"{len(self.animation)} animation units, {len(self.shape)} shape units, "
            f"{len(self.landmarks)} of {LANDMARKS} landmarks, {len(self.tracked)} tracked vertices)"
        )


def deform(vertices, shape, animation, sigma, alpha):
    """Vertices [..., n, 3] of the face with shape [..., s] and animation [..., a] parameters.

    Args:
        vertices: [n, 3]; NumPy and JAX arrays alike, as for all that follow.
        shape: [s, n, 3] shape units.
        animation: [a, n, 3] animation units, all or those that are tracked.
        sigma: [..., s] shape parameters; leading axes as those of `alpha`.
        alpha: [..., a] animation parameters, 0 neutral and 1 the full action.

    Example:
        >>> from gan_forensics.faces import load_wireframe
        >>> face = load_wireframe()
        >>> rest = np.zeros(len(face.shape)), np.zeros(len(face.animation))
        >>> still = deform(face.vertices, face.shape, face.animation, *rest)
        >>> bool(np.allclose(still, face.vertices))
        True
    """
    moved = sigma @ shape.reshape(len(shape), vertices.size)
    moved = moved + alpha @ animation.reshape(len(animation), vertices.size)
    moved = moved.reshape(*moved.shape[:-1], *vertices.shape)
    return vertices.reshape((1,) * (moved.ndim - 2) + vertices.shape) + moved


def oriented(
    vertices: Float64[np.ndarray, "n 3"], triangles: Int[np.ndarray, "t 3"]
) -> Int[np.ndarray, "t 3"]:
    """Triangles turned so that on the neutral face each has its normal towards the camera, z > 0.

    CANDIDE's files wind them either way; culling needs one.

    Example:
        >>> vertices = np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
        >>> oriented(vertices, np.array([[0, 1, 2]]))
        array([[0, 1, 2]])
    """
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    away = np.cross(b - a, c - a)[:, 2] < 0
    return np.where(away[:, None], triangles[:, ::-1], triangles)


def mirror_of(vertices: Float64[np.ndarray, "n 3"]) -> Int[np.ndarray, " n"]:
    """Index of the vertex at (-x, y, z) of each: an involution, also where vertices coincide.

    Raises:
        ValueError: when the mesh has no mirror symmetry, naming a vertex without its like.

    Example:
        >>> mirror_of(np.array([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]))
        array([2, 1, 0])
    """
    places: dict[tuple, list[int]] = {}
    # Adding 0 makes -0 the same key as 0; 1e-6 is below what the files write.
    rounded = np.round(vertices, 6) + 0.0
    for index, place in enumerate(rounded):
        places.setdefault(tuple(place), []).append(index)
    mirror = np.empty(len(vertices), int)
    for (x, y, z), indices in places.items():
        others = places.get((-x + 0.0, y, z), [])
        if len(others) != len(indices):
            raise ValueError(
                f"vertex {indices[0]} at ({x:g}, {y:g}, {z:g}) has no mirror image at "
                f"({-x + 0.0:g}, {y:g}, {z:g}): the face must be symmetric in x"
            )
        mirror[indices] = others
    return mirror


def unit_index(names: Sequence[str], name: str) -> int:
    """Index of a unit by name: "AUV11", "jaw drop", "AU26", "26" (FACS), "FAP 3" or "open_jaw".

    Raises:
        ValueError: for an unknown name, with those that are like it, or one that fits several.

    Example:
        >>> unit_index(("Upper lip raiser", "Jaw drop"), "jaw drop")
        1
    """
    asked = _plain(name)
    known = [_aliases(full) for full in names]
    found = [index for index, aliases in enumerate(known) if asked in aliases]
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(repr(names[index]) for index in found)
        raise ValueError(f"{name!r} names {len(found)} units: {several}; give the whole name")
    owner = {alias: index for index, aliases in enumerate(known) for alias in aliases}
    near = difflib.get_close_matches(asked, owner, n=3, cutoff=0.6)
    near = list(dict.fromkeys(repr(names[owner[alias]]) for alias in near))
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    listed = ", ".join(map(shown, names[:20]))
    listed += f" and {len(names) - 20} more" if len(names) > 20 else ""
    raise ValueError(f"no unit is called {name!r}; {hint}There are {listed or 'none'}")


def _plain(name: str) -> str:
    """A name without case, and without what stands between letters and a number."""
    words = " ".join(name.lower().replace("_", " ").split())
    return re.sub(r"^(auv|au|fap) (\d+)", r"\1\2", words)


def _aliases(name: str) -> set[str]:
    """All that a unit may be called: its name, code, description and FACS numbers."""
    code, what, facs = re.fullmatch(
        r"((?:auv|fap)\d+)? ?(.*?) ?(?:\(au([\d/]+)\))?", _plain(name)
    ).groups()  # pyright: ignore[reportOptionalMemberAccess] - it fits every line
    numbers = facs.split("/") if facs else []
    found = {_plain(name), code, what, *numbers, *(f"au{number}" for number in numbers)}
    return found - {None, ""}
