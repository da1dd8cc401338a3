import doctest

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose

from gan_forensics.gans import adam, linear_decay, optimizers
from gan_forensics.gans.optimizers import half_linear_decay, staircase_decay


@pytest.mark.parametrize("rate", [2e-4, 1e-4])
def test_update_t_has_the_rate_of_what_is_left(rate):
    decay = linear_decay(rate, 10)
    # Update t, counted from 1, uses lr (1 - (t - 1) / T).
    for t in range(1, 14):
        assert_allclose(decay(jnp.asarray(t - 1)), rate * max(0, 1 - (t - 1) / 10), rtol=1e-6)


def test_repeats_within_a_step_share_its_rate():
    once, often = linear_decay(1.0, 7), linear_decay(1.0, 7, repeats=5)
    for move in range(40):
        assert often(move) == once(move // 5)


def test_half_of_the_rate_is_kept_for_half_of_the_run():
    rate = half_linear_decay(2e-4, 10)
    at = [float(rate(jnp.asarray(t))) for t in (0, 5, 6, 9, 10, 11)]
    assert_allclose(at, 2e-4 * np.array([0.5, 0.5, 0.4, 0.1, 0, 0]), rtol=1e-5, atol=1e-12)
    # Two moves a step share its rate.
    twice = half_linear_decay(2e-4, 10, repeats=2)
    assert_allclose([twice(12), twice(13)], [rate(6)] * 2, rtol=1e-6)
    with pytest.raises(ValueError, match="at least one step"):
        half_linear_decay(0.1, 0)


def test_the_staircase_counts_the_moves_of_all_players():
    """Seven a step: the 10,000th is in step 1429."""
    one, five = (staircase_decay(1e-3, moves_per_step=7, repeats=n) for n in (1, 5))
    for steps, expected in ((0, 1), (1428, 1), (1429, 0.9), (2858, 0.81), (14286, 0.9**10)):
        for within in (0, 4):
            rates = one(jnp.asarray(steps)), five(jnp.asarray(5 * steps + within))
            assert_allclose(rates, 1e-3 * expected, rtol=1e-5)


def test_a_decay_over_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one step"):
        linear_decay(1e-3, 0)


def test_adam_is_the_textbook_one(rng):
    betas, rate = (0.3, 0.9), 0.01
    optimizer = adam(rate, betas=betas)
    x = {"x": jnp.zeros(3)}
    state, m, v = optimizer.init(x), np.zeros(3), np.zeros(3)
    for t in range(1, 5):
        g = rng.standard_normal(3)
        m, v = betas[0] * m + (1 - betas[0]) * g, betas[1] * v + (1 - betas[1]) * g**2
        expected = -rate * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + 1e-8)
        change, state = optimizer.update({"x": jnp.asarray(g, jnp.float32)}, state, x)
        assert_allclose(change["x"], expected, rtol=1e-5)


def test_the_state_shows_the_rate_of_the_last_move():
    optimizer = adam(linear_decay(1.0, 4))
    x = {"x": jnp.zeros(1)}
    state = optimizer.init(x)
    for expected in (1.0, 0.75, 0.5, 0.25, 0.0):
        change, state = optimizer.update({"x": jnp.ones(1)}, state, x)
        x = optax.apply_updates(x, change)
        assert_allclose(state.hyperparams["learning_rate"], expected)


def test_documented_example_is_true():
    result = doctest.testmod(optimizers)
    assert result.failed == 0 and result.attempted == 8
