import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from skimage.transform import resize as skimage_resize

from gan_forensics.data.images import (
    ImageError,
    center_crop,
    decode_image,
    list_images,
    load_image,
    resize,
    save_png,
    square,
    to_float,
    to_uint8,
)

# --- decoding -------------------------------------------------------------------------------


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
    elif kind == "cmyk":
        image.convert("CMYK").save(path, format="JPEG")
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
        ("cmyk", "CMYK"),
        ("lab", "colour mode LAB"),
        ("transparent", "transparent pixels; flatten"),
        ("transparent palette", "transparent pixels; flatten"),
        ("animated", "animated or multi-page (2 frames)"),
    ],
)
def test_unusable_image_is_refused_in_one_line_with_its_path(tmp_path, picture, kind, says):
    path = tmp_path / "odd one.png"
    _write_bad(kind, path, picture)
    with pytest.raises(ImageError) as caught:
        load_image(path)
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


# --- listing --------------------------------------------------------------------------------


def test_listing_is_sorted_recursive_and_skips_hidden_and_other_files(tmp_path, picture):
    (tmp_path / "sub").mkdir()
    (tmp_path / ".cache").mkdir()
    for name in ("b.png", "a.JPG", "sub/c.png", ".hidden.png", ".cache/d.png"):
        Image.fromarray(picture).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    names = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert names == ["a.JPG", "b.png", "sub/c.png"]


def test_listing_says_what_is_wrong_with_the_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such folder"):
        list_images(tmp_path / "none")
    with pytest.raises(ValueError, match="no images in this folder"):
        list_images(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="not a folder"):
        list_images(tmp_path / "file")


# --- geometry -------------------------------------------------------------------------------


def test_centre_crop_keeps_the_middle():
    image = np.arange(7 * 6).reshape(7, 6, 1).astype(np.uint8)
    np.testing.assert_array_equal(center_crop(image, 3)[..., 0], image[2:5, 1:4, 0])


def test_centre_crop_larger_than_the_image_says_both_sizes():
    with pytest.raises(ValueError, match="square of 9 from an image of 7x6"):
        center_crop(np.zeros((7, 6, 3), np.uint8), 9)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [5, 13, 40])
def test_plain_bilinear_resize_equals_scikit_image(rng, size, channels):
    image = rng.integers(0, 256, (20, 20, channels), dtype=np.uint8)
    expected = skimage_resize(
        image.astype(np.float64), (size, size), order=1, mode="edge", anti_aliasing=False
    )
    ours = resize(image, size, antialias=False)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=0.5 + 1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_both_resizes_agree_when_enlarging(rng, channels):
    image = rng.integers(0, 256, (9, 9, channels), dtype=np.uint8)
    smooth, plain = resize(image, 21), resize(image, 21, antialias=False)
    np.testing.assert_allclose(smooth.astype(int), plain.astype(int), rtol=0, atol=1)


def test_antialiasing_removes_what_plain_reduction_folds_down():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::3] = 255
    # A period of 3 pixels cannot be shown after reduction by 4.
    smooth = resize(stripes, 16)[2:-2, 2:-2].std()
    folded = resize(stripes, 16, antialias=False)[2:-2, 2:-2].std()
    assert smooth < 15 and folded > 50


def test_halving_by_antialiased_resize_is_the_triangle_filter():
    image = np.zeros((16, 16, 1), np.uint8)
    image[:, 8] = 240
    # Weights of the triangle of half-width 2 at distances 0.5 and 1.5: 3/8 and 1/8.
    np.testing.assert_array_equal(resize(image, 8)[4, 2:6, 0], [0, 30, 90, 0])


def test_square_crops_before_it_resizes(rng):
    image = rng.integers(0, 256, (30, 20, 3), dtype=np.uint8)
    np.testing.assert_array_equal(square(image, size=8), resize(image[5:25], 8))
    np.testing.assert_array_equal(square(image, crop=10), image[10:20, 5:15])
    np.testing.assert_array_equal(square(image), image)


# --- quantising -----------------------------------------------------------------------------


def test_float_range_is_minus_one_to_one():
    ends = to_float(np.array([0, 255], np.uint8))
    assert ends.dtype == np.float32
    np.testing.assert_array_equal(ends, [-1, 1])


def test_every_level_survives_the_round_trip():
    levels = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(to_uint8(to_float(levels)), levels)


def test_rounding_is_to_the_nearest_level_with_halves_up():
    x = np.array([-0.001, 0, 0.001])  # about the level 127.5
    np.testing.assert_array_equal(to_uint8(x), [127, 128, 128])
    np.testing.assert_array_equal(to_uint8(x, rounding="floor"), [127, 127, 127])


def test_floor_rounding_is_half_a_level_darker(rng):
    x = rng.uniform(-1, 1, 100_000)
    darker = to_uint8(x).mean() - to_uint8(x, rounding="floor").mean()
    np.testing.assert_allclose(darker, 0.5, rtol=0, atol=0.01)


@given(arrays(np.float32, 20, elements=st.floats(-3, 3, width=32)))
def test_quantising_is_monotone_clipped_and_idempotent(x):
    once = to_uint8(np.sort(x))
    assert (np.diff(once.astype(int)) >= 0).all()
    assert (once[np.sort(x) >= 1] == 255).all() and (once[np.sort(x) <= -1] == 0).all()
    np.testing.assert_array_equal(to_uint8(to_float(once)), once)


def test_quantiser_refuses_nan_integers_and_unknown_rounding():
    with pytest.raises(ValueError, match="1 pixels are NaN"):
        to_uint8(np.array([0.0, np.nan]))
    with pytest.raises(ValueError, match="quantised already"):
        to_uint8(np.zeros(3, np.uint8))
    with pytest.raises(ValueError, match="'nearest' or 'floor'"):
        to_uint8(np.zeros(3), rounding="up")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="expected uint8"):
        to_float(np.zeros(3))


# --- saving ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 1), (5, 4, 3)])
def test_saved_png_reads_back(tmp_path, rng, shape):
    image = rng.integers(0, 256, shape, dtype=np.uint8)
    save_png(tmp_path / "a.png", image)
    expected = np.broadcast_to(image.reshape(5, 4, -1), (5, 4, 3))
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), expected)
    assert os.listdir(tmp_path) == ["a.png"]


def test_full_disk_while_saving_keeps_the_old_picture(tmp_path, picture, monkeypatch):
    save_png(tmp_path / "a.png", picture)

    def full(self, path, **_):
        path.write_bytes(b"half a pic")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space left"):
        save_png(tmp_path / "a.png", 255 - picture)
    assert os.listdir(tmp_path) == ["a.png"]
    np.testing.assert_array_equal(load_image(tmp_path / "a.png"), picture)


def test_saving_floats_points_to_the_quantiser(tmp_path):
    with pytest.raises(ValueError, match="to_uint8"):
        save_png(tmp_path / "a.png", np.zeros((4, 4, 3)))
