"""Run folders of GANs: classes and schedules filled in, averages kept, old folders read."""

import json
import shutil
from contextlib import closing
from dataclasses import asdict, replace
from functools import partial

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data import ArraySource, ImageError, SkipBad, load_image, run_data, save_png
from gan_forensics.data.skip_bad import StandIn
from gan_forensics.files import read_json
from gan_forensics.gans import (
    METHODS,
    GanConfig,
    build,
    generate,
    infomax_task,
    init,
    load_gan,
    runs,
    train_gan,
)
from gan_forensics.gans.runs import _completed
from gan_forensics.train import (
    Cadence,
    CheckpointError,
    Checkpoints,
    RunFolderError,
    read_config,
    read_metrics,
)
from tests.tiny_gans import LATENT, SIDE, Critics, Discriminator, Generator

CONFIG = GanConfig(
    "cgan-pd",
    data="samples:digits",
    size=SIDE,
    channels=1,
    latent=LATENT,
    batch_size=16,
    n_dis=2,
    learning_rate=0.01,
    schedule="linear",
    average=0.5,
)


def tiny(config):
    classes = config.classes or 0
    return Generator(config.latent, classes), Discriminator(classes)


@pytest.fixture(autouse=True, scope="module")
def tiny_networks():
    """Networks that compile at once in the place of residual ones."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("cgan-pd", "sngan"):
            row = METHODS[name]["resgan"]._replace(networks=tiny)
            patch.setitem(METHODS, name, {"resgan": row})
        yield


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    run = tmp_path_factory.mktemp("gan") / "run"
    cadence = Cadence(4, log_every=1, sample_every=4)
    return run, train_gan(CONFIG, run, cadence, progress=False)[1]


def test_classes_and_the_length_of_the_schedule_are_filled_in(trained):
    run, state = trained
    saved = read_config(run)["gan"]
    assert saved["classes"] == 10 and saved["decay_steps"] == 4
    for opt in state.opt.values():
        # The rate of the last of four steps.
        assert_allclose(opt.hyperparams["learning_rate"], 0.01 * (1 - 3 / 4), rtol=1e-5)


def test_a_loaded_gan_draws_with_the_average(trained):
    run, state = trained
    gan, again = load_gan(run)
    assert gan.config == replace(
        CONFIG, classes=10, decay_steps=4, architecture="resgan", prior="normal"
    )
    for a, b in zip(*map(jax.tree.leaves, (again, state)), strict=True):
        assert_array_equal(a, b)
    assert list(again.average) == ["generator"]
    live = replace(again, average={})
    assert (generate(gan, again, 4, seed=0) != generate(gan, live, 4, seed=0)).any()


def _close(state, expected):
    for a, b in zip(*map(jax.tree.leaves, (state.average["generator"], expected)), strict=True):
        assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_the_average_is_that_of_the_steps_and_goes_on_with_the_run(tmp_path):
    """Of decay 1/2: after one step the moved parameters, after two a third of those and the rest.

    The initial draw is no part of it.
    """
    config, run = replace(CONFIG, schedule="none"), tmp_path / "run"
    _, first = train_gan(config, run, Cadence(1), progress=False)
    _close(first, first.params["generator"])
    _, second = train_gan(config, run, Cadence(2), resume=True, progress=False)
    moved = (first.params["generator"], second.params["generator"])
    _close(second, jax.tree.map(lambda a, b: (a + 2 * b) / 3, *moved))


def test_the_start_of_an_average_of_an_earlier_version_is_taken_out(tmp_path, capsys, monkeypatch):
    """Whether the run is drawn from or goes on: as if it had been trained now."""
    config, old = replace(CONFIG, schedule="none", average=0.9), tmp_path / "old"
    gan, state = train_gan(config, tmp_path / "new", Cadence(2), progress=False)
    capsys.readouterr()
    start = init(gan)[0]["generator"]
    biased = jax.tree.map(
        lambda mean, first: 0.19 * mean + 0.81 * first, state.average["generator"], start
    )
    shutil.copytree(tmp_path / "new", old)
    shutil.rmtree(old / "checkpoints")
    host = read_json(tmp_path / "new/checkpoints/2/host/metadata")
    assert host["average"] == "without its start"
    with closing(Checkpoints(old)) as checkpoints, monkeypatch.context() as earlier:
        earlier.setattr("gan_forensics.train.checkpoint.WITHOUT_START", "")
        checkpoints.save(replace(state, average={"generator": biased}), host)
    _close(load_gan(old)[1], state.average["generator"])
    said = "step 2 was written by an earlier version, whose average of decay 0.9 is 81.00% initial"
    assert said in capsys.readouterr().err
    _, later = train_gan(config, old, Cadence(3), resume=True, progress=False)
    assert said in capsys.readouterr().err
    _, expected = train_gan(config, tmp_path / "new", Cadence(3), resume=True, progress=False)
    _close(later, expected.average["generator"])
    load_gan(old)
    assert said not in capsys.readouterr().err


def test_a_young_average_is_told_of_and_kept_with_the_data(tmp_path, capsys):
    config, said = replace(CONFIG, schedule="none", average=0.8), []
    young = (
        "images are drawn with an average of the generator over about its last 5 steps (decay "
        "0.8); after 4 steps it is young, a mean over all of them, the first ones too: it means "
        "something from step 5 on, with a smaller decay sooner"
    )
    train_gan(config, tmp_path / "run", Cadence(4), say=said.append, progress=False)
    assert young in said and read_json(tmp_path / "run/data.json")["average"] == young
    capsys.readouterr()
    load_gan(tmp_path / "run")
    assert young in capsys.readouterr().err
    said.clear()
    train_gan(config, tmp_path / "run", Cadence(5), resume=True, say=said.append, progress=False)
    load_gan(tmp_path / "run")
    assert not any("average" in line for line in said)
    assert "average" not in capsys.readouterr().err
    assert read_json(tmp_path / "run/data.json")["average"] == young.partition(";")[0]


def test_sample_grids_have_a_row_for_each_class(trained):
    run, state = trained
    (grid,) = (run / "samples").glob("*.png")
    # Ten rows of eight images of 4x4 with gaps of 2.
    assert load_image(grid).shape == (10 * 6 + 2, 8 * 6 + 2, 3)
    images = generate(load_gan(run)[0], state, 80, seed=0, labels=np.repeat(np.arange(10), 8))
    assert_array_equal(load_image(grid)[8:12, 2:6, :1], images[8])


def test_the_log_has_the_terms(trained):
    lines = read_metrics(trained[0] / "metrics.jsonl")
    assert len(lines) == 4
    for name in ("discriminator/adversarial", "discriminator/real_logit", "generator/adversarial"):
        assert name in lines[0]


def test_resuming_with_another_length_of_the_schedule_is_refused(trained):
    with pytest.raises(RunFolderError, match="gan.decay_steps: 4 -> 6"):
        train_gan(CONFIG, trained[0], Cadence(6), resume=True, progress=False)
    _, longer = train_gan(
        replace(CONFIG, decay_steps=4), trained[0], Cadence(5), resume=True, progress=False
    )
    assert int(longer.step) == 5


def test_a_folder_from_before_a_setting_existed_loads_and_goes_on(tmp_path):
    run, config = tmp_path / "run", replace(CONFIG, method="sngan", schedule="none", average=None)
    gan, _ = train_gan(config, run, Cadence(1), progress=False)
    saved = read_config(run)["gan"]
    assert saved == asdict(gan.config)
    for name in ("average", "discriminator_learning_rate"):
        assert saved.pop(name) is None
    (run / "config.json").write_text(json.dumps({"gan": saved}))
    assert load_gan(run)[0].config == gan.config
    _, state = train_gan(config, run, Cadence(2), resume=True, progress=False)
    assert int(state.step) == 2
    # A new setting that is used is a difference.
    with pytest.raises(RunFolderError, match="gan.average: None -> 0.9"):
        train_gan(replace(config, average=0.9), run, Cadence(3), resume=True, progress=False)


@pytest.fixture
def folder(tmp_path):
    """Sixty gray photographs of the networks' size, of which number 12 is cut off."""
    images = np.random.default_rng(0).integers(0, 256, (60, SIDE, SIDE, 1), dtype=np.uint8)
    for k, image in enumerate(images):
        save_png(tmp_path / "images" / f"{k:02d}.png", image)
    cut = tmp_path / "images" / "12.png"
    cut.write_bytes(cut.read_bytes()[:60])
    (tmp_path / "images" / "notes.txt").write_text("x")
    return tmp_path / "images"


