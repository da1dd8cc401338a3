"""Isolation-forest scores, detectors, metrics, toy worlds and tasks."""

import numpy as np
import pytest
import scipy.stats
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import LocalOutlierFactor
from sklearn.svm import OneClassSVM

from gan_forensics.anomaly import (
    DETECTORS,
    Trees,
    best_over_grid,
    fit_detector,
    forest_scores,
    grid_auc,
    make_task,
    measure,
    paired_difference,
    rates,
    toy_world,
    trapezoid_auc,
    trees_of,
)
from gan_forensics.anomaly.detectors import Fitted
from gan_forensics.anomaly.evaluate import GRID, Measured, Rates, paired_gain, rarity_of
from gan_forensics.anomaly.isolation_forest import average_path_length, contamination_offset

# --- isolation forest ---------------------------------------------------------------------------


def slow_scores(trees, x, max_samples):
    """One row and one tree at a time."""

    def c(n):
        return 0.0 if n == 1 else 1.0 if n == 2 else (
            2 * (np.log(n - 1) + np.euler_gamma) - 2 * (n - 1) / n
        )  # fmt: skip

    scores = []
    for row in np.asarray(x, np.float32):
        path = []
        for t in range(len(trees.left)):
            node = 0
            while trees.left[t, node] >= 0:
                left = float(row[trees.feature[t, node]]) <= trees.threshold[t, node]
                node = (trees.left if left else trees.right)[t, node]
            path.append(trees.depth[t, node] + c(trees.n_node_samples[t, node]))
        scores.append(-(2.0 ** (-np.mean(path) / c(max_samples))))
    return np.array(scores)


@pytest.mark.parametrize("settings", [{}, {"max_samples": 37, "max_features": 2}])
def test_scores_equal_scikit_learns_and_the_slow_walk(settings, rng):
    x, new = rng.standard_normal((300, 4)), 2 * rng.standard_normal((70, 4))
    forest = IsolationForest(n_estimators=12, random_state=0, **settings).fit(x)
    trees = trees_of(forest)
    scores = forest_scores(trees, new, max_samples=forest.max_samples_)
    assert scores.dtype == np.float64 and (scores >= -1).all() and (scores < 0).all()
    assert_allclose(scores, forest.score_samples(new), rtol=0, atol=1e-14)
    assert_allclose(scores, slow_scores(trees, new, forest.max_samples_), rtol=0, atol=1e-14)


def test_values_at_a_threshold_fall_left_though_thresholds_are_float64(rng):
    x = np.float32(rng.integers(0, 4, (200, 2)) / 3)
    forest = IsolationForest(n_estimators=5, random_state=1).fit(x)
    trees = trees_of(forest)
    # Rows on, just below and just above the float32 neighbours of every threshold.
    cuts = trees.threshold[trees.left >= 0].astype(np.float32)
    steps = [np.nextafter(cuts, np.float32(s)) for s in (-np.inf, np.inf)]
    new = np.repeat(np.concatenate([cuts, *steps])[:, None], 2, axis=1)
    assert_allclose(
        forest_scores(trees, new, max_samples=200), forest.score_samples(new), rtol=0, atol=1e-14
    )


def test_rows_beyond_a_block_are_scored_alike(rng, monkeypatch):
    import gan_forensics.anomaly.isolation_forest as module

    x = rng.standard_normal((700, 3))
    trees = trees_of(IsolationForest(n_estimators=3, random_state=0).fit(x))
    whole = forest_scores(trees, x, max_samples=256)
    monkeypatch.setattr(module, "BLOCK", 256)
    assert_array_equal(forest_scores(trees, x, max_samples=256), whole)
    assert forest_scores(trees, x[:0], max_samples=256).shape == (0,)


def test_mean_path_lengths_are_the_published_ones():
    assert_allclose(average_path_length([1, 2, 256]), [0, 1, 10.2447709], rtol=1e-8, atol=0)


def test_equal_rows_have_equal_scores_and_one_row_is_half():
    x = np.ones((50, 2))
    forest = IsolationForest(n_estimators=4, random_state=0).fit(x)
    scores = forest_scores(trees_of(forest), x, max_samples=50)
    assert_allclose(scores, forest.score_samples(x), rtol=0, atol=1e-14)
    assert len(set(scores.tolist())) == 1
    one = Trees(*[np.zeros((1, 1), int) - (name in ("left", "right")) for name in Trees._fields])
    assert_array_equal(forest_scores(one, x, max_samples=1), np.full(50, -0.5))


