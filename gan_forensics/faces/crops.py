"""The part of a frame that the tracker looks at: a square about the face, reduced when it is large.

All crops of a clip have one size, and lie on one lattice of whole cells about the centre of the
frame: a face that stays has the same crop, and the crop of a mirrored frame is the mirrored crop.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8


class Crop(NamedTuple):
    """Where the crops of a clip may lie.

    Attributes:
        width: of the crops, in working pixels.
        height: likewise.
        reduction: frame pixels along a side of a working pixel, which is their mean.
        cell: working pixels between places of the lattice.
        frame: width and height of the frames.
    """

    width: int
    height: int
    reduction: int
    cell: int
    frame: tuple[int, int]


def crop_about(crop: Crop, place: Float[np.ndarray, "2"]) -> tuple[int, int]:
    """First column and row, in frame pixels, of the crop whose centre is nearest to (u, v)."""
    step = crop.cell * crop.reduction
    first = []
    for size, frame, centre in zip((crop.width, crop.height), crop.frame, place, strict=True):
        middle = (frame - size * crop.reduction) // 2
        first.append(middle + step * round((float(centre) - 0.5 * (frame - 1)) / step))
    return first[0], first[1]


def cut(
    frame: UInt8[np.ndarray, "h w"], crop: Crop, first: tuple[int, int]
) -> Float[np.ndarray, "ch cw"]:
    """The crop from that column and row on; beyond the frame its edge is repeated.

    Returns:
        Gray levels in 0..255.
    """
    q = crop.reduction
    columns = np.clip(np.arange(first[0], first[0] + crop.width * q), 0, frame.shape[1] - 1)
    rows = np.clip(np.arange(first[1], first[1] + crop.height * q), 0, frame.shape[0] - 1)
    part = frame[rows[:, None], columns[None]].astype(np.float32)
    if q == 1:
        return part
    return part.reshape(crop.height, q, crop.width, q).mean((1, 3))