PLAIN = replace(CONFIG, method="sngan", schedule="none", average=None, channels=None, batch_size=8)


def test_the_run_says_and_keeps_what_it_took_of_a_folder(folder, tmp_path):
    (folder / "12.png").unlink()
    said = []
    config = replace(PLAIN, data=f"folder:{folder}")
    gan, _ = train_gan(config, tmp_path / "run", Cadence(1), say=said.append, progress=False)
    assert gan.config.channels == 1
    assert said == [
        f"folder:{folder}: 1 of 60 files left out: 1 not an image (notes.txt)",
        f"folder:{folder}: 48 of 59 images train, 11 are held out (--split all takes everything)",
        f"folder:{folder}: all files are gray: images of one channel",
    ]
    assert json.loads((tmp_path / "run" / "data.json").read_text()) == {
        "data": f"folder:{folder}",
        "split": "train",
        "images": 48,
        "held_out": 11,
        "left_out": {"not an image": [str(folder / "notes.txt")]},
        "skipped": [],
    }
    said.clear()
    whole = replace(config, split="all")
    train_gan(whole, tmp_path / "whole", Cadence(1), say=said.append, progress=False)
    assert said[1] == f"folder:{folder}: 59 images train"


def test_a_gan_begins_by_its_own_seed_or_by_the_one_that_is_given():
    kernels = [
        params["generator"]["dense"]["kernel"]
        for params, _ in (
            init(build(replace(PLAIN, seed=1))),
            init(build(replace(PLAIN, seed=2)), 1),
            init(build(replace(PLAIN, seed=2))),
        )
    ]
    assert_array_equal(kernels[0], kernels[1])
    assert (np.asarray(kernels[0]) != np.asarray(kernels[2])).any()


