"""Calibrators in the fit and in the file of a detector: parts, tiers, measures, hostile files."""

import hashlib
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gan_forensics.data import ArraySource, power_law_textures, save_png
from gan_forensics.data.carriers import TIERS, shipped
from gan_forensics.data.perturbations import perturb
from gan_forensics.files import archives
from gan_forensics.forensics import archive, fit_detector, load_detector
from gan_forensics.forensics.calibration import Tier
from gan_forensics.forensics.detectors import needs_weights
from gan_forensics.forensics.evidence import rest_trains
from gan_forensics.forensics.features import FEATURES
from gan_forensics.forensics.intervals import two_sample_interval
from gan_forensics.forensics.likelihood_ratios import cllr, cllr_cal, cllr_min
from gan_forensics.forensics.metrics import count_scores, roc_auc
from gan_forensics.forensics.neural_parts import part, part_by_groups
from gan_forensics.forensics.partition import own_groups, parted
from gan_forensics.forensics.preprocessing import Preprocessing
from gan_forensics.report.detector_fit import parts_in_words, sentences

QUICK = {"features": "pixels", "classifier": "logistic"}
REAL, FAKE = (
    np.random.default_rng(seed).integers(0, top, (n, 8, 8, 3), np.uint8)
    for seed, top, n in ((0, 200, 100), (1, 240, 110))
)


@pytest.fixture(scope="module")
def detector():
    return fit_detector(REAL, FAKE, **QUICK)


def rows_of(n_real=100, n_fake=110):
    shares = {"calibrate": 0.2, "measure": 0.2, "reference": 0.2}
    fakes = {"measure": 0.2, "reference": 0.2}
    return parted(*own_groups(n_real, n_fake), shares=shares, fake_shares=fakes, seed=0)


# --- the fit ------------------------------------------------------------------------------------


def test_calibrators_are_fitted_on_images_of_no_other_use(detector):
    rows = rows_of()
    for some, n in zip(rows, (100, 110), strict=True):
        every = np.concatenate(list(some.values()))
        assert len(every) == n and len({*every}) == n
    assert [len(some["reference"]) for some in rows] == [20, 22]
    reference = [images[some["reference"]] for images, some in zip((REAL, FAKE), rows, strict=True)]
    assert list(detector.calibrators) == list(TIERS) == ["clean", "web", "hard"]
    for tier, calibrator in detector.calibrators.items():
        kept = calibrator.real_scores, calibrator.fake_scores
        for images, scores in zip(reference, kept, strict=True):
            assert_array_equal(detector.score([perturb(x, tier) for x in images]), scores)
    facts = detector.calibration
    assert {(tier.n_real, tier.n_fake) for tier in facts.tiers} == {(20, 22)}
    assert (facts.n_real, facts.n_fake) == (40, 66)
    assert "20 real and 22 generated ones calibrated likelihood ratios" in parts_in_words(facts)


def test_what_the_evidence_is_worth_is_measured_on_others(detector):
    measured = [
        images[some["measure"]] for images, some in zip((REAL, FAKE), rows_of(), strict=True)
    ]
    for tier in detector.calibration.tiers:
        scores = [detector.score([perturb(x, tier.name) for x in images]) for images in measured]
        ratios = [detector.log10_lr(of, tier.name) for of in scores]
        for name, cost in (("cllr", cllr), ("cllr_min", cllr_min), ("cllr_cal", cllr_cal)):
            assert getattr(tier, name) == pytest.approx(cost(*ratios), abs=1e-12)
        assert (tier.measured_real, tier.measured_fake) == (20, 22)
        assert tier.auc == roc_auc(count_scores(*scores))
        interval = two_sample_interval(tier.auc, 20, 22)
        assert (tier.auc_low, tier.auc_high) == (interval.low, interval.high)
        assert tier.separates and not tier.without and not tier.unfit
        said = next(line for line in sentences(detector) if f"ratios, {tier.name}: Cllr" in line)
        assert f"Cllr {tier.cllr:.3f}" in said and f"{tier.cllr_cal:.3f} calibration" in said


def test_a_tier_that_does_not_part_the_classes_is_said_so_instead_of_a_number(detector):
    lost = Tier("web", 20, 22, "", "", 20, 22, 0.6, 0.4, 0.8, 0.98, 0.9, 0.08)
    assert not lost.separates and Tier("web", 1, 1).separates is None
    made = replace(detector, calibration=replace(detector.calibration, tiers=(lost,)))
    said = sentences(made)[-1]
    assert "web: the detector does not separate the classes here (AUC 0.600" in said
    assert "0.98" not in said


