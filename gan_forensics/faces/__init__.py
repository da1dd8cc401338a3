"""Faces in video: a wireframe, a camera, and a tracker of pose and animation."""

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
from gan_forensics.faces.fit import Fit, fit_box, fit_landmarks
