import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from gan_forensics.data import open_attributed, open_source
from gan_forensics.data.benchmark import Group, write_benchmark
from gan_forensics.gans import GanConfig, build
from gan_forensics.studies import benchmark
from tests.test_cli import refused, run

COUNTS = {"train": 6, "val": 2, "test": 3}
SIDE = 16


@pytest.fixture
def zoo(monkeypatch, tmp_path):
    """Run folders by name, of GANs that were never trained: images follow from noise and config."""
    configs = {}

    def add(name, **changes):
        method = changes.pop("method", "dcgan")
        settings = {"data": "toy:powerlaw?n=80", "size": SIDE, "channels": 3, **changes}
        configs[name] = GanConfig(method, **settings)
        return name

    def load(folder):
        config = configs[str(folder)]
        return build(config), SimpleNamespace(step=np.int32(7), average={})

    def generate(gan, state, n, *, seed):
        return _pixels(n, gan.config.size, gan.config.channels, [seed, gan.config.seed])

    monkeypatch.setattr(benchmark, "load_gan", load)
    monkeypatch.setattr(benchmark, "generate", generate)
    return add


def _pixels(n, size, channels, seed):
    # Drawn one after another, so that more images begin with the same ones.
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(0, 256, (size, size, channels), np.uint8) for _ in range(n)])


