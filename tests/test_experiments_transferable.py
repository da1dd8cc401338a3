"""The experiment on transferable features: presets, the synthetic world, tables, small runs."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_forensics.data import power_law_textures, save_png
from gan_forensics.data.augment import grayscale
from gan_forensics.experiments import transferable_features, transferable_toy
from gan_forensics.experiments.transferable_features import PAPER, PRESETS, SMOKE, detector_config
from gan_forensics.experiments.transferable_folders import (
    first_of_each_class,
    read_detector,
    to_ranked_size,
)
from gan_forensics.experiments.transferable_page import finding, spread
from gan_forensics.experiments.transferable_published import (
    GRAY,
    SILENCED,
    TESTED,
    WANG,
    published_sections,
)
from gan_forensics.explain import feature_layers, find_layers
from gan_forensics.forensics.neural import ARCHITECTURES, NeuralDetector
from gan_forensics.forensics.neural_training import initial_variables
from gan_forensics.nn import efficientnet, resnet
from gan_forensics.nn.resnet import ResNet


def tiny(classes=1, width=2):
    """One bottleneck on a stem of stride 2: five convolutions."""
    return ResNet((1,), (2,), classes, 3, 2, stem_pool=False)


@pytest.fixture
def tiny_architecture(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "resnet_small", tiny)


# --- presets ------------------------------------------------------------------------------------


def test_cpu_is_five_gans_of_four_families_and_three_seeds():
    cpu = PRESETS["cpu"][1]
    assert len({name.partition(":")[0] for name in cpu.gans}) >= 4 and len(cpu.seeds) >= 3
    configs = [detector_config(cpu, v, 0, augment=("blur", "jpeg")) for v in ("base", "robust")]
    assert [config.augment for config in configs] == [
        ("blur", "jpeg"), ("blur", "jpeg", "grayscale")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("network", "layers", "channels"),
    [(resnet.resnet50(), 53, 26_560), (efficientnet.efficientnet_b0(), 49, 21_008)],
)
def test_the_published_networks_have_the_published_channels(network, layers, channels):
    image = jax.ShapeDtypeStruct((2, 224, 224, 3), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    variables = jax.eval_shape(lambda k, x: network.init(k, x, train=False), key, image)
    found = feature_layers(find_layers(network, variables, image))
    assert len(found) == layers
    assert sum(layer.channels for layer in found.values()) == channels


# --- the synthetic world ------------------------------------------------------------------------


def checkerboard(images):
    """The amplitude of the +-1 checkerboard in each channel, by image."""
    board = np.where(np.indices(images.shape[1:3]).sum(0) % 2 == 0, 1.0, -1.0)
    return (images.astype(float) * board[None, :, :, None]).mean((1, 2))


def test_the_cue_of_colour_is_a_checkerboard_that_gray_images_lose():
    cue = transferable_toy.Cue(0.1, 0.0)
    fake = transferable_toy.generated_images(50, cue, seed=1)
    amplitude = checkerboard(fake).mean(0)
    np.testing.assert_allclose(amplitude, 25.5 * transferable_toy.DIRECTION, atol=1.5)
    assert np.abs(checkerboard(grayscale(fake)).mean(0)).max() < 0.5
    assert transferable_toy.DIRECTION @ [0.299, 0.587, 0.114] == pytest.approx(0, abs=1e-3)


def test_the_cue_of_upsampling_stays_in_gray():
    def roughness(images):
        gray = grayscale(images)[..., 0].astype(float)
        # Within the 2x2 blocks of an upsampled image, and across their borders.
        inside, across = np.diff(gray, axis=1)[:, ::2], np.diff(gray, axis=1)[:, 1::2]
        return (inside**2).mean() / (across**2).mean()

    real = transferable_toy.real_images(50, seed=2)
    fake = transferable_toy.generated_images(50, transferable_toy.Cue(0.0, 0.35), seed=3)
    assert roughness(real) == pytest.approx(1, abs=0.05)
    assert roughness(fake) < 0.6


def test_worlds_are_seeded():
    first, again, other = (transferable_toy.real_images(3, seed=s) for s in (4, 4, 5))
    assert (first == again).all() and (first != other).any()
    assert first.shape == (3, 32, 32, 3) and first.dtype == np.uint8


# --- tables -------------------------------------------------------------------------------------


def test_published_tables_have_a_cell_for_every_set_of_images():
    for cells in SILENCED.values():
        values = [[float(v) for v in cell.split("/")] for cell in cells.split()]
        assert len(values) == len(TESTED) and all(len(v) == 3 for v in values)
        assert all(0 <= v <= 100 for cell in values for v in cell)
    assert all(len(cells.split()) == len(TESTED) for cells in GRAY.values())
    assert all(len(row) == 8 for row in WANG.values()) and set(TESTED) <= set(WANG)


def test_what_was_measured_stands_beside_what_was_published():
    row = {
        "source": "biggan", "silenced": "top", "average_precision": 0.5,
        "real_accuracy_calibrated": 0.25, "fake_accuracy_calibrated": 0.125,
    }  # fmt: skip
    table = published_sections([row], "resnet50")[0].blocks[1]
    cells = {tuple(line[:2]): line[2:] for line in table.rows}
    assert cells["resnet50", "top"][TESTED.index("biggan")] == "55.4/86.4/18.3 -> 50.0/25.0/12.5"
    assert cells["efficientnet_b0", "top"][TESTED.index("biggan")] == "53.5/97.4/3.8"


def test_spread_is_between_seeds_and_ignores_what_was_not_measured():
    rows = [
        {"colour": [{"source": "a", "x": 0.0}, {"source": "b", "x": 1.0}]},
        {"colour": [{"source": "a", "x": 1.0}, {"source": "b", "x": None}]},
    ]
    assert spread(rows, "colour", "x", source="a") == (0.5, 0.5)
    assert spread(rows, "colour", "x", source=None) == (0.75, 0.25)
    assert spread(rows, "colour", "x", source="b") == (1.0, None)
    assert np.isnan(spread(rows, "colour", "x", source="c")[0])


# --- runs ---------------------------------------------------------------------------------------


@pytest.mark.slow
def test_smoke_runs_from_gans_to_page_and_goes_on_where_it_was(
    tiny_architecture, tmp_path, monkeypatch
):
    settings = {"gan_steps": 2, "gan_width": 2, "size": 16, "toy_images": 64, "steps": 4}
    experiment = replace(SMOKE, out=tmp_path, toy_steps=4, **settings)
    results = transferable_features.run(experiment)
    assert [row["variant"] for row in results["photographs"]] == ["base", "robust"]
    assert [row["variant"] for row in results["toy"]] == ["base", "robust", "luma-only"]
    assert json.loads((tmp_path / "results.json").read_text())["finding"] == results["finding"]
    assert results["finding"] == finding(results)
    row = results["photographs"][0]
    assert {line["source"] for line in row["colour"]} == {"dcgan", "lsgan"}
    assert len(row["silenced"]) == 2 * 4 and row["n_real"] > 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    for words in ("GANs on photographs", "The synthetic world", "Published numbers", "luma-only"):
        assert words in page
    monkeypatch.setattr(transferable_features, "train_detector", None)
    again = transferable_features.run(experiment)
    assert again["photographs"] == results["photographs"] and again["toy"] == results["toy"]


def forensynths(folder, names, rng, n=6):
    """Test sets in the layout of the published ones, of two sizes."""
    for place, name in enumerate(names):
        for kind, exponent in (("0_real", 1.5), ("1_fake", 0.5)):
            below = folder / name / ("cat" if place == 0 else "") / kind
            below.mkdir(parents=True)
            for i, image in enumerate(
                power_law_textures(n, 16 + 8 * place, exponent=exponent, seed=place)
            ):
                save_png(below / f"{i}.png", image)
    return folder


@pytest.fixture
def published(tiny_architecture, tmp_path, rng):
    """What `paper` is given, in small: test sets, validation images, a detector."""
    config = detector_config(SMOKE, "base", 0, augment=())
    params, stats = initial_variables(replace(config, width=None))
    path = tmp_path / "detector.npz"
    NeuralDetector("resnet_small", {"params": params, **stats}).save(path)
    return replace(
        PAPER,
        out=tmp_path / "out",
        forensynths=forensynths(tmp_path / "test", ["progan", "biggan"], rng),
        progan_val=forensynths(tmp_path / "val", ["progan"], rng),
        weights=path,
        confidence=0.0,
        draws=1,
    )


def test_paper_measures_folders_and_sets_them_beside_the_published_numbers(published):
    results = transferable_features.run(published)
    (row,) = results["forensynths"]
    assert [line["source"] for line in row["colour"]] == ["biggan", "progan"]
    assert row["omega_images"] == 6
    page = (published.out / "report.html").read_text(encoding="utf-8")
    assert "ForenSynths" in page and "Published numbers" in page


def test_paper_says_what_is_missing(published):
    with pytest.raises(ValueError, match="needs --progan-val and --weights"):
        transferable_features.run(replace(published, weights=None))
    with pytest.raises(ValueError, match="nothing to do"):
        transferable_features.run(replace(published, forensynths=None))
    for path in (published.forensynths / "biggan" / "1_fake").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="biggan has no images in folders called 1_fake"):
        transferable_features.run(published)
    with pytest.raises(ValueError, match="need two GANs"):
        transferable_features.run(replace(SMOKE, out=published.out, gans=("dcgan",)))


def test_ranking_takes_the_first_images_of_each_class(tmp_path, rng):
    pixel = np.zeros((1, 1, 3), np.uint8)
    for kind in ("cat", "dog"):
        folder = tmp_path / kind / "1_fake"
        folder.mkdir(parents=True)
        for i in range(60):
            save_png(folder / f"{i:03d}.png", pixel)
    names = [path.name for path in first_of_each_class(tmp_path)]
    assert names == 2 * [f"{i:03d}.png" for i in range(50)]
    large = rng.integers(0, 256, (256, 256, 3), dtype=np.uint8)
    assert to_ranked_size(large).shape == (224, 224, 3)
    assert to_ranked_size(pixel) is pixel


def test_a_classifier_of_other_things_is_no_detector(tmp_path, monkeypatch):
    head = {"params": {"fc": {"bias": np.zeros(1000)}}}
    monkeypatch.setattr(
        "gan_forensics.experiments.transferable_folders.published_variables", lambda *a: head
    )
    with pytest.raises(ValueError, match="1000 logits: a detector has one"):
        read_detector("resnet50", tmp_path / "resnet50.pth")
