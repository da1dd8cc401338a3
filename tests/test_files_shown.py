"""Names of strangers through every exit but terminals and tables, and pages of too much."""

import json
import re
import warnings
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

import gan_forensics
from gan_forensics.files import natural_order
from gan_forensics.report import (
    Bar,
    Facts,
    Link,
    Picture,
    Section,
    Table,
    bars_figure,
    limits,
    losses_figure,
    report_run,
    spectra_figure,
    table_of,
    write_report,
)
from gan_forensics.report.class_plots import confusion_figure, reliability_figure
from gan_forensics.report.detector import audit_words, fact_rows
from gan_forensics.report.figures import LONGEST_NAME, drawable, literal, save_figure
from gan_forensics.report.html import format_cell
from gan_forensics.report.plots import LONGEST_LABEL, LONGEST_TITLE
from gan_forensics.report.run import flatten
from gan_forensics.spectra import Curve
from gan_forensics.studies.pages import markdown

NASTY = (
    "a\x1b[2J\nb", "\u202egnp.exe", "\udcff\ud800", "$", "price_$5_vs_$6", "a$x^{$b", r"\$\frac$",
    "<img src=x onerror=alert(1)>", "日本 ﷽", "W" * 100_000, "_hidden",
)  # fmt: skip


def drawn(figure):
    file = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_figure(figure, file, "svg")
    return file.getvalue()


@pytest.mark.parametrize("name", NASTY)
def test_a_figure_bears_any_name(name):
    figure = bars_figure([Bar(name, 0.5, series=name)], title=name, value_label=name)
    texts = [text.get_text() for text in figure.findobj(Text)]
    assert drawn(figure) and texts.count(literal(name, most=LONGEST_TITLE)) >= 2
    assert literal(name, most=LONGEST_LABEL) in texts
    assert literal(name).isprintable() and len(literal(name)) <= 6 * LONGEST_NAME


def test_a_text_that_was_forgotten_is_mended_when_the_figure_is_saved():
    figure = Figure(figsize=(3, 2))
    panel = figure.subplots()
    panel.set_title("$\\frac$ \ud800\x1b\n" + "x" * 10_000)
    panel.set_xlabel(r"a \$ b", usetex=True)
    assert drawn(figure)
    first, second = panel.get_title().split("\n")
    assert first == r"\$\frac\$ \ud800\x1b" and len(second) == 200
    assert panel.get_xlabel() == r"a \$ b" and not panel.xaxis.label.get_usetex()


def test_figures_become_files_in_one_way():
    package = Path(gan_forensics.__file__).parent
    found = [path.name for path in package.rglob("*.py") if ".savefig(" in path.read_text("utf-8")]
    assert found == ["figures.py"]


def test_numbers_that_axes_cannot_bear_are_gaps():
    assert np.isnan(drawable([10**400, 1e300, -1e300, np.inf, None])).all()
    lines = [{"step": step, "loss": step} for step in (1, 2, 10**400, 1e308, -1e308, np.nan)]
    lines += [{"step": 3, "loss": 10**400}, {"step": "x", "loss": 1}, {"loss": 1}]
    axes = losses_figure(lines).axes[0]
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[1, 1], [2, 2], [3, np.nan]])
    for mean in ([], [np.nan], [[1]]):
        with pytest.raises(ValueError, match="curve 'a'"):
            spectra_figure({"a": Curve(mean, mean)})
    with pytest.raises(ValueError, match="no number"):
        spectra_figure({"a": Curve([1, 2], [0, 0], [0, np.nan])})


def test_figures_of_too_much_say_how_much_they_draw():
    one = [{"step": 1, **{f"loss{i}": 1.0 for i in range(400)}}]
    assert losses_figure(one).get_supxlabel() == "24 of 400 metrics shown"
    many = losses_figure([{"step": i, "loss": i} for i in range(9000)])
    assert len(many.axes[0].lines[0].get_xdata()) == 3000
    curves = spectra_figure({f"s{i}": ([1, 2], [0, 0]) for i in range(25)})
    assert curves.get_supxlabel().endswith("; 24 of 25 curves shown")
    bars = bars_figure([Bar(f"b{i}", 0.5) for i in range(4000)], value_label="share")
    assert bars.axes[0].get_xlabel() == "share; 120 of 4,000 bars shown"
    assert bars.get_figheight() < 60
    square = confusion_figure(np.eye(51, dtype=int), [f"c{i}" for i in range(51)])
    assert not square.axes[0].texts and "51 in all" in square.axes[0].get_ylabel()
    with pytest.raises(ValueError, match="at most 100"):
        reliability_figure([(0,) * 7] * 101)  # pyright: ignore


def written(tmp_path, *blocks, title="t"):
    path = tmp_path / "p.html"
    write_report(path, title=title, lead=title, sections=[Section(title, blocks)])
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NASTY)
def test_a_page_bears_any_name(tmp_path, name):
    pixels = np.zeros((2, 2, 3), np.uint8)
    page = written(
        tmp_path,
        Table(name, [name, "b"], [[name, [name, 1]]]),
        Facts({name: name}),
        Picture(pixels, alt=name, caption=name),
        Link(name.replace("/", ""), re.sub(r"[/\\\ud800]", "", name)[:100]),
        name,
        title=name,
    )
    assert all(c.isprintable() or c == "\n" for c in page) and "<img src=x" not in page
    assert len(page) < 200_000


