import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gan_forensics.nn.conv import convolve
from gan_forensics.nn.upsample import (
    BINOMIAL,
    KAISER,
    bilinear,
    bilinear_half_pixel,
    bilinear_matrix,
    binomial,
    convolve_upsampled,
    kaiser,
    nearest,
    zero_insertion,
)
from tests import oracles

UPSAMPLERS = [zero_insertion, nearest, bilinear, bilinear_half_pixel]

# A few shapes only, since each compiles anew.
maps = st.sampled_from([(2, 2, 3, 2), (1, 5, 4, 2), (1, 7, 7, 2)]).flatmap(
    lambda shape: arrays(np.float32, shape, elements=st.floats(-10, 10, width=32))
)
few_examples = settings(max_examples=15, deadline=None)


def spectrum(images):
    return np.fft.fft2(np.asarray(images, np.float64), axes=(1, 2))


@few_examples
@given(maps)
def test_zero_insertion_puts_pixels_on_even_places(x):
    z = np.zeros((x.shape[0], 2 * x.shape[1], 2 * x.shape[2], 2), np.float32)
    z[:, ::2, ::2] = x
    np.testing.assert_array_equal(jax.jit(zero_insertion)(x), z)


@few_examples
@given(maps)
def test_zero_insertion_repeats_the_spectrum_four_times(x):
    np.testing.assert_allclose(
        spectrum(jax.jit(zero_insertion)(x)), np.tile(spectrum(x), (1, 2, 2, 1)), atol=1e-9
    )


@few_examples
@given(maps)
def test_nearest_repeats_every_pixel(x):
    np.testing.assert_array_equal(jax.jit(nearest)(x), x.repeat(2, 1).repeat(2, 2))


@few_examples
@given(maps)
def test_nearest_filters_the_repeated_spectrum_by_a_box_and_nulls_nyquist(x):
    h, w = x.shape[1:3]
    rows = 1 + np.exp(-1j * np.pi * np.arange(2 * h) / h)
    columns = 1 + np.exp(-1j * np.pi * np.arange(2 * w) / w)
    y = spectrum(jax.jit(nearest)(x))
    expected = spectrum(jax.jit(zero_insertion)(x)) * np.outer(rows, columns)[None, :, :, None]
    np.testing.assert_allclose(y, expected, atol=1e-9)
    np.testing.assert_allclose(y[:, h], 0, atol=1e-9)
    np.testing.assert_allclose(y[:, :, w], 0, atol=1e-9)


@few_examples
@given(maps)
def test_bilinear_is_the_matrix_product_p_x_p_transposed(x):
    rows, columns = bilinear_matrix(x.shape[1]), bilinear_matrix(x.shape[2])
    expected = np.einsum("ih,bhwc,jw->bijc", rows, x, columns)
    np.testing.assert_allclose(jax.jit(bilinear)(x), expected, rtol=1e-5, atol=1e-5)


@few_examples
@given(maps)
def test_half_pixel_bilinear_is_the_resize_of_jax(x):
    b, h, w, c = x.shape
    expected = jax.image.resize(x, (b, 2 * h, 2 * w, c), "bilinear")
    np.testing.assert_allclose(jax.jit(bilinear_half_pixel)(x), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("upsample, taps", [(binomial, BINOMIAL), (kaiser, KAISER)])
def test_filters_are_zero_insertion_then_symmetric_taps_along_each_axis(upsample, taps, rng):
    x = rng.normal(size=(1, 5, 4, 2)).astype(np.float32)
    z = np.asarray(zero_insertion(x), np.float64)
    reach = len(taps) // 2
    for axis in (1, 2):
        side = z.shape[axis]
        full = np.apply_along_axis(np.convolve, axis, z, taps)
        z = np.take(full, np.arange(reach - 1, reach - 1 + side), axis)
    np.testing.assert_allclose(upsample(x), z, atol=1e-6)
    np.testing.assert_array_equal(taps, taps[::-1])
    assert taps.sum() == pytest.approx(2)


def test_filters_keep_constants_away_from_the_border_and_suppress_replicas():
    # Zero insertion repeats a constant's spectrum at the highest frequency; a filter takes it away.
    flat = np.ones((1, 16, 16, 1), np.float32)
    for upsample in (binomial, kaiser):
        np.testing.assert_allclose(upsample(flat)[0, 8:-8, 8:-8], 1, atol=1e-6)
    gain = {f: np.abs(np.fft.fft(taps, 64)) for f, taps in ((0, BINOMIAL), (1, KAISER))}
    assert gain[0][32] < 1e-12 and gain[1][32] < 1e-12
    # The Kaiser filter is flatter below the cutoff (1/4) and lower above it than the binomial one.
    assert gain[1][8] > gain[0][8] and gain[1][24] < 0.2 * gain[0][24]


def test_binomial_is_half_pixel_bilinear_but_for_the_border(rng):
    x = rng.normal(size=(1, 5, 6, 2)).astype(np.float32)
    own, other = binomial(x)[:, 1:-1, 1:-1], bilinear_half_pixel(x)[:, 1:-1, 1:-1]
    np.testing.assert_allclose(own, other, atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 5, 16])
def test_bilinear_matrix_interpolates_between_aligned_ends(rng, n):
    values = rng.normal(size=n)
    np.testing.assert_allclose(bilinear_matrix(n) @ values, oracles.bilinear_line(values))


def test_bilinear_keeps_planes_and_corners():
    y, x = np.mgrid[:5, :7].astype(np.float32)
    plane = (1 + 2 * y - 3 * x)[None, :, :, None]
    up = np.asarray(bilinear(plane))[0, :, :, 0]
    rows, columns = np.linspace(0, 4, 10), np.linspace(0, 6, 14)
    np.testing.assert_allclose(up, 1 + 2 * rows[:, None] - 3 * columns[None], atol=1e-5)


