import math
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.gans import infomax_loss
from gan_forensics.nn.conv import convolve
from gan_forensics.nn.resblocks import (
    BlockConv,
    DBlock,
    DBlockOptimized,
    GBlock,
    convolve_pooled,
    mean_pool,
)
from gan_forensics.nn.resgan import SHAPES, Discriminator, Generator, InfoMaxCritics, widths
from tests import oracles_resgan
from tests.oracles_resgan import Pass

# Trainable parameters at the published widths.
PARAMETERS = {
    32: dict(generator=4_276_739, plain=1_053_825, rotation=1_054_341, infomax=1_615_233),
    48: dict(generator=4_878_083, plain=10_141_441, rotation=10_145_541, infomax=14_603_521),
    64: dict(generator=12_220_675, plain=10_141_441, rotation=10_145_541, infomax=14_603_521),
    128: dict(generator=32_150_787, plain=29_017_857, rotation=29_021_957, infomax=35_315_457),
}


def traced(network, *inputs):
    """Shapes of outputs and variables, without compiling anything."""
    structs = [jax.ShapeDtypeStruct(a.shape, a.dtype) if hasattr(a, "shape") else a for a in inputs]
    return jax.eval_shape(
        lambda *inputs: network.init_with_output(jax.random.key(0), *inputs, train=True), *structs
    )


def count(network, *inputs):
    _, variables = traced(network, *inputs)
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))


def images(size):
    return jax.ShapeDtypeStruct((2, size, size, 3), jnp.float32)


NOISE = jax.ShapeDtypeStruct((2, 128), jnp.float32)
LABELS = jax.ShapeDtypeStruct((2,), jnp.int32)


@pytest.mark.parametrize("size", PARAMETERS)
def test_networks_of_the_table_have_the_published_numbers_of_parameters(size):
    expected, x = PARAMETERS[size], images(size)
    assert count(Generator(size), NOISE) == expected["generator"]
    assert count(Discriminator(size), x) == expected["plain"]
    assert count(Discriminator(size, rotations=4), x) == expected["rotation"]
    features, _ = traced(Discriminator(size), x)
    critics = count(InfoMaxCritics(), features.local, features.pooled)
    assert expected["plain"] + critics == expected["infomax"]


@pytest.mark.parametrize(
    ("size", "classes", "width", "generator", "discriminator", "attending"),
    [
        (32, 10, None, (4_304_387, 4_386_308), 1_055_105, 1_075_586),
        # mimicry's default width for 128x128 with classes.
        (128, 1000, 128, (41_996_931, 42_078_852), 582_497, 582_818),
    ],
)
def test_conditional_networks_have_the_published_numbers_of_parameters(
    size, classes, width, generator, discriminator, attending
):
    plain, sagan = (
        Generator(size, classes=classes),
        Generator(size, classes=classes, attention=True, spectral_norm=True),
    )
    assert (count(plain, NOISE, LABELS), count(sagan, NOISE, LABELS)) == generator
    projecting = Discriminator(size, width, classes=classes)
    assert count(projecting, images(size), LABELS) == discriminator
    sagan = Discriminator(size, width, classes=classes, attention=True)
    assert count(sagan, images(size), LABELS) == attending


@pytest.mark.parametrize(
    ("size", "local", "pooled"),
    [
        (32, (8, 8, 128), 128),
        (48, (3, 3, 512), 1024),
        (64, (4, 4, 512), 1024),
        (128, (4, 4, 1024), 1024),
    ],
)
def test_features_have_the_published_shapes(size, local, pooled):
    features, _ = traced(Discriminator(size, rotations=4), images(size))
    assert features.logits.shape == (2,)
    assert features.local.shape == (2, *local)
    assert features.pooled.shape == (2, pooled)
    assert features.rotation.shape == (2, 4)
    (p, q), _ = traced(InfoMaxCritics(24), features.local, features.pooled)
    assert p.shape == (2, local[0] * local[1], 24)
    assert q.shape == (2, 24)
    made, _ = traced(Generator(size), NOISE)
    assert made.shape == (2, size, size, 3)


