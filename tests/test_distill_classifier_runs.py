"""Run folders of classifiers: what trains, what chooses, what tests, and what is kept of it."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax

from gan_forensics.data import open_source, to_uint8
from gan_forensics.distill import (
    Classifier,
    Distillation,
    classifier_runs,
    distill,
    load_classifier,
    train_classifier,
)
from gan_forensics.distill.classifier_build import random_variables
from gan_forensics.distill.classifier_data import open_parts
from gan_forensics.distill.classifier_results import results_of, sentences
from gan_forensics.distill.classifier_runs import starting_variables
from gan_forensics.distill.classify import accuracies
from gan_forensics.report import report_run
from gan_forensics.train import RunFolderError, read_metrics
from tests.small_classifiers import CLASSES, tiny, toy


def arrays_of(data, **options):
    source: Any = open_source(data, **options)
    return source.arrays


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A student's run, its first batch, and how many images were judged at a time."""
    folder = tmp_path_factory.mktemp("classifiers")
    config = tiny(toy(folder / "toy.npz"), label_smoothing=0.1)
    known = {"size": 8, "channels": 1, "label_smoothing": 0.1}
    variables = random_variables(open_parts(config)[0], "small_cnn", 2, 5)
    teacher = Classifier("small_cnn", CLASSES, variables, width=2, **known)
    how = Distillation(temperature=2.0, hard_weight=0.25)
    judged, judge, fit, said, batch = [], Classifier.labelled_logits, classifier_runs.fit, [], {}

    def counted(self, source):
        judged.append(len(source))
        return judge(self, source)

    def seen(learner, batches, **options):
        start = batches.state()
        batch.update(next(batches))
        batches.restore(start)
        return fit(learner, batches, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classifier, "labelled_logits", counted)
        patch.setattr(classifier_runs, "fit", seen)
        run = folder / "run"
        results = distill(config, run, teacher, how, say=said.append, progress=False)
    return SimpleNamespace(**locals())


# --- training -----------------------------------------------------------------------------------


def test_test_images_are_read_once_after_training(trained):
    images = trained.results["protocol"]["tested on"]
    validation, test = trained.judged[0], trained.judged[-1]
    assert validation != test and images.startswith(f"{test} images")
    assert images.endswith("read once, after training")
    # An epoch chooses; then each kept epoch is tested, one alone where it is both,
    # and the teacher.
    assert trained.judged[:2] == [validation] * 2
    assert set(trained.judged[2:]) == {test} and len(trained.judged) in (4, 5)


def test_results_are_those_of_the_kept_epochs(trained):
    test = arrays_of(trained.config.data, split="test")
    image, label = test["image"], test["label"]
    rows = trained.results["test"]
    errors = [line["validation/error"] for line in read_metrics(trained.run / "metrics.jsonl")
              if "validation/error" in line]  # fmt: skip
    assert [row["network"] for row in rows[:2]] == ["last epoch", "epoch chosen on validation"]
    assert rows[0]["epoch"] == 2 and errors[rows[1]["epoch"] - 1] == min(errors)
    for row, epoch in zip(rows[:2], ("last", "chosen"), strict=True):
        logits = load_classifier(trained.run, epoch=epoch).logits(image)
        assert row["images"] == len(label) and "top_5" not in row
        assert_allclose(row["top_1"], (logits.argmax(1) == label).mean(), rtol=0, atol=1e-12)
        nll = -log_softmax(logits.astype(float), 1)[np.arange(len(label)), label].mean()
        assert_allclose(row["cross_entropy"], nll, rtol=1e-6, atol=0)
    assert any("last epoch (2): top-1" in line for line in sentences(trained.results))


def test_a_student_is_given_the_cached_logits_of_its_images(trained):
    batch = trained.batch
    images = to_uint8(batch["image"])
    assert_allclose(batch["teacher"], trained.teacher.logits(images), rtol=0, atol=1e-6)
    assert (batch["temperature"] == 2).all() and (batch["soft_weight"] == 0.75).all()
    assert (batch["alpha"] == np.float32(0.1)).all() and len(images) == 16
    facts = json.loads((trained.run / "config.json").read_text())["distillation"]
    assert facts["teacher_logits"] == "cached" and facts["temperature"] == 2
    assert facts["teacher_digest"] == trained.teacher.digest


