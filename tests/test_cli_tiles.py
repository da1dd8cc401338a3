"""`detect recalibrate --tiles` and `detect score` on whole photographs, as a newsroom has them."""

import csv
import json

import numpy as np
import pytest

from gan_forensics import cli
from gan_forensics.data import save_png
from gan_forensics.forensics import load_detector
from tests.made_tiles import brightness, drawn


def run(*arguments):
    with pytest.raises(SystemExit) as exit:
        cli.main([str(argument) for argument in arguments])
    return exit.value.code or 0


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiles")
    brightness().save(root / "d.npz")
    rng = np.random.default_rng(0)
    (root / "archive").mkdir()
    for number, level in enumerate(rng.normal(80, 15, 40).astype(int)):
        sides = (2, 3) if number % 2 else (3, 17)  # the longer ones are of another size class
        save_png(root / "archive" / f"{number:02d}.png", drawn([[level] * sides[1]] * sides[0]))
    save_png(root / "archive" / "thumbnail.png", drawn([[80]])[:-1])
    (root / "new").mkdir()
    save_png(root / "new" / "dark.png", drawn([[60] * 3] * 2))
    save_png(root / "new" / "light.png", drawn([[200] * 3] * 2))
    save_png(root / "new" / "huge.png", drawn([[200] * 40] * 2))
    return root


def test_an_archive_alone_makes_a_detector_of_whole_photographs(root, capsys):
    out = root / "mine.npz"
    change = ("detect", "recalibrate", root / "d.npz", "--real", root / "archive", "--tiles")
    assert run(*change, "--out", out) == 0
    told = capsys.readouterr()
    said = " ".join(told.out.split())
    left = "photographs: 1 of 41 left out (they hold no tile): "
    assert left in told.err and "thumbnail.png" in told.err
    assert "it scores whole photographs by at most 16 tiles of 16x16" in said
    assert "of the 40 photographs that it was recalibrated on it calls" in said
    assert "by their longer side: " in said and "20 of those of up to 256 pixels" not in said
    assert "advice: use the new detector" in said and f"--detector {out}" in said
    made = load_detector(out)
    assert made.tiles.threshold is not None and made.facts["seen"]["by_class"] is True
    (record,) = made.facts["recalibrated"]
    assert record["how"] == "none" and record["from"] == load_detector(root / "d.npz").sha256
    page = out.with_suffix(".html").read_text(encoding="utf-8")
    assert "False alarms on your photographs" in page and "257 to 512 pixels" in page

    table = root / "s.csv"
    assert run("detect", "score", root / "new", "--detector", out, "--out", table) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "every image is scored by at most 16 tiles of 16x16" in told
    assert "of the 40 photographs that it was recalibrated on it calls" in told
    with table.open(newline="", encoding="utf-8") as file:
        rows = {row["path"].rpartition("/")[2]: row for row in csv.DictReader(file)}
    assert rows["dark.png"]["verdict"] == "photograph"
    assert rows["light.png"]["verdict"] == "generated"
    huge = rows["huge.png"]
    assert huge["verdict"] == "unsure" and huge["outside"].startswith("longer side 640")
    # Of the JSON alone the same follows, the false alarms among it.
    assert run("detect", "score", root / "s.json", "--out", root / "again.csv") == 0
    again = json.loads((root / "again.json").read_text())
    assert again == json.loads((root / "s.json").read_text())
    assert again["calibration"]["alarms"][0]["called"]["n"] == 40

    assert run(*change[:2], out, *change[3:], "--out", root / "twice.npz") == 2
    assert "looks at tiles already" in capsys.readouterr().err
    # As others are, it is recalibrated without --tiles.
    assert run(*change[:2], out, *change[3:5], "--out", root / "later.npz") == 0
    assert load_detector(root / "later.npz").tiles == made.tiles


def test_what_cannot_have_tiles_or_is_too_little_is_refused_in_one_line(root, tmp_path, capsys):
    from gan_forensics.forensics.preprocessing import Preprocessing

    brightness(preprocessing=Preprocessing(size=16)).save(tmp_path / "sized.npz")
    real, out = ("--real", root / "archive", "--tiles"), ("--out", tmp_path / "m.npz")
    assert run("detect", "recalibrate", tmp_path / "sized.npz", *real, *out) == 2
    assert "needs no tiles" in capsys.readouterr().err
    fewer = ("--real", root / "new", "--tiles")
    assert run("detect", "recalibrate", root / "d.npz", *fewer, *out) == 2
    assert "3 photographs are too few to set a threshold for 0.05" in capsys.readouterr().err
    assert run("explain", root / "new", "--detector", root / "mine.npz", *out) == 2
    assert not (tmp_path / "m.npz").exists()
