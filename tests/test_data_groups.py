"""Which images belong together: by folder level and by the column of a list."""

import numpy as np
import pytest

from gan_forensics.data import ArraySource, open_source, save_png
from gan_forensics.data.groups import groups_of


@pytest.fixture
def folder(tmp_path):
    for name in ("a/x/1.png", "a/y/2.png", "b/x/3.png"):
        save_png(tmp_path / "images" / name, np.zeros((4, 4, 3), np.uint8))
    return tmp_path / "images"


def test_a_level_is_a_folder_below_the_source(folder):
    source = open_source(str(folder))
    assert groups_of(source, "1") == ["a", "a", "b"]
    # Folders of one name in two folders are two groups.
    assert groups_of(source, "2") == ["a/x", "a/y", "b/x"]
    with pytest.raises(ValueError, match="level 3: .*1.png lies in 2 folders below"):
        groups_of(source, "3")
    for wrong in ("0", "-1", "photo"):
        with pytest.raises(ValueError, match="give a level, 1 for the first folder"):
            groups_of(source, wrong)


def test_images_in_no_folders_may_be_groups_of_their_own(folder):
    for by in ("1", "photo"):  # Photographs may be in a list, with a column.
        found = groups_of(open_source(str(folder / "a" / "x")), by, flat=True)
        assert found == [str(folder / "a" / "x" / "1.png")]
    # Where some lie in folders, those that do not are a mistake.
    save_png(folder / "4.png", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="4.png lies in 0 folders below"):
        groups_of(open_source(str(folder)), "1", flat=True)


def test_a_column_of_a_list_is_in_the_order_of_its_images(folder):
    file = folder / "list.csv"
    file.write_text("path,photo,label\na/x/1.png,p1,0\nb/x/3.png,p2,1\na/y/2.png,p1,1\n")
    source = open_source(f"list:{file}")
    assert groups_of(source, "photo") == ["p1", "p2", "p1"]
    assert source.labels.tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match="no such column; it has photo"):
        groups_of(source, "scene")
    file.write_text("path,photo\na/x/1.png,\nb/x/3.png,p2\n")
    with pytest.raises(ValueError, match="1 images have no 'photo', the first is .*1.png"):
        groups_of(open_source(f"list:{file}"), "photo")
    file.write_text("path,photo,photo\na/x/1.png,p1,p1\n")
    with pytest.raises(ValueError, match="two columns are called 'photo'"):
        open_source(f"list:{file}")


def test_a_split_of_a_list_keeps_the_groups_of_its_images(tmp_path):
    names = [f"{i}.png" for i in range(40)]
    for name in names:
        save_png(tmp_path / name, np.zeros((2, 2, 3), np.uint8))
    (tmp_path / "list.csv").write_text("path,g\n" + "".join(f"{n},g{n}\n" for n in names))
    for split in ("train", "test"):
        source = open_source(f"list:{tmp_path / 'list.csv'}", split=split)
        assert 0 < len(source) < 40
        assert groups_of(source, "g") == [f"g{path.name}" for path in source.paths]


def test_arrays_have_no_groups():
    source = ArraySource(image=np.zeros((2, 4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="need a folder or a list"):
        groups_of(source, "1")
