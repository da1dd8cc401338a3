"""Relevance of whole networks, written without any thought of relevance."""

from functools import cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.explain import (
    composites,
    feature_relevance,
    find_layers,
    fold_batch_norm,
    relevance,
    rules,
    unit_relevance,
)
from gan_forensics.nn.conv import Conv, convolve
from gan_forensics.nn.dcgan import Discriminator
from gan_forensics.nn.efficientnet import Block, EfficientNet
from gan_forensics.nn.norms import BatchNorm
from gan_forensics.nn.resnet import ResNet
from tests import oracles_nn

RESNET = ResNet((1, 1), (3, 4), 1, 3, 2)
EFFICIENTNET = EfficientNet((Block(3, 1, 1, 4), Block(3, 1, 2, 4)), 4, 6)
SHAPE = (3, 8, 8, 3)
BOXED = composites.beta_zero(low=composites.IMAGENET[0], high=composites.IMAGENET[1])
LINEAR = composites.epsilon_everywhere(1e-14)
UNIT = partial(unit_relevance, range=composites.IMAGENET)


def float64(variables):
    return jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables)


def network(module, shape=SHAPE, seed=0):
    """Variables and images in float64, whose logits lie well away from 0."""
    variables = float64(oracles_nn.drawn(module, shape, seed))
    return variables, np.random.default_rng(seed).uniform(-2, 2.6, shape)


@cache
def compiled_once(module, composite):
    return jax.jit(lambda v, x, start: relevance(module, v, x, composite=composite, start=start))


def compiled(module, variables, x, composite=BOXED, start=None):
    """Relevance in float64; started with 1 at every logit."""
    with jax.enable_x64(True):
        start = jnp.ones((len(x), 1)) if start is None else jnp.asarray(start)
        if isinstance(module, Discriminator):
            start = start.reshape(-1)
        run = compiled_once(module, composite)
        return jax.tree.map(np.asarray, run(variables, jnp.asarray(x), start))


@cache
def plainly(module):
    return jax.jit(lambda v, x: module.apply(v, x, train=False))


@pytest.fixture(scope="module")
def resnet():
    variables, x = network(RESNET)
    return variables, x, compiled(RESNET, variables, x)


def times_gradient(module, variables, x):
    with jax.enable_x64(True):
        slope = jax.jit(
            jax.grad(lambda x: module.apply(variables, x, train=False).sum(), argnums=0)
        )
        return x * np.asarray(slope(jnp.asarray(x)))


@pytest.mark.parametrize(
    "module, shape",
    [(RESNET, SHAPE), (Discriminator(16, width=2), (2, 16, 16, 3))],
    ids=["resnet", "dcgan"],
)
def test_relevance_without_epsilon_is_input_times_gradient(module, shape):
    # Bias and batch norm in the denominators, ReLU or leaky ReLU, sums, a mean: every part of the
    # graph must be handled right for the two to agree, as long as no sum vanishes.
    variables, x = network(module, shape)
    explained = compiled(module, variables, x, LINEAR)
    explained = compiled(module, variables, x, LINEAR, start=explained.logits)
    expected = times_gradient(module, variables, x)
    scale = abs(expected).max()
    assert_allclose(explained.image, expected, rtol=1e-6, atol=1e-8 * scale)


def test_logits_are_those_of_the_network(resnet):
    variables, x, explained = resnet
    with jax.enable_x64(True):
        assert_allclose(explained.logits, plainly(RESNET)(variables, x), rtol=1e-10)


def test_one_backward_pass_finds_all_convolutions_in_published_names(resnet):
    _, _, explained = resnet
    block = ("conv1", "conv2", "conv3", "downsample.0")
    names = ["conv1", *(f"layer{i}.0.{name}" for i in (1, 2) for name in block)]
    assert set(explained.layers) == set(names)
    assert explained.layers["layer2.0.conv2"].shape == (3, 1, 1, 4)


def test_relevance_is_only_lost_where_it_is_said_to_be(resnet):
    _, _, explained = resnet
    lost = sum(explained.lost.values())
    # Sums and the mean lose epsilon's share alone, which is not listed.
    assert_allclose(explained.image.sum((1, 2, 3)) + lost, 1, rtol=1e-3)


