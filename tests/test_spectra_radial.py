import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gan_forensics.spectra import frequency_bins, radial_bins, radial_mean, ring_radii
from gan_forensics.spectra.radial import half_plane_labels, segment_mean_matrix, segment_means
from tests import oracles

# float32 sums of up to a few hundred values: relative rounding of about 1e-6.
TOLERANCE = {"float64": dict(rtol=1e-12, atol=1e-12), "float32": dict(rtol=1e-5, atol=1e-5)}
PRECISIONS = ["float64", "float32"]

maps = st.tuples(st.integers(4, 21), st.integers(4, 21)).flatmap(
    lambda shape: arrays(np.float64, shape, elements=st.floats(-100, 100, width=32))
)
squares = st.integers(4, 21).flatmap(
    lambda side: arrays(np.float64, (side, side), elements=st.floats(-100, 100, width=32))
)


@pytest.mark.parametrize("side", range(4, 140))
def test_number_of_rings_of_a_square_follows_the_formula(side):
    assert radial_bins(side, side).max() + 1 == int((side - 1) / np.sqrt(2)) - 1


@pytest.mark.parametrize("side, rings", [(32, 20), (64, 43), (128, 88), (256, 179), (1024, 722)])
def test_number_of_rings_matches_the_published_constants(side, rings):
    assert radial_bins(side, side).max() + 1 == rings


def test_value_k_of_a_square_belongs_to_distance_k_plus_1():
    y, x = np.mgrid[:33, :33]
    ring = np.floor(np.hypot(x - 16, y - 16))
    np.testing.assert_allclose(radial_mean(ring, precision="float64"), 1 + np.arange(21))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    "h, w, center",
    [
        (8, 8, None), (9, 9, None), (24, 40, None), (33, 20, None), (32, 32, (10, 20)),
        (32, 32, (16, 16)), (33, 20, (3.5, 7)),
    ],
)  # fmt: skip
def test_radial_mean_equals_the_pixel_by_pixel_mean(rng, precision, h, w, center):
    image = rng.normal(size=(h, w))
    mean = radial_mean(image, center, precision=precision)
    np.testing.assert_allclose(mean, oracles.radial_mean(image, center), **TOLERANCE[precision])


