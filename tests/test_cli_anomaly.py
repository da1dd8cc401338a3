"""`gan-forensics augment` and `gan-forensics anomaly`."""

import csv
import json
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from gan_forensics import cli
from gan_forensics.anomaly import Doping, NewRows, toy_world
from gan_forensics.anomaly.augmentation import SETTINGS
from gan_forensics.cli.anomaly import _copies_said
from gan_forensics.cli.augment import TAKEN, Augment, Method
from gan_forensics.studies.doping import CompareConfig
from tests.test_anomaly_tables import write_csv


@pytest.fixture
def table(rng):
    return rng.uniform(size=(60, 3)) * [1, 1000, 0.01] + [5, -300, 0]


def run(*arguments):
    with pytest.raises(SystemExit) as exit:
        cli.main([str(argument) for argument in arguments])
    return exit.value.code or 0


def test_augment_copies_the_lines_and_appends_rows_with_the_common_label(tmp_path, table, capsys):
    y = ["ok"] * 52 + ["odd"] * 8
    source, out = write_csv(tmp_path / "t.csv", table, y), tmp_path / "more.csv"
    quick = ["--steps", 5, "--width", 8]
    assert run("augment", source, "--n", 11, "--label", "kind", "--out", out, *quick) == 0
    lines, more = source.read_text().splitlines(), out.read_text().splitlines()
    assert more[: len(lines)] == lines and len(more) == len(lines) + 11
    assert all(line.endswith(",ok") for line in more[len(lines) :])
    said = capsys.readouterr()
    assert "kind: ok is normal, 52 of 60 rows; new rows carry it (by frequency;" in said.out
    assert "the codes do not follow their prior: " in said.err and "Warning" not in said.err
    edge = ["--edge", "quantile", 0.9, 0.99, "--out", tmp_path / "more.npz"]
    assert run("augment", source, "-n", 4, "--label", "kind", *edge, *quick) == 0
    assert np.load(tmp_path / "more.npz")["X"].shape == (64, 3)
    capsys.readouterr()
    assert run("augment", source, "--n", 4, "--out", out) == 2
    assert "'kind' is not of numbers" in capsys.readouterr().err
    assert run("augment", source, "--n", 0, "--label", "kind", "--out", out) == 2


VALUES = {
    "n": 7,
    "edge": ("empirical", "0.5", "0.9"),
    "latent": 3,
    "width": 9,
    "steps": 11,
    "constant_columns": "keep",
}
NAMES = {"n": "n", "edge": "edge", "latent": "latent_dim", "width": "hidden", "steps": "steps",
         "constant_columns": "constant_columns"}  # fmt: skip


@pytest.mark.parametrize("method", get_args(Method))
def test_every_option_of_augment_acts_or_is_refused(method, tmp_path, table, capsys, monkeypatch):
    asked = []

    def noted(rows, n, **settings):
        asked.append({"n": n, **settings})
        return NewRows(rows[:1], np.zeros(rows.shape[1], int))

    monkeypatch.setattr("gan_forensics.anomaly.new_rows", noted)
    source, out = write_csv(tmp_path / "t.csv", table), tmp_path / "more.csv"
    command = ["augment", source, "--method", method, "--out", out]
    assert run(*command) == 0
    plain = {"method": method, "n": 100, "seed": 0, "round_integers": False}
    assert asked.pop() == plain
    for option, value in VALUES.items():
        values = value if isinstance(value, tuple) else [value]
        code = run(*command, f"--{option.replace('_', '-')}", *values)
        said = capsys.readouterr().err
        if method in TAKEN[option].methods:
            given = {k: v for k, v in asked.pop().items() if k not in plain or v != plain[k]}
            assert given == {NAMES[option]: (9, 9) if option == "width" else value}, said
            assert option == "n" or NAMES[option] in SETTINGS[method]
        else:
            assert code == 2 and f"{method} does not take it" in said and not asked
            assert option == "n" or NAMES[option] not in SETTINGS.get(method, ())
    if method == "duplicate":  # Copies of rows have nothing to round.
        assert run(*command, "--round") == 2 and not asked
        return
    assert run(*command, "--round", "--seed", 3) == 0
    assert asked.pop() == plain | {"round_integers": True, "seed": 3}


