"""Earlier compressions: found where there was one, and not where there was none.

Measured over pictures of `tests.unpressed` (draws 10 to 12, 144 pictures; limits were chosen on
draws 0 to 2): the slow tests say how often each is found and how often there is a false alarm.
"""

import io

import numpy as np
import pytest
from PIL import Image

from gan_forensics.data.jpeg_quality import libjpeg_tables
from gan_forensics.data.jpeg_tables import jpeg_luminance, jpeg_tables
from gan_forensics.forensics.jpeg_history import (
    DOUBLE,
    GRID,
    blocks,
    earlier_jpeg,
    is_drawn,
    jpeg_traces,
    middle,
)
from tests.unpressed import decoded, gray, halves, jpeg, pictures


def earlier(content):
    tables = jpeg_tables(content, name="a").tables
    return earlier_jpeg(jpeg_luminance(content, name="a", most_pixels=10**8), tables[0])


def twice(pixels, first, second):
    return jpeg(decoded(jpeg(pixels, first)), second)


@pytest.fixture(scope="module")
def few():
    """A few photographs and textures."""
    return pictures(77, 320, crops=1, textures=1)[2:]


@pytest.mark.parametrize("quality", [1, 30, 50, 75, 92, 100])
def test_tables_are_those_that_libjpeg_writes(quality):
    content = jpeg(np.zeros((16, 16, 3), np.uint8), quality)
    found = jpeg_tables(content, name="a")
    assert found.libjpeg and found.quality == quality
    for mine, its in zip(found.tables, libjpeg_tables(quality), strict=True):
        assert list(mine) == its


def test_a_file_says_how_it_was_written():
    pixels = halves()[0][:64, :64]
    own = jpeg(pixels, -1, qtables=[list(range(1, 65)), [9] * 64], subsampling=1, progressive=True)
    found = jpeg_tables(own, name="a")
    assert not found.libjpeg and found.progressive and found.sampling == "4:2:2"
    assert found.tables == (tuple(range(1, 65)), (9,) * 64)
    exif = Image.Exif()
    exif[271] = "a maker"
    options = {"exif": exif, "xmp": b"<x/>", "comment": b"x", "subsampling": 0}
    more = jpeg_tables(jpeg(pixels, 80, **options), name="a")
    assert set(more.segments) == {"JFIF", "Exif", "XMP", "comment"} and more.sampling == "4:4:4"
    assert jpeg_tables(jpeg(pixels[..., 0], 80), name="a").sampling == "gray"


def test_luminance_is_as_the_blocks_hold_it():
    """Neither turned, nor of colours: its coefficients are multiples of the file's steps."""
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = halves()[2][:120, :160]
    content = jpeg(pixels, 50, exif=exif)
    levels = jpeg_luminance(content, name="a", most_pixels=10**6)
    assert levels.shape == (120, 160)
    steps = np.reshape(jpeg_tables(content, name="a").tables[0], (8, 8))
    rest = blocks(levels.astype(float) - 128) / steps
    assert np.abs(rest - np.rint(rest))[:, :3, :3].mean() < 0.03


def test_one_compression_is_not_taken_for_two(few):
    for quality in (50, 90):
        scores = [found.score for pixels in few if (found := earlier(jpeg(pixels, quality)))]
        assert len(scores) >= 8 and max(scores) < DOUBLE


@pytest.mark.parametrize(("first", "second"), [(70, 90), (60, 75), (85, 95)])
def test_two_compressions_are_found_and_the_first_quality_told(few, first, second):
    found = [f for pixels in few if (f := earlier(twice(pixels, first, second)))]
    assert len(found) >= 8 and all(each.found for each in found)
    assert np.abs(np.median([each.quality for each in found]) - first) <= 1


def test_what_looks_most_like_two_of_one_is_not_taken_for_two():
    found = earlier(jpeg(halves()[8][:214, 87:301], 60))
    assert found.score > DOUBLE / 2 and not found.found


def test_what_moved_in_between_or_is_coarser_leaves_nothing_here(few):
    moved = jpeg(decoded(jpeg(few[0], 60))[4:, 3:], 90)
    assert not earlier(moved).found
    # All steps of the second are multiples of those of the first.
    ones, fours = [[1] * 64] * 2, [[4] * 64] * 2
    again = jpeg(decoded(jpeg(few[0], -1, qtables=ones)), -1, qtables=fours)
    assert not earlier(again).found