def test_a_link_names_the_bytes_of_its_file(tmp_path):
    assert 'href="./%FFa%20%26.png"' in written(tmp_path, Link("a", "\udcffa &.png"))
    for bad in ("", "..", "a/b", "a\\b", "a\0", "\ud800"):
        with pytest.raises(ValueError, match="without a path"):
            written(tmp_path, Link("a", bad))


def test_what_is_too_much_for_a_page_is_cut_with_a_word(tmp_path, monkeypatch):
    for name, value in {
        "MOST_SECTIONS": 2, "MOST_PICTURES": 1, "MOST_ROWS": 3, "MOST_COLUMNS": 2,
        "MOST_CELLS": 8, "MOST_FACTS": 2, "MOST_BYTES": 10,
    }.items():  # fmt: skip
        monkeypatch.setattr(limits, name, value)
    (tmp_path / "a.png").write_bytes(b"x" * 11)
    pixels = np.zeros((2, 2, 3), np.uint8)
    blocks = [
        Table("wide", ["a", "b", "c"], [[1, 2, 3]] * 5),
        Table("spent", ["a"], [["one"], ["two"], ["three"]]),
        Facts({"f1": 1, "f2": 2, "f3": 3}),
        Picture(tmp_path / "a.png", alt="large"),
        *[Picture(pixels, alt="small")] * 3,
    ]
    first, last, *left = limits.bounded([Section("s", blocks)] * 2 + [Section("t")] * 7)
    wide, spent, facts, large, small, words = first.blocks
    assert wide.caption == "wide (3 of 5 rows and 2 of 3 columns shown)"
    assert wide.columns == ["a", "b"] and wide.rows == [[1, 2]] * 3
    assert spent.caption == "spent (2 of 3 rows shown)"
    assert facts.values == {"f1": 1, "f2": 2, "and more": "1 further ones are left out"}
    assert large == "large: left out, 11 bytes are too many for a page."
    assert small.alt == "small" and words == "2 further pictures are left out."
    assert last.blocks[-1] == "3 further pictures are left out."
    assert left[0].blocks == ["7 further sections are left out."]
    assert limits.bounded([Section("s", ["x"])]) == [Section("s", ["x"])]


def test_as_much_as_a_page_takes_is_shown_without_a_word(tmp_path, monkeypatch):
    for name, value in {
        "MOST_SECTIONS": 2, "MOST_PICTURES": 3, "MOST_ROWS": 3, "MOST_COLUMNS": 2,
        "MOST_CELLS": 6, "MOST_FACTS": 2, "MOST_BYTES": 10, "MOST_BYTES_IN_ALL": 14,
    }.items():  # fmt: skip
        monkeypatch.setattr(limits, name, value)
    for name, size in (("a", 10), ("b", 4), ("c", 1)):
        (tmp_path / name).write_bytes(b"x" * size)
    table = Table("t", ["a", "b"], [[1, 2]] * 3)
    pictures = [Picture(tmp_path / name, alt=name) for name in "ab"]
    whole = [Section("s", [table, Facts({"f1": 1, "f2": 2}), *pictures]), Section("t", [])]
    assert limits.bounded(whole) == whole
    # Bytes count together; what is not there takes none.
    more = [*pictures, Picture(tmp_path / "c", alt="c"), Picture(tmp_path / "none", alt="none")]
    *_, third, last = limits.bounded([Section("s", more)])[0].blocks
    assert third == "c: left out, 1 bytes are too many for a page." and last == more[-1]
    spent = limits.bounded([Section("s", [table, Table("u", ["a"], [[1]])])])[0].blocks[1]
    assert spent.caption == "u (0 of 1 rows shown)" and not spent.rows
    assert limits.bounded([Section("s", [Table("none", [], [])])])[0].blocks[0].rows == []
    assert limits.page_text("x" * 5, 5) == "x" * 5
    assert limits.page_text("x" * 6, 5) == "xxxxx ... (6 characters)"
    assert limits.page_text("a\n\x1b", 5) == "a\n\\x1b" and limits.page_text(3) == 3


def test_values_of_any_depth_and_length_have_a_cell():
    deep = [1]
    for _ in range(3000):
        deep = [deep]
    assert format_cell([[[[[1]]]]]) == "1" and format_cell([[[[[[1]]]]]]) == "…"
    assert format_cell(deep) == "…" and format_cell({"a": deep}) == "…"
    assert format_cell(list(range(10**6))).endswith(", 99 ... (999,900 more)")
    nested = value = {}
    for _ in range(3000):
        value["k" * 90] = value = {}
    assert list(flatten({"a": {"b": 1}, "c": nested}).values()) == [1, "…"]
    assert max(map(len, flatten(nested))) <= limits.MOST_NAME
    table = table_of([{f"k{i}": i} for i in range(4000)], caption="c")
    assert table.caption == "c (1,000 of 4,000 rows and 60 of 4,000 columns shown)"
    assert len(table.rows) == 1000 and len(table.columns) == 60