def test_the_defaults_in_the_help_of_augment_are_those_of_doping():
    own = Doping().get_params()
    for option, name in NAMES.items():
        default = TAKEN[option].default
        if option == "edge":
            default = default[0]
        if option == "width":
            default = (default, default)
        assert option == "n" or own[name] == default
    given = {f for f in Augment.__dataclass_fields__ if getattr(Augment, f, 0) is None}
    assert given == {*TAKEN, "label", "anomaly"}


def test_settings_of_tables_are_checked_before_a_table_is_read(tmp_path, capsys):
    missing, out = tmp_path / "missing.csv", ["--out", tmp_path / "more.csv"]
    for options, message in (
        (["--n", 0], "-n 0: it must be at least 1"),
        (["--steps", -1], "--steps -1: it must be at least 1"),
        (["--edge", "shell", -1], "positive, finite radius"),
        (["--edge", "shell", 2, "--method", "edge_duplicate"], "choose one of data, band"),
        (["--out", tmp_path / "more.xls"], "a table is one of"),
        (["--seed", -1], "--seed -1"),
    ):
        assert run("augment", missing, *out, *options) == 2
        assert message in capsys.readouterr().err
    for options, message in (
        (["--seeds", 1], "two or more"),
        (["--steps", 0], "--steps 0: it must be at least 1"),
        (["--share", 0], "--share 0"),
        (["--share", "nan"], "--share: 'nan' is no number in plain digits"),
        (["--seeds", "1_0"], "--seeds: '1_0' is no whole number in plain digits"),
        (["--contamination", 0.6], "--contamination 0.6"),
        (["--split-seed", -1], "--split-seed -1"),
    ):
        assert run("anomaly", missing, "--label", "kind", *options) == 2
        assert message in capsys.readouterr().err


