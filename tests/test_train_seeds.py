"""Many seeds of one learner: alone, together, in turns, looked at, and as `fit` trains them."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.train import Cadence, Learner, NonFiniteLossError, fit
from gan_forensics.train.seeds import SEGMENT, train_seeds
from tests.games import Gaussians, one_player, two_players


def learner(game=two_players, **options):
    updates, params, stats = game()
    # Parameters that differ by seed.
    return Learner(
        "toy",
        {},
        updates,
        lambda seed: (jax.tree.map(lambda x: x + 0.1 * seed, params), stats),
        **options,
    )


def batches(seed, spoil_at=None):
    source = Gaussians(spoil_at=spoil_at)
    source.next = 1000 * seed
    return source


def assert_same(one, other):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batched", [True, False])
def test_seeds_together_equal_a_seed_alone_and_one_that_fit_trained(batched, tmp_path):
    toy = learner(average=("g",), average_decay=0.8)
    together = train_seeds(toy, batches, seeds=[2, 5], steps=7, batched=batched)
    ((state, history),) = train_seeds(toy, batches, seeds=[5], steps=7, batched=batched)
    assert_same(together[1], (state, history))
    assert np.abs(together[0][0].params["g"]["w"] - state.params["g"]["w"]).max() > 0.1
    run = {"run": tmp_path, "cadence": Cadence(7), "seed": 5, "progress": False}
    assert_same(state, fit(toy, batches(5), **run))
    assert {"g/loss", "d/loss", "d/real"} <= set(history)
    assert all(values.shape == (7,) for values in history.values())


def test_runs_of_any_length_are_compiled_once():
    toy, traces = learner(one_player), []
    loss = toy.updates[0].loss

    def counted(*arguments):
        traces.append(1)
        return loss(*arguments)

    toy = toy._replace(updates=(toy.updates[0]._replace(loss=counted),))
    first = train_seeds(toy, batches, seeds=[0, 1], steps=3)
    once = len(traces)
    more = train_seeds(toy, batches, seeds=[0, 1], steps=SEGMENT + 30)
    assert len(traces) == once
    assert int(more[1][0].step) == SEGMENT + 30
    assert_array_equal(more[1][1]["fit/loss"][:3], first[1][1]["fit/loss"])


def test_looks_fall_where_they_should_and_no_minibatch_is_drawn_before_its_look():
    seen, sources = [], {}

    def source_of(seed):
        sources[seed] = batches(seed)
        return sources[seed]

    def look(seed, state):
        seen.append((seed, int(state.step), sources[seed].next - 1000 * seed))

    toy = learner(one_player)
    options = {"look": look, "every": 3, "metrics": ("fit/error",)}
    results = train_seeds(toy, source_of, seeds=[1, 4], steps=6, batched=False, **options)
    assert seen == [(seed, step, step) for step in (0, 3, 6) for seed in (1, 4)]
    assert [set(history) for _, history in results] == [{"fit/error"}] * 2


def test_a_loss_that_is_not_finite_names_step_and_seed():
    with pytest.raises(NonFiniteLossError, match="fit/error is nan at step 104 of seed 1"):
        train_seeds(
            learner(one_player),
            lambda seed: batches(seed, spoil_at=1104),
            seeds=[0, 1],
            steps=SEGMENT + 20,
        )


@pytest.mark.parametrize(("seeds", "steps"), [([], 1), ([0], 0), ([3, 3], 1)])
def test_no_seed_no_step_and_a_seed_twice_are_refused(seeds, steps):
    with pytest.raises(ValueError, match="a seed, each once"):
        train_seeds(learner(), batches, seeds=seeds, steps=steps)
