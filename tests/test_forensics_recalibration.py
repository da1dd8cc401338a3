"""Recalibration: one offset or a new calibrator, what it saves, and what is too little for it."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from gan_forensics.data import Header
from gan_forensics.forensics import calibrated_threshold, load_detector
from gan_forensics.forensics.calibration import measured_rate, read_calibration
from gan_forensics.forensics.calibrators import fit_calibrator
from gan_forensics.forensics.cross_fitting import Class, halves
from gan_forensics.forensics.format_audit import outside, read_seen
from gan_forensics.forensics.likelihood_ratios import cllr, cllr_cal
from gan_forensics.forensics.prevalence import why_none
from gan_forensics.forensics.recalibration import (
    Change,
    offset_of,
    recalibrated,
    record_of,
)
from gan_forensics.forensics.tiles import tile_threshold, tiled
from gan_forensics.forensics.validation import NewScores, score_new
from gan_forensics.forensics.verdicts import Basis, basis_of, verdict_rates
from gan_forensics.report.evidence import measured_lines
from gan_forensics.report.recalibration import sentences
from tests.made_detectors import made_detector
from tests.made_tiles import brightness, drawn


@pytest.fixture(scope="module")
def detector():
    return made_detector()


def new_scores(shift=1.5, *, n=40, fakes=0, groups=None, unfit=None, seed=1):
    rng = np.random.default_rng(seed)
    scores = {"photographs": rng.normal(shift, 1, (3, n))}
    if fakes:
        scores["a"] = rng.normal(3 + shift, 1, (3, fakes))
    of = groups and {name: np.arange(s.shape[1]) // groups for name, s in scores.items()}
    return NewScores(scores, of, dict.fromkeys(scores, 0), unfit or {})


def test_an_offset_is_the_one_of_least_cost_and_the_nearest_of_equals(detector):
    calibrator = detector.calibrators["clean"]
    rng = np.random.default_rng(2)
    real, fake = (Class(rng.normal(m, 1, 60), np.arange(60).astype(str)) for m in (2, 5))
    found = offset_of(calibrator, real, fake)
    assert abs(found - 2) < 0.5

    def cost(offset):
        moved = replace(calibrator, offset=offset)
        return cllr(moved.log10_lr(real.scores), moved.log10_lr(fake.scores))

    assert cost(found) <= min(cost(offset) for offset in np.linspace(-3, 7, 201)) + 1e-4
    apart = Class(np.full(9, -50.0), real.groups[:9]), Class(np.full(9, 50.0), real.groups[:9])
    assert offset_of(calibrator, *apart) == 0


def test_moving_saves_what_the_shift_cost_and_cross_fitting_measures_it(detector):
    made = recalibrated(detector, new_scores(fakes=40))
    assert [one.tier for one in made.changes] == ["clean", "web", "hard"]
    for one in made.changes:
        calibrator = made.detector.calibrators[one.tier]
        assert one.offset == calibrator.offset and 0.9 < one.offset < 2.1
        assert one.before > 0.1 and one.after < one.before and one.saved > 0.05
        assert replace(calibrator, offset=0.0).log10_lr([1.0]) == (
            detector.calibrators[one.tier].log10_lr([1.0])
        )
    (tier, *_) = made.detector.calibration.tiers
    assert tier.cllr_cal == made.changes[0].after and tier.measured_real == 40
    before = [detector.log10_lr(s) for s in (
        new_scores(fakes=40).scores["photographs"][0], new_scores(fakes=40).scores["a"][0],
    )]  # fmt: skip
    assert made.changes[0].before == pytest.approx(cllr_cal(*before), abs=1e-12)


def test_what_a_half_is_judged_by_never_saw_it(detector):
    rng = np.random.default_rng(5)
    scores = {"photographs": rng.normal(0, 1, (3, 24)), "a": rng.normal(1, 1, (3, 24))}
    made = recalibrated(detector, NewScores(scores, None, {}, {}), refit=True)
    real, fake = (
        Class(of[0], np.array([f"{name} {row}" for row in range(24)], object))
        for name, of in scores.items()
    )
    parts = halves((real, fake), 0)
    assert all(sorted(half.tolist()) == [0] * 12 + [1] * 12 for half in parts)
    ratios = np.empty((2, 24))
    for half in (0, 1):
        away, of = zip(real.part(parts[0] != half), fake.part(parts[1] != half), strict=True)
        other = fit_calibrator(*away, groups=of)
        for found, one, h in zip(ratios, (real, fake), parts, strict=True):
            found[h == half] = other.log10_lr(one.scores[h == half])
    assert made.changes[0].after == pytest.approx(cllr_cal(*ratios), abs=1e-12)


def test_a_large_group_moves_the_offset_no_more_than_one_image(detector):
    rng = np.random.default_rng(6)
    scores = np.concatenate([np.full(60, 2.5), rng.normal(0, 1, 30)])
    names = np.array(["one photograph"] * 60 + [str(row) for row in range(30)], object)
    fake = Class(rng.normal(3, 1, 60), np.array([f"f{row}" for row in range(60)], object))
    calibrator = detector.calibrators["clean"]
    own = Class(scores, np.array([f"r{row}" for row in range(90)], object))
    grouped = offset_of(calibrator, Class(scores, names), fake)
    assert grouped < offset_of(calibrator, own, fake) - 0.2


def test_without_generated_images_the_reference_scores_stand_for_them(detector):
    made = recalibrated(detector, new_scores(0.8))
    assert {one.n_fake for one in made.changes} == {60}
    assert all(0 < one.offset < 0.8 for one in made.changes)
    refitted = recalibrated(detector, new_scores(0.8), refit=True)
    calibrator = refitted.detector.calibrators["clean"]
    np.testing.assert_array_equal(calibrator.fake_scores, detector.calibrators["clean"].fake_scores)
    np.testing.assert_array_equal(calibrator.real_scores, new_scores(0.8).scores["photographs"][0])
    assert calibrator.offset == 0 and refitted.changes[0].offset == 0


def test_the_threshold_is_set_anew_where_photographs_suffice_and_moves_otherwise(detector):
    new = new_scores()
    made = recalibrated(detector, new)
    bound = calibrated_threshold(new.scores["photographs"][0], false_alarms=0.05)
    assert made.set_anew and made.detector.threshold == bound
    assert made.detector.calibration.n_calibration == 40
    new.scores["photographs"][1] += 5.0  # Compressed ones score higher than clean ones here.
    robust = recalibrated(replace(detector, facts={"robust": True}), new)
    assert robust.detector.threshold == max(
        calibrated_threshold(of, false_alarms=0.05) for of in new.scores["photographs"]
    )
    few = recalibrated(detector, new_scores(n=18))
    assert not few.set_anew and few.detector.calibration.n_calibration == 9
    offset = few.detector.calibrators["clean"].offset
    assert few.detector.threshold == detector.threshold + offset and offset != 0
    again = recalibrated(few.detector, new_scores(n=18))
    assert again.detector.threshold == pytest.approx(few.detector.threshold, abs=0.05)
    assert few.detector.calibration.measured == ()


def test_groups_stay_in_one_half_and_count_once(detector):
    new = new_scores(n=40, groups=2)
    made = recalibrated(detector, new)
    assert made.detector.calibration.groups == 20
    with pytest.raises(ValueError, match="8 photographs in groups of their own are too few to mov"):
        recalibrated(detector, new_scores(n=40, groups=5))
    pairs = new_scores(n=40, fakes=40, groups=2)
    refitted = recalibrated(detector, pairs, refit=True).detector.calibrators["clean"]
    np.testing.assert_array_equal(refitted.real_weights, np.full(40, 0.5))


@pytest.mark.parametrize(
    ("new", "refit", "message"),
    [
        (new_scores(n=9), False, "9 photographs are too few to move a calibrator .*at least 10"),
        (new_scores(n=19), True, "19 photographs are too few to refit a calibrator.*at least 20"),
        (new_scores(fakes=9), False, "9 generated images are too few to move"),
        (
            NewScores(dict.fromkeys(("photographs", "a"), np.ones((3, 40))), None, {}, {}),
            True,
            "all reference images have the score 1: no likelihood ratio",
        ),
    ],
)
def test_too_little_is_one_clear_line(new, refit, message, detector):
    with pytest.raises(ValueError, match=message):
        recalibrated(detector, new, refit=refit)


def test_a_detector_without_calibrator_gets_one_from_both_classes_alone(detector):
    bare = replace(detector, calibrators={})
    for new, refit in ((new_scores(fakes=40), False), (new_scores(), True)):
        with pytest.raises(ValueError, match="has no calibrator that could be moved, and keeps no"):
            recalibrated(bare, new, refit=refit)
    made = recalibrated(bare, new_scores(fakes=40), refit=True)
    assert made.detector.calibrators.keys() == {"clean", "web", "hard"}
    assert made.changes[0].before is made.changes[0].saved is None
    assert "cross-fitted on 40 photographs" in sentences(bare, made, refit=True)[0]


def test_tiers_that_the_detector_does_not_take_stay_as_they_were(detector):
    made = recalibrated(detector, new_scores(unfit={"hard": "too small"}))
    assert [one.tier for one in made.changes] == ["clean", "web"]
    assert made.detector.calibrators["hard"] is detector.calibrators["hard"]


def test_what_was_done_is_said_and_kept(detector):
    made = recalibrated(detector, new_scores())
    record = record_of(detector, made, refit=False, sources={"photographs": "mine"})
    assert record["from"] is None and record["how"] == "moved"
    assert record["threshold"] == "set anew" and record["sources"] == {"photographs": "mine"}
    clean = record["tiers"]["clean"]
    assert clean["cllr_cal_before"] - clean["cllr_cal_after"] == made.changes[0].saved
    said = sentences(detector, made, refit=False)
    assert said[0].startswith("clean: offset ") and "after, cross-fitted on 40 photo" in said[0]
    said_all = said
    (told,) = [line for line in said if line.startswith("threshold: 1.7 before")]
    assert "set anew on the phot" in told
    photographs = new_scores().scores["photographs"][0]
    assert made.above == measured_rate(photographs > 1.7) and made.above.words in told
    assert made.saved == [one.tier for one in made.changes if one.saved > 0]
    better = ", ".join(made.saved)
    made = made._replace(changes=[one for one in made.changes if one.saved > 0])
    said = sentences(detector, made, refit=False)
    assert said[-1] == f"advice: use the new detector; its LRs are better in {better}"
    worse = Change("web", 0.1, 40, 60, True, 0.1, 0.2)
    blind = Change("hard", 0.1, 40, 60, False, 0.1, 0.2)
    _, said_worse, said_blind, *_, advice = sentences(
        detector, made._replace(changes=[made.changes[0], worse, blind]), refit=False
    )
    assert said_worse.endswith("saved nothing")
    assert "better in clean but worse in web: it is for" in advice
    assert "does not separate 40 photographs" in said_blind and "0.2" not in said_blind
    # Then the threshold alone is of these photographs.
    few, many = (measured_rate(np.arange(40) < alarms) for alarms in (2, 12))
    worth = made._replace(changes=[worse, blind], called=few)
    advice = sentences(detector, worth, refit=False)[-1]
    assert advice.startswith("advice: keep the old detector; in no tier")
    assert "contradicts its LRs, which are of the reference images" in advice
    for other in (worth._replace(set_anew=False), worth):
        said = sentences(detector, other, refit=other is worth)[-1]
        assert said == "advice: keep the old detector; in no tier are the new LRs better"
        assert not other.better_than(detector)
    # Too many false alarms of the old one are a reason for the new one all the same.
    assert not worth.fewer
    alarmed = worth._replace(called=many)
    assert alarmed.fewer and alarmed.better_than(detector)
    advice = sentences(detector, alarmed, refit=False)[-1]
    assert advice.startswith("advice: use the new detector: the old one called 30.0% of your phot")
    old = verdict_rates(basis_of(detector), photographs, "clean")["generated"]
    assert made.called == old and any(old.words in line for line in said_all)


def test_reference_groups_are_known_again_by_their_weights(detector):
    rng = np.random.default_rng(0)
    groups = np.arange(50), np.repeat(np.arange(100, 120), 3)
    calibrator = fit_calibrator(rng.normal(0, 1, 50), rng.normal(3, 1, 60), groups=groups)
    grouped = replace(detector, calibrators={"clean": calibrator})
    made = recalibrated(grouped, new_scores(0.5), refit=True)
    np.testing.assert_allclose(made.detector.calibrators["clean"].fake_weights, np.full(60, 1 / 3))


# --- false alarms on the user's own photographs, by halves --------------------------------------


def headers(n, longest):
    return [Header(32, longest[row % len(longest)], False, "PNG", "RGB", None) for row in range(n)]


def test_false_alarms_are_those_of_the_threshold_of_the_other_half(detector):
    new = new_scores(n=60)._replace(headers={"photographs": headers(60, (300, 600, 600))})
    bare = replace(detector, calibrators={})
    made = recalibrated(bare, new, seed=3)
    scores = new.scores["photographs"][0]
    groups = np.array([f"photographs {row}" for row in range(60)], object)
    (part,) = halves([Class(scores, groups)], 3)
    bounds = [calibrated_threshold(scores[part != half], false_alarms=0.05) for half in (0, 1)]
    called = scores > np.array(bounds)[part]
    known = {(one.tier, one.among): one.called for one in made.detector.calibration.alarms}
    assert known["clean", ""] == measured_rate(called)
    large = np.arange(60) % 3 > 0
    assert known["clean", "513 to 1024 pixels"] == measured_rate(called[large])
    assert known["clean", "PNG"] == known["clean", ""] and known["web", "JPEG"] == known["web", ""]
    # Further tiers are judged by the same threshold, of the photographs as they are.
    web = new.scores["photographs"][1] > np.array(bounds)[part]
    assert known["web", ""] == measured_rate(web)
    own = made.detector.calibration.false_alarms_of("clean", "513 to 1024 pixels")
    assert own.own and own.rate == measured_rate(called[large])
    assert made.detector.calibration.false_alarms_of("clean", "above 8192 pixels").among == ""
    said = sentences(bare, made, refit=False)
    assert any(measured_rate(called).words in line and "60 photographs" in line for line in said)
    assert any("longer side: " in line and "513 to 1024" in line for line in said)
    assert said[-1].startswith("advice: use the new detector: its threshold is that of your photo")
    alone = why_none(made.detector.calibration, {"recalibrated": [1]}, None, carriers=False)
    assert alone.startswith("how many generated images it finds was not measured")


def test_photographs_alone_set_the_threshold_of_a_detector_without_calibrators(detector):
    bare = replace(detector, calibrators={}, calibration=None)
    new = new_scores(n=20)
    made = recalibrated(bare, new)
    scores = new.scores["photographs"][0]
    assert made.detector.threshold == calibrated_threshold(scores, false_alarms=0.05)
    assert made.set_anew and not made.changes and not made.detector.calibrators
    assert made.detector.calibration.n_calibration == 20 and made.detector.calibration.alarms == ()
    assert record_of(bare, made, refit=False, sources={})["how"] == "none"
    said = sentences(bare, made, refit=False)
    assert "takes 38 of them" in said[-2]
    with pytest.raises(ValueError, match="18 photographs are too few to set a threshold.*least 19"):
        recalibrated(bare, new_scores(n=18))


def test_groups_vote_once_among_false_alarms(detector):
    new = new_scores(n=80, groups=2)
    made = recalibrated(replace(detector, calibrators={}), new)
    known = made.detector.calibration.false_alarms_of("clean")
    assert (known.rate.n, known.rate.groups) == (80, 40)
    both = recalibrated(detector, new_scores(n=80, fakes=80, groups=2)).detector
    rates = both.calibration.as_they_are
    assert (rates.false_alarms.groups, rates.detected.groups) == (40, 40)


def test_photographs_without_a_score_do_not_count(detector):
    new = new_scores(n=60)
    new.scores["photographs"][:, :4] = np.nan
    made = recalibrated(replace(detector, calibrators={}), new)
    calibration = made.detector.calibration
    assert calibration.n_calibration == made.above.n == 56
    assert calibration.false_alarms_of("clean").rate.n == 56


def test_with_generated_images_rates_and_outcomes_are_measured_by_halves(detector):
    made = recalibrated(detector, new_scores(n=60, fakes=50), refit=True)
    calibration = made.detector.calibration
    assert [one.carrier for one in calibration.measured] == ["none", "web", "hard"]
    plain = calibration.as_they_are
    assert (plain.false_alarms.n, plain.detected.n) == (60, 50) and plain.detected.rate > 0.5
    for tier in calibration.tiers:
        (one,) = tier.outcomes
        alarms = next(a for a in calibration.alarms if (a.tier, a.among) == (tier.name, ""))
        assert one.false_alarms == alarms.called
    assert why_none(calibration, {"recalibrated": [1]}, None, carriers=False) == ""
    of, said = calibration.outcomes_of("clean"), measured_lines(calibration)
    assert f"{of.false_alarms.words} generated and {of.real_unsure.words} unsure" in said[0]
    assert f"{of.detected.words} generated and {of.fake_unsure.words} unsure" in said[1]
    assert all(line in sentences(detector, made, refit=True) for line in said)


def test_verdicts_on_a_half_follow_from_what_the_other_half_made(detector):
    rng = np.random.default_rng(7)
    scores = {"photographs": rng.normal(0, 1, (3, 40)), "a": rng.normal(1.5, 1, (3, 40))}
    new = NewScores(scores, None, {}, {"web": "too small", "hard": "too small"})
    made = recalibrated(detector, new, refit=True).detector
    classes = [
        Class(of[0], np.array([f"{name} {row}" for row in range(40)], object))
        for name, of in scores.items()
    ]
    parts = halves(classes, 0)
    two = [[of.part(part == h) for of, part in zip(classes, parts, strict=True)] for h in (0, 1)]
    bounds = [calibrated_threshold(real.scores, false_alarms=0.05) for real, _ in two]
    fitted = [
        fit_calibrator(real.scores, fake.scores, groups=(real.groups, fake.groups))
        for real, fake in two
    ]

    def rates(makers):
        bases = [Basis(bounds[1 - h], {"clean": fitted[makers[h]]}) for h in (0, 1)]
        for of, part in zip(classes, parts, strict=True):
            pairs = zip(part, of.scores, strict=True)
            said = [bases[half].judge(score, "clean").verdict for half, score in pairs]
            for word in ("generated", "unsure"):
                yield measured_rate([one == word for one in said])

    (found,) = made.calibration.tiers[0].outcomes
    assert [*found.rates] == [*rates((1, 0))] != [*rates((0, 1))]


def test_an_image_is_in_the_same_half_in_every_tier(detector):
    """So that no photograph is judged in one tier by what it set in another one."""
    new = new_scores(n=60)
    clean, web, _ = new.scores["photographs"]
    groups = np.array([f"photographs {row}" for row in range(60)], object)
    (part,) = halves([Class(clean, groups)], 0)
    clean += 3 * part
    web[:] = np.linspace(0, 8, 60)
    web[:5] = np.nan
    made = recalibrated(replace(detector, calibrators={}), new)
    bounds = [calibrated_threshold(clean[part != h], false_alarms=0.05) for h in (0, 1)]
    known = {(one.tier, one.among): one.called for one in made.detector.calibration.alarms}
    assert known["web", ""] == measured_rate((web > np.array(bounds)[part])[5:])


def test_photographs_must_suffice_in_every_tier_that_sets_the_threshold(detector):
    new = new_scores(n=40)
    new.scores["photographs"][2, 18:] = np.nan
    assert recalibrated(detector, new).set_anew
    assert not recalibrated(replace(detector, facts={"robust": True}), new).set_anew


def test_a_file_keeps_the_false_alarms_and_refuses_impossible_ones(detector, tmp_path):
    made = recalibrated(replace(detector, calibrators={}), new_scores(n=60)).detector
    made.save(tmp_path / "d.npz")
    assert load_detector(tmp_path / "d.npz").calibration == made.calibration
    facts = asdict(made.calibration)
    assert read_calibration(json.loads(json.dumps(facts)), 5) == made.calibration
    assert read_calibration({**facts, "alarms": 1}, 4).alarms == ()
    facts["alarms"] = [{**facts["alarms"][0], "tier": 3}]
    with pytest.raises(ValueError, match="tier is 3"):
        read_calibration(facts, 5)


# --- tiles --------------------------------------------------------------------------------------


def test_a_detector_with_tiles_is_calibrated_on_whole_photographs():
    rng = np.random.default_rng(0)
    levels = rng.normal(80, 20, 40).astype(int)
    images = [drawn([[level, level + 20]] * 2, seed=level) for level in levels]
    made = replace(tiled(brightness()), facts={"seen": {"by_class": True}})
    new = score_new(made, {"photographs": images})
    assert new.unfit == {} and len(new.tiles) == 40 and new.tiles[0].shape == (4,)
    found = recalibrated(made, new).detector
    whole = made.score(images)
    assert found.threshold == calibrated_threshold(whole, false_alarms=0.05)
    assert found.tiles.threshold == tile_threshold(new.tiles, None, false_alarms=0.05)
    # Images of arrays have no files, and what it had seen before is none of theirs.
    assert "seen" not in found.facts
    # The 20 lightest are one group: among tiles too it has one vote.
    names = np.where(np.argsort(np.argsort(levels)) < 20, np.arange(40), 99)
    grouped = recalibrated(made, new._replace(groups={"photographs": names})).detector
    assert grouped.tiles.threshold == tile_threshold(new.tiles, names, false_alarms=0.05)
    assert grouped.tiles.threshold < found.tiles.threshold
    told = sentences(brightness(), recalibrated(made, new), refit=False)
    assert told[0].startswith("it scores whole photographs by at most 16 tiles of 16x16")
    with pytest.raises(ValueError, match="10 photographs are too few to set a threshold for 0.05"):
        recalibrated(made, score_new(made, {"photographs": images[:10]}))
    known = new._replace(headers={"photographs": headers(40, (300, 700))})
    facts = recalibrated(made, known).detector.facts["seen"]
    assert facts["by_class"] and outside(headers(1, (1000,))[0], read_seen(facts)) == ""
    assert outside(headers(1, (1025,))[0], read_seen(facts)) == (
        "longer side 1025 (fitted on 257 to 512 pixels and on, as far as 513 to 1024 pixels)"
    )


def test_a_detector_with_tiles_gets_calibrators_from_both_classes():
    made = tiled(brightness())
    rng = np.random.default_rng(1)
    real, fake = (
        [drawn([[level] * 2] * 2, seed=level) for level in rng.normal(mean, 15, 40).astype(int)]
        for mean in (80, 150)
    )
    new = score_new(made, {"photographs": real, "toy": fake})
    found = recalibrated(made, new, refit=True).detector
    assert found.calibrators.keys() == {"clean", "web", "hard"}
    np.testing.assert_array_equal(found.calibrators["clean"].fake_scores, made.score(fake))
    with pytest.raises(ValueError, match="give photographs alone, which set the threshold"):
        recalibrated(made, new)
