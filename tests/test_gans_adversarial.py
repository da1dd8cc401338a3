"""The game and its tasks: who pays for what, who moves, and that no pass is made twice."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.gans import (
    LOSSES,
    METHODS,
    Draws,
    Game,
    Loss,
    Recipe,
    Task,
    adversarial,
    gradient_penalty,
    infomax_loss,
    infomax_task,
    rotated,
    rotation_labels,
    rotation_loss,
    rotation_task,
)
from gan_forensics.runtime import data_mesh, jit_step, replicated, to_mesh
from gan_forensics.train import init_state, make_step
from tests.tiny_gans import (
    BATCH,
    CLASSES,
    LATENT,
    SIDE,
    Critics,
    Discriminator,
    Generator,
    LogitsOnly,
    passed,
    passes,
    start,
)

G, D, HEADED, C = Generator(), Discriminator(), Discriminator(rotations=4), Critics()
G_Y, D_Y = Generator(classes=CLASSES), Discriminator(classes=CLASSES)


def residual(method, *networks, **settings):
    """The updates of a method's residual game."""
    return METHODS[method]["resgan"].game(*networks, **settings).updates


def infomax(weight=0.2, **recipe):
    return residual("sngan", G, D, tasks=[infomax_task(C, weight=weight)], **recipe)


def by_name(updates):
    return {update.name: update for update in updates}


def losses_of(updates, beginning, draws, trained):
    """Value, aux and gradients of one player's loss with given random numbers."""
    update = by_name(updates)[trained]
    trainable = {n: p for n, p in beginning.params.items() if n in update.trains}
    frozen = {n: p for n, p in beginning.params.items() if n not in update.trains}
    function = jax.value_and_grad(update.loss, has_aux=True)
    (value, aux), gradients = function(
        trainable, frozen, beginning.stats, beginning.batch, draws, 0
    )
    return value, aux, gradients


def drawn(rng, *, labels=False):
    y = jnp.asarray(rng.integers(0, CLASSES, BATCH), jnp.int32) if labels else None
    z = jnp.asarray(rng.standard_normal((BATCH, LATENT)), jnp.float32)
    return Draws(z, y, jnp.asarray(rng.uniform(size=BATCH), jnp.float32))


# --- what is paid -------------------------------------------------------------------------------

GAMES = {
    "sngan": lambda: (residual("sngan", G, D), G, D, None),
    "ssgan": lambda: (residual("ssgan", G, HEADED), G, HEADED, None),
    "infomax-gan": lambda: (infomax(), G, D, C),
    "cgan-pd": lambda: (residual("cgan-pd", G_Y, D_Y), G_Y, D_Y, None),
    "wgan-gp": lambda: (residual("wgan-gp", G, D), G, D, None),
    "infomax on cgan-pd": lambda: (
        residual("cgan-pd", G_Y, D_Y, tasks=[infomax_task(C)]),
        G_Y,
        D_Y,
        C,
    ),
    "infomax on sagan": lambda: (residual("sagan", G_Y, D_Y, tasks=[infomax_task(C)]), G_Y, D_Y, C),
    "infomax on wgan-gp": lambda: (residual("wgan-gp", G, D, tasks=[infomax_task(C)]), G, D, C),
    "infomax and rotation": lambda: (
        residual("sngan", G, HEADED, tasks=[rotation_task(), infomax_task(C)]),
        G,
        HEADED,
        C,
    ),
}


@pytest.mark.parametrize("game", GAMES)
def test_both_players_pay_the_sum_of_the_published_terms(game, rng):
    updates, generator, discriminator, critics = GAMES[game]()
    beginning = start(generator, discriminator, critics)
    labels = bool(generator.classes)
    draws = drawn(rng, labels=labels)
    real = beginning.batch["image"]
    y_real, y_fake = ((beginning.batch["label"],), (draws.labels,)) if labels else ((), ())

    fake = passed(generator, beginning, "generator", draws.z, *y_fake)
    seen_real = passed(discriminator, beginning, "discriminator", real, *y_real)
    seen_fake = passed(discriminator, beginning, "discriminator", fake, *y_fake)
    if "wgan" in game:
        d_pays = seen_fake.logits.mean() - seen_real.logits.mean()
        d_pays += 10 * gradient_penalty(
            lambda x: passed(discriminator, beginning, "discriminator", x).logits,
            real,
            fake,
            kind="1-gp",
            alpha=draws.alpha,
        )
    else:
        d_pays = np.maximum(1 - np.asarray(seen_real.logits), 0).mean()
        d_pays += np.maximum(1 + np.asarray(seen_fake.logits), 0).mean()
    g_pays = -seen_fake.logits.mean()
    if "infomax" in game:
        d_pays += 0.2 * infomax_loss(*passed(C, beginning, "critics", *seen_real[1:3]))
        g_pays += 0.2 * infomax_loss(*passed(C, beginning, "critics", *seen_fake[1:3]))
    if "ssgan" in game or "rotation" in game:
        turns = rotation_labels(BATCH)
        heads = [
            passed(discriminator, beginning, "discriminator", rotated(x, turns)).rotation
            for x in (real, fake)
        ]
        d_pays += rotation_loss(heads[0], turns)
        g_pays += 0.2 * rotation_loss(heads[1], turns)

    value, _, _ = losses_of(updates, beginning, draws, "discriminator")
    assert_allclose(value, d_pays, rtol=1e-5)
    value, _, _ = losses_of(updates, beginning, draws, "generator")
    assert_allclose(value, g_pays, rtol=1e-5)