def test_too_few_images_for_a_calibrator_train_and_the_reason_is_told():
    few = REAL[:47], FAKE[:100]
    made = fit_detector(*few, **QUICK, calibration=0.2)
    plain = fit_detector(*few, **QUICK, calibration=0.2, reference=0)
    # Nine of 47 were set apart: as if they had not been.
    assert made.threshold == plain.threshold
    assert_array_equal(made.score(FAKE), plain.score(FAKE))
    assert made.calibration.n_real == plain.calibration.n_real == 29
    assert not made.calibrators and not plain.calibrators
    why = "9 photographs are too few .* give at least 10 .0.2 of all .* at least 50 images of each"
    with pytest.raises(
        ValueError, match=f"pixels-logistic has no calibrator .*clean: {why}.*recal"
    ):
        made.log10_lr([0.0])
    assert sentences(made)[-1].startswith("No likelihood ratios: 9 photographs are too few")
    assert "reference=0" in sentences(plain)[-1]
    assert all(tier.auc is not None and tier.cllr is None for tier in made.calibration.tiers)
    rows = rows_of(50, 50)
    enough = rest_trains(rows, [np.array(of) for of in own_groups(50, 50)], 0.2, grouped=False)
    assert enough == "" and len(rows[0]["reference"]) == 10


def test_equal_scores_leave_a_detector_without_calibrators(monkeypatch):
    monkeypatch.setitem(FEATURES, "pixels", lambda images: np.ones((len(images), 2)))
    made = fit_detector(REAL, FAKE, **QUICK)
    assert not made.calibrators
    assert "all reference images have the score" in made.calibration.tiers[0].without
    with pytest.raises(ValueError, match="all reference images have the score"):
        made.log10_lr([1.0], "hard")


def test_groups_stay_together_and_have_one_vote():
    groups = np.arange(100) // 2, 1000 + np.arange(110) // 2
    made = fit_detector(REAL, FAKE, **QUICK, groups=groups, calibration=0.1)
    calibrator = made.calibrators["clean"]
    assert set(calibrator.real_weights) == set(calibrator.fake_weights) == {0.5}
    assert len(calibrator.real_scores) == 20 and len(calibrator.fake_scores) == 22
    clean = made.calibration.tiers[0]
    interval = two_sample_interval(clean.auc, 10, 11)
    assert (clean.auc_low, clean.auc_high) == (interval.low, interval.high)


def test_fits_are_seeded(detector):
    scores = detector.score(FAKE)
    again, other = (fit_detector(REAL, FAKE, **QUICK, seed=seed) for seed in (0, 1))
    assert again.calibrators["hard"].costs == detector.calibrators["hard"].costs
    assert_array_equal(again.log10_lr(scores, "hard"), detector.log10_lr(scores, "hard"))
    assert other.calibrators["hard"].costs != detector.calibrators["hard"].costs


def test_a_tier_that_leaves_too_little_of_the_images_does_not_apply(monkeypatch, detector):
    monkeypatch.setitem(TIERS, "hard", partial(shipped, longest=6, quality=40))
    made = fit_detector(REAL, FAKE, **QUICK)
    assert list(made.calibrators) == ["clean", "web"]
    assert [of.carrier for of in made.calibration.measured if of.carrier in TIERS] == ["web"]
    hard = made.calibration.tiers[-1]
    assert "after hard, which shrinks: images of 6x6 with 3 channels do not fit" in hard.unfit
    assert hard.auc is None and "hard: not applicable: after hard" in sentences(made)[-1]
    with pytest.raises(ValueError, match="for the tier hard: after hard, which shrinks"):
        made.log10_lr([0.0], "hard")
    assert_array_equal(made.score(FAKE), detector.score(FAKE))


def test_one_image_that_does_not_fit_is_enough(monkeypatch):
    """It is of those that are measured on: the calibrator was fitted before."""
    monkeypatch.setitem(TIERS, "hard", partial(shipped, longest=8, quality=40))
    real = [np.ascontiguousarray(image[:6, :6]) for image in REAL]
    place = rows_of()[0]["measure"][3]
    real[place] = np.tile(real[place], (1, 2, 1))
    made = fit_detector(real, FAKE, **QUICK, preprocessing=Preprocessing(crop=6))
    assert list(made.calibrators) == ["clean", "web"]
    assert "images of 4x8 are smaller than the square of 6" in made.calibration.tiers[-1].unfit


def test_scores_that_are_none_have_no_ratio_and_tiers_are_known(detector):
    ratios = detector.log10_lr([np.nan, 0.0])
    assert_array_equal(np.isnan(ratios), [True, False])
    with pytest.raises(ValueError, match="unknown tier 'wbe': choose one of clean, hard, web"):
        detector.log10_lr([0.0], "wbe")
    assert "; log10 LR from -" in repr(detector) and "(clean, web, hard))" in repr(detector)


