"""Unknown sources: scores against scikit-learn's and scipy's, the promise of the rule, the OSCR."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import logsumexp
from sklearn.metrics import auc, roc_auc_score
from sklearn.neighbors import NearestNeighbors

from gan_forensics.forensics import open_set
from gan_forensics.forensics.open_set import (
    KNOWNNESS,
    NEIGHBOUR,
    known_threshold,
    leave_one_out,
    none_of_these,
    open_set_result,
)


class Outputs(NamedTuple):
    logits: np.ndarray
    features: np.ndarray


def test_scores_of_logits_by_hand():
    outputs = Outputs(np.log([[1.0, 3.0], [4.0, 4.0]]), np.zeros((2, 1)))
    wanted = {"probability": [0.75, 0.5], "logit": np.log([3, 4]), "energy": np.log([4, 8])}
    for name, scores in wanted.items():
        assert_allclose(KNOWNNESS[name](outputs, None), scores, rtol=1e-12)
    large = Outputs(np.array([[1000.0, 999.0]]), np.zeros((1, 1)))
    assert_allclose(KNOWNNESS["energy"](large, None), logsumexp([1000, 999]))


def test_neighbours_are_those_of_scikit_learn(rng, monkeypatch):
    gallery, queries = (rng.normal(size=(n, 6)).astype(np.float32) for n in (40, 25))
    queries[3] *= 1e4  # Length does not matter.
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (gallery, queries)]
    distances = NearestNeighbors(n_neighbors=NEIGHBOUR).fit(unit[0]).kneighbors(unit[1])[0]
    known, outputs = (Outputs(np.zeros((len(x), 2)), x) for x in (gallery, queries))
    scores = KNOWNNESS["neighbours"](outputs, known)
    assert_allclose(scores, -distances[:, -1], atol=1e-6)
    monkeypatch.setattr(open_set, "_AT_ONCE", 7 * 40)  # Parts of seven images.
    assert_allclose(KNOWNNESS["neighbours"](outputs, known), scores, rtol=1e-12)


def test_a_picture_that_is_often_in_the_gallery_does_not_decide_alone(rng):
    gallery, queries = (rng.normal(size=(n, 6)).astype(np.float32) for n in (40, 25))
    known, outputs = (Outputs(np.zeros((len(x), 2)), x) for x in (gallery, queries))
    often = Outputs(np.zeros((90, 2)), np.concatenate([gallery, np.repeat(gallery[:1], 50, 0)]))
    scores = KNOWNNESS["neighbours"](outputs, often)
    assert_allclose(scores, KNOWNNESS["neighbours"](outputs, known), rtol=1e-12)
    # Of three that differ, the farthest.
    few = Outputs(np.zeros((30, 2)), np.repeat(gallery[:3], 10, axis=0))
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (gallery[:3], queries)]
    farthest = np.linalg.norm(unit[1][:, None] - unit[0][None], axis=2).max(1)
    assert_allclose(KNOWNNESS["neighbours"](outputs, few), -farthest, atol=1e-6)


def test_neighbours_need_a_gallery_that_fits():
    def some(n, d):
        return Outputs(np.zeros((n, 2)), np.ones((n, d)))

    for gallery, said in ((None, "got none"), (some(4, 3), "got 4 images"), (some(9, 2), "have 3")):
        with pytest.raises(ValueError, match=said):
            KNOWNNESS["neighbours"](some(2, 3), gallery)
    # No direction: no score that is not a number.
    nothing = Outputs(np.zeros((1, 2)), np.zeros((1, 3)))
    assert_allclose(KNOWNNESS["neighbours"](nothing, some(9, 3)), -np.sqrt(2))


def test_the_threshold_accepts_what_it_promises(rng):
    """Of n + 1 exchangeable scores the last is below the threshold with at most 5 %."""
    scores = rng.normal(size=(4000, 60))
    below = [x[-1] < known_threshold(x[:-1]) for x in scores]
    # floor(.05 * 60) / 60: exactly 5 %, and .35 % of noise.
    assert 0.04 < np.mean(below) < 0.06
    tied = rng.integers(0, 3, (400, 60))
    assert np.mean([x[-1] < known_threshold(x[:-1]) for x in tied]) <= 0.05 + 0.03
    assert known_threshold(np.arange(39)) == 1.0  # The second lowest: 2 / 40.
    assert none_of_these([0.9, 1.0, 1.1], 1.0).tolist() == [True, False, False]


def test_thresholds_of_too_few_images_are_refused():
    assert known_threshold(np.arange(19)) == 0
    with pytest.raises(ValueError, match=r"18 held-out.*0\.95 .*at least 19"):
        known_threshold(np.arange(18))
    assert known_threshold(np.arange(9), 0.9) == 0
    with pytest.raises(ValueError, match="NaN"):
        known_threshold([np.nan] * 30)
    with pytest.raises(ValueError, match="between 0 and 1"):
        known_threshold(np.arange(30), 95)
    with pytest.raises(ValueError, match="NaN"):
        none_of_these([np.nan], 0.0)


def test_every_generator_is_left_out_and_the_real_source_never():
    splits = list(leave_one_out(("a", "real", "b"), "real"))
    assert splits == [("a", ("real", "b")), ("b", ("a", "real"))]
    for names, said in ((("real", "a"), "at least two"), (("a", "b", "c"), "hold 'real'")):
        with pytest.raises(ValueError, match=said):
            list(leave_one_out(names, "real"))
    with pytest.raises(ValueError, match="different"):
        list(leave_one_out(("real", "a", "a", "b"), "real"))


def curve(known, right, unknown):
    """Dhamija et al.'s curve, threshold by threshold, and false positives at 95 %."""
    thresholds = np.unique(np.concatenate([known, unknown]))[::-1]
    ccr = [0.0, *(np.mean(right & (known >= t)) for t in thresholds)]
    fpr = [0.0, *(np.mean(unknown >= t) for t in thresholds)]
    best = max(t for t in thresholds if np.mean(known >= t) >= 0.95 - 1e-12)
    return auc(fpr, ccr), np.mean(unknown >= best)


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(1, 45), st.integers(1, 30), st.integers(2, 40))
def test_results_are_those_of_the_curves(seed, n, m, levels):
    rng = np.random.default_rng(seed)
    known, unknown = rng.integers(1, levels + 1, n) / 8, rng.integers(0, levels, m) / 8
    right = rng.random(n) < 0.7
    found = open_set_result(known, right, unknown)
    oscr, fpr = curve(known, right, unknown)
    assert_allclose(found.oscr, oscr, atol=1e-12)
    assert_allclose(found.fpr_at_95, fpr)
    labels = np.repeat([1, 0], [n, m])
    assert_allclose(found.auroc, roc_auc_score(labels, np.concatenate([known, unknown])))
    assert found.oscr <= found.accuracy + 1e-12
    for name, interval in found.intervals.items():
        assert interval.low - 1e-9 <= getattr(found, name) <= interval.high + 1e-9


