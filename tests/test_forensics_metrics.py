"""Metrics of scores: closed forms, scikit-learn, brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.metrics import average_precision_score, roc_auc_score

from gan_forensics.forensics.calibration import calibrated_threshold, smallest_calibration_set
from gan_forensics.forensics.metrics import (
    METRICS,
    average_precision,
    count_scores,
    equal_error_rate,
    fake_accuracy,
    real_accuracy,
    roc_auc,
)

# Few distinct values, so that ties within and across the classes are common.
scores = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=12)


def test_perfect_scores():
    counts = count_scores([0, 1, 2], [3, 4])
    assert (roc_auc(counts), average_precision(counts), equal_error_rate(counts)) == (1, 1, 0)


def test_scores_that_are_all_equal_are_chance():
    counts = count_scores([1, 1, 1], [1])
    assert roc_auc(counts) == 0.5
    assert average_precision(counts) == 0.25
    assert equal_error_rate(counts) == 0.5


def test_inverted_scores_are_worse_than_chance():
    counts = count_scores([1, 2], [-1, 0])
    assert (roc_auc(counts), equal_error_rate(counts)) == (0, 1)


@given(scores, scores)
def test_auc_and_average_precision_equal_those_of_scikit_learn(real, fake):
    labels, values = np.repeat([0, 1], [len(real), len(fake)]), np.array(real + fake)
    counts = count_scores(real, fake)
    assert_allclose(roc_auc(counts), roc_auc_score(labels, values), atol=1e-12)
    assert_allclose(average_precision(counts), average_precision_score(labels, values), atol=1e-12)


@given(scores, scores)
def test_auc_is_the_share_of_pairs_in_the_right_order(real, fake):
    pairs = [(f > r) + 0.5 * (f == r) for f in fake for r in real]
    assert_allclose(roc_auc(count_scores(real, fake)), np.mean(pairs), atol=1e-12)


@given(scores, scores)
def test_swapping_classes_and_signs_keeps_auc_and_equal_error_rate(real, fake):
    there = count_scores(real, fake)
    back = count_scores([-s for s in fake], [-s for s in real])
    assert_allclose(roc_auc(back), roc_auc(there), atol=1e-12)
    assert_allclose(equal_error_rate(back), equal_error_rate(there), atol=1e-12)


def test_equal_error_rate_of_a_hand_made_roc():
    # Thresholds fall: (alarms, misses) = (0, 1), (0, .5), (.5, .5): they meet at .5 exactly.
    assert equal_error_rate(count_scores([0, 1], [0, 2])) == pytest.approx(0.5)
    # (0, 1), (0, 2/3), (1/4, 2/3), (1/4, 1/3), (1/2, 1/3): the last step crosses at 1/3.
    result = equal_error_rate(count_scores([1, 3, 5, 7], [4, 6, 8]))
    oracle = brute_equal_error_rate([1, 3, 5, 7], [4, 6, 8])
    assert result == pytest.approx(1 / 3) == pytest.approx(oracle, abs=1e-3)


def brute_equal_error_rate(real, fake):
    """Walk a fine grid along the ROC polyline and take the point nearest to the diagonal."""
    real, fake = np.asarray(real, float), np.asarray(fake, float)
    cuts = np.concatenate([[np.inf], np.unique(np.concatenate([real, fake]))[::-1]])
    points = np.array([((real >= cut).mean(), (fake < cut).mean()) for cut in cuts])
    steps = np.linspace(0, 1, 2001)[:, None]
    line = np.concatenate(
        [a + steps * (b - a) for a, b in zip(points[:-1], points[1:], strict=True)]
    )
    return line[np.abs(line[:, 0] - line[:, 1]).argmin()].mean()


@settings(max_examples=50)
@given(scores, scores)
def test_equal_error_rate_equals_a_walk_along_the_roc(real, fake):
    result = float(equal_error_rate(count_scores(real, fake)))
    assert_allclose(result, brute_equal_error_rate(real, fake), atol=1e-3)


@given(scores, scores, st.integers(-3, 3))
def test_accuracies_are_plain_shares(real, fake, threshold):
    counts = count_scores(real, fake)
    assert_allclose(real_accuracy(counts, threshold), np.mean(np.array(real) <= threshold))
    assert_allclose(fake_accuracy(counts, threshold), np.mean(np.array(fake) > threshold))


@pytest.mark.parametrize("name", METRICS)
def test_metrics_of_stacked_counts_equal_those_one_by_one(name, rng):
    counts = count_scores(rng.integers(0, 9, 40), rng.integers(2, 12, 30))
    real = rng.multinomial(40, counts.real / 40, 7).astype(float)
    fake = rng.multinomial(30, counts.fake / 30, 7).astype(float)
    stacked = METRICS[name](type(counts)(counts.scores, real, fake))
    single = [
        METRICS[name](type(counts)(counts.scores, r, f)) for r, f in zip(real, fake, strict=True)
    ]
    # Dropping the scores that a sample does not hold must not change a metric.
    direct = [
        METRICS[name](count_scores(np.repeat(counts.scores, r.astype(int)),
                                   np.repeat(counts.scores, f.astype(int))))
        for r, f in zip(real, fake, strict=True)
    ]  # fmt: skip
    assert_allclose(stacked, single, atol=1e-12)
    assert_allclose(stacked, direct, atol=1e-12)


def test_scores_that_no_sampled_image_has_leave_every_metric_as_it_is():
    full = count_scores([1, 2, 4], [2, 3, 5])
    padded = type(full)(
        np.array([9.0, *full.scores, 0.0]),
        np.array([0.0, *full.real, 0.0]),
        np.array([0.0, *full.fake, 0.0]),
    )
    for metric in METRICS.values():
        assert metric(padded) == metric(full)


@pytest.mark.parametrize("n", [19, 20, 40, 137])
def test_calibrated_threshold_keeps_the_promised_false_alarms(n):
    threshold = calibrated_threshold(np.arange(n), false_alarms=0.05)
    above = int((np.arange(n) > threshold).sum())
    # A new image is equally likely to fall into each of the n + 1 gaps; above + 1 of them alarm.
    assert (above + 1) / (n + 1) <= 0.05 < (above + 2) / (n + 1)


def test_calibrated_threshold_bounds_false_alarms_on_average(rng):
    alarms = [
        (rng.normal(size=200) > calibrated_threshold(rng.normal(size=30), false_alarms=0.1)).mean()
        for _ in range(2000)
    ]
    # 30 images allow rank 3 of 31 exactly: 3 / 31 = 0.0968.
    assert np.mean(alarms) == pytest.approx(3 / 31, abs=0.006)


def test_calibrated_threshold_with_ties_never_exceeds_the_target():
    threshold = calibrated_threshold(np.repeat([0.0, 0.2, 1.0], [50, 40, 10]), false_alarms=0.05)
    assert threshold == 1.0


@pytest.mark.parametrize(("target", "n"), [(0.05, 19), (0.1, 9), (0.5, 1), (0.01, 99), (0.3, 3)])
def test_smallest_calibration_set_is_just_enough(target, n):
    assert smallest_calibration_set(target) == n
    calibrated_threshold(np.arange(n), false_alarms=target)
    if n > 1:
        with pytest.raises(ValueError, match=f"at least {n} are needed"):
            calibrated_threshold(np.arange(n - 1), false_alarms=target)


@pytest.mark.parametrize(
    ("real", "fake", "message"),
    [
        ([], [1.0], "real scores must be a non-empty"),
        ([1.0], [], "generated scores must be a non-empty"),
        ([1.0, np.nan], [1.0], "1 of 2 real scores are NaN"),
        ([[1.0]], [1.0], r"shape \[1, 1\]"),
    ],
)
def test_unusable_scores_are_refused(real, fake, message):
    with pytest.raises(ValueError, match=message):
        count_scores(real, fake)
