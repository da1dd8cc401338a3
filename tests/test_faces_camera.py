"""Rotations against scipy, projections against closed forms, mirrors and limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from gan_forensics.faces.camera import (
    camera,
    euler_angles,
    geodesic_angle,
    mirrored,
    pinhole,
    rotation,
    weak_perspective,
)

RANDOM = np.random.default_rng(0)
ANGLES = RANDOM.uniform(-1.2, 1.2, (64, 3))
POINTS = RANDOM.normal(size=(20, 3))
POSES = np.column_stack(
    [RANDOM.uniform(-1, 1, (5, 3)), RANDOM.uniform(50, 300, (5, 2)), RANDOM.uniform(50, 150, 5)]
)


def test_rotations_are_those_of_scipy_about_fixed_axes_x_first():
    expected = Rotation.from_euler("xyz", ANGLES).as_matrix()
    np.testing.assert_allclose(rotation(*ANGLES.T), expected, rtol=0, atol=1e-14)
    with jax.enable_x64(True):
        found = jax.jit(rotation)(*jnp.asarray(ANGLES).T)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)


def test_euler_angles_come_back_from_the_rotation():
    np.testing.assert_allclose(euler_angles(rotation(*ANGLES.T)), ANGLES, rtol=0, atol=1e-12)


def test_the_geodesic_angle_is_that_of_scipy_and_keeps_the_digits_of_small_angles():
    turns = Rotation.from_euler("xyz", ANGLES)
    expected = (turns[:32].inv() * turns[32:]).magnitude()
    found = geodesic_angle(rotation(*ANGLES[:32].T), rotation(*ANGLES[32:].T))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    small = rotation(*np.array([1e-9, 0.0, 0.0]))
    np.testing.assert_allclose(geodesic_angle(np.eye(3), small), 1e-9, rtol=1e-6)


def test_a_positive_yaw_turns_the_nose_to_the_right_of_the_image_and_a_positive_pitch_down():
    nose = np.array([[0.0, 0.0, 1.0]])
    pose = np.array([0.3, 0.0, 0.0, 100.0, 50.0, 10.0])
    (place,), (depth,) = weak_perspective(nose, pose)
    np.testing.assert_allclose(place, [100, 50 + 10 * np.sin(0.3)])
    assert depth == pytest.approx(np.cos(0.3))
    (place,), _ = weak_perspective(nose, np.array([0.0, 0.3, 0.0, 100.0, 50.0, 10.0]))
    np.testing.assert_allclose(place, [100 + 10 * np.sin(0.3), 50])
    ear = np.array([[1.0, 0.0, 0.0]])
    (place,), _ = weak_perspective(ear, np.array([0.0, 0.0, 0.3, 100.0, 50.0, 10.0]))
    np.testing.assert_allclose(place, [100 + 10 * np.cos(0.3), 50 - 10 * np.sin(0.3)])


def test_weak_perspective_scales_and_shifts_exactly():
    uv, depth = weak_perspective(POINTS, POSES)
    assert uv.shape == (5, 20, 2) and depth.shape == (5, 20)
    other = POSES * [1, 1, 1, 0, 0, 2] + [0, 0, 0, 3, 7, 0]
    moved = 2 * (uv - POSES[:, None, 3:5]) + [3, 7]
    np.testing.assert_allclose(weak_perspective(POINTS, other)[0], moved, rtol=1e-12)


def test_the_pinhole_projects_as_its_matrix_does():
    focal, centre = 400.0, (160.0, 120.0)
    matrix = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]])
    uv, _ = pinhole(0.2 * POINTS, POSES, focal=focal, centre=centre)
    for pose, found in zip(POSES, uv, strict=True):
        z = focal / pose[5]
        shift = [(pose[3] - centre[0]) * z / focal, (pose[4] - centre[1]) * z / focal, z]
        turn = Rotation.from_euler("xyz", pose[:3]).as_matrix()
        seen = (0.2 * POINTS @ turn.T) * [1, -1, -1] + shift
        image = seen @ matrix.T
        np.testing.assert_allclose(found, image[:, :2] / image[:, 2:], rtol=1e-12)


def test_perspective_vanishes_with_the_distance():
    weak, _ = weak_perspective(POINTS, POSES)
    far = [
        np.abs(pinhole(POINTS, POSES, focal=focal, centre=(0.0, 0.0))[0] - weak).max()
        for focal in (1e5, 1e6, 1e7)
    ]
    assert far[0] / far[1] == pytest.approx(10, rel=0.05)
    assert far[1] / far[2] == pytest.approx(10, rel=0.05)


@pytest.mark.parametrize("name", ["weak-perspective", "pinhole"])
def test_the_mirrored_pose_of_mirrored_points_gives_the_mirrored_image(name):
    project = camera(name, width=320, height=240)
    uv, depth = project(0.3 * POINTS, POSES)
    other, depth_too = project(0.3 * POINTS * [-1, 1, 1], mirrored(POSES, 320))
    np.testing.assert_allclose(other[..., 0], 319 - uv[..., 0], rtol=1e-12)
    np.testing.assert_allclose(other[..., 1], uv[..., 1], rtol=1e-12)
    np.testing.assert_allclose(depth_too, depth, atol=1e-12)


@pytest.mark.parametrize("size", [(320, 240), (240, 320)], ids=["wide", "high"])
def test_the_focal_length_is_1_2_times_the_longer_side_unless_given(size):
    width, height = size
    uv, _ = camera("pinhole", width=width, height=height)(0.3 * POINTS, POSES)
    given, _ = camera("pinhole", width=width, height=height, focal=384.0)(0.3 * POINTS, POSES)
    np.testing.assert_array_equal(uv, given)
    centre = (0.5 * (width - 1), 0.5 * (height - 1))
    expected, _ = pinhole(0.3 * POINTS, POSES, focal=384.0, centre=centre)
    np.testing.assert_array_equal(uv, expected)


def test_cameras_that_there_are_not_are_refused():
    with pytest.raises(ValueError, match="give weak-perspective or pinhole"):
        camera("fisheye", width=320, height=240)
    with pytest.raises(ValueError, match="focal length of 400"):
        camera("weak-perspective", width=320, height=240, focal=400.0)
