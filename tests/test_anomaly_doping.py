"""Resamplers, the estimator, tables, and both commands."""

import csv
import json
from typing import get_args

import numpy as np
import pandas
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from gan_forensics import cli
from gan_forensics.anomaly import (
    RESAMPLERS,
    AAEConfig,
    Doping,
    FittedModels,
    GANConfig,
    augment,
    check_settings,
    edge_weights,
    neighbours,
    read_table,
    resample,
    toy_world,
    train_autoencoders,
    train_gans,
)
from gan_forensics.anomaly.augment import SETTINGS
from gan_forensics.anomaly.tables import anomaly_labels
from gan_forensics.cli.anomaly import TAKEN, Augment, Method

QUICK = {"hidden": (8,), "steps": 15, "batch_size": 16, "random_state": 0}


@pytest.fixture(scope="module")
def models():
    x = np.random.default_rng(5).uniform(size=(80, 3))
    # The networks that Doping builds from QUICK: compiled once for this file.
    config = AAEConfig(3, hidden=(8,), learning_rate=1e-3, batch=16, joined=False)
    (coder,) = train_autoencoders(config, x, seeds=[0], steps=20)
    (gan,) = train_gans(GANConfig(3, latent=2, hidden=(8,)), x, seeds=[0], steps=5)
    return FittedModels(x, coder, coder.encode(x), gan)


@pytest.fixture
def table(rng):
    return rng.uniform(size=(60, 3)) * [1, 1000, 0.01] + [5, -300, 0]


# --- resamplers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in RESAMPLERS if n not in ("none", "smote")])
def test_a_resampler_makes_rows_that_follow_from_the_seed(name, models):
    rows = resample(name, models, 30, rng=np.random.default_rng(1))
    assert rows.shape == (80 if name == "reconstruct_all" else 30, 3)
    assert_array_equal(rows, resample(name, models, 30, rng=np.random.default_rng(1)))
    if name != "reconstruct_all":
        assert (rows != resample(name, models, 30, rng=np.random.default_rng(2))).any()
    assert len(resample(name, models, 0, rng=np.random.default_rng(1))) == 0
    if name != "jitter":
        assert rows.min() >= 0 and rows.max() <= 1


def test_resamplers_do_what_they_say(models):
    x, codes, coder = models.x, models.codes, models.autoencoder
    draw = {n: resample(n, models, 200, rng=np.random.default_rng(1)) for n in RESAMPLERS
            if n != "smote"}  # fmt: skip
    known = {tuple(row) for row in x}
    at_edge = {tuple(row) for row in x[edge_weights(codes) > 0]}
    assert len(draw["none"]) == 0
    assert {tuple(row) for row in draw["duplicate"]} <= known
    assert {tuple(row) for row in draw["edge_duplicate"]} == at_edge
    gaps = np.abs(draw["jitter"] - draw["duplicate"]).mean(0) / x.std(0)
    assert_allclose(gaps, 0.01 * np.sqrt(2 / np.pi), rtol=0.25, atol=0)
    assert_allclose(draw["reconstruct_all"], coder.decode(codes), rtol=0, atol=1e-6)
    decoded = coder.decode(codes[edge_weights(codes) > 0])
    far = np.abs(draw["doping"][:, None] - decoded[None]).max(2).min(1)
    assert far.max() < 1e-6
    near = neighbours(x)[0][:, 0]
    for row in draw["interpolation"][:40]:
        # On a segment, the distances to its ends add up to its length.
        detour = np.linalg.norm(row - x, axis=1) + np.linalg.norm(row - x[near], axis=1)
        assert (detour - np.linalg.norm(x - x[near], axis=1)).min() < 1e-9
    with pytest.raises(ValueError, match="one of none, duplicate"):
        resample("magic", models, 3, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="0 or more"):
        resample("prior", models, -1, rng=np.random.default_rng(0))
    for name in ("doping", "plain_gan"):
        with pytest.raises(ValueError, match="needs a trained"):
            resample(name, FittedModels(x), 3, rng=np.random.default_rng(0))


def test_smote_without_its_extra_names_it(models, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "imblearn", None)
    monkeypatch.setitem(sys.modules, "imblearn.over_sampling", None)
    with pytest.raises(ImportError, match=r"gan_forensics\[imbalanced\]"):
        resample("smote", models, 3, rng=np.random.default_rng(0))


def test_smote_makes_rows_between_training_rows(models, rng):
    pytest.importorskip("imblearn")
    rows = resample("smote", models, 25, rng=rng)
    assert rows.shape == (25, 3)
    assert (rows >= models.x.min(0)).all() and (rows <= models.x.max(0)).all()


