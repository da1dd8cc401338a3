"""Every command that trains makes in two processes what it makes in one: log, results, record."""

import json
import sys

import numpy as np
import pytest

from gan_forensics.data import save_png
from gan_forensics.train import read_metrics
from tests.processes import running

pytestmark = pytest.mark.slow

# What trains by images of a folder has blur, JPEG and crops on, and files that cannot be used.
COMMANDS = {
    "dcgan": "--data folder:{real} --size 16 --width 4 --batch-size 16 --steps 14 --n-dis 1 --flip "
    "--on-bad-image skip --checkpoint-every 0 --sample-every 7",
    "stargan": "--data toy:domains?n=80 --size 16 --width 4 --blocks 1 --steps 4 --n-dis 1 "
    "--batch-size 8 --sample-every 2",
    "detector": "--real folder:{real} --fake folder:{fake} --arch resnet_small --width 2 "
    "--batch-size 16 --steps 4 --false-alarms 0.1 --on-bad-image skip",
    "classifier": "--data samples:digits --size 16 --augment cub --arch small_cnn --width 2 "
    "--batch-size 128 --epochs 1 --label-smoothing 0.1",
    "translator": "--data numbers:de?n=300 --vocabulary-size 100 --width 16 --layers 1 "
    "--tokens 512 --steps 5 --evaluate-every 3 --warm-up 10",
}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Folders of real and of smoother images, of which three are cut off."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("images")
    for name in ("real", "fake"):
        for number in range(200):
            x = rng.normal(size=(16, 16, 3))
            x = x if name == "real" else (x + np.roll(x, 1, 0)) / 1.4
            path = folder / name / f"{number:03d}.png"
            save_png(path, np.clip(128 + 50 * x, 0, 255).astype(np.uint8))
            if number in (17, 44, 101):
                path.write_bytes(path.read_bytes()[:60])
    return {name: folder / name for name in ("real", "fake")}


def trained(command, images, run, folder, *, count):
    asked = ["train", command, *COMMANDS[command].format(**images).split(), "--out", run]

    def words(index, address):
        job = ["--coordinator", address, "--processes", count, "--process", index]
        job = ["--distributed", *job] if count > 1 else []
        return [sys.executable, "-m", "gan_forensics.cli", *asked, *job]

    with running(count, words, folder, devices=2) as job:
        assert job.wait(400) == [0] * count, "\n".join(map(job.said, range(count)))
        return [job.said(index) for index in range(count)]


def assert_alike(one, other, name=""):
    """Equal, numbers to 1e-5, and lists in whatever order."""
    if isinstance(one, dict):
        assert one.keys() == other.keys(), name
        for key in one:
            assert_alike(one[key], other[key], f"{name}/{key}")
    elif isinstance(one, float):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-7), name
    elif isinstance(one, list) and all(isinstance(value, str) for value in one):
        assert sorted(one) == sorted(other), name
    else:
        assert one == other, name


@pytest.mark.parametrize("command", COMMANDS)
def test_two_processes_make_what_one_makes(command, images, tmp_path):
    alone, both = tmp_path / "alone", tmp_path / "both"
    trained(command, images, alone, tmp_path / "log_of_one", count=1)
    said = trained(command, images, both, tmp_path / "log_of_two", count=2)
    metrics = [read_metrics(run / "metrics.jsonl") for run in (alone, both)]
    assert metrics[0] and len(metrics[0]) == len(metrics[1])
    for one, other in zip(*metrics, strict=True):
        assert_alike(one, other)
    for name in ("data.json", "results.json"):
        if (alone / name).exists():
            assert_alike(*(json.loads((run / name).read_text()) for run in (alone, both)), name)
    names = [sorted(p.name for p in run.iterdir()) for run in (alone, both)]
    assert names[0] == names[1]
    # The second says what its libraries do alone.
    assert str(both) in said[0] and str(both) not in said[1] and "compiling" not in said[1]
    if command == "dcgan":
        found = json.loads((both / "data.json").read_text())
        assert len(found["skipped"]) == 3 and found["stood_in"]["times"] > 0
        assert len(list((both / "samples").iterdir())) == 2
