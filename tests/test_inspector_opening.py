"""Files as received: facts where there is no verdict, a picture to look at, no exception."""

import io
import threading
import warnings

import numpy as np
import pytest
from PIL import Image

from gan_forensics.data import budget, looking
from gan_forensics.data.decoding import ImageError
from gan_forensics.data.looking import glance, look, shrunk
from gan_forensics.inspector import opening
from gan_forensics.inspector.opening import open_bytes
from tests.test_data_heic import corners, heif


def saved(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def transparent():
    image = corners()
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return image


def deep():
    return Image.fromarray(np.arange(64 * 96, dtype=np.uint16).reshape(64, 96) * 9)


TWO = {"save_all": True, "append_images": [corners().rotate(180)]}
REFUSED = {
    "transparent png": (saved(transparent(), "PNG"), "transparent pixels", (8, 1, True)),
    "transparent webp": (saved(transparent(), "WEBP"), "transparent pixels", (8, 1, True)),
    "16 bits": (saved(deep(), "PNG"), "more than 8 bits", (16, 1, False)),
    "float": (saved(deep().convert("F"), "TIFF"), "more than 8 bits", (32, 1, False)),
    "gif": (saved(corners().convert("P"), "GIF", **TWO), "animated", (8, None, False)),
    "apng": (saved(corners(), "PNG", **TWO), "animated", (8, 2, False)),
    "webp": (saved(corners(), "WEBP", **TWO), "animated", (8, 2, False)),
    "pages": (saved(corners(), "TIFF", **TWO), "animated", (8, None, False)),
    "lab": (saved(corners().convert("LAB"), "TIFF"), "colour mode LAB", (8, 1, False)),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_gets_no_verdict_has_facts_and_a_picture(kind):
    content, refusal, said = REFUSED[kind]
    opened = open_bytes(content, "a\nb.png")
    assert opened.pixels is None and opened.refusal.startswith(("has ", "more", "anim", "colour"))
    assert refusal in opened.refusal and "\n" not in opened.refusal
    assert opened.header is not None and opened.header[:2] == (64, 96)
    assert look(content, name="a")[1:] == said
    picture, how = glance(content, name="a")
    assert picture.shape == (64, 96, 3) and picture.dtype == np.uint8
    assert bool(how) == (kind != "lab")


def test_a_glance_shows_what_is_there():
    picture, _ = glance(saved(corners(), "PNG", **TWO), name="a")
    np.testing.assert_array_equal(picture, np.asarray(corners()))
    image = corners()
    image.putalpha(0)
    squares, _ = glance(saved(image, "PNG"), name="a")
    assert set(np.unique(squares)) == {204, 255} and squares[0, 0, 0] != squares[0, 8, 0]
    lifted = np.asarray(deep(), np.uint16) // 9 + 30_000
    levels, _ = glance(saved(Image.fromarray(lifted), "PNG"), name="a")
    assert levels.min() == 0 and levels.max() == 255
    assert (np.diff(levels[..., 0].astype(int).ravel()) >= 0).all()
    exif = Image.Exif()
    exif[0x0112] = 6
    turned, _ = glance(saved(transparent(), "PNG", exif=exif), name="a")
    assert turned.shape == (96, 64, 3)


@pytest.mark.parametrize(
    ("content", "said", "header"),
    [
        (b"", "the file is empty", False),
        (b"text", "not an image", False),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL, which is not read", False),
        (saved(corners(), "JPEG")[:700], "damaged or truncated", True),
        (saved(corners(), "PNG")[:60], "damaged or truncated", False),
    ],
    ids=["empty", "text", "jxl", "jpeg", "png"],
)
def test_nothing_raises(content, said, header):
    opened = open_bytes(content, "\x1b[2J")
    assert opened.refusal.startswith(said) and (opened.header is not None) == header
    assert opened.pixels is None and opened.content == content and opened.name == "\x1b[2J"


def test_what_is_decoded_has_its_pixels_and_notes():
    opened = open_bytes(saved(corners(), "JPEG", quality=80), "a", pasted=True)
    assert opened.pasted and opened.header.quality == 80 and not opened.note + opened.refusal
    assert opened.pixels.shape == (64, 96, 3)
    assert (
        open_bytes(saved(corners(), "MPO", **TWO), "a").note
        == "the first of 2 pictures in the file"
    )
    gray = Image.new("RGB", (48, 32))
    primary = open_bytes(heif(gray, corners(), primary_index=1), "a")
    assert primary.note == "the primary of 2 pictures in the file"
    assert primary.pixels.shape == (64, 96, 3)
    inks = open_bytes(saved(corners().convert("CMYK"), "JPEG"), "a")
    assert inks.note == "its CMYK colours converted to RGB" and inks.pixels is not None


def test_large_jpegs_alone_are_decoded_whole_and_one_at_a_time(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 96 // 3)
    monkeypatch.delenv(budget.VARIABLE, raising=False)
    content = saved(corners(), "JPEG")
    opened = open_bytes(content, "a")
    assert opened.pixels.shape == (64, 96, 3)
    assert opened.note == "decoded whole, 0 megapixels; other commands refuse so many"
    assert "more than the 2048" in open_bytes(saved(corners(), "PNG"), "a").refusal
    # Pillow itself only warns up to twice as many.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 4000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        assert "more than the 4000" in open_bytes(saved(corners(), "PNG"), "a").refusal
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 96 // 3)
    monkeypatch.setattr(budget, "MOST_OF_PHOTOGRAPH", 6000)
    refused = open_bytes(content, "a")
    assert "6144 pixels, more than the 6000 that" in refused.refusal
    assert refused.header.quality == 75
    picture, how = glance(content, name="a")
    assert picture.shape == (8, 12, 3) and how == "decoded at an eighth of its sides"
    with pytest.raises(ImageError, match="several scans"):
        glance(saved(corners(), "JPEG", progressive=True), name="a")
    monkeypatch.setattr(looking, "MOST_REDUCED", 6000)
    assert open_bytes(content, "a").header is None
    monkeypatch.undo()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 96 // 3)
    # What the variable says counts alone.
    monkeypatch.setenv(budget.VARIABLE, "2048")
    assert "more than the 2048" in open_bytes(content, "a").refusal
    monkeypatch.delenv(budget.VARIABLE)
    monkeypatch.setattr(opening, "free_memory", lambda: 13 * 64 * 96 - 1)
    assert "close other programs" in open_bytes(content, "a").refusal
    monkeypatch.setattr(opening, "free_memory", lambda: 13 * 64 * 96)
    assert open_bytes(content, "a").pixels is not None
    with opening._LARGE:
        waits = threading.Thread(target=open_bytes, args=(content, "a"), daemon=True)
        waits.start()
        waits.join(0.2)
        assert waits.is_alive()
    waits.join(10)
    assert not waits.is_alive()


@pytest.mark.parametrize("shape", [(40, 30, 3), (1, 5000, 3), (2049, 700, 3)], ids=str)
def test_small_pictures_are_means(shape, rng, monkeypatch):
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    small = shrunk(pixels)
    assert max(small.shape) <= looking.SIDE or shape == small.shape
    monkeypatch.setattr(looking, "_BAND", 1)  # one row of the small picture at a time
    np.testing.assert_array_equal(shrunk(pixels), small)
    factor = -(-max(shape) // looking.SIDE)
    first = pixels[:factor, :factor].reshape(-1, 3).mean(0)
    # Pillow rounds some of them down.
    np.testing.assert_allclose(small[0, 0], first, rtol=0, atol=1)
