"""Mixing, gates and the compound loss: closed forms, a slow oracle, invariances."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import log_softmax, softmax

from gan_forensics.forensics.repmix import (
    compound_loss,
    draw_weights,
    gated,
    gates,
    mixed,
    mixed_cross_entropy,
    mixing_at,
    soft_accuracy,
)
from gan_forensics.nn.attribution import AttributionNetwork, sources_network
from gan_forensics.nn.initial import initial_variables
from gan_forensics.nn.resnet import ResNet, resnet_small


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_partners_are_adjacent_rows(rng):
    h = rng.normal(size=(6, 4, 5)).astype(np.float32)
    weights = draw_weights(rng, 3)
    expected = [w[0] * h[2 * i] + w[1] * h[2 * i + 1] for i, w in enumerate(weights)]
    assert_allclose(mixed(h, weights), expected, rtol=0, atol=1e-6)
    halves = weights[:, :1, None] * h[:3] + weights[:, 1:, None] * h[3:]
    assert np.abs(mixed(h, weights) - halves).max() > 0.1  # what a strided split would give


def test_three_images_make_a_mixture_and_order_does_not_matter(rng):
    h, weights = rng.normal(size=(6, 7)).astype(np.float32), draw_weights(rng, 2, images=3)
    order = [2, 0, 1]
    shuffled = h.reshape(2, 3, 7)[:, order].reshape(6, 7)
    assert_allclose(mixed(h, weights), mixed(shuffled, weights[:, order]), rtol=0, atol=1e-6)
    assert_allclose(weights.sum(1), 1, rtol=0, atol=1e-6)


def test_one_weight_of_one_returns_the_row_and_equal_rows_stay(rng):
    h = rng.normal(size=(4, 3)).astype(np.float32)
    assert_array_equal(mixed(h, np.float32([[0, 1], [1, 0]])), h[[1, 2]])
    assert_allclose(mixed(np.repeat(h, 2, 0), draw_weights(rng, 4)), h, rtol=0, atol=1e-6)


def test_weights_of_two_images_follow_beta():
    weights = draw_weights(np.random.default_rng(1), 40_000)
    assert_allclose(weights[:, 0].mean(), 0.5, rtol=0, atol=0.006)
    assert_allclose(weights[:, 0].var(), 0.138889, rtol=0, atol=0.002)
    assert_allclose((weights.max(1) > 0.9).mean(), 0.4795, rtol=0, atol=0.008)
    wide = draw_weights(np.random.default_rng(1), 40_000, concentration=5.0)
    assert_allclose(wide[:, 0].var(), stats.beta(5, 5).var(), rtol=0.05)
    for wrong in ({"images": 0}, {"concentration": 0.0}):
        with pytest.raises(ValueError, match="at least one image and a positive concentration"):
            draw_weights(np.random.default_rng(0), 1, **wrong)


def test_the_gate_multiplies_by_probabilities_of_the_real_source_wherever_it_stands(rng):
    z, d = rng.normal(size=(5, 4)), rng.normal(size=(5, 2))
    r = softmax(d, 1)
    expected = z * r[:, 1:]
    expected[:, 2] = z[:, 2] * r[:, 0]
    assert_allclose(gated(z, d, real=2), expected, rtol=1e-5, atol=1e-7)
    assert_allclose(gated(z, np.zeros((5, 2)), real=0), z / 2, rtol=1e-6)
    assert_allclose(gated(z, d + 3, real=0), gated(z, d, real=0), rtol=1e-4, atol=1e-6)
    assert_allclose(gates(d, 4, real=1)[:, [1, 0]].sum(1), 1, rtol=1e-6)
    # What is sure to be generated has a real logit of 0, not of minus infinity.
    assert_allclose(gated(z, np.float64([[-50, 50]] * 5), real=0)[:, 0], 0, rtol=0, atol=1e-7)


def test_loss_is_that_of_a_slow_sum_over_images(rng):
    b, n, classes, real = 5, 3, 6, 4
    z, d = rng.normal(size=(b, classes)), rng.normal(size=(b, 2))
    labels, weights = rng.integers(classes, size=(b, n)), draw_weights(rng, b, images=n)
    r = softmax(d, 1)
    attribution = detection = soft = 0.0
    for i in range(b):
        a = z[i] * np.where(np.arange(classes) == real, r[i, 0], r[i, 1])
        for k in range(n):
            y, w = labels[i, k], weights[i, k]
            fake = int(y != real)
            attribution -= w * log_softmax(a)[y] / b
            detection -= w * (1 / (classes - 1) if fake else 1) * log_softmax(d[i])[fake] / b
            soft += w * softmax(a)[y] / b
    found = compound_loss(*map(jnp.float32, (z, d)), labels, weights, real=real)
    assert_allclose(
        found, [attribution + detection, attribution, detection, soft], rtol=1e-5, atol=1e-6
    )


def test_loss_of_logits_that_say_nothing():
    labels = np.arange(8)[:, None]
    found = compound_loss(jnp.zeros((8, 8)), jnp.zeros((8, 2)), labels, jnp.ones((8, 1)), real=0)
    assert_allclose(found.attribution, np.log(8), rtol=1e-6)
    assert_allclose(found.detection, 0.17329, rtol=1e-4)
    # A real image counts as much as all seven kinds of generated ones.
    d = jnp.float32([[0.3, -0.7]])
    real, fake = (
        compound_loss(jnp.zeros((1, 8)), d[:, ::flip], jnp.array([[y]]), jnp.ones((1, 1)), real=0)
        for flip, y in ((1, 0), (-1, 5))
    )
    assert_allclose(real.detection, 7 * fake.detection, rtol=1e-5)


def test_loss_is_affine_in_the_weights(rng):
    z, d = (jnp.float32(rng.normal(size=(1, k))) for k in (5, 2))
    labels = np.array([[1, 3]])
    ends = [compound_loss(z, d, labels, jnp.float32([w]), real=0) for w in ([1, 0], [0, 1])]
    middle = compound_loss(z, d, labels, jnp.float32([[0.25, 0.75]]), real=0)
    expected = [0.25 * a + 0.75 * b for a, b in zip(*ends, strict=True)]
    assert_allclose(middle, expected, rtol=1e-5)
    plain = mixed_cross_entropy(z, labels, jnp.float32([[1.0, 0.0]]))
    assert_allclose(plain, -log_softmax(np.asarray(z))[0, 1], rtol=1e-5)
    assert_allclose(soft_accuracy(z, labels, jnp.float32([[0, 1]])), softmax(z, 1)[0, 3], rtol=1e-5)


@pytest.fixture(scope="module")
def network():
    made = AttributionNetwork(ResNet((1,), (2,), None, 3, 1, stem_pool=False), 3, embedding=5)
    x = np.random.default_rng(2).normal(size=(4, 6, 6, 3)).astype(np.float32)
    return made, initial_variables(made, jax.random.key(0), x, train=False), x


def test_mixing_behind_the_last_stage_is_mixing_the_embedding(network, rng):
    made, variables, x = network
    weights = draw_weights(rng, 2)

    @jax.jit
    def run(variables, x):
        merged, its = sources_network(made, variables)
        call = partial(made.apply, variables, x, train=True, mutable=["batch_stats"])
        levels = {level: call(between=mixing_at(level, weights)) for level in (0, 2, 3)}
        plain = made.apply(variables, x, train=False).sources
        return levels, call(), (plain, merged.apply(its, x, train=False))

    results, (whole, moved), (plain, merged) = run(variables, x)
    for late, early in zip(results[3][0], results[2][0], strict=True):
        assert_allclose(late, early, rtol=0, atol=1e-5)
    assert_allclose(results[3][0].embedding, mixed(whole.embedding, weights), rtol=0, atol=1e-6)
    # No batch norm saw a mixture; mixed images do move the statistics.
    for level, same in ((2, True), (0, False)):
        pairs = zip(jax.tree.leaves(moved), jax.tree.leaves(results[level][1]), strict=True)
        assert all(np.allclose(a, b, rtol=0, atol=1e-6) for a, b in pairs) is same
    assert results[0][0].sources.shape == (2, 3)
    # Between the embedding and the logits stands nothing: two linear layers are one.
    assert_allclose(merged, plain, rtol=1e-4, atol=1e-6)


def test_levels_are_those_of_the_paper():
    made, seen = AttributionNetwork(resnet_small(None, width=2), 3, embedding=5), []

    def run(key):
        def note(level, h):
            seen.append((level, h.shape[1:]))
            return h

        return made.init(key, jnp.zeros((2, 16, 16, 3)), train=False, between=note)

    jax.eval_shape(run, jax.random.key(0))
    assert seen == [
        (0, (16, 16, 3)), (1, (16, 16, 2)), (2, (16, 16, 8)), (3, (8, 8, 16)), (4, (4, 4, 32)),
        (5, (2, 2, 64)), (6, (5,)),
    ]  # fmt: skip
    assert made.embedding_level == 6 and made.stride == 8


def test_gradients_reach_all_images_by_their_weights(rng):
    weights = draw_weights(rng, 2)
    gradient = jax.grad(lambda h: mixed(h, weights).sum())(jnp.ones((4, 3)))
    assert_allclose(gradient, np.repeat(weights.reshape(-1, 1), 3, 1), rtol=1e-6)
