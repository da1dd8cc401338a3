"""The rows of Dist-GAN and GN-GAN: bundles, recipes, minibatches, and the range they compute in."""

from dataclasses import replace

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.gans import (
    LOSSES,
    METHODS,
    Game,
    GanConfig,
    Recipe,
    adversarial,
    build,
    generate,
    penalised,
    train_gan,
)
from gan_forensics.gans.autoencoder import AUTOENCODER, ENCODER
from gan_forensics.gans.building import Gan
from gan_forensics.gans.context import Draws
from gan_forensics.gans.dist_gan import GUARDED, Switches
from gan_forensics.gans.dist_gan_methods import SETTINGS, switches_of
from gan_forensics.gans.task import DISCRIMINATOR, GENERATOR
from gan_forensics.train import Aux, Cadence, init_state, make_step, minibatches_per_step

BOTH = (ENCODER, GENERATOR)
# Of architecture and size (for points the data): the switches as released.
RELEASED = {
    ("dcgan", 28): Switches("rms", 1, "logit", "real", "reconstruction", BOTH, None),
    ("dcgan", 32): Switches("rms", 1, "logit", "real", "reconstruction", (ENCODER,), 2048),
    ("dcgan", 64): Switches("rms", 1, "logit", "real", "reconstruction", (ENCODER,), 8192),
    ("sngan", 32): Switches("rms", -1, "score", "real", "reconstruction", (ENCODER,), None),
    ("sngan", 48): Switches("rms", -1, "score", "real", "reconstruction", (ENCODER,), None),
    ("resnet", 32): Switches("rms", -1, "score", "real", "reconstruction", (ENCODER,), None),
    ("resnet", 48): Switches("rms", -1, "score", "real", "reconstruction", (ENCODER,), None),
    ("stacked", 28): Switches("rms", 1, "logit", "real", "reconstruction", BOTH, None),
    ("perceptron", "toy:grid9"): Switches("rms", 1, "logit", "fake", "reconstruction", BOTH, None),
    ("small-perceptron", "toy:line"): Switches("batch", 1, "logit", "real", "real", BOTH, None),
}


def config_of(architecture, where, **options):
    place = {"data": where} if isinstance(where, str) else {"size": where, "data": "samples:lfw"}
    if architecture in ("dcgan", "sngan", "resnet"):
        options = {"decay_steps": 1000, **options}
    return GanConfig("dist-gan", architecture=architecture, **place, **options)


@pytest.mark.parametrize(("architecture", "where"), RELEASED)
def test_bundles_are_what_was_released_and_what_was_meant(architecture, where):
    for method in ("dist-gan", "gn-gan"):
        for bundle in ("released", "corrected", None):
            gan = build(replace(config_of(architecture, where, bundle=bundle), method=method))
            expected = RELEASED[architecture, where]
            if bundle != "released":
                # Unit slopes, a charge for steepness, reconstructions real, both trained.
                anchor = "real" if architecture == "small-perceptron" else "reconstruction"
                expected = Switches("l2", 1, "logit", "real", anchor, BOTH, None)
            assert switches_of(gan.config) == expected
            assert gan.config.bundle == (bundle or "corrected")
            trains = {update.name: update.trains for update in gan.updates}
            assert trains[AUTOENCODER] == expected.trains
            assert trains[DISCRIMINATOR] == (DISCRIMINATOR,) and trains[GENERATOR] == (GENERATOR,)


@pytest.mark.parametrize("method", sorted(METHODS.keys() - {"dist-gan", "gn-gan", "ms-dist-gan"}))
def test_other_methods_come_in_no_bundles(method):
    config = GanConfig(method, size=32, bundle="corrected")
    if any(row.conditional for row in METHODS[method].values()):
        config = replace(config, classes=2)
    if method in ("rgan", "mdgan"):
        config = replace(config, data="toy:line")
    with pytest.raises(ValueError, match=f"^{method} comes in no bundles: leave bundle out, or "):
        build(config)


