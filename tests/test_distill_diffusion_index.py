"""The diffusion index: a worked value, and what it does not depend on."""

import numpy as np
import pytest
from scipy.stats import ortho_group

from gan_forensics.distill import (
    centroids,
    diffusion_index,
    mean_diffusion,
    normalised_distances,
    similar_classes,
)

BEFORE = np.array([[0.0, 0], [2, 0], [0, 8], [8, 8]])
AFTER = np.array([[0.0, 0], [1, 0], [0, 8], [8, 8]])


def test_the_worked_value():
    assert diffusion_index(BEFORE, AFTER, 0, [1]) == pytest.approx(0.494109, abs=1e-6)
    assert diffusion_index(BEFORE, AFTER, 0, [2, 3]) == pytest.approx(-0.011782, abs=1e-6)


def test_scale_place_and_rotation_of_either_network_do_not_matter(rng):
    before, after = rng.normal(size=(2, 5, 4))
    turn = ortho_group.rvs(4, random_state=1)
    moved = 7 * after @ turn + rng.normal(size=4)
    found = diffusion_index(before, moved, 2, [0, 1])
    assert found == pytest.approx(diffusion_index(before, after, 2, [0, 1]), rel=1e-10)
    assert diffusion_index(before, 3 * before, 2, [0, 1]) == pytest.approx(0, abs=1e-12)
    wide = np.column_stack([after, np.zeros(5)])
    assert diffusion_index(before, wide, 2, [0, 1]) == pytest.approx(
        diffusion_index(before, after, 2, [0, 1])
    )


def test_a_class_that_moves_towards_a_similar_one_raises_its_index(rng):
    before = rng.normal(size=(5, 4))
    after = before.copy()
    after[0] += 0.5 * (before[1] - before[0])
    assert diffusion_index(before, after, 0, [1]) > 0.3


def test_the_mean_goes_over_classes_with_similar_ones():
    groups = [[0, 1], [2, 3]]
    similar, others = mean_diffusion(BEFORE, AFTER, groups)
    siblings = {0: [1], 1: [0], 2: [3], 3: [2]}
    rest = {0: [2, 3], 1: [2, 3], 2: [0, 1], 3: [0, 1]}
    for found, sets in ((similar, siblings), (others, rest)):
        wanted = np.mean([diffusion_index(BEFORE, AFTER, k, v) for k, v in sets.items()])
        assert found == pytest.approx(wanted, rel=1e-12)
    assert mean_diffusion(BEFORE, AFTER, [[0, 1], [2]]) != (similar, others)
    with pytest.raises(ValueError, match="nothing is similar"):
        mean_diffusion(BEFORE, AFTER, [[0]])


def test_centroids_are_means_and_every_class_needs_one(rng):
    features, labels = rng.normal(size=(9, 3)), np.array([0, 1, 2] * 3)
    found = centroids(features, labels, 3)
    np.testing.assert_allclose(found, [features[labels == k].mean(0) for k in range(3)])
    with pytest.raises(ValueError, match=r"classes \[3\] have no example"):
        centroids(features, labels, 4)
    with pytest.raises(ValueError, match="label of 0 to 1"):
        centroids(features, labels, 2)


def test_distances_have_mean_one_over_pairs(rng):
    n = normalised_distances(rng.normal(size=(6, 3)))
    assert n[~np.eye(6, dtype=bool)].mean() == pytest.approx(1) and not np.diag(n).any()
    with pytest.raises(ValueError, match="all centroids are equal"):
        normalised_distances(np.ones((3, 2)))


def test_impossible_sets_of_classes_are_refused():
    for others in ([], [0, 1], [4]):
        with pytest.raises(ValueError, match="others must be classes of 0 to 3 beside 0"):
            diffusion_index(BEFORE, AFTER, 0, others)
    with pytest.raises(ValueError, match="4 classes before and 3 after"):
        diffusion_index(BEFORE, AFTER[:3], 0, [1])


def test_similar_classes_are_the_nearest_by_cosine_of_any_length():
    rows = np.array([[1.0, 0], [1, 0.2], [9, 8], [0, 1]])
    assert similar_classes(rows, 1) == [[1], [0], [1], [2]]
    assert similar_classes(rows, 2)[0] == [1, 2]
    with pytest.raises(ValueError, match="m must be 1 to 3"):
        similar_classes(rows, 4)
