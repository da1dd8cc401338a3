"""DCGAN, LSGAN and WGAN-GP: who moves when, what each pays, and images that can be drawn again."""

import json
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.gans import (
    LOSSES,
    Game,
    GanConfig,
    Recipe,
    adversarial,
    build,
    generate,
    init,
    load_gan,
    penalised,
    train_gan,
)
from gan_forensics.train import (
    Cadence,
    CheckpointError,
    RunFolderError,
    init_state,
    make_step,
    minibatches_per_step,
)

BATCH, LATENT = 8, 6
TINY = GanConfig(size=16, width=4, latent=LATENT, batch_size=BATCH, data="samples:lfw", channels=1)
COLOUR = replace(TINY, channels=3)


def softplus(x):
    return np.logaddexp(0, x)


@pytest.fixture(scope="module", params=["dcgan", "lsgan", "wgan-gp"])
def game(request):
    """A method's updates with parameters, statistics and the minibatches of a step."""
    gan = build(replace(COLOUR, method=request.param))
    params, stats = init(gan)
    rng = np.random.default_rng(8)
    shape = (minibatches_per_step(gan.updates), BATCH, 16, 16, 3)
    batches = {"image": jnp.asarray(rng.uniform(-1, 1, shape), jnp.float32)}
    return gan, params, stats, batches


def passed(network, params, stats, x):
    """One pass in training mode, straight through Flax: (outputs, new statistics)."""
    return network.apply({"params": params, **stats}, x, train=True, mutable=["batch_stats"])


def moved(stats):
    return dict(stats) if stats else {}


def test_the_generator_moves_first_and_the_critic_of_wgan_gp_five_times(game):
    gan = game[0]
    assert [u.name for u in gan.updates] == ["generator", "discriminator"]
    assert [u.trains for u in gan.updates] == [("generator",), ("discriminator",)]
    repeats = 5 if gan.config.method == "wgan-gp" else 1
    assert [u.repeats for u in gan.updates] == [1, repeats]


def test_only_the_critic_of_wgan_gp_is_without_batch_statistics(game):
    gan, _, stats, _ = game
    assert stats["generator"]
    assert bool(stats["discriminator"]) == (gan.config.method != "wgan-gp")


def test_learning_rates_are_the_published_ones_unless_told_otherwise(game):
    gan, params, stats, _ = game
    state = init_state(gan.updates, params, stats)
    rate = 2e-4 if gan.config.method == "wgan-gp" else 1e-4
    for opt in state.opt.values():
        assert_allclose(opt.hyperparams["learning_rate"], rate, rtol=1e-6, atol=0)
    other = build(replace(gan.config, learning_rate=3e-4))
    opt = init_state(other.updates, params, stats).opt["generator"]
    assert_allclose(opt.hyperparams["learning_rate"], 3e-4, rtol=1e-6, atol=0)


