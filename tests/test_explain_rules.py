"""Every rule against its formula on an explicit matrix, written out with loops over outputs."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.explain import rules
from gan_forensics.nn.conv import convolve

LOW, HIGH = -0.9, 1.3


def plus(x):
    return np.maximum(x, 0)


def minus(x):
    return np.minimum(x, 0)


def guarded(z, epsilon):
    return z + (epsilon if z >= 0 else -epsilon)


def column(name, a, w, b):
    """The shares that inputs a get of one output's relevance, by its weights w and its bias b."""
    z = a @ w + b
    products = a * w
    p, n = plus(products), minus(products)
    if name == "epsilon":
        return products / guarded(z, 0.1)
    if name == "epsilon without bias":
        return products / guarded(a @ w, 0.1)
    if name == "beta 0":
        return p / p.sum() if p.sum() else 0 * p
    if name == "beta 0 whole bias":
        return p / (p.sum() + b)
    if name == "beta 1":
        return 2 * p / p.sum() - n / n.sum()
    if name == "alpha 3 beta 2 signed bias":
        positive = p / guarded(p.sum() + plus(b), 0.1)
        return 3 * positive - 2 * n / guarded(n.sum() + minus(b), 0.1)
    if name == "z plus":
        return p / guarded(p.sum() + plus(b), 0.1)
    if name == "adaptive beta":
        beta = min(-n.sum() / z, 1.5) if z > 0 else 0
        return (1 + beta) * p / p.sum() - beta * n / n.sum()
    if name == "gamma":
        agreeing = p if z > 0 else n
        bias = b + 0.5 * (plus(b) if z > 0 else minus(b))
        favoured = products + 0.5 * agreeing
        return favoured / guarded(favoured.sum() + bias, 0.1)
    if name == "w square":
        return w**2 / guarded((w**2).sum(), 0.1)
    if name == "flat":
        connected = (w != 0).astype(float)
        return connected / guarded(connected.sum(), 0.1)
    if name == "box":
        q = products - plus(w) * LOW - minus(w) * HIGH
        return q / guarded(q.sum(), 0.1)
    raise AssertionError(name)


RULES = {
    "epsilon": partial(rules.epsilon, epsilon=0.1),
    "epsilon without bias": partial(rules.epsilon, epsilon=0.1, bias=False),
    "beta 0": rules.beta,
    "beta 0 whole bias": partial(rules.beta, bias="whole"),
    "beta 1": partial(rules.beta, beta=1.0),
    "alpha 3 beta 2 signed bias": partial(rules.alpha_beta, alpha=3, beta=2, epsilon=0.1),
    "z plus": partial(rules.z_plus, epsilon=0.1),
    "adaptive beta": partial(rules.adaptive_beta, maximum=1.5),
    "gamma": partial(rules.gamma, gamma=0.5, epsilon=0.1),
    "w square": partial(rules.w_square, epsilon=0.1),
    "flat": partial(rules.flat, epsilon=0.1),
    "box": partial(rules.box, low=LOW, high=HIGH, epsilon=0.1),
}


def oracle(name, a, matrix, b, r):
    """Relevance of flat inputs a [b, i] from r [b, o], output by output."""
    result = np.zeros_like(a)
    for image in range(len(a)):
        for j in range(matrix.shape[1]):
            result[image] += column(name, a[image], matrix[:, j], b[j]) * r[image, j]
    return result


