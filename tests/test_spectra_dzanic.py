import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gan_forensics.spectra import dzanic_features
from gan_forensics.spectra.dzanic import (
    decay_bins,
    local_regression,
    moving_average,
    tail_geometry,
    tail_values,
)
from gan_forensics.spectra.exponent import _spectral_terms, fit_exponent
from tests import oracles

FITS = ["released", "vector"]


def spectral_objective(y, f):
    """Largest singular value of the matrix y_i - f_j, by its closed form."""
    s, root = _spectral_terms(y, f)
    return y.shape[-1] * np.sqrt((s + root) / 2)


def texture(rng, h, w, exponent=-1.5):
    frequency = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w)[None, :])
    frequency[0, 0] = 1
    field = np.fft.ifft2(np.fft.fft2(rng.normal(size=(h, w))) * frequency**exponent).real
    field = (field - field.mean()) / field.std()
    return np.clip(np.round(128 + 40 * field), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("h, w", [(48, 48), (65, 65), (64, 90), (33, 50)])
def test_tail_equals_the_step_by_step_reference(rng, h, w):
    image = texture(rng, h, w)
    radius, smoothed = oracles.dzanic_tail(image)
    np.testing.assert_allclose(tail_geometry(h, w).radius, radius, rtol=1e-13)
    np.testing.assert_allclose(tail_values(image[None].astype(float))[0], smoothed, rtol=1e-10)


@pytest.mark.parametrize("side", [48, 65])
def test_tail_of_a_square_is_the_released_one_with_either_rings(rng, side):
    images = texture(rng, side, side)[None]
    np.testing.assert_array_equal(
        dzanic_features(images, rings="frequency"), dzanic_features(images, rings="pixels")
    )


@pytest.mark.parametrize("h, w", [(64, 128), (128, 64), (96, 65)])
def test_only_the_corners_of_the_spectrum_enter_the_tail_of_any_shape(rng, h, w):
    frequency = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w)[None, :])
    noise = np.fft.fft2(rng.normal(size=(4, h, w)))
    whole, disc = (np.fft.ifft2(noise * kept).real for kept in (1, frequency < 0.55))
    assert tail_values(whole, "frequency").mean() > 10
    np.testing.assert_allclose(tail_values(disc, "frequency"), 0, atol=1e-9)
    # The rings of the released code reach into the disc.
    assert tail_values(disc, "pixels").max() > 10


def test_tail_without_empty_bins_equals_the_step_by_step_reference(rng):
    labels, _ = decay_bins(512, 512)
    assert len(np.unique(labels[labels >= 0])) == 200
    image = texture(rng, 512, 512)
    values = tail_values(image[None].astype(float))[0]
    np.testing.assert_allclose(values, oracles.dzanic_tail(image)[1], rtol=1e-10)


@pytest.mark.parametrize("side, empty", [(64, 47), (128, 17), (256, 4), (768, 0)])
def test_number_of_empty_bins_matches_the_released_code(side, empty):
    labels, _ = decay_bins(side, side)
    assert 200 - len(np.unique(labels[labels >= 0])) == empty


@pytest.mark.parametrize("fit", FITS)
def test_exponent_minimises_the_objective_as_a_singular_value_search_finds_it(rng, fit):
    for exponent in (-2.5, -1.0, 0.0):
        image = texture(rng, 48, 48, exponent)
        radius, smoothed = oracles.dzanic_tail(image)
        b, first, last = dzanic_features(image[None], fit=fit)[0]
        assert b == pytest.approx(oracles.dzanic_exponent(radius, smoothed, fit), abs=1e-5)
        assert (first, last) == pytest.approx((smoothed[0], smoothed[-1]), rel=1e-10)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(-20, 20))
def test_closed_form_is_the_largest_singular_value(seed, b):
    y = np.random.default_rng(seed).normal(size=12) ** 2
    f = np.linspace(1, 1.17, 12) ** b
    largest = np.linalg.svd(y[:, None] - f[None, :], compute_uv=False)[0]
    assert spectral_objective(y, f) == pytest.approx(largest, rel=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(-6, 6), st.floats(0, 0.5))