def test_losses_at_the_start_are_those_worked_out_by_hand(game):
    gan, params, stats, batches = game
    key = jax.random.key(11)
    real = batches["image"][0]
    move, answer = gan.updates
    g, d = params["generator"], params["discriminator"]

    z = jax.random.normal(key, (BATCH, LATENT))
    fake, _ = passed(gan.generator, g, stats["generator"], z)
    f = np.asarray(passed(gan.discriminator, d, stats["discriminator"], fake)[0], np.float64)
    loss, _ = move.loss({"generator": g}, {"discriminator": d}, stats, {"image": real}, key, 0)
    by_hand = {
        "dcgan": softplus(-f).mean(),
        "lsgan": ((f - 1) ** 2).mean(),
        "wgan-gp": -f.mean(),
    }
    assert_allclose(loss, by_hand[gan.config.method], rtol=1e-5, atol=1e-6)

    noise_key, penalty_key = jax.random.split(key)
    z = jax.random.normal(noise_key, (BATCH, LATENT))
    fake, _ = passed(gan.generator, g, stats["generator"], z)
    # Real and fake images pass apart: each has batch statistics of its own.
    r, f = (
        np.asarray(passed(gan.discriminator, d, stats["discriminator"], x)[0], np.float64)
        for x in (real, fake)
    )
    loss, aux = answer.loss({"discriminator": d}, {"generator": g}, stats, {"image": real}, key, 0)
    by_hand = {
        "dcgan": softplus(-r).mean() + softplus(f).mean(),
        "lsgan": ((r - 1) ** 2).mean() + (f**2).mean(),
        "wgan-gp": f.mean() - r.mean(),
    }[gan.config.method]
    if gan.config.method == "wgan-gp":
        alpha = jax.random.uniform(jax.random.split(penalty_key)[0], (BATCH,))
        points = real + alpha.reshape(-1, 1, 1, 1) * (fake - real)
        slopes = jax.grad(lambda x: passed(gan.discriminator, d, {}, x)[0].sum())(points)
        n2 = np.square(np.asarray(slopes, np.float64)).sum((1, 2, 3))
        assert_allclose(aux.metrics["penalty"], n2.mean(), rtol=1e-4, atol=0)
        by_hand += 10 * n2.mean()
    else:
        assert "penalty" not in aux.metrics
    assert_allclose(loss, by_hand, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("game", ["wgan-gp"], indirect=True)
def test_wgan_gp_centres_its_penalty_at_zero_unless_told_otherwise(game):
    gan, params, stats, batches = game
    networks = {"generator": params["generator"]}, {"discriminator": params["discriminator"]}
    values = {}
    for kind in ("0-gp", "1-gp"):
        tasks = adversarial(LOSSES["wasserstein"]), penalised(kind)
        update = Game(gan.generator, gan.discriminator, tasks, Recipe(1e-4).players()).updates[1]
        batch = {"image": batches["image"][0]}
        _, aux = update.loss(networks[1], networks[0], stats, batch, jax.random.key(1), 0)
        values[kind] = float(aux.metrics["penalty"])
    default = gan.updates[1].loss(networks[1], networks[0], stats, batch, jax.random.key(1), 0)
    assert float(default[1].metrics["penalty"]) == values["0-gp"] != values["1-gp"]


@pytest.fixture(scope="module")
def stepped(game):
    gan, params, stats, batches = game
    state = init_state(gan.updates, params, stats)
    key = jax.random.key(21)
    return jax.jit(make_step(gan.updates))(state, batches, key)


@pytest.mark.parametrize("game", ["dcgan", "lsgan"], indirect=True)
def test_batch_norm_averages_move_with_every_pass_of_a_step(game, stepped):
    """The generator's twice, the second time with moved parameters; the discriminator's thrice."""
    gan, params, stats, batches = game
    state, _ = stepped
    key = jax.random.fold_in(jax.random.key(21), 0)
    keys = [jax.random.split(jax.random.fold_in(key, place), 1)[0] for place in (0, 1)]
    first = jax.random.normal(keys[0], (BATCH, LATENT))
    second = jax.random.normal(jax.random.split(keys[1])[0], (BATCH, LATENT))
    apply = [partial(passed, network) for network in (gan.generator, gan.discriminator)]

    fake, g_stats = apply[0](params["generator"], stats["generator"], first)
    _, d_stats = apply[1](params["discriminator"], stats["discriminator"], fake)
    fake, g_stats = apply[0](state.params["generator"], g_stats, second)
    _, d_stats = apply[1](params["discriminator"], d_stats, batches["image"][0])
    _, d_stats = apply[1](params["discriminator"], d_stats, fake)
    for now, expected in (
        (state.stats["generator"], g_stats),
        (state.stats["discriminator"], d_stats),
    ):
        assert jax.tree.structure(moved(now)) == jax.tree.structure(moved(expected))
        for a, b in zip(jax.tree.leaves(now), jax.tree.leaves(expected), strict=True):
            assert_allclose(a, b, rtol=2e-4, atol=2e-6)


def test_a_step_makes_every_move_as_often_as_it_should(game, stepped):
    gan = game[0]
    state, metrics = stepped
    assert int(state.step) == 1
    for update in gan.updates:
        assert int(state.opt[update.name].count) == update.repeats
    assert all(np.isfinite(float(value)) for value in metrics.values())
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), state.params, game[1])
    assert sum(jax.tree.leaves(changed)) > 0.8 * len(jax.tree.leaves(changed))


