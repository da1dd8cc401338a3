"""Translators: their move, training in memory, teachers' logits, and translating lines."""

from dataclasses import replace
from typing import Any

import flax.linen as nn
import jax
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data.vocabulary import END, train_vocabulary
from gan_forensics.distill import translator_fit
from gan_forensics.distill.translate import translate_lines
from gan_forensics.distill.translator import (
    Translator,
    TranslatorConfig,
    check_config,
    check_same_vocabulary,
    inverse_root_schedule,
    translator_learner,
    translator_update,
)
from gan_forensics.distill.translator_fit import (
    Evaluation,
    _compiled_step,
    fit_translator,
    teacher_top_logits,
)
from gan_forensics.train import NonFiniteLossError

CONFIG = TranslatorConfig(
    layers=1, width=16, feed_forward=32, heads=2, dropout=0.0, tokens=128, longest=8, warm_up=40,
    learning_rate=0.02,
)  # fmt: skip
LETTERS = "abcdef"


@pytest.fixture(scope="module")
def vocabulary():
    """The special pieces, the blank and six letters."""
    return train_vocabulary([2 * LETTERS], size=12, kind="char")


@pytest.fixture(scope="module")
def pairs(vocabulary):
    """Words of up to five letters, to be written with every letter replaced by the next one."""
    rng = np.random.default_rng(0)
    words = ["".join(rng.choice([*LETTERS], rng.integers(1, 6))) for _ in range(200)]
    turned = [word.translate(str.maketrans(LETTERS, "bcdefa")) for word in words]
    encoded = [[vocabulary.encode(word) for word in side] for side in (words, turned)]
    return words, turned, tuple(encoded)


def part(pairs, chosen):
    return tuple(side[chosen] for side in pairs[2])


@pytest.fixture(scope="module")
def untrained(vocabulary):
    """A translator of random weights."""
    params = translator_learner(CONFIG, len(vocabulary)).start(0).params["translator"]
    return Translator(CONFIG, vocabulary, {"params": params})


# --- the move -----------------------------------------------------------------------------------


class Logits(nn.Module):
    """Logits that do not depend on anything."""

    @nn.compact
    def __call__(self, source, target, *, train):
        return self.param("logits", nn.initializers.normal(), (*target.shape, 11))


def test_the_loss_is_a_mean_over_tokens_that_padding_has_no_part_in(pairs):
    update = translator_update(Logits(), optax.sgd(1.0))  # pyright: ignore
    rng = np.random.default_rng(3)
    ids = np.zeros((8, 8), np.int32)
    for row, word in zip(ids[:5], pairs[2][0], strict=False):
        row[: len(word) + 1] = [*word, END]
    ends = (0, 0.3), (0, 1), (1, 9)
    alpha, weight, t = (np.linspace(*both, 8, dtype=np.float32) for both in ends)
    batch = dict(
        source=ids, target=ids, alpha=alpha, soft_weight=weight, temperature=t,
        top_index=rng.integers(0, 11, (8, 8, 3)).astype(np.int32),
        top_logit=rng.normal(size=(8, 8, 3)).astype(np.float32),
    )  # fmt: skip
    logits = rng.normal(size=(8, 8, 11)).astype(np.float32)
    params = {"translator": {"logits": logits}}
    arguments: Any = (params, {}, {"translator": {}}, batch, jax.random.key(0), 0)
    value, aux = update.loss(*arguments)
    total: Any = 0.0
    nll: Any = 0.0
    count = 0
    for row in range(5):
        for place in np.flatnonzero(ids[row]):
            s = logits[row, place].astype(np.float64)
            log_p, log_pt = (x - np.log(np.exp(x).sum()) for x in (s, s / t[row]))
            q = np.exp(batch["top_logit"][row, place] / t[row])
            soft = -(q / q.sum() * log_pt[batch["top_index"][row, place]]).sum()
            hard = -(1 - alpha[row]) * log_p[ids[row, place]] - alpha[row] * log_p.mean()
            total += weight[row] * t[row] ** 2 * soft + (1 - weight[row]) * hard
            nll -= log_p[ids[row, place]]
            count += 1
    assert_allclose([value, aux.metrics["nll"]], [total / count, nll / count], rtol=1e-5)


