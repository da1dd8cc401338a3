import gzip
import shutil

import numpy as np
import pytest

from gan_forensics.data import account, formats, open_source, save_png, take
from gan_forensics.data.images import resize
from gan_forensics.data.sources import FileSource, Rgb, rows_of_split
from gan_forensics.files import archives


@pytest.fixture
def images(rng):
    return rng.integers(0, 256, (40, 6, 6, 3), dtype=np.uint8)


def _save_all(folder, images, names):
    for name, image in zip(names, images, strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        save_png(path, image)


def _all(source):
    return take(source, np.arange(len(source)))


def _idx(path, array):
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4) for n in array.shape)
    data = header + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


# --- folders --------------------------------------------------------------------------------


def test_folder_reads_sorted_paths_without_labels(tmp_path, images):
    _save_all(tmp_path, images[:3], ["b.png", "a.png", "c.png"])
    for name in (f"folder:{tmp_path}", str(tmp_path)):
        batch = _all(open_source(name))
        assert sorted(batch) == ["image"]
        np.testing.assert_array_equal(batch["image"], images[[1, 0, 2]])


def test_subfolders_are_classes(tmp_path, images):
    _save_all(tmp_path, images[:4], ["dog/0.png", "cat/deep/0.png", "dog/1.png", "cat/0.png"])
    np.testing.assert_array_equal(_all(open_source(f"folder:{tmp_path}"))["label"], [0, 0, 1, 1])


def test_folder_with_train_and_test_brings_its_own_splits(tmp_path, images):
    names = ["train/x/0.png", "train/y/0.png", "test/y/1.png"]
    _save_all(tmp_path, images[:3], names)
    train, test, every = (
        _all(open_source(f"folder:{tmp_path}", split=split)) for split in ("train", "test", "all")
    )
    np.testing.assert_array_equal(train["image"], images[:2])
    np.testing.assert_array_equal(test["image"], images[2:3])
    # Classes are numbered alike in every split.
    np.testing.assert_array_equal(train["label"], [0, 1])
    np.testing.assert_array_equal(test["label"], [1])
    assert len(every["image"]) == 3


def test_folder_split_does_not_depend_on_where_the_folder_is(tmp_path, images):
    _save_all(tmp_path / "a", images, [f"{k:02d}.png" for k in range(40)])
    shutil.copytree(tmp_path / "a", tmp_path / "elsewhere")
    names = []
    for folder in ("a", "elsewhere"):
        source = open_source(f"folder:{tmp_path / folder}", split="test")
        assert isinstance(source, FileSource)
        names.append([path.name for path in source.paths])
    assert names[0] == names[1] and 0 < len(names[0]) < 20


def test_size_is_centre_crop_then_antialiased_resize(tmp_path, rng):
    wide = rng.integers(0, 256, (20, 31, 3), dtype=np.uint8)
    save_png(tmp_path / "a.png", wide)
    image = open_source(f"folder:{tmp_path}", size=7)[0]["image"]
    np.testing.assert_array_equal(image, resize(wide[:, 5:25], 7))
    image = open_source(f"folder:{tmp_path}", size=7, crop=10)[0]["image"]
    np.testing.assert_array_equal(image, resize(wide[5:15, 10:20], 7))


def test_empty_and_missing_folders_are_named(tmp_path):
    with pytest.raises(ValueError, match="no images in this folder"):
        open_source(f"folder:{tmp_path}")
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        open_source(f"folder:{tmp_path / 'none'}")


@pytest.mark.parametrize("other", ["test", "val", "valid", "validation"])
def test_train_and_validation_folders_are_the_splits_and_classes_lie_below(tmp_path, images, other):
    for part, n in (("train", 4), (other, 2)):
        for kind in ("dog", "cat"):
            _save_all(tmp_path, images[:n], [f"{part}/{kind}/{k}.png" for k in range(n)])
    train, test, every = (
        open_source(f"folder:{tmp_path}", split=split) for split in ("train", "test", "all")
    )
    assert [len(source) for source in (train, test, every)] == [8, 4, 12]
    assert isinstance(test, FileSource) and test.listed == 12 and test.labels is not None
    for path, label in zip(test.paths, test.labels, strict=True):
        assert path.relative_to(tmp_path).parts[:2] == (other, ("cat", "dog")[label])


def test_split_of_a_folder_stays_wherever_it_lies_and_whatever_is_added(tmp_path, images):
    names = [f"c{k % 2}/{k:03d}.png" for k in range(40)]
    held = []
    for folder, more in (("here", []), ("there", [f"more/{k}.png" for k in range(9)])):
        listed = [*names, *more]
        _save_all(tmp_path / folder, images[:1].repeat(len(listed), 0), listed)
        source = open_source(f"folder:{tmp_path / folder}", split="test")
        assert isinstance(source, FileSource)
        found = {path.relative_to(tmp_path / folder).as_posix() for path in source.paths}
        held.append({name for name in found if not name.startswith("more")})
    assert held[0] == held[1] and 4 <= len(held[0]) <= 16


