"""Tables of every format: read, written, refused with the place of what is wrong."""

import csv
import struct
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.io import loadmat, savemat
from scipy.sparse import coo_array, csc_array, random_array

from gan_forensics.anomaly import read_table, tables, write_table
from gan_forensics.files import archives, matlab
from gan_forensics.files.matlab import read_mat


def write_csv(path, x, y=None):
    names = [f"c{i}" for i in range(x.shape[1])] + (["kind"] if y is not None else [])
    lines = [[*map(repr, map(float, row)), *([y[i]] if y is not None else [])]
             for i, row in enumerate(x)]  # fmt: skip
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *lines])
    return path


def test_tables_are_read_from_every_format(tmp_path, rng):
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
        ("a,b\n1,2\n3,nan\n", None, "column 'b' has no value in line 3, where it holds 'nan'"),
        ("a,b\n1,2\n3,inf\n", None, "column 'b' is not of numbers: line 3 holds 'inf'"),
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
        ("t.mat", None, "t.mat cannot be read as a table in .mat"),
        ("a.npz", None, r"no rows under 'X' or 'x'; it holds rows \[3, 2\]"),
        ("b.npz", "y", "2 labels in 'y' for 3 rows"),
        ("b.npz", "z", "no array 'z'"),
        ("c.npz", None, "must be numbers"),
        ("t.txt", None, "no such file"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            read_table(tmp_path / name, label=label)


def test_of_many_columns_the_first_are_named(tmp_path):
    names = [f"a_rather_long_name_of_column_{i}" for i in range(5000)]
    (tmp_path / "t.csv").write_text(",".join(names) + "\n" + ",".join(["1"] * 5000) + "\n")
    with pytest.raises(ValueError, match="column_19 and 4980 more$") as refused:
        read_table(tmp_path / "t.csv", label="x" * 5000)
    assert len(str(refused.value)) < 2000


def test_one_long_label_does_not_make_all_labels_long(tmp_path):
    (tmp_path / "t.csv").write_text("a,kind\n1," + "x" * 1001 + "\n2,y\n")
    with pytest.raises(ValueError, match="a label of 1001 characters"):
        read_table(tmp_path / "t.csv", label="kind")


def test_only_the_rows_and_the_label_are_read(tmp_path):
    x, objects = np.ones((3, 2)), np.array([{}], object)
    np.savez(tmp_path / "t.npz", X=x, y=np.arange(3), notes=objects)
    savemat(tmp_path / "t.mat", {"X": x, "y": np.arange(3), "notes": {"by": "me"}})
    for name in ("t.npz", "t.mat"):
        assert read_table(tmp_path / name, label="y").y.tolist() == [0, 1, 2]
        with pytest.raises(ValueError, match="rows|notes"):
            read_table(tmp_path / name, label="notes")


@pytest.mark.parametrize("compressed", [True, False])
def test_every_cut_and_every_changed_byte_of_a_mat_file_is_a_table_or_a_value_error(
    compressed, tmp_path
):
    path = tmp_path / "t.mat"
    savemat(path, {"X": np.ones((3, 2)), "y": np.arange(3)}, do_compression=compressed)
    whole = path.read_bytes()
    for place in range(0, len(whole), 5 if compressed else 9):
        for data in (whole[:place], whole[:place] + b"\xff" + whole[place + 1 :]):
            path.write_bytes(data)
            try:
                read_table(path, label="y")
            except ValueError as error:
                assert "t.mat" in str(error) and "\n" not in str(error)


def test_a_mat_file_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(archives, "ALWAYS", 2**20)
    path = tmp_path / "t.mat"
    savemat(path, {"X": np.zeros((2**16, 4))}, do_compression=True)
    with pytest.raises(ValueError, match="unpack to 0.002 GiB"):
        read_table(path)
    savemat(path, {"X": np.zeros((2**14, 4))}, do_compression=True)
    assert read_table(path).x.shape == (2**14, 4)
    # The size of its shape, where the bytes are not there.
    savemat(path, {"X": np.zeros((2, 4))})
    data = path.read_bytes()
    assert data.count(struct.pack("<2i", 2, 4)) == 1
    for shape, said in (((2**30, 4), "not the size that"), ((-1, 4), "a shape that is none")):
        path.write_bytes(data.replace(struct.pack("<2i", 2, 4), struct.pack("<2i", *shape)))
        with pytest.raises(ValueError, match=said):
            read_table(path)
    path.write_bytes(data[:124] + b"\0\2IM" + data[128:])
    with pytest.raises(ValueError, match=r"version 7.3, .* save it with -v7"):
        read_table(path)
    path.write_bytes(data[:-1])
    with pytest.raises(ValueError, match="it ends too early"):
        read_table(path)
    two = {"X": np.zeros((2, 4)), "Y": np.zeros((2, 4))}
    savemat(path, two)
    path.write_bytes(path.read_bytes().replace(b"Y\0\0\0", b"X\0\0\0"))
    with pytest.raises(ValueError, match="two arrays of one name"):
        read_table(path)
    monkeypatch.setattr(matlab, "MOST_ARRAYS", 1)
    with pytest.raises(ValueError, match="more than 1 arrays"):
        read_table(path)


def test_a_mat_file_of_what_are_no_real_numbers_is_refused(tmp_path):
    path = tmp_path / "t.mat"
    for value in (np.array([["a"], ["b"]], object), {"a": 1.0}, np.ones((3, 2)) * 1j, "text"):
        for version in ("5", "4") if isinstance(value, str) else ("5",):
            savemat(path, {"X": value}, format=version)
            with pytest.raises(ValueError, match="X is not of real numbers"):
                read_mat(path, lambda heads: ["X"])
    path.write_bytes(b"")
    with pytest.raises(ValueError, match="empty"):
        read_mat(path, lambda heads: ["X"])


@pytest.mark.parametrize("options", [{}, {"do_compression": True}, {"format": "4"}], ids=str)
def test_mat_files_are_read_as_scipy_reads_them(options, tmp_path, rng):
    arrays = {
        "x": rng.normal(size=(5, 3)),
        "small": np.array([[7]], np.uint8),
        "single": rng.normal(size=(2, 2)).astype(np.float32),
        # Bytes that in later versions would stand for 7.3.
        "odd": np.frombuffer(b"\2" * 160, "<f8").reshape(1, 20),
    }
    if "format" not in options:
        arrays |= {f"i{n}": rng.integers(0, 99, (2, 3, 2)).astype(f"i{n}") for n in (1, 2, 4, 8)}
        arrays |= {f"u{n}": rng.integers(0, 99, (1, 4)).astype(f"u{n}") for n in (1, 2, 4, 8)}
        arrays |= {"truth": np.array([[True, False]]), "e": np.zeros((0, 3))}
    savemat(tmp_path / "t.mat", arrays, **options)
    found, wanted = read_mat(tmp_path / "t.mat", lambda heads: heads), loadmat(tmp_path / "t.mat")
    for name in arrays:
        assert_array_equal(found[name], wanted[name])
        assert (found[name].dtype, found[name].shape) == (wanted[name].dtype, wanted[name].shape)


@pytest.mark.parametrize("options", [{}, {"do_compression": True}, {"format": "4"}], ids=str)
def test_sparse_matrices_become_dense_ones(options, tmp_path, monkeypatch):
    path, x = tmp_path / "t.mat", random_array((30, 4), density=0.3, rng=0)
    several = coo_array(([1.0, 2.0, 4.0], ([0, 0, 2], [1, 1, 0])), (3, 2))
    for matrix in (x, several, csc_array((4, 3)), csc_array(np.eye(2, dtype=bool))):
        savemat(path, {"X": matrix, "y": np.arange(matrix.shape[0])}, **options)
        table = read_table(path, label="y")
        assert_array_equal(table.x, matrix.toarray())
        assert table.y.tolist() == list(range(matrix.shape[0]))
    # Dense it may be so much larger that it is refused first.
    monkeypatch.setattr(archives, "ALWAYS", 2**16)
    savemat(path, {"X": csc_array((2**16, 400))}, **options)
    with pytest.raises(ValueError, match="unpack to 0.2 GiB"):
        read_table(path)
    # So may its numbers, all of one place.
    if "do_compression" in options:
        n = 2**14
        again = csc_array((np.ones(n), np.zeros(n, int), np.array([0, n])), (1, 1))
        savemat(path, {"X": again}, **options)
        with pytest.raises(ValueError, match="X unpacks to more than is read"):
            read_mat(path, lambda heads: heads)


def test_sparse_matrices_that_contradict_themselves_or_are_complex_are_refused(tmp_path):
    path = tmp_path / "t.mat"
    savemat(path, {"X": csc_array(np.eye(3))})
    whole = path.read_bytes()
    # Tag of the matrix, its flags, the tag of its shape, and three sides in the place of two.
    (size,) = struct.unpack_from("<I", whole, 132)
    assert struct.unpack_from("<4i", whole, 152) == (5, 8, 3, 3)
    sides = struct.pack("<6i", 5, 12, 3, 3, 1, 0)
    path.write_bytes(
        whole[:132] + struct.pack("<I", size + 8) + whole[136:152] + sides + whole[168:]
    )
    with pytest.raises(ValueError, match="a shape that is none"):
        read_table(path)
    # Rows of the numbers, and where each column begins.
    assert struct.unpack_from("<5i", whole, 176) == (5, 12, 0, 1, 2)
    assert struct.unpack_from("<6i", whole, 200) == (5, 16, 0, 1, 2, 3)
    for place, value, said in (
        (192, 3, "numbers outside of its shape"),
        (212, 3, "columns that are none"),
        (208, 1, "columns that are none"),
        (164, 2, "columns that are none"),
        (220, 4, "fewer numbers than its columns ask for"),
    ):
        path.write_bytes(whole[:place] + struct.pack("<i", value) + whole[place + 4 :])
        with pytest.raises(ValueError, match=said):
            read_table(path)
    # Places that no column counts hold none of its numbers.
    path.write_bytes(whole[:220] + struct.pack("<i", 2) + whole[224:])
    assert_array_equal(read_table(path).x, np.diag([1.0, 1.0, 0.0]))
    for version in ("4", "5"):
        savemat(path, {"X": csc_array(1j * np.eye(3))}, format=version)
        with pytest.raises(ValueError, match="X is not of real numbers: it is complex"):
            read_mat(path, lambda heads: ["X"])


@pytest.mark.parametrize("options", [{}, {"format": "4"}], ids=str)
def test_every_changed_byte_of_a_sparse_matrix_is_a_table_or_a_value_error(options, tmp_path):
    path = tmp_path / "t.mat"
    savemat(path, {"X": csc_array(np.eye(3))}, **options)
    whole, refused = path.read_bytes(), 0
    for place in range(0, len(whole), 3 if options else 5):
        for data in (whole[:place], whole[:place] + b"\xff" + whole[place + 1 :]):
            path.write_bytes(data)
            try:
                read_table(path)
            except ValueError as error:
                refused += 1
                assert "t.mat" in str(error) and "\n" not in str(error)
    assert refused > 20


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


def test_tables_of_very_many_columns_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "MOST_COLUMNS", 2)
    (tmp_path / "t.csv").write_text("a,b,c\n1,2,3\n")
    np.savez(tmp_path / "t.npz", X=np.zeros((1, 3)))
    for name in ("t.csv", "t.npz"):
        with pytest.raises(ValueError, match=f"{name}.*3 columns, more than the 2"):
            read_table(tmp_path / name)


