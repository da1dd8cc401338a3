"""Initial variables drawn on the host: shapes and laws of Flax, numbers of the key alone."""

from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from gan_forensics.gans import METHODS, GanConfig, build, init
from gan_forensics.nn import initial
from gan_forensics.nn.conv import Conv
from gan_forensics.nn.efficientnet import EfficientNet
from gan_forensics.nn.initial import initial_variables
from gan_forensics.nn.norms import BatchNorm
from gan_forensics.nn.resnet import resnet_small
from gan_forensics.nn.spectral_norm import SNConv, SNDense

KEY = jax.random.key(7)
LAWS = {
    "torch_uniform": (initial.torch_uniform(16), (3, 3, 64, 64)),
    "glorot": (initial.glorot(2**0.5), (3, 3, 64, 32)),
    "normal": (initial.normal(0.02, mean=1), (64, 256)),
    "he_normal_fan_out": (initial.he_normal_fan_out(), (3, 3, 32, 64)),
    "lecun_normal": (initial.lecun_normal(), (128, 256)),
}
FLAX = {
    "torch_uniform": lambda key, shape: jax.random.uniform(key, shape, minval=-0.25, maxval=0.25),
    "glorot": nn.initializers.variance_scaling(2, "fan_avg", "uniform"),
    "normal": lambda key, shape: 1 + 0.02 * jax.random.normal(key, shape),
    "he_normal_fan_out": nn.initializers.variance_scaling(2, "fan_out", "normal"),
    "lecun_normal": nn.initializers.lecun_normal(),
}


class Layer(nn.Module):
    start: object
    shape: tuple[int, ...]

    @nn.compact
    def __call__(self):
        return self.param("x", self.start, self.shape, jnp.float32)


@pytest.mark.parametrize("name", LAWS)
def test_the_law_is_that_of_flax_on_the_host_and_in_jax(name):
    start, shape = LAWS[name]
    expected = np.asarray(FLAX[name](jax.random.key(1), shape)).ravel()
    on_host = initial_variables(Layer(start, shape), KEY)["params"]["x"]
    in_jax = Layer(start, shape).init(KEY)["params"]["x"]
    assert isinstance(on_host, np.ndarray) and on_host.dtype == np.float32
    for found in (on_host, in_jax):
        assert stats.ks_2samp(np.ravel(found), expected).pvalue > 1e-3
        assert np.ptp(found) <= 1.01 * np.ptp(expected) or name in ("normal", "he_normal_fan_out")


POINTS = {"perceptron": "toy:grid9", "small-perceptron": "toy:line"}
# Of Dist-GAN's networks the narrow ones: there are the same layers in all.
DIST_GANS = {"dcgan": (28, 32), "sngan": (32, 48), "resnet": (32,), "stacked": (28,)}


def cases():
    for method, rows in METHODS.items():
        for architecture, row in rows.items():
            if architecture in POINTS:
                yield GanConfig(method, data=POINTS[architecture])
                continue
            tied = row.unit
            # These have networks of others, ms-dist-gan but for one.
            if method == "gn-gan" or (method == "ms-dist-gan" and architecture != "dcgan"):
                continue
            sizes = DIST_GANS[architecture] if tied else (32, 64, 128)
            for size in sizes[:1] if row.supervision or method == "r3gan" else sizes:
                if row.conditional and size == 64:
                    continue
                yield GanConfig(
                    method,
                    size=size,
                    architecture=architecture,
                    classes=3 if row.conditional else None,
                    width=8 if tied else None,
                    decay_steps=9 if row.timed else None,
                )


@pytest.mark.parametrize(
    "config", cases(), ids=lambda c: f"{c.method}-{c.architecture or c.data}-{c.size}"
)
def test_every_gan_has_the_variables_that_flax_gives_it(config):
    gan = build(config)
    params, statistics = init(gan, seed=3)
    config = gan.config
    points = config.dimensions is not None
    shape = (config.dimensions,) if points else (config.size, config.size, 3)
    real = jnp.zeros((2, *shape))
    labels = (jnp.zeros(2, int),) if config.classes else ()
    inputs = {"generator": jnp.zeros((2, config.latent)), "discriminator": real}
    if "encoder" in gan.game.networks:
        inputs["encoder"] = real
    for name, x in inputs.items():
        network = gan.game.networks[name]
        flax = jax.eval_shape(lambda n=network, x=x: n.init(KEY, x, *labels, train=True))
        drawn = {"params": params[name], **statistics[name]}
        shapes = jax.tree.map(lambda a: (a.shape, a.dtype), drawn)
        assert shapes == jax.tree.map(lambda a: (a.shape, a.dtype), dict(flax))
        assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(drawn))


@pytest.fixture(scope="module")
def compilations():
    """Names of programs that were compiled since the test began."""
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **of: (
            compiled.append(of["fun_name"]) if "backend_compile" in event else None
        )
    )
    return compiled


def test_a_gan_is_drawn_without_compiling_a_network(compilations):
    gan = build(GanConfig("infomax-gan", size=32))
    init(gan)
    compilations.clear()
    init(gan, seed=1)
    assert not compilations


def test_an_equal_gan_starts_from_another_seed_without_compiling(compilations):
    config = GanConfig("dcgan", size=16, width=4)
    first = build(config)
    first.learner.start(0)
    compilations.clear()
    again = build(replace(config, seed=1))
    assert again.config.seed == 1 and again.updates is first.updates
    again.learner.start(2)
    assert not compilations
    wider = build(replace(config, width=5))
    wider.learner.start(0)
    assert compilations and wider.updates is not first.updates


