"""Dist-GAN's networks against slow ones in float64, by TensorFlow's names of the weights."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.nn import conv
from gan_forensics.nn.dist_gan import BACKBONES, SIZES, Judged, dist_gan_networks
from gan_forensics.nn.dist_gan_layers import SlimDense
from gan_forensics.nn.initial import initial_variables, shapes_of
from gan_forensics.nn.weight_files import load_weights
from gan_forensics.nn.weights_dist_gan import PLAYERS, read_dist_gan_weights
from tests import oracles_dist_gan as slow
from tests.oracles_dist_gan import leaky, relu

LATENT = 5


def published(backbone, size, **options):
    """Parameters of encoder, generator and discriminator, and the discriminator's features."""
    networks = dist_gan_networks(backbone, size, **options)
    channels = options.get("channels", 3)
    images = jax.ShapeDtypeStruct((1, size, size, channels), jnp.float32)
    codes = jax.ShapeDtypeStruct((1, networks.generator.latent), jnp.float32)  # pyright: ignore
    counts = []
    for network, x in zip(networks, (images, codes, images), strict=True):
        made, variables = shapes_of(
            lambda x, network=network: network.init_with_output(jax.random.key(0), x, train=False),
            x,
        )
        counts.append(sum(math.prod(p.shape) for p in jax.tree.leaves(variables["params"])))
        if network is networks.generator:
            assert made.shape == images.shape
    return (*counts, made.features.shape[-1])


@pytest.mark.parametrize(
    ("backbone", "size", "options", "table"),
    [
        (
            *("dcgan", 28, dict(channels=1, latent=100)),
            (1_436_132, 52_830_273, 1_030_529, 4096),
        ),
        ("dcgan", 32, {}, (5_155_968, 5_171_331, 4_115_457, 8192)),
        ("dcgan", 64, dict(latent=100), (18_855_012, 18_885_763, 17_232_897, 16384)),
        ("sngan", 32, {}, (5_155_968, 13_128_835, 2_935_873, 8192)),
        ("sngan", 48, {}, (15_735_936, 15_770_755, 2_946_113, 18432)),
        ("resnet", 32, {}, (4_273_024, 4_276_739, 1_103_373, 8192)),
        ("resnet", 48, {}, (7_184_512, 4_878_083, 20_236_813, 9216)),
        ("stacked", 28, dict(latent=256), (133_712, 332_107, 1_293, 128)),
        ("stacked", 28, dict(latent=256, divisor=2), (133_712, 332_107, 4_585, 256)),
    ],
)
def test_networks_have_the_published_parameters_and_features(backbone, size, options, table):
    assert published(backbone, size, **options) == table


@pytest.mark.parametrize(("size", "features"), [(32, 2048), (64, 8192)])
def test_dcgans_of_2018_have_fewer_features(size, features):
    assert published("dcgan", size, era="2018")[-1] == features


def run(network, variables, x):
    """The network by the statistics of the batch."""
    return compiled(
        lambda v, x: network.apply(v, x, train=True, mutable=["batch_stats"])[0], variables, x
    )


def compiled(function, *arguments):
    """The function as one program, which LLVM takes little time for."""
    options = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    return jax.jit(function, compiler_options=options)(*arguments)


