"""`train detector`, `detect score`, `explain` and `features` on tiny networks and images."""

import csv
import html
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose
from PIL import Image

from gan_forensics import cli
from gan_forensics.data import load_image, power_law_textures, save_png
from gan_forensics.explain import bounding_box, heat_map, relevance, unit_relevance
from gan_forensics.explain.composites import IMAGENET
from gan_forensics.forensics.detectors import load_detector
from gan_forensics.forensics.explanations import (
    Explanation,
    common_scale,
    evidence,
    explain,
    faded,
    overlay,
    panel,
    patches,
)
from gan_forensics.forensics.neural import ARCHITECTURES, preprocess
from gan_forensics.forensics.preprocessing import Preprocessing
from gan_forensics.forensics.shard_merge import rows_of
from gan_forensics.forensics.verdicts import basis_of
from gan_forensics.nn.resnet import ResNet
from gan_forensics.report.detector import fact_rows
from gan_forensics.report.explanations import verdict_words
from gan_forensics.studies.relevance_scorer import Relevance, RelevanceScorer
from gan_forensics.studies.transferable import channel_maxima, rank_features

SETTINGS = ["--arch", "resnet_small", "--augment", "blur,jpeg,grayscale", "--batch-size", "16"]
SETTINGS += ["--learning-rate", "0.01", "--epoch", "12", "--probability", "0.2"]


def tiny(classes=1, width=2):
    """One bottleneck on a stem of stride 2: five convolutions."""
    return ResNet((1,), (width,), classes, 3, 2, stem_pool=False)


@pytest.fixture(scope="module", autouse=True)
def tiny_architecture():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "resnet_small", tiny)
        yield


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("NO_COLOR", "1")


def run(*arguments):
    """Run a command line in this process; its exit code."""
    with pytest.raises(SystemExit) as exit:
        cli.main([str(argument) for argument in arguments])
    return exit.value.code or 0


def refused(capsys, *arguments):
    """Run a command line that must fail; what it says on standard error, as one line."""
    assert run(*arguments) == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return " ".join(said.split())


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_images(folder, exponent, seed, n=160, size=16):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(power_law_textures(n, size, exponent=exponent, seed=seed)):
        save_png(folder / f"{i:03d}.png", image)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    return write_images(root / "photographs", 1.5, 0), write_images(root / "generated", 0.3, 1)


@pytest.fixture(scope="module")
def detector(folders):
    """detector.npz of a run of the command."""
    out = folders[0].parent / "run"
    real, fake = folders
    code = run(
        *("train", "detector", "--real", real, "--fake", fake, *SETTINGS),
        *("--steps", 36, "--false-alarms", "0.1", "--out", out),
    )
    assert code == 0
    return out / "detector.npz"


def test_train_detector_leaves_a_run_a_page_and_a_calibrated_detector(detector, folders):
    for name in ("config.json", "metrics.jsonl", "report.html"):
        assert (detector.parent / name).stat().st_size
    made = load_detector(detector)
    assert made.name == "resnet_small-blur-jpeg-grayscale"
    facts = made.calibration
    plain = facts.as_they_are
    # A quarter of the files is held out, and a third of the real ones sets the threshold.
    assert 9 <= facts.n_calibration <= 20 and abs(facts.n_calibration - plain.false_alarms.n) <= 1
    assert facts.target == 0.1 and 100 <= facts.n_real <= 140
    assert len(facts.measured) == 11
    page = (detector.parent / "detector.html").read_text(encoding="utf-8")
    assert "target of false alarms" in page
    assert f"{plain.detected.events} of {plain.detected.n}" in page
    assert made.facts["real"] == str(folders[0])