@pytest.mark.parametrize("upsample", UPSAMPLERS)
def test_gradient_is_the_adjoint(upsample, getkey):
    x = jax.random.normal(getkey(), (2, 4, 3, 2))
    y = jax.random.normal(getkey(), (2, 8, 6, 2))
    up, back = jax.jit(lambda x, y: (upsample(x), jax.vjp(upsample, x)[1](y)[0]))(x, y)
    np.testing.assert_allclose(jnp.vdot(up, y), jnp.vdot(x, back), rtol=1e-5)


def test_second_derivatives_of_half_pixel_bilinear_are_those_of_the_resize(rng):
    def curvature(upsample):
        def slope(x, y):
            return jax.grad(lambda x: jnp.sin(upsample(x) * y).sum())(x)

        return lambda x, y: jax.grad(lambda x, y: jnp.cos(slope(x, y)).sum(), (0, 1))(x, y)

    with jax.enable_x64(True):
        x, y = (
            jnp.asarray(rng.normal(size=(1, 3, 2, 2))),
            jnp.asarray(rng.normal(size=(1, 6, 4, 2))),
        )
        resize = curvature(lambda x: jax.image.resize(x, y.shape, "bilinear"))
        for ours, theirs in zip(curvature(bilinear_half_pixel)(x, y), resize(x, y), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-12)


@pytest.mark.parametrize("upsample", UPSAMPLERS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_type_is_kept_and_jit_changes_nothing(upsample, dtype, getkey):
    x = jax.random.normal(getkey(), (2, 4, 5, 3), dtype)
    y = upsample(x)
    assert y.dtype == dtype and y.shape == (2, 8, 10, 3)
    tolerance = 1e-6 if dtype == jnp.float32 else 0.05
    np.testing.assert_allclose(
        y.astype(jnp.float32), jax.jit(upsample)(x).astype(jnp.float32), atol=tolerance
    )


def test_transposed_convolution_is_zero_insertion_with_the_flipped_kernel(rng):
    # ConvTranspose 4/2/1 is contained in zero insertion + 5x5: w5[u, v] = W[3-u, 3-v], rest zero.
    x, kernel = rng.normal(size=(6, 6)), rng.normal(size=(4, 4))
    full = np.zeros((14, 14))
    for i in range(6):
        for j in range(6):
            full[2 * i : 2 * i + 4, 2 * j : 2 * j + 4] += x[i, j] * kernel
    five = np.zeros((5, 5))
    five[:4, :4] = kernel[::-1, ::-1]
    z = np.asarray(zero_insertion(x[None, :, :, None].astype(np.float32)), np.float64)[0, :, :, 0]
    embedded = scipy.signal.correlate2d(z, five, mode="same")
    np.testing.assert_allclose(embedded, full[1:13, 1:13], atol=1e-5)


@pytest.mark.parametrize("k", [3, 5, 7])
def test_nearest_with_a_kernel_is_zero_insertion_with_that_kernel_box_filtered(rng, k):
    x = rng.normal(size=(1, 8, 8, 1)).astype(np.float32)
    kernel = rng.normal(size=(k, k))
    near, zero = (np.asarray(up(x), np.float64)[0, :, :, 0] for up in (nearest, zero_insertion))
    boxed = scipy.signal.convolve2d(kernel[::-1, ::-1], np.ones((2, 2)))
    # True convolution with the flipped kernel is correlation; one more tap, borders left out.
    expected = scipy.signal.convolve2d(zero, boxed)
    actual = scipy.signal.convolve2d(near, kernel[::-1, ::-1])
    inner = slice(k, 16)
    np.testing.assert_allclose(actual[inner, inner], expected[inner, inner], atol=1e-5)


@pytest.mark.parametrize("upsample", UPSAMPLERS)
def test_three_5x5_layers_are_one_13x13_filter_beyond_four_pixels_from_the_border(upsample, rng):
    x = rng.normal(size=(1, 12, 12, 1)).astype(np.float32)
    kernels = rng.normal(size=(3, 5, 5))
    up = np.asarray(upsample(x), np.float64)[0, :, :, 0]
    layered = up
    for kernel in kernels:
        layered = scipy.signal.convolve2d(layered, kernel, mode="same")
    joint = scipy.signal.convolve2d(scipy.signal.convolve2d(kernels[0], kernels[1]), kernels[2])
    at_once = scipy.signal.convolve2d(up, joint, mode="same")
    differs = np.abs(layered - at_once) > 1e-8
    assert not differs[4:-4, 4:-4].any() and differs[:4].any()


@pytest.mark.parametrize("kernel", [3, 5, 7])
@pytest.mark.parametrize(
    "kind, upsample",
    [("nearest", nearest), ("zero", zero_insertion), ("bilinear", bilinear), ("kaiser", kaiser)],
)
@pytest.mark.parametrize("features", [3, 12])
def test_upsampling_and_convolving_at_once_is_one_after_the_other(
    kind, upsample, kernel, features, rng
):
    # Also at the border, and in the gradients.
    x = jnp.asarray(rng.standard_normal((2, 5, 4, 6)), jnp.float32)
    w = jnp.asarray(rng.standard_normal((kernel, kernel, 6, features)), jnp.float32)
    once, back = jax.vjp(lambda x, w: convolve_upsampled(kind, x, w), x, w)
    slowly = lambda x, w: convolve(upsample(x), w, padding=kernel // 2)  # noqa: E731
    expected, expected_back = jax.vjp(slowly, x, w)
    np.testing.assert_allclose(once, expected, rtol=1e-4, atol=1e-4)
    for own, other in zip(back(expected), expected_back(expected), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-3, atol=2e-3)
