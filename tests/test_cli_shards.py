"""Millions of images by many workers: what commands say, and that killing them loses nothing."""

import json
import signal
import subprocess
import sys
import tarfile

import numpy as np
import pandas
import pytest
from PIL import Image

from gan_forensics import cli
from gan_forensics.forensics.spectrum_scorer import MeanCurves, SpectrumScorer
from gan_forensics.spectra import mean_curves
from tests.made_detectors import made_detector


def run(*arguments):
    with pytest.raises(SystemExit) as exit:
        cli.main([str(argument) for argument in arguments])
    return exit.value.code or 0


def refused(capsys, *arguments, code=2):
    assert run(*arguments) == code
    return " ".join(capsys.readouterr().err.split())


def write_images(folder, n, first=0):
    folder.mkdir(parents=True, exist_ok=True)
    for k in range(first, first + n):
        pixels = np.random.default_rng(k).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{k:03d}.png")
    return folder


@pytest.fixture
def root(tmp_path):
    """A detector, a folder with a file that is no image, and a tar archive."""
    made_detector().save(tmp_path / "d.npz")
    (write_images(tmp_path / "photos", 8) / "bad.png").write_text("<html>")
    (tmp_path / "photos" / "notes.txt").write_text("x")
    with tarfile.open(tmp_path / "more.tar", "w") as archive:
        for path in sorted(write_images(tmp_path / "packed", 3, first=8).iterdir()):
            archive.add(path, path.name)
    return tmp_path


def command(root, *more, out="scores"):
    inputs = root / "photos", root / "more.tar"
    return ("detect", "score", *inputs, "--detector", root / "d.npz", "--out", root / out, *more)


def test_workers_make_what_the_command_makes_in_one_go(root, capsys):
    assert run(*command(root, out="whole.csv")) == 0
    assert "11 images scored" in capsys.readouterr().out
    whole = json.loads((root / "whole.json").read_text())["images"]
    assert run(*command(root, "--shard", "0/2")) == 0
    said = capsys.readouterr()
    assert "worker 0/2: 1 of 2 shards have their tables in" in said.out
    assert "1 files left out: 1 not an image" in said.err
    missing = refused(capsys, *command(root, "--merge", root / "all.parquet"), code=1)
    assert "1 of 2 shards have no results in" in missing and not (root / "all.parquet").exists()
    assert run(*command(root, "--shard", "7/8")) == 0
    assert "2 shards for 8 workers: there is none for worker 7/8" in capsys.readouterr().out
    assert run(*command(root, "--shard", "1/8")) == 0
    capsys.readouterr()
    assert run(*command(root, "--merge", root / "all.parquet")) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "12 rows of 2 shards, each image once; 1 have an error: 1 unreadable" in said
    assert "of 11 called generated" in said and "keeps no rates of its verdicts" in said
    assert json.loads((root / "all.json").read_text())["shares"][0]["images"] == 11
    rows = pandas.read_parquet(root / "all.parquet", dtype_backend="pyarrow")
    known = [image for image in whole if image["score"] is not None]
    known.sort(key=lambda image: "more.tar" in image["path"])  # as they were named
    scored = rows[rows["score"].notna()]
    assert scored["score"].tolist() == [image["score"] for image in known]
    for name in ("verdict", "log10_lr"):
        assert scored[name].tolist() == [image["verdict"][name] for image in known]
    assert rows["input"].iloc[-1] == str(root / "more.tar") and rows["member"].iloc[-1] == "010.png"
    summary = json.loads((root / "all.json").read_text())
    assert summary["rows"] == 12 and sum(summary["verdicts"].values()) == 11
    assert f"{summary['verdicts']['photograph']} photograph" in said
    # The table replaces nothing that was scored, named now or before.
    listed = root / "list.csv"
    listed.write_text("photos/000.png\n")
    for named in (listed, root / "photos"):
        again = ("detect", "score", named, "--detector", root / "d.npz", "--out", root / "few")
        assert run(*again, "--shard", "0/1") == 0
        message = refused(capsys, *again, "--merge", listed)
        assert "list.csv: that is a file that is scored; choose another" in message
    # New inputs are added, and errors tried again.
    write_images(root / "photos", 2, first=20)
    (root / "photos" / "bad.png").write_bytes((root / "photos" / "000.png").read_bytes())
    assert "1 of 3 shards (2 images" in refused(
        capsys, *command(root, "--merge", root / "all.csv"), code=1
    )
    assert run(*command(root, "--shard", "0/1", "--retry-failed")) == 0
    assert run(*command(root, "--merge", root / "all.csv")) == 0
    assert json.loads((root / "all.json").read_text())["errors"] == {}


def test_options_of_shards_that_do_not_go_together_are_refused(root, capsys):
    for options, message in (
        (("--shard", "2/2"), "--shard 2/2: I/N is needed, of N workers the first is 0/N"),
        (("--shard", "one"), "--shard one: I/N is needed"),
        (("--retry-failed",), "--retry-failed: it is of --shard I/N; leave it out"),
        (("--time-limit", 9), "--time-limit: it is of --shard I/N"),
        (("--time-limit", -1, "--shard", "0/1"), "--time-limit -1: it must be at least 0"),
        (("--merge", root / "scores" / "scoring.csv"), "that is what the results rest on"),
        (("--merge", root / "scores" / "results" / "a.csv"), "the tables of the shards lie there"),
        (("--merge", "a.csv"), "scores: it holds no results of shards"),
        (("--merge", "a.txt"), "--merge a.txt: the table is .parquet or .csv"),
        (("--merge", "a.csv", "--shard", "0/1"), "--shard: --merge puts together what workers"),
        (("--merge", "a.csv", "--retry-failed"), "--retry-failed: --merge puts together"),
        (("--shard", "0/1", "--real-is", "a"), "--real-is: there are no shards of it"),
    ):
        assert message in refused(capsys, *command(root, *options))
    without = ("detect", "score", root / "photos", "--detector", root / "d.npz", "--shard", "0/1")
    assert "give --out FOLDER" in refused(capsys, *without)
    assert run(*command(root, "--shard", "0/9")) == 0
    another = refused(capsys, *command(root, "--shard", "0/9", "--prior", 0.5))
    assert "its results have prior None, and 0.5 is asked for: choose another folder" in another