@example(2, 0.0, 2.220446049250313e-16)
def test_released_fit_matches_levels_or_is_a_minimum_between_that_and_0(seed, slope, noise):
    x = np.linspace(0.85, 1, 60)
    spread = np.random.default_rng(seed).normal(size=60)
    y = np.abs((x / x[0]) ** slope + noise * spread)
    b = fit_exponent(x, y[None])[0]
    f = y[0] * (x / x[0]) ** b
    if f.var() <= y.var():
        level = np.abs(f.mean() - y.mean()) < 1e-9 * y.mean()
    else:
        level = False
    here = spectral_objective(y, f)
    grid = y[0] * (x / x[0])[None] ** np.linspace(-60, 60, 4001)[:, None]
    assert level or abs(b) == 256 or f.var() >= y.var() * (1 - 1e-9)
    # Noise may be rounding alone, and so is what remains then: 1.7e-14 of values near 1.
    assert (spectral_objective(y, grid) >= here * (1 - 1e-12) - 1e-13).all()


def test_released_fit_is_exact_where_the_power_law_would_spread_more_than_the_tail():
    # A first value far above an otherwise flat tail: no power law has its level and its spread.
    x = np.linspace(0.85, 1, 60)
    y = np.r_[1.0, np.full(59, 0.3) + 0.001 * np.arange(59)]
    b = fit_exponent(x, y[None])[0]
    f = (x / x[0]) ** b
    assert f.mean() > 1.05 * y.mean() and f.var() > y.var()
    assert b == pytest.approx(oracles.dzanic_exponent(x, y, "released"), abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(-6, 6), st.floats(0, 0.5))
def test_vector_fit_is_the_global_least_squares_exponent(seed, slope, noise):
    x = np.linspace(0.85, 1, 60)
    y = np.abs((x / x[0]) ** slope + noise * np.random.default_rng(seed).normal(size=60))
    b = fit_exponent(x, y[None], fit="vector")[0]
    grid = y[0] * (x / x[0])[None] ** np.linspace(-60, 60, 4001)[:, None]
    here = np.sum((y - y[0] * (x / x[0]) ** b) ** 2)
    assert (np.sum((y - grid) ** 2, 1) >= here * (1 - 1e-12) - 1e-12).all()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("b", [-7.5, -2.0, 0.0, 0.3, 12.0])
def test_an_exact_power_law_gives_its_exponent(fit, b):
    x = np.linspace(0.85, 1, 60)
    fitted = fit_exponent(x, np.array([[3.0], [700.0]]) * x[None] ** b, fit=fit)
    np.testing.assert_allclose(fitted, b, atol=1e-6)


@pytest.mark.parametrize("side", [128, 129])
def test_a_power_law_spectrum_gives_its_exponent_up_to_binning(side):
    labels, centres = decay_bins(side, side)
    y, x = np.mgrid[1 : side + 1, 1 : side + 1]
    radius = np.hypot(*(axis - np.floor(side / 2 + 0.5) for axis in (y, x)))
    kept = labels >= 0
    counts = np.bincount(labels[kept], minlength=200)
    sums = np.bincount(labels[kept], weights=50 * radius[kept] ** -3.0, minlength=200)
    occupied = np.flatnonzero(counts)
    values = (local_regression(occupied) @ (sums[occupied] / counts[occupied]))[140:]
    b = fit_exponent(centres[140:], values[None], fit="vector")[0]
    assert b == pytest.approx(-3, abs=0.03)


@pytest.mark.parametrize("fit", FITS)
def test_scaling_the_grey_values_scales_the_ends_and_keeps_the_exponent(rng, fit):
    gray = texture(rng, 64, 64)[None].astype(float)
    radius = tail_geometry(64, 64).radius
    plain, scaled = tail_values(gray), tail_values(0.37 * gray)
    np.testing.assert_allclose(scaled, 0.37 * plain, rtol=1e-10)
    np.testing.assert_allclose(
        fit_exponent(radius, scaled, fit=fit), fit_exponent(radius, plain, fit=fit), atol=1e-8
    )