def test_train_detector_says_and_keeps_what_each_image_is_for(detector, folders, capsys):
    used = json.loads((detector.parent / "data.json").read_text())
    arguments = ["train", "detector", "--real", folders[0], "--fake", folders[1], *SETTINGS]
    assert run(*arguments, "--false-alarms", "0.1", "--steps", 1, "--out", detector.parent) == 2
    said = capsys.readouterr().err
    for kind, name in zip(("real", "generated"), folders, strict=True):
        calibrate = ["calibrate"] if kind == "real" else []
        numbers = {use: used[kind][use] for use in ("train", "validate", *calibrate, "measure")}
        assert sum(numbers.values()) == 160 and used[kind]["images"] == numbers["train"]
        line = ", ".join(f"{number} {use}" for use, number in numbers.items())
        assert f"{name}: of 160 images {line}" in said


def test_the_same_command_again_needs_resume(detector, folders, capsys):
    arguments = ["train", "detector", "--real", folders[0], "--fake", folders[1], *SETTINGS]
    arguments += ["--steps", 36, "--false-alarms", "0.1", "--out", detector.parent]
    assert "holds a run already" in refused(capsys, *arguments)
    before = load_detector(detector).threshold
    assert run(*arguments, "--resume") == 0
    assert load_detector(detector).threshold == before
    said = refused(capsys, *arguments, "--resume", "--seed", 1)
    assert "detector.seed: 0 -> 1" in said


def test_help_of_train_names_the_detector(capsys):
    assert run("train", "--help") == 0
    assert "• detector" in capsys.readouterr().out
    assert run("train", "detector", "--help") == 0
    said = capsys.readouterr().out
    assert "--real" in said and "--augment" in said and "--tail" not in said
    assert all(re.search(rf"\b{arch}\b", said) for arch in ARCHITECTURES if arch != "efficientnet")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ["--augment", "blur,noise"],
            "unknown augmentations ['noise']: choose of blur, jpeg, gray",
        ),
        (["--false-alarms", "0.001"], "are too few: 0.001 false alarms need 999; give about"),
        (["--crop", "99"], "cannot crop 99x99"),
        (["--weights", "none.pth"], "no published weights of resnet_small"),
        (["--real", "nowhere"], "unknown source 'nowhere'"),
    ],
)
def test_misuse_of_train_detector_is_answered_in_a_line(change, message, folders, tmp_path, capsys):
    arguments = ["train", "detector", "--real", folders[0], "--fake", folders[1], *SETTINGS]
    arguments += ["--steps", 1, "--false-alarms", "0.1", "--out", tmp_path / "run"]
    said = refused(capsys, *arguments, *change)
    assert message in said


def test_detect_score_takes_images_of_mixed_sizes(detector, folders, tmp_path, capsys):
    suspects = tmp_path / "suspects"
    write_images(suspects / "real", 1.5, 5, n=12)
    write_images(suspects / "fake", 0.3, 6, n=12)
    write_images(suspects / "fake" / "wide", 0.3, 7, n=3, size=24)
    save_png(suspects / "fake" / "small.png", np.zeros((1, 1, 3), np.uint8))
    (suspects / "real" / "broken.png").write_bytes(b"no image")
    out = tmp_path / "scores.csv"
    assert run("detect", "score", suspects, "--detector", detector, "--out", out) == 0
    said = capsys.readouterr()
    assert "27 images scored" in said.out and "2 could not be scored" in said.err
    assert "12 real images" in said.out and "15 generated images" in said.out
    rows = {row["path"]: row for row in read_csv(out)}
    assert list(rows) == sorted(rows)
    assert "at least 2 pixels" in rows[str(suspects / "fake" / "small.png")]["error"]
    assert "not an image" in rows[str(suspects / "real" / "broken.png")]["error"]
    made = load_detector(detector)
    for path, row in rows.items():
        if not row["error"]:
            score = made.score(load_image(path)[None])[0]
            assert float(row["score"]) == pytest.approx(score, rel=1e-4, abs=1e-5)
            said = basis_of(made).judge(float(score), "clean", outside=row["outside"] != "")
            assert row["verdict"] == said.verdict
    # Sizes that training did not have, and none else.
    assert {Path(p).parent.name for p, row in rows.items() if row["outside"]} == {"wide"}


