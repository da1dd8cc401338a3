"""What files carry beside their pixels, found by hand in files that others wrote."""

import io
import random
import struct
import time
import zlib

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gan_forensics.data import embedded as module
from gan_forensics.data.embedded import Text, embedded
from gan_forensics.data.tiff_tags import tag_values
from gan_forensics.forensics.exif_facts import exif_facts, exif_text

PACKET = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"


def exif():
    made = Image.Exif()
    made[271], made[272], made[305], made[315] = "Canon", "EOS R5", "Lightroom", "Ann Oakley"
    made[274] = 6
    inner = made.get_ifd(34665)
    inner[33434], inner[33437], inner[34855], inner[42033] = 0.004, 2.8, 400, "0042"
    inner[37510] = b"UNICODE\0" + "größe".encode("utf-16-be")
    place = made.get_ifd(34853)
    place[1], place[2], place[3], place[4] = "S", (33.0, 51.0, 35.9), "E", (151.0, 12.0, 40.0)
    place[5], place[6], place[7], place[29] = b"\1", 12.5, (9.0, 8.0, 7.0), "2026:11:30"
    return made


def saved(kind, **more):
    file = io.BytesIO()
    if kind == "HEIC":
        heif = pytest.importorskip("pillow_heif")
        more = {name: each if name == "xmp" else each.tobytes() for name, each in more.items()}
        heif.from_pillow(Image.new("RGB", (16, 16))).save(file, **more)
    else:
        Image.new("RGB", (16, 16)).save(file, kind, **more)
    return file.getvalue()


def with_texts(**packed):
    texts = PngInfo()
    texts.add_text("parameters", "a cat\nSteps: 20")
    texts.add_text("Comment", "packed", zip=True)
    texts.add_itxt("Title", "größer", zip=True)
    texts.add_itxt("XML:com.adobe.xmp", PACKET.decode())
    return saved("PNG", pnginfo=texts, exif=exif(), **packed)


def with_iptc():
    resource = b"8BIM\x03\xed\0\0\0\0\0\x03abc\0" + b"8BIM\x04\x04\x03abc\0\0\0\x05hello\0"
    data = b"Photoshop 3.0\0" + resource
    jpeg = saved("JPEG", comment=b"by hand")
    return jpeg[:2] + b"\xff\xed" + struct.pack(">H", len(data) + 2) + data + jpeg[2:]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "HEIC"])
def test_exif_facts_of_every_container_tell_people_and_places_apart(kind):
    public, private = exif_facts(embedded(saved(kind, exif=exif())).exif)
    public.pop("Orientation", "of AVIF and HEIC in a box of its own")
    assert public == {
        "Make": "Canon",
        "Model": "EOS R5",
        "Software": "Lightroom",
        "ExposureTime": "1/250 s",
        "FNumber": "f/2.8",
        "PhotographicSensitivity": 400,
    }
    assert private == {
        "Artist": "Ann Oakley",
        "UserComment": "größe",
        "BodySerialNumber": "0042",
        "GPSLatitude": "33.859972 S",
        "GPSLongitude": "151.211111 E",
        "GPSAltitude": "-12.5 m",
        "GPSDateStamp": "2026:11:30",
        "GPSTimeStamp": "09:08:07 UTC",
    }


def test_exif_texts_that_may_hold_anything_are_private():
    made = Image.Exif()
    for tag in (270, 40091, 40092, 40094, 40095):
        made[tag] = "call 555" if tag == 270 else "call 555".encode("utf-16-le")
    made.get_ifd(34665)[42038] = "call 555"
    public, private = exif_facts(embedded(saved("JPEG", exif=made)).exif)
    assert public == {} and set(private.values()) == {"call 555"} and len(private) == 6


def test_names_and_serial_numbers_of_every_tag_are_private_alone():
    made = Image.Exif()
    main = {315: "Artist", 316: "HostComputer", 33432: "Copyright", 40093: "XPAuthor"}
    own = {
        42016: "ImageUniqueID", 42032: "CameraOwnerName", 42033: "BodySerialNumber",
        42037: "LensSerialNumber", 42039: "Photographer", 42040: "ImageEditor",
    }  # fmt: skip
    made.update(dict.fromkeys(main, "Ann") | {40093: "Ann".encode("utf-16-le")})
    made.get_ifd(0x8769).update(dict.fromkeys(own, "Ann"))
    found = exif_facts(embedded(saved("JPEG", exif=made)).exif)
    assert found == ({}, dict.fromkeys([*main.values(), *own.values()], "Ann"))