def test_gray_folders_and_lists_stay_gray_and_mixed_ones_are_rgb(tmp_path, images):
    _save_all(tmp_path / "gray", images[:4, ..., :1], [f"{k}.png" for k in range(4)])
    (tmp_path / "gray.csv").write_text("".join(f"gray/{k}.png\n" for k in range(4)))
    for name in (f"folder:{tmp_path / 'gray'}", f"list:{tmp_path / 'gray.csv'}"):
        np.testing.assert_array_equal(_all(open_source(name))["image"], images[:4, ..., :1])
        assert open_source(name, size=4)[0]["image"].shape == (4, 4, 1)
    _save_all(tmp_path / "gray", images[-1:], ["z.png"])
    mixed = _all(open_source(f"folder:{tmp_path / 'gray'}"))["image"]
    np.testing.assert_array_equal(mixed[:4], np.repeat(images[:4, ..., :1], 3, -1))
    np.testing.assert_array_equal(mixed[4], images[-1])


def test_listed_counts_what_a_split_was_taken_from(tmp_path, rng):
    np.savez(tmp_path / "a.npz", image=rng.integers(0, 256, (40, 4, 4), dtype=np.uint8))
    for name, n in ((f"npz:{tmp_path / 'a.npz'}", 40), ("toy:powerlaw?n=30", 30)):
        source = open_source(name, split="train")
        assert source.listed == n > len(source)  # pyright: ignore[reportAttributeAccessIssue]


# --- path lists -----------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["", "path,label\n"])
def test_list_reads_relative_paths_and_labels(tmp_path, images, header):
    _save_all(tmp_path / "pictures", images[:3], ["a.png", "b, c.png", "d.png"])
    text = header + 'pictures/d.png,7\n\n"pictures/b, c.png",0\npictures/a.png,7\n'
    (tmp_path / "list.csv").write_text(text)
    batch = _all(open_source(f"list:{tmp_path / 'list.csv'}"))
    np.testing.assert_array_equal(batch["image"], images[[2, 1, 0]])
    np.testing.assert_array_equal(batch["label"], [7, 0, 7])


def test_list_numbers_label_names_and_may_have_none(tmp_path, images):
    _save_all(tmp_path, images[:2], ["a.png", "b.png"])
    (tmp_path / "named.csv").write_text("a.png,real\nb.png,fake\n")
    (tmp_path / "plain.csv").write_text("a.png\nb.png\n")
    named = _all(open_source(f"list:{tmp_path / 'named.csv'}"))
    np.testing.assert_array_equal(named["label"], [1, 0])
    assert "label" not in _all(open_source(f"list:{tmp_path / 'plain.csv'}"))


def test_picture_given_as_a_list_is_refused(tmp_path, images):
    save_png(tmp_path / "a.png", images[0])
    with pytest.raises(ValueError, match="a.png: not read as CSV: it is a picture"):
        open_source(f"list:{tmp_path / 'a.png'}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a.png\nnone.png\n", "line 2: no file 'none.png'"),
        ("a.png,1\na.png\n", "line 2: 1 columns"),
        ("a.png,1,2\n", "line 1: 3 columns"),
        ("path\n", "names no image"),
        ("", "names no image"),
    ],
)
def test_faulty_list_is_refused_with_its_line(tmp_path, images, text, says):
    save_png(tmp_path / "a.png", images[0])
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises((ValueError, FileNotFoundError), match=says):
        open_source(f"list:{tmp_path / 'list.csv'}")


# --- IDX ------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_reads_images_and_the_labels_beside_them(tmp_path, images, suffix):
    _idx(tmp_path / f"some-images-idx3-ubyte{suffix}", images[..., 0])
    _idx(tmp_path / f"some-labels-idx1-ubyte{suffix}", np.arange(40, dtype=np.uint8))
    batch = _all(open_source(f"idx:{tmp_path}/some-images-idx3-ubyte{suffix}"))
    np.testing.assert_array_equal(batch["image"], images[..., :1])
    np.testing.assert_array_equal(batch["label"], np.arange(40))


def test_idx_folder_brings_its_own_splits(tmp_path, images):
    _idx(tmp_path / "train-images-idx3-ubyte.gz", images[:30, ..., 0])
    _idx(tmp_path / "t10k-images-idx3-ubyte.gz", images[30:, ..., 0])
    for split, expected in (("train", images[:30]), ("test", images[30:]), ("all", images)):
        batch = _all(open_source(f"idx:{tmp_path}", split=split))
        np.testing.assert_array_equal(batch["image"], expected[..., :1])