def test_pixels_have_the_rule_of_the_first_convolution(resnet):
    variables, x, boxed = resnet
    conv, norm = (variables["params"][name] for name in ("conv1", "bn1"))
    factor = norm["scale"] / np.sqrt(variables["batch_stats"]["bn1"]["var"] + 1e-5)
    low, high = composites.IMAGENET
    with jax.enable_x64(True):
        arrives = rules.box(
            partial(convolve, strides=2, padding=1),
            jnp.asarray(x),
            jnp.asarray(conv["kernel"] * factor.reshape(1, 1, 1, -1)),
            None,
            jnp.asarray(boxed.layers["conv1"]),
            low=low,
            high=high,
        )
        assert_allclose(boxed.image, arrives, rtol=1e-9, atol=1e-12)


def test_without_biases_all_relevance_arrives(rng):
    variables, x = network(RESNET)
    variables["params"] = jax.tree_util.tree_map_with_path(
        lambda path, a: 0 * a if path[-1].key == "bias" else a, variables["params"]
    )
    variables["batch_stats"] = jax.tree_util.tree_map_with_path(
        lambda path, a: 0 * a if path[-1].key == "mean" else a, variables["batch_stats"]
    )
    explained = compiled(RESNET, variables, x, LINEAR)
    assert_allclose(explained.image.sum((1, 2, 3)), 1, rtol=1e-6)


class Normed(nn.Module):
    """A convolution with batch norm, or the same without."""

    norm: bool

    @nn.compact
    def __call__(self, x, *, train):
        x = Conv(4, 3, name="conv")(x)
        x = BatchNorm(name="norm")(x, train=train) if self.norm else x
        return nn.Dense(1, name="fc")(nn.relu(x).mean((1, 2)))


def test_a_convolution_and_its_batch_norm_are_one_layer():
    variables, x = network(Normed(True))
    params, running = variables["params"], variables["batch_stats"]["norm"]
    conv, norm = params["conv"], params["norm"]
    factor = norm["scale"] / np.sqrt(running["var"] + 1e-5)
    one = {
        "kernel": conv["kernel"] * factor.reshape(1, 1, 1, -1),
        "bias": (conv["bias"] - running["mean"]) * factor + norm["bias"],
    }
    gamma = composites.Composite(conv=rules.gamma)  # it minds signs and bias
    explained = compiled(Normed(True), variables, x, gamma)
    expected = compiled(Normed(False), {"params": {"conv": one, "fc": params["fc"]}}, x, gamma)
    assert_allclose(explained.logits, expected.logits, rtol=1e-12)
    assert_allclose(explained.layers["conv"], expected.layers["conv"], rtol=1e-9, atol=1e-12)
    assert_allclose(explained.image, expected.image, rtol=1e-9, atol=1e-12)


def test_folded_variables_give_the_same_logits_and_relevance(resnet):
    variables, x, explained = resnet
    with jax.enable_x64(True):
        layers = find_layers(RESNET, variables, jnp.asarray(x)).values()
        assert {layer.epsilon for layer in layers if layer.norm} == {1e-5}
        folded = fold_batch_norm(variables, layers)
        assert all(
            (v["mean"] == 0).all()
            for v in jax.tree.leaves(folded["batch_stats"], is_leaf=lambda v: "mean" in v)
        )
        assert_allclose(plainly(RESNET)(folded, x), explained.logits, rtol=1e-10)
        # As released every norm still divides by sqrt(1 + epsilon), its own shift too.
        kept = fold_batch_norm(variables, layers, keep_epsilon=True)
        half = folded["params"]["bn1"]["bias"] / (1 + 1e-5) ** 0.5
        assert_allclose(kept["params"]["bn1"]["bias"], half, rtol=1e-12)
        assert (kept["batch_stats"]["bn1"]["var"] == 1).all()
        away = abs(plainly(RESNET)(kept, x) / explained.logits - 1).max()
        assert 1e-6 < away < 1e-3
    again = compiled(RESNET, folded, x)
    assert_allclose(again.image, explained.image, rtol=1e-8, atol=1e-10)


def test_images_of_a_batch_do_not_meet(resnet):
    variables, x, explained = resnet
    order = np.array([2, 0, 1])
    turned = compiled(RESNET, variables, x[order])
    assert_allclose(turned.image, explained.image[order], rtol=1e-9, atol=1e-12)


def test_relevance_is_linear_in_its_start(resnet):
    variables, x, explained = resnet
    twice = compiled(RESNET, variables, x, start=np.full((3, 1), -2.0))
    assert_allclose(twice.image, -2 * explained.image, rtol=1e-9, atol=1e-12)


