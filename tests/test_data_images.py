import os

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from skimage.transform import resize as skimage_resize

from gan_forensics.data.decoding import load_image
from gan_forensics.data.images import (
    center_crop,
    resize,
    save_png,
    square,
    to_float,
    to_uint8,
)


@pytest.fixture
def picture(rng):
    return rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)


# --- geometry -------------------------------------------------------------------------------


def test_centre_crop_keeps_the_middle():
    image = np.arange(7 * 6).reshape(7, 6, 1).astype(np.uint8)
    np.testing.assert_array_equal(center_crop(image, 3)[..., 0], image[2:5, 1:4, 0])


def test_centre_crop_larger_than_the_image_says_both_sizes():
    with pytest.raises(ValueError, match="square of 9 from an image of 7x6"):
        center_crop(np.zeros((7, 6, 3), np.uint8), 9)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [5, 13, 40])
def test_plain_bilinear_resize_equals_scikit_image(rng, size, channels):
    image = rng.integers(0, 256, (20, 20, channels), dtype=np.uint8)
    expected = skimage_resize(
        image.astype(np.float64), (size, size), order=1, mode="edge", anti_aliasing=False
    )
    ours = resize(image, size, antialias=False)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=0.5 + 1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_both_resizes_agree_when_enlarging(rng, channels):
    image = rng.integers(0, 256, (9, 9, channels), dtype=np.uint8)
    smooth, plain = resize(image, 21), resize(image, 21, antialias=False)
    np.testing.assert_allclose(smooth.astype(int), plain.astype(int), rtol=0, atol=1)


def test_antialiasing_removes_what_plain_reduction_folds_down():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::3] = 255
    # A period of 3 pixels cannot be shown after reduction by 4.
    smooth = resize(stripes, 16)[2:-2, 2:-2].std()
    folded = resize(stripes, 16, antialias=False)[2:-2, 2:-2].std()
    assert smooth < 15 and folded > 50


def test_halving_by_antialiased_resize_is_the_triangle_filter():
    image = np.zeros((16, 16, 1), np.uint8)
    image[:, 8] = 240
    # Weights of the triangle of half-width 2 at distances 0.5 and 1.5: 3/8 and 1/8.
    np.testing.assert_array_equal(resize(image, 8)[4, 2:6, 0], [0, 30, 90, 0])


def test_square_crops_before_it_resizes(rng):
    image = rng.integers(0, 256, (30, 20, 3), dtype=np.uint8)
    np.testing.assert_array_equal(square(image, size=8), resize(image[5:25], 8))
    np.testing.assert_array_equal(square(image, crop=10), image[10:20, 5:15])
    np.testing.assert_array_equal(square(image), image)


# --- quantising -----------------------------------------------------------------------------


def test_float_range_is_minus_one_to_one():
    ends = to_float(np.array([0, 255], np.uint8))
    assert ends.dtype == np.float32
    np.testing.assert_array_equal(ends, [-1, 1])


def test_every_level_survives_the_round_trip():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(to_float(levels)), levels)


def test_rounding_is_to_the_nearest_level_with_halves_up():
    x = np.array([-0.001, 0, 0.001])  # about the level 127.5
    np.testing.assert_array_equal(to_uint8(x), [127, 128, 128])
    np.testing.assert_array_equal(to_uint8(x, rounding="floor"), [127, 127, 127])


def test_floor_rounding_is_half_a_level_darker(rng):
    x = rng.uniform(-1, 1, 100_000)
    darker = to_uint8(x).mean() - to_uint8(x, rounding="floor").mean()
    np.testing.assert_allclose(darker, 0.5, rtol=0, atol=0.01)


@given(arrays(np.float32, 20, elements=st.floats(-3, 3, width=32)))
def test_quantising_is_monotone_clipped_and_idempotent(x):
    once = to_uint8(np.sort(x), range=(-1, 1))
    assert (np.diff(once.astype(int)) >= 0).all()
    assert (once[np.sort(x) >= 1] == 255).all() and (once[np.sort(x) <= -1] == 0).all()
    np.testing.assert_array_equal(to_uint8(to_float(once), range=(-1, 1)), once)


def test_floats_in_another_range_are_refused_until_it_is_stated():
    levels = np.arange(256, dtype=np.uint8)
    for ends in ((0, 1), (0, 255), (-3, 5)):
        low, high = ends
        floats = low + levels / 255 * (high - low)
        with pytest.raises(ValueError, match="range must be stated: to_uint8.x, range=.0, 1"):
            to_uint8(floats)
        np.testing.assert_array_equal(to_uint8(floats, range=ends), levels)
    to_uint8(np.array([-1.005, 1.005]))  # rounded
    halves = jnp.array([-1, 0, 1], jnp.bfloat16)
    np.testing.assert_array_equal(to_uint8(halves), [0, 128, 255])  # pyright: ignore
    with pytest.raises(ValueError, match="a range is"):
        to_uint8(np.zeros(3), range=(1, 0))


def test_quantiser_refuses_nan_integers_and_unknown_rounding():
    with pytest.raises(ValueError, match="1 pixels are NaN"):
        to_uint8(np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match="quantised already"):
        to_uint8(np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match="'nearest' or 'floor'"):
        to_uint8(np.zeros(3), rounding="up")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="expected uint8"):
        to_float(np.zeros(3))


# --- saving ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1), (5, 4, 3)])
def test_saved_png_reads_back(tmp_path, rng, shape):
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    save_png(tmp_path / "a.png", image)
    expected = np.broadcast_to(image.reshape(5, 4, -1), (5, 4, 3))
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), expected)
    assert os.listdir(tmp_path) == ["a.png"]


def test_full_disk_while_saving_keeps_the_old_picture(tmp_path, picture, monkeypatch):
    save_png(tmp_path / "a.png", picture)

    def full(self, path, **_):
        path.write_bytes(b"half a pic")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space left"):
        save_png(tmp_path / "a.png", 255 - picture)
    assert os.listdir(tmp_path) == ["a.png"]
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), picture)


def test_saving_floats_points_to_the_quantiser(tmp_path):
    with pytest.raises(ValueError, match="as_images"):
        save_png(tmp_path / "a.png", np.zeros((4, 4, 3)))