# Name -> the networks, and the slow encoder, generator and discriminator, of tiny widths. None
# where another case has the same layers.
CASES = {
    "dcgan 28": (
        partial(dist_gan_networks, "dcgan", 28, channels=1, width=2),
        lambda g, x: slow.dcgan_encoder(g, x, LATENT, 2, 3, relu),
        lambda g, z: slow.mnist_generator(g, z, 1, 2),
        lambda g, x: slow.dcgan_discriminator(g, x, 2, 3),
    ),
    "dcgan 32": (
        partial(dist_gan_networks, "dcgan", 32, width=2),
        lambda g, x: slow.dcgan_encoder(g, x, LATENT, 2, 3, leaky),
        lambda g, z: slow.dcgan_generator(g, z, 3, 2, 3, 4),
        lambda g, x: slow.dcgan_discriminator(g, x, 2, 3),
    ),
    "dcgan 32 of 2018": (
        partial(dist_gan_networks, "dcgan", 32, width=2, era="2018"),
        lambda g, x: slow.dcgan_encoder(g, x, LATENT, 2, 4, leaky),
        lambda g, z: slow.dcgan_generator(g, z, 3, 2, 4, 2),
        lambda g, x: slow.dcgan_discriminator(g, x, 2, 4),
    ),
    "dcgan 64": (
        partial(dist_gan_networks, "dcgan", 64, width=2),
        None,
        lambda g, z: slow.dcgan_generator(g, z, 3, 2, 4, 4),
        None,
    ),
    "sngan 32": (
        partial(dist_gan_networks, "sngan", 32, width=2),
        lambda g, x: slow.dcgan_encoder(g, x, LATENT, 4, 3, leaky),
        None,
        lambda g, x: slow.sngan_discriminator(g, x, 2, 0.1),
    ),
    "sngan 32 of MS-Dist-GAN": (
        partial(dist_gan_networks, "sngan", 32, width=2, era="2018"),
        lambda g, x: slow.dcgan_encoder(g, x, LATENT, 2, 4, leaky),
        None,
        lambda g, x: slow.sngan_discriminator(g, x, 2, 0.2),
    ),
    "sngan 48": (
        partial(dist_gan_networks, "sngan", 48, width=2),
        lambda g, x: slow.sngan_encoder_stl(g, x, LATENT, 2),
        lambda g, z: slow.sngan_generator(g, z, 3, 2, 6),
        lambda g, x: slow.sngan_discriminator(g, x, 2, 0.1),
    ),
    "resnet 32": (
        partial(dist_gan_networks, "resnet", 32, width=3),
        None,
        None,
        lambda g, x: slow.resnet_discriminator(g, x, (3, 3, 3, 3), 2),
    ),
    "resnet 48": (
        partial(dist_gan_networks, "resnet", 48, width=2),
        lambda g, x: slow.resnet_encoder(g, x, LATENT, (2, 4, 8, 16)),
        lambda g, z: slow.resnet_generator(g, z, 3, (16, 8, 4, 2), 6),
        lambda g, x: slow.resnet_discriminator(g, x, (2, 4, 8, 16, 32), 4),
    ),
    "stacked": (
        partial(dist_gan_networks, "stacked", 28, width=4, divisor=2),
        lambda g, x: slow.stacked_encoder(g, x, LATENT, 4),
        lambda g, z: slow.stacked_generator(g, z, 3, 4),
        lambda g, x: slow.stacked_discriminator(g, x, 2),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_networks_equal_slow_ones_of_the_same_weights(case, rng, monkeypatch):
    # XLA's own convolutions compile sooner; ours are held to them elsewhere.
    monkeypatch.setattr(conv, "only_shapes", lambda: True)
    make, *players = CASES[case]
    with jax.enable_x64(True):
        networks = make(latent=LATENT)
        size, channels = networks.encoder.size, networks.encoder.channels
        for name, player in zip(PLAYERS, players, strict=True):
            if player is None:
                continue
            shape = (3, LATENT) if name == "generator" else (3, size, size, channels)
            x, graph = rng.uniform(size=shape), slow.Graph()
            expected = player(graph.network(name), x)
            variables = read_dist_gan_weights(networks, graph.arrays)[name]
            made = run(getattr(networks, name), variables, x)
            if name == "discriminator":
                assert isinstance(made, Judged)
                logits, features = expected
                assert_allclose(made.logits, logits[:, 0], rtol=1e-9, atol=1e-9)
                expected, made = features.reshape(3, -1), made.features
            assert_allclose(made, expected, rtol=1e-9, atol=1e-9)
            assert expected.std() > 0.01


def weights():
    """Arrays by TensorFlow name, for small networks of digits."""
    graph = slow.Graph()
    x, z = np.zeros((2, 28, 28, 1)), np.zeros((2, LATENT))
    slow.dcgan_encoder(graph.network("encoder"), x, LATENT, 2, 3, relu)
    slow.mnist_generator(graph.network("generator"), z, 1, 2)
    slow.dcgan_discriminator(graph.network("discriminator"), x, 2, 3)
    return graph.arrays


@pytest.fixture
def digits():
    """Small networks of digits, and arrays that fit them."""
    networks = dist_gan_networks("dcgan", 28, channels=1, latent=LATENT, width=2)
    return networks, weights()


def test_names_may_be_written_with_dots_and_marks_and_kept_in_a_file(digits, tmp_path):
    networks, arrays = digits
    plain = read_dist_gan_weights(networks, arrays)
    dotted = {f"param|{name.replace('/', '.')}": array for name, array in arrays.items()}
    marked = {f"{name.replace('encoder/encoder', 'encoder')}:0": a for name, a in arrays.items()}
    np.savez(tmp_path / "dist_gan.npz", **dotted)  # pyright: ignore[reportArgumentType]
    for others in (dotted, marked, load_weights(tmp_path / "dist_gan.npz")):
        again = read_dist_gan_weights(networks, others)
        jax.tree.map(np.testing.assert_array_equal, again, plain)


def test_filters_of_transposed_convolutions_change_two_axes(digits):
    networks, arrays = digits
    kernel = read_dist_gan_weights(networks, arrays)["generator"]["params"]["Conv2d_transpose"]
    theirs = arrays["generator/generator/Conv2d_transpose/weights"]
    assert_allclose(kernel["kernel"], theirs.transpose(0, 1, 3, 2), rtol=0)


def test_running_statistics_are_read_where_they_are_given(digits):
    networks, arrays = digits
    new = read_dist_gan_weights(networks, arrays)["encoder"]["batch_stats"]["Conv_1"]["BatchNorm"]
    assert_allclose(new["mean"], np.zeros(4), rtol=0)
    assert_allclose(new["var"], np.ones(4), rtol=0)
    scope = "encoder/encoder/Conv_1/BatchNorm"
    arrays = arrays | {f"{scope}/moving_mean": np.arange(4.0), f"{scope}/moving_variance": [3] * 4}
    read = read_dist_gan_weights(networks, arrays)["encoder"]["batch_stats"]["Conv_1"]["BatchNorm"]
    assert_allclose(read["mean"], np.arange(4), rtol=0)
    assert_allclose(read["var"], [3] * 4, rtol=0)


def test_one_network_alone_can_be_read_and_heads_of_tasks_are_left_out(digits):
    networks, arrays = digits
    head = "discriminator/discriminator/flatten_fully_connected_1/fully_connected"
    mine = {k: v for k, v in arrays.items() if k.startswith("discriminator")}
    mine |= {f"{head}/weights": np.ones((128, 5)), f"{head}/biases": np.ones(5)}
    variables = read_dist_gan_weights(networks, mine)
    assert set(variables) == {"discriminator"}
    assert "flatten_fully_connected_1" not in variables["discriminator"]["params"]


def test_what_does_not_fit_is_told_in_one_message(digits):
    networks, arrays = digits
    wrong = dict(arrays)
    wrong["generator/generator/Conv2d_transpose/weights"] = np.zeros((5, 5, 8, 4))
    del wrong["encoder/encoder/Conv_1/BatchNorm/beta"]
    wrong["encoder/encoder/Conv_7/weights"] = np.zeros(3)
    wrong["global_step"] = np.zeros(())
    wrong["encoder/encoder/Conv/biases"] = np.array([1, np.nan])
    with pytest.raises(ValueError, match="another width") as caught:
        read_dist_gan_weights(networks, wrong)
    message = str(caught.value)
    assert "Conv2d_transpose/weights is [5, 5, 8, 4], should be [5, 5, 4, 8]" in message
    assert "missing: encoder/Conv_1/BatchNorm/beta [4]" in message
    assert "unknown: encoder/encoder/Conv_7/weights [3]" in message
    assert "unknown: global_step []" in message
    assert "not finite: encoder/encoder/Conv/biases" in message


@pytest.mark.parametrize("arrays", [{}, {"net.0.weight": np.zeros((1, 1, 4, 4))}])
def test_arrays_of_something_else_are_refused(digits, arrays):
    with pytest.raises(ValueError, match="encoder, generator, discriminator"):
        read_dist_gan_weights(digits[0], arrays)


@pytest.mark.parametrize(
    ("backbone", "size", "options", "message"),
    [
        ("vgg", 32, {}, "backbones are dcgan, sngan, resnet, stacked"),
        ("dcgan", 48, {}, "dcgan 28, 32, 64; sngan 32, 48; resnet 32, 48; stacked 28"),
        ("stacked", 32, {}, "stacked has no networks for images of 32x32"),
        ("dcgan", 32, dict(era="2019"), "eras are release, 2018"),
        ("dcgan", 32, dict(width=0), "width 0 must be 1 or more"),
        ("dcgan", 28, dict(divisor=2), "divisor 2 is for the stacked networks"),
        ("stacked", 28, dict(divisor=3), "must be one of 2, 4"),
        ("stacked", 28, dict(width=6), "multiple of 4"),
    ],
)
def test_networks_that_there_are_not_are_refused(backbone, size, options, message):
    with pytest.raises(ValueError, match=message):
        dist_gan_networks(backbone, size, **options)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_images_and_codes_of_another_shape_are_refused(backbone):
    size = SIZES[backbone][0]
    networks = dist_gan_networks(backbone, size, latent=LATENT, width=4)
    for network in (networks.encoder, networks.discriminator):
        for shape in ((1, size, size + 1, 3), (1, size, size, 1), (size, size, 3)):
            with pytest.raises(ValueError, match=rf"images must be \[b, {size}, {size}, 3\]"):
                shapes_of(
                    lambda n=network, s=shape: n.init(jax.random.key(0), jnp.zeros(s), train=False)
                )
    with pytest.raises(ValueError, match=r"noise must be \[b, 5\]"):
        shapes_of(
            lambda: networks.generator.init(jax.random.key(0), jnp.zeros((2, 6)), train=False)
        )


def test_kernels_start_as_glorots_and_biases_as_zero(getkey):
    generator = dist_gan_networks("dcgan", 28, channels=1, width=8).generator
    params = initial_variables(generator, getkey(), jnp.zeros((2, 128)), train=True)["params"]
    for name, fans in (
        ("flatten_fully_connected_1", 64 * 16 + 49 * 16),
        ("Conv2d_transpose", 1200),
    ):
        reach = (6 / fans) ** 0.5
        assert 0.95 * reach < np.abs(params[name]["kernel"]).max() <= reach
    assert not params["flatten_fully_connected_1"]["bias"].any()
    assert "bias" not in params["Conv2d_transpose"]
    assert set(params["Conv2d_transpose"]["BatchNorm"]) == {"scale", "bias"}


def test_running_statistics_move_by_a_tenth_and_serve_inference(rng):
    layer = SlimDense(4, norm=True)
    x = rng.normal(size=(6, 3)).astype(np.float32)
    kernel = rng.normal(size=(3, 4)).astype(np.float32)
    zeros, ones = np.zeros(4, np.float32), np.ones(4, np.float32)
    variables = {
        "params": {"kernel": kernel, "BatchNorm": {"scale": ones, "bias": zeros}},
        "batch_stats": {"BatchNorm": {"mean": zeros, "var": ones}},
    }
    made, moved = layer.apply(variables, x, train=True, mutable=["batch_stats"])
    y = x @ kernel
    assert_allclose(made, (y - y.mean(0)) / np.sqrt(y.var(0) + 1e-5), rtol=1e-4, atol=1e-5)
    mean, var = 0.1 * y.mean(0), 0.9 + 0.1 * y.var(0, ddof=1)
    served = np.asarray(layer.apply({**variables, **moved}, x, train=False))
    assert_allclose(served, (y - mean) / np.sqrt(var + 1e-5), rtol=1e-4, atol=1e-5)


@pytest.mark.slow  # norm and convolutions are held to theirs elsewhere
def test_slopes_of_a_discriminator_with_norm_have_finite_gradients(getkey, monkeypatch):
    monkeypatch.setattr(conv, "only_shapes", lambda: True)
    discriminator = dist_gan_networks("dcgan", 28, width=2).discriminator
    images = jax.random.uniform(getkey(), (2, 28, 28, 3))
    variables = initial_variables(discriminator, getkey(), images, train=True)

    def penalty(params):
        def total(x):
            judged, _ = discriminator.apply(
                {**variables, "params": params}, x, train=True, mutable=["batch_stats"]
            )
            return judged.logits.sum()

        slopes = jnp.sqrt(jnp.square(jax.grad(total)(images)).mean((1, 2, 3)))
        return jnp.square(slopes - 1).mean()

    gradient = compiled(jax.grad(penalty), variables["params"])
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    kernels = [leaf for leaf in jax.tree.leaves(gradient) if leaf.ndim > 1]
    assert all(np.abs(kernel).max() > 0 for kernel in kernels)


@pytest.mark.parametrize(("backbone", "size"), [("stacked", 28), ("resnet", 32)])
def test_bfloat16_is_of_the_computation_alone(backbone, size):
    networks = dist_gan_networks(backbone, size, width=4, dtype=jnp.bfloat16)
    images = jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)
    codes = jax.ShapeDtypeStruct((2, 128), jnp.float32)
    for network, x in zip(networks, (images, codes, images), strict=True):
        # Under jit the compiler sees every operation: some must be of the narrower type.
        made = jax.make_jaxpr(
            lambda x, n=network: n.init_with_output(jax.random.key(0), x, train=True)
        )(x)
        assert "bf16" in str(made)
        assert {str(v.dtype) for v in made.out_avals} <= {"float32"}
