import json

import numpy as np
import pytest
from PIL import Image

from gan_forensics.data import open_attributed, take
from gan_forensics.data.attributed import LISTS


@pytest.fixture
def tree(tmp_path):
    """Writes small images, each of one gray level, at paths below the folder."""

    def write(*paths, level=100):
        for path in paths:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((4, 4, 3), level, np.uint8)).save(tmp_path / path)
        return tmp_path

    return write


def written(folder, *lines, header="path,label,dlabel", name="images.csv"):
    file = folder / name
    file.write_text("\n".join((header, *lines)) + "\n")
    return f"list:{file}"


# --- folders ------------------------------------------------------------------------------------


def test_folders_say_source_semantic_and_instance(tree):
    folder = tree("real/dogs/a.png", "sngan/cats/1/b.png", "dcgan/dogs/0/c.png", "dcgan/d.png")
    images = open_attributed(f"folder:{folder}")
    assert images.names == ("dcgan", "real", "sngan") and images.real == "real"
    assert images.labels.tolist() == [0, 0, 1, 2]
    assert images.semantics == ("", "dogs", "dogs", "cats")
    assert images.instances == ("", "0", "", "1")
    assert take(images.source, [0, 3])["label"].tolist() == [0, 2]


def test_a_part_keeps_the_names_and_what_is_real(tree):
    folder = tree("real/dogs/a.png", level=7)
    tree("dcgan/cats/0/b.png", "dcgan/cats/1/c.png", level=200)
    images = open_attributed(str(folder))
    for rows in ([2, 1], np.array([False, True, True])):
        part = images.part(rows)
        assert (part.names, part.real) == (images.names, "real")
    part = images.part([2, 1])
    assert (part.semantics, part.instances) == (("dogs", "cats"), ("", "1"))
    assert [int(part.source[i]["image"][0, 0, 0]) for i in (0, 1)] == [7, 200]
    assert part.labels.tolist() == [1, 0] and len(images.part([]).source) == 0
    with pytest.raises(ValueError, match="mask"):
        images.part(np.array([True, False]))


def test_what_is_real_is_told_or_asked_about(tree):
    folder = tree("camera/x/a.png", "gan/x/b.png")
    assert open_attributed(str(folder), real_is="camera").real == "camera"
    with pytest.raises(ValueError, match=r"none of them is a word .*: camera, gan; .*--real-is"):
        open_attributed(str(folder))
    with pytest.raises(ValueError, match="no source is called 'photos'; there are camera, gan"):
        open_attributed(str(folder), real_is="photos")
    tree("real/x/a.png", "Photos/x/b.png")
    with pytest.raises(ValueError, match="which source is real\\? 2 of them"):
        open_attributed(str(folder))


@pytest.mark.parametrize(
    "paths, words",
    [
        (("real/a.png",), "one source alone, 'real'"),
        (("a.png", "real/b.png"), "a.png: images lie in SOURCE/SEMANTIC/INSTANCE"),
        (("real/a/b/c/d.png", "gan/a.png"), "d.png: images lie in SOURCE/SEMANTIC/INSTANCE"),
        (("train/real/a.png", "test/real/b.png"), "test, train are splits, not sources"),
        (("VAL/a.png",), "VAL are splits, not sources"),
        (("Train/a.png", "dev/a.png", "real/a.png"), "Train, dev are splits, not sources"),
        (("real/train/a.png", "gan/TEST/a.png"), "SOURCE/TEST, train are splits, not semantics"),
    ],
)
def test_other_layouts_are_refused(tree, paths, words):
    with pytest.raises(ValueError, match=words):
        open_attributed(str(tree(*paths)))


# --- lists --------------------------------------------------------------------------------------


