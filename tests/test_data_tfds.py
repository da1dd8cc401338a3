"""A small TensorFlow data set is prepared on disk, read, and refused, without TensorFlow."""

import io
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from gan_forensics.data import Batches, account, open_attributes, open_source, take
from gan_forensics.data.tfds import _label_names, read_tfds

tfds = pytest.importorskip("tensorflow_datasets")
if "tensorflow" in sys.modules:
    pytest.skip("TensorFlow was imported before", allow_module_level=True)

N = {"train": 12, "test": 5}


def _pixels(split, index):
    rng = np.random.default_rng((index, len(split)))
    return rng.integers(0, 256, (9, 8, 3), dtype=np.uint8)


def _as_png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


class Dots(tfds.core.GeneratorBasedBuilder):
    """A data set that hands over encoded images, so that preparing needs no TensorFlow."""

    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "picture": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "kind": tfds.features.ClassLabel(names=["even", "odd"]),
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _split_generators(self, _):
        return {split: self._generate_examples(split) for split in N}

    def _generate_examples(self, split):
        for k in range(N[split]):
            yield k, {"picture": _as_png(_pixels(split, k)), "kind": k % 2}


class Faces(Dots):
    """A data set of images with a dictionary of truth values, and one of numbers, like CelebA's."""

    def _info(self):
        features = {
            "landmarks": {"nose": np.int64, "chin": np.int64},
            "image": tfds.features.Image(shape=(9, 8, 3), encoding_format="png"),
            "attributes": {"Young": np.bool_, "Male": np.bool_, "Bald": np.bool_},
        }
        return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

    def _generate_examples(self, split):
        for k in range(N[split]):
            truths = {"Young": k % 2 == 0, "Male": k % 3 == 0, "Bald": False}
            landmarks = {"nose": k, "chin": k}
            yield (
                k,
                {"image": _as_png(_pixels(split, k)), "attributes": truths, "landmarks": landmarks},
            )


class ArrayDots(Dots):
    """The same handing over arrays, which TFDS encodes with TensorFlow."""

    def _generate_examples(self, split):
        for k in range(N[split]):
            yield k, {"picture": _pixels(split, k), "kind": k % 2}


