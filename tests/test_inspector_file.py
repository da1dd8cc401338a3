"""The stage of the file and the aids: facts of every kind of file, and pages made of them."""

import json

import numpy as np
import pytest
from PIL import Image

from gan_forensics.forensics import visual_aids
from gan_forensics.forensics.visual_aids import error_levels, noise_strength
from gan_forensics.inspector.findings import Finding, Tools
from gan_forensics.inspector.opening import open_bytes
from gan_forensics.inspector.rendering import rendered
from gan_forensics.inspector.stages_file import aids, file
from tests.test_inspector_opening import REFUSED, corners, saved
from tests.unpressed import decoded, halves, jpeg


def found(content, name="a", stage=file, **options):
    return stage(open_bytes(content, name, **options), Tools())


def page(finding, private=None):
    return rendered(
        f"{finding.stage}.html", facts=finding.facts, private=private or {}, served=True, id="x",
        picture=lambda name: f"/{name}.png",
    )  # fmt: skip


@pytest.fixture(scope="module")
def photo():
    return halves()[5][:400, :480]


def test_a_jpeg_that_was_one_before_says_so(photo):
    finding = found(jpeg(decoded(jpeg(photo, 60)), 90))
    facts = finding.facts
    assert facts["container"] == "JPEG" and facts["header"]["width"] == 480
    assert facts["jpeg"]["quality"] == 90 and facts["jpeg"]["libjpeg"]
    assert np.shape(facts["jpeg"]["tables"]) == (2, 8, 8)
    assert facts["earlier"]["found"] and facts["earlier"]["quality"] == 60
    assert facts["traces"] is None and not facts["enlarged"]["found"]
    assert finding.pictures["preview"].shape == (400, 480, 3)
    said = page(finding)
    assert "before this file, a JPEG of about quality 60" in said and "no sign of forgery" in said
    assert "Brightness" in said and "libjpeg or what builds on it" in said
    once = found(jpeg(photo, 90))
    assert not once.facts["earlier"]["found"] and once.facts["earlier"]["quality"] is None
    assert "no traces found" in page(once)


def test_a_png_that_was_a_jpeg_says_so(photo):
    was = saved(Image.fromarray(decoded(jpeg(photo, 80))[3:, 5:]), "PNG")
    finding = found(was)
    assert finding.facts["traces"]["found"] and finding.facts["traces"]["quality"] == 80
    assert finding.facts["traces"]["grid"] == [5, 3] and finding.facts["jpeg"] is None
    assert "cropped since, or moved: its blocks begin at row 5, column 3" in page(finding)
    never = found(saved(Image.fromarray(photo), "PNG"))
    assert not never.facts["traces"]["found"] and "Was a JPEG before" in page(never)
    assert found(saved(Image.fromarray(photo), "WEBP")).facts["traces"] is None


def test_why_enlargement_was_not_looked_for_is_told(photo):
    plain = np.full((300, 300, 3), 90, np.uint8)
    assert "Most pixels of its middle are like" in page(found(saved(Image.fromarray(plain), "PNG")))
    said = page(found(saved(Image.fromarray(photo[:200]), "PNG")))
    assert "too small: 256 pixels each way" in said and "Most pixels" not in said


def test_an_enlarged_picture_says_so(photo):
    larger = Image.fromarray(photo).resize((720, 600), Image.Resampling.BICUBIC)
    finding = found(saved(larger, "PNG"))
    assert finding.facts["enlarged"]["found"] and 1.5 in finding.facts["enlarged"]["factors"]
    assert "yes, by a factor such as 1.5" in page(finding)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_gets_no_verdict_has_file_facts_and_a_preview(kind):
    content, _, (bits, frames, alpha) = REFUSED[kind]
    finding = found(content)
    assert finding.facts["seen"] == {"bits": bits, "frames": frames, "alpha": alpha}
    assert finding.facts["header"]["height"] == 64 and not finding.facts["decoded"]
    assert finding.pictures["preview"].shape == (64, 96, 3)
    said = page(finding)
    assert "Bits for each colour" in said and "Traces of what" not in said
    assert aids(open_bytes(content, "a"), Tools()) is None


@pytest.mark.parametrize("content", [b"", b"text", saved(corners(), "JPEG")[:700]], ids=range(3))
def test_damaged_files_have_facts_without_a_picture(content):
    finding = found(content)
    assert finding.facts["bytes"] == len(content) and not finding.pictures
    assert f"{len(content):,} bytes" in page(finding)


