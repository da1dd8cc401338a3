"""Moving averages: against their formula, and without what they began with."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.train import Aux, Learner, RunFolderError, Update, init_state, make_step
from gan_forensics.train.average import (
    moved,
    needs_correction,
    newest_weight,
    span,
    without_start,
)
from gan_forensics.train.learner import _seed


@pytest.mark.parametrize("decay", [0.1, 0.9, 0.999, 0.9999, 0.999999])
def test_the_newest_weight_is_that_of_float64_at_every_step(decay):
    for step in (1, 2, 3, 10, 400, 10_000, 1_000_000, 2_000_000_000):
        whole = np.expm1(np.log(decay)) / np.expm1(step * np.log(decay))
        found = newest_weight(decay, step)
        assert found.dtype == jnp.float32
        assert_allclose(found, whole, rtol=1e-6)
    assert newest_weight(decay, 1) == 1


def _walk(decay, steps, repeats, start=5.0):
    """The average of a parameter that moves by 1 at each of `repeats` moves, and its values."""
    move = Update(
        "up", ("x",), lambda t, f, s, b, k, n: (-t["x"].sum(), Aux({}, {})), optax.sgd(1.0), repeats
    )
    state = init_state((move,), {"x": jnp.full(2, start)}, {}, average=("x",))
    step = jax.jit(make_step((move,), average_decay=decay))
    values = []
    for _ in range(steps):
        state, _ = step(state, jnp.zeros((repeats, 1)), jax.random.key(0))
        values.append(float(state.params["x"][0]))
    return float(state.average["x"][0]), np.array(values)


@pytest.mark.parametrize("decay, repeats", [(0.999, 1), (0.5, 3)])
def test_the_average_is_the_weighted_mean_of_what_the_steps_left(decay, repeats):
    """m_t = (1 - a) sum_s a^(t - s) p_s / (1 - a^t): one term a step, however many its moves."""
    found, values = _walk(decay, 7, repeats)
    assert values[0] == 5 + repeats and len(values) == 7
    weights = decay ** np.arange(6, -1, -1)
    assert_allclose(found, (weights * values).sum() / weights.sum(), rtol=1e-6)


def test_what_stood_there_before_the_first_step_is_no_part_of_it():
    assert _walk(0.999, 1, 1)[0] == 6
    one, _ = _walk(0.999, 3, 1, start=1e3)
    assert_allclose(one, 1e3 + 2, rtol=1e-4)


def test_the_usual_recursion_with_its_start_taken_out_is_the_same(rng):
    start, *values = rng.standard_normal((41, 3)).astype(np.float32)
    usual, kept = start.astype(float), jnp.asarray(start)
    for step, value in enumerate(values, start=1):
        usual = 0.99 * usual + 0.01 * value
        kept = moved(kept, value, newest_weight(0.99, step))
        found = without_start(jnp.asarray(usual), start, decay=0.99, step=step)
        assert_allclose(found, kept, rtol=1e-4, atol=1e-5)
        assert_allclose(found, (usual - 0.99**step * start) / (1 - 0.99**step), atol=1e-4)


def test_the_average_of_equal_numbers_is_theirs_for_ever():
    """With weights that are rounded apart their sum drifts from 1, and the average from them."""
    same = jnp.float32(0.3)

    def step(i, mean):
        return moved(mean, same, newest_weight(0.9999, i + 1))

    mean = jax.lax.fori_loop(0, 100_000, step, jnp.float32(7))
    assert_allclose(mean, same, rtol=5e-7)


def test_a_decay_lies_between_zero_and_one():
    for decay in (0.0, 1.0, -0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1, got"):
            newest_weight(decay, 1)


def test_an_average_spans_the_inverse_of_what_is_new():
    assert [span(a) for a in (0.5, 0.9, 0.999, 0.9999)] == [2, 10, 1000, 10_000]


def test_only_the_record_of_this_version_says_that_nothing_is_to_be_corrected():
    assert not needs_correction({"average": "without its start"})
    for record in ({}, {"average": None}, {"average": "other"}, None, [], 3):
        assert needs_correction(record)


def test_a_run_of_an_earlier_version_that_does_not_tell_its_seed_is_refused():
    """The start of its average cannot be drawn again."""
    for config in ({}, {"seed": None}, {"seed": "3"}, {"seed": True}):
        with pytest.raises(RunFolderError, match="no seed to draw the start of its average by"):
            _seed(Learner("gan", config, (), lambda seed: ({}, {})))
    assert _seed(Learner("gan", {"seed": 3}, (), lambda seed: ({}, {}))) == 3


def test_averages_are_float32_where_jax_has_float64():
    with jax.enable_x64(True):
        weight = newest_weight(0.999, jnp.asarray(3))
        average = moved(jnp.zeros(2, jnp.float32), jnp.ones(2, jnp.float32), weight)
    assert weight.dtype == average.dtype == jnp.float32
    assert_array_equal(average, np.full(2, weight))
