"""Label smoothing and distillation: closed forms, limits, gradients, invariances, slow oracles."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import log_softmax, softmax

from gan_forensics.distill import (
    logit_spread,
    objective,
    optimal_gap,
    smoothed_cross_entropy,
    smoothed_entropy,
    tempered_divergence,
    token_losses,
    top_logits,
    true_class_probability,
)

TEMPERATURES = (1.0, 2.0, 3.0, 64.0)


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture
def logits(rng):
    return 2 * rng.normal(size=(6, 10)), 3 * rng.normal(size=(6, 10)), rng.integers(10, size=6)


def mean_of(loss, *arguments):
    return jax.value_and_grad(lambda x: loss(x, *arguments).mean())


@pytest.mark.parametrize("alpha", [0.0, 0.1, 0.5])
def test_smoothed_cross_entropy_is_that_against_the_smoothed_label(logits, alpha):
    s, _, label = logits
    smoothed = (1 - alpha) * np.eye(10)[label] + alpha / 10
    value, gradient = mean_of(smoothed_cross_entropy, label, alpha)(s)
    np.testing.assert_allclose(value, -(smoothed * log_softmax(s, 1)).sum(1).mean(), rtol=1e-12)
    np.testing.assert_allclose(gradient, (softmax(s, 1) - smoothed) / 6, rtol=1e-10, atol=1e-14)
    np.testing.assert_allclose(gradient.sum(1), 0, atol=1e-14)
    np.testing.assert_allclose(value, optax.softmax_cross_entropy(s, smoothed).mean(), rtol=1e-12)


def test_without_smoothing_it_is_the_plain_cross_entropy_and_it_is_affine_in_alpha(logits):
    s, _, label = logits
    plain, half, most = (smoothed_cross_entropy(s, label, alpha) for alpha in (0.0, 0.4, 0.8))
    wanted = optax.softmax_cross_entropy_with_integer_labels(jnp.asarray(s), jnp.asarray(label))
    np.testing.assert_allclose(plain, wanted, rtol=1e-12)
    np.testing.assert_allclose(half, (plain + most) / 2, rtol=1e-12)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_divergence_and_its_gradient_are_the_closed_forms(logits, temperature):
    s, t, _ = logits
    q, p = softmax(t / temperature, 1), softmax(s / temperature, 1)
    value, gradient = mean_of(tempered_divergence, t, temperature)(s)
    np.testing.assert_allclose(
        value, temperature**2 * (q * np.log(q / p)).sum(1).mean(), rtol=1e-10
    )
    np.testing.assert_allclose(gradient, temperature / 6 * (p - q), rtol=1e-9, atol=1e-14)
    at_one = tempered_divergence(s / temperature, t / temperature, 1.0)
    np.testing.assert_allclose(value, temperature**2 * at_one.mean(), rtol=1e-10)


def test_divergence_is_never_negative_and_zero_for_logits_a_constant_apart(logits, rng):
    s, t, _ = logits
    for temperature in TEMPERATURES:
        assert (tempered_divergence(s, t, temperature) > 0).all()
        shifted = t + rng.normal(size=(6, 1))
        same = tempered_divergence(shifted, t, temperature)
        np.testing.assert_allclose(same, 0, atol=1e-12)
        np.testing.assert_allclose(
            tempered_divergence(s, t, temperature), tempered_divergence(s, shifted, temperature)
        )


def test_scaling_logits_and_temperature_scales_the_divergence_by_the_square(logits):
    s, t, _ = logits
    scaled = tempered_divergence(0.3 * s, 0.3 * t, 0.3 * 2.0)
    np.testing.assert_allclose(scaled, 0.09 * tempered_divergence(s, t, 2.0), rtol=1e-12)


def test_at_infinite_temperature_it_is_half_the_variance_of_the_difference(logits):
    s, t, _ = logits
    value, gradient = mean_of(tempered_divergence, t, 1e4)(s)
    np.testing.assert_allclose(value, 0.5 * (t - s).var(1).mean(), rtol=1e-3)
    centred = (s - t) - (s - t).mean(1, keepdims=True)
    np.testing.assert_allclose(gradient, centred / 60, rtol=1e-2, atol=1e-5)


def test_no_gradient_goes_to_the_teacher_and_an_untempered_student_is_read_at_one(logits):
    s, t, _ = logits
    gradient = jax.grad(lambda t: tempered_divergence(s, t, 2.0).sum())(t)
    assert not np.asarray(gradient).any()
    q = softmax(t / 2, 1)
    found = tempered_divergence(s, t, 2.0, temper_student=False)
    np.testing.assert_allclose(found, 4 * (q * (np.log(q) - log_softmax(s, 1))).sum(1), rtol=1e-12)


def test_half_precision_is_computed_in_float32(logits):
    s, t, label = (jnp.asarray(x) for x in logits)
    low = [x.astype(jnp.bfloat16) for x in (s, t)]
    high = [x.astype(jnp.float32) for x in low]
    for temperature in (1.0, 64.0):
        found = tempered_divergence(*low, temperature)
        assert found.dtype == jnp.float32
        np.testing.assert_array_equal(found, tempered_divergence(*high, temperature))
    assert smoothed_cross_entropy(low[0], label, 0.1).dtype == jnp.float32
    loss, _ = token_losses(
        low[0], label, alpha=0.0, top_index=label[:, None], top_logit=low[1][:, :1]
    )
    assert loss.dtype == jnp.float32


def test_the_objective_shares_the_loss_example_by_example(logits):
    s, t, label = (jnp.asarray(x) for x in logits)
    batch = {
        "label": label,
        "alpha": jnp.array([0, 0.1, 0.2, 0, 0, 0.1]),
        "teacher": t,
        "temperature": jnp.array([1.0, 2, 3, 64, 1, 1]),
        "soft_weight": jnp.array([1.0, 0.9, 0.5, 1, 0, 0]),
    }
    loss, metrics = objective(s, batch)
    slow = [
        (1 - w) * smoothed_cross_entropy(s[i], label[i], batch["alpha"][i])
        + w * tempered_divergence(s[i], t[i], batch["temperature"][i])
        for i, w in enumerate(batch["soft_weight"])
    ]
    np.testing.assert_allclose(loss, np.mean(slow), rtol=1e-12)
    assert metrics["accuracy"] == np.mean(np.argmax(s, 1) == label)
    np.testing.assert_allclose(metrics["cross_entropy"], smoothed_cross_entropy(s, label, 0).mean())
    hard, _ = objective(s, {"label": label, "alpha": batch["alpha"]})
    np.testing.assert_allclose(hard, smoothed_cross_entropy(s, label, batch["alpha"]).mean())
    untempered, _ = objective(s, batch, temper_student=False)
    assert untempered > loss


def test_closed_forms_of_an_ideal_smoothed_teacher():
    gaps = [round(optimal_gap(k, 0.1), 4) for k in (1000, 200, 100, 10)]
    assert gaps == [9.1051, 7.4961, 6.8035, 4.5109]
    wanted = {1000: (0.9001, 0.08673, 0.02040, 0.001153), 200: (0.9005, 0.1758, 0.05762, 0.005618)}
    for classes, shares in wanted.items():
        gap = optimal_gap(classes, 0.1)
        found = [true_class_probability(classes, gap, t) for t in TEMPERATURES]
        np.testing.assert_allclose(found, shares, rtol=5e-4)
    best = np.zeros((1, 10))
    best[0, 3] = optimal_gap(10, 0.1)
    value, gradient = mean_of(smoothed_cross_entropy, np.array([3]), 0.1)(best)
    np.testing.assert_allclose(value, smoothed_entropy(10, 0.1), rtol=1e-12)
    np.testing.assert_allclose(gradient, 0, atol=1e-15)
    assert round(smoothed_entropy(10, 0.1), 6) == 0.500288 and smoothed_entropy(10, 0.0) == 0


def test_the_spread_is_over_classes_and_scales_with_logits(rng):
    logits = rng.normal(size=(5, 7))
    assert logit_spread(0.34 * logits + 3) == pytest.approx(0.34 * logits.std(1).mean(), rel=1e-12)


def tokens(rng, k):
    s, t = 2 * rng.normal(size=(3, 5, 17)), 3 * rng.normal(size=(3, 5, 17))
    target = rng.integers(17, size=(3, 5))
    index, values = top_logits(jnp.asarray(t), k)
    return s, t, target, index, values


def test_top_logits_are_the_largest_and_no_more_than_there_are(rng):
    _, t, _, index, values = tokens(rng, 4)
    np.testing.assert_array_equal(values, np.sort(t, -1)[..., ::-1][..., :4])
    np.testing.assert_array_equal(np.take_along_axis(t, np.asarray(index), -1), values)
    for k in (0, 18):
        with pytest.raises(ValueError, match=f"k must be 1 to 17, the number of logits, got {k}"):
            top_logits(jnp.asarray(t), k)


def test_tokens_with_all_of_the_teacher_have_the_divergence_and_its_entropy(rng):
    s, t, target, index, values = tokens(rng, 17)
    given = dict(alpha=0.1, top_index=index, top_logit=values, temperature=3.0)
    loss, nll = token_losses(s, target, **given, soft_weight=1.0)
    q = softmax(t / 3, -1)
    entropy = -(q * np.log(q)).sum(-1)
    np.testing.assert_allclose(loss, tempered_divergence(s, t, 3.0) + 9 * entropy, rtol=1e-10)
    np.testing.assert_allclose(nll, smoothed_cross_entropy(s, target, 0.0), rtol=1e-12)
    hard, _ = token_losses(s, target, **given, soft_weight=0.0)
    np.testing.assert_allclose(hard, smoothed_cross_entropy(s, target, 0.1), rtol=1e-12)
    without, _ = token_losses(s, target, alpha=0.1)
    np.testing.assert_allclose(without, hard, rtol=1e-12)


def test_tokens_of_a_cut_teacher_are_a_slow_sum_in_any_order(rng):
    s, _, target, index, values = tokens(rng, 4)
    weight, temperature = np.array([[0.9], [0.5], [0.1]]), np.array([[1.0], [2.0], [3.0]])
    given = dict(alpha=0.1, temperature=temperature, soft_weight=weight)
    loss, _ = token_losses(s, target, **given, top_index=index, top_logit=values)
    for i, j in np.ndindex(3, 5):
        t = temperature[i, 0]
        q = softmax(np.asarray(values[i, j]) / t)
        log_p = log_softmax(s[i, j] / t)
        soft = -t * t * sum(a * log_p[n] for a, n in zip(q, index[i, j], strict=True))
        log_p = log_softmax(s[i, j])
        hard = -0.9 * log_p[target[i, j]] - 0.1 * log_p.mean()
        wanted = weight[i, 0] * soft + (1 - weight[i, 0]) * hard
        np.testing.assert_allclose(loss[i, j], wanted, rtol=1e-10)
    turned, _ = token_losses(
        s, target, **given, top_index=index[..., ::-1], top_logit=values[..., ::-1]
    )
    np.testing.assert_allclose(turned, loss, rtol=1e-12)


def test_impossible_numbers_are_refused_and_labels_that_are_no_class_give_nan(logits):
    s, t, label = logits
    for temperature in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="temperature must be positive and finite"):
            tempered_divergence(s, t, temperature)
    for alpha in (1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="alpha is a share of at least 0 and below 1"):
            smoothed_cross_entropy(s, label, alpha)
    found = smoothed_cross_entropy(s, np.array([10, *label[1:]]), 0.1)
    assert np.isnan(found[0]) and np.isfinite(found[1:]).all()
