"""The stage `provenance`: the sentence, the states, and the page."""

import json
import random
import re

import pytest

pytest.importorskip("c2pa")

from PIL.PngImagePlugin import PngInfo

from gan_forensics.forensics import credentials, credentials_child
from gan_forensics.forensics.credentials import Action, Credentials
from gan_forensics.inspector import stages_provenance as stage
from gan_forensics.inspector.findings import Opened, Tools
from gan_forensics.inspector.rendering import fragment
from gan_forensics.inspector.stages import FIRST
from gan_forensics.inspector.stages_provenance import provenance
from tests.made_credentials import ANCHORS, changed, picture, signed
from tests.test_data_embedded import exif
from tests.test_forensics_marks import SETTINGS, packet

NASTY = "<img src=x onerror=alert(1)>\x1b[2J\u202e"


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    """A program for each picture takes its time; tests of the credentials start some."""
    monkeypatch.setattr(credentials, "_said", credentials_child.said)


def found(content, *, anchors=None, pasted=False):
    return provenance(Opened("a", content, pasted), Tools(anchors=anchors))


def page(finding, private=True):
    return str(fragment(finding, picture=lambda name: "", served=True, id="x", private=private))


def test_provenance_stands_first():
    assert next(iter(FIRST)) == "provenance"


@pytest.mark.parametrize(
    ("content", "anchors", "summary", "word"),
    [
        (signed(picture()), ANCHORS, "Content credentials of Test Press, which is trusted; the "
         "file says that it came from a camera, and Test Press signed it", "Trusted"),
        (signed(picture()), None, "Content credentials of an unknown issuer; the file says that it "
         "came from a camera (content credentials), which anybody can write", "issuer unknown"),
        (changed(signed(picture(), source="trainedAlgorithmicMedia")), ANCHORS, "Content "
         "credentials that are broken; the file says that it was generated (content credentials "
         "that are broken)", "was changed afterwards"),
        (picture(), None, "No content credentials; the file says nothing of how it was made",
         "Absence says nothing"),
        (picture("BMP"), None, "Content credentials not looked for; what the file says of how it "
         "was made was not looked for", "It was not looked for"),
        (picture(exif=exif()), None, "No content credentials; the file says that it came from a "
         "camera (Exif), which anybody can write", "Canon EOS R5"),
    ],
    ids=["trusted", "unknown", "broken", "absent", "other", "camera"],
)  # fmt: skip
def test_states_are_told_apart(content, anchors, summary, word):
    finding = found(content, anchors=anchors)
    assert finding.facts["summary"] == summary
    assert word in page(finding)


def test_a_signed_camera_is_no_camera_where_another_mark_says_so():
    """Trusted credentials vouch for their own statements, not for the Exif data."""
    content = signed(picture(exif=exif()), source="screenCapture")
    assert found(content, anchors=ANCHORS).facts["statement"] == (
        "the file says that it came from a camera (Exif), which anybody can write"
    )


def test_a_second_look_finds_the_same():
    content = signed(picture(exif=exif()), parent=signed(picture()))
    first, second = (json.dumps([each.facts, each.private]) for each in map(found, [content] * 2))
    assert first == second


@pytest.mark.parametrize(
    ("source", "statement"),
    [
        ("digitalCapture", "came from a camera, which anybody can write, and was edited since"),
        ("trainedAlgorithmicMedia", "was generated"),
        ("digitalCreation", "was edited, and names no generative tools"),
    ],
)
def test_the_first_of_several_versions_counts(source, statement):
    content = signed(picture(), source=source)
    for _ in range(2):
        content = signed(picture(), source="humanEdits", parent=content)
        facts = found(content, anchors=ANCHORS).facts
        assert facts["statement"] == f"the file says that it {statement} (content credentials)"


def test_what_broken_credentials_of_an_earlier_version_say_is_told_as_such():
    content = signed(picture(), source="humanEdits", parent=changed(signed(picture())))
    facts = found(content, anchors=ANCHORS).facts
    assert facts["statement"] == (
        "the file says that it came from a camera, which anybody can write, and was edited since "
        "(content credentials, content credentials that are broken)"
    )


def test_another_origin_is_told_in_its_words():
    facts = found(signed(picture(), source="screenCapture")).facts
    assert facts["statement"] == (
        "the file says of its origin: a capture of a screen (content credentials)"
    )


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + packet(), "XMP (a document type is declared)"),
        (packet()[:-9], "XMP (it is damaged, or of an unknown coding)"),
        (b"<a>" * 200, "XMP (elements within more than 100 others)"),
    ],
)
def test_what_is_not_read_is_told(packed, why):
    finding = found(picture(xmp=packed))
    assert finding.facts["unread"] == [why] and "could not all be read" in finding.facts["summary"]
    text = page(finding)
    assert f"Not read to its end: {why}" in text and "Nothing: no statement" not in text


