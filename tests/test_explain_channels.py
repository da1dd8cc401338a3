import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.explain import (
    Feature,
    channel_masks,
    find_layers,
    mask_sets,
    masked_logits,
    max_activations,
    parse_name,
    rank,
    top_images,
)
from gan_forensics.explain.layers import feature_layers
from gan_forensics.nn.dcgan import Discriminator
from gan_forensics.nn.resnet import ResNet
from tests import oracles_nn

NETWORK = ResNet((1,), (2,), 1, 3, 2, False)
SHAPE = (3, 8, 8, 3)


@pytest.fixture(scope="module")
def detector():
    variables = oracles_nn.drawn(NETWORK, SHAPE)
    x = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    layers = feature_layers(find_layers(NETWORK, variables, x))
    run = jax.jit(lambda v, x, masks: masked_logits(NETWORK, v, x, masks))
    return variables, x, {name: layer.channels for name, layer in layers.items()}, run


def test_a_silenced_channel_becomes_the_folded_bias_after_its_norm(detector):
    variables, x, channels, run = detector
    name, channel = "layer1.0.conv2", 1
    params = variables["params"]["layer1.0"]["bn2"]
    stats = variables["batch_stats"]["layer1.0"]["bn2"]
    factor = params["scale"] / np.sqrt(stats["var"] + 1e-5)
    constant = (params["bias"] - stats["mean"] * factor)[channel]

    def replace(next_fun, args, kwargs, context):
        y = next_fun(*args, **kwargs)
        if context.module.path == ("layer1.0", "bn2"):
            y = y.at[..., channel].set(constant)
        return y

    with nn.intercept_methods(replace):
        expected = NETWORK.apply(variables, x, train=False)
    logits = run(variables, x, channel_masks([f"{name}.#{channel}"], channels))
    assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    assert abs(logits - run(variables, x, channel_masks([], channels))).max() > 1e-3


def test_no_mask_is_the_network_and_a_silent_stem_sees_nothing(detector):
    variables, x, channels, run = detector
    plain = jax.jit(lambda x: NETWORK.apply(variables, x, train=False))(x)
    assert_allclose(run(variables, x, channel_masks([], channels)), plain, rtol=1e-5)
    blind = run(variables, x, channel_masks(["conv1.#0", "conv1.#1"], channels))
    assert_allclose(blind - blind[:1], 0, atol=1e-6)


def test_draws_are_mapped_over_by_one_function(detector):
    variables, x, channels, run = detector
    omegas = {name: np.linspace(0, 1, n) for name, n in channels.items()}
    sets = mask_sets(rank(omegas), 4, draws=3)
    many = jax.vmap(run, in_axes=(None, None, 0))(variables, x, sets.random)
    assert many.shape == (3, 3, 1)
    for i in range(3):
        one = run(variables, x, {name: mask[i] for name, mask in sets.random.items()})
        assert_allclose(many[i], one, rtol=1e-4, atol=1e-6)


def test_masks_that_do_not_fit_are_refused(detector):
    variables, x, channels, _ = detector
    with pytest.raises(ValueError, match="give one number for each"):
        masked_logits(NETWORK, variables, x, {"conv1": np.ones(5)})
    with pytest.raises(ValueError, match="no layers 'conv9'"):
        masked_logits(NETWORK, variables, x, {"conv9": np.ones(2)})
    with pytest.raises(ValueError, match="no channel 7 of 'conv1'"):
        channel_masks(["conv1.#7"], channels)


def test_largest_activations_are_those_before_the_norm(detector):
    variables, x, channels, _ = detector
    maxima = max_activations(NETWORK, variables, jnp.asarray(x))
    assert {name: a.shape for name, a in maxima.items()} == {n: (3, c) for n, c in channels.items()}
    kernel = variables["params"]["conv1"]["kernel"]
    stem = jax.lax.conv_general_dilated(
        x, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    assert_allclose(maxima["conv1"], stem.max((1, 2)), rtol=1e-5)
    some = max_activations(NETWORK, variables, jnp.asarray(x), ["layer1.0.conv3"])
    assert set(some) == {"layer1.0.conv3"}


def test_the_strongest_images_of_each_channel_come_first():
    maxima = np.array([[1.0, 5.0], [3.0, 5.0], [2.0, 7.0]])
    top = top_images(maxima, 2)
    assert_array_equal(top.images, [[1, 2], [2, 0]])
    assert_array_equal(top.values, [[3, 2], [7, 5]])
    assert top_images(maxima, 9).images.shape == (2, 3)


def test_a_logit_is_no_feature():
    network = Discriminator(16, width=2)
    variables = oracles_nn.drawn(network, (1, 16, 16, 3))
    layers = find_layers(network, variables, jnp.ones((1, 16, 16, 3)))
    assert set(feature_layers(layers)) == set(layers) - {"logit"}


def test_the_ranking_is_global_with_ties_in_the_order_of_names():
    omegas = {"b": np.array([0.1, 0.3]), "a": np.array([0.3, 0.0, 0.1])}
    names = [feature.name for feature in rank(omegas)]
    assert names == ["a.#0(T=3)", "b.#1(T=2)", "a.#2(T=3)", "b.#0(T=2)", "a.#1(T=3)"]


def test_a_ranking_within_layers_does_not_favour_narrow_ones():
    omegas = {"narrow": np.array([0.5, 0.4]), "wide": np.array([0.01, 0.01, 0.01, 0.07])}
    assert rank(omegas)[0].name == "narrow.#0(T=2)"
    first = rank(omegas, scale="z_score")[0]
    assert first == Feature("wide", 3, 4, 0.07)
    assert {f.layer for f in rank(omegas, scale="rank")[:2]} == {"narrow", "wide"}
    with pytest.raises(ValueError, match="scales are none, z_score, rank"):
        rank(omegas, scale="log")  # pyright: ignore[reportArgumentType]


def test_names_are_read_back():
    assert parse_name(Feature("layer1.0.conv1", 63, 64, 0.1).name) == ("layer1.0.conv1", 63)
    with pytest.raises(ValueError, match="names no channel"):
        parse_name("layer1.0.conv1")


def test_the_seed_draws_the_random_masks():
    ranking = rank({"a": np.arange(12.0), "b": np.arange(9.0)})
    one, same, other = (mask_sets(ranking, 4, draws=3, seed=seed).random for seed in (1, 1, 2))
    assert all((one[name] == same[name]).all() for name in one)
    assert any((one[name] != other[name]).any() for name in one)


def test_mask_sets_hold_the_first_the_last_and_others_than_the_first():
    ranking = rank({"a": np.arange(6.0), "b": np.arange(6.0) / 7})
    sets = mask_sets(ranking, 3, draws=20, seed=1)
    assert_array_equal(sets.top["a"], [1, 1, 1, 0, 0, 0])
    assert_array_equal(sets.low["b"], [0, 0, 1, 1, 1, 1])
    silenced = sum((mask == 0).sum(-1) for mask in sets.random.values())
    assert_array_equal(silenced, np.full(20, 3))
    assert (sets.random["a"][:, 3:] == 1).all()
    assert len({mask.tobytes() for mask in sets.random["b"]}) > 1


@pytest.mark.parametrize("k", [0, 4])
def test_a_k_that_leaves_no_others_is_refused(k):
    with pytest.raises(ValueError, match="must be from 1 to 3"):
        mask_sets(rank({"a": np.arange(7.0)}), k)