def test_tables_of_other_countries_are_read_and_written_on_in_their_way(tmp_path):
    path = tmp_path / "t.csv"
    text = "gr\u00f6\u00dfe; b ;kind;\n-1,338;0,361;ok;\n1,293;12;x,5;\n"
    path.write_bytes(text.encode("cp1252"))
    table = read_table(path, label="kind")
    assert table.columns == ("gr\u00f6\u00dfe", "b") and table.y.tolist() == ["ok", "x,5"]
    assert_array_equal(table.x, [[-1.338, 0.361], [1.293, 12]])
    assert table.read_as.startswith("semicolons between cells, commas before decimals, text in Lat")
    more = replace(table, x=np.concatenate([table.x, [[7, -8.5]]]), y=np.append(table.y, "ok"))
    write_table(tmp_path / "more.csv", more, source=path)
    assert (tmp_path / "more.csv").read_text(encoding="utf-8").splitlines() == [
        "gr\u00f6\u00dfe;b;kind", "-1,338;0,361;ok", "1,293;12;x,5", "7,0;-8,5;ok",
    ]  # fmt: skip
    assert_array_equal(read_table(tmp_path / "more.csv", label="kind").x, more.x)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a;b\n1,234;2\n5,678;3\n", "'1,234' in line 2, and all its like, may have decimals or"),
        ("a;b\n1.234,5;2\n", "'1.234,5' in line 2 has thousands set apart"),
        ('a,b\n"1,5",2\n1.5,2\n', "'1,5' in line 2 and '1.5' in line 3: which mark"),
        ("a,b\n1,5,2,7\n", "line 2 has 4 cells for 2 names: decimal commas need ; between cells"),
        ("# mine\na,b\n1,2\n", "2 cells for 1 names: the first line, '# mine', must name the col"),
        ("a,b\n1 234,2\n", "line 2 holds '1 234' .leave out what parts thousands."),
        ("a,b\n\n1,2\n\u0663,4\n", "column 'a' is not of numbers: line 4 holds '\u0663'"),
        ("a,b\nNA,2\n1_0,4\n", "column 'a' is not of numbers: line 3 holds '1_0'"),
        ("a,b\nNA,2\n,4\n", "no value in line 2, where it holds 'NA', and in 1 more: fill it"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_its_line(text, message, tmp_path):
    (tmp_path / "t.csv").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message) as refused:
        read_table(tmp_path / "t.csv")
    assert "t.csv" in str(refused.value) and "\n" not in str(refused.value)


