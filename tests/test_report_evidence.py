"""The six questions: each is answered from what a detector's file tells, and never beyond."""

from dataclasses import replace

import numpy as np
import pytest

from gan_forensics.forensics.calibration import Calibration, Measured, Tier, measured_rate
from gan_forensics.forensics.calibrators import fit_calibrator
from gan_forensics.forensics.likelihood_ratios import VERBAL_SCALE, verbal
from gan_forensics.report.evidence import NO_SEPARATION, six_questions, wording_scale

QUESTIONS = [
    "What was compared?",
    "On which reference data?",
    "Which generators and carriers were covered?",
    "How was it calibrated?",
    "What does re-encoding do to it?",
    "How often does it err?",
]
RNG = np.random.default_rng(0)
CALIBRATOR = fit_calibrator(RNG.normal(0, 1, 30), RNG.normal(3, 1, 20))


def measured(carrier, alarms, detected):
    happened = (np.arange(20) < count for count in (alarms, detected))
    return Measured(carrier, *map(measured_rate, happened), auc=0.9)


CALIBRATION = Calibration(
    100, 90, 40, None, 0.05, seed=0,
    measured=(measured("none", 1, 18), measured("web", 2, 12), measured("hard", 10, 11)),
    tiers=(
        Tier("clean", 30, 20, "", "", 20, 20, 0.9, 0.8, 0.97, 0.4, 0.38, 0.02),
        Tier("web", 30, 20, "too few", "", 20, 20, 0.7, 0.51, 0.8),
        Tier("hard", 30, 20, "", "", 20, 20, 0.55, 0.4, 0.7, 0.987, 0.9, 0.087),
    ),
)  # fmt: skip
FACTS = {"real": "folder:photos", "fake": "folder:fakes", "generators": {"dcgan": 50, "sngan": 40}}


def answers(calibration=CALIBRATION, calibrators=None, facts=FACTS, **options):
    given = {"clean": CALIBRATOR, "hard": CALIBRATOR} if calibrators is None else calibrators
    section = six_questions(
        "The image a.png.", calibration=calibration, calibrators=given, facts=facts,
        **options,
    )  # fmt: skip
    return section.blocks[0].values, section.blocks[1:]


def test_every_question_is_answered_by_what_the_detector_tells():
    said, _ = answers()
    assert list(said) == QUESTIONS
    compared, reference, covered, calibrated, reencoded, errs = said.values()
    assert compared.startswith("The image a.png. Two propositions")
    assert "30 photographs and 20 generated images (clean, hard)" in reference
    assert "trained on 100 real and 90 generated images" in reference
    assert "folder:photos" in reference and "folder:fakes" in reference
    assert "dcgan (50 images), sngan (40 images)" in covered and "web" in covered
    assert "cross-validation" in calibrated
    assert (
        "None for web: 768 px, JPEG 60: too few." in calibrated and "5 % false alarms" in calibrated
    )
    assert "50.0% (10 of 20" in reencoded and "45.0% (9 of 20" in reencoded
    assert "5.0% (1 of 20; 95 % interval 0.1% to 24.9%) of photographs" in errs
    assert "10.0% (2 of 20; 95 % interval 1.2% to 31.7%) of generated" in errs


def by_tier(table):
    named = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    return {row["images"].split(":")[0]: row for row in named}


def test_a_tier_that_does_not_separate_says_so_instead_of_a_number():
    said, (errors, costs, _) = answers()
    found = by_tier(costs)
    assert [found["clean"][name] for name in costs.columns[3:]] == [0.4, 0.38, 0.02]
    assert {found["hard"][name] for name in costs.columns[3:]} == {NO_SEPARATION}
    assert "It does not separate the classes in: hard" in said[QUESTIONS[4]]
    assert "0.987" not in repr(costs) and "0.087" not in repr(costs)
    assert found["web"]["Cllr"] is None and found["web"]["calibrator"] == "none"
    assert found["clean"]["calibrator"] == CALIBRATOR.kind
    assert found["clean"]["log10 LR"] == f"{CALIBRATOR.lower:.2f} to {CALIBRATOR.upper:.2f}"
    found = by_tier(errors)
    assert found["clean"]["false alarms"].startswith("5.0% (0.1%")
    assert found["web"]["missed"].startswith("40.0% (19.1%")
    assert found["hard"]["AUC"] == "0.550 (0.400 to 0.700)"


