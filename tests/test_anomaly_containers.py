"""Frames, Series, indices and dtypes: what goes into `Doping` comes out as it was."""

import warnings

import numpy as np
import pandas
import pytest
from numpy.testing import assert_array_equal
from pandas.testing import assert_frame_equal, assert_series_equal

from gan_forensics.anomaly import Doping
from gan_forensics.anomaly.containers import append_labels, append_rows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
QUICK = {"hidden": (8,), "steps": 15, "batch_size": 16, "random_state": 0}


@pytest.fixture
def frame(rng):
    return pandas.DataFrame(
        {
            "single": rng.uniform(size=40).astype(np.float32),
            "double": rng.uniform(size=40),
            "flag": rng.uniform(size=40) < 0.5,
            "kind": rng.integers(0, 3, 40).astype(np.int8),
            "maybe": pandas.array(rng.integers(0, 9, 40), dtype="Int64"),
            "sure": pandas.array(rng.uniform(size=40) < 0.5, dtype="boolean"),
        },
        index=pandas.Index([f"row {i}" for i in range(40)], name="who"),
    ).rename_axis(columns="what")


def test_a_frame_keeps_its_dtypes_names_and_index(frame):
    y = pandas.Series(["ok"] * 35 + ["odd"] * 5, index=frame.index, name="state")
    rows, labels = Doping(n_samples=9, **QUICK).fit_resample(frame, y)
    assert_frame_equal(rows.iloc[:40], frame)
    assert_series_equal(labels.iloc[:40], y)
    assert (rows.dtypes == frame.dtypes).all() and rows.columns.equals(frame.columns)
    assert rows.index.name == "who" and rows.columns.name == "what"
    assert list(rows.index[40:]) == [f"doped-{i}" for i in range(9)]
    assert labels.index.equals(rows.index) and (labels.iloc[40:] == "ok").all()
    assert set(rows["kind"]) <= {0, 1, 2} and rows["maybe"].between(0, 8).all()
    # A second time, names go on.
    again = append_rows(rows, np.zeros((2, 6)))
    assert list(again.index[-2:]) == ["doped-9", "doped-10"]


def test_no_new_rows_are_no_change(frame):
    y = pandas.Series(["ok"] * 35 + ["odd"] * 5, index=frame.index, name="state")
    rows, labels = Doping(n_samples=0, **QUICK).fit_resample(frame, y)
    assert_frame_equal(rows, frame)
    assert_series_equal(labels, y)


def test_indices_of_numbers_go_on_and_others_are_marked():
    def index_after(index):
        frame = pandas.DataFrame({"a": [0.5, 1.5, 2.5]}, index=index)
        more = append_rows(frame, np.ones((2, 1)))
        assert_frame_equal(more.iloc[:3], frame, check_index_type=False)
        return more.index

    assert isinstance(index_after(pandas.RangeIndex(3)), pandas.RangeIndex)
    assert list(index_after([7, 3, 5])) == [7, 3, 5, 8, 9]
    days = pandas.date_range("2020-01-01", periods=3)
    assert list(index_after(days)[3:]) == ["doped-0", "doped-1"]
    levels = pandas.MultiIndex.from_product([["x"], [1, 2, 3]], names=["a", "b"])
    got = index_after(levels)
    assert got.names == ["a", "b"] and got[3] == ("doped-0", "") and len(got) == 5


def test_labels_keep_their_kind():
    kinds = pandas.Series(pandas.Categorical(["a", "b", "a"]), index=[4, 5, 6], name="k")
    more = append_labels(kinds, "a", 2)
    assert more.dtype == kinds.dtype and list(more.index) == [4, 5, 6, 7, 8]
    assert list(more) == ["a", "b", "a", "a", "a"] and more.name == "k"
    for dtype in (np.int8, np.float32, bool):
        more = append_labels(np.array([0, 1, 1], dtype), dtype(1), 2)
        assert more.dtype == dtype and len(more) == 5
    assert append_labels(["abc", "b"], "abc", 1).tolist() == ["abc", "b", "abc"]


def test_arrays_keep_their_dtype_and_small_integers_do_not_wrap():
    new = np.array([[-3.0, 0.4], [300.0, 0.6]])
    for dtype in (np.float16, np.float32, np.float64):
        assert append_rows(np.zeros((1, 2), dtype), new).dtype == dtype
    assert_array_equal(append_rows(np.zeros((1, 2), np.uint8), new)[1:], [[0, 0], [255, 1]])
    assert_array_equal(append_rows(np.zeros((1, 2), bool), new)[1:], [[0, 0], [1, 1]])
    assert append_rows([[1, 2]], new).dtype.kind == "i"


def test_columns_that_are_no_numbers_are_refused_by_name(frame):
    when = frame.assign(when=pandas.date_range("2020", periods=40))
    coded = frame.assign(code=pandas.Categorical([1, 2] * 20))
    text = frame.assign(text="a")
    twice = pandas.concat([frame, frame[["double"]]], axis=1)
    for bad, message in (
        (when, "column 'when' is of datetime64.*, not of numbers"),
        (coded, "column 'code' is of category, not of numbers: .*get_dummies"),
        (text, "column 'text' is of"),
        (twice, "several columns are named 'double'"),
    ):
        with pytest.raises(ValueError, match=message) as raised:
            Doping(**QUICK).fit(bad)
        assert "\n" not in str(raised.value)


def test_a_column_constant_in_the_normal_rows_alone_is_named(frame):
    y = np.repeat([0, 1], [35, 5])
    frame["code"] = np.where(y == 0, 2.0, 5.0)
    with pytest.raises(ValueError, match=r"columns \['code'\] hold a single value in all rows of"):
        Doping(**QUICK).fit(frame, y)
    rows, _ = Doping(n_samples=4, constant_columns="keep", **QUICK).fit_resample(frame, y)
    assert (rows["code"].iloc[40:] == 2).all()
    with pytest.raises(ValueError, match=r"columns \[6\] hold a single value in all rows of label"):
        Doping(**QUICK).fit(frame.to_numpy(float), y)


def test_whole_numbers_in_floating_columns_are_rounded_if_asked(frame):
    whole = frame[["single", "double"]].assign(count=np.arange(40.0))
    whole.iloc[::2, 1] = 0.0  # whole in places only
    for rounded in (False, True):
        rows, _ = Doping(n_samples=9, round_integers=rounded, **QUICK).fit_resample(whole)
        new = rows["count"].iloc[40:]
        assert (new == new.round()).all() == rounded and new.dtype == np.float64
        assert (rows["double"].iloc[40:] % 1 > 0).all()


def test_a_nameless_first_column_of_row_numbers_is_pointed_out(frame):
    numbered = frame[["single", "double"]].copy()
    numbered.insert(0, "Unnamed: 0", np.arange(40))
    with pytest.warns(UserWarning, match="column 'Unnamed: 0' only numbers the rows"):
        Doping(**QUICK).fit(numbered)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("ignore", "the codes")
        Doping(**QUICK).fit(numbered.rename(columns={"Unnamed: 0": "age"}))
        Doping(**QUICK).fit(numbered.assign(**{"Unnamed: 0": np.arange(40) // 2}))
