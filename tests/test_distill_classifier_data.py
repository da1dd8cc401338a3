"""The images of a classifier by their use, and data and settings that cannot be."""

from typing import Any

import numpy as np
import pytest

from gan_forensics.data import ImageError, account, open_source, save_png, take
from gan_forensics.data.labels import all_labels
from gan_forensics.distill import ClassifierConfig, classifier_data, train_classifier
from gan_forensics.distill.classifier_data import open_parts
from tests.small_classifiers import CLASSES, tiny, toy


def opened(config, **options) -> tuple[Any, Any]:
    return open_parts(config, **options)


def images_of(source):
    return {image.tobytes() for image in take(source, range(len(source)))["image"]}


def test_no_image_trains_chooses_and_tests(tmp_path):
    config, parts = opened(tiny(toy(tmp_path / "a.npz"), validation=0.25))
    train, validation, test = map(images_of, (parts.train, parts.validation, parts.test))
    assert not train & validation and not train & test and not validation & test
    assert len(train | validation | test) == 96
    assert len(validation) == round(0.25 * (96 - len(test)))
    assert parts.facts["train"] == len(train) and parts.facts["test"] == len(test)
    assert (config.classes, config.channels, config.size) == (CLASSES, 1, 8)
    again = opened(tiny(config.data, validation=0.25, seed=1))[1]
    assert images_of(again.test) == test and images_of(again.validation) != validation


def test_epochs_that_the_test_images_choose_leave_nothing_for_validation(tmp_path):
    said = []
    config = tiny(toy(tmp_path / "a.npz"), select_on="test")
    parts = opened(config, say=said.append)[1]
    assert parts.validation is None and len(parts.train) + len(parts.test) == 96
    assert config.metric == "test/error" and any("0 choose the epoch" in line for line in said)


def test_all_images_train_or_another_source_tests(tmp_path):
    data, other = toy(tmp_path / "a.npz"), toy(tmp_path / "b.npz", n=20, seed=1)
    assert opened(tiny(data, split="all"))[1].test is None
    parts = opened(tiny(data, test=other))[1]
    assert len(parts.test) == 20 and len(parts.train) + len(parts.validation) == 96
    assert parts.facts["test_is"] == f"all images of {other}"


def test_whose_the_test_split_is_is_said(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "test"):
        for label in ("cat", "dog"):
            for k in range(3):
                pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
                save_png(tmp_path / "own" / split / label / f"{k}.png", pixels)
    config, parts = opened(tiny(f"folder:{tmp_path / 'own'}"))
    assert parts.facts["test_is"] == "the test split of the data" and len(parts.test) == 6
    assert config.label_names == ("cat", "dog") and config.channels == 3
    parts = opened(tiny("samples:digits"))[1]
    assert parts.facts["test_is"] == "about a quarter, held out by a hash"
    # Files of MNIST's format for training alone.
    (tmp_path / "idx").mkdir()
    for name, array in (("images-idx3", np.zeros((40, 8, 8))), ("labels-idx1", np.arange(40) % 2)):
        head = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
        (tmp_path / "idx" / f"train-{name}-ubyte").write_bytes(head + array.astype("u1").tobytes())
    parts = opened(tiny(f"idx:{tmp_path / 'idx'}"))[1]
    assert "since there is no test split" in parts.facts["test_is"]
    assert len(parts.train) + len(parts.validation) + len(parts.test) == 40
    assert 4 < len(parts.test) < 16


def test_images_are_augmented_by_their_size_unless_that_is_asked_for(tmp_path):
    said = []
    config, parts = opened(tiny(toy(tmp_path / "a.npz")), say=said.append)
    assert config.augment == "none" and parts.transform is None
    assert any("augmentation of training images: none" in line for line in said)
    config, parts = opened(tiny(config.data, size=64, batch_size=8))
    assert (config.augment, config.resize) == ("imagenet", 73) and parts.transform is not None
    assert parts.train[0]["image"].shape == (73, 73, 1)
    assert parts.test[0]["image"].shape == parts.validation[0]["image"].shape == (64, 64, 1)
    config, parts = opened(tiny(config.data, size=16, resize=20, augment="cub"))
    batch = {"image": np.zeros((2, 20, 20, 1), np.float32)}
    drawn = parts.transform.draw(np.random.default_rng(0), np.arange(2))
    assert parts.transform.apply(batch, drawn)["image"].shape == (2, 16, 16, 1)