@pytest.fixture(scope="module")
def features(detector, folders):
    """Folder of a run of `features`."""
    out = folders[0].parent / "features"
    code = run(
        *("features", "--detector", detector, "--fake", folders[1], "--real", folders[0]),
        *("--most", 40, "--k", 3, "--draws", 2, "--confidence", "0", "--out", out),
    )
    assert code == 0
    return out


def test_features_are_ranked_into_a_table(features, detector, folders):
    rows = read_csv(features / "features.csv")
    made = load_detector(detector)
    assert len(rows) == 2 + 2 + 2 + 8 + 8
    omegas = [float(row["omega"]) for row in rows]
    assert omegas == sorted(omegas, reverse=True) and 0 < omegas[0] <= 1
    assert rows[0]["name"] == f"{rows[0]['layer']}.#{rows[0]['channel']}(T={rows[0]['channels']})"
    chosen = np.sort(np.random.default_rng(0).permutation(160)[:40])
    images = [load_image(folders[1] / f"{i:03d}.png") for i in chosen]
    ranking = rank_features(made, images, confidence=0.0)
    assert [f.name for f in ranking.features] == [row["name"] for row in rows]


def test_features_come_with_tables_of_silenced_channels_and_colour(features):
    silenced, colour = (read_csv(features / f"{name}.csv") for name in ("silenced", "colour"))
    assert [row["silenced"] for row in silenced] == ["none", "top", "random", "low"]
    assert all(0 <= float(row["average_precision"]) <= 1 for row in silenced)
    assert {"average_precision_gray", "colour_conditional_top"} <= set(colour[0])
    page = (features / "report.html").read_text(encoding="utf-8")
    assert "Silenced channels" in page and "image/svg" in page
    assert not re.search(r"(src|href)=.https?:", page)


def test_features_of_all_shards_are_ranked_as_those_of_the_images(detector, folders, tmp_path):
    few, out = tmp_path / "few", tmp_path / "sums"
    few.mkdir()
    for k in range(4):
        shutil.copy(folders[1] / f"{k:03d}.png", few)
    (few / "bad.png").write_text("<html>")
    asked = ("features", "--detector", detector, "--fake", few, "--out", out, "--confidence", 0)
    assert run(*asked, "--shard", "0/1") == 0
    made = load_detector(detector)
    found = Relevance(RelevanceScorer(made, confidence=0.0))
    for row in rows_of(out, found.scorer.identity):
        found.take(row)
    assert (found.images, found.errors) == (4, 1)
    ranking = found.ranking(3)
    images = [load_image(few / f"{k:03d}.png") for k in range(4)]
    expected = rank_features(made, images, confidence=0.0, k=3)
    assert ranking[1:] == expected[1:]
    omegas = {f.name: f.omega for f in expected.features}
    assert {f.name: f.omega for f in ranking.features} == pytest.approx(omegas, rel=1e-4, abs=1e-7)


@pytest.mark.slow
def test_features_puts_shards_together_and_silences_the_channels(detector, folders, tmp_path):
    fakes, out = write_images(tmp_path / "fakes", 0.3, 9, n=6), tmp_path / "sums"
    asked = ("features", "--detector", detector, "--fake", fakes, "--confidence", 0, "--k", 2)
    asked += ("--draws", 1, "--out")
    assert run(*asked, tmp_path / "whole") == 0
    assert run(*asked, out, "--shard", "0/1") == 0
    assert run(*asked, out, "--merge", tmp_path / "merged") == 0
    whole, merged = (read_csv(tmp_path / of / "features.csv") for of in ("whole", "merged"))
    omegas = [{row["name"]: float(row["omega"]) for row in rows} for rows in (whole, merged)]
    assert omegas[1] == pytest.approx(omegas[0], rel=1e-4, abs=1e-7)
    assert (tmp_path / "merged" / "report.html").exists()


def test_without_real_images_features_reports_detection_rates(detector, folders, tmp_path, capsys):
    code = run(
        *("features", "--detector", detector, "--fake", folders[1], "--most", 10, "--k", 2),
        *("--draws", 1, "--confidence", 0, "--out", tmp_path / "out"),
    )
    assert code == 0
    assert "fake_accuracy" in capsys.readouterr().out
    assert "average_precision" not in read_csv(tmp_path / "out" / "silenced.csv")[0]