@pytest.mark.parametrize("spectral", [False, True])
def test_spectral_norm_is_in_every_layer_but_norms_or_in_none(spectral):
    options = dict(spectral_norm=spectral, classes=3, attention=True)
    for network, x in (
        (Generator(32, 8, **options), NOISE),
        (Discriminator(32, 8, **options), images(32)),
    ):
        _, variables = traced(network, x, LABELS)
        paths = {
            path[:-1]
            for path, _ in jax.tree_util.tree_leaves_with_path(variables["params"])
            if path[-1].key in ("kernel", "embedding")
        }
        normalised = {
            path[:-1]
            for path, _ in jax.tree_util.tree_leaves_with_path(variables.get("spectral_norm", {}))
        }
        conditional = {path for path in paths if "norm_" in path[-1].key}
        assert normalised == (paths - conditional if spectral else set())


# Initial values ---------------------------------------------------------------------------------


def started(network, *inputs):
    """Initial parameters: under jit, where what they do not depend on is never computed."""
    # This generator of random numbers compiles three times faster than the usual one.
    key = jax.random.key(0, impl="unsafe_rbg")
    return jax.jit(lambda key: network.init(key, *inputs, train=False)["params"])(key)


def largest(layer, part="kernel"):
    return float(np.abs(layer[part]).max())


def test_layers_start_within_the_published_bounds():
    def bound(channels, made, taps, gain=1.0):
        return gain * math.sqrt(6 / (taps * (channels + made)))

    def starts(layer, expected, part="kernel"):
        # Many uniform values: the largest is close to the bound, and not beyond.
        assert 0.9 * expected < largest(layer, part) <= expected

    x = jnp.ones((1, 2, 2, 16))
    block = started(GBlock(32, upsample=None), x)
    starts(block["conv_1"], bound(16, 32, 9, 2**0.5))
    starts(block["conv_2"], bound(32, 32, 9, 2**0.5))
    starts(block["shortcut"], bound(16, 32, 1))
    starts(block["conv_2"], (9 * 32) ** -0.5, "bias")
    starts(block["shortcut"], 16**-0.5, "bias")
    for block in (
        GBlock(32, upsample=None, outer_init="torch"),
        DBlock(32, outer_init="torch"),
        DBlockOptimized(32, outer_init="torch"),
    ):
        starts(started(block, x)["shortcut"], 16**-0.5)
    critics = started(InfoMaxCritics(64), x, jnp.ones((1, 32)))
    starts(critics["local_a"], bound(16, 16, 1))
    starts(critics["local_b"], bound(16, 64, 1))
    starts(critics["global_shortcut"], bound(32, 64, 1))
    starts(critics["global_shortcut"], 32**-0.5, "bias")


@pytest.fixture
def without_blocks(monkeypatch):
    """Leaves the blocks of networks out, for tests of what stands before and behind them."""
    monkeypatch.setattr(GBlock, "__call__", lambda self, x, labels, train: x)
    for block in (DBlock, DBlockOptimized):
        monkeypatch.setattr(block, "__call__", lambda self, x, train: x)


@pytest.mark.usefixtures("without_blocks")
def test_first_and_last_layer_and_heads_start_as_published():
    for outer_init, expected in (
        ("glorot", math.sqrt(6 / (9 * (16 + 3)))),
        ("torch", (9 * 16) ** -0.5),
    ):
        params = started(Generator(32, 16, outer_init=outer_init), jnp.ones((2, 128)))
        assert 0.9 * expected < largest(params["last"]) <= expected
        assert 0.9 * math.sqrt(6 / (128 + 256)) < largest(params["first"])
        assert largest(params["first"]) <= math.sqrt(6 / (128 + 256))
        assert largest(params["first"], "bias") <= 128**-0.5
    x, labels = jnp.ones((2, 32, 32, 16)), jnp.zeros(2, int)
    params = started(Discriminator(32, 16, classes=50, rotations=4), x, labels)
    for name, made in {"logit": 1, "rotation": 4}.items():
        assert 0.5 * math.sqrt(6 / (16 + made)) < largest(params[name])
        assert largest(params[name]) <= math.sqrt(6 / (16 + made))
    expected = math.sqrt(6 / (16 + 50))
    assert 0.9 * expected < largest(params["embed"], "embedding") <= expected


