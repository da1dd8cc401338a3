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


# In torchvision stages of one block and of two.
THEIRS = {0: "features.1.0.block", 1: "features.2.0.block", 2: "features.2.1.block"}
TORCHVISION = EfficientNet(
    (Block(3, 1, 1, 8), Block(5, 2, 2, 16), Block(5, 1, 2, 16)),
    stem=8,
    head=16,
    classes=2,
    convention="torchvision",
)
# Of the variables and images below, for inference; by torchvision 0.29.1.
LOGITS = [[-0.27909284, 0.14975879], [-0.27946789, 0.14923493]]


def torchvision_name(steps):
    """torchvision's name of a layer of `TORCHVISION`."""
    outside = {"_conv_stem": "0.0", "_bn0": "0.1", "_conv_head": "3.0", "_bn1": "3.1"}
    if len(steps) == 1:
        return "classifier.1" if steps[0] == "_fc" else f"features.{outside[steps[0]]}"
    block = int(steps[0].removeprefix("_blocks."))
    inside = ["_expand_conv _bn0", "_depthwise_conv _bn1", "_se_reduce _se_expand"]
    inside = [*inside, "_project_conv _bn2"][0 if block else 1 :]
    ((at, pair),) = [(i, names) for i, names in enumerate(inside) if steps[-1] in names.split()]
    second = pair.split().index(steps[-1])
    return f"{THEIRS[block]}.{at}." + (f"fc{second + 1}" if "_se" in steps else f"{second}")


def torchvision_case():
    variables = oracles_nn.drawn(TORCHVISION, (1, 8, 8, 3))
    state = as_convolutions(oracles_nn.torch_state(variables, torchvision_name), ".fc")
    return variables, state, np.random.default_rng(0).normal(size=(2, 11, 16, 3)).astype("float32")


def as_convolutions(state, mark):
    """Matrices whose names contain the mark as 1x1 convolutions."""
    return {
        name: array[..., None, None] if mark in name and array.ndim == 2 else array
        for name, array in state.items()
    }


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
    norms = [layer for layer in layers.values() if not layer.dense]
    assert all(layer.norm and layer.epsilon == pytest.approx(1e-3) for layer in norms)


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
    state = oracles_nn.torch_state(
        variables, lambda steps: ".".join(step for step in steps if step != "_se")
    )
    state = as_convolutions(state, "_se_")
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


def test_weights_of_torchvision_find_their_places():
    variables, state, _ = torchvision_case()
    read = from_torch("efficientnet_b0_torchvision", state)
    assert jax.tree.structure(read) == jax.tree.structure(variables)
    jax.tree.map(np.testing.assert_array_equal, read, variables)


def test_logits_are_those_of_torchvision():
    """Padding and batch norm are not efficientnet_pytorch's: its network gives others."""
    variables, _, x = torchvision_case()
    features = TORCHVISION.clone(classes=None)
    means = np.asarray(jax.jit(lambda v, x: features.apply(v, x, train=False))(variables, x))
    assert means.shape == (2, 16)
    last = variables["params"]["_fc"]
    assert_allclose(means @ last["kernel"] + last["bias"], LOGITS, rtol=1e-5, atol=1e-6)


def test_training_is_that_of_torchvision(monkeypatch):
    pytest.importorskip("torchvision")
    from torchvision.models.efficientnet import EfficientNet as Theirs
    from torchvision.models.efficientnet import MBConvConfig

    stages = [MBConvConfig(1, 3, 1, 8, 8, 1), MBConvConfig(2, 5, 2, 8, 16, 2)]
    twin = Theirs(stages, dropout=0, stochastic_depth_prob=0, num_classes=2, last_channel=16)
    variables, state, x = torchvision_case()
    inference, training = oracles_nn.torch_outputs(twin, state, x)
    assert_allclose(inference, LOGITS, rtol=1e-5, atol=1e-6)
    monkeypatch.setattr("gan_forensics.nn.efficientnet.DROPOUT", 0.0)
    monkeypatch.setattr("gan_forensics.nn.efficientnet.DROP_BRANCH", 0.0)
    run = jax.jit(lambda v, x: TORCHVISION.apply(v, x, train=True, mutable=["batch_stats"]))
    logits, moved = run(variables, x)
    assert_allclose(logits, training, rtol=1e-4, atol=1e-5)
    expected = from_torch("efficientnet_b0_torchvision", twin.state_dict())["batch_stats"]
    jax.tree.map(
        lambda a, b: assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        dict(moved["batch_stats"]),
        expected,
    )
