"""R3GAN: its loss against explicit Jacobians, and which images it looks at."""

import doctest

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.gans import (
    METHODS,
    Context,
    Draws,
    Game,
    Recipe,
    relativistic,
    relativistic_task,
)
from gan_forensics.gans.game import init_network
from gan_forensics.nn import dcgan as strided
from gan_forensics.nn import resgan
from gan_forensics.nn.dist_gan import dist_gan_networks
from gan_forensics.nn.points import PointDiscriminator
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
    assert result.failed == 0 and result.attempted == 2


# --- the fused pass -----------------------------------------------------------------------------


DISCRIMINATORS = {
    "strided": (strided.Discriminator(16, width=2, norm="none"), (16, 16, 3)),
    "residual": (resgan.Discriminator(32, width=4, spectral_norm=False), (32, 32, 3)),
    "stacked": (dist_gan_networks("stacked", 28, width=4).discriminator, (28, 28, 3)),
    "perceptron": (PointDiscriminator((8, 8)), (2,)),
}


@pytest.mark.parametrize(
    "name",
    [
        "strided",
        "perceptron",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("residual", "stacked")),
    ],
)
def test_a_piecewise_linear_discriminator_has_the_same_loss_and_gradients(name, rng, monkeypatch):
    network, shape = DISCRIMINATORS[name]
    real, fake = (jnp.asarray(rng.uniform(-1, 1, (3, *shape)), jnp.float32) for _ in range(2))
    params, stats = init_network(network, jax.random.key(1), real)
    params = jax.tree.map(
        lambda x: x + jnp.asarray(0.1 * rng.standard_normal(x.shape), jnp.float32), params
    )
    term = relativistic_task(gamma=0.7, unit=name == "stacked").discriminator[0]

    def loss(params):
        context = Context(
            {"discriminator": network, "generator": None},
            {"discriminator": params},
            {"discriminator": stats},
            batch={"image": real},
            draws=Draws(jnp.zeros((3, 1)), key=jax.random.key(2)),
            step=0,
        )
        context._images["fake"] = fake
        return term(context)

    def both(params):
        value, gradients = jax.value_and_grad(lambda p: loss(p).value)(params)
        return value, gradients, loss(params).metrics

    assert network.piecewise_linear
    fused = jax.jit(both)(params)
    monkeypatch.setattr(type(network), "piecewise_linear", False)
    general = jax.jit(both)(params)
    scale = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(general[1]))
    jax.tree.map(lambda a, b: assert_allclose(a, b, rtol=2e-4, atol=2e-6 * scale), fused, general)


def test_a_sure_discriminator_still_gets_the_gradient_of_its_penalties(rng):
    """Where the loss has no gradient left, that of the penalties is divided by next to nothing."""
    network = PointDiscriminator((2,))
    real = jnp.asarray(rng.uniform(0.5, 1, (4, 2)), jnp.float32)
    params, stats = init_network(network, jax.random.key(1), real)
    # D(x) = 900 (x_1 + x_2)
    params["dense_0"]["kernel"] = jnp.array([[30.0, -30.0], [30.0, -30.0]])
    params["dense_1"]["kernel"] = jnp.array([[30.0], [-30.0]])

    def gradients(gamma):
        def loss(params):
            context = Context(
                {"discriminator": network},
                {"discriminator": params},
                {"discriminator": stats},
                batch={"image": real},
                draws=Draws(jnp.zeros((4, 1)), key=jax.random.key(2)),
                step=0,
            )
            context._images["fake"] = -real
            return relativistic_task(gamma=gamma).discriminator[0](context).value

        return jax.jit(jax.grad(loss))(params)

    def penalties(params):
        def squares(x):
            slopes = jax.grad(lambda x: network.apply({"params": params}, x, train=True)[0].sum())(
                x
            )
            return jnp.square(slopes).sum(-1).mean()

        return (squares(real) + squares(-real)) / 2

    jax.tree.map(
        lambda a, b: assert_allclose(a, b, rtol=1e-4, atol=1e-6),
        gradients(1.0),
        jax.grad(penalties)(params),
    )


def test_networks_that_are_not_piecewise_linear_say_so():
    assert not strided.Discriminator(16, norm="layer").piecewise_linear
    assert not resgan.Discriminator(32).piecewise_linear
    assert not resgan.Discriminator(32, spectral_norm=False, attention=True).piecewise_linear
    assert not dist_gan_networks("dcgan", 32).discriminator.piecewise_linear
    assert not PointDiscriminator(spectral_norm=True).piecewise_linear