@pytest.mark.parametrize(
    ("game", "d_turn", "g_turn"),
    [
        ("sngan", (1, 2, None), (1, 1, None)),
        ("ssgan", (1, 3, None), (1, 2, None)),
        ("infomax-gan", (1, 2, 1), (1, 1, 1)),
        ("infomax and rotation", (1, 3, 1), (1, 2, 1)),
        ("wgan-gp", (1, 2, None), (1, 1, None)),
    ],
)
def test_every_pass_is_made_once_and_moves_statistics(game, d_turn, g_turn, rng):
    """Statistics of all networks, also of those that the turn does not train."""
    updates, *networks = GAMES[game]()
    beginning = start(*networks)
    draws = drawn(rng)
    for player, expected in (("discriminator", d_turn), ("generator", g_turn)):
        _, aux, _ = losses_of(updates, beginning, draws, player)
        names = ("generator", "discriminator", "critics")
        counts = {n: c for n, c in zip(names, expected, strict=True) if c is not None}
        assert passes(aux.stats) == counts


def test_the_infomax_task_seeks_negatives_in_groups_and_masks_as_it_is_told(rng):
    beginning, draws, found = start(G, D, C), drawn(rng), {}
    real = passed(D, beginning, "discriminator", beginning.batch["image"])
    p, q = passed(C, beginning, "critics", real.local, real.pooled)
    for options in ({}, {"group_size": 2}, {"mask_value": 1.0}):
        updates = residual("sngan", G, D, tasks=[infomax_task(C, **options)])
        _, aux, _ = losses_of(updates, beginning, draws, "discriminator")
        assert_allclose(aux.metrics["infomax"], infomax_loss(p, q, **options), rtol=1e-5)
        found[str(options)] = float(aux.metrics["infomax"])
        chance = np.log(1 + (options.get("group_size", BATCH) - 1) * 4)
        assert_allclose(aux.metrics["infomax_chance"], chance, rtol=1e-6)
    assert len({round(value, 3) for value in found.values()}) == 3


def test_fakes_do_not_enter_the_discriminators_infomax(rng):
    updates, *networks = GAMES["infomax-gan"]()
    beginning = start(*networks)
    # The critics are paid for by InfoMax alone: other fakes do not change their gradient.
    gradients = [
        losses_of(updates, beginning, drawn(rng), "discriminator")[2]["critics"] for _ in range(2)
    ]
    for a, b in zip(*map(jax.tree.leaves, gradients), strict=True):
        assert_array_equal(a, b)
    other = beginning._replace(batch={"image": -beginning.batch["image"]})
    changed = losses_of(updates, other, drawn(rng), "discriminator")[2]["critics"]
    assert any(
        (a != b).any()
        for a, b in zip(jax.tree.leaves(changed), jax.tree.leaves(gradients[0]), strict=True)
    )


def test_infomax_reaches_the_generator_through_both_features(rng):
    """Its gradient with weight 2 less that with weight 1 is that of the loss alone."""
    beginning = start(G, D, C)
    draws = drawn(rng)

    def gradient(weight):
        updates = infomax(weight)
        return losses_of(updates, beginning, draws, "generator")[2]["generator"]

    def alone(params):
        of = beginning._replace(params={**beginning.params, "generator": params})
        seen = passed(D, of, "discriminator", passed(G, of, "generator", draws.z))
        return infomax_loss(*passed(C, of, "critics", seen.local, seen.pooled))

    expected = jax.grad(alone)(beginning.params["generator"])
    difference = jax.tree.map(lambda a, b: a - b, gradient(2.0), gradient(1.0))
    for a, b in zip(jax.tree.leaves(difference), jax.tree.leaves(expected), strict=True):
        assert np.abs(b).max() > 1e-4
        assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_metrics_tell_the_terms_apart(rng):
    updates = residual("sngan", G, HEADED, tasks=[rotation_task(), infomax_task(C, group_size=4)])
    beginning = start(G, HEADED, C)
    value, aux, _ = losses_of(updates, beginning, drawn(rng), "discriminator")
    m = aux.metrics
    assert_allclose(value, m["adversarial"] + m["rotation"] + 0.2 * m["infomax"], rtol=1e-6)
    assert_allclose(m["infomax_chance"], np.log(1 + 3 * 4), rtol=1e-6)
    assert {"real_logit", "fake_logit"} <= m.keys()


