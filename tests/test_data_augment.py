"""Augmentations of detectors: each to the bit against a slow twin, and their randomness."""

import io

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image

from gan_forensics.data import ArraySource, Batches, to_float, to_uint8
from gan_forensics.data.augment import (
    Augmentation,
    blur,
    grayscale,
    installed_encoders,
    jpeg,
    resize_shorter,
)


@pytest.fixture
def image(rng):
    """A smooth picture with texture, 40x36."""
    rows, columns = np.mgrid[:40, :36]
    waves = np.stack([np.sin(rows / 5), np.cos(columns / 7), np.sin((rows + columns) / 9)], -1)
    return np.clip(128 + 80 * waves + 20 * rng.normal(size=waves.shape), 0, 255).astype(np.uint8)


def blurred_slowly(image, sigma, quantise):
    """Both passes as sums over the taps of the kernel; `quantise` comes after each.

    Where an area is flat, the rounding of the sum decides what is cut off; the centre and then the
    pairs of taps from the outermost is the order that scipy, and so the released code, adds in.
    """
    radius = int(4 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 / sigma**2 * offsets**2)
    kernel /= kernel.sum()
    x = image.astype(np.float64)
    for axis in (0, 1):
        pads = [(radius, radius) if a == axis else (0, 0) for a in range(3)]
        padded = np.pad(x, pads, mode="symmetric")
        shifted = [np.take(padded, np.arange(x.shape[axis]) + i, axis) for i in range(len(kernel))]
        total = shifted[radius] * kernel[radius]
        for i in range(radius):
            total = total + (shifted[i] + shifted[-1 - i]) * kernel[i]
        x = quantise(total)
    return x


@pytest.mark.parametrize("sigma", [0.05, 0.3, 0.75, 1.5, 3.0])
def test_truncating_blur_cuts_off_after_either_pass(image, sigma):
    fast = blur(image, sigma, rounding="truncate-like-reference")
    assert fast.dtype == np.uint8
    assert_array_equal(fast, blurred_slowly(image, sigma, np.floor))


@pytest.mark.parametrize("sigma", [0.3, 0.75, 1.5, 3.0])
def test_rounding_blur_is_the_true_blur_to_half_a_level(image, sigma):
    exact = blurred_slowly(image, sigma, lambda x: x)
    assert np.abs(blur(image, sigma) - exact).max() <= 0.5 + 1e-4


def test_truncation_darkens_by_about_a_level(image):
    lost = blur(image, 1.5).astype(float) - blur(image, 1.5, rounding="truncate-like-reference")
    assert 0.8 < lost.mean() < 1.2


@pytest.mark.parametrize("rounding", ["round", "truncate-like-reference"])
def test_a_narrow_blur_changes_nothing(image, rounding):
    assert_array_equal(blur(image, 0.12, rounding=rounding), image)
    assert (blur(image, 0.3, rounding=rounding) != image).any()


@pytest.mark.parametrize("quality", [30, 65, 100])
def test_pillow_jpeg_is_that_of_pillow(image, quality):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    assert_array_equal(jpeg(image, quality), np.array(Image.open(stream)))


@pytest.mark.parametrize("quality", [30, 65, 100])
def test_opencv_jpeg_keeps_red_red(image, quality):
    pytest.importorskip("cv2")
    made = jpeg(image, quality, encoder="opencv")
    # Both encoders are a libjpeg with the same tables; versions differ by rounding.
    assert np.abs(made.astype(int) - jpeg(image, quality)).max() <= 2


@pytest.mark.parametrize("encoder", installed_encoders())
def test_jpeg_of_gray_images_and_of_lower_quality(image, encoder):
    made = [jpeg(image[..., :1], q, encoder=encoder).astype(int) for q in (20, 95)]
    assert made[0].shape == (40, 36, 1)
    errors = [np.abs(x - image[..., :1]).mean() for x in made]
    assert errors[0] > 2 * errors[1]


def test_grayscale_is_pillows(rng):
    pixels = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    expected = np.array(Image.fromarray(pixels).convert("L"))
    made = grayscale(pixels)
    for channel in range(3):
        assert_array_equal(made[..., channel], expected)
    assert_array_equal(grayscale(made), made)
    assert_array_equal(grayscale(pixels[None])[0], made)


def test_colour_without_luma_disappears_in_gray():
    image = np.full((4, 4, 3), 120.0)
    delta = 20 * np.array([1.0, -0.5, -0.048])
    shifted = np.round(image + delta[None, None]).astype(np.uint8)
    difference = grayscale(shifted).astype(int) - grayscale(image.astype(np.uint8))
    assert abs(difference).max() <= 1


def test_resize_shorter_keeps_the_ratio(rng):
    wide = rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)
    assert resize_shorter(wide, 32).shape == (32, 44, 3)
    turned = resize_shorter(wide.swapaxes(0, 1), 32).astype(int)
    # Pillow resizes along the rows first, and rounds in between.
    assert np.abs(turned.swapaxes(0, 1) - resize_shorter(wide, 32)).max() <= 1
    assert_array_equal(resize_shorter(wide, 50), wide)
    assert resize_shorter(wide[..., :1], 100).shape == (100, 140, 1)


