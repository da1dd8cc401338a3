"""The label-smoothing experiment: the toy, Fashion-MNIST, published numbers, and a small run."""

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.distill import Classifier
from gan_forensics.distill.classifier_build import learner_of
from gan_forensics.experiments import label_smoothing_distillation
from gan_forensics.experiments import label_smoothing_distillation_fashion as fashion
from gan_forensics.experiments import label_smoothing_distillation_published as published
from gan_forensics.experiments.label_smoothing_distillation import PRESETS, run
from gan_forensics.experiments.label_smoothing_distillation_fashion import (
    SIMILAR,
    Fashion,
    drawn_images,
)
from gan_forensics.experiments.label_smoothing_distillation_published import (
    RECIPES,
    STUDENTS,
    TEACHERS,
    Published,
    published_section,
)
from gan_forensics.experiments.label_smoothing_distillation_toy import (
    CLASSES,
    HIERARCHY,
    TOY_TRIO,
    Toy,
    drawn,
    toy_recipe,
)
from gan_forensics.report import Table
from gan_forensics.studies.distillation_fit import Examples
from gan_forensics.train import make_step

ABSENT = Path("no such folder")


def test_the_toy_has_the_groups_and_spreads_of_its_recipe():
    task = drawn(3)
    assert [len(part.label) for part in (task.train, task.validation, task.test)] == [
        4000,
        2000,
        2000,
    ]
    assert_array_equal(np.bincount(task.train.label), np.full(CLASSES, 40))
    z = task.train.image[:, :32].astype(float)
    means = np.stack([z[task.train.label == k].mean(0) for k in range(CLASSES)])
    noise = (z - means[task.train.label]).std() * np.sqrt(40 / 39)
    groups = means.reshape(20, 5, 32)
    offsets = np.sqrt(groups.var(1, ddof=1).mean() - noise**2 / 40)
    centres = np.sqrt(groups.mean(1).var(0, ddof=1).mean() - offsets**2 / 5)
    assert_allclose([centres, offsets, noise], [0.778, 0.212, 0.354], rtol=0.06)
    turn, *_ = np.linalg.lstsq(2 * z, np.arctanh(np.clip(task.train.image[:, 32:], -0.999, 0.999)))
    assert turn.shape == (32, 32) and np.abs(turn.std() - 32**-0.5) < 0.05
    assert (drawn(4).train.image != task.train.image).any()
    assert HIERARCHY[1] == (5, 6, 7, 8, 9) and TOY_TRIO == (0, 1, 5)


def test_the_toy_is_trained_as_its_recipe_says():
    settings = PRESETS["cpu"][1].toy
    recipe = toy_recipe(settings, settings.student_epochs)
    assert (settings.teacher, settings.student) == ((256, 256), (64,))
    assert (settings.teacher_epochs, settings.student_epochs) == (30, 40)
    assert (recipe.steps, recipe.looks) == (40 * 31, 10)
    found = recipe.learning_rate, recipe.decays, recipe.momentum, recipe.weight_decay
    assert found == (0.05, (0.4, 0.8), 0.9, 1e-4)
    assert settings.temperatures == (1, 2, 3, 64) and len(settings.seeds) == 6


def test_fashion_is_what_was_fixed_before_its_results():
    settings = PRESETS["cpu"][1].fashion
    assert settings.images == (1000, 10_000) and len(settings.seeds) == 5
    assert SIMILAR == (0, 2, 3, 4, 6)
    assert settings.temperatures == (1, 2, 3, 64) and settings.alpha == 0.1
    assert settings.select == ("last", "validation")


@pytest.fixture
def stand_in(monkeypatch):
    """Images whose pixels are the number of the image, in place of those of the source."""

    def part(name, size, split):
        assert name == "samples:mnist5k"
        number = np.arange({"train": 3700, "test": 1300}[split])
        return Examples(number[:, None] + (split == "test") / 2, number % 10)

    monkeypatch.setattr(fashion, "_part", part)
    return Fashion(data=ABSENT, images=(100, 10_000))