def test_explain_draws_every_image_and_the_patches_of_channels(
    detector, features, folders, tmp_path, capsys
):
    suspects = write_images(tmp_path / "suspects", 0.3, 9, n=4)
    save_png(suspects / "small.png", np.zeros((1, 1, 3), np.uint8))
    save_png(suspects / "black.png", np.zeros((16, 16, 3), np.uint8))
    out = tmp_path / "out"
    code = run(
        *("explain", suspects, "--detector", detector, "--out", out, "--channels", 2),
        *("--patches", 3, "--ranking", features / "features.csv"),
    )
    assert code == 0
    said = capsys.readouterr().err
    assert "2 images left out" in said
    pictures = sorted(out.glob("0*.png"))
    assert [path.name for path in pictures] == [f"{i:03d}-{i:03d}.png" for i in range(4)]
    with Image.open(pictures[0]) as panel:
        assert panel.size == (3 * 16 + 3 + 3 * 2, 16)
    shown = load_image(pictures[0])
    assert (shown[:, :16] == load_image(suspects / "000.png")).all()
    with Image.open(out / "channels.png") as collage:
        assert collage.size == (3 * 66 + 2, 2 * 66 + 2)
    page = (out / "report.html").read_text(encoding="utf-8")
    assert read_csv(features / "features.csv")[0]["name"] in page
    assert "small.png: images of 1x1 pixels" in page
    assert "On which reference data?" in page and "weak support for photograph" in page
    rows, made = read_csv(out / "scores.csv"), load_detector(detector)
    errors = {row["path"][-9:]: row for row in rows if row["error"]}
    assert errors.keys() == {"small.png", "black.png"} and len(rows) == 6
    assert errors["black.png"]["error"].endswith("black.png: a flat image has no spectrum to judge")
    assert errors["black.png"]["score"] == errors["black.png"]["verdict"] == ""
    rows = [row for row in rows if not row["error"]]
    for row in rows:
        odds = np.exp(float(row["score"]))
        assert float(row["probability"]) == pytest.approx(odds / (1 + odds), rel=1e-6)
        found = basis_of(made).judge(float(row["score"]), "clean")
        called = f"unsure ({found.why})" if found.why else f"called {found.verdict}"
        assert (row["verdict"], row["why"]) == found[:2]
        assert f"{row['path'][-7:]}: {called}." in page
        assert row["log10_lr"] == ("" if found.log10_lr is None else str(found.log10_lr))
    assert page.count('class="over pixels"') == 4
    # Whether the evidence can be trusted stands at the head, and in short on the terminal.
    (words,) = re.findall("On these images the evidence .*? 4 images[)][.]", said)
    assert page.count(html.escape(words)) == 2 and words in html.unescape(page)[: page.find("<h2")]
    assert "Can the evidence be trusted?" in page and "gradient x input" in page
    # People read percent and words, no Python: the facts are a table.
    assert "validation: real images called photographs" in page and "{&#39;" not in page
    assert f"aims at calling at most {100 * made.calibration.target:g} % of real images" in page


def test_explain_without_confident_images_says_so_on_the_page(detector, tmp_path, capsys):
    suspects = write_images(tmp_path / "suspects", 1.5, 9, n=2)
    (suspects / "notes.txt").write_text("x")
    (suspects / "0005.png").write_bytes((suspects / "001.png").read_bytes())
    out, first = tmp_path / "out", ["--most", 2]  # 0 and 1, though 0005 stands between them.
    assert run("explain", suspects, "--detector", detector, "--out", out, *first) == 0
    made = load_detector(detector)
    confident = made.score([load_image(suspects / f"00{i}.png") for i in range(2)]).max() >= np.log(
        9
    )
    page = (out / "report.html").read_text(encoding="utf-8")
    assert ("No channels are ranked" in page) == (not confident)
    said = capsys.readouterr().err
    assert ("no channels.png: No channels are ranked" in said) == (not confident)
    assert (out / "channels.png").exists() == confident
    assert f"{suspects}: 1 of 4 files left out: 1 not an image (notes.txt)" in said
    names = [row["path"].rpartition("/")[2] for row in read_csv(out / "scores.csv")]
    assert names == ["000.png", "001.png"]


