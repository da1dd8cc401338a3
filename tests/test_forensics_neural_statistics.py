"""Networks that keep statistics of their training images, and take one size."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data import ArraySource, power_law_textures
from gan_forensics.forensics import load_detector
from gan_forensics.forensics.neural import NeuralDetector, make_network, preprocess
from gan_forensics.forensics.neural_fit import fit_network
from gan_forensics.forensics.neural_parts import part
from gan_forensics.forensics.neural_statistics import side_of, statistics
from gan_forensics.forensics.neural_training import DetectorConfig, train_detector
from gan_forensics.forensics.preprocessing import Preprocessing
from gan_forensics.nn.resnet import ResNet
from gan_forensics.nn.spectrum_classifier import log_dct

CONFIG = DetectorConfig(arch="dct_cnn", augment=(), batch_size=8)


@pytest.fixture(scope="module")
def images():
    return [power_law_textures(80, 8, exponent=e, seed=i) for i, e in enumerate((1.5, 0.5))]


def check_statistics(variables, images):
    spectra = np.asarray(log_dct(preprocess(np.concatenate(images))))
    assert_allclose(variables["batch_stats"]["mean"], spectra.mean(0), rtol=1e-4, atol=1e-3)
    assert_allclose(variables["batch_stats"]["std"], spectra.std(0), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("steps", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_the_dct_network_keeps_the_statistics_of_its_training_images(steps, images, tmp_path):
    real, fake = images
    detector = fit_network(real, fake, arch="dct_cnn", steps=steps, batch_size=8)
    assert detector.settings == {"side": 8}
    check_statistics(detector.variables, images)
    detector.save(tmp_path / "detector.npz")
    loaded = load_detector(tmp_path / "detector.npz")
    assert_array_equal(loaded.score(fake), detector.score(fake))


def test_a_calibrated_detector_keeps_them_too(images, tmp_path):
    sources = [(ArraySource(image=x[:20]), ArraySource(image=x[20:])) for x in images]
    parts = part(*sources, split="", measure=False)
    detector = train_detector(parts, CONFIG, tmp_path / "run", steps=0, progress=False)
    assert detector.settings == {"side": 8}
    check_statistics(detector.variables, [x[:20] for x in images])
    with pytest.raises(ValueError, match="takes whole images of one size: leave crop out"):
        replace(CONFIG, crop=8)


def test_networks_of_any_size_have_statistics_of_their_own(images):
    assert statistics(ResNet((1,), (2,)), ArraySource(image=images[0])) == {}


def test_one_size_is_taken_and_others_are_refused_in_words(images):
    detector = NeuralDetector("dct_cnn", {}, settings={"side": 8})
    for shape in ((8, 9, 3), (16, 16, 3), (4, 4, 3)):
        with pytest.raises(ValueError, match="was trained for 8x8 and takes no others"):
            detector.check_shape(shape)
    detector.check_shape((8, 8, 1))
    with pytest.raises(ValueError, match="8x6 pixels: dct_cnn takes squares of one size"):
        side_of("dct_cnn", (8, 6, 3))
    with pytest.raises(ValueError, match="dct_cnn takes squares"):
        fit_network(images[0][:, :6], images[1][:, :6], arch="dct_cnn")
    network = make_network("dct_cnn", {"side": 8})
    with pytest.raises(ValueError, match="6x8 pixels beside others of 8x8"):
        statistics(network, ArraySource(image=images[0][:, :6]))


def test_of_a_carrier_that_enlarges_the_middle_is_scored():
    detector = NeuralDetector("dct_cnn", {}, settings={"side": 2})
    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert_array_equal(detector.middle(image), image[1:3, 1:3])
    for other in (replace(detector, preprocessing=Preprocessing(size=2)),
                  NeuralDetector("resnet_small", {})):  # fmt: skip
        assert_array_equal(other.middle(image), image)
