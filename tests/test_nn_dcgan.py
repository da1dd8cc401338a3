import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.errors import ModifyScopeVariableError
from numpy.testing import assert_allclose

from gan_forensics.nn.conv import Conv
from gan_forensics.nn.dcgan import (
    NORMS,
    Discriminator,
    Generator,
    discriminator_widths,
    generator_widths,
)
from gan_forensics.nn.tails import TAILS
from gan_forensics.nn.upsample import nearest
from tests import oracles_nn


def small(tail="BASELINE", size=16, **options):
    return Generator(size, width=4, tail=tail, latent=6, **options)


def run(module, variables, x, *, train=False, **options):
    """`apply` as one compiled function, shared by the tests that run the same network."""
    return compiled(module, train, tuple(options.items()))(variables, x)


@functools.cache
def compiled(module, train, options):
    return jax.jit(lambda v, x: module.apply(v, x, train=train, **dict(options)))


def shapes(module, *inputs):
    return jax.eval_shape(lambda: module.init(jax.random.key(0), *inputs, train=False))


def count(variables):
    return sum(np.prod(leaf.shape, dtype=int) for leaf in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize(
    ("tail", "parameters"),
    [
        ("BASELINE", 3_837_379),
        ("N.1.5", 3_838_243),
        ("Z.1.5", 3_838_243),
        ("B.1.5", 3_838_243),
        ("N.3.5", 3_889_507),
    ],
)
def test_generator_has_the_published_number_of_parameters(tail, parameters):
    assert count(shapes(Generator(128, tail=tail), jnp.zeros((1, 128)))) == parameters


def test_discriminator_has_the_published_number_of_parameters():
    images = jnp.zeros((1, 128, 128, 3))
    assert count(shapes(Discriminator(128), images)) == 2_796_961
    assert count(shapes(Discriminator(128, norm="layer"), images)) == 2_796_961
    # Without norms the four inner convolutions have a bias each instead of scale and bias.
    assert count(shapes(Discriminator(128, norm="none"), images)) == 2_796_961 - 960


def test_widths_double_towards_4x4_and_are_capped():
    assert generator_widths(16, 32) == [64, 32]
    assert generator_widths(128, 32) == [512, 256, 128, 64, 32]
    assert generator_widths(512, 32) == [512, 256, 256, 256, 128, 64, 32]
    assert discriminator_widths(16, 32) == [32, 64]
    assert discriminator_widths(128, 32) == [32, 64, 128, 256, 512]
    assert discriminator_widths(512, 32) == [32, 64, 128, 256, 512, 512, 512]


@pytest.mark.parametrize("size", [16, 64, 256])
@pytest.mark.parametrize("tail", TAILS)
def test_every_tail_makes_images_of_every_size(tail, size):
    generator = Generator(size, width=4, tail=tail, channels=1, latent=6)
    z = jnp.zeros((2, 6))
    images = jax.eval_shape(
        lambda: generator.init_with_output(jax.random.key(0), z, train=False)[0]
    )
    assert images.shape == (2, size, size, 1)
    assert images.dtype == jnp.float32


@pytest.mark.parametrize("size", [8, 0, -16, 48, 100])
def test_sizes_that_do_not_halve_to_4x4_are_refused(size):
    with pytest.raises(ValueError, match="power of two"):
        shapes(Generator(size), jnp.zeros((1, 128)))
    with pytest.raises(ValueError, match="power of two"):
        shapes(Discriminator(size), jnp.zeros((1, 32, 32, 3)))


def test_inputs_of_another_shape_are_refused(getkey):
    with pytest.raises(ValueError, match=r"noise must be \[b, 6\]"):
        small().init(getkey(), jnp.zeros((2, 5)), train=False)
    with pytest.raises(ValueError, match=r"images must be \[b, 32, 32, c\]"):
        Discriminator(32).init(getkey(), jnp.zeros((2, 16, 16, 3)), train=False)
    with pytest.raises(ValueError, match="norms are batch, layer, instance, none"):
        Discriminator(16, norm="group").init(getkey(), jnp.zeros((1, 16, 16, 3)), train=False)  # pyright: ignore


def test_images_lie_between_minus_one_and_one(getkey):
    generator, z = small(), 100 * jax.random.normal(getkey(), (4, 6))
    images = run(generator, oracles_nn.drawn(generator, (1, 6)), z)
    assert np.abs(images).max() <= 1
    assert images.std() > 0.01


@pytest.mark.parametrize("norm", NORMS)
def test_discriminator_scores_each_image_with_one_logit(norm):
    discriminator = Discriminator(16, width=4, norm=norm)
    logits, variables = jax.eval_shape(
        lambda: discriminator.init_with_output(
            jax.random.key(0), jnp.zeros((5, 16, 16, 3)), train=False
        )
    )
    assert logits.shape == (5,)
    assert ("batch_stats" in variables) == (norm == "batch")
    assert ("norm_1" in variables["params"]) == (norm != "none")
    assert ("bias" in variables["params"]["conv_1"]) == (norm == "none")


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_only_batch_norm_makes_an_images_logit_depend_on_its_batch(norm, getkey):
    discriminator = Discriminator(16, width=4, norm=norm)
    images = jax.random.normal(getkey(), (4, 16, 16, 3))
    variables = oracles_nn.drawn(discriminator, images.shape)
    apply = jax.jit(
        lambda x: discriminator.apply(variables, x, train=True, mutable="batch_stats")[0]
    )
    change = np.abs(apply(images) - apply(images.at[2:].mul(3)))
    assert (change[:2].max() > 1e-3) == (norm == "batch")
    assert norm == "batch" or change[:2].max() < 1e-5


def test_generator_moves_its_statistics_in_training_only(getkey):
    generator, z = small(), jax.random.normal(getkey(), (4, 6))
    variables = oracles_nn.drawn(generator, z.shape)
    _, changed = run(generator, variables, z, train=True, mutable="batch_stats")
    before, after = variables["batch_stats"], changed["batch_stats"]
    assert before.keys() == {"norm_0", "norm_1"}
    for layer in before:
        assert not np.allclose(before[layer]["mean"], after[layer]["mean"])
        assert not np.allclose(before[layer]["var"], after[layer]["var"])

    _, same = run(generator, variables, z, mutable="batch_stats")
    jax.tree.map(np.testing.assert_array_equal, dict(same["batch_stats"]), dict(before))
    with pytest.raises(ModifyScopeVariableError):
        run(generator, variables, z, train=True)


def init(module, x):
    # A generator of random numbers that compiles quickly.
    key = jax.random.key(0, impl="rbg")
    return jax.jit(lambda key: module.init(key, x, train=False))(key)["params"]


def test_initial_parameters_are_those_of_pytorch():
    params = init(Generator(16, width=32), jnp.zeros((1, 128)))
    # Of a transposed convolution PyTorch takes the output channels for the inputs.
    for name, fan_in in (("conv_0", 64 * 16), ("conv_1", 32 * 16), ("tail_0", 3 * 16)):
        largest = np.abs(params[name]["kernel"]).max()
        assert 0.98 * fan_in**-0.5 < largest <= fan_in**-0.5
    assert 0 < np.abs(params["tail_0"]["bias"]).max() <= (3 * 16) ** -0.5
    assert_allclose(params["norm_0"]["scale"], 1)
    assert_allclose(params["norm_0"]["bias"], 0)

    params = init(Discriminator(16, width=32), jnp.zeros((1, 16, 16, 3)))
    for name, fan_in in (("conv_0", 3 * 16), ("conv_1", 32 * 16), ("logit", 64 * 16)):
        largest = np.abs(params[name]["kernel"]).max()
        assert 0.98 * fan_in**-0.5 < largest <= fan_in**-0.5


def test_bfloat16_computes_the_same_images_with_float32_parameters(getkey):
    z = jax.random.normal(getkey(), (4, 6))
    coarse = small(dtype=jnp.bfloat16)
    variables = shapes(coarse, z)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype(np.float32)}
    variables = oracles_nn.drawn(small(), z.shape)
    exact, rough = (run(g, variables, z) for g in (small(), coarse))
    assert rough.dtype == jnp.float32
    assert 0 < np.abs(rough - exact).max() < 0.05


