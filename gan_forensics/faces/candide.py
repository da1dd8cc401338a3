"""The faces that are tracked: the package's own, CANDIDE-3, and any other .wfm file.

CANDIDE-3 (Ahlberg, "CANDIDE-3 - an updated parameterised face", 2001) states no licence and is read
from a path that the user gives. Which of its vertices are landmarks and which are tracked is this
project's reconstruction; the package's own face says so in its file.
"""

from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np

from gan_forensics.faces.wfm import read_wfm, write_wfm
from gan_forensics.faces.wireframe import Wireframe, deform, mirror_of, oriented, unit_index
from gan_forensics.files import shown

__all__ = [
    "DEFAULT_UNITS",
    "OWN_FACE",
    "Wireframe",
    "default_units",
    "deform",
    "load_wireframe",
    "mirror_of",
    "oriented",
    "read_wfm",
    "unit_index",
    "write_wfm",
]

OWN_FACE = Path(__file__).with_name("face.wfm")
# What a tracker follows unless told otherwise, in the order of its state.
DEFAULT_UNITS = (
    "jaw drop",
    "lip stretcher",
    "lip corner depressor",
    "upper lip raiser",
    "brow lowerer",
    "outer brow raiser",
)


def load_wireframe(path: str | PathLike | None = None) -> Wireframe:
    """A model ready for fitting and tracking: wound one way, with landmarks and tracked vertices.

    Args:
        path: of a .wfm file: CANDIDE-3 in either of its variants, or any other that names its
            landmarks and tracked vertices at its head; None is the package's own face.

    Raises:
        ValueError: for a broken file, naming the line; for a model without landmarks.
        OSError: when the file cannot be read.

    Example:
        >>> load_wireframe().vertices.shape[1]
        3
    """
    path = OWN_FACE if path is None else Path(path)
    wireframe = read_wfm(path)
    if not wireframe.landmarks and not wireframe.tracked and _is_candide3(wireframe.vertices):
        wireframe = replace(wireframe, landmarks=dict(CANDIDE3_LANDMARKS), tracked=CANDIDE3_TRACKED)
    missing = [name for name in ("landmarks", "tracked") if not getattr(wireframe, name)]
    if missing:
        raise ValueError(
            f"{shown(path)}: the face is not CANDIDE-3 and lacks the line of "
            f"{' and of '.join(missing)}. Say before its vertex list which vertices are landmarks: "
            "'# landmarks: 36:53 39:56 ...' (point of the 68-point scheme, counted from 0, and "
            "vertex), and which to follow: '# tracked: 53 56 ...'"
        )
    return replace(wireframe, triangles=oriented(wireframe.vertices, wireframe.triangles))


def default_units(wireframe: Wireframe) -> tuple[int, ...]:
    """Indices of `DEFAULT_UNITS` in the animation units of a model.

    Raises:
        ValueError: when the model lacks one.

    Example:
        >>> from gan_forensics.faces import load_wireframe
        >>> wireframe = load_wireframe()
        >>> [wireframe.animation_names[unit] for unit in default_units(wireframe)][:1]
        ['Jaw drop (AU26/27)']
    """
    return tuple(unit_index(wireframe.animation_names, name) for name in DEFAULT_UNITS)


def _is_candide3(vertices: np.ndarray) -> bool:
    """Whether these are the vertices of CANDIDE-3: their number, sum, and points that coincide."""
    return (
        len(vertices) == 113
        and np.allclose(vertices.sum(0), (0, 1.2, -1.873), atol=1e-3)
        and np.allclose(vertices[[2, 3, 5, 6]], vertices[[35, 36, 38, 39]], atol=1e-6)
    )


# Point of the 68-point scheme -> vertex of CANDIDE-3, and what is tracked: this project's
# reconstruction. All eleven action-unit vectors are independent on the tracked vertices.
CANDIDE3_LANDMARKS = {
    **{4: 63, 6: 65, 8: 10, 10: 32, 12: 30},
    **{17: 48, 19: 49, 21: 50, 22: 17, 24: 16, 26: 15},
    **{30: 5, 31: 59, 32: 112, 33: 6, 34: 111, 35: 26},
    **{36: 53, 37: 98, 38: 106, 39: 56, 40: 108, 41: 100},
    **{42: 23, 43: 105, 44: 97, 45: 20, 46: 99, 47: 107},
    **{48: 64, 49: 80, 50: 66, 51: 7, 52: 33, 53: 79, 54: 31, 55: 85, 57: 8, 59: 86},
    **{60: 89, 61: 82, 62: 87, 63: 81, 64: 88, 65: 83, 66: 40, 67: 84},
}
CANDIDE3_TRACKED = (
    *(15, 16, 17, 48, 49, 50),
    *(20, 23, 53, 56, 21, 22, 54, 55),
    *(94, 5, 26, 59, 111, 112),
    *(31, 64, 7, 8, 33, 66),
)
