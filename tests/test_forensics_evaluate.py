"""Detection results: operating points, intervals, sources, and their way to JSON."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import binomtest

from gan_forensics.forensics.evaluation import evaluate, evaluate_sources
from gan_forensics.forensics.intervals import rate_interval


def test_both_error_kinds_stand_beside_every_accuracy():
    result = evaluate([0, 1, 2, 3], [2, 4], threshold=1.5)
    point = result.points["fixed"]
    assert (point.real_accuracy, point.false_alarm_rate) == (0.5, 0.5)
    assert (point.fake_accuracy, point.miss_rate) == (1.0, 0.0)
    assert point.accuracy == pytest.approx(4 / 6)
    assert point.balanced_accuracy == 0.75
    assert (result.n_real, result.n_fake) == (4, 2)


def test_a_score_at_the_threshold_is_called_real():
    point = evaluate([1.0], [1.0], threshold=1.0).points["fixed"]
    assert (point.real_accuracy, point.fake_accuracy) == (1.0, 0.0)


def test_several_threshold_rules_stand_side_by_side():
    result = evaluate([0, 1], [1, 2], threshold={"fixed": 0.5, "calibrated": 1})
    assert result.points["fixed"].fake_accuracy == 1.0
    assert result.points["calibrated"].real_accuracy == 1.0
    rates = [f"{rule}/{kind}_accuracy" for rule in result.points for kind in ("real", "fake")]
    assert set(result.intervals) == {"auc", "eer", *rates}


def test_rates_at_two_rules_get_intervals_of_their_own(rng):
    real = rng.normal(size=200)
    result = evaluate(real, real + 1, threshold={"low": -1.0, "high": 2.0})
    for rule, point in result.points.items():
        for rate in ("real_accuracy", "fake_accuracy"):
            exact = binomtest(round(200 * getattr(point, rate)), 200).proportion_ci(method="exact")
            interval = result.intervals[f"{rule}/{rate}"]
            assert_allclose([interval.low, interval.high], exact, rtol=1e-9)


def test_intervals_hold_the_value_and_shrink_with_more_images(rng):
    widths = []
    for n in (30, 3000):
        result = evaluate(rng.normal(size=n), rng.normal(1, 1, size=n), threshold=0.5)
        for name in ("auc", "eer"):
            interval = result.intervals[name]
            assert interval.low <= getattr(result, name) <= interval.high
        widths.append(result.intervals["auc"].high - result.intervals["auc"].low)
    assert widths[1] < widths[0] / 5


def test_three_of_three_leave_much_open():
    result = evaluate([0, 1, 2], [3, 4, 5], threshold=2.5)
    for name in ("auc", "fixed/real_accuracy", "fixed/fake_accuracy"):
        interval = result.intervals[name]
        assert (round(interval.low, 2), interval.high) == (0.29, 1.0)
    assert (result.intervals["eer"].low, round(result.intervals["eer"].high, 2)) == (0.0, 0.71)


def test_each_rate_counts_the_images_of_its_own_class():
    few_real = evaluate([0, 1, 2], np.arange(3, 103), threshold=2.5, level=0.9).intervals
    assert few_real["fixed/real_accuracy"] == rate_interval(3, 3, level=0.9)
    assert few_real["fixed/fake_accuracy"] == rate_interval(100, 100, level=0.9)
    # The smaller class says how much an AUC and an equal error rate are worth.
    assert few_real["auc"] == rate_interval(3, 3, level=0.9)
    assert few_real["eer"] == rate_interval(0, 3, level=0.9)


def test_swapping_the_classes_swaps_the_intervals(rng):
    real, fake = rng.normal(size=20), rng.normal(1, 1, size=50)
    there = evaluate(real, fake, threshold=0.5).intervals
    back = evaluate(-fake, -real, threshold=-0.5).intervals
    for one, other in (
        ("auc", "auc"),
        ("eer", "eer"),
        ("fixed/real_accuracy", "fixed/fake_accuracy"),
    ):
        assert_allclose(
            [there[one].low, there[one].high], [back[other].low, back[other].high], rtol=1e-9
        )


def test_results_go_through_json_with_their_protocol():
    result = evaluate(
        np.arange(5), np.arange(3, 9), threshold=np.float64(3.5), protocol={"data": "toy"}
    )
    loaded = json.loads(json.dumps(asdict(result)))
    assert loaded["protocol"]["data"] == "toy"
    assert "Clopper-Pearson" in loaded["protocol"]["intervals"]
    assert loaded["points"]["fixed"]["threshold"] == 3.5
    assert loaded["intervals"]["auc"]["level"] == 0.95
    assert (loaded["n_real"], loaded["n_fake"]) == (5, 6)


def test_sources_are_evaluated_against_the_same_real_images():
    results = evaluate_sources(
        [0, 1], {"dcgan": [2, 3], "wgan": [0, 1]}, threshold=1.5, protocol={"seed": 1}
    )
    assert results["dcgan"].auc == 1.0
    assert results["wgan"].auc == 0.5
    assert results["wgan"].protocol["source"] == "wgan"
    assert results["wgan"].protocol["seed"] == 1
    assert results["wgan"] == evaluate(
        [0, 1], [0, 1], threshold=1.5, protocol={"seed": 1, "source": "wgan"}
    )


def test_a_broken_source_is_named():
    with pytest.raises(ValueError, match="source 'wgan': 1 of 1 generated scores are NaN"):
        evaluate_sources([0, 1], {"dcgan": [1], "wgan": [np.nan]}, threshold=0)
    with pytest.raises(ValueError, match="no source"):
        evaluate_sources([0, 1], {}, threshold=0)