# What the tails are to each other ---------------------------------------------------------------


def with_tail(variables, kernel, bias):
    params = {k: v for k, v in variables["params"].items() if not k.startswith("tail")}
    return {**variables, "params": {**params, "tail_0": {"kernel": kernel, "bias": bias}}}


def test_zero_insertion_with_a_5x5_kernel_contains_the_transposed_convolution(getkey):
    generator, z = small(), jax.random.normal(getkey(), (4, 6))
    variables = oracles_nn.drawn(generator, z.shape)
    tail = variables["params"]["tail_0"]
    kernel = np.pad(tail["kernel"][::-1, ::-1], [(0, 1), (0, 1), (0, 0), (0, 0)])
    embedded = with_tail(variables, kernel, tail["bias"])
    expected = run(generator, variables, z)
    images = run(small("Z.1.5"), embedded, z)
    assert_allclose(images, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("k", [3, 5])
def test_nearest_is_zero_insertion_with_the_kernel_blurred_by_a_2x2_box(k, getkey):
    generator, z = small(f"N.1.{k}"), jax.random.normal(getkey(), (4, 6))
    variables = oracles_nn.drawn(generator, z.shape)
    tail = variables["params"]["tail_0"]
    kernel = np.pad(tail["kernel"], [(1, 2), (1, 2), (0, 0), (0, 0)])
    kernel = kernel[:-1] + kernel[1:]
    kernel = kernel[:, :-1] + kernel[:, 1:]
    blurred = with_tail(variables, kernel, tail["bias"])
    expected = run(generator, variables, z)
    # At the border, too: the blurred zero insertion fills the doubled map and no more.
    images = run(small(f"Z.1.{k + 2}"), blurred, z)
    assert_allclose(images, expected, atol=1e-6, rtol=1e-5)


def test_three_convolutions_are_one_13x13_filter_except_at_the_border(getkey):
    generator, z = small("N.3.5"), jax.random.normal(getkey(), (4, 6))
    variables = oracles_nn.drawn(generator, z.shape)
    images, seen = run(generator, variables, z, mutable="intermediates", capture_intermediates=True)
    features = jax.nn.relu(seen["intermediates"]["norm_1"]["__call__"][0])

    kernel, bias = np.eye(4)[None, None], np.zeros(4)
    for i in range(3):
        layer = jax.tree.map(lambda a: np.asarray(a, np.float64), variables["params"][f"tail_{i}"])
        kernel = composed(kernel, layer["kernel"])
        bias = bias @ layer["kernel"].sum((0, 1)) + layer["bias"]
    assert kernel.shape == (13, 13, 4, 3)

    tail = {"kernel": jnp.asarray(kernel, jnp.float32), "bias": jnp.asarray(bias, jnp.float32)}
    one = jnp.tanh(Conv(3, 13, padding=6).apply({"params": tail}, nearest(features)))
    difference = np.abs(one - images)
    # Sums of 676 products, in two orders.
    assert difference[:, 4:-4, 4:-4].max() < 1e-5
    assert difference[:, 3, 4:-4].max() > 1e-3


def composed(first, second):
    """The kernel of one convolution after another: a product of channels for each pair of taps."""
    k = second.shape[0]
    size = first.shape[0] + k - 1
    kernel = np.zeros((size, size, first.shape[2], second.shape[3]))
    for u in range(k):
        for v in range(k):
            kernel[u : u + first.shape[0], v : v + first.shape[1]] += first @ second[u, v]
    return kernel
