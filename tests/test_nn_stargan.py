import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.nn.initial import initial_variables
from gan_forensics.nn.stargan import UPSAMPLINGS, Discriminator, Generator
from gan_forensics.nn.weights import from_torch
from gan_forensics.nn.weights_stargan import discriminator, generator

LABELS = np.float32([[1, 0], [0, 1]])


def variables_of(network, *inputs):
    return initial_variables(network, jax.random.key(0), *inputs, train=True)


def count(network, *inputs):
    shapes = jax.eval_shape(lambda: network.init(jax.random.key(0), *inputs, train=True))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes["params"]))


@pytest.mark.parametrize(
    ("upsampling", "parameters"), [("BASELINE", 8_430_528), ("N", 8_504_256), ("Z", 8_504_256)]
)
def test_generator_has_the_published_number_of_parameters(upsampling, parameters):
    network = Generator(upsampling=upsampling)
    assert count(network, jnp.zeros((1, 128, 128, 3)), jnp.zeros((1, 5))) == parameters


def test_discriminator_has_the_published_number_of_parameters_and_a_map_of_two_by_two():
    network, images = Discriminator(128, labels=5), jnp.zeros((1, 128, 128, 3))
    assert count(network, images) == 44_762_048
    out = jax.eval_shape(lambda: network.init_with_output(jax.random.key(0), images, train=True)[0])
    assert out["logits"].shape == (1, 2, 2) and out["labels"].shape == (1, 5)


@pytest.fixture(scope="module")
def small():
    network = Generator(2, blocks=1)
    x = np.random.default_rng(0).uniform(-1, 1, (2, 8, 12, 3)).astype(np.float32)
    apply = jax.jit(lambda v, x, labels: network.apply(v, x, labels, train=True))
    return apply, variables_of(network, x, LABELS), x


def test_what_is_made_depends_on_the_labels_and_on_each_image_alone(small):
    apply, variables, x = small
    made, other = apply(variables, x, LABELS), apply(variables, x, LABELS[::-1].copy())
    assert made.shape == x.shape and np.abs(np.asarray(made)).max() < 1
    assert np.abs(np.asarray(made - other)).max() > 1e-3
    turned = apply(variables, x[::-1].copy(), LABELS[::-1].copy())
    assert_allclose(made, turned[::-1], atol=1e-6)


def test_constant_channels_are_nothing_to_instance_norm_but_for_the_zeros_outside(small):
    # Why labels need zeros outside the image: spread over a wrapped image they would be lost.
    apply, variables, x = small
    made = apply(variables, np.zeros_like(x), LABELS)
    assert np.abs(np.asarray(made[0] - made[1])).max() > 1e-4


def test_running_statistics_are_those_of_the_variables_and_instance_norm_reads_none(small):
    apply, variables, x = small
    network = Generator(2, blocks=1, statistics="running")
    kept = variables_of(network, x, LABELS)["batch_stats"]
    running = jax.jit(lambda v, x, labels: network.apply(v, x, labels, train=True))
    made = running({**variables, "batch_stats": kept}, x, LABELS)
    kept["stem_norm"]["var"] = kept["stem_norm"]["var"] * 4
    moved = running({**variables, "batch_stats": kept}, x, LABELS)
    assert np.abs(np.asarray(made - moved)).max() > 1e-4
    assert np.abs(np.asarray(made - apply(variables, x, LABELS))).max() > 1e-4


def test_wrong_inputs_are_refused_with_what_is_allowed(small):
    network, (_, variables, x) = Generator(2, blocks=1), small
    with pytest.raises(ValueError, match="8 or more that 4 divides, got 8x10"):
        network.apply(variables, x[:, :, :10], LABELS, train=False)
    with pytest.raises(ValueError, match=r"labels must be \[2, l\]"):
        network.apply(variables, x, LABELS[:1], train=False)
    with pytest.raises(ValueError, match="takes 3"):
        network.apply(variables, x[..., :1], LABELS, train=False)
    with pytest.raises(ValueError, match="did you mean 'BASELINE'.*BASELINE, N, Z, B, A, K"):
        network.clone(upsampling="BASE").apply(variables, x, LABELS, train=False)
    with pytest.raises(ValueError, match="48 cannot be halved 5 times.*32"):
        Discriminator(48, 2, layers=5).init(jax.random.key(0), np.zeros((1, 48, 48, 3)), train=True)
    with pytest.raises(ValueError, match="must be 32x32, got 16x16"):
        Discriminator(32, 2, layers=2).init(jax.random.key(0), np.zeros((1, 16, 16, 3)), train=True)


