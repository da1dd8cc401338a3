"""InfoNCE between local and global features: closed forms, an oracle in loops, and memory."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.sharding import NamedSharding, PartitionSpec
from numpy.testing import assert_allclose
from scipy.special import logsumexp

from gan_forensics.gans import chance_level, infomax_accuracy, infomax_loss
from gan_forensics.runtime import data_mesh

masks = pytest.mark.parametrize("mask_value", [-10.0, -np.inf])


def features(rng, n=5, places=3, r=4, scale=1.0):
    p = scale * rng.standard_normal((n, places, r))
    return p, scale * rng.standard_normal((n, r))


def in_loops(p, q, mask_value=-10.0):
    """The definition: a softmax over the positive, all negatives and L dummies."""
    n, places, _ = p.shape
    losses = []
    for i in range(n):
        negatives = [p[j, k] @ q[i] for j in range(n) if j != i for k in range(places)]
        for k in range(places):
            positive = p[i, k] @ q[i]
            scores = np.array([positive, *negatives, *[mask_value] * places])
            losses.append(logsumexp(scores) - positive)
    return np.mean(losses)


@masks
@pytest.mark.parametrize("scale", [0.1, 1.0, 5.0])
def test_loss_is_that_of_the_loops(rng, scale, mask_value):
    p, q = features(rng, scale=scale)
    with jax.enable_x64(True):
        value = infomax_loss(p, q, mask_value=mask_value)
        assert_allclose(value, in_loops(p, q, mask_value), rtol=1e-12)


@pytest.mark.parametrize("s", [-12.0, 0.0, 3.0])
@pytest.mark.parametrize(("n", "places"), [(4, 1), (3, 6), (1, 5)])
def test_equal_scores_cost_the_logarithm_of_their_number(n, places, s):
    p, q = np.full((n, places, 2), 1.0), np.full((n, 2), s / 2)
    with jax.enable_x64(True):
        with_dummies = np.log1p((n - 1) * places + places * np.exp(-10 - s))
        assert_allclose(infomax_loss(p, q), with_dummies, rtol=1e-12)
        clean = infomax_loss(p, q, mask_value=-np.inf)
        assert_allclose(clean, np.log(1 + (n - 1) * places), rtol=1e-12, atol=1e-15)
        assert_allclose(clean, chance_level(n, places), rtol=1e-12, atol=1e-15)


def test_the_published_closed_form_of_all_ones():
    # s = 32: log(4 + e^-42).
    value = infomax_loss(np.ones((4, 1, 32), np.float32), np.ones((4, 32), np.float32))
    assert_allclose(value, np.log(4), rtol=2e-6)


def test_a_single_image_has_nothing_but_dummies(rng):
    p, q = features(rng, n=1, places=6)
    scores = p[0] @ q[0]
    with jax.enable_x64(True):
        expected = np.log1p(6 * np.exp(-10 - scores)).mean()
        assert_allclose(infomax_loss(p, q), expected, rtol=1e-9)
        value, slopes = jax.value_and_grad(partial(infomax_loss, mask_value=-np.inf), (0, 1))(p, q)
    assert float(value) == 0
    assert all((np.asarray(slope) == 0).all() for slope in slopes)


@given(seed=st.integers(0, 2**31), n=st.integers(2, 5), places=st.integers(1, 4))
@settings(max_examples=20, deadline=None)
def test_one_repeated_image_cannot_cost_less_than_chance(seed, n, places):
    rng = np.random.default_rng(seed)
    p, q = (np.repeat(x, n, axis=0) for x in features(rng, n=1, places=places, scale=2))
    with jax.enable_x64(True):
        value = infomax_loss(p, q, mask_value=-np.inf)
        assert value >= chance_level(n, places) * (1 - 1e-12)
        # Equality where all places score alike.
        flat = infomax_loss(np.repeat(p[:, :1], places, axis=1), q, mask_value=-np.inf)
        assert_allclose(flat, chance_level(n, places), rtol=1e-12)


def test_neither_the_order_of_images_nor_that_of_places_matters(rng):
    p, q = features(rng)
    with jax.enable_x64(True):
        value = infomax_loss(p, q)
        order = rng.permutation(len(q))
        assert_allclose(infomax_loss(p[order], q[order]), value, rtol=1e-13)
        shuffled = np.stack([image[rng.permutation(3)] for image in p])
        assert_allclose(infomax_loss(shuffled, q), value, rtol=1e-13)


def test_a_constant_added_to_all_local_features_changes_nothing(rng):
    p, q = features(rng)
    with jax.enable_x64(True):
        clean = partial(infomax_loss, mask_value=-np.inf)
        shift = rng.standard_normal((1, 1, 4))
        assert_allclose(clean(p + shift, q), clean(p, q), rtol=1e-12)
        assert_allclose(jax.grad(clean)(p, q).sum((0, 1)), np.zeros(4), atol=1e-14)
        # The published constant -10 does not shift with the scores.
        assert abs(float(infomax_loss(p - 30 * shift, q) - infomax_loss(p, q))) > 1e-6


@masks
def test_gradients_are_those_of_finite_differences(rng, mask_value):
    p, q = features(rng, scale=2)
    with jax.enable_x64(True):
        loss = partial(infomax_loss, mask_value=mask_value)
        slopes = jax.grad(loss, (0, 1))(p, q)
        dp, dq = rng.standard_normal(p.shape), rng.standard_normal(q.shape)
        h = 1e-6
        ahead, behind = loss(p + h * dp, q + h * dq), loss(p - h * dp, q - h * dq)
        expected = (slopes[0] * dp).sum() + (slopes[1] * dq).sum()
        assert_allclose((ahead - behind) / (2 * h), expected, rtol=1e-6)


def test_enormous_scores_stay_finite(rng):
    p, q = (x.astype(np.float32) for x in features(rng, scale=1e4))
    value, slopes = jax.value_and_grad(infomax_loss, (0, 1))(p, q)
    assert np.isfinite(value) and all(np.isfinite(s).all() for s in slopes)
    assert_allclose(value, in_loops(p.astype(float), q.astype(float)), rtol=1e-5)


def test_scores_are_float32_under_bfloat16(rng):
    p, q = (jnp.asarray(x, jnp.bfloat16) for x in features(rng, n=8, places=16, r=64))
    value = infomax_loss(p, q)
    assert value.dtype == jnp.float32
    rounded = (np.asarray(x, np.float64) for x in (p, q))
    assert_allclose(value, in_loops(*rounded), rtol=1e-5)


@masks
@pytest.mark.parametrize("at_once", [1, 40, 100])
def test_scores_made_in_turns_are_those_made_at_once(rng, monkeypatch, mask_value, at_once):
    p, q = features(rng, n=6)
    with jax.enable_x64(True):
        loss = partial(infomax_loss, mask_value=mask_value)
        whole, slopes = jax.value_and_grad(loss, (0, 1))(p, q)
        monkeypatch.setattr("gan_forensics.gans.infomax._SCORES_AT_ONCE", at_once)
        parts, part_slopes = jax.value_and_grad(loss, (0, 1))(p, q)
        assert_allclose(parts, whole, rtol=1e-13)
    for a, b in zip(part_slopes, slopes, strict=True):
        assert_allclose(a, b, rtol=1e-11, atol=1e-15)


def largest_array(function, *arguments):
    """The number of elements of the largest array that a traced function makes."""

    def sizes(jaxpr):
        for equation in jaxpr.eqns:
            yield from (v.aval.size for v in equation.outvars)
            for inner in jax.tree.leaves(list(equation.params.values())):
                if isinstance(inner, Jaxpr | ClosedJaxpr):
                    yield from sizes(getattr(inner, "jaxpr", inner))

    return max(sizes(jax.make_jaxpr(function)(*arguments).jaxpr))


def test_no_array_is_larger_than_the_scores_of_images_against_places(monkeypatch):
    n, places = 16, 6
    p, q = jnp.zeros((n, places, 2)), jnp.zeros((n, 2))
    gradient = jax.grad(infomax_loss, (0, 1))
    assert largest_array(gradient, p, q) == n * n * places
    monkeypatch.setattr("gan_forensics.gans.infomax._SCORES_AT_ONCE", n * places * 4)
    assert largest_array(jax.grad(infomax_loss, (0, 1)), p, q) == n * places * 4


def test_groups_are_losses_of_their_own(rng):
    p, q = features(rng, n=6)
    with jax.enable_x64(True):
        apart = [infomax_loss(p[i : i + 2], q[i : i + 2]) for i in (0, 2, 4)]
        assert_allclose(infomax_loss(p, q, group_size=2), np.mean(apart), rtol=1e-13)
        assert_allclose(infomax_loss(p, q, group_size=6), infomax_loss(p, q), rtol=1e-13)
        assert infomax_loss(p, q, group_size=2) < infomax_loss(p, q)


@pytest.mark.parametrize(
    ("n", "places", "chance"), [(64, 64, 8.302), (64, 9, 6.342), (64, 16, 6.917)]
)
def test_chance_levels_are_the_published_ones(n, places, chance):
    assert_allclose(chance_level(n, places), chance, atol=5e-4)
    assert chance_level(8 * n, places, group_size=n) == chance_level(n, places)


def test_accuracy_counts_places_that_beat_every_other_image():
    # Image 0: place 0 scores 2, place 1 scores 0.5; the best place elsewhere scores 1.
    p = np.array([[[2.0, 0], [0.5, 0]], [[1.0, 3], [0.0, 3]]], np.float32)
    q = np.array([[1.0, 0], [0, 1]], np.float32)
    assert_allclose(infomax_accuracy(p, q), 3 / 4)
    assert infomax_accuracy(np.repeat(p[:1], 2, 0), np.repeat(q[:1], 2, 0)) == 0
    assert infomax_accuracy(p[:1], q[:1]) == 1
    assert infomax_accuracy(p, q, group_size=1) == 1


def test_collapse_costs_more_than_few_classes_and_those_more_than_diversity(rng):
    """Features that tell images apart, of batches of 8 images, 2 images and 1 image."""
    codes = 3 * np.eye(8)
    losses = [
        float(infomax_loss(codes[which][:, None, :].repeat(4, 1), codes[which]))
        for which in (np.arange(8), np.arange(8) % 2, np.zeros(8, int))
    ]
    assert losses[0] + 1 < losses[1] and losses[1] + 0.5 < losses[2]
    assert losses[2] >= chance_level(8, 4) - 1e-5  # rounding


@pytest.mark.parametrize("group_size", [None, 2])
def test_loss_and_gradients_on_four_devices_equal_those_on_one(rng, group_size):
    p, q = (x.astype(np.float32) for x in features(rng, n=8))
    loss = jax.jit(jax.value_and_grad(partial(infomax_loss, group_size=group_size), (0, 1)))
    sharding = NamedSharding(data_mesh(jax.devices()[:4]), PartitionSpec("data"))
    one, many = loss(p, q), loss(*(jax.device_put(x, sharding) for x in (p, q)))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_features_that_do_not_belong_together_are_refused(rng):
    p, q = features(rng)
    with pytest.raises(ValueError, match=r"\[5, 3, 4\] and \[4, 4\]"):
        infomax_loss(p, q[:4])
    with pytest.raises(ValueError, match="5 images cannot be split into groups of 2"):
        infomax_loss(p, q, group_size=2)
    with pytest.raises(ValueError, match="choose a divisor"):
        infomax_accuracy(p, q, group_size=10)