def test_the_rule_is_measured_on_other_images_than_set_it(rng):
    known, unknown = rng.normal(2, 1, 200), rng.normal(0, 1, 100)
    assert open_set_result(known, known > 1, unknown).accepted_known is None
    found = open_set_result(known, known > 1, unknown, threshold=float(unknown[0]))
    assert found.accepted_known.events == (known >= unknown[0]).sum()
    assert found.accepted_unknown.events == (unknown >= unknown[0]).sum()  # Itself included.
    assert found.accepted_unknown.n == found.n_unknown == 100


def test_what_cannot_be_measured_is_refused():
    with pytest.raises(ValueError, match="non-empty"):
        open_set_result([1.0], [True], [])
    with pytest.raises(ValueError, match="true or false for each of 2"):
        open_set_result([1.0, 2.0], [True], [0.0])
    with pytest.raises(ValueError, match="true or false"):
        open_set_result([1.0, 2.0], [0, 1], [0.0])
    with pytest.raises(ValueError, match="finite"):
        open_set_result([np.inf], [True], [0.0])


@pytest.mark.slow
@pytest.mark.parametrize("n", [10, 30, 100, 300])
@pytest.mark.parametrize("m", [10, 100])
def test_intervals_of_the_open_set_hold_the_truth(n, m):
    rng = np.random.default_rng(n + 1000 * m)
    # A known score is N(2, 1), right where a coin of 80 % says so; unknown ones are N(0, 1).
    many = open_set_result(
        rng.normal(2, 1, 10**6), rng.random(10**6) < 0.8, rng.normal(0, 1, 10**6)
    )
    missed = dict.fromkeys(many.intervals, 0)
    for _ in range(1000):
        found = open_set_result(rng.normal(2, 1, n), rng.random(n) < 0.8, rng.normal(0, 1, m))
        for name, interval in found.intervals.items():
            missed[name] += not interval.low <= getattr(many, name) <= interval.high
    assert max(missed.values()) <= 70, missed