def test_features_says_what_it_leaves_out_and_follows_links_when_asked(
    detector, folders, tmp_path, capsys
):
    """Nothing is computed: too few images of the first source are left."""
    images = tmp_path / "images"
    images.mkdir()
    (images / "a.png").symlink_to(folders[1] / "000.png")
    command = ["features", "--detector", detector, "--fake", images, "--out", tmp_path / "out"]
    said = refused(capsys, *command, "--confidence", 1)
    assert "no images in this folder or below: 1 of 1 files left out: 1 a link that leaves" in said
    assert "left out" not in refused(capsys, *command, "--confidence", 1, "--follow-links")


def test_a_spectral_detector_has_no_channels(folders, tmp_path, capsys):
    path = tmp_path / "detector.npz"
    assert run("detect", "fit", *folders, "--out", path) == 0
    said = refused(capsys, "explain", folders[0], "--detector", path)
    assert "spectral detector (durall-knn), which has no channels" in said
    assert "no channels" in refused(capsys, "features", "--fake", folders[1], "--detector", path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--channels", 0], "must be at least 1"),
        (["--ranking", "x.csv"], "no such file; give features.csv"),
    ],
)
def test_misuse_of_explain_is_answered_in_a_line(arguments, message, detector, folders, capsys):
    said = refused(capsys, "explain", folders[1], "--detector", detector, "--most", 1, *arguments)
    assert message in said


def test_a_file_that_is_no_ranking_is_refused(detector, folders, tmp_path, capsys):
    path = tmp_path / "features.csv"
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    arguments = ["--detector", detector, "--most", 1, "--ranking", path, "--out", tmp_path / "o"]
    assert "no features.csv" in refused(capsys, "explain", folders[1], *arguments)


def test_patches_show_what_makes_the_most_active_unit_fire(detector, folders):
    """Several layers at once, against one unit at a time."""
    made = load_detector(detector)
    images = np.stack([load_image(folders[1] / f"{i:03d}.png") for i in range(3)])
    features = rank_features(made, images, confidence=0.0).features
    chosen = [features[0], next(f for f in features if f.layer != features[0].layer)]
    x = preprocess(images)
    for feature, row in zip(chosen, patches(made, images, chosen, n=2), strict=True):
        options = {"layer": feature.layer, "channel": feature.channel, "range": IMAGENET}
        slow = jax.jit(lambda v, x, options=options: unit_relevance(made.network, v, x, **options))(
            made.variables, x
        )
        maxima = channel_maxima(made, images, [feature])[:, 0]
        assert [patch.image for patch in row] == np.argsort(-maxima, kind="stable")[:2].tolist()
        for patch in row:
            box = bounding_box(np.asarray(heat_map(slow.image))[patch.image])
            assert (box.crop(images[patch.image]) == patch.pixels).all()
            assert patch.activation == pytest.approx(maxima[patch.image], rel=1e-5)


def test_evidence_is_signed_by_what_it_speaks_for_whatever_the_verdict(detector, folders):
    """A detector that says the opposite has the opposite evidence, not the same."""
    made = load_detector(detector)
    images = [load_image(folder / "000.png") for folder in folders]
    head = jax.tree.map(lambda leaf: -leaf, made.variables["params"]["fc"])
    params = {**made.variables["params"], "fc": head}
    opposite = replace(made, variables={**made.variables, "params": params})
    for there, back in zip(explain(made, images), explain(opposite, images), strict=True):
        assert there.score == pytest.approx(-back.score, rel=1e-5)
        size = np.abs(there.relevance).max()
        assert_allclose(there.relevance, -back.relevance, atol=1e-4 * size)


