"""Stacks of digits as a source."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data import ArraySource, account, open_source, save_png, take
from gan_forensics.data.stacked import Stacked, mode_of
from gan_forensics.gans import GanConfig
from gan_forensics.gans.runs import _completed


@pytest.fixture(scope="module")
def digits():
    """Forty flat "digits", whose gray level is unique."""
    image = np.broadcast_to(np.arange(40, dtype=np.uint8)[:, None, None, None], (40, 4, 4, 1))
    return ArraySource(image=image, label=np.arange(40) % 10)


def stacked(name, **options):
    source = open_source(name, **options)
    assert isinstance(source, Stacked)
    return source


def test_the_channels_are_three_examples_and_the_label_their_mode(digits):
    found = take(Stacked(digits, split="train"), np.arange(200))
    assert found["image"].shape == (200, 4, 4, 3) and found["image"].dtype == np.uint8
    assert found["label"].dtype == np.int32
    level = found["image"][:, 0, 0].astype(int)
    assert (found["image"] == level[:, None, None]).all()
    red, green, blue = (level % 10).T
    assert_array_equal(found["label"], 100 * red + 10 * green + blue)
    assert mode_of(np.array([[7, 0, 3], [0, 0, 9]], np.uint8)).tolist() == [703, 9]


def test_a_stack_follows_from_seed_split_and_place_alone(digits):
    one = Stacked(digits, split="train", n=50)
    whole = take(one, np.arange(50))
    some = take(one, [31, 7, 31])
    for key in whole:
        assert_array_equal(some[key], whole[key][[31, 7, 31]])
        assert_array_equal(one[31][key], whole[key][31])
        assert_array_equal(take(Stacked(digits, split="train"), np.arange(50))[key], whole[key])
    for other in (Stacked(digits, split="test"), Stacked(digits, split="train", seed=1)):
        assert (other.rows(np.arange(50)) != one.rows(np.arange(50))).mean() > 0.9


def test_examples_are_drawn_uniformly_and_independently(digits):
    rows = Stacked(digits, split="all").rows(np.arange(200_000))
    for channel in rows.T:
        # Chi-square of 39 degrees of freedom: 39 +- 9.
        counts = np.bincount(channel, minlength=40)
        assert ((counts - 5000) ** 2 / 5000).sum() < 39 + 4 * 8.9
    assert_allclose(np.corrcoef(rows.T), np.eye(3), rtol=0, atol=5 / 200_000**0.5)
    assert_allclose(np.corrcoef(rows[1:, 0], rows[:-1, 2])[0, 1], 0, rtol=0, atol=0.012)


def test_the_name_opens_any_labelled_source_at_a_size(tmp_path):
    train, test = (stacked("stacked:samples:digits", size=16, split=s) for s in ("train", "test"))
    assert (len(train), len(test)) == (1_000_000, 25_600)
    assert train[999_999]["image"].shape == (16, 16, 3)
    assert len(open_source("stacked:samples:digits?n=64&seed=1")) == 64
    # Held-out digits make up the test split.
    own = [
        {image.tobytes() for image in take(s.inner, np.arange(len(s.inner)))["image"]}
        for s in (train, test)
    ]
    for k in range(30):
        channels = np.moveaxis(test[k]["image"], -1, 0)
        assert all(np.ascontiguousarray(c).tobytes() in own[1] for c in channels)
    for kind in range(10):
        for k in range(6):
            path = tmp_path / f"{kind}" / f"{k}.png"
            path.parent.mkdir(exist_ok=True)
            save_png(path, np.full((4, 4, 1), 20 * kind + k, np.uint8))
    source = open_source(f"stacked:folder:{tmp_path}?n=5")
    red = source[3]["image"][0, 0, 0]
    assert source[3]["label"] // 100 == red // 20
    assert account.taken(source) == "5 stacks of three: 60 images train"
    assert account.coloured(source) == "all files are gray: images of one channel"


def test_what_was_taken_counts_digits_and_stacks():
    source = open_source("stacked:samples:digits?n=64", split="train")
    digits = open_source("samples:digits", split="train")
    assert account.taken(source) == f"64 stacks of three: {account.taken(digits)}"
    assert account.facts(source) == {"stacks": 64, **account.facts(digits)}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("stacked:", "name the source of digits"),
        ("stacked:?n=4", "name the source of digits"),
        ("stacked:samples:photos", "only gray images .* has images in colour"),
        ("stacked:stacked:samples:digits", "only gray images .* has images in colour"),
        ("stacked:toy:grid9", "only gray images .* has point, label"),
        ("stacked:samples:lfw", "ten classes labelled 0 to 9, the all split has 2: 0, 1"),
        ("stacked:samples:digits?n=0", "n of at least 1"),
        ("stacked:samples:digits?seed=-1", "seed of at least 0"),
        ("stacked:samples:digits?k=1", "unknown option 'k'; it may be n, seed"),
        # Before the last question mark stand the options of the digits.
        ("stacked:samples:digits?n=4?seed=1", "unknown option 'n'; it takes none"),
        ("stacked:samples:digit", "Did you mean samples:digits"),
    ],
)
def test_what_cannot_be_stacked_is_refused(name, says):
    with pytest.raises(ValueError, match=says) as caught:
        open_source(name)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(name)


def test_images_without_labels_and_missing_digits_are_refused(digits):
    with pytest.raises(ValueError, match="stacks need labels"):
        Stacked(ArraySource(image=digits.arrays["image"]), split="all")
    some = {key: array[:9] for key, array in digits.arrays.items()}
    with pytest.raises(ValueError, match="the test split has 9"):
        Stacked(ArraySource(**some), split="test")
    with pytest.raises(IndexError, match="0 to 49, asked for 50"):
        Stacked(digits, split="all", n=50)[50]


def test_a_conditional_gan_has_a_thousand_classes_of_stacks():
    data = "stacked:samples:digits?n=8"
    source = open_source(data, size=32)
    config = _completed(GanConfig("cgan-pd", data, size=32), source, 1)
    assert (config.classes, config.channels) == (1000, 3)
    with pytest.raises(ValueError, match="has 1000 classes, the config 10"):
        _completed(GanConfig("cgan-pd", data, size=32, classes=10), source, 1)
