"""Classifiers of spectra: what they make of normalised images, and their networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data import power_law_textures
from gan_forensics.nn import imagenet
from gan_forensics.nn.spectrum_classifier import autogan, dct_cnn, log_dct, stretched_spectrum
from gan_forensics.spectra import autogan_spectrum, standardise
from gan_forensics.spectra import log_dct as log_dct_on_the_host
from gan_forensics.spectra.statistic import SpectrumSummary
from tests import oracles_nn


@pytest.fixture(scope="module")
def images():
    return power_law_textures(2, 36, exponent=1.0, seed=0)[:, :, :32]


def normalised(images):
    return imagenet.normalise(jnp.asarray(images, jnp.float32) / 255)


def test_levels_of_normalised_images_are_those_of_the_images():
    every = np.broadcast_to(np.arange(256, dtype=np.uint8)[:, None, None], (1, 256, 1, 3))
    assert_array_equal(imagenet.levels(normalised(every)), every)


def test_the_spectrum_is_that_of_the_host(images):
    found = stretched_spectrum(normalised(images))
    assert found.shape == (2, 28, 28, 3)
    assert_allclose(found, autogan_spectrum(images), atol=1e-3)
    # Of a faint image the added 1e-3 counts, and with it that pixels are in [0, 1].
    faint = np.uint8(77) + (images > 128)
    assert_allclose(stretched_spectrum(normalised(faint)), autogan_spectrum(faint), atol=2e-2)


def test_the_log_dct_is_that_of_the_host_on_a_floor(images):
    expected = np.log(np.exp(log_dct_on_the_host(images)) + 1e-3)
    assert_allclose(log_dct(normalised(images)), expected, atol=2e-2)
    # A coefficient that is exactly zero is so however it is rounded.
    gray = np.full((1, 8, 8, 3), 77, np.uint8)
    assert_allclose(np.asarray(log_dct(normalised(gray)))[:, 1:], np.log(1e-3), atol=0.1)


def test_resnet_34_reads_the_spectrum_at_any_width():
    x = jax.ShapeDtypeStruct((1, 32, 40, 3), jnp.float32)
    for width in (64, 8):
        params = jax.eval_shape(
            lambda x, w=width: autogan(width=w).init(jax.random.key(0), x, train=False), x
        )["params"]
        assert params["conv1"]["kernel"].shape == (7, 7, 3, width)
        assert params["fc"]["kernel"].shape == (8 * width, 1)


def test_coefficients_are_standardised_before_the_network_reads_them(images, monkeypatch):
    network, x = dct_cnn(side=8), normalised(images[:, :8, :8])
    variables = oracles_nn.drawn(network, (1, 8, 8, 3))
    rng = np.random.default_rng(0)
    mean, std = rng.normal(size=(8, 8, 3)), rng.uniform(0.5, 2, size=(8, 8, 3))
    std[0, 0, 0] = 0  # a coefficient without spread is only centred
    variables = {**variables, "batch_stats": {"mean": jnp.float32(mean), "std": jnp.float32(std)}}
    read = []
    monkeypatch.setattr(
        "gan_forensics.nn.spectrum_classifier.DctCnn.__call__",
        lambda self, x, train: read.append(x) or type("Said", (), {"logits": x[:, 0, :1, 0]}),
    )
    network.apply(variables, x, train=False)
    expected = standardise(log_dct(x), SpectrumSummary(mean, std, np.array(2)))
    assert_allclose(read[0], expected, rtol=1e-4, atol=1e-5)


def test_other_sizes_than_its_own_are_refused(images):
    with pytest.raises(ValueError, match="made for images .*16, 16, 3.* bring them to that size"):
        dct_cnn(side=16).init(jax.random.key(0), normalised(images), train=False)
