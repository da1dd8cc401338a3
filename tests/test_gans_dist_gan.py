"""Dist-GAN's losses: formulas in double precision, and what each term holds to."""

import doctest
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from numpy.testing import assert_allclose

from gan_forensics.gans import LOSSES, Draws, Game, Recipe, dist_gan
from gan_forensics.gans.autoencoder import AUTOENCODER, ENCODER
from gan_forensics.gans.dist_gan import (
    GUARDED,
    Setting,
    Switches,
    discriminator_loss,
    dist_gan_penalty,
    dist_gan_task,
    distance_task,
    latent_data_distance,
    real_weight_gain,
    reconstruction_error,
    score_distance,
)
from gan_forensics.gans.gradient_matching import gradient_matching_task
from gan_forensics.gans.mode_regularised import MANIFOLD, mdgan_task, rgan_tasks
from gan_forensics.gans.neighbours import neighbour_task
from gan_forensics.gans.task import DISCRIMINATOR, GENERATOR
from gan_forensics.runtime import data_mesh, replicated
from gan_forensics.train import init_state, make_step
from tests.dist_games import (
    FEATURES,
    LATENT,
    STATS,
    STEPS,
    Discriminator,
    Encoder,
    Generator,
    Slow,
    differences,
    drawn,
    sigmoid,
)
from tests.tiny_gans import passes

LOG, HINGE = LOSSES["non_saturating"], LOSSES["hinge"]
BOTH = (ENCODER, GENERATOR)


def game_of(tasks, others, **options):
    players = Recipe(1e-3, first="discriminator", own_minibatches=True).players(others)
    options = {"data": "point", **options}
    return Game(Generator(), Discriminator(), tasks, players, **options)


def tasks_of(setting, switches, *, weight=None):
    return (
        dist_gan_task(Encoder(), setting, switches, steps=STEPS),
        dist_gan_penalty(setting, switches),
        distance_task(setting, switches, weight=weight),
    )


def moves(game, numbers, *, step=0, weights=None, devices=1):
    """By player, in double precision: (value, metrics, slopes, passes) of its loss."""
    params, x, z, alpha = numbers
    params = {name: params[name] for name in game.networks} | (
        {"weights": weights} if weights else {}
    )
    stats = {name: STATS[name] for name in game.networks}

    def everything(params, x, z, alpha):
        draws, made = Draws(z, alpha=alpha, key=jax.random.key(0)), {}
        for update in game.updates:
            trained = {n: params[n] for n in update.trains}
            frozen = {n: params[n] for n in params if n not in trained}
            (value, aux), slopes = jax.value_and_grad(update.loss, has_aux=True)(
                trained, frozen, stats, {"point": x}, draws, jnp.asarray(step)
            )
            made[update.name] = value, aux.metrics, slopes, aux.stats
        return made

    with jax.enable_x64(True):
        split = (jnp.asarray(array) for array in (x, z, alpha))
        params = jax.tree.map(jnp.asarray, params)
        if devices > 1:
            mesh = data_mesh(jax.devices()[:devices])
            split = jax.device_put(list(split), NamedSharding(mesh, PartitionSpec("data")))
            params = jax.device_put(params, replicated(mesh))
            everything = jax.jit(everything)
        made = jax.device_get(everything(params, *split))
    return {u.name: (*made[u.name][:3], passes(made[u.name][3])) for u in game.updates}


# --- every loss as its formula ------------------------------------------------------------------


class Case(NamedTuple):
    setting: Setting
    switches: Switches = Switches()
    step: int = 0


CASES = {
    "log": Case(Setting(LOG), step=600),
    "log released": Case(Setting(LOG), Switches("rms", trains=(ENCODER,), features=16), step=900),
    "hinge": Case(Setting(HINGE, regulariser=0.3), Switches(anchor="real"), step=500),
    "hinge released": Case(
        Setting(HINGE), Switches("rms", penalty_sign=-1, hinge_on="score", trains=(ENCODER,))
    ),
    "plane": Case(Setting(LOG, 0.1, 0.1, "unit data", 0.5)),
    "plane released": Case(
        Setting(LOG, 0.1, 0.1, "unit data", 0.5), Switches("rms", reconstruction="fake")
    ),
    "line": Case(Setting(GUARDED, 0.1, 0.1, "data", 0.5), Switches("batch", anchor="real")),
}
ON_REAL = {
    "non_saturating": lambda r: -np.log(sigmoid(r)),
    "hinge": lambda r: -np.minimum(0, -1 + r),
    "guarded": lambda r: -np.log(sigmoid(r) + 1e-5),
}
ON_FAKE = {
    "non_saturating": lambda f: -np.log(1 - sigmoid(f)),
    "hinge": lambda f: -np.minimum(0, -1 - f),
    "guarded": lambda f: -np.log(1 - sigmoid(f) + 1e-5),
}


