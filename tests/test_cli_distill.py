"""`train classifier`, `distill` and `classify`, as a user has them."""

import dataclasses
import json
from typing import get_args, get_type_hints

import numpy as np
import pytest

from gan_forensics import distill as area
from gan_forensics.cli.distill import Distill
from gan_forensics.data import save_png
from gan_forensics.distill import Classifier, ClassifierConfig, Distillation
from gan_forensics.distill.classifier_config import Arch, Augment
from gan_forensics.distill.classifier_runs import open_parts
from gan_forensics.runtime import Precision
from tests.small_classifiers import tiny, toy
from tests.test_cli import plain_terminal, read_csv, refused, run  # noqa: F401

DISTILL = ["distill", "--teacher", "nowhere", "--data", "nowhere", "--student", "small_cnn"]
CLASSIFIER = ["train", "classifier", "--data", "nowhere"]


# --- options ------------------------------------------------------------------------------------


def test_distill_has_the_settings_of_a_student_and_of_its_teacher():
    """They stand in the command once more, so that --help need not load JAX."""
    hints = get_type_hints(Distill)
    filled_in = {"arch", "channels", "classes", "label_names"}
    config = {field.name: field for field in dataclasses.fields(ClassifierConfig)}
    assert config.keys() - filled_in <= hints.keys()
    for name in config.keys() - filled_in - {"data", "epochs"}:
        assert type(None) in get_args(hints[name]), name
    given = {f.name: f.default for f in dataclasses.fields(Distill)}
    for field in dataclasses.fields(Distillation):
        assert given[field.name] == field.default
    assert hints["student"] == Arch and set(get_args(Arch)) == set(area.ARCHITECTURES)
    for name, kind in (("augment", Augment), ("precision", Precision)):
        assert hints[name] == kind | None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--temperature", 0], "temperature must be positive and finite, got 0"),
        (["--temperature", -1], "temperature must be positive and finite, got -1"),
        (["--hard-weight", 1], "hard_weight is a share of at least 0 and below 1, got 1.0"),
        (["--label-smoothing", 0.1], "--label-smoothing: of true labels, and --hard-weight is 0"),
        (["--label-smoothing", 1, "--hard-weight", 0.5], "label_smoothing is a share"),
        (["--epochs", 0], "epochs must be at least 1"),
        (["--seed", -1], "seed must be at least 0"),
        (["--width", 0], "width must be at least 1"),
        ([], "nowhere: no such run folder or file of weights"),
    ],
)
def test_settings_of_a_student_are_checked_before_anything_is_read(options, message, capsys):
    assert message in refused(capsys, *DISTILL, *options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--label-smoothing", 1], "label_smoothing is a share of at least 0 and below 1, got 1.0"),
        (["--label-smoothing", -0.1], "label_smoothing is a share"),
        (["--batch-size", 0], "batch_size must be at least 1"),
        (["--validation", 0], "validation is a share"),
        (["--arch", "resnet50", "--width", 8], "resnet50 has its own width"),
        (["--weights", "nowhere"], "unknown source 'nowhere'"),
    ],
)
def test_settings_of_a_classifier_are_checked_before_its_data(options, message, tmp_path, capsys):
    said = refused(capsys, *CLASSIFIER, *options, "--out", tmp_path / "run")
    assert message in said and not (tmp_path / "run").exists()


# --- own images ---------------------------------------------------------------------------------


@pytest.fixture
def classifier(tmp_path, monkeypatch):
    """A network of random variables in the place of a run folder."""
    from gan_forensics.distill.classifier_build import random_variables

    config = open_parts(tiny(toy(tmp_path / "a.npz")))[0]
    made = Classifier(
        "small_cnn", 4, random_variables(config, "small_cnn", 2, 0), width=2, size=8, channels=1,
        label_names=("cup", "dog", "egg", "fox"),
    )  # fmt: skip
    monkeypatch.setattr(area, "load_classifier", lambda run, *, epoch: made)
    return made


