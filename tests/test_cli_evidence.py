"""`detect score`, `validate` and `recalibrate`: likelihood ratios as an analyst gets them."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gan_forensics import cli
from gan_forensics.data import power_law_textures
from gan_forensics.data.perturbations import perturb
from gan_forensics.files import sha256_of
from gan_forensics.forensics import load_detector
from gan_forensics.forensics.calibrators import fit_calibrator
from gan_forensics.forensics.decisions import Classifier
from gan_forensics.forensics.features import FEATURES
from gan_forensics.forensics.verdicts import basis_of
from gan_forensics.report import validation as validation_pages
from tests.made_detectors import made_detector

PHOTOGRAPHS, GENERATED = 1.5, 0.9


def run(*arguments):
    with pytest.raises(SystemExit) as exit:
        cli.main([str(argument) for argument in arguments])
    return exit.value.code or 0


def refused(capsys, *arguments, code=2):
    assert run(*arguments) == code
    said = capsys.readouterr().err.strip().split("\n")[-1]
    assert said.startswith("gan-forensics: ")
    return said


def textures(exponent, n, seed):
    return power_law_textures(n, 8, exponent=exponent, seed=seed)


def write(folder, exponent, n, seed, *, suffix="png", **options):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(textures(exponent, n, seed)):
        Image.fromarray(image).save(folder / f"{i:03d}.{suffix}", **options)
    return folder


def scores_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Detectors with and without calibrators, and new images; nothing is fitted but calibrators."""
    root = tmp_path_factory.mktemp("evidence")
    reference = textures(PHOTOGRAPHS, 60, 1), textures(GENERATED, 60, 2)
    x = [FEATURES["dct"](images) for images in reference]
    mean, scale = np.concatenate(x).mean(0), np.concatenate(x).std(0)
    away = (x[1].mean(0) - x[0].mean(0)) / scale
    arrays = {"weights": away / np.linalg.norm(away), "intercept": np.zeros(())}
    model = Classifier("linear", mean, scale, arrays)
    bare = replace(made_detector(), model=model, calibrators={}, threshold=0.0)
    calibrators = {
        tier: fit_calibrator(*(
            bare.score(np.stack([perturb(image, tier) for image in images]))
            for images in reference
        ))
        for tier in ("clean", "web", "hard")
    }  # fmt: skip
    threshold = float(np.sort(calibrators["clean"].real_scores)[-3])
    replace(bare, calibrators=calibrators, threshold=threshold).save(root / "d.npz")
    replace(bare, threshold=threshold).save(root / "bare.npz")
    write(root / "new" / "real", PHOTOGRAPHS, 30, 3)
    write(root / "new" / "fake", GENERATED, 20, 4)
    write(root / "mine", PHOTOGRAPHS - 0.3, 24, 5)
    return root


@pytest.fixture(scope="module")
def scored(root):
    """The table and the JSON of `detect score`."""
    arguments = ("--detector", root / "d.npz", "--out", root / "s.csv", "--prior", 0.25)
    assert run("detect", "score", root / "new", *arguments) == 0
    return scores_of(root / "s.csv"), json.loads((root / "s.json").read_text())


# --- score --------------------------------------------------------------------------------------


def test_every_image_has_its_ratio_its_verdict_and_what_they_rest_on(root, scored):
    rows, content = scored
    detector = load_detector(root / "d.npz")
    basis = basis_of(detector, prior=0.25)
    assert list(rows[0]) == [
        "path", "label", "score", "log10_lr", "log10_lr_lower", "log10_lr_upper", "posterior",
        "verdict", "why", "wording", "tier", "tier_from", "container", "quality", "outside",
        "detector_sha256",
        "reference_photographs", "reference_generated", "error",
    ]  # fmt: skip
    for row, image in zip(rows, content["images"], strict=True):
        with Image.open(row["path"]) as picture:
            (score,) = detector.score(np.array(picture)[None])
        assert image["score"] == pytest.approx(score, rel=1e-9)
        found = basis.judge(image["score"], "clean")
        assert image["verdict"] == found._asdict()
        assert (row["verdict"], row["why"], row["wording"]) == found[:2] + (found.wording,)
        assert float(row["log10_lr"]) == pytest.approx(found.log10_lr, rel=1e-5)
        assert float(row["posterior"]) == pytest.approx(found.posterior, rel=1e-5)
        assert row["reference_photographs"] == row["reference_generated"] == "60"
    digest = sha256_of(root / "d.npz")
    assert {row["detector_sha256"] for row in rows} == {content["detector"]["sha256"]} == {digest}
    assert len({row["verdict"] for row in rows}) == 3
    right = {("generated", "generated"), ("real", "photograph")}
    assert np.mean([(row["label"], row["verdict"]) in right for row in rows]) > 0.5