def test_digits_stand_in_aloud_where_fashion_is_absent(stand_in):
    name, note = fashion.source_of(stand_in)
    assert name == "samples:mnist5k" and "MNIST-5k stands in" in note
    assert fashion.sizes_of(stand_in) == [100]
    preset = replace(PRESETS["cpu"][1], fashion=stand_in, parts=("fashion",))
    notes = label_smoothing_distillation._notes(preset)
    assert [note, "Left out, since there are fewer: 10000 images."] == notes
    with pytest.raises(ValueError, match="ask for fewer than 10000"):
        fashion.sizes_of(replace(stand_in, images=(10_000,)))


def test_images_that_train_choose_and_test_are_different_ones(stand_in):
    task = drawn_images(stand_in, 1700, seed=0)
    parts = [set(part.image.ravel()) for part in (task.train, task.validation, task.test)]
    assert [len(part) for part in parts] == [1700, 2000, 1300]
    assert len(set.union(*parts)) == 5000
    assert set(drawn_images(stand_in, 1700, seed=1).train.image.ravel()) != parts[0]
    # Fewer images of a seed are some of its many, and the same choose.
    few = drawn_images(stand_in, 100, seed=0)
    assert set(few.train.image.ravel()) < parts[0]
    assert set(few.validation.image.ravel()) == parts[1]


def test_published_tables_read_as_is_said_of_them():
    """Smoothed teachers' columns fall; hard ones' rise at two places; T = 1 is better smoothed."""
    rises = []
    for name, (hard, smoothed) in STUDENTS.items():
        assert all(a > b for a, b in pairwise(smoothed))
        assert smoothed[0] > hard[0]
        rises += [name] * any(a > hard[0] for a in hard[1:])
    assert rises == [("cub", "resnet18"), ("cub", "mobilenet_v2")]
    wins = {
        name: [t for t, a, b in zip((1, 2, 3, 64), *cells, strict=True) if b > a]
        for name, cells in STUDENTS.items()
    }
    assert wins["imagenet", "resnet50"] == [1, 3, 64] and wins["cub", "resnet50"] == [1, 2, 3]
    hard, smoothed = STUDENTS["cub", "mobilenet_v2"]
    assert max(*hard, *smoothed) == hard[1]
    assert all(smoothed > hard for hard, smoothed in TEACHERS.values())
    assert STUDENTS["imagenet", "resnet18"][1] == (71.666, 68.860, 67.752, 64.362)
    tables = [block for block in published_section().blocks if isinstance(block, Table)]
    assert len(tables[0].rows) == 10 and len(tables[1].rows) == len(RECIPES)


def test_the_published_recipes_are_run_as_they_are_written(tmp_path, monkeypatch):
    """Every teacher once, its students at each T; of CUB's, what they start from."""
    seen = {}

    def trained(config, run, teacher=None, how=None, *, say, resume):
        seen[run.name] = config, teacher, how
        return {"test": [{"top_1": 0.5}, {"top_1": 0.6}]}

    monkeypatch.setattr(published, "train_classifier", trained)
    monkeypatch.setattr(published, "distill", trained)
    with pytest.raises(ValueError, match="--published.weights"):
        published.reproduce(Published(), tmp_path)
    assert not seen
    rows = published.reproduce(Published(weights=Path("w"), temperatures=(1, 64)), tmp_path)
    assert len(rows) == len(seen) == 2 * 2 * (1 + 3 * 2)
    teacher, _, _ = seen["cub-teacher-alpha0.1"]
    assert teacher.weights == str(tmp_path / "published" / "imagenet-teacher-alpha0.1")
    assert (teacher.epochs, teacher.learning_rate, teacher.weight_decay) == (90, 0.01, 1e-4)
    assert (teacher.augment, teacher.label_smoothing, teacher.arch) == ("cub", 0.1, "resnet50")
    student, taught_by, how = seen["cub-mobilenet_v2-alpha0.1-T64"]
    assert taught_by == tmp_path / "published" / "cub-teacher-alpha0.1" and how.temperature == 64
    assert (student.weights, student.weight_decay) == ("w/mobilenet_v2.pth", 1e-3)
    assert (student.epochs, student.warm_up, student.label_smoothing) == (200, 0, 0.0)
    student, _, _ = seen["imagenet-resnet18-alpha0-T1"]
    found = student.learning_rate, student.warm_up, student.weight_decay, student.augment
    assert found == (0.1, 5, 1e-4, "imagenet") and student.select_on == "test"
    *_, ours = (block for block in published_section(rows).blocks if isinstance(block, Table))
    assert ours.rows[0] == ["imagenet", "teacher", 0.0, None, 50.0, 60.0]


