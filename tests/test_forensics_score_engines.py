"""Ray Data and Apache Beam hand out shards: the tables are those of plain workers.

Ray and Beam run here where they are installed: Ray beside everything else
(`pip install 'gan_forensics[ray]'`), Beam in an environment of its own (`make beam`).
"""

import io
import os
import signal
import sys

import numpy as np
import pytest
from PIL import Image

from gan_forensics.cli.entry import _refuse_remote
from gan_forensics.cli.sharding import Sharding
from gan_forensics.data.input_shards import IMAGES, Shard
from gan_forensics.files.parquet import read_parquet
from gan_forensics.forensics import score_engines
from gan_forensics.forensics.score_engines import Worker, score_with_beam, score_with_ray
from gan_forensics.forensics.score_stream import score_shard
from gan_forensics.forensics.shard_results import (
    Place,
    open_results,
    placed,
    plan,
    planned,
    result_path,
    shard_at,
)


class Mean:
    """Scores by the mean of the pixels; kills its process once, if a file says so."""

    identity = {"detector": "mean", "detector_sha256": "ab12"}
    columns = {"score": "double"}

    def __init__(self, deadly=None):
        self.deadly = deadly

    def check(self, header):
        pass

    def prepared(self, image):
        return image

    def judge(self, given):
        if self.deadly is not None and self.deadly.exists():
            self.deadly.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return [float(image.mean()) for image, _ in given]

    def cells(self, found, header):
        return {"score": found}


def picture(seed):
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


@pytest.fixture
def folders(tmp_path):
    """Three folders, a shard each, planned for two runs; and the rows of a plain worker."""
    inputs = [tmp_path / name for name in "abc"]
    for first, folder in enumerate(inputs):
        folder.mkdir()
        for k in range(5):
            (folder / f"{k}.png").write_bytes(picture(10 * first + k))
    for name in ("plain", "engine"):
        out = tmp_path / name
        open_results(out, Mean.identity)
        plan(out, inputs)
    rows = [
        list(read_parquet(score_shard(shard, Mean(), tmp_path / "plain")))
        for shard in planned(tmp_path / "plain")
    ]
    return tmp_path / "engine", rows


def rows_of(out):
    return [list(read_parquet(result_path(out, shard))) for shard in planned(out)]


def test_a_place_is_all_that_an_engine_hands_around(folders):
    out, _ = folders
    found = list(placed(out))
    assert [shard for _, shard in found] == list(planned(out)) and len(found) == 3
    assert [shard_at(out, place) for place, _ in found] == [shard for _, shard in found]
    assert all(isinstance(shard, Shard) and shard.count <= IMAGES for _, shard in found)
    with pytest.raises(ValueError, match="shards-0009.jsonl: it is no file of shards"):
        shard_at(out, Place("shards-0009.jsonl", 0))
    with pytest.raises(ValueError, match="no file of shards"):
        shard_at(out, Place("../engine/shards-0001.jsonl", 0))
    with pytest.raises(ValueError, match="no shard at 99999999"):
        shard_at(out, Place("shards-0001.jsonl", 99999999))


def test_a_worker_makes_its_scorer_once_where_the_command_was_given(folders, monkeypatch, tmp_path):
    out, rows = folders
    made = []
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    worker = Worker(lambda: made.append(os.getcwd()) or Mean(), out, False, 0, tmp_path / "there")
    for place, _ in placed(out):
        assert worker(place._asdict()) == place._asdict()
    assert made == [str(tmp_path / "there")] and rows_of(out) == rows


def test_an_engine_that_is_not_installed_or_asked_for_wrongly_is_said(folders, monkeypatch):
    out, _ = folders
    for name in ("ray", "apache_beam"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match="needs Ray: pip install 'gan_forensics.ray.'"):
        score_with_ray(Mean, out, {}, again=False, seconds=0)
    with pytest.raises(ImportError, match="an environment of its own .docs/scoring.md."):
        score_with_beam(Mean, out, {}, again=False)
    for options in ({"workers": "0"}, {"workers": "x"}, {"cpus": "2"}):
        with pytest.raises(ValueError, match=r"--engine-options \w+=\w+: Ray takes workers=N"):
            score_with_ray(Mean, out, options, again=False, seconds=0)
    default, results = out / "default", out / "results"
    for wrong, why in (
        ({"engine": "ray", "shard": "0/2"}, "--shard: .*--engine hands out all shards"),
        ({"engine": "ray", "merge": out / "m.csv"}, "--engine: .*--merge puts together"),
        ({"engine": "beam", "time_limit": 5}, "--time-limit: .*several threads"),
        ({"engine": "ray", "engine_options": ("workers",)}, "workers: NAME=VALUE is needed"),
        ({"engine_options": ("workers=2",)}, "--engine-options: .*of --engine"),
    ):
        with pytest.raises(ValueError, match=why):
            Sharding(**wrong).check(results, default)
    Sharding(engine="ray", engine_options=("workers=2",)).check(results, default)


def test_only_an_engine_is_given_addresses_of_stores(capsys):
    options = "--engine-options", "temp_location=gs://mine/temp", "project=mine"
    _refuse_remote(["detect", "score", "a", *options, "--engine", "beam"])
    for line in ([*options, "--out", "gs://mine/scores"], ["gs://mine/a", *options]):
        with pytest.raises(SystemExit):
            _refuse_remote(line)
        assert "gs://mine/" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")
def test_ray_starts_a_killed_worker_again_and_its_tables_are_the_plain_ones(folders, tmp_path):
    pytest.importorskip("ray", reason="the extra ray is not installed")
    out, rows = folders
    deadly = tmp_path / "kill"
    deadly.touch()
    # By value: a worker does not find this module.
    source = __import__("cloudpickle")
    source.register_pickle_by_value(sys.modules[__name__])
    score_with_ray(lambda: Mean(deadly), out, {"workers": "2"}, again=False, seconds=0)
    assert not deadly.exists() and rows_of(out) == rows
    attempts = [path.read_text() for path in (out / "attempts").iterdir()]
    score_with_ray(Mean, out, {"workers": "1"}, again=False, seconds=0)  # Nothing is left to do.
    assert rows_of(out) == rows and len(attempts) <= 3


@pytest.mark.filterwarnings("ignore")
def test_beams_local_runner_makes_the_plain_tables(folders):
    pytest.importorskip("apache_beam", reason="Beam is not installed: make beam")
    out, rows = folders
    score_with_beam(Mean, out, {"runner": "DirectRunner"}, again=False)
    assert rows_of(out) == rows
    assert score_engines.MOST_TASKS > 1
