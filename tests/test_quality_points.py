"""Registered points of toy worlds, and distances between points."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from gan_forensics.data.toy_points import WORLDS
from gan_forensics.quality.points import (
    RADIUS,
    ceiling,
    point_scores,
    registered,
    sliced_wasserstein,
)

GRID = WORLDS["toy:grid9"]
CENTRES: Any = GRID.centres
SCALE: Any = GRID.scale


def values(points, real, world, **options):
    return {s.name: s.value for s in point_scores(points, real, world, **options)}


# --- registered points --------------------------------------------------------------------------


def test_the_boundary_belongs_to_the_mode():
    assert_allclose(RADIUS, 0.1 * math.sqrt(2), rtol=1e-15, atol=0)
    centres = np.array([[0.0, 0.0], [4.0, -2.0]])
    here = [[RADIUS, 0], [0.1, 0.1], [4 + RADIUS, -2], [4, -2 - RADIUS]]
    beyond = [[RADIUS + 1e-6, 0], [0.1, 0.1001], [4, -2.1415]]
    found = registered(np.array(here + beyond), centres)
    assert found.counts.tolist() == [2, 2]
    assert (found.total, found.n) == (4, 7)


def test_a_mode_of_nineteen_points_is_not_covered_and_one_of_twenty_is():
    sizes = [20, 19, 0, 300, 21, 1, 20, 5, 500]
    points = np.concatenate([np.tile(c, (k, 1)) for c, k in zip(CENTRES, sizes, strict=True)])
    scattered = np.full((2000 - len(points), 2), 7.0)
    found = registered(np.concatenate([points, scattered]), CENTRES)
    assert_array_equal(found.counts, sizes)
    assert (found.covered, found.total, found.n) == (5, sum(sizes), 2000)
    assert registered(points, CENTRES, least=19).covered == 6


def test_counts_are_the_same_in_the_coordinates_of_the_networks():
    points = GRID.sample(2000, 3).arrays["point"].astype(np.float64)
    m = SCALE
    unit = registered((points / m + 1) / 2, (CENTRES / m + 1) / 2, radius=RADIUS / (2 * m))
    assert_array_equal(unit.counts, registered(points, CENTRES).counts)


@pytest.mark.parametrize("name", ["toy:grid9", "toy:grid25", "toy:plus", "toy:sine"])
def test_a_perfect_generator_reaches_the_ceiling_and_every_mode(name):
    world = WORLDS[name]
    assert world.centres is not None
    assert_allclose(ceiling(world), 1 - math.exp(-4), rtol=1e-12, atol=0)
    found = registered(world.sample(50_000, 1).arrays["point"], world.centres)
    # Three deviations of a share.
    assert_allclose(found.total / found.n, ceiling(world), rtol=0, atol=3 * 0.0006)
    assert found.covered == len(world.centres)


def test_the_ceiling_in_other_dimensions_is_a_normal_distribution():
    line = WORLDS["toy:grid9"]._replace(centres=np.array([[0.0]]))
    assert_allclose(ceiling(line), 2 * stats.norm.cdf(RADIUS / 0.05) - 1, rtol=1e-12, atol=0)


def test_scores_of_a_world_say_of_how_many():
    real = GRID.sample(100, 0).arrays["point"]
    fake = np.tile(CENTRES[:3], (334, 1))[:1001]
    found = {s.name: s for s in point_scores(fake, real, GRID)}
    assert found["modes covered (of 9)"].value == 3
    assert found["registered points"].value == 1001
    best = found["registered points of a perfect generator"]
    assert_allclose(best.value, 1001 * (1 - math.exp(-4)), rtol=1e-12, atol=0)
    # 20 of 2000, rounded up.
    assert best.protocol["least"] == 11 and best.counts == {"fake": 1001}
    assert best.protocol["of_modes"] == [334, 334, 333] + [0] * 6


# --- the line -----------------------------------------------------------------------------------


def test_distances_on_the_line_by_hand():
    world = WORLDS["toy:line"]
    found = values(np.array([[1.0], [2], [3], [4]]), np.array([[2.0], [3], [4], [5]]), world)
    assert_allclose(found["Wasserstein-1 distance"], 1, rtol=1e-12, atol=0)
    assert_allclose(found["Kolmogorov-Smirnov distance"], 0.25, rtol=1e-12, atol=0)
    assert (found["mean"], found["mean of real points"]) == (2.5, 3.5)
    assert_allclose(found["standard deviation"], math.sqrt(1.25), rtol=1e-12, atol=0)


def test_a_shift_of_the_line_is_its_distance():
    real = WORLDS["toy:line"].sample(20_000, 0).arrays["point"]
    found = values(real[:10_000] + 0.5, real, WORLDS["toy:line"])
    assert_allclose(found["Wasserstein-1 distance"], 0.5, rtol=0, atol=0.05)
    expected = 2 * stats.norm.cdf(0.25) - 1
    assert_allclose(found["Kolmogorov-Smirnov distance"], expected, rtol=0, atol=0.03)
    assert_allclose(found["mean of real points"], 4, rtol=0, atol=0.03)


# --- other points -------------------------------------------------------------------------------


def test_sliced_distance_of_a_shift_is_its_mean_projection(rng):
    real = rng.normal(size=(300, 2))
    assert_allclose(sliced_wasserstein(real, real[::-1]), 0, rtol=0, atol=1e-12)
    # The mean of |cos| over the circle is 2 / pi; 128 directions know it to a twentieth.
    shifted = sliced_wasserstein(real, real + np.array([3.0, 0]))
    assert_allclose(shifted, 6 / math.pi, rtol=0.12, atol=0)
    many = sliced_wasserstein(real, real + np.array([3.0, 0]), directions=4000)
    assert_allclose(many, 6 / math.pi, rtol=0.03, atol=0)
    assert shifted == sliced_wasserstein(real, real + np.array([3.0, 0]))
    assert shifted != sliced_wasserstein(real, real + np.array([3.0, 0]), seed=1)


def test_sliced_distance_in_one_dimension_is_the_distance_itself(rng):
    one, other = rng.normal(size=(50, 1)), rng.normal(size=(70, 1)) + 1
    expected = stats.wasserstein_distance(one[:, 0], other[:, 0])
    assert_allclose(sliced_wasserstein(one, other), expected, rtol=1e-12, atol=0)


def test_points_without_centres_have_precision_and_recall(rng):
    real = rng.normal(size=(400, 3))
    half = real[real[:, 0] > 0] + 1e-3
    found = values(half, real, None)
    assert set(found) == {
        *("precision", "recall", "density", "coverage"),
        "sliced Wasserstein-1 distance",
    }
    assert found["precision"] > 0.95 and 0.4 < found["recall"] < 0.75


@pytest.mark.parametrize("world", [None, GRID, WORLDS["toy:line"]])
def test_points_that_are_not_finite_or_of_another_dimension_are_refused(world):
    real = np.zeros((20, 1 if world and world.centres is None else 2))
    for bad in (np.nan, np.inf, -np.inf):
        fake = real.copy()
        fake[[3, 7]] = bad
        with pytest.raises(ValueError, match=r"2 of 20 points are not finite .*row 3"):
            point_scores(fake, real, world)
    with pytest.raises(ValueError, match="generated ones 3"):
        point_scores(np.zeros((20, 3)), real, world)
    with pytest.raises(ValueError, match="must be numbers"):
        point_scores(np.zeros((20, 8, 8, 3), np.uint8), real, world)


def test_points_of_another_dimension_than_the_centres_are_refused():
    with pytest.raises(ValueError, match="points have 3 coordinates, the centres 2"):
        registered(np.zeros((5, 3)), CENTRES)
