"""`evaluate` of points, and of stacks of digits."""

import json

import numpy as np
import pytest

from gan_forensics.data import open_source, take
from gan_forensics.data.toy_points import WORLDS
from gan_forensics.gans import GanConfig
from gan_forensics.quality import Extracted, FeatureExtractor, modes
from tests.test_cli import plain_terminal, refused, run  # noqa: F401
from tests.test_cli_evaluate import saved


@pytest.fixture
def points(tmp_path):
    """An archive of 2000 points, all of three modes of the nine."""
    grid = WORLDS["toy:grid9"]
    assert grid.centres is not None
    path = tmp_path / "points.npz"
    np.savez(path, point=np.tile(grid.centres[:3], (700, 1))[:2000])
    return f"npz:{path}"


def judged(out):
    results = json.loads(out.read_text())
    return {row["metric"]: row for row in results["quality"]}, results


def test_points_of_a_world_are_judged_by_its_modes(points, tmp_path, capsys):
    out = tmp_path / "r.json"
    assert run("evaluate", points, "--data", "toy:grid9?n=90", "-n", 2000, "--out", out) == 0
    said = capsys.readouterr().out
    assert "modes covered (of 9)" in said and "registered points of a perfect generator" in said
    rows, results = judged(out)
    assert rows["modes covered (of 9)"]["value"] == 3
    assert rows["registered points"]["value"] == rows["registered points"]["fake"] == 2000
    protocol = results["protocol"]
    assert protocol["metrics"]["registered points"]["of_modes"][:4] == [667, 667, 666, 0]
    assert "commit" in protocol and protocol["generated"] == points


def test_the_line_and_points_without_centres_are_judged_by_distances(tmp_path):
    out, options = tmp_path / "r.json", ["-n", 300]
    assert run("evaluate", "toy:line?seed=1", "--data", "toy:line", *options, "--out", out) == 0
    rows, _ = judged(out)
    assert rows["Wasserstein-1 distance"]["value"] < 0.4 and rows["mean"]["real"] == 300
    np.savez(tmp_path / "own.npz", point=np.random.default_rng(0).normal(size=(80, 3)))
    own = f"npz:{tmp_path / 'own.npz'}"
    assert run("evaluate", own, "--data", own, *options, "--out", out) == 0
    rows, _ = judged(out)
    assert rows["precision"]["value"] == rows["coverage"]["value"] == 1
    assert rows["sliced Wasserstein-1 distance"]["value"] == 0


def test_points_and_images_are_not_compared(points, tmp_path, capsys):
    said = refused(capsys, "evaluate", "samples:digits", "--data", "toy:grid9")
    assert "samples:digits has images, toy:grid9 points" in said
    options = ["--features", "random"]
    said = refused(capsys, "evaluate", points, "--data", "samples:digits", *options)
    assert "has points, samples:digits images" in said
    said = refused(capsys, "evaluate", points, "--data", "stacked:samples:digits")
    assert "has points" in said
    gan = saved(GanConfig("dcgan", "x", size=16, channels=1, latent=8, width=4), tmp_path / "run")
    assert "has images, toy:plus points" in refused(capsys, "evaluate", gan, "--data", "toy:plus")


@pytest.mark.parametrize("command", [["detect", "fit"], ["train", "detector", "--real"]])
def test_points_are_refused_where_images_are_meant(command, points, tmp_path, capsys):
    fake = ["--fake"] if "--real" in command else []
    for real in ("toy:grid9", points):
        options = [*command, real, *fake, "samples:photos", "--out", tmp_path / "d.npz"]
        assert f"{real} has points, and images are needed" in refused(capsys, *options)


def test_options_of_images_are_refused(points, capsys):
    given = {"--size": 8, "--metrics": "fid", "--features": "small", "--precision": "float32"}
    for option, value in given.items():
        said = refused(capsys, "evaluate", points, "--data", "toy:grid9", option, value)
        assert f"{option}: toy:grid9 has points" in said
    stacks = ["--data", "stacked:samples:digits"]
    said = refused(capsys, "evaluate", "samples:photos", *stacks, "--features", "random")
    assert "--features: the modes of stacked:samples:digits are counted by a classifier" in said


def test_points_of_another_dimension_are_one_line(points, capsys):
    said = refused(capsys, "evaluate", points, "--data", "toy:line")
    assert "real points have 1 coordinates, generated ones 2" in said


@pytest.fixture
def easy_digits(tmp_path, monkeypatch):
    """Flat "digits" of ten times their value, told apart without training."""
    level = np.repeat(np.arange(10), 20)
    image = np.broadcast_to((10 * level).astype(np.uint8)[:, None, None], (200, 4, 4))
    np.savez(tmp_path / "digits.npz", x=image, y=level)

    def flat(images):
        values = images[:, 0, 0, 0] // 10
        return Extracted(values[:, None].astype(np.float32), np.eye(10, dtype=np.float32)[values])

    extractor = FeatureExtractor("flat features", "0123456789", flat)
    monkeypatch.setattr(modes, "small_classifier_features", lambda *given, **more: extractor)
    return f"npz:{tmp_path / 'digits.npz'}"


def test_modes_of_stacks_stand_beside_those_of_known_ones(easy_digits, tmp_path, capsys):
    data, out = f"stacked:{easy_digits}", tmp_path / "r.json"
    stacks = take(open_source(f"{data}?seed=5"), np.arange(40))["image"]
    np.savez(tmp_path / "generated.npz", image=stacks[[0] * 600 + [1] * 600])
    fake = f"npz:{tmp_path / 'generated.npz'}"
    assert run("evaluate", fake, "--data", data, "-n", 1200, "--out", out) == 0
    said = capsys.readouterr().out
    assert "gets 1.000 of held-out digits right" in said and "true modes" in said
    rows, results = judged(out)
    assert rows["modes seen"]["value"] == rows["modes with half their share"]["value"] == 2
    assert rows["effective modes"]["value"] == 2 and rows["modes seen"]["fake"] == 1200
    assert [row["true_modes"] for row in results["calibration"]] == [1, 10, 50, 100, 300, 600, 1000]
    assert [row["seen"] for row in results["calibration"]][:4] == [1, 10, 50, 100]
    # Of the test split of the digits.
    assert run("evaluate", fake, "--data", data, "-n", 50, "--split", "test", "--out", out) == 0
    rows, _ = judged(out)
    (distance,) = [name for name in rows if "Frechet" in name]
    assert "FID" not in distance and rows[distance]["real"] == 50


def test_images_that_cannot_be_stacks_are_refused(easy_digits, tmp_path, capsys):
    data = ["--data", f"stacked:{easy_digits}"]
    said = refused(capsys, "evaluate", easy_digits, *data, "-n", 20)
    assert "4x4x1 and 4x4x3" in said and "three channels" in said
    said = refused(capsys, "evaluate", "samples:photos", *data, "-n", 20)
    assert "32x32x3 and 4x4x3" in said and "--size" in said