@settings(max_examples=40, deadline=None)
@given(maps)
def test_radial_mean_equals_the_pixel_by_pixel_mean_of_any_map(image):
    mean = radial_mean(image, precision="float64")
    np.testing.assert_allclose(mean, oracles.radial_mean(image), rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("shape", [(7, 7), (64, 64), (31, 18)])
def test_radial_mean_of_a_constant_is_that_constant(precision, shape):
    mean = radial_mean(np.full(shape, 3.25), precision=precision)
    np.testing.assert_allclose(mean, 3.25, **TOLERANCE[precision])


@settings(max_examples=40, deadline=None)
@given(squares, st.sampled_from([np.transpose, np.flipud, np.fliplr, np.rot90]))
def test_transposing_or_flipping_a_square_changes_nothing(image, move):
    moved = radial_mean(move(image), precision="float64")
    np.testing.assert_allclose(moved, radial_mean(image, precision="float64"), atol=1e-10)


@settings(max_examples=20, deadline=None)
@given(maps)
def test_ring_means_lie_between_the_extremes_of_the_map(image):
    mean = radial_mean(image, precision="float64")
    assert (mean >= image.min() - 1e-9).all() and (mean <= image.max() + 1e-9).all()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_leading_axes_are_batch_axes(rng, precision):
    images = rng.normal(size=(2, 3, 12, 10))
    one_by_one = [[radial_mean(image, precision=precision) for image in row] for row in images]
    np.testing.assert_allclose(radial_mean(images, precision=precision), one_by_one, rtol=1e-6)


def test_radial_mean_works_inside_jit_and_vmap(rng):
    images = jnp.asarray(rng.normal(size=(3, 16, 16)), jnp.float32)
    expected = radial_mean(images)
    np.testing.assert_allclose(jax.jit(radial_mean)(images), expected, rtol=1e-6)
    np.testing.assert_allclose(jax.vmap(radial_mean)(images), expected, rtol=1e-6, atol=1e-7)


def test_gradient_of_a_ring_mean_is_one_over_the_pixels_of_the_ring():
    bins = radial_bins(10, 10)
    gradient = jax.grad(lambda image: radial_mean(image)[2])(jnp.zeros((10, 10)))
    np.testing.assert_allclose(gradient, (bins == 2) / (bins == 2).sum(), rtol=1e-6)


@pytest.mark.parametrize("h, w", [(8, 8), (9, 9), (8, 9), (9, 8), (17, 30)])
def test_half_plane_labels_give_the_means_of_the_whole_spectrum(rng, h, w):
    images = rng.normal(size=(2, h, w))
    power = np.abs(np.fft.fftshift(np.fft.fft2(images), axes=(1, 2))) ** 2
    half = (np.abs(np.fft.rfft2(images)) ** 2).reshape(2, -1)
    labels = half_plane_labels(radial_bins(h, w))
    expected = [oracles.radial_mean(each) for each in power]
    np.testing.assert_allclose((segment_mean_matrix(labels) @ half.T).T, expected, rtol=1e-12)
    np.testing.assert_allclose(segment_means(jnp.asarray(half), labels), expected, rtol=1e-5)


@pytest.mark.parametrize("side", range(4, 140))
def test_rings_of_frequency_are_the_published_ones_where_the_map_is_square(side):
    np.testing.assert_array_equal(frequency_bins(side, side), radial_bins(side, side))


@pytest.mark.parametrize("h, w", [(64, 128), (218, 178), (31, 32), (24, 17), (300, 9), (4, 100)])
def test_no_ring_of_frequency_is_empty_and_the_radii_grow(h, w):
    rings = frequency_bins(h, w)
    assert (np.bincount(rings[rings >= 0]) > 0).all()
    assert (np.diff(ring_radii(h, w)) > 0).all()
    np.testing.assert_array_equal(frequency_bins(w, h), rings.T)


def test_rings_of_frequency_are_as_wide_as_a_step_of_the_longer_side():
    # 64x128: 0.25 cycles a pixel are 32 steps across and 16 down, the lowest values of ring 32.
    rings = frequency_bins(64, 128)
    assert rings[32, 64 + 32] == rings[32 + 16, 64] == 32 - 1
    assert rings[32, 64 + 31] == 31 - 1
    assert rings[32 + 15, 64] == 30 - 1


@pytest.mark.parametrize("h, w", [(64, 64), (33, 33), (40, 64), (64, 33)])
def test_ring_radii_are_cycles_per_pixel_and_lie_within_their_rings(h, w):
    steps = ring_radii(h, w) * max(h, w)
    k = np.arange(len(steps))
    assert ((steps >= k + 1) & (steps < k + 2)).all()


def test_a_plane_wave_lies_in_the_ring_of_its_frequency():
    for h, w, down, across in ((48, 96, 12, 0), (48, 96, 0, 24), (48, 96, 6, 12), (60, 90, 9, 18)):
        y, x = np.mgrid[:h, :w]
        wave = np.cos(2 * np.pi * (down * y / h + across * x / w))
        power = np.fft.fftshift(np.abs(np.fft.fft2(wave)) ** 2)
        rings = frequency_bins(h, w)
        means = segment_mean_matrix([rings]) @ power.ravel()
        cycles = np.hypot(down / h, across / w)
        assert abs(ring_radii(h, w)[means.argmax()] - cycles) < 1 / max(h, w)


def test_a_map_without_a_ring_is_refused():
    with pytest.raises(ValueError, match="at least 4x4"):
        radial_mean(np.ones((3, 3)))


def test_a_vector_is_refused():
    with pytest.raises(ValueError, match=r"shape \(5,\)"):
        radial_mean(np.ones(5))


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="'float32'.*'float64'"):
        radial_mean(np.ones((8, 8)), precision="float16")
