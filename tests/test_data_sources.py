import json
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gan_forensics.data import account
from gan_forensics.data.decoding import ImageError
from gan_forensics.data.images import save_png
from gan_forensics.data.skip_bad import SkipBad
from gan_forensics.data.sources import (
    ArraySource,
    FileSource,
    Rgb,
    Rows,
    batches_once,
    rows_of_split,
    take,
)


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (7, 6, 5, 3), dtype=np.uint8)


@pytest.fixture
def files(tmp_path, images):
    for k, image in enumerate(images):
        save_png(tmp_path / f"{k}.png", image)
    return [tmp_path / f"{k}.png" for k in range(len(images))]


def test_array_source_indexes_and_takes_alike(images):
    source = ArraySource(image=images, label=np.arange(7))
    batch = take(source, [4, 0])
    np.testing.assert_array_equal(batch["image"], images[[4, 0]])
    np.testing.assert_array_equal(batch["label"], [4, 0])
    assert batch["label"].dtype == np.int32 and source[4]["label"].dtype == np.int32
    np.testing.assert_array_equal(source[4]["image"], images[4])


def test_files_equal_the_arrays_they_hold(files, images):
    source = FileSource(files, np.arange(7))
    batch = take(source, range(7))
    np.testing.assert_array_equal(batch["image"], images)
    np.testing.assert_array_equal(batch["label"], np.arange(7))
    assert batch["label"].dtype == np.int32


def test_any_object_with_length_and_indexing_is_a_source(images):
    class Mirror:
        def __len__(self):
            return len(images)

        def __getitem__(self, index):
            return {"image": images[len(images) - 1 - index]}

    np.testing.assert_array_equal(take(Mirror(), [0, 1])["image"], images[[6, 5]])


def test_mixed_sizes_name_two_files_and_the_cure(files):
    save_png(files[3], np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(ValueError, match="resize N") as caught:
        take(FileSource(files), [0, 3, 4])
    message = str(caught.value)
    assert f"{files[0]} is 6x5" in message and f"{files[3]} is 9x9" in message
    assert take(FileSource(files, size=4), [0, 3, 4])["image"].shape == (3, 4, 4, 3)


def test_arrays_of_different_sizes_name_two_examples():
    class Sentences:
        def __len__(self):
            return 9

        def __getitem__(self, index):
            return {"id": index, "tokens": np.arange(index)}

    message = r"tokens: different sizes .* example 4 is \[4\], example 7 is \[7\]; bring them to"
    with pytest.raises(ValueError, match=message):
        take(Sentences(), [4, 4, 7])
    assert take(Sentences(), [4, 4])["tokens"].shape == (2, 4)


def test_points_and_other_arrays_are_a_source(rng, images):
    points = rng.standard_normal((7, 2))
    source = ArraySource(x=points, label=np.arange(7))
    assert len(source) == 7 and sorted(source[3]) == ["label", "x"]
    np.testing.assert_array_equal(take(source, [3, 1])["x"], points[[3, 1]])
    assert source[3]["label"].dtype == np.int32
    mixed = next(batches_once(ArraySource(x=points, image=images), 7))
    assert mixed["x"].dtype == np.float64 and mixed["image"].dtype == np.float32
    np.testing.assert_array_equal(mixed["x"], points)
    np.testing.assert_array_equal(next(batches_once(source, 7))["x"], points)


def test_rows_of_a_source_are_its_examples_in_their_order(files, images):
    array, lazy = ArraySource(image=images, label=np.arange(7)), FileSource(files)
    for source in (array, lazy):
        rows = Rows(source, [5, 0, 3])
        assert len(rows) == 3
        np.testing.assert_array_equal(rows[1]["image"], images[0])
        np.testing.assert_array_equal(take(rows, [2, 0])["image"], images[[3, 5]])
    # Batches prefetch on threads what cannot be taken at one go.
    assert hasattr(Rows(array, [0]), "take") and not hasattr(Rows(lazy, [0]), "take")
    save_png(files[3], np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(ValueError, match=f"{files[5]} is 6x5 .* {files[3]} is 9x9"):
        take(Rows(lazy, [5, 0, 3]), range(3))


def test_one_unreadable_file_is_named_and_the_others_still_read(files):
    files[2].write_bytes(b"")
    source = FileSource(files)
    assert len(take(source, [0, 1])["image"]) == 2
    with pytest.raises(ImageError, match="2.png: the file is empty"):
        take(source, [0, 1, 2])


def test_crop_larger_than_an_image_names_the_file(files):
    with pytest.raises(ImageError, match="0.png: cannot cut a square of 8"):
        FileSource(files, crop=8)[0]


def test_sources_read_alike_from_many_threads(files, images):
    source, wrong = FileSource(files), []

    def read():
        for index in range(7):
            if (source[index]["image"] != images[index]).any():
                wrong.append(index)

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({}, "one or more equally long arrays, got {}"),
        ({"x": np.zeros(())}, r"one or more equally long arrays, got {'x': \(\)}"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(4)}, r"equally long .*'x': \(3, 2\), 'y': \(4,\)"),
        ({"image": np.zeros((3, 4, 4, 3))}, "uint8 .*, got float64"),
        ({"image": np.zeros((3, 3, 4, 4), np.uint8)}, r"got \[3, 3, 4, 4\].*NCHW"),
        ({"image": np.zeros((3, 4, 4, 1), np.uint8), "label": np.zeros(2)}, "equally long"),
    ],
)
def test_unfit_arrays_are_refused(arrays, says):
    with pytest.raises(ValueError, match=says):
        ArraySource(**arrays)


