"""The released spectral weight only stretches the step; the differentiable one turns it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.gans import LOSSES, Draws, GanConfig, build, init, spectral_task
from gan_forensics.spectra import spectral_loss
from gan_forensics.train import make_step


@pytest.fixture(scope="module")
def game():
    """A small DCGAN, its parameters and a batch of noise images."""
    gan = build(GanConfig("dcgan", size=16, width=4, latent=8, batch_size=8))
    params, stats = init(gan)
    rng = np.random.default_rng(3)
    batch = {"image": jnp.asarray(rng.uniform(-1, 1, (8, 16, 16, 3)), jnp.float32)}
    return gan, params, stats, batch, jax.random.key(5)


def generator_gradient(game, updates):
    gan, params, stats, batch, key = game
    trainable = {"generator": params["generator"]}
    frozen = {"discriminator": params["discriminator"]}
    function = jax.jit(jax.value_and_grad(updates[0].loss, has_aux=True))
    (loss, aux), gradient = function(trainable, frozen, stats, batch, key, 0)
    return loss, aux, gradient["generator"]


def regularised(game, **settings):
    task = spectral_task(LOSSES["non_saturating"], **settings)
    return build(game[0].config, tasks=[task]).updates


def spectral_distance(game, mode):
    """l of the very images of this step, made without the update."""
    gan, params, stats, batch, key = game
    z = jax.random.normal(key, (8, 8))
    fake, _ = gan.generator.apply(
        {"params": params["generator"], **stats["generator"]},
        z,
        train=True,
        mutable=["batch_stats"],
    )
    return spectral_loss(fake, batch["image"], mode=mode)


def test_the_released_gradient_is_the_plain_one_times_one_plus_lambda_l(game):
    weight = 0.7
    loss, _, plain = generator_gradient(game, game[0].updates)
    total, aux, gradient = generator_gradient(
        game, regularised(game, weight=weight, mode="released")
    )
    distance = spectral_distance(game, "released")
    assert float(distance) > 0.1
    assert_allclose(aux.metrics["spectral"], distance, rtol=1e-4)
    assert_allclose(total, loss * (1 + weight * distance), rtol=1e-5)
    for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(plain), strict=True):
        b = np.asarray(b) * (1 + weight * float(distance))
        # Relative to the largest entry: the transposed convolution's bias gradients cancel.
        assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max() + 1e-9)


def test_the_released_default_changes_the_gradient_by_less_than_a_part_in_ten_thousand(game):
    _, _, plain = generator_gradient(game, game[0].updates)
    _, _, gradient = generator_gradient(game, regularised(game, weight=1e-5, mode="released"))
    for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(plain), strict=True):
        assert_allclose(a, b, rtol=1e-4, atol=1e-4 * np.abs(b).max() + 1e-9)


def test_the_differentiable_total_adds_and_turns_the_gradient(game):
    weight = 2.0
    loss, _, plain = generator_gradient(game, game[0].updates)
    total, aux, gradient = generator_gradient(
        game, regularised(game, weight=weight, mode="differentiable")
    )
    assert_allclose(total, loss + weight * aux.metrics["spectral"], rtol=1e-5)
    assert_allclose(aux.metrics["spectral"], spectral_distance(game, "differentiable"), rtol=1e-4)
    a, b = (np.concatenate([np.ravel(x) for x in jax.tree.leaves(g)]) for g in (gradient, plain))
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert np.isfinite(a).all() and cosine < 0.999


def test_the_weight_may_follow_the_step(game):
    fixed, _, _ = generator_gradient(game, regularised(game, weight=0.7, mode="released"))
    falling = regularised(game, weight=lambda step: 0.7 - 0.1 * step, mode="released")
    assert_allclose(generator_gradient(game, falling)[0], fixed, rtol=1e-6)


@pytest.mark.parametrize("mode", ["released", "differentiable"])
def test_weight_zero_is_the_plain_game(game, mode):
    loss, aux, plain = generator_gradient(game, game[0].updates)
    total, regularised_aux, gradient = generator_gradient(
        game, regularised(game, weight=0.0, mode=mode)
    )
    assert_allclose(total, loss, rtol=1e-6)
    for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(plain), strict=True):
        assert_allclose(a, b, rtol=1e-4, atol=1e-5 * np.abs(b).max() + 1e-9)
    for a, b in zip(
        jax.tree.leaves(regularised_aux.stats), jax.tree.leaves(aux.stats), strict=True
    ):
        assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_a_step_against_the_differentiable_gradient_brings_the_curves_nearer(game):
    gan, params, stats, batch, key = game
    updates = regularised(game, weight=1e6, mode="differentiable")
    before = generator_gradient(game, updates)
    length = np.sqrt(sum(float((g**2).sum()) for g in jax.tree.leaves(before[2])))
    moved = jax.tree.map(lambda p, g: p - 1e-2 / length * g, params["generator"], before[2])
    after = generator_gradient((gan, {**params, "generator": moved}, stats, batch, key), updates)
    assert after[1].metrics["spectral"] < before[1].metrics["spectral"]


@pytest.mark.parametrize("mode", ["released", "differentiable"])
def test_loss_and_gradient_are_the_formula_in_double_precision(mode):
    """L_G (1 + lambda l) and L_G + lambda l, written out on the networks themselves."""
    weight = 0.7
    with jax.enable_x64(True):
        task = spectral_task(LOSSES["non_saturating"], weight=weight, mode=mode)
        gan = build(GanConfig("dcgan", size=16, width=4, latent=8), tasks=[task])
        wide = partial(jax.tree.map, lambda x: jnp.asarray(x, jnp.float64))
        params, stats = map(wide, init(gan))
        rng = np.random.default_rng(3)
        image, z = (
            jnp.asarray(rng.uniform(-1, 1, (8, 16, 16, 3))),
            jnp.asarray(rng.normal(size=(8, 8))),
        )

        def passed(network, params, name, x):
            variables = {"params": params, **stats[name]}
            return network.apply(variables, x, train=True, mutable=["batch_stats"])[0]

        def formula(generator):
            fake = passed(gan.generator, generator, "generator", z)
            logits = passed(gan.discriminator, params["discriminator"], "discriminator", fake)
            adversarial = jax.nn.softplus(-logits).mean()
            # The curves are float32 always; what is made of them here is not rounded to it again.
            distance = (weight * spectral_loss(fake, image, mode=mode)).astype(jnp.float64)
            if mode == "released":
                return adversarial * (1 + distance)
            return adversarial + distance

        expected, slope = jax.jit(jax.value_and_grad(formula))(params["generator"])
        frozen = {"discriminator": params["discriminator"]}
        function = jax.jit(jax.value_and_grad(gan.updates[0].loss, has_aux=True))
        (value, _), gradient = function(
            {"generator": params["generator"]}, frozen, stats, {"image": image}, Draws(z), 0
        )
        assert value.dtype == jnp.float64
        assert_allclose(value, expected, rtol=1e-10)
        for a, b in zip(*map(jax.tree.leaves, (gradient["generator"], slope)), strict=True):
            assert_allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(b).max() + 1e-16)


@pytest.mark.slow
def test_a_residual_gan_is_regularised_as_well():
    """SNGAN-32: its discriminator has spectral norm and outputs beside its logits."""
    config = GanConfig(
        "sngan", size=32, latent=6, generator_width=4, discriminator_width=4, n_dis=1
    )
    task = spectral_task(LOSSES["hinge"], weight=1.0, mode="differentiable")
    gan = build(config, tasks=[task])
    state = gan.learner.start(0)
    images = jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (1, 4, 32, 32, 3)), jnp.float32)
    after, metrics = jax.jit(make_step(gan.updates))(state, {"image": images}, jax.random.key(0))
    assert np.isfinite(metrics["generator/spectral"]) and int(after.step) == 1
