"""Many processes train as one does, with the same global batch and the same number of devices."""

import sys

import jax
import numpy as np
import pytest

from gan_forensics.runtime import data_mesh
from gan_forensics.train import (
    Cadence,
    Checkpoints,
    Learner,
    Plateau,
    fit,
    load_state,
    loop,
    read_metrics,
)
from tests.games import GAMES, Gaussians
from tests.process_games import GAMES as KINDS
from tests.process_runs import SEED, Shared
from tests.processes import running


def toy():
    """The learner of the program `tests.process_runs`."""
    updates, params, stats = GAMES["two"]()
    return Learner("toy", {}, updates, lambda _: (params, stats), ("g",))


def alone(steps, run=None):
    """The same run in this process, on four of its devices."""
    return fit(
        toy(),
        Shared(0, 1, {}),
        run=run,
        cadence=Cadence(steps, log_every=3, checkpoint_every=4),
        seed=SEED,
        resume=True,
        mesh=data_mesh(jax.devices()[:4]),
        progress=False,
    )


def assert_close(a, b, relative):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=relative, atol=1e-7)


def test_two_processes_make_the_run_of_one_which_goes_on_with_it(tmp_path):
    run = tmp_path / "run"
    with running(
        2,
        lambda index, at: [
            *(sys.executable, "-m", "tests.process_runs"),
            *(run, 6, "{}", at, 2, index),
        ],
        tmp_path / "log",
        devices=4,
    ) as both:
        assert both.wait() == [0, 0], both.said(0) + both.said(1)
    assert Checkpoints(run, read_only=True).steps() == [4, 6]
    assert_close(load_state(run, toy()), alone(6), 1e-5)
    # One process goes on with what two began, and ends as it would have without them.
    whole = alone(9, tmp_path / "whole")
    assert_close(alone(9, run), whole, 1e-5)
    for here, there in zip(
        read_metrics(run / "metrics.jsonl"),
        read_metrics(tmp_path / "whole" / "metrics.jsonl"),
        strict=False,
    ):
        assert here["d/loss"] == pytest.approx(there["d/loss"], rel=1e-5)


def told(monkeypatch, said):
    """From now on this process is not the first, which says this of what it does."""
    monkeypatch.setattr(loop, "is_first", lambda: False)
    monkeypatch.setattr(loop, "from_first", lambda make, what: said(what))


def test_who_is_not_the_first_writes_nothing_and_goes_by_what_the_first_measured(
    tmp_path, monkeypatch
):
    told(monkeypatch, lambda what: {"w": 5.0} if "the evaluation of" in what else None)
    better, drawn = iter(range(100, 0, -1)), []
    state = fit(
        toy(),
        Gaussians(),
        run=tmp_path / "run",
        cadence=Cadence(9, log_every=1, checkpoint_every=1, sample_every=1, evaluate_every=1),
        seed=SEED,
        sample=lambda state, path: drawn.append(path.write_text("here")),
        evaluate=lambda state: {"w": float(next(better))},
        best="w",
        plateau=Plateau("w", factor=0.1, patience=9, threshold=0.0, stop_after=2),
        mesh=data_mesh(jax.devices()[:1]),
        progress=False,
    )
    # Its own evaluations would never have stopped it.
    assert int(state.step) == len(drawn) == 3
    assert {path.name for path in (tmp_path / "run").iterdir()} == {".lock", "config.json"}


def test_who_is_not_the_first_goes_on_where_the_first_does(tmp_path, monkeypatch):
    def trained(steps):
        batches = Gaussians()
        state = fit(
            toy(),
            batches,
            run=tmp_path,
            cadence=Cadence(steps, checkpoint_every=2),
            seed=SEED,
            resume=True,
            mesh=data_mesh(jax.devices()[:1]),
            progress=False,
        )
        return state, batches

    trained(6)
    told(monkeypatch, lambda what: 4 if what == "looking for a checkpoint" else None)
    state, batches = trained(2)  # It is there, and not one step is made.
    assert int(state.step) == 4 and batches.next == 4 * 3
    assert Checkpoints(tmp_path, read_only=True).steps() == [2, 4, 6]


# By the norm of a player's gradient. Where five batch norms lie one behind another float32 has no
# more: one process on 4 devices in the place of 8 differs by 1.9e-6 there.
LIMIT = 1e-6
LIMITS = {
    ("three players", "autoencoder"): 3e-6,
    ("pairwise", "autoencoder"): 3e-6,
    ("pairwise", "generator"): 3e-6,
}


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """What one process makes of a kind of game, once for all."""
    made = {}

    def of(kind):
        if kind not in made:
            made[kind] = steps_of(kind, 1, tmp_path_factory.mktemp("single"))
        return made[kind]

    return of


def steps_of(kind, count, folder):
    """What some processes on eight devices make of a kind of game."""
    with running(
        count,
        lambda index, at: [
            *(sys.executable, "-m", "tests.process_games"),
            *(kind, folder / "steps.npz", at, count, index),
        ],
        folder,
    ) as job:
        assert job.wait(600) == [0] * count, job.said(0)
    return dict(np.load(folder / "steps.npz"))


def players_of(found, step):
    """The gradient of every player in a step, as one vector.

    Not array by array: of a bias in front of a batch norm, and one that all logits of a softmax
    share, the gradient is zero, and what is found there is rounding alone. (Adam would divide it by
    itself: its moments of these parameters are the ones that may differ.)
    """
    names = sorted({name.split("/")[2] for name in found if name.startswith(f"gradient/{step}/")})
    return {
        player: np.concatenate(
            [
                value.ravel()
                for name, value in sorted(found.items())
                if name.startswith(f"gradient/{step}/{player}/")
            ]
        )
        for player in names
    }


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("kind", KINDS)
def test_games_of_every_kind_are_those_of_one_process(kind, count, single, tmp_path):
    one, many = single(kind), steps_of(kind, count, tmp_path)
    assert one.keys() == many.keys()
    # From the second step on, gradients are at parameters that differ by rounding.
    expected, found = players_of(one, 1), players_of(many, 1)
    assert len(expected) >= 1
    for player, gradient in expected.items():
        assert np.linalg.norm(gradient) > 1e-3
        error = np.linalg.norm(found[player] - gradient) / np.linalg.norm(gradient)
        assert error < LIMITS.get((kind, player), LIMIT), f"{player}: {error}"
    assert any(name.startswith("state/1/") for name in one), "statistics are to be compared"
    for name, value in one.items():
        match name.split("/")[0]:
            case "loss":
                # One unit whose input is zero but for rounding, on the other side of a ReLU, moves
                # what lies before it, and no loss: measured are 2.3e-5 of a norm, 3e-8 of a bias.
                kink = name.endswith("gradient_norm") and not name.startswith("loss/1/")
                limit = 1e-3 if kink else 1e-5
                np.testing.assert_allclose(many[name], value, rtol=limit, atol=1e-6, err_msg=name)
            case "state":
                scale = max(float(np.abs(value).max()), 1e-2)
                np.testing.assert_allclose(
                    many[name], value, rtol=0, atol=1e-5 * scale, err_msg=name
                )
            case "moments":
                np.testing.assert_allclose(many[name], value, rtol=1e-12, err_msg=name)
