"""Modes followed over training: what is counted, kept, paired and refused."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data.toy_points import WORLDS
from gan_forensics.experiments.gn_gan_arms import groups
from gan_forensics.gans import GanConfig, Task, build
from gan_forensics.quality.points import registered
from gan_forensics.report.trajectories import Trajectory, points_figure, trajectories_figure
from gan_forensics.studies import collapse, collapse_run
from gan_forensics.studies.collapse import (
    at_end,
    follow_points,
    late_mean,
    modes_of,
    steps_to,
)
from gan_forensics.studies.collapse_page import (
    paired_table,
    said_interval,
    said_mean,
    student_interval,
    world_pictures,
    world_table,
)
from gan_forensics.studies.collapse_run import Collapse, run, task_named, worlds_of
from gan_forensics.train import NonFiniteLossError, RunFolderError

TINY = GanConfig("dcgan", data="toy:grid9", width=8, n_dis=1, batch_size=16)


def followed(modes, points, *, steps=(0, 10, 20), stopped=None):
    return {
        "world": "toy:grid9",
        "seeds": list(range(len(modes))),
        "steps": list(steps),
        "samples": 2000,
        "measures": {"modes": modes, "points": points},
        "kept": {},
        "stopped": stopped or {},
    }


@pytest.fixture(scope="module")
def seen():
    return follow_points(build(TINY), WORLDS["toy:grid9"], seeds=(0, 1), steps=4, every=2)


def test_every_look_is_measured_for_every_seed_and_some_points_are_kept(seen):
    assert seen["steps"] == [0, 2, 4] and seen["seeds"] == [0, 1] and not seen["stopped"]
    assert {name: np.shape(v) for name, v in seen["measures"].items()} == {
        "modes": (2, 3),
        "points": (2, 3),
    }
    assert sorted(map(int, seen["kept"])) == [0, 2, 4]
    assert np.shape(seen["kept"]["4"]) == (500, 2)
    assert json.loads(json.dumps(seen)) == seen


def test_a_seed_does_not_depend_on_the_others(seen):
    alone = follow_points(build(TINY), WORLDS["toy:grid9"], seeds=(1,), steps=4, every=2)
    for name, values in alone["measures"].items():
        assert values[0] == seen["measures"][name][1]


def test_what_is_counted_is_what_the_world_registers(monkeypatch):
    world = WORLDS["toy:grid9"]
    perfect = world.sample(2000, seed=5).arrays["point"]
    monkeypatch.setattr(collapse, "generate", lambda *_, **__: perfect)
    found = follow_points(build(TINY), world, seeds=(0,), steps=1, every=1)
    own = registered(perfect, world.centres)
    assert at_end(found, "modes") == [9] and at_end(found, "points") == [own.total]


def test_a_seed_that_stops_is_named_and_the_others_are_kept(monkeypatch):
    state = SimpleNamespace()

    def train(learner, batches, *, seeds, look, **_):
        for seed in seeds:
            look(seed, state)
        if 0 in seeds:
            raise NonFiniteLossError("generator/loss is nan at step 2 of seed 0")
        for seed in seeds:
            look(seed, state)

    points = WORLDS["toy:grid9"].sample(2000, seed=5).arrays["point"]
    monkeypatch.setattr(collapse, "generate", lambda *_, **__: points)
    monkeypatch.setattr(collapse, "train_seeds", train)
    found = follow_points(build(TINY), WORLDS["toy:grid9"], seeds=(0, 1), steps=4, every=4)
    assert found["measures"]["modes"] == [[9, None], [9, 9]]
    assert found["stopped"] == {"0": "generator/loss is nan at step 2 of seed 0"}


def test_points_that_are_not_finite_are_counted_as_none():
    for world, names in (("toy:grid9", {"modes", "points"}), ("toy:line", set(collapse._LINE))):
        points = np.full((5, 2), np.nan)
        found = collapse._of_points(points, WORLDS[world], points)
        assert set(found) == names and set(found.values()) == {None}


def test_late_means_and_steps_to_modes_read_the_looks():
    found = followed([[1, 8, 9], [0, 2, 8]], [[5, 100, 300], [0, 20, 80]])
    assert at_end(found, "points") == [300, 80]
    assert late_mean(found, "points", looks=2) == [200, 50]
    assert steps_to(found, 9) == [20, None] and steps_to(found, 2) == [10, 10]
    lost = followed([[1, None, None]], [[5, None, None]], stopped={"0": "why"})
    assert late_mean(lost, "points") == [None] and steps_to(lost, 1) == [0]


def test_tables_pair_by_seed_and_say_what_stopped():
    base = followed([[0, 4, 5], [0, 6, 7]], [[0, 1, 100], [0, 1, 200]])
    arm = followed([[0, 4, 9], [0, 6, 9]], [[0, 1, 300], [0, 1, 600]])
    table = paired_table({"base": base, "arm": arm}, "base", "points")
    assert table.rows == [["arm", "+300 ± 141", said_interval([200, 400], "+.0f"), "2 of 2"]]
    with pytest.raises(ValueError, match="no arm 'other'"):
        paired_table({"base": base}, "other", "points")
    lost = followed([[0, None, None], [0, 6, 7]], [[0, None, None], [0, 1, 200]])
    row = world_table({"arm": lost}).rows[0]
    assert row[:3] == ["arm", "– 7", "200 (1 stopped)"]


def test_students_interval_is_scipys_and_is_cut_where_nothing_can_be():
    values = [3.0, 5.0, 10.0]
    low, high = student_interval(values)
    assert_allclose((low + high) / 2, 6)
    assert_allclose((high - low) / 2, 4.302652729749464 * np.std(values, ddof=1) / 3**0.5)
    assert student_interval([1.0]) is None and student_interval([2.0, 2.0]) is None
    assert said_interval(values, ".0f", low=0, high=9) == "0 to 9"
    assert said_mean([None, None]) == "all stopped"


def test_images_are_followed_by_their_distance():
    arm = {
        **followed([], []),
        "world": "images",
        "seeds": [0],
        "measures": {"effective": [[1.0, 1.5, 2.0]], "frechet": [[9.0, 8.0, 7.0]]},
        "kept": {"20": np.zeros((4, 8, 8, 1), int).tolist()},
    }
    trajectories, images = world_pictures({"arm": arm})
    assert trajectories.caption.startswith("Frechet distance over training")
    assert images.caption == "arm, seed 0, step 20"
    assert world_table({"arm": arm}).rows == [["arm", "7.0", "–", "2.00"]]


def test_modes_of_worlds_are_known():
    known = {"toy:grid9": 9, "toy:grid25": 25, "toy:plus": 13, "toy:sine": 12, "stacked": 1000}
    assert {world: modes_of(world) for world in known} == known and modes_of("toy:line") is None


def test_figures_have_a_panel_for_each_arm():
    values = [[1.0, 2.0], [2.0, None]]
    figure = trajectories_figure({"a": Trajectory([0, 1], values)}, ylabel="points", top=3.0)
    (panel,) = figure.axes
    assert len(panel.lines) == 4  # two seeds, their mean, the top
    assert_array_equal(panel.lines[2].get_ydata(), [1.5])
    with pytest.raises(ValueError, match="no trajectory"):
        trajectories_figure({}, ylabel="points")
    real = np.zeros((3, 2)) + [[0, 0], [1, 1], [2, 0]]
    figure = points_figure({"a": {"0": real, "5": real}, "b": {"0": real, "5": real}}, real)
    assert len(figure.axes) == 4


def test_methods_without_networks_for_points_are_shown_on_stacks_alone(tmp_path):
    worlds, lost = worlds_of(Collapse("ssgan", tmp_path))
    assert worlds == ("stacked",) and "no networks for points" in lost["grid9"]
    assert worlds_of(Collapse("rgan", tmp_path))[0] == ("grid9", "plus", "sine", "grid25")
    for study, says in (
        (Collapse("ssgan", tmp_path, worlds=("grid9",)), "ssgan has no networks for points"),
        (Collapse("cgan-pd", tmp_path), "is told the classes"),
        (Collapse("dcgn", tmp_path), "did you mean 'dcgan'"),
        (Collapse("dcgan", tmp_path, worlds=("grid8",)), "unknown worlds grid8"),
    ):
        with pytest.raises(ValueError, match=says):
            worlds_of(study)


def test_tasks_are_found_by_name_or_in_a_module(tmp_path, monkeypatch):
    (tmp_path / "own_tasks.py").write_text(
        "from gan_forensics.gans import Task\n"
        "nothing = Task()\n"
        "def made():\n    return Task()\n"
        "number = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert task_named("own_tasks:nothing", encoder=False)[0] == Task()
    task, digest = task_named("own_tasks:made", encoder=False)
    assert task == Task() and len(digest) == 16
    assert task_named("neighbour-embedding", encoder=True)[0].others
    assert task_named("neighbour-embedding", encoder=False)[0].generator
    for name, says in (
        ("own_tasks:number", "leads to int, not to a"),
        ("own_tasks:missing", "no attribute 'missing'"),
        ("no_such_module:x", "No module named"),
        ("neighbors", "unknown task 'neighbors'"),
    ):
        with pytest.raises(ValueError, match=says):
            task_named(name, encoder=False)


def test_a_study_writes_its_page_and_goes_on(tmp_path, monkeypatch):
    study = Collapse(
        "dcgan", tmp_path / "out", worlds=("grid9",), seeds=(0,), steps=2, width=8, batch_size=16
    )
    results = run(study)
    assert "of 9 modes on grid9" in results["finding"]
    assert (tmp_path / "out" / "report.html").exists()
    monkeypatch.setattr(collapse_run, "follow_points", None)
    said = []
    assert run(study, say=said.append)["worlds"] == results["worlds"]
    assert said == ["grid9: kept from before"]
    with pytest.raises(RunFolderError, match="grid9 with other settings.*\n  steps: 2 -> 3"):
        run(replace(study, steps=3))


def test_traced_weights_have_the_values_that_an_arm_gives_them():
    gan = groups(GanConfig("dist-gan", data="toy:grid9", width=4, n_dis=1))["distance"].gan
    start = collapse._weighted(gan, {"distance": 7.0}).start(0)
    assert float(start.params["weights"]["distance"]) == 7
    assert float(gan.learner.start(0).params["weights"]["distance"]) == pytest.approx(0.1)
