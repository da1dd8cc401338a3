"""Fits to landmarks and boxes: exact projections, the mirror, damping, real points, bad input."""

import os
from pathlib import Path

import numpy as np
import pytest

from gan_forensics.faces.camera import camera, geodesic_angle, mirrored, rotation
from gan_forensics.faces.candide import default_units, deform, load_wireframe
from gan_forensics.faces.fit import BOX_POINTS, fit_box, fit_landmarks
from tests.face_points import MIRRORED, astronaut_points

SIZE = (360, 288)
CAMERAS = ("weak-perspective", "pinhole")


@pytest.fixture(scope="module")
def face():
    return load_wireframe()


@pytest.fixture(scope="module")
def astronaut():
    return astronaut_points()


def seen(face, pose, shape, animation, camera_name="weak-perspective"):
    """Points of a face in an image; NaN where the model has no vertex."""
    units = face.animation[list(default_units(face))]
    project = camera(camera_name, width=SIZE[0], height=SIZE[1])
    uv, _ = project(deform(face.vertices, face.shape, units, shape, animation), pose)
    points = np.full((68, 2), np.nan)
    points[list(face.landmarks)] = uv[list(face.landmarks.values())]
    return points


def some_person(face, rng):
    pose = np.array([0.1, -0.3, 0.1, 170, 140, 100]) + rng.normal(size=6) * [0.1, 0.1, 0.1, 9, 9, 9]
    return pose, rng.uniform(-0.5, 0.5, len(face.shape)), rng.uniform(0, 0.6, 6)


@pytest.mark.parametrize("camera_name", CAMERAS)
def test_exact_projections_give_back_pose_and_animation_when_little_is_damped(
    face, camera_name, rng
):
    for _ in range(3):
        pose, shape, animation = some_person(face, rng)
        fit = fit_landmarks(
            face,
            seen(face, pose, shape, animation, camera_name),
            image_size=SIZE,
            weights=np.ones(68),
            camera=camera_name,
            damping=1e-4,
        )
        assert fit.units == default_units(face)
        np.testing.assert_allclose(fit.animation, animation, atol=1e-3)
        np.testing.assert_allclose(fit.pose, pose, rtol=1e-4, atol=1e-4)
        named = sorted(face.landmarks)
        assert fit.residual[named].max() < 1e-3
        assert np.isnan(np.delete(fit.residual, named)).all()


@pytest.mark.parametrize("camera_name", CAMERAS)
def test_damping_trades_pixels_for_parameters(face, camera_name, rng):
    points = seen(face, *some_person(face, rng), camera_name)
    fits = [
        fit_landmarks(face, points, image_size=SIZE, camera=camera_name, damping=damping)
        for damping in (0.2, 2.0, 20.0)
    ]
    sizes = [(fit.shape**2).sum() + (fit.animation**2).sum() for fit in fits]
    misses = [np.nanmean(fit.residual[17:] ** 2) for fit in fits]
    assert sizes[0] > sizes[1] > sizes[2]
    assert misses[0] < misses[1] < misses[2]


def test_at_the_fit_no_small_step_lowers_what_is_minimised(face, astronaut, rng):
    fit = fit_landmarks(face, astronaut, image_size=(512, 512))
    weights = np.where(np.arange(68) < 17, 0.05, 1.0)

    def cost(pose, shape, animation):
        off = seen(face, pose, shape, animation) - astronaut
        return np.nansum(weights * (off**2).sum(1)) + 4 * ((shape**2).sum() + (animation**2).sum())

    least = cost(fit.pose, fit.shape, fit.animation)
    residual = np.hypot(*(seen(face, fit.pose, fit.shape, fit.animation) - astronaut).T)
    np.testing.assert_allclose(residual, fit.residual, atol=1e-9)
    for _ in range(30):
        steps = 1e-3 * rng.normal(size=6 + len(fit.shape) + 6)
        steps[3:6] *= 100
        pose, shape, animation = np.split(steps, [6, 6 + len(fit.shape)])
        assert cost(fit.pose + pose, fit.shape + shape, fit.animation + animation) > least


@pytest.mark.parametrize("camera_name", CAMERAS)
def test_a_mirrored_image_gives_the_mirrored_pose_and_the_same_person(face, astronaut, camera_name):
    width = 512
    fit = fit_landmarks(face, astronaut, image_size=(width, width), camera=camera_name)
    flipped = astronaut[list(MIRRORED)] * [-1, 1] + [width - 1, 0]
    other = fit_landmarks(face, flipped, image_size=(width, width), camera=camera_name)
    np.testing.assert_allclose(other.pose, mirrored(fit.pose, width), atol=1e-7)
    np.testing.assert_allclose(other.shape, fit.shape, atol=1e-7)
    np.testing.assert_allclose(other.animation, fit.animation, atol=1e-7)
    np.testing.assert_allclose(other.residual, fit.residual[list(MIRRORED)], atol=1e-7)


@pytest.mark.parametrize("roll", [0.0, 1.5, -2.0, 3.141, -3.141])
def test_a_face_is_fitted_whichever_way_up_it_is(face, roll, rng):
    pose, shape, animation = some_person(face, rng)
    pose[2] = roll
    fit = fit_landmarks(face, seen(face, pose, shape, animation), image_size=SIZE, damping=0.1)
    off = geodesic_angle(rotation(*fit.pose[:3]), rotation(*pose[:3]))
    assert np.degrees(off) < 0.5
    assert np.abs(fit.pose[:3]).max() <= np.pi


