"""`train --distributed` of two processes on a folder of images, one of which is damaged."""

import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from tests.processes import running

pytestmark = pytest.mark.slow

STEPS = 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """40 images, of which the last one ends in the middle."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(40):
        pixels = rng.integers(0, 256, (16, 16, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02d}.png")
    damaged = folder / "39.png"
    damaged.write_bytes(damaged.read_bytes()[:300])
    return folder


def words(folder, run, *options, steps=STEPS):
    """The command, as it is for one process."""
    return [
        *(sys.executable, "-m", "gan_forensics.cli", "train", "dcgan", "--out", run),
        *("--data", f"folder:{folder}", "--split", "all", "--size", 16, "--width", 4),
        *("--latent", 8, "--batch-size", 8, "--steps", steps, *options),
    ]


def training(folder, run, logs, *options, count=2, steps=STEPS):
    """A job that trains on the folder."""

    def command(index, at):
        job = ("--coordinator", at, "--processes", count, "--process", index)
        return [
            *words(folder, run, *options, steps=steps),
            *(("--distributed", *job) if count > 1 else ()),
        ]

    return running(count, command, logs, devices=2)


def test_a_damaged_image_is_replaced_alike_by_all_and_counted_once(folder, tmp_path):
    records = []
    for count in (1, 2):
        run = tmp_path / f"run_{count}"
        skip = ("--on-bad-image", "skip")
        with training(folder, run, tmp_path / f"log_{count}", *skip, count=count) as job:
            assert job.wait(300) == [0] * count, job.said(0) + job.said(count - 1)
            assert f"trained up to step {STEPS}" in job.said(0)
            assert "Next: " not in "".join(job.said(i) for i in range(1, count))
        assert (run / "report.html").exists()
        assert [path.name for path in (run / "samples").iterdir()] == [f"step_{STEPS:08d}.png"]
        records.append(json.loads((run / "data.json").read_text()))
    # What two began, one goes on with.
    with training(folder, run, tmp_path / "on", *skip, "--resume", count=1, steps=8) as job:
        assert job.wait(300) == [0], job.said(0)
        assert "trained up to step 8" in job.said(0)
    assert "39.png" in json.dumps(records[0])
    assert records[0] == records[1]


def test_a_damaged_image_stops_all_with_its_name(folder, tmp_path):
    run = tmp_path / "run"
    with training(folder, run, tmp_path / "log") as job:
        codes = job.wait(300)
        assert all(code in (1, 2) for code in codes), codes
        for index in (0, 1):
            assert "39.png" in job.said(index)


def test_under_slurm_the_processes_know_each_other(folder, tmp_path):
    # What srun sets; the port of the coordinator follows from the number of the job.
    known = {"SLURM_JOB_ID": os.getpid(), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": 2}
    run = tmp_path / "run"

    def command(index, _):
        tasks = {**known, "SLURM_PROCID": index, "SLURM_LOCALID": index}
        task = [f"{name}={value}" for name, value in tasks.items()]
        skip = ("--on-bad-image", "skip")
        return ["env", *task, *words(folder, run, *skip, "--distributed", steps=2)]

    with running(2, command, tmp_path / "log", devices=2) as both:
        assert both.wait(300) == [0, 0], both.said(0) + both.said(1)
        assert "trained up to step 2" in both.said(0)
        assert "trained up to" not in both.said(1)


def test_without_a_cluster_what_is_missing_is_named(folder, tmp_path):
    def command(*_):
        return words(folder, tmp_path / "run", "--distributed")

    with running(1, command, tmp_path / "log", devices=2) as one:
        assert one.wait(60) == [2]
        assert "give --coordinator HOST:PORT, --processes and --process" in one.said(0)