# Blocks: fused against the drawing ---------------------------------------------------------------


def nhwc(x):
    return jnp.asarray(x).transpose(0, 2, 3, 1)


def block_variables(state):
    """The variables of a block from a state dict with the published names, in float64."""
    layers = {"c1": "conv_1", "c2": "conv_2", "c_sc": "shortcut", "b1": "norm_1", "b2": "norm_2"}
    variables: dict = {}
    for name, array in state.items():
        _, layer, *part = name.split(".")
        place = variables.setdefault(
            {
                "weight_u": "spectral_norm",
                "weight_v": "spectral_norm",
                "running_mean": "batch_stats",
                "running_var": "batch_stats",
            }.get(part[-1], "params"),
            {},
        ).setdefault(layers[layer], {})
        array = jnp.asarray(array, jnp.float64)
        if array.ndim == 4:
            place["kernel"] = array.transpose(2, 3, 1, 0)
        elif part[-1] == "weight_v":
            taps = 1 if layer == "c_sc" else 3
            place["v"] = array.reshape(-1, taps, taps).transpose(1, 2, 0).reshape(-1)
        elif part[0] == "embed":
            place["embedding"] = array
        else:
            ours = {
                "weight": "scale",
                "running_mean": "mean",
                "running_var": "var",
                "weight_u": "u",
            }
            place[ours.get(part[-1], part[-1])] = array
    return variables


def assert_block_agrees(block, state, drawing, x, *labels):
    """Outputs, gradients in input and parameters, and moved statistics, in float64."""
    state = {name: jnp.asarray(array, jnp.float64) for name, array in state.items()}
    variables = block_variables(state)
    stats = {name: value for name, value in variables.items() if name != "params"}

    @jax.jit
    def both(state, variables, x):
        def theirs(state, x):
            run = Pass(state, train=True)
            y = drawing(run, x)
            return jnp.sin(y).sum(), (y, run.moved)

        def ours(params, x):
            y, moved = block.apply(
                {**stats, "params": params}, x, *labels, train=True, mutable=list(stats)
            )
            return jnp.sin(y).sum(), (y, moved)

        return (
            jax.value_and_grad(ours, (0, 1), has_aux=True)(variables["params"], nhwc(x)),
            jax.value_and_grad(theirs, (0, 1), has_aux=True)(state, x),
        )

    mine, other = both(state, variables, x)
    ((_, (y, moved)), (slopes, slope)) = mine
    ((_, (y_other, moved_other)), (slopes_other, slope_other)) = other
    scale = float(np.abs(slope_other).max())
    assert_allclose(y, nhwc(y_other), rtol=1e-11, atol=1e-11)
    assert_allclose(slope, nhwc(slope_other), rtol=0, atol=1e-11 * scale)
    after = block_variables({**state, **moved_other})
    expected = block_variables(slopes_other)["params"]
    jax.tree.map(lambda a, b: assert_allclose(a, b, rtol=0, atol=1e-10), slopes, expected)
    for name in stats:
        jax.tree.map(lambda a, b: assert_allclose(a, b, atol=1e-12), dict(moved)[name], after[name])
    return slopes


