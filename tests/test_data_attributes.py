import numpy as np
import pytest

from gan_forensics.data import account, open_attributes, open_source, save_png, take


@pytest.fixture
def save(tmp_path):
    """Saves gray levels as images of 6x5 at paths below the folder."""

    def at(*names):
        for level, name in enumerate(names):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            save_png(tmp_path / name, np.full((6, 5, 3), 10 * level, np.uint8))

    return at


@pytest.fixture
def listed(tmp_path, save):
    """Writes a list of a.png to d.png, a row for each line."""

    def write(*lines, header="path,Male,Young"):
        save("a.png", "b.png", "c.png", "d.png")
        (tmp_path / "list.csv").write_text("\n".join([header, *lines]) + "\n")
        return f"list:{tmp_path / 'list.csv'}"

    return write


def _levels(batch):
    return batch["image"][:, 0, 0, 0].tolist()


# --- lists --------------------------------------------------------------------------------------


@pytest.mark.parametrize("no", ["0", "-1"])
def test_columns_of_a_list_are_attributes_of_its_images(listed, no):
    name = listed(f"b.png,1,{no}", f"a.png,{no},1", "d.png,1,1", f"c.png,{no},{no}")
    source = open_attributes(name, size=4)
    assert source.attributes == ("Male", "Young") and source.exclusive == ()
    batch = take(source, [0, 1, 2, 3])
    assert _levels(batch) == [10, 0, 30, 20] and batch["image"].shape == (4, 4, 4, 3)
    assert batch["attributes"].dtype == np.float32
    np.testing.assert_array_equal(batch["attributes"], [[1, 0], [0, 1], [1, 1], [0, 0]])


def test_attributes_are_chosen_and_come_in_the_order_of_the_choice(listed):
    name = listed("a.png,x,1,0", "b.png,y,0,1", "c.png,z,0,0", header="path,who,Male,Young")
    source = open_attributes(name, attributes=["Young", "Male"])
    np.testing.assert_array_equal(take(source, [0, 1, 2])["attributes"], [[0, 1], [1, 0], [0, 0]])
    with pytest.raises(ValueError, match=r"who must be 1 or 0 .* name the attributes to use"):
        open_attributes(name)


def test_a_split_of_a_list_keeps_attributes_with_their_images(tmp_path, save):
    names = [f"{k:02d}.png" for k in range(24)]
    save(*names)
    rows = "".join(f"{name},{k % 2}\n" for k, name in enumerate(names))
    (tmp_path / "list.csv").write_text(f"path,odd\n{rows}")
    for split in ("train", "test"):
        source = open_attributes(f"list:{tmp_path / 'list.csv'}", split=split)
        assert 0 < len(source) < 24 and source.listed == 24
        batch = take(source, np.arange(len(source)))
        np.testing.assert_array_equal(
            batch["attributes"][:, 0], batch["image"][:, 0, 0, 0] // 10 % 2
        )
        assert account.taken(source).startswith(f"{len(source)} of 24 images train")
        assert account.fitted(source, 4).endswith("resized to 4x4")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["a.png,1,0", "b.png,0,2"], r"Young must be 1 or 0 .*b\.png: 2\."),
        (["a.png,1,0", "b.png,nan,1"], r"Male must be 1 or 0 .*b\.png: nan"),
        (["a.png,1,0", "b.png,,1"], r"Male .* on 1 of 2: .*b\.png: empty"),
        (["a.png,1,0", "b.png,0,1", "a.png,1,0"], r"more than one row, the first is .*a\.png"),
        (["a.png,1,0", "b.png,0,-1", "c.png,0,1"], "Young is -1 on some rows and 0 on others"),
        (["a.png,1,0", "b.png,1,1"], r"all of 2 images \(split all\) are 'Male'"),
        (["a.png,1,0", "b.png,0,0"], "none of 2 images .* are 'Young'"),
        (["a.png,1,0", "none.png,0,1"], "line 3: no file 'none.png'"),
        (["a.png,1,0", "b.png,0"], "line 3: 2 columns"),
    ],
)
def test_labels_that_do_not_fit_are_refused_with_their_row(listed, lines, says):
    with pytest.raises((ValueError, FileNotFoundError), match=says):
        open_attributes(listed(*lines))


def test_unknown_attribute_is_answered_with_near_ones(listed):
    name = listed("a.png,1,0", "b.png,0,1")
    with pytest.raises(ValueError, match="no attribute 'male'; it has Male, Young. .*mean Male"):
        open_attributes(name, attributes=["male"])
    with pytest.raises(ValueError, match="'Male' is named twice"):
        open_attributes(name, attributes=["Male", "Young", "Male"])


def test_a_list_of_named_labels_has_exclusive_attributes(listed):
    source = open_attributes(listed("a.png,fair", "b.png,dark", "c.png,fair", header="path,label"))
    assert source.attributes == source.exclusive == ("dark", "fair")
    np.testing.assert_array_equal(take(source, [0, 1, 2])["attributes"], [[0, 1], [1, 0], [0, 1]])


