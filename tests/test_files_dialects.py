"""Numbers, separators, decimals and encodings of the tables that spreadsheets write."""

import codecs
import logging
import re
from pathlib import Path

import pytest

import gan_forensics
from gan_forensics.files import is_missing, number, read_csv, whole_number, write_csv
from gan_forensics.files.dialects import decimals_of, decoded, separator_of

PACKAGE = Path(gan_forensics.__file__).parent


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-1.5", -1.5),
        ("+2.", 2),
        (".5", 0.5),
        (" 1e-3 ", 1e-3),
        ("2E+2", 200),
        ("007", 7),
    ],
)
def test_plain_decimals_are_numbers(text, value):
    assert number(text) == value
    assert number(text.replace(".", ","), decimals=",") == value


NO_NUMBERS = (
    *("", " ", "1_0", "2020_01", "inf", "-Infinity", "nan", "0x10", "1e5L", "1 000", "1,5", "--1"),
    *("\u0661\u0662", "\uff11\uff12", "\u22121", "1e", "e5", ".", "1.2.3", "1e999", "9" * 1001),
    "0" * 1001,
)


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_else_python_or_spreadsheets_read_is_no_number(text):
    with pytest.raises(ValueError, match="is no number in plain digits|too large") as refused:
        number(text)
    assert len(str(refused.value)) < 150
    with pytest.raises(ValueError, match="is no whole number in plain digits"):
        whole_number(text)


def test_whole_numbers_have_digits_alone():
    assert [whole_number(text) for text in ("12", "-3", "+4", " 5 ", "9" * 20)] == [
        12, -3, 4, 5, int("9" * 20),
    ]  # fmt: skip
    for text in ("1.0", "1e3", "1,000"):
        with pytest.raises(ValueError, match="whole number"):
            whole_number(text)
    for text in ("1.5", "1.234,5", "1,5,0"):
        with pytest.raises(ValueError, match="no number"):
            number(text, decimals=",")


