"""The released spectral weight only stretches the step; the differentiable one turns it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.gans import LOSSES, GanConfig, build, init
from gan_forensics.gans.spectral_regularisation import spectrally_regularised
from gan_forensics.spectra import spectral_loss


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
    gan = game[0]
    return spectrally_regularised(
        gan.updates,
        gan.generator,
        gan.discriminator,
        loss=LOSSES["non_saturating"],
        **settings,
    )


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


def test_other_players_are_left_alone(game):
    updates = regularised(game, weight=1.0, mode="released")
    assert [u.name for u in updates] == ["generator", "discriminator"]
    assert updates[1] is game[0].updates[1]
    assert updates[0].optimizer is game[0].updates[0].optimizer
    assert_array_equal(updates[0].repeats, game[0].updates[0].repeats)


def test_a_game_without_a_generator_is_refused(game):
    gan = game[0]
    with pytest.raises(ValueError, match="no update 'generator'"):
        spectrally_regularised(
            gan.updates[1:],
            gan.generator,
            gan.discriminator,
            loss=LOSSES["non_saturating"],
            weight=1.0,
            mode="released",
        )