def test_centre_is_the_zero_frequency_for_odd_and_one_short_for_even_sides():
    odd, _ = decay_bins(65, 65)
    np.testing.assert_array_equal(odd, odd[::-1, ::-1])
    assert (odd == 199).sum() == 4
    even, _ = decay_bins(64, 64)
    assert np.argwhere(even == 199).tolist() == [[63, 63]]
    # Distances from 0-based pixel 31, where the zero frequency is at 32.
    np.testing.assert_array_equal(even[:63, :63], even[:63, :63][::-1, ::-1])


def test_moving_average_windows_shrink_symmetrically_at_the_ends():
    matrix = moving_average(200)
    assert matrix[0, :2].tolist() == [1, 0]
    np.testing.assert_allclose(matrix[1, :4], [1 / 3, 1 / 3, 1 / 3, 0])
    np.testing.assert_allclose(matrix[2, :6], [0.2] * 5 + [0])
    np.testing.assert_allclose(matrix[-2, -4:], [0, 1 / 3, 1 / 3, 1 / 3])
    assert matrix[-1, -2:].tolist() == [0, 1]
    np.testing.assert_allclose(matrix.sum(1), 1)


@settings(max_examples=60, deadline=None)
@given(st.sets(st.integers(0, 39), min_size=5, max_size=39), st.floats(-3, 3), st.floats(-3, 3))
def test_local_regression_reproduces_lines_whatever_bins_are_empty(occupied, slope, level):
    occupied = np.array(sorted(occupied))
    smoothed = local_regression(occupied, n=40) @ (level + slope * occupied)
    np.testing.assert_allclose(smoothed, level + slope * np.arange(40), atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 29), min_size=5, max_size=29), st.integers(0, 1000))
def test_local_regression_equals_a_weighted_polynomial_fit(occupied, seed):
    occupied = np.array(sorted(occupied))
    values = np.full(30, np.nan)
    values[occupied] = np.random.default_rng(seed).normal(size=len(occupied))
    smoothed = local_regression(occupied, n=30) @ values[occupied]
    np.testing.assert_allclose(smoothed, oracles.smooth(values), atol=1e-9)


def test_colour_is_rounded_to_8_bit_gray_first(rng):
    image = texture(rng, 64, 64)
    colour = np.stack([image, image // 2, 255 - image], -1)[None]
    gray = np.floor(colour @ [0.298936021293775, 0.587043074451121, 0.114020904255103] + 0.5)
    np.testing.assert_allclose(
        dzanic_features(colour), dzanic_features(gray.astype(np.uint8)), rtol=1e-12
    )


@pytest.mark.parametrize("fit", FITS)
def test_images_are_treated_one_by_one(rng, fit):
    images = np.stack([texture(rng, 48, 48, exponent) for exponent in (-2, -1, 0, 0.5)])
    one_by_one = [dzanic_features(image[None], fit=fit)[0] for image in images]
    np.testing.assert_allclose(dzanic_features(images, fit=fit), one_by_one, rtol=1e-9)


@pytest.mark.parametrize("fit", FITS)
def test_a_black_image_stays_at_the_start_of_the_released_search(fit):
    features = dzanic_features(np.zeros((1, 48, 48), np.uint8), fit=fit)
    assert features.tolist() == [[-2, 0, 0]]


def test_float_images_are_refused():
    with pytest.raises(ValueError, match="8-bit images, got float32"):
        dzanic_features(np.zeros((1, 48, 48), np.float32))


def test_an_unknown_fit_is_refused():
    with pytest.raises(ValueError, match="'released' or 'vector'"):
        dzanic_features(np.zeros((1, 48, 48), np.uint8), fit="simplex")


def test_images_with_too_few_bins_are_refused():
    with pytest.raises(ValueError, match="larger images"):
        dzanic_features(np.zeros((1, 4, 4), np.uint8))