def test_a_run_folder_of_strange_names_has_a_page(tmp_path):
    (tmp_path / "config.json").write_text(r'{"a":"\ud800","\u001b[2J":"x"}')
    lines = [{"step": i, "loss $\\frac$ \ud800": i} for i in range(3)]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    results = {
        "spectra": {"a$b_{$": {"mean": [1, 10**400, 3], "std": [0, 0, 1e308]}},
        "bypass": [{f"k{i}": i} for i in range(100)],
    }
    (tmp_path / "results.json").write_text(json.dumps(results))
    page = report_run(tmp_path).read_text(encoding="utf-8")
    assert r"\ud800" in page and r"\x1b[2J" in page and "60 of 100 columns shown" in page


def test_facts_of_a_detector_may_be_anything():
    facts = {"probability": "x", "accuracy": None, "augment": 5, "size": [1], "a\x1b": {"b": "c"}}
    assert dict(fact_rows({**facts, "probability": 0.5})).keys() >= {"accuracy", "a\x1b: b"}
    assert dict(fact_rows({"probability": 0.5, "augment": ["blur"]})) == {
        "probability of blur, of JPEG": "50.0%",
        "augmentation in training": "blur",
    }
    for audit in (None, [], {}, {"remaining": "x"}):
        assert audit_words(audit) == "not known"


def test_no_cell_of_markdown_ends_its_line():
    table = Table("c", ["a|b"], [["x\n| y |"], [0.12345]])
    assert markdown(table) == "| a\\|b |\n| --- |\n| x\\n\\| y \\| |\n| 0.1235 |"


def test_texts_and_pictures_of_a_page_have_their_lengths(tmp_path):
    for most, make in (
        (1000, lambda text: Table("c", ["a"], [[text]])),
        (300, lambda text: Table("c", [text], [])),
        (20_000, lambda text: text),
    ):
        assert "characters)" not in written(tmp_path, make("x" * most))
        assert f"({most + 1:,} characters)" in written(tmp_path, make("x" * (most + 1)))
    pictures = []
    for i, size in enumerate([2**24] * 4 + [1, 2**24 + 1]):
        pictures.append(Picture(tmp_path / f"{i}.png", alt=f"p{i}"))
        with open(tmp_path / f"{i}.png", "wb") as file:
            file.truncate(size)
    *kept, first, second = limits.bounded([Section("s", pictures)])[0].blocks
    assert kept == pictures[:4] and first.startswith("p4: left out, 1 bytes")
    assert second.startswith("p5: left out")
    assert limits.bounded([Section("s", pictures[5:])])[0].blocks[0].startswith("p5: left out")


def test_a_picture_of_a_page_is_a_png(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", "JPEG")
    with pytest.raises(ValueError, match="a.png is not a readable PNG image: it is none"):
        written(tmp_path, Picture(tmp_path / "a.png", alt="a"))
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ValueError, match="a.png is not a readable PNG image"):
        written(tmp_path, Picture(tmp_path / "a.png", alt="a"))


def test_a_page_shows_so_many_of_each_kind():
    pixels = np.zeros((2, 2, 3), np.uint8)

    def shown_of(*blocks):
        return limits.bounded([Section("s", blocks)])[0].blocks

    for most in (60, 61):
        assert len(limits.bounded([Section("s", [])] * most)) == most
    assert limits.bounded([Section("s", [])] * 61)[-1].title == "And more"
    assert len(shown_of(*[Picture(pixels, alt="a")] * 300)) == 300
    assert shown_of(*[Picture(pixels, alt="a")] * 301)[-1] == "1 further pictures are left out."
    facts = [{f"f{i}": i for i in range(n)} for n in (400, 401)]
    whole, cut = shown_of(*map(Facts, facts))
    assert whole.values == facts[0] and cut.values["and more"] == "1 further ones are left out"
    tables = shown_of(*[Table("t", [*"ab" * 25], [[1] * 50] * 1000)] * 2, Table("t", ["a"], [[1]]))
    assert [len(table.rows) for table in tables] == [1000, 1000, 0]


def test_names_and_numbers_of_a_figure_are_bounded():
    assert literal("x" * 60) == "x" * 60 and len(literal("x" * 61)) == 60
    kept = drawable([9.9e29, 1e30, -9.9e29, -1e30])
    np.testing.assert_array_equal(kept, [9.9e29, np.nan, -9.9e29, np.nan])


def test_names_are_ordered_as_people_count():
    names = ["img_2", "img_10", "img_010", "b/img_1", "b-1", "b", "9", "10", "07", "7", "", "x" * 9]
    ordered = ["", "07", "7", "9", "10", "b", "b/img_1", "b-1", "img_2", "img_010", "img_10"]
    assert sorted(names, key=natural_order)[:-1] == ordered
    long = ["1" * 5000, "2", "0" * 6000 + "1"]
    assert sorted(long, key=natural_order) == [long[2], long[1], long[0]]
    assert sorted([Path("e_10"), Path("e_9")], key=natural_order) == [Path("e_9"), Path("e_10")]