@given(n=st.integers(30, 400), more=st.integers(1, 100))
def test_split_is_a_partition_and_stays_when_the_data_grow(n, more):
    train, test, every = (rows_of_split(range(n), split) for split in ("train", "test", "all"))
    np.testing.assert_array_equal(np.sort(np.concatenate([train, test])), every)
    grown = rows_of_split(range(n + more), "test")
    np.testing.assert_array_equal(grown[grown < n], test)


def test_split_holds_out_about_a_quarter():
    for names in (range(10_000), [f"cats/{k:06d}.png" for k in range(10_000)]):
        share = len(rows_of_split(names, "test")) / 10_000
        np.testing.assert_allclose(share, 0.25, rtol=0, atol=0.02)


@pytest.mark.parametrize(
    "name", ["{:03d}.png", "img_{:d}.png", "IMG_{:04d}.jpg", "{:d}.jpg", "a/{}"]
)
def test_split_by_name_holds_out_about_a_quarter_of_small_folders_too(name):
    """A CRC held out 10 to 28 of 60; a fair draw strays by 6.7 (two deviations)."""
    for first in (0, 60, 1000):
        names = [name.format(k) for k in range(first, first + 60)]
        assert 7 <= len(rows_of_split(names, "test")) <= 24


def test_split_of_row_numbers_stays_as_published_tables_have_it():
    np.testing.assert_array_equal(rows_of_split(range(22), "test"), [4, 6, 14, 16, 21])


def test_split_of_file_names_is_what_it_was():
    names = [f"{k:02d}.png" for k in range(20)]
    np.testing.assert_array_equal(rows_of_split(names, "test"), [1, 3, 11, 16])
    assert len(rows_of_split(["caf\udce9.png", "b", "c", "d"], "all")) == 4
    rows_of_split([*names, "caf\udce9.png"], "test")  # a name that is not UTF-8


def test_split_that_is_empty_or_unknown_is_refused():
    with pytest.raises(ValueError, match="test split of 1 examples is empty"):
        rows_of_split(["a"], "test")
    with pytest.raises(ValueError, match="train, test, all"):
        rows_of_split(["a"], "val")


def test_one_pass_yields_every_example_once_in_order(images):
    source = ArraySource(image=images, label=np.arange(7))
    batches = list(batches_once(source, 3))
    assert [len(batch["image"]) for batch in batches] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([b["label"] for b in batches]), np.arange(7))
    pixels = np.concatenate([batch["image"] for batch in batches])
    assert pixels.dtype == np.float32
    np.testing.assert_allclose(pixels, images / 127.5 - 1, rtol=0, atol=1e-6)


# --- channels -----------------------------------------------------------------------------------


def _save_gray(path, level=3):
    Image.fromarray(np.full((6, 5), level, np.uint8)).save(path)


def test_gray_files_make_images_of_one_channel(tmp_path):
    for k in range(3):
        _save_gray(tmp_path / f"{k}.png", k)
    batch = take(FileSource([tmp_path / f"{k}.png" for k in range(3)]), [2, 0])
    assert batch["image"].shape == (2, 6, 5, 1)
    np.testing.assert_array_equal(batch["image"][:, 0, 0, 0], [2, 0])


def test_one_file_in_colour_makes_all_rgb_in_every_split(files):
    _save_gray(files[0])
    assert FileSource(files).channels == 3
    assert FileSource(files[:1]).channels == 1
    held = FileSource(files[:1], among=files)
    assert held.channels == 3 and held[0]["image"].shape == (6, 5, 3)