def test_half_of_the_images_are_mirrored_if_asked(tmp_path, monkeypatch):
    """What training would read, without training."""
    steps = np.arange(SIDE, dtype=np.uint8).reshape(1, SIDE, 1) * 50
    images = np.repeat(steps[None], 64, 0).repeat(SIDE, 1)
    source = ArraySource(image=images)
    monkeypatch.setattr(runs, "open_source", lambda *_, **__: source)
    read = []
    monkeypatch.setattr(runs, "fit", lambda gan, batches, **_: read.append(next(iter(batches))))
    for flip in (False, True):
        config = replace(PLAIN, data="npz:x", batch_size=64, flip=flip)
        train_gan(config, tmp_path / str(flip), Cadence(1), progress=False)
    falling = [(part["image"][:, 0, 0] > part["image"][:, 0, -1]).mean() for part in read]
    assert falling[0] == 0 and 0.25 < falling[1] < 0.75


def test_few_images_count_the_split(folder, tmp_path):
    config = replace(PLAIN, data=f"folder:{folder}", batch_size=56)
    says = r"49 examples \(of 60; --split all takes .* are fewer than one batch of 56"
    with pytest.raises(ValueError, match=says):
        train_gan(config, tmp_path / "run", Cadence(1), progress=False)


def test_a_bad_image_stops_the_run_by_name_or_is_skipped_and_counted(folder, tmp_path):
    config, run = replace(PLAIN, data=f"folder:{folder}"), tmp_path / "run"
    cadence = Cadence(12, checkpoint_every=1)
    with pytest.raises(ImageError, match="12.png: damaged or truncated"):
        train_gan(config, run, cadence, progress=False)
    said = []
    skip = {"on_bad_image": "skip", "progress": False}
    # The run that stopped goes on, and ends as one that never did.
    _, stopped = train_gan(config, run, cadence, resume=True, say=said.append, **skip)
    _, whole = train_gan(config, tmp_path / "whole", cadence, **skip)
    for a, b in zip(*map(jax.tree.leaves, (stopped, whole)), strict=True):
        assert_array_equal(a, b)
    assert said[-1].startswith("1 images could not be used, and others stood in for them: ")
    assert "12.png: damaged or truncated" in said[-1] and str(run / "data.json") in said[-1]
    for folder_of_run in (run, tmp_path / "whole"):
        data = json.loads((folder_of_run / "data.json").read_text())
        skipped, stood_in = data["skipped"], data["stood_in"]
        assert len(skipped) == 1 and skipped[0].startswith(f"{folder / '12.png'}: damaged")
        assert stood_in == {"times": stood_in["times"], "seen_twice": 0} and stood_in["times"] > 0
    assert f"That was {stood_in['times']} times, of which 0 times with" in said[-1]
    # What an earlier part skipped stays on record.
    train_gan(config, run, Cadence(12), resume=True, **skip)
    assert json.loads((run / "data.json").read_text()) == data


def test_what_any_process_skipped_is_written_by_the_first(tmp_path, monkeypatch):
    source = SkipBad(ArraySource(image=np.zeros((9, SIDE, SIDE, 1), np.uint8)))
    source.bad["a.png"] = "a.png: damaged"
    source.stand_ins = [StandIn(0, 8, True), StandIn(1, 3, False)]
    others = {"skipped": ["b.png: damaged"], "stand_ins": [[0, 8, True]]}
    monkeypatch.setattr(run_data, "gathered", lambda mine, what: [mine, others])
    monkeypatch.setattr(run_data, "is_first", lambda: False)
    write = partial(run_data.write_data, tmp_path, "folder:a", None, source, lambda line: None)
    write()
    assert not (tmp_path / "data.json").exists()
    monkeypatch.setattr(run_data, "is_first", lambda: True)
    write()
    data = json.loads((tmp_path / "data.json").read_text())
    assert data["skipped"] == ["a.png: damaged", "b.png: damaged"]
    assert data["stood_in"] == {"times": 3, "seen_twice": 2}
    write(alone=True)  # of a process that ends by itself
    data = json.loads((tmp_path / "data.json").read_text())
    assert data["stood_in"] == {"times": 5, "seen_twice": 3}


