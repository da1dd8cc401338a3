"""Carriers: what they change, what they leave, and that they do the same every time."""

import io

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from gan_forensics.data import jpeg, power_law_textures, read_header
from gan_forensics.data.carriers import CARRIERS, CONTAINERS, RESHIPPED, TIERS, scaled, tier_of
from gan_forensics.data.jpeg_quality import jpeg_quality

SHAPES = {"up-1.5": (36, 60), "screenshot": (30, 50)}


@pytest.fixture
def image():
    return power_law_textures(1, 40, exponent=1.2, seed=3)[0][:24]


@pytest.mark.parametrize("name", CARRIERS)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_carrier_keeps_the_picture_and_not_its_pixels(name, channels, image):
    image = np.ascontiguousarray(image[..., :channels])
    before = image.copy()
    carried = CARRIERS[name](image)
    assert carried.dtype == np.uint8
    assert carried.shape == (*SHAPES.get(name, (24, 40)), channels)
    assert_array_equal(image, before)
    assert_array_equal(CARRIERS[name](image.copy()), carried)
    height, width = carried.shape[:2]
    again = np.array(Image.fromarray(carried[..., 0]).resize((40, 24), Image.Resampling.BILINEAR))
    change = np.abs(again.astype(float) - image[..., 0]).mean()
    assert 0.2 < change < 12 and (height, width) >= (24, 40)


def test_compressions_are_those_of_their_names(image):
    for quality in (90, 75, 50):
        stream = io.BytesIO()
        Image.fromarray(image).save(stream, "JPEG", quality=quality)
        assert_array_equal(CARRIERS[f"jpeg-{quality}"](image), np.array(Image.open(stream)))
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "WEBP", quality=80)
    assert_array_equal(CARRIERS["webp-80"](image), np.array(Image.open(stream).convert("RGB")))
    assert CONTAINERS == {
        "jpeg-90": "JPEG", "jpeg-75": "JPEG", "jpeg-50": "JPEG", "webp-80": "WEBP",
    }  # fmt: skip


def test_noise_has_its_deviation_and_shrinking_costs_the_finest_detail(image):
    gray = np.full((64, 64, 3), 128, np.uint8)
    noise = CARRIERS["noise-3"](gray).astype(float) - 128
    assert abs(noise.mean()) < 0.1 and 2.8 < noise.std() < 3.2
    other = gray.copy()
    other[0, 0, 0] += 1
    assert (CARRIERS["noise-3"](other) != CARRIERS["noise-3"](gray)).mean() > 0.5
    finest = np.indices((64, 64)).sum(0) % 2 * 100 + 50
    pattern = np.repeat(finest[..., None], 3, -1).astype(np.uint8)
    assert CARRIERS["down-up-0.75"](pattern).std() < 0.2 * pattern.std()


def test_what_score_asks_for_keeps_the_size():
    assert set(RESHIPPED) < set(CARRIERS) and not set(RESHIPPED) & set(SHAPES)


@pytest.mark.parametrize("quality", [1, 10, 35, 50, 75, 76, 90, 95, 100])
def test_the_quality_of_a_jpeg_is_told_by_its_table(quality, image):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=quality)
    assert jpeg_quality(Image.open(stream).quantization[0]) == quality


def test_a_foreign_table_gets_the_quality_of_like_coarseness():
    """Twice the steps of quality 75 are those of quality 50, up to rounding; these are flat."""
    assert 40 < jpeg_quality([40] * 64) < 75 < jpeg_quality([10] * 64) < 95


@pytest.mark.parametrize(
    ("tier", "quality", "sizes"),
    [
        ("web", 60, {(900, 30): (768, 26), (30, 768): (30, 768), (8, 12): (8, 12)}),
        ("hard", 40, {(30, 900): (17, 512), (512, 9): (512, 9), (900, 1): (512, 1)}),
    ],
)
def test_a_tier_shrinks_the_long_side_and_compresses(tier, quality, sizes):
    for (height, width), shape in sizes.items():
        image = power_law_textures(1, max(height, width), exponent=1.2, seed=3)[0]
        for channels in (1, 3):
            some = np.ascontiguousarray(image[:height, :width, :channels])
            made = TIERS[tier](some)
            assert made.shape == (*shape, channels) and made.dtype == np.uint8
            smaller = some
            if shape != (height, width):
                smaller = scaled(some, max(shape) / max(height, width))
            assert_array_equal(made, jpeg(smaller, quality))
    assert TIERS["clean"](image) is image


def test_a_file_is_of_the_tier_whose_quality_is_nearest(image, tmp_path):
    """Its size decides nothing, and what states no quality is clean."""
    for quality, tier in ((40, "hard"), (50, "hard"), (51, "web"), (60, "web"), (70, "web"),
                          (71, "clean"), (90, "clean")):  # fmt: skip
        path = tmp_path / f"{quality}.jpg"
        Image.fromarray(image).save(path, quality=quality)
        assert tier_of(read_header(path).quality) == tier
    for name in ("a.png", "a.webp"):
        Image.fromarray(image).save(tmp_path / name, quality=10)
        assert tier_of(read_header(tmp_path / name).quality) == "clean"
