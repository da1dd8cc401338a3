"""`detect robustness`: what stands in its files, by hand for a detector whose scores are known."""

import csv
import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics import cli
from gan_forensics.data import load_image, power_law_textures, save_png
from gan_forensics.data.carriers import CARRIERS
from gan_forensics.data.corruptions import CORRUPTIONS
from gan_forensics.data.perturbations import perturb
from gan_forensics.forensics import load_detector
from gan_forensics.forensics.calibration import Measured, measured_rate
from gan_forensics.forensics.intervals import rate_interval
from gan_forensics.report.robustness import finding, robustness_rows
from gan_forensics.report.severity import Point, severity_figure


def run(*arguments):
    with pytest.raises(SystemExit) as exit:
        cli.main([str(argument) for argument in arguments])
    return exit.value.code or 0


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with real and fake images of 16 pixels, and a detector fitted on others of them."""
    root = tmp_path_factory.mktemp("made")
    for name, exponent, n, seed in (
        ("real", 1.6, 110, 1), ("fake", 0.4, 60, 2),
        ("more/real", 1.6, 12, 3), ("more/fake", 0.4, 9, 4),
    ):  # fmt: skip
        for i, image in enumerate(power_law_textures(n, 16, exponent=exponent, seed=seed)):
            save_png(root / name / f"{i:03d}.png", image)
    out = root / "detector.npz"
    assert (
        run("detect", "fit", root / "real", root / "fake", "--features", "dct", "--out", out) == 0
    )
    return root


def test_every_number_is_that_of_the_images_after_the_perturbation(made, tmp_path, capsys):
    names = ("jpeg-75", "up-1.5", "contrast", "gaussian_noise-3")
    arguments = ["detect", "robustness", made / "more/real", made / "more/fake"]
    arguments += ["--detector", made / "detector.npz", "--perturbations", *names]
    assert run(*arguments, "--out", tmp_path) == 0
    said = capsys.readouterr()
    with (tmp_path / "robustness.csv").open(newline="") as file:
        rows = {row["perturbation"]: row for row in csv.DictReader(file)}
    assert list(rows) == [
        "none", "jpeg-75", "up-1.5", *(f"contrast-{s}" for s in (1, 2, 3, 4, 5)), "gaussian_noise-3"
    ]  # fmt: skip
    assert [rows[name]["severity"] for name in ("up-1.5", "contrast-4")] == ["0", "4"]
    detector = load_detector(made / "detector.npz")
    above = {}
    for kind in ("real", "fake"):
        images = [load_image(path) for path in sorted((made / "more" / kind).iterdir())]
        for name in rows:
            scores = detector.score([detector.middle(perturb(i, name)) for i in images])
            above[kind, name] = (scores > detector.threshold).mean(), len(images)
    for name, row in rows.items():
        (alarms, n), (detected, m) = above["real", name], above["fake", name]
        assert (row["n_real"], row["n_fake"]) == (str(n), str(m)) == ("12", "9")
        assert_allclose(float(row["real_accuracy"]), 1 - alarms)
        assert_allclose(float(row["fake_accuracy"]), detected)
        interval = rate_interval((1 - alarms) * n, n)
        assert_allclose(float(row["real_accuracy_low"]), interval.low)
        assert_allclose(float(row["real_accuracy_high"]), interval.high)
    results = json.loads((tmp_path / "results.json").read_text())
    assert [row["perturbation"] for row in results["perturbations"]] == list(rows)
    assert results["protocol"]["threshold"] == detector.threshold and results["said"] == ""
    page = (tmp_path / "report.html").read_text()
    assert "contrast-5" in page and page.count("<img") == 2
    assert "As they are: " in said.out and "harms most" in said.out
    assert "was fitted on" not in said.err


def test_by_default_there_is_everything_and_what_stands_in_for_frost_is_said(
    made, tmp_path, capsys, monkeypatch
):
    from gan_forensics.data import corruption_frost
    from gan_forensics.forensics import measure

    asked = {}

    def measured(detector, sources, rows, *, carriers, **options):
        asked.update(carriers=carriers, n=[len(r) for r in rows])
        rate = measured_rate([True, False])
        return (Measured("none", rate, rate, 0.5),)

    monkeypatch.setattr(measure, "measured", measured)
    monkeypatch.setattr(corruption_frost, "find_spec", lambda name: None)
    arguments = ["detect", "robustness", made / "real", made / "fake", "--images", 5]
    assert run(*arguments, "--detector", made / "detector.npz", "--out", tmp_path) == 0
    said = capsys.readouterr().err
    assert asked["n"] == [5, 5] and len(asked["carriers"]) == len(CARRIERS) + 5 * len(CORRUPTIONS)
    assert "frost_procedural-1" in asked["carriers"] and "frost-1" not in asked["carriers"]
    assert "frost_procedural, whose texture is computed, stands in its place" in said
    assert "frost_procedural" in json.loads((tmp_path / "results.json").read_text())["said"]
    assert "frost_procedural, whose texture" in (tmp_path / "report.html").read_text()
    assert said.count("the detector was fitted on images of this source") == 2
    assert "no image had a score after jpeg-90" in said


def test_rows_say_both_accuracies_with_the_interval_of_their_votes():
    groups = np.array([0, 0, 1, 1])
    alarms = measured_rate([True, True, False, False], groups)
    detected = measured_rate([True, True, True])
    plain = Measured("none", alarms, measured_rate([True, True]), 1.0)
    plain, row = robustness_rows([plain, Measured("fog-4", alarms, detected, 0.75)])
    assert (row["kind"], row["severity"], row["n_real"], row["n_fake"]) == ("fog", 4, 4, 3)
    assert (row["real_accuracy"], row["fake_accuracy"], row["balanced_accuracy"]) == (0.5, 1, 0.75)
    assert_allclose(row["real_accuracy_low"], rate_interval(1, 2).low)
    # The smaller class has two votes.
    assert_allclose((row["auc_low"], row["auc_high"]),
                    (rate_interval(1.5, 2).low, rate_interval(1.5, 2).high))  # fmt: skip
    assert "fog-4" in finding([plain, {**row, "balanced_accuracy": 0.1}])
    assert "harms" not in finding([plain])


def test_a_panel_for_every_kind_with_a_curve_and_intervals_for_every_series():
    points = [Point(0, 1.0, 0.9, 1.0), Point(1, 0.5, 0.4, 0.6), Point(3, 0.25, 0.2, 0.3)]
    panels = {kind: {"a": points, "b": points[:2]} for kind in ("fog", "snow", "x", "y", "z_z")}
    figure = severity_figure(panels, value_label="share")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == ["fog", "snow", "x", "y", "z z"]
    first, second = shown[4].lines
    assert first.get_xydata().tolist() == [[0, 1], [1, 0.5], [3, 0.25]]
    assert len(second.get_xydata()) == 2 and first.get_color() != second.get_color()
    lines = shown[4].collections[0].get_segments()
    assert [[tuple(end) for end in line] for line in lines][1] == [(1, 0.4), (1, 0.6)]
    with pytest.raises(ValueError, match="no kind to draw"):
        severity_figure({})