def test_the_astronaut_is_fitted_to_a_pixel_with_a_face_that_could_be_hers(face, astronaut):
    fit = fit_landmarks(face, astronaut, image_size=(512, 512))
    # CANDIDE-3 leaves 1.9 (median) and 2.2 pixels (mean) on the points that it has.
    assert np.nanmedian(fit.residual) < 1.2
    assert np.nanmean(fit.residual) < 1.5
    assert np.abs(fit.shape).max() < 1.5
    assert np.abs(np.degrees(fit.pose[:3])).max() < 20
    # She smiles, and her lips are not far apart.
    assert -0.2 < fit.animation[0] < 0.3


def test_points_that_are_missing_are_left_out(face, astronaut):
    whole = fit_landmarks(face, astronaut, image_size=(512, 512))
    astronaut = astronaut.copy()
    astronaut[[20, 33, 60]] = np.nan
    fit = fit_landmarks(face, astronaut, image_size=(512, 512))
    assert np.isnan(fit.residual[[20, 33, 60]]).all()
    assert np.degrees(np.abs(fit.pose - whole.pose)[:3]).max() < 2
    # A weight of 0 leaves a point out as well, but says how far off it is.
    weights = np.where(np.arange(68) < 17, 0.05, 1.0)
    weights[[20, 33, 60]] = 0
    same = fit_landmarks(
        face, np.nan_to_num(astronaut, nan=1e3), image_size=(512, 512), weights=weights
    )
    np.testing.assert_allclose(same.pose, fit.pose, atol=1e-9)
    assert (same.residual[[20, 33, 60]] > 100).all()


def test_only_the_chosen_units_move(face, astronaut):
    fit = fit_landmarks(face, astronaut, image_size=(512, 512), units=(11,))
    assert fit.units == (11,)
    assert fit.animation.shape == (1,)
    none = fit_landmarks(face, astronaut, image_size=(512, 512), units=())
    assert none.animation.shape == (0,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"points": np.zeros((67, 2))}, r"shape \[67, 2\]; give 68 rows"),
        ({"points": np.full((68, 2), np.nan)}, "needs 6 points, 0 can be used"),
        ({"points": np.ones((68, 2))}, "all lie in one place"),
        ({"weights": np.zeros(68)}, "0 have a weight"),
        ({"weights": -np.ones(68)}, "finite numbers of at least 0"),
        ({"weights": np.full(68, np.inf)}, "finite numbers of at least 0"),
        ({"damping": 0.0}, "damping is 0; give pixels"),
        ({"units": (99,)}, "counted from 0 to 15"),
        ({"camera": "fisheye"}, "give weak-perspective or pinhole"),
    ],
)
def test_what_cannot_be_fitted_is_refused(face, astronaut, change, said):
    given = {"points": astronaut, "image_size": (512, 512), **change}
    with pytest.raises(ValueError, match=said):
        fit_landmarks(face, given.pop("points"), **given)


def test_a_box_gives_the_mean_face_upright_with_eyes_and_mouth_in_their_places(face):
    fit = fit_box(face, (100, 50, 200, 200))
    np.testing.assert_array_equal(fit.pose[:3], 0)
    np.testing.assert_array_equal(np.concatenate([fit.shape, fit.animation]), 0)
    assert np.isnan(fit.residual).all()
    assert fit.units == default_units(face)
    points = seen(face, fit.pose, fit.shape, fit.animation)
    wanted = np.array([(100 + 200 * x, 50 + 200 * y) for x, y in BOX_POINTS.values()])
    assert np.abs(points[list(BOX_POINTS)] - wanted).max() < 0.03 * 200
    np.testing.assert_allclose(points[list(BOX_POINTS)].mean(0), wanted.mean(0), atol=1e-9)


def test_a_box_moves_and_scales_the_face_with_it(face):
    one, other = fit_box(face, (0, 0, 100, 100)), fit_box(face, (20, 10, 300, 300, 7.5))
    np.testing.assert_allclose(other.pose[5], 3 * one.pose[5])
    np.testing.assert_allclose(other.pose[3:5], 3 * one.pose[3:5] + [20, 10])
    high = fit_box(face, (0, 0, 100, 120))
    assert one.pose[5] < high.pose[5] < 1.2 * one.pose[5]
    assert high.pose[4] > one.pose[4]


@pytest.mark.parametrize("box", [(0, 0, 0, 10), (0, 0, 10, -1), (0, np.nan, 10, 10)])
def test_a_box_without_an_area_is_refused(face, box):
    with pytest.raises(ValueError, match="has no area; give x, y, width and height"):
        fit_box(face, box)


@pytest.mark.skipif(
    "GAN_FORENSICS_CANDIDE" not in os.environ,
    reason="GAN_FORENSICS_CANDIDE names no folder with CANDIDE-3",
)
def test_the_own_face_fits_the_astronaut_at_least_as_well_as_candide(face, astronaut):
    candide = load_wireframe(Path(os.environ["GAN_FORENSICS_CANDIDE"]) / "candide3_v3.1.6.wfm")
    own, theirs = (fit_landmarks(m, astronaut, image_size=(512, 512)) for m in (face, candide))
    assert 1.5 < np.nanmedian(theirs.residual) < 2.5
    for mean in np.nanmean, np.nanmedian:
        assert mean(own.residual) < 1.2 * mean(theirs.residual)
    assert abs(own.pose[5] / theirs.pose[5] - 1) < 0.1
