"""Tables of every format: read, written, refused with the place of what is wrong."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from gan_forensics.anomaly import read_table, write_table


def write_csv(path, x, y=None):
    names = [f"c{i}" for i in range(x.shape[1])] + (["kind"] if y is not None else [])
    lines = [[*map(repr, map(float, row)), *([y[i]] if y is not None else [])]
             for i, row in enumerate(x)]  # fmt: skip
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *lines])
    return path


def test_tables_are_read_from_every_format(tmp_path, rng):
    from scipy.io import savemat

    x, y = rng.uniform(size=(9, 2)), np.repeat([0, 1], [7, 2])
    np.savez(tmp_path / "t.npz", X=x, y=y)
    savemat(tmp_path / "t.mat", {"X": x, "y": y[:, None]})
    write_csv(tmp_path / "t.csv", x, y)
    for name, label in (("t.npz", "y"), ("t.mat", "y"), ("t.csv", "kind")):
        got = read_table(tmp_path / name, label=label)
        assert_array_equal(got.x, x)
        assert_array_equal(got.y, y)
    assert read_table(tmp_path / "t.csv").columns == ("c0", "c1", "kind")


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        ("a,b\n1,2\n3,x\n", None, "column 'b' is not of numbers: line 3 holds 'x'"),
        ("a,b\n1,2\n3,nan\n", None, "first in row 2 .column 'b'"),
        ("a,b\n1,2\n3\n", None, "line 3 has 1 cells for 2"),
        ("1,2\n3,4\n", None, "must name the columns"),
        ("a,b\n", None, "no rows"),
        ("a,b\n1,2\n", "c", "no column 'c'"),
    ],
)
def test_damaged_csv_files_are_refused_with_the_place(text, label, message, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "t.csv", label=label)


def test_other_damaged_tables_are_refused(tmp_path):
    (tmp_path / "t.mat").write_text("no")
    np.savez(tmp_path / "a.npz", rows=np.ones((3, 2)))
    np.savez(tmp_path / "b.npz", X=np.ones((3, 2)), y=np.ones(2))
    np.savez(tmp_path / "c.npz", X=np.array([["a", "b"]]))
    for name, label, message in (
        ("t.mat", None, "not a readable"),
        ("a.npz", None, r"no rows under 'X' or 'x'; it holds rows \[3, 2\]"),
        ("b.npz", "y", "2 labels in 'y' for 3 rows"),
        ("b.npz", "z", "no array 'z'"),
        ("c.npz", None, "must be numbers"),
        ("t.txt", None, "no such file"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            read_table(tmp_path / name, label=label)


def numbered(path, first="", numbers=(0, 1, 2), label=True):
    lines = [f"{first},a,b" + ",kind" * label]
    lines += [f"{n},{i}.5,{i}.25" + ",ok" * label for i, n in enumerate(numbers)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("first", ["", "Unnamed: 0"])
def test_the_index_that_pandas_writes_is_kept_apart(first, tmp_path):
    for numbers in ((0, 1, 2), (5, 3, 9)):
        table = read_table(numbered(tmp_path / "t.csv", first, numbers), label="kind")
        assert table.columns == ("a", "b") and table.x.shape == (3, 2)
        assert_array_equal(table.numbers, numbers)
        assert table.y.tolist() == ["ok"] * 3 and table.place == 2
    kept = read_table(numbered(tmp_path / "t.csv", "age"), label="kind")
    assert kept.columns == ("age", "a", "b") and kept.numbers is None
    for numbers in ((0, 1, 1), (0, 1, 2.5)):
        kept = read_table(numbered(tmp_path / "t.csv", first, numbers), label="kind")
        assert kept.columns[1:] == ("a", "b") and kept.numbers is None
    # What is named as the label is no index.
    labels = read_table(numbered(tmp_path / "t.csv", first, label=False), label=first)
    assert labels.y.tolist() == [0, 1, 2] and labels.numbers is None


def test_row_numbers_go_on_where_rows_were_appended(tmp_path):
    source = numbered(tmp_path / "t.csv", numbers=(5, 3, 9))
    table = read_table(source, label="kind")
    more = replace(table, x=np.concatenate([table.x, [[7, 8]]]), y=np.append(table.y, "ok"))
    write_table(tmp_path / "copied.csv", more, source=source)
    copied = (tmp_path / "copied.csv").read_text().splitlines()
    assert copied == [*source.read_text().splitlines(), "10,7.0,8.0,ok"]
    write_table(tmp_path / "written.csv", more)
    assert (tmp_path / "written.csv").read_text().splitlines() == copied


def test_text_that_python_reads_as_a_number_is_text(tmp_path):
    (tmp_path / "t.csv").write_text("batch,a\n2020_01,1\n2020_02,2\n")
    with pytest.raises(
        ValueError, match="column 'batch' is not of numbers: line 2 holds '2020_01'"
    ):
        read_table(tmp_path / "t.csv")


def test_an_empty_cell_is_a_missing_value_and_not_a_word(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n3, \n")
    with pytest.raises(ValueError, match="column 'b' has no value in line 3: fill it"):
        read_table(tmp_path / "t.csv")
