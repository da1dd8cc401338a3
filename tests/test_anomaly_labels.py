"""Which label is normal, and which the anomaly."""

import numpy as np
import pandas
import pytest
from numpy.testing import assert_array_equal

from gan_forensics.anomaly import anomaly_labels, normal_label
from gan_forensics.anomaly.labels import UnclearLabels, label_counts, label_spelt


def rows(**counts):
    return np.repeat(list(counts), list(counts.values()))


def test_two_thirds_make_a_label_normal_and_less_is_not_guessed():
    assert normal_label(rows(ok=20, odd=10)) == "ok"
    assert normal_label(rows(odd=10, ok=20)) == "ok"
    assert normal_label(rows(ok=20, dos=5, probe=5)) == "ok"
    assert normal_label(np.zeros(3)) == 0
    with pytest.raises(UnclearLabels, match="Of 31 rows, 'ok' in 20, 'odd' in 11: .*--anomaly"):
        normal_label(rows(ok=20, odd=11))
    with pytest.raises(UnclearLabels, match="all kinds of anomalies one label"):
        normal_label(rows(ok=19, dos=5, probe=6))


def test_where_custom_says_the_same_less_is_enough():
    for pair in ((0, 1), (1, -1)):
        assert normal_label(np.repeat(pair, [56, 44])) == pair[0]
        with pytest.raises(UnclearLabels):
            normal_label(np.repeat(pair, [54, 46]))
    with pytest.raises(UnclearLabels):
        normal_label(np.repeat([1, 2], [56, 44]))


@pytest.mark.parametrize("pair", [(0, 1), (0.0, 1.0), (False, True), (1, -1)])
def test_the_label_that_stands_for_anomalies_is_not_normal_by_being_frequent(pair):
    normal, anomaly = pair
    assert normal_label(np.repeat(pair, [9, 1])) == normal
    often = np.repeat(pair, [1, 9])
    with pytest.raises(UnclearLabels, match="marks most, though it mostly stands for anomalies"):
        normal_label(often)
    assert normal_label(often, anomaly=anomaly) == normal
    assert normal_label(often, anomaly=normal) == anomaly
    assert normal_label(often[1:]) == anomaly  # the only one
    assert normal_label(np.repeat([1, 2], [9, 1])) == 1


def test_the_anomaly_that_is_told_may_be_the_frequent_one():
    # As in a table of attacks: 240 of 400 rows.
    y = np.repeat([1, 0], [240, 160])
    with pytest.raises(UnclearLabels):
        anomaly_labels(y)
    got = anomaly_labels(y, anomaly=1)
    assert_array_equal(got.y, y)
    assert (got.anomaly, got.normal) == (1, 0) and got.y.dtype == np.int64
    assert_array_equal(anomaly_labels(y, anomaly=0).y, 1 - y)
    got = anomaly_labels(rows(b=5, a=1))
    assert_array_equal(got.y, [0, 0, 0, 0, 0, 1])
    assert (got.anomaly, got.normal) == ("a", "b")


@pytest.mark.parametrize(
    ("y", "first"),
    [
        (np.array([0, 1, np.nan]), 3),
        (np.array(["a", None, "b"], object), 2),
        (np.array(["a", np.nan, "b"], object), 2),
        (np.array(["a", np.nan, "b"]), 2),
        (["a", " ", "b"], 2),
        (pandas.Series([1, None, 0], dtype="Int64"), 2),
        (pandas.Series(["a", "b", None]), 3),
        (pandas.Series([True, None, False], dtype="boolean"), 2),
    ],
)
def test_missing_labels_are_refused_with_the_row(y, first):
    with pytest.raises(ValueError, match=f"1 of 3 labels are missing, the first in row {first}"):
        label_counts(y)


def test_labels_that_make_no_task_are_refused():
    for y in (np.zeros(4), np.arange(4)):
        with pytest.raises(ValueError, match="must be two"):
            anomaly_labels(y)
    for y in (np.zeros((4, 2)), []):
        with pytest.raises(ValueError, match=r"labels must be \[n\]"):
            anomaly_labels(y)
    with pytest.raises(ValueError, match="anomaly 'od' is none of the labels: 'ok' in 3"):
        normal_label(rows(ok=3, odd=2), anomaly="od")
    with pytest.raises(ValueError, match="leaves 2 labels"):
        normal_label(rows(ok=3, odd=2, new=1), anomaly="odd")
    with pytest.raises(ValueError, match="none is normal"):
        normal_label(rows(odd=3), anomaly="odd")
    # A training set without anomalies is one all the same.
    assert normal_label(rows(ok=3), anomaly="odd") == "ok"


def test_a_command_line_names_labels_as_they_are_spelt():
    assert label_spelt(np.array([0, 1]), "1") == 1
    assert label_spelt(np.array([0, 1]), "1.0") == 1
    assert label_spelt(np.array([0.5, 1.5]), "1.50") == 1.5
    assert label_spelt(np.array([True, False]), "True") is True
    assert label_spelt(np.array(["0", "1"]), "1") == "1"
    assert label_spelt(np.array(["0", "1"]), "1.0") == "1.0"  # no label, for others to refuse
