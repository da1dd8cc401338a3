"""Likelihood ratios on new images, by generator and tier: values, groups, what is left out."""

from dataclasses import replace

import numpy as np
import pytest

from gan_forensics.data import ArraySource
from gan_forensics.forensics import likelihood_ratios as lr
from gan_forensics.forensics.calibration import measured_rate
from gan_forensics.forensics.calibrators import fit_calibrator
from gan_forensics.forensics.intervals import two_sample_interval
from gan_forensics.forensics.validation import (
    ALL,
    NewScores,
    recognised,
    row_of,
    score_new,
    validated,
)
from gan_forensics.forensics.verdicts import basis_of
from gan_forensics.report.validation import sentences
from tests.made_detectors import made_detector


@pytest.fixture(scope="module")
def detector():
    return made_detector()


def new_scores(seed=1, *, groups=False, unfit=None, fake=3.0):
    rng = np.random.default_rng(seed)
    scores = {
        "photographs": rng.normal(0, 1, (3, 40)),
        "a": rng.normal(fake, 1, (3, 30)),
        "b": rng.normal(fake - 1, 1, (3, 20)),
    }
    of = {name: np.arange(s.shape[1]) // 2 for name, s in scores.items()} if groups else None
    return NewScores(scores, of, dict.fromkeys(scores, 0), unfit or {})


def test_every_generator_and_all_together_are_measured_in_every_tier(detector):
    new = new_scores()
    found = validated(detector, new)
    assert [(one.tier, one.generated) for one in found] == [
        (tier, name) for tier in ("clean", "web", "hard") for name in (ALL, "a", "b")
    ]
    for place, tier in enumerate(("clean", "web", "hard")):
        for one in found[3 * place : 3 * place + 3]:
            names = ["a", "b"] if one.generated == ALL else [one.generated]
            real = new.scores["photographs"][place]
            fake = np.concatenate([new.scores[name][place] for name in names])
            ratios = [detector.calibrators[tier].log10_lr(s) for s in (real, fake)]
            for name in ("cllr", "cllr_min", "cllr_cal", "devpav"):
                assert one.costs[name] == pytest.approx(getattr(lr, name)(*ratios), abs=1e-12)
            interval = two_sample_interval(one.costs["auc"], len(real), len(fake))
            assert (one.costs["auc_low"], one.costs["auc_high"]) == (interval.low, interval.high)
            assert one.false_alarms == measured_rate(real > detector.threshold)
            assert one.misses == measured_rate(fake <= detector.threshold)
            assert one.misleading == (measured_rate(ratios[0] > 0), measured_rate(ratios[1] < 0))
            for rates, scores in zip(one.verdicts, (real, fake), strict=True):
                said = [basis_of(detector).judge(score, tier).verdict for score in scores]
                assert {name: rate.events for name, rate in rates.items()} == {
                    name: said.count(name) for name in ("generated", "photograph", "unsure")
                }
            assert one.bounds == (
                detector.calibrators[tier].lower,
                detector.calibrators[tier].upper,
            )


def test_a_group_has_one_vote(detector):
    new = new_scores(groups=True)
    one = validated(detector, new)[1]
    assert one.false_alarms.groups == 20 and one.misses.groups == 15
    weights = np.full(40, 0.5), np.full(30, 0.5)
    assert one.costs["cllr"] == lr.cllr(one.real_log10_lr, one.fake_log10_lr, weights=weights)
    assert one.costs["auc_low"] == two_sample_interval(one.costs["auc"], 20, 15).low


def test_what_does_not_separate_has_no_number_for_its_calibration(detector):
    same = validated(detector, new_scores(fake=0.1))[1]
    assert not same.separates
    row = row_of(same)
    assert row["cllr_cal"] is row["cllr_min"] is row["devpav"] is None
    assert row["separates"] is False and row["auc"] == same.costs["auc"]
    (said,) = sentences([same])
    assert said.startswith("clean, a: does not separate: AUC") and "Cllr" not in said
    apart = row_of(validated(detector, new_scores())[1])
    assert apart["separates"] and apart["cllr_cal"] > 0


def test_unsure_verdicts_are_counted_and_devpav_may_be_none(detector):
    rng = np.random.default_rng(0)
    scores = {"photographs": rng.normal(-9, 1, (3, 30)), "a": rng.normal(20, 1, (3, 30))}
    one = validated(detector, NewScores(scores, None, {}, {}))[0]
    assert row_of(one)["devpav"] is None and row_of(one)["cllr_min"] == 0
    assert (row_of(one)["unsure_real"], row_of(one)["unsure_fake"]) == (0, 0)
    grid = np.linspace(0, 3, 301)
    even = grid[np.abs(detector.log10_lr(grid)).argmin()]
    middle = NewScores({"photographs": np.full((3, 9), even), "a": scores["a"]}, None, {}, {})
    row = row_of(validated(detector, middle)[0])
    assert row["unsure_real"] == 1 and row["generated_real"] == row["photograph_real"] == 0
    # On the threshold's wrong side, and yet not called generated.
    assert row["false_alarms"] == float(even > detector.threshold)


def test_tiers_that_the_detector_does_not_take_are_said_to_be_so(detector):
    found = validated(detector, new_scores(unfit={"hard": "512 are too few"}))
    assert {one.without for one in found if one.tier == "hard"} == {"512 are too few"}
    assert row_of(found[-1])["cllr"] is None and row_of(found[-1])["n_real"] == 0
    assert "hard, b: not applicable (512 are too few)" in sentences(found)
    web = {tier: one for tier, one in detector.calibrators.items() if tier != "web"}
    found = validated(replace(detector, calibrators=web), new_scores())
    assert found[3].without == "the detector has no calibrator for it"
    with pytest.raises(ValueError, match="has no calibrator, and without likelihood ratios there"):
        validated(replace(detector, calibrators={}), new_scores())


def test_reference_images_are_recognised_by_scores_that_do_not_repeat(detector):
    reference = detector.calibrators["clean"].real_scores
    scores = np.concatenate([reference[:3] * (1 + 1e-14), reference[3:6] + 1e-6])
    assert recognised(scores, reference).tolist() == [True] * 3 + [False] * 3
    shares = np.array([0.2, 0.2, 0.4])
    assert not recognised(shares, shares).any()


def test_images_that_calibrators_were_fitted_on_are_left_out_and_counted(detector):
    rng = np.random.default_rng(3)
    images = ArraySource(image=rng.integers(0, 256, (20, 8, 8, 3), np.uint8))
    scores = detector.score(images)
    reference = fit_calibrator(scores[:12], rng.normal(9, 1, 12))
    detector = replace(detector, calibrators={"clean": reference})
    groups = [np.arange(20), np.arange(20)]
    new = score_new(detector, {"photographs": images, "a": images}, groups=groups)
    assert new.known == {"photographs": 12, "a": 0}
    assert new.scores["photographs"].shape == (3, 8) and new.scores["a"].shape == (3, 20)
    assert new.groups["photographs"].tolist() == list(range(12, 20))
    np.testing.assert_array_equal(new.in_tier("clean")["photographs"], scores[12:])
    detector = replace(detector, calibrators={"clean": fit_calibrator(scores, scores + 9)})
    with pytest.raises(ValueError, match="photographs: the detector's calibrators were fitted on"):
        score_new(detector, {"photographs": images, "a": images})


def test_ratios_that_cost_more_than_none_are_said_to_mislead(detector):
    rng = np.random.default_rng(4)
    scores = {"photographs": rng.normal(5, 1, (3, 30)), "a": rng.normal(8, 1, (3, 30))}
    one = validated(detector, NewScores(scores, None, {}, {}))[0]
    assert one.separates and one.costs["cllr"] > 1
    assert "the LRs mislead, they are worse than none, AUC" in sentences([one])[0]
    assert "mislead" not in sentences(validated(detector, new_scores()))[1]