def test_the_facts_name_the_generators_that_were_covered(tmp_path):
    for folder, first, last in (("a", 0, 40), ("b/c", 40, 100)):
        for place in range(first, last):
            save_png(tmp_path / "fakes" / folder / f"{place}.png", FAKE[place])
    made = fit_detector(REAL, tmp_path / "fakes", **QUICK, reference=0)
    assert made.facts["generators"] == {"a": 40, "b": 60}
    made = fit_detector(REAL, FAKE, **QUICK, reference=0, facts={"fake": "toy"})
    assert made.facts["generators"] == {"toy": 110}


# --- networks -----------------------------------------------------------------------------------


def numbered(n):
    """Images that differ, of which the last is the number."""
    images = power_law_textures(n, 8, exponent=1.0, seed=0)
    images[:, 0, 0] = np.arange(n)[:, None] % 251
    return ArraySource(image=images)


def test_held_out_images_of_a_network_have_one_use():
    held = {"real": numbered(100), "generated": numbered(60)}
    parts = part((numbered(9), held["real"]), (numbered(9), held["generated"]), split="")
    assert parts.without == "" and parts.reference is not None and parts.measurement is not None
    for kind, n, of in ((0, 100, 4), (1, 60, 3)):
        several = [parts.validation[kind], parts.measurement[kind], parts.reference[kind]]
        several += [parts.calibration] * (kind == 0)
        assert [len(source) for source in several] == [n // of] * of
        assert sorted(row for source in several for row in source.rows) == list(range(n))


@pytest.mark.parametrize(
    ("n_real", "n_fake", "alarms", "why"),
    [
        (75, 60, 0.05, "75 held-out real images are too few .* give at least 76"),
        (76, 29, 0.05, "29 held-out generated images are too few .* give at least 30"),
        (76, 30, 0.04, "76 held-out real images are too few .* give at least 96"),
        (39, 30, 0.2, "39 held-out real images are too few .* give at least 40"),
    ],
)
def test_too_few_held_out_images_serve_the_other_uses(n_real, n_fake, alarms, why):
    sources = (numbered(9), numbered(n_real)), (numbered(9), numbered(n_fake))
    parts = part(*sources, split="", false_alarms=alarms)
    assert parts.reference is None and len(parts.calibration) == n_real // 3
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(parts.without)
    assert part(*sources, split="", measure=False).without == ""


def test_no_group_of_a_network_has_two_uses():
    names = np.arange(240) // 2
    parts = part_by_groups(numbered(240), numbered(240), (names, 500 + names), split="")
    assert parts.reference is not None and parts.reference_groups is not None
    real = [parts.train[0], parts.validation[0], parts.calibration, parts.measurement[0]]
    groups = [{*names[source.rows]} for source in (*real, parts.reference[0])]
    assert [len(some) for some in groups] == [80, 10, 10, 10, 10]
    assert len(set.union(*groups)) == 120
    assert_array_equal(parts.reference_groups[0], names[parts.reference[0].rows])
    few = part_by_groups(numbered(60), numbered(60), (np.arange(60), 60 + np.arange(60)), split="")
    assert few.reference is None and "5 groups of photographs are too few" in few.without
    assert len(few.train[0]) == 45


# --- files --------------------------------------------------------------------------------------


@pytest.fixture
def saved(detector, tmp_path):
    """A saved detector as (path, header, arrays), to be taken apart."""
    path = tmp_path / "detector.npz"
    detector.save(path)
    with np.load(path) as opened:
        arrays = dict(opened)
    return path, json.loads(str(arrays.pop("header"))), arrays


def rewrite(path, header, arrays):
    np.savez(path, header=np.array(json.dumps(header)), **arrays)


def test_a_file_keeps_the_calibrators_and_is_known_by_its_digest(detector, saved):
    path, _, arrays = saved
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    loaded = load_detector(path)
    assert detector.sha256 == loaded.sha256 == digest
    # A changed copy is another detector than that of the file.
    assert replace(loaded, threshold=1.0).sha256 is None
    assert {name.split("/")[1] for name in arrays if name.startswith("calibrator/")} == {*TIERS}
    scores = detector.score(FAKE)
    for tier, calibrator in detector.calibrators.items():
        assert_array_equal(loaded.log10_lr(scores, tier), detector.log10_lr(scores, tier))
        assert loaded.calibrators[tier].costs == calibrator.costs
    assert loaded.calibration == detector.calibration and loaded.facts == detector.facts


def test_files_from_before_verdicts_had_rates_are_read(saved):
    path, header, arrays = saved
    for tier in header["calibration"]["tiers"]:
        del tier["outcomes"]
    rewrite(path, header, arrays)
    with pytest.raises(ValueError, match="facts are incomplete .'outcomes'"):
        load_detector(path)
    rewrite(path, header | {"version": 3}, arrays)
    loaded = load_detector(path)
    assert {tier.outcomes for tier in loaded.calibration.tiers} == {()}


@pytest.mark.parametrize("version", [1, 2])
def test_files_from_before_there_were_calibrators_are_read(version, saved):
    path, header, arrays = saved
    del header["calibrators"], header["calibration"]["tiers"]
    if version == 1:
        header["calibration"] = {
            "n_real": 9, "n_fake": 8, "n_real_held_out": 7, "target": 0.05, "seed": 3
        }  # fmt: skip
    old = {name: array for name, array in arrays.items() if not name.startswith("calibrator/")}
    rewrite(path, header | {"version": version}, old)
    loaded = load_detector(path)
    assert not loaded.calibrators and loaded.calibration.tiers == ()
    with pytest.raises(ValueError, match="it was fitted without; fit it again .*detect fit"):
        loaded.log10_lr([0.0])
    # Of a new file the calibrators are missed.
    rewrite(path, header, old)
    with pytest.raises(ValueError, match="no valid 'calibrators'|facts are incomplete"):
        load_detector(path)


def outcome(header):
    return header["calibration"]["tiers"][0]["outcomes"][0]


def first(header, **changes):
    return header["calibrators"]["web"].update(changes)


DAMAGE = {
    "unknown tier": (lambda h, a: h["calibrators"].update(x={}), "impossible calibrator of 'x'"),
    "no facts": (lambda h, a: h["calibrators"].update(web=[]), "impossible calibrator of 'web'"),
    "no mapping": (lambda h, a: h.update(calibrators=[]), "no valid 'calibrators'"),
    "no kind": (lambda h, a: first(h, kind="x"), "calibrator has no known kind"),
    "bounds": (lambda h, a: first(h, lower=1.0), "bounds"),
    "nan": (lambda h, a: first(h, upper=float("nan")), "no number .upper."),
    "another array": (lambda h, a: a.update({"calibrator/web/x": np.ones(3)}), "has the arrays"),
    "missing": (lambda h, a: a.pop("calibrator/web/fake_scores"), "has the arrays"),
    "of no tier": (lambda h, a: a.update({"calibrator/x/y": np.ones(3)}), "has the arrays"),
    "square": (
        lambda h, a: a.update({"calibrator/web/real_scores": np.ones((9, 9))}), "not float64 of at"
    ),
    "type": (
        lambda h, a: a.update({"calibrator/web/real_scores": np.array(["a"])}), "not float64 of at"
    ),
    "long": (
        lambda h, a: a.update({"calibrator/web/real_scores": np.ones(101)}), "of at most 100"
    ),
    "not finite": (
        lambda h, a: a["calibrator/web/real_scores"].__setitem__(0, np.inf), "finite numbers"
    ),
    "tiers of text": (lambda h, a: h["calibration"].update(tiers=3), "facts are incomplete"),
    "unknown fact": (lambda h, a: h["calibration"]["tiers"][0].update(x=3), "facts are incompl"),
    "share": (lambda h, a: h["calibration"]["tiers"][0].update(auc=2.0), "auc is 2.0"),
    "outcomes of text": (lambda h, a: h["calibration"]["tiers"][0].update(outcomes=3), "incompl"),
    "outcome": (lambda h, a: outcome(h).update(x=3), "facts are incomplete"),
    "outcome of nothing": (lambda h, a: outcome(h).update(among=3), "among is 3"),
    "outcome's rate": (lambda h, a: outcome(h)["detected"].update(rate=0.999), "a rate of 0.999"),
    "text": (lambda h, a: h["calibration"]["tiers"][0].update(without=3), "without is 3"),
    "long text": (lambda h, a: h["calibration"]["tiers"][0].update(unfit=1001 * "x"), "unfit is"),
    "cost": (lambda h, a: h["calibration"]["tiers"][0].update(cllr="x"), "cllr is 'x'"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_no_calibrator_is_refused_in_one_line(damage, saved, monkeypatch):
    path, header, arrays = saved
    change, said = DAMAGE[damage]
    change(header, arrays)
    rewrite(path, header, arrays)
    monkeypatch.setattr(archive, "MOST_REFERENCE", 100)
    read = []
    array = archives._array
    monkeypatch.setattr(archives, "_array", lambda *given: read.append(given[1]) or array(*given))
    with pytest.raises(ValueError, match=said) as refused:
        load_detector(path)
    assert "\n" not in str(refused.value) and str(path) in str(refused.value)
    if damage in ("square", "type", "long"):
        assert read == ["header"]


def test_asking_for_weights_reads_no_arrays(saved, monkeypatch):
    read = []
    array = archives._array
    monkeypatch.setattr(archives, "_array", lambda *given: read.append(given[1]) or array(*given))
    assert not needs_weights(saved[0]) and read == ["header"]
