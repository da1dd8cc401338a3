import numpy as np
import pytest

from gan_forensics.spectra import autogan_spectrum
from gan_forensics.spectra.autogan import band_mask
from tests import oracles


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (2, 256, 260, 3), np.uint8)


def test_spectrum_equals_the_step_by_step_reference(images):
    expected = [oracles.autogan_spectrum(each) for each in images]
    np.testing.assert_allclose(autogan_spectrum(images), expected, atol=1e-12)


def test_five_per_cent_of_the_coefficients_lie_on_each_limit(images):
    spectrum = autogan_spectrum(images)
    for limit in (-1, 1):
        np.testing.assert_allclose((spectrum == limit).mean((1, 2)), 0.05, atol=1e-4)


def test_bands_are_a_partition_of_the_spectrum(images):
    parts = [autogan_spectrum(images, band=band) for band in ("low", "mid", "high")]
    np.testing.assert_array_equal(sum(parts), autogan_spectrum(images))
    assert sum(band_mask(band).astype(int) for band in ("low", "mid", "high")).tolist() == (
        np.ones((224, 224), int).tolist()
    )


def test_bands_sit_where_their_names_say():
    # Unshifted: the zero frequency in the corner, the Nyquist frequency in the middle.
    assert band_mask("low")[0, 0] and band_mask("high")[112, 112] and band_mask("mid")[0, 70]
    assert band_mask("low").sum() == 120**2 and band_mask("high").sum() == 224**2 - 182**2


def test_a_constant_image_gives_finite_values():
    assert np.isfinite(autogan_spectrum(np.full((1, 224, 224, 1), 9, np.uint8))).all()


@pytest.mark.parametrize("height, width, side", [(32, 40, 28), (240, 300, 210), (300, 256, 224)])
def test_of_smaller_images_seven_eighths_are_cut_out(height, width, side, rng):
    image = rng.integers(0, 256, (1, height, width, 1), np.uint8)
    top, left = (height - side) // 2, (width - side) // 2
    cut = image[:, top : top + side, left : left + side] / 255
    expected = np.log(np.abs(np.fft.fft2(cut, axes=(1, 2))) + 1e-3)
    low, high = np.percentile(expected, [5, 95])
    found = autogan_spectrum(image)
    assert found.shape == (1, side, side, 1)
    np.testing.assert_allclose(found, (2 * (expected - low) / (high - low) - 1).clip(-1, 1))


def test_bands_of_smaller_spectra_are_in_proportion():
    for band in ("low", "mid", "high"):
        shares = band_mask(band, 112).mean(), band_mask(band).mean()
        np.testing.assert_allclose(*shares, atol=0.02)


def test_small_images_are_refused():
    with pytest.raises(ValueError, match="sides of at least 8"):
        autogan_spectrum(np.zeros((1, 7, 256, 3), np.uint8))


def test_an_unknown_band_is_refused(images):
    with pytest.raises(ValueError, match="low, mid, high"):
        autogan_spectrum(images, band="top")