def rows_of(folder, split):
    with (folder / f"{split}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def grid(zoo, sources=("dcgan", "lsgan"), instances=("0", "1"), other="toy:powerlaw?seed=5"):
    """Runs of two sources on seen textures, and one each on unseen ones, and their real images."""
    runs = [
        f"{source}/fine/{i}={zoo(f'{source}-fine-{i}', method=source, seed=int(i))}"
        for source in sources
        for i in instances
    ]
    runs += [f"{s}/coarse/0={zoo(f'{s}-coarse', method=s, data=other, seed=9)}" for s in sources]
    return runs, {"fine": "toy:powerlaw?n=80", "coarse": other}


def built(tmp_path, runs, real, **options):
    said = []
    settings = {"counts": COUNTS, "unseen": ("coarse",), **options}
    facts = benchmark.build_benchmark(tmp_path / "b", runs, real, say=said.append, **settings)
    return tmp_path / "b", facts, said


def test_a_benchmark_has_the_layout_of_attribution88(zoo, tmp_path):
    folder, facts, _ = built(tmp_path, *grid(zoo))
    lists = {split: rows_of(folder, split) for split in COUNTS}
    assert list(lists["train"][0]) == ["path", "label", "dlabel", "semantic", "instance"]
    for row in (row for rows in lists.values() for row in rows):
        source, semantic, *instance, _ = row["path"].split("/")
        assert facts["names"][int(row["label"])] == source and semantic == row["semantic"]
        assert instance == ([row["instance"]] if row["instance"] else [])
        assert (source == "real") == (row["label"] == "0") == (row["instance"] == "")
        assert ["fine", "coarse"][int(row["dlabel"])] == semantic
        with Image.open(folder / row["path"]) as image:
            assert (image.format, image.size, image.mode) == ("PNG", (SIDE, SIDE), "RGB")
    assert {row["semantic"] for row in lists["train"] + lists["val"]} == {"fine"}
    assert {row["semantic"] for row in lists["test"]} == {"fine", "coarse"}
    for split, count in COUNTS.items():
        counted = [row["path"].split("/")[0] for row in lists[split] if row["semantic"] == "fine"]
        assert [counted.count(name) for name in facts["names"]] == [count] * 3
    images = open_attributed(str(folder), split="test")
    assert images.names == ("real", "dcgan", "lsgan") and images.real == "real"
    assert len(images.labels) == facts["counts"]["test"] == 18


def test_splits_have_noise_of_their_own_and_all_is_told(zoo, tmp_path):
    folder, facts, _ = built(tmp_path, *grid(zoo))
    pixels = [path.read_bytes() for path in folder.rglob("*.png")]
    assert len({*pixels}) == len(pixels)
    made = [group for group in facts["groups"] if group["source"] != "real"]
    assert len({group["noise_seed"] for group in made}) == len(made)
    first = next(g for g in made if (g["source"], g["instance"]) == ("dcgan", "0"))
    assert first["rows"] == {"train": [0, 3], "val": [3, 4], "test": [4, 6]}
    drawn = _pixels(6, SIDE, 3, [first["noise_seed"], 0])
    saved = np.array(Image.open(folder / "dcgan/fine/0/test-00001.png"))
    assert (saved == drawn[5]).all()
    assert first["step"] == 7 and first["config"]["method"] == "dcgan"
    assert len(first["config_sha256"]) == 64
    assert "average" not in first
    assert facts == json.loads((folder / "benchmark.json").read_text())


def test_real_images_are_those_that_trained_no_gan(zoo, tmp_path):
    runs, real = grid(zoo)
    folder, facts, _ = built(tmp_path, runs, real)
    saved = [np.array(Image.open(path)) for path in (folder / "real/fine").glob("*.png")]
    assert len(saved) == 11
    everything = open_source(real["fine"], size=SIDE, split="test")
    allowed = {everything[i]["image"].tobytes() for i in range(len(everything))}
    assert {image.tobytes() for image in saved} <= allowed
    assert facts["groups"][0]["split"] == "test"
    with pytest.raises(ValueError, match=r"fine: 40 real images are needed and \d\d are held out"):
        built(tmp_path / "more", runs, real, counts={**COUNTS, "train": 35})


def test_real_images_that_trained_under_another_name_are_left_out(zoo, tmp_path):
    runs, real = grid(zoo)
    real["fine"] = "toy:powerlaw?n=200"  # It begins with the 80 of which some trained.
    folder, facts, _ = built(tmp_path, runs, real, counts={**COUNTS, "train": 120})
    trained = open_source("toy:powerlaw?n=80", size=SIDE, split="train")
    trained = {trained[i]["image"].tobytes() for i in range(len(trained))}
    saved = [np.array(Image.open(path)).tobytes() for path in (folder / "real/fine").glob("*.png")]
    assert len(saved) == 125 and not trained & {*saved}
    assert facts["groups"][0]["left_out_as_equal"] > 0


def test_what_cannot_be_known_of_the_real_images_is_said(zoo, tmp_path):
    runs, real = grid(zoo)
    zoo("dcgan-fine-0", data="folder:gone")
    _, facts, said = built(tmp_path, runs, real)
    assert any("fine: real images of" in line and "cannot be known" in line for line in said)
    assert facts["groups"][0]["not_compared_with"] == ["folder:gone, split train"]
    zoo("dcgan-fine-0", split="all")
    with pytest.raises(ValueError, match=r"trained with all images .*: none is held out"):
        built(tmp_path / "all", runs, real)


def test_new_seeds_are_in_the_test_split_alone(zoo, tmp_path):
    folder, _, _ = built(tmp_path, *grid(zoo), new_seeds=("1",))
    seen = [row for split in ("train", "val") for row in rows_of(folder, split)]
    assert {row["instance"] for row in seen} == {"", "0"}
    test = [row["instance"] for row in rows_of(folder, "test") if row["semantic"] == "fine"]
    assert [test.count(name) for name in ("", "0", "1")] == [3, 6, 6]


def test_the_same_benchmark_is_left_alone_and_another_is_refused(zoo, tmp_path, monkeypatch):
    runs, real = grid(zoo)
    folder, facts, _ = built(tmp_path, runs, real)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert built(tmp_path, runs, real)[1] == facts
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    with pytest.raises(ValueError, match="holds a benchmark of other settings"):
        built(tmp_path, runs, real, seed=1)
    (tmp_path / "c" / "b").mkdir(parents=True)
    (tmp_path / "c" / "b" / "mine.txt").touch()
    with pytest.raises(ValueError, match="holds other files"):
        built(tmp_path / "c", runs, real)


def test_a_benchmark_that_fails_leaves_nothing(zoo, tmp_path, monkeypatch):
    runs, real = grid(zoo)

    def diverged(*arguments, **options):
        raise ValueError("3 pixels are NaN; the generator has diverged")

    monkeypatch.setattr(benchmark, "generate", diverged)
    with pytest.raises(ValueError, match="diverged"):
        built(tmp_path, runs, real)
    assert not list(tmp_path.iterdir())


def test_a_generator_that_makes_one_image_is_told(zoo, tmp_path, monkeypatch):
    one = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    monkeypatch.setattr(benchmark, "generate", lambda gan, state, n, seed: np.repeat(one, n, 0))
    _, _, said = built(tmp_path, *grid(zoo))
    assert any("dcgan/fine/0: only 1 of 6 images differ" in line for line in said)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"drop": "lsgan-coarse"}, r"1 sources and semantics have no run .*: lsgan/coarse\."),
        ({"again": "dcgan/fine/0=dcgan-fine-1"}, "several runs are dcgan/fine/0: dcgan-fine-0, "),
        ({"again": "dcgan/fine=dcgan-fine-1"}, "write SOURCE/SEMANTIC/INSTANCE=FOLDER"),
        ({"again": "real/fine/0=dcgan-fine-1"}, "no source of generated images is called 'real'"),
        ({"again": "dcgan/cats/0=dcgan-fine-1"}, "no real images of cats: give --real cats="),
        ({"unseen": ("cats",)}, "unseen cats: semantics are fine, coarse"),
        ({"unseen": ("fine", "coarse")}, "all semantics are unseen"),
        ({"new_seeds": ("5",)}, "no run is of instance 5: 0, 1"),
        ({"new_seeds": ("0", "1")}, "4 sources and semantics have no run"),
        ({"counts": {**COUNTS, "val": 0}}, "0 images in val"),
    ],
)
def test_what_makes_no_benchmark_is_refused(zoo, tmp_path, change, words):
    runs, real = grid(zoo)
    drop, again = change.pop("drop", None), change.pop("again", None)
    runs = [run for run in runs if not drop or not run.endswith(drop)] + ([again] if again else [])
    with pytest.raises(ValueError, match=words):
        built(tmp_path, runs, real, **change)


