"""What the commands say of folders: what is left out, held out, made gray, converted."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from gan_forensics.data import power_law_textures, save_png
from gan_forensics.forensics import load_detector
from tests.test_cli import detector, folders, plain_terminal, read_csv, refused, run  # noqa: F401
from tests.test_data_listing import JXL

SMALL = ["--size", 16, "--width", 4, "--latent", 8, "--batch-size", 8]


@pytest.fixture
def suspects(tmp_path):
    """Three images of whatever names, one of JPEG XL, a note, and a link to outside."""
    images = power_law_textures(4, 32, exponent=1.5, seed=7)
    folder = tmp_path / "suspects"
    save_png(folder / "a.png", images[0])
    Image.fromarray(images[1]).save(folder / "b.jfif", "JPEG")
    Image.fromarray(images[2]).save(folder / "download", "JPEG")
    (folder / "IMG_1.JXL").write_bytes(JXL)
    (folder / "notes.txt").write_text("x")
    save_png(tmp_path / "elsewhere" / "d.png", images[3])
    (folder / "d.png").symlink_to("../elsewhere/d.png")
    return folder


LEFT_OUT = (
    "3 of 6 files left out: 1 JPEG XL, which is not read: convert to PNG (IMG_1.JXL); "
    "1 a link that leaves the folder (see --follow-links) (d.png); 1 not an image (notes.txt)"
)


def test_detect_score_has_a_line_for_every_file(detector, suspects, tmp_path, capsys):  # noqa: F811
    command = ["detect", "score", suspects, "--detector", detector, "--out", tmp_path / "s.csv"]
    assert run(*command) == 0
    said = capsys.readouterr()
    assert f"{suspects}: {LEFT_OUT}\n" in said.err
    assert "3 images scored" in said.out
    lines = {os.path.basename(line["path"]): line for line in read_csv(tmp_path / "s.csv")}
    assert list(lines) == sorted(lines) and len(lines) == 6
    for name, reason in (
        ("IMG_1.JXL", "JPEG XL"),
        ("d.png", "link"),
        ("notes.txt", "not an image"),
    ):
        assert lines[name]["error"].startswith(f"{suspects / name}: ") and reason in str(
            lines[name]
        )
        assert lines[name]["score"] == ""
    for name in ("a.png", "b.jfif", "download"):
        assert lines[name]["error"] == "" and float(lines[name]["score"]) >= 0
    assert run(*command, "--follow-links") == 0
    assert "4 images scored" in capsys.readouterr().out


def test_detect_score_of_a_folder_without_any_image_still_has_the_lines(
    detector, tmp_path, capsys  # noqa: F811
):  # fmt: skip
    (tmp_path / "a.JXL").write_bytes(JXL)
    out = tmp_path / "out" / "s.csv"
    assert run("detect", "score", tmp_path, "--detector", detector, "--out", out) == 1
    (line,) = read_csv(out)
    assert "JPEG XL" in line["error"] and "none of 1 could be scored" in capsys.readouterr().err


def test_one_image_may_be_a_link_and_not_a_pipe(detector, suspects, tmp_path, capsys):  # noqa: F811
    score = ["--detector", detector, "--out", tmp_path / "s.csv"]
    assert run("detect", "score", suspects / "d.png", *score) == 0
    assert "1 images scored" in capsys.readouterr().out
    os.mkfifo(tmp_path / "pipe.png")
    assert run("detect", "score", tmp_path / "pipe.png", *score) == 1
    (line,) = read_csv(tmp_path / "s.csv")
    assert "not a regular file" in line["error"]


def test_conversions_are_said_once_with_their_number(detector, tmp_path, capsys):  # noqa: F811
    images = power_law_textures(3, 32, exponent=1.5, seed=7)
    for k, image in enumerate(images):
        Image.fromarray(image).convert("CMYK").save(tmp_path / f"{k}.jpg")
    command = ["detect", "score", tmp_path, "--detector", detector, "--out", tmp_path / "s.csv"]
    assert run(*command) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "CMYK" in line] == [
        "3 CMYK images converted without a usable profile, as R = (1 - C) (1 - K)"
    ]
    assert all(line["score"] for line in read_csv(tmp_path / "s.csv"))


def test_gray_images_have_the_scores_of_the_same_images_in_rgb(detector, tmp_path):  # noqa: F811
    gray = power_law_textures(4, 32, exponent=1.5, seed=7)[..., :1]
    scores = []
    for name, images in (("gray", gray), ("rgb", gray.repeat(3, -1))):
        for k, image in enumerate(images):
            save_png(tmp_path / name / f"{k}.png", image)
        out = tmp_path / f"{name}.csv"
        assert run("detect", "score", tmp_path / name, "--detector", detector, "--out", out) == 0
        scores.append([line["score"] for line in read_csv(out)])
    assert scores[0] == scores[1] and all(scores[0])


def test_detect_fit_takes_gray_and_coloured_folders_together(tmp_path, capsys):
    real = power_law_textures(120, 16, exponent=1.5, seed=0)[..., :1]
    for k, (a, b) in enumerate(
        zip(real, power_law_textures(120, 16, exponent=0.5, seed=1), strict=True)
    ):
        save_png(tmp_path / "real" / ("Train" if k < 90 else "val") / f"{k}.png", a)
        save_png(tmp_path / "fake" / f"{k}.png", b)
    (tmp_path / "real" / "notes.txt").write_text("x")
    out = tmp_path / "d.npz"
    assert run("detect", "fit", tmp_path / "real", tmp_path / "fake", "--out", out) == 0
    said = capsys.readouterr().err
    assert f"{tmp_path / 'real'}: 1 of 121 files left out: 1 not an image (notes.txt)" in said
    line = "splits: train 90 of Train/, test 30 of val/; taken are 120 of 120"
    assert said.count(f"{tmp_path / 'real'}: {line}\n") == said.count("splits: ") == 1
    splits = {"train": {"Train/": 90}, "test": {"val/": 30}}
    assert load_detector(out).facts["splits"] == {str(tmp_path / "real"): splits}
    # So do the results of what measures; and how a list was read is kept.
    (tmp_path / "fake" / "list.csv").write_text("path;label\n0.png;1\n1.png;1\n")
    fake = f"list:{tmp_path / 'fake' / 'list.csv'}"
    asked = (tmp_path / "real", fake, "--detector", out, "--perturbations", "noise-3")
    assert run("detect", "robustness", *asked, "--images", 3, "--out", tmp_path / "r") == 0
    assert run("spectrum", tmp_path / "real", "--out", tmp_path / "r") == 0
    measured, drawn = (
        json.loads((tmp_path / "r" / f"{name}.json").read_text())
        for name in ("results", "spectrum")
    )
    assert measured["splits"] == drawn["splits"] == {str(tmp_path / "real"): splits}
    assert measured["read_as"] == {fake: "semicolons between cells"} and "read_as" not in drawn
    assert run("detect", "score", tmp_path, "--detector", out, "--out", tmp_path / "s.csv") == 0


def test_train_says_what_it_takes_and_all_is_taken_when_asked(
    suspects, tmp_path, monkeypatch, capsys
):
    seen = []

    def fit(learner, batches, *, run, **options):
        seen.append((learner.config, next(batches)["image"].shape))
        return SimpleNamespace(step=1)

    monkeypatch.setattr("gan_forensics.gans.runs.fit", fit)
    monkeypatch.setattr("gan_forensics.report.report_run", lambda run: "page")
    options = [*SMALL, "--data", suspects, "--batch-size", 1, "--out", tmp_path / "run"]
    assert run("train", "dcgan", *options) == 0
    said = capsys.readouterr().err
    assert f"{suspects}: {LEFT_OUT}\n" in said
    assert f"{suspects}: 2 of 3 images train, 1 are held out (--split all takes everything)" in said
    assert "2 images of 32x32 (width x height) are resized to 16x16" in said
    assert run("train", "dcgan", *options, "--split", "all", "--follow-links") == 0
    assert f"{suspects}: 4 images train\n" in capsys.readouterr().err
    (suspects / "a.png").write_bytes((suspects / "a.png").read_bytes()[:99])
    bad = [*options, "--split", "all", "--batch-size", 3]
    assert "a.png: damaged or truncated" in refused(capsys, "train", "dcgan", *bad)
    assert run("train", "dcgan", *bad, "--on-bad-image", "skip") == 0
    assert "1 images could not be used" in capsys.readouterr().err
    assert seen[0][1] == (1, 16, 16, 3) and seen[1][0]["split"] == "all"
    assert json.loads((tmp_path / "run" / "data.json").read_text())["images"] == 3


def test_evaluate_compares_gray_with_gray_and_with_colour(tmp_path, capsys):
    images = power_law_textures(20, 16, exponent=1.5, seed=0)
    for k, image in enumerate(images):
        part = "TRAINING" if k < 15 else "valid"
        save_png(tmp_path / "gray" / part / f"{k}.png", image[..., :1])
        save_png(tmp_path / "same" / "x" / f"{k}.png", image[..., :1].repeat(3, -1))
    (tmp_path / "gray" / "notes.txt").write_text("x")
    options = ["--features", "random", "--metrics", "fid", "--out", tmp_path / "r.json"]
    values = []
    for fake in ("gray", "same"):
        assert run("evaluate", tmp_path / fake, "--data", tmp_path / "gray", *options) == 0
        results = json.loads((tmp_path / "r.json").read_text())
        values.append(results["quality"][0]["value"])
        splits = {"train": {"TRAINING/": 15}, "test": {"valid/": 5}}
        judged = {str(tmp_path / "same"): {"classes": {"x": 0}}} if fake == "same" else {}
        assert results["protocol"]["folders"] == judged | {
            str(tmp_path / "gray"): {"splits": splits}
        }
        said = capsys.readouterr().err
        line = "gray: splits: train 15 of TRAINING/, test 5 of valid/; taken are 20 of 20\n"
        assert said.count(line) == 1 + (fake == "gray")
        assert "1 of 21 files left out: 1 not an image (notes.txt)" in said
        assert ("all are read as RGB" in said) == (fake == "same")
    np.testing.assert_allclose(values, 0, rtol=0, atol=1e-4)


def test_folders_of_nothing_but_other_files_say_what_they_hold(tmp_path, capsys):
    for k in range(3):
        (tmp_path / f"{k}.JXL").write_bytes(JXL)
    said = refused(capsys, "train", "dcgan", "--data", tmp_path, "--out", tmp_path / "run")
    assert "no images in this folder or below: 3 of 3 files left out: 3 JPEG XL" in said
    assert "(0.JXL, ...)" in said


def test_names_that_cannot_be_printed_have_a_line_each(detector, tmp_path, capsys):  # noqa: F811
    folder = tmp_path / "odd"
    folder.mkdir()
    image = power_law_textures(1, 32, exponent=1.5, seed=7)[0]
    names = [b"caf\xe9.png", b"two\nlines.png", b"esc\x1b[31m.png"]
    for name in names:
        save_png(tmp_path / "x.png", image)
        os.rename(tmp_path / "x.png", os.path.join(os.fsencode(folder), name))
    out = tmp_path / "s.csv"
    assert run("detect", "score", folder, "--detector", detector, "--out", out) == 0
    lines = read_csv(out)
    assert len(lines) == 3 and all(line["score"] for line in lines)
    assert [line["path"].rsplit("/", 1)[1] for line in lines] == [
        "caf\\udce9.png",
        "esc\\x1b[31m.png",
        "two\\nlines.png",
    ]
    assert "\x1b" not in capsys.readouterr().out


def test_no_score_at_all_is_a_failure_with_its_reason(detector, tmp_path, capsys):  # noqa: F811
    (tmp_path / "notes.txt").write_text("text")
    out = tmp_path / "out" / "s.csv"
    command = ["detect", "score", tmp_path / "notes.txt", "--detector", detector, "--out", out]
    assert run(*command) == 1
    assert "none of 1 could be scored" in capsys.readouterr().err
    assert len(read_csv(out)) == 1
