import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.explain import find_layers
from gan_forensics.explain.layers import feature_layers
from gan_forensics.nn.efficientnet import Block, EfficientNet, efficientnet, efficientnet_b0
from gan_forensics.nn.weights import from_torch
from tests import oracles_detectors, oracles_nn

BLOCKS = (Block(3, 1, 1, 4), Block(5, 2, 2, 4), Block(3, 1, 2, 4))
TINY = EfficientNet(BLOCKS, 4, 6, 2)


def shapes(module, side):
    images = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32)
    variables = jax.eval_shape(lambda x: module.init(jax.random.key(0), x, train=False), images)
    return variables, images


def test_layers_channels_and_parameters_are_as_many_as_published():
    variables, images = shapes(efficientnet_b0(1000), 224)
    layers = feature_layers(find_layers(efficientnet_b0(1000), variables, images))
    assert len(layers) == 49
    assert sum(layer.channels for layer in layers.values()) == 21008
    # As efficientnet_pytorch counts them.
    assert sum(leaf.size for leaf in jax.tree.leaves(variables["params"])) == 5288548
    assert list(layers)[:3] == [
        "_conv_stem",
        "_blocks.0._depthwise_conv",
        "_blocks.0._project_conv",
    ]
    assert all(layer.norm and layer.epsilon == 1e-3 for layer in layers.values())


def test_scaling_rounds_channels_to_the_divisor_and_repeats_up():
    small = efficientnet(0.15, 0.4, divisor=2)
    assert (small.stem, small.head) == (6, 192)
    # Repeats 1 1 1 2 2 2 1. 0.15 times 16 is 2.4, and 2 would lose over a tenth; likewise the stem.
    assert [b.features for b in small.blocks] == [4, 4, 6, 12, 12, 16, 16, 28, 28, 48]
    assert [b.stride for b in small.blocks] == [1, 2, 2, 2, 1, 1, 1, 2, 1, 1]
    assert efficientnet(1.2, 1.0).blocks[0].features == 24
    assert efficientnet(1.0, 1.0) == efficientnet_b0()


def test_logits_are_those_of_the_torch_twin():
    torch = pytest.importorskip("torch")
    twin = oracles_detectors.torch_efficientnet(blocks=BLOCKS, stem=4, head=6, classes=2).eval()
    state = oracles_nn.randomise(twin, 0).state_dict()
    x = np.random.default_rng(0).normal(size=(2, 11, 16, 3)).astype(np.float32)
    with torch.no_grad():
        expected = twin(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy()
    run = jax.jit(lambda v, x: TINY.apply(v, x, train=False))
    assert_allclose(run(from_torch("efficientnet_b0", state), x), expected, rtol=1e-4, atol=1e-5)


def test_weights_find_their_places_and_squeezing_is_a_matrix_here():
    variables = oracles_nn.drawn(TINY, (1, 8, 8, 3))
    state = {}

    def turn(path, leaf):
        *steps, last = (step.key for step in path[1:])
        name = {"kernel": "weight", "scale": "weight", "mean": "running_mean"}.get(last, last)
        name = "running_var" if last == "var" else name
        array = np.transpose(leaf, {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[leaf.ndim])
        if "_se" in steps and leaf.ndim == 2:
            array = array[..., None, None]
        state[".".join([*(step for step in steps if step != "_se"), name])] = array

    jax.tree_util.tree_map_with_path(turn, variables)
    read = from_torch("efficientnet_b0", state)
    assert jax.tree.structure(read) == jax.tree.structure(variables)
    jax.tree.map(np.testing.assert_array_equal, read, variables)


def test_dropping_branches_and_features_needs_and_uses_a_key():
    module = EfficientNet((Block(3, 1, 1, 4), Block(3, 1, 1, 4)), 4, 6)
    variables = oracles_nn.drawn(module, (8, 4, 4, 3))
    x = jax.random.normal(jax.random.key(1), (8, 4, 4, 3))

    @jax.jit
    def train(key):
        logits, moved = module.apply(
            variables, x, train=True, mutable=["batch_stats"], rngs={"dropout": key}
        )
        return logits, moved

    first, moved = train(jax.random.key(0))
    assert_allclose(train(jax.random.key(0))[0], first)
    assert abs(train(jax.random.key(1))[0] - first).max() > 1e-4
    moves = jax.tree.map(
        lambda a, b: abs(a - b).max(), moved["batch_stats"], variables["batch_stats"]
    )
    assert min(jax.tree.leaves(moves)) > 0


def test_images_smaller_than_the_last_maps_pixel_are_refused():
    with pytest.raises(ValueError, match="sides of at least 32 pixels"):
        efficientnet_b0().init(jax.random.key(0), jnp.zeros((1, 32, 31, 3)), train=False)
