"""`train stargan` and `translate`, as a user has them."""

import json
from typing import Any

import numpy as np
import pytest

from gan_forensics import gans
from gan_forensics.cli.translate import Translate
from gan_forensics.data import Rgb, load_image, open_source, save_png
from gan_forensics.gans import StarGanConfig, build_stargan
from gan_forensics.gans.stargan_targets import asked_of, changed
from gan_forensics.train import init_state
from tests.test_cli import plain_terminal, refused, run  # noqa: F401

HAIR = ("blond", "dark", "red")
TINY: dict[str, Any] = dict(size=8, width=1, blocks=0, layers=1, batch_size=8, n_dis=1)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """A folder of images of 12x10, and a list that says what they are."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    rows = ["path,blond,dark,red,Male"]
    for k in range(9):
        save_png(folder / "images" / f"face{k}.png", rng.integers(0, 256, (12, 10, 3), np.uint8))
        hair = [int(k % 3 == place) for place in range(3)]
        rows.append(f"images/face{k}.png,{','.join(map(str, hair))},{k // 3 % 2}")
    (folder / "list.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def untrained():
    """A StarGAN that has not learned anything yet."""
    names = (*HAIR, "Male")
    gan = build_stargan(StarGanConfig(attributes=names, exclusive=HAIR, channels=3, **TINY))
    return gan, init_state(gan.updates, *gan.learner.init(0))


@pytest.fixture
def started(untrained, monkeypatch):
    """Its run folder, without the folder: loading one is of the slow test."""
    monkeypatch.setattr(gans, "load_stargan", lambda run: untrained)
    return "runs/stargan"


def translated(started, images, out, *options):
    assert run("translate", started, images, "--out", out, *options) == 0
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*.png"))


# --- targets ------------------------------------------------------------------------------------


def test_what_a_target_does_not_name_stays_and_exclusive_attributes_give_way():
    names = (*HAIR, "Male", "Young")
    asked = asked_of("dark,Male=0", names, HAIR)
    labels = np.array([[1, 0, 0, 1, 1], [0, 0, 1, 0, 0]], np.float32)
    expected = [[0, 1, 0, 0, 1], [0, 1, 0, 0, 0]]
    np.testing.assert_array_equal(changed(labels, asked, names), expected)
    assert labels[0, 0] == 1
    assert asked_of("Young=0", names, HAIR) == {"Young": 0}
    assert asked_of("red=0.4, dark=0.6", names, HAIR) == {"blond": 0, "dark": 0.6, "red": 0.4}


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("blonde", r"unknown attribute 'blonde'; did you mean 'blond'\? There are blond, dark"),
        ("1", r"unknown attribute '1'; .* There are blond, dark, red, Male"),
        ("Male=2", "give Male=0 to Male=1"),
        ("blond,dark", "an image is exactly one of blond, dark, red: ask for one of them"),
        ("red=0", "an image is exactly one of blond, dark, red"),
        ("Male,Male=0", "'Male' is named twice"),
        ("", "unknown attribute ''"),
    ],
)
def test_targets_that_cannot_be_are_refused(target, says):
    with pytest.raises(ValueError, match=says):
        asked_of(target, (*HAIR, "Male"), HAIR)


# --- translate ----------------------------------------------------------------------------------


def test_a_folder_gets_single_images_by_target_and_a_grid(started, faces, tmp_path, capsys):
    out = tmp_path / "out"
    files = translated(started, faces / "images", out, "--to", "dark,Male=0", "Male=0.5")
    singles = [f"{t}/face{k}.png" for t in ("Male=0.5", "dark,Male=0") for k in range(9)]
    assert files == sorted([*singles, "grid.png"])
    grid = load_image(out / "grid.png")
    # Nine rows of the image and two translations, 8x8 each, with gaps of 2.
    assert grid.shape == (9 * 10 + 2, 3 * 10 + 2, 3)
    for column, target in ((1, "dark,Male=0"), (2, "Male=0.5")):
        left = 2 + 10 * column
        np.testing.assert_array_equal(
            grid[12:20, left : left + 8], load_image(out / target / "face1.png")
        )
    said = capsys.readouterr()
    assert "9 images of 10x12 (width x height) are centre-cropped and resized to 8x8" in said.err
    assert "9 images, of which the run's discriminator calls" in said.err
    assert "columns of grid.png: the image, dark,Male=0, Male=0.5" in said.out


def test_targets_are_by_default_those_of_the_paper_and_one_image_is_enough(
    started, faces, tmp_path
):
    files = translated(started, faces / "images" / "face4.png", tmp_path / "out")
    targets = ("Male-turned", "blond", "dark", "red")
    assert files == sorted(["grid.png", *(f"{target}/face4.png" for target in targets)])


def test_other_sources_gray_files_and_equal_names_have_translations(started, tmp_path, capsys):
    rng = np.random.default_rng(1)
    for folder in ("a", "b"):
        save_png(tmp_path / folder / "x.png", rng.integers(0, 256, (8, 8, 1), np.uint8))
    (tmp_path / "b" / "broken.png").write_bytes((tmp_path / "a" / "x.png").read_bytes()[:60])
    files = translated(started, tmp_path, tmp_path / "out", "--to", "red")
    assert files == ["grid.png", "red/000000-x.png", "red/000002-x.png"]
    assert "1 images left out: " in capsys.readouterr().err
    files = translated(started, "samples:lfw", tmp_path / "toy", "--to", "red", "--most", 3)
    assert files == ["grid.png", "red/000000.png", "red/000001.png", "red/000002.png"]
    assert "3 of 200 images, the first ones (--most)" in capsys.readouterr().err


def test_the_first_images_by_name_are_those_of_the_lowest_numbers(tmp_path):
    for name in ("f_10", "f_9"):
        save_png(tmp_path / "own" / f"{name}.png", np.full((8, 8, 3), 9, np.uint8))
    (tmp_path / "own.csv").write_text("own/f_10.png\nown/f_9.png\n")
    for name, first in (
        (f"folder:{tmp_path / 'own'}", "f_9"),
        (f"list:{tmp_path}/own.csv", "f_10"),
    ):
        command = Translate(tmp_path, name, most=1)
        for source in (open_source(name), Rgb(open_source(name))):
            assert command._read(source, 3)[0] == [first]


def test_translate_refuses_what_cannot_be(started, faces, tmp_path, capsys):
    images = faces / "images"
    for arguments, says in (
        ((started, images, "--to", "Blond"), "unknown attribute 'Blond'; did you mean 'blond'?"),
        ((started, images, "--to", "blond,red"), "exactly one of blond, dark, red"),
        ((started, images, "--most", 0), "--most 0: it must be at least 1"),
        ((started, tmp_path / "none.png"), "none.png: no such file or folder"),
        ((started, "folder:nowhere"), "no such file or folder"),
        ((started, "toy:grid9"), "has points, and images are needed"),
        ((started, faces / "list.csv"), "none of 1 images can be translated"),
    ):
        assert says in refused(capsys, "translate", *arguments, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_translate_refuses_what_is_no_run_of_a_stargan(faces, capsys):
    assert "config.json" in refused(capsys, "translate", faces, faces / "images")


# --- train --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--steps", 0], "--steps 0: it must be at least 1"),
        (["--sample-every", -2], "--sample-every -2: it must be at least 0"),
        (["--seed", -1], "--seed -1"),
        (["--batch-size", 0], "batch_size must be at least 1, got 0"),
        (["--learning-rate", 0], "learning_rate must be positive"),
        (["--upsampling", "n"], "unknown upsampling 'n'; did you mean 'N'?"),
        (["--size", 48, "--layers", 5], "images of side 48 cannot be halved 5 times"),
        (["--attributes", "a", "b", "--exclusive", "a", "c"], "'c' is not among the attributes"),
        (["--decay-steps", 9], "decay_steps are of schedules that end"),
        (["--schedule", "linear", "--exclusive", "a", "b"], "no such file or folder"),
    ],
)
def test_settings_of_a_stargan_are_checked_before_its_data(options, message, tmp_path, capsys):
    out = ["--data", "folder:nowhere", "--out", tmp_path / "run"]
    assert message in refused(capsys, "train", "stargan", *out, *options)
    assert not (tmp_path / "run").exists()


def test_data_that_cannot_train_a_stargan_are_refused(faces, tmp_path, capsys):
    asked = ["train", "stargan", *(f"--{k.replace('_', '-')}={v}" for k, v in TINY.items())]
    asked += ["--out", tmp_path / "run", "--data"]
    listed = f"list:{faces / 'list.csv'}"
    for data, says in (
        ([f"folder:{faces}"], "one kind of image alone, 'images'"),
        ([f"folder:{faces / 'images'}"], "images lie outside of subfolders"),
        ([listed, "--attributes", "male"], "no attribute 'male'; it has blond, dark, red, Male"),
        (["samples:lfw"], "has no attributes: give a folder with a subfolder for each"),
    ):
        assert says in refused(capsys, *asked, *data)


@pytest.mark.slow
def test_a_stargan_trains_on_a_folder_goes_on_and_has_a_page(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for place, kind in enumerate(("brick", "grass")):
        for k in range(12):
            pixels = rng.integers(0, 100, (8, 8, 3), np.uint8) + np.uint8(100 * place)
            save_png(tmp_path / "data" / kind / f"{k}.png", pixels)
    asked = ["train", "stargan", "--data", tmp_path / "data", "--out", tmp_path / "run"]
    asked += [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
    assert run(*asked, "--steps", 2) == 0
    said = capsys.readouterr()
    assert "an image is one of brick, grass" in said.err
    assert "In its grids a row is an image and then its translations: brick, grass" in " ".join(
        said.out.split()
    )
    assert "images train" in said.err and "translate" in said.out
    assert run(*asked, "--steps", 3, "--resume") == 0
    assert "up to step 3" in capsys.readouterr().out
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert "brick" in json.dumps(config)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "step_00000003" in page and "reconstruction" in page
    out = tmp_path / "out"
    assert run("translate", tmp_path / "run", tmp_path / "data", "--to", "grass", "--out", out) == 0
    assert len(list((out / "grass").iterdir())) == 24
