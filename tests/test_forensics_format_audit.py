"""What files give away before a look at their pixels, and files unlike those that were seen."""

from dataclasses import asdict, replace

import pytest

from gan_forensics.data import Header
from gan_forensics.forensics.format_audit import audit, outside, read_seen, seen
from gan_forensics.forensics.preprocessing import Preprocessing

NATIVE = Preprocessing()


def png(height=64, width=64, colours="RGB"):
    return Header(height, width, colours == "gray", "PNG", colours, None)


def jpg(quality, height=64, width=64):
    return Header(height, width, False, "JPEG", "RGB", quality)


def test_files_alike_are_not_biased(rng):
    sizes = rng.integers(50, 80, (200, 2))
    mixed = [
        jpg(int(q), *map(int, s)) if i % 2 else png(*map(int, s))
        for i, (s, q) in enumerate(zip(sizes, rng.integers(60, 99, 200), strict=True))
    ]
    order = rng.permutation(200)
    found = audit([mixed[i] for i in order[:100]], [mixed[i] for i in order[100:]], NATIVE)
    assert not found.biased and not found.native and found.advice == ""
    assert 0.35 < found.accuracy < 0.65


def test_containers_that_differ_are_a_bias_until_all_are_recoded():
    real, fake = [jpg(80 + i % 15) for i in range(40)], [png()] * 40
    found = audit(real, fake, NATIVE)
    assert found.biased and found.accuracy == found.remaining == 1.0
    assert found.advice == "--recode jpeg:50 compresses all alike"
    mended = audit(real, fake, Preprocessing(recode=55))
    assert mended.native and not mended.biased and mended.accuracy == 1.0
    assert mended.remaining == 0.5 and mended.advice == ""
    # A compression that is hardly coarser than the first one leaves it to be seen.
    finer = audit(real, fake, Preprocessing(recode=56))
    assert finer.biased and "--recode jpeg:50" in finer.advice
    assert "--recode jpeg:35" in audit([jpg(65 + i) for i in range(9)], [png()] * 9, NATIVE).advice


def test_qualities_alone_are_a_bias():
    found = audit([jpg(90)] * 30, [jpg(75)] * 30, NATIVE)
    assert found.biased and "--recode jpeg:45" in found.advice


def test_sizes_that_differ_are_a_bias_until_they_are_matched():
    real, fake = [png(100 + i, 150) for i in range(30)], [png(64, 64)] * 30
    found = audit(real, fake, NATIVE)
    assert found.biased and "--match-sizes" in found.advice
    assert not audit(real, fake, Preprocessing(crop=64)).biased
    # Resizing by different factors leaves its traces.
    assert audit(real, fake, Preprocessing(size=64)).biased
    assert audit(real, fake, Preprocessing(recode=50)).biased


def test_colours_that_differ_are_a_bias_that_nothing_removes():
    real, fake = [png(colours="gray")] * 20, [png()] * 20
    assert "same colours" in audit(real, fake, NATIVE).advice
    assert audit(real, fake, Preprocessing(crop=8, recode=50)).biased


def test_few_files_say_nothing_and_a_slight_bias_is_not_chance(rng):
    assert audit([jpg(90)] * 4, [png()] * 40, NATIVE) is None
    half = [jpg(90)] * 60 + [png()] * 40
    assert not audit(half[:10] + half[-6:], half[5:15] + half[-8:], NATIVE).biased
    assert audit(half * 5, ([jpg(90)] * 40 + [png()] * 60) * 5, NATIVE).biased


def test_chance_is_seldom_taken_for_a_bias(rng):
    """Of classes of 15 files drawn from one lot, one in twenty may look biased."""
    flagged = 0
    for seed in range(20):
        lot = [png(int(a), int(b)) for a, b in rng.integers(50, 90, (30, 2))]
        flagged += audit(lot[:15], lot[15:], NATIVE, seed=seed).biased
    assert flagged <= 1


def test_seen_sums_up_and_comes_back_from_json():
    found = seen([jpg(90, 30, 40), jpg(75, 50, 20), png(20, 20, "gray")])
    assert found.containers == {"JPEG": 2, "PNG": 1} and found.qualities == (75, 90)
    assert found.shorter == (20, 30) and found.longer == (20, 50)
    assert found.words == "2 JPEG, 1 PNG, JPEG quality 75 to 90, sides of 20 to 50, RGB and gray"
    assert read_seen(asdict(found)) == found and read_seen(None) is None
    assert seen([png()]).words == "1 PNG, 64x64, RGB"
    assert read_seen(asdict(seen([png()]))).qualities is None
    for broken in (3, {}, asdict(found) | {"shorter": [1]}, asdict(found) | {"containers": "x"}):
        with pytest.raises(ValueError, match="facts about the files"):
            read_seen(broken)


def test_a_file_is_outside_by_container_quality_size_and_colours():
    known = seen([jpg(90, 30, 40), jpg(75, 50, 20), png(25, 25)])
    assert outside(jpg(80, 25, 30), known) == outside(png(30, 20), known) == ""
    assert outside(jpg(60, 25, 30), known) == "JPEG quality 60 (fitted on 75 to 90)"
    webp = replace_header(png(25, 25), container="WEBP")
    assert outside(webp, known) == "WEBP (fitted on JPEG and PNG)"
    assert outside(png(30, 60), known) == "longer side 60 (fitted on 25 to 50)"
    assert outside(png(10, 30), known) == "shorter side 10 (fitted on 20 to 30)"
    assert outside(png(25, 25, "palette"), known) == "palette (fitted on RGB)"
    both = outside(replace_header(webp, colours="CMYK"), known)
    assert both == "WEBP (fitted on JPEG and PNG); CMYK (fitted on RGB)"
    square = replace(known, shorter=(20, 20), longer=(20, 20))
    assert "fitted on 20)" in outside(png(30, 20), square)


def replace_header(header, **changes):
    return header._replace(**changes)