def test_generator_block_agrees_with_the_drawing_gradients_included(rng):
    shapes = oracles_resgan.block("block", 3, 4, 5, shortcut=True, spectral=True)
    shapes |= oracles_resgan.norm("block.b1", 3, 3) | oracles_resgan.norm("block.b2", 4, 3)
    labels = np.array([1, 0, 1])
    with jax.enable_x64(True):
        slopes = assert_block_agrees(
            GBlock(5, hidden=4, classes=3, spectral_norm=True),
            oracles_resgan.draw(shapes, 3),
            lambda run, x: run.generator_block("block", x, labels),
            jnp.asarray(rng.normal(size=(3, 3, 4, 6))),
            labels,
        )
        # The batch norm behind the first convolution subtracts its bias again.
        assert_allclose(slopes["conv_1"]["bias"], 0, atol=1e-12)


@pytest.mark.parametrize(("preact", "made"), [("relu", 3), ("relu", 5), ("identity", 5)])
def test_discriminator_blocks_agree_with_the_drawing_gradients_included(preact, made, rng):
    halves = made == 5
    shapes = oracles_resgan.block("block", 3, 4, made, shortcut=halves, spectral=halves)

    def drawing(run, x):
        run.preact = preact
        return run.discriminator_block("block", x, first=False, halves=halves)

    with jax.enable_x64(True):
        assert_block_agrees(
            DBlock(made, hidden=4, downsample=halves, spectral_norm=halves, shortcut_preact=preact),
            oracles_resgan.draw(shapes, 4),
            drawing,
            jnp.asarray(rng.normal(size=(2, 3, 4, 6))),
        )


def test_first_discriminator_block_agrees_with_the_drawing_gradients_included(rng):
    shapes = oracles_resgan.block("block", 3, 4, 4, shortcut=True, spectral=True)
    with jax.enable_x64(True):
        assert_block_agrees(
            DBlockOptimized(4),
            oracles_resgan.draw(shapes, 5),
            lambda run, x: run.discriminator_block("block", x, first=True, halves=True),
            jnp.asarray(rng.normal(size=(2, 3, 4, 6))),
        )


@pytest.mark.parametrize("taps", [1, 3])
def test_a_convolution_of_stride_two_is_a_convolution_and_its_pooling(taps, rng):
    with jax.enable_x64(True):
        x = jnp.asarray(rng.normal(size=(2, 6, 4, 3)))
        kernel = jnp.asarray(rng.normal(size=(taps, taps, 3, 2)))
        pad = taps // 2

        def apart(x, kernel):
            return mean_pool(convolve(x, kernel, padding=pad))

        def with_derivatives(function):
            def slope(x, kernel):
                return jax.grad(lambda x: jnp.sin(function(x, kernel)).sum())(x)

            curvature = jax.grad(lambda x, kernel: jnp.cos(slope(x, kernel)).sum(), (0, 1))
            return lambda: (function(x, kernel), slope(x, kernel), *curvature(x, kernel))

        @jax.jit
        def both():
            return with_derivatives(apart)(), with_derivatives(convolve_pooled)()

        for a, b in zip(*both(), strict=True):
            assert_allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("upsampling", ["bilinear", "nearest"])
def test_upsampling_of_a_block_is_that_of_the_images_before_its_convolution(upsampling, rng):
    with jax.enable_x64(True):
        x = jnp.asarray(rng.normal(size=(2, 4, 5, 3)))
        large = jax.image.resize(x, (2, 8, 10, 3), upsampling)
        layer = BlockConv(2, 3, upsampling=upsampling)
        variables = {"params": started(layer, x)}
        expected = BlockConv(2, 3).apply(variables, large, train=False)
        assert_allclose(layer.apply(variables, x, train=False), expected, atol=1e-12)


# Whole networks ---------------------------------------------------------------------------------


