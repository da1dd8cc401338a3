"""Errors of pose and landmarks against closed forms, and tables of poses that strangers wrote."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.spatial.transform import Rotation
from scipy.stats import norm

from gan_forensics.faces import metrics
from gan_forensics.faces.camera import euler_angles, rotation


def turns(rng, count, most=0.5):
    return rotation(*rng.uniform(-most, most, (3, count)))


def test_a_constant_mounting_of_the_sensor_is_taken_out_and_nothing_else(rng):
    track = turns(rng, 9)
    mounting = Rotation.from_euler("xyz", [0.3, -0.8, 0.2]).as_matrix()
    assert_allclose(metrics.aligned(track, track @ mounting), track @ mounting, atol=1e-12)
    other = turns(rng, 9)
    errors = metrics.pose_errors(metrics.aligned(track, other), other)
    assert_allclose(errors[0], 0, atol=1e-6)
    # What is left is the difference in motion since frame 0, whatever the axes of the head.
    motion = [Rotation.from_matrix(r @ r[0].T) for r in (track, other)]
    assert_allclose(errors[:, 3], np.degrees((motion[0].inv() * motion[1]).magnitude()), atol=1e-9)


def test_errors_by_axis_are_those_of_the_angles_and_wrap():
    angles = np.radians([[3.0, -4.0, 179.0], [0.0, 0.0, 0.0]])
    truth = np.radians([[1.0, -2.0, -179.0], [0.0, 10.0, 0.0]])
    errors = metrics.pose_errors(rotation(*angles.T), rotation(*truth.T))
    assert_allclose(errors[:, :3], [[2, -2, -2], [0, -10, 0]], atol=1e-9)
    assert_allclose(errors[1, 3], 10)


def test_a_summary_has_means_by_axis_and_counts_frames_without_an_estimate():
    errors = np.array([[3.0, 0, -4, 5], [-1, 0, 0, 1], [np.nan] * 4])
    found = metrics.pose_summary(errors, below=5)
    assert (
        found["pitch_mae"] == 2 and found["roll_mae"] == 2 and found["mae"] == pytest.approx(4 / 3)
    )
    assert found["pitch_rms"] == pytest.approx(5**0.5) and found["roll_rms"] == pytest.approx(
        8**0.5
    )
    assert found["geodesic"] == 3
    assert found["below"] == pytest.approx(1 / 3) and found["tracked"] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="none of 1 frames has an estimate"):
        metrics.pose_summary(errors[2:])


def test_relative_landmark_errors_hide_a_constant_offset_and_absolute_ones_do_not(rng):
    truth = rng.uniform(0, 300, (4, 68, 2))
    points = truth + rng.standard_normal((68, 2))
    points[2, :, 0] += 3
    points[:, 7] = np.nan
    points[3] = np.nan
    relative = metrics.landmark_errors(points, truth, relative=True)
    assert_allclose(relative, [0, 0, 3, np.nan], atol=1e-12)
    known = np.delete(points - truth, 7, 1)
    assert_allclose(metrics.landmark_errors(points, truth), np.linalg.norm(known, axis=-1).mean(1))
    assert_allclose(metrics.inter_ocular(truth)[1], np.linalg.norm(truth[1, 36] - truth[1, 45]))


def test_shares_below_thresholds_and_the_frame_of_loss():
    errors = np.array([1, 9, 1, 2, 9, np.nan, 9, 9])
    assert_allclose(metrics.cumulative(errors, np.array([0.5, 1, 2, 100])), [0, 0.25, 0.375, 0.875])
    # A single bad frame is no loss, a missing one in a row of bad ones is part of it.
    assert metrics.frames_to_loss(errors, 5, patience=4) == 4
    assert metrics.frames_to_loss(errors, 5, patience=1) == 1
    assert metrics.frames_to_loss(errors, 5, patience=5) == len(errors)
    assert metrics.frames_to_loss(errors[:2], 5) == 2


def test_gaussian_errors_are_covered_as_stated_and_a_factor_is_found_again(rng):
    deviations = rng.uniform(0.5, 4, 40_000)
    errors = 3 * deviations * rng.standard_normal(40_000)
    errors[:5] = np.nan
    assert metrics.inflation(errors, deviations) == pytest.approx(3, rel=0.02)
    for level in metrics.LEVELS:
        assert metrics.coverage(errors, 3 * deviations, level) == pytest.approx(level, abs=0.01)
        raw = 2 * norm.cdf(norm.ppf(0.5 + level / 2) / 3) - 1
        assert metrics.coverage(errors, deviations, level) == pytest.approx(raw, abs=0.01)
    with pytest.raises(ValueError, match="must be positive"):
        metrics.coverage(errors, 0 * deviations, 0.5)
    with pytest.raises(ValueError, match="no residual with a deviation"):
        metrics.inflation(errors[:5], deviations[:5])


def test_heavy_tails_put_the_factor_between_those_of_the_levels(rng):
    errors = rng.standard_t(2, 20_000)
    inner, outer = (
        np.quantile(np.abs(errors), level) / norm.ppf(0.5 + level / 2) for level in metrics.LEVELS
    )
    assert inner < metrics.inflation(errors, np.ones_like(errors)) < outer


def test_a_table_of_poses_is_read_in_any_order_with_other_columns(tmp_path):
    path = tmp_path / "poses.csv"
    path.write_text("time,roll,frame,pitch,yaw\n0,3,7,1,2\n0.04,6,5,4,5\n0.08,,6,,\n")
    poses = metrics.read_poses(path)
    assert poses.frames.tolist() == [5, 6, 7]
    angles = np.degrees(euler_angles(poses.rotation))
    assert_allclose(angles[[0, 2]], [[4, 5, 6], [1, 2, 3]])
    assert np.isnan(poses.rotation[1]).all()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("frame,yaw,roll\n1,2,3\n", "line 1: no column pitch; a table of poses has the columns"),
        ("frame,yaw,pitch,roll\n1,2,3,4\n2,x,3,4\n", "line 3: frame must be a whole number"),
        ("frame,yaw,pitch,roll\n1,2\n", "line 2: 2 cells for 4 columns"),
        ("frame,yaw,pitch,roll\n1_0,2,3,4\n", "line 2: frame must be a whole number"),
        ("frame,yaw,pitch,roll\n1,2,3,4\n1,2,3,4\n", "line 3: frame 1 came before"),
        ("frame,yaw,pitch,roll\n", "no row below the heading"),
    ],
)
def test_tables_that_are_none_are_refused_by_line(tmp_path, text, said):
    path = tmp_path / "poses.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        metrics.read_poses(path)


def test_tracks_are_compared_in_common_frames_from_the_first_estimate(rng):
    truth = metrics.Poses(np.arange(3, 9), turns(rng, 6))
    own = np.concatenate([turns(rng, 2), truth.rotation[1:5]])
    own[2] = np.nan  # Frame 4 is common, and has no estimate.
    frames, errors = metrics.compare_poses(metrics.Poses(np.arange(2, 8), own), truth)
    assert frames == [3, 4, 5, 6, 7]
    assert_allclose(errors[0], 0, atol=1e-6)
    own[1] = np.nan
    frames, errors = metrics.compare_poses(metrics.Poses(np.arange(2, 8), own), truth)
    assert frames == [5, 6, 7] and errors == pytest.approx(0, abs=1e-6)
    with pytest.raises(ValueError, match="frames 2 to 7, the truth 30 to 35: none in common"):
        metrics.compare_poses(
            metrics.Poses(np.arange(2, 8), own), metrics.Poses(np.arange(30, 36), truth.rotation)
        )
