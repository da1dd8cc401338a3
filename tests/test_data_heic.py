"""HEIC: the primary picture, turned once, of 8 bits, judged by its boxes before it is opened."""

import io
import struct

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from gan_forensics.data import budget, heic, sniff
from gan_forensics.data.decoding import ImageError, decode_header, decode_image, load_image
from gan_forensics.data.listing import list_images
from gan_forensics.data.looking import look


def corners(width=96, height=64):
    """A picture whose upper left quarter is red, the upper right green, the lower left blue."""
    picture = np.full((height, width, 3), 40, np.uint8)
    picture[: height // 2, : width // 2] = 220, 30, 30
    picture[: height // 2, width // 2 :] = 30, 200, 30
    picture[height // 2 :, : width // 2] = 30, 30, 220
    return Image.fromarray(picture)


def heif(*images, exif=None, **options):
    """A file, written without telling Pillow of the format: the package reads it so too."""
    written, stream = pillow_heif.HeifFile(), io.BytesIO()
    for image in images or [corners()]:
        written.add_from_pillow(image)
        if exif:
            written[0].info["exif"] = exif
    written.save(stream, quality=95, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def plain():
    return heif()


@pytest.fixture(scope="module")
def tiled():
    return heif(corners(256, 192), tile_size=64)


def _red_corner(pixels):
    height, width, _ = pixels.shape
    thirds = {
        (y, x): pixels[int(y * height), int(x * width)] for y in (0.2, 0.8) for x in (0.2, 0.8)
    }
    (found,) = [place for place, colour in thirds.items() if colour[0] > 150]
    return found


def test_heic_decodes_to_its_pixels(plain, tmp_path):
    pixels = decode_image(plain, name="a")
    assert np.abs(pixels.astype(int) - np.asarray(corners())).mean() < 4
    header = decode_header(plain, name="a")
    assert header[:5] == (64, 96, False, "HEIC", "RGB") and header.quality is None
    (tmp_path / "IMG_1.HEIC").write_bytes(plain)
    assert list_images(tmp_path).images == [tmp_path / "IMG_1.HEIC"]
    np.testing.assert_array_equal(load_image(tmp_path / "IMG_1.HEIC"), pixels)


@pytest.mark.parametrize(
    ("orientation", "size", "corner"),
    [(1, (64, 96), (0.2, 0.2)), (3, (64, 96), (0.8, 0.8)), (6, (96, 64), (0.2, 0.8))],
)
def test_a_turned_picture_is_turned_once(orientation, size, corner):
    """The writer says it twice: as a property of the picture and in its Exif data."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = heif(exif=exif.tobytes())
    assert (b"irot" in content) == (orientation > 1)
    assert pillow_heif.open_heif(content).info["exif"] == exif.tobytes()
    pixels = decode_image(content, name="a")
    assert pixels.shape[:2] == size == decode_header(content, name="a")[:2]
    assert _red_corner(pixels) == corner


def test_exif_alone_does_not_turn(plain, monkeypatch):
    opened = heic.open_heic

    def with_exif(file):
        image = opened(file)
        exif = Image.Exif()
        exif[0x0112] = 6
        image.info["exif"] = exif.tobytes()
        return image

    monkeypatch.setattr("gan_forensics.data.decoding.open_heic", with_exif)
    assert decode_image(plain, name="a").shape == (64, 96, 3)


def test_of_several_pictures_the_primary_is_decoded():
    gray = Image.new("RGB", (48, 32), (128, 128, 128))
    content = heif(gray, corners(), gray, primary_index=1)
    assert decode_image(content, name="a").shape == (64, 96, 3)
    assert look(content, name="a").frames == 3


def test_tiles_are_put_together(tiled):
    sizes = heic.heic_sizes(io.BytesIO(tiled))
    assert sizes == [(256, 192)] + [(64, 64)] * 12
    pixels = decode_image(tiled, name="a")
    assert np.abs(pixels.astype(int) - np.asarray(corners(256, 192))).mean() < 4


def test_transparency_counts_and_is_refused_where_it_is_used():
    image = corners()
    image.putalpha(255)
    opaque = heif(image)
    assert len(heic.heic_sizes(io.BytesIO(opaque))) == 2
    assert decode_image(opaque, name="a").shape == (64, 96, 3)
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    with pytest.raises(ImageError, match="transparent pixels"):
        decode_image(heif(image), name="a")


def test_ten_bits_are_refused_like_sixteen():
    deep = pillow_heif.from_bytes("RGB;16", (64, 64), bytes(64 * 64 * 6))
    stream = io.BytesIO()
    deep.save(stream)
    with pytest.raises(ImageError, match="more than 8 bits a channel"):
        decode_image(stream.getvalue(), name="a")
    assert look(stream.getvalue(), name="a").bits == 10


def test_without_pillow_heif_the_message_says_how_to_get_it(plain, monkeypatch):
    monkeypatch.setattr(sniff, "_readable", lambda: {"PNG"})
    said = (
        r"HEIC, which is not read here: pip install 'gan_forensics\[inspect\]' \(pillow-heif\), or"
    )
    with pytest.raises(ImageError, match=said):
        decode_image(plain, name="a")
    for start in (plain, b"\0\0\0\x1cftypmif1\0\0\0\0mif1heicmiaf" + bytes(40)):
        assert sniff.why_not(start[:64], "a.jpg").startswith("HEIC, which is not read here")


def _of_size(content, width, height):
    at = content.index(b"ispe")
    return content[: at + 8] + struct.pack(">II", width, height) + content[at + 16 :]


def test_sizes_of_boxes_are_looked_at_before_anything_is_opened(plain, tiled, monkeypatch):
    def opened(*_):
        raise AssertionError("it was opened")

    monkeypatch.setattr("gan_forensics.data.decoding.open_heic", opened)
    film = struct.pack(">I", 24) + b"ftyphevc\0\0\0\0hevcmif1" + struct.pack(">I", 8) + b"moov"
    for content, said in (
        (
            _of_size(plain, 9400, 9400),
            "88360000 pixels, more than the 53687091 that are decoded of",
        ),
        (_of_size(plain, 1, 65536), "sides of at most 65535"),
        (film, "animated, a film"),
        (plain.replace(b"ispe", b"free"), r"damaged or truncated \(its sizes\)"),
    ):
        with pytest.raises(ImageError, match=said):
            decode_image(content, name="a")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40_000)
    # 12 tiles of 4096 pixels and the whole, 49,152.
    monkeypatch.setattr(budget, "MOST_PARTS", 1)
    monkeypatch.setitem(budget._SHARES, "HEIC", 2)
    with pytest.raises(ImageError, match="98304 pixels in 13 parts of a HEIC"):
        decode_image(tiled, name="a")
    monkeypatch.setattr(heic, "MOST_PARTS", 12)
    with pytest.raises(ImageError, match="of very many parts"):
        decode_image(tiled, name="a")


def test_libheif_holds_to_the_sizes_of_the_boxes():
    """Which the budget counts on: a picture that is larger than its file says is not decoded."""
    content = heif(corners(960, 640))
    at = content.index(b"ispe")
    assert struct.unpack(">II", content[at + 8 : at + 16]) == (960, 640)
    with pytest.raises(ImageError, match="damaged or truncated"):
        decode_image(_of_size(content, 64, 64), name="a")


def test_items_that_lead_to_themselves_end(plain):
    """A reference from the primary item to itself, as if it were made of it."""
    start, stop = plain.index(b"meta") - 4, None
    size = struct.unpack(">I", plain[start : start + 4])[0]
    stop = start + size
    at = plain.index(b"pitm")
    primary = plain[at + 8 : at + 10]
    loop = struct.pack(">I", 14) + b"dimg" + primary + b"\0\1" + primary
    box = struct.pack(">I", 12 + len(loop)) + b"iref" + bytes(4) + loop
    meta = struct.pack(">I", size + len(box)) + plain[start + 4 : stop] + box
    with pytest.raises(ImageError, match="of very many parts"):
        decode_image(plain[:start] + meta + plain[stop:], name="a")