def test_the_teacher_is_tested_too(trained):
    row = trained.results["test"][-1]
    test = arrays_of(trained.config.data, split="test")
    right = (trained.teacher.logits(test["image"]).argmax(1) == test["label"]).mean()
    assert (row["network"], row["epoch"]) == ("the teacher", None)
    assert_allclose(row["top_1"], right, rtol=0, atol=1e-12)


def test_a_run_does_not_go_on_with_another_teacher_temperature_or_smoothing(trained):
    with pytest.raises(RunFolderError, match="holds a run already"):
        distill(trained.config, trained.run, trained.teacher, trained.how)
    variables = jax.tree.map(lambda x: x + 1, dict(trained.teacher.variables))
    for config, teacher, how, says in (
        (trained.config, replace(trained.teacher, variables=variables), trained.how, "er_digest"),
        (trained.config, trained.teacher, Distillation(3.0, 0.25), r"temperature: 2.0 -> 3.0"),
        (replace(trained.config, label_smoothing=0.2), trained.teacher, trained.how, "0.1 -> 0.2"),
    ):
        with pytest.raises(RunFolderError, match=says):
            distill(config, trained.run, teacher, how, resume=True, progress=False)


def test_a_classifier_without_a_teacher_is_given_labels_alone(trained, tmp_path, monkeypatch):
    class Seen(Exception):
        pass

    def seen(learner, batches, *, facts, **options):
        raise Seen(sorted(next(batches)), sorted(facts))

    monkeypatch.setattr(classifier_runs, "fit", seen)
    with pytest.raises(Seen) as found:
        train_classifier(trained.config, tmp_path)
    assert found.value.args == (["alpha", "image", "label"], ["images"])


def test_a_run_says_and_keeps_what_it_takes_of_its_data(trained):
    config = json.loads((trained.run / "config.json").read_text())
    assert config["classifier"]["label_smoothing"] == 0.1 and config["classifier"]["classes"] == 4
    assert config["images"]["validation"] == trained.judged[0]
    data = json.loads((trained.run / "data.json").read_text())
    assert data["images"] + data["held_out"] == 96
    assert any(
        "choose the epoch (held out of the train split by seed 0)" in x for x in trained.said
    )


def test_the_page_has_the_numbers_the_protocol_and_a_diagram(trained):
    page = report_run(trained.run).read_text()
    for words in (
        *("epoch chosen on validation", "calibration error", "read once, after training"),
        *("Accuracy against confidence", "Share of images called rightly", "computed once"),
        "T = 1 is the advised temperature",
    ):
        assert words in page


def test_logits_and_features_do_not_depend_on_what_stands_beside(trained):
    classifier = load_classifier(trained.run)
    assert (classifier.label_smoothing, classifier.size, classifier.channels) == (0.1, 8, 1)
    images = arrays_of(trained.config.data)["image"]
    assert_array_equal(classifier.logits(images)[5:8], classifier.logits(images[5:8]))
    features = classifier.features(images)
    kernel, bias = classifier.head
    assert features.shape == (96, 8)
    assert_allclose(features @ kernel + bias, classifier.logits(images), rtol=0, atol=1e-5)


def test_folders_that_hold_something_else_are_refused(trained, tmp_path):
    with pytest.raises(RunFolderError, match="no config.json"):
        load_classifier(tmp_path)
    saved = json.loads((trained.run / "config.json").read_text())
    saved["classifier"]["deep"] = 3
    (tmp_path / "config.json").write_text(json.dumps(saved))
    with pytest.raises(RunFolderError, match="not written by this version"):
        load_classifier(tmp_path)