def test_augment_refuses_images_into_csv_before_training(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("gan_forensics.anomaly.augment", None)
    np.savez(tmp_path / "t.npz", X=np.zeros((9, 4, 4)))
    assert run("augment", tmp_path / "t.npz", "--out", tmp_path / "t.csv") == 2
    assert "images do not fit into a CSV file" in capsys.readouterr().err


def test_anomaly_measures_a_detector_with_every_augmentation(tmp_path, capsys):
    x, y = toy_world("B", n=120, anomalies=12, seed=0)
    x[np.flatnonzero(y == 0)[:30]] = 0.5
    source = write_csv(tmp_path / "t.csv", x, y)
    quick = ["--seeds", 2, "--steps", 5, "--width", 8, "--detector", "lof", "--share", 2]
    assert run("anomaly", source, "--label", "kind", "--out", tmp_path / "out", *quick) == 0
    said = capsys.readouterr().out
    assert "54 normal rows train" in said and "reconstruct_all" in said
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {row["augmentation"] for row in results["rows"]} >= {"none", "doping", "plain_gan"}
    with (tmp_path / "out" / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(results["rows"])
    said_of = results["labels"]
    assert (said_of["name"], said_of["anomaly"], said_of["normal"]) == ("kind", 1, 0)
    again, known = (results["task"][name] for name in ("train_repeated", "test_also_in_train"))
    assert again + known == 29 and again > 5 and known > 5  # of 30
    assert f"{again} of 54 training rows repeat another" in said
    assert f"{known} of 60 test rows equal a training row." in said
    assert (said_of["anomaly_rows"], said_of["normal_rows"]) == (12, 108)
    assert said_of["chosen_by"] == "rarity"
    outside = {row["augmentation"]: row["outside_range"] for row in results["rows"]}
    assert 0 < outside.pop("jitter") < 0.1 and not any(outside.values())
    assert "New values outside of the range of their column in training: jitter " in said
    assert results["table"] == {"file": str(source), "read_as": ""}
    assert "kind: 1 is the anomaly, 12 of 120 rows; 0 is normal (by frequency; --anomaly" in said
    flat = write_csv(tmp_path / "flat.csv", x, 0 * y)
    assert run("anomaly", flat, "--label", "kind", *quick) == 2
    assert "must be two" in capsys.readouterr().err


def test_anomaly_says_how_many_rows_repeat_others(capsys):
    facts = {"train": 50, "train_repeated": 0, "test_normal": 49, "test_anomalies": 1}
    assert list(_copies_said({**facts, "test_also_in_train": 0})) == []
    said = list(_copies_said({**facts, "train_repeated": 20, "test_also_in_train": 7}))
    assert said[0].startswith("20 of 50 training rows repeat another")
    assert said[0].endswith("taken among the 30 that differ.")
    assert said[1:] == ["7 of 50 test rows equal a training row."]


def test_augment_says_how_many_rows_repeat_others_where_neighbours_matter(tmp_path, capsys):
    rows = np.repeat(np.arange(8.0).reshape(4, 2), [30, 1, 1, 1], axis=0)
    source, out = write_csv(tmp_path / "t.csv", rows), tmp_path / "more.csv"
    assert run("augment", source, "--method", "interpolation", "-n", 9, "--out", out) == 0
    told = "29 of 33 rows repeat another: neighbours are taken among the 4 that differ"
    assert told in capsys.readouterr().out
    assert run("augment", source, "--method", "jitter", "-n", 9, "--out", out) == 0
    assert "repeat" not in capsys.readouterr().out


def test_every_option_of_anomaly_reaches_the_comparison(tmp_path, monkeypatch, capsys):
    asked = []

    def noted(config, task):
        asked.append((config, task))
        raise ValueError("noted")

    monkeypatch.setattr("gan_forensics.studies.doping.compare", noted)
    x, y = toy_world("B", n=120, anomalies=12, seed=0)
    source = write_csv(tmp_path / "t.csv", x, y)

    def told(*options):
        assert run("anomaly", source, "--label", "kind", "--out", tmp_path / "o", *options) == 2
        assert "noted" in capsys.readouterr().err
        return asked.pop()

    config, task = told()
    assert config == CompareConfig(
        tuned=(),
        detectors=("isolation_forest",),
        seeds=tuple(range(5)),
        hidden=(64, 64),
        steps=2000,
    )
    for option, value, settings in (
        ("--detector", "lof", {"detectors": ("lof",)}),
        ("--share", 0.3, {"share": 0.3}),
        ("--seeds", 3, {"seeds": (0, 1, 2)}),
        ("--width", 9, {"hidden": (9, 9)}),
        ("--steps", 11, {"steps": 11}),
    ):
        changed, same = told(option, value)
        assert changed == replace(config, **settings) and np.array_equal(same.test, task.test)
    assert task.contamination == 0.1
    assert told("--contamination", 0.2)[1].contamination == 0.2
    other = told("--split-seed", 1)[1]
    assert other.test.shape == task.test.shape and (other.test != task.test).any()


@pytest.fixture
def attacks(tmp_path, rng):
    """240 attacks among 400 rows, as CSV."""
    y = np.repeat([1, 0], [240, 160])
    x = np.where(y[:, None], rng.standard_normal((400, 3)) * 3, rng.standard_normal((400, 3)) / 3)
    order = rng.permutation(400)
    return write_csv(tmp_path / "attack.csv", x[order], y[order])


def test_frequent_anomalies_are_asked_for_and_told(attacks, tmp_path, capsys, monkeypatch):
    quick = ["--label", "kind", "--seeds", 2, "--steps", 5, "--width", 8, "--detector", "lof"]
    quick += ["--out", tmp_path / "o"]
    assert run("anomaly", attacks, *quick) == 2
    said = capsys.readouterr().err
    assert "1 in 240, 0 in 160: none marks two thirds" in said and "--anomaly" in said
    assert run("anomaly", attacks, *quick, "--anomaly", 1) == 0
    said = capsys.readouterr().out
    assert "kind: 1 is the anomaly, 240 of 400 rows; 0 is normal\n" in said
    assert "share of anomalies is taken as 0.5, the most that detectors take" in said
    results = json.loads((tmp_path / "o" / "results.json").read_text())
    assert results["labels"]["chosen_by"] == "--anomaly" and results["labels"]["anomaly"] == 1
    assert results["task"]["contamination"] == 0.5
    none = results["rows"][0]
    assert none["augmentation"] == "none" and none["auc"] > 0.95
    monkeypatch.setattr("gan_forensics.studies.doping.compare", lambda config, task: {**results})
    assert run("anomaly", attacks, *quick, "--anomaly", 1, "--contamination", 0.2) == 0
    assert "is taken as" not in capsys.readouterr().out
    assert run("anomaly", attacks, *quick, "--anomaly", "yes") == 2
    assert "anomaly 'yes' is none of the labels" in capsys.readouterr().err


def test_augment_learns_from_the_label_that_is_not_the_anomaly(attacks, tmp_path, capsys):
    out = ["--label", "kind", "--method", "duplicate", "--n", 3, "--out", tmp_path / "more.csv"]
    assert run("augment", attacks, *out) == 2
    assert "none marks two thirds" in capsys.readouterr().err
    for anomaly, normal in ((1, 0), (0, 1)):
        assert run("augment", attacks, *out, "--anomaly", anomaly) == 0
        lines = [line.split(",") for line in (tmp_path / "more.csv").read_text().splitlines()[1:]]
        of_normal = {tuple(line[:3]) for line in lines[:400] if line[3] == str(normal)}
        for line in lines[400:]:
            assert line[3] == str(normal)
            assert (
                min(
                    np.abs(np.subtract([float(c) for c in line[:3]], [float(c) for c in row])).max()
                    for row in of_normal
                )
                < 1e-9
            )
    assert run("augment", attacks, "--anomaly", 1, "--out", tmp_path / "more.csv") == 2
    assert "name their column by --label" in capsys.readouterr().err


def test_row_numbers_of_pandas_are_left_out_and_go_on(tmp_path, table, capsys):
    import pandas

    source, out = tmp_path / "t.csv", tmp_path / "more.csv"
    pandas.DataFrame(table, columns=list("abc")).to_csv(source)
    assert run("augment", source, "--method", "duplicate", "--n", 2, "--out", out) == 0
    assert "only numbers the rows (0 to 59): left out; give it a name" in capsys.readouterr().err
    more = pandas.read_csv(out, index_col=0)
    assert list(more.index) == list(range(62)) and list(more.columns) == list("abc")


def test_missing_labels_are_refused(tmp_path, table, capsys):
    source = write_csv(tmp_path / "t.csv", table, ["ok"] * 50 + ["odd"] * 9 + [""])
    for command in (["anomaly"], ["augment", "--out", tmp_path / "more.csv"]):
        assert run(command[0], source, "--label", "kind", *command[1:]) == 2
        assert "1 of 60 labels are missing, the first in row 60" in capsys.readouterr().err


def test_augment_names_columns_of_a_single_value_and_the_option(tmp_path, capsys):
    rows = "".join(f"{i % 7},{i % 5},3\n" for i in range(20))
    (tmp_path / "t.csv").write_text("a,b,c\n" + rows)
    augment = ("augment", tmp_path / "t.csv", "-n", 2, "--steps", 5, "--out", tmp_path / "o.csv")
    assert run(*augment) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "columns of a single value ('c')" in said and "--constant-columns keep" in said
    assert run(*augment, "--constant-columns", "keep") == 0
    assert run(*augment, "--method", "prior") == 2


def test_what_jitter_would_leave_is_said_and_stored_and_so_is_how_a_table_was_read(
    tmp_path, capsys
):
    rows = "".join(f"{max(0, i - 30)},5;{18 + i};ok\n" for i in range(60))
    (tmp_path / "t.csv").write_text(f"amount;age;kind\n{rows}")
    out = tmp_path / "more.csv"
    command = ["augment", tmp_path / "t.csv", "--label", "kind", "--method", "jitter", "-n", 200]
    assert run(*command, "--out", out) == 0
    said, facts = capsys.readouterr(), json.loads((tmp_path / "more.csv.json").read_text())
    beyond = facts["set_to_the_ends_of_their_range"]
    assert 20 < beyond["amount"] < 100 and facts["no_longer_whole"] == ["age"]
    total = sum(beyond.values())
    assert f"{total} of 400 new values were drawn outside of the range" in said.out
    assert f"are set to its ends: amount {beyond['amount']}" in said.out
    assert "age: whole numbers in training, and not in new rows: --round" in said.err
    assert said.err.count("t.csv: read with semicolons between cells, commas before decimals") == 1
    assert facts["read_as"] == "semicolons between cells, commas before decimals"
    assert (facts["normal"], facts["new_rows"], facts["method"]) == ("ok", 200, "jitter")
    lines = out.read_text().splitlines()
    assert lines[:61] == [f"{line}" for line in f"amount;age;kind\n{rows}".splitlines()]
    amounts = [float(line.split(";")[0].replace(",", ".")) for line in lines[1:]]
    assert len(amounts) == 260 and min(amounts) == 0.5 and max(amounts) == 29.5
    assert run(*command, "--out", out, "--round") == 0
    assert "whole numbers" not in capsys.readouterr().err
    assert run(*command[:-4], "--method", "duplicate", "--out", "/dev/stdout") == 2  # no suffix
    assert run(*command[:-4], "--method", "duplicate", "-n", 3, "--out", tmp_path / "d.csv") == 0
    assert "all new values lie within the range" in capsys.readouterr().out
