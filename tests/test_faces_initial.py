"""Which face of a frame is taken, and what it is fitted to."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.faces import initial
from gan_forensics.faces.camera import weak_perspective
from gan_forensics.faces.candide import load_wireframe
from gan_forensics.faces.detectors import Box
from gan_forensics.faces.initial import candidate_poses, find_face, given_face

FRAME = np.zeros((240, 320, 3), np.uint8)
POSE = np.array([0.1, -0.2, 0.05, 150.0, 120.0, 90.0])
BOXES = [Box(100.0, 60.0, 110.0, 110.0, 40), Box(10.0, 10.0, 40.0, 40.0, 9)]


@pytest.fixture(scope="module")
def wireframe():
    return load_wireframe()


@pytest.fixture(scope="module")
def points(wireframe):
    """Landmarks of the model's own mean face in a known pose."""
    uv, _ = weak_perspective(wireframe.vertices, POSE)
    found = np.full((68, 2), np.nan)
    for point, vertex in wireframe.landmarks.items():
        found[point] = uv[vertex]
    return found


def test_landmarks_that_are_given_are_fitted(wireframe, points):
    found = given_face(FRAME, points, wireframe, "weak-perspective")
    assert (found.init, found.box, found.others) == ("landmarks", None, ())
    assert_allclose(found.fit.pose, POSE, atol=1e-3)
    assert found.missed is None  # Where no box is found nothing is said.


@pytest.mark.parametrize(
    ("box", "lies"),
    [
        ((80.0, 40.0, 150.0), True),
        ((100.0, 60.0, 150.0), True),
        ((140.0, 40.0, 150.0), False),  # beside
        ((80.0, 110.0, 150.0), False),  # below
        ((0.0, -40.0, 330.0), False),  # too large
        ((125.0, 85.0, 40.0), False),  # too small
    ],
)
def test_landmarks_are_compared_with_the_faces_of_the_frame(
    box, lies, wireframe, points, monkeypatch
):
    x, y, side = box
    box = Box(x, y, side, side, 40)
    monkeypatch.setattr(initial, "detect_boxes", lambda frame: [box])
    found = given_face(FRAME, points, wireframe, "weak-perspective")
    assert found.missed == (None if lies else box)
    # Those of a second face lie on a box too.
    true = Box(80.0, 40.0, 150.0, 150.0, 40)
    monkeypatch.setattr(initial, "detect_boxes", lambda frame: [box, true])
    assert given_face(FRAME, points, wireframe, "weak-perspective").missed is None
    # And a detector may leave the box that it was given.
    found = find_face(FRAME, wireframe, "weak-perspective", lambda frame, box: points)
    assert found is not None and found.missed == (None if lies else box)


def test_landmarks_that_are_shares_of_the_frame_are_refused(wireframe, points):
    with pytest.raises(ValueError, match=r"the eyes are 0\.\d+ px apart .*give pixels of the upri"):
        given_face(FRAME, points / [320, 240], wireframe, "weak-perspective")


def test_landmarks_whose_axes_are_exchanged_are_refused(wireframe, points):
    for wrong in (points * [-1, 1] + [300, 0], points * [1, -1] + [0, 240], points[:, ::-1]):
        with pytest.raises(ValueError, match=r"seen from behind or upside down: .*\(yaw"):
            given_face(FRAME, wrong, wireframe, "weak-perspective")


def test_landmarks_of_another_size_of_frame_are_refused(wireframe, points):
    message = "landmarks lie outside of the frame of 320x240 pixels: give pixels of the upright"
    with pytest.raises(ValueError, match=message):
        given_face(FRAME, 3 * points, wireframe, "weak-perspective")
    # A few beyond the edge are a face that reaches over it.
    given_face(FRAME, points - [100, 0], wireframe, "weak-perspective")


def test_the_largest_box_is_taken_and_a_detector_looks_into_it(wireframe, points, monkeypatch):
    monkeypatch.setattr(initial, "detect_boxes", lambda frame: BOXES)
    seen = []

    def detector(frame, box):
        seen.append(box)
        return points

    found = find_face(FRAME, wireframe, "weak-perspective", detector)
    assert found is not None and seen == BOXES[:1]
    assert (found.init, found.box, found.others) == ("detector", BOXES[0], (BOXES[1],))
    assert_allclose(found.fit.pose, POSE, atol=1e-3)
    boxed = find_face(FRAME, wireframe, "weak-perspective", None)
    assert boxed is not None and boxed.init == "box"
    assert not boxed.fit.shape.any() and np.isnan(boxed.fit.residual).all()
    # About the middle of the box, and frontal.
    assert abs(boxed.fit.pose[3] - 155) < 15 and not boxed.fit.pose[:3].any()


def test_without_a_box_there_is_no_face(wireframe, monkeypatch):
    monkeypatch.setattr(initial, "detect_boxes", lambda frame: [])
    assert find_face(FRAME, wireframe, "weak-perspective", None) is None
    assert candidate_poses(FRAME, wireframe) == []


def test_a_lost_face_may_be_in_any_box(wireframe, monkeypatch):
    monkeypatch.setattr(initial, "detect_boxes", lambda frame: BOXES)
    poses = candidate_poses(FRAME, wireframe)
    assert len(poses) == 2 and poses[0][5] > 2 * poses[1][5]