def test_drawings_and_small_or_even_pictures_are_not_judged():
    page = np.full((400, 400, 3), 255, np.uint8)
    page[::20, ::3] = 0
    assert (
        is_drawn(gray(page)) and earlier(jpeg(page, 80)) is None and jpeg_traces(gray(page)) is None
    )
    photo = halves()[0]
    assert not is_drawn(gray(photo))
    assert earlier(jpeg(photo[:40, :40], 80)) is None
    assert earlier_jpeg(gray(photo), [0] * 64) is None  # of a damaged file
    # Of few frequencies.
    stripes = np.tile(np.random.default_rng(3).uniform(0, 255, 512), (512, 1))
    assert not is_drawn(stripes) and earlier_jpeg(stripes, [5] * 64) is None
    assert jpeg_traces(gray(photo[:263])) is None


@pytest.mark.parametrize(("quality", "moved"), [(50, (0, 0)), (90, (3, 5)), (95, (7, 0))])
def test_the_grid_and_quality_of_a_jpeg_stand_in_its_pixels(quality, moved):
    row, column = moved
    for pixels in pictures(78, 300, crops=0, textures=1) + [halves()[4], halves()[5]]:
        was = decoded(jpeg(pixels, quality))[row:, column:]
        found = jpeg_traces(gray(was))
        assert found.found and found.grid == (-row % 8, -column % 8)
        assert abs(found.quality - quality) <= 1


def test_pixels_that_never_were_jpeg_have_no_grid():
    for pixels in pictures(79, 300, crops=0, textures=1) + [halves()[4], halves()[5]]:
        found = jpeg_traces(gray(pixels))
        assert not found.found and found.gap < GRID / 4 and found.quality is None


def test_tables_of_ones_own_leave_a_grid_without_a_quality():
    own = [[7 + 5 * (k % 7) for k in range(64)]] * 2
    found = jpeg_traces(gray(decoded(jpeg(halves()[5], -1, qtables=own))))
    assert found.found and found.quality is None


def test_the_middle_keeps_blocks_where_they_are():
    levels = np.arange(100 * 60).reshape(100, 60)
    part, top, left = middle(levels, 32)
    assert part.shape == (32, 32) and (top % 8, left % 8) == (0, 0)
    np.testing.assert_array_equal(part, levels[top : top + 32, left : left + 32])
    assert middle(levels, 200)[0].shape == (100, 60)


@pytest.mark.slow
def test_false_alarms_and_what_is_found_over_many_pictures():
    """What the page's words rest on."""
    many = [pixels for seed in (10, 11, 12) for pixels in pictures(seed)]
    judged, alarms = 0, 0
    for quality in (30, 45, 60, 75, 85, 90, 95, 98):
        found = [f for pixels in many if (f := earlier(jpeg(pixels, quality)))]
        judged, alarms = judged + len(found), alarms + sum(each.found for each in found)
    print(f"one compression: {alarms} of {judged} taken for two")
    assert judged > 1000 and alarms == 0
    least = {(70, 90): 1.0, (60, 75): 1.0, (80, 95): 1.0, (85, 90): 0.85, (75, 60): 0.5}
    for (first, second), share in least.items():
        found = [f for pixels in many[:96] if (f := earlier(twice(pixels, first, second)))]
        hits = sum(each.found for each in found)
        print(f"{first} then {second}: {hits} of {len(found)}")
        assert hits >= share * len(found)
    stored = [f for pixels in many if (f := jpeg_traces(gray(pixels)))]
    print(f"never compressed: {sum(each.found for each in stored)} of {len(stored)}")
    assert not any(each.found for each in stored)


def test_a_damaged_file_is_an_error_of_one_line():
    from gan_forensics.data import ImageError

    content = jpeg(halves()[0], 80)
    with pytest.raises(ImageError, match="a: damaged or truncated"):
        jpeg_tables(content[:100], name="a")
    with pytest.raises(ImageError, match="a: damaged or truncated"):
        jpeg_luminance(content[: len(content) // 2], name="a", most_pixels=10**8)
    inks = io.BytesIO()
    Image.new("CMYK", (90, 90)).save(inks, "JPEG")
    for without in (inks.getvalue(), jpeg(halves()[1], 80, keep_rgb=True)):
        with pytest.raises(ImageError, match="stored without a luminance"):
            jpeg_luminance(without, name="a", most_pixels=10**8)
    stream = io.BytesIO()
    Image.new("RGB", (90, 90)).save(stream, "JPEG")
    with pytest.raises(ImageError, match="8100 pixels, more than the 8000"):
        jpeg_luminance(stream.getvalue(), name="a", most_pixels=8000)
