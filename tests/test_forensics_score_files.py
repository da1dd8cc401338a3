"""Files of scores: all follows from them again, bit for bit, and nothing hostile gets in."""

import functools
import json
import math
from dataclasses import asdict, replace

import numpy as np
import pytest

from gan_forensics.forensics import score_files
from gan_forensics.forensics.calibration import Calibration, Tier
from gan_forensics.forensics.calibrators import KINDS, Calibrator, _bounded, fit_calibrator
from gan_forensics.forensics.prevalence import shares_of
from gan_forensics.forensics.score_files import (
    ScoredImage,
    ScoredImages,
    read_scores,
    with_tier,
    write_scores,
)
from gan_forensics.forensics.verdicts import Basis


@functools.cache
def calibrator(kind):
    """One of this kind, whichever costs least."""
    rng = np.random.default_rng(0)
    real, fake = rng.normal(0, 1 / 3, 40), rng.normal(0.5, 1 / 3, 30)
    made = fit_calibrator(real, fake)
    model, *bounds = _bounded(KINDS[kind], (real, fake), made.weights)
    return Calibrator(kind, model, *bounds, *(getattr(made, name) for name in (
        "costs", "seed", "real_scores", "fake_scores", "real_weights",
        "fake_weights",
    )))  # fmt: skip


def scored(kind="logistic", **options):
    scores = (0.1, "web"), (1 / 3, "web"), (0.4, "clean"), (2.0, "hard")
    images = [
        ScoredImage(
            f"{i}.png", "real", score, {"jpeg-75": score / 3}, tier, "JPEG", 60, tier_from="file"
        )
        for i, (score, tier) in enumerate(scores)
    ]
    images.append(ScoredImage("broken.png", "", error="broken.png: it ends too early"))
    calibrators = {"clean": calibrator(kind), "web": calibrator(kind)}
    basis = Basis(0.5, calibrators, **options)
    calibration = Calibration(9, 9, 9, None, 0.05, 0)
    what = {"file": "d.npz", "name": "dct-knn", "sha256": "0" * 64}
    return ScoredImages(what, calibration, {"real": "folder"}, basis, images).judged()


@pytest.mark.parametrize("kind", KINDS)
def test_everything_follows_from_the_file_alone_bit_for_bit(kind, tmp_path):
    made = scored(kind, prior=1 / 7, false_alarms=0.2)
    assert len({image.verdict.log10_lr for image in made.images[:3]}) == 3
    write_scores(tmp_path / "s.json", made)
    read = read_scores(tmp_path / "s.json")
    assert read.again().images == read.images == made.images
    assert read.basis.thresholds == made.basis.thresholds
    assert read.calibration == made.calibration and read.detector == made.detector
    write_scores(tmp_path / "again.json", read.again())
    assert (tmp_path / "s.json").read_bytes() == (tmp_path / "again.json").read_bytes()


def test_another_prior_share_or_tier_changes_what_it_is_for_and_nothing_else(tmp_path):
    write_scores(tmp_path / "s.json", scored())
    read = read_scores(tmp_path / "s.json")
    assert [image.verdict.posterior for image in read.images[:4]] == [None] * 4
    prior = read.again(prior=0.5)
    for old, new in zip(read.images[:3], prior.images[:3], strict=True):
        odds = 10**new.verdict.log10_lr
        assert new.verdict.posterior == pytest.approx(odds / (1 + odds))
        assert new.verdict._replace(posterior=None) == old.verdict
    assert read.again(false_alarms=0.3).basis.thresholds.keys() == {"clean", "web"}
    tiers = {image.tier for image in read.again(tier="clean").images}
    assert (
        tiers == {"clean", ""} and read.again(tier="clean").images[3].verdict.log10_lr is not None
    )
    assert read.again().images[3].verdict.log10_lr is None


def test_what_was_stated_is_recorded_and_can_be_left_aside(tmp_path):
    told = scored()
    told = replace(
        told, images=[with_tier(one, None, None, told.basis) for one in told.images[:4]]
    ).judged()
    stated = told.again(prior=0.2, false_alarms=0.3, tier="clean")
    assert {(one.tier, one.tier_from) for one in stated.images} == {("clean", "stated")}
    write_scores(tmp_path / "s.json", stated)
    read = read_scores(tmp_path / "s.json")
    assert read.images == stated.images and read.again().images == stated.images
    left = read.again(anew=True)
    assert left.images == told.images and left.basis.prior is left.basis.false_alarms is None
    assert {(one.tier, one.tier_from) for one in left.images} == {("web", "file")}  # JPEG 60
    only = read.again(anew=True, prior=0.7).basis
    assert (only.prior, only.false_alarms) == (0.7, None)
    # What has no score has no tier.
    assert scored().again(tier="hard").images[4] == scored().images[4]


def test_a_verdict_that_does_not_follow_is_seen(tmp_path):
    write_scores(tmp_path / "s.json", scored())
    content = json.loads((tmp_path / "s.json").read_text())
    content["images"][0]["verdict"]["log10_lr"] += 1e-15
    (tmp_path / "s.json").write_text(json.dumps(content))
    read = read_scores(tmp_path / "s.json")
    changed = [old != new for old, new in zip(read.images, read.again().images, strict=True)]
    assert changed == [True, False, False, False, False]