# --- the estimator ------------------------------------------------------------------------------

ADDS_ROWS = "fit_transform appends rows for the detector behind it; transform passes rows through"
EXPECTED_FAILURES = {
    "check_transformer_general": ADDS_ROWS,
    "check_transformer_data_not_an_array": ADDS_ROWS,
    "check_transformer_preserve_dtypes": ADDS_ROWS,
    "check_set_output_transform": "rows are passed through in their own container",
    "check_set_output_transform_pandas": "rows are passed through in their own container",
}


@parametrize_with_checks(
    [Doping(**{**QUICK, "steps": 2})],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES,
)
def test_doping_passes_scikit_learns_checks(estimator, check):
    check(estimator)


def test_originals_come_first_unchanged_and_the_seed_decides_the_rest(table):
    doping = Doping(n_samples=7, **QUICK)
    rows = doping.fit_resample(table)
    assert rows.shape == (67, 3)
    assert_array_equal(rows[:60], table)
    assert_array_equal(clone(doping).fit_resample(table), rows)
    assert (clone(doping).set_params(random_state=1).fit_resample(table)[60:] != rows[60:]).any()
    # Within the training range, up to the rounding of float32.
    slack = 1e-6 * np.ptp(table, axis=0)
    assert (rows[60:] >= table.min(0) - slack).all() and (rows[60:] <= table.max(0) + slack).all()
    assert Doping(n_samples=0.5, **QUICK).fit_resample(table).shape == (90, 3)
    assert_array_equal(Doping(n_samples=0, **QUICK).fit_resample(table), table)


def test_labels_keep_the_rare_class_out_of_training(table):
    y = np.array(["ok"] * 50 + ["odd"] * 10)
    doping = Doping(n_samples=5, **QUICK)
    rows, labels = doping.fit_resample(table, y)
    assert_array_equal(rows[:60], table)
    assert_array_equal(labels, [*y, *["ok"] * 5])
    assert len(doping.codes_) == 50
    with pytest.raises(ValueError, match="one for each"):
        doping.fit_resample(table, y[:9])


def test_data_frames_stay_data_frames_and_whole_numbers_whole(rng):
    frame = pandas.DataFrame(rng.uniform(size=(40, 2)), columns=["a", "b"])
    frame["k"] = rng.integers(0, 9, 40)
    rows = Doping(n_samples=6, round_integers=True, **QUICK).fit_resample(frame)
    assert list(rows.columns) == ["a", "b", "k"] and rows.shape == (46, 3)
    pandas.testing.assert_frame_equal(rows.iloc[:40], frame)
    assert rows["k"].dtype == frame["k"].dtype


def test_images_keep_their_shape_and_their_constant_pixels(rng):
    images = rng.uniform(size=(30, 3, 1, 1)).astype(np.float32)
    images[:, 0] = 0.25
    rows = Doping(n_samples=3, **QUICK).fit_resample(images)
    assert rows.shape == (33, 3, 1, 1) and rows.dtype == np.float32
    assert_array_equal(rows[:30], images)
    assert_array_equal(rows[30:, 0], 0.25)


def test_a_pipeline_fits_its_detector_on_more_rows_and_scores_rows_as_they_are(table):
    pipeline = make_pipeline(StandardScaler(), Doping(n_samples=20, **QUICK), IsolationForest())
    pipeline = clone(pipeline).fit(table)
    assert pipeline[-1].max_samples_ == 80
    assert pipeline.score_samples(table[:9]).shape == (9,)


@pytest.mark.parametrize("scale", ["standard", "none"])
def test_unbounded_decoders_serve_tables_of_any_range(scale, table):
    rows = Doping(n_samples=4, scale=scale, **QUICK).fit_resample(table / table.max(0))
    assert rows.shape == (64, 3) and np.isfinite(rows).all()


