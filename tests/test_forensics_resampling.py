"""Enlargements: found where there was one, and not where there was none.

Measured over pictures of `tests.unpressed` (draws 10 to 12; limits were chosen on draws 0 to 2):
the slow test says how often each is found and how often there is a false alarm.
"""

import io

import numpy as np
import pytest
from PIL import Image

from gan_forensics.forensics.resampling import LEAST, PEAK, enlargement
from tests.unpressed import decoded, gray, halves, jpeg, pictures


def enlarged(pixels, factor, kind=Image.Resampling.BICUBIC):
    size = [round(factor * n) for n in pixels.shape[1::-1]]
    return np.asarray(Image.fromarray(pixels).resize(size, kind))


@pytest.fixture(scope="module")
def few():
    """A few photographs and textures."""
    return [halves()[4], halves()[5], *pictures(77, 400, crops=0, textures=1)]


@pytest.mark.parametrize(
    ("factor", "kind"), [(1.5, "BILINEAR"), (1.5, "LANCZOS"), (1.25, "BICUBIC"), (2.3, "BICUBIC")]
)
def test_an_enlargement_and_its_factor_are_found(few, factor, kind):
    for pixels in few:
        found = enlargement(gray(enlarged(pixels, factor, Image.Resampling[kind])))
        assert found.found
        assert any(abs(each - factor) < 0.03 * factor for each in found.factors)


def test_it_is_found_behind_a_compression(few):
    assert all(enlargement(gray(decoded(jpeg(enlarged(p, 1.5), 90)))).found for p in few)


def test_nothing_is_found_where_nothing_was_enlarged(few):
    for pixels in few:
        for other in (pixels, decoded(jpeg(pixels, 75)), enlarged(pixels, 0.8)):
            found = enlargement(gray(other))
            assert not found.found and found.peak < 0.6 * PEAK


def test_periods_of_codecs_are_left_out(few):
    """Columns that repeat every 8 and every 16 pixels are blocks, every 7 are none."""
    levels = gray(few[2])
    for period, found in ((8, False), (16, False), (7, True)):
        striped = levels.copy()
        striped[::period] += 20
        striped[:, ::period] += 20
        assert enlargement(striped).found == found


def test_lines_in_one_direction_are_content(few):
    levels = gray(few[2])
    levels[::7] += 20
    assert not enlargement(levels).found
    assert not enlargement(levels.T).found


def test_drawings_and_small_pictures_are_not_judged(few):
    assert enlargement(gray(few[0])[: LEAST - 1]) is None
    assert enlargement(gray(few[0])[:LEAST]) is not None
    page = np.zeros((600, 600))
    page[::9] = 255
    assert enlargement(page) is None


def _as_file(pixels, kind, **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return decoded(stream.getvalue())


@pytest.mark.slow
def test_false_alarms_and_what_is_found_over_many_pictures():
    """What the page's words rest on."""
    many = [pixels for seed in (10, 11, 12) for pixels in pictures(seed)]

    def count(change):
        found = [f for pixels in many if (f := enlargement(gray(change(pixels))))]
        return sum(each.found for each in found), len(found)

    others = {
        "as it is": lambda p: p,
        "JPEG 95": lambda p: decoded(jpeg(p, 95)),
        "JPEG 75": lambda p: decoded(jpeg(p, 75)),
        "JPEG 50": lambda p: decoded(jpeg(p, 50)),
        "WebP 80": lambda p: _as_file(p, "WEBP", quality=80),
        "AVIF 60": lambda p: _as_file(p, "AVIF", quality=60, speed=9),
        "at 0.8": lambda p: enlarged(p, 0.8),
    }
    alarms, judged = np.sum([count(change) for change in others.values()], axis=0)
    print(f"not enlarged: {alarms} of {judged}", {k: count(c) for k, c in others.items()})
    assert judged > 500 and alarms <= 0.01 * judged
    for name, change, least in (
        ("1.5", lambda p: enlarged(p, 1.5), 1.0),
        ("1.25", lambda p: enlarged(p, 1.25), 1.0),
        ("1.1", lambda p: enlarged(p, 1.1), 0.8),
        ("1.5, JPEG 90", lambda p: decoded(jpeg(enlarged(p, 1.5), 90)), 0.95),
        ("1.5, JPEG 75", lambda p: decoded(jpeg(enlarged(p, 1.5), 75)), 0.6),
    ):
        hits, of = count(change)
        print(f"{name}: {hits} of {of}")
        assert hits >= least * of