def test_damaged_idx_is_refused(tmp_path, images):
    path = tmp_path / "images-idx3-ubyte"
    _idx(path, images[..., 0])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="1455 bytes where .* promises 1456"):
        open_source(f"idx:{path}")
    path.write_bytes(b"hello")
    with pytest.raises(ValueError, match="not an IDX file"):
        open_source(f"idx:{path}")
    path.write_bytes(gzip.compress(b"hello" * 100)[:-20])
    with pytest.raises(ValueError, match="no whole gzip|not an IDX"):
        open_source(f"idx:{path}")
    _idx(path, np.arange(5, dtype=np.uint8))
    with pytest.raises(ValueError, match="array of 1 axes"):
        open_source(f"idx:{path}")


def test_idx_labels_must_be_as_many_as_the_images(tmp_path, images):
    _idx(tmp_path / "images-idx3-ubyte", images[..., 0])
    _idx(tmp_path / "labels-idx1-ubyte", np.arange(39, dtype=np.uint8))
    with pytest.raises(ValueError, match="the 40 examples need 40 integers"):
        open_source(f"idx:{tmp_path / 'images-idx3-ubyte'}")


def test_idx_that_promises_more_than_it_can_hold_is_refused_before_it_is_unpacked(
    tmp_path, monkeypatch
):
    path = tmp_path / "images-idx3-ubyte.gz"
    header = b"\0\0\x08\3" + (2**31).to_bytes(4) * 3
    path.write_bytes(gzip.compress(header + bytes(10_000)))
    monkeypatch.setattr(formats, "gunzip", None)
    with pytest.raises(ValueError, match="whose header promises 9903520314283042199192993808"):
        open_source(f"idx:{path}")
    path.write_bytes(gzip.compress(b"\0\0\x08\xff" + b"\0" * 2000))
    with pytest.raises(ValueError, match="255 axes"):
        open_source(f"idx:{path}")
    monkeypatch.undo()
    # What is longer than its header says is not unpacked to its end.
    path.write_bytes(gzip.compress(b"\0\0\x08\3" + (1).to_bytes(4) * 3 + bytes(10_000)))
    with pytest.raises(ValueError, match="unpacks to more"):
        open_source(f"idx:{path}")


@pytest.mark.parametrize("label", ["2000000000", "10000000000", "65536", "-65536", "9" * 5000])
def test_labels_that_no_classes_are_numbered_by_are_refused_in_one_line(label, tmp_path, images):
    save_png(tmp_path / "a.png", images[0])
    lines = [f"a.png,{i}" for i in range(3)] + [f"a.png,{label}"]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    name = f"list:{tmp_path / 'list.csv'}"
    if len(label) > 20:  # No number that Python reads: names of classes.
        assert open_source(name).label_names[-1] == label
        return
    with pytest.raises(ValueError, match=f"list.csv: a label of {label}, where") as refused:
        open_source(name)
    assert "\n" not in str(refused.value)
    np.savez(tmp_path / "a.npz", x=images[:4], y=np.array([0, 1, 2, int(label)]))
    with pytest.raises(ValueError, match=f"a.npz: .*a label of {label}"):
        open_source(f"npz:{tmp_path / 'a.npz'}")


def test_how_a_list_was_read_is_among_the_facts_of_its_run(tmp_path, images):
    save_png(tmp_path / "é.png", images[0])
    for encoding, read_as in (("utf-8", {}), ("latin-1", {"read_as": "text in Latin-1"})):
        (tmp_path / "list.csv").write_text("é.png,0\n", encoding=encoding)
        source = open_source(f"list:{tmp_path / 'list.csv'}", split="all")
        facts = {"images": 1, "held_out": 0, "left_out": {}, **read_as}
        assert account.facts(source) == account.facts(Rgb(source)) == facts


def test_labels_may_have_gaps_as_a_few_classes_of_many_have(tmp_path, images):
    np.savez(tmp_path / "a.npz", x=images[:3], y=np.array([7, 999, 65535]))
    assert _all(open_source(f"npz:{tmp_path / 'a.npz'}"))["label"].tolist() == [7, 999, 65535]


# --- NumPy archives -------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["image", "images", "x"])
def test_npz_reads_images_under_the_usual_names(tmp_path, images, key):
    np.savez(tmp_path / "a.npz", **{key: images, "y": np.arange(40)})
    batch = _all(open_source(f"npz:{tmp_path / 'a.npz'}"))
    np.testing.assert_array_equal(batch["image"], images)
    np.testing.assert_array_equal(batch["label"], np.arange(40))