@pytest.mark.parametrize("sign", ["any", "positive"])
@pytest.mark.parametrize("name", RULES)
def test_rule_of_a_product_is_its_formula(name, sign, rng):
    a, w, b, r = (rng.normal(size=s) for s in ((3, 7), (7, 5), (5,), (3, 5)))
    a = np.clip(a, LOW, HIGH) if sign == "any" else np.clip(abs(a), 0, HIGH)
    with jax.enable_x64(True):
        result = RULES[name](jnp.dot, *map(jnp.asarray, (a, w, b, r)))
    assert_allclose(result, oracle(name, a, w, b, r), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("groups, padding", [(1, 1), (2, ((0, 1), (0, 1)))])
def test_rules_of_a_convolution_are_those_of_its_matrix(groups, padding, rng):
    linear = partial(convolve, strides=2, padding=padding, groups=groups)
    a = np.clip(rng.normal(size=(2, 4, 3, 4)), LOW, HIGH)
    w, b = rng.normal(size=(3, 3, 4 // groups, 2)), rng.normal(size=2)
    with jax.enable_x64(True):
        matrix = jax.jacobian(lambda a: linear(a, w)[0])(jnp.asarray(a[:1]))
        y = linear(jnp.asarray(a), w)
        matrix = np.asarray(matrix).reshape(y[0].size, a[0].size).T
        r = rng.normal(size=y.shape)
        names = [name for name in RULES if name != "box"] if padding != 1 else list(RULES)
        compiled = jax.jit(lambda *args: {n: RULES[n](linear, *args) for n in names})
        results = compiled(*map(jnp.asarray, (a, w, b, r)))
    biases = np.broadcast_to(b, y.shape[1:]).reshape(-1)
    for name, result in results.items():
        expected = oracle(name, a.reshape(2, -1), matrix, biases, r.reshape(2, -1))
        assert_allclose(result.reshape(2, -1), expected, rtol=1e-9, atol=1e-11, err_msg=name)


def test_beta_zero_has_the_invariances_that_follow_from_ignoring_scale_and_bias(rng):
    a, w, b, r = (rng.normal(size=s) for s in ((3, 7), (7, 5), (5,), (3, 5)))
    scales = rng.uniform(0.1, 9, size=(1, 5))
    with jax.enable_x64(True):
        a, w, b, r = map(jnp.asarray, (a, w, b, r))
        plain = rules.beta(jnp.dot, a, w, None, r)
        assert_allclose(rules.beta(jnp.dot, a, w * scales, b, r), plain, rtol=1e-12)
        assert_allclose(plain.sum(1), r.sum(1), rtol=1e-12)
        assert (rules.beta(jnp.dot, a, w, None, abs(r)) >= 0).all()
        positive = rules.epsilon(jnp.dot, abs(a), abs(w), None, r, epsilon=0)
        assert_allclose(rules.beta(jnp.dot, abs(a), abs(w), None, r), positive, rtol=1e-12)


def test_beta_zero_passes_nothing_from_an_output_without_positive_products():
    a, w = jnp.array([[1.0, 2.0]]), jnp.array([[-1.0, 1.0], [-3.0, 1.0]])
    result = rules.beta(jnp.dot, a, w, None, jnp.array([[5.0, 3.0]]))
    assert_allclose(result, [[1.0, 2.0]], rtol=1e-6)


def test_epsilon_leaks_what_the_bias_takes(rng):
    a, w, b, r = (rng.normal(size=s) for s in ((3, 7), (7, 5), (5,), (3, 5)))
    z = a @ w + b[None]
    expected = (r * (z - b[None]) / (z + 1e-3 * np.sign(z))).sum(1)
    with jax.enable_x64(True):
        passed = rules.epsilon(jnp.dot, *map(jnp.asarray, (a, w, b, r)), epsilon=1e-3)
    assert_allclose(np.asarray(passed).sum(1), expected, rtol=1e-10)


def test_box_keeps_relevance_positive_for_inputs_within_the_bounds(rng):
    a = rng.uniform(LOW, HIGH, size=(3, 7))
    w, r = rng.normal(size=(7, 5)), rng.uniform(size=(3, 5))
    with jax.enable_x64(True):
        a, w, r = map(jnp.asarray, (a, w, r))
        result = rules.box(jnp.dot, a, w, None, r, low=LOW, high=HIGH)
        assert (result >= 0).all()
        unbounded = rules.box(jnp.dot, a, w, None, r, low=0, high=0)
        assert_allclose(unbounded, rules.epsilon(jnp.dot, a, w, None, r), rtol=1e-12)


def test_box_takes_bounds_for_each_channel(rng):
    a, w, r = rng.normal(size=(2, 3)), rng.normal(size=(3, 4)), rng.normal(size=(2, 4))
    low, high = np.array([-4.0, -5.0, -6.0]), np.array([4.0, 5.0, 6.0])
    q = a[..., None] * w[None] - (plus(w) * low[:, None] + minus(w) * high[:, None])[None]
    z = q.sum(1)
    expected = (q * (r / (z + 1e-6 * np.sign(z)))[:, None]).sum(-1)
    with jax.enable_x64(True):
        a, w, r = map(jnp.asarray, (a, w, r))
        result = rules.box(jnp.dot, a, w, None, r, low=low, high=high)
    assert_allclose(result, expected, rtol=1e-10)


def test_alpha_and_beta_that_conserve_nothing_are_refused():
    one = jnp.ones((1, 1))
    with pytest.raises(ValueError, match="alpha - beta = 1"):
        rules.alpha_beta(jnp.dot, one, one, None, one, alpha=1.0, beta=1.0)
    with pytest.raises(ValueError, match="'none', 'signed' or 'whole'"):
        rules.beta(jnp.dot, one, one, None, one, bias="some")