def as_torch(variables, table_of, names):
    """A state dict that holds these variables, found by asking the table for its names."""
    state = {name: np.zeros(shape, np.float32) for name, shape in names.items()}
    table = table_of(state)
    for name, leaf in table.items():
        here = variables[leaf.collection]
        for step in leaf.path:
            here = here[step]
        back = np.argsort(leaf.axes)
        state[name] = np.asarray(here).transpose(back)
    return state


@pytest.mark.parametrize("upsampling", UPSAMPLINGS[:3])
def test_generator_weights_find_their_places(upsampling):
    network = Generator(2, blocks=2, upsampling=upsampling)
    variables = variables_of(network, np.zeros((1, 8, 8, 3), np.float32), LABELS[:1])
    # Names as the released code has them, with two blocks.
    layers = {0: (2, 5, 7, 7), 3: (4, 2, 4, 4), 6: (8, 4, 4, 4), 11: (8, 4, 4, 4)}
    up, last = (14, 17) if upsampling == "BASELINE" else (15, 18)
    layers |= {up: (4, 2, 4, 4) if upsampling == "BASELINE" else (2, 4, 5, 5), last: (3, 2, 7, 7)}
    norms = {1: 2, 4: 4, 7: 8, 12: 4, up + 1: 2}
    names = {f"main.{i}.weight": shape for i, shape in layers.items()}
    for block in (9, 10):
        names |= {f"main.{block}.main.{i}.weight": (8, 8, 3, 3) for i in (0, 3)}
        norms |= {f"{block}.main.{i}": 8 for i in (1, 4)}
    for i, features in norms.items():
        names |= {f"main.{i}.{part}": (features,) for part in ("weight", "bias")}
    found = from_torch("stargan_generator", as_torch(variables, generator, names))
    jax.tree.map(np.testing.assert_array_equal, found["params"], dict(variables["params"]))


def test_discriminator_weights_find_their_places():
    network = Discriminator(16, 3, width=2, layers=2)
    variables = variables_of(network, np.zeros((1, 16, 16, 3), np.float32))
    names = {"main.0.weight": (2, 3, 4, 4), "main.0.bias": (2,)}
    names |= {"main.2.weight": (4, 2, 4, 4), "main.2.bias": (4,)}
    names |= {"conv1.weight": (1, 4, 3, 3), "conv2.weight": (3, 4, 4, 4)}
    state = as_torch(variables, discriminator, names)
    found = from_torch("stargan_discriminator", state)
    jax.tree.map(np.testing.assert_array_equal, found["params"], dict(variables["params"]))
    with pytest.raises(ValueError, match="missing: conv1.weight"):
        from_torch("stargan_discriminator", {k: v for k, v in state.items() if "conv1" not in k})


def test_negative_values_of_the_discriminator_keep_a_hundredth():
    network, x = Discriminator(8, 1, width=1, layers=1), np.zeros((1, 8, 8, 3), np.float32)
    params = jax.tree.map(np.zeros_like, dict(variables_of(network, x)["params"]))
    params["conv_0"]["bias"][:] = -1
    params["logits"]["kernel"][1, 1] = 1
    params["labels"]["kernel"][:] = 1
    out = network.apply({"params": params}, x, train=True)
    assert_allclose(out["logits"], np.full((1, 4, 4), -0.01), rtol=1e-6)
    assert_allclose(out["labels"], [[-0.16]], rtol=1e-6)