def test_no_parts_are_refused():
    with pytest.raises(ValueError, match="toy, fashion, published"):
        run(replace(PRESETS["smoke"][1], parts=()))


# The rest trains: marked slow.


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("distillation") / "run"
    return out, run(replace(PRESETS["smoke"][1], out=out))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "arch"), [(name, arch) for name in RECIPES for arch in ("", *RECIPES[name].students)]
)
def test_a_step_of_every_published_recipe_fits_together(name, arch):
    """By shapes alone: at full size, the teacher beside the student."""
    settings, filled = Published(weights=Path("w")), {"channels": 3, "weights": None}
    filled["classes"] = 1000 if name == "imagenet" else 200
    config = published.student_config(name, arch or "resnet18", settings)
    if not arch:
        config = published.teacher_config(name, 0.1, settings, Path())
    config = replace(config, **filled, decay_every=80, warm_up=config.warm_up or 0)
    teacher = Classifier("resnet50", filled["classes"], {}) if arch else None
    learner = learner_of(config, 100, teacher)
    state = jax.eval_shape(lambda: learner.start(0))
    shape = jax.ShapeDtypeStruct
    batch = {
        "image": shape((1, config.batch_size, 224, 224, 3), np.float32),
        "label": shape((1, config.batch_size), np.int32),
    }
    numbers = ("alpha", "temperature", "soft_weight") if arch else ("alpha",)
    batch |= {name: shape((1, config.batch_size), np.float32) for name in numbers}
    key = jax.eval_shape(lambda: jax.random.key(0))
    after, metrics = jax.eval_shape(make_step(learner.updates), state, batch, key)
    before, then = (jax.tree.map(lambda x: (x.shape, x.dtype), tree) for tree in (state, after))
    assert before == then and metrics["classifier/loss"].shape == ()


@pytest.mark.slow
def test_the_smoke_run_leaves_results_and_a_page(smoke):
    out, results = smoke
    assert json.loads((out / "results.json").read_text()) == json.loads(json.dumps(results))
    assert [seed["seed"] for seed in results["tasks"]["Toy"]] == [0, 1]
    page = (out / "report.html").read_text()
    for said in ("Rule of thumb", "equal T", "equal effective temperature", "Diffusion index"):
        assert said in page
    assert "computed once for each teacher" in page


@pytest.mark.slow
def test_what_is_finished_is_not_trained_again(smoke, monkeypatch):
    out, results = smoke
    monkeypatch.setattr(label_smoothing_distillation, "followed_toy", lambda *arguments: None)
    again = run(replace(PRESETS["smoke"][1], out=out))
    assert again["tasks"] == json.loads(json.dumps(results["tasks"]))


@pytest.mark.slow
def test_the_toy_shows_the_published_direction_and_not_at_equal_effective_temperature():
    """As measured on six seeds; here three, and the effect is ten deviations away from 0."""
    from gan_forensics.experiments.label_smoothing_distillation_toy import followed_toy
    from gan_forensics.studies.distillation import HARD, MATCHED
    from gan_forensics.studies.distillation_verdicts import steeper

    settings = Toy(seeds=(0, 1, 2), temperatures=(1, 3))
    seeds = [followed_toy(settings, seed) for seed in settings.seeds]
    assert steeper(seeds, HARD, "3").low > 1.5
    assert abs(steeper(seeds, MATCHED, "3").mean) < 1.5


@pytest.mark.slow
def test_fashion_runs_on_digits_that_stand_in(tmp_path):
    small = Fashion(data=ABSENT, images=(200,), seeds=(0,), size=14, steps=20, validation=500)
    experiment = replace(PRESETS["cpu"][1], out=tmp_path, parts=("fashion",), fashion=small)
    results = run(replace(experiment, processes=1))
    assert list(results["tasks"]) == ["MNIST-5k, 200 images"]
    assert "MNIST-5k stands in" in results["finding"]
