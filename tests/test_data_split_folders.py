"""Split folders told from class folders by their names, and what is said and kept of both."""

import numpy as np
import pytest

from gan_forensics.data import ArraySource, account, open_attributes, open_source, save_png
from gan_forensics.data.labels import without_images
from gan_forensics.data.names import brings_test
from gan_forensics.data.run_data import say_taken
from gan_forensics.data.split_folders import divided, part_of_name

PLACE = "folder"  # It is only named.


def rows(**counts):
    """Paths of so many images in each folder, whose separator is two underscores."""
    return [(*names.split("__"), f"{k}.png") for names, n in counts.items() for k in range(n)]


def of(below, split="train"):
    """The labels of a split, None for images without a class, and what the folders say."""
    kept, labels, found = divided(PLACE, below, split)
    kept = range(len(below)) if kept is None else kept
    return (None if labels is None else labels[kept].tolist()), len(kept), found


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("train", "train"), ("Training", "train"), ("TRAINVAL", "train"), ("train2017", "train"),
        ("training_set", "train"), ("images-train", "train"), ("val", "validation"),
        ("Valid", "validation"), ("dev", "validation"), ("eval", "validation"), ("TEST", "test"),
        ("test1", "test"), ("test images", "test"), ("held-out", "test"),
        ("bullet_train", None), ("trains", None), ("test_tube", None), ("train station", None),
        ("developer", None), ("", None), ("cat", None),
    ],
)  # fmt: skip
def test_words_of_public_data_sets_are_splits_in_any_case(name, part):
    assert part_of_name(name) == part


def test_splits_at_the_top_share_the_classes_below():
    below = rows(Train__dog=3, Train__cat=2, VAL__cat=2, VAL__dog=4)
    labels, n, found = of(below)
    assert (labels, n) == ([1, 1, 1, 0, 0], 5)
    assert of(below, "test")[:2] == ([0, 0, 1, 1, 1, 1], 6)
    assert of(below, "all")[1] == 11
    assert found.splits == {"train": {"Train/": 5}, "test": {"VAL/": 6}}
    assert found.classes == {"cat": 0, "dog": 1} and found.notes == () and not found.numbers


def test_beside_a_test_what_is_called_validation_is_in_neither_split():
    below = rows(train__a=3, val__a=2, dev__a=1, Test__a=4)
    found = of(below)[2]
    assert found.splits == {
        "train": {"train/": 3}, "test": {"Test/": 4}, "neither": {"val/": 2, "dev/": 1}
    }  # fmt: skip
    assert [of(below, split)[1] for split in ("train", "test", "all")] == [3, 4, 10]


@pytest.mark.parametrize(
    ("below", "where", "counts"),
    [
        (rows(cat__train=2, cat__val=1, dog__train=3, dog__val=1), ("*/train/", "*/val/"), (5, 2)),
        (rows(set__train__cat=2, set__test__dog=1), ("set/train/", "set/test/"), (2, 1)),
        (rows(test_set__test_set__cat=2, train__dog=1), ("train/", "test_set/"), (1, 2)),
    ],
)
def test_splits_below_classes_one_folder_or_their_own_name_are_found(below, where, counts):
    found = of(below)[2]
    assert found.splits == {"train": {where[0]: counts[0]}, "test": {where[1]: counts[1]}}
    assert found.classes == {"cat": 0, "dog": 1}


def test_one_class_may_be_divided_and_a_folder_of_one_may_be_called_train():
    found = of(rows(cat__train=2, cat__val=1))[2]
    assert found.splits == {"train": {"*/train/": 2}, "test": {"*/val/": 1}}
    assert found.classes == {"cat": 0}
    for below in (rows(cat__train=1, cat=1, dog=1), rows(gan__train=2, real__train=1)):
        labels, _, found = of(below)
        assert labels == [int(path[0] in ("dog", "real")) for path in below] and not found.splits


def test_a_class_of_a_split_s_own_name_is_one_where_others_are_beside_it():
    found = of(rows(train__train=2, train__bus=1, test__bus=1))[2]
    assert found.classes == {"bus": 0, "train": 1}


