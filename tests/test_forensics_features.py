"""The feature table: shapes, independence of the batch, and detectors from end to end."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.forensics import FEATURES, fit_detector, load_detector

WIDTHS = {"durall": 20, "unmasking": 80, "dzanic": 3, "dct": 32 * 32 * 3, "pixels": 32 * 32 * 3}


def textures(rng, n, *, tail):
    """Images of 32x32 with spectrum 1/f; `tail` > 0 lifts the highest frequencies."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32)))
    amplitude = 1 / np.maximum(frequency, 1 / 32) + tail * (frequency > 0.5)
    noise = np.fft.fft2(rng.normal(size=(n, 3, 32, 32)))
    pixels = np.fft.ifft2(noise * amplitude).real.transpose(0, 2, 3, 1)
    return np.clip(128 + 40 * pixels / pixels.std(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", FEATURES)
def test_features_are_one_float64_row_per_image_whatever_the_batch(name, rng):
    images = textures(rng, 5, tail=0)
    rows = FEATURES[name](images)
    assert rows.shape == (5, WIDTHS[name]) and rows.dtype == np.float64
    assert np.isfinite(rows).all()
    assert_allclose(FEATURES[name](images[3:4]), rows[3:4], rtol=1e-9, atol=1e-9)


def test_durall_features_run_from_zero_to_one(rng):
    rows = FEATURES["durall"](textures(rng, 4, tail=0))
    assert_array_equal(rows.min(1), np.zeros(4))
    assert_array_equal(rows.max(1), np.ones(4))


def test_unmasking_features_start_at_one(rng):
    assert_array_equal(FEATURES["unmasking"](textures(rng, 4, tail=0))[:, 0], np.ones(4))


# Pixels do not tell them apart, which is why there are spectra.
@pytest.mark.parametrize("name", sorted(FEATURES.keys() - {"pixels"}))
def test_a_lifted_spectrum_is_told_from_a_natural_one(name, rng, tmp_path):
    natural, lifted = textures(rng, 60, tail=0), textures(rng, 60, tail=8)
    detector = fit_detector(natural, lifted, features=name, calibration=0.1, classifier="svm")
    detector.save(tmp_path / "detector.npz")
    test = textures(rng, 30, tail=0), textures(rng, 30, tail=8)
    scores = [load_detector(tmp_path / "detector.npz").score(images) for images in test]
    assert (scores[1] > detector.threshold).mean() > 0.8
    assert (scores[0] > detector.threshold).mean() < 0.3