def test_files_from_before_verdicts_had_rates_are_read(tmp_path):
    made = scored()
    tier = Tier("clean", 9, 9)
    made = replace(made, calibration=replace(made.calibration, tiers=(tier,)))
    write_scores(tmp_path / "s.json", made)
    content = json.loads((tmp_path / "s.json").read_text())
    del content["calibration"]["tiers"][0]["outcomes"]
    for image in content["images"]:
        del image["height"], image["width"]
    (tmp_path / "s.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="incomplete"):
        read_scores(tmp_path / "s.json")
    (tmp_path / "s.json").write_text(json.dumps(content | {"version": 1}))
    read = read_scores(tmp_path / "s.json")
    assert read.images == made.images and read.calibration == made.calibration


def rates(rate):
    """Of no false alarms among 30 images, with a rate that may be another."""
    of = {"events": 0, "n": 30, "groups": None, "rate": 0.0, "low": 0.0, "high": 0.116}
    return [{"carrier": "none", "auc": 0.9, "detected": of, "false_alarms": {**of, "rate": rate}}]


def _set(path, value):
    *path, last = path.split(" ")

    def change(content):
        for name in path:
            content = content[int(name) if isinstance(content, list) else name]
        if value is None:
            del content[last]
        else:
            content[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("format", "other"), "its format is another"),
        (_set("version", [2]), "it has version [2], this gan_forensics reads 3"),
        (_set("threshold", math.nan), "'threshold' is no finite number"),
        (_set("threshold", 10**400), "'threshold' is no finite number"),
        (_set("threshold", True), "'threshold' is no finite number"),
        (_set("prior", 1.0), "'prior' is no finite number between 0 and 1"),
        (_set("false_alarms", 0.001), "cannot bound the false alarms by 0.001"),
        (_set("images", {}), "'images' is no list of objects"),
        (_set("images", []), "it has no images"),
        (_set("images", [3]), "'images' is no list of objects"),
        (_set("images 1 path", 5), "image 2: 'path' is no text"),
        (_set("images 1 tier", "w" * 999), "image 2: unknown tier www"),
        (_set("images 1 tier_from", "me"), "image 2: unknown tier_from me: file, stated"),
        (_set("images 0 score", None), "image 1: it has to have a score"),
        (_set("images 4 score", 0.5), "image 5: it has to have a score, or an error"),
        (_set("images 0 verdict", None), "image 1: it has to have a verdict"),
        (_set("images 0 verdict lower", "x"), "image 1: 'lower' is no finite number"),
        (_set("images 0 after", [1]), "image 1: 'after' is no object"),
        (_set("images 0 after jpeg-75", math.inf), "image 1: 'jpeg-75' is no finite number"),
        (_set("images 0 quality", 1e9), "image 1: 'quality' is no finite number between 0 and"),
        (_set("detector sha256", None), "'sha256' is no text"),
        (_set("facts", 3), "'facts' is no object"),
        (_set("calibration measured", rates(0.1)), "facts are wrong: a rate of 0.1 for 0 of 30 im"),
        (_set("calibration measured", rates(0.9)), "of 30 images in an interval of 0 to 0.116"),
        (_set("calibration target", 7), "its calibration facts are wrong: target is 7"),
        (_set("calibrators moon", {}), "calibrators of unknown tiers"),
        (_set("calibrators clean", 3), "a calibrator is no object"),
        (_set("calibrators clean kind", "pickle"), "its calibrator has no known kind"),
        (_set("calibrators clean arrays real_scores", [["a"]]), "is no list of numbers"),
        (_set("calibrators clean arrays real_scores", [10**400]), "has too large numbers"),
        (_set("calibrators clean arrays real_scores", []), "have no scores"),
        (_set("calibrators clean arrays model/slope", None), "its calibrator has the arrays"),
        (_set("calibrators clean upper", 9.0), "to 9, and its reference images support -"),
        (_set("calibrators clean lower", -9.0), "from -9 to"),
        (_set("calibrators clean upper", -3.0), "the bounds of its calibrator do not hold 0"),
    ],
)
def test_what_a_stranger_wrote_is_one_clear_line(change, message, tmp_path):
    path = tmp_path / "s.json"
    write_scores(path, scored())
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError) as error:
        read_scores(path)
    said = str(error.value)
    assert f"{path} is no usable JSON of `gan-forensics detect score`: " in said
    assert message in said and "\n" not in said and len(said) < 600


def test_files_that_are_no_json_or_too_large_are_refused(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text("path,score\n")
    with pytest.raises(ValueError, match="a.json: it is not readable as JSON"):
        read_scores(tmp_path / "a.json")
    with pytest.raises(OSError, match="no such file"):
        read_scores(tmp_path / "gone.json")
    write_scores(tmp_path / "s.json", scored())
    monkeypatch.setattr(score_files, "MOST_SCORES", 100)
    with pytest.raises(ValueError, match="more than the 100 that are read"):
        read_scores(tmp_path / "s.json")


def test_files_hold_all_that_readers_ask_for(tmp_path):
    made = scored(prior=0.5)
    write_scores(tmp_path / "s.json", made)
    content = json.loads((tmp_path / "s.json").read_text())
    assert content["gan_forensics"] and content["detector"]["sha256"] == "0" * 64
    assert content["calibration"] == json.loads(json.dumps(asdict(made.calibration)))
    assert len(content["calibrators"]["web"]["arrays"]["fake_scores"]) == 30
    assert content["shares"] == json.loads(json.dumps([s.record for s in shares_of(made)]))
    first = content["images"][0]
    assert {"score", "tier", "container", "quality", "verdict", "after"} <= first.keys()
    assert {"log10_lr", "lower", "upper", "posterior", "wording"} <= first["verdict"].keys()