def test_a_pasted_picture_is_not_the_original(photo):
    said = page(found(jpeg(photo, 90), pasted=True))
    warning = "Re-encoded by the browser: file facts are not the original's."
    assert said.index(warning) < said.index("Kind of file")
    assert warning not in page(found(jpeg(photo, 90)))
    assert "Re-encoded by the browser" in page(found(jpeg(photo, 90), stage=aids, pasted=True))


def test_facts_are_json_the_same_twice_and_private_ones_apart(photo):
    exif = Image.Exif()
    exif[271], exif[315] = "a <maker>", "Ann Private"
    content = jpeg(photo, 90, exif=exif)
    first, second = found(content), found(content)
    assert json.dumps(first.facts) == json.dumps(second.facts)
    assert "Ann" not in json.dumps(first.facts) and "Ann" in json.dumps(dict(first.private))
    assert "a &lt;maker&gt;" in page(first) and "Ann" not in page(first)
    assert "Ann Private" in page(first, first.private)


def test_pages_keep_to_the_content_security_policy(photo):
    for stage in (file, aids):
        said = page(found(jpeg(photo, 90), stage=stage))
        assert "style=" not in said and " on" + "click" not in said and "<h3>" in said


def test_aids_are_labelled_and_error_levels_are_of_jpegs_alone(photo):
    finding = found(jpeg(photo, 90), stage=aids)
    assert set(finding.pictures) == {"error_levels", "noise"}
    said = page(finding)
    assert "These pictures prove nothing" in said and "shown 15 times brighter" in said
    plain = found(saved(Image.fromarray(photo), "PNG"), stage=aids)
    assert set(plain.pictures) == {"noise"} and plain.facts["error_levels"] is None
    assert "meaningless for files that never were JPEG" in page(plain)
    assert json.dumps(plain.facts) and isinstance(plain, Finding)


def test_error_levels_are_the_changes_of_one_more_compression(photo, monkeypatch):
    pixels = photo[200:264, 200:296]
    again = decoded(jpeg(pixels, 90))
    changed = np.abs(pixels.astype(int) - again)
    assert changed[:, -3:].any() and changed[63:].any()
    wanted = np.clip(15 * changed, 0, 255)
    np.testing.assert_array_equal(error_levels(pixels), wanted)
    monkeypatch.setattr(visual_aids, "SIDE", 32)  # means of 3x3 pixels, the last row of 3x1
    small = error_levels(pixels)
    assert small.shape == (22, 32, 3)
    first, last = changed[:3, :3].mean((0, 1)), changed[63:, :3].mean((0, 1))
    np.testing.assert_array_equal(small[[0, 21], 0], np.rint(15 * np.array([first, last])))
    # Of many bands the same; 4:2:0 smooths colours across their borders.
    whole = error_levels(photo[:, :96]).astype(int)
    monkeypatch.setattr(visual_aids, "_ROWS", 64)
    assert np.abs(error_levels(photo[:, :96]) - whole).mean() < 3
    assert len(whole) == len(error_levels(photo[:, :96]))


def test_noise_is_seen_where_it_is(rng, monkeypatch):
    picture = np.full((96, 128, 3), 120.0)
    picture[:, 64:] += rng.normal(0, 4, (96, 64, 1))
    pixels = picture.round().astype(np.uint8)
    shown = noise_strength(pixels)
    assert shown.shape == (96, 128, 3)
    assert shown[8:-8, 8:56].mean() < 0.1 * shown[8:-8, 72:-8].mean()
    monkeypatch.setattr(visual_aids, "_ROWS", 32)
    np.testing.assert_allclose(noise_strength(pixels).astype(int), shown, rtol=0, atol=1)
    monkeypatch.setattr(visual_aids, "MIDDLE", 64)
    assert noise_strength(pixels).shape == (64, 64, 3)


def test_a_file_is_open_to_be_read_once_more_without_leaving_anything(photo):
    content = jpeg(photo, 90)
    opened = open_bytes(content, "a")
    before = opened.pixels.copy()
    file(opened, Tools())
    aids(opened, Tools())
    np.testing.assert_array_equal(opened.pixels, before)
    assert opened.content == content
