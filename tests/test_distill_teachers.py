"""Teachers: whom a student may have, what is cached of them, and what is said of it."""

import json
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data import ArraySource, Transform, take
from gan_forensics.distill import (
    Classifier,
    Distillation,
    architectures,
    distill,
    load_classifier,
    open_teacher,
    published,
    train_classifier,
)
from gan_forensics.distill.architectures import Architecture
from gan_forensics.distill.classifier_build import learner_of, random_variables
from gan_forensics.distill.classifier_data import open_parts
from gan_forensics.distill.classifier_learner import TEACHER
from gan_forensics.distill.classifier_runs import starting_variables
from gan_forensics.distill.teachers import (
    ADVICE,
    Taught,
    check_teacher,
    in_words,
    lesson_facts,
    with_settings,
)
from gan_forensics.nn.resnet import BasicBlock, ResNet
from gan_forensics.train import RunFolderError
from tests import oracles_nn
from tests.small_classifiers import CLASSES, HOW, tiny, toy


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """A config that is filled in."""
    return open_parts(tiny(toy(tmp_path_factory.mktemp("data") / "toy.npz")))[0]


@pytest.fixture(scope="module")
def teacher(config):
    """A network of random variables that says it was trained with label smoothing."""
    variables = random_variables(config, "small_cnn", 2, 5)
    known = {"size": 8, "channels": 1, "label_smoothing": 0.1}
    return Classifier("small_cnn", CLASSES, variables, width=2, **known)


# --- what is cached, and what is not ------------------------------------------------------------


def test_examples_carry_the_logits_of_their_own_image(rng, teacher):
    images = rng.integers(0, 256, (9, 8, 8, 1), np.uint8)
    source = ArraySource(image=images, label=np.arange(9) % 4)
    made = Taught(source, teacher.logits(source))
    assert_array_equal(made[4]["teacher"], teacher.logits(images[4:5])[0])
    assert_array_equal(take(made, [7, 2])["teacher"], teacher.logits(images[[7, 2]]))
    assert len(made) == 9 and "label" in made[0]


def test_batches_carry_what_the_objective_reads():
    batch = {"image": np.zeros((3, 2, 2, 1)), "label": np.zeros(3, np.int32), "more": 1}
    made = with_settings(0.1, None, None).apply(batch, {})
    assert (
        set(made) == {"image", "label", "alpha"} and made["alpha"].tolist() == [np.float32(0.1)] * 3
    )
    how = Distillation(temperature=3, hard_weight=0.25)
    brighter = Transform(lambda batch, drawn: {**batch, "image": batch["image"] + 1})
    made = with_settings(0.0, how, brighter).apply({**batch, "teacher": np.ones((3, 4))}, {})
    assert made["temperature"].tolist() == [3] * 3 and made["soft_weight"].tolist() == [0.75] * 3
    assert (made["image"] == 1).all() and made["teacher"].shape == (3, 4)


def test_the_teacher_of_augmented_images_is_in_the_state_and_stays_as_it_is(config, teacher):
    learner = learner_of(config, 4, teacher)
    state = jax.eval_shape(lambda: learner.start(0))
    assert set(state.params) == {"classifier", TEACHER} and learner.updates[0].trains == (
        "classifier",
    )
    start = learner.start(0)
    jax.tree.map(assert_array_equal, start.params[TEACHER], teacher.variables["params"])
    about = in_words(lesson_facts(teacher, HOW, name="runs/t", cached=False))
    assert "recomputed at every step" in about["teacher_logits"]


# --- what is said -------------------------------------------------------------------------------


def test_a_smoothed_teacher_above_temperature_one_is_advised_against(teacher):
    facts = lesson_facts(teacher, HOW, name="t", cached=True)
    assert in_words(facts)["advice"] == ADVICE and "T = 1 is the advised temperature" in ADVICE
    for smoothing, temperature in ((0.1, 1.0), (0.1, 0.5), (0.0, 3.0), (None, 3.0)):
        other = replace(teacher, label_smoothing=smoothing)
        facts = lesson_facts(other, Distillation(temperature), name="t", cached=True)
        assert "advice" not in in_words(facts)
    assert in_words(facts)["teacher_label_smoothing"] == "not known"


# --- what cannot be -----------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
def test_temperatures_that_are_not_positive_are_refused(temperature):
    with pytest.raises(ValueError, match="temperature must be positive"):
        Distillation(temperature)


@pytest.mark.parametrize("weight", [1.0, -0.1, float("nan")])
def test_a_weight_that_leaves_nothing_of_the_teacher_is_refused(weight):
    with pytest.raises(ValueError, match="hard_weight is a share of at least 0 and below 1"):
        Distillation(hard_weight=weight)


