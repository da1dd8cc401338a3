"""`evaluate --leak`: do samples show the transforms that a GAN was trained with?"""

import json

import numpy as np
import pytest

from gan_forensics.data import open_source, save_png, take
from gan_forensics.gans import GanConfig
from gan_forensics.gans.transforms import POLICIES
from gan_forensics.quality import leaks
from tests.test_cli import plain_terminal, refused, run  # noqa: F401
from tests.test_cli_evaluate import saved
from tests.test_quality_leaks import clear, told_by_brightness, turned


@pytest.fixture
def bright(tmp_path):
    """Real images, bright above, and a folder of samples of which 30 % are turned."""
    rng = np.random.default_rng(0)
    real, samples = clear(rng, 200), clear(rng, 100)
    np.savez(tmp_path / "real.npz", image=real)
    samples[:30] = turned(samples[:30])
    (tmp_path / "samples").mkdir()
    for i, image in enumerate(samples):
        save_png(tmp_path / "samples" / f"{i:03d}.png", image)
    return tmp_path / "samples", f"npz:{tmp_path / 'real.npz'}", tmp_path / "r.json"


@pytest.fixture
def quick(monkeypatch):
    """A classifier of rotations that is not trained."""
    asked = []

    def judge(real_train, apply, **options):
        asked.append((real_train, options))
        return told_by_brightness(real_train, apply)

    monkeypatch.setattr(leaks, "transform_classifier", judge)
    return asked


def test_the_leak_of_a_folder_is_told_with_its_protocol(bright, quick, capsys):
    samples, real, out = bright
    options = ["--leak", "rotation", "--seed", 3, "--out", out]
    assert run("evaluate", samples, "--data", real, *options) == 0
    captured = capsys.readouterr()
    assert "more samples than real images look transformed" in captured.out
    assert "transformed images alone would show at most 1.000" in captured.out
    assert "no evidence" not in captured.out
    results = json.loads(out.read_text())
    (row,) = results["leaks"]
    assert (row["name"], row["rate"], row["base"], row["leak"]) == ("rotation", 0.3, 0, 0.3)
    assert row["low"] < 0.3 < row["high"] and row["most"] == 1 and "blind" not in row
    (score,) = results["quality"]
    assert (score["metric"], score["value"], score["fake"]) == ("leak of rotation", 0.3, 100)
    # Training and held-out images are those of the source's own splits.
    held_out, train = len(open_source(real, split="test")), open_source(real, split="train")
    assert row["n_held_out"] == score["real"] == held_out
    ((images, given),) = quick
    assert np.array_equal(images, take(train, np.arange(len(train)))["image"])
    assert given["seed"] == 3
    protocol = results["protocol"]
    assert protocol["real"] == f"{real}, split train and test"
    assert protocol["held_out"] == f"{held_out} images of the test split"
    # The protocol says nothing that a table says.
    assert "metrics" not in protocol
    transforms = [t.name for t in POLICIES["rotation"].transforms[1:]]
    assert results["transforms"] == [
        {"name": "rotation", "transform": name, "seen": 1, "blind": False} for name in transforms
    ]
    assert f"{len(train)} images train the classifiers and {held_out} are held" in captured.err


def test_real_images_leak_nothing_and_blindness_is_said(bright, quick, capsys):
    _, real, out = bright
    assert run("evaluate", real, "--data", real, "--leak", "rotation,flip", "--out", out) == 0
    said = capsys.readouterr().out
    assert "rotation: no leak is seen; the interval holds 0" in said
    # The stand-in sees brightness above or below, so that mirror images are alike to it.
    assert "blind to columns reversed" in said and "Note: the classifier of flip does not" in said
    assert [row["leak"] for row in json.loads(out.read_text())["leaks"]] == [0, 0]


def test_images_that_no_rotation_changes_are_told_to_be_blind(tmp_path, quick, capsys):
    np.savez(tmp_path / "flat.npz", image=np.full((120, 8, 8, 1), 9, np.uint8))
    flat, out = f"npz:{tmp_path / 'flat.npz'}", tmp_path / "r.json"
    assert run("evaluate", flat, "--data", flat, "--leak", "rotation", "--out", out) == 0
    said = capsys.readouterr().out
    assert "rotation: blind. On these images the classifier sees none of the transforms" in said
    assert "does not see any of its transforms" in said
    rows = [line.split() for line in said.splitlines()]
    assert ["leak", "of", "rotation", "-", "-"] in [row[:5] for row in rows]
    assert ["blind", "-"] in [row[-2:] for row in rows]
    results = json.loads(out.read_text())
    (row,) = results["leaks"]
    assert results["quality"][0]["value"] is row["leak"] is row["low"] is row["high"] is None