def slow_loss(player, case, params, x, z, alpha):
    """What a player pays, in NumPy."""
    (name, setting, switches), at = (case.setting.loss.name, *case[:2]), Slow(params, x, z, alpha)
    if player == GENERATOR:
        return abs(sigmoid(at.l_real).mean() - sigmoid(at.l_fake).mean())
    if player == AUTOENCODER:
        if setting.space == "features":
            real, made, fake = at.f_real, at.f_made, at.f_fake
            scale = np.sqrt(LATENT / (switches.features or FEATURES))
        else:
            real, made, fake, scale = x, at.made, at.fake, 1
        error = ((real - made) ** 2).mean()
        if setting.space == "unit data":
            error = -(x * np.log(made) + (1 - x) * np.log(1 - made)).mean()
        anchor = real if switches.anchor == "real" else made
        m_x, m_z = (anchor - fake).mean(), scale * (at.codes - z).mean()
        return error + setting.regulariser * (m_x - m_z) ** 2
    t = case.step / STEPS
    share = 0.05 - np.interp(t, [0.5, 0.75], [0, 0.05]) if setting.share is None else setting.share
    scored = name == "hinge" and switches.hinge_on == "score"
    real, made, fake = (sigmoid(u) if scored else u for u in (at.l_real, at.l_made, at.l_fake))
    label = ON_REAL if switches.reconstruction == "real" else ON_FAKE
    told = (1 - share) * ON_REAL[name](real) + share * label[name](made) + ON_FAKE[name](fake)
    squares = at.slopes() ** 2
    n = {
        "l2": lambda: np.sqrt(squares.sum(1)),
        "rms": lambda: np.sqrt(squares.mean(1)),
        "batch": lambda: np.sqrt(squares.sum()),
    }[switches.penalty]()
    return told.mean() + switches.penalty_sign * setting.penalty * ((n - 1) ** 2).mean()


@pytest.mark.parametrize("name", CASES)
def test_every_player_pays_its_formula_in_double_precision(name):
    case = CASES[name]
    game = game_of(tasks_of(*case[:2]), {AUTOENCODER: case.switches.trains})
    params, *numbers = drawn()
    made = moves(game, (params, *numbers), step=case.step)
    assert list(made) == [AUTOENCODER, DISCRIMINATOR, GENERATOR]
    for player, (value, _, slopes, _) in made.items():

        def loss(params, player=player):
            return slow_loss(player, case, params, *numbers)

        assert_allclose(value, loss(params), rtol=1e-8, atol=1e-12)
        expected = differences(loss, params, slopes)
        for a, b in zip(*map(jax.tree.leaves, (slopes, expected)), strict=True):
            assert_allclose(a, b, rtol=1e-7, atol=1e-8)


def slow_rgan(player, name, at):
    error, of_fake = ((at.x - at.made) ** 2).mean(), -np.log(sigmoid(at.l_fake) + 1e-5).mean()
    if player == DISCRIMINATOR:
        return (ON_REAL[name](at.l_real) + ON_FAKE[name](at.l_fake)).mean()
    if player == AUTOENCODER:
        return 0.01 * error
    return of_fake + 0.01 * error + 0.01 * sigmoid(at.l_made).mean()


def slow_mdgan(player, name, at):
    first = {n: at.judged(points, MANIFOLD)[0] for n, points in (("x", at.x), ("r", at.made))}
    if player == MANIFOLD:
        return (ON_REAL[name](first["x"]) + ON_FAKE[name](first["r"])).mean()
    if player == AUTOENCODER:
        return ((at.x - at.made) ** 2).mean() - 0.01 * sigmoid(first["r"]).mean()
    if player == DISCRIMINATOR:
        return (ON_REAL[name](at.l_made) + ON_FAKE[name](at.l_fake)).mean()
    return -np.log(sigmoid(at.l_fake) + 1e-5).mean()


@pytest.mark.parametrize("method", ["rgan", "mdgan"])
def test_the_baselines_pay_their_formulas_in_double_precision(method):
    if method == "rgan":
        slow, tasks, others = slow_rgan, rgan_tasks(Encoder(), GUARDED), {AUTOENCODER: (ENCODER,)}
    else:
        slow, tasks = slow_mdgan, (mdgan_task(Encoder(), Discriminator(), GUARDED),)
        others = {MANIFOLD: (MANIFOLD,), AUTOENCODER: BOTH}
    params, *numbers = drawn()
    made = moves(game_of(tasks, others), (params, *numbers))
    assert list(made) == [*others, DISCRIMINATOR, GENERATOR]
    for player, (value, _, slopes, _) in made.items():

        def loss(params, player=player):
            return slow(player, "guarded", Slow(params, *numbers))

        assert_allclose(value, loss(params), rtol=1e-8)
        expected = differences(loss, params, slopes)
        for a, b in zip(*map(jax.tree.leaves, (slopes, expected)), strict=True):
            assert_allclose(a, b, rtol=1e-7, atol=1e-8)


