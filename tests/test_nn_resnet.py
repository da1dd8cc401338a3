import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.explain import find_layers
from gan_forensics.explain.layers import feature_layers
from gan_forensics.nn.resnet import BasicBlock, ResNet, resnet18, resnet34, resnet50, resnet_small
from gan_forensics.nn.weights import from_torch
from tests import oracles_detectors, oracles_nn

TINY = ResNet((2, 1), (2, 3), 2)
BASIC = ResNet((2, 1), (2, 3), 2, block=BasicBlock)


def shapes(module, side):
    images = jax.ShapeDtypeStruct((2, side, side, 3), jnp.float32)
    variables = jax.eval_shape(lambda x: module.init(jax.random.key(0), x, train=False), images)
    return variables, images


@pytest.mark.parametrize(
    "module, side, convolutions, channels, parameters",
    [
        # torchvision's ResNet-50 has 25,557,032 parameters, of which 2,049,000 in the last layer.
        (resnet50(), 224, 53, 26560, 25557032 - 2049000 + 2049),
        (resnet50(1000), 224, 53, 26560, 25557032),
        (resnet34(1000), 224, 36, 8512, 21_797_672),
        (resnet18(1000), 224, 20, 4800, 11_689_512),
        (resnet_small(), 32, 17, 1208, None),
    ],
)
def test_layers_channels_and_parameters_are_as_many_as_published(
    module, side, convolutions, channels, parameters
):
    variables, images = shapes(module, side)
    layers = feature_layers(find_layers(module, variables, images))
    assert len(layers) == convolutions
    assert sum(layer.channels for layer in layers.values()) == channels
    count = sum(leaf.size for leaf in jax.tree.leaves(variables["params"]))
    assert parameters in (None, count)


def test_layers_have_published_names_and_each_its_batch_norm():
    layers = find_layers(resnet50(), *shapes(resnet50(), 64))
    names = list(layers)
    assert names[:5] == ["conv1", *(f"layer1.0.{n}" for n in ("conv1", "conv2", "conv3"))] + [
        "layer1.0.downsample.0"
    ]
    assert names[-1] == "fc" and layers["fc"].dense
    assert layers["layer4.0.downsample.0"].norm == ("layer4.0", "downsample.1")
    assert all(layer.norm for name, layer in layers.items() if name != "fc")
    assert [name for name, layer in layers.items() if layer.first] == ["conv1"]


@pytest.mark.parametrize(
    ("arch", "network", "prefix"),
    [
        ("resnet50", TINY, ""),
        ("resnet50", TINY, "module."),
        ("resnet34", BASIC, ""),
        ("resnet18", BASIC, ""),
    ],
)
def test_weights_find_their_places(arch, network, prefix):
    variables = oracles_nn.drawn(network, (1, 32, 32, 3))
    state = {prefix + name: array for name, array in oracles_nn.torch_state(variables).items()}
    read = from_torch(arch, state)
    assert jax.tree.structure(read) == jax.tree.structure(variables)
    jax.tree.map(np.testing.assert_array_equal, read, variables)


def test_weights_that_do_not_fit_are_listed():
    state = oracles_nn.torch_state(oracles_nn.drawn(TINY, (1, 32, 32, 3)))
    state["layer1.0.extra"] = np.zeros(3)
    del state["layer2.0.bn2.bias"]
    state["layer1.1.conv2.weight"] = np.zeros((2, 2, 5, 5))
    with pytest.raises(ValueError) as error:
        from_torch("resnet50", state)
    for line in (
        "unknown: layer1.0.extra [3]",
        "missing: layer2.0.bn2.bias [3]",
        "wrong shape: layer1.1.conv2.weight is [2, 2, 5, 5], should be [2, 2, 3, 3]",
    ):
        assert line in str(error.value)


@pytest.mark.parametrize(
    "arch",
    "resnet50 resnet34 resnet18 efficientnet_b0 efficientnet_b0_torchvision mobilenet_v2".split(),
)
def test_weights_of_another_architecture_are_refused(arch):
    with pytest.raises(ValueError, match=f"not those of a {arch}"):
        from_torch(arch, {"features.0.weight": np.zeros((4, 3, 3, 3))})


@pytest.mark.parametrize(
    ("arch", "network", "side"),
    [("resnet50", TINY, 32), ("resnet50", TINY, 45), ("resnet34", BASIC, 45)],
)
def test_logits_are_those_of_the_torch_twin(arch, network, side):
    torch = pytest.importorskip("torch")
    shape = {"blocks": (2, 1), "widths": (2, 3), "classes": 2}
    twin = oracles_detectors.torch_resnet(**shape, basic=arch == "resnet34").eval()
    state = oracles_nn.randomise(twin, 0).state_dict()
    x = np.random.default_rng(0).normal(size=(2, side, side, 3)).astype(np.float32)
    with torch.no_grad():
        expected = twin(torch.from_numpy(x.transpose(0, 3, 1, 2))).numpy()
    run = jax.jit(lambda v, x: network.apply(v, x, train=False))
    assert_allclose(run(from_torch(arch, state), x), expected, rtol=1e-4, atol=1e-5)


def test_training_moves_the_statistics_of_every_batch_norm():
    variables = oracles_nn.drawn(TINY, (2, 32, 32, 3))
    x = jax.random.normal(jax.random.key(1), (2, 32, 32, 3))
    run = jax.jit(lambda v, x: TINY.apply(v, x, train=True, mutable=["batch_stats"]))
    logits, moved = run(variables, x)
    assert logits.shape == (2, 2)
    moves = jax.tree.map(
        lambda a, b: abs(a - b).max(), moved["batch_stats"], variables["batch_stats"]
    )
    assert min(jax.tree.leaves(moves)) > 0


def test_computing_in_bfloat16_keeps_float32_logits_and_parameters():
    module = ResNet((1,), (2,), 1, 3, 1, False, jnp.bfloat16)
    x = jnp.ones((1, 4, 4, 3))
    logits, variables = jax.eval_shape(
        lambda x: module.init_with_output(jax.random.key(0), x, train=False), x
    )
    assert logits.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype("float32")}


@pytest.mark.parametrize("shape", [(1, 31, 64, 3), (32, 32, 3)])
def test_images_smaller_than_the_last_maps_pixel_are_refused(shape):
    with pytest.raises(ValueError, match="sides of at least 32 pixels"):
        resnet50().init(jax.random.key(0), jnp.zeros(shape), train=False)


def test_stages_must_agree():
    with pytest.raises(ValueError, match="one number for every stage"):
        ResNet((1, 1), (4,)).init(jax.random.key(0), jnp.zeros((1, 32, 32, 3)), train=False)