def test_samples_that_no_leak_explains_are_no_evidence_of_one(bright, monkeypatch, capsys):
    samples, real, out = bright

    def judge(real_train, apply, **options):
        """Of flips calls every fifth transformed image so, and then all samples."""
        if apply[1] is POLICIES["rotation"].transforms[1].apply:
            return told_by_brightness(real_train, apply)
        shares = iter([np.array([0, 0.2, 0.2, 0.2]), np.array([1])])

        def log_probabilities(images):
            share = next(shares)[:, None]
            places = np.linspace(0, 1, len(images) // len(share), endpoint=False)
            called = (places < share).reshape(-1, 1)
            return np.log(np.where(called, 0.1, 0.7)) + np.zeros(4)

        return log_probabilities

    monkeypatch.setattr(leaks, "transform_classifier", judge)
    options = ["--data", real, "--leak", "rotation,flip", "--out", out]
    assert run("evaluate", samples, *options) == 0
    said = capsys.readouterr().out
    results = json.loads(out.read_text())
    most = results["leaks"][1]["most"]
    assert results["leaks"][1]["low"] > most > 0.1
    # One policy above what a leak can show is enough: the other's is no evidence either.
    for name in ("rotation", "flip"):
        note = results["notes"][name]
        assert "no evidence of a leak: samples are unlike the data for another reason" in note
        assert "alone would show: flip)" in note and f"{name}: {note}" in said
    assert f"transformed images alone would show at most {most:.3f}" in results["notes"]["flip"]
    assert "for another reason" in results["notes"]["all"]


def test_too_few_images_are_refused_before_a_classifier_is_announced(bright, tmp_path, capsys):
    _, real, _ = bright
    one, few = tmp_path / "one.npz", tmp_path / "few.npz"
    np.savez(one, image=np.zeros((1, 8, 8, 1), np.uint8))
    np.savez(few, image=clear(np.random.default_rng(0), 60))
    said = refused(capsys, "evaluate", f"npz:{one}", "--data", real, "--leak", "flip")
    assert "1 image of the generator: give at least 20" in said and "classifier" not in said
    said = refused(capsys, "evaluate", real, "--data", f"npz:{few}", "--leak", "flip")
    assert "held out (the test split of npz:" in said and "classifier" not in said


def test_a_run_is_judged_at_its_size_and_gray_images_become_rgb(tmp_path, quick, capsys):
    gan = saved(GanConfig("dcgan", size=16, channels=3, latent=8, width=4), tmp_path / "run")
    options = ["--data", "samples:digits", "-n", 30, "--leak", "rotation"]
    assert run("evaluate", gan, *options) == 0
    assert "all are read as RGB" in capsys.readouterr().err
    results = json.loads((gan / "results.json").read_text())
    assert results["protocol"]["generated"].endswith("step 0")
    assert results["leaks"][0]["n_samples"] == results["leaks"][0]["n_held_out"] == 30
    assert quick[0][0].shape == (30, 16, 16, 3)
    page = (gan / "report.html").read_text()
    assert "Leaks" in page and "alone would show at most" in page
    assert "metrics.leak" not in page


def test_stacks_are_images(tmp_path, quick):
    out, stacks = tmp_path / "r.json", "stacked:samples:digits"
    options = ["--leak", "rotation", "-n", 40, "--out", out]
    assert run("evaluate", stacks, "--data", stacks, *options) == 0
    assert json.loads(out.read_text())["leaks"][0]["n_samples"] == 40


def test_what_cannot_be_measured_is_refused(bright, tmp_path, capsys):
    samples, real, _ = bright
    command = ["evaluate", samples, "--data", real, "--leak"]
    assert "unknown transforms 'rotatoin'; did you mean 'rotation'" in refused(
        capsys, *command, "rotatoin"
    )
    assert "no transforms given" in refused(capsys, *command, "")
    for option in (["--features", "small"], ["--metrics", "kid"], ["--precision", "float32"]):
        assert f"{option[0]}: --leak is told by a classifier of its own" in refused(
            capsys, *command, "flip", *option
        )
    for option in (["--split", "test"], ["--draws", 2]):
        assert f"{option[0]}: --leak takes the training and the test split" in refused(
            capsys, *command, "flip", *option
        )
    assert "toy:line has points" in refused(
        capsys, "evaluate", samples, "--data", "toy:line", "--leak", "flip"
    )
    assert "19 images of the generator: give at least 20" in refused(
        capsys, *command, "flip", "-n", 19
    )
    np.savez(tmp_path / "wide.npz", image=np.zeros((200, 8, 10, 1), np.uint8))
    wide = f"npz:{tmp_path / 'wide.npz'}"
    said = refused(capsys, "evaluate", wide, "--data", wide, "--leak", "rotation")
    assert "8 x 10" in said and "square" in said
    said = refused(capsys, "evaluate", wide, "--data", real, "--leak", "flip")
    assert "of the generator are 8x10x1 and real ones 8x8x1" in said


@pytest.mark.slow
def test_real_images_leak_none_of_the_named_policies(bright):
    _, real, out = bright
    names = "rotation,flip,shift,cutout,colour"
    assert run("evaluate", real, "--data", real, "--leak", names, "--out", out) == 0
    rows = json.loads(out.read_text())["leaks"]
    assert ",".join(row["name"] for row in rows) == names
    assert all(row["low"] <= 0 <= row["high"] and row["accuracy"] > 0.4 for row in rows)