def test_weights_and_rates_are_the_published_ones():
    told = {
        name: (s.loss.name, s.penalty, s.regulariser, s.space, s.share)
        for name, s in SETTINGS.items()
    }
    assert told == {
        "dcgan": ("non_saturating", 1, 1, "features", None),
        "sngan": ("hinge", 1, 1, "features", None),
        "resnet": ("hinge", 1, 1, "features", None),
        "stacked": ("non_saturating", 0.5, 0.01, "features", 0.05),
        "perceptron": ("non_saturating", 0.1, 0.1, "unit data", 0.5),
        "small-perceptron": (GUARDED.name, 0.1, 0.1, "data", 0.5),
    }
    recipes = {
        name: (row.recipe.learning_rate, row.recipe.betas, row.recipe.n_dis, row.recipe.schedule)
        for name, row in METHODS["dist-gan"].items()
    }
    image = (2e-4, (0.5, 0.9), 1, "none")
    assert recipes == {
        "dcgan": image,
        "sngan": image,
        "stacked": image,
        "resnet": (2e-4, (0.0, 0.9), 1, "half-linear"),
        "perceptron": (1e-3, (0.8, 0.999), 5, "staircase"),
        "small-perceptron": (1e-3, (0.5, 0.9), 3, "none"),
    }
    noise = {
        where: (gan.config.latent, gan.config.prior)
        for where in RELEASED
        for gan in [build(config_of(*where))]
    }
    assert noise == {
        ("dcgan", 28): (100, "uniform"),
        ("dcgan", 32): (128, "uniform"),
        ("dcgan", 64): (100, "uniform"),
        ("sngan", 32): (128, "uniform"),
        ("sngan", 48): (128, "uniform"),
        ("resnet", 32): (128, "uniform"),
        ("resnet", 48): (128, "uniform"),
        ("stacked", 28): (256, "uniform"),
        ("perceptron", "toy:grid9"): (2, "uniform"),
        ("small-perceptron", "toy:line"): (1, "normal"),
    }


@pytest.mark.parametrize(("method", "step"), [("dist-gan", 1429), ("dcgan", 1667)])
def test_rates_in_the_plane_fall_by_the_moves_of_all_players(method, step):
    """Seven a step, or six without an autoencoder."""
    for update in build(GanConfig(method, data="toy:grid9")).updates:
        x = {"x": jnp.zeros(1)}
        for steps, expected in ((step - 1, 1e-3), (step, 0.9e-3)):
            state = update.optimizer.init(x)
            # As after so many moves.
            (schedule,) = state.hyperparams_states.values()  # pyright: ignore
            done = schedule._replace(count=jnp.asarray(steps * update.repeats))
            state = state._replace(hyperparams_states={"learning_rate": done})  # pyright: ignore
            _, after = update.optimizer.update(x, state, x)
            rate = after.hyperparams["learning_rate"]  # pyright: ignore
            assert_allclose(rate, expected, rtol=1e-5)


# --- minibatches --------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["dist-gan", "gn-gan"])
def test_each_of_its_moves_has_minibatches_of_its_own(method):
    """The autoencoder the first, the discriminator the next, the generator the last."""
    gan, seen = build(GanConfig(method, data="toy:line", n_dis=2)), []

    def noting(player):
        def loss(trainable, frozen, stats, batch, key, step):
            jax.debug.callback(lambda x: seen.append((player, int(x))), batch["point"][0, 0])
            return 0 * optax.tree.norm(trainable) ** 2, Aux({}, {})

        return loss

    updates = tuple(u._replace(loss=noting(u.name), optimizer=optax.sgd(1.0)) for u in gan.updates)
    assert minibatches_per_step(updates) == 1 + 2 + 1
    params, stats = gan.game.init(jax.random.key(0), {"point": np.zeros((2, 1), np.float32)})
    batches = {"point": jnp.arange(4.0)[:, None, None]}
    make_step(updates)(init_state(updates, params, stats), batches, jax.random.key(0))
    jax.effects_barrier()
    names = (AUTOENCODER, DISCRIMINATOR, DISCRIMINATOR, GENERATOR)
    assert seen == [(name, place) for place, name in enumerate(names)]


@pytest.mark.parametrize("method", ["dcgan", "lsgan", "wgan-gp", "sngan", "ssgan", "infomax-gan"])
def test_moves_of_other_methods_share_the_leading_minibatches(method):
    gan = build(GanConfig(method, size=32))
    assert not any(update.own_minibatches for update in gan.updates)
    assert minibatches_per_step(gan.updates) == gan.config.n_dis


# --- the range of the networks ------------------------------------------------------------------


class Slope(nn.Module):
    """A linear critic of known slopes."""

    @nn.compact
    def __call__(self, x, *, train):
        return nn.Dense(1, name="dense")(x.reshape(len(x), -1))[:, 0]


class Levels(nn.Module):
    """Always the same image, or point."""

    values: tuple
    latent: int = 2

    @nn.compact
    def __call__(self, z, *, train):
        same = jnp.array(self.values, jnp.float32)
        offset = self.param("offset", nn.initializers.zeros, ())
        return offset + jnp.broadcast_to(same, (len(z), *same.shape))


IMAGE, POINT = (((0.0,), (0.5,)), ((1.0,), (0.25,))), (0.0, 0.5, 1.0, 0.25)


