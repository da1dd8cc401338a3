from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.nn.efficientnet import Block
from gan_forensics.nn.initial import shapes_of
from gan_forensics.nn.mobilenet import MobileNetV2, mobilenet_v2
from gan_forensics.nn.weights import from_torch
from tests import oracles_nn

BLOCKS = (Block(3, 2, 2, 8), Block(3, 1, 1, 8))
TINY = MobileNetV2(BLOCKS, 8, 1280, 2)
# Of the variables and images of `case`, for inference; by torchvision 0.29.1.
LOGITS = [[-6.1599803, 17.8916272], [-3.0181069, 19.3070116]]


def case():
    variables = oracles_nn.drawn(TINY, (1, 8, 8, 3))
    # So that every ReLU6 has something to cut off.
    variables = jax.tree_util.tree_map_with_path(
        lambda path, leaf: 6 * leaf if path[-1].key == "scale" else leaf, variables
    )
    x = 3 * np.random.default_rng(0).normal(size=(2, 9, 12, 3)).astype(np.float32)
    return variables, x


def parameters(module, side=32):
    images = jax.ShapeDtypeStruct((1, side, side, 3), jnp.float32)
    return shapes_of(lambda x: module.init(jax.random.key(0), x, train=False), images)["params"]


def count(params):
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def test_parameters_are_as_many_as_published_and_carry_their_names():
    params = parameters(mobilenet_v2())
    assert count(params) == 3_504_872
    assert params["classifier.1"]["kernel"].shape == (1280, 1000)
    assert params["features.1"]["conv.0.0"]["kernel"].shape == (3, 3, 1, 32)
    assert set(params["features.2"]) == {
        f"conv.{n}" for n in ("0.0", "0.1", "1.0", "1.1", "2", "3")
    }


def test_width_scales_all_channels_but_those_of_the_head_in_multiples_of_eight():
    """As torchvision with `width_mult=0.25`."""
    small = mobilenet_v2(10, width=8)
    assert (small.stem, small.head, small.classes) == (8, 1280, 10)
    widths = [block.features for block in small.blocks]
    assert widths == [8] * 6 + [16] * 4 + [24] * 3 + [40] * 3 + [80]
    assert mobilenet_v2(width=64).head == 2560


def test_weights_find_their_places():
    variables, _ = case()
    read = from_torch("mobilenet_v2", oracles_nn.torch_state(variables))
    assert jax.tree.structure(read) == jax.tree.structure(variables)
    jax.tree.map(np.testing.assert_array_equal, read, variables)


def test_logits_are_those_of_torchvision():
    variables, x = case()
    features = TINY.clone(classes=None)
    means = np.asarray(jax.jit(lambda v, x: features.apply(v, x, train=False))(variables, x))
    assert means.shape == (2, 1280)
    last = variables["params"]["classifier.1"]
    assert_allclose(means @ last["kernel"] + last["bias"], LOGITS, rtol=1e-5, atol=1e-4)


def test_training_is_that_of_torchvision(monkeypatch):
    pytest.importorskip("torchvision")
    from torchvision.models import MobileNetV2 as Theirs

    stages = [[2, 32, 1, 2], [1, 32, 1, 1]]
    twin = Theirs(2, 0.25, stages, dropout=0)
    variables, x = case()
    inference, training = oracles_nn.torch_outputs(twin, oracles_nn.torch_state(variables), x)
    assert_allclose(inference, LOGITS, rtol=1e-5, atol=1e-4)
    monkeypatch.setattr("gan_forensics.nn.mobilenet.DROPOUT", 0.0)
    run = jax.jit(lambda v, x: TINY.apply(v, x, train=True, mutable=["batch_stats"]))
    logits, moved = run(variables, x)
    assert_allclose(logits, training, rtol=1e-4, atol=1e-3)
    expected = from_torch("mobilenet_v2", twin.state_dict())["batch_stats"]
    jax.tree.map(
        lambda a, b: assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        dict(moved["batch_stats"]),
        expected,
    )


def test_features_are_what_the_last_layer_reads_and_dropout_acts_in_training_only():
    module = MobileNetV2((), 4, 16, 2)
    variables = oracles_nn.drawn(module, (4, 2, 2, 3))
    x = jax.random.normal(jax.random.key(1), (4, 2, 2, 3))

    @jax.jit
    def run(key):
        training = partial(module.apply, train=True, mutable=["batch_stats"])
        means = module.clone(classes=None).apply(variables, x, train=False)
        logits = module.apply(variables, x, train=False)
        return means, logits, training(variables, x, rngs={"dropout": key})[0]

    means, logits, first = run(jax.random.key(0))
    last = variables["params"]["classifier.1"]
    expected = np.asarray(means) @ last["kernel"] + last["bias"]
    assert_allclose(logits, expected, rtol=1e-5, atol=1e-6)
    assert abs(run(jax.random.key(1))[2] - first).max() > 1e-4


def test_images_smaller_than_the_last_maps_pixel_are_refused():
    with pytest.raises(ValueError, match="sides of at least 32 pixels"):
        mobilenet_v2().init(jax.random.key(0), jnp.zeros((1, 28, 28, 1)), train=False)
