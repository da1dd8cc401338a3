import numpy as np
import pytest

from gan_forensics.spectra import (
    SpectrumStatistic,
    dct2,
    dct_features,
    log_dct,
    pixel_features,
    standardise,
)
from tests import oracles


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (5, 16, 12, 3), np.uint8)


def test_dct_equals_its_cosine_sums(rng):
    maps = rng.normal(size=(2, 8, 11))
    np.testing.assert_allclose(dct2(maps), [oracles.dct2(each) for each in maps], atol=1e-12)


def test_dct_acts_on_height_and_width_of_each_channel_alone(images):
    for c in range(3):
        np.testing.assert_allclose(dct2(images)[..., c], dct2(images[..., c]), rtol=1e-12)


def test_dct_keeps_the_sum_of_squares(images):
    squares = (images.astype(float) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose((dct2(images) ** 2).sum((1, 2, 3)), squares, rtol=1e-12)


def test_a_constant_image_has_only_the_first_coefficient():
    spectrum = dct2(np.full((1, 8, 8), 7.0))[0]
    assert spectrum[0, 0] == pytest.approx(7 * 8)
    spectrum[0, 0] = 0
    np.testing.assert_allclose(spectrum, 0, atol=1e-12)


def test_log_dct_is_the_log_of_magnitude_plus_epsilon(images):
    np.testing.assert_allclose(log_dct(images), np.log(np.abs(dct2(images)) + 1e-12), rtol=1e-12)
    assert log_dct(np.zeros((1, 8, 8), np.uint8)) == pytest.approx(np.full((1, 8, 8), -27.63102))


def test_features_are_one_row_per_image(images):
    assert dct_features(images).shape == pixel_features(images).shape == (5, 16 * 12 * 3)
    np.testing.assert_array_equal(dct_features(images)[2], log_dct(images)[2].ravel())
    assert dct_features(images[:0]).shape == (0, 16 * 12 * 3)


def test_pixel_features_span_minus_1_to_1():
    levels = np.array([0, 255] * 8, np.uint8).reshape(1, 4, 4)
    assert pixel_features(levels)[0, :2].tolist() == [-1, 1]


def test_standardised_training_features_have_mean_0_and_spread_1(images):
    features = dct_features(images)
    statistic = SpectrumStatistic.zero(features.shape[1])
    for batch in (features[:2], features[2:]):
        statistic = statistic.update(batch)
    scaled = standardise(features, statistic.result())
    np.testing.assert_allclose(scaled.mean(0), 0, atol=1e-10)
    np.testing.assert_allclose(scaled.std(0), 1, rtol=1e-10)


def test_a_coefficient_without_spread_is_only_centred():
    values = np.array([[1.0, 2.0], [1.0, 4.0]])
    summary = SpectrumStatistic.zero(2).update(values).result()
    assert standardise(values, summary).tolist() == [[0, -1], [0, 1]]


@pytest.mark.parametrize("features", [dct_features, pixel_features])
def test_float_images_are_refused(features):
    with pytest.raises(ValueError, match="8-bit images, got float64"):
        features(np.zeros((1, 8, 8, 3)))
