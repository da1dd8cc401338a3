"""GANs of points: runs, samples, points of one's own, and what is refused."""

import json
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gan_forensics.cli.train import _run_name
from gan_forensics.data import open_source
from gan_forensics.data.point_pictures import SIDE, points_picture
from gan_forensics.gans import GanConfig, build, generate, load_gan, train_gan
from gan_forensics.gans.runs import _completed
from gan_forensics.train import Cadence, CheckpointError
from tests.test_cli import plain_terminal, refused, run  # noqa: F401

TINY = GanConfig("dist-gan", data="toy:grid9?n=200", width=4, batch_size=8, n_dis=1)
# Of the fewest terms.
PLAIN = replace(TINY, method="dcgan")


def trained_on(config, folder, steps, **options):
    cadence = Cadence(steps, log_every=1, checkpoint_every=2, sample_every=2)
    return train_gan(config, folder, cadence, progress=False, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of four steps that was killed after two, and the state of one that was not."""
    folder = tmp_path_factory.mktemp("points")
    gan, state = trained_on(TINY, folder / "straight", 4)
    shutil.copytree(folder / "straight", folder / "run")
    shutil.rmtree(folder / "run" / "checkpoints" / "4")
    trained_on(TINY, folder / "run", 4, resume=True)
    return folder / "run", gan, state


@pytest.fixture
def points_of(tmp_path, rng):
    """A source of points of one's own."""

    def source(point, name="own.npz"):
        np.savez(tmp_path / name, point=np.asarray(point, np.float32))
        return f"npz:{tmp_path / name}"

    return source


def test_a_run_goes_on_bit_for_bit(trained):
    run, _, state = trained
    for a, b in zip(*map(jax.tree.leaves, (load_gan(run)[1], state)), strict=True):
        assert_array_equal(a, b)
    pictures = sorted(path.name for path in (run / "samples").iterdir())
    assert len(pictures) == 2 and all(name.endswith(".png") for name in pictures)


def test_points_are_drawn_in_the_range_of_the_data(trained):
    gan, state = load_gan(trained[0])
    points = generate(gan, state, 9, seed=3)
    assert points.shape == (9, 2) and points.dtype == np.float32
    scale = gan.config.point_scale
    assert scale == pytest.approx(2.18) and gan.config.dimensions == gan.config.latent == 2
    # Products of other batches may round otherwise.
    again = generate(gan, state, 5, seed=3, batch_size=4)
    np.testing.assert_allclose(points[:5], again, rtol=1e-5, atol=1e-6)
    # A generator whose last layer is 0 ends in 1/2, the middle; a bias of 20 ends in 1.
    last = state.params["generator"]["dense_3"]
    for bias, expected in ((0, 0), (20, scale), (-20, -scale)):
        layer = {"kernel": np.zeros_like(last["kernel"]), "bias": np.full(2, bias, np.float32)}
        params = {**state.params, "generator": {**state.params["generator"], "dense_3": layer}}
        made = generate(gan, state.replace(params=params), 2, seed=0)
        np.testing.assert_allclose(made, np.full((2, 2), expected), atol=1e-5)


def test_weights_that_are_no_numbers_are_not_drawn_from(trained):
    gan, state = trained[1:]
    params = jax.tree.map(lambda x: np.full_like(x, np.nan), dict(state.params))
    with pytest.raises(ValueError, match="5 of 5 points are not finite; the generator has div"):
        generate(gan, state.replace(params=params), 5, seed=0)


def test_another_latent_than_the_checkpoints_is_named(trained, tmp_path):
    shutil.copytree(trained[0] / "checkpoints", tmp_path / "checkpoints")
    config = json.loads((trained[0] / "config.json").read_text())
    config["gan"]["latent"] = 5
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError) as error:
        load_gan(tmp_path)
    said = r"encoder/dense_3/bias is [2] in the checkpoint and [5] in the game"
    assert said in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_points_of_ones_own_have_the_networks_that_fit(dimensions, points_of, tmp_path, rng):
    own = rng.uniform(-3, 3, (40, dimensions))
    config = replace(PLAIN, data=points_of(own))
    if dimensions == 3:
        gan, state = trained_on(config, tmp_path / "run", 1)
        assert generate(gan, state, 3, seed=0).shape == (3, 3)
    config = build(_completed(config, open_source(config.data), 1)).config
    assert config.architecture == ("small-perceptron" if dimensions == 1 else "perceptron")
    assert config.dimensions == config.latent == dimensions
    assert config.point_scale == (None if dimensions == 1 else np.abs(own).max().astype("f"))


def test_points_at_the_origin_have_a_scale(points_of):
    config = replace(TINY, data=points_of(np.zeros((9, 2))))
    assert _completed(config, open_source(config.data), 1).point_scale == 1


