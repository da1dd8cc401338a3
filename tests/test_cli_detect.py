"""`detect fit` and `detect score`: what is decoded, and how much of it is in memory at a time."""

import csv
import weakref

import numpy as np
import pytest
from PIL import Image

from gan_forensics import cli, data
from gan_forensics.data import power_law_textures, save_png
from gan_forensics.data import sources as data_sources
from gan_forensics.forensics import canvases, detector_scorer
from gan_forensics.forensics import score_stream as scoring

WIDE = (16, 24)


def run(*arguments):
    with pytest.raises(SystemExit) as exit:
        cli.main([str(argument) for argument in arguments])
    return exit.value.code or 0


def write_images(folder, exponent, n, seed, shape=WIDE):
    images = power_law_textures(n, max(shape), exponent=exponent, seed=seed)
    for i, image in enumerate(images):
        save_png(folder / f"{i:03d}.png", image[: shape[0], : shape[1]])
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("folders")
    return write_images(root / "real", 1.5, 130, 1), write_images(root / "fake", 0.5, 130, 2)


@pytest.fixture(scope="module")
def detector(folders, tmp_path_factory):
    out = tmp_path_factory.mktemp("fitted") / "detector.npz"
    assert run("detect", "fit", *folders, "--features", "dct", "--out", out) == 0
    return out


@pytest.fixture
def decoded(monkeypatch):
    """Paths of the images that were decoded, and the most pixels of them that were alive."""
    found = {"paths": [], "pixels": 0, "most": 0, "images": 0, "most_images": 0}
    load = data.load_image

    def watched(path, **options):
        image = load(path, **options)
        pixels = image.shape[0] * image.shape[1]

        def gone():
            found["pixels"] -= pixels
            found["images"] -= 1

        found["paths"].append(str(path))
        found["pixels"] += pixels
        found["images"] += 1
        found["most"] = max(found["most"], found["pixels"])
        found["most_images"] = max(found["most_images"], found["images"])
        weakref.finalize(image, gone)
        return image

    monkeypatch.setattr(data, "load_image", watched)
    monkeypatch.setattr(data_sources, "load_image", watched)
    return found


def score(folder, detector, out):
    assert run("detect", "score", folder, "--detector", detector, "--out", out) == 0
    with out.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_images_of_another_size_are_refused_without_being_decoded(
    folders, detector, decoded, tmp_path
):
    suspects = write_images(tmp_path / "suspects", 1.0, 2, 3)
    for i in range(8, 13):
        save_png(suspects / f"large{i}.png", np.zeros((300, 400, 3), np.uint8))
    rows = score(suspects, detector, tmp_path / "scores.csv")
    assert [row["verdict"] != "" for row in rows] == [True, True] + 5 * [False]
    assert all("300x400 with 3 channels do not fit" in row["error"] for row in rows[2:])
    assert [row["path"].rpartition("large")[2] for row in rows[2:4]] == ["8.png", "9.png"]
    assert decoded["paths"] == [str(suspects / f"00{i}.png") for i in range(2)]


def test_sides_are_those_after_the_turn_that_a_camera_asks_for(detector, tmp_path):
    (tmp_path / "suspects").mkdir()
    for name, shape in (("turned", (24, 16, 3)), ("upright", (16, 24, 3))):
        pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.fromarray(pixels).save(tmp_path / "suspects" / f"{name}.png", exif=exif)
    rows = score(tmp_path / "suspects", detector, tmp_path / "scores.csv")
    assert [row["verdict"] != "" for row in rows] == [True, False]
    assert "24x16 with 3 channels do not fit" in rows[1]["error"]


def test_images_are_scored_a_few_pixels_at_a_time(
    folders, detector, decoded, tmp_path, monkeypatch
):
    whole = score(folders[0], detector, tmp_path / "whole.csv")
    assert decoded["most_images"] == 64
    monkeypatch.setattr(scoring, "PIXELS_AT_ONCE", 5 * WIDE[0] * WIDE[1])
    decoded["most"] = 0
    assert score(folders[0], detector, tmp_path / "few.csv") == whole
    assert decoded["most"] <= 5 * WIDE[0] * WIDE[1]


def test_image_at_which_scoring_fails_is_a_row_and_a_process_that_dies_leaves_its_rows(
    folders, detector, tmp_path, monkeypatch, capsys
):
    suspects = tmp_path / "suspects"
    suspects.mkdir()
    for k, path in enumerate(sorted(folders[0].iterdir())[:4]):
        (suspects / f"{k}.png").write_bytes(path.read_bytes())
    whole = score(suspects, detector, tmp_path / "whole.csv")
    scored, bad = detector_scorer.score_carried, data.load_image(suspects / "2.png")

    def fails(detector, images, names):
        if any(np.array_equal(image, bad) for image in images):
            raise MemoryError
        return scored(detector, images, names)

    monkeypatch.setattr(detector_scorer, "score_carried", fails)
    rows = score(suspects, detector, tmp_path / "rows.csv")
    assert rows[2]["error"] == f"{suspects / '2.png'}: it needs more memory than there is; " + (
        "crop or shrink it"
    )
    assert [*rows[:2], rows[3]] == [*whole[:2], whole[3]]

    def dies(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(scoring, "AT_ONCE", 2)
    monkeypatch.setattr(detector_scorer, "score_carried", lambda *given: (
        dies() if np.array_equal(given[1][0], bad) else scored(*given)
    ))  # fmt: skip
    run("detect", "score", suspects, "--detector", detector, "--out", tmp_path / "dead.csv")
    (kept,) = tmp_path.glob("dead.partial-*.csv")
    assert len(kept.read_text().splitlines()) == 3 and not (tmp_path / "dead.csv").exists()
    assert "2 rows that were ready are in" in capsys.readouterr().err


def test_fitting_keeps_no_more_than_a_batch_of_images(folders, decoded, tmp_path, monkeypatch):
    fit = ("detect", "fit", *folders, "--features", "dct", "--out", tmp_path / "detector.npz")
    assert run(*fit) == 0
    # All are surveyed, the first of each tells the size, and those that are measured on go through
    # carriers as well.
    assert len(decoded["paths"]) == 2 * (130 + 131) + 2 * 27
    assert decoded["most_images"] <= 65
    decoded["most_images"] = 0
    monkeypatch.setattr(canvases, "PIXELS", 4 * WIDE[0] * WIDE[1])
    assert run(*fit) == 0
    assert decoded["most_images"] <= 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--false-alarms", "0.01"],
            "accept more false alarms (--false-alarms 0.04; in Python calibration=0.04",
        ),
        (["--false-alarms", "2"], "--false-alarms 2: it must lie between 0 and 1"),
    ],
)
def test_errors_of_fitting_name_the_option(options, message, folders, tmp_path, capsys):
    assert run("detect", "fit", *folders, "--out", tmp_path / "d.npz", *options) == 2
    assert message in " ".join(capsys.readouterr().err.split())