def test_networks_compute_in_bfloat16_with_float32_parameters_and_results():
    for network, x in (
        (Generator(32, 8, dtype=jnp.bfloat16), NOISE),
        (Discriminator(32, 8, rotations=4, dtype=jnp.bfloat16), images(32)),
    ):
        y, variables = traced(network, x)
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("float32")}
        if isinstance(network, Discriminator):
            assert y.local.dtype == jnp.bfloat16
            y = y.logits, y.rotation, y.pooled
        assert {leaf.dtype for leaf in jax.tree.leaves(y)} == {np.dtype("float32")}


@pytest.mark.usefixtures("without_blocks")
@pytest.mark.parametrize("spectral", [False, True])
def test_projection_and_pooling_make_the_logit_as_they_should(spectral, rng):
    x = jnp.asarray(rng.normal(size=(3, 32, 32, 3)), jnp.float32)
    options = dict(spectral_norm=spectral, classes=2)
    network = Discriminator(32, 4, **options)
    averaging = Discriminator(32, 4, pooling="mean", **options)
    zeros, labels = jnp.zeros(3, int), jnp.array([0, 1, 1])

    @jax.jit
    def run(key):
        variables = network.init(key, x, zeros, train=False)
        rows = variables["params"]["embed"]["embedding"]
        equal = dict(variables["params"]["embed"], embedding=jnp.broadcast_to(rows[:1], rows.shape))
        equal = {**variables, "params": {**variables["params"], "embed": equal}}
        return variables, [
            network.apply(variables, x, zeros, train=False),
            network.apply(variables, x, labels, train=False),
            averaging.apply(variables, x, labels, train=False),
            network.apply(equal, x, zeros, train=False),
            network.apply(equal, x, labels, train=False),
        ]

    variables, (zero, mixed, mean, *equal) = run(jax.random.key(0))
    pooled = np.maximum(np.asarray(x), 0).sum((1, 2))
    assert_allclose(mixed.pooled, pooled, rtol=1e-5)
    assert_allclose(mean.pooled, pooled / 1024, rtol=1e-5)
    rows = variables["params"]["embed"]["embedding"]
    if spectral:
        rows = rows / np.linalg.norm(rows, 2)
    expected = zero.logits + (pooled * (rows[labels] - rows[:1])).sum(1)
    assert_allclose(mixed.logits, expected, rtol=1e-4, atol=1e-3)
    bias = variables["params"]["logit"]["bias"]
    assert_allclose((mean.logits - bias) * 1024, mixed.logits - bias, rtol=1e-4, atol=1e-3)
    assert_array_equal(equal[0].logits, equal[1].logits)


@pytest.mark.usefixtures("without_blocks")
def test_output_of_a_generator_ends_in_the_function_of_its_name(rng):
    z = jnp.asarray(rng.normal(size=(2, 5)), jnp.float32)

    @jax.jit
    def outputs(key):
        variables = Generator(32, 8, latent=5).init(key, z, train=False)
        return [
            Generator(32, 8, latent=5, output=output).apply(variables, z, train=False)
            for output in ("tanh", "sigmoid")
        ]

    tanh, sigmoid = outputs(jax.random.key(0))
    assert_allclose(sigmoid, jax.nn.sigmoid(jnp.arctanh(tanh)), atol=1e-5)


# Errors -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", [Generator, Discriminator])
def test_sizes_and_widths_that_no_network_has_are_refused(network):
    x = NOISE if network is Generator else images(40)
    with pytest.raises(ValueError, match="32, 48, 64, 128, got 40"):
        traced(network(40), x)
    x = NOISE if network is Generator else images(64)
    with pytest.raises(ValueError, match="width 24 must be a multiple of 16"):
        traced(network(64, 24), x)
    for options in ({"classes": 10}, {"attention": True}):
        with pytest.raises(ValueError, match="exist for sizes 32 and 128, got size 64"):
            traced(network(64, 16, **options), x)
    with pytest.raises(ValueError, match="outer_init must be one of 'glorot', 'torch', got 'he'"):
        traced(network(64, 16, outer_init="he"), x)