def test_squeeze_and_excitation_and_swish_pass_all_to_the_feature():
    variables, x = network(EFFICIENTNET)
    composite = composites.beta_zero_everywhere()
    explained = compiled(EFFICIENTNET, variables, x, composite=composite)
    assert "_blocks.1._depthwise_conv" in explained.layers
    # Nothing enters the branch of the gate ...
    for name, lost in explained.lost.items():
        if "_se" in name:
            assert not lost.any()
    # ... and what arrives is what left the logit's bias behind.
    kept = 1 - sum(explained.lost.values())
    assert_allclose(explained.image.sum((1, 2, 3)), kept, rtol=1e-3)


def test_a_small_network_by_hand():
    class Small(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            x = nn.relu(Conv(2, 1, use_bias=False, name="conv")(x))
            return nn.Dense(1, name="fc")(x.mean((1, 2)))

    kernel = np.array([[1.0, -1.0], [2.0, 3.0]]).reshape(1, 1, 2, 2)
    variables = {
        "params": {
            "conv": {"kernel": kernel},
            "fc": {"kernel": np.array([[1.0], [4.0]]), "bias": np.array([2.0])},
        }
    }
    x = np.array([1.0, 1.0]).reshape(1, 1, 1, 2)
    explained = compiled(Small(), variables, x, composite=composites.beta_zero_everywhere())
    # The maps are (3, 2), the logit 3 + 8 + 2 = 13; beta = 0 then shares 3/13 as 1:2, 8/13 as 0:3.
    assert_allclose(explained.logits, [[13]])
    assert_allclose(explained.layers["conv"].reshape(-1), [3 / 13, 8 / 13], rtol=1e-5)
    assert_allclose(explained.image.reshape(-1), [1 / 13, 2 / 13 + 8 / 13], rtol=1e-5)
    assert_allclose(explained.lost["fc"], [2 / 13], rtol=1e-5)


def test_one_of_several_logits_is_explained_by_a_start():
    module = ResNet((1,), (2,), 3, 3, 2, False)
    variables, x = network(module)
    with pytest.raises(ValueError, match="say which to explain by start="):
        relevance(module, variables, x, composite=BOXED)
    start = np.eye(3)[[0, 1, 2]]
    with pytest.raises(ValueError, match="one number for every logit"):
        relevance(module, variables, x, composite=BOXED, start=start[:2])
    explained = compiled(module, variables, x, start=start)
    single = compiled(module, variables, x, start=np.eye(3)[[1, 1, 1]])
    assert_allclose(explained.image[1], single.image[1], rtol=1e-9)
    assert abs(explained.image[0] - single.image[0]).max() > 1e-3


def test_the_relevance_of_a_unit_starts_at_the_largest_activation(resnet):
    variables, x, _ = resnet
    layer, channel = "layer1.0.conv2", 1
    with jax.enable_x64(True):
        run = jax.jit(lambda v, x, c: UNIT(RESNET, v, x, layer=layer, channel=c))
        unit = run(variables, jnp.asarray(x), channel)
        capture = {"capture_intermediates": True, "mutable": ["intermediates"]}
        watch = jax.jit(lambda v, x: RESNET.apply(v, x, train=False, **capture))
        _, state = watch(variables, x)
        maps = np.asarray(state["intermediates"]["layer1.0"]["bn2"]["__call__"][0])[..., channel]
        best = np.maximum(maps, 0).reshape(3, -1)
        assert_allclose(unit.value, best.max(1), rtol=1e-9)
        assert_array_equal(unit.place[:, 0] * maps.shape[2] + unit.place[:, 1], best.argmax(1))
        assert np.isfinite(unit.image).all() and abs(unit.image).max() > 0


def test_units_of_several_layers_are_explained_at_once():
    class Small(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            x = nn.relu(Conv(3, 3, name="conv1")(x))
            x = nn.relu(Conv(5, 3, 2, name="conv2")(x))
            return nn.Dense(1, name="fc")(x.mean((1, 2)))

    module, names = Small(), ("conv1", "conv2")
    variables = oracles_nn.drawn(module, SHAPE)
    x = np.random.default_rng(0).uniform(-2, 2.6, SHAPE).astype(np.float32)
    run = jax.jit(partial(UNIT, module, layer=names))
    which, channel = np.array([1, 0, 1]), np.array([3, 1, 2])
    found = run(variables, x, which=which, channel=channel)
    alone = [jax.jit(partial(UNIT, module, layer=name)) for name in names]
    for i in range(3):
        one = alone[which[i]](variables, x, channel=channel[i])
        assert one.value[i] > 0
        assert_allclose(found.value[i], one.value[i], rtol=1e-5)
        assert_array_equal(found.place[i], one.place[i])
        assert_allclose(found.image[i], one.image[i], rtol=1e-4, atol=1e-6)


def test_any_rule_can_be_put_anywhere():
    variables, x = network(RESNET)
    box = partial(rules.box, low=(-2.1, -2.0, -1.8), high=(2.2, 2.4, 2.6))
    composite = composites.Composite(first=box, conv=rules.w_square)
    explained = compiled(RESNET, variables, x, composite=composite)
    # w^2 conserves whatever the input; only the logit's bias takes its part.
    assert_allclose(explained.image.sum((1, 2, 3)), 1 - explained.lost["fc"], rtol=1e-2)


class Odd(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        x = Conv(2, 3)(x)
        return jnp.cumprod(x, axis=-1).mean((1, 2, 3))


def test_what_no_rule_is_known_for_is_refused_by_name_and_place():
    variables = oracles_nn.drawn(Odd(), SHAPE)
    words = (
        r"no relevance rule for cumprod of \[3, 8, 8, 2\] in Odd at .*test_explain_relevance.py:"
    )
    with pytest.raises(ValueError, match=words) as error:
        relevance(Odd(), variables, jnp.ones(SHAPE), composite=BOXED)
    assert "\n" not in str(error.value)


class Flat(nn.Module):
    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(1)(x.reshape(len(x), -1))


def test_a_network_without_convolutions_has_relevance_but_no_features():
    variables = oracles_nn.drawn(Flat(), SHAPE)
    explained = relevance(Flat(), variables, jnp.ones(SHAPE), composite=BOXED)
    assert not explained.layers and list(explained.lost) == ["Dense_0"]
    assert_allclose(explained.image.sum((1, 2, 3)), 1, rtol=1e-5)
    with pytest.raises(ValueError, match="has no convolution to several channels"):
        feature_relevance(Flat(), variables, [jnp.ones(SHAPE)], composite=BOXED)


def test_a_layer_that_is_not_there_is_refused():
    variables = oracles_nn.drawn(RESNET, SHAPE)
    with pytest.raises(ValueError, match="no layers 'layer9'.*its convolutions are conv1"):
        UNIT(RESNET, variables, jnp.ones(SHAPE), layer="layer9", channel=0)


def test_a_channel_that_is_not_there_is_refused():
    def unit(**asked):
        ask = partial(UNIT, lambda p, x: convolve(x, p["a"]["w"]).mean((1, 2)), layer="a", **asked)
        return jax.eval_shape(ask, {"a": {"w": np.ones((1, 1, 3, 5))}}, np.ones(SHAPE, "f"))

    unit(channel=4)
    for number in (5, -1, np.array([0, 5, 1])):
        shown = np.max(number)
        with pytest.raises(
            ValueError, match=f"no channel {shown} in 'a': it has 5, counted from 0"
        ):
            unit(channel=number)
    with pytest.raises(ValueError, match="which=1: layer= names 1, counted from 0"):
        unit(channel=0, which=1)


class Bare(nn.Module):
    """Convolutions and products without modules of their own, batch norm after the sum."""

    @nn.compact
    def __call__(self, x, *, train):
        x = Conv(4, 3, name="conv")(x)
        y = BatchNorm(name="norm")(nn.relu(x) + x, train=train)
        kernel = self.param("kernel", nn.initializers.normal(), (3, 3, 4, 4))
        y = convolve(y, kernel)
        matrix = self.param("matrix", nn.initializers.normal(), (4, 1))
        return jnp.dot(nn.leaky_relu(y, 0.2).sum((1, 2)), matrix)


def test_operations_without_a_module_are_explained_too():
    variables, x = network(Bare())
    explained = compiled(Bare(), variables, x)
    assert set(explained.layers) == {"conv", "kernel"}
    assert set(explained.lost) == {"conv", "kernel", "matrix", "sums"}
    assert np.isfinite(explained.image).all() and abs(explained.image).max() > 0


def test_images_of_bytes_are_refused():
    variables = oracles_nn.drawn(RESNET, SHAPE)
    with pytest.raises(ValueError, match="give floats"):
        relevance(RESNET, variables, np.zeros(SHAPE, np.uint8))
