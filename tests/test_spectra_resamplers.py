import numpy as np
import pytest

from gan_forensics.nn import upsample
from gan_forensics.spectra import resampler_response

KINDS = ["zero_insertion", "nearest", "bilinear"]


def test_zero_insertion_passes_every_frequency_alike():
    assert resampler_response("zero_insertion", 5).tolist() == [1] * 10


@pytest.mark.parametrize("n", [2, 7, 16])
def test_nearest_gain_is_that_of_a_box_and_vanishes_at_the_nyquist_frequency(n):
    box = np.abs(1 + np.exp(-1j * np.pi * np.arange(2 * n) / n))
    np.testing.assert_allclose(resampler_response("nearest", n), box, atol=1e-14)
    assert resampler_response("nearest", n)[n] < 1e-15


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
    assert at_nyquist["zero_insertion"] == 1
    assert at_nyquist["nearest"] < 1e-12 and at_nyquist["bilinear"] < 0.1


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="'zero_insertion', 'nearest' or 'bilinear'"):
        resampler_response("cubic", 8)


def test_a_single_pixel_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        resampler_response("nearest", 1)
