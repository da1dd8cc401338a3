"""Verdicts of scores: threshold and likelihood ratio together, and what they follow from."""

from dataclasses import replace

import numpy as np
import pytest

from gan_forensics.forensics import calibrated_threshold
from gan_forensics.forensics.calibrators import fit_calibrator
from gan_forensics.forensics.verdicts import Basis, tally, verdict_of


@pytest.fixture(scope="module")
def calibrator():
    rng = np.random.default_rng(0)
    return fit_calibrator(rng.normal(0, 1, 60), rng.normal(3, 1, 60))


@pytest.mark.parametrize(
    ("score", "log10_lr", "after", "verdict", "why"),
    [
        (1.1, None, {}, "generated", ""),
        (1.0, None, {}, "photograph", ""),
        (1.1, 0.31, {}, "generated", ""),
        (0.9, -0.31, {}, "photograph", ""),
        (1.1, 0.3, {}, "unsure", "inconclusive"),
        (0.9, -0.3, {}, "unsure", "inconclusive"),
        (1.1, -1.0, {}, "unsure", "threshold and likelihood ratio contradict each other"),
        (0.9, 1.0, {}, "unsure", "threshold and likelihood ratio contradict each other"),
        (1.1, 1.0, {"a": 2.0, "b": 1.0, "c": 0.0}, "unsure", "turned over by b, c"),
        (0.9, -1.0, {"a": 1.1}, "unsure", "turned over by a"),
        (1.1, None, {"a": 1.2}, "generated", ""),
    ],
)
def test_a_verdict_needs_threshold_ratio_and_carriers_to_agree(
    score, log10_lr, after, verdict, why
):
    assert verdict_of(score, 1.0, log10_lr, after) == (verdict, why)


def test_a_basis_judges_by_the_calibrator_of_the_tier(calibrator):
    web = replace(calibrator, offset=1.0)
    basis = Basis(1.5, {"clean": calibrator, "web": web}, prior=0.25)
    for tier, one in (("clean", calibrator), ("web", web)):
        found = basis.judge(3.0, tier)
        assert found.log10_lr == one.log10_lr([3.0])[0]
        assert (found.lower, found.upper) == (one.lower, one.upper)
        odds = 10**found.log10_lr / 3
        assert found.posterior == pytest.approx(odds / (1 + odds), rel=1e-12)
    assert basis.judge(3.0, "clean").log10_lr > basis.judge(3.0, "web").log10_lr
    assert basis.judge(3.0, "clean").wording == "moderate support for generated"
    without = basis.judge(3.0, "hard")
    assert without[:3] == ("generated", "", None) and without.wording == ""


def test_ratios_do_not_depend_on_what_is_scored_beside(calibrator):
    scores = np.random.default_rng(1).normal(2, 2, 37)
    basis = Basis(1.5, {"clean": calibrator})
    again = [basis.judge(float(s), "clean").log10_lr for s in scores[::-1]][::-1]
    assert again == [basis.judge(float(s), "clean").log10_lr for s in scores]


def test_another_share_of_false_alarms_is_bounded_by_the_reference_photographs(calibrator):
    moved = replace(calibrator, offset=2.0)
    basis = Basis(99.0, {"clean": calibrator, "web": moved}, false_alarms=0.1)
    bound = calibrated_threshold(calibrator.real_scores, false_alarms=0.1)
    assert basis.thresholds == {"clean": bound, "web": bound + 2}
    assert basis.judge(bound + 1e-9, "clean").verdict != "photograph"
    assert basis.judge(9.0, "hard").why == "no reference images of tier hard"
    with pytest.raises(ValueError, match="60 reference photographs of tier clean cannot bound"):
        Basis(0.0, {"clean": calibrator}, false_alarms=0.01)
    with pytest.raises(ValueError, match="the detector keeps none: fit it again"):
        Basis(0.0, {}, false_alarms=0.05)


def test_groups_of_reference_photographs_count_as_groups_for_the_threshold():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0, 1, 90), rng.normal(3, 1, 90)
    groups = np.repeat(np.arange(30), 3), np.arange(100, 190)
    basis = Basis(0.0, {"clean": fit_calibrator(real, fake, groups=groups)}, false_alarms=0.1)
    expected = calibrated_threshold(real, false_alarms=0.1, groups=groups[0])
    assert basis.thresholds["clean"] == expected
    assert expected != calibrated_threshold(real, false_alarms=0.1)
    with pytest.raises(ValueError, match="30 reference"):
        replace(basis, false_alarms=0.02)


def test_verdicts_are_counted():
    assert tally([]) == "0 generated, 0 photograph, 0 unsure"