def test_the_rate_grows_over_the_warm_up_and_falls_as_the_inverse_root():
    schedule = inverse_root_schedule(5e-4, 4000)
    rates = [np.asarray(schedule(step)) for step in (0, 1000, 4000, 16000)]
    assert_allclose(rates, [1e-7, 1e-7 + 0.25 * (5e-4 - 1e-7), 5e-4, 2.5e-4], rtol=1e-5)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (dict(label_smoothing=1.0), "label_smoothing must be 0 or more and below 1, got 1.0"),
        (dict(label_smoothing=-0.1), "label_smoothing must be 0 or more and below 1"),
        (dict(label_smoothing=float("nan")), "label_smoothing must be 0 or more and below 1"),
        (dict(temperature=0.0), "temperature must be positive and finite, got 0.0"),
        (dict(temperature=float("inf")), "temperature must be positive"),
        (dict(hard_weight=1.5), "hard_weight must lie between 0 and 1"),
        (dict(dropout=1.0), "dropout must be 0 or more and below 1"),
        (dict(learning_rate=0.0), "learning_rate must be positive"),
        (dict(width=18, heads=4), "width 18 must be even and a multiple of heads, 4"),
        (dict(layers=0), "layers must be at least 1, got 0"),
        (dict(longest=1), "longest must be at least 2, got 1"),
        (dict(longest=2000), "longest must be at most 1024"),
        (dict(precision="float8"), "unknown precision"),
    ],
)
def test_configs_that_cannot_be_are_refused(changed, says):
    with pytest.raises(ValueError, match=says):
        check_config(replace(CONFIG, **changed))


# --- training in memory -------------------------------------------------------------------------


def grid(train, vocabulary, top):
    """Fit students that differ in all that a study varies; what each was told, or lost."""
    found = []
    for alpha, temperature, hard, seed in ((0, 1, 0.1, 0), (0.1, 3, 0.1, 0), (0.1, 64, 0.5, 1)):
        config = replace(
            CONFIG, label_smoothing=alpha, temperature=temperature, hard_weight=hard, seed=seed
        )
        fitted = fit_translator(
            config, vocabulary, train, train, steps=2, evaluate_every=2, top=top
        )
        found.append(fitted.history[0]["loss"])
    return found


@pytest.fixture
def without_networks(monkeypatch):
    """Steps that note their batches and evaluations that say what they are told to."""
    batches, values, seen = [], [], []

    def step(state, batch, key):
        batches.append({name: x[0] for name, x in batch.items()})
        params = jax.tree.map(lambda x: x + 1, state.params)
        loss = batch["alpha"].mean() + len(batches)
        return state.replace(params=params), {"translator/loss": loss}

    def evaluation(variables):
        seen.append(jax.device_get(variables))
        return {"validation/nll": values.pop(0) if values else 1.0, "validation/accuracy": 0.0}

    monkeypatch.setattr(translator_fit, "_compiled_step", lambda _: step)
    monkeypatch.setattr(translator_fit, "Evaluation", lambda *_: evaluation)
    return batches, values, seen


def test_a_grid_differs_in_numbers_alone_that_a_step_is_given(vocabulary, pairs, without_networks):
    train = part(pairs, slice(16))
    top = {
        name: [np.full((len(ids) + 1, 4), 5, kind) for ids in train[1]]
        for name, kind in (("top_index", np.int32), ("top_logit", np.float32))
    }
    grid(train, vocabulary, top)
    batches = without_networks[0]
    kinds = {str(jax.tree.map(lambda x: (x.shape, x.dtype), batch)) for batch in batches}
    assert len(kinds) == 1 and len(batches) == 6
    told = [(b["alpha"][0], b["temperature"][0], b["soft_weight"][0]) for b in batches[::2]]
    assert_allclose(told, [(0, 1, 0.9), (0.1, 3, 0.9), (0.1, 64, 0.5)], rtol=1e-6)
    grid(train, vocabulary, None)
    assert sorted(batches[-1]) == ["alpha", "source", "target"]