def test_a_folder_of_another_run_keeps_its_record_of_data(folder, tmp_path, trained):
    run = trained[0]
    before = (run / "data.json").read_text()
    with pytest.raises(RunFolderError):
        train_gan(replace(PLAIN, data="samples:lfw"), run, Cadence(1), progress=False)
    assert (run / "data.json").read_text() == before


def test_one_channel_of_files_in_colour_is_refused_with_the_way_out(tmp_path):
    save_png(tmp_path / "a.png", np.zeros((SIDE, SIDE, 3), np.uint8))
    config = replace(PLAIN, data=f"folder:{tmp_path}", split="all", channels=1)
    with pytest.raises(
        ValueError, match="3 channels, the config 1: leave .*, or convert the files"
    ):
        train_gan(config, tmp_path / "run", Cadence(1), progress=False)


def test_a_gan_whose_tasks_brought_networks_loads_with_them(tmp_path):
    config = replace(CONFIG, method="sngan", schedule="none", average=None)
    tasks = [infomax_task(Critics())]
    _, state = train_gan(
        config, tmp_path, Cadence(1), tasks=tasks, facts={"tasks": "infomax"}, progress=False
    )
    with pytest.raises(CheckpointError, match="other networks"):
        load_gan(tmp_path)
    gan, again = load_gan(tmp_path, tasks=tasks)
    assert set(gan.game.networks) == {"generator", "discriminator", "critics"}
    for a, b in zip(*map(jax.tree.leaves, (again, state)), strict=True):
        assert_array_equal(a, b)


# --- labels -------------------------------------------------------------------------------------


def source(labels=None, n=6):
    images = np.zeros((n, SIDE, SIDE, 1), np.uint8)
    return ArraySource(image=images, **({} if labels is None else {"label": np.array(labels)}))


class OneByOne:
    """A source that tells labels only image by image."""

    def __init__(self, labels):
        self.asked, self._labels = 0, labels

    def __len__(self):
        return len(self._labels)

    def __getitem__(self, index):
        self.asked += 1
        return {"image": np.zeros((SIDE, SIDE, 1), np.uint8), "label": self._labels[index]}


def test_classes_are_counted_where_they_are_not_given():
    config = replace(CONFIG, schedule="none")
    assert _completed(config, source([0, 1, 2, 2, 1, 0]), 10).classes == 3
    assert _completed(config, OneByOne([0, 1, 3, 2]), 10).classes == 4
    # What is given saves the look at every image.
    files = OneByOne([0, 1])
    assert _completed(replace(config, classes=7), files, 10).classes == 7
    assert files.asked == 1


@pytest.mark.parametrize(
    ("labels", "classes", "says"),
    [
        (None, None, "samples:digits has no labels"),
        ([0, 1, 3, 3, 1, 0], None, r"no training image of the classes \[2\] of 4"),
        ([0, 1, 2, 2, 1, 0], 5, r"no training image of the classes \[3, 4\] of 5"),
        ([0, 1, 2, 2, 1, 0], 2, "labels from 0 to 2; cgan-pd with 2 classes takes .* 0 to 1"),
        ([-1, 0, 1, 1, 0, 0], None, "labels from -1 to 1"),
    ],
)
def test_labels_that_do_not_do_are_refused(labels, classes, says):
    with pytest.raises(ValueError, match=says):
        _completed(replace(CONFIG, classes=classes), source(labels), 10)


def test_unconditional_methods_need_no_labels():
    config = GanConfig("sngan")
    assert _completed(config, source(), 10) == replace(config, channels=1)


def test_names_of_classes_go_into_the_config_of_what_knows_classes():
    named = source([0, 1, 1, 0, 1, 0])
    named.label_names = ("cat", "dog")
    config = replace(CONFIG, schedule="none")
    assert _completed(config, named, 10).label_names == ("cat", "dog")
    assert _completed(config, source([0, 1] * 3), 10).label_names is None
    assert _completed(GanConfig("sngan"), named, 10).label_names is None
    # A class that only a test has, wherever it stands in the order.
    named.label_names = ("cat", "dog", "horse")
    with pytest.raises(ValueError, match="no training image of the classes horse of 3: add"):
        _completed(config, named, 10)
    files = OneByOne([0, 1])
    files.label_names = ("cat", "dog")
    with pytest.raises(ValueError, match="has 2 classes, the config 7"):
        _completed(replace(config, classes=7), files, 10)
    saved = {**asdict(config), "classes": 2, "label_names": ["cat", "dog"]}
    assert build(GanConfig(**saved)).config.label_names == ("cat", "dog")
    for odd in (["cat"], [1, 2]):
        with pytest.raises(ValueError, match="label_names for 2 classes"):
            build(GanConfig(**{**saved, "label_names": odd}))