def test_what_damage_hides_is_told():
    content = picture(xmp=packet()).replace(b"http://ns.adobe.com/xap", b"http://ns.adobe.con/xap")
    assert found(content).facts["unread"] == ["XMP (what stands around it is damaged)"]
    content = picture(exif=exif())
    at = content.index(b"Exif\0\0") + 10  # where the first folder is said to stand
    content = content[:at] + b"\x7f" * 4 + content[at + 4 :]
    assert found(content).facts["unread"] == ["Exif data (they are damaged)"]


def test_texts_that_are_cut_are_told():
    info = PngInfo()
    info.add_text("Comment", "x" * (2**20 + 1), zip=True)
    assert found(picture("PNG", pnginfo=info)).facts["unread"] == [
        "texts (more, or longer, than are read)"
    ]
    info = PngInfo()
    for number in range(101):
        info.add_text(str(number), "x")
    assert len(found(picture("PNG", pnginfo=info)).facts["unread"]) == 1
    assert found(picture("PNG")).facts["unread"] == []


def test_who_signs_a_photograph_that_was_edited_is_named():
    edited = [Action("created", "", "camera"), Action("cropped", says="changed")]
    for actions, words in ((edited, " and was edited since"), (edited[:1], "")):
        signed = Credentials("trusted", issuer="Ann's", actions=tuple(actions))
        says = "edited photograph" if words else "camera"
        assert stage._statement(says, [*stage._of_credentials(signed)], signed) == (
            f"the file says that it came from a camera{words}, and Ann's signed it"
        )


def test_generated_outweighs_edited_and_camera():
    generated = signed(picture(), source="trainedAlgorithmicMedia")
    source = "compositeWithTrainedAlgorithmicMedia"
    finding = found(signed(picture(exif=exif()), parent=generated, source=source))
    assert "Removed a lamp" in page(finding) and "Its own credentials: intact" in page(finding)
    facts = finding.facts
    assert facts["says"] == "generated" and facts["origins"] == [
        {"words": "an earlier version of the picture, made by a generative AI model",
         "where": "content credentials"},
    ]  # fmt: skip
    facts = found(signed(picture(exif=exif()), parent=picture(), source=source)).facts
    assert facts["says"] == "edited"


def test_an_address_is_named_and_not_fetched():
    content = signed(picture(), remote="http://127.0.0.1:9/manifest.c2pa")
    finding = found(content)
    assert "but an address of some, which was not fetched" in finding.facts["summary"]
    text = page(finding)
    assert "names some at http://127.0.0.1:9/manifest.c2pa. They were not fetched" in text


def test_pasted_pictures_are_told():
    finding = found(picture("PNG"), pasted=True)
    assert "encoded anew by the browser" in finding.facts["summary"]
    assert "Re-encoded by the browser: file facts are not the original's." in page(finding)


def test_names_and_serial_numbers_are_left_out():
    info = PngInfo()
    info.add_text("Author", "Ann Oakley")
    data = packet("<dc:creator>Ann Oakley</dc:creator>")
    for content in (signed(picture(xmp=data)), picture("PNG", pnginfo=info)):
        finding = found(content)
        assert "Ann Oakley" in page(finding) and "Ann Oakley" not in page(finding, private=False)
        assert not re.search("Oakley|4242", json.dumps(finding.facts))


def test_texts_of_strangers_stay_text():
    info = PngInfo()
    info.add_text("parameters", NASTY + SETTINGS)
    info.add_text("Software", NASTY)
    info.add_text(NASTY[:28], "x")
    data = packet(xmp_CreatorTool=NASTY.replace("<", "&lt;").replace("\x1b", ""))
    for content in (picture("PNG", pnginfo=info), picture(xmp=data)):
        text = page(found(content))
        assert "<img" not in text and "\x1b" not in text and "\u202e" not in text
        assert "onerror=alert(1)" in text
        assert not re.search(r"<[^>]* (style|on\w+)=", text)


@pytest.mark.slow
def test_no_damage_makes_the_stage_raise():
    draw = random.Random(1)
    info = PngInfo()
    info.add_text("parameters", SETTINGS, zip=True)
    info.add_itxt("XML:com.adobe.xmp", packet(xmp_CreatorTool="x").decode(), zip=True)
    for content in (picture(exif=exif(), xmp=packet(xmp_CreatorTool="x")),
                    picture("PNG", pnginfo=info), picture("WEBP", exif=exif()),
                    picture("TIFF", tiffinfo={700: packet()})):  # fmt: skip
        for _ in range(500):
            mutated = bytearray(content)
            for _ in range(draw.randint(1, 12)):
                mutated[draw.randrange(len(mutated))] = draw.randrange(256)
            page(found(bytes(mutated[: draw.choice([None, draw.randrange(len(mutated))])])))
