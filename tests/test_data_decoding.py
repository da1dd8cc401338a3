import io
import logging
import os
import re
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from gan_forensics.data.budget import set_most_pixels
from gan_forensics.data.cmyk import LARGEST_PROFILE
from gan_forensics.data.decoding import ImageError, decode_image, is_gray, load_image, read_header
from gan_forensics.data.images import save_png


@pytest.fixture
def picture(rng):
    return rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)


def _png_of_16_bit_rgb(path):
    """Pillow cannot write 16-bit colour, but reads it, cutting it down to 8 bits."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 4, 3, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + bytes(range(24)) for _ in range(3))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def test_colour_png_decodes_to_its_pixels(tmp_path, picture):
    Image.fromarray(picture).save(tmp_path / "a.png")
    loaded = load_image(tmp_path / "a.png")
    np.testing.assert_array_equal(loaded, picture)
    assert loaded.dtype == np.uint8 and loaded.flags.writeable


def test_gray_is_repeated_over_three_channels(tmp_path, picture):
    Image.fromarray(picture[..., 0]).save(tmp_path / "a.png")
    expected = np.repeat(picture[..., :1], 3, axis=-1)
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), expected)


def test_bilevel_becomes_black_and_white(tmp_path):
    bits = np.eye(9, dtype=bool)
    Image.fromarray(bits).save(tmp_path / "a.png")
    loaded = load_image(tmp_path / "a.png")
    np.testing.assert_array_equal(loaded[..., 1], np.where(bits, 255, 0))


def test_palette_becomes_its_colours(tmp_path):
    image = Image.new("P", (3, 2))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putdata([0, 1, 0, 1, 1, 0])
    image.save(tmp_path / "a.png")
    loaded = load_image(tmp_path / "a.png")
    np.testing.assert_array_equal(loaded[0, :2], [[10, 20, 30], [40, 50, 60]])


def test_opaque_alpha_is_dropped(tmp_path, picture):
    opaque = np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)])
    Image.fromarray(opaque).save(tmp_path / "a.png")
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), picture)


def test_exif_orientation_is_applied(tmp_path, picture):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter to the left: viewers turn it back
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), np.rot90(picture, -1))


def test_main_picture_of_a_multi_picture_jpeg_is_read(tmp_path, picture):
    Image.fromarray(picture).save(
        tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[Image.new("RGB", (5, 5))]
    )
    assert load_image(tmp_path / "a.jpg").shape == picture.shape


def _write_bad(kind, path, picture):
    image = Image.fromarray(picture)
    if kind == "missing":
        return
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("this is not an image\n")
    elif kind == "truncated png":
        image.save(path, format="PNG")
        path.write_bytes(path.read_bytes()[:200])
    elif kind == "truncated jpeg":
        image.resize((200, 200)).save(path, format="JPEG")
        path.write_bytes(path.read_bytes()[:1500])
    elif kind == "broken header":
        image.save(path, format="PNG")
        path.write_bytes(path.read_bytes()[:20])
    elif kind == "damaged data":
        image.save(path, format="PNG")
        data = bytearray(path.read_bytes())
        data[60:80] = bytes(20)
        path.write_bytes(bytes(data))
    elif kind == "16-bit gray":
        Image.fromarray(picture[..., 0].astype(np.uint16) * 257).save(path, format="PNG")
    elif kind == "16-bit colour":
        _png_of_16_bit_rgb(path)
    elif kind == "16-bit ppm":
        path.write_bytes(b"P6\n2 1\n65535\n" + bytes(12))
    elif kind == "float":
        Image.fromarray(picture[..., 0].astype(np.float32)).save(path, format="TIFF")
    elif kind == "photoshop":
        path.write_bytes(b"8BPS\0\1" + bytes(60))
    elif kind == "jpeg xl":
        path.write_bytes(b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(60))
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "lab":
        image.convert("LAB").save(path, format="TIFF")
    elif kind == "transparent":
        image.putalpha(Image.new("L", image.size, 200))
        image.save(path, format="PNG")
    elif kind == "transparent palette":
        image.convert("P").save(
            path, format="PNG", transparency=image.convert("P").getpixel((0, 0))
        )
    elif kind == "animated":
        image.save(path, format="GIF", save_all=True, append_images=[Image.new("RGB", image.size)])


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("missing", "no such file"),
        ("empty", "empty (0 bytes)"),
        ("text", "not an image"),
        ("truncated png", "damaged or truncated"),
        ("truncated jpeg", "damaged or truncated"),
        ("broken header", "damaged or truncated|not an image"),
        ("damaged data", "damaged or truncated"),
        ("16-bit gray", "more than 8 bits"),
        ("16-bit colour", "more than 8 bits"),
        ("16-bit ppm", "more than 8 bits"),
        ("float", "more than 8 bits"),
        ("photoshop", "Photoshop, which is not read: convert"),
        ("jpeg xl", "JPEG XL, which is not read: convert"),
        ("pipe", "not a regular file"),
        ("lab", "colour mode LAB"),
        ("transparent", "transparent pixels; flatten"),
        ("transparent palette", "transparent pixels; flatten"),
        ("animated", "animated or multi-page; save"),
    ],
)
def test_unusable_image_is_refused_in_one_line_with_its_path(tmp_path, picture, kind, says):
    path = tmp_path / "odd one.png"
    _write_bad(kind, path, picture)
    with pytest.raises(ImageError) as caught:
        load_image(path)
    with pytest.raises(ImageError, match=re.escape(f"{path}: ")):
        load_image(path, channels=1)
    message = str(caught.value)
    assert message.startswith(f"{path}: ") and "\n" not in message
    assert any(part in message for part in says.split("|")), message


# Pillow only warns up to twice the limit, and raises beyond. Warnings are errors in these tests.
@pytest.mark.parametrize("limit", [100, 50])
def test_decompression_bomb_is_refused(tmp_path, picture, monkeypatch, limit):
    save_png(tmp_path / "a.png", picture)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(ImageError, match=f"a.png: 120 pixels, more than the {limit} that"):
        load_image(tmp_path / "a.png")


def test_a_variable_sets_how_many_pixels_are_decoded(tmp_path, picture, monkeypatch):
    save_png(tmp_path / "a.png", picture)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 50)
    with pytest.raises(ImageError, match="trust, raise the environment variable GAN_FORENSICS_PIX"):
        load_image(tmp_path / "a.png")
    for told in (None, ""):
        set_most_pixels(told)
        assert Image.MAX_IMAGE_PIXELS == 50
    set_most_pixels("120")
    assert load_image(tmp_path / "a.png").size
    for told in ("0", "1e8", "1_000", "-5", "²"):
        with pytest.raises(ValueError, match="GAN_FORENSICS_PIXELS=.*: it must be a whole number"):
            set_most_pixels(told)


def test_the_variable_is_read_by_every_command(tmp_path):
    environment = {**os.environ, "GAN_FORENSICS_PIXELS": "77"}
    script = "import gan_forensics.data, PIL.Image; print(PIL.Image.MAX_IMAGE_PIXELS)"
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True)
    assert done.stdout == b"77\n", done.stderr


def test_decompression_bomb_is_refused_where_pillow_only_warns(tmp_path, picture, monkeypatch):
    save_png(tmp_path / "a.png", picture)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.warns(Image.DecompressionBombWarning), pytest.raises(ImageError, match="120 pix"):
        load_image(tmp_path / "a.png")


def test_folder_instead_of_an_image_is_refused(tmp_path):
    with pytest.raises(ImageError, match="cannot be opened"):
        load_image(tmp_path)


def test_bytes_decode_like_the_file(tmp_path, picture):
    save_png(tmp_path / "a.png", picture)
    decoded = decode_image((tmp_path / "a.png").read_bytes(), name="record 0")
    np.testing.assert_array_equal(decoded, picture)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("after", [False, True])
def test_long_texts_in_a_png_do_not_cost_its_pixels(tmp_path, picture, compressed, after):
    """Pillow 13 reads no compressed text of more than a mebibyte, and no file that has one."""
    texts = PngImagePlugin.PngInfo()
    for word in ("parameters", "workflow"):
        texts.add_itxt(word, "x" * 40_000_000, zip=compressed)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.png"
    Image.fromarray(picture).save(path, exif=exif, pnginfo=texts)
    if after:  # the texts behind the pixels
        data = path.read_bytes()
        first, pixels, end = (data.index(kind) - 4 for kind in (b"iTXt", b"IDAT", b"IEND"))
        path.write_bytes(data[:first] + data[pixels:end] + data[first:pixels] + data[end:])
    turned = np.rot90(picture, -1)
    np.testing.assert_array_equal(load_image(path), turned)
    assert read_header(path)[:3] == (10, 12, False)
    path.write_bytes(path.read_bytes()[:-60])
    if not after:
        with pytest.raises(ImageError, match="a.png: damaged or truncated"):
            load_image(path)


# --- gray ---------------------------------------------------------------------------------------


def _gray_files(folder, level):
    """One gray picture in every kind of file that keeps it gray."""
    image = Image.fromarray(level)
    palette = Image.fromarray(255 - level, mode="P")
    palette.putpalette(np.repeat(np.arange(255, -1, -1), 3).tolist())
    opaque = Image.merge("LA", (image, Image.new("L", image.size, 255)))
    made = {"l.png": image, "l.jpg": image, "l.tif": image, "la.png": opaque, "p.png": palette}
    for name, picture in made.items():
        picture.save(folder / name)
    image.point(lambda x: 255 * (x > 99), mode="1").save(folder / "one.png")
    return [folder / name for name in (*made, "one.png")]


def test_gray_files_have_one_channel_where_that_is_asked_for(tmp_path, picture):
    for path in _gray_files(tmp_path, picture[..., 0]):
        one, three = load_image(path, channels=1), load_image(path)
        assert is_gray(path) and read_header(path)[:3] == (12, 10, True), path
        assert one.shape == (12, 10, 1) and one.flags.c_contiguous
        np.testing.assert_array_equal(np.repeat(one, 3, -1), three)
        if path.suffix != ".jpg" and path.name != "one.png":
            np.testing.assert_array_equal(one[..., 0], picture[..., 0])


def test_colours_are_not_read_as_one_channel(tmp_path, picture):
    for name in ("a.png", "a.gif", "a.jpg"):
        Image.fromarray(picture).save(tmp_path / name)
        assert not is_gray(tmp_path / name)
        with pytest.raises(ImageError, match=f"{name}: colours where gray levels are asked for"):
            load_image(tmp_path / name, channels=1)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_header_tells_the_size_that_is_decoded(tmp_path, picture, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture).save(tmp_path / f"a.{suffix}", exif=exif)
    header = read_header(tmp_path / f"a.{suffix}")
    assert load_image(tmp_path / f"a.{suffix}").shape == (*header[:2], 3)
    assert header[:3] == (10, 12, False)


def test_header_of_what_cannot_be_read_is_refused_as_its_pixels_are(tmp_path, picture):
    for kind in ("missing", "empty", "text", "broken header", "16-bit gray", "animated", "pipe"):
        path = tmp_path / kind
        _write_bad(kind, path, picture)
        for read in (read_header, is_gray):
            with pytest.raises(ImageError, match=re.escape(f"{path}: ")):
                read(path)


# --- CMYK ---------------------------------------------------------------------------------------


def cmyk_profile(level=128, *, space=b"CMYK", grid=2):
    """A profile of gray inks: L* = 100 for none, 0 with black, `level` / 2.55 at other corners."""
    nodes = np.full((grid**4, 3), 128, np.uint8)
    nodes[:, 0] = level
    nodes[0, 0], nodes[1::2, 0] = 255, 0
    table = b"mft1" + bytes(4) + bytes([4, 3, grid, 0])
    table += np.array([65536, 0, 0, 0, 65536, 0, 0, 0, 65536], ">i4").tobytes()
    curve = bytes(range(256))
    table += 4 * curve + nodes.tobytes() + 3 * curve
    start = 128 + 4 + 12
    kinds = (bytes(4), b"\2\x40\0\0", b"prtr", space, b"Lab ")
    header = struct.pack(">I", start + len(table)) + b"".join(kinds)
    header += bytes(12) + b"acsp" + bytes(28)
    header += np.array([0xF6D6, 0x10000, 0xD32D], ">i4").tobytes()  # D50
    header += bytes(128 - len(header))
    return header + struct.pack(">I4sII", 1, b"A2B0", start, len(table)) + table


def _inks(*inks, profile=None, kind="JPEG"):
    """An image of one flat patch of ink, 16 x 16; each ink in [0, 255]."""
    stream = io.BytesIO()
    options = {"quality": 100} if kind == "JPEG" else {}
    if profile:
        options["icc_profile"] = profile
    Image.new("CMYK", (16, 16), inks).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
@pytest.mark.parametrize(
    ("inks", "rgb"),
    [
        ((0, 0, 0, 0), (255, 255, 255)),
        ((255, 0, 0, 0), (0, 255, 255)),
        ((0, 255, 0, 128), (127, 0, 127)),
        ((0, 0, 0, 255), (0, 0, 0)),
        ((51, 102, 153, 51), (163, 122, 82)),  # 255 * .8 * (.8, .6, .4)
    ],
)
def test_cmyk_without_a_profile_is_converted_naively_and_said(caplog, kind, inks, rgb):
    with caplog.at_level(logging.INFO, "gan_forensics.data.cmyk"):
        decoded = decode_image(_inks(*inks, kind=kind), name="a.jpg")
    assert decoded.shape == (16, 16, 3)
    np.testing.assert_allclose(decoded, np.broadcast_to(rgb, (16, 16, 3)), rtol=0, atol=2)
    assert caplog.messages == [
        "a.jpg: CMYK colours, converted without a usable profile, as R = (1 - C) (1 - K)"
    ]


def test_cmyk_with_a_profile_is_converted_by_it_and_said(caplog):
    # L* = 50 is the sRGB level 119 (CIE 1976: Y = .1842; 255 (1.055 Y^(1/2.4) - .055) = 118.9).
    profile = cmyk_profile(128)
    with caplog.at_level(logging.INFO, "gan_forensics.data.cmyk"):
        decoded = decode_image(_inks(255, 0, 0, 0, profile=profile), name="a.jpg")
    np.testing.assert_allclose(decoded, 119, rtol=0, atol=2)
    assert caplog.messages == ["a.jpg: CMYK colours, converted by their embedded profiles"]
    white = decode_image(_inks(0, 0, 0, 0, profile=profile), name="a.jpg")
    np.testing.assert_allclose(white, 255, rtol=0, atol=1)


def test_profile_that_cannot_be_used_counts_as_none(rng):
    whole, srgb = cmyk_profile(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    naive = decode_image(_inks(255, 0, 0, 0, kind="TIFF"), name="a")
    bad = [
        whole[:200],
        b"not a profile" * 30,
        srgb,  # of another colour space
        cmyk_profile(space=b"RGB "),
        whole[:128] + struct.pack(">I", 2**32 - 1) + whole[132:],  # tags without end
        whole[:140] + struct.pack(">I", 2**31) + whole[144:],  # a tag beyond the file
        whole[:154] + b"\xff" + whole[155:],  # 255^4 nodes
        whole + bytes(LARGEST_PROFILE),
    ]
    for profile in bad:
        pixels = decode_image(_inks(255, 0, 0, 0, profile=profile, kind="TIFF"), name="a")
        np.testing.assert_array_equal(pixels, naive)
    for _ in range(50):  # Whatever is wrong with it, there are pixels.
        spoilt = bytearray(whole)
        for place in rng.integers(128, len(whole), 4):
            spoilt[place] = rng.integers(256)
        pixels = decode_image(_inks(9, 8, 7, 6, profile=bytes(spoilt), kind="TIFF"), name="a")
        assert pixels.shape == (16, 16, 3)


def test_cmyk_is_turned_as_its_exif_data_say(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("CMYK", (16, 8)).save(tmp_path / "a.jpg", exif=exif)
    assert load_image(tmp_path / "a.jpg").shape == (16, 8, 3)
    assert read_header(tmp_path / "a.jpg")[:3] == (16, 8, False)
