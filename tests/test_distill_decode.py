"""Beam search on a model that is a table, against every sequence there is."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data.vocabulary import BEGIN, END, PAD
from gan_forensics.distill.decode import beam_search

TOKENS, LONGEST, ROWS = 6, 4, 3
OTHERS = [t for t in range(TOKENS) if t not in (PAD, BEGIN, END)]
# 1 + 3 + 9 + 27 sequences of the three tokens that are not special, each with END.
EVERY = 40
CODE = np.array([1, 7, 49, 3])


@pytest.fixture(scope="module")
def tables():
    """Logits of the next token by row, place and a number made of all tokens before."""
    rng = np.random.default_rng(5)
    return (1.5 * rng.normal(size=(ROWS, LONGEST, 5, TOKENS))).astype(np.float32)


@pytest.fixture(scope="module")
def search(tables):
    """The compiled searches by their beam: (penalty, wanted rows) are traced."""

    def step(cache, token, place):
        # The cache holds the tokens themselves: what is likely depends on all of them.
        cache = cache.at[:, :, place].set(token)
        rows = jnp.arange(ROWS)[:, None]
        return jnp.asarray(tables)[rows, place, cache @ CODE % 5], cache

    def of(beam, n_best):
        @jax.jit
        def search(penalty, wanted):
            cache = jnp.zeros((ROWS, beam, LONGEST), jnp.int32)
            return beam_search(
                step, cache, wanted, beam=beam, longest=LONGEST, n_best=n_best,
                length_penalty=penalty,
            )  # fmt: skip

        def found(penalty, wanted=(True,) * ROWS):
            return jax.device_get(search(penalty, np.array(wanted)))

        return found

    return {1: of(1, 1), EVERY: of(EVERY, 5)}


def log_p(table, before):
    """Log probabilities of what follows the tokens `before`."""
    cache = np.zeros(LONGEST, int)
    cache[: len(before)] = before
    x = table[len(before) - 1, cache @ CODE % 5].astype(np.float64)
    return x - np.log(np.exp(x).sum())


def score(table, sequence, penalty):
    """Of one sequence that ends in END, token by token."""
    whole = (BEGIN, *sequence)
    total = sum(log_p(table, whole[:n])[whole[n]] for n in range(1, len(whole)))
    return total / len(sequence) ** penalty


def filled(tokens):
    return [*tokens, *[PAD] * (LONGEST - len(tokens))]


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_beam_as_large_as_the_world_finds_the_best_sequences_there_are(search, tables, penalty):
    tokens, scores = search[EVERY](penalty)
    world = [(*s, END) for n in range(LONGEST) for s in itertools.product(OTHERS, repeat=n)]
    assert len(world) == EVERY
    for row in range(ROWS):
        best = sorted(((score(tables[row], s, penalty), s) for s in world), reverse=True)[:5]
        assert tokens[row].tolist() == [filled(s) for _, s in best]
        assert_allclose(scores[row], [value for value, _ in best], rtol=1e-5)


@pytest.mark.parametrize("penalty", [0.0, 1.0])
def test_a_beam_of_one_is_greedy(search, tables, penalty):
    tokens, scores = search[1](penalty)
    for row in range(ROWS):
        greedy = [BEGIN]
        while greedy[-1] != END:
            likely = log_p(tables[row], greedy)
            allowed = [END, *OTHERS] if len(greedy) < LONGEST else [END]
            greedy.append(max(allowed, key=lambda t: likely[t]))
        assert tokens[row, 0].tolist() == filled(greedy[1:])
        assert_allclose(scores[row, 0], score(tables[row], greedy[1:], penalty), rtol=1e-5)


def test_penalties_decide_between_short_and_long(search):
    short, middle, long = ((search[EVERY](p).tokens != PAD).sum(-1).mean() for p in (0.0, 1.0, 3.0))
    assert short < middle < long


def test_rows_do_not_see_each_other_and_those_not_wanted_stay_empty(search):
    whole, part = search[EVERY](1.0), search[EVERY](1.0, (True, False, False))
    assert_array_equal(part.tokens[0], whole.tokens[0])
    assert_array_equal(part.score[0], whole.score[0])
    assert (part.tokens[1:] == PAD).all() and (part.score[1:] < -1e8).all()


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (dict(beam=0), "beam must be at least 1, got 0"),
        (dict(beam=2, n_best=3), "3 are asked for: give a beam of 3 or more"),
        (dict(beam=2, longest=0), "longest must be at least 1"),
    ],
)
def test_searches_that_cannot_be_are_refused(settings, says):
    asked: Any = {"longest": 3, **settings}
    with pytest.raises(ValueError, match=says):
        beam_search(lambda *_: asked, None, jnp.ones(1, bool), **asked)


def test_a_step_sorts_no_vocabulary():
    def search(logits):
        wanted = jnp.ones(2, bool)
        return beam_search(lambda c, t, p: (logits, c), (), wanted, beam=2, longest=3)

    compiled = jax.jit(search).lower(jnp.zeros((2, 2, 64))).compile().as_text()
    assert " sort(" not in compiled, "XLA no longer knows a top k, see _largest"