def test_words_for_no_value_are_known():
    assert all(map(is_missing, ("", " ", "NA", "n/a", "NaN", "null", "None", "?", "#N/A")))
    assert not any(map(is_missing, ("0", "-", "no", "inf", "nano")))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("gr\u00f6\u00dfe".encode(), ""),
        (codecs.BOM_UTF8 + "gr\u00f6\u00dfe".encode(), ""),
        ("gr\u00f6\u00dfe".encode("latin-1"), "Latin-1"),
        ("gr\u00f6\u00dfe".encode("utf-16"), "UTF-16"),
        (codecs.BOM_UTF16_BE + "gr\u00f6\u00dfe".encode("utf-16-be"), "UTF-16"),
        ("gr\u00f6\u00dfe".encode("utf-16-be"), "UTF-16"),
        ("gr\u00f6\u00dfe".encode("utf-16-le"), "UTF-16"),
        ("gr\u00f6\u00dfe".encode("utf-32"), "UTF-32"),
    ],
)
def test_text_is_read_in_the_encodings_of_spreadsheets(data, said):
    assert decoded(data) == ("gr\u00f6\u00dfe", said)
    assert decoded("a \u20ac \u201eb\u201c".encode("cp1252")) == (
        "a \u20ac \u201eb\u201c", "Windows-1252",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\3\4rest", "a zip file, as .xlsx is"),
        (b"\x89PNG\r\n", "a picture"),
        (b"a,b\n1,\0\n" * 9, "the character NUL"),
        ("a\0".encode("utf-16"), "the character NUL"),
        ("ab".encode("utf-16")[:-1], "begins as UTF-16 and is damaged behind 2 bytes"),
        (b"\xef\xbb\xbfa\xff", "begins as UTF-8 and is damaged"),
        ("a\n\u00e9".encode() + b"\xe9", "line 2 has the byte 0xe9, which is no text in UTF-8"),
        ("\u65e5\u672c".encode("shift-jis") + b"\x02", "line 1 has the byte 0x93"),
        (b"a\n\x81b", "line 2 has the byte 0x81: the text is neither in UTF-8 nor in Windows"),
    ],
)
def test_what_is_no_text_is_refused_by_its_kind_or_its_line(data, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        decoded(data)


@pytest.mark.parametrize(
    ("lines", "separator"),
    [
        (["a,b", "1,2"], ","),
        (["a;b", "1,5;2,5"], ";"),
        (["a\tb", "1\t2"], "\t"),
        (["a;x,b", "1,2"], ","),  # a semicolon in a name
        (["a;x,b", "1;2,5"], None),
        (["a;x,b", "1,5;2,5"], ";"),  # a comma in a name: cells between commas are too many
        (["a"], ","),
        ([], ","),
        (["", "a;b;", "1;2;"], ";"),
        (["sep=;", "a,b;c"], ";"),
        (['"a;b",c', "1,2"], ","),
        (["a;b", "1,2"], ";"),  # nothing fits: the names tell
        (["a, b; c", "1"], ","),
    ],
)
def test_cells_are_parted_by_what_gives_equal_lines(lines, separator):
    lines = [f"{line}\n" for line in lines]
    if separator is not None:
        assert separator_of(lines) == separator
        return
    with pytest.raises(ValueError, match="equal cells between commas and between semicolons"):
        separator_of(lines)


@pytest.mark.parametrize(
    ("cells", "separator", "decimals"),
    [
        (["1,234", "0,5"], ";", ","),
        (["1,234", "12,34", ""], ";", ","),
        (["1.234", "0.5"], ";", "."),
        (["1.234", "2.345"], "\t", "."),
        (["1234", "5"], ";", "."),
        (["1,234", "text"], ";", "."),
        (["-1,2e-3"], ",", ","),
        (["1,234", "5,678"], ";", "'1,234' in line 2, and all its like, may have decimals or thou"),
        (["1.234", "5.678"], ";", "'1.234' in line 2, and all its like, may have decimals"),
        (["1,234"], ",", "'1,234' in line 2, and all its like"),
        (["7", "1,234,567"], ";", "'1,234,567' in line 3 has thousands set apart"),
        (["1.234,5"], ";", "'1.234,5' in line 2 has thousands set apart"),
        (["1 234"], ";", "'1 234' in line 2 has thousands set apart"),
        (["1,5", "1.5"], ";", "'1,5' in line 2 and '1.5' in line 3: which mark is before"),
    ],
)
def test_decimals_are_told_by_one_number_that_can_only_be_read_in_one_way(
    cells, separator, decimals
):
    if len(decimals) == 1:
        assert decimals_of([["x"], cells][1:], separator, lines=[2, 3, 4][: len(cells)]) == decimals
        return
    with pytest.raises(ValueError, match=re.escape(decimals)):
        decimals_of([cells], separator, lines=[2, 3][: len(cells)])


def test_a_file_is_read_as_it_was_meant_and_that_is_logged(tmp_path, caplog):
    caplog.set_level(logging.INFO, "gan_forensics.files.tables")
    path = tmp_path / "a.csv"
    path.write_bytes('gr\u00f6\u00dfe; b ;;\r0,5;"x;y";;\r;;;\r1,25;z\r'.encode("latin-1"))
    table = read_csv(path)
    assert table.lines == [(1, ["gr\u00f6\u00dfe", "b"]), (2, ["0,5", "x;y"]), (4, ["1,25", "z"])]
    assert [table.number(row["gr\u00f6\u00dfe"]) for _, row in table.rows()] == [0.5, 1.25]
    assert table.spelt(-1.5) == "-1,5" and table.whole
    assert table.read_as == (
        "semicolons between cells, commas before decimals, text in Latin-1, empty lines left out "
        "(1), empty cells at the ends of lines left out (2)"
    )
    assert caplog.messages == [f"{path}: read with {table.read_as}"]
    caplog.clear()
    path.write_text('a, "b, c"\n1, 2\n\n', encoding="utf-8")
    assert read_csv(path).lines == [(1, ["a", "b, c"]), (2, ["1", "2"])] and not caplog.messages
    path.write_text("a,b\n1,2\n3", encoding="utf-8")
    with pytest.raises(ValueError, match="a.csv, line 3: 1 cells for 2 columns"):
        list(read_csv(path).rows())
    assert not read_csv(path).whole
    path.write_text("a,b\n1,2,x\n", encoding="utf-8")  # What is not empty is not left out.
    assert read_csv(path).lines[1] == (2, ["1", "2", "x"])
    # A column without a name has cells here; a line that tells the separator is none of a table.
    path.write_text("a,b,,\n1,2,3,\n", encoding="utf-8")
    assert read_csv(path).lines == [(1, ["a", "b", "", ""]), (2, ["1", "2", "3", ""])]
    path.write_text("sep=;\na;b\n1,5;2\n", encoding="utf-8")
    assert read_csv(path).lines == [(2, ["a", "b"]), (3, ["1,5", "2"])]
    path.write_text("a,b\n1,2\n,\n\n", encoding="utf-8")  # Cells without content at the end.
    assert read_csv(path).read_as == "empty lines left out (1)"
    path.write_text("a;b\n1.234;5\n", encoding="utf-8")
    with pytest.raises(ValueError, match="a.csv: not read as CSV: '1.234' in line 2, .* thousands"):
        read_csv(path)


def test_only_a_list_that_names_its_columns_has_other_separators(tmp_path):
    path = tmp_path / "a.csv"
    for text, cells in (
        ("a;1.png\nb;2.png\n", ["a;1.png"]),
        ("path;label\na.png;1,5\n", ["path", "label"]),
        ("Path\tlabel\na.png\t1,5\n", ["Path", "label"]),
        ("pathos;1.png\n", ["pathos;1.png"]),
    ):
        path.write_text(text, encoding="utf-8")
        assert read_csv(path, first="path", numbers=False).lines[0][1] == cells


def test_what_is_written_is_read_back(tmp_path):
    rows = [{"name": "=a;b, c", "value": -1.5}, {"name": "\u00f6", "value": 2}]
    write_csv(tmp_path / "a.csv", rows)
    table = read_csv(tmp_path / "a.csv")
    assert [(row["name"], table.number(row["value"])) for _, row in table.rows()] == [
        ("'=a;b, c", -1.5), ("\u00f6", 2),
    ]  # fmt: skip
    assert table.read_as == ""


def test_csv_files_are_read_in_one_place():
    readers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if re.search(r"csv\.(reader|DictReader|Sniffer)|isdigit|isnumeric|read_csv\([^)]*sep=",
                     path.read_text(encoding="utf-8"))
    }  # fmt: skip
    assert readers == {"files/tables.py", "files/dialects.py"}


