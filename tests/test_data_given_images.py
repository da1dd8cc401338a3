"""The door by which images enter: what it takes, what it makes of it, and what it refuses."""

import io
from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_forensics.data import (
    ArraySource,
    ImageError,
    Rows,
    as_images,
    as_source,
    save_png,
    to_float,
)

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (3, 6, 5, 3), np.uint8)
GRAY = PIXELS[..., :1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for row, image in enumerate(PIXELS):
        save_png(tmp_path / "photos" / f"{row}.png", image)
    return tmp_path / "photos"


class Tensor:
    """What PyTorch's tensors offer: numbers on a device, which gradients hold on to."""

    def __init__(self, array, dtype="torch.float32", held=True):
        self.array, self.dtype, self.shape, self.held = array, dtype, array.shape, held

    def detach(self):
        return Tensor(self.array, self.dtype, held=False)

    def cpu(self):
        return self

    def float(self):
        return Tensor(self.array, held=self.held)

    def __array__(self, dtype=None, copy=None):
        if self.held or "bfloat16" in self.dtype:
            raise TypeError("cannot be converted")
        return np.asarray(self.array, dtype)


def test_uint8_images_of_any_library_are_taken_as_they_are():
    assert as_images(PIXELS) is PIXELS
    for given in (jnp.asarray(PIXELS), list(PIXELS), [Image.fromarray(x) for x in PIXELS]):
        assert np.array_equal(as_images(given), PIXELS)
        assert as_images(given).dtype == np.uint8
    assert np.array_equal(as_images(Tensor(PIXELS)), PIXELS)
    assert np.array_equal(as_images(PIXELS, range=(0, 255)), PIXELS)


@pytest.mark.parametrize(
    "given, ends",
    [
        (PIXELS / 255, (0, 1)),
        (to_float(PIXELS), (-1, 1)),
        (PIXELS.astype(np.int64), (0, 255)),
        (PIXELS.astype(np.float16), (0, 255)),
        (PIXELS.astype(np.uint16) * 257, (0, 65535)),
        (jnp.asarray(to_float(PIXELS)), (-1, 1)),
        (Tensor(to_float(PIXELS)), (-1, 1)),
        (list(PIXELS / 255), (0, 1)),
        (PIXELS / 255, (np.float32(0), np.float32(1))),
    ],
)
def test_a_stated_range_gives_back_the_levels(given, ends):
    assert np.array_equal(as_images(given, range=ends), PIXELS)


def test_no_images_are_none_of_whatever_type():
    for none in (PIXELS[:0], PIXELS[:0].astype(float)):
        assert as_images(none).shape == (0, 6, 5, 3) and as_images(none).dtype == np.uint8


def test_bfloat16_of_jax_and_pytorch_is_taken():
    halves = jnp.full((1, 4, 4, 1), 0.5, jnp.bfloat16)
    assert (as_images(halves, range=(0, 1)) == 128).all()
    held = Tensor(np.full((1, 4, 4, 1), 0.5), "torch.bfloat16")
    assert (as_images(held, range=(0, 1)) == 128).all()


def test_pictures_and_files_and_folders_are_the_images_in_them(folder):
    assert np.array_equal(as_images(folder), PIXELS)
    assert np.array_equal(as_images(str(folder)), PIXELS)
    assert np.array_equal(as_images(f"folder:{folder}"), PIXELS)
    assert np.array_equal(as_images(folder / "1.png"), PIXELS[1:2])
    assert np.array_equal(as_images(sorted(folder.iterdir())), PIXELS)
    with Image.open(folder / "2.png") as picture:
        assert np.array_equal(as_images(picture), PIXELS[2:])
        mixed = [folder / "0.png", PIXELS[1], picture]
        assert np.array_equal(as_images(mixed), PIXELS)
    assert as_images("samples:digits").shape == (1797, 8, 8, 1)


def test_a_source_is_taken_and_left_as_it_is():
    source = ArraySource(image=PIXELS, label=np.arange(3))
    assert as_source(source) is source
    assert as_images(source) is PIXELS
    for each in (source, Rows(source, [2, 1])):
        smaller = as_source(each, size=4)[1]
        assert smaller["label"] == 1 and smaller["image"].shape == (4, 4, 3)
    with pytest.raises(ValueError, match="has point, and images are needed"):
        as_images(ArraySource(point=np.zeros((3, 2))))


def test_gray_pictures_stay_gray_until_one_is_in_colour():
    pictures = [Image.fromarray(x[..., 0]) for x in GRAY]
    assert np.array_equal(as_images(pictures), GRAY)
    both = as_images([*pictures, Image.fromarray(PIXELS[0])])
    assert np.array_equal(both[:3], np.repeat(GRAY, 3, -1))
    assert np.array_equal(both[3], PIXELS[0])


def test_a_picture_is_turned_and_refused_as_its_file_is(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS[0]).save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as picture:
        assert np.array_equal(as_images(picture), as_images(tmp_path / "turned.png"))
    assert as_images(tmp_path / "turned.png").shape == (1, 5, 6, 3)
    clear = Image.new("RGBA", (4, 4), (1, 2, 3, 100))
    with pytest.raises(ImageError, match=r"^image 0: has transparent pixels; flatten it"):
        as_images([clear])
    with pytest.raises(ImageError, match="more than 8 bits"):
        as_images(Image.new("I;16", (4, 4)))
    (tmp_path / "short.png").write_bytes((tmp_path / "turned.png").read_bytes()[:-60])
    with Image.open(tmp_path / "short.png") as picture:
        with pytest.raises(ImageError, match=r"short\.png: damaged or truncated"):
            as_images(picture)


def test_sizes_that_differ_are_named_or_brought_to_one(tmp_path):
    pictures = [Image.new("RGB", (4, 4)), Image.new("RGB", (8, 6))]
    with pytest.raises(ValueError, match="image 0 is 4x4x3 .* image 1 is 6x8x3; size=N brings"):
        as_images(pictures)
    assert as_images(pictures, size=5).shape == (2, 5, 5, 3)
    assert as_images(PIXELS, size=4).shape == (3, 4, 4, 3)
    assert [each["image"].shape for each in map(as_source(pictures).__getitem__, (0, 1))] == [
        (4, 4, 3),
        (6, 8, 3),
    ]


@pytest.mark.parametrize(
    "given, words",
    [
        (PIXELS.transpose(0, 3, 1, 2), r"channels come first \(NCHW\).*x\.transpose\(0, 2, 3, 1\)"),
        (PIXELS[0], r"axis of images is missing: x\[None\] for a single one"),
        (PIXELS[..., 0], r"axis of channels is missing: x\[\.\.\., None\]"),
        (PIXELS[0, ..., 0], r"x\[None, \.\.\., None\]"),
        (np.zeros((2, 4, 4, 4), np.uint8), "4 channels, with transparency"),
        (np.zeros((2, 4, 4, 2), np.uint8), "2 channels: give gray"),
        (np.zeros(3, np.uint8), "1 axes"),
        ([PIXELS[0], PIXELS[1].transpose(2, 0, 1)], r"^image 1: .*NCHW.*x\.transpose\(1, 2, 0\)"),
        ([PIXELS[0, ..., 0]], r"^image 0: .*x\[\.\.\., None\]"),
        (PIXELS / 255, r"pixels are float64 from 0 to 1: say which range .*range=\(0, 1\)"),
        (PIXELS.astype(np.int64), r"pixels are int64 from \d+ to \d+: say which range"),
        (PIXELS > 9, "pixels are bool from 0 to 1"),
        (PIXELS.astype(str), "pixels must be numbers"),
        (PIXELS[:, :0].astype(float), r"images \[3, 0, 5, 3\] hold no pixel"),
        (PIXELS[:, :, :0], r"images \[3, 6, 0, 3\] hold no pixel"),
        ([], "the list is empty"),
        ([3], "image 0 of the list is a int"),
        ((x for x in PIXELS), "got generator: make a list of it"),
        ({"image": PIXELS}, "got dict"),
        (io.BytesIO(), "got BytesIO: give its path, or what Image.open"),
        (b"GIF89a", "got bytes: Image.open of Pillow reads"),
        ("toy:grid9", "has points, and images are needed"),
        ("sample:photos", "unknown source 'sample:photos'.*Did you mean samples:photos"),
    ],
)
def test_mistakes_are_named_in_a_line_with_what_mends_them(given, words):
    with pytest.raises(ValueError, match=words) as error:
        as_images(given)
    assert "\n" not in str(error.value)


def test_pixels_beyond_their_range_are_refused_but_for_rounding():
    for given, ends in ((PIXELS, (0, 1)), (PIXELS * 2.0, (0, 255)), (to_float(PIXELS), (0, 1))):
        with pytest.raises(ValueError, match=r"pixels from .* are not within range=\("):
            as_images(given, range=ends)
    nearly = np.array([-1 - 1e-6, 1 + 1e-6], np.float64).reshape(1, 1, 2, 1)
    assert as_images(nearly, range=(-1, 1)).ravel().tolist() == [0, 255]
    assert as_images(PIXELS // 2, range=(0, 127)).max() == 255
    with pytest.raises(ValueError, match="^3 of 16 pixels are NaN$"):
        as_images(np.where(np.arange(16) < 3, np.nan, 1).reshape(1, 4, 4, 1), range=(0, 1))
    for ends in ((1, 0), (0, 0), (0,), "01", 1):
        with pytest.raises(ValueError, match=r"range is \(least, largest\)"):
            as_images(PIXELS, range=ends)  # pyright: ignore[reportArgumentType]


def test_a_path_that_is_not_there_and_a_range_of_files_are_refused(folder):
    for missing in (folder / "9.png", [folder / "9.png"], "no_such_folder"):
        with pytest.raises(FileNotFoundError, match="no such file or folder"):
            as_images(missing)
    with pytest.raises(ValueError, match="range is for arrays"):
        as_images(folder, range=(0, 1))


def test_a_list_has_one_image_in_each_place(folder):
    for listed in ([folder], [str(folder), PIXELS[0]]):
        with pytest.raises(ValueError, match="photos is a folder, and a list has one image in"):
            as_images(listed)


def test_a_size_is_the_side_of_a_square(folder):
    for size in ((4, 4), "4", 4.0, 0, True):
        for given in (PIXELS, folder, list(PIXELS)):
            with pytest.raises(
                ValueError, match=r"size is the side of a square.*, got [\(']?[40T]"
            ):
                as_images(given, size=size)  # pyright: ignore[reportArgumentType]
    assert as_images(PIXELS, size=np.int64(4)).shape == (3, 4, 4, 3)  # pyright: ignore


def test_files_and_folders_may_have_names_with_colons_and_lie_at_home(folder, monkeypatch):
    save_png(folder / "a:b.png", PIXELS[1])
    assert np.array_equal(as_images(str(folder / "a:b.png")), PIXELS[1:2])
    monkeypatch.setenv("HOME", str(folder.parent))
    assert len(as_images("~/photos")) == 4


def test_what_a_folder_leaves_out_is_said(folder, capsys):
    (folder / "notes.txt").write_text("no image")
    as_images(folder)
    assert "1 of 4 files" in capsys.readouterr().err


def test_a_sequence_that_makes_its_images_is_asked_for_one_at_a_time():
    asked = []

    class Made(Sequence):
        def __len__(self):
            return 3

        def __getitem__(self, index):
            asked.append(index)
            return (
                {"image": PIXELS[index], "label": 1} if index == 2 else PIXELS[index] / (index + 1)
            )

    source = as_source(Made(), range=(0, 255))
    assert (asked, len(source)) == ([], 3)
    assert np.array_equal(source[0]["image"], PIXELS[0]) and asked == [0]
    assert source[2]["label"] == 1
    assert as_source(Made(), size=4)[2]["image"].shape == (4, 4, 3)
    with pytest.raises(ValueError, match="^image 1: pixels are float64"):
        as_source(Made())[1]
