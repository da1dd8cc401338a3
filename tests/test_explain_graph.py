"""What the equations of a network mean to relevance, in closed form on a few numbers."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.explain import (
    composites,
    feature_relevance,
    find_layers,
    guided_grad_cam,
    masked_logits,
    max_activations,
    relevance,
    unit_relevance,
)
from gan_forensics.explain.intervals import bounds_of
from gan_forensics.explain.networks import network_of
from gan_forensics.nn.npr import nearest_residual

EVERYWHERE = composites.epsilon_everywhere(1e-12)


def explained(function, x, parameters=None, start=None, composite=EVERYWHERE):
    """Relevance of a function in float64, begun with 1 at every output."""
    with jax.enable_x64(True):
        x, parameters = jnp.asarray(x), jax.tree.map(jnp.asarray, parameters)
        begin = jnp.ones_like if start is None else lambda y: jnp.asarray(start)

        @jax.jit
        def run(parameters, x):
            return relevance(function, parameters, x, composite=composite, start=begin)

        return jax.tree.map(np.asarray, run(parameters, x))


def roles(function, x, parameters=None):
    network = network_of(function, parameters, x)
    return [role.kind for role in network.meaning.roles if role.kind != "constant"]


VECTORS = np.array([[0.5, -1.5, 2.0, 0.25], [1.0, 3.0, -0.5, -2.0]])

ACTIVATIONS = {
    "relu by choice": lambda _, x: jnp.where(x > 0, x, 0),
    "leaky relu by maximum": lambda _, x: jnp.maximum(x, 0.1 * x),
    "gelu": lambda _, x: jax.nn.gelu(x, approximate=False),
    "gelu, tanh": lambda _, x: jax.nn.gelu(x),
    "silu by hand": lambda _, x: x / (1 + jnp.exp(-x)),
    "mish": lambda _, x: jax.nn.mish(x),
    "hard swish": lambda _, x: jax.nn.hard_swish(x),
    "elu": lambda _, x: jax.nn.elu(x),
    "softplus": lambda _, x: jax.nn.softplus(x),
    "in bfloat16": lambda _, x: jax.nn.silu(x.astype(jnp.bfloat16)).astype(x.dtype),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_whatever_is_made_of_one_value_passes_all_to_it(name):
    start = np.array([[1.0, 2.0, -3.0, 4.0], [5.0, 6.0, 7.0, -8.0]])
    found = explained(ACTIVATIONS[name], VECTORS, start=start)
    assert_array_equal(found.image, start)
    assert not found.lost


def rms(_, x):
    return x / jnp.sqrt(jnp.square(x).mean(-1, keepdims=True) + 1e-6)


def layer_norm(p, x):
    mean = x.mean(-1, keepdims=True)
    return (x - mean) * jax.lax.rsqrt(((x - mean) ** 2).mean(-1, keepdims=True)) * p["s"][None] + p[
        "b"
    ][None]


def groups(_, x):
    y = x.reshape(len(x), 2, 2)
    return ((y - y.mean(2, keepdims=True)) / y.std(2, keepdims=True)).reshape(x.shape)


AFFINE = {"s": np.array([2.0, 1, -1, 3]), "b": np.array([1.0, 0, 2, -1])}
NORMS = {
    "rms": rms,
    "l2": lambda _, x: x / jnp.linalg.norm(x, axis=-1, keepdims=True),
    "layer": layer_norm,
    "group": groups,
    "layer, after a layer": lambda p, x: layer_norm(p, layer_norm(p, x)),
    "log softmax": lambda _, x: jax.nn.log_softmax(x),
}


@pytest.mark.parametrize("name", NORMS)
def test_norms_pass_all_to_what_they_normalise(name):
    start = np.arange(8.0).reshape(2, 4)
    assert_array_equal(explained(NORMS[name], VECTORS, AFFINE, start).image, start)


def test_a_norm_of_what_was_pooled_is_one_too():
    x = np.arange(1.0, 17).reshape(2, 2, 4)[:, None]
    found = explained(lambda p, x: layer_norm(p, x.mean((1, 2))), x, AFFINE)
    assert_allclose(found.image, x / x.sum((1, 2), keepdims=True), rtol=1e-6)


def test_a_gate_gets_nothing_and_two_values_half_each():
    w, turned = {"gate": np.eye(4)}, {"gate": np.eye(4)[::-1]}
    start, ones = np.arange(8.0).reshape(2, 4), np.ones((2, 4))
    gated = {
        "sigmoid": lambda p, x: x * jax.nn.sigmoid(x @ p["gate"]),
        "hard": lambda p, x: jax.nn.hard_sigmoid(x @ p["gate"]) * x,
        "hard swish, hard": lambda p, x: jax.nn.hard_swish(x) * jax.nn.hard_sigmoid(x @ p["gate"]),
        "divisor": lambda p, x: x / (1 + (x @ p["gate"]) ** 2),
    }
    for name, function in gated.items():
        found = explained(function, VECTORS, turned, start)
        assert_array_equal(found.image, start, err_msg=name)
    twice = explained(lambda p, x: x * (x @ p["gate"])[:, ::-1], VECTORS, w)
    assert_allclose(twice.image, ones, rtol=1e-9)  # a half of its own place, a half of another
    one = explained(lambda p, x: x * (x @ p["gate"])[:, ::-1], VECTORS, w, np.eye(4)[:2])
    assert_allclose(one.image, [[0.5, 0, 0, 0.5], [0, 0.5, 0.5, 0]], rtol=1e-9)


def test_softmax_is_one_step_however_it_is_written():
    written = {
        "jax": lambda _, x: jax.nn.softmax(x),
        "by hand": lambda _, x: jnp.exp(x) / jnp.exp(x).sum(-1, keepdims=True),
        "shifted": lambda _, x: (lambda e: e / e.sum(-1, keepdims=True))(
            jnp.exp(x - x.max(-1, keepdims=True))
        ),
    }
    start = np.array([[1.0, 0, 2, 0], [0, 1, 0, 0]])
    y = np.exp(VECTORS) / np.exp(VECTORS).sum(1, keepdims=True)
    for name, function in written.items():
        if name == "by hand":  # two exponentials are two values

            def function(_, x):
                e = jnp.exp(x)
                return e / e.sum(-1, keepdims=True)

        found = explained(function, VECTORS, start=start)
        expected = VECTORS * (start - y * start.sum(1, keepdims=True))
        assert_allclose(found.image, expected, rtol=1e-9, err_msg=name)
        assert_allclose(found.lost["attention"], (start - expected).sum(1), rtol=1e-9)


def attention(p, x):
    q, k, v = (x @ p[name] for name in "qkv")
    a = jax.nn.softmax(jnp.einsum("bnd,bmd->bnm", q, k) / np.sqrt(3))
    return x + jnp.einsum("bnm,bmd->bnd", a, v) + p["place"]


def test_attention_conserves_what_it_does_not_say_it_lost(rng):
    x = rng.normal(size=(2, 1, 5, 3))
    p = {name: rng.normal(size=(3, 3)) for name in "qkv"} | {"place": rng.normal(size=(1, 5, 3))}
    found = explained(lambda p, x: attention(p, x[:, 0]), x, p, composite=composites.Composite())
    assert set(found.lost) == {"q", "k", "v", "sums", "attention"}
    total = found.image.sum((1, 2, 3)) + sum(found.lost.values())
    assert_allclose(total, 15, rtol=1e-9)
    assert abs(found.lost["attention"]).min() > 0.1  # the constant of the softmax
    assert abs(found.lost["sums"]).min() > 0.1  # what the places added


def test_a_class_token_loses_what_lands_on_it(rng):
    def network(p, x):
        return jnp.concatenate([jnp.tile(p["token"], (len(x), 1)), x], 1)

    found = explained(network, VECTORS, {"token": rng.normal(size=(1, 2))})
    assert_array_equal(found.image, 1)
    assert_array_equal(found.lost["constants"], [2, 2])


def test_the_winner_takes_all():
    kernel = {"w": np.eye(4)}
    found = explained(lambda p, x: jnp.maximum(x, (x @ p["w"])[:, ::-1]), VECTORS, kernel)
    assert_allclose(found.image, [[2, 0, 2, 0], [2, 2, 0, 0]], atol=1e-9)
    for function in (lambda _, x: x.max(1), lambda _, x: jnp.sort(x)[:, -1:]):
        assert_array_equal(explained(function, VECTORS).image, [[0, 0, 1, 0], [0, 1, 0, 0]])


def test_what_a_function_calls_is_opened(rng):
    ws = {"w": rng.normal(size=(3, 4, 4)), "out": rng.normal(size=(4, 1))}

    def plain(p, x):
        for w in p["w"]:
            x = jnp.tanh(x @ w)
        return x @ p["out"]

    @jax.jit
    def scanned(p, x):
        step = jax.checkpoint(lambda x, w: (jnp.tanh(x @ w), x.sum()))
        x, _ = jax.lax.scan(step, x, p["w"])
        return jax.lax.cond(True, lambda x: x @ p["out"], lambda x: x[:, :1], x)

    expected, found = (explained(f, VECTORS, ws) for f in (plain, scanned))
    assert_allclose(found.image, expected.image, rtol=1e-9)
    assert set(found.lost) == {"w", "w[1]", "w[2]", "out"}
    assert_allclose(found.image.sum(1) + sum(found.lost.values()), 1, rtol=1e-9)


def test_layers_are_named_by_their_parameters_and_weights_may_stand_in_the_function(rng):
    x = rng.normal(size=(2, 3, 6, 6)).transpose(0, 2, 3, 1).astype(np.float32)
    kernel = rng.normal(size=(5, 3, 3, 3)).astype(np.float32)

    def network(p, x):
        x = jax.lax.conv(x.transpose(0, 3, 1, 2), p["stem"]["w"], (2, 2), "VALID")
        x = x + p["stem"]["b"][None, :, None, None]
        return jax.nn.relu(x).mean((2, 3)) @ p["head"]

    p = {"stem": {"w": kernel, "b": np.ones(5, np.float32)}, "head": np.ones((5, 1), np.float32)}
    layers = find_layers(network, p, x)
    assert {name: layer.shape for name, layer in layers.items()} == {
        "stem": (2, 2, 2, 5), "head": (2, 1),
    }  # fmt: skip
    assert layers["stem"].first and not layers["head"].first
    found = jax.jit(lambda p, x: relevance(network, p, x, range=(-9, 9)))(p, x)
    assert found.layers["stem"].shape == (2, 2, 2, 5)
    closed = jax.jit(lambda x: relevance(lambda _, x: network(p, x), None, x, range=(-9, 9)))(x)
    assert list(closed.layers) == ["conv_0"]
    assert_allclose(closed.image, found.image, rtol=1e-5, atol=1e-7)


def test_biases_that_stand_in_the_function_take_their_share_too(rng):
    p = {"w": rng.normal(size=(4, 1)), "b": np.array([[3.0]])}
    full = explained(lambda p, x: x @ p["w"] + p["b"], VECTORS, p)
    for network, given in (
        (lambda _, x: x @ p["w"] + p["b"], None),
        (lambda q, x: x @ q["w"] + p["b"], {"w": p["w"]}),
    ):
        found = explained(network, VECTORS, given)
        assert_allclose(found.image, full.image, rtol=1e-9)
        assert_allclose(*(sum(each.lost.values()) for each in (found, full)), rtol=1e-9)
    assert abs(full.lost["w"]).min() > 0.1


def test_weights_of_jax_may_stand_in_a_function_that_is_traced_already():
    w = jnp.ones((4, 1))  # known numbers, which nobody may compare within a trace
    found = jax.eval_shape(
        lambda x: relevance(lambda _, x: x @ w, None, x, composite=EVERYWHERE), VECTORS
    )
    assert found.image.shape == VECTORS.shape and list(found.lost) == ["dense_0"]


class Stranger(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 4, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)
        self.head = nnx.Linear(4, 1, rngs=rngs)

    def __call__(self, x):
        return self.head(self.drop(nnx.relu(self.norm(self.conv(x))).mean((1, 2))))


def test_an_nnx_module_is_explained_at_inference_and_left_as_it_is(rng):
    network = Stranger(nnx.Rngs(0))
    x = rng.uniform(-1, 1, (2, 4, 4, 3)).astype(np.float32)
    explained = jax.jit(lambda x: relevance(network, None, x, range=(-1, 1)))(x)
    assert not network.drop.deterministic  # it trains on
    network.eval()
    assert_allclose(explained.logits, network(x), rtol=1e-5)
    assert set(explained.layers) == {"conv"} and set(explained.lost) == {"conv", "head", "sums"}
    assert_allclose(explained.image.sum((1, 2, 3)) + sum(explained.lost.values()), 1, rtol=1e-4)


@pytest.mark.slow
def test_all_else_explains_an_nnx_module_too(rng):
    network = Stranger(nnx.Rngs(0))
    x = rng.uniform(-1, 1, (2, 6, 6, 3)).astype(np.float32)

    @jax.jit
    def run(x):
        named = {"layer": "conv", "channel": 1, "range": (-1, 1)}
        return {
            "dark": masked_logits(network, None, x, {"conv": jnp.zeros(4)}),
            "maxima": max_activations(network, None, x),
            "unit": unit_relevance(network, None, x, **named).value,
            "cam": guided_grad_cam(network, None, x, layer="conv").map,
        }

    found = run(x)
    network.eval()
    assert found["dark"][0] == found["dark"][1] != network(x)[0]
    assert_allclose(np.maximum(found["maxima"]["conv"][:, 1], 0), found["unit"], rtol=1e-3)
    assert found["cam"].shape == (2, 6, 6)
    state = feature_relevance(network, None, [x], range=(-1, 1), confidence=0.0)
    assert state.result()["conv"].shape == (4,)


class Normalising(nn.Module):
    """A network that normalises and pads its images itself."""

    @nn.compact
    def __call__(self, x, train=False):
        x = (x - jnp.array([[[[0.4, 0.5, 0.6]]]])) / 0.25
        x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return nn.Conv(1, (3, 3), padding="VALID")(x).mean((1, 2))


def bounds(network, x, pixels, number):
    """Bounds of a value, compiled as one."""

    @jax.jit
    def found(leaves, x):
        values = network.program.start([*leaves, x])
        for step in network.program.steps:
            made = step([values[i] for i in step.inputs], network.program.dtype)
            values.update(zip(step.outputs, made, strict=True))
        return bounds_of(network.program, network.meaning, values, number, pixels)

    return jax.tree.map(np.asarray, found(network.leaves, x))


def test_bounds_are_those_of_what_the_first_layer_reads(rng):
    x = rng.uniform(0, 1, (2, 4, 4, 3)).astype(np.float32)
    conv = {"kernel": np.ones((3, 3, 3, 1), np.float32), "bias": np.ones(1, np.float32)}
    network = network_of(Normalising(), {"params": {"Conv_0": conv}}, x)
    pixels = np.zeros((1, 4, 4, 3), np.float32), np.ones((1, 4, 4, 3), np.float32)
    low, high = bounds(network, x, pixels, network.layers["Conv_0"].place.reads)
    assert low.shape == high.shape == (1, 6, 6, 3)
    assert_allclose(low[0, 2, 2], (0 - np.array([0.4, 0.5, 0.6])) / 0.25, rtol=1e-5)
    assert_allclose(high[0, 2, 2], (1 - np.array([0.4, 0.5, 0.6])) / 0.25, rtol=1e-5)
    assert not low[0, 0].any() and not high[0, :, -1].any()


def test_bounds_pass_differences_even_functions_and_fixed_filters(rng):
    x = rng.uniform(-1, 2, (2, 4, 4, 1)).astype(np.float32)
    blur = np.array([[1.0, -2.0], [0.0, 1.0]], np.float32).reshape(2, 2, 1, 1)

    def filtered(x):
        return jax.lax.conv_general_dilated(
            x, blur, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )

    expected = {
        "residual": (nearest_residual, -2, 2),  # the least first pixel is itself: 0
        "square": (jnp.square, 0, 4),
        "less": (lambda x: 1 - x, -1, 2),
        "filter": (filtered, -1 - 4 - 1, 2 + 2 + 2),
    }
    for name, (front, least, most) in expected.items():
        p = np.ones((1, 1), np.float32)
        network = network_of(lambda p, x, f=front: f(x).sum((1, 2)) @ p, p, x)
        makers = {i: step for step in network.program.steps for i in step.outputs}
        total = network.layers["dense_0"].place.reads
        front_value = makers[total].inputs[0]
        pixels = np.full((1, 4, 4, 1), -1, np.float32), np.full((1, 4, 4, 1), 2, np.float32)
        low, high = bounds(network, x, pixels, front_value)
        assert_allclose([low.min(), high.max()], [least, most], rtol=1e-5, err_msg=name)


def test_mistakes_about_bounds_are_one_clear_line(rng):
    x = rng.uniform(-1, 1, (2, 4, 4, 3)).astype(np.float32)
    p = np.ones((48, 1), np.float32)

    def network(p, x):
        return x.reshape(len(x), -1) @ p

    mistakes = {
        "give range=": {},
        "outside of the stated range from 0 to 1": {"range": (0, 1)},
        "give them once": {"range": (-1, 1), "composite": composites.beta_zero(low=-1, high=1)},
        "give the least and the greatest": {"range": (1, -1)},
    }
    for words, options in mistakes.items():
        with pytest.raises(ValueError, match=words) as error:
            relevance(network, p, x, **options)
        assert "\n" not in error.value.args[0].split("\n-----")[0]

    asked = [
        {"composite": composites.beta_zero(low=-1, high=1)},
        {"range": (-1, 1)},
        {"range": ([-1, -2, -1], [1, 1, 3])},
    ]
    run = jax.jit(lambda p, x: [relevance(network, p, x, **options).image for options in asked])
    stated, told, wide = run(p, x)
    assert_array_equal(told, stated)
    assert abs(np.asarray(wide - stated)).max() > 1e-3


def test_a_network_reads_the_type_that_it_is_given_and_may_give_a_dict():
    x, p = VECTORS.astype(jnp.bfloat16), jnp.ones((4, 1), jnp.bfloat16)

    def network(p, x):
        y = jax.lax.dot_general(x, p, (((1,), (0,)), ((), ())))  # of one type alone
        return {"aux": x, "logits": y}

    found = jax.eval_shape(lambda p, x: relevance(network, p, x, composite=EVERYWHERE), p, x)
    assert found.logits.shape == (2, 1)
    assert found.image.dtype == found.logits.dtype == jnp.float32


def test_scaled_products_of_several_axes_of_channels_are_one_layer(rng):
    p = {"w": rng.normal(size=(4, 2, 3)), "b": rng.normal(size=(2, 3)), "s": np.array(2.0)}

    def heads(p, x):
        y = (jnp.einsum("bi,ihc->bhc", x, p["w"]) + p["b"][None]) * p["s"]
        return jax.nn.gelu(y)

    found = explained(heads, VECTORS, p)
    y = np.einsum("bi,ihc->bhc", VECTORS, p["w"])
    expected = np.einsum("bi,ihc,bhc->bi", VECTORS, p["w"], 1 / (y + p["b"][None]))
    assert_allclose(found.image, expected, rtol=1e-9)
    assert set(found.lost) == {"w"}