@pytest.mark.parametrize("name", ["=a", "a\nb", "@a"])
def test_names_that_a_list_could_not_hold_are_refused(tmp_path, name):
    group = Group(name, "b", "", {"train": 1}, {}, lambda count: (None, {}))
    with pytest.raises(ValueError, match="choose another"):
        write_benchmark(tmp_path / "b", [group], names=[name], seen=["b"], unseen=[], about={})


def test_runs_of_several_sizes_or_channels_are_refused(zoo, tmp_path):
    runs, real = grid(zoo)
    zoo("lsgan-coarse", method="lsgan", size=32)
    with pytest.raises(ValueError, match=r"16x16 of 3 channels \(dcgan/fine/0\), 32x32"):
        built(tmp_path, runs, real)
    zoo("lsgan-coarse", method="lsgan", channels=1)
    with pytest.raises(ValueError, match=r"16x16 of 1 channels \(lsgan/coarse/0\)"):
        built(tmp_path, runs, real)


def test_runs_say_themselves_what_they_are(zoo, tmp_path):
    runs = [zoo("a", seed=3), zoo("b", seed=4, tail="N.1.5"), zoo("c", seed=4)]
    real = {"fine": "toy:powerlaw?n=80"}
    _, facts, _ = built(tmp_path, runs, real, unseen=())
    assert facts["names"] == ["real", "dcgan", "dcgan-N.1.5"]
    assert [group["instance"] for group in facts["groups"]] == ["", "3", "4", "4"]
    with pytest.raises(ValueError, match="a: it trained on toy:powerlaw.n=80, which is the source"):
        built(tmp_path / "o", runs, {"fine": "toy:powerlaw"}, unseen=())


@pytest.fixture
def photographs(tmp_path):
    """Writes files of real images into a folder of train/ and test/, and names it as a source."""

    def write(kind="png", size=(SIDE, SIDE), count=14, first=0):
        for split, seed in (("train", 1), ("test", 2)):
            folder = tmp_path / "files" / split
            folder.mkdir(parents=True, exist_ok=True)
            for i, image in enumerate(_pixels(count, max(size), 3, seed)):
                image = Image.fromarray(image[: size[1], : size[0]])
                image.save(folder / f"{first + i:02d}.{kind}")
        return f"folder:{tmp_path / 'files'}"

    return write


def test_mixed_codecs_and_sizes_of_real_files_are_refused(zoo, tmp_path, photographs):
    data = photographs()
    runs, real = grid(zoo, other=data)
    _, facts, said = built(tmp_path, runs, real)
    assert facts["counts"]["test"] == 18
    kept = [g["splits"] for g in facts["groups"] if g.get("data") == data]
    assert kept == [{"train": {"train/": 14}, "test": {"test/": 14}}]
    assert said == [f"{data}: splits: train 14 of train/, test 14 of test/; taken are 14 of 28"]
    photographs("jpg", count=2, first=20)
    with pytest.raises(ValueError, match=r"real files of 2 codecs: 14 of PNG .*; 2 of JPEG"):
        built(tmp_path / "b2", runs, real)


def test_mixed_sizes_of_real_files_are_refused(zoo, tmp_path, photographs):
    data = photographs()
    runs, real = grid(zoo, other=data)
    photographs(size=(20, 16), count=1, first=20)
    with pytest.raises(ValueError, match=r"real files of 2 sizes .*: 14 of 16x16 .*; 1 of 20x16"):
        built(tmp_path, runs, real)


def test_files_of_a_lossy_codec_are_told(zoo, tmp_path, photographs):
    data = photographs("jpg")
    runs, real = grid(zoo, other=data)
    said = built(tmp_path, runs, real)[2]
    assert said == [
        f"{data}: splits: train 14 of train/, test 14 of test/; taken are 14 of 28",
        "the real files are JPEG: its traces are in real images alone, where no GAN learned them",
    ]


def test_the_command_builds_and_says_what(zoo, tmp_path, capsys):
    runs, real = grid(zoo)
    options = ["--train", 6, "--val", 2, "--test", 3, "--unseen", "coarse", "--out", tmp_path / "b"]
    given = [f"{name}={source}" for name, source in real.items()]
    assert run("benchmark", "build", "--runs", *runs, "--real", *given, *options) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "18 in train.csv, 6 in val.csv, 18 in test.csv; 3 sources (real, dcgan, lsgan)" in said
    for wrong in (["fine"], ["fine="], ["a/b=toy:powerlaw"], [given[0], given[0]]):
        assert "--real " in refused(
            capsys, "benchmark", "build", "--runs", *runs, "--real", *wrong, *options
        )


def test_help_of_the_benchmark_shows_how_to_use_it(capsys):
    assert run("benchmark", "--help") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "$ gan-forensics benchmark build --runs" in said and "SEMANTIC=SOURCE" in said