def test_evidence_adds_up_to_the_logit_less_the_biases(detector, folders):
    made = load_detector(detector)
    image = load_image(folders[1] / "000.png")
    found = explain(made, [image])[0]
    x = preprocess(image[None])
    options = {"range": IMAGENET, "start": lambda logits: logits}
    told = jax.jit(lambda v, x: relevance(made.network, v, x, **options))(made.variables, x)
    kept = float(told.logits[0, 0]) - sum(float(lost[0]) for lost in told.lost.values())
    assert found.score == pytest.approx(float(told.logits[0, 0]), rel=1e-4)
    assert found.relevance.mean() == pytest.approx(kept, rel=1e-3, abs=1e-5)


def test_evidence_is_orange_for_generated_blue_for_real_and_clear_for_nothing():
    image = np.full((2, 2, 1), 100, np.uint8)
    layer = evidence(np.array([[2.0, -2.0], [0.0, -9.0]]), scale=4.0)
    assert layer[..., 3].tolist() == [[128, 128], [0, 255]]
    base = faded(image)
    assert base[0, 0].tolist() == [114, 114, 114]
    made = overlay(base, layer, opacity=1.0).astype(int)
    assert made[0, 0, 0] > made[0, 0, 1] > made[0, 0, 2]
    assert made[0, 1, 0] < made[0, 1, 1] < made[0, 1, 2]
    assert made[1, 0].tolist() == [114, 114, 114]
    # Twice the opacity, twice the way to the colour.
    halfway = overlay(base, layer, opacity=0.5).astype(int)
    assert_allclose(made - 114, 2 * (halfway - 114), atol=2)


def test_a_faded_image_is_gray_at_half_contrast():
    image = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0]]], np.uint8)
    assert faded(image)[0].tolist() == [[64] * 3, [192] * 3, [64 + 38] * 3]


def test_all_images_of_a_page_have_one_scale():
    weak, strong = (
        Explanation(0.0, np.full((10, 10), size), np.zeros((10, 10, 3))) for size in (0.5, -2.0)
    )
    image = np.zeros((10, 10, 3), np.uint8)
    scale = common_scale([weak.relevance, strong.relevance])
    assert scale == 2.0 == common_scale([strong.relevance, weak.relevance])
    alphas = [panel(image, found, scale)[1][0, 12:22, 3] for found in (weak, strong)]
    assert (alphas[0] == 64).all() and (alphas[1] == 255).all()
    assert common_scale([np.zeros((4, 4))]) == 1.0


def test_the_layer_lies_on_the_faded_image_alone():
    image = np.zeros((48, 96, 3), np.uint8)
    base, layer = panel(image, Explanation(0.0, np.ones((48, 96)), np.zeros((48, 96, 3))), 1.0)
    assert base.shape == (48, 3 * 96 + 4 + 3 * 2, 3) and layer.shape == (48, 298, 4)
    seen = layer[..., 3] > 0
    assert seen[:, 98:194].all() and seen.sum() == 48 * 96
    assert (base[:, 98:194] == 64).all()
    # The strip of the scale: "generated" on top.
    assert base[0, 198, 0] > base[0, 198, 2] and base[-1, 198, 0] < base[-1, 198, 2]


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (2.0, "called generated. Logit 2, above the threshold 1.5; probability 88.1% by the"),
        (1.5, "called photograph. Logit 1.5, not above the threshold 1.5; probability 81.8% by"),
        (30.0, "probability over 99.9% by"),
        (-30.0, "probability under 0.1% by"),
    ],
)
def test_a_verdict_comes_with_its_probability(score, words, detector):
    made = replace(load_detector(detector), threshold=1.5)
    said = verdict_words(made, score, basis_of(made).judge(score, "clean"))
    assert words in said and "not calibrated" in said
    assert ("of real images generated" in said) == (score > 1.5)
    assert ("called photographs too" in said) == (score <= 1.5)
    verdict = basis_of(made).judge(score, "clean")
    unknown = verdict_words(replace(made, calibration=None), score, verdict)
    assert "not known" in unknown