def in_range(values, *tasks, **options):
    return Game(
        Levels(values),
        Slope(),
        (adversarial(LOSSES["wasserstein"]), *tasks),
        Recipe(1e-3).players(),
        **options,
    )


@pytest.mark.parametrize(("data", "scale"), [("image", 1.0), ("point", 2.5)])
def test_critics_see_and_are_charged_for_data_in_0_1(data, scale, rng):
    values = IMAGE if data == "image" else POINT
    game = in_range(values, penalised("1-gp"), data=data, scale=scale)
    real = rng.uniform(-scale, scale, (6, *np.shape(values))).astype("f")
    params, stats = game.init(jax.random.key(0), {data: real})
    w = rng.standard_normal((4, 1)).astype("f")
    params[DISCRIMINATOR]["dense"]["kernel"] = w
    (update,) = (u for u in game.updates if u.name == DISCRIMINATOR)
    _, aux = update.loss(
        {DISCRIMINATOR: params[DISCRIMINATOR]},
        {GENERATOR: params[GENERATOR]},
        stats,
        {data: jnp.asarray(real)},
        Draws(jnp.zeros((6, 2)), key=jax.random.key(1)),
        0,
    )
    assert_allclose(aux.metrics["penalty"], (np.linalg.norm(w) - 1) ** 2, rtol=1e-5)
    seen = (real.reshape(6, 4) / scale + 1) / 2 @ w
    assert_allclose(aux.metrics["real_logit"], seen.mean(), rtol=1e-5, atol=1e-6)
    assert_allclose(aux.metrics["fake_logit"], (np.ravel(values) @ w)[0], rtol=1e-5, atol=1e-6)


def test_what_is_drawn_is_in_the_range_of_the_data():
    def drawn(game):
        gan = Gan(GanConfig(), game)
        shape = (2, 2, 2, 1) if game.data == "image" else (2, 4)
        params, stats = game.init(jax.random.key(0), {game.data: np.zeros(shape, np.float32)})
        return generate(gan, init_state(game.updates, params, stats), 2, seed=0)

    assert_array_equal(drawn(in_range(IMAGE, scale=1.0))[1].ravel(), [0, 128, 255, 64])
    # Networks without a scale are in [-1, 1].
    assert_array_equal(drawn(in_range(IMAGE))[1].ravel(), [128, 191, 255, 159])
    points = drawn(in_range(POINT, data="point", scale=2.5))
    assert_allclose(points[0], [-2.5, 0, 2.5, -1.25], atol=1e-6)
    assert_allclose(drawn(in_range(POINT, data="point"))[0], POINT)


@pytest.mark.parametrize("scale", [0, -1.0, float("inf"), float("nan")])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(ValueError, match="scale must be positive and finite"):
        in_range(IMAGE, scale=scale)


# --- whole runs ---------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("bundle", ["released", "corrected"])
@pytest.mark.parametrize(
    ("architecture", "size"), [("dcgan", 28), ("dcgan", 32), ("sngan", 32), ("resnet", 32)]
)
def test_images_take_a_step_in_every_network(architecture, size, bundle, tmp_path):
    config = config_of(architecture, size, bundle=bundle, width=2, batch_size=8, decay_steps=None)
    gan, state = train_gan(config, tmp_path / "run", Cadence(1, sample_every=1), progress=False)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(state.params))
    assert generate(gan, state, 2, seed=0).shape == (2, size, size, 1)
    assert gan.config.decay_steps == 1


@pytest.mark.slow
def test_points_of_a_line_come_to_where_they_should(tmp_path):
    """They begin around 0 and belong around 4."""
    config = GanConfig("dist-gan", data="toy:line", width=16, learning_rate=0.01)
    gan, state = train_gan(config, tmp_path / "run", Cadence(300), progress=False)
    points = generate(gan, state, 1000, seed=0)
    assert abs(points.mean() - 4) < 1 and 0.1 < points.std() < 3


def test_the_width_of_a_stacked_discriminator_divides_the_encoders():
    config = GanConfig(
        "dist-gan", data="stacked:samples:digits", size=28, architecture="stacked",
        discriminator_width=3,
    )  # fmt: skip
    with pytest.raises(ValueError, match="discriminator_width 3 .* a half or a quarter"):
        build(config)
    for width, expected in ((2, 512 // 4), (4, 512 // 2)):
        gan = build(replace(config, discriminator_width=width))
        params, _ = jax.eval_shape(lambda gan=gan: gan.game.init(
            jax.random.key(0), {"image": np.zeros((2, 28, 28, 3), np.float32)}
        ))  # fmt: skip
        kernels = [x.shape for x in jax.tree.leaves(params["discriminator"])]
        assert (expected, 1) in kernels
