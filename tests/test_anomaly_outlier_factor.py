"""The local outlier factor where rows repeat."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.neighbors import LocalOutlierFactor

from gan_forensics.anomaly.outlier_factor import outlier_factor


def slow_factors(x, k):
    """Breunig et al.'s, row by row, within the k-distinct-distance."""
    gaps = np.linalg.norm(x[:, None] - x[None], axis=2)
    reach_of = [np.unique(row[row > 0])[k - 1] for row in gaps]  # k places besides its own
    near = [
        [o for o in range(len(x)) if o != p and gaps[p, o] <= reach_of[p]] for p in range(len(x))
    ]

    def density(p):
        return 1 / np.mean([max(reach_of[o], gaps[p, o]) for o in near[p]])

    return np.array([np.mean([density(o) for o in near[p]]) / density(p) for p in range(len(x))])


def test_it_is_breunigs_with_the_k_distinct_distance_where_rows_repeat(rng):
    places = rng.standard_normal((12, 2))
    x = places[np.repeat(np.arange(12), [1, 9, 1, 2, 1, 1, 5, 1, 1, 3, 1, 1])]
    x = x[rng.permutation(len(x))]
    training, score = outlier_factor(x, neighbours=3)
    assert_allclose(-training, slow_factors(x, 3), rtol=1e-8, atol=0)
    # A new row counts no copy of its own, but what it is a copy of.
    new = np.concatenate([rng.standard_normal((4, 2)), places[:2]])
    gaps = np.linalg.norm(new[:, None] - x[None], axis=2)
    within = np.linalg.norm(x[:, None] - x[None], axis=2)
    reach_of = np.array([np.unique(row[row > 0])[2] for row in within])

    def density(reach):
        return 1 / np.mean(reach)

    own = np.array([
        density([max(reach_of[o], within[p, o]) for o in range(len(x))
                 if o != p and within[p, o] <= reach_of[p]])
        for p in range(len(x))
    ])  # fmt: skip
    for row, got in zip(gaps, score(new), strict=True):
        near = np.flatnonzero(row <= np.unique(row)[2])
        mean = own[near].mean() / density(np.maximum(reach_of[near], row[near]))
        assert_allclose(-got, mean, rtol=1e-8, atol=0)


@pytest.mark.parametrize("whole", [False, True])
def test_without_copies_it_is_scikit_learns_ties_included(whole, rng):
    x, new = rng.standard_normal((90, 3)), rng.standard_normal((20, 3))
    if whole:
        x = np.unique(np.round(3 * x), axis=0)[rng.permutation(60)]
    factor = LocalOutlierFactor(n_neighbors=20, novelty=True).fit(x)
    training, score = outlier_factor(x)
    assert_allclose(training, factor.negative_outlier_factor_, rtol=1e-12, atol=0)
    assert_allclose(score(new), factor.score_samples(new), rtol=1e-12, atol=0)
    # Of few rows all others are neighbours.
    few = LocalOutlierFactor(n_neighbors=4).fit(x[:5]).negative_outlier_factor_
    assert_allclose(outlier_factor(x[:5])[0], few, rtol=1e-12, atol=0)


def test_a_row_that_is_a_third_of_a_table_leaves_the_factors_of_the_others_bounded(rng):
    x = np.concatenate([rng.standard_normal((60, 2)), np.full((30, 2), 0.1)])
    with pytest.warns(UserWarning, match="Duplicate values"):
        assert LocalOutlierFactor().fit(x).negative_outlier_factor_.min() < -1e7
    training, score = outlier_factor(x)
    assert training.min() > -5 and score(x + 1e-3).min() > -5
    assert score(np.full((1, 2), 9.0))[0] < training.min()


def test_rows_that_are_alike_have_no_density():
    with pytest.raises(ValueError, match=r"3 rows or more that differ, got 2 \(of 40\)"):
        outlier_factor(np.repeat([[0.0], [1.0]], 20, axis=0))