def test_inputs_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"noise must be \[b, 128\], got \[2, 32, 32, 3\]"):
        traced(Generator(32, 8), images(32))
    with pytest.raises(ValueError, match=r"images must be \[b, 32, 32, c\], got \[2, 64, 64, 3\]"):
        traced(Discriminator(32, 8), images(64))


@pytest.mark.parametrize(
    ("network", "x"), [(Generator(32, 8), NOISE), (Discriminator(32, 8), images(32))]
)
def test_labels_are_asked_for_with_classes_and_refused_without(network, x):
    with pytest.raises(ValueError, match="has no classes: call it without labels"):
        traced(network, x, LABELS)
    conditional = network.clone(classes=3)
    with pytest.raises(ValueError, match=r"has 3 classes: give it labels, integers \[b\]"):
        traced(conditional, x)
    with pytest.raises(ValueError, match=r"labels must be integers \[2\], got float32 \[2\]"):
        traced(conditional, x, jax.ShapeDtypeStruct((2,), jnp.float32))
    with pytest.raises(ValueError, match=r"labels must be integers \[2\], got int32 \[3\]"):
        traced(conditional, x, jax.ShapeDtypeStruct((3,), jnp.int32))


def test_unknown_options_are_answered_with_those_there_are():
    for network, x, option in (
        (Generator(32, 8, upsampling="cubic"), NOISE, "'bilinear', 'nearest', got 'cubic'"),  # pyright: ignore
        (Generator(32, 8, output="relu"), NOISE, "'tanh', 'sigmoid', got 'relu'"),  # pyright: ignore
        (Discriminator(32, 8, pooling="max"), images(32), "'sum', 'mean', got 'max'"),  # pyright: ignore
        (Discriminator(32, 8, rotations=8), images(32), "0, 4, got 8"),
        (
            Discriminator(32, 8, shortcut_preact="none"),  # pyright: ignore
            images(32),
            "'relu', 'identity', got 'none'",
        ),
    ):
        with pytest.raises(ValueError, match=option):
            traced(network, x)


def test_widths_follow_the_divisors_of_the_table():
    assert widths(1024, SHAPES[128].generator) == [1024, 1024, 512, 256, 128, 64]
    assert widths(1024, SHAPES[48].discriminator) == [64, 128, 256, 512, 1024]


@pytest.mark.slow
def test_critics_for_scores_only_give_the_same_loss_gradients_and_statistics(rng):
    """float64: products of 2 cl + 1 numbers instead of R."""
    with jax.enable_x64(True):
        local = jnp.asarray(rng.standard_normal((5, 2, 3, 4)))
        pooled = jnp.asarray(rng.standard_normal((5, 7)))
        whole, short = InfoMaxCritics(32), InfoMaxCritics(32, scores_only=True)
        variables = jax.tree.map(
            lambda x: x.astype(jnp.float64),
            whole.init(jax.random.key(0), local, pooled, train=True),
        )

        def loss(network, params, local, pooled):
            (p, q), moved = network.apply(
                {**variables, "params": params}, local, pooled, train=True, mutable="spectral_norm"
            )
            widths_made.append(p.shape[-1])
            return infomax_loss(p, q), moved

        widths_made = []
        results = [
            jax.value_and_grad(partial(loss, network), (0, 1, 2), has_aux=True)(
                variables["params"], local, pooled
            )
            for network in (whole, short)
        ]
        assert widths_made == [32, 2 * 4 + 1]
        chex.assert_trees_all_close(*results, rtol=1e-10, atol=1e-12)


def test_critics_for_scores_only_project_where_projections_are_the_shorter_ones():
    local, pooled = jnp.zeros((5, 2, 3, 4)), jnp.zeros((5, 7))
    (p, q), _ = traced(InfoMaxCritics(8, scores_only=True), local, pooled)
    assert p.shape == (5, 6, 8) and q.shape == (5, 8)
