import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import PartitionSpec as P
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.explain import (
    FeatureRelevance,
    channel_shares,
    composites,
    feature_relevance,
    relevance,
)
from gan_forensics.nn.resnet import ResNet
from tests import oracles_nn

CHANNELS = {"a": 3, "b": 2}


def maps(rng, n=6):
    return {name: rng.normal(size=(n, 4, 5, c)) for name, c in CHANNELS.items()}


def omegas(layers):
    return FeatureRelevance.zero(CHANNELS).update(layers).result()


def test_omega_is_its_formula(rng):
    layers = maps(rng)
    for name, omega in omegas(layers).items():
        r = layers[name]
        for c in range(CHANNELS[name]):
            shares = [np.clip(r[i, :, :, c], 0, None).sum() / abs(r[i]).sum() for i in range(6)]
            assert_allclose(omega[c], np.mean(shares), rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(split=st.integers(0, 6), factor=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_omega_depends_on_neither_batches_nor_order_nor_scale(split, factor, seed):
    rng = np.random.default_rng(seed)
    layers = maps(rng)
    expected = omegas(layers)
    order = rng.permutation(6)
    scaled = {
        n: r[order] * np.where(order == 2, factor, 1)[:, None, None, None]
        for n, r in layers.items()
    }
    parts = [{n: r[part] for n, r in scaled.items()} for part in (slice(split), slice(split, 6))]
    first, second = (FeatureRelevance.zero(CHANNELS).update(part) for part in parts)
    twice = {n: np.concatenate([r, r]) for n, r in layers.items()}
    for other in (first.merge(second).result(), second.merge(first).result(), omegas(twice)):
        for name in CHANNELS:
            assert_allclose(other[name], expected[name], rtol=1e-10)


def test_positive_and_negative_shares_make_up_a_layer(rng):
    layers = maps(rng)
    evidence, against = omegas(layers), omegas({n: -r for n, r in layers.items()})
    for name in CHANNELS:
        assert_allclose(evidence[name].sum() + against[name].sum(), 1, rtol=1e-12)


def test_a_channel_that_is_never_positive_has_omega_zero_and_the_only_positive_one_has_one(rng):
    layers = maps(rng)
    layers["a"][..., 1] = -abs(layers["a"][..., 1])
    layers["b"][..., 0], layers["b"][..., 1] = 0, abs(layers["b"][..., 1])
    assert omegas(layers)["a"][1] == 0
    assert_array_equal(omegas(layers)["b"], [0, 1])


def test_a_layer_without_relevance_counts_as_zero_and_is_reported(rng):
    layers = maps(rng)
    layers["b"][:4] = 0
    state = FeatureRelevance.zero(CHANNELS).update(layers)
    assert (state.silent["a"], state.silent["b"]) == (0, 4)
    assert_allclose(state.result()["b"], channel_shares(layers)["b"][4:].sum(0) / 6)
    assert np.isfinite(state.result()["b"]).all()


def test_masked_images_are_ignored_even_if_nan(rng):
    layers = maps(rng)
    kept = np.array([True, False, True, True, False, True])
    expected = omegas({n: r[kept] for n, r in layers.items()})
    for r in layers.values():
        r[~kept] = np.nan
    state = FeatureRelevance.zero(CHANNELS).update(layers, kept)
    assert state.count == 4 and state.silent["a"] == 0
    for name in CHANNELS:
        assert_allclose(state.result()[name], expected[name], rtol=1e-12)


def test_states_add_up_over_devices(rng):
    layers = {n: jnp.asarray(r, jnp.float32) for n, r in maps(rng, n=8).items()}
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))

    @functools.partial(jax.shard_map, mesh=mesh, in_specs=P("data"), out_specs=P())
    def over_devices(layers):
        zero = jax.tree.map(jnp.float32, FeatureRelevance.zero(CHANNELS))
        return jax.lax.psum(zero.update(layers), "data")

    state = over_devices(layers)
    assert state.count == 8
    for name, omega in omegas(layers).items():
        assert_allclose(state.result()[name], omega, rtol=1e-5)


def test_layers_that_do_not_fit_are_refused(rng):
    with pytest.raises(ValueError, match="relevance at b does not fit"):
        FeatureRelevance.zero({"a": 3}).update(maps(rng))
    with pytest.raises(ValueError, match="relevance at a does not fit"):
        FeatureRelevance.zero({"a": 4, "b": 2}).update(maps(rng))


def test_a_detector_that_is_confident_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="confident of none"):
        FeatureRelevance.zero(CHANNELS).result()


NETWORK = ResNet((1,), (2,), 1, 3, 2, False)
COMPOSITE = composites.beta_zero_everywhere()


@pytest.fixture(scope="module")
def detector():
    variables = oracles_nn.drawn(NETWORK, (1, 8, 8, 3))
    x = np.random.default_rng(0).normal(size=(5, 8, 8, 3)).astype(np.float32)
    return variables, x


def test_streaming_over_a_detector_equals_all_maps_at_once(detector):
    variables, x = detector
    batches = [x[:2], x[2:4], x[4:]]
    state = feature_relevance(NETWORK, variables, batches, composite=COMPOSITE, confidence=0.0)
    explained = jax.jit(lambda x: relevance(NETWORK, variables, x, composite=COMPOSITE))(x)
    assert state.count == 5
    for name, r in explained.layers.items():
        expected = channel_shares({name: np.asarray(r, np.float64)})[name].mean(0)
        assert_allclose(state.result()[name], expected, rtol=1e-4, atol=1e-7)

    # The median score as the confidence counts the half of the images that are above it.
    scores = np.asarray(jax.nn.sigmoid(explained.logits[:, 0]))
    confidence = float(np.sort(scores)[2]) - 1e-6
    half = feature_relevance(
        NETWORK, variables, batches, composite=COMPOSITE, confidence=confidence
    )
    assert half.count == 3


def test_batches_that_cannot_be_filled_up_are_refused(detector):
    variables, x = detector
    with pytest.raises(ValueError, match="give at least one batch"):
        feature_relevance(NETWORK, variables, [])
    with pytest.raises(ValueError, match="give the largest first"):
        feature_relevance(NETWORK, variables, [x[:1], x[1:]], composite=COMPOSITE)
