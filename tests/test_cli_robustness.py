"""`detect robustness`: what stands in its files, by hand for a detector whose scores are known."""

import csv
import json

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics import cli
from gan_forensics.cli import real_and_fake
from gan_forensics.data import load_image, power_law_textures, save_png
from gan_forensics.data.carriers import CARRIERS
from gan_forensics.data.corruptions import CORRUPTIONS
from gan_forensics.data.perturbations import perturb
from gan_forensics.forensics import load_detector
from gan_forensics.forensics.calibration import Measured, measured_rate
from gan_forensics.forensics.intervals import rate_interval
from gan_forensics.report.robustness import _charts, _panel, finding, robustness_rows
from gan_forensics.report.strength import Panel, Point, strength_figure


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
    assert "On which reference data?" in page and "Images as they are and after" in page
    assert "As they are: " in said.out and "harms most" in said.out
    assert f"real images: 12 of the 12 images of {made}/more/real" in said.err
    assert f"{made}/more/fake: 9 of the 9 images of {made}/more/fake" in said.err
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
        return [(Measured("none", rate, rate, 0.5),)]

    monkeypatch.setattr(measure, "measured_each", measured)
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
    plain, row = robustness_rows([plain, Measured("fog-4", alarms, detected, 0.75)], "made")
    assert (row["kind"], row["severity"], row["n_real"], row["n_fake"]) == ("fog", 4, 4, 3)
    assert (row["generated"], row["strength"], plain["strength"]) == ("made", 4, None)
    (carried,) = robustness_rows([Measured("webp-80", alarms, detected, 0.75)], "made")
    assert (carried["kind"], carried["severity"], carried["strength"]) == ("webp", 0, 80)
    assert (row["real_accuracy"], row["fake_accuracy"], row["balanced_accuracy"]) == (0.5, 1, 0.75)
    assert_allclose(row["real_accuracy_low"], rate_interval(1, 2).low)
    # The smaller class has two votes.
    assert_allclose((row["auc_low"], row["auc_high"]),
                    (rate_interval(1.5, 2).low, rate_interval(1.5, 2).high))  # fmt: skip
    assert "fog-4" in finding([plain, {**row, "balanced_accuracy": 0.1}])
    assert "harms" not in finding([plain])


