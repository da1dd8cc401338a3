"""Points of the 68-point scheme that tests of faces share."""

import csv
from pathlib import Path

import numpy as np

# Points of the 68-point scheme in the mirror: jaw, brows, nose, eyes, lips without and within.
MIRRORED = (
    *(16 - np.arange(17)).tolist(),
    *(43 - np.arange(17, 27)).tolist(),
    *(27, 28, 29, 30, 35, 34, 33, 32, 31),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60, 67, 66, 65),
)


def astronaut_points() -> np.ndarray:
    """Points [68, 2] of the face of `skimage.data.astronaut`, in pixels."""
    path = Path(__file__).parent.parent / "experiments" / "astronaut_landmarks.csv"
    with path.open() as file:
        return np.array([[float(row["x"]), float(row["y"])] for row in csv.DictReader(file)])