def test_a_published_list_is_read_by_its_first_folders(tree):
    folder = tree("natural/1.png", "stylegan/x/2.png", "progan/3.png")
    images = open_attributed(
        written(folder, "stylegan/x/2.png,2,0", "natural/1.png,0,3", "progan/3.png,1,0")
    )
    assert images.names == ("natural", "progan", "stylegan") and images.real == "natural"
    assert images.labels.tolist() == [2, 0, 1] and images.semantics == ("0", "3", "0")
    assert images.instances == ("", "", "")
    header = "path,label,dlabel,semantic,instance"
    named = written(folder, "natural/1.png,0,3,cats,", "progan/3.png,1,0,dogs,7", header=header)
    images = open_attributed(named)
    assert (images.semantics, images.instances) == (("cats", "dogs"), ("", "7"))


def test_the_order_of_lines_and_folders_says_nothing(tree):
    lines = ["b/1.png,0,0", "a/2.png,1,0", "c/3.png,2,0"]
    folder = tree("b/1.png", "a/2.png", "c/3.png")
    for order in (lines, lines[::-1]):
        images = open_attributed(written(folder, *order))
        assert images.names == ("b", "a", "c") and images.real == "b"
        named = [images.names[label] for label in images.labels]
        assert named == [line[0] for line in order]


def test_broken_paths_are_named_all_at_once_with_their_lines(tree):
    folder = tree("real/a.png", "gan/b.png")
    lines = ["real/a.png,0,0", "real/lost.png,0,0", "gan/b.png,1,0", "gan/gone.png,1,0"]
    with pytest.raises(FileNotFoundError) as error:
        open_attributed(written(folder, *lines))
    assert "2 files are missing" in str(error.value)
    assert "line 3: real/lost.png; line 5: gan/gone.png" in str(error.value)
    with pytest.raises(FileNotFoundError, match="30 files .* line 13: real/10.png; and 18 more$"):
        open_attributed(written(folder, *(f"real/{i - 1}.png,0,0" for i in range(30))))


@pytest.mark.parametrize(
    "lines, words",
    [
        (("real/a.png,0,0", "gan/b.png,-1,0"), r"1 labels that .* line 3: label -1"),
        (("real/a.png,zero,0", "gan/b.png,1.0,0"), r"2 labels that are no whole numbers"),
        (("real/a.png,0,x", "gan/b.png,1,0"), r"line 2: label '0', dlabel 'x'"),
        (("real/a.png,0,0", "gan/b.png,7,0"), r"line 3: label 7 is out of range: 2 sources"),
        (("real/a.png,0,0", "gan/b.png,0,0"), r"line 3: label 0 is 'real', and here 'gan'"),
        (("real/a.png,0,0", "gan/b.png,1,0", "gan/b.png,2,0"), r"'gan' has label 1, and here 2"),
        (("gan/b.png,1,0",), r"no real source: label 0, which is real, is on no line"),
        (("real/a.png,0,0",), r"one source alone, 'real'"),
        (("gan/b.png,0,0", "real/a.png,1,0"), r"label 0 is real, and it is 'gan', while 'real'"),
        (("real/a.png,0,0", "gan/b.png,1"), r"lines of other than 3 columns: line 3: 2 columns"),
        (("real/a.png,0,0", "../b.png,1,0"), r"do not begin with a source's folder: line 3"),
        ((), "names no image"),
    ],
)
def test_lists_that_contradict_themselves_are_refused(tree, lines, words):
    with pytest.raises(ValueError, match=words):
        open_attributed(written(tree("real/a.png", "gan/b.png"), *lines))


def test_other_lists_are_refused(tree):
    folder = tree("real/a.png", "gan/b.png")
    with pytest.raises(ValueError, match="first line must name the columns"):
        open_attributed(written(folder, "gan/b.png,1,0", header="real/a.png,0,0"))
    with pytest.raises(FileNotFoundError, match="no such file"):
        open_attributed(f"list:{folder}/none.csv")
    with pytest.raises(ValueError, match=r"write folder:"):
        open_attributed(f"list:{folder}")
    swapped = written(folder, "gan/b.png,0,0", "real/a.png,1,0")
    assert open_attributed(swapped, real_is="real").real == "real"


