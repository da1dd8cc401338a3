"""The DOPING experiment: its presets, its tasks, its smoke run."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from scipy.io import savemat

from gan_forensics.anomaly import AAEConfig, aae_learner, make_task
from gan_forensics.experiments import doping
from gan_forensics.experiments.doping import CPU, PAPER, SMOKE
from gan_forensics.experiments.doping_page import finding
from gan_forensics.experiments.doping_tasks import carried_task, odds_task
from gan_forensics.studies.doping import CompareConfig, _outside, compare
from gan_forensics.train import make_step
from tests.small_experiments import command


def test_cpu_pairs_ten_seeds_or_more_and_judges_a_radius_fixed_beforehand():
    assert len(CPU.compare.seeds) >= 10 and len(CPU.toys.seeds) >= 10
    assert not set(CPU.compare.seeds) & set(CPU.compare.choosing_seeds)
    assert CPU.toys.headline in CPU.toys.radii
    assert set(CPU.compare.detectors) == {"isolation_forest", "one_class_svm", "lof"}


def test_a_step_of_the_paper_fits_together():
    """Published widths by shapes alone: nothing is computed."""
    settings = PAPER.compare
    assert settings.hidden == (1000, 1000) and settings.learning_rate == 1e-4
    assert settings.twins and not CPU.compare.twins
    assert PAPER.toys.steps == 2000 * 10 and PAPER.toys.start == "normal"
    config = AAEConfig(21, hidden=settings.hidden, joined=settings.joined)
    learner = aae_learner(config)
    state = jax.eval_shape(lambda: learner.start(0))
    assert sum(x.size for x in jax.tree.leaves(state.params["encoder"])) == 1_025_002
    batch = {"x": (2, 100, 21), "prior": (2, 100, 2)}
    batches = {name: jax.ShapeDtypeStruct(shape, np.float32) for name, shape in batch.items()}
    batches["half"] = jax.ShapeDtypeStruct((2, 100), np.int32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    after, metrics = jax.eval_shape(make_step(learner.updates), state, batches, key)
    assert jax.tree.map(lambda x: x.shape, after) == jax.tree.map(lambda x: x.shape, state)
    assert "discriminator/both" in metrics


@pytest.mark.parametrize(
    ("name", "columns", "anomalies"),
    [("breast_cancer", 30, 40), ("wine", 13, 14), ("digits-3", 64, 85)],
)
def test_carried_tables_are_rare_class_tasks(name, columns, anomalies):
    task = carried_task(name)
    assert task.train.shape[1] == columns
    assert len(task.validation) + task.y.sum() == anomalies
    assert 0.04 < task.contamination < 0.11
    assert np.array_equal(carried_task(name).train, task.train)


def test_rows_that_repeat_are_counted_and_twins_are_neighbours_only_as_published(rng):
    x = np.concatenate([rng.uniform(size=(30, 2)), np.full((50, 2), 0.5), rng.uniform(size=(8, 2))])
    task = make_task("t", x, np.repeat([0, 1], [80, 8]), seed=0)
    repeats = int((task.train == 0.5).all(1).sum()) - 1
    config = CompareConfig(
        methods=("none", "interpolation"), tuned=(), detectors=("lof",), seeds=(0, 1)
    )
    results, published = compare(config, task), compare(replace(config, twins=True), task)
    assert results["task"]["train_repeated"] == repeats > 20
    assert results["task"]["test_also_in_train"] == (task.test == 0.5).all(1).sum() > 20
    found, twinned = ([row["auc_by_seed"] for row in r["rows"]] for r in (results, published))
    assert found[0] == twinned[0] and found[1] != twinned[1]


def test_tables_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(ValueError, match="digits-0 to digits-9"):
        carried_task("digits-x")
    with pytest.raises(FileNotFoundError, match="no such file"):
        odds_task(tmp_path, "cardio")
    with pytest.raises(FileNotFoundError, match="not a folder"):
        doping.tasks(replace(SMOKE, odds=tmp_path / "none"))


def test_odds_files_are_split_by_their_order(tmp_path, rng):
    x, y = rng.uniform(size=(50, 2)), np.repeat([0, 1], [44, 6])
    savemat(tmp_path / "t.mat", {"X": x, "y": y[:, None]})
    task = odds_task(tmp_path, "t")
    assert np.array_equal(task.test, np.concatenate([x[22:44], x[47:]]))


def test_the_finding_counts_only_intervals_that_leave_zero_out():
    def table(low, high):
        gain = [(low + high) / 2, low, high]
        row = {"detector": "isolation_forest", "augmentation": "doping", "f1_gain": gain}
        return {"rows": [{**row, "average_precision_gain": gain}]}

    tables = [table(0.1, 0.2), table(-0.1, 0.2), table(-0.3, -0.1), table(-0.2, -0.1)]
    said = finding({"tasks": tables, "toys": [], "protocol": {"toys": {"headline": 10}}})
    assert "better than nothing on 1, clearly worse on 2 of 4 tables" in said
    assert "prior, average" not in said


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    out = tmp_path_factory.mktemp("doping") / "run"
    texts = [command("doping", "smoke", "--out", out) for _ in range(2)]
    return out, json.loads((out / "results.json").read_text()), texts


@pytest.mark.slow
def test_the_smoke_preset_leaves_results_and_a_page(smoke):
    out, results, texts = smoke
    assert results["finding"] in texts[0]
    text = (out / "results.md").read_text()
    assert "Table wine" in text and "| C, unlabelled |" in text
    page = (out / "report.html").read_text()
    assert "World C" in page and "Table wine" in page and "oracle" in page
    (table,) = results["tasks"]
    assert {row["augmentation"] for row in table["rows"]} >= {"none", "doping", "doping (chosen)"}
    for row in table["rows"]:
        assert len(row["auc_by_seed"]) == 2
        assert all(0 <= row[m] <= 1 for m in ("auc", "average_precision", "f1", "grid_auc"))


@pytest.mark.slow
def test_a_second_call_takes_finished_parts_from_their_files(smoke):
    assert "table-wine ..." in smoke[2][0]
    assert "..." not in smoke[2][1]


@pytest.mark.slow
def test_points_in_the_hole_of_world_c_hide_its_anomalies(smoke):
    """The inner shell decodes to where the anomalies are: the forest then calls them normal."""
    (sweep,) = smoke[1]["toys"]
    inner = next(row for row in sweep["radii"] if row["radius"] == 1)
    assert inner["auc"] < sweep["none"]["auc"] - 0.2


def test_the_share_of_new_values_outside_of_their_range_has_both_ends():
    new = [np.array([[-0.1, 0.5], [1.1, 1.0]]), np.array([[-1e-12, 0.0], [1 + 1e-12, 0.5]])]
    assert _outside(new) == 2 / 8 and _outside([np.zeros((0, 2))]) == 0
