"""What `train` says before self-supervision and augmentation, and what run pages show of it."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from gan_forensics import gans, quality, report
from gan_forensics.cli.train import TrainGan, _run_name
from gan_forensics.gans import GanConfig, runs, train_gan
from gan_forensics.gans.augment import at_cap, described
from gan_forensics.quality import Ambiguity
from gan_forensics.report import report_run
from gan_forensics.train import Cadence

NOTED = {"nats": -0.25, "error": 0.01, "accuracy": 0.9, "n": 100}
SMALL = GanConfig("ms-gan", "samples:digits", size=32, generator_width=4, discriminator_width=4)


@pytest.fixture
def measured(monkeypatch):
    """The images that the ambiguity is measured on, in the place of measuring it."""
    seen = []

    def measure(images, *, seed):
        seen.append((images.shape, images.dtype, seed))
        return Ambiguity(-0.25, 0.01, 0.9, 100)

    monkeypatch.setattr(quality, "rotation_ambiguity", measure)
    return seen


@pytest.mark.parametrize("method", ["ssgan", "ms-gan"])
def test_the_ambiguity_of_the_data_is_said_and_kept(method, measured, capsys):
    config = GanConfig(method, "samples:digits", size=32, seed=5)
    about = TrainGan(method)._ambiguity(config)
    assert about == {"rotation_ambiguity": NOTED}
    (((n, *shape), dtype, seed),) = measured
    assert (shape, dtype, seed) == ([32, 32, 1], np.uint8, 5) and 1000 < n < 1797
    said = capsys.readouterr().err
    assert "-0.250 +- 0.010 nats" in said and "100 held-out images" in said


def test_it_is_not_measured_where_nothing_is_turned(measured):
    for config in (GanConfig("sngan", "samples:digits"), GanConfig("dcgan", "toy:grid9")):
        assert TrainGan(config.method)._ambiguity(config) == {}
    assert not measured


def test_too_few_images_are_said_to_be_too_few(tmp_path, capsys):
    np.savez(tmp_path / "few.npz", image=np.zeros((20, 32, 32, 3), np.uint8))
    config = GanConfig("ms-gan", f"npz:{tmp_path / 'few.npz'}", size=32, batch_size=8)
    assert TrainGan("ms-gan")._ambiguity(config) == {}
    assert "not measured (" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (GanConfig("sngan"), None),
        (GanConfig("sngan", augment="none"), None),
        (
            GanConfig("sngan", augment="classical"),
            "augment classical (flip): real images in the discriminator's moves; flip: the "
            "transforms of fliprot-tf",
        ),
        (
            GanConfig("sngan", augment="dag"),
            "augment dag (rotation): beside the images as they are, real and generated images in "
            "the discriminator's moves, generated images in the generator's moves; all can be "
            "undone, so the target stays what it is; rotation: as both of the released modules",
        ),
        (
            GanConfig("sngan", augment="dag", transforms="rotation,crop,cutout"),
            "augment dag (rotation,crop,cutout): beside the images as they are, real and generated "
            "images in the discriminator's moves, generated images in the generator's moves; no "
            "guarantee for crop, cutout, which cannot be undone; rotation: as both of the released "
            "modules; crop: the released boxes; ours is the half-pixel resize; cutout: as the "
            "released BigGAN example, which took it from DiffAugment",
        ),
    ],
)
def test_what_is_transformed_and_guaranteed_is_said(config, line):
    assert described(config) == line


def test_the_cap_of_ada_is_said():
    assert at_cap({}) is None and at_cap({"augment": {"adaptive": {"p": 0.79}}}) is None
    assert "at its cap, 0.8" in (at_cap({"augment": {"adaptive": {"p": 0.8}}}) or "")


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (GanConfig("ms-gan", base="dcgan", size=32), "ms-gan-dcgan-BASELINE-32"),
        (GanConfig("ms-gan", base="dist-gan", size=32), "ms-gan-dist-gan-32"),
        (GanConfig("sngan", size=32, augment="dag"), "sngan-dag-32"),
        (GanConfig("dcgan", augment="none"), "dcgan-BASELINE-64"),
    ],
)
def test_run_folders_are_named_by_base_and_augmentation(config, name):
    assert _run_name(config) == name


def test_the_probability_of_ada_is_drawn(tmp_path):
    lines = [
        {
            "step": step,
            "discriminator/loss": 1.0,
            "discriminator/ada_p": p,
            "discriminator/ada_r": 0.5,
        }
        for step, p in ((50, 0.1), (100, 0.2))
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert "Adaptive augmentation" in report_run(tmp_path).read_text(encoding="utf-8")
    (tmp_path / "metrics.jsonl").write_text(json.dumps({"step": 1, "discriminator/loss": 1.0}))
    assert "Adaptive augmentation" not in report_run(tmp_path).read_text(encoding="utf-8")


def test_what_was_measured_and_augmented_is_kept_in_the_run(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "fit", lambda *arguments, **options: None)
    said = []
    config = GanConfig("dcgan", "samples:digits", size=16, width=2, augment="cr")
    for about in ({"rotation_ambiguity": {"nats": -0.5}}, None):
        train_gan(config, tmp_path, Cadence(1), say=said.append, about=about)
        kept = json.loads((tmp_path / "data.json").read_text(encoding="utf-8"))
        assert kept["augmentation"] == described(config) and described(config) in said
        # What went on does not measure anew, and keeps what was measured.
        assert kept["rotation_ambiguity"] == {"nats": -0.5}


@pytest.mark.parametrize("begun", [False, True])
def test_training_measures_first_unless_it_goes_on(begun, tmp_path, measured, monkeypatch):
    given = []

    def train(config, run, cadence, *, about, **options):
        given.append((about, options["resume"]))
        return None, SimpleNamespace(step=1)

    monkeypatch.setattr(gans, "train_gan", train)
    monkeypatch.setattr(report, "report_run", lambda run: run)
    run = tmp_path / "run"
    run.mkdir()
    if begun:
        (run / "config.json").write_text("{}")
    options = {name: value for name, value in vars(SMALL).items() if name != "method"}
    command = TrainGan("ms-gan", steps=1, out=run, resume=True)
    object.__setattr__(command, "gan", SimpleNamespace(**options))
    command()
    assert given == [({} if begun else {"rotation_ambiguity": NOTED}, True)]
    assert len(measured) == (not begun)
