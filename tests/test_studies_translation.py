import numpy as np
import pytest

from gan_forensics.data.toy_domains import ATTRIBUTES, EXCLUSIVE, domains
from gan_forensics.studies.translation import as_asked, domain_classifier, success

NAMES = ("red", "green", "blue", "warm")
COLOURS = NAMES[:3]


def test_exclusive_attributes_go_by_the_likeliest_and_others_by_one_half():
    probabilities = np.array([[0.4, 0.3, 0.3, 0.6], [0.1, 0.2, 0.7, 0.4]])
    targets = np.array([[1, 0, 0, 0], [0, 0, 1, 0]], np.float32)
    found = as_asked(probabilities, targets, NAMES, COLOURS)
    np.testing.assert_array_equal(found, [[True, True, True, False], [True] * 4])
    # Without the group no attribute of the first is likelier than 1/2.
    found = as_asked(probabilities, targets, NAMES)
    np.testing.assert_array_equal(found[0], [False, True, True, False])


@pytest.fixture
def told():
    """Images whose first pixels are their labels, and a classifier that reads them there."""
    labels = np.array([[1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 1], [1, 0, 0, 1]], np.float32)
    images = np.zeros((4, 2, 2, 3), np.uint8)
    images.reshape(4, -1)[:, :4] = labels

    def with_labels(images, labels):
        made = images.copy()
        made.reshape(len(made), -1)[:, :4] = labels
        return made

    def classifier(images):
        return images.reshape(len(images), -1)[:, :4].astype(float)

    return classifier, with_labels, images, labels


def test_a_perfect_translator_lands_always_and_a_copy_never(told):
    classifier, perfect, images, labels = told
    rows, made = success(classifier, perfect, images, labels, NAMES, COLOURS)
    assert [row["target"] for row in rows] == ["red", "green", "blue", "warm turned"]
    for row in rows:
        assert (row["landed"], row["as_asked"], row["copy"]) == (1, 1, 0)
    # Images that are there already are not counted.
    assert [row["images"] for row in rows] == [2, 3, 3, 4] and len(made) == 12
    rows, made = success(classifier, lambda x, c: x, images, labels, NAMES, COLOURS)
    assert [row["landed"] for row in rows] == [0, 0, 0, 0]


def test_one_that_changes_more_than_was_asked_lands_and_is_not_as_asked(told):
    classifier, perfect, images, labels = told

    def spoils(images, labels):
        return perfect(images, np.where(np.arange(4) == 3, 1, labels))

    rows, _ = success(classifier, spoils, images, labels, NAMES, COLOURS)
    red, warm = rows[0], rows[3]
    assert (red["landed"], red["as_asked"]) == (1, 1)  # both were warm before
    assert (rows[1]["landed"], rows[1]["as_asked"]) == (1, 2 / 3)
    assert (warm["landed"], warm["as_asked"]) == (0.25, 0.25)


def test_images_of_one_exclusive_kind_alone_are_refused(told):
    classifier, perfect, images, labels = told
    with pytest.raises(ValueError, match="all 2 images are 'red' already"):
        success(classifier, perfect, images[[0, 3]], labels[[0, 3]], NAMES, COLOURS)


@pytest.mark.slow
def test_the_classifier_tells_the_drawn_domains_apart_on_held_out_images():
    train, held = domains(2400, 32, seed=0), domains(300, 32, seed=1)
    classifier = domain_classifier(train["image"], train["attributes"], steps=400)
    right = as_asked(classifier(held["image"]), held["attributes"], ATTRIBUTES, EXCLUSIVE)
    assert (right.mean(0) >= 0.95).all(), right.mean(0)