def test_unreadable_file_does_not_decide_on_the_channels(tmp_path):
    for k in range(3):
        _save_gray(tmp_path / f"{k}.png")
    (tmp_path / "0.png").write_bytes(b"")
    source = FileSource([tmp_path / f"{k}.png" for k in range(3)])
    assert source.channels == 1
    with pytest.raises(ImageError, match="0.png: the file is empty"):
        source[0]


def test_headers_are_read_up_to_the_first_in_colour(files, monkeypatch):
    from gan_forensics.data import sources

    read = []
    is_gray = sources.is_gray
    monkeypatch.setattr(sources, "is_gray", lambda path: read.append(path) or is_gray(path))
    _save_gray(files[0])
    source = FileSource(files)
    take(source, range(7))
    assert read == files[:2]


def test_gray_is_repeated_where_rgb_is_asked_for(images):
    array = ArraySource(image=images[..., :1], label=np.arange(7))
    rgb = Rgb(array)
    expected = np.repeat(images[..., :1], 3, -1)
    np.testing.assert_array_equal(take(rgb, range(7))["image"], expected)
    np.testing.assert_array_equal(rgb[4]["image"], expected[4])
    assert rgb[4]["label"] == 4 and len(rgb) == 7
    np.testing.assert_array_equal(take(Rgb(ArraySource(image=images)), range(7))["image"], images)


# --- images that cannot be used -----------------------------------------------------------------


def test_bad_images_are_replaced_by_others_always_the_same_and_counted(files, images):
    for k in (1, 4):
        files[k].write_bytes(files[k].read_bytes()[:60])
    source = SkipBad(FileSource(files, np.arange(7)))
    batch = take(source, range(7))
    for k in range(7):
        label = int(batch["label"][k])
        assert label not in (1, 4) and (k in (1, 4) or label == k)
        np.testing.assert_array_equal(batch["image"][k], images[label])
    assert sorted(source.bad) == [str(files[1]), str(files[4])]
    assert "1.png: damaged or truncated" in source.bad[str(files[1])]
    # Whatever else was read before.
    again = SkipBad(FileSource(files, np.arange(7)))
    assert [int(again[k]["label"]) for k in (4, 1)] == [int(batch["label"][k]) for k in (4, 1)]
    np.testing.assert_array_equal(again.labels, np.arange(7))
    assert again.describe(3) == str(files[3])


def test_source_without_a_usable_image_is_refused(files):
    for path in files:
        path.write_bytes(b"")
    with pytest.raises(ImageError, match=r"7 images in a row .*\.png: the file is empty"):
        SkipBad(FileSource(files))[0]


# --- accounts -----------------------------------------------------------------------------------


def test_account_says_how_many_train_and_what_becomes_of_them(files):
    source = FileSource(files[:4], among=files)
    assert account.taken(source) == (
        "4 of 7 images train, 3 are held out (--split all takes everything)"
    )
    assert account.taken(FileSource(files)) == "7 images train"
    assert account.fitted(source, None) == ""
    assert account.fitted(source, 4) == (
        "4 images of 5x6 (width x height) are centre-cropped and resized to 4x4"
    )
    save_png(files[2], np.zeros((4, 4, 3), np.uint8))
    assert account.fitted(source, 4) == (
        "4 images of 4x4 to 5x6 (width x height) are centre-cropped and resized to 4x4"
    )
    square = FileSource(files[2:3])
    assert account.fitted(square, 4) == ""
    assert account.fitted(square, 2) == "1 images of 4x4 (width x height) are resized to 2x2"


def test_account_says_what_becomes_of_gray_files(files):
    gray = files[0].parent / "gray.png"
    _save_gray(gray)
    assert account.coloured(FileSource([gray])) == "all files are gray: images of one channel"
    for mixed in ([gray, *files], [*files, gray]):
        assert account.coloured(FileSource(mixed)) == (
            "some files are gray, some in colour: all are read as RGB"
        )
    assert account.coloured(FileSource(files)) == ""
    files[0].write_bytes(b"")
    assert account.fitted(FileSource(files[:1]), 4) == ""


def test_few_headers_speak_for_many_files(files):
    said = account.fitted(FileSource(files * 100), 4)
    assert said == (
        "700 images of 5x6 (width x height), as 64 of them say, are centre-cropped and resized to "
        "4x4"
    )


def test_facts_of_a_source_are_json(files):
    left_out = {files[5]: "not an image", files[6]: "not an image"}
    facts = account.facts(FileSource(files[:3], among=files[:5], left_out=left_out))
    assert json.loads(json.dumps(facts)) == {
        "images": 3,
        "held_out": 2,
        "left_out": {"not an image": [str(files[5]), str(files[6])]},
    }
    assert account.facts(ArraySource(x=np.zeros(3))) == {
        "images": 3, "held_out": 0, "left_out": {}
    }  # fmt: skip