@pytest.mark.parametrize("game", ["wgan-gp"], indirect=True)
def test_every_critic_move_sees_a_fresh_minibatch(game, stepped):
    gan, params, stats, batches = game
    # Changing any of the five minibatches changes the critic that comes out.
    step = jax.jit(make_step(gan.updates))
    for place in range(5):
        other = {"image": batches["image"].at[place].multiply(-1)}
        state, _ = step(init_state(gan.updates, params, stats), other, jax.random.key(21))
        same = jax.tree.map(
            lambda a, b: bool((a == b).all()),
            state.params["discriminator"],
            stepped[0].params["discriminator"],
        )
        assert not all(jax.tree.leaves(same)), place


# --- drawing images -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run folder of a few steps, and the state that training returned."""
    run = tmp_path_factory.mktemp("gan") / "run"
    return run, train_gan(TINY, run, Cadence(3, sample_every=3), progress=False)[1]


@pytest.fixture(scope="module")
def loaded(trained):
    return load_gan(trained[0])


def test_an_image_depends_on_its_place_and_the_seed_alone(loaded):
    gan, state = loaded
    some = generate(gan, state, 5, seed=3, batch_size=4)
    more = generate(gan, state, 9, seed=3, batch_size=16)
    assert some.shape == (5, 16, 16, 1) and some.dtype == np.uint8
    assert_array_equal(some, more[:5])
    assert (generate(gan, state, 5, seed=4) != some).any()
    assert len({image.tobytes() for image in more}) == 9


def test_images_are_drawn_with_running_statistics(loaded):
    """Not with those of the batch: in training mode company changes an image."""
    gan, state = loaded
    variables = {"params": state.params["generator"], **state.stats["generator"]}
    z = jnp.asarray(np.random.default_rng(0).standard_normal((4, LATENT)), jnp.float32)
    apply = jax.jit(partial(gan.generator.apply, train=False))
    alone, together = apply(variables, z[:2]), apply(variables, z)
    assert_allclose(alone, together[:2], rtol=1e-5, atol=1e-6)


def test_a_loaded_gan_is_the_trained_one(trained, loaded):
    run, state = trained
    gan, again = loaded
    filled = {"architecture": "dcgan", "learning_rate": 1e-4, "n_dis": 1}
    filled |= {"prior": "normal", "schedule": "none"}
    assert gan.config == replace(TINY, **filled)
    for a, b in zip(jax.tree.leaves(again), jax.tree.leaves(state), strict=True):
        assert_array_equal(a, b)
    assert list((run / "samples").glob("*.png"))


def test_loading_what_is_no_gan_says_what_it_is(trained, tmp_path):
    with pytest.raises(RunFolderError, match="not a run folder"):
        load_gan(tmp_path / "missing")
    with pytest.raises(RunFolderError, match="not a run folder"):
        load_gan(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(RunFolderError, match="not readable as JSON"):
        load_gan(tmp_path)
    (tmp_path / "config.json").write_text('{"classifier": {}}')
    with pytest.raises(RunFolderError, match="run folder of kind classifier, not gan"):
        load_gan(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({"gan": {"method": "dcgan", "depth": 3}}))
    with pytest.raises(RunFolderError, match="not written by this version"):
        load_gan(tmp_path)
    (tmp_path / "config.json").write_bytes((trained[0] / "config.json").read_bytes())
    with pytest.raises(CheckpointError, match="no checkpoint yet"):
        load_gan(tmp_path)


def test_an_unknown_method_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'wgan-gp'.*dcgan, lsgan, wgan-gp"):
        build(replace(TINY, method="wgan"))


def test_data_that_do_not_fit_the_config_are_refused(tmp_path):
    with pytest.raises(ValueError, match="images of 1 channels, the config 3"):
        train_gan(replace(TINY, channels=3), tmp_path / "a", Cadence(1))
    with pytest.raises(ValueError, match="fewer than one batch"):
        train_gan(replace(TINY, batch_size=4096), tmp_path / "b", Cadence(1))
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()


def test_resuming_with_another_architecture_is_refused_with_the_difference(trained):
    with pytest.raises(RunFolderError, match="gan.width: 4 -> 8"):
        train_gan(replace(TINY, width=8), trained[0], Cadence(4), resume=True)
