"""Every row of the table: its recipe, its networks, what fits it, and real steps of some."""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.gans import METHODS, GanConfig, build, infomax_task, init
from gan_forensics.gans.self_supervised_methods import SUPERVISED
from gan_forensics.nn import resgan
from gan_forensics.train import (
    init_state,
    make_step,
    minibatches_per_step,
)

SMALL = GanConfig(
    "sngan", size=32, latent=6, batch_size=8, generator_width=8, discriminator_width=8, n_dis=1
)
CONDITIONAL = ("sagan", "cgan-pd")
ROWS = [name for name, rows in METHODS.items() if "resgan" in rows]
# Of those that differ in a task alone, two have the time.
_ALIKE = SUPERVISED.keys() - {"ssgan", "ms-gan"}
CASES = [pytest.param(n, marks=[pytest.mark.slow] if n in _ALIKE else []) for n in ROWS]
rows = pytest.mark.parametrize("method", CASES)


def small(method, **changes):
    classes = 5 if method in CONDITIONAL else None
    return replace(SMALL, method=method, architecture="resgan", classes=classes, **changes)


# --- recipes ------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [case for case in CASES if case.values != ("r3gan",)])
def test_recipes_are_the_published_ones(method):
    gan = build(replace(small(method), n_dis=None))
    assert [u.name for u in gan.updates] == ["discriminator", "generator"]
    assert minibatches_per_step(gan.updates) == (1 if method == "dcgan" else 5)
    for update in gan.updates:
        # The first step of Adam with beta1 0 is the rate; the second, after an opposite gradient,
        # tells beta2: v = (1 - beta2) (beta2 g^2 + h^2), corrected by 1 - beta2^2.
        x = {name: jnp.zeros(1) for name in update.trains}
        state = update.optimizer.init(x)
        gradient = jax.tree.map(jnp.ones_like, x)
        change, state = update.optimizer.update(gradient, state, x)
        assert_allclose(change[update.trains[0]], [-2e-4], rtol=1e-4)
        change, _ = update.optimizer.update(jax.tree.map(lambda g: -3 * g, gradient), state, x)
        second_moment = (0.9 + 9) * 0.1 / (1 - 0.9**2)
        expected = 2e-4 * 3 / np.sqrt(second_moment)
        assert_allclose(change[update.trains[0]], [expected], rtol=1e-4)