# --- terms --------------------------------------------------------------------------------------


def test_the_latent_data_distance_compares_two_means_alone(rng):
    anchor, fake = rng.standard_normal((2, 5, 7))
    codes, z = rng.standard_normal((2, 5, 3))
    with jax.enable_x64(True):

        def distance(anchor, fake, codes, z):
            return latent_data_distance(*map(jnp.asarray, (anchor, fake, codes, z)), lambda_w=0.5)

        m_x, m_z = (anchor - fake).mean(), 0.5 * (codes - z).mean()
        value = distance(anchor, fake, codes, z)
        assert_allclose(value, (m_x - m_z) ** 2, rtol=1e-12)
        assert_allclose(distance(anchor - m_x + m_z, fake, codes, z), 0, atol=1e-20)
        # Nothing but the means is seen.
        shift = rng.standard_normal((5, 7))
        for same in (
            distance(anchor, fake, codes, z[rng.permutation(5)]),
            distance(anchor[:, rng.permutation(7)], fake, codes, z),
            distance(anchor, fake + shift - shift.mean(), codes, z),
        ):
            assert_allclose(same, value, rtol=1e-12)
        slope = jax.grad(distance)(anchor, fake, codes, z)
        assert_allclose(slope, np.full((5, 7), 2 * (m_x - m_z) / (5 * 7)), rtol=1e-12)


def test_the_score_distance_is_that_of_mean_scores(rng):
    a, b = rng.standard_normal((2, 9)).astype("f")
    expected = abs(sigmoid(a).mean() - sigmoid(b).mean())
    assert_allclose(score_distance(a, b), expected, rtol=1e-6)
    assert score_distance(a, b) == score_distance(b, a)
    assert score_distance(a, a[::-1]) < 1e-7
    assert_allclose(score_distance(np.full(3, 99.0), np.full(3, -99.0)), 1, rtol=1e-6)
    # Where fakes score above reals, it draws them down.
    slope = jax.grad(score_distance, 1)
    own = sigmoid(b) * (1 - sigmoid(b)) / 9
    for shift in (-5, 5):
        assert_allclose(slope(b + shift, b), np.sign(shift) * -own, rtol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.5])
def test_a_discriminator_that_knows_nothing_pays_the_same_for_any_share(share):
    zero = np.zeros(4, np.float32)

    def pays(loss, **switches):
        return discriminator_loss(
            zero, zero, zero, loss=loss, share=share, switches=Switches(**switches)
        )

    assert_allclose(pays(LOG), 2 * np.log(2), rtol=1e-6)
    assert_allclose(pays(HINGE), 2, rtol=1e-6)
    assert_allclose(pays(HINGE, hinge_on="score"), 2, rtol=1e-6)
    assert_allclose(pays(GUARDED), -2 * np.log(0.5 + 1e-5), rtol=1e-6)


@pytest.mark.parametrize("norm", ["l2", "rms", "batch"])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_constant_discriminator_pays_the_whole_penalty_with_its_sign(norm, sign):
    setting, switches = Setting(LOG, penalty=0.7), Switches(norm, sign)
    params, *numbers = drawn()
    params["discriminator"] = jax.tree.map(np.zeros_like, params["discriminator"])
    made = moves(game_of(tasks_of(setting, switches), {AUTOENCODER: BOTH}), (params, *numbers))
    value, metrics, slopes, _ = made[DISCRIMINATOR]
    assert_allclose(value, 2 * np.log(2) + sign * 0.7, rtol=1e-12)
    assert_allclose(metrics["penalty"], 1, rtol=1e-12)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(slopes))


def test_the_weight_of_reconstructions_fades_in_the_second_half():
    at = [float(real_weight_gain(jnp.asarray(k), 100)) for k in (0, 50, 60, 75, 90, 100)]
    assert_allclose(at, [0, 0, 0.02, 0.05, 0.05, 0.05], atol=1e-7)
    assert doctest.testmod(dist_gan).failed == 0