# --- who moves ----------------------------------------------------------------------------------


def stepped(updates, beginning, *, minibatches=1):
    state = init_state(updates, beginning.params, beginning.stats)
    batches = jax.tree.map(lambda x: jnp.stack([x] * minibatches), beginning.batch)
    return jax.jit(make_step(updates))(state, batches, jax.random.key(3))


def test_the_discriminator_moves_n_dis_times_and_then_the_generator():
    updates = infomax(n_dis=3)
    assert [(u.name, u.repeats) for u in updates] == [("discriminator", 3), ("generator", 1)]
    assert by_name(updates)["discriminator"].trains == ("discriminator", "critics")
    assert by_name(updates)["generator"].trains == ("generator",)
    state, _ = stepped(updates, start(G, D, C), minibatches=3)
    assert passes(state.stats) == {"generator": 4, "discriminator": 7, "critics": 4}


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_a_move_changes_nothing_but_what_it_trains(player):
    updates = tuple(u for u in infomax(n_dis=1) if u.name == player)
    beginning = start(G, D, C)
    state, _ = stepped(updates, beginning)
    for name, params in beginning.params.items():
        same = jax.tree.map(lambda a, b: bool((a == b).all()), params, dict(state.params)[name])
        assert all(jax.tree.leaves(same)) == (name not in updates[0].trains), name
        assert int(state.stats[name]["passes"]["count"]) > 0


@pytest.mark.parametrize("devices", [4, 8])
def test_an_infomax_step_on_many_devices_equals_one(devices):
    """Negatives come from the whole batch, wherever its images are."""
    updates = residual("sngan", G, HEADED, tasks=[infomax_task(C)], n_dis=2)
    # SGD, so that a step is the gradient.
    updates = tuple(u._replace(optimizer=optax.sgd(1.0)) for u in updates)
    beginning = start(G, HEADED, C)
    images = np.stack([beginning.batch["image"], -beginning.batch["image"]])

    def run(mesh):
        state = init_state(updates, beginning.params, beginning.stats)
        state = jax.device_put(jax.tree.map(np.array, state), replicated(mesh))
        key = jax.device_put(jax.random.key(3), replicated(mesh))
        step = jit_step(make_step(updates), mesh)
        return jax.device_get(step(state, to_mesh({"image": images}, mesh), key))

    one, many = (run(data_mesh(jax.devices()[:n])) for n in (1, devices))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_the_wasserstein_critics_last_bias_gets_no_gradient(rng):
    updates, *networks = GAMES["wgan-gp"]()
    _, _, gradients = losses_of(updates, start(*networks), drawn(rng), "discriminator")
    assert abs(float(gradients["discriminator"]["logit"]["bias"][0])) < 1e-6
    assert np.abs(gradients["discriminator"]["logit"]["kernel"]).max() > 1e-3


def test_games_of_one_seed_start_from_the_same_networks():
    players = Recipe(1e-3).players()

    def init(seed, discriminator, *tasks):
        game = Game(G, discriminator, (adversarial(LOSSES["hinge"]), *tasks), players)
        return game.init(jax.random.key(seed), {"image": jnp.zeros((2, SIDE, SIDE, 1))})[0]

    plain, headed = init(4, D), init(4, HEADED, infomax_task(C))
    assert headed.keys() - plain.keys() == {"critics"}
    headed["discriminator"].pop("rotation")
    for name in plain:
        for a, b in zip(*map(jax.tree.leaves, (plain[name], headed[name])), strict=True):
            assert_array_equal(a, b)
    other = init(5, D)
    assert any((a != b).any() for a, b in zip(*map(jax.tree.leaves, (plain, other)), strict=True))


def test_the_first_adam_step_is_the_rate_along_the_signs():
    # With beta1 = 0 the step is lr g / (|g| + eps), whatever beta2.
    updates = residual("sngan", G, D, n_dis=1, learning_rate=1e-3)
    beginning = start(G, D)
    state, _ = stepped(updates, beginning)
    a, b = (dict(p)["discriminator"]["local"]["kernel"] for p in (state.params, beginning.params))
    assert_allclose(np.abs(a - b), np.full(b.shape, 1e-3), rtol=2e-3)