def test_rows_too_narrow_for_the_trees_are_refused(rng):
    forest = IsolationForest(n_estimators=20, random_state=0).fit(rng.standard_normal((50, 4)))
    with pytest.raises(ValueError, match="d >= 4"):
        forest_scores(trees_of(forest), np.zeros((3, 2)), max_samples=50)


def test_the_offset_is_a_quantile_and_flags_that_share():
    scores = np.linspace(-1, -0.1, 101)
    assert_allclose(contamination_offset(scores, 0.07), -1 + 0.9 * 0.07, rtol=1e-12, atol=0)
    for wrong in (0.0, 0.7):
        with pytest.raises(ValueError, match=r"\(0, 0.5\]"):
            contamination_offset(scores, wrong)


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_scores_far_rows_lower(name, rng):
    x = rng.standard_normal((120, 3))
    fitted = fit_detector(name, x, contamination=0.05)
    assert fitted.training_scores.shape == (120,)
    assert fitted.score(x[:20] + 12).max() < np.median(fitted.training_scores)


def test_detectors_are_scikit_learns_with_their_seed_and_contamination(rng):
    x, new = rng.standard_normal((120, 3)), rng.standard_normal((30, 3))
    for nu, used in ((0.05, 0.05), (0.4, 0.4), (1e-9, 1e-3)):
        fitted = fit_detector("one_class_svm", x, contamination=nu)
        assert_allclose(fitted.score(new), OneClassSVM(nu=used).fit(x).score_samples(new))
    factor = LocalOutlierFactor(n_neighbors=20, novelty=True).fit(x)
    fitted = fit_detector("lof", x, contamination=0.1)
    assert_allclose(fitted.score(new), factor.score_samples(new))
    # Of its own training rows, each without itself among its neighbours.
    assert_allclose(fitted.training_scores, factor.negative_outlier_factor_)
    for seed in (0, 1):
        fitted = fit_detector("isolation_forest", x, contamination=0.1, seed=seed)
        forest = IsolationForest(random_state=seed).fit(x)
        assert_allclose(fitted.score(new), forest.score_samples(new), rtol=0, atol=1e-12)


def test_unknown_detectors_and_contaminations_are_refused(rng):
    x = rng.standard_normal((9, 2))
    with pytest.raises(ValueError, match="isolation_forest, one_class_svm, lof"):
        fit_detector("knn", x, contamination=0.1)
    with pytest.raises(ValueError, match="contamination"):
        fit_detector("lof", x, contamination=0.6)
    with pytest.raises(ValueError, match="3 rows"):
        fit_detector("lof", x[:2], contamination=0.1)


# --- metrics ------------------------------------------------------------------------------------


def test_rates_are_those_worked_out_by_hand():
    y = np.array([1, 1, 1, 0, 0, 0, 0])
    called = np.array([-1, -1, 1, -1, 1, 1, 1])
    assert_allclose(rates(called, y), (2 / 3, 1 / 4, 2 / 3), rtol=1e-12, atol=0)
    assert rates(np.ones(7), y) == Rates(0.0, 0.0, 0.0)
    assert_allclose(rates(-np.ones(7), y), (1, 1, 0.6), rtol=1e-12, atol=0)


def test_labels_of_one_class_or_of_other_values_are_refused():
    with pytest.raises(ValueError, match="all 4 labels are 0"):
        rates(np.ones(4), np.zeros(4))
    with pytest.raises(ValueError, match="0 .normal. and 1"):
        rates(np.ones(4), np.array([0, 1, 2, 1]))
    with pytest.raises(ValueError, match="verdicts"):
        rates(np.ones(3), np.array([0, 1, 0, 1]))


def test_the_trapezoid_is_extended_and_not_sorted():
    assert trapezoid_auc([0.0, 1.0], [0.0, 1.0]) == 0.5
    assert trapezoid_auc([0.2], [0.8]) == pytest.approx(0.08 + 0.8 * 0.9)
    fpr, tpr = [0.5, 0.1], [0.9, 0.3]
    by_hand = 0.5 * 0.45 - 0.4 * 0.6 + 0.9 * 0.65
    assert trapezoid_auc(fpr, tpr) == pytest.approx(by_hand)


def test_a_grid_of_every_threshold_has_the_area_of_the_scores(rng):
    y = np.repeat([0, 1], [60, 20])
    scores = rng.standard_normal(80) - y
    points = [rates(scores <= t, y) for t in np.sort(scores)]
    area = trapezoid_auc([p.fpr for p in points], [p.tpr for p in points])
    assert area == pytest.approx(roc_auc_score(y, -scores))


