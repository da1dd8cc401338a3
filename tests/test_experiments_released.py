"""One command for released sheets and checkpoints, on files that the tests make."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

from gan_forensics.data import power_law_textures
from gan_forensics.experiments import fourier_released
from tests.small_experiments import tidy
from tests.test_nn_weights import generator_state


def write_sheet(path, exponent, seed):
    tiles = power_law_textures(9, 128, exponent=exponent, seed=seed)
    sheet = tiles.reshape(3, 3, 128, 128, 3).transpose(0, 2, 1, 3, 4).reshape(384, 384, 3)
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(sheet).save(path)


def write_checkpoint(path, tail):
    path.parent.mkdir(exist_ok=True)
    np.savez(path, **generator_state(tail, size=32)[1])


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as exit:
        fourier_released.main([str(argument) for argument in arguments])
    assert exit.value.code == 2
    return " ".join(capsys.readouterr().err.split())


def test_sheets_give_exponents_and_ends_of_curves_by_tile(tmp_path, capsys):
    write_sheet(tmp_path / "released" / "dcgan_BASELINE.png", 0.2, 0)
    write_sheet(tmp_path / "released" / "dcgan_N.1.5.png", 2.5, 1)
    (tmp_path / "released" / "README.txt").touch()
    out = tmp_path / "out"
    fourier_released.main([str(tmp_path / "released"), "--out", str(out)])
    said = capsys.readouterr().out
    assert "dcgan_N.1.5.png: sheet of dcgan N.1.5" in said
    assert "skipped, neither sheets (.png) nor checkpoints" in said and "README.txt" in said
    with (out / "tiles.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["tail"], row["tile"]) for row in rows] == [
        (tail, str(tile)) for tail in ("BASELINE", "N.1.5") for tile in range(1, 10)
    ]
    results = json.loads((out / "results.json").read_text())
    high, low = results["spectra"]
    assert high["exponent"] == pytest.approx(np.mean([float(r["exponent"]) for r in rows[:9]]))
    assert high["end"] > 2 * low["end"] and high["count"] == low["count"] == 9
    assert results["bypass"] == []
    assert len(results["tables"]["tiles"]) == 18 and results["tables"]["rows"][1]["tail"] == "N.1.5"
    assert "tiles.csv" in (out / "report.html").read_text()


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints")
    for tail in ("BASELINE", "N.1.5"):
        write_checkpoint(folder / "dcgan" / f"{tail}.npz", tail)
    write_checkpoint(folder / "lsgan" / "N.1.5.npz", "N.1.5")
    return folder


def test_checkpoints_give_the_bypass_table_where_there_is_a_baseline(checkpoints, tmp_path, capsys):
    out = tmp_path / "out"
    fourier_released.main(
        [str(checkpoints), "--real", "toy:powerlaw?n=200", "--images", "60", "--runs", "2"]
        + ["--detectors", "durall-knn", "dzanic-knn", "durall-svm", "--out", str(out)]
    )
    assert "lsgan: no detectors, BASELINE is not among its files" in capsys.readouterr().out
    results = json.loads((out / "results.json").read_text())
    tidy(results["tables"]["rows"], "seed images method tail")
    assert results["tables"]["detectors"] == (rows := results["bypass"])
    assert [(row["detector"], row["tail"]) for row in rows] == [
        (detector, tail)
        for detector in ("durall-knn", "dzanic-knn", "durall-svm")
        for tail in ("BASELINE", "N.1.5")
    ]
    assert {row["method"] for row in rows} == {"dcgan"}
    # A tenth of 60 trains, which BASELINE is not tested on.
    assert [row["n_fake"] for row in rows[:2]] == [54, 60] and rows[0]["n_train"] == 6
    # Networks that nothing trained make no power law.
    assert rows[0]["detected"] > 0.9 and rows[0]["false_alarms"] < 0.2
    with (out / "bypass.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(rows)
    assert "Who is caught" in (out / "report.html").read_text()


def test_wrong_use_is_told_in_a_line(checkpoints, tmp_path, capsys):
    out = ("--out", tmp_path / "out")
    assert "3 checkpoints need real images" in refused(capsys, checkpoints, *out)
    assert "gone: no such file or folder" in refused(capsys, tmp_path / "gone", *out)
    said = refused(capsys, checkpoints, "--detectors", "durall-nkn", *out)
    assert "unknown classifier 'nkn'" in said
    said = refused(capsys, checkpoints, "--real", "nowhere", *out)
    assert "unknown source 'nowhere'" in said
    said = refused(capsys, checkpoints, "--real", "toy:powerlaw?n=40", *out)
    assert "at least 19: give more data" in said
    Image.fromarray(np.zeros((128, 128), np.uint8)).save(tmp_path / "dcgan_N.1.5.png")
    said = refused(capsys, tmp_path / "dcgan_N.1.5.png", *out)
    assert "is 128x128; a released sheet is 384x384" in said
    Image.fromarray(np.zeros((384, 384), np.uint8)).save(tmp_path / "dcgan_N.1.5.png")
    said = refused(capsys, tmp_path / "dcgan_N.1.5.png", *out)
    assert "not one of 9 images has a spectrum" in said
    assert not (tmp_path / "out").exists()
