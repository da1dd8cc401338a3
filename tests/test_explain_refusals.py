"""What relevance cannot explain, refused in one line that names the place and a way out."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_forensics.explain import composites, find_layers, guided_grad_cam, relevance

EVERYWHERE = composites.epsilon_everywhere()
VECTORS = np.array([[0.5, -1.5, 2.0, 0.25], [1.0, 3.0, -0.5, -2.0]], np.float32)


def test_what_has_no_rule_is_named_with_its_place(rng):
    def network(p, x):
        return jax.lax.while_loop(lambda y: y.sum() < 9, lambda y: y + 1, x)

    def chosen(p, x):
        return jax.lax.cond(x.sum() > 0, lambda x: x, lambda x: -x, x)

    for function, name in ((network, "while"), (chosen, "cond")):
        words = rf"no relevance rule for {name} of .*test_explain_refusals.py:\d+"
        with pytest.raises(ValueError, match=words):
            relevance(function, None, VECTORS, composite=EVERYWHERE)
    with pytest.raises(ValueError, match="a network is a Linen or NNX module or a function"):
        relevance("network", None, VECTORS, composite=EVERYWHERE)
    with pytest.raises(ValueError, match="returns the logits alone"):
        relevance(lambda _, x: (x, x), None, VECTORS, composite=EVERYWHERE)


STOPS = {
    "convert_element_type": lambda y: y.astype(jnp.int32).astype(y.dtype),
    "gt": lambda y: (y > 0).astype(y.dtype),
    "stop_gradient": jax.lax.stop_gradient,
    "argmax": lambda y: jax.nn.one_hot(y.argmax(-1), 4),
}


@pytest.mark.parametrize("name", STOPS)
def test_where_nothing_of_the_images_is_left_the_step_is_named(name):
    def network(leak):
        def logits(p, x):
            y = x @ p["w"]
            return (STOPS[name](y) + y if leak else STOPS[name](y)) @ p["v"]

        return logits

    p = {"w": np.eye(4), "v": np.ones((4, 1))}
    words = (
        rf"no relevance comes by {name} of \[2, 4\].* at .*test_explain_refusals.py:\d+: .*that way"
    )
    with pytest.raises(ValueError, match=words):
        relevance(network(leak=False), p, VECTORS, composite=EVERYWHERE)
    kept = jax.eval_shape(
        lambda x: relevance(network(leak=True), p, x, composite=EVERYWHERE), VECTORS
    )  # a part of it is enough
    assert kept.image.shape == VECTORS.shape


def test_a_frozen_network_beside_a_few_parameters_is_refused():
    w = np.ones((4, 3))
    words = r"12 weights stand in the function, .* beside its 3 parameters: give all weights as"
    with pytest.raises(ValueError, match=words):
        relevance(lambda p, x: x @ w @ p, np.ones((3, 1)), VECTORS, composite=EVERYWHERE)


def test_what_reads_more_than_images_is_refused_with_a_way_out():
    class Labelled(nn.Module):
        def __call__(self, x, labels):
            return x

    for network, words in (
        (Labelled(), "Labelled: missing a required argument: 'labels'; .* lambda p, x: network"),
        (lambda p, x, labels: x, "<lambda>: missing a required argument: 'labels'; .* lambda"),
    ):
        with pytest.raises(ValueError, match=words):
            find_layers(network, {}, VECTORS)
    maps = np.ones((2, 3, 8, 8), np.float32)
    mistakes = {
        "images are one array, got tuple: .* lambda": (VECTORS, VECTORS[:1, :1]),
        r"channels come first .* network\(p, x.transpose\(0, 3, 1, 2\)\)": maps,
        r"no images: \[0, 4\]; give one or more": VECTORS[:0],
    }
    for words, x in mistakes.items():
        with pytest.raises(ValueError, match=words):
            relevance(lambda p, x: x, None, x, composite=EVERYWHERE)


def test_what_is_no_network_with_its_variables_is_refused():
    class Two(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(1)(x)

    params = {"Dense_0": {"kernel": np.ones((4, 1), np.float32)}}
    mistakes = {
        r"Two is a class: give a network that is made of it, Two\(\)": (Two, params),
        'variables of Two are a dict .*"params": .*; got None': (Two(), None),
        'variables of Two are a dict .*"params": .*; got Dense_0': (Two(), params),
        'the network gives aux: give one that returns "logits"': (lambda p, x: {"aux": x}, None),
    }
    for words, network in mistakes.items():
        with pytest.raises(ValueError, match=words):
            find_layers(*network, VECTORS)


def test_grad_cam_looks_at_maps_alone():
    def network(p, x):
        return x.mean((1, 2)) @ p["fc"]

    words = r"'fc' gives \[2, 1\], and Grad-CAM looks at maps: name a convolution"
    with pytest.raises(ValueError, match=words):
        guided_grad_cam(network, {"fc": np.ones((3, 1))}, np.ones((2, 4, 4, 3), "f"), layer="fc")


def test_a_function_of_its_parameters_alone_is_refused():
    with pytest.raises(ValueError, match="the logits do not depend on the images"):
        relevance(lambda p, x: jnp.ones((2, 1)) * p, np.ones(()), VECTORS, composite=EVERYWHERE)
