"""Results of experiments: flat rows in named tables, the same form for every experiment."""

import json
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from gan_forensics.studies import EXPERIMENTS, Results, read_results
from gan_forensics.studies.pages import over_seeds
from gan_forensics.studies.results import flat, scalars, seed_rows, write_results
from tests.small_experiments import tidy

GOLDEN = Path(__file__).parent / "golden" / "results"
# Experiments whose tables are made from more than what they keep, and where these are tested.
ELSEWHERE = {
    "fourier_discrepancies": "test_studies_bypass.py",
    "fourier_released": "test_experiments_released.py",
}
# What tells the rows of an experiment apart.
KEYS = {
    "dag": "seed part arm fraction gamma",
    "doping": "seed task detector augmentation",
    "face_tracking": "seed scene method",
    "fourier_robustness": "seed detector robust perturbation gans tail",
    "gn_gan": "seed part arm",
    "infomax_gan": "seed part arm batches method",
    "label_smoothing_distillation": "seed task network arm temperature",
    "repmix": "seed arm images condition",
    "self_supervised_gan": "seed part arm",
    "spectral_regularisation": "seed variant",
    "stargan": "seed upsampling target",
    "transferable_features": "seed world variant source silenced",
    "translation_distillation": "seed source arm split",
}
ROWS = {"rows": [{"seed": 0, "arm": "a", "auc": 0.5}, {"seed": 1, "arm": "a", "f1": 1}]}


def test_the_rows_of_every_experiment_are_looked_at():
    assert {*KEYS, *ELSEWHERE} == {*EXPERIMENTS}
    for name, file in ELSEWHERE.items():
        assert "tidy(" in (Path(__file__).parent / file).read_text(), name


@pytest.mark.parametrize("name", KEYS)
def test_rows_of_an_experiment_are_flat_and_one_for_each_seed_and_arm(name):
    results = json.loads((GOLDEN / f"{name}.json").read_text())
    tables = flat(import_module(f"gan_forensics.experiments.{name}").tables_of(results))
    tidy(tables["rows"], KEYS[name])
    for rows in tables.values():
        assert all(row.keys() == rows[0].keys() for row in rows)
        assert all(any(value is not None for value in row.values()) for row in rows)


def test_rows_get_the_columns_of_their_table_and_python_s_numbers():
    rows = [{"seed": np.int64(3), "a": np.float32(0.5)}, {"b": True, "a": None}]
    assert flat({"rows": rows}) == {
        "rows": [{"seed": 3, "a": 0.5, "b": None}, {"seed": None, "a": None, "b": True}]
    }
    assert type(flat({"rows": rows})["rows"][0]["seed"]) is int
    assert flat({"rows": []}) == {"rows": []}


@pytest.mark.parametrize("value", [[1], {"a": 1}, (1, 2), np.ones(2), Path("x")])
def test_what_is_no_scalar_is_refused_by_place(value):
    with pytest.raises(ValueError, match="table 'toys', column 'auc': rows hold numbers"):
        flat({"toys": [{"seed": 0, "auc": value}]})


def test_scalars_of_what_was_measured():
    found = {"auc": 0.5, "n": 3, "name": "x", "none": None, "by": [1], "more": {}}
    assert scalars(found) == {"auc": 0.5, "n": 3, "name": "x", "none": None}


def test_means_over_seeds_become_rows_of_seeds():
    row = {"arm": "x", "share": 0.1, **over_seeds("auc", [0.5, 0.75]), "gain": [0.1, 0, 1]}
    assert seed_rows([row], (4, 7), keep=("arm",)) == [
        {"seed": 4, "arm": "x", "auc": 0.5},
        {"seed": 7, "arm": "x", "auc": 0.75},
    ]


def test_results_come_back_as_they_were_written(tmp_path):
    content = write_results(tmp_path, {"finding": "none", "seconds": {"all": 1.0}}, ROWS)
    results = read_results(str(tmp_path))
    assert results.content == content == json.loads((tmp_path / "results.json").read_text())
    assert repr(results) == f"Results({str(tmp_path)!r}: rows 2)"
    assert results.tables == ("rows",) and results.finding == "none"
    assert results.extras == {"finding": "none", "seconds": {"all": 1.0}}
    assert results.rows()[1] == {"seed": 1, "arm": "a", "auc": None, "f1": 1}
    frame = results.table()
    assert list(frame.columns) == ["seed", "arm", "auc", "f1"] and frame["seed"].tolist() == [0, 1]
    with pytest.raises(ValueError, match="^no table 'toys'; there are rows$"):
        results.table("toys")


@pytest.mark.parametrize(
    ("extras", "tables", "said"),
    [
        ({"finding": "", "tables": []}, ROWS, "an extra must not be called 'tables'"),
        ({"finding": ""}, {"toys": []}, "'rows' must be among toys"),
        ({"finding": ""}, {"rows": [{"arm": "a"}]}, "each of them have a 'seed'"),
    ],
)
def test_results_of_another_form_are_not_written(extras, tables, said, tmp_path):
    with pytest.raises(ValueError, match=said):
        write_results(tmp_path, extras, tables)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "content",
    [
        {"finding": "x"},
        {"finding": "x", "tables": [1]},
        {"finding": "x", "tables": {"rows": [{"seed": [0]}]}},
        {"finding": "x", "tables": {"rows": [{"seed": 0}, {"a": 0}]}},
        {"finding": 3, "tables": {"rows": []}},
        {"tables": {"rows": []}},
        [],
    ],
)
def test_a_file_of_another_form_is_no_results(content, tmp_path):
    (tmp_path / "results.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match="results.json: these are no results of an experiment"):
        read_results(tmp_path)


def test_without_pandas_rows_remain(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    results = Results(Path("x"), {"tables": ROWS, "finding": ""})
    with pytest.raises(ImportError, match=r"pip install 'gan_forensics\[frames\]', or take rows"):
        results.table()
    assert results.rows() == ROWS["rows"]
