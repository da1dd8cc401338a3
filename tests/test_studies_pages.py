"""How studies write down means over seeds."""

import math

from gan_forensics.report import Bar, Facts, Section, Table
from gan_forensics.studies.pages import bar, markdown, over_seeds, plus_minus, write_markdown


def test_means_over_seeds_keep_the_value_of_each():
    assert over_seeds("auc", [1.0, 3.0]) == {
        "auc": 2.0,
        "auc_std": math.sqrt(2),
        "auc_by_seed": [1.0, 3.0],
    }
    assert over_seeds("auc", [0.5])["auc_std"] is None


def test_deviations_have_no_sign_and_what_is_missing_is_left_out():
    assert plus_minus(0.125, 0.0625, "+.3f") == "+0.125 ± 0.062"
    assert plus_minus(2.0, None) == "2.00"
    assert plus_minus(math.nan, math.nan) == "–"


def test_lines_of_shares_stay_between_none_and_all():
    assert bar("a", 0.9, 0.2, "x")[1:4] == (0.9, 0.7, 1.0)
    assert bar("a", 0.1, 0.2, "x").low == 0
    # One seed has no spread: no line of no length, which would say that nothing varies.
    assert bar("a", 0.1, None, "x") == Bar("a", 0.1, None, None, "x")


def test_a_table_in_markdown():
    table = Table("caption", ["a", "b"], [["x", 1], [None, "2"]])
    assert markdown(table) == "| a | b |\n| --- | --- |\n| x | 1 |\n| – | 2 |"


def test_markdown_has_what_a_page_has_beside_its_pictures(tmp_path):
    table = Table("caption.", ["a"], [["x"]])
    sections = [Section("One", ["words", Facts({"n": 3, "note": "b"}), table])]
    write_markdown(tmp_path, {"finding": "first\nsecond"}, sections)
    text = (tmp_path / "results.md").read_text(encoding="utf-8")
    table = "| a |\n| --- |\n| x |"
    assert text.split("\n\n") == [
        *("first", "second", "### One", "words", "n 3; note b.", "caption.", f"{table}\n")
    ]
