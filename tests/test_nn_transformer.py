"""The Transformer against the equations in NumPy, and what must not change its output."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data import vocabulary
from gan_forensics.nn import transformer
from gan_forensics.nn.initial import initial_variables
from gan_forensics.nn.transformer import Transformer

NETWORK = Transformer(12, layers=1, width=16, feed_forward=24, heads=2, dropout=0.1)
S, T = 5, 6
IDS = jax.ShapeDtypeStruct((1, T), np.dtype("int32"))


@pytest.fixture(scope="module")
def variables():
    """Random weights, biases and norms among them."""
    start = initial_variables(NETWORK, jax.random.key(0), IDS, IDS, train=False)
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda x: (x + 0.3 * rng.normal(size=x.shape)).astype(np.float32), start)


@pytest.fixture(scope="module")
def forward():
    return jax.jit(lambda variables, s, t: NETWORK.apply(variables, s, t, train=False))


@pytest.fixture(scope="module")
def sentences():
    """Two rows, the first shorter in source and target, and three that vary the second's target."""
    rng = np.random.default_rng(2)
    source, target = rng.integers(3, 12, (2, S)), rng.integers(3, 12, (2, T))
    source[0, 3:], target[0, 4:] = 0, 0
    changed = target[[1] * T].copy()
    changed[np.arange(T), np.arange(T)] = 3 + (changed[np.arange(T), np.arange(T)] - 2) % 9
    return np.concatenate([source, source[[1] * T]]), np.concatenate([target, changed])


def norm(x, p):
    x = x - x.mean(-1, keepdims=True)
    return (
        x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * p["norm"]["scale"] + p["norm"]["bias"]
    )


def attention(p, x, y, mask):
    """The places of x [t, d] look at those of y [s, d] where mask [t, s] lets them, by heads."""

    def linear(name, z):
        return z @ p[name]["kernel"] + p[name]["bias"]

    q, k, v = linear("query", x), linear("key", y), linear("value", y)
    heads = []
    for h in range(2):
        part = slice(8 * h, 8 * h + 8)
        weights = np.exp(q[:, part] @ k[:, part].T / np.sqrt(8)) * mask
        heads.append(weights / weights.sum(1, keepdims=True) @ v[:, part])
    return linear("out", np.concatenate(heads, 1))


def perceptron(p, x):
    hidden = np.maximum(x @ p["hidden"]["kernel"] + p["hidden"]["bias"], 0)
    return hidden @ p["out"]["kernel"] + p["out"]["bias"]


def oracle(variables, source, target):
    """Logits of one sentence without padding, as the papers write it."""
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), variables["params"])

    def embedded(ids):
        rates = 1e4 ** (-np.arange(8) / 7)
        angles = np.outer(np.arange(len(ids)), rates)
        return 4 * p["embedding"][ids] + np.concatenate([np.sin(angles), np.cos(angles)], 1)

    x, layer = embedded(source), p["encoder_0"]
    everywhere = np.ones((len(x), len(x)))
    x = norm(x + attention(layer["attention"], x, x, everywhere), layer["after_attention"])
    x = norm(x + perceptron(layer["perceptron"], x), layer["after_perceptron"])
    y, layer = embedded([1, *target[:-1]]), p["decoder_0"]
    before = np.tril(np.ones((len(y), len(y))))
    y = norm(y + attention(layer["attention"], y, y, before), layer["after_attention"])
    found = attention(layer["source_attention"], y, x, np.ones((len(y), len(x))))
    y = norm(y + found, layer["after_source"])
    y = norm(y + perceptron(layer["perceptron"], y), layer["after_perceptron"])
    return y @ p["embedding"].T


def test_it_is_what_the_equations_say_and_padding_changes_nothing(forward, variables, sentences):
    source, target = sentences
    logits = np.asarray(forward(variables, source, target))
    # The first row has 3 and 4 tokens, then PAD; the second is full.
    for row, s, t in ((0, 3, 4), (1, S, T)):
        expected = oracle(variables, source[row, :s], target[row, :t])
        assert_allclose(logits[row, :t], expected, rtol=1e-4, atol=2e-5)
    # Neither what PAD is embedded as, but for its own logit, nor a row of PAD alone.
    other = jax.tree.map(np.copy, variables)
    other["params"]["embedding"][0] = 7
    source, target = source.copy(), target.copy()
    source[2], target[2] = 0, 0
    again = np.asarray(forward(other, source, target))
    assert np.isfinite(again).all()
    assert_array_equal(again[1, :, 1:], logits[1, :, 1:])
    assert_array_equal(again[0, :4, 1:], logits[0, :4, 1:])
    assert (again[1, :, 0] != logits[1, :, 0]).all()


