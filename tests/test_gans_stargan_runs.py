import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from PIL import Image

from gan_forensics.data import ArraySource
from gan_forensics.data.attributes import AttributeSource
from gan_forensics.gans import stargan_runs
from gan_forensics.gans.stargan_config import StarGanConfig
from gan_forensics.gans.stargan_runs import _domains, load_stargan, train_stargan
from gan_forensics.train import Cadence, RunFolderError

CONFIG = StarGanConfig(
    data="toy:domains?n=40", size=16, width=2, blocks=1, layers=2, batch_size=8, n_dis=2
)


def _size(path):
    with Image.open(path) as image:
        return image.size


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder, said = tmp_path_factory.mktemp("runs"), []
    cadence = Cadence(2, log_every=1, checkpoint_every=1, sample_every=2)
    train_stargan(CONFIG, folder / "whole", cadence, say=said.append, progress=False)
    for steps in (1, 2):
        train_stargan(CONFIG, folder / "parts", Cadence(steps), resume=True, progress=False)
    return folder, said


def test_a_run_in_two_parts_is_the_whole_run_bit_for_bit(trained):
    (gan, whole), (_, parts) = (load_stargan(trained[0] / name) for name in ("whole", "parts"))
    jax.tree.map(np.testing.assert_array_equal, whole.params, parts.params)
    assert int(whole.step) == 2
    start = gan.learner.start(CONFIG.seed)
    moved = jax.tree.map(lambda a, b: bool((a != b).any()), start.params, whole.params)
    assert all(jax.tree.leaves(moved))


def test_a_run_says_and_keeps_what_it_takes_of_its_data(trained):
    folder, said = trained
    assert any("one of red, green, blue; warm or not; striped or not" in line for line in said)
    config = json.loads((folder / "whole/config.json").read_text())["stargan"]
    assert config["attributes"] == ["red", "green", "blue", "warm", "striped"]
    assert config["exclusive"] == ["red", "green", "blue"] and config["channels"] == 3
    data = json.loads((folder / "whole/data.json").read_text())
    assert data["images"] + data["held_out"] == 40
    # Eight rows of an image and its five translations.
    (picture,) = (folder / "whole/samples").glob("*.png")
    width, height = _size(picture)
    assert width // 16 >= 6 and height // 16 >= 8 and width < height


def test_images_that_are_none_or_several_of_exclusive_attributes_are_counted():
    labels = np.float32([[1, 0, 1], [0, 0, 1], [1, 1, 0], [0, 1, 0], [0, 0, 0]])
    source = AttributeSource(
        ArraySource(image=np.zeros((5, 8, 8, 3), np.uint8), attributes=labels),
        ("hat", "beard", "old"),
        columns=np.arange(3),
    )
    config = StarGanConfig(attributes=source.attributes, exclusive=("hat", "beard"))
    said = _domains(config, source)
    assert said.startswith("an image is one of hat, beard; old or not; but 2 of 5 images are none")
    assert "1 more than one" in said
    assert "but" not in _domains(StarGanConfig(attributes=source.attributes), source)


def test_split_and_flip_are_those_of_the_config(monkeypatch, tmp_path):
    asked = {}

    class Told(Exception):
        pass

    def batches(source, **options):
        asked.update(options, images=len(source))
        raise Told

    monkeypatch.setattr(stargan_runs, "process_batches", batches)
    for split, flip in (("all", False), ("train", True)):
        with pytest.raises(Told):
            train_stargan(replace(CONFIG, split=split, flip=flip), tmp_path / "run", Cadence(1))
        assert asked["flip"] is flip and (asked["images"] == 40) == (split == "all")


def test_other_run_folders_and_settings_are_refused(trained, tmp_path):
    folder, _ = trained
    with pytest.raises(RunFolderError):
        load_stargan(tmp_path)
    config = json.loads((folder / "whole/config.json").read_text())
    config["stargan"]["wide"] = 3
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(RunFolderError, match="not written by this version"):
        load_stargan(tmp_path)
    gray = StarGanConfig(data=CONFIG.data, size=16, channels=1)
    with pytest.raises(ValueError, match="3 channels, the config 1"):
        train_stargan(gray, tmp_path / "gray", Cadence(1))
    with pytest.raises(ValueError, match="'warn'.*warm"):
        train_stargan(
            StarGanConfig(data=CONFIG.data, size=16, attributes=("warn",)), tmp_path, Cadence(1)
        )
    assert not (tmp_path / "gray").exists()
