"""Every setting of a config reaches what it is a setting of."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

from gan_forensics.data.vocabulary import train_vocabulary
from gan_forensics.distill import (
    Classifier,
    Distillation,
    classifier_build,
    classifier_runs,
    distill,
    train_classifier,
    translator_runs,
)
from gan_forensics.distill.classifier_build import learner_of, random_variables
from gan_forensics.distill.translator import TranslatorConfig, make_network, translator_learner
from gan_forensics.distill.translator_fit import PairBatches
from gan_forensics.distill.translator_runs import Teaching, train_translator
from tests.small_classifiers import tiny, toy
from tests.test_distill_translator import CONFIG, LETTERS


class _StopHere(Exception):
    """Raised where a test has seen what it wanted."""


# --- classifiers --------------------------------------------------------------------------------

SETTINGS: dict[str, Any] = dict(
    learning_rate=0.3, weight_decay=0.5, decay_every=3, warm_up=2, precision="bfloat16",
    classes=4, size=8, channels=1,
)  # fmt: skip


def test_a_classifier_learns_at_the_rates_and_with_the_decay_of_its_config():
    (update,) = learner_of(tiny("npz:a.npz", **SETTINGS), 2, None).updates
    params, velocity = jnp.array([1.0]), 0.0
    state = update.optimizer.init(params)
    # Two steps an epoch: two epochs of growth, one at 0.3, then a tenth.
    for rate in (0.075, 0.15, 0.225, 0.3, 0.3, 0.3, 0.03, 0.03):
        velocity = 0.9 * velocity + 0.5 * float(params[0])
        changes, state = update.optimizer.update(jnp.zeros(1), state, params)
        assert_allclose(changes, -rate * velocity, rtol=1e-5)
        params = optax.apply_updates(params, changes)


@pytest.mark.parametrize("temper", [True, False])
def test_precision_and_the_reading_of_the_student_reach_its_move(temper, monkeypatch):
    seen: dict[str, Any] = {}

    def noted(arch, network, optimizer, *, temper_student):
        seen.update(network=network, temper=temper_student)
        return "update"

    monkeypatch.setattr(classifier_build, "classifier_update", noted)
    learner_of(tiny("npz:a.npz", **SETTINGS), 2, None, temper_student=temper)
    assert seen["network"].dtype == jnp.bfloat16 and seen["temper"] is temper


# --- translators --------------------------------------------------------------------------------


def test_a_translator_is_made_of_its_config():
    config = TranslatorConfig(
        layers=3, width=24, feed_forward=40, heads=6, dropout=0.45, precision="bfloat16"
    )
    network = make_network(config, 12)
    for name in ("layers", "width", "feed_forward", "heads", "dropout"):
        assert getattr(network, name) == getattr(config, name)
    assert network.vocabulary == 12 and network.dtype == jnp.bfloat16


def test_a_translator_learns_at_the_rates_of_its_config():
    config = replace(CONFIG, learning_rate=0.3, warm_up=4)
    (update,) = translator_learner(config, 12).updates
    params = jnp.array([1.0])
    state = update.optimizer.init(params)
    for rate in (1e-7, 0.075, 0.15):  # Adam's steps are as long as its rate where gradients agree.
        changes, state = update.optimizer.update(jnp.ones(1), state, params)
        assert_allclose(changes, -rate, rtol=1e-4)


def test_the_order_of_pairs_is_that_of_the_seed():
    words = [[4 + i % 7, 4 + i // 7] for i in range(40)]

    def first(seed):
        return next(PairBatches(replace(CONFIG, seed=seed), (words, words)))["source"]

    np.testing.assert_array_equal(first(3), first(3))
    assert (first(3) != first(4)).any()


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """What training and the vocabulary are asked for; nothing is trained."""
    (tmp_path / "a.txt").write_text("".join(f"{a}{b} {b}\n" for a in LETTERS for b in LETTERS) * 4)
    seen: dict[str, Any] = {}

    def fit(learner, batches, **options):
        seen.update(options)
        raise _StopHere

    def learnt(sentences, *, size, kind):
        seen.update(size=size, kind=kind)
        return train_vocabulary(sentences, size=size, kind=kind)

    monkeypatch.setattr(translator_runs, "fit", fit)
    monkeypatch.setattr(translator_runs, "train_vocabulary", learnt)

    def train(**options):
        data = f"pair:{tmp_path / 'a.txt'},{tmp_path / 'a.txt'}"
        with pytest.raises(_StopHere):
            train_translator(
                replace(CONFIG, seed=5), tmp_path / "run", data=data, steps=40, **options
            )
        return seen

    return train


def test_how_long_and_how_often_reach_training_and_size_and_kind_the_vocabulary(asked):
    seen = asked(vocabulary_size=16, pieces="bpe", evaluate_every=7, patience=3)
    assert (seen["cadence"].steps, seen["cadence"].evaluate_every) == (40, 7)
    assert seen["plateau"].stop_after == 3 and seen["seed"] == 5
    assert (seen["size"], seen["kind"]) == (16, "bpe")


def test_a_student_asks_its_teacher_for_as_many_logits_as_it_was_told(asked, monkeypatch):
    from gan_forensics.distill.translator import Translator

    vocabulary = train_vocabulary([2 * LETTERS], size=12, kind="char")
    params = translator_learner(CONFIG, len(vocabulary)).start(0).params["translator"]
    teacher = Translator(CONFIG, vocabulary, {"params": params})
    monkeypatch.setattr(translator_runs, "load_translator", lambda run: teacher)
    ks = []

    def largest(translator, source, target, *, k):
        ks.append(k)
        raise _StopHere

    monkeypatch.setattr(translator_runs, "teacher_top_logits", largest)
    asked(teaching=Teaching(Path("runs/teacher"), top_k=3))
    assert ks == [3]


# --- classifiers in run folders -----------------------------------------------------------------


def test_flips_the_choice_of_the_epoch_and_the_student_s_reading_reach_training(
    tmp_path, monkeypatch
):
    seen: dict[str, Any] = {}

    def noted(name, keep):
        original = getattr(classifier_runs, name)

        def called(*arguments, **options):
            seen.update({key: options[key] for key in keep})
            return original(*arguments, **options)

        monkeypatch.setattr(classifier_runs, name, called)

    def fit(learner, batches, **options):
        seen.update(best=options["best"], seed=options["seed"])
        raise _StopHere

    noted("process_batches", ["flip", "batch_size"])
    noted("learner_of", ["temper_student"])
    monkeypatch.setattr(classifier_runs, "fit", fit)
    config = tiny(toy(tmp_path / "a.npz"), augment="flip", select_on="test", seed=3)
    with pytest.raises(_StopHere):
        train_classifier(config, tmp_path / "plain")
    flipped = dict(flip=True, batch_size=16, best="test/error", seed=3)
    assert seen == {**flipped, "temper_student": True}

    filled = replace(config, classes=4, size=8, channels=1)
    teacher = Classifier(
        "small_cnn", 4, random_variables(filled, "small_cnn", 2, 0), width=2, size=8, channels=1
    )
    with pytest.raises(_StopHere):
        distill(config, tmp_path / "taught", teacher, Distillation(untempered_student=True))
    assert seen == {**flipped, "temper_student": False}