def test_cross_entropy_is_finite_at_the_ends(rng):
    real = np.array([[0.0, 1.0], [0.5, 1.0]], np.float32)
    value, slope = jax.value_and_grad(
        lambda made: reconstruction_error(real, made, cross_entropy=True)
    )(jnp.array([[1.0, 0.0], [0.0, 1.0]]))
    assert np.isfinite(value) and np.isfinite(slope).all()
    made = rng.uniform(0.1, 0.9, (2, 2)).astype("f")
    expected = -(real * np.log(made) + (1 - real) * np.log(1 - made)).mean()
    assert_allclose(reconstruction_error(real, made, cross_entropy=True), expected, rtol=1e-5)


# --- moves --------------------------------------------------------------------------------------

SETTING = Setting(LOG, penalty=0.1, regulariser=0.3)
TASKS = tasks_of(SETTING, Switches())


def test_every_pass_is_made_once():
    made = moves(game_of(TASKS, {AUTOENCODER: BOTH}), drawn())
    seen = {player: told for player, (_, _, _, told) in made.items()}
    assert seen[AUTOENCODER] == {ENCODER: 1, GENERATOR: 2, DISCRIMINATOR: 3}
    assert seen[DISCRIMINATOR] == {ENCODER: 1, GENERATOR: 2, DISCRIMINATOR: 3}
    assert seen[GENERATOR] == {GENERATOR: 1, DISCRIMINATOR: 2}


@pytest.mark.parametrize(
    ("player", "trains"),
    [(AUTOENCODER, BOTH), (AUTOENCODER, (ENCODER,)), (DISCRIMINATOR, BOTH), (GENERATOR, BOTH)],
)
def test_a_move_changes_nothing_but_what_it_trains(player, trains):
    game = game_of(TASKS, {AUTOENCODER: trains})
    updates = tuple(u._replace(optimizer=optax.sgd(0.1)) for u in game.updates if u.name == player)
    params, x, _, _ = drawn()
    with jax.enable_x64(True):
        params = jax.tree.map(jnp.asarray, {name: params[name] for name in game.networks})
        state = init_state(updates, params, {name: STATS[name] for name in params})
        after, _ = make_step(updates)(state, {"point": jnp.asarray(x)[None]}, jax.random.key(3))
    moved = {
        name
        for name in params
        if any(
            (a != b).any()
            for a, b in zip(*map(jax.tree.leaves, (params[name], after.params[name])), strict=True)
        )
    }
    assert moved == {AUTOENCODER: set(trains)}.get(player, {player})


# --- weights, and many devices ------------------------------------------------------------------


def test_arms_that_differ_in_traced_weights_share_what_is_compiled():
    def arm(weight, **weights):
        tasks = tasks_of(SETTING, Switches(), weight=weight)
        return game_of(tasks, {AUTOENCODER: BOTH}, weights=weights)

    game, numbers, ends = arm("tie", tie=0.25), drawn(), []
    first = {"point": np.float32(numbers[1])}
    for value in (0.25, 4.0):
        # The weight is in the parameters that a game begins with, and the loss reads it there.
        params, _ = arm("tie", tie=value).init(jax.random.key(0), first)
        assert params["weights"] == {"tie": value}
        ends.append(moves(game, numbers, weights={"tie": np.float64(value)}))
        chex.assert_trees_all_close(ends[-1], moves(arm(value), numbers), rtol=1e-12)
    assert abs(ends[0][AUTOENCODER][0] - ends[1][AUTOENCODER][0]) > 1e-3
    assert all("weights" not in update.trains for update in game.updates)

    chex.clear_trace_counter()
    loss = jax.jit(chex.assert_max_traces(game.updates[0].loss, n=1))
    params = jax.tree.map(np.float32, {name: numbers[0][name] for name in game.networks})
    for value in (0.25, 4.0):
        own = {name: params.get(name, {"tie": np.float32(value)}) for name in (*params, "weights")}
        loss({}, own, STATS, first, jax.random.key(0), 0)


def test_a_weight_that_the_game_lacks_is_named():
    tasks = tasks_of(SETTING, Switches(), weight="tie")
    for weights, known in (({}, "none"), ({"other": 1.0}, "other")):
        with pytest.raises(ValueError, match=f"no weight 'tie' in this game, only {known}: name"):
            moves(game_of(tasks, {AUTOENCODER: BOTH}), drawn(), weights=weights)


def test_losses_of_a_batch_over_many_devices_are_those_of_one():
    """Neighbours are those of the whole batch, and means are over it before they are compared."""
    tasks = (*TASKS, neighbour_task(weight=1.0, place="autoencoder"), gradient_matching_task())
    game = game_of(tasks, {AUTOENCODER: BOTH})
    game.updates = tuple(u for u in game.updates if u.name != DISCRIMINATOR)
    one, many = (moves(game, drawn(), devices=devices) for devices in (1, 4))
    for a, b in zip(*map(jax.tree.leaves, (one, many)), strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-12)
