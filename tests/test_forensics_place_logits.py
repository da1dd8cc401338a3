"""Detectors that judge places: the map of their logits."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.forensics import explanations
from gan_forensics.forensics.neural import ARCHITECTURES, NeuralDetector, init_variables
from gan_forensics.forensics.place_logits import place_logits
from gan_forensics.nn.resnet import BasicBlock, ResNet, place_resnet
from tests.oracles_nn import drawn


def tiny(classes=1):
    return ResNet((1,), (2,), classes, 3, 2, stem_pool=False, block=BasicBlock)


@pytest.fixture
def detector(monkeypatch):
    monkeypatch.setitem(ARCHITECTURES, "places", tiny)
    return NeuralDetector("places", drawn(tiny(), (1, 8, 8, 3)))


def test_the_mean_over_places_is_the_score(detector, rng):
    images = [rng.integers(0, 256, (*side, 3), dtype=np.uint8) for side in ((8, 12), (9, 8))]
    maps = place_logits(detector, images)
    assert [m.shape for m in maps] == [(4, 6), (5, 4)]
    assert_allclose([m.mean() for m in maps], detector.score(images), rtol=1e-4, atol=1e-5)
    assert np.ptp(maps[0]) > 1e-3


def test_a_place_sees_its_neighbourhood_alone(detector, rng):
    image = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
    other = image.copy()
    other[:, 16:] = 0
    a, b = place_logits(detector, [image, other])
    # Two blocks of 3x3 on a stem of stride 2: five places away nothing changes.
    assert_allclose(a[:, :5], b[:, :5], rtol=1e-5)
    assert np.abs(a[:, 8:] - b[:, 8:]).min() > 0


def test_the_explanation_of_a_pixel_is_the_logit_of_its_place(detector, rng, monkeypatch):
    image = rng.integers(0, 256, (9, 8, 3), dtype=np.uint8)
    one = explanations.Explanation(0.0, np.zeros((9, 8)), np.zeros((9, 8, 3)))
    monkeypatch.setattr(explanations, "explain_network", lambda *_, **__: [one])
    found = explanations.explain(detector, [image])[0].relevance
    (places,) = place_logits(detector, [image])
    assert_allclose(found[::2, ::2], places, rtol=1e-5)
    assert_allclose(found[1:8:2, 1::2], places[:4], rtol=1e-5)


def test_the_architecture_is_the_beginning_of_resnet_18():
    params = jax.eval_shape(lambda: init_variables(place_resnet(), jax.random.key(0)))["params"]
    assert sorted(params) == ["bn1", "conv1", "fc", "layer1.0", "layer1.1"]
    # torchvision's ResNet-18: 9,536 parameters in the stem, 147,968 in the first stage.
    assert sum(a.size for a in jax.tree.leaves(params)) == 9_536 + 147_968 + 65


def test_detectors_of_spectra_have_no_places():
    image = np.zeros((1, 8, 8, 3), np.uint8)
    detector = NeuralDetector("dct_cnn", {}, settings={"side": 8})
    with pytest.raises(ValueError, match="looks at the spectrum"):
        explanations.explain(detector, image)
    shapes = jax.eval_shape(lambda: init_variables(detector.network, jax.random.key(0)))
    zeros = jax.tree.map(lambda a: np.zeros(a.shape, a.dtype), shapes)
    with pytest.raises(ValueError, match="no mean over the places"):
        place_logits(NeuralDetector("dct_cnn", zeros, settings={"side": 8}), image)
