import numpy as np
import pytest

from gan_forensics.nn import upsample
from gan_forensics.nn.upsample import BINOMIAL, KAISER
from gan_forensics.spectra import resampler_response

KINDS = ["zero_insertion", "nearest", "bilinear", "binomial", "kaiser"]


def test_zero_insertion_passes_every_frequency_alike():
    assert resampler_response("zero_insertion", 5).tolist() == [1] * 10


@pytest.mark.parametrize("n", [2, 7, 16])
def test_nearest_gain_is_that_of_a_box_and_vanishes_at_the_nyquist_frequency(n):
    box = np.abs(1 + np.exp(-1j * np.pi * np.arange(2 * n) / n))
    np.testing.assert_allclose(resampler_response("nearest", n), box, atol=1e-14)
    assert resampler_response("nearest", n)[n] < 1e-15


@pytest.mark.parametrize("kind", KINDS)
def test_gain_is_that_of_white_noise_through_the_layer(kind, rng):
    """Measured: root mean squares of spectra over draws and one axis, beside zero insertion's."""
    n = 16
    noise = rng.normal(size=(60, n, n, 1)).astype(np.float32)
    power = {
        name: (np.abs(np.fft.fft2(getattr(upsample, name)(noise)[..., 0])) ** 2).mean((0, 2))
        for name in (kind, "zero_insertion")
    }
    measured = np.sqrt(power[kind] / power["zero_insertion"])
    line = resampler_response(kind, n)
    # The other axis is seen as the mean over its frequencies.
    expected = line * np.sqrt((line**2).mean())
    np.testing.assert_allclose(measured, expected, rtol=0.06, atol=0.02)


@pytest.mark.parametrize(("kind", "taps"), [("binomial", BINOMIAL), ("kaiser", KAISER)])
def test_filters_have_the_response_of_their_taps_but_for_the_border(kind, taps):
    response = {n: np.abs(np.fft.fft(taps, 2 * n)) for n in (16, 1024)}
    found = {n: resampler_response(kind, n) for n in response}
    np.testing.assert_allclose(found[1024], response[1024], atol=0.02)
    # Exactly so for a pixel whose taps all lie inside: its spectrum beside zero insertion's.
    x = np.zeros((1, 16, 16, 1), np.float32)
    x[0, 8, 8] = 1
    pixel = np.abs(np.fft.fft2(getattr(upsample, kind)(x)[0, ..., 0]))
    np.testing.assert_allclose(pixel, np.outer(response[16], response[16]), atol=1e-5)
    # What the border leaves of the highest frequency shrinks with its share of the pixels.
    assert 0 < found[1024][1024] < 0.2 * found[16][16] < 0.2
    assert response[16][16] < 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_gain_is_the_mean_over_unit_impulses_of_the_resampler_itself(kind):
    n = 6
    impulses = np.eye(n * n, dtype=np.float32).reshape(-1, n, n, 1)
    spectra = np.fft.fft2(getattr(upsample, kind)(impulses)[..., 0])
    gain = np.sqrt((np.abs(spectra) ** 2).sum(0)) / n
    line = resampler_response(kind, n)
    np.testing.assert_allclose(gain, np.outer(line, line), atol=1e-5)


def test_only_zero_insertion_keeps_the_highest_frequency():
    at_nyquist = {kind: resampler_response(kind, 64)[64] for kind in KINDS}
    assert at_nyquist.pop("zero_insertion") == 1
    assert at_nyquist["nearest"] < 1e-12 and max(at_nyquist.values()) < 0.1


def test_an_unknown_kind_is_refused():
    with pytest.raises(
        ValueError, match="'zero_insertion', 'nearest', 'bilinear', 'binomial' or 'k"
    ):
        resampler_response("cubic", 8)


def test_a_single_pixel_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        resampler_response("nearest", 1)