def test_schedules_are_those_of_the_paper_in_shares_of_the_epochs(tmp_path):
    data = toy(tmp_path / "a.npz")
    for epochs, student, expected in (
        (90, False, (30, 0)),
        (200, True, (80, 5)),
        (2, True, (1, 0)),
    ):
        config = opened(tiny(data, epochs=epochs), student=student)[0]
        assert (config.decay_every, config.warm_up) == expected


# --- what cannot be -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing is a share of at least 0 and below 1, got 1.0"),
        ({"label_smoothing": -0.1}, "label_smoothing"),
        ({"label_smoothing": float("nan")}, "label_smoothing"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate must be positive"),
        ({"weight_decay": -1.0}, "weight_decay must be 0 or more"),
        ({"validation": 1.0}, "validation is a share"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"split": "all", "select_on": "test"}, "split all holds out none"),
        ({"split": "all", "test": "samples:digits"}, "leave split out"),
        ({"size": 8, "resize": 6}, "give a size to crop, at most as large"),
        ({"size": 8, "resize": 9, "augment": "flip"}, "augment flip has none"),
    ],
)
def test_settings_out_of_range_are_refused(given, says):
    with pytest.raises(ValueError, match=says):
        ClassifierConfig(**given)


def test_data_that_cannot_train_a_classifier_are_refused(tmp_path):
    def refused(config, says):
        with pytest.raises(ValueError, match=says):
            train_classifier(config, tmp_path / "run")

    gaps = toy(tmp_path / "gaps.npz", labels=np.repeat([0, 2], 30))
    refused(tiny(gaps), r"no training image of the classes \[1\] of 3")
    refused(tiny(toy(tmp_path / "one.npz", labels=np.zeros(40, int))), "one class alone")
    refused(tiny(toy(tmp_path / "minus.npz", labels=np.arange(40) % 3 - 1)), "labels from -1")
    good, more = toy(tmp_path / "a.npz"), toy(tmp_path / "b.npz", labels=np.arange(40) % 5)
    refused(tiny(good, test=more), "labels from 0 to 4, those that train 0 to 3")
    refused(tiny(good, classes=3), "has 4 classes, the config 3")
    refused(tiny(good, arch="resnet19"), "unknown arch 'resnet19'")
    refused(tiny(good, arch="resnet50"), "resnet50 has its own width")
    refused(tiny("toy:powerlaw?n=20"), "a classifier needs images with labels")
    np.savez(tmp_path / "wide.npz", image=np.zeros((20, 8, 9), np.uint8), label=np.arange(20) % 2)
    refused(tiny(f"npz:{tmp_path / 'wide.npz'}"), "images of 8x9: give a size")
    refused(tiny(good, test="samples:lfw"), r"\[25, 25, 1\] .* those that train \[8, 8, 1\]")
    refused(tiny(good, batch_size=256), "fewer than one batch")
    assert not (tmp_path / "run").exists()


def test_files_that_cannot_be_read_stop_or_are_left_out_of_all_parts(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    for k in range(40):
        pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
        save_png(tmp_path / "data" / "ab"[k % 2] / f"{k}.png", pixels)
    config = tiny(f"folder:{tmp_path / 'data'}")
    halves: list[Any] = [open_source(config.data, split=split) for split in ("train", "test")]
    bad = [half.paths[0] for half in halves]
    for path in bad:
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ImageError, match=r"\.png: damaged or truncated"):
        opened(config)
    for in_memory in (2**29, 0):  # Labels are those of the rows that are left in both cases.
        monkeypatch.setattr(classifier_data, "IN_MEMORY", in_memory)
        said = []
        parts = opened(config, on_bad_image="skip", say=said.append)[1]
        both = [parts.train, parts.validation, parts.test]
        names = [path for part in both for path in map(part.describe, range(len(part)))]
        assert len(set(names)) == 38 == len(names) and not set(names) & set(map(str, bad))
        for part in both:
            labels = [int(part[k]["label"]) for k in range(len(part))]
            assert labels == ["/b/" in part.describe(k) for k in range(len(part))]
            assert all_labels(part).tolist() == labels
        facts = parts.facts["images_left_out"]
        assert [of["unread"]["count"] for of in facts.values()] == [1, 1]
        assert sum("left out (they cannot be read)" in line for line in said) == len(facts)
        # What the folder says is kept although pixels are in memory.
        assert account.facts(parts.listed)["classes"] == {"a": 0, "b": 1}
    assert (
        "images_left_out" not in opened(tiny(toy(tmp_path / "c.npz")), on_bad_image="skip")[1].facts
    )