# A worker at which one image works as told; it is known by its first pixel.
WORKER = """if True:
    import os, signal, sys, time
    from gan_forensics import cli
    from gan_forensics.forensics import detector_scorer

    scored, tell = detector_scorer.score_carried, sys.argv[1]

    def at_it(detector, images, names):
        if any(image[0, 0].tolist() == [1, 2, 3] for image in images):
            if tell == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            time.sleep(60)
        return scored(detector, images, names)

    detector_scorer.score_carried = at_it
    cli.main(sys.argv[2:])
"""


@pytest.mark.slow
@pytest.mark.parametrize("how", ["kill", "stall"])
def test_what_kills_or_stalls_a_worker_twice_is_passed_over_and_nothing_else_is_lost(
    how, root, capsys
):
    pixels = np.random.default_rng(99).integers(0, 256, (8, 8, 3), np.uint8)
    pixels[0, 0] = 1, 2, 3
    Image.fromarray(pixels).save(root / "photos" / "005.png")

    def worker(shard):
        limit = ("--time-limit", 5 if how == "stall" else 0)
        line = [str(word) for word in command(root, "--shard", shard, *limit)]
        return subprocess.run([sys.executable, "-c", WORKER, how, *line], timeout=120).returncode

    died = -signal.SIGKILL if how == "kill" else -signal.SIGALRM
    assert worker("0/1") == died
    assert not list((root / "scores" / "results").glob("[!.]*"))
    assert worker("0/2") == died
    assert worker("1/2") == 0  # The archive is whole.
    assert worker("0/3") == 0
    assert run(*command(root, "--merge", root / "all.parquet")) == 0
    rows = pandas.read_parquet(root / "all.parquet", dtype_backend="pyarrow")
    assert len(rows) == 12 and rows["score"].notna().sum() == 10
    bad = rows[rows["error_kind"] == "killed"]
    assert bad["input"].tolist() == [str(root / "photos" / "005.png")]
    # Once it does no harm, it is scored.
    assert run(*command(root, "--shard", "0/1", "--retry-failed")) == 0
    assert run(*command(root, "--merge", root / "all.parquet")) == 0
    rows = pandas.read_parquet(root / "all.parquet", dtype_backend="pyarrow")
    assert rows["score"].notna().sum() == 11
    assert not list((root / "scores" / "results").glob(".*"))
    assert not list((root / "scores" / "attempts").iterdir())


def test_the_mean_curve_of_all_shards_is_that_of_the_images(root, capsys, monkeypatch):
    drawn = []
    monkeypatch.setattr("gan_forensics.report.spectra_figure", lambda curves, **_: curves)
    monkeypatch.setattr(
        "gan_forensics.report.figures.save_figure", lambda *given: drawn.extend(given)
    )
    photos, packed = root / "photos", root / "packed"
    (photos / "bad.png").unlink()
    Image.new("RGB", (8, 8), "red").save(photos / "flat.png")
    asked = ("spectrum", photos, packed, "--normalise", "none", "--out")
    for place in (0, 1):
        assert run(*asked, root / "curves", "--shard", f"{place}/2") == 0
    assert run(*asked, root / "curves", "--merge", root / "merged") == 0
    assert "photos: 1 of 9 left out (a flat image has no spectrum" in capsys.readouterr().err
    names = str(photos), str(packed)
    for name, curve in mean_curves({n: n for n in names}, normalise="none").items():
        for field in ("mean", "deviation", "frequency"):
            np.testing.assert_allclose(
                getattr(drawn[0][name], field), getattr(curve, field), rtol=1e-10, atol=1e-12
            )
        assert drawn[0][name][3:] == curve[3:]
    rows = pandas.read_csv(root / "merged" / "spectrum.csv")
    assert set(rows["images"]) == {8, 3} and len(rows) == 2 * len(curve.mean)
    # A file that cannot be read, one of another size, and a folder within another.
    (photos / "bad.png").write_text("<html>")
    assert run(*asked, root / "curves", "--shard", "0/1") == 0
    merge = (*asked, root / "curves", "--merge", root / "more")
    assert "1 images cannot be read; leave them out with --on-bad" in refused(capsys, *merge)
    Image.new("RGB", (9, 8), "red").save(photos / "flat.png")
    Image.fromarray(np.eye(9, 8, dtype=np.uint8) * 255).save(photos / "wide.png")
    assert run(*asked, root / "curves", "--shard", "0/1") == 0
    assert "is 8x8, " in refused(capsys, *merge, "--on-bad-image", "skip")
    means = MeanCurves((photos, packed), SpectrumScorer())
    for folder, side in ((photos, 8), (packed, 9)):
        row = {"input": f"{folder}/a.png", "member": None, "error_kind": None, "curve": [1.0, 0.5]}
        means.take({**row, "height": side, "width": side})
    with pytest.raises(ValueError, match="packed holds images of 9x9, .*photos of 8x8: bring all"):
        means.curves("skip")
    inner = ("spectrum", root, photos, "--out", root / "curves", "--shard", "0/1")
    assert "lies in" in refused(capsys, *inner)
    assert not (root / "more").exists()