def test_facts_are_told_in_words_and_percent():
    facts = {
        "size": 32,
        "augment": ["blur", "jpeg"],
        "probability": 0.5,
        "validation": {"validation/accuracy": 0.625, "validation/negative_accuracy": -0.625},
        "odd_one": {"a": 1},
    }
    assert fact_rows(facts) == [
        ("images brought to", "32 pixels a side"),
        ("augmentation in training", "blur, jpeg"),
        ("probability of blur, of JPEG", "50.0%"),
        ("validation: accuracy at probability 1/2", "62.5%"),
        ("odd one: a", "1"),
    ]
    plain = fact_rows({"size": None, "augment": [], "probability": 0.5})
    assert plain == [("images brought to", "their own size"), ("augmentation in training", "none")]


def test_a_network_carries_its_preprocessing_and_groups_have_one_use(tmp_path, capsys):
    root = tmp_path / "images"
    for kind, exponent in (("real", 1.5), ("fake", 0.3)):
        for photo in range(60):
            write_images(root / kind / f"p{photo:02d}", exponent, photo, n=2, size=16 + photo % 3)
    train = ("train", "detector", "--real", root / "real", "--fake", root / "fake", *SETTINGS)
    train += ("--steps", 2, "--false-alarms", 0.2, "--out", tmp_path / "run")
    steps = ("--groups", 1, "--match-sizes", "--recode", "jpeg:60")
    assert run(*train, *steps) == 0
    said = capsys.readouterr()
    assert "120 images in 60 groups" in said.err and "cut to the central 16x16" in said.err
    made = load_detector(tmp_path / "run" / "detector.npz")
    assert (made.preprocessing.crop, made.preprocessing.recode) == (16, 60)
    facts = made.calibration
    assert (facts.groups, facts.n_calibration) == (5, 10)
    plain = facts.as_they_are
    assert (plain.false_alarms.n, plain.false_alarms.groups) == (10, 5)
    assert (facts.n_real, facts.n_fake) == (90, 90) and plain.detected.n == 10
    assert f"measured on other real images {plain.false_alarms.words}" in said.out
    images = [load_image(root / "fake" / f"p0{i}" / "000.png") for i in range(3)]
    by_hand = replace(made, preprocessing=Preprocessing()).score(
        [made.preprocessing(image) for image in images]
    )
    assert made.score(images) == pytest.approx(by_hand, abs=1e-5)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert "compressed as JPEG 60" in json.dumps(config)
    # Another preprocessing is another run.
    assert "jpeg" in refused(capsys, *train, *steps[:-1], "jpeg:61", "--resume").lower()


def test_explain_sees_images_as_the_detector_does(detector, folders, tmp_path):
    made = replace(load_detector(detector), preprocessing=Preprocessing(crop=8))
    made.save(tmp_path / "small.npz")
    suspects = write_images(tmp_path / "suspects", 0.3, 9, n=2)
    out = tmp_path / "out"
    assert run("explain", suspects, "--detector", tmp_path / "small.npz", "--out", out) == 0
    images = [load_image(suspects / f"{i:03d}.png") for i in range(2)]
    scores = [float(row["score"]) for row in read_csv(out / "scores.csv")]
    assert scores == pytest.approx(made.score(images), abs=1e-4)


@pytest.mark.slow
def test_features_sees_images_as_the_detector_does(detector, tmp_path):
    made = replace(load_detector(detector), preprocessing=Preprocessing(crop=8))
    made.save(tmp_path / "small.npz")
    fakes = write_images(tmp_path / "fakes", 0.3, 9, n=6)
    ranks = ("features", "--fake", fakes, "--confidence", 0, "--k", 2, "--draws", 1)
    tables = []
    for path in (detector, tmp_path / "small.npz"):
        assert run(*ranks, "--detector", path, "--out", tmp_path / path.stem) == 0
        tables.append(read_csv(tmp_path / path.stem / "features.csv"))
    assert tables[0] != tables[1]
