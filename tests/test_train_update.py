import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_forensics.train import Aux, Update, init_state, make_step, minibatches_per_step
from tests.games import GAMES, Gaussians, one_player, three_players, two_players


def _batches(count, size=8):
    data = Gaussians(size)
    return jax.tree.map(lambda *x: np.stack(x), *[next(data) for _ in range(count)])


def _assert_equal(a, b, **tolerance):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, **tolerance)


def test_a_one_player_step_is_one_adam_step_on_the_mean_squared_error():
    updates, params, stats = one_player()
    batches = _batches(1)
    state, metrics = make_step(updates)(
        init_state(updates, params, stats), batches, jax.random.key(0)
    )
    x, y = batches["x"][0].T
    gradient = {"a": jnp.asarray((-2 * x * y).mean()), "b": jnp.asarray((-2 * y).mean())}
    opt = optax.adam(0.05)
    change, _ = opt.update(gradient, opt.init(params["line"]))
    _assert_equal(state.params["line"], change, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(metrics["fit/loss"], (y**2).mean(), rtol=1e-6)
    np.testing.assert_allclose(
        state.stats["line"]["mean"], 0.1 * batches["x"][0].mean(0), rtol=1e-5
    )
    assert int(state.step) == 1


def test_moves_are_made_in_order_and_repeats_take_fresh_minibatches_and_keys():
    # The two-player step written out by hand.
    updates, params, stats = two_players(repeats=3)
    batches = _batches(3)
    key = jax.random.fold_in(jax.random.key(5), 0)
    g, d = params["g"], params["d"]
    (g_key,) = jax.random.split(jax.random.fold_in(key, 0), 1)
    first = {"x": batches["x"][0]}
    slope = jax.grad(lambda g: updates[0].loss({"g": g}, {"d": d}, stats, first, g_key, 0)[0])(g)
    g = jax.tree.map(lambda p, s: p - 0.01 * s, g, slope)
    for i, d_key in enumerate(jax.random.split(jax.random.fold_in(key, 1), 3)):
        batch = {"x": batches["x"][i]}
        loss = lambda d: updates[1].loss({"d": d}, {"g": g}, stats, batch, d_key, 0)[0]  # noqa: B023, E731
        d = jax.tree.map(lambda p, s: p - 0.01 * s, d, jax.grad(loss)(d))

    state, _ = make_step(updates)(init_state(updates, params, stats), batches, jax.random.key(5))
    _assert_equal(state.params, {"g": g, "d": d}, rtol=1e-5, atol=1e-6)
    assert int(state.stats["d"]["count"]) == 3


def test_moves_share_minibatches_or_draw_their_own():
    """With a counting source: each move adds the numbers of the minibatches that it saw."""

    def move(name, repeats, own):
        def loss(trainable, frozen, stats, batch, key, step):
            seen = stats[name]["seen"] + 10.0 ** batch["number"][0]
            return 0.0 * trainable[name]["x"], Aux({name: {"seen": seen}}, {})

        return Update(name, (name,), loss, optax.sgd(1.0), repeats, own)

    def seen(*moves):
        updates = tuple(move(*one) for one in moves)
        names = [one[0] for one in moves]
        params = {name: {"x": jnp.zeros(())} for name in names}
        stats = {name: {"seen": jnp.zeros(())} for name in names}
        count = minibatches_per_step(updates)
        batches = {"number": jnp.arange(count)[:, None]}
        state, _ = make_step(updates)(
            init_state(updates, params, stats), batches, jax.random.key(0)
        )
        return count, [int(state.stats[name]["seen"]) for name in names]

    assert seen(("a", 1, False), ("b", 3, False)) == (3, [1, 111])
    assert seen(("a", 1, True), ("b", 2, True), ("c", 1, True)) == (4, [1, 110, 1000])
    assert seen(("a", 1, True), ("b", 2, False), ("c", 2, True)) == (5, [100, 11, 11000])


def test_a_network_that_two_updates_train_moves_twice():
    updates, params, stats = three_players()
    start = init_state(updates, params, stats)
    state, metrics = make_step(updates)(start, _batches(1), jax.random.key(0))
    alone, _ = make_step(updates[:1])(
        init_state(updates[:1], params, stats), _batches(1), jax.random.key(0)
    )
    assert np.abs(state.params["encoder"]["w"] - alone.params["encoder"]["w"]).max() > 1e-3
    _assert_equal(state.params["decoder"], alone.params["decoder"], rtol=0, atol=0)
    assert {name.split("/")[0] for name in metrics} == {"reconstruct", "tell", "fool"}


@pytest.mark.parametrize("game", GAMES)
def test_every_step_of_a_game_is_compiled_once_and_equals_the_uncompiled_one(game):
    updates, params, stats = GAMES[game]()
    step = make_step(updates)
    chex.clear_trace_counter()
    compiled = jax.jit(chex.assert_max_traces(step, n=1))
    slow = fast = init_state(updates, params, stats)
    batches, key = _batches(minibatches_per_step(updates)), jax.random.key(1)
    for _ in range(3):
        fast, _ = compiled(fast, batches, key)
        slow, _ = step(slow, batches, key)
    _assert_equal(fast, slow, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("game", GAMES)
def test_steps_use_a_fresh_key_each(game):
    updates, params, stats = GAMES[game]()
    state = init_state(updates, params, stats)
    step, batches = make_step(updates), _batches(minibatches_per_step(updates))
    later = state.replace(step=jnp.asarray(1, jnp.int32))
    a, _ = step(state, batches, jax.random.key(0))
    b, _ = step(later, batches, jax.random.key(0))
    differ = any(
        (x != y).any() for x, y in zip(*map(jax.tree.leaves, (a.params, b.params)), strict=True)
    )
    assert differ == (game != "one")


def test_a_state_holds_arrays_only():
    updates, params, stats = two_players()
    state = init_state(updates, params, stats, average=("g",))
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(state))


def _idle(trainable, frozen, stats, batch, key, step):
    return jnp.zeros(()), Aux({}, {})


@pytest.mark.parametrize(
    "updates, message",
    [
        ((), "at least one Update"),
        ((Update("a", ("x",), _idle, optax.sgd(1)),) * 2, "must differ"),
        ((Update("a", ("y",), _idle, optax.sgd(1)),), r"\['y'\] are not networks"),
        ((Update("a", ("x",), _idle, optax.sgd(1), repeats=0),), "at least 1"),
    ],
)
def test_impossible_games_are_refused(updates, message):
    with pytest.raises(ValueError, match=message):
        init_state(updates, {"x": jnp.zeros(1)}, {})


def test_statistics_of_unknown_networks_are_refused():
    lost = Update("a", ("x",), lambda *_: (jnp.zeros(()), Aux({"z": {}}, {})), optax.sgd(1))
    state = init_state((lost,), {"x": jnp.zeros(1)}, {})
    with pytest.raises(ValueError, match="unknown networks"):
        make_step((lost,))(state, _batches(1), jax.random.key(0))


def test_a_loss_may_not_report_the_engines_own_metrics():
    loud = Update("a", ("x",), lambda *_: (jnp.zeros(()), Aux({}, {"loss": 1.0})), optax.sgd(1))
    state = init_state((loud,), {"x": jnp.zeros(1)}, {})
    with pytest.raises(ValueError, match=r"'a' reports \['loss'\]"):
        make_step((loud,))(state, _batches(1), jax.random.key(0))