@pytest.mark.parametrize("edge", ["data", ("quantile", 0.9, 0.997), ("shell", 2.0)])
def test_latent_spaces_of_other_dimensions_work_with_any_edge(edge, table):
    doping = Doping(n_samples=4, latent_dim=5, edge=edge, **QUICK)
    assert doping.fit_resample(table).shape == (64, 3)
    assert doping.codes_.shape == (60, 5) and len(doping.prior_fit_.spread) == 5


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (lambda x: np.where(x == x[3, 1], np.nan, x), {}, "NaN"),
        (lambda x: np.where(x == x[3, 1], np.inf, x), {}, "infinity"),
        (lambda x: np.column_stack([x, np.ones(60)]), {}, r"columns \[3\] hold a single value"),
        (lambda x: np.ones_like(x), {"constant_columns": "keep"}, "all rows are alike"),
        (lambda x: np.where(x > 0, "red", "blue"), {}, "numeric values"),
        (lambda x: x[:4], {"latent_dim": 5}, "4 rows cannot fill a latent space of 5"),
        (lambda x: x[:1], {}, "1 sample"),
        (lambda x: x[0], {}, "2D array"),
        (lambda x: x, {"edge": ("annulus", 1e6, 2e6)}, "selects no code"),
        (lambda x: x, {"edge": ("quantile", 1.0, 1.0)}, "select nothing"),
        (lambda x: x, {"n_samples": -1}, "n_samples"),
        (lambda x: x, {"n_samples": float("nan")}, "n_samples"),
        (lambda x: x, {"method": "smote"}, "unknown method"),
        (lambda x: x, {"scale": "log"}, "minmax, standard or none"),
        (lambda x: x, {"constant_columns": "drop"}, "raise or keep"),
        (lambda x: x, {"steps": 0}, "steps must be 1 or more"),
        (lambda x: x, {"method": "prior", "edge": ("shell", 2.0)}, "prior knows no edge"),
        (lambda x: x, {"method": "reconstruct_all", "edge": "prior"}, "knows no edge"),
        (lambda x: x, {"method": "edge_duplicate", "edge": ("shell", 2.0)}, "one of data, band"),
        (lambda x: x, {"method": "prior", "jitter": 0.1}, "jitter is of doping"),
    ],
)
def test_bad_input_is_refused_in_clear_words(change, settings, message, table):
    with pytest.raises(ValueError, match=message):
        Doping(**{**QUICK, **settings}).fit(change(table))


@pytest.mark.parametrize(
    ("edge", "message"),
    [
        (("shell", -1.0), "positive, finite radius"),
        (("annulus", 3, 2), "0 <= low < high"),
        (("band", -1, 2), "0 <= low < high"),
        (("empirical", 0.9, 1.2), "select nothing"),
        (("data", 1.0), "quantile in .0, 1."),
    ],
)
def test_an_edge_that_selects_nothing_is_told_before_training(edge, message, table, monkeypatch):
    monkeypatch.setattr("gan_forensics.anomaly.doping.train_autoencoders", None)
    with pytest.raises(ValueError, match=message):
        Doping(edge=edge, **QUICK).fit(table)


def test_rows_of_another_shape_are_refused_after_fitting(rng):
    doping = Doping(**QUICK).fit(rng.uniform(size=(20, 3, 1)))
    with pytest.raises(ValueError, match="fitted on rows of"):
        doping.transform(rng.uniform(size=(5, 1, 3)))


def test_augment_makes_rows_in_the_tables_units(table):
    quick = {"hidden": (8,), "steps": 3, "batch_size": 16}
    for method in ("duplicate", "interpolation", "plain_gan", "doping"):
        settings = quick if method in SETTINGS else {}
        rows = augment(table, 9, method=method, **settings)
        slack = 1e-6 * np.ptp(table, axis=0)
        assert rows.shape == (9, 3)
        assert (rows >= table.min(0) - slack).all() and (rows <= table.max(0) + slack).all()
    with pytest.raises(ValueError, match="unknown method"):
        augment(table, 3, method="magic")
    with pytest.raises(ValueError, match="finite"):
        augment(table * np.nan, 3, method="duplicate")


def test_augment_takes_the_settings_that_act_and_no_others(table):
    """Every setting of the estimator, by method: it acts or is refused."""
    named = set(Doping().get_params()) - {"n_samples", "method", "random_state", "round_integers"}
    for method in RESAMPLERS:
        for setting in named:
            given = {setting: Doping().get_params()[setting]}
            if setting in SETTINGS.get(method, ()):
                check_settings(method, **given)
            else:
                with pytest.raises(ValueError, match=f"{method} takes no {setting}"):
                    augment(table, 3, method=method, **given)
    assert SETTINGS["plain_gan"] == ("hidden", "steps", "batch_size")
    with pytest.raises(ValueError, match="features, latent, batch and hidden"):
        augment(table, 3, method="plain_gan", hidden=(0,))
    with pytest.raises(ValueError, match="steps must be 1 or more"):
        augment(table, 3, method="plain_gan", steps=0)