def test_each_player_has_the_rate_and_the_betas_of_its_recipe():
    recipe = Recipe(1e-3, discriminator_learning_rate=4e-3, betas=(0.2, 0.7))
    slopes = [jnp.asarray([1.0, -2.0]), jnp.asarray([0.5, 3.0])]
    for player, rate in zip(recipe.players(), (1e-3, 4e-3), strict=True):
        moves = []
        for optimizer in (player.optimizer, optax.adam(rate, b1=0.2, b2=0.7)):
            state = optimizer.init(jnp.zeros(2))
            for slope in slopes:
                move, state = optimizer.update(slope, state)
            moves.append(move)
        assert_allclose(*moves, rtol=1e-6)


def test_drawn_and_given_numbers_make_the_same_loss():
    updates = residual("cgan-pd", G_Y, D_Y)
    beginning = start(G_Y, D_Y)
    key = jax.random.key(5)
    seen = []

    def spy(context):
        seen.append(context.draws)
        return Loss(jnp.zeros(()))

    spied = residual("cgan-pd", G_Y, D_Y, tasks=[Task((spy,), (spy,))])
    for player in ("discriminator", "generator"):
        by_key, _, _ = losses_of(updates, beginning, key, player)
        losses_of(spied, beginning, key, player)
        by_draws, _, _ = losses_of(updates, beginning, seen[-1], player)
        assert_allclose(by_draws, by_key, rtol=1e-7)
        assert seen[-1].z.shape == (BATCH, LATENT) and seen[-1].labels.shape == (BATCH,)


def test_fake_labels_are_uniform_over_the_classes(rng):
    seen = []

    def spy(context):
        seen.append(context.draws.labels)
        return Loss(jnp.zeros(()))

    updates = residual("cgan-pd", G_Y, D_Y, tasks=[Task(generator=(spy,))])
    beginning = start(G_Y, D_Y)
    many = beginning._replace(batch=jax.tree.map(lambda x: jnp.repeat(x, 125, 0), beginning.batch))
    losses_of(updates, many, jax.random.key(0), "generator")
    counts = np.bincount(seen[0], minlength=CLASSES)
    # 1000 draws of 4 classes: a count has a standard deviation of 13.7.
    assert len(counts) == CLASSES and (abs(counts - 250) < 55).all()


def test_both_players_decay_alike_whatever_their_number_of_moves():
    updates = residual("sngan", G, D, n_dis=2, learning_rate=1e-3, schedule="linear", decay_steps=4)
    beginning = start(G, D)
    state = init_state(updates, beginning.params, beginning.stats)
    batches = jax.tree.map(lambda x: jnp.stack([x] * 2), beginning.batch)
    step = jax.jit(make_step(updates))
    for expected in (1e-3, 7.5e-4, 5e-4, 2.5e-4, 0.0, 0.0):
        before = state.params
        state, _ = step(state, batches, jax.random.key(3))
        for opt in state.opt.values():
            assert_allclose(opt.hyperparams["learning_rate"], expected, rtol=1e-6, atol=1e-12)
    same = jax.tree.map(lambda a, b: bool((a == b).all()), before, state.params)
    assert all(jax.tree.leaves(same))


# --- what does not fit --------------------------------------------------------------------------


def test_tasks_say_what_discriminator_they_need(rng):
    beginning = start(G, LogitsOnly(), C)
    with pytest.raises(ValueError, match="output 'local', this one has only logits"):
        losses_of(
            residual("sngan", G, LogitsOnly(), tasks=[infomax_task(C)]),
            beginning,
            drawn(rng),
            "discriminator",
        )
    with pytest.raises(ValueError, match="rotations=4"):
        losses_of(residual("ssgan", G, D), start(G, D), drawn(rng), "generator")


def test_a_discriminator_of_logits_alone_plays_the_plain_game(rng):
    value, _, _ = losses_of(
        residual("sngan", G, LogitsOnly()), start(G, LogitsOnly()), drawn(rng), "discriminator"
    )
    assert np.isfinite(value)


def test_a_conditional_game_needs_labels_and_classes(rng):
    beginning = start(G_Y, D_Y)
    unlabelled = beginning._replace(batch={"image": beginning.batch["image"]})
    with pytest.raises(ValueError, match="needs the classes of real images"):
        losses_of(
            residual("cgan-pd", G_Y, D_Y), unlabelled, drawn(rng, labels=True), "discriminator"
        )
    with pytest.raises(ValueError, match="need the same classes, got 4 and 0"):
        residual("cgan-pd", G_Y, D)
    with pytest.raises(ValueError, match="got 0 and 0"):
        residual("sagan", G, D)


def test_a_task_may_be_in_a_game_only_once(rng):
    with pytest.raises(ValueError, match=r"two tasks bring networks named \['critics'\]"):
        residual("sngan", G, D, tasks=[infomax_task(C), infomax_task(C)])
    twice = residual("sngan", G, HEADED, tasks=[rotation_task(), rotation_task()])
    with pytest.raises(ValueError, match="two tasks report the metric 'rotation'"):
        losses_of(twice, start(G, HEADED), drawn(rng), "generator")