def test_the_page_says_how_to_read_it(root, scored):
    page = (root / "s.html").read_text(encoding="utf-8")
    for words in (
        "It is no probability that the image was generated", "What was compared?",
        "How often does it err?", "moderate support for generated", "1/2 to 2", "inconclusive",
        "posterior for 0.25", sha256_of(root / "d.npz"), "fake/000.png",
        "The detector does not tell what files it was fitted on: none is marked as outside.",
    ):  # fmt: skip
        assert words in page


def test_the_json_alone_gives_the_same_again(root, scored, tmp_path, capsys):
    again = ("detect", "score", root / "s.json", "--out")
    assert run(*again, tmp_path / "same.csv") == 0
    assert (tmp_path / "same.json").read_bytes() == (root / "s.json").read_bytes()
    assert (tmp_path / "same.csv").read_bytes() == (root / "s.csv").read_bytes()
    assert "says of 50 images follows from its numbers" in capsys.readouterr().err
    assert run(*again, tmp_path / "other.csv", "--prior", 0.75) == 0
    other = json.loads((tmp_path / "other.json").read_text())["images"]
    for old, new in zip(scored[1]["images"], other, strict=True):
        odds = 9 * old["verdict"]["posterior"] / (1 - old["verdict"]["posterior"])
        assert new["verdict"].pop("posterior") == pytest.approx(odds / (1 + odds))
        assert new["verdict"].items() <= old["verdict"].items()
    assert run(*again, tmp_path / "kept.csv", "--tier", "web") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "s.json states the prior 0.25, which is kept; --anew" in said
    stated = ("detect", "score", tmp_path / "kept.json", "--out", tmp_path / "left.csv")
    assert run(*stated) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "states the prior 0.25, the tier of 50 images, which" in said
    assert run(*stated, "--anew") == 0
    assert "--anew" not in capsys.readouterr().err
    left = scores_of(tmp_path / "left.csv")
    assert "posterior" not in left[0] and {row["tier_from"] for row in left} == {"file"}
    content = json.loads((root / "s.json").read_text())
    content["images"][0]["verdict"]["verdict"] = "photograph"
    content["images"][1]["verdict"]["log10_lr"] += 1e-15
    (tmp_path / "forged.json").write_text(json.dumps(content))
    assert run("detect", "score", tmp_path / "forged.json", "--out", tmp_path / "f.csv") == 0
    assert "WARNING: 2 of 50 rows of" in " ".join(capsys.readouterr().err.split())
    # The new JSON follows from its numbers, and keeps the doubt.
    assert run("detect", "score", tmp_path / "f.json", "--out", tmp_path / "g.csv") == 0
    assert "WARNING" not in capsys.readouterr().err
    for name in ("f.html", "g.html"):
        assert "Warning: 2 of 50 rows of" in (tmp_path / name).read_text(encoding="utf-8")


def test_another_share_of_false_alarms_comes_from_the_reference_photographs(
    root, scored, tmp_path, capsys
):
    again = ("detect", "score", root / "s.json", "--out", tmp_path / "s.csv", "--false-alarms")
    assert run(*again, 0.3) == 0
    reals = np.sort(load_detector(root / "d.npz").calibrators["clean"].real_scores)
    thresholds = json.loads((tmp_path / "s.json").read_text())["thresholds"]
    assert thresholds["clean"] == reals[-18]  # 18 = floor(.3 * 61), and thresholds are exceeded
    none = "for 30 % false alarms, at whose thresholds no error rates were measured"
    assert none in " ".join(capsys.readouterr().err.split())
    page = (tmp_path / "s.html").read_text(encoding="utf-8")
    assert "set, for 30 % false alarms" in page and "own threshold, not used" in page
    said = refused(capsys, *again, 0.01)
    assert "--false-alarms 0.01: 60 reference photographs of tier clean cannot bound" in said
    bare = ("detect", "score", root / "new", "--detector", root / "bare.npz")
    assert "the detector keeps none: fit it again" in refused(capsys, *bare, "--false-alarms", 0.3)


