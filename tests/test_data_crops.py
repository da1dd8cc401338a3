from typing import Any

import numpy as np
import pytest

from gan_forensics.data import ArraySource, Batches, take
from gan_forensics.data.crops import CentreCrops, RandomCrops, drawn_box

WHOLE: dict[str, Any] = {"area": (1.0, 1.0), "ratio": (1.0, 1.0)}


def test_boxes_lie_in_the_image_and_have_the_areas_and_ratios_that_are_drawn():
    rng = np.random.default_rng(0)
    boxes = [drawn_box((90, 120), rng, area=(0.1, 0.5), ratio=(0.5, 2.0)) for _ in range(400)]
    top, left, height, width = np.array(boxes).T
    assert (top >= 0).all() and (left >= 0).all()
    assert (top + height <= 90).all() and (left + width <= 120).all()
    share, ratio = height * width / (90 * 120), width / height
    assert 0.095 < share.min() < 0.12 and 0.47 < share.max() < 0.51
    assert 0.48 < ratio.min() < 0.56 and 1.8 < ratio.max() < 2.06
    # The logarithm of the ratio is uniform, so that both shapes are equally likely.
    assert abs(np.log(ratio).mean()) < 0.06


def test_a_box_that_cannot_be_drawn_is_the_largest_central_one():
    rng = np.random.default_rng(0)
    assert drawn_box((10, 100), rng, area=(1.0, 1.0), ratio=(0.75, 4 / 3)) == (0, 43, 10, 13)
    assert drawn_box((100, 10), rng, area=(1.0, 1.0), ratio=(0.75, 4 / 3)) == (43, 0, 13, 10)


def test_the_whole_image_is_itself_or_its_mirror_image(rng):
    image = rng.integers(0, 256, (12, 12, 3), np.uint8)
    crops = RandomCrops(12, **WHOLE)
    made = [crops(image, np.random.default_rng(seed)) for seed in range(20)]
    same = [np.array_equal(x, image) for x in made]
    assert all(same[i] or np.array_equal(x, image[:, ::-1]) for i, x in enumerate(made))
    assert 0 < sum(same) < 20


@pytest.mark.parametrize("channels", [1, 3])
def test_turns_gray_and_jitter_do_what_they_say(channels, rng):
    image = rng.integers(0, 200, (16, 16, channels), np.uint8)
    bright = RandomCrops(16, **WHOLE, jitter=0.2)(image, np.random.default_rng(3))
    assert bright.shape == image.shape and bright.dtype == np.uint8
    assert 0.6 < bright.mean() / image.mean() < 1.4 and bright.mean() != image.mean()
    turned = RandomCrops(16, **WHOLE, turn=45.0)(image, np.random.default_rng(3))
    assert (turned[0, 0] == 0).all() and turned[8, 8].any()  # a corner comes from outside
    gray = RandomCrops(16, **WHOLE, gray=1.0)(image, np.random.default_rng(3))
    assert (gray == gray[..., :1]).all()


def test_batches_are_made_of_crops_and_do_not_depend_on_neighbours(rng):
    images = rng.integers(0, 256, (8, 14, 14, 1), np.uint8)
    source = ArraySource(image=images, label=np.arange(8))
    crops = RandomCrops(12, area=(0.2, 0.6))
    made = next(Batches(source, batch_size=4, seed=0, shuffle=False, transform=crops.transform))
    assert made["image"].shape == (4, 12, 12, 1) and made["image"].dtype == np.float32
    images[0] = 0
    again = next(Batches(source, batch_size=4, seed=0, shuffle=False, transform=crops.transform))
    np.testing.assert_array_equal(made["image"][1:], again["image"][1:])
    assert (made["label"] == [0, 1, 2, 3]).all()


def test_all_other_images_are_cut_in_the_middle(rng):
    images = rng.integers(0, 256, (3, 8, 8, 3), np.uint8)
    cut = CentreCrops(ArraySource(image=images, label=np.arange(3)), 6)
    assert len(cut) == 3
    np.testing.assert_array_equal(take(cut, [0, 1, 2])["image"], images[:, 1:7, 1:7])
    assert take(cut, [2])["label"] == [2]
