from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_forensics.spectra import (
    gray_levels,
    log_spectrum_curve,
    power_law_fit,
    radial_mean,
    ring_radii,
    to_gray,
    unmasking_features,
)
from tests import oracles

PRECISIONS = ["float64", "float32"]
# Raw curves are of the order of 100; float32 transforms are good to about 1e-6 of that.
RAW = {"float64": dict(rtol=1e-10, atol=1e-9), "float32": dict(rtol=1e-5, atol=1e-3)}
UNIT = {"float64": dict(rtol=0, atol=1e-11), "float32": dict(rtol=0, atol=2e-5)}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("h, w", [(32, 32), (31, 31), (24, 17), (16, 40)])
def test_raw_curve_equals_the_slow_reference(rng, precision, h, w):
    gray = rng.uniform(-1, 1, (3, h, w)).astype(np.float32)
    curves = log_spectrum_curve(gray, normalise="none", precision=precision)
    mean = oracles.radial_mean if h == w else oracles.frequency_mean
    expected = [oracles.raw_log_curve(each, mean=mean) for each in gray]
    np.testing.assert_allclose(curves, expected, **RAW[precision])


def isotropic_noise(rng, n, h, w, kept):
    """White noise with a thousandth of the amplitude where `kept` of the frequency is false."""
    frequency = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w)[None, :])
    gain = np.where(kept(frequency), 1, 1e-3)
    return np.fft.ifft2(np.fft.fft2(rng.normal(size=(n, h, w))) * gain).real


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("h, w", [(128, 128), (64, 128), (128, 64), (90, 128)])
def test_isotropic_noise_shows_one_narrow_ring_at_its_frequency_on_any_shape(rng, precision, h, w):
    noise = isotropic_noise(rng, 8, h, w, lambda f: np.abs(f - 0.16) < 0.01)
    curve = np.asarray(log_spectrum_curve(noise, normalise="none", precision=precision)).mean(0)
    height, radii = curve - np.median(curve), ring_radii(h, w)
    # A thousandth of the amplitude is 20 ln 1000 = 138 below.
    assert height.max() == pytest.approx(20 * np.log(1000), rel=0.02)
    above = radii[height > height.max() / 2]
    assert 0.15 < above.min() < above.max() < 0.17