@pytest.mark.parametrize("method", ["jitter", "interpolation", "plain_gan", "doping"])
def test_augment_rounds_columns_of_whole_numbers_with_every_method(method, table):
    whole = np.column_stack([np.round(100 * table[:, 0]), table[:, 1]])
    settings = {"hidden": (8,), "steps": 3, "batch_size": 16} if method in SETTINGS else {}
    rows, rounded = (
        augment(whole, 20, method=method, round_integers=round_integers, **settings)
        for round_integers in (False, True)
    )
    assert (rows[:, 0] != np.round(rows[:, 0])).any()
    assert_array_equal(rounded[:, 0], np.round(rows[:, 0]))
    assert_array_equal(rounded[:, 1], rows[:, 1])


# --- tables and commands --------------------------------------------------------------------------


def write_csv(path, x, y=None):
    names = [f"c{i}" for i in range(x.shape[1])] + (["kind"] if y is not None else [])
    lines = [[*map(repr, map(float, row)), *([y[i]] if y is not None else [])]
             for i, row in enumerate(x)]  # fmt: skip
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *lines])
    return path


def test_tables_are_read_from_every_format(tmp_path, rng):
    from scipy.io import savemat

    x, y = rng.uniform(size=(9, 2)), np.repeat([0, 1], [7, 2])
    np.savez(tmp_path / "t.npz", X=x, y=y)
    savemat(tmp_path / "t.mat", {"X": x, "y": y[:, None]})
    write_csv(tmp_path / "t.csv", x, y)
    for name, label in (("t.npz", "y"), ("t.mat", "y"), ("t.csv", "kind")):
        got = read_table(tmp_path / name, label=label)
        assert_array_equal(got.x, x)
        assert_array_equal(got.y, y)
    assert read_table(tmp_path / "t.csv").columns == ("c0", "c1", "kind")
    assert_array_equal(anomaly_labels(np.array(["b", "a", "b"])), [0, 1, 0])
    assert_array_equal(anomaly_labels(np.array([1, 1, 0])), [0, 0, 1])


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        ("a,b\n1,2\n3,x\n", None, "column 'b' is not of numbers: line 3 holds 'x'"),
        ("a,b\n1,2\n3,nan\n", None, "first in row 2 .column 'b'"),
        ("a,b\n1,2\n3\n", None, "line 3 has 1 cells for 2"),
        ("1,2\n3,4\n", None, "must name the columns"),
        ("a,b\n", None, "no rows"),
        ("a,b\n1,2\n", "c", "no column 'c'"),
    ],
)
def test_damaged_csv_files_are_refused_with_the_place(text, label, message, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "t.csv", label=label)


def test_other_damaged_tables_are_refused(tmp_path):
    (tmp_path / "t.mat").write_text("no")
    np.savez(tmp_path / "a.npz", rows=np.ones((3, 2)))
    np.savez(tmp_path / "b.npz", X=np.ones((3, 2)), y=np.ones(2))
    np.savez(tmp_path / "c.npz", X=np.array([["a", "b"]]))
    for name, label, message in (
        ("t.mat", None, "not a readable"),
        ("a.npz", None, r"no rows under 'X' or 'x'; it holds rows \[3, 2\]"),
        ("b.npz", "y", "2 labels in 'y' for 3 rows"),
        ("b.npz", "z", "no array 'z'"),
        ("c.npz", None, "must be numbers"),
        ("t.txt", None, "no such file"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            read_table(tmp_path / name, label=label)
    for wrong in (np.zeros(4), np.arange(4)):
        with pytest.raises(ValueError, match="must be two"):
            anomaly_labels(wrong)


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
        return rows[:1]

    monkeypatch.setattr("gan_forensics.anomaly.augment", noted)
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
    assert given == {*TAKEN, "label"}


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
        (["--share", "nan"], "--share nan"),
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
    source = write_csv(tmp_path / "t.csv", x, y)
    quick = ["--seeds", 2, "--steps", 5, "--width", 8, "--detector", "lof"]
    assert run("anomaly", source, "--label", "kind", "--out", tmp_path / "out", *quick) == 0
    said = capsys.readouterr().out
    assert "54 normal rows train" in said and "reconstruct_all" in said
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert {row["augmentation"] for row in results["rows"]} >= {"none", "doping", "plain_gan"}
    with (tmp_path / "out" / "results.csv").open() as file:
        assert len(list(csv.DictReader(file))) == len(results["rows"])
    flat = write_csv(tmp_path / "flat.csv", x, 0 * y)
    assert run("anomaly", flat, "--label", "kind", *quick) == 2
    assert "must be two" in capsys.readouterr().err