@pytest.mark.slow
@pytest.mark.parametrize("value", [0, 3])
def test_equal_points_do_no_harm(value, points_of, tmp_path):
    """Neighbours at distance 0, a range of width 0."""
    config = replace(TINY, method="gn-gan", data=points_of(np.full((40, 2), value)))
    gan, state = trained_on(config, tmp_path / "run", 2)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(state.params))
    assert np.isfinite(generate(gan, state, 3, seed=0)).all()


@pytest.mark.parametrize("value", [0, 3, 1e12])
@pytest.mark.parametrize("dimensions", [1, 2])
def test_equal_points_have_a_picture(dimensions, value):
    points = np.full((5, dimensions), value, np.float32)
    picture = points_picture(points, like=points)
    assert picture.shape == (SIDE, SIDE, 3) and (picture != 255).any()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (GanConfig("ssgan", data=TINY.data), "ssgan has no networks for points"),
        (GanConfig("infomax-gan", data=TINY.data), "infomax-gan has no networks for points"),
        (GanConfig("sagan", data=TINY.data), "sagan has no networks for points"),
        (replace(TINY, method="sngan", architecture="resgan"), "resgan networks are for images"),
        (replace(TINY, architecture="dcgan"), "has points, and dcgan networks are for images"),
        (replace(TINY, dimensions=3), "has points of 2 numbers, the config says 3"),
        (replace(TINY, flip=True), "flip mirrors images"),
        (replace(TINY, channels=1), "channels 1 is for images"),
        (replace(TINY, data="toy:line", point_scale=2), "point_scale 2 is for perceptrons"),
        (replace(TINY, data="samples:digits", architecture="perceptron"), "samples:digits has ima"),
        (replace(TINY, data="samples:digits", dimensions=2), "perceptron networks are for points"),
        (replace(PLAIN, bundle="released"), "dcgan comes in no bundles: leave bundle out, or cho"),
        (replace(TINY, decay_steps=10), "decay_steps are of the schedules linear and half-linear"),
    ],
)
def test_what_does_not_go_together_is_told(config, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        trained_on(config, tmp_path / "run", 1)
    assert not (tmp_path / "run").exists()


# --- the command line ---------------------------------------------------------------------------


def test_a_run_is_named_after_its_method_and_data(points_of):
    own = points_of(np.zeros((9, 2)), "my points.npz")
    for config, name in (
        (TINY, "dist-gan-grid9"),
        (replace(TINY, data=own), "dist-gan-my points"),
        (GanConfig("dist-gan", size=32), "dist-gan-32"),
        (GanConfig("dcgan", size=32, tail="N.1.5"), "dcgan-N.1.5-32"),
        (GanConfig("sngan", size=32), "sngan-32"),
    ):
        assert _run_name(config) == name


def test_points_from_data_to_samples(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options = [*"--width 4 --batch-size 8 --n-dis 1 --steps 2".split(), "--data", TINY.data]
    assert run("train", "dist-gan", *options) == 0
    folder = tmp_path / "runs" / "dist-gan-grid9"
    assert (folder / "report.html").exists()
    for form, name in (("grid", "points.png"), ("npz", "points.npz")):
        assert run("sample", folder, "-n", 5, "--form", form, "--out", tmp_path / form) == 0
        assert [path.name for path in (tmp_path / form).iterdir()] == [name]
    assert "5 points of step 2" in capsys.readouterr().out
    drawn = np.load(tmp_path / "npz" / "points.npz")["point"]
    assert drawn.shape == (5, 2) and drawn.dtype == np.float32
    for wish in (["--form", "png"], ["--interpolate", 2]):
        assert f"{wish[0]} " in (said := refused(capsys, "sample", folder, *wish))
        assert "for images, this GAN makes points" in said


@pytest.mark.parametrize(
    ("dimensions", "options"),
    [
        (2, []),
        (3, ["--point-scale", 5]),
        (1, []),
        (1, ["--dimensions", 1]),
        (1, ["--architecture", "small-perceptron"]),
        (1, ["--architecture", "perceptron", "--dimensions", 1]),
    ],
)
def test_settings_of_ones_own_points_pass_the_check(dimensions, options, points_of, capsys):
    """Up to the data, of which there are too few."""
    own = points_of(np.ones((9, dimensions)))
    said = refused(capsys, "train", "dist-gan", "--data", own, *options, "--batch-size", 99)
    assert "fewer than one batch" in said


def test_perceptrons_for_images_are_refused_by_what_the_data_have(capsys):
    options = ["--data", "samples:digits", "--architecture", "perceptron"]
    assert "samples:digits has image" in refused(capsys, "train", "dist-gan", *options)