def test_columns_that_other_marks_part_are_refused_with_those_that_may(tmp_path):
    for text in ("a|b|y\n1|2|0\n", "a b y\n1 2 0\n"):
        (tmp_path / "t.csv").write_text(text)
        with pytest.raises(
            ValueError, match="no column 'y' of its own: .*between cells must stand"
        ):
            read_table(tmp_path / "t.csv", label="y")
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="no column 'y' of its own: a, b$"):
        read_table(tmp_path / "t.csv", label="y")


def test_labels_are_numbers_where_all_of_them_are(tmp_path):
    for cells, labels in (
        (["1", "1.0", "0"], [1, 1, 0]),
        (["2020_01", "1", "1"], ["2020_01", "1", "1"]),
        (["9007199254740993", "1", "1"], ["9007199254740993", "1", "1"]),
        (["9007199254740991", "1", "1"], [9007199254740991, 1, 1]),
        (["none", "a", "a"], ["none", "a", "a"]),
        (["1", "NA", "0"], None),
    ):
        lines = "".join(f"{i},{cell}\n" for i, cell in enumerate(cells))
        (tmp_path / "t.csv").write_text(f"a,kind\n{lines}")
        if labels is None:
            with pytest.raises(ValueError, match="'kind' has no value in line 3, where it holds"):
                read_table(tmp_path / "t.csv", label="kind")
        else:
            assert read_table(tmp_path / "t.csv", label="kind").y.tolist() == labels
