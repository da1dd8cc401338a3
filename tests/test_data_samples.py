import numpy as np
import pytest

from gan_forensics.data import samples
from gan_forensics.data.sources import take


def _pixels(source, photo):
    """Mask of the pixels of one photograph that the crops of a source use."""
    mask = np.zeros(source.photos[photo].shape[:2], bool)
    for _, top, left in source.corners[source.corners[:, 0] == photo]:
        mask[top : top + source.size, left : left + source.size] = True
    return mask


@pytest.mark.parametrize(("size", "reduce"), [(32, 1), (64, 1), (32, 2)])
def test_no_test_pixel_is_in_any_train_crop(size, reduce):
    train = samples.photos(size=size, split="train", stride=size // 2, reduce=reduce)
    test = samples.photos(size=size, split="test", reduce=reduce)
    for photo in range(len(samples.PHOTOS)):
        held_out = _pixels(test, photo)
        assert held_out.any()
        assert not (held_out & _pixels(train, photo)).any()


def test_regions_partition_each_width_with_about_a_quarter_held_out():
    for width in (225, 451, 512, 640, 741, 1000, 1411):
        for index in range(len(samples.PHOTOS)):
            regions = samples._regions(index, width)
            columns = np.concatenate([np.arange(*r) for part in regions.values() for r in part])
            np.testing.assert_array_equal(np.sort(columns), np.arange(width))
            (left, right) = regions["test"][0]
            assert 0.2 < (right - left) / width < 0.31


def test_test_regions_lie_at_different_places():
    lefts = {samples._regions(index, 640)["test"][0][0] for index in range(4)}
    assert len(lefts) == 4


def test_test_crops_are_disjoint():
    test = samples.photos(size=32, split="test")
    areas = sum(_pixels(test, photo).sum() for photo in range(len(samples.PHOTOS)))
    assert areas == len(test) * 32 * 32


def test_there_are_thousands_to_train_on_and_hundreds_to_test_on():
    assert len(samples.photos(size=32, split="train")) > 30_000
    assert len(samples.photos(size=32, split="test")) > 1000
    assert len(samples.photos(size=64, split="train")) > 8000
    assert len(samples.photos(size=64, split="test")) > 250


def test_all_is_train_and_test():
    parts = [len(samples.photos(size=64, split=split)) for split in ("train", "test")]
    assert len(samples.photos(size=64)) == sum(parts)


def test_crops_are_native_pixels_labelled_by_photograph():
    source = samples.photos(size=64, split="test")
    batch = take(source, [0, len(source) - 1])
    assert batch["image"].shape == (2, 64, 64, 3) and batch["image"].dtype == np.uint8
    assert samples.PHOTO_NAMES[batch["label"][0]] == "astronaut"
    assert samples.PHOTO_NAMES[batch["label"][1]] == "flower"
    for k, index in enumerate((0, len(source) - 1)):
        photo, top, left = source.corners[index]
        crop = source.photos[photo][top : top + 64, left : left + 64]
        np.testing.assert_array_equal(batch["image"][k], crop)
        np.testing.assert_array_equal(source[index]["image"], crop)
        assert source[index]["label"] == photo


def test_flat_crops_are_left_out():
    source = samples.photos(size=32, split="test")
    gray = take(source, np.arange(len(source)))["image"].astype(float).mean(axis=-1)
    assert gray.std(axis=(1, 2)).min() > 2


def test_half_size_is_the_mean_of_two_by_two_pixels():
    full, half = (samples._photo("skimage", "data/chelsea.png", reduce) for reduce in (1, 2))
    expected = full[10:12, 20:22].astype(float).mean(axis=(0, 1))
    np.testing.assert_allclose(half[5, 10], expected, rtol=0, atol=0.5)
    assert half.shape == (150, 225, 3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"size": 2000}, "smaller size"),
        ({"split": "val"}, "train, test, all"),
        ({"reduce": 3}, "reduce must be 1 or 2"),
        ({"stride": 0}, "stride >= 1"),
    ],
)
def test_impossible_crops_are_refused(arguments, says):
    with pytest.raises(ValueError, match=says):
        samples.photos(**arguments)


def test_digits_have_their_labels_and_the_full_range():
    digits = samples.digits().arrays
    assert digits["image"].shape == (1797, 8, 8, 1)
    assert digits["image"].min() == 0 and digits["image"].max() == 255
    np.testing.assert_array_equal(digits["label"][:10], np.arange(10))


def test_mnist_has_500_of_each_digit():
    mnist = samples.mnist5k().arrays
    assert mnist["image"].shape == (5000, 28, 28, 1) and mnist["image"].max() == 255
    np.testing.assert_array_equal(np.bincount(mnist["label"]), np.full(10, 500))


def test_faces_are_labelled_one():
    lfw = samples.lfw().arrays
    assert lfw["image"].shape == (200, 25, 25, 1) and lfw["image"].max() > 200
    np.testing.assert_array_equal(np.bincount(lfw["label"]), [100, 100])
    # In the mean of the faces, eyes (row 8) are darker than cheeks (row 12); not so elsewhere.
    means = [lfw["image"][lfw["label"] == kind, ..., 0].mean(axis=0) for kind in (0, 1)]
    eyes = np.r_[5:8, 13:17]
    darker = [mean[12, eyes].mean() - mean[8, eyes].mean() for mean in means]
    assert darker[1] > 20 > darker[0]