@pytest.mark.parametrize("text", ["1_0", "\u0661"])
def test_numbers_of_names_options_and_targets_are_plain_too(text, tmp_path):
    from gan_forensics.anomaly.edge import parse_edge
    from gan_forensics.anomaly.labels import label_spelt
    from gan_forensics.cli.real_and_fake import quality_of
    from gan_forensics.data import open_source
    from gan_forensics.explain.ranking import parse_name
    from gan_forensics.gans.stargan_targets import labels_of

    for read, said in (
        (lambda: parse_edge(("shell", text)), "must hold numbers"),
        (lambda: quality_of(f"jpeg:{text}"), "a quality of 1 to 100"),
        (lambda: open_source(f"toy:line?n={text}"), "option n must be of type int"),
        (lambda: open_source(f"toy:powerlaw?exponent={text}"), "must be of type float"),
        (lambda: parse_name(f"layer.#{text}"), "names no channel"),
        (lambda: labels_of([f"a={text}"], ["a"]), "give a=0 to a=1"),
    ):
        with pytest.raises(ValueError, match=said):
            read()
    assert label_spelt([1, 10, 0], text) == text and label_spelt([1, 10, 0], "1.0") == 1
    assert parse_edge(("shell", "1.0")) == ("shell", (1.0,)) and quality_of("jpeg:100") == 100
    assert labels_of(["a=.5"], ["a"]) == {"a": 0.5}
    for wrong in ("0", "101", "099"):
        with pytest.raises(ValueError, match="jpeg:QUALITY"):
            quality_of(f"jpeg:{wrong}")