def test_a_token_changes_what_comes_after_it_and_nothing_before(forward, variables, sentences):
    logits = np.asarray(forward(variables, *sentences))
    for place in range(T):
        changed = (logits[2 + place] != logits[1]).any(-1)
        assert not changed[: place + 1].any() and changed[place + 1 :].all()


@pytest.mark.slow
def test_derivatives_reach_the_tokens_before_a_place_and_the_source(variables, rng):
    """Of the logit of a token that occurs nowhere else, along the embedding of each token."""
    source, target = np.array([[3, 4, 0]]), np.array([[5, 6, 7, 0]])

    def logits(table):
        params = {**variables["params"], "embedding": table}
        said: Any = NETWORK.apply({"params": params}, source, target, train=False)
        return said[0, :3, 11]

    along = np.eye(12)[:, :, None] * rng.normal(size=16)

    @jax.jit
    @jax.vmap
    def derivative(along):
        return jax.jvp(logits, (variables["params"]["embedding"],), (along,))[1]

    moved = np.abs(np.asarray(derivative(along.astype(np.float32)))).T > 0
    # BEGIN and the source are seen everywhere, a target token after its place, PAD nowhere.
    assert moved[:, 11].all() and moved[:, [1, 3, 4]].all() and not moved[:, 0].any()
    assert moved[:, [5, 6, 7]].tolist() == [[0, 0, 0], [1, 0, 0], [1, 1, 0]]


def test_a_step_with_its_cache_says_what_the_whole_target_says(forward, variables, sentences):
    source, target = sentences
    before = np.pad(target[:, :-1], ((0, 0), (1, 0)), constant_values=1)

    @jax.jit
    def stepwise(source, before):
        memory = NETWORK.apply(variables, source, method="remember")

        def step(cache, place):
            # Two hypotheses a sentence: its own, and its neighbour's.
            token = jnp.stack([before[:, place], jnp.roll(before, 1, 0)[:, place]], 1)
            logits, cache = NETWORK.apply(variables, memory, cache, token, place, method="step")
            return cache, logits

        return jax.lax.scan(step, NETWORK.empty_cache(8, 2, T), jnp.arange(T))[1]

    found = np.asarray(stepwise(source, before)).transpose(1, 2, 0, 3)
    whole = np.asarray(forward(variables, source, target))
    assert_allclose(found[1:, 0], whole[1:], rtol=1e-5, atol=1e-5)
    assert_allclose(found[0, 0, :4], whole[0, :4], rtol=1e-5, atol=1e-5)
    rolled = np.asarray(forward(variables, source, np.roll(target, 1, 0)))
    assert_allclose(found[2:, 1], rolled[2:], rtol=1e-5, atol=1e-5)


def test_it_starts_as_fairseq_does():
    wide = Transformer(500, layers=1, width=64, feed_forward=128)
    params = initial_variables(wide, jax.random.key(3), IDS, IDS, train=False)["params"]
    embedding, layer = params["embedding"], params["decoder_0"]
    assert not embedding[0].any() and abs(embedding[1:].std() * 8 - 1) < 0.02
    for name, reach in (("query", (3 / 128) ** 0.5), ("out", (6 / 128) ** 0.5)):
        kernel = layer["source_attention"][name]["kernel"]
        assert reach * 0.98 < np.abs(kernel).max() <= reach
    assert 0.98 < np.abs(layer["perceptron"]["hidden"]["kernel"]).max() / (6 / 192) ** 0.5 <= 1
    assert not any(layer["attention"][name]["bias"].any() for name in ("key", "out"))


def test_its_ids_are_those_of_vocabularies_and_its_width_is_shared_by_its_heads():
    assert (transformer.PAD, transformer.BEGIN) == (vocabulary.PAD, vocabulary.BEGIN)
    for width, heads in ((18, 4), (15, 3)):
        network = Transformer(9, width=width, heads=heads)
        with pytest.raises(ValueError, match=f"a width of {width} cannot be shared by {heads}"):
            initial_variables(network, jax.random.key(0), IDS, IDS, train=False)