def test_every_image_has_a_line_with_its_label_and_probabilities(classifier, tmp_path, capsys, rng):
    images = rng.integers(0, 256, (3, 8, 8, 1), np.uint8)
    for place, image in zip((2, 9, 10), images, strict=True):
        save_png(tmp_path / "own" / f"{place}.png", image)
    save_png(tmp_path / "own" / "wide.png", np.repeat(images[0], 2, 1)[:, 2:-2])
    (tmp_path / "own" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    out = tmp_path / "labels.csv"
    assert run("classify", "run", tmp_path / "own", "--out", out) == 0
    rows = {row["path"].rpartition("/")[2]: row for row in read_csv(out)}
    assert [*rows] == ["2.png", "9.png", "10.png", "broken.png", "wide.png"]
    assert rows["broken.png"]["error"] and not rows["broken.png"]["label"]
    for place, logits in zip((2, 9, 10), classifier.logits(images), strict=True):
        row = rows[f"{place}.png"]
        assert int(row["label"]) == logits.argmax()
        assert row["name"] == classifier.label_names[logits.argmax()]
        p = np.array([float(row[f"p_{name}"]) for name in classifier.label_names])
        np.testing.assert_allclose(p, np.exp(logits) / np.exp(logits).sum(), rtol=0, atol=2e-6)
        assert float(row["probability"]) == p.max()
    said = capsys.readouterr()
    assert "4 images: " in said.out and "1 could not be classified" in said.err
    assert "1 of 5 were cropped to squares or resized to 8" in said.err


def test_rows_that_were_classified_outlive_a_failure(classifier, tmp_path, rng, monkeypatch):
    save_png(tmp_path / "own" / "0.png", rng.integers(0, 256, (8, 8, 1), np.uint8))
    monkeypatch.setattr("gan_forensics.cli.classify.write_csv", None)
    run("classify", "run", tmp_path / "own", "--out", tmp_path / "labels.csv")
    (kept,) = tmp_path.glob("labels.partial-*.csv")
    assert [row["path"] for row in read_csv(kept)] == [str(tmp_path / "own" / "0.png")]


def test_classify_refuses_what_is_no_run(tmp_path, capsys):
    assert "config.json" in refused(capsys, "classify", tmp_path, tmp_path)


# --- training -----------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_teacher_trains_and_teaches_and_both_have_pages(tmp_path, capsys):
    data, teacher, student = toy(tmp_path / "a.npz"), tmp_path / "teacher", tmp_path / "student"
    small = ["--data", data, "--width", 2, "--epochs", 2, "--batch-size", 16]
    asked = ["train", "classifier", *small, "--label-smoothing", 0.1, "--out", teacher]
    assert run(*asked) == 0
    said = capsys.readouterr()
    assert "augmentation of training images: none" in said.err and "choose the epoch" in said.err
    assert "last epoch (2): top-1" in said.out and f"distill --teacher {teacher}" in said.out
    assert "holds a run already" in refused(capsys, *asked)
    asked = ["distill", "--teacher", teacher, *small, "--student", "small_cnn"]
    assert run(*asked, "--temperature", 3, "--out", student) == 0
    said = capsys.readouterr()
    assert "its logits are computed once" in said.err
    assert "T = 1 is the advised temperature" in said.err and "Note: the teacher" in said.out
    assert "the teacher: top-1" in said.out
    config = json.loads((student / "config.json").read_text())
    assert config["distillation"]["teacher_label_smoothing"] == 0.1
    assert (student / "report.html").exists() and (teacher / "report.html").exists()
    other = toy(tmp_path / "b.npz", labels=np.arange(60) % 3)
    asked = ["distill", "--teacher", teacher, "--data", other, "--student", "small_cnn"]
    assert "has 4 classes" in refused(capsys, *asked, "--out", tmp_path / "other")
