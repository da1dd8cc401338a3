"""Temperatures against a search of their own, their bounds, and calibration against counts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn.calibration import calibration_curve

from gan_forensics.forensics.temperature import (
    RANGES,
    calibration_error,
    fit_temperature,
    reliability,
)


def likelihood(logits, labels, temperature):
    return -log_softmax(logits / temperature, 1)[np.arange(len(labels)), labels].mean()


def drawn(rng, n, temperature, classes=4, scale=3.0):
    """Logits whose labels follow softmax(logits / temperature)."""
    logits = rng.normal(0, scale, (n, classes))
    chances = softmax(logits / temperature, 1).cumsum(1)
    return logits, (chances < rng.random((n, 1))).sum(1)


def test_two_classes_have_a_closed_form():
    # Three of four with a margin of 2 are right: 1 / (1 + exp(-2 / T)) = 3 / 4.
    logits, labels = np.array([[2.0, 0.0]] * 4), np.array([0, 0, 0, 1])
    assert_allclose(fit_temperature(logits, labels), 2 / np.log(3), rtol=1e-9)


@pytest.mark.parametrize("temperature", [0.2, 1.0, 6.0])
def test_the_temperature_is_the_likeliest_and_that_of_the_labels(rng, temperature):
    logits, labels = drawn(rng, 4000, temperature)
    found = fit_temperature(logits, labels)
    oracle = minimize_scalar(
        lambda t: likelihood(logits, labels, np.exp(t)), bounds=(-5, 5), method="bounded",
        options={"xatol": 1e-9},
    )  # fmt: skip
    assert_allclose(found, np.exp(oracle.x), rtol=1e-5)
    assert_allclose(found, temperature, rtol=0.1)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([1e-4, 1.0, 1e5]), st.integers(2, 40))
def test_temperatures_scale_with_the_logits_and_shifts_do_nothing(seed, scale, n):
    rng = np.random.default_rng(seed)
    logits, labels = drawn(rng, n, 2.0)
    found = fit_temperature(logits, labels)
    assert_allclose(fit_temperature(scale * (logits + 7), labels), scale * found, rtol=1e-4)
    # No neighbour within the bounds is likelier.
    sure = softmax(logits / found, 1).max(1).mean()
    assert sure <= (n + 1) / (n + 2) + 1e-9
    if np.ptp(logits / found, axis=1).mean() > RANGES[0] * (1 + 1e-6):
        assert likelihood(logits, labels, found) <= likelihood(logits, labels, found * 1.01) + 1e-9
    if sure < (n + 1) / (n + 2) - 1e-6 and found > 1e-3:
        assert likelihood(logits, labels, found) <= likelihood(logits, labels, found / 1.01) + 1e-9


@pytest.mark.parametrize("n", [1, 5, 500])
def test_what_was_always_right_is_as_sure_as_laplace_says(rng, n):
    logits = rng.normal(size=(n, 5))
    t = fit_temperature(logits, logits.argmax(1))
    assert_allclose(softmax(logits / t, 1).max(1).mean(), (n + 1) / (n + 2), rtol=1e-9)


def test_logits_that_say_the_opposite_are_flattened(rng):
    logits = rng.normal(size=(50, 3))
    t = fit_temperature(logits, logits.argmin(1))
    assert_allclose(np.ptp(logits / t, axis=1).mean(), RANGES[0])
    assert_allclose(softmax(logits / t, 1), 1 / 3, atol=0.01)


def test_ties_and_equal_logits_leave_the_temperature_finite():
    assert fit_temperature(np.full((3, 4), 9.0), np.array([0, 1, 2])) == 1
    # Two largest logits tie: no temperature makes it surer than 1/2.
    t = fit_temperature(np.array([[0.0, 0.0, -1.0]]), np.array([0]))
    assert_allclose(t, 1 / RANGES[1])
    # Labels of one class alone.
    t = fit_temperature(np.array([[3.0, 0.0], [1.0, 0.0], [0.0, 1.0]]), np.array([0, 0, 0]))
    assert 0 < t < 100


@pytest.mark.parametrize(
    "logits, labels, said",
    [
        (np.zeros((0, 3)), [], "at least one image"),
        (np.zeros((3, 1)), [0, 0, 0], "two classes"),
        (np.zeros((3, 2)), [0, 1], "a label for each image"),
        (np.array([[0, np.nan], [0, 1]]), [0, 1], "1 of 2 images are not finite"),
        (np.zeros((2, 2)), [0, 2], "from 0 to 1"),
        (np.zeros((2, 2)), [0, -1], "from 0 to 1"),
        (np.zeros((2, 2)), [0.0, 1.0], "whole numbers"),
    ],
)
def test_what_cannot_be_fitted_is_refused(logits, labels, said):
    with pytest.raises(ValueError, match=said):
        fit_temperature(logits, np.array(labels, int if not labels else None))


def test_calibration_errors_by_hand_and_of_what_is_calibrated(rng):
    # Bins (.7, .8] and (.5, .6] of ten: |1 - .8| and |0 - .6|, one image each.
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4]])
    assert_allclose(calibration_error(probabilities, np.array([0, 1]), 10), 0.4)
    # In one bin the two make up for one another.
    assert_allclose(calibration_error(probabilities, np.array([0, 1]), 1), 0.2)
    logits, labels = drawn(rng, 20000, 1.0)
    assert calibration_error(softmax(logits, 1), labels) < 0.015
    assert calibration_error(softmax(3 * logits, 1), labels) > 0.05
    assert calibration_error(np.eye(3), np.arange(3)) == 0
    assert calibration_error(np.eye(3), (np.arange(3) + 1) % 3) == 1


def test_reliability_is_that_of_scikit_learn(rng):
    logits, labels = drawn(rng, 500, 2.0)
    probabilities = softmax(logits, 1)
    rows = reliability(probabilities, labels, 10)
    right, confidence = probabilities.argmax(1) == labels, probabilities.max(1)
    accuracy, mean = calibration_curve(right, confidence, n_bins=10)
    assert_allclose([row.accuracy for row in rows], accuracy)
    assert_allclose([row.confidence for row in rows], mean)
    assert sum(row.n for row in rows) == 500
    assert all(row.accuracy_low <= row.accuracy <= row.accuracy_high for row in rows)
    # The edge belongs to the bin below it.
    assert reliability(np.array([[0.5, 0.5]]), np.array([0]), 2)[0][:2] == (0.0, 0.5)


def test_what_are_no_probabilities_is_refused():
    with pytest.raises(ValueError, match="sum to 1"):
        calibration_error(np.array([[0.8, 0.8]]), np.array([0]))
    with pytest.raises(ValueError, match="bins"):
        calibration_error(np.array([[0.5, 0.5]]), np.array([0]), 0)
