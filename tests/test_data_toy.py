import numpy as np
import pytest

from gan_forensics.data.toy import power_law_textures


def _power_slope(images):
    """Slope of log mean power over log frequency, rings 2 to a third of the side."""
    gray = images.astype(np.float64).mean(axis=-1)
    power = (np.abs(np.fft.fft2(gray)) ** 2).mean(axis=0)
    size = gray.shape[-1]
    f = np.hypot(np.fft.fftfreq(size, 1 / size)[:, None], np.fft.fftfreq(size, 1 / size))
    inside = (f >= 2) & (f <= size / 3)
    return np.polyfit(np.log(f[inside]), np.log(power[inside]), 1)[0]


@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.5])
def test_power_falls_with_twice_the_exponent(exponent):
    slope = _power_slope(power_law_textures(400, 64, exponent=exponent, seed=1))
    # Clipping 0.4 % of the pixels and rounding to 8 bits cost a little of the steep end.
    np.testing.assert_allclose(slope, -2 * exponent, rtol=0.03, atol=0.03)


@pytest.mark.parametrize("size", [31, 32])
def test_contrast_does_not_depend_on_exponent_or_parity(size):
    for exponent in (0.0, 1.5):
        textures = power_law_textures(300, size, exponent=exponent, seed=2)
        np.testing.assert_allclose(textures.std() / 127.5, 0.35, rtol=0.03, atol=0)


def test_colour_sets_the_correlation_of_the_channels():
    for colour in (0.0, 0.35, 1.0):
        textures = power_law_textures(200, 32, exponent=1.0, seed=3, colour=colour)
        red, green = (textures[..., c].astype(float).ravel() for c in (0, 1))
        expected = 1 / (1 + colour**2)
        np.testing.assert_allclose(np.corrcoef(red, green)[0, 1], expected, rtol=0, atol=0.02)


def test_longer_draw_begins_with_the_shorter_one():
    short = power_law_textures(3, 16, exponent=1.5, seed=5)
    long = power_law_textures(300, 16, exponent=1.5, seed=5)
    np.testing.assert_array_equal(long[:3], short)
    assert len(np.unique(long.reshape(300, -1), axis=0)) == 300


def test_empty_draw_is_refused():
    with pytest.raises(ValueError, match="n=0"):
        power_law_textures(0, 16, exponent=1.5, seed=0)