@rows
def test_settings_override_the_recipe(method):
    config = small(method, learning_rate=1e-3, schedule="linear", decay_steps=4)
    gan = build(replace(config, n_dis=3))
    for update in gan.updates:
        assert update.repeats == (3 if update.name == "discriminator" else 1)
        x = {name: jnp.zeros(1) for name in update.trains}
        state = update.optimizer.init(x)
        for move in range(4 * update.repeats):
            _, state = update.optimizer.update(jax.tree.map(jnp.ones_like, x), state, x)
            rate = 1e-3 * (1 - (move // update.repeats) / 4)
            assert_allclose(state.hyperparams["learning_rate"], rate, rtol=1e-5)


def test_the_players_rates_may_differ():
    gan = build(small("sngan", learning_rate=1e-4, discriminator_learning_rate=4e-4))
    for update, rate in zip(gan.updates, (4e-4, 1e-4), strict=True):
        state = update.optimizer.init({name: jnp.zeros(1) for name in update.trains})
        assert_allclose(state.hyperparams["learning_rate"], rate, rtol=1e-6)


def test_the_prior_is_the_asked_for_one():
    assert build(small("sngan")).game.prior.name == "normal"
    assert build(small("sngan", prior="uniform")).game.prior.name == "uniform"
    with pytest.raises(ValueError, match="unknown prior 'laplace'; priors are normal, uniform"):
        build(small("sngan", prior="laplace"))


# --- networks -----------------------------------------------------------------------------------


def abstract_step(config):
    """Shapes of a state and of what a step makes of it."""
    gan = build(config)
    params, stats = jax.eval_shape(partial(init, gan))
    state = jax.eval_shape(partial(init_state, gan.updates), params, stats)
    count, n, side = minibatches_per_step(gan.updates), config.batch_size, config.size
    batches = {
        "image": jax.ShapeDtypeStruct((count, n, side, side, 3), jnp.float32),
        "label": jax.ShapeDtypeStruct((count, n), jnp.int32),
    }
    key = jax.eval_shape(lambda: jax.random.key(0))
    return state, *jax.eval_shape(make_step(gan.updates), state, batches, key)


def described(tree):
    return jax.tree.map(lambda x: (x.shape, x.dtype), tree)


@rows
def test_a_step_keeps_every_shape_and_reports_scalars(method):
    before, after, metrics = abstract_step(small(method))
    assert described(before) == described(after)
    assert all(value.shape == () for value in metrics.values())
    normalised = "spectral_norm" in before.stats["discriminator"]
    assert normalised == (method not in ("dcgan", "wgan-gp", "r3gan"))
    assert ("discriminator/sigma_max" in metrics) == normalised
    assert ("generator/sigma_max" in metrics) == (method == "sagan")
    own = {
        "ssgan": "rotation",
        "infomax-gan": "infomax",
        "wgan-gp": "penalty",
        "r3gan": "r1",
        "ms-gan": "multi_class",
        "ss-adversarial": "matching",
        "ssgan-la": "label_augmented",
        "ssgan-la-plus": "label_augmented",
        "multi-head-da": "dag",
    }.get(method)
    assert own is None or f"discriminator/{own}" in metrics


@pytest.mark.parametrize("size", [48, 64, pytest.param(128, marks=pytest.mark.slow)])
def test_the_published_sizes_build_at_their_published_widths(size):
    config = GanConfig("infomax-gan", size=size, batch_size=64)
    before, after, metrics = abstract_step(config)
    assert described(before) == described(after)
    count = {n: sum(x.size for x in jax.tree.leaves(before.params[n])) for n in before.params}
    published = {
        48: (4_878_083, 14_603_521),
        64: (12_220_675, 14_603_521),
        128: (32_150_787, 35_315_457),
    }[size]
    assert (count["generator"], count["discriminator"] + count["critics"]) == published


def test_size_48_is_residual_where_strided_networks_cannot_be():
    for method in ("dcgan", "wgan-gp"):
        config = GanConfig(method, size=48, generator_width=8, discriminator_width=16)
        assert isinstance(build(config).generator, resgan.Generator)
        assert not isinstance(
            build(
                replace(SMALL, method=method, generator_width=None, discriminator_width=None)
            ).generator,
            resgan.Generator,
        )
    with pytest.raises(ValueError, match="power of two"):
        built = build(GanConfig("lsgan", size=48))
        init(built)


@pytest.mark.parametrize("method", ["dcgan", "sngan", "ssgan", "sagan", "cgan-pd", "infomax-gan"])
def test_only_the_critic_of_wgan_gp_pools_by_the_mean(method):
    classes = 3 if method in ("sagan", "cgan-pd") else None
    found = build(GanConfig(method, size=32, architecture="resgan", classes=classes)).discriminator
    assert found.pooling == "sum"
    assert found.spectral_norm == (method != "dcgan")
    assert found.attention == (method == "sagan")
    assert found.rotations == (4 if method == "ssgan" else 0)


def test_wgan_gp_pools_by_the_mean_and_starts_as_published():
    generator, discriminator = build(small("wgan-gp")).game.networks.values()
    assert discriminator.pooling == "mean"
    assert generator.outer_init == discriminator.outer_init == "torch"
    assert build(small("sngan")).discriminator.pooling == "sum"


# --- a real move --------------------------------------------------------------------------------


def filled(shapes):
    """Numbers in the place of shapes: initialisers take long to compile."""
    rng = np.random.default_rng(5)

    def number(path, leaf):
        if jax.tree_util.keystr(path).endswith("['var']"):
            return jnp.ones(leaf.shape, leaf.dtype)
        return jnp.asarray(0.3 * rng.standard_normal(leaf.shape), leaf.dtype)

    return jax.tree_util.tree_map_with_path(number, shapes)


@pytest.fixture(scope="module")
def move():
    """A small InfoMax-GAN, and what its generator's loss returns."""
    task = infomax_task(resgan.InfoMaxCritics(width=8))
    gan = build(small("sngan"), tasks=[task])
    params, stats = filled(jax.eval_shape(partial(init, gan)))
    (update,) = [u for u in gan.updates if u.name == "generator"]
    frozen = {name: params[name] for name in ("discriminator", "critics")}
    function = jax.jit(jax.value_and_grad(update.loss, has_aux=True))
    batch = {"image": jnp.zeros((4, 32, 32, 3))}
    (_, aux), gradients = function(
        {"generator": params["generator"]}, frozen, stats, batch, jax.random.key(0), 0
    )
    return stats, aux, gradients["generator"]


def test_the_generators_move_moves_the_statistics_of_all_networks(move):
    """Its own batch norm averages, and the spectral norm vectors of those that it trains not."""
    stats, aux, _ = move
    assert {name: set(s) for name, s in aux.stats.items()} == {
        "generator": {"batch_stats"},
        "discriminator": {"spectral_norm"},
        "critics": {"spectral_norm"},
    }
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), dict(stats), dict(aux.stats))
    for path, changed in jax.tree_util.tree_leaves_with_path(moved):
        # A layer of one output has the vector 1, and keeps it.
        assert changed or "logit" in jax.tree_util.keystr(path)


