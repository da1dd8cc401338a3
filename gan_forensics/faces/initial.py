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

# Pixels between the eyes' middles, below which there is nothing to track.
CLOSEST_EYES = 8
# Larger extent of the landmarks without the jaw, in widths of a face box: 0.61 to 0.76 on frames of
# two clips and two stills; its middle was within 0.1 of the box's.
EXTENT_IN_BOX = 0.65
FROM_BEHIND = (
    "the points describe a face seen from behind or upside down: are left and right, or x and y, "
    "exchanged, or is y counted upwards?"
)
Rgb = UInt8[np.ndarray, "h w 3"]
Landmarks = Float[np.ndarray, "68 2"]


class Found(NamedTuple):
    """A face that was found.

    Attributes:
        fit: of the wireframe.
        init: what it was fitted to: landmarks, detector or box.
        box: of the face; None where landmarks were given.
        others: boxes of further faces, largest first.
        missed: box of a face, where there are boxes and the landmarks lie on none of them.
    """

    fit: Fit
    init: str
    box: Box | None = None
    others: tuple[Box, ...] = ()
    missed: Box | None = None


def given_face(frame: Rgb, points: Landmarks, wireframe: "Wireframe", camera: str) -> Found:
    """The face whose landmarks were given.

    Raises:
        ValueError: when they lie outside of the frame, are no pixels, describe a face from behind,
            or cannot be fitted.
    """
    height, width = frame.shape[:2]
    right, left = points[36:42], points[42:48]
    apart = np.linalg.norm(_mean(left) - _mean(right))
    if apart < CLOSEST_EYES:
        raise ValueError(
            f"the eyes are {apart:.2g} px apart in the points; give pixels of the upright frame, "
            f"and a face with {CLOSEST_EYES} px or more between its eyes"
        )
    u, v = points[np.isfinite(points).all(1)].T
    inside = (u >= 0) & (u <= width - 1) & (v >= 0) & (v <= height - 1)
    if inside.mean() < 0.5:
        raise ValueError(
            f"{len(inside) - inside.sum()} of {len(inside)} landmarks lie outside of the frame of "
            f"{width}x{height} pixels: give pixels of the upright frame that tracking starts with"
        )
    fit = fit_landmarks(wireframe, points, camera=camera, image_size=(width, height))
    if np.cos(fit.pose[0]) * np.cos(fit.pose[1]) < 0:
        pitch, yaw, roll = np.degrees(fit.pose[:3])
        raise ValueError(f"{FROM_BEHIND} (yaw {yaw:.0f}, pitch {pitch:.0f}, roll {roll:.0f})")
    return Found(fit, "landmarks", missed=missed_box(points, detect_boxes(frame)))


def _mean(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, " 2"]:
    there = points[np.isfinite(points).all(1)]
    return there.mean(0) if len(there) else np.full(2, np.nan)


def missed_box(points: Landmarks, boxes: list[Box]) -> Box | None:
    """The largest of the face boxes in a frame, when the landmarks lie on none of them.

    They lie on a box when the middle of their extent, without the jaw, is within 0.3 widths of the
    box's, and that extent is more than half and less than twice the usual one.
    """
    there = points[17:][np.isfinite(points[17:]).all(1)]
    low, high = there.min(0), there.max(0)
    (u, v), extent = (low + high) / 2, (high - low).max()
    for box in boxes:
        aside = max(abs(u - box.x - box.w / 2), abs(v - box.y - box.h / 2))
        if aside < 0.3 * box.w and 0.5 < extent / (EXTENT_IN_BOX * box.w) < 2:
            return None
    return boxes[0] if boxes else None


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
    points = detector(frame, box)
    fit = fit_landmarks(wireframe, points, camera=camera, image_size=size)
    return Found(fit, "detector", box, tuple(others), missed_box(points, [box]))


def candidate_poses(frame: Rgb, wireframe: "Wireframe") -> list[Float[np.ndarray, " 6"]]:
    """Poses of the mean face in every face box of a frame: where a lost face may be."""
    return [fit_box(wireframe, box[:4]).pose for box in detect_boxes(frame)]