def measured(f1s, **values):
    grid = tuple(Rates(f, f / 2, f) for f in f1s)
    kept = {"auc": 0.5, "average_precision": 0.5, "f1": 0.5}
    return Measured(
        **{**kept, "rare_false_alarms": 0.0, "false_alarms": 0.0, **values}, by_grid=grid
    )


def test_the_oracle_is_the_largest_mean_not_the_mean_of_the_largest():
    flat = [0.1] * (len(GRID) - 2)
    runs = [measured([1.0, 0.0, *flat]), measured([0.0, 0.8, *flat])]
    assert best_over_grid(runs) == (0.5, GRID[0])
    assert len(GRID) == 19 and GRID[-1] == 0.29
    # `measured` makes rates of true alarms that are twice those of false ones.
    tpr = np.array([0.5, 0.4, *flat])
    assert grid_auc(runs) == pytest.approx(trapezoid_auc(tpr / 2, tpr))
    assert grid_auc(runs) > 0.5


def test_measuring_uses_training_scores_for_its_threshold_and_finds_rare_false_alarms():
    train = np.linspace(-1, 0, 101)[:, None]
    fitted = Fitted(train[:, 0], lambda x: x[:, 0])
    normal = np.concatenate([np.full(10, -0.95), np.full(90, -0.5)])
    x = np.concatenate([normal, [-0.99, -0.2]])[:, None]
    y = np.repeat([0, 1], [100, 2])
    got = measure(fitted, x, y, contamination=0.1, rarity=-x[:, 0])
    # Below -0.9: ten normal rows, all of them the rarest, and one anomaly of two.
    assert (got.rare_false_alarms, got.false_alarms) == (1.0, 0.1)
    assert got.f1 == pytest.approx(2 * (1 / 11) * 0.5 / (1 / 11 + 0.5))
    assert got.auc == pytest.approx((100 + 0) / 200)


def test_the_threshold_is_of_the_training_scores_whatever_is_tested():
    train = np.linspace(-1, 0, 101)
    fitted = Fitted(train, lambda x: x[:, 0])
    y = np.repeat([0, 1], [50, 5])
    for far, found in ((5.0, 0.0), (-5.0, 1.0)):
        x = far + np.linspace(0, 1, 55)[:, None]
        got = measure(fitted, x, y, contamination=0.3, rarity=x[:, 0])
        assert got.false_alarms == got.rare_false_alarms == found
        assert all((at.tpr, at.fpr) == (found, found) for at in got.by_grid)


def test_precision_is_of_anomalies_and_the_rarest_tenth_is_of_normal_rows():
    # Low to high: anomaly, 30 normal, anomaly, 10 normal.
    scores = np.arange(42.0)
    y = np.zeros(42, int)
    y[[0, 31]] = 1
    fitted = Fitted(np.array([2.5, 2.5]), lambda x: x[:, 0])
    got = measure(fitted, scores[:, None], y, contamination=0.1, rarity=-scores)
    assert got.average_precision == pytest.approx((1 + 2 / 32) / 2)
    # Called: the anomaly and two normal rows, which are among the four rarest of 40.
    assert got.rare_false_alarms == 2 / 4 and got.false_alarms == 2 / 40
    more = np.concatenate([scores, -np.arange(1.0, 31)])
    got = measure(
        fitted, more[:, None], np.repeat([0, 1], [42, 30]), contamination=0.1, rarity=-more
    )
    assert got.rare_false_alarms == 3 / 4 and got.false_alarms == 3 / 42


def test_paired_intervals_are_students(rng):
    a, b = rng.standard_normal(12), rng.standard_normal(12)
    got = paired_difference(a, b)
    oracle = scipy.stats.ttest_rel(a, b).confidence_interval(0.95)
    assert_allclose(got[:3], [(a - b).mean(), oracle.low, oracle.high], rtol=1e-10, atol=0)
    with pytest.raises(ValueError, match="pairs"):
        paired_difference([1.0], [2.0])


def test_gains_at_a_bound_or_without_spread_have_no_interval():
    a, b = [0.9, 0.8, 0.95], [0.7, 0.75, 0.8]
    assert paired_gain(a, b) == paired_difference(a, b)[:3]
    top, bottom = [1.0, 0.99, 0.98], [0.01, 0.0, 0.02]
    for treated, control in ((top, b), (b, top), (bottom, b), ([0.5] * 3, [0.25] * 3)):
        mean, low, high = paired_gain(treated, control)
        assert mean == pytest.approx(np.mean(treated) - np.mean(control))
        assert low is None and high is None