def test_exif_of_both_byte_orders_and_of_tiff_itself_is_read():
    big = b"MM\0\x2a" + struct.pack(">LHHHLLL", 8, 1, 305, 2, 8, 26, 0) + b"a pencil"
    assert tag_values(big)["main"] == {305: b"a pencil"}
    assert exif_facts(embedded(saved("TIFF", software="a brush")).exif).public == {
        "Software": "a brush"
    }
    bigger = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, 1) + struct.pack(
        "<HHQ8sQ", 271, 2, 5, b"Canon", 0
    )
    assert tag_values(bigger)["main"] == {271: b"Canon"}


def test_the_orientation_is_told_in_words():
    found = exif_facts(embedded(saved("JPEG", exif=exif())).exif)
    assert found.public["Orientation"] == "turned to the right"


def test_comments_are_read_as_they_are_coded():
    assert exif_text(b"ASCII\0\0\0plain", 37510) == "plain"
    assert exif_text(b"UNICODE\0h\0i\0", 37510) == exif_text(b"UNICODE\0\0h\0i", 37510) == "hi"
    assert exif_text("größer".encode("utf-16-le"), 40092) == "größer"
    assert exif_text(b"name\0 and what stands behind it") == "name"


def test_texts_and_packets_of_png_are_read_packed_or_not():
    found = embedded(with_texts())
    assert found.xmp == PACKET and exif_facts(found.exif).public["Make"] == "Canon"
    assert found.texts == (
        Text("PNG tEXt", "parameters", "a cat\nSteps: 20"),
        Text("PNG zTXt", "Comment", "packed"),
        Text("PNG iTXt", "Title", "größer"),
    )
    cut = with_texts()
    assert embedded(cut[: cut.index(b"IDAT") + 6]).texts == found.texts


def test_other_containers_give_their_packets():
    for kind in ("JPEG", "WEBP", "AVIF", "HEIC"):
        assert embedded(saved(kind, xmp=PACKET)).xmp == PACKET
    assert embedded(saved("TIFF", tiffinfo={700: PACKET})).xmp == PACKET
    found = embedded(with_iptc())
    assert found.iptc == b"hello" and found.texts == (Text("JPEG comment", "", "by hand"),)


def test_profiles_in_hexadecimal_digits_are_read():
    block = b"Exif\0\0" + exif().tobytes()[6:]
    texts = PngInfo()
    texts.add_text("Raw profile type exif", f"\nexif\n{len(block)}\n{block.hex()}\n", zip=True)
    found = embedded(saved("PNG", pnginfo=texts))
    assert exif_facts(found.exif).public["Make"] == "Canon" and found.texts == ()


def test_texts_are_bounded_before_they_are_unpacked(monkeypatch):
    bomb = zlib.compress(bytes(50_000_000))
    chunk = b"zTXt" + b"bomb\0\0" + bomb
    piece = struct.pack(">L", len(chunk) - 4) + chunk + bytes(4)
    png = saved("PNG")
    at = png.index(b"IDAT") - 4
    start = time.monotonic()
    texts = embedded(png[:at] + piece * 200 + png[at:]).texts
    assert time.monotonic() - start < 5
    assert len(texts) == module.MOST_TEXTS
    assert sum(len(each.text) for each in texts) <= module.MOST_IN_ALL + module.MOST_TEXTS
    assert max(len(each.text) for each in texts) == module.MOST_TEXT


def test_tags_that_point_to_the_same_bytes_are_bounded():
    entries = b"".join(struct.pack("<HHLL", tag, 7, 2**21, 8) for tag in range(1900))
    block = b"II*\0" + struct.pack("<LH", 8, 1900) + entries + bytes(2**21)
    kept = [len(value) for value in tag_values(block)["main"].values()]
    assert 0 < sum(kept) <= 2**22 and max(kept) == 2**20


@pytest.mark.parametrize(
    "content",
    [saved("JPEG", exif=exif(), xmp=PACKET), with_texts(), with_iptc(),
     saved("WEBP", exif=exif(), xmp=PACKET), saved("TIFF", tiffinfo={700: PACKET}),
     saved("AVIF", exif=exif(), xmp=PACKET)],
    ids=["jpeg", "png", "iptc", "webp", "tiff", "avif"],
)  # fmt: skip
def test_no_damage_makes_the_readers_raise(content):
    draw = random.Random(0)
    for _ in range(500):
        mutated = bytearray(content)
        for _ in range(draw.randint(1, 12)):
            mutated[draw.randrange(len(mutated))] = draw.choice([0, 1, 255, draw.randrange(256)])
        exif_facts(
            embedded(bytes(mutated[: draw.choice([None, draw.randrange(len(mutated))])])).exif
        )