def test_an_augmentation_depends_on_its_generator_alone(image):
    augmentation = Augmentation(0.5, 0.5, 24, 0.5, 0.5, encoders=("pillow",))
    made = [augmentation(image, np.random.default_rng(seed)) for seed in range(30)]
    again = [augmentation(image, np.random.default_rng(seed)) for seed in range(30)]
    for first, second in zip(made, again, strict=True):
        assert_array_equal(first, second)
        assert first.shape == (24, 24, 3) and first.dtype == np.uint8
    assert len({x.tobytes() for x in made}) == 30


@pytest.mark.parametrize("name", ["blur", "jpeg", "flip", "grayscale"])
def test_each_happens_as_often_as_asked(image, name):
    changed = Augmentation(**{name: 0.3}, encoders=("pillow",), sigma=(1, 2))
    count = sum((changed(image, np.random.default_rng(s)) != image).any() for s in range(400))
    assert count / 400 == pytest.approx(0.3, abs=0.07)


def test_blur_comes_before_compression_and_gray_last(image):
    made = Augmentation(1, 1, 0, 1, 1, sigma=(2, 2), quality=(40, 40), encoders=("pillow",))
    expected = jpeg(blur(image, 2.0, rounding="truncate-like-reference"), 40)
    assert_array_equal(made(image, np.random.default_rng(0)), grayscale(expected[:, ::-1]))


def test_crops_reach_every_corner_and_the_validation_crop_stands_still(rng):
    places = np.stack(np.broadcast_arrays(*np.ogrid[:6, :7], 0), -1).astype(np.uint8)
    cropped = Augmentation(crop=4)
    corners = {tuple(cropped(places, np.random.default_rng(s))[0, 0]) for s in range(300)}
    assert corners == {(top, left, 0) for top in range(3) for left in range(4)}
    still = cropped.for_validation()(places, rng)
    assert tuple(still[0, 0]) == (1, 1, 0)


def test_validation_keeps_the_probabilities_and_fixes_the_rest(image):
    given = Augmentation(0.4, 0.6, 24, 0.5, 0.3)
    fixed = given.for_validation()
    assert (fixed.blur, fixed.jpeg, fixed.grayscale, fixed.flip) == (0.4, 0.6, 0.3, 0.0)
    always = Augmentation(1, 1, 0, 0.5, 0).for_validation()
    expected = jpeg(blur(image, 1.5, rounding="truncate-like-reference"), 65)
    for seed in range(3):
        assert_array_equal(always(image, np.random.default_rng(seed)), expected)


def test_transform_does_not_let_images_depend_on_their_neighbours(image):
    augmentation = Augmentation(0.5, 0.5, 0, 0.5, 0.5, encoders=("pillow",))
    alone = {"image": to_float(np.stack([image, image[::-1]]))}
    among = {"image": to_float(np.stack([image, image // 2]))}
    made = augmentation.transform
    drawn = made.draw(np.random.default_rng(5), np.arange(2))
    first, second = (made.apply(batch, drawn) for batch in (alone, among))
    assert_array_equal(first["image"][0], second["image"][0])
    seeds = np.random.default_rng(5).integers(2**63, size=2)
    expected = augmentation(image, np.random.default_rng(seeds[0]))
    assert_array_equal(to_uint8(first["image"][0]), expected)
    assert_allclose(first["image"][0], to_float(expected), rtol=0, atol=0)


def test_batches_augment_alike_after_resuming(image):
    source = ArraySource(image=np.stack([np.roll(image, i, 0) for i in range(12)]))
    augmentation = Augmentation(0.5, 0.5, 16, 0.5, encoders=("pillow",))

    def batches():
        return Batches(source, batch_size=4, seed=3, transform=augmentation.transform)

    straight = batches()
    first = [next(straight)["image"] for _ in range(5)]
    stopped = batches()
    next(stopped)
    position = stopped.state()
    resumed = batches()
    resumed.restore(position)
    for expected in first[1:]:
        assert_array_equal(next(resumed)["image"], expected)
    assert first[0].shape == (4, 16, 16, 3)
    for each in (straight, stopped, resumed):
        each.close()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: blur(x, -1.0), "sigma must not be negative"),
        (lambda x: blur(x, 1.0, rounding="floor"), "unknown rounding 'floor'"),
        (lambda x: blur(x / 255, 1.0), "must be uint8"),
        (lambda x: jpeg(x, 0), "from 1 to 100, got 0"),
        (lambda x: jpeg(x, 50, encoder="cv2"), "unknown encoder 'cv2'"),
        (lambda x: grayscale(x[..., :1]), "expected uint8"),
        (lambda x: resize_shorter(x, 0), "size must be at least 1"),
        (lambda x: Augmentation(blur=1.5), "probability from 0 to 1, got 1.5"),
        (lambda x: Augmentation(jpeg=0.5, encoders=()), "at least one encoder"),
        (
            lambda x: Augmentation(crop=50)(x, np.random.default_rng(0)),
            "cannot crop 50x50 from an image of 40x36",
        ),
    ],
)
def test_misuse_is_refused(image, call, message):
    with pytest.raises(ValueError, match=message):
        call(image)


def test_a_missing_opencv_names_its_extra(image, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(ImportError, match=r"gan_forensics\[opencv\]"):
        jpeg(image, 50, encoder="opencv")
