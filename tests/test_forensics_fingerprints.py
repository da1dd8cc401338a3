import numpy as np
import pytest
from PIL import Image

from gan_forensics.data import ArraySource
from gan_forensics.forensics import fingerprints
from gan_forensics.spectra import dct2, dct_picture, log_dct


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (7, 12, 10, 3), np.uint8)


def test_dct_input_is_standardised_by_the_training_images(images, monkeypatch):
    monkeypatch.setattr(fingerprints, "PIXELS", 3 * 120)
    summary = fingerprints.dct_statistics(ArraySource(image=images[:5]))
    spectra = log_dct(images[:5])
    np.testing.assert_allclose(summary.mean, spectra.mean(0), atol=1e-12)
    np.testing.assert_allclose(summary.std, spectra.std(0), atol=1e-12)  # Population, ddof 0.
    found = fingerprints.dct_input(images, summary)
    expected = (log_dct(images) - spectra.mean(0)) / spectra.std(0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert found.dtype == np.float32


def test_a_coefficient_that_never_changes_is_only_centred():
    image = np.full((2, 8, 8, 3), 9, np.uint8)
    summary = fingerprints.dct_statistics(ArraySource(image=image))
    np.testing.assert_array_equal(fingerprints.dct_input(image, summary), 0)


def test_gray_sources_are_taken_as_rgb(images):
    gray = images[..., :1]
    summary = fingerprints.dct_statistics(ArraySource(image=gray))
    assert summary.mean.shape == (12, 10, 3)


def test_what_has_no_dct_statistics_is_refused(images):
    with pytest.raises(ValueError, match="no images"):
        fingerprints.dct_statistics(ArraySource(image=images[:0]))
    summary = fingerprints.dct_statistics(ArraySource(image=images))
    with pytest.raises(ValueError, match=r"images \[7, 10, 10, 3\] do not fit DCT statistics"):
        fingerprints.dct_input(images[:, :10], summary)


@pytest.mark.parametrize("log", [True, False])
def test_the_spectrum_as_a_picture_spans_0_to_1(images, log):
    spectrum = dct2(images[:1])[0]
    if log:
        spectrum = np.log(np.abs(spectrum) + 1e-12)
    picture = dct_picture(images[0], log=log)
    assert (picture.min(), picture.max()) == (0, 1)
    slope = np.polyfit(spectrum.ravel(), picture.ravel(), 1)
    np.testing.assert_allclose(picture, np.polyval(slope, spectrum), atol=1e-9)


def test_noise_residual_by_pillow(images):
    image = np.repeat(np.repeat(images[0], 2, 0), 2, 1)
    small = Image.fromarray(image).resize((5, 6), Image.Resampling.BILINEAR)
    back = np.array(small.resize((20, 24), Image.Resampling.BILINEAR)).astype(int)
    difference = np.abs(image.astype(int) - back)
    low, high = difference.min(), difference.max()
    expected = 255 * (difference - low) // (high - low)
    np.testing.assert_array_equal(fingerprints.noise_residual(image, 4), expected)


def test_one_colour_has_no_noise():
    assert not fingerprints.noise_residual(np.full((32, 32, 3), 77, np.uint8)).any()
