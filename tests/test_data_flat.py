"""Which pictures are flat: both sides of the rule, and pictures that must not be called so."""

import io

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image, ImageDraw

from gan_forensics.data import ArraySource, ImageError, Rows, flat, open_source, survey
from gan_forensics.data.flat import flat as flat_images


def jpeg(image, quality):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def one_colour(side, channels=3):
    return np.broadcast_to(np.array([120, 30, 200][:channels], np.uint8), (side, side, channels))


def is_flat(image):
    (found,) = flat_images([image])
    return found


@pytest.mark.parametrize("side", [8, 32, 64, 256])
def test_one_colour_or_nearly_one_is_flat(side, rng):
    plain = one_colour(side)
    shape = plain.shape
    assert is_flat(plain) and is_flat(plain[..., :1])
    assert is_flat(jpeg(plain, 50)) and is_flat(jpeg(plain, 10))
    noisy = (plain + rng.integers(-1, 2, shape)).astype(np.uint8)
    assert is_flat(noisy) and is_flat(jpeg(noisy, 75))
    ramp = np.linspace(0, 2, side).round().astype(np.uint8)
    assert is_flat(np.broadcast_to(ramp[None, :, None], shape))
    odd = np.zeros(shape, np.uint8)
    odd[side // 3, side // 3] = 255
    assert is_flat(odd)
    logo = np.zeros(shape, np.uint8)
    logo[1 : 1 + max(1, side // 20), 1 : 1 + max(1, side // 20)] = 255
    assert is_flat(logo)


def test_the_rule_has_its_two_limits(rng):
    """Five neighbouring levels and 1 pixel in 200 are flat; six levels or a pixel more are not."""
    levels = rng.permutation(np.arange(2000) % 6).reshape(40, 50, 1)
    assert is_flat((100 + np.minimum(levels, 4)).astype(np.uint8))
    assert not is_flat((100 + levels).astype(np.uint8))
    for count, expected in ((10, True), (11, False)):
        spots = np.zeros(2000, np.uint8)
        spots[rng.permutation(2000)[:count]] = 255
        assert is_flat(spots.reshape(40, 50, 1)) == expected
    small = np.zeros((8, 8, 1), np.uint8)
    small[3, 3] = 255
    assert is_flat(small)
    small[4, 4] = 255
    assert not is_flat(small)


def test_one_channel_with_content_is_enough():
    for channel in range(3):
        image = one_colour(32).copy()
        image[::2, :, channel] = 60
        assert not is_flat(image)


def test_pictures_are_not_flat():
    photos = open_source("samples:photos", size=64, split="test")
    some = [photos[i]["image"] for i in range(0, len(photos), 7)]
    assert not flat_images(some).any()
    # A whole photograph at a 16th of its light: 15 levels are left.
    dark = np.concatenate(some[:8]) // 16
    assert dark.max() <= 15 and not is_flat(dark)
    digits = open_source("samples:digits", split="all")
    assert not flat_images(digits.take(np.arange(0, 1797, 9))["image"]).any()
    textures = open_source("toy:powerlaw?n=9", size=32, split="all")
    assert not flat_images([textures[i]["image"] for i in range(len(textures))]).any()
    page = Image.new("L", (200, 100), 255)
    draw = ImageDraw.Draw(page)
    for line in range(5):
        draw.text((10, 8 + 16 * line), "a page with a few lines of text", fill=0)
    assert not is_flat(np.asarray(page)[..., None])
    drawing = Image.new("L", (64, 64), 255)
    ImageDraw.Draw(drawing).line([(5, 50), (30, 8), (60, 40)], fill=0)
    assert not is_flat(np.asarray(drawing)[..., None])


def test_images_of_many_sizes_are_told_one_by_one():
    many = [one_colour(9), np.eye(12, dtype=np.uint8)[..., None] * 255, one_colour(5, 1)]
    assert_array_equal(flat_images(many), [True, False, True])
    assert flat_images([]).shape == (0,)


# --- surveys --------------------------------------------------------------------------------------


class Some:
    """Images by name, of which those that are None cannot be read."""

    def __init__(self, *images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        if self.images[index] is None:
            raise ImageError(f"{self.describe(index)}: damaged")
        return {"image": self.images[index]}

    def describe(self, index):
        return f"dir/{index}\n.png"


def test_survey_keeps_what_can_be_used_and_tells_the_rest(rng):
    content = rng.integers(0, 256, (8, 8, 3), np.uint8)
    some = Some(content, None, one_colour(8), content, None)
    found = survey.survey(some, view=lambda image: image)
    assert_array_equal(found.rows, [0, 3])
    assert found.flat == ("dir/2\n.png",) and len(found.bad) == 2
    assert found.facts == {
        "images": 5, "flat": {"count": 1, "first": ["dir/2\n.png"]},
        "unread": {"count": 2, "first": ["dir/1\n.png: damaged", "dir/4\n.png: damaged"]},
    }  # fmt: skip
    kept = found.of(some)
    assert isinstance(kept, Rows) and len(kept) == 2 and kept.describe(1) == "dir/3\n.png"
    assert survey.sentences({"real": found.facts}) == [
        f"real: 1 of 5 left out ({flat.FLAT}): dir/2\\n.png",
        "real: 2 of 5 left out (they cannot be read): dir/1\\n.png: damaged, dir/4\\n.png: damaged",
    ]
    # Of images that their judge cannot take, since they are too small, the names are told too.
    tiny = Some(content, one_colour(4), content[:7])
    found = survey.survey(tiny, view=lambda image: image, least=8)
    assert_array_equal(found.rows, [0])
    assert found.facts["small"] == {"count": 2, "first": ["dir/1\n.png", "dir/2\n.png"]}
    assert len(found.of(tiny)) == 1
    (line,) = survey.sentences({"a": found.facts})
    assert line == r"a: 2 of 3 left out (they hold no tile): dir/1\n.png, dir/2\n.png"
    with pytest.raises(ValueError, match="none of 3 images can be used: 3 are smaller than 9x9"):
        survey.surveyed({"a": tiny}, least=9)
    # Facts keep more names than a line tells.
    many = survey.survey(Some(*[one_colour(8)] * 22), view=lambda image: image).facts
    assert many["flat"] == {"count": 22, "first": [f"dir/{i}\n.png" for i in range(20)]}
    (line,) = survey.sentences({"real": many})
    assert line.endswith(r": dir/0\n.png, dir/1\n.png, dir/2\n.png, dir/3\n.png, dir/4\n.png"
                         " ... (17 more)")  # fmt: skip
    # Without a judge nothing is flat, and a source of which all can be used is left alone.
    assert_array_equal(survey.survey(some).rows, [0, 2, 3])
    whole = ArraySource(image=content[None])
    assert survey.survey(whole, view=lambda image: image).of(whole) is whole


def test_flatness_is_that_of_the_pixels_that_the_judge_sees(rng):
    framed = np.zeros((16, 16, 3), np.uint8)
    framed[:4] = rng.integers(0, 256, (4, 16, 3), np.uint8)
    some = Some(framed, rng.integers(0, 256, (16, 16, 3), np.uint8))
    assert not survey.survey(some, view=lambda image: image).flat
    assert len(survey.survey(some, view=lambda image: image[8:]).flat) == 1

    def refuses(image):
        raise ValueError("too small")

    # What the judge refuses it will name itself.
    assert len(survey.survey(some, view=refuses).rows) == 2


def test_all_files_that_cannot_be_read_are_named_at_once(rng):
    content = rng.integers(0, 256, (8, 8, 3), np.uint8)
    some = Some(*[None] * 30, content)
    both = {"real": some, "fake": Some(None, content)}
    with pytest.raises(ImageError) as refused:
        survey.surveyed(both, on_bad_image="stop")
    said = str(refused.value)
    assert said.startswith("31 of 33 images cannot be read; remove them or leave them out (on_bad")
    with pytest.raises(ImageError, match=r"31 of 33 images cannot be read; remove them: dir/0"):
        survey.surveyed(both)
    assert "\n" not in said and said.count(": damaged") == survey.ERRORS
    assert said.endswith("dir/19\\n.png: damaged ... (11 more)")
    message = (
        r"fake: none of 3 images can be used: 1 are flat and 2 are unreadable; first: dir/1\\n.png"
    )
    with pytest.raises(ValueError, match=message):
        survey.surveyed(
            {"real": some, "fake": Some(None, one_colour(8), None)},
            view=lambda image: image, on_bad_image="skip",
        )  # fmt: skip
    surveys, kept, facts = survey.surveyed({"a": some, "b": Some(content)}, on_bad_image="skip")
    assert [len(one.rows) for one in surveys] == [1, 1] and len(kept[0]) == 1
    assert list(facts["left_out"]) == ["a"]
    assert survey.surveyed({"b": Some(content)})[2] == {}
