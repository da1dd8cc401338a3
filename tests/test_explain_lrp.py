import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.explain import composites, lrp, relevance, rules

EVERYWHERE = composites.beta_zero_everywhere()
TWO = lrp.Images(2)


def average_pool(x):
    z = jnp.zeros(len(x), x.dtype)
    return lrp.linear_sum(lambda parts, rest: parts[0].mean((1, 2)), [x], z, images=TWO)


def max_pool(x):
    return nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1)))


def relevance_of(function, *inputs, r):
    """Value and relevance of all inputs, in float64."""
    with jax.enable_x64(True):
        y, back = jax.vjp(function, *map(jnp.asarray, inputs))
        return np.asarray(y), tuple(map(np.asarray, back(jnp.asarray(r))))


def test_a_linear_layer_gives_its_rule_its_output_and_what_was_lost(rng):
    a, w, b, r = (rng.normal(size=s) for s in ((3, 7), (7, 5), (5,), (3, 5)))
    layer = lrp.linear_layer(jnp.dot, rules.epsilon, lrp.Images(3))
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


def residual_sum(p, q, lost):
    return lrp.linear_sum(lambda parts, rest: parts[0] + parts[1], [p, q], lost, images=TWO)


def test_a_sum_shares_in_proportion_and_conserves(rng):
    p, q, r = rng.normal(size=(3, 2, 3))
    y, (to_p, to_q, lost) = relevance_of(residual_sum, p, q, np.zeros(2), r=r)
    s = p + q
    s = s + 1e-6 * np.sign(s)
    assert_allclose(y, p + q)
    assert_allclose(to_p, r * p / s, rtol=1e-9)
    assert_allclose(to_p + to_q, r * (p + q) / s, rtol=1e-9)
    assert_allclose(lost, (r - to_p - to_q).sum(1), rtol=1e-6)


def test_exact_cancellation_amplifies_by_one_over_epsilon_and_sums_to_zero():
    p = np.array([[2.0], [2.0]])
    r = np.array([[3.0], [0.0]])
    _, (to_p, to_q, lost) = relevance_of(residual_sum, p, -p, np.zeros(2), r=r)
    assert_allclose(to_p[0], 3 * 2 / lrp.EPSILON, rtol=1e-12)
    assert_array_equal(to_p + to_q, [[0.0], [0.0]])
    assert_array_equal(lost, [3, 0])


def test_a_product_halves_and_attentions_products_share_half_by_what_they_add(rng):
    p, q, r = rng.normal(size=(3, 2, 4))
    y, halves = relevance_of(lrp.product, p, q, r=r)
    assert_allclose(y, p * q)
    for half in halves:
        assert_array_equal(half, r / 2)
    a, v, r = (rng.normal(size=s) for s in ((2, 3, 4), (2, 4, 5), (2, 3, 5)))

    def attended(a, v, lost):
        return lrp.bilinear(jnp.matmul, a, v, lost, images=TWO)

    y, (to_a, to_v, lost) = relevance_of(attended, a, v, np.zeros(2), r=r)
    o = 2 * a @ v
    s = r / (o + 1e-6 * np.sign(o))
    # R_ji(A) = sum_p A_ji V_ip R_jp / (2 O_jp + epsilon), and likewise for V.
    assert_allclose(to_a, np.einsum("bji,bip,bjp->bji", a, v, s), rtol=1e-9)
    assert_allclose(to_v, np.einsum("bji,bip,bjp->bip", a, v, s), rtol=1e-9)
    assert_allclose(lost, per_image(r) - per_image(to_a) - per_image(to_v), rtol=1e-6, atol=1e-9)


def test_softmax_has_its_taylor_expansion_and_what_is_masked_gets_nothing(rng):
    x, r = rng.normal(size=(2, 2, 4))
    x[0, 1] = -np.inf
    y = np.exp(x) / np.exp(x).sum(1, keepdims=True)

    def normalised(x, y, lost):
        return lrp.softmax(x, y, lost, axes=(1,), images=TWO)

    _, (passed, other, lost) = relevance_of(normalised, x, y, np.zeros(2), r=r)
    expected = np.where(y > 0, x, 0) * (r - y * r.sum(1, keepdims=True))
    assert_allclose(passed, expected, rtol=1e-12)
    assert passed[0, 1] == 0 and not other.any()
    assert_allclose(lost, (r - expected).sum(1), rtol=1e-9)


def test_what_is_moved_beside_constants_loses_what_lands_on_these(rng):
    x, token, r = rng.normal(size=(2, 3)), rng.normal(size=(2, 1)), rng.normal(size=(2, 4))

    def beside(x, token, lost):
        def function(parts, rest):
            return jnp.concatenate([*rest, *parts], 1)

        return lrp.moved(function, [x], lost, images=TWO, rest=[token], reads=[TWO])

    _, (passed, _, lost) = relevance_of(beside, x, token, np.zeros(2), r=r)
    assert_array_equal(passed, r[:, 1:])
    assert_allclose(lost, r[:, 0], rtol=1e-9)


def test_images_are_found_on_any_axis_and_in_what_was_merged_with_them(rng):
    r = rng.normal(size=(3, 4, 5))
    assert_allclose(lrp.Images(4, 1).sums(jnp.asarray(r)), r.sum((0, 2)), rtol=1e-5)
    merged = jnp.asarray(r.reshape(12, 5))
    assert_allclose(lrp.Images(3).sums(merged), r.sum((1, 2)), rtol=1e-5)
    assert_allclose(lrp.Images(3, None).sums(merged), [r.sum() / 3] * 3, rtol=1e-4)


def per_image(values):
    return values.sum(tuple(range(1, values.ndim)))


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
    y = max_pool(jnp.asarray(x, jnp.float32))
    start = jnp.asarray(r, jnp.float32)
    found = relevance(lambda _, x: max_pool(x), None, x, composite=EVERYWHERE, start=start)
    passed = found.image
    # Windows of 3x3 with stride 2 and padding 1: rows and columns {0, 1} and {1, 2, 3}.
    assert_array_equal(y[0, :, :, 0], [[0, 5], [5, 5]])
    expected = np.zeros((4, 4))
    expected[0, 0], expected[1, 2], expected[2, 1] = 1, 2 + 8, 4
    assert_array_equal(passed[0, :, :, 0], expected)


def test_operations_compute_under_jit_and_vmap_what_they_compute_without(rng):
    x = rng.normal(size=(3, 2, 4, 4, 2)).astype(np.float32)

    def run(x):
        y, back = jax.vjp(average_pool, x)
        return y, back(y)[0]

    mapped = jax.jit(jax.vmap(run))(x)
    for i in range(3):
        for one, many in zip(run(x[i]), mapped, strict=True):
            assert_allclose(one, many[i], rtol=1e-6)