def test_biases_before_a_batch_norm_get_no_gradient(move):
    """Also those of shortcuts: every path from them leads through a later norm."""
    _, _, gradients = move
    blocks = [layers for name, layers in gradients.items() if name.startswith("block_")]
    assert len(blocks) == 3
    for block in blocks:
        for conv in ("conv_1", "conv_2", "shortcut"):
            bias, kernel = (np.abs(block[conv][part]).max() for part in ("bias", "kernel"))
            assert bias < 1e-4 * kernel
    assert np.abs(gradients["last"]["bias"]).max() > 1e-3


# --- what does not fit --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (replace(SMALL, method="cgan-pd"), "cgan-pd is conditional: set classes"),
        (replace(SMALL, classes=3), "sngan knows no classes.*sagan or cgan-pd"),
        (replace(SMALL, tail="N.1.5"), "tail and width are of dcgan networks"),
        (replace(SMALL, width=32), "tail and width are of dcgan networks"),
        (replace(SMALL, size=40), "size must be one of 32, 48, 64, 128, got 40"),
        (replace(SMALL, method="cgan-pd", classes=3, size=64), "exist for sizes 32 and 128"),
        (replace(SMALL, n_dis=0), "n_dis must be positive, got 0"),
        (replace(SMALL, learning_rate=-1.0), "learning_rate must be positive"),
        (replace(SMALL, schedule="linear"), "need decay_steps"),
        (replace(SMALL, decay_steps=9), "decay_steps are of the schedules linear"),
        (replace(SMALL, size=64, generator_width=9), "9"),
        (GanConfig("dcgan", size=40), "power of two, 16 or more, got 40"),
        (GanConfig("dcgan", tail="N.1.6"), "N.1.6"),
        (replace(SMALL, schedule="cosine"), "schedules are none, linear, half-linear, staircase"),
        (replace(SMALL, average=1.0), "between 0 and 1, got 1.0"),
        (replace(SMALL, architecture="dcgan"), "sngan does not come in .* 'dcgan', only in resgan"),
        (replace(SMALL, method="lsgan", architecture="resgan"), "only in dcgan"),
        (GanConfig("dcgan", generator_width=8), "one width: set width"),
        (replace(SMALL, method="infomax"), "did you mean 'infomax-gan'"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(config, says):
    with pytest.raises(ValueError, match=says):
        build(config)