class FarDots(Dots):
    """The same behind a broken network."""

    def _split_generators(self, _):
        raise ConnectionError("no network")


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    Dots(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder


def _rows(images):
    return {image.tobytes() for image in images}


@pytest.mark.parametrize("split", ["train", "test"])
def test_prepared_data_set_reads_back_its_pixels_and_labels(data_dir, split):
    source = open_source(f"tfds:dots?data_dir={data_dir}", split=split)
    batch = take(source, range(len(source)))
    # TFDS shuffles the records when it writes them.
    expected = {_pixels(split, k).tobytes(): k % 2 for k in range(N[split])}
    found = {i.tobytes(): int(k) for i, k in zip(batch["image"], batch["label"], strict=True)}
    assert found == expected
    assert batch["image"].dtype == np.uint8 and batch["label"].dtype == np.int32
    assert "tensorflow" not in sys.modules


def test_a_dictionary_of_truth_values_is_attributes(tmp_path):
    Faces(data_dir=tmp_path, file_format="array_record").download_and_prepare()
    name = f"tfds:faces?data_dir={tmp_path}"
    source = open_attributes(name, attributes=["Male", "Young"], split="train", size=4)
    batch = take(source, range(len(source)))
    assert batch["image"].shape == (N["train"], 4, 4, 3) and batch["attributes"].dtype == np.float32
    whole = take(open_source(name, split="train"), range(len(source)))["image"]
    number = {_pixels("train", k).tobytes(): k for k in range(N["train"])}
    found = np.array([number[image.tobytes()] for image in whole])
    expected = np.stack([found % 3 == 0, found % 2 == 0], 1)
    np.testing.assert_array_equal(batch["attributes"], expected)
    with pytest.raises(ValueError, match="none of 12 images .* are 'Bald'"):
        open_attributes(name, attributes=["Male", "Bald"], split="train")
    with pytest.raises(ValueError, match="no attribute 'Old'; it has .*Young"):
        open_attributes(name, attributes=["Old"])


def test_all_joins_every_split(data_dir):
    assert len(open_source(f"tfds:dots:1.0.0?data_dir={data_dir}")) == sum(N.values())


def test_labels_have_their_names_unless_these_are_numbers(data_dir):
    source = open_source(f"tfds:dots:1.0.0?data_dir={data_dir}", split="train")
    assert source.label_names == ("even", "odd")
    assert account.classes(source) == "classes: even 0, odd 1"
    kinds = {
        "numbers": tfds.features.ClassLabel(num_classes=11),
        "open": tfds.features.ClassLabel(),
    }
    assert (
        _label_names(kinds, "numbers")
        == _label_names(kinds, "open")
        == _label_names(kinds, None)
        == ()
    )


def test_environment_names_the_folder_in_a_fresh_process(data_dir):
    code = "from gan_forensics.data import open_source; print(len(open_source('tfds:dots:test')))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "TFDS_DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stdout.strip() == str(N["test"]), done.stderr


def test_named_part_is_divided_by_our_splits(data_dir):
    name = f"tfds:dots:train[:10]?data_dir={data_dir}"
    every, train, test = (
        take(source, range(len(source)))["image"]
        for source in (open_source(name, split=split) for split in ("all", "train", "test"))
    )
    assert len(every) == 10
    assert _rows(train) | _rows(test) == _rows(every) and not _rows(train) & _rows(test)


def test_records_are_cropped_resized_and_batched(data_dir):
    source = open_source(f"tfds:dots?data_dir={data_dir}", split="train", size=4)
    batches = Batches(source, batch_size=4, seed=0)
    seen = [next(batches) for _ in range(3)]
    assert all(batch["image"].shape == (4, 4, 4, 3) for batch in seen)
    assert len(_rows(np.concatenate([batch["image"] for batch in seen]))) == N["train"]
    batches.close()


def test_oversized_crop_names_the_record(data_dir):
    source = open_source(f"tfds:dots?data_dir={data_dir}", split="test", crop=20)
    with pytest.raises(ValueError, match="tfds:dots:test, record 1: cannot cut a square of 20"):
        source[1]


def test_data_set_whose_code_is_known_is_prepared_when_asked_for(tmp_path):
    source = read_tfds("dots", split="test", data_dir=str(tmp_path))
    assert len(source) == N["test"]


def test_data_set_that_needs_tensorflow_to_prepare_names_the_extra(tmp_path):
    with pytest.raises(RuntimeError, match=r"pip install 'gan_forensics\[prepare\]'") as caught:
        read_tfds("array_dots", split="test", data_dir=str(tmp_path))
    assert "\n" not in str(caught.value)


def test_data_set_that_cannot_be_prepared_says_why(tmp_path):
    with pytest.raises(RuntimeError, match="preparing it failed: ConnectionError: no network"):
        read_tfds("far_dots", split="test", data_dir=str(tmp_path))


def test_data_set_without_random_access_says_how_to_prepare_it(data_dir, tmp_path):
    shutil.copytree(data_dir / "dots", tmp_path / "dots")
    info = tmp_path / "dots" / "1.0.0" / "dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    with pytest.raises(RuntimeError, match="no random access; .*file_format='array_record'"):
        read_tfds("dots", split="test", data_dir=str(tmp_path))


def test_unknown_data_set_says_where_it_looked(tmp_path):
    with pytest.raises(ValueError, match="knows no such data set .*TFDS_DATA_DIR"):
        open_source(f"tfds:no_such_dots?data_dir={tmp_path}")


def test_unknown_split_lists_those_there_are(data_dir):
    says = "the split 'validation' .* data set has (train, test|test, train)"
    with pytest.raises(ValueError, match=says):
        open_source(f"tfds:dots:validation?data_dir={data_dir}")


@pytest.fixture
def sent(data_dir, tmp_path):
    """The data set as a stranger may change it: where it is, its features and its facts."""
    shutil.copytree(data_dir / "dots", tmp_path / "dots")
    folder = tmp_path / "dots" / "1.0.0"
    return tmp_path, folder / "features.json", folder / "dataset_info.json"


def _refused(data_dir, said):
    with pytest.raises(ValueError, match=said):
        read_tfds("dots:1.0.0", split="test", data_dir=str(data_dir))


@pytest.mark.parametrize(
    "features",
    [
        {"type": "stranger.Evil", "content": {}},
        {"pythonClassName": "stranger.Evil", "jsonFeature": {"json": "{}"}},
        {"type": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
         "content": {"a": {"type": "stranger.Evil", "content": {}}}},
        {"pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
         "jsonFeature": {"json": '{"a": {"type": "stranger.Evil", "content": {}}}'}},
        {"pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
         "featuresDict": {"features": {"a": {"pythonClassName": "stranger.Evil",
                                             "jsonFeature": {"json": "{}"}}}}},
    ],
)  # fmt: skip
def test_a_module_that_a_folder_names_is_not_imported(features, sent, monkeypatch):
    folder, described, _ = sent
    (folder / "stranger.py").write_text("open('ran', 'w')\n")
    described.write_text(json.dumps(features))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    _refused(folder, "type stranger.Evil.*nothing is imported")
    assert not (folder / "ran").exists() and "stranger" not in sys.modules
    # Outside of this, TFDS is as it was.
    assert tfds.features.FeatureConnector.cls_from_name.__self__ is tfds.features.FeatureConnector


def test_a_module_beside_the_facts_is_not_imported(sent, monkeypatch):
    folder, _, facts = sent
    (folder / "stranger.py").write_text("open('ran', 'w')\n")
    said = json.loads(facts.read_text()) | {"moduleName": "stranger"}
    facts.write_text(json.dumps(said))
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(str(folder))
    assert len(read_tfds("dots:1.0.0", split="test", data_dir=str(folder))) == N["test"]
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda split: split.update(shardLengths=[str(10**15)]), "10{15} records.*bytes"),
        (lambda split: split.update(shardLengths=["-5"]), "cannot be opened|records|split"),
        (lambda split: split.update(filepathTemplate="../../{DATASET}-{SPLIT}.{FILEFORMAT}"),
         "outside of its folder"),
        (lambda split: split.update(filepathTemplate="/etc/passwd"),
         "outside of its folder|cannot be"),
        (lambda split: split.update(name=[1]), "cannot be opened"),
    ],
)  # fmt: skip
def test_what_a_folder_says_of_its_records_is_not_believed(damage, said, sent):
    folder, _, facts = sent
    whole = json.loads(facts.read_text())
    for split in whole["splits"]:
        damage(split)
    facts.write_text(json.dumps(whole))
    _refused(folder, said)


def test_descriptions_with_links_or_beyond_limits_are_refused(sent):
    folder, described, facts = sent
    whole = facts.read_text()
    facts.write_text("[" * 10_000)
    _refused(folder, "dataset_info.json: .*nested too deep")
    facts.write_text(whole)
    described.write_text('{"type": "tensorflow_datasets.nothing.None"}')
    _refused(folder, "cannot be opened")
    described.unlink()
    described.symlink_to("/etc/hostname")
    _refused(folder, "features.json: it is a link")