@pytest.mark.parametrize("h, w", [(32, 32), (33, 33), (32, 48), (64, 32)])
def test_noise_that_ends_at_the_nyquist_frequency_ends_there_in_the_curve(rng, h, w):
    noise = isotropic_noise(rng, 8, h, w, lambda f: f < 0.5)
    curve = log_spectrum_curve(noise, normalise="none", precision="float64").mean(0)
    radii, low = ring_radii(h, w), (curve.max() + curve.min()) / 2
    assert (curve[radii < 0.5 - 1 / max(h, w)] > low).all()
    assert (curve[radii > 0.5 + 1 / max(h, w)] < low).all()
    assert abs(radii[curve > low].max() - 0.5) < 1 / max(h, w)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_min_max_curve_equals_the_slow_reference(rng, precision):
    gray = rng.uniform(-1, 1, (3, 32, 32)).astype(np.float32)
    expected = [oracles.min_max(oracles.raw_log_curve(each)) for each in gray]
    np.testing.assert_allclose(
        log_spectrum_curve(gray, precision=precision), expected, **UNIT[precision]
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_float_colour_is_weighed_without_rounding(rng, precision):
    images = rng.uniform(-1, 1, (2, 16, 16, 3)).astype(np.float32)
    gray = images.astype(np.float64) @ [0.2989, 0.5870, 0.1140]
    np.testing.assert_allclose(
        log_spectrum_curve(images, normalise="none", precision=precision),
        log_spectrum_curve(gray, normalise="none", precision="float64"),
        **RAW[precision],
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_8_bit_colour_is_rounded_to_8_bit_gray_first(rng, precision):
    images = rng.integers(0, 256, (2, 16, 16, 3), np.uint8)
    curves = log_spectrum_curve(images, normalise="none", precision=precision)
    expected = [oracles.raw_log_curve(each) for each in gray_levels(images)]
    np.testing.assert_allclose(curves, expected, **RAW[precision])


@pytest.mark.parametrize("precision", PRECISIONS)
def test_one_channel_equals_gray_without_a_channel_axis(rng, precision):
    gray = rng.uniform(-1, 1, (2, 16, 16)).astype(np.float32)
    np.testing.assert_array_equal(
        log_spectrum_curve(gray[..., None], precision=precision),
        log_spectrum_curve(gray, precision=precision),
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_min_max_curves_touch_0_and_1_exactly(rng, precision):
    # Many random curves: a rounding of the ends would show in some of them.
    curves = log_spectrum_curve(rng.normal(size=(200, 16, 16)), precision=precision)
    assert (np.min(curves, 1) == 0).all() and (np.max(curves, 1) == 1).all()


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 100), st.integers(0, 1000))
def test_min_max_curve_does_not_depend_on_contrast(factor, seed):
    gray = np.random.default_rng(seed).normal(size=(1, 16, 16))
    scaled = log_spectrum_curve(factor * gray, precision="float64")
    # Exact as the epsilon of 1e-8 vanishes beside the spectrum.
    np.testing.assert_allclose(scaled, log_spectrum_curve(gray, precision="float64"), atol=1e-6)


@pytest.mark.parametrize("side", [16, 17])
def test_a_change_of_the_mean_grey_leaves_the_raw_curve_alone(rng, side):
    gray = rng.normal(size=(1, side, side))
    brighter, plain = (
        log_spectrum_curve(each, normalise="none", precision="float64") for each in (gray + 5, gray)
    )
    np.testing.assert_allclose(brighter, plain, rtol=1e-10, atol=1e-9)


def test_the_log_is_averaged_and_not_the_power(rng):
    gray = rng.normal(size=(32, 32))
    power = np.abs(np.fft.fftshift(np.fft.fft2(gray))) ** 2
    log_of_mean = 10 * np.log(radial_mean(power, precision="float64"))
    curve = log_spectrum_curve(gray[None], normalise="none", precision="float64")[0]
    # Jensen's inequality, strict for noise, except in a ring of four coefficients by chance.
    assert (curve < log_of_mean).all() and (log_of_mean - curve).mean() > 1


@pytest.mark.parametrize("normalise", ["min-max", "first", "none"])
def test_float32_and_float64_agree(rng, normalise):
    images = rng.integers(0, 256, (4, 64, 64, 3), np.uint8)
    fast, slow = (
        log_spectrum_curve(images, normalise=normalise, precision=each)
        for each in ("float32", "float64")
    )
    np.testing.assert_allclose(fast, slow, rtol=1e-5, atol=2e-5)


def test_curves_inside_jit_equal_curves_outside(rng):
    images = jnp.asarray(rng.uniform(-1, 1, (2, 16, 16, 3)), jnp.float32)
    np.testing.assert_allclose(
        jax.jit(log_spectrum_curve)(images), log_spectrum_curve(images), atol=1e-6
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_black_image_has_a_flat_curve_of_zeros(precision):
    assert (log_spectrum_curve(np.zeros((1, 16, 16)), precision=precision) == 0).all()


def test_curve_gradients_are_finite_for_noise_and_for_constant_images(rng):
    images = np.stack([rng.normal(size=(16, 16)), np.zeros((16, 16)), np.full((16, 16), 0.5)])
    gradient = jax.jit(jax.grad(lambda x: (log_spectrum_curve(x) ** 2).sum()))(jnp.asarray(images))
    assert np.isfinite(gradient).all()


def test_host_results_do_not_depend_on_chunks(rng, monkeypatch):
    images = rng.integers(0, 256, (7, 16, 16), np.uint8)
    whole = unmasking_features(images, 12)
    monkeypatch.setattr("gan_forensics.spectra.chunks.PIXELS", 3 * 16 * 16)
    np.testing.assert_allclose(unmasking_features(images, 12), whole, rtol=1e-14)


def test_no_images_give_no_curves():
    assert log_spectrum_curve(np.zeros((0, 16, 16)), precision="float64").shape == (0, 9)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("n", [5, 20, 80])
def test_unmasking_features_are_the_resampled_curve_over_its_first_value(rng, precision, n):
    images = rng.integers(0, 256, (2, 32, 32), np.uint8)
    resampled = [oracles.resample(oracles.raw_log_curve(each), n) for each in images]
    expected = [each / each[0] for each in resampled]
    features = unmasking_features(images, n, precision=precision)
    tolerance = {"float64": dict(rtol=1e-10), "float32": dict(rtol=1e-4)}[precision]
    np.testing.assert_allclose(features, expected, **tolerance)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_unmasking_features_draw_the_rings_of_the_authors_unless_told(rng, precision):
    images = rng.integers(0, 256, (2, 22, 18), np.uint8)
    raw = partial(unmasking_features, images, None, normalise="none", precision=precision)
    cases = ({}, oracles.radial_mean), ({"rings": "frequency"}, oracles.frequency_mean)
    for options, mean in cases:
        expected = [oracles.raw_log_curve(each, mean=mean) for each in images]
        np.testing.assert_allclose(raw(**options), expected, **RAW[precision])
    with pytest.raises(ValueError, match="rings is 'ellipses'; use 'frequency'"):
        raw(rings="ellipses")


def test_resampling_to_the_own_length_changes_nothing(rng):
    images = rng.integers(0, 256, (2, 64, 64), np.uint8)
    np.testing.assert_allclose(
        unmasking_features(images, 43), unmasking_features(images, None), rtol=1e-10
    )


def test_unmasking_features_without_resampling_or_normalising_are_the_raw_curve(rng):
    images = rng.integers(0, 256, (2, 32, 32, 3), np.uint8)
    np.testing.assert_allclose(
        unmasking_features(images, None, normalise="none"),
        log_spectrum_curve(images, normalise="none", precision="float64"),
        rtol=1e-12,
    )


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_epsilon_shows_where_the_spectrum_is_zero(precision):
    # A checkerboard of single pixels has two non-zero coefficients and exact zeros elsewhere.
    board = np.indices((16, 16)).sum(0, keepdims=True) % 2
    features = unmasking_features(
        board.astype(np.uint8), None, normalise="none", epsilon=1e-3, precision=precision
    )
    np.testing.assert_allclose(features[0, :5], 20 * np.log(1e-3), rtol=1e-5)


def test_gray_levels_round_half_up_and_keep_gray():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(gray_levels(np.repeat(levels[:, None], 3, 1)), levels)
    rgb = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [200, 120, 7]], np.uint8)
    exact = rgb @ np.array([0.298936021293775, 0.587043074451121, 0.114020904255103])
    np.testing.assert_array_equal(gray_levels(rgb), np.floor(exact + 0.5))