# --- folders ------------------------------------------------------------------------------------


def test_subfolders_are_attributes_of_which_an_image_has_one(tmp_path, save):
    save("wood/a.png", "brick/deep/b.png", "grass/c.png", "wood/d.png")
    source = open_attributes(str(tmp_path), size=5)
    assert source.attributes == source.exclusive == ("brick", "grass", "wood")
    batch = take(source, np.arange(4))
    assert _levels(batch) == [10, 20, 0, 30]
    np.testing.assert_array_equal(batch["attributes"], np.eye(3)[[0, 1, 2, 2]])
    some = open_attributes(f"folder:{tmp_path}", attributes=["wood", "brick"])
    np.testing.assert_array_equal(
        take(some, np.arange(4))["attributes"], [[0, 1], [0, 0], [1, 0], [1, 0]]
    )


def test_single_domain_and_images_without_attributes_are_refused(tmp_path, save):
    save("wood/a.png", "wood/b.png")
    with pytest.raises(ValueError, match="one kind of image alone, 'wood'"):
        open_attributes(f"folder:{tmp_path}")
    save("c.png")
    with pytest.raises(ValueError, match="outside of subfolders"):
        open_attributes(f"folder:{tmp_path}")
    with pytest.raises(ValueError, match="samples:lfw has no attributes: give a folder"):
        open_attributes("samples:lfw")


# --- CelebA -------------------------------------------------------------------------------------


@pytest.fixture
def celeba(tmp_path, save):
    """Writes a small CelebA; returns its file of attributes."""
    names = [f"{k:06d}.jpg.png" for k in range(1, 13)]
    save(*(f"img_align_celeba/{name}" for name in names))
    rows = [
        f"{name} {2 * (k % 2) - 1:2d} {2 * (k % 3 == 0) - 1:2d}" for k, name in enumerate(names)
    ]
    path = tmp_path / "list_attr_celeba.txt"
    path.write_text("12\nMale Blond_Hair \n" + "\n".join(rows) + "\n")
    return path


def test_celeba_is_read_as_it_is_unpacked(tmp_path, celeba):
    source = open_attributes(f"celeba:{tmp_path}", attributes=["Blond_Hair", "Male"], size=4)
    batch = take(source, np.arange(12))
    assert _levels(batch) == [10 * k for k in range(12)]
    expected = [[k % 3 == 0, k % 2] for k in range(12)]
    np.testing.assert_array_equal(batch["attributes"], np.array(expected, np.float32))
    parts = [
        {str(path) for path in open_source(f"celeba:{tmp_path}", split=split).paths}  # pyright: ignore
        for split in ("train", "test")
    ]
    assert [len(part) for part in parts] == [9, 3] and not parts[0] & parts[1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text.replace("000003.jpg.png", "000033.jpg.png"), "1 of 12 rows have no im"),
        (lambda text: text.replace("12\n", "11\n").rsplit("\n", 2)[0], "1 of 12 files .* no row"),
        (lambda text: text.replace("12\n", "13\n"), "12 rows, and its first line promises 13"),
        (lambda text: text.replace("000003", "000002"), "line 5: 000002.jpg.png has a row already"),
        (lambda text: text.replace("000003.jpg.png -1", "000003.jpg.png"), "line 5: 1 attributes"),
        (lambda text: text.replace("000003.jpg.png -1", "000003.jpg.png 3"), "Male must be 1 or 0"),
        (lambda text: "path,Male\n" + text, "first line must be the number of images"),
    ],
)
def test_a_damaged_celeba_is_refused(tmp_path, celeba, change, says):
    celeba.write_text(change(celeba.read_text()))
    with pytest.raises(ValueError, match=says):
        open_attributes(f"celeba:{tmp_path}")


def test_a_celeba_without_its_parts_is_refused(tmp_path, celeba):
    with pytest.raises(ValueError, match="is a file; give the folder"):
        open_source(f"celeba:{celeba}")
    with pytest.raises(ValueError, match="no CSV file; write celeba:DIR"):
        open_source(f"list:{celeba}")
    (tmp_path / "img_align_celeba").rename(tmp_path / "faces")
    with pytest.raises(FileNotFoundError, match="the folder of images is missing: images or img_"):
        open_source(f"celeba:{tmp_path}")


# --- toy:domains --------------------------------------------------------------------------------


def test_drawn_domains_have_attributes_and_disjoint_splits():
    train, test = (
        open_attributes("toy:domains?n=60&seed=2", size=16, split=s) for s in ("train", "test")
    )
    assert train.attributes == ("red", "green", "blue", "warm", "striped")
    assert train.exclusive == ("red", "green", "blue")
    images = [take(source, np.arange(len(source)))["image"] for source in (train, test)]
    both = np.concatenate(images)
    assert both.shape == (60, 16, 16, 3) and len(np.unique(both.reshape(60, -1), axis=0)) == 60
    some = open_attributes("toy:domains?n=60", attributes=["striped", "blue"], size=16)
    assert some.exclusive == ("blue",) and some[3]["attributes"].shape == (2,)