class Foreign(nn.Module):
    """Layers of Flax's and of ours, and a variable that is made of what ours draws."""

    width: int = 3

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(self.width, name="theirs")(x + 1)
        x = nn.Dense(2, kernel_init=initial.normal(1.0), name="ours")(x)
        return x + self.param("made", lambda key: x.sum())


def test_networks_of_others_are_compiled_once_for_all_seeds(compilations):
    x = jnp.zeros((2, 4))
    initial_variables(Foreign(), jax.random.key(0), x)
    compilations.clear()
    for seed in (1, 2):
        drawn = initial_variables(Foreign(), jax.random.key(seed), x)["params"]
        # What is made of a draw is made of this seed's, not of the first one's.
        made = Foreign().apply({"params": {**drawn, "made": 0.0}}, x).sum()
        np.testing.assert_allclose(drawn["made"], made, rtol=1e-6, atol=1e-6)
        theirs = Foreign().init(jax.random.key(seed), x)["params"]["theirs"]["kernel"]
        np.testing.assert_array_equal(drawn["theirs"]["kernel"], theirs)
    assert "jit(draw)" not in compilations


def test_numbers_depend_on_the_key_and_the_place_alone():
    class Two(nn.Module):
        wide: bool = False

        @nn.compact
        def __call__(self, x):
            x = Conv(4, 3, name="first")(x)
            if self.wide:
                x = Conv(4, 3, name="between")(x)
            return Conv(4, 3, name="second")(x)

    x = jax.ShapeDtypeStruct((1, 8, 8, 4), jnp.float32)
    one, wide = (initial_variables(Two(w), KEY, x)["params"] for w in (False, True))
    again = initial_variables(Two(), jax.random.key(7), x)["params"]
    other = initial_variables(Two(), jax.random.key(8), x)["params"]
    jax.tree.map(np.testing.assert_array_equal, one, again)
    for name in ("first", "second"):
        np.testing.assert_array_equal(one[name]["kernel"], wide[name]["kernel"])
        assert np.abs(one[name]["kernel"] - other[name]["kernel"]).max() > 0.1
    assert np.abs(one["first"]["kernel"] - one["second"]["kernel"]).max() > 0.1
    # Kernel and bias go on in one stream, they do not start alike.
    assert one["first"]["bias"][0] != one["first"]["kernel"].ravel()[0]


def test_layers_of_others_are_drawn_by_jax_as_flax_draws_them():
    class Mixed(nn.Module):
        @nn.compact
        def __call__(self, x, *, train):
            x = BatchNorm(name="norm")(Conv(8, 3, name="conv")(x), train=train)
            return nn.Dense(5, name="dense")(x.mean((1, 2)))

    x = jnp.ones((2, 8, 8, 3))
    drawn = initial_variables(Mixed(), KEY, x, train=True)
    flax = Mixed().init(KEY, x, train=True)
    np.testing.assert_array_equal(
        drawn["params"]["dense"]["kernel"], flax["params"]["dense"]["kernel"]
    )
    assert np.all(drawn["batch_stats"]["norm"]["var"] == 1)
    assert jax.tree.structure(drawn) == jax.tree.structure(flax)
    assert Mixed().apply(drawn, x, train=False).shape == (2, 5)


@pytest.mark.parametrize(("layer", "shape"), [(SNConv(6, 3), (1, 8, 8, 4)), (SNDense(6), (1, 40))])
def test_spectral_norm_starts_at_the_largest_singular_value(layer, shape):
    drawn = initial_variables(layer, KEY, jax.ShapeDtypeStruct(shape, jnp.float32), train=True)
    matrix = drawn["params"]["kernel"].reshape(-1, 6).T
    u, v = drawn["spectral_norm"]["u"], drawn["spectral_norm"]["v"]
    for vector in (u, v):
        np.testing.assert_allclose(np.linalg.norm(vector), 1, rtol=1e-6)
    largest = np.linalg.norm(matrix, 2)
    assert 0.9 * largest < u @ matrix @ v <= largest * (1 + 1e-6)


@pytest.mark.parametrize(
    "network", [resnet_small(), EfficientNet()], ids=["resnet", "efficientnet"]
)
def test_detectors_have_the_variables_that_flax_gives_them(network):
    x = jax.ShapeDtypeStruct((1, 32, 32, 3), jnp.float32)
    flax = jax.eval_shape(lambda: network.init(KEY, jnp.zeros(x.shape), train=False))
    drawn = initial_variables(network, KEY, x, train=False)
    assert jax.tree.map(lambda a: a.shape, drawn) == jax.tree.map(lambda a: a.shape, flax)
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(drawn))


def test_inside_a_transformation_jax_draws():
    x = jnp.zeros((1, 8, 8, 3))
    keys = jax.random.split(KEY, 3)
    drawn = jax.vmap(lambda key: initial_variables(Conv(4, 3), key, x))(keys)
    expected = jax.vmap(lambda key: Conv(4, 3).init(key, x))(keys)
    jax.tree.map(np.testing.assert_array_equal, drawn, expected)


def test_what_was_traced_for_shapes_alone_still_has_its_values():
    """JAX keeps what it traced of a jitted function, whoever asked for it."""
    x = jax.random.normal(KEY, (1, 8, 8, 3))
    layer = Conv(4, 3)
    variables = layer.init(KEY, x)
    applied = jax.jit(lambda x: layer.apply(variables, x))
    assert initial.shapes_of(applied, x).shape == (1, 8, 8, 4)
    np.testing.assert_allclose(applied(x), layer.apply(variables, x), atol=1e-5)
    assert np.abs(applied(x)).max() > 0.1