def test_weights_of_a_run_keep_their_body_and_other_classes_a_new_last_layer(trained, tmp_path):
    said = []
    config = open_parts(tiny(trained.config.data, weights=str(trained.run)))[0]
    given = load_classifier(trained.run).variables
    jax.tree.map(assert_array_equal, starting_variables(config, said.append), dict(given))
    assert not said
    other = open_parts(tiny(toy(tmp_path / "b.npz", labels=np.arange(60) % 3)))[0]
    other = replace(other, weights=str(trained.run))
    start: Any = starting_variables(other, said.append)
    assert start["params"]["fc"]["kernel"].shape == (8, 3)
    assert_array_equal(start["params"]["conv0"]["kernel"], given["params"]["conv0"]["kernel"])
    assert said == [
        f"{trained.run} has 4 classes, {other.data} has 3: the last layer starts anew, at random"
    ]
    with pytest.raises(ValueError, match="not of this small_cnn for 1 channels"):
        starting_variables(replace(config, width=3), said.append)


def test_ranks_count_equal_logits_and_top_five_needs_more_than_five_classes():
    logits = np.array([[0, 0, 1, 2, 3, 4, 5], [9, 9, 0, 0, 0, 0, 0]], np.float32)
    found = accuracies(logits, np.array([2, 1]))
    assert (found["top_1"], found["top_5"]) == (0.0, 1.0)
    assert accuracies(logits, np.array([0, 0]))["top_1"] == 0.5
    assert accuracies(logits, np.array([1, 0]))["top_5"] == 0.5
    assert "top_5" not in accuracies(logits[:, :5], np.array([2, 1]))
    assert_allclose(accuracies(np.zeros((2, 4), np.float32), np.array([0, 3]))["cross_entropy"],
                    np.log(4), rtol=1e-12, atol=0)  # fmt: skip


def test_an_epoch_that_the_test_images_chose_is_labelled_so():
    config = tiny("npz:a.npz", select_on="test", classes=4)
    counts = {"train": 9, "validation": 0, "test": 3, "test_is": "its own"}
    parts: Any = SimpleNamespace(test=None, facts=counts)
    results = results_of(config, parts, {}, None)
    assert "too good" in results["protocol"]["epoch chosen on"]
    assert "read once" not in results["protocol"]["tested on"]
    numbers = {"top_1": 1.0, "cross_entropy": 0.0, "calibration_error": 0.0, "images": 99}
    results["test"] = [{"network": "x", "epoch": 1, **numbers, "commonest_class": 0.5}]
    assert "too good" in sentences(results)[-1]
    assert not any("commonest class" in line for line in sentences(results))
    # Of 99 images 59 may be right by chance where half are of one class.
    results["test"] = [
        {**results["test"][0], "top_1": share / 99, "network": name}
        for share, name in ((59, "last epoch"), (60, "the epoch"), (9, "the teacher"))
    ]
    found = [line for line in sentences(results) if "commonest class (50.0%)" in line]
    assert len(found) == 2
    assert "train longer" in found[0] and "give another teacher" in found[1]


@pytest.mark.slow
def test_a_run_in_two_parts_is_the_whole_run_bit_for_bit(tmp_path, monkeypatch):
    config = tiny(toy(tmp_path / "a.npz"), augment="flip", epochs=3)
    train_classifier(config, tmp_path / "whole", progress=False)
    fit, evaluations = classifier_runs.fit, []

    def interrupted(*arguments, evaluate, **options):
        def failing(state):
            evaluations.append(state)
            if len(evaluations) == 2:
                raise KeyboardInterrupt
            return evaluate(state)

        return fit(*arguments, evaluate=failing, **options)

    monkeypatch.setattr(classifier_runs, "fit", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_classifier(config, tmp_path / "parts", progress=False)
    monkeypatch.setattr(classifier_runs, "fit", fit)
    assert not (tmp_path / "parts" / "results.json").exists()
    train_classifier(config, tmp_path / "parts", progress=False, resume=True)
    for epoch in ("last", "chosen"):
        whole, parts = (
            load_classifier(tmp_path / name, epoch=epoch).variables for name in ("whole", "parts")
        )
        jax.tree.map(assert_array_equal, whole, parts)
    written = [(tmp_path / name / "results.json").read_text() for name in ("whole", "parts")]
    assert written[0] == written[1]
    shutil.rmtree(tmp_path / "whole")