def test_a_tier_is_what_the_file_tells_or_the_user_states(root, tmp_path, capsys):
    images = write(tmp_path / "images", GENERATED, 1, 9)
    write(images / "web", GENERATED, 1, 9, suffix="jpg", quality=60)
    write(images / "hard", GENERATED, 1, 9, suffix="jpg", quality=30)
    score = ("detect", "score", images, "--detector", root / "d.npz", "--out", tmp_path / "s.csv")
    assert run(*score) == 0
    rows = scores_of(tmp_path / "s.csv")
    assert [(row["tier"], row["container"], row["quality"]) for row in rows] == [
        ("clean", "PNG", ""), ("hard", "JPEG", "30"), ("web", "JPEG", "60"),
    ]  # fmt: skip
    assert "tiers: 1 clean, 1 hard, 1 web" in capsys.readouterr().err
    calibrators = load_detector(root / "d.npz").calibrators
    for row in rows:
        assert float(row["log10_lr_upper"]) == pytest.approx(calibrators[row["tier"]].upper)
    assert run(*score, "--tier", "hard") == 0
    rows = scores_of(tmp_path / "s.csv")
    assert {(row["tier"], row["tier_from"]) for row in rows} == {("hard", "stated")}
    assert "hard (stated)" in (tmp_path / "s.html").read_text(encoding="utf-8")
    assert "tiers: 3 hard (stated)" in capsys.readouterr().err


def test_without_calibrators_there_are_scores_and_verdicts_and_a_word(root, tmp_path, capsys):
    score = ("detect", "score", root / "new", "--detector", root / "bare.npz")
    assert run(*score, "--out", tmp_path / "s.csv", "--prior", 0.5) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "no likelihood ratios: the detector has no calibrator; fit it again" in said
    assert "--prior: the detector has no calibrator" in said
    rows = scores_of(tmp_path / "s.csv")
    assert "log10_lr" not in rows[0] and "posterior" not in rows[0]
    threshold = load_detector(root / "bare.npz").threshold
    for row in rows:
        called = "generated" if float(row["score"]) > threshold else "photograph"
        assert row["verdict"] == called and row["why"] == ""
    assert "no likelihood ratios" in (tmp_path / "s.html").read_text(encoding="utf-8")
    one = load_detector(root / "d.npz")
    web = {tier: of for tier, of in one.calibrators.items() if tier == "web"}
    replace(one, calibrators=web).save(tmp_path / "web.npz")
    score = ("detect", "score", root / "mine", "--detector", tmp_path / "web.npz")
    assert run(*score, "--out", tmp_path / "s.csv") == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "24 images are of tier clean, for which the detector has no calibrator" in said


def test_flat_images_have_no_score_and_so_no_ratio(root, tmp_path):
    images = write(tmp_path / "images", GENERATED, 1, 9)
    Image.new("RGB", (8, 8), "red").save(images / "flat.png")
    score = ("detect", "score", images, "--detector", root / "d.npz", "--out", tmp_path / "s.csv")
    assert run(*score) == 0
    rows = scores_of(tmp_path / "s.csv")
    assert "flat image" in rows[1]["error"] and rows[1]["log10_lr"] == rows[1]["verdict"] == ""
    assert json.loads((tmp_path / "s.json").read_text())["images"][1]["verdict"] is None
    assert run("detect", "score", tmp_path / "s.json", "--out", tmp_path / "t.csv") == 0
    assert scores_of(tmp_path / "t.csv") == rows


def test_options_and_places_that_cannot_be_are_refused(root, scored, tmp_path, capsys):
    score = ("detect", "score", root / "new", "--detector", root / "d.npz")
    for options, message in (
        (("--prior", 0), "--prior 0: it must lie between 0 and 1 (exclusive)"),
        (("--prior", 1), "--prior 1: it must lie between 0 and 1 (exclusive)"),
        (("--false-alarms", 2), "--false-alarms 2: it must lie between"),
        (("--out", root / "d.npz"), "that is the detector; choose another"),
        (("--out", root / "d.csv"), "that is the page of the detector; choose another"),
        (("--out", tmp_path / "s.json"), "that is what lies beside the table; choose another"),
    ):
        assert message in refused(capsys, *score, *options)
    again = ("detect", "score", root / "s.json")
    assert "that is the file that is read" in refused(capsys, *again, "--out", root / "s.csv")
    for options in (("--detector", root / "d.npz"), ("--carriers",), ("--real-is", "a")):
        said = refused(capsys, *again, "--out", tmp_path / "s.csv", *options)
        assert f"{options[0]}: " in said and "is a JSON of scores, from which alone all" in said
    assert "--anew: only a JSON of `detect score` states" in refused(capsys, *score, "--anew")
    assert "give --detector FILE" in refused(capsys, *score[:3])
    (tmp_path / "b.json").write_text("{}")
    said = refused(capsys, "detect", "score", tmp_path / "b.json")
    assert "b.json is no usable JSON of `gan-forensics detect score`" in said


