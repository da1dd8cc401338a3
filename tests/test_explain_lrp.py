import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.explain import Composite, lrp, rules
from gan_forensics.explain.graph import evaluated_with, relevance_handler


def average_pool(x):
    return lrp.sum_pool(lambda x: x.mean((1, 2)), x)


# As relevance meets it in a network.
max_pool = evaluated_with(
    relevance_handler(Composite()),
    lambda x: nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1))),
)


def relevance_of(function, *inputs, r):
    """Value and relevance of all inputs, in float64."""
    with jax.enable_x64(True):
        y, back = jax.vjp(function, *map(jnp.asarray, inputs))
        return np.asarray(y), tuple(map(np.asarray, back(jnp.asarray(r))))


def test_a_linear_layer_gives_its_rule_its_output_and_what_was_lost(rng):
    a, w, b, r = (rng.normal(size=s) for s in ((3, 7), (7, 5), (5,), (3, 5)))
    layer = lrp.linear_layer(jnp.dot, rules.epsilon)
    y, (passed, dw, db, out, lost) = relevance_of(
        layer, a, w, b, np.zeros((3, 5)), np.zeros(3), r=r
    )
    assert_allclose(y, a @ w + b[None], rtol=1e-12)
    with jax.enable_x64(True):
        expected = rules.epsilon(jnp.dot, *map(jnp.asarray, (a, w, b, r)))
    assert_allclose(passed, expected, rtol=1e-12)
    assert not dw.any() and not db.any()
    assert_array_equal(out, r)
    assert_allclose(lost, r.sum(1) - np.asarray(expected).sum(1), rtol=1e-9)


def test_what_is_made_place_by_place_passes_all_relevance():
    x, r = np.array([-1.0, 2.0]), np.array([3.0, -4.0])
    y, (passed, other) = relevance_of(lrp.pass_through, x, np.maximum(x, 0), r=r)
    assert_array_equal(y, [0, 2])
    assert_array_equal(passed, r)
    assert not other.any()


def test_a_gate_gets_nothing(rng):
    g, v, r = rng.normal(size=(3, 2, 4))
    y, (to_gate, to_value) = relevance_of(lrp.gate, g, v, r=r)
    assert_allclose(y, g * v)
    assert not to_gate.any()
    assert_array_equal(to_value, r)


def test_a_sum_shares_in_proportion_and_conserves(rng):
    p, q, r = rng.normal(size=(3, 6))
    y, (to_p, to_q) = relevance_of(lrp.residual_sum, p, q, r=r)
    s = p + q
    s = s + 1e-6 * np.sign(s)
    assert_allclose(y, p + q)
    assert_allclose(to_p, r * p / s, rtol=1e-9)
    assert_allclose(to_p + to_q, r * (p + q) / s, rtol=1e-9)


def test_exact_cancellation_amplifies_by_one_over_epsilon_and_sums_to_zero():
    p = np.array([2.0])
    _, (to_p, to_q) = relevance_of(lrp.residual_sum, p, -p, r=np.array([3.0]))
    assert_allclose(to_p, 3 * 2 / lrp.EPSILON, rtol=1e-12)
    assert_array_equal(to_p + to_q, [0.0])


def test_the_global_mean_shares_by_value(rng):
    x, r = rng.normal(size=(2, 3, 4, 5)), rng.normal(size=(2, 5))
    y, (passed,) = relevance_of(average_pool, x, r=r)
    z = x.mean((1, 2))
    assert_allclose(y, z)
    expected = x / 12 * (r / (z + 1e-6 * np.sign(z)))[:, None, None]
    assert_allclose(passed, expected, rtol=1e-9)


def test_max_pooling_gives_all_to_the_first_maximum():
    x = np.zeros((1, 4, 4, 1))
    x[0, 1, 2] = x[0, 2, 1] = 5.0
    r = np.array([1.0, 2.0, 4.0, 8.0]).reshape(1, 2, 2, 1)
    y, (passed,) = relevance_of(max_pool, x, r=r)
    # Windows of 3x3 with stride 2 and padding 1: rows and columns {0, 1} and {1, 2, 3}.
    assert_array_equal(y[0, :, :, 0], [[0, 5], [5, 5]])
    expected = np.zeros((4, 4))
    expected[0, 0], expected[1, 2], expected[2, 1] = 1, 2 + 8, 4
    assert_array_equal(passed[0, :, :, 0], expected)


@pytest.mark.parametrize("operation", [average_pool, max_pool])
def test_operations_compute_under_jit_and_vmap_what_they_compute_without(operation, rng):
    x = rng.normal(size=(3, 2, 4, 4, 2)).astype(np.float32)

    def run(x):
        y, back = jax.vjp(operation, x)
        return y, back(y)[0]

    mapped = jax.jit(jax.vmap(run))(x)
    for i in range(3):
        for one, many in zip(run(x[i]), mapped, strict=True):
            assert_allclose(one, many[i], rtol=1e-6)
