import numpy as np
import pytest

from gan_forensics.data import ArraySource, Rows
from gan_forensics.data.labels import all_labels, known_labels
from gan_forensics.data.tfds import TfdsSource


class Records(list):
    """Records whose images must not be looked at."""

    def __getitem__(self, index):
        return {"label": super().__getitem__(index)}


def test_labels_of_arrays_and_of_rows_of_them_are_known(rng):
    image, label = rng.integers(0, 9, (5, 2, 2, 1), np.uint8), np.array([3, 1, 4, 1, 5])
    source = ArraySource(image=image, label=label)
    np.testing.assert_array_equal(known_labels(source), label)
    assert known_labels(Rows(source, [4, 0])).tolist() == [5, 3]


def test_labels_that_only_examples_hold_are_read():
    class Examples:
        def __len__(self):
            return 3

        def __getitem__(self, index):
            return {"label": np.int32(7 + index)}

    rows = Rows(Examples(), [2, 0])
    assert known_labels(rows) is None and all_labels(rows).tolist() == [9, 7]


def test_labels_of_tensorflow_data_sets_are_read_without_decoding_images():
    source = TfdsSource(Records([7, 8, 9]), np.array([2, 0]), "image", "label", 3, "tfds:x", {})
    assert known_labels(source) is None and all_labels(source).tolist() == [9, 7]


def test_a_source_without_labels_is_refused(rng):
    with pytest.raises(ValueError, match="no labels"):
        all_labels(ArraySource(image=rng.integers(0, 9, (5, 2, 2, 1), np.uint8)))


def test_labels_of_tensorflow_data_sets_number_classes():
    source = TfdsSource(
        Records([7, np.int64(2**40)]), np.array([0, 1]), "image", "label", 3, "tfds:x", {}
    )
    with pytest.raises(ValueError, match=f"tfds:x: a label of {2**40}"):
        all_labels(source)