def test_standard_output_gets_the_table_alone(root, tmp_path, monkeypatch, capfdbinary):
    monkeypatch.chdir(tmp_path)
    score = ("detect", "score", root / "mine", "--detector", root / "d.npz", "--out", "/dev/stdout")
    assert run(*score) == 0
    assert capfdbinary.readouterr().out.startswith(b"path,label,score,log10_lr")
    assert not list(tmp_path.iterdir())


# --- validate -----------------------------------------------------------------------------------


def validate(root, out, *options):
    new = root / "new"
    arguments = ("--real", new / "real", "--fake", f"gan={new / 'fake'}", "--out", out)
    return ("detect", "validate", root / "d.npz", *arguments, *options)


def test_validate_measures_every_tier_and_says_what_it_left_out(
    root, tmp_path, monkeypatch, capsys
):
    drawn = []
    monkeypatch.setattr(
        validation_pages, "save_figures", lambda folder, found: drawn.append(found) or {}
    )
    (root / "new" / "real" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    try:
        assert "bad.png" in refused(capsys, *validate(root, tmp_path / "v"))
        assert run(*validate(root, tmp_path / "v", "--on-bad-image", "skip")) == 0
    finally:
        (root / "new" / "real" / "bad.png").unlink()
    said = capsys.readouterr()
    assert "photographs: 1 of 31 left out (they cannot be read)" in said.err
    rows = scores_of(tmp_path / "v" / "validation.csv")
    assert [row["tier"] for row in rows] == ["clean", "web", "hard"]
    assert rows[0]["n_real"] == "30" and rows[0]["n_fake"] == "20" and rows[0]["cllr_cal"]
    assert f"clean, gan: Cllr {float(rows[0]['cllr']):.3f} (Cllr_min" in said.out
    content = json.loads((tmp_path / "v" / "validation.json").read_text())
    assert content["protocol"]["sha256"] == sha256_of(root / "d.npz")
    assert len(content["ratios"][0]["log10_lr_photographs"]) == 30
    page = (tmp_path / "v" / "report.html").read_text(encoding="utf-8")
    assert "1 of 31 left out" in page and "How often does it err?" in page
    for label in ("real", "fake"):
        shares = [float(rows[0][f"{name}_{label}"]) for name in ("generated", "photograph")]
        assert sum(shares) + float(rows[0][f"unsure_{label}"]) == pytest.approx(1)
        for share in (*shares, float(rows[0][f"misleading_{label}"])):
            assert f"{share:.1%} (" in page
    misled = f"{float(rows[0]['misleading_real']):.1%} with an LR above 1; of 20 generated"
    assert misled in said.out
    assert len(drawn) == 1


def test_validate_gives_each_group_one_vote(root, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(validation_pages, "save_figures", lambda folder, found: {})
    for i, path in enumerate(sorted((root / "new" / "real").glob("*.png"))):
        folder = tmp_path / "real" / f"photograph{i % 6}"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder)
    fake = f"gan={root / 'new' / 'fake'}"
    start = ("detect", "validate", root / "d.npz", "--real", tmp_path / "real", "--fake", fake)
    assert run(*start, "--out", tmp_path / "one") == 0
    assert run(*start, "--groups", 1, "--out", tmp_path / "grouped") == 0
    assert "30 images in 6 groups" in capsys.readouterr().err
    alone, grouped = (
        scores_of(tmp_path / name / "validation.csv")[0] for name in ("one", "grouped")
    )
    # As sure as six votes are, not thirty.
    assert float(grouped["false_alarms_high"]) > float(alone["false_alarms_high"]) + 0.1


@pytest.mark.slow
def test_validate_draws_three_plots_of_every_generator_and_tier(root, tmp_path):
    assert run(*validate(root, tmp_path / "v")) == 0
    names = sorted(path.name for path in (tmp_path / "v").glob("*.png"))
    assert len(names) == 9 and names[0] == "clean-00-gan-ece.png"
    page = (tmp_path / "v" / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png") == 9 and "Tippett plot" in page


def test_validate_refuses_in_one_line(root, tmp_path, capsys):
    real = ("--real", root / "new" / "real")
    out = ("--out", tmp_path / "v")
    bare = ("detect", "validate", root / "bare.npz", *real, "--fake", root / "new" / "fake", *out)
    assert "has no calibrator, and without likelihood ratios there" in refused(capsys, *bare)
    (tmp_path / "empty").mkdir()
    start = ("detect", "validate", root / "d.npz", *real, *out)
    assert "empty" in refused(capsys, *start, "--fake", tmp_path / "empty")
    said = refused(capsys, *start, "--fake", f"photographs={root / 'mine'}")
    assert "--fake photographs: tables have this name for others" in said
    assert "give two sources" in refused(capsys, *start, "--fake", root / "new" / "real")
    reference = tmp_path / "reference"
    write(reference, PHOTOGRAPHS, 60, 1)
    known = ("detect", "validate", root / "d.npz", "--real", reference, "--fake", root / "mine")
    said = refused(capsys, *known, *out)
    assert "photographs: the detector's calibrators were fitted on all of these images" in said


# --- recalibrate --------------------------------------------------------------------------------


def test_recalibrate_moves_and_says_what_it_saved_and_keeps_the_old_digest(root, tmp_path, capsys):
    out = tmp_path / "mine.npz"
    change = ("detect", "recalibrate", root / "d.npz", "--real", root / "mine", "--out", out)
    assert run(*change) == 0
    said = capsys.readouterr().out
    assert "clean: offset " in said and "cross-fitted on 24 photographs and 60 generated" in said
    old, new = load_detector(root / "d.npz"), load_detector(out)
    assert new.calibrators["clean"].offset != 0 == old.calibrators["clean"].offset
    (record,) = new.facts["recalibrated"]
    assert record["from"] == old.sha256 != new.sha256 and record["how"] == "moved"
    assert record["sources"] == {"photographs": str(root / "mine")}
    page = (tmp_path / "mine.html").read_text(encoding="utf-8")
    assert old.sha256 in page and "What was compared?" in page
    score = ("detect", "score", root / "mine", "--detector", out, "--out", tmp_path / "s.csv")
    assert run(*score) == 0
    fitted = ("--fake", f"gan={root / 'new' / 'fake'}", "--refit", "--out", tmp_path / "again.npz")
    assert run("detect", "recalibrate", out, "--real", root / "mine", *fitted) == 0
    assert "clean: calibrator refitted; Cllr_cal" in capsys.readouterr().out
    again = load_detector(tmp_path / "again.npz")
    assert [one["from"] for one in again.facts["recalibrated"]] == [old.sha256, new.sha256]
    assert len(again.calibrators["clean"].real_scores) == 24


def test_recalibrate_refuses_in_one_line(root, tmp_path, capsys):
    mine, out = ("--real", root / "mine"), ("--out", tmp_path / "m.npz")
    change = ("detect", "recalibrate")
    said = refused(capsys, *change, root / "bare.npz", *mine, "--refit", *out)
    assert "has no calibrator that could be moved, and keeps no scores of generated" in said
    few = ("--real", write(tmp_path / "few", PHOTOGRAPHS, 9, 8))
    said = refused(capsys, *change, root / "d.npz", *few, *out)
    assert "9 photographs are too few to move a calibrator (tier clean): give at least 10" in said
    one = load_detector(root / "d.npz")
    arrays = {"weights": np.zeros(192), "intercept": np.zeros(())}
    same = replace(one, model=replace(one.model, arrays=arrays), calibrators={})
    same.save(tmp_path / "same.npz")
    both = (*mine, "--fake", root / "new" / "fake", "--refit")
    said = refused(capsys, *change, tmp_path / "same.npz", *both, *out)
    assert "all reference images have the score 0: no likelihood ratio can be told" in said
    said = refused(capsys, *change, root / "d.npz", *mine, "--out", root / "d.npz")
    assert "that is the detector; choose another" in said
    assert not (tmp_path / "m.npz").exists()
