"""`detect fit` and `detect score` as an analyst uses them: labels, sizes, formats, carriers."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from gan_forensics import cli
from gan_forensics.cli.labels import labels_of
from gan_forensics.cli.real_and_fake import groups_by, quality_of
from gan_forensics.data import load_image, open_source, power_law_textures
from gan_forensics.forensics import load_detector
from gan_forensics.forensics.measure import score_carried
from gan_forensics.report.detector_fit import CARRIER_WORDS
from gan_forensics.report.evidence import measured_lines

LOGISTIC = ("--classifier", "logistic")


def run(*arguments):
    with pytest.raises(SystemExit) as exit:
        cli.main([str(argument) for argument in arguments])
    return exit.value.code or 0


def write(folder, exponent, n, seed, *, size=32, suffix="png", **options):
    folder.mkdir(parents=True, exist_ok=True)
    for i, image in enumerate(power_law_textures(n, size, exponent=exponent, seed=seed)):
        Image.fromarray(image).save(folder / f"{i:03d}.{suffix}", **options)
    return folder


def scores_of(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("folders")
    return write(root / "real", 1.5, 110, 1), write(root / "fake", 1.0, 110, 2)


@pytest.fixture(scope="module")
def detector(folders):
    out = folders[0].parent.parent / "fitted" / "d.npz"
    assert run("detect", "fit", *folders, *LOGISTIC, "--out", out) == 0
    return out


# --- fit ----------------------------------------------------------------------------------------


def test_fit_says_target_and_measurement_and_writes_a_page(folders, tmp_path, capsys):
    out = tmp_path / "d.npz"
    assert run("detect", "fit", *folders, *LOGISTIC, "--out", out) == 0
    said = capsys.readouterr()
    made = load_detector(out)
    plain = made.calibration.as_they_are
    assert "44 real and 66 generated images trained it, 22 other real ones set" in said.out
    assert "22 real and 22 generated ones calibrated likelihood ratios" in said.out
    assert f"target 5.0%; measured on other real images {plain.false_alarms.words}" in said.out
    assert measured_lines(made.calibration)[0] in said.out
    assert "noise of 3 levels" in said.out and str(tmp_path / "d.html") in said.out
    assert "110 PNG, 32x32, RGB" in said.err and "WARNING" not in said.err
    page = (tmp_path / "d.html").read_text(encoding="utf-8")
    assert "screenshot at 125 %" in page and "no better than chance" in page
    for tier in ("clean", "web", "hard"):
        assert f"Likelihood ratios, {tier}: " in said.out
    assert made.facts["generators"] == {str(folders[1]): 110}
    assert "Generators: " in page and "weak support for photograph" in page
    assert made.facts["real"] == str(folders[0]) and made.facts["audit"]["biased"] is False


def test_the_seed_of_the_command_parts_the_images(folders, detector, tmp_path):
    out = tmp_path / "d.npz"
    assert run("detect", "fit", *folders, *LOGISTIC, "--seed", 3, "--out", out) == 0
    made, first = load_detector(out), load_detector(detector)
    assert (made.calibration.seed, first.calibration.seed) == (3, 0)
    assert made.threshold != first.threshold


def test_a_detector_that_never_fires_says_so(tmp_path, capsys):
    alike = write(tmp_path / "a", 1.5, 60, 1), write(tmp_path / "b", 1.5, 60, 5)
    out = tmp_path / "d.npz"
    fit = ("detect", "fit", *alike, "--out", out, "--false-alarms", 0.1)
    assert run(*fit) == 0
    never = load_detector(out).calibration.as_they_are.detected.events == 0
    assert ("It called no generated image generated" in capsys.readouterr().out) == never
    assert never


def test_groups_keep_together_and_are_said(folders, tmp_path, capsys):
    root = tmp_path / "images"
    for kind, exponent in (("real", 1.5), ("fake", 1.0)):
        for photo in range(30):
            write(root / kind / f"p{photo}", exponent, 3, photo)
    fit = ("detect", "fit", root / "real", root / "fake", *LOGISTIC, "--out", tmp_path / "d.npz")
    assert run(*fit, "--groups", 1) == 2
    assert "30 groups of real images leave 6" in " ".join(capsys.readouterr().err.split())
    assert run(*fit, "--groups", 1, "--false-alarms", 0.2) == 0
    said = capsys.readouterr()
    assert "90 images in 30 groups" in said.err and "30 groups have real and generated" in said.err
    made = load_detector(tmp_path / "d.npz").calibration
    assert made.groups == 6 and made.as_they_are.false_alarms.groups == 6
    assert (made.n_real, made.n_fake, made.as_they_are.detected.n) == (54, 54, 18)
    assert "18 in 6 groups" in said.out
    sources = open_source(str(root / "real")), open_source(str(folders[1]))
    assert [len(set(of)) for of in groups_by(("a", "b"), sources, "1")] == [30, 110]
    assert "b: 110 images in 110 groups" in capsys.readouterr().err
    with pytest.raises(ValueError, match="--groups 1: a: .* lies in 0 folders"):
        groups_by(("a", "b"), sources[::-1], "1")
    assert run(*fit, "--groups", "photo", "--false-alarms", 0.2) == 2
    assert "--groups photo" in capsys.readouterr().err


def test_formats_that_differ_are_warned_of_and_recoding_mends_it(tmp_path, capsys):
    real = write(tmp_path / "real", 1.5, 110, 1, suffix="jpg", quality=70)
    fake = write(tmp_path / "fake", 1.5, 110, 2)
    out = tmp_path / "d.npz"
    fit = ("detect", "fit", real, fake, *LOGISTIC, "--out", out)
    assert run(*fit) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "WARNING" in said and "--recode jpeg:40 compresses all alike" in said
    assert "Warning: without a look" in (tmp_path / "d.html").read_text(encoding="utf-8")
    biased = load_detector(out)
    assert biased.facts["audit"]["biased"] and biased.calibration.as_they_are.auc > 0.75
    assert run(*fit, "--recode", "jpeg:40") == 0
    assert "no better than chance" in capsys.readouterr().err
    mended = load_detector(out)
    assert mended.preprocessing.recode == 40
    assert 0.3 < mended.calibration.as_they_are.auc < 0.7
    plain = mended.calibration.as_they_are
    assert plain.detected.low < plain.false_alarms.high


def test_matched_sizes_are_cut_from_images_of_all_sizes(tmp_path, capsys):
    for size in (24, 32):
        write(tmp_path / "real" / str(size), 1.5, 55, size, size=size)
        write(tmp_path / "fake" / str(size), 0.5, 55, size + 1, size=size + 8)
    out = tmp_path / "d.npz"
    fit = ("detect", "fit", tmp_path / "real", tmp_path / "fake", *LOGISTIC, "--out", out)
    assert run(*fit) == 2
    assert "--match-sizes" in capsys.readouterr().err
    assert run(*fit, "--match-sizes", "--size", 24) == 2
    assert run(*fit, "--match-sizes") == 0
    assert (
        "every image is cut to the central 24x24, here and when scored" in capsys.readouterr().err
    )
    assert load_detector(out).preprocessing.crop == 24
    small = write(tmp_path / "suspects", 1.5, 1, 3, size=20)
    write(small / "large", 1.5, 1, 4, size=60)
    scores = ("detect", "score", small, "--detector", out, "--out", tmp_path / "s.csv")
    assert run(*scores) == 0
    rows = scores_of(tmp_path / "s.csv")
    assert "smaller than the square of 24" in rows[0]["error"]
    assert rows[1]["verdict"] and "longer side 60 (fitted on 24 to 40)" in rows[1]["outside"]


@pytest.mark.parametrize("given", ["webp:80", "jpeg", "jpeg:0", "jpeg:101", "jpeg:x"])
def test_recode_takes_a_quality_of_jpeg(given):
    with pytest.raises(ValueError, match="give jpeg:QUALITY"):
        quality_of(given)
    assert quality_of("jpeg:75") == 75 and quality_of(None) is None


# --- score --------------------------------------------------------------------------------------


def test_a_size_is_of_the_detector_and_scores_are_those_of_images_resized_by_hand(
    folders, tmp_path
):
    out, csv_file = tmp_path / "d.npz", tmp_path / "s.csv"
    assert run("detect", "fit", *folders, *LOGISTIC, "--size", 16, "--out", out) == 0
    suspects = write(tmp_path / "suspects", 1.0, 5, 9, size=48)
    assert run("detect", "score", suspects, "--detector", out, "--out", csv_file) == 0
    rows = scores_of(csv_file)
    by_hand = [
        np.array(Image.open(suspects / f"{i:03d}.png").resize((16, 16), Image.Resampling.BILINEAR))
        for i in range(5)
    ]
    expected = load_detector(out).score(by_hand)
    assert [float(row["score"]) for row in rows] == pytest.approx(expected, rel=1e-5)
    assert all("side 48 (fitted on 32)" in row["outside"] for row in rows)


def test_nothing_scored_is_a_failure(detector, tmp_path, capsys):
    suspects = write(tmp_path / "suspects", 1.5, 2, 3, size=20)
    out = tmp_path / "s.csv"
    assert run("detect", "score", suspects, "--detector", detector, "--out", out) == 1
    assert "none of 2 could be scored" in capsys.readouterr().err
    assert len(scores_of(out)) == 2


def test_verdicts_that_a_carrier_turns_over_are_unsure(folders, detector, tmp_path, capsys):
    out, bare = tmp_path / "s.csv", tmp_path / "bare.npz"
    # Without likelihood ratios carriers alone make a verdict unsure.
    made = replace(load_detector(detector), calibrators={})
    made.save(bare)
    root = folders[0].parent
    assert run("detect", "score", root, "--detector", bare, "--out", out) == 0
    plain = {row["path"]: row for row in scores_of(out)}
    assert "spread" not in plain[str(folders[0] / "000.png")]
    for row in plain.values():
        # One image set the threshold; six digits do not tell on which side it lies.
        called = float(row["score"]) > made.threshold * (1 + 1e-5)
        assert row["verdict"] == ("generated" if called else "photograph")
    assert run("detect", "score", root, "--detector", bare, "--out", out, "--carriers") == 0
    said = capsys.readouterr().out
    carriers = ("none", "jpeg-75", "webp-80", "down-up-0.75")
    verdicts = []
    for row in scores_of(out)[::20]:
        scores = score_carried(made, [load_image(row["path"])], carriers)[:, 0]
        above = set(scores > made.threshold)
        expected = "unsure" if len(above) == 2 else "generated" if above == {True} else "photograph"
        assert row["verdict"] == expected and row["score"] == plain[row["path"]]["score"]
        assert row["why"].startswith("turned over by ") == (expected == "unsure")
        assert float(row["spread"]) == pytest.approx(np.ptp(scores), rel=1e-4)
        verdicts.append(expected)
    unsure = sum(row["verdict"] == "unsure" for row in scores_of(out))
    assert 0 < unsure < 220 and f"{unsure} unsure" in said
    # Who is unsure raises no false alarm and misses nothing.
    wrong = sum(r["label"] == "generated" and r["verdict"] == "photograph" for r in scores_of(out))
    assert f"({wrong} of 110; " in said


def test_files_unlike_those_of_the_fit_are_marked(detector, tmp_path, capsys):
    suspects = write(tmp_path / "suspects", 1.0, 1, 4)
    image = Image.open(suspects / "000.png")
    image.save(suspects / "a.jpg", quality=80)
    image.save(suspects / "a70.jpg", quality=70)  # of the tier web, which has a calibrator
    image.save(suspects / "b.webp")
    image.convert("L").save(suspects / "c.png")
    image.quantize(64).save(suspects / "d.png")
    out = tmp_path / "s.csv"
    assert run("detect", "score", suspects, "--detector", detector, "--out", out) == 0
    rows = {row["path"].rpartition("/")[2]: row for row in scores_of(out)}
    found = {name: row["outside"] for name, row in rows.items()}
    assert found == {
        "000.png": "",
        "a70.jpg": "",
        "a.jpg": "JPEG (fitted on PNG)",
        "b.webp": "WEBP (fitted on PNG)",
        "c.png": "gray (fitted on RGB)",
        "d.png": "palette (fitted on RGB)",
    }
    for name, row in rows.items():
        unlike = row["why"] == "its file is unlike those that the detector was fitted on"
        assert unlike == (found[name] != "") and (not unlike or row["verdict"] == "unsure")
    said = capsys.readouterr().out
    assert "4 are unlike the files" in said
    # The tier that the user states says by what a file is judged, of a JSON too.
    again = ("detect", "score", tmp_path / "s.json", "--out", tmp_path / "t.csv")
    assert run(*again) == 0
    assert [row["outside"] for row in scores_of(tmp_path / "t.csv")] == [
        row["outside"] for row in scores_of(out)
    ]
    assert run(*again, "--tier", "web") == 0
    stated = [row["outside"] for row in scores_of(tmp_path / "t.csv")]
    assert stated == ["", "", "", "", "gray (fitted on RGB)", "palette (fitted on RGB)"]
    page = (tmp_path / "s.html").read_text(encoding="utf-8")
    # Above the images, and where it is asked what was compared.
    assert page.count("4 are unlike the files") == 2
    assert "WEBP (fitted on PNG)" in page and "JPEG, quality 80" in page


def test_a_robust_detector_has_seen_what_carriers_make(folders, tmp_path, capsys):
    out = tmp_path / "d.npz"
    assert run("detect", "fit", *folders, *LOGISTIC, "--robust", "--out", out) == 0
    facts = load_detector(out).facts
    assert facts["robust"] is True
    said = capsys.readouterr().out
    assert f"it was set by images {CARRIER_WORDS[facts['strictest']]}, at the cost" in said
    suspects = write(tmp_path / "s", 1.0, 1, 4, suffix="jpg", quality=60)
    write(suspects, 1.0, 2, 4, suffix="webp")
    write(suspects / "coarse", 1.0, 1, 4, suffix="jpg", quality=30)
    write(suspects / "fine", 1.0, 1, 4, suffix="jpg", quality=95)
    assert run("detect", "score", suspects, "--detector", out, "--out", tmp_path / "s.csv") == 0
    found = [row["outside"] for row in scores_of(tmp_path / "s.csv")]
    # Coarse ones are of the tier hard, which has a calibrator.
    assert found == ["", "", "", "", "JPEG quality 95 (fitted on 50 to 90)"]


# --- labels -------------------------------------------------------------------------------------


def paths(tmp_path, *names):
    return [tmp_path / name for name in names]


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        (("nature", "ai"), ("real", "generated")),
        (("original", "Synthetic"), ("real", "generated")),
        (("0_real", "1_fake"), ("real", "generated")),
        (("0", "1"), ("", "")),
        (("cat", "dog"), ("", "")),
        (("real", "stylegan2"), ("real", "")),
    ],
)
def test_words_are_taken_for_what_they_say_or_asked_about(words, labels, tmp_path):
    files = paths(tmp_path, f"{words[0]}/a.png", f"{words[1]}/b.png", f"{words[1]}/c.png")
    found, lines = labels_of(files, tmp_path)
    assert [found[path] for path in files] == [labels[0], labels[1], labels[1]]
    said = " ".join(lines)
    for word, label in zip(words, labels, strict=True):
        assert repr(word) in said
        assert ("--real-is" in said) == ("" in labels)
        if label:
            assert f"{word!r} for {label} ({1 if word == words[0] else 2})" in said


def test_the_folder_of_real_images_may_be_named(tmp_path):
    files = paths(tmp_path, "x/0/a.png", "x/1/b.png", "y/2/c.png", "x/1/fake/d.png", "e.png")
    found, lines = labels_of(files, tmp_path, real_is="0")
    assert list(found.values()) == ["real", "generated", "", "generated", ""]
    assert lines == ["'0' is taken for real (1), folders beside it for generated (2)"]
    with pytest.raises(ValueError, match="no folder of that name below .*; there are '?0'?, "):
        labels_of(files, tmp_path, real_is="real")


def test_folders_that_say_nothing_are_no_labels(tmp_path):
    assert labels_of(paths(tmp_path, "a.png", "b.png"), tmp_path)[1] == []
    assert labels_of([tmp_path / "real" / "a.png"], tmp_path / "real" / "a.png")[1] == []


def test_score_says_what_it_took_and_asks_with_an_option(folders, detector, tmp_path, capsys):
    write(tmp_path / "0", 1.5, 6, 3), write(tmp_path / "1", 1.0, 5, 4)
    score = ("detect", "score", tmp_path, "--detector", detector, "--out", tmp_path / "s.csv")
    assert run(*score) == 0
    said = capsys.readouterr()
    assert "AUC" not in said.out and "--real-is" in said.err
    assert run(*score, "--real-is", "0") == 0
    said = capsys.readouterr()
    assert "6 real images" in said.out and "5 generated images" in said.out and "AUC" in said.out
    assert {row["label"] for row in scores_of(tmp_path / "s.csv") if row["score"]} == {
        "real", "generated",
    }  # fmt: skip
    assert run(*score, "--real-is", "photos") == 2


def test_images_of_one_class_have_their_rate(folders, detector, tmp_path, capsys):
    write(tmp_path / "fake", 1.0, 5, 4)
    score = ("detect", "score", tmp_path, "--detector", detector, "--out", tmp_path / "s.csv")
    assert run(*score) == 0
    said = capsys.readouterr()
    assert "5 generated images: " in said.out and "missed" in said.out and "AUC" not in said.out
    # Of its verdicts, as `detect fit` and the page have them too, and not of the threshold alone.
    of = load_detector(detector).calibration.outcomes_of("clean")
    (line,) = measured_lines(load_detector(detector).calibration)
    assert f"{of.false_alarms.words} of real and {of.detected.words} of generated images" in line
    assert of.fake_unsure.words in line and line in said.err
    assert line in (tmp_path / "s.html").read_text(encoding="utf-8").replace("When it", "when it")


def test_files_that_cannot_be_read_are_told_before_the_fit(folders, tmp_path, capsys):
    broken = write(tmp_path / "broken", 1.5, 30, 1)
    whole = (broken / "003.png").read_bytes()
    (broken / "a.png").write_bytes(whole[:20])
    out = tmp_path / "d.npz"
    assert run("detect", "fit", broken, folders[1], "--false-alarms", 0.2, "--out", out) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "broken: 1 files cannot be read, and are not audited" in said
    assert (
        "1 of 141 images cannot be read; remove them or leave them out (on_bad_image='skip'" in said
    )
    assert "a.png: damaged" in said
    out.unlink(missing_ok=True)
    skip = ("--false-alarms", 0.2, "--out", out, "--on-bad-image", "skip")
    assert run("detect", "fit", broken, folders[1], *skip) == 0
    assert "real: 1 of 31 left out (they cannot be read): " in capsys.readouterr().out
    kept = load_detector(out).facts["left_out"]["real"]
    assert kept["images"] == 31 and kept["unread"]["count"] == 1 and kept["flat"]["count"] == 0