def test_several_generators_and_detectors_stand_beside_one_another(made, tmp_path, capsys):
    robust = tmp_path / "robust.npz"
    robust.write_bytes((made / "detector.npz").read_bytes())
    out, fakes = tmp_path / "out", (made / "more/fake", f"N.1.5={made / 'real'}")
    asked = [made / "more/real", *fakes, "--detector", made / "detector.npz"]
    asked += ["--detector", robust, "--perturbations", "jpeg-50", "jpeg-95", "--images", 10]
    assert run("detect", "robustness", *asked, "--out", out) == 0
    said = capsys.readouterr()
    assert f"N.1.5: 10 of the 110 images of {made}/real" in said.err
    assert f"{made}/real: the detector robust was fitted on images of this source" in said.err
    assert said.out.count("N.1.5: As they are: ") == 2 and "which compares them" in said.out
    with (out / "detector/robustness.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = ["none", "jpeg-50", "jpeg-95"]
    labels = [str(fakes[0]), "N.1.5"]
    assert [(r["generated"], r["perturbation"]) for r in rows] == [
        (label, name) for label in labels for name in names
    ]
    of = {label: [r for r in rows if r["generated"] == label] for label in labels}
    for one, other in zip(*of.values(), strict=True):  # The real images are the same ones.
        assert one["real_accuracy"] == other["real_accuracy"]
        assert (one["n_fake"], other["n_fake"]) == ("9", "10")
    assert [r["fake_accuracy"] for r in of["N.1.5"]] != [r["fake_accuracy"] for r in of[labels[0]]]
    with (out / "robustness.csv").open(newline="") as file:
        both = list(csv.DictReader(file))
    assert [row.pop("detector") for row in both] == ["detector"] * 6 + ["robust"] * 6
    assert both == rows + rows  # They are copies.
    page = (out / "robust/report.html").read_text()
    assert page.count("<img") == 2 and "N.1.5: all perturbations" in page
    assert f"N.1.5={made / 'real'}" in page and "robust.npz" in page
    page = (out / "report.html").read_text()
    assert page.count("<img") == 2 and "Generated images: N.1.5." in page
    results = json.loads((out / "robust/results.json").read_text())
    assert results["protocol"]["generated images"] == "9, 10"


def test_one_of_several_generators_is_measured_as_it_is_alone(made, tmp_path):
    tables = []
    for fakes in (("b=more/fake",), ("a=fake", "b=more/fake")):
        sources = [part.replace("=", f"={made}/") for part in fakes]
        asked = [made / "more/real", *sources, "--detector", made / "detector.npz"]
        asked += ["--perturbations", "noise-3", "--out", tmp_path, "--seed", 1]
        assert run("detect", "robustness", *asked) == 0
        with (tmp_path / "robustness.csv").open(newline="") as file:
            tables.append([row for row in csv.DictReader(file) if row["generated"] == "b"])
    assert tables[0] == tables[1] and len(tables[0]) == 2


def test_a_group_has_one_vote_with_every_generator(made, tmp_path, capsys):
    asked = [made / "more", f"a={made / 'more'}", f"b={made / 'more'}", "--groups", 1]
    asked += ["--detector", made / "detector.npz", "--perturbations", "noise-3"]
    assert run("detect", "robustness", *asked, "--out", tmp_path) == 0
    said = capsys.readouterr().err
    assert "b: 21 images in 2 groups" in said and "set the threshold" not in said
    with (tmp_path / "robustness.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        interval = rate_interval(2 * float(row["fake_accuracy"]), 2)
        assert_allclose(float(row["fake_accuracy_low"]), interval.low)
    assert [row["generated"] for row in rows] == ["a", "a", "b", "b"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("more/real --detector detector.npz", "at least one source of generated images"),
        ("more/real more/fake", "give --detector FILE"),
        ("more/real a= --detector detector.npz", "a=: write SOURCE, or NAME=SOURCE"),
        ("more/real =fake --detector detector.npz", "=fake: write SOURCE, or NAME=SOURCE"),
        ("more/real a=fake a=more/fake --detector detector.npz", "a is there already"),
        ("more/real fake fake --detector detector.npz", "fake is there already"),
        ("more/real a=nowhere --detector detector.npz", "nowhere"),
        (
            "more/real fake --detector detector.npz --detector more/detector.npz",
            "detector.npz is called detector as well",
        ),
        ("more/real fake --detector detector.npz --perturbations jpg", "did you mean jpeg"),
        ("more/real fake --detector detector.npz --weights w.npz", "no detector has frozen"),
        (
            "more/real fake --detector detector.npz --images 2 --perturbations resize-opencv-0.5",
            "after resize-opencv-0.5, which shrinks: images of 8x8 with 3 channels do not fit",
        ),
    ],
)
def test_what_cannot_be_measured_is_told(asked, said, made, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(made)
    assert run("detect", "robustness", *asked.split(), "--out", tmp_path / "out") == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_a_folder_with_an_equals_sign_and_a_made_source_are_sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b").mkdir()
    texts = ("a=b", "toy:powerlaw?n=9", "./x=y", "c=toy:x?n=2")
    assert real_and_fake.by_name(texts) == {
        "a=b": "a=b", "toy:powerlaw?n=9": "toy:powerlaw?n=9", "./x=y": "./x=y", "c": "toy:x?n=2",
    }  # fmt: skip


def test_curves_go_from_mild_to_strong_and_a_single_quality_is_a_bar():
    rate = measured_rate([True, False])
    names = ("none", "jpeg-50", "jpeg-95", "webp-80", "fog-2")
    rows = robustness_rows([Measured(name, rate, rate, 0.5) for name in names], "made")
    panel = _panel("jpeg", {"AUC": (rows, "auc")})
    assert panel.axis == "quality"
    assert [point.strength for point in panel.series["AUC"]] == [None, 95, 50]
    blocks = _charts({"AUC": (rows, "auc")}, "AUC")
    curves, bars = (block.content.axes for block in blocks)  # pyright: ignore
    titles = [axes.get_title(loc="left") for axes in curves if axes.get_visible()]
    assert titles == ["jpeg", "fog"]
    ticks = [text.get_text() for text in bars[0].get_yticklabels()]
    assert ticks == ["as they are", "WebP, quality 80"]


def test_a_panel_for_every_family_with_a_curve_and_intervals_for_every_series():
    points = [Point(None, 1.0, 0.9, 1.0), Point(95, 0.5, 0.4, 0.6), Point(50, 0.25, 0.2, 0.3)]
    panels = [
        Panel(name, "quality", {"a": points, "b": points[:2]}) for name in ("v", "w", "x", "y", "z")
    ]
    figure = strength_figure(panels, value_label="share")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == ["v", "w", "x", "y", "z"]
    assert {axes.get_xlabel() for axes in shown} == {"quality"}
    first, second = shown[4].lines
    assert np.asarray(first.get_xydata()).tolist() == [[0, 1], [1, 0.5], [2, 0.25]]
    assert [text.get_text() for text in shown[4].get_xticklabels()] == ["as is", "95", "50"]
    assert len(np.asarray(second.get_xydata())) == 2 and first.get_color() != second.get_color()
    lines = shown[4].collections[0].get_segments()  # pyright: ignore
    assert [[tuple(end) for end in line] for line in lines][1] == [(1, 0.4), (1, 0.6)]
    with pytest.raises(ValueError, match="nothing to draw"):
        strength_figure([])
