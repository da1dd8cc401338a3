"""Faces in video: a wireframe, a camera, and a tracker of pose and animation.

In a script, with frames as gray uint8 arrays [h, w] and 68 landmarks [68, 2] of the first one:

    wireframe = load_wireframe()
    fit = fit_landmarks(wireframe, points, image_size=(width, height))
    tracker = Tracker(wireframe, fit, frames[0])
    estimates = [tracker.track(frame) for frame in frames[1:]]
"""

from gan_forensics.faces.camera import euler_angles, geodesic_angle, pinhole, weak_perspective
from gan_forensics.faces.candide import (
    Wireframe,
    default_units,
    deform,
    load_wireframe,
    mirror_of,
    oriented,
    read_wfm,
    unit_index,
    write_wfm,
)
from gan_forensics.faces.detectors import (
    detect_boxes,
    load_landmark_detector,
    read_landmarks_csv,
)
from gan_forensics.faces.fit import Fit, fit_box, fit_landmarks
from gan_forensics.faces.tracker import Estimate, Tracker
from gan_forensics.faces.tracker_config import TrackerConfig
from gan_forensics.faces.video import frames, probe, write_video

__all__ = [
    "default_units",
    "deform",
    "detect_boxes",
    "Estimate",
    "euler_angles",
    "Fit",
    "fit_box",
    "fit_landmarks",
    "frames",
    "geodesic_angle",
    "load_landmark_detector",
    "load_wireframe",
    "mirror_of",
    "oriented",
    "pinhole",
    "probe",
    "read_landmarks_csv",
    "read_wfm",
    "Tracker",
    "TrackerConfig",
    "unit_index",
    "weak_perspective",
    "Wireframe",
    "write_video",
    "write_wfm",
]
