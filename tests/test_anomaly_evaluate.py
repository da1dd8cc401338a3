"""Detectors, metrics, toy worlds and tasks."""

import numpy as np
import pytest
import scipy.stats
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from gan_forensics.anomaly import (
    DETECTORS,
    best_over_grid,
    fit_detector,
    grid_auc,
    make_task,
    measure,
    paired_difference,
    rates,
    toy_world,
    trapezoid_auc,
)
from gan_forensics.anomaly.detectors import Fitted
from gan_forensics.anomaly.evaluate import GRID, Measured, Rates, rarity_of

# --- detectors ----------------------------------------------------------------------------------


def test_the_forest_gives_scikit_learns_scores_of_its_seed(rng):
    x, new = rng.standard_normal((300, 4)), 2 * rng.standard_normal((70, 4))
    fitted = fit_detector("isolation_forest", x, contamination=0.05, seed=3)
    forest = IsolationForest(random_state=3).fit(x)
    assert_array_equal(fitted.training_scores, forest.score_samples(x))
    assert_array_equal(fitted.score(new), forest.score_samples(new))


@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_scores_far_rows_lower(name, rng):
    x = rng.standard_normal((120, 3))
    fitted = fit_detector(name, x, contamination=0.05)
    assert fitted.training_scores.shape == (120,)
    assert fitted.score(x[:20] + 12).max() < np.median(fitted.training_scores)


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
    assert 0 <= grid_auc(runs) <= 1


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


def test_paired_intervals_are_students(rng):
    a, b = rng.standard_normal(12), rng.standard_normal(12)
    got = paired_difference(a, b)
    oracle = scipy.stats.ttest_rel(a, b).confidence_interval(0.95)
    assert_allclose(got[:3], [(a - b).mean(), oracle.low, oracle.high], rtol=1e-10, atol=0)
    with pytest.raises(ValueError, match="pairs"):
        paired_difference([1.0], [2.0])


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
    assert (make_task("t", x, y, seed=1).train != make_task("t", x, y, seed=2).train).any()


def test_tables_that_make_no_task_are_refused(rng):
    x, y = rng.standard_normal((40, 2)), np.repeat([0, 1], [35, 5])
    with pytest.raises(ValueError, match="all 40 labels are 0"):
        make_task("t", x, 0 * y)
    with pytest.raises(ValueError, match="not finite"):
        make_task("t", x * np.nan, y)
    with pytest.raises(ValueError, match="not rare"):
        make_task("t", x, 1 - y)
    with pytest.raises(ValueError, match="cannot be split"):
        make_task("t", x[-11:], y[-11:], contamination=0.1)
    with pytest.raises(ValueError, match="do not fit"):
        make_task("t", x[:9], y)
