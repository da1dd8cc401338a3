"""R3GAN: its loss against explicit Jacobians, and which images it looks at."""

import doctest

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.gans import METHODS, Draws, Game, Recipe, relativistic, relativistic_task
from gan_forensics.train import init_state, make_step, minibatches_per_step
from tests.dist_games import differences
from tests.tiny_gans import (
    BATCH,
    LATENT,
    SIDE,
    Discriminator,
    Generator,
    drawn,
    moving,
    passes,
    slow_discriminator,
    slow_generator,
    start,
)

G, D = Generator(), Discriminator()
PLAYERS = Recipe(1e-3).players()
GAMMA = 0.7


@pytest.fixture
def draws(rng):
    with jax.enable_x64(True):
        yield Draws(jnp.asarray(rng.standard_normal((BATCH, LATENT))), key=jax.random.key(1))


def softplus(x):
    return np.log1p(np.exp(-np.abs(x))) + np.maximum(x, 0)


def jacobian(params, images):
    """d logit / d pixel, from the formulas of the layers."""
    patches = images.reshape(-1, 2, 2, 2, 2).swapaxes(2, 3).reshape(-1, 2, 2, 4)
    kernels = {name: layer["kernel"] for name, layer in params.items()}
    local = np.tanh(patches @ kernels["local"] + params["local"]["bias"])
    pooled = np.tanh(local.reshape(-1, 20) @ kernels["pooled"] + params["pooled"]["bias"])
    slopes = (1 - pooled**2) * kernels["logit"][:, 0] @ kernels["pooled"].T
    slopes = (slopes.reshape(local.shape) * (1 - local**2)) @ kernels["local"].T
    return slopes.reshape(-1, 2, 2, 2, 2).swapaxes(2, 3).reshape(images.shape)


def slow_loss(player, draws, batch, shown=lambda x: x):
    """What a player pays; penalties are of the images as they are."""

    def loss(params):
        images = batch["image"], slow_generator(params["generator"], np.asarray(draws.z))
        r, f = (slow_discriminator(params["discriminator"], shown(x))[0] for x in images)
        if player == "generator":
            return softplus(r - f).mean()
        squares = [(jacobian(params["discriminator"], x) ** 2).sum((1, 2, 3)) for x in images]
        return softplus(f - r).mean() + GAMMA / 2 * sum(x.mean() for x in squares)

    return loss


def darker(x):
    return 0.5 * x - 0.25


@pytest.mark.parametrize("augmented", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_players_pay_the_formula_in_double_precision(augmented, draws):
    augment = {"augment": lambda context, owner, images: darker(images)} if augmented else {}
    game = Game(G, D, (relativistic_task(gamma=GAMMA),), PLAYERS, **augment)
    beginning = drawn(game)
    # One differentiated pass for the loss and both penalties; where what is shown is something
    # else than the images, one more for each.
    looks = {"discriminator": 3 if augmented else 1, "generator": 2}
    moves = moving(game)
    (moved,) = moves(beginning, draws)
    for player, (value, slopes, aux) in moved.items():
        slow = slow_loss(player, draws, beginning.batch, darker if augmented else lambda x: x)
        assert passes(aux.stats) == {"generator": 1, "discriminator": looks[player]}
        assert_allclose(value, slow(beginning.params), rtol=0, atol=1e-12)
        expected = differences(slow, beginning.params, (player,))[player]
        for a, b in zip(*map(jax.tree.leaves, (slopes[player], expected)), strict=True):
            assert_allclose(a, b, rtol=0, atol=1e-8)
        if player == "discriminator" and not augmented:
            images = (
                beginning.batch["image"],
                slow_generator(beginning.params["generator"], np.asarray(draws.z)),
            )
            for name, x in zip(("r1", "r2"), images, strict=True):
                squares = jacobian(beginning.params["discriminator"], x) ** 2
                assert_allclose(aux.metrics[name], squares.sum((1, 2, 3)).mean(), atol=1e-12)

    # Only differences of logits count.
    beginning.params["discriminator"]["logit"]["bias"] += 5
    (other,) = moves(beginning, draws)
    for player, (value, *_) in other.items():
        assert_allclose(value, moved[player][0], rtol=0, atol=1e-12)


class InUnit(nn.Module):
    """The same networks, computing in [0, 1]."""

    network: nn.Module
    latent: int = LATENT

    @nn.compact
    def __call__(self, x, *, train):
        if isinstance(self.network, Generator):
            return (self.network(x, train=train) + 1) / 2
        return self.network(2 * x - 1, train=train)


@pytest.mark.slow
def test_penalties_of_networks_in_the_unit_range_are_of_images_from_minus_one_to_one(draws):
    plain = Game(G, D, (relativistic_task(gamma=GAMMA),), PLAYERS)
    beginning = drawn(plain)
    tasks = (relativistic_task(gamma=GAMMA, unit=True),)
    unit = Game(InUnit(Generator()), InUnit(Discriminator()), tasks, PLAYERS, scale=1.0)
    inside = beginning._replace(
        params={n: {"network": p} for n, p in beginning.params.items()},
        stats={n: {"passes": {"network": s["passes"]}} for n, s in beginning.stats.items()},
    )
    value, slopes, _ = moving(plain)(beginning, draws)[0]["discriminator"]
    other, others, _ = moving(unit)(inside, draws)[0]["discriminator"]
    assert_allclose(other, value, rtol=0, atol=1e-12)
    for a, b in zip(*map(jax.tree.leaves, (others, slopes)), strict=True):
        assert_allclose(a, b, rtol=0, atol=1e-12)


def test_every_move_has_real_images_of_its_own():
    game = METHODS["r3gan"]["dcgan"].game(G, D)
    assert [u.name for u in game.updates] == ["discriminator", "generator"]
    assert minibatches_per_step(game.updates) == 2


@pytest.mark.slow
def test_the_generator_compares_with_the_second_minibatch(rng):
    game = METHODS["r3gan"]["dcgan"].game(G, D)
    beginning = jax.tree.map(jnp.asarray, start(G, D))
    state = init_state(game.updates, beginning.params, beginning.stats)
    images = jnp.asarray(rng.uniform(-1, 1, (2, BATCH, SIDE, SIDE, 1)), jnp.float32)
    step = jax.jit(make_step(game.updates))
    for place, moved in ((0, "discriminator"), (1, "generator")):
        one, other = (
            step(state, {"image": x}, jax.random.key(0))[1]
            for x in (images, images.at[place].multiply(0.5))
        )
        assert one[f"{moved}/adversarial"] != other[f"{moved}/adversarial"]
    assert one["discriminator/adversarial"] == other["discriminator/adversarial"]


def test_documented_example_is_true():
    result = doctest.testmod(relativistic)
    assert result.failed == 0 and result.attempted == 1
