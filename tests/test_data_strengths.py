"""Families over a strength: each member does what its name says, at the size that it says."""

import io

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from gan_forensics.data import power_law_textures
from gan_forensics.data.augment import blur
from gan_forensics.data.carriers import CARRIERS, noise
from gan_forensics.data.perturbations import perturb
from gan_forensics.data.strengths import FAMILIES, in_words, members


@pytest.fixture
def image():
    return power_law_textures(1, 40, exponent=1.2, seed=3)[0][:24]


def compressed(image, *steps):
    """What Pillow makes of an image, format after format at a quality."""
    for form, quality in steps:
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, form, quality=quality)
        image = np.array(Image.open(stream).convert("RGB"))
    return image


def resized(image, height, width, kernel):
    return np.array(Image.fromarray(image).resize((width, height), kernel))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_member_is_deterministic_and_harms_more_the_stronger_it_is(family, channels, image):
    image = np.ascontiguousarray(image[..., :channels])
    before, harms = image.copy(), []
    for name, strength in members(family).items():
        found = perturb(image, name)
        scale = strength if family.startswith("resize") else 1
        assert found.dtype == np.uint8
        assert found.shape == (round(24 * scale), round(40 * scale), channels)
        assert_array_equal(perturb(before.copy(), name), found)
        back = resized(found[..., 0], 24, 40, Image.Resampling.BILINEAR)
        harms.append(np.abs(back.astype(float) - image[..., 0]).mean())
    assert_array_equal(image, before)
    # A second compression as fine as the first takes little more than that took.
    assert harms[0] > 0 and harms[-1] > 1.1 * harms[0]
    assert "+" in family or (np.diff(harms) > 0).all()


def test_members_are_what_their_names_say(image):
    for name, expected in {
        "jpeg-30": compressed(image, ("JPEG", 30)),
        "webp-95": compressed(image, ("WEBP", 95)),
        "jpeg-75+jpeg-90": compressed(image, ("JPEG", 75), ("JPEG", 90)),
        "jpeg-75+webp-50": compressed(image, ("JPEG", 75), ("WEBP", 50)),
        "webp-75+jpeg-50": compressed(image, ("WEBP", 75), ("JPEG", 50)),
        "resize-bilinear-0.5": resized(image, 12, 20, Image.Resampling.BILINEAR),
        "resize-lanczos-0.75": resized(image, 18, 30, Image.Resampling.LANCZOS),
        "down-up-lanczos-0.25": resized(
            resized(image, 6, 10, Image.Resampling.LANCZOS), 24, 40, Image.Resampling.LANCZOS
        ),
        "blur-2": blur(image, 2.0),
        "noise-10": noise(image, 10.0),
    }.items():
        assert_array_equal(perturb(image, name), expected, err_msg=name)


def test_the_third_resizer_is_opencvs_which_folds_detail_down(image):
    cv2 = pytest.importorskip("cv2")
    small = cv2.resize(image, (10, 6), interpolation=cv2.INTER_LINEAR)
    for name, expected in {
        "resize-opencv-0.25": small,
        "down-up-opencv-0.25": cv2.resize(small, (40, 24), interpolation=cv2.INTER_LINEAR),
    }.items():
        off = np.abs(perturb(image, name).astype(int) - expected.astype(int))
        assert off.max() <= 1, name  # OpenCV's weights are of eleven bits.
    stripes = np.tile(np.array([0, 0, 255, 255], np.uint8), (24, 10))[..., None]
    assert perturb(stripes, "resize-opencv-0.25").std() == 0  # Always between black and white.
    shifted = np.roll(stripes, 1, axis=1)
    assert {*perturb(shifted, "resize-opencv-0.25")[0, 1:, 0].tolist()} == {0}
    assert 100 < perturb(shifted, "resize-bilinear-0.25")[3, 5, 0] < 155


def test_names_that_stood_before_are_members_of_the_same_result(image):
    for family in FAMILIES:
        for name, strength in members(family).items():
            if name in CARRIERS:
                found = FAMILIES[family].apply(image, strength)
                assert_array_equal(found, CARRIERS[name](image))
    assert {*CARRIERS} - {name for family in FAMILIES for name in members(family)} == {
        "up-1.5", "screenshot",
    }  # fmt: skip


def test_families_are_told_in_words():
    assert in_words(["blur", "fog", "jpeg-75+webp"]) == (
        "blur: Gaussian blur, by deviation in pixels; "
        "jpeg-75+webp: JPEG 75, then WebP, by quality of the second"
    )


def test_an_image_of_one_pixel_stays_one():
    dot = np.full((1, 1, 3), 9, np.uint8)
    for name in ("resize-opencv-0.25", "down-up-lanczos-0.25", "webp-75+jpeg-30", "blur-3"):
        assert perturb(dot, name).shape == (1, 1, 3)