def test_rarity_is_the_mean_distance_to_the_nearest_rows(rng):
    train, x = rng.standard_normal((30, 2)), rng.standard_normal((5, 2))
    gaps = np.sort(np.linalg.norm(x[:, None] - train[None], axis=2), axis=1)[:, :10].mean(1)
    assert_allclose(rarity_of(x, train), gaps, rtol=1e-12, atol=0)


# --- toy worlds and tasks -------------------------------------------------------------------------


def test_toy_worlds_have_their_published_laws():
    for world, d in (("A", 2), ("B", 3)):
        x, y = toy_world(world, n=20_000, anomalies=5_000, seed=0)
        assert x.shape == (20_000, d) and y.sum() == 5_000
        assert_allclose(x[y == 0].mean(0), 0, rtol=0, atol=0.05)
        assert_allclose(x[y == 1].mean(0), 10 * np.eye(d)[0], rtol=0, atol=0.06)
        assert_allclose(x[y == 1].std(0), 1, rtol=0, atol=0.05)
    x, y = toy_world("C", n=20_000, anomalies=5_000, seed=0)
    radius = np.linalg.norm(x, axis=1)
    assert_allclose([radius[y == 0].mean(), radius[y == 0].std()], [30, 5], rtol=0.02, atol=0)
    assert_allclose(x[y == 1].std(0), 5, rtol=0.05, atol=0)
    x, y = toy_world("C", seed=3)
    assert x.shape == (1000, 2) and y.sum() == 50 and 0 < y[:100].sum() < 50
    assert_array_equal(toy_world("C", seed=3).x, x)
    with pytest.raises(ValueError, match="A, B or C"):
        toy_world("D", seed=0)
    with pytest.raises(ValueError, match="anomalies"):
        toy_world("A", n=3, anomalies=9, seed=0)


def test_a_task_uses_every_row_once_and_trains_on_normal_rows_alone(rng):
    x, y = np.arange(60.0)[:, None] * [1, 2], np.zeros(60, int)
    y[[3, 9, 20, 41, 55]] = 1
    task = make_task("t", x, y)
    parts = [task.train, task.validation, task.test]
    assert_array_equal(np.sort(np.concatenate(parts)[:, 0]), x[:, 0])
    # By row order: first half of the normal rows, second half of the anomalies.
    assert_array_equal(np.sort(task.train, axis=0), x[y == 0][:27])
    assert_array_equal(task.test[task.y == 1], x[[20, 41, 55]])
    held_out, labels = task.chosen_on
    assert len(task.fitted_on) == 20 and labels.sum() == 2
    assert_array_equal(np.concatenate([task.fitted_on, held_out[labels == 0]]), task.train)
    assert task.contamination == pytest.approx(5 / 60)
    # What is held out is not the end of the file, whose order may mean something.
    assert len(set(held_out[labels == 0][:, 0]) & set(x[y == 0][20:27, 0])) < 7
    assert (make_task("t", x, y, seed=1).train != make_task("t", x, y, seed=2).train).any()


def test_anomalies_may_be_the_greater_part_of_a_table(rng):
    x, y = rng.standard_normal((40, 2)), np.repeat([0, 1], [10, 30])
    task = make_task("t", x, y)
    assert task.contamination == 0.5 and len(task.train) == 5 and task.y.sum() == 15
    assert make_task("t", x, y, contamination=0.1).contamination == 0.1


def test_tables_that_make_no_task_are_refused(rng):
    x, y = rng.standard_normal((40, 2)), np.repeat([0, 1], [35, 5])
    with pytest.raises(ValueError, match="all 40 labels are 0"):
        make_task("t", x, 0 * y)
    with pytest.raises(ValueError, match="not finite"):
        make_task("t", x * np.nan, y)
    for share in (0, 0.6, 1, np.nan):
        with pytest.raises(ValueError, match="no share of rare rows: .* at most 0.5"):
            make_task("t", x, y, contamination=share)
    with pytest.raises(ValueError, match="cannot be split"):
        make_task("t", x[-11:], y[-11:], contamination=0.1)
    with pytest.raises(ValueError, match="do not fit"):
        make_task("t", x[:9], y)