def test_npz_of_one_unnamed_gray_array(tmp_path, images):
    np.savez_compressed(tmp_path / "a.npz", images[..., 0])
    source = open_source(f"npz:{tmp_path / 'a.npz'}", split="test")
    rows = rows_of_split(range(40), "test")
    np.testing.assert_array_equal(_all(source)["image"], images[rows][..., :1])


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"image": np.zeros((2, 4, 4, 3), np.float32)}, "must be uint8 .* got float32"),
        ({"image": np.zeros((2, 3, 4, 4), np.uint8)}, "NCHW"),
        ({"pictures": np.zeros((2, 4, 4, 3), np.uint8)}, "it has pictures"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.zeros(3, int)}, "need 2 integers"),
        ({"x": np.array([{}, {}], dtype=object)}, "x holds object values|1 axes"),
    ],
)
def test_unfit_npz_is_refused(tmp_path, arrays, says):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=says):
        open_source(f"npz:{tmp_path / 'a.npz'}")


def test_damaged_npz_is_refused(tmp_path, images):
    np.savez(tmp_path / "a.npz", images)
    data = (tmp_path / "a.npz").read_bytes()
    for bad in (b"", b"text", data[:1000]):
        (tmp_path / "a.npz").write_bytes(bad)
        with pytest.raises(ValueError, match="a.npz: cannot be read"):
            open_source(f"npz:{tmp_path / 'a.npz'}")
    np.save(tmp_path / "a.npy", images)
    with pytest.raises(ValueError, match="no zip archive"):
        open_source(f"npz:{tmp_path / 'a.npy'}")


def test_only_the_images_and_labels_of_an_npz_are_read(tmp_path, images, monkeypatch):
    other = np.array([{}], object)
    np.savez(tmp_path / "a.npz", images=images, arr_0=images, label=np.arange(40), y=other, z=other)
    assert sorted(_all(open_source(f"npz:{tmp_path / 'a.npz'}"))) == ["image", "label"]
    # What is of another shape is not read at all.
    np.savez(tmp_path / "a.npz", images=images.astype(np.float32))
    monkeypatch.setattr(archives, "_array", None)
    with pytest.raises(ValueError, match=r"a.npz: .* got float32 \[40, "):
        open_source(f"npz:{tmp_path / 'a.npz'}")


# --- names ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("samples:photo", "samples:photos"),
        ("sample:digits", "samples:digits"),
        ("foldr:/tmp", "folder:PATH"),
        ("toy:powerlow", "toy:powerlaw"),
        ("tdfs:mnist", "tfds:NAME"),
        ("sample:photos?stride=4", "samples:photos"),
        ("samples photos", "samples:photos"),
    ],
)
def test_unknown_name_lists_the_valid_ones_and_the_closest(name, suggestion):
    with pytest.raises(ValueError, match="unknown source") as caught:
        open_source(name)
    message = str(caught.value)
    assert "npz:FILE.npz" in message and f"Did you mean {suggestion}" in message


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("samples:photos?strid=4", "unknown option 'strid'; it may be reduce, stride"),
        ("samples:photos?stride=x", "option stride must be of type int, got 'x'"),
        ("samples:digits?n=4", "unknown option 'n'; it takes none"),
        ("toy:powerlaw?exponent=steep", "of type float"),
    ],
)
def test_faulty_option_is_refused(name, says):
    with pytest.raises(ValueError, match=says.replace("?", r"\?")):
        open_source(name)


def test_faulty_arguments_are_refused(tmp_path):
    with pytest.raises(ValueError, match="train, test, all"):
        open_source("samples:digits", split="validation")
    with pytest.raises(ValueError, match="size must be at least 1"):
        open_source("samples:digits", size=0)
    with pytest.raises(ValueError, match="crop is not for it"):
        open_source("samples:photos", crop=8)
    with pytest.raises(ValueError, match=f"folder:{tmp_path} for the images"):
        open_source(f"npz:{tmp_path}")


def test_samples_open_by_name_at_a_size():
    photos = open_source("samples:photos?stride=64", size=64, split="test")
    assert photos[0]["image"].shape == (64, 64, 3)
    digits = open_source("samples:digits", size=16, split="test")
    assert _all(digits)["image"].shape[1:] == (16, 16, 1) and 300 < len(digits) < 600
    assert open_source("samples:lfw", crop=21)[3]["image"].shape == (21, 21, 1)


def test_textures_open_by_name_and_their_splits_are_disjoint():
    name = "toy:powerlaw?exponent=1&n=50&seed=3"
    train, test = (_all(open_source(name, size=16, split=s))["image"] for s in ("train", "test"))
    both = np.concatenate([train, test])
    assert both.shape == (50, 16, 16, 3)
    assert len(np.unique(both.reshape(50, -1), axis=0)) == 50
    other = open_source(name.replace("exponent=1", "exponent=2"), size=16)
    assert not (_all(other)["image"][:1] == train[:1]).all()