def test_teachers_of_other_classes_or_images_are_refused(config, teacher):
    named = replace(config, label_names=("a", "b", "c", "d"))
    for other, of, says in (
        (
            replace(teacher, classes=3),
            config,
            "has 3 classes, .* has 4: a student learns the teach",
        ),
        (
            replace(teacher, label_names=("a", "b", "d", "c")),
            named,
            "class 2 is 'd' in the teacher",
        ),
        (replace(teacher, channels=3), config, "images of 3 channels"),
        (replace(teacher, size=16), config, "of side 16, these are of side 8: give size 16"),
    ):
        with pytest.raises(ValueError, match=says):
            check_teacher(other, of, name="runs/t")
    check_teacher(teacher, named, name="runs/t")  # whose labels have no names
    check_teacher(
        replace(teacher, arch="resnet18", channels=3), config, name="it reads gray as RGB"
    )
    check_teacher(replace(teacher, size=None, channels=None), config, name="a file of weights")


def test_teachers_that_are_not_there_or_not_named_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such run folder or file of weights"):
        open_teacher(tmp_path / "gone")
    with pytest.raises(ValueError, match="which says its network: leave teacher_arch out"):
        open_teacher(tmp_path, arch="resnet18")
    with pytest.raises(RunFolderError, match="holds no config.json"):
        open_teacher(tmp_path)
    (tmp_path / "w.pth").write_bytes(b"")
    with pytest.raises(ValueError, match="say of which network, with teacher_arch"):
        open_teacher(tmp_path / "w.pth")


def test_a_file_of_weights_teaches_its_own_classes_and_starts_networks_of_others(
    config, tmp_path, monkeypatch
):
    def small(classes, dtype=None):
        return ResNet(blocks=(1, 1), widths=(2, 3), block=BasicBlock, classes=classes, dtype=dtype)

    twins = {"resnet18": Architecture(small, published="resnet18")}
    for module in (architectures, published):
        monkeypatch.setattr(module, "ARCHITECTURES", twins)
    variables = oracles_nn.drawn(small(5), (1, 16, 16, 3))
    np.savez(tmp_path / "weights.npz", **oracles_nn.torch_state(variables))
    teacher = open_teacher(tmp_path / "weights.npz", arch="resnet18")
    assert teacher.classes == 5 and teacher.label_smoothing is teacher.size is None
    with pytest.raises(ValueError, match="has 5 classes, .* has 4.*train classifier --weights"):
        check_teacher(teacher, config, name="weights.npz")
    said = []
    asked = replace(config, arch="resnet18", width=None, weights=str(tmp_path / "weights.npz"))
    start: Any = starting_variables(asked, said.append)
    assert start["params"]["fc"]["kernel"].shape == (3, 4) and "starts anew" in said[0]
    given = variables["params"]["layer1.0"]["conv1"]["kernel"]
    assert_array_equal(start["params"]["layer1.0"]["conv1"]["kernel"], given)


def test_smoothing_of_labels_that_are_not_used_is_refused(config, teacher, tmp_path):
    asked = tiny(config.data, label_smoothing=0.1)
    with pytest.raises(ValueError, match="without hard_weight it learns from none"):
        distill(asked, tmp_path / "run", teacher)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_cached_and_recomputed_logits_teach_the_same_where_nothing_is_augmented(
    config, teacher, tmp_path, monkeypatch
):
    """A run that recomputes, on images that an augmentation leaves as they are."""
    from gan_forensics.distill import classifier_data

    asked = tiny(config.data, epochs=2, size=8)
    distill(asked, tmp_path / "cached", teacher, HOW, progress=False)
    monkeypatch.setattr(classifier_data, "crops_of", lambda config: None)
    recomputed = replace(asked, augment="imagenet", resize=8)
    distill(recomputed, tmp_path / "again", teacher, HOW, progress=False)
    facts = json.loads((tmp_path / "again" / "config.json").read_text())["distillation"]
    assert facts["teacher_logits"] == "recomputed"
    cached, again = (
        load_classifier(tmp_path / name, epoch="last").variables for name in ("cached", "again")
    )
    jax.tree.map(lambda a, b: assert_allclose(a, b, rtol=1e-4, atol=1e-5), cached, again)
    moved = jax.tree.map(
        lambda a, b: float(np.abs(a - b).max()), cached["params"],
        dict(random_variables(config, "small_cnn", 2, 0)["params"]),
    )  # fmt: skip
    assert max(jax.tree.leaves(moved)) > 1e-3


@pytest.mark.slow
def test_a_student_of_a_trained_teacher_on_flipped_images_loads_without_the_teacher(tmp_path):
    data = toy(tmp_path / "a.npz")
    train_classifier(tiny(data), tmp_path / "teacher", progress=False)
    run = tmp_path / "student"
    distill(tiny(data, augment="flip"), run, tmp_path / "teacher", progress=False)
    (tmp_path / "teacher" / "config.json").unlink()
    assert load_classifier(run).classes == CLASSES
    again = load_classifier(run, epoch="last")
    assert np.isfinite(again.logits(np.zeros((2, 8, 8, 1), np.uint8))).all()