def test_a_semantic_has_one_number(tree):
    folder, header = tree("real/a.png", "gan/b.png"), "path,label,dlabel,semantic"
    for second in ("gan/b.png,1,1,dogs", "gan/b.png,1,0,cats"):
        with pytest.raises(ValueError, match="a semantic of two dlabels, or a dlabel of two"):
            open_attributed(written(folder, "real/a.png,0,0,dogs", second, header=header))


# --- benchmarks ---------------------------------------------------------------------------------


@pytest.fixture
def benchmark(tree):
    folder = tree("real/dogs/a.png", "gan/dogs/0/b.png", "real/cats/c.png", "gan/cats/0/d.png")
    header = "path,label,dlabel,semantic,instance"
    seen = ("real/dogs/a.png,0,0,dogs,", "gan/dogs/0/b.png,2,0,dogs,0")
    lines = {"train": seen, "val": seen, "test": ("gan/cats/0/d.png,2,1,cats,0",)}
    for name in LISTS:
        written(folder, *lines[name], header=header, name=f"{name}.csv")

    def describe(**changes):
        facts = {"names": ["real", "other", "gan"], "real": "real", "seen": ["dogs"]}
        (folder / "benchmark.json").write_text(json.dumps({**facts, "unseen": ["cats"], **changes}))
        return str(folder)

    describe()
    return folder, describe


def test_a_benchmark_names_the_sources_of_every_split_alike(benchmark):
    folder, _ = benchmark
    test = open_attributed(f"folder:{folder}", split="test")
    assert test.names == ("real", "other", "gan") and test.labels.tolist() == [2]
    assert (test.semantics, test.instances) == (("cats",), ("0",))
    assert len(open_attributed(str(folder)).labels) == 5
    with pytest.raises(ValueError, match="a benchmark has train, val, test"):
        open_attributed(str(folder), split="tset")
    with pytest.raises(ValueError, match="a list is one split"):
        open_attributed(f"list:{folder}/test.csv", split="test")


def test_semantics_are_seen_or_unseen(benchmark):
    _, describe = benchmark
    with pytest.raises(ValueError, match=r"benchmark\.json: dogs: seen in training and unseen"):
        open_attributed(describe(unseen=["cats", "dogs"]))
    with pytest.raises(ValueError, match=r"train\.csv: dogs: seen in training and unseen"):
        open_attributed(describe(seen=[], unseen=["cats", "dogs"]))


@pytest.mark.parametrize("changes", [{"names": 3}, {"real": "photos"}, {"names": ["real", 1]}])
def test_what_is_no_benchmark_is_refused(benchmark, changes):
    with pytest.raises(ValueError, match="not written by `benchmark build`"):
        open_attributed(benchmark[1](**changes))


def test_labels_beyond_the_names_of_a_benchmark_are_refused(benchmark):
    with pytest.raises(ValueError, match=r"out of range \(0 to 1\): line 3: label 2"):
        open_attributed(benchmark[1](names=["real", "gan"]))


def test_splits_are_of_benchmarks(tree):
    with pytest.raises(ValueError, match="there is no benchmark.json in it"):
        open_attributed(str(tree("real/a.png", "gan/b.png")), split="test")


def test_images_of_a_list_that_are_links_out_of_its_folder_are_refused(tree, tmp_path_factory):
    folder = tree("real/a.png", "gan/b.png")
    away = tmp_path_factory.mktemp("away") / "b.png"
    (folder / "gan" / "b.png").rename(away)
    (folder / "gan" / "b.png").symlink_to(away)
    name = written(folder, "real/a.png,0,0", "gan/b.png,1,0")
    with pytest.raises(ValueError, match="--follow-links"):
        open_attributed(name)
    assert len(open_attributed(name, follow_links=True).labels) == 2