def test_gray_levels_of_jax_arrays_equal_those_of_numpy(rng):
    rgb = rng.integers(0, 256, (64, 64, 3), np.uint8)
    np.testing.assert_array_equal(gray_levels(jnp.asarray(rgb)), gray_levels(rgb))


@pytest.mark.parametrize(
    "images, message",
    [
        (np.zeros((8, 8)), "axes of images and channels are missing"),
        (np.zeros((8, 8, 3)), "axis of images is missing"),
        (np.zeros((2, 8, 8, 4)), "4 channels"),
        (np.zeros((2, 8, 8), np.int64), "uint8 in .* got int64"),
    ],
)
def test_other_shapes_and_types_are_refused(images, message):
    with pytest.raises(ValueError, match=message):
        to_gray(images)


@pytest.mark.parametrize("change, message", [
    (lambda x: x / 255, r"from 0 to 1, as in \[0, 1\]"),
    (lambda x: x + 0.0, "from 0 to 255 where -1 to 1 is meant"),
    (lambda x: x.astype(np.int64), "got int64"),
])  # fmt: skip
def test_colour_images_in_another_range_are_refused_and_gray_maps_are_not(change, message, rng):
    levels = rng.integers(0, 256, (2, 8, 8, 3), np.uint8)
    levels[0, 0, 0], levels[0, 0, 1] = 0, 255
    with pytest.raises(ValueError, match=message):
        log_spectrum_curve(change(levels))
    if change(levels).dtype.kind == "f":
        log_spectrum_curve(change(levels)[..., 0])
    log_spectrum_curve(np.clip(levels / 127.5 - 1, -1, 1))


def test_unknown_normalisations_are_refused():
    with pytest.raises(ValueError, match="'min-max', 'first' or 'none'"):
        log_spectrum_curve(np.zeros((1, 8, 8)), normalise="max")


def test_unmasking_features_refuse_float_images():
    with pytest.raises(ValueError, match="8-bit images, got float64"):
        unmasking_features(np.zeros((1, 16, 16)), 10)


def test_unmasking_features_refuse_zero_values():
    with pytest.raises(ValueError, match="n is 0"):
        unmasking_features(np.zeros((1, 16, 16), np.uint8), 0)


def test_a_curve_of_one_ring_is_not_resampled():
    with pytest.raises(ValueError, match="one ring"):
        unmasking_features(np.zeros((1, 4, 4), np.uint8), 10)


@settings(max_examples=30, deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(-5, 5))
def test_power_law_fit_recovers_amplitude_and_exponent(amplitude, exponent):
    radius = ring_radii(32, 32)
    law = power_law_fit(radius, amplitude * radius**exponent)
    np.testing.assert_allclose(law, (amplitude, exponent), rtol=1e-9, atol=1e-9)


def test_power_law_fit_takes_batches_and_jax_arrays():
    radius = np.arange(1.0, 9.0)
    curves = np.stack([2 * radius**-1, 5 * radius**-2])
    law = power_law_fit(jnp.asarray(radius), jnp.asarray(curves))
    np.testing.assert_allclose(law.amplitude, [2, 5], rtol=1e-5)
    np.testing.assert_allclose(law.exponent, [-1, -2], rtol=1e-5)


def test_a_texture_with_a_power_law_spectrum_shows_it_in_its_curve(rng):
    frequency = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64)[None, :])
    amplitude = np.where(frequency > 0, np.maximum(frequency, 1e-9) ** -1.5, 0)
    noise = np.fft.fft2(rng.normal(size=(20, 64, 64)))
    textures = np.fft.ifft2(noise * amplitude).real
    curves = log_spectrum_curve(textures, normalise="none", precision="float64")
    law = power_law_fit(ring_radii(64, 64)[3:], np.exp(curves / 20)[:, 3:])
    assert law.exponent.mean() == pytest.approx(-1.5, abs=0.05)


def test_power_law_fit_refuses_lengths_that_differ():
    with pytest.raises(ValueError, match=r"radius has shape \(3,\)"):
        power_law_fit(np.ones(3), np.ones(4))
