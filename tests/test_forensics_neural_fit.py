"""Detectors that are trained in memory."""

import jax
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gan_forensics.data import power_law_textures
from gan_forensics.forensics import load_detector
from gan_forensics.forensics.neural import ARCHITECTURES
from gan_forensics.forensics.neural_fit import fit_network
from gan_forensics.nn.npr import nearest_residual
from gan_forensics.nn.resnet import ResNet


@pytest.fixture(autouse=True)
def tiny_architecture(monkeypatch):
    def tiny(classes=1, width=4):
        return ResNet((1,), (width,), classes, 3, 2, stem_pool=False, front=nearest_residual)

    monkeypatch.setitem(ARCHITECTURES, "tiny", tiny)


def pictures(n, seed):
    """Textures, and others of which the right column of each 2x2 square repeats the left one."""
    real, fake = (power_law_textures(n, 16, exponent=1.0, seed=2 * seed + i) for i in (0, 1))
    fake[:, :, 1::2] = fake[:, :, ::2]
    return real, fake


def test_a_network_learns_the_relations_of_neighbouring_pixels(tmp_path):
    detector = fit_network(*pictures(96, 0), arch="tiny", steps=60, learning_rate=3e-3)
    real, fake = (detector.score(images) for images in pictures(50, 1))
    assert (real < 0).mean() > 0.9 and (fake > 0).mean() > 0.9
    detector.save(tmp_path / "detector.npz")
    assert_array_equal(load_detector(tmp_path / "detector.npz").score(pictures(50, 1)[1]), fake)


def test_a_seed_is_a_network_and_the_step_is_compiled_once(caplog):
    fit_network(*pictures(32, 0), arch="tiny", steps=1)
    with jax.log_compiles(), caplog.at_level("WARNING"):
        made = [fit_network(*pictures(32, 0), arch="tiny", steps=2, seed=s) for s in (0, 0, 1)]
    assert not any("compilation of jit(step)" in record.message for record in caplog.records)
    first, again, other = (detector.variables["params"]["fc"]["kernel"] for detector in made)
    assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_cannot_be_trained_on_is_refused():
    real, fake = pictures(40, 0)
    with pytest.raises(ValueError, match="no generated images"):
        fit_network(real, fake[:0], arch="tiny")
    with pytest.raises(ValueError, match="one size"):
        fit_network(real, fake[:, :12], arch="tiny")
    with pytest.raises(ValueError, match="npr needs sides of at least 8"):
        fit_network(real[:, :6, :6], fake[:, :6, :6], arch="npr")
    with pytest.raises(ValueError, match="fewer than one batch"):
        fit_network(real[:4], fake[:4], arch="tiny")
    with pytest.raises(ValueError, match="pixels are float64"):
        fit_network(real / 255, fake, arch="tiny")
