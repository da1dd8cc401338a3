"""A detector's channels: ranked, silenced, and looked at in gray."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.data.augment import grayscale
from gan_forensics.explain import find_layers
from gan_forensics.forensics.neural import ARCHITECTURES, NeuralDetector, preprocess
from gan_forensics.nn.resnet import ResNet
from gan_forensics.studies import transferable


def tiny(classes=1, width=2):
    """One bottleneck on a stem of stride 2: five convolutions."""
    return ResNet((1,), (width,), classes, 3, 2, stem_pool=False)


@pytest.fixture(scope="module")
def variables():
    found = jax.jit(lambda key, x: tiny().init(key, x, train=False))(
        jax.random.key(1), jnp.zeros((1, 8, 8, 3))
    )
    rng = np.random.default_rng(0)

    def moved(array):  # So that batch norms do something.
        return np.asarray(array) + 0.3 * np.abs(rng.normal(size=array.shape)).astype(np.float32)

    return jax.tree.map(moved, found)


@pytest.fixture
def detector(variables, monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "tiny", tiny)
    return NeuralDetector("tiny", variables)


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)


def test_features_of_images_of_two_sizes_are_the_mean_of_both(detector, images, rng):
    other = rng.integers(0, 256, (2, 12, 8, 3), dtype=np.uint8)
    together = transferable.rank_features(detector, [*images, *other], confidence=0.0)
    first = transferable.rank_features(detector, images, confidence=0.0)
    second = transferable.rank_features(detector, other, confidence=0.0)
    omegas = [{f.name: f.omega for f in r.features} for r in (first, second, together)]
    for name, omega in omegas[2].items():
        expected = (6 * omegas[0][name] + 2 * omegas[1][name]) / 8
        assert omega == pytest.approx(expected, rel=1e-4, abs=1e-7)
    assert (together.images, together.given) == (8, 8)
    values = [f.omega for f in together.features]
    assert values == sorted(values, reverse=True)


def test_no_confident_image_is_an_error_that_says_so(detector, images):
    with pytest.raises(ValueError, match="confident of none"):
        transferable.rank_features(detector, images, confidence=1.1)
    with pytest.raises(ValueError, match="no generated images"):
        transferable.rank_features(detector, images[:0])


def test_published_networks_have_their_published_number_of_features(detector):
    assert transferable.default_k(replace(detector, arch="resnet50"), 26_560) == 114
    assert transferable.default_k(replace(detector, arch="efficientnet_b0"), 21_008) == 27
    assert transferable.default_k(detector, 1208) == 36


def silenced_slowly(variables, names):
    """The variables of a network whose channels say nothing: kernels of 0 before the norm."""
    changed = jax.tree.map(np.array, variables)
    for name in names:
        layer, _, rest = name.rpartition(".#")
        path = layer.split(".", 2)
        path = [f"{path[0]}.{path[1]}", path[2]] if len(path) == 3 else path
        branch = changed["params"]
        for step in path:
            branch = branch[step]
        branch["kernel"][..., int(rest.partition("(")[0])] = 0
    return changed


def test_silencing_equals_kernels_of_zero(detector, variables, images):
    ranking = transferable.rank_features(detector, images, confidence=0.0, k=3)
    rows = transferable.silence(detector, ranking, images[:3], {"a": images}, draws=2)
    assert [row["silenced"] for row in rows] == ["none", "top", "random", "low"]
    for row, chosen in zip(
        (rows[0], rows[1], rows[3]), ([], ranking.features[:3], ranking.features[-3:]), strict=True
    ):
        quiet = replace(detector, variables=silenced_slowly(variables, [f.name for f in chosen]))
        p = 1 / (1 + np.exp(-quiet.score(images)))
        assert row["median_fake_probability"] == pytest.approx(np.median(p), rel=1e-5)
        assert row["fake_accuracy"] == np.mean(p > 0.5)
        assert row["real_accuracy"] == np.mean(p[:3] <= 0.5)


def test_without_real_images_there_are_rates_of_generated_ones_only(detector, images):
    ranking = transferable.rank_features(detector, images, confidence=0.0, k=2)
    row = transferable.silence(detector, ranking, None, {"a": images}, draws=1)[0]
    assert set(row) == {"source", "silenced", "median_fake_probability", "fake_accuracy"}
    assert "average_precision_gray" not in transferable.probe_colour(
        detector, ranking, None, {"a": images}
    )[0]  # fmt: skip


def test_gray_images_lose_nothing_when_their_colour_is_taken(detector, images):
    gray = grayscale(images)
    ranking = transferable.rank_features(detector, gray, confidence=0.0, k=2)
    row = transferable.probe_colour(detector, ranking, gray[:2], {"a": gray})[0]
    assert row["average_precision_colour"] == row["average_precision_gray"]
    assert row["median_fall_points"] in (None, 0)
    for name in ("top", "random", "low"):
        assert row[f"colour_conditional_{name}"] == 0


def test_maxima_are_those_of_the_convolutions(detector, variables, images):
    ranking = transferable.rank_features(detector, images, confidence=0.0)
    stem = [f for f in ranking.features if f.layer == "conv1"]
    found = transferable.channel_maxima(detector, images, stem)
    layer = find_layers(tiny(), variables, jnp.zeros((1, 8, 8, 3)))["conv1"]
    maps = layer.linear(preprocess(images), jnp.asarray(variables["params"]["conv1"]["kernel"]))
    for place, feature in enumerate(stem):
        expected = np.asarray(maps[..., feature.channel]).max((1, 2))
        assert_allclose(found[:, place], expected, rtol=1e-4, atol=1e-5)