def test_training_stops_when_validation_stays_and_keeps_what_was_best(
    vocabulary, pairs, without_networks
):
    _, values, seen = without_networks
    train = part(pairs, slice(16))
    values[:] = [3.0, 2.0, 2.5, 2.0, 1.0]
    found = fit_translator(CONFIG, vocabulary, train, train, steps=9, evaluate_every=1, patience=2)
    assert found.steps == 4 and [h["step"] for h in found.history] == [1, 2, 3, 4]
    assert [h["loss"] for h in found.history] == [1, 2, 3, 4]
    jax.tree.map(assert_array_equal, found.translator.variables, seen[1])
    values[:] = [float("nan")]
    with pytest.raises(NonFiniteLossError, match="no evaluation was finite"):
        fit_translator(CONFIG, vocabulary, train, train, steps=1, evaluate_every=1)


@pytest.mark.slow
def test_a_translator_learns_and_its_grid_of_students_shares_one_compilation(vocabulary, pairs):
    train, held_out = part(pairs, slice(160)), part(pairs, slice(160, None))
    fitted = fit_translator(CONFIG, vocabulary, train, held_out, steps=240, evaluate_every=60)
    nll = [line["validation/nll"] for line in fitted.history]
    assert nll[-1] < 0.5 * nll[0] < 0.5 * np.log(11)
    lines, answers = pairs[0][160:], pairs[1][160:]
    found = translate_lines(fitted.translator, lines, longest=8)
    assert sum(f[0][0] == t for f, t in zip(found, answers, strict=True)) > 25
    (update,) = translator_learner(CONFIG, len(vocabulary)).updates
    step = _compiled_step(update)
    assert step._cache_size() == 1  # All pairs are padded to 8 tokens.
    losses = grid(train, vocabulary, teacher_top_logits(fitted.translator, *train, k=4))
    assert step._cache_size() == 2  # The teacher's logits are further arrays.
    assert len(set(losses)) == 3
    grid(train, vocabulary, None)
    assert step._cache_size() == 2


def test_the_teachers_largest_logits_are_its_own_and_in_the_order_of_the_pairs(
    untrained, vocabulary, pairs
):
    """All of them, put back in their places, give what an evaluation finds."""
    source, target = part(pairs, slice(20))
    top = teacher_top_logits(untrained, source, target, k=11)
    nll = []
    for ids, index, logit in zip(target, top["top_index"], top["top_logit"], strict=True):
        assert index.shape == logit.shape == (len(ids) + 1, 11)
        assert (np.diff(logit) <= 0).all()
        whole = np.take_along_axis(logit, np.argsort(index), -1)
        assert (np.sort(index) == np.arange(11)).all()
        nll += list(np.log(np.exp(whole).sum(-1)) - whole[np.arange(len(whole)), [*ids, END]])
    found = Evaluation(CONFIG, vocabulary, (source, target))(untrained.variables)
    assert_allclose(np.mean(nll), found["validation/nll"], rtol=1e-5)
    # A student of T is read at T: as one at 1 whose logits are T times smaller.
    tempered = Evaluation(replace(CONFIG, temperature=3.0), vocabulary, (source, target))
    again = tempered(untrained.variables)
    assert again["validation/accuracy"] == found["validation/accuracy"]
    assert abs(again["validation/nll"] - found["validation/nll"]) > 1e-3
    flat = replace(CONFIG, temperature=1e6)
    uniform = Evaluation(flat, vocabulary, (source, target))(untrained.variables)
    assert_allclose(uniform["validation/nll"], np.log(len(vocabulary)), rtol=1e-4)