@pytest.mark.parametrize(
    ("below", "says"),
    [
        (rows(train__a=2, val__a=1, bird=1), "train/, val/ are splits by .*bird/ beside them is"),
        (rows(test=2, bird=1), "test/ is a split by its name, and bird/ beside it"),
        (rows(train__a=2, bus__a=1), "train/ is a split by its name, and bus/ beside"),
        (rows(train__a=2, bus=1), "train/ is a split by its name, and bus/ beside"),
        (rows(train=2, bus=1, car__red=1), "train/ is a split by its name, and bus/, car/ beside"),
        ([*rows(train__a=2, test__a=1), ("x.png",)], "images in no folder beside them"),
        (rows(cat__train=2, cat__val=1, dog=1), "cat/ is divided .*and dog/ is not: put"),
        (rows(cat__train=2, cat__val=1, cat=1), "cat/ is divided .*and what is in cat/ is not"),
    ],
)
def test_splits_with_others_beside_them_are_refused_but_where_all_images_are_taken(below, says):
    for split in ("train", "test"):
        with pytest.raises(ValueError, match=says):
            of(below, split)
    labels, n, found = of(below, "all")
    assert labels is None and n == len(below) and not found.splits and not found.classes
    assert len(found.notes) == 1 and "No classes are taken" in found.notes[0]


def test_train_without_folders_below_is_a_class_beside_others():
    labels, n, found = of(rows(train=2, bus=1))
    assert labels == [1, 1, 0] and n == 3 and not found.splits
    assert "train/ is taken for a class beside bus/" in found.notes[0]


@pytest.mark.parametrize(("there", "lacks"), [("train", "test"), ("val", "train")])
def test_a_split_that_is_not_there_is_refused_by_name(there, lacks):
    below = rows(**{f"{there}__cat": 2, f"{there}__dog": 1})
    with pytest.raises(FileNotFoundError, match=f"for the split {lacks}, it has {there}/ alone"):
        of(below, lacks)
    other = "train" if there == "train" else "test"
    assert of(below, other)[2].notes == ()
    assert of(below, other)[:2] == ([0, 0, 1], 3) and of(below, "all")[1] == 3


def test_a_split_without_classes_has_no_labels_and_takes_none_from_the_other():
    below = rows(train__cat=1, train__dog=1, test=3)
    assert of(below)[0] == [0, 1]
    labels, n, found = of(below, "test")
    assert labels is None and n == 3
    assert found.notes[0].startswith("no labels: 3 of 3 images lie in no folder of a class, the fi")
    assert found.notes[0].endswith("test/0.png")
    stray = [*rows(a=2, b=1), ("x.png",)]
    assert of(stray)[0] is None and "1 of 4 images" in of(stray)[2].notes[0]
    assert of(rows(train2017=2, val2017=1))[2].notes == ()


def test_a_class_of_one_split_alone_is_said():
    below = rows(train__cat=1, val__cat=1, val__horse=1)
    assert of(below)[2].notes == ("classes of one split alone: horse (val/)",)
    assert of(below)[2].classes == {"cat": 0, "horse": 1}


def test_folders_that_are_whole_numbers_are_their_labels():
    labels, _, found = of(rows(**{str(k): 1 for k in range(11)}))
    assert labels == [*range(11)] and found.numbers
    labels, _, found = of(rows(**{"10": 1, "007": 2, "3": 1}))
    assert labels == [10, 7, 7, 3] and found.classes == {"007": 7, "10": 10, "3": 3}
    below = rows(train__10=1, train__2=1, test__10=1)
    assert of(below)[0] == [10, 2] and of(below, "test")[0] == [10]


@pytest.mark.parametrize(
    "names", [("7", "007"), ("20230101", "3"), ("65536", "1"), ("1", "a"), ("²", "1"), ("٣", "1")]
)
def test_other_names_are_classes_in_alphabetical_order(names):
    _, _, found = of(rows(**dict.fromkeys(names, 1)))
    assert not found.numbers and [*found.classes] == sorted(names)
    assert [*found.classes.values()] == [0, 1]
    assert of(rows(**{"65535": 1, "1": 1}))[2].numbers