def test_a_tier_that_the_detector_does_not_take_is_not_applicable():
    unfit = Tier("web", 0, 0, "", "smaller than 1024 pixels")
    said, (errors, _, _) = answers(replace(CALIBRATION, tiers=(unfit,)))
    assert by_tier(errors)["web"]["AUC"] == "not applicable"
    assert "None for web: 768 px, JPEG 60: smaller than 1024 pixels." in said[QUESTIONS[3]]


@pytest.mark.parametrize("facts", [{}, {"generators": {"x": "many"}, "real": [], "fake": None}])
def test_what_a_file_does_not_tell_is_not_known(facts):
    said, tables = answers(None, {}, facts)
    _, reference, covered, calibrated, reencoded, errs = said.values()
    assert reference == "No reference images, and so no likelihood ratios."
    assert covered.startswith("Generators: not known") and "none were measured" in covered
    assert "no likelihood ratios" in calibrated and "not set on images" in calibrated
    assert reencoded == errs == "Not measured."
    assert len(tables) == 1


def test_names_of_strangers_stay_in_their_line():
    said, _ = answers(facts={"generators": {"a\nb\x1b[2J": 1}, "real": "x\ny"})
    assert all(answer.isprintable() for answer in said.values())


def test_groups_are_counted_beside_their_images():
    rng = np.random.default_rng(1)
    groups = np.arange(30) // 2, np.arange(20)
    grouped = fit_calibrator(rng.normal(0, 1, 30), rng.normal(3, 1, 20), groups=groups)
    said, _ = answers(calibrators={"clean": grouped})
    assert "30 photographs in 15 groups and 20 generated images" in said[QUESTIONS[1]]


def test_the_wording_of_the_page_is_that_of_the_verdicts():
    rows = wording_scale().rows
    assert rows[0] == ["1/2 to 2", "inconclusive", "inconclusive"]
    for (least, _), row in zip(VERBAL_SCALE, rows[1:], strict=True):
        assert row[1:] == [verbal(np.log10(least)), verbal(-np.log10(least))]
        assert row[0].split(" ")[0].replace(",", "") == f"{least:.0f}"
    assert rows[1][0] == "2 to 10" and rows[-1][0] == "1,000,000 and more"


def test_recalibration_is_told_with_the_digest_of_the_detector_before_it():
    record = {
        "from": "ab" * 32, "how": "moved", "threshold": "set anew",
        "sources": {"photographs": "mine", "gan": "fakes"},
    }  # fmt: skip
    said, _ = answers(facts={**FACTS, "recalibrated": [record]})
    caption = answers(facts={**FACTS, "recalibrated": [record]})[1][1].caption
    assert "measured when the detector was recalibrated, on images" in caption
    assert "measured when the detector was fitted, on images" in answers()[1][1].caption
    reference = said["On which reference data?"]
    assert (
        "calibrators were moved since, and its threshold set anew, on images from mine, fakes "
        in (reference)
    )
    assert "It was fitted on photographs from folder:photos. It was fitted on gen" in reference
    assert said[QUESTIONS[2]].startswith("Generators, when it was fitted: dcgan")
    assert "ab" * 32 in reference and "set no threshold" not in reference
    assert "set no threshold" in answers()[0]["On which reference data?"]
    for odd in ([], [3], [{"sources": 3}], "x", {"how": 1}):
        answers(facts={**FACTS, "recalibrated": odd})


def test_rates_are_of_the_own_threshold_where_verdicts_use_another():
    said, tables = answers(false_alarms=0.2)
    none = "for 20 % false alarms, at whose thresholds no error rates were measured"
    assert none in said[QUESTIONS[5]]
    assert (
        "At the detector's own threshold only: When it was fitted, on images" in said[QUESTIONS[5]]
    )
    assert said[QUESTIONS[4]].startswith("At the detector's own threshold: Most")
    assert "each tier set, for 20 % false alarms" in said[QUESTIONS[3]]
    assert "The detector's own threshold aims at 5 %" in said[QUESTIONS[3]]
    assert "At the detector's own threshold, not at that of the verdicts" in tables[0].caption
    assert "own threshold" not in repr(answers())