def test_what_does_not_belong_together_is_refused(untrained, vocabulary, pairs):
    train, other = part(pairs, slice(16)), train_vocabulary([4 * "xyz"], size=9, kind="char")
    with pytest.raises(ValueError, match="of 11 pieces, is not the student's, of 8: its logits"):
        check_same_vocabulary(untrained, other)
    check_same_vocabulary(untrained, vocabulary)
    with pytest.raises(ValueError, match="has the token .*, and the vocabulary 8: was it encoded"):
        fit_translator(CONFIG, other, train, train, steps=1, evaluate_every=1)
    with pytest.raises(ValueError, match="has the token .*, and the vocabulary 11"):
        teacher_top_logits(untrained, [[11]], [[4]], k=1)
    with pytest.raises(ValueError, match="k must be 1 to 11, the pieces of the vocabulary"):
        teacher_top_logits(untrained, *train, k=12)
    with pytest.raises(ValueError, match="got 0, 1 and 0"):
        fit_translator(CONFIG, vocabulary, train, train, steps=0, evaluate_every=1)
    with pytest.raises(ValueError, match="every list must have an entry for each pair"):
        fit_translator(
            CONFIG, vocabulary, (train[0], train[1][1:]), train, steps=1, evaluate_every=1
        )


# --- translating --------------------------------------------------------------------------------


def same_translations(found, others):
    for one, other in zip(found, others, strict=True):
        assert [text for text, _ in one] == [text for text, _ in other]
        assert_allclose([s for _, s in one], [s for _, s in other], atol=1e-5)


ASKED: dict[str, Any] = dict(beam=2, n_best=2, longest=8)


def test_lines_come_back_in_order_and_blank_ones_blank(untrained, pairs):
    lines = ["", *pairs[0][160:180], " \t"]
    found = translate_lines(untrained, lines, batch_size=8, **ASKED)
    assert len(found) == len(lines)
    assert found[0] == found[21] == [("", 0.0)]
    for hypotheses in found[1:21]:
        assert len(hypotheses) == 2 and 0 > hypotheses[0][1] >= hypotheses[1][1]
    # The order of the lines and who their neighbours are do not matter.
    back = translate_lines(untrained, lines[::-1], batch_size=8, **ASKED)[::-1]
    same_translations(found, back)
    alone = translate_lines(untrained, lines[7:8], batch_size=8, **ASKED)
    same_translations(found[7:8], alone)


@pytest.mark.slow
def test_translations_do_not_depend_on_the_batch_size(untrained, pairs):
    lines = [*pairs[0][160:180], "abcdefabcd"]
    found = translate_lines(untrained, lines, batch_size=8, **ASKED)
    same_translations(found, translate_lines(untrained, lines, batch_size=3, **ASKED))


def test_translations_stay_in_their_line(untrained):
    class Hostile:
        model = b""

        def __len__(self):
            return 11

        def encode(self, text):
            return [5]

        def decode(self, ids):
            return "a\nb\t\x1b[0m\u2028c"

    hostile = Translator(CONFIG, Hostile(), untrained.variables)  # pyright: ignore
    found = translate_lines(hostile, ["a"], batch_size=8, **ASKED)
    assert found[0][0][0] == "a b  [0m c"


def test_lines_and_searches_that_cannot_be_are_refused(untrained):
    with pytest.raises(ValueError, match="line 2 has 1201 tokens, and at most 1023 can be"):
        translate_lines(untrained, ["a", "a" * 1200])
    refused: tuple[tuple[dict[str, Any], str], ...] = (
        (dict(n_best=5), "a beam of 4 keeps 4 hypotheses, and 5 are asked for"),
        (dict(length_penalty=-1.0), "length_penalty must be 0 or more, got -1.0"),
        (dict(batch_size=0), "batch_size must be at least 1"),
    )
    for settings, says in refused:
        with pytest.raises(ValueError, match=says):
            translate_lines(untrained, ["a"], **settings)