@pytest.fixture
def save(tmp_path):
    def at(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            save_png(tmp_path / name, np.zeros((4, 4, 1), np.uint8))
        return f"folder:{tmp_path}"

    return at


def test_training_says_and_keeps_where_images_went_and_what_labels_stand_for(save):
    name = save("Train/cat/0.png", "Train/dog/0.png", "val/cat/0.png", "test/cat/0.png")
    source, said = open_source(name, split="train"), []
    assert source.label_names == ("cat", "dog") and brings_test(name, source)
    say_taken(name, source, None, said.append)
    assert said == [
        f"{name}: splits: train 2 of Train/, test 1 of test/, 1 of val/ in neither; taken are 2 of "
        "4",
        f"{name}: 2 of 4 images train, 2 are held out (--split all takes everything)",
        f"{name}: all files are gray: images of one channel",
        f"{name}: classes: cat 0, dog 1",
        f"{name}: classes of one split alone: dog (Train/)",
    ]
    facts = account.facts(source)
    assert facts["splits"]["neither"] == {"val/": 1} and facts["classes"] == {"cat": 0, "dog": 1}
    assert facts["notes"] == ("classes of one split alone: dog (Train/)",)


def test_numbers_of_folders_are_said_with_the_gaps_between_them(save):
    source = open_source(save("1/0.png", "3/0.png", "10/0.png"))
    assert source.label_names == () and source.labels.tolist() == [1, 10, 3]
    said = (
        "classes are the numbers of their folders, 1 to 10; none is called 0, 2, 4, 5, 6, 7, 8, 9"
    )
    assert account.classes(source) == said
    assert account.splits(source) == "" and not brings_test("folder:x", source)
    assert account.folders(source) == {"classes": {"1": 1, "3": 3, "10": 10}}
    plain = ArraySource(image=np.zeros((2, 4, 4, 1), np.uint8), label=np.arange(2))
    assert account.classes(plain) == account.splits(plain) == "" and account.folders(plain) == {}


def test_folders_of_numbers_are_attributes_under_their_names(save):
    source = open_attributes(save("02/0.png", "9/0.png", "10/0.png"))
    assert source.attributes == ("02", "9", "10")
    assert [source[row]["attributes"].argmax() for row in range(3)] == [0, 2, 1]


def test_labels_of_a_list_are_on_every_line_and_two_words_are_two_classes(save, tmp_path):
    save("a.png", "b.png", "c.png")
    name = f"list:{tmp_path / 'list.csv'}"

    def labels(*of):
        lines = [f"{image}.png,{label}" for image, label in zip("abc", of, strict=True)]
        (tmp_path / "list.csv").write_text("\n".join(lines))
        source = open_source(name, split="all")
        return source.labels.tolist(), source.label_names

    assert labels("1", "2", "1") == ([1, 2, 1], ()) and labels("01", "2", "01") == ([1, 2, 1], ())
    assert labels("01", "1", "2") == ([0, 1, 2], ("01", "1", "2"))  # as for folders
    for empty, words in ((("x", "", ""), "2 of 3"), (("1", "2", ""), "1 of 3")):
        with pytest.raises(ValueError, match=f"list.csv: {words} images have no label, the first"):
            labels(*empty)


def test_files_that_a_list_names_twice_are_counted(save, tmp_path):
    save("a.png", "b.png", "c.png")
    name = f"list:{tmp_path / 'list.csv'}"
    for lines, split, says in (
        (["a.png,0,train", "b.png,0,test"], "train", ()),
        (["a.png,0,train", "b.png,0,test", "./a.png,0,test"], "train", "1 of them in several sp"),
        (["a.png,0,train", "b.png,0,test", "./a.png,0,test"], "all", "the first is a.png"),
        (["a.png,0,train", "b.png,0,test", "a.png,1,train"], "test", "1 with different labels"),
    ):
        (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *lines]))
        notes = account.notes(open_source(name, split=split))
        assert len(notes) == bool(says) and (
            not says or notes[0].endswith(says) or says in notes[0]
        )
    (tmp_path / "list.csv").write_text("a.png\nb.png\na.png\n")
    source = open_source(name, split="all")
    assert account.facts(source)["notes"] == (
        "1 files are named more than once, the first is a.png",
    )
    assert account.splits(source) == account.classes(source) == ""


def test_a_column_of_splits_of_a_list_divides_it(save, tmp_path):
    save("a.png", "b.png", "c.png")
    lines = ["path,label,Split,who", "a.png,x,Train,1", "b.png,y,VAL,2", "c.png,x,Train,3"]
    (tmp_path / "list.csv").write_text("\n".join(lines))
    name = f"list:{tmp_path / 'list.csv'}"
    train, test = (open_source(name, split=split) for split in ("train", "test"))
    assert train.labels.tolist() == [0, 0] and test.labels.tolist() == [1]
    assert train.columns == {"who": ["1", "3"]} and brings_test(name, train)
    assert account.splits(test) == "splits: train 2 of Train, test 1 of VAL; taken are 1 of 3"
    assert account.folders(test)["classes"] == {"x": 0, "y": 1}
    (tmp_path / "list.csv").write_text("\n".join([*lines, "a.png,x,,4"]))
    with pytest.raises(ValueError, match="a.png has '' as its split: write train, val or test"):
        open_source(name)
    (tmp_path / "list.csv").write_text("path,split\na.png,test\nb.png,test\n")
    with pytest.raises(FileNotFoundError, match="test alone: add what is missing, or call the col"):
        open_source(name, split="train")
    # Other words make it any other column.
    (tmp_path / "list.csv").write_text("\n".join(line.replace("VAL", "b").replace("Train", "a")
                                                 for line in lines))  # fmt: skip
    assert open_source(name).columns["split"] == ["a", "b", "a"]


def test_classes_without_training_images_are_named():
    assert "classes dog of 2: add images" in without_images([1], 2, ("cat", "dog"))
    assert "classes [0] of 3: number the classes" in without_images([0], 3, ())
