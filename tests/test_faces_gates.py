"""Bounds from a clip's own energies."""

import numpy as np
import pytest

from gan_forensics.faces.gates import FRAMES, gates

RANDOM = np.random.default_rng(0)


def energies(frames=FRAMES, centre=100.0):
    return list(centre + RANDOM.normal(0, 10, (frames, 4)) + [0, 0, 0, 50]), [np.ones(4, bool)] * (
        frames
    )


def test_a_tracked_frame_lies_nearer_to_the_typical_energy_than_to_a_wrong_place():
    each, seen = energies()
    found = gates(each, seen, wrong=5000, deviations=10)
    means = np.mean(each, 1)
    assert found.typical == pytest.approx(np.median(means))
    assert found.frame == pytest.approx((np.median(means) + 5000) / 2)
    spread = np.median(np.abs(means - np.median(means)))
    assert found.learn == pytest.approx(np.median(means) + 10 * spread)


def test_each_landmark_learns_up_to_its_own_bound_and_none_has_a_narrower_one_than_usual():
    each, seen = energies()
    found = gates(each, seen, wrong=5000, deviations=10)
    medians = np.median(each, 0)
    spreads = np.median(np.abs(each - medians), 0)
    expected = medians + 10 * np.maximum(spreads, np.median(spreads))
    np.testing.assert_allclose(found.landmarks, expected)
    assert found.landmarks[3] > found.landmarks[:3].max()


def test_few_frames_bound_no_landmark_but_only_tracked_frames_are_learned_from():
    each, seen = energies(3)
    found = gates(each, seen, wrong=5000, deviations=10)
    assert np.isinf(found.landmarks).all() and found.frames == 3
    assert found.learn == found.frame < 5000


def test_bounds_stay_below_what_a_wrong_place_has():
    each, seen = energies()
    found = gates(each, seen, wrong=150, deviations=1000)
    assert found.learn == found.frame == pytest.approx((found.typical + 150) / 2)


def test_hidden_landmarks_do_not_count():
    each, seen = energies()
    wild = [np.append(one, 1e6) for one in each]
    hidden = [np.append(one, False) for one in seen]
    found, there = (
        gates(*both, wrong=5000, deviations=10) for both in ((wild, hidden), (each, seen))
    )
    assert found.frame == there.frame and found.learn == there.learn
    np.testing.assert_array_equal(found.landmarks[:4], there.landmarks)
    assert np.isinf(found.landmarks[4])


def test_confidence_falls_from_the_typical_energy_to_that_of_a_wrong_place():
    each, seen = energies()
    found = gates(each, seen, wrong=5000, deviations=10)
    between = 0.25 * found.typical + 0.75 * 5000
    asked = (0.0, found.typical, between, 5000.0, 9000.0)
    np.testing.assert_allclose([found.confidence(e) for e in asked], [1, 1, 0.25, 0, 0])
    worse = gates(each, seen, wrong=50, deviations=10)
    assert worse.confidence(worse.frame) == 1 and worse.confidence(worse.frame + 1) == 0
