"""Where a face is in a frame, for the tracker to begin with, and to go on with once it was lost.

Landmarks of one frame, or of a detector, fix pose and shape of the person. A face box does not: the
mean face is then laid on the box, which tells where to look and not much more.
"""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from gan_forensics.faces.detectors import Box, LandmarkDetector, detect_boxes
from gan_forensics.faces.fit import Fit, fit_box, fit_landmarks

if TYPE_CHECKING:
    from gan_forensics.faces.wireframe import Wireframe

Rgb = UInt8[np.ndarray, "h w 3"]
Landmarks = Float[np.ndarray, "68 2"]


class Found(NamedTuple):
    """A face that was found.

    Attributes:
        fit: of the wireframe.
        init: what it was fitted to: landmarks, detector or box.
        box: of the face; None where landmarks were given.
        others: boxes of further faces, largest first.
    """

    fit: Fit
    init: str
    box: Box | None = None
    others: tuple[Box, ...] = ()


def given_face(frame: Rgb, points: Landmarks, wireframe: "Wireframe", camera: str) -> Found:
    """The face whose landmarks were given.

    Raises:
        ValueError: when they lie outside of the frame, or cannot be fitted.
    """
    height, width = frame.shape[:2]
    u, v = points[np.isfinite(points).all(1)].T
    inside = (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
    if inside.mean() < 0.5:
        raise ValueError(
            f"{len(inside) - inside.sum()} of {len(inside)} landmarks lie outside of the frame of "
            f"{width}x{height} pixels: give pixels of the upright frame that tracking starts with"
        )
    fit = fit_landmarks(wireframe, points, camera=camera, image_size=(width, height))
    return Found(fit, "landmarks")


def find_face(
    frame: Rgb, wireframe: "Wireframe", camera: str, detector: LandmarkDetector | None
) -> Found | None:
    """The largest face of a frame, or None.

    Args:
        frame: upright.
        wireframe: to fit.
        camera: its name.
        detector: of landmarks in a box; without one the mean face is laid on the box.
    """
    boxes = detect_boxes(frame)
    if not boxes:
        return None
    box, *others = boxes
    if detector is None:
        return Found(fit_box(wireframe, box[:4]), "box", box, tuple(others))
    size = frame.shape[1], frame.shape[0]
    fit = fit_landmarks(wireframe, detector(frame, box), camera=camera, image_size=size)
    return Found(fit, "detector", box, tuple(others))


def candidate_poses(frame: Rgb, wireframe: "Wireframe") -> list[Float[np.ndarray, " 6"]]:
    """Poses of the mean face in every face box of a frame: where a lost face may be."""
    return [fit_box(wireframe, box[:4]).pose for box in detect_boxes(frame)]
