"""`evaluate`, and what `train` and `sample` learned with it, on tiny GANs."""

import json
from dataclasses import asdict, fields
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from gan_forensics.cli.evaluate_files import flat_note, readable
from gan_forensics.cli.train import METHOD_NAMES, options_of
from gan_forensics.data import ArraySource, ImageError, power_law_textures, save_png
from gan_forensics.gans import METHODS, GanConfig, build, init
from gan_forensics.quality import Extracted, FeatureExtractor
from gan_forensics.train import Checkpoints, init_state
from tests.test_cli import plain_terminal, refused, run  # noqa: F401
from tests.test_nn_inception import state_dict

SMALL = ["--data", "samples:digits", "--latent", 8, "--batch-size", 8]
SMALL += ["--size", 32, "--generator-width", 4, "--discriminator-width", 4, "--n-dis", 1]
METRICS = ["metric", "value", "spread", "real", "fake"]


def saved(config, folder):
    """A run folder as `train` leaves it before the first step: nothing needs compiling for it."""
    gan = build(config)
    params, stats = init(gan)
    average = ("generator",) if config.average else ()
    state = init_state(gan.updates, params, stats, average=average)
    checkpoints = Checkpoints(folder, keep=1)
    checkpoints.save(state, {"data": {}, "plateau": {}})
    checkpoints.close()
    (folder / "config.json").write_text(json.dumps({"gan": asdict(gan.config)}))
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """A run folder of a GAN without classes, on images of 16x16."""
    config = GanConfig("dcgan", size=16, channels=1, latent=8, width=4)
    return saved(config, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two folders of textures, 40 and 30 images."""
    root = tmp_path_factory.mktemp("folders")
    for name, exponent, n in (("real", 1.5, 40), ("generated", 1.0, 30)):
        (root / name).mkdir()
        for i, image in enumerate(power_law_textures(n, 16, exponent=exponent, seed=n)):
            save_png(root / name / f"{i:03d}.png", image)
    return root / "real", root / "generated"


# --- train ----------------------------------------------------------------------------------------


def test_train_has_every_method_and_every_field_of_the_config(capsys):
    own = [f.name for f in fields(options_of(GanConfig, without=("method",)))]
    assert [f.name for f in fields(GanConfig)] == ["method", *own]
    assert list(METHODS) == METHOD_NAMES
    assert run("train", "--help") == 0
    listed = capsys.readouterr().out
    for name, rows in METHODS.items():
        assert f"• {name} " in listed
        assert run("train", name, "--help") == 0
        said = " ".join(capsys.readouterr().out.split())
        # What is published stands there, and no number that only means "the default".
        for row in rows.values():
            assert f"learning rate {row.recipe.learning_rate:g}" in said
            assert row.paper in said.split(") on")[0]
        assert all(f"as {row.recipe_of}" in said for row in rows.values())
        assert "(default: 0)" not in said and "(default: 0.0)" not in said


def test_train_passes_its_options_on_and_names_residual_runs_without_a_tail(tmp_path, monkeypatch):
    seen = {}

    def train_gan(config, run, cadence, **options):
        seen.update(config=config, run=str(run), steps=cadence.steps)
        raise ValueError("far enough")

    monkeypatch.setattr("gan_forensics.gans.train_gan", train_gan)
    assert run("train", "sngan", *SMALL, "--schedule", "linear", "--steps", 7) == 2
    config = seen["config"]
    assert (config.method, config.n_dis, config.schedule) == ("sngan", 1, "linear")
    assert (config.generator_width, config.discriminator_width) == (4, 4)
    assert (seen["run"], seen["steps"]) == ("runs/sngan-32", 7)
    run("train", "dcgan", "--tail", "N.1.5")
    assert seen["run"] == "runs/dcgan-N.1.5-64"
    run("train", "dcgan", "--architecture", "resgan")
    assert seen["run"] == "runs/dcgan-64" and seen["config"].architecture == "resgan"


def test_train_of_a_conditional_gan_needs_labels(tmp_path, capsys, folders):
    options = [*SMALL, "--data", f"folder:{folders[0]}"]
    said = refused(capsys, "train", "cgan-pd", *options, "--out", tmp_path / "run")
    assert "needs classes" in said and "has no labels" in said


def test_train_refuses_sizes_and_tails_that_residual_networks_have_not(tmp_path, capsys):
    out = ["--out", tmp_path / "run"]
    said = refused(capsys, "train", "sngan", *SMALL, "--size", 40, *out)
    assert "40" in said and "48" in said and "128" in said
    said = refused(capsys, "train", "ssgan", *SMALL, "--tail", "N.1.5", *out)
    assert "tail and width are of dcgan networks" in said


# --- sample ---------------------------------------------------------------------------------------


@pytest.fixture
def drawn(monkeypatch):
    """What `sample` asks a GAN of ten classes for."""
    asked = []

    def images(gan, state, *counts, seed, labels=None, truncation=None):
        labels = None if labels is None else [int(label) for label in labels]
        asked.append((*counts, labels, truncation))
        return np.zeros((int(np.prod(counts)), 8, 8, 3), np.uint8)

    state = SimpleNamespace(step=1)
    gan = SimpleNamespace(game=SimpleNamespace(data="image"))
    monkeypatch.setattr("gan_forensics.gans.load_gan", lambda run: (gan, state))
    monkeypatch.setattr("gan_forensics.gans.generate", images)
    monkeypatch.setattr("gan_forensics.gans.interpolate", images)
    return asked


def test_sample_draws_the_classes_in_turn(drawn, tmp_path):
    out = ["--out", tmp_path]
    assert run("sample", "somewhere", "-n", 5, "--labels", 1, 2, *out) == 0
    assert run("sample", "somewhere", "-n", 2, "--class", 3, "--truncation", 0.5, *out) == 0
    assert run("sample", "somewhere", "-n", 2, *out) == 0
    assert drawn == [(5, [1, 2, 1, 2, 1], None), (2, [3, 3], 0.5), (2, None, None)]


def test_sample_interpolates_in_rows_of_one_class_each(drawn, tmp_path):
    options = ["--interpolate", 2, "-n", 7, "--labels", 4, 5, "--out", tmp_path]
    assert run("sample", "somewhere", *options) == 0
    assert drawn == [(2, 3, [4, 5], None)]
    with Image.open(tmp_path / "grid.png") as image:
        assert image.size == (3 * 10 + 2, 2 * 10 + 2)


def test_sample_of_a_run_interpolates(plain, tmp_path):
    options = ["--interpolate", 2, "-n", 6, "--form", "npz", "--out", tmp_path]
    assert run("sample", plain, *options) == 0
    assert np.load(tmp_path / "images.npz")["image"].shape == (6, 16, 16, 1)


def test_sample_says_what_does_not_go_together(plain, capsys):
    said = refused(capsys, "sample", plain, "--interpolate", 3, "-n", 4)
    assert "two images or more" in said
    said = refused(capsys, "sample", plain, "--interpolate", 1, "--truncation", 1)
    assert "leave it out" in said
    assert "no classes" in refused(capsys, "sample", plain, "--class", 1)
    assert "positive" in refused(capsys, "sample", plain, "--truncation", -1)


# --- evaluate -------------------------------------------------------------------------------------


def test_evaluate_without_weights_says_what_to_give(folders, capsys):
    said = refused(capsys, "evaluate", folders[1], "--data", folders[0])
    assert "--weights" in said and "pt_inception-2015-12-05" in said and "--features small" in said


def test_evaluate_of_two_folders_prints_and_writes_every_number(folders, tmp_path, capsys):
    out = tmp_path / "new" / "results.json"
    options = ["--features", "random", "--metrics", "fid,kid,prdc", "-n", 35]
    assert run("evaluate", folders[1], "--data", folders[0], *options, "--out", out) == 0
    said = capsys.readouterr().out
    assert "FID" not in said and "Frechet distance on random-network features" in said
    assert "cannot have full rank" in said  # 35 images for 64 features
    results = json.loads(out.read_text())
    rows = {row["metric"]: row for row in results["quality"]}
    assert len(rows) == 6
    for row in rows.values():
        assert list(row)[:5] == METRICS
        assert (row["real"], row["fake"]) == (35, 30)
        assert row["features"] == "random-network features"
    protocol = results["protocol"]
    assert protocol["features"]["weights"] == "random" and protocol["asked_for"] == 35
    assert "commit" in protocol and "jax" in protocol
    assert protocol["metrics"]["precision"] == {
        "k": 5, "balls": "closed", "zero_radii": {"real": 0, "fake": 0},
    }  # fmt: skip


def test_evaluate_of_repeated_images_against_themselves_is_one_and_says_why(
    tmp_path, capsys, monkeypatch
):
    def small(images):
        return Extracted(np.float32(images.reshape(len(images), -1)[:, :6]), None)

    colours = FeatureExtractor("six numbers", "f" * 64, small)
    monkeypatch.setattr("gan_forensics.quality.random_features", lambda *_, **more: colours)
    (tmp_path / "copies").mkdir()
    for i, image in enumerate(
        np.tile(power_law_textures(3, 8, exponent=1.0, seed=1), (6, 1, 1, 1))
    ):
        save_png(tmp_path / "copies" / f"{i:03d}.png", image)
    options = ["--features", "random", "--metrics", "prdc", "--out", tmp_path / "r.json"]
    assert run("evaluate", tmp_path / "copies", "--data", tmp_path / "copies", *options) == 0
    told = "18 of 18 real radii and 18 of 18 fake ones are zero"
    assert f"Note: {told}" in capsys.readouterr().out
    results = json.loads((tmp_path / "r.json").read_text())
    values = {row["metric"]: row["value"] for row in results["quality"]}
    assert values == {"precision": 1, "recall": 1, "density": 6 / 5, "coverage": 1}
    assert all(told in row["warning"] for row in results["quality"])
    zero = results["protocol"]["metrics"]["coverage"]["zero_radii"]
    assert zero == {"real": 18, "fake": 18}


def test_evaluate_computes_what_can_be_and_names_what_cannot(folders, tmp_path, capsys):
    out = ["--features", "random", "--out", tmp_path / "r.json"]
    assert run("evaluate", folders[1], "--data", folders[0], *out) == 0
    said = capsys.readouterr().out
    assert "Left out 'is': these features have no classifier" in said
    results = json.loads((tmp_path / "r.json").read_text())
    assert len(results["quality"]) == 6 and list(results["left_out"]) == ["is"]
    assert run("evaluate", folders[1], "--data", folders[0], *out, "-n", 4) == 0
    said = capsys.readouterr().out
    assert "Left out 'prdc': it needs at least 6 real images, there are 4." in said
    results = json.loads((tmp_path / "r.json").read_text())
    assert len(results["quality"]) == 2 and list(results["left_out"]) == ["is", "prdc"]
    # Also of those that are asked for by name.
    assert run("evaluate", folders[1], "--data", folders[0], *out, "--metrics", "is,fid") == 0
    assert "Left out 'is': these features" in capsys.readouterr().out
    results = json.loads((tmp_path / "r.json").read_text())
    assert len(results["quality"]) == 1 and list(results["left_out"]) == ["is"]
    assert run("evaluate", folders[1], "--data", folders[0], *out, "--metrics", "fid") == 0
    assert "Left out" not in capsys.readouterr().out
    assert "left_out" not in json.loads((tmp_path / "r.json").read_text())


def test_flat_images_are_counted_and_stay_and_what_is_in_memory_is_not_read(capsys):
    class Broken:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            if index == 1:
                raise ImageError("b.png: damaged")
            return {"image": np.full((8, 8, 3), index, np.uint8)}

    class Memory(ArraySource):
        def __getitem__(self, index):
            raise AssertionError("it was read")

    memory = Memory(image=np.zeros((2, 8, 8, 3), np.uint8))
    kept, facts = readable({"real": memory, "generated": Broken()}, "skip")
    assert kept["real"] is memory and len(kept["generated"]) == 2
    assert facts["images_left_out"]["generated"]["unread"]["first"] == ["b.png: damaged"]
    with pytest.raises(ImageError, match="1 of 3 images cannot be read; .*skip.*b.png: damaged"):
        readable({"real": memory, "generated": Broken()}, "stop")
    assert "generated: 1 of 3 left out (they cannot be read): b.png" in capsys.readouterr().err
    assert flat_note("a", kept["generated"]).startswith("2 of 2 images of a are flat")
    eye = 200 * np.eye(8, dtype=np.uint8)[None, :, :, None]
    assert flat_note("a", ArraySource(image=eye)) == ""
    one = ArraySource(image=np.concatenate([eye, 0 * eye]))
    assert flat_note("a", one).startswith("1 of 2 images of a are flat")
    assert readable({"real": memory}, "stop") == ({"real": memory}, {})


@pytest.mark.slow
def test_evaluate_names_all_files_that_cannot_be_read_and_counts_flat_ones(
    folders, tmp_path, capsys
):
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in folders[1].iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    for name in ("bad1.png", "bad2.png"):
        (broken / name).write_bytes((broken / "000.png").read_bytes()[:200])
    save_png(broken / "black.png", np.zeros((16, 16, 3), np.uint8))
    command = ["evaluate", broken, "--data", folders[0], "--features", "random", "--metrics", "fid"]
    command += ["--out", tmp_path / "r.json"]
    said = refused(capsys, *command)
    assert "2 of 73 images cannot be read; remove them or leave them out (--on-bad-image" in said
    assert "bad1.png: damaged" in said and "bad2.png: damaged" in said
    assert run(*command, "--on-bad-image", "skip") == 0
    said = capsys.readouterr()
    assert "generated: 2 of 33 left out (they cannot be read): " in said.err
    assert f"Note: 1 of 31 images of {broken} are flat" in " ".join(said.out.split())
    results = json.loads((tmp_path / "r.json").read_text())
    assert results["quality"][0]["fake"] == 31 and len(results["flat"]) == 1
    assert results["images_left_out"]["generated"]["unread"]["count"] == 2
    said = refused(capsys, "evaluate", broken, "--data", "stacked:samples:digits",
                   "--on-bad-image", "skip")  # fmt: skip
    assert "--on-bad-image" in said and "leave it out" in said


def test_evaluate_decides_before_any_feature_is_computed(folders, plain, capsys, monkeypatch):
    def never(*given, **more):
        raise AssertionError("too late")

    monkeypatch.setattr("gan_forensics.gans.generate", never)
    monkeypatch.setattr("gan_forensics.quality.small_classifier_features", never)
    monkeypatch.setattr("gan_forensics.quality.evaluate.extract", never)
    real = ["--data", folders[0]]
    random, small = (["--features", name, *real] for name in ("random", "small"))
    said = refused(capsys, "evaluate", folders[1], *random, "--metrics", "is")
    assert "cannot compute 'is': these features have no classifier" in said
    said = refused(capsys, "evaluate", plain, *random, "--size", 16, "-n", 5, "--metrics", "prdc")
    assert "cannot compute 'prdc': it needs at least 6 real images, there are 5" in said
    said = refused(capsys, "evaluate", folders[1], *small, "-n", 9, "--metrics", "is")
    assert "it needs at least 10 generated images, there are 9" in said
    assert "cannot compute 'fid'" in refused(capsys, "evaluate", folders[1], *small, "-n", 1)


def test_evaluate_of_a_run_goes_into_its_report_with_the_spread_of_draws(plain, capsys):
    options = ["--data", "samples:digits", "--features", "random", "--metrics", "fid,prdc"]
    assert run("evaluate", plain, *options, "-n", 20, "--draws", 2) == 0
    said = capsys.readouterr().out
    assert "report.html" in said
    results = json.loads((plain / "results.json").read_text())
    assert all(row["spread"] is not None for row in results["quality"])
    assert results["protocol"]["draws"] == 2 and "step 0" in results["protocol"]["generated"]
    page = (plain / "report.html").read_text()
    assert "Frechet distance on random-network features" in page


def test_evaluate_with_small_features_needs_labels(folders, capsys):
    options = ["--data", folders[0], "--features", "small"]
    assert "no labels" in refused(capsys, "evaluate", folders[1], *options)


def test_evaluate_refuses_wrong_use(folders, plain, tmp_path, capsys):
    fake, real = folders[1], ["--data", folders[0], "--features", "random"]
    said = refused(capsys, "evaluate", fake, *real, "--metrics", "fid,fidd")
    assert "unknown metrics fidd" in said and "fid,kid,is,prdc" in said
    assert "-n 0: it must be at least 1" in refused(capsys, "evaluate", fake, *real, "-n", 0)
    assert "--draws 0: it must" in refused(capsys, "evaluate", fake, *real, "--draws", 0)
    assert "--seed -1: it must" in refused(capsys, "evaluate", fake, *real, "--seed", -1)
    for option in (["--resize", "pytorch-fid"], ["--weights", tmp_path / "w.npz"]):
        said = refused(capsys, "evaluate", fake, *real, *option)
        assert f"{option[0]}: only --features inception have it, these are random" in said
    assert "no run folder" in refused(capsys, "evaluate", fake, *real, "--draws", 2)
    assert "images of 16" in refused(capsys, "evaluate", plain, *real, "--size", 32)
    assert "unknown source" in refused(capsys, "evaluate", tmp_path / "missing", *real)
    assert "have no classifier" in refused(capsys, "evaluate", fake, *real, "--metrics", "is")
    weights = ["--data", folders[0], "--weights", tmp_path / "w.npz"]
    assert "no weights at" in refused(capsys, "evaluate", fake, *weights)
    np.savez(tmp_path / "w.npz", **{"conv1.weight": np.zeros((8, 3, 7, 7))})
    assert "not those of" in refused(capsys, "evaluate", fake, *weights)


@pytest.mark.slow
def test_evaluate_with_inception_weights_reports_fid_by_its_name(folders, tmp_path, capsys):
    np.savez(tmp_path / "inception.npz", **state_dict())
    options = ["--weights", tmp_path / "inception.npz", "-n", 12, "--out", tmp_path / "r.json"]
    assert run("evaluate", folders[1], "--data", folders[0], *options) == 0
    said = capsys.readouterr().out
    assert "FID " in said and "KID " in said and "inception score " in said
    assert "byte for byte" in said
    features = json.loads((tmp_path / "r.json").read_text())["protocol"]["features"]
    assert features["resize"] == "tensorflow, to 299x299"
    assert features["weights"] == "inception.npz"
