"""The page: self-contained, escaped, accessible; and run folders turned into pages."""

import base64
import io
import json
import re
from html.parser import HTMLParser
from urllib.parse import quote, urljoin

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from gan_forensics.data import image_grid
from gan_forensics.report import (
    Bar,
    Facts,
    Link,
    Picture,
    Section,
    Table,
    bars_figure,
    report_run,
    spectra_figure,
    write_report,
)
from gan_forensics.report.blocks import Share
from gan_forensics.report.html import format_cell
from gan_forensics.report.run import flatten, table_of
from gan_forensics.train import read_metrics


class Page(HTMLParser):
    """Tags with their attributes, and the text of the page."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.words, self.open = [], [], []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        assert not self.open, f"left open: {self.open}"
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    def all(self, name):
        return [attrs for tag, attrs in self.tags if tag == name]


@pytest.fixture
def pixels(rng):
    return rng.integers(0, 255, (12, 20, 3), dtype=np.uint8)


@pytest.fixture
def page(tmp_path, pixels):
    """A page with one of everything."""
    x = np.linspace(1, 0, 20)
    blocks = [
        "First paragraph.\n\nSecond paragraph.",
        Picture(spectra_figure({"real": (x, 0 * x)}), alt="Spectra", caption="Mean spectra."),
        Picture(bars_figure([Bar("a", 0.5)]), alt="Bars"),
        Picture(pixels, alt="Noise"),
        Table("Rates", ["tail", "rate", "n"], [["N.1.5", 0.123456, 900], ["Z.1.5", None, 1000]]),
        Facts({"seeds": [0, 1, 2], "lr": 1e-4, "resumed": False}),
    ]
    sections = [Section("One", blocks), Section("Two"), Section("Three", ["End."])]
    return Page(
        write_report(tmp_path / "report.html", title="Title", lead="Lead.", sections=sections)
    )


def test_the_page_holds_every_part_in_order(page):
    wanted = ["Title", "Lead.", "One", "First paragraph.", "Second paragraph.", "Mean spectra.",
              "Rates", "N.1.5", "0.1235", "900", "Z.1.5", "–", "seeds", "0, 1, 2", "0.0001", "no",
              "Two", "Three", "End."]  # fmt: skip
    body = page.text[page.text.index("Lead.") :]
    place = 0
    for word in wanted[3:]:
        place = body.index(word, place)
    assert len(page.all("p")) == 4 and len(page.all("section")) == 3


def test_the_page_asks_nothing_of_the_network_and_runs_no_script(page):
    assert not page.all("script")
    addresses = [
        value
        for _, attrs in page.tags
        for name, value in attrs.items()
        if name in ("src", "href", "srcset", "action")
    ]
    assert addresses and all(a.startswith(("data:", "#")) for a in addresses)
    assert "@import" not in page.source and "url(" not in page.source
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy.startswith("default-src 'none'; img-src data:;")


def test_pictures_are_embedded_with_alt_text_and_size(page, pixels):
    images = page.all("img")
    assert [image["alt"] for image in images] == ["Spectra", "Bars", "Noise"]
    assert all(int(image["width"]) > 0 and int(image["height"]) > 0 for image in images)
    kinds = [image["src"].split(";")[0] for image in images]
    assert kinds == ["data:image/svg+xml", "data:image/svg+xml", "data:image/png"]
    data = base64.b64decode(images[2]["src"].split(",")[1])
    assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), pixels)
    # 20 pixels wide: enlarged by 760 // 20 = 38, pixel by pixel.
    assert (images[2]["width"], images[2]["height"]) == ("760", "456")
    assert images[2]["class"] == "pixels"


def test_a_layer_lies_over_its_picture_and_readers_set_its_opacity(tmp_path, pixels, page):
    layer = np.concatenate([pixels, pixels[..., :1]], -1)
    sections = [Section("One", [Picture(pixels, alt="Noise", layer=layer)]), Section("Two", ["x"])]
    made = Page(write_report(tmp_path / "layers.html", title="t", lead="", sections=sections))
    below, over = made.all("img")
    assert (below["alt"], over["alt"], over["class"]) == ("Noise", "", "over pixels")
    assert (below["width"], below["height"]) == (over["width"], over["height"])
    data = base64.b64decode(over["src"].split(",")[1])
    assert_array_equal(np.asarray(Image.open(io.BytesIO(data))), layer)
    choices = made.all("input")
    assert [choice["value"] for choice in choices] == ["0", "20", "40", "60", "80", "100"]
    assert [choice["value"] for choice in choices if "checked" in choice] == ["80"]
    assert not made.all("script") and not page.all("input")


def test_tables_have_a_caption_and_scopes(page):
    assert len(page.all("table")) == len(page.all("caption")) == 1
    assert [th["scope"] for th in page.all("th")] == ["col"] * 3 + ["row"] * 2
    # The rate is missing once, so only the counts are a column of numbers throughout.
    assert [th.get("class") for th in page.all("th")[:3]] == [None, None, "number"]
    assert page.all("html")[0]["lang"] == "en"


def test_sections_are_linked_from_the_top(page):
    anchors = [a["href"].removeprefix("#") for a in page.all("a")]
    assert anchors == [h["id"] for h in page.all("h2")] and len(anchors) == 3


def test_all_text_is_escaped(tmp_path):
    evil = '<script>alert("x")</script> & \'"'
    sections = [
        Section(evil, [
            evil, Facts({evil: evil}), Table(evil, [evil], [[evil]]),
            Picture(np.zeros((2, 2, 3), np.uint8), alt=evil, caption=evil),
        ]),
    ]  # fmt: skip
    page = Page(
        write_report(tmp_path / "report.html", title=evil, lead=evil, sections=sections * 3)
    )
    assert not page.all("script")
    assert page.all("img")[0]["alt"] == evil
    # Title twice, lead, three links, and eight places in each of three sections.
    assert page.text.count(evil) == 3 + 3 + 3 * 8


def test_a_link_leads_to_a_file_beside_the_page_whatever_its_name(tmp_path):
    names = ["overlay.webm", "my clip 50%.webm", "javascript:alert(1)", 'a"b#c?d.webm']
    blocks = [Link(f"the clip {name}", name) for name in names]
    page = Page(
        write_report(tmp_path / "r.html", title="t", lead="", sections=[Section("s", blocks)])
    )
    addresses = [a["href"] for a in page.all("a")]
    assert [urljoin("file:///runs/r.html", address) for address in addresses] == [
        f"file:///runs/{quote(name)}" for name in names
    ]
    assert all(name in page.text for name in names)
    for file in ("", "..", "../other/overlay.webm", "/etc/passwd", "a\\b"):
        with pytest.raises(ValueError, match="a file in the page's folder, without a path"):
            write_report(
                tmp_path / "r.html", title="t", lead="", sections=[Section("s", [Link("x", file)])]
            )


def test_equal_input_gives_equal_files(tmp_path):
    pages = []
    for _ in range(2):
        figure = spectra_figure({"real": (np.ones(4), np.ones(4))})
        path = write_report(
            tmp_path / "r.html", title="t", lead="", sections=[Section("s", [Picture(figure, "a")])]
        )
        pages.append(path.read_bytes())
    assert pages[0] == pages[1]


def test_unfit_blocks_are_refused_and_the_old_page_stays(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("old")
    (tmp_path / "fake.png").write_text("text")
    image = np.zeros((2, 2, 3), np.uint8)
    for block, message in [
        (Table("t", ["a", "b"], [[1]]), "table 't': row 1 has 1 cells for 2 columns"),
        (Picture(np.zeros((2, 2)), alt=""), "uint8 .*h, w, 3"),
        (Picture(tmp_path / "fake.png", alt=""), "fake.png is not a readable PNG"),
        (Picture(image, alt="", layer=np.zeros((3, 2, 4), np.uint8)), "layer .* over .2, 2, 3"),
        (Picture(image, alt="", layer=np.zeros((2, 2, 3), np.uint8)), "layer must be uint8"),
        (Picture(image, alt="", layer=np.zeros((2, 2, 4))), "layer must be uint8"),
        (Picture(tmp_path / "a.png", alt="", layer=np.zeros((2, 2, 4), np.uint8)), "over PosixP"),
    ]:
        with pytest.raises(ValueError, match=message):
            write_report(path, title="t", lead="", sections=[Section("s", [block])])
    assert path.read_text() == "old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["fake.png", "report.html"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (0.98765, "0.9877"), (1e-8, "1e-08"), (np.float32(0.5), "0.5"), (True, "yes"),
     (None, "–"), (float("nan"), "–"), (12345, "12345"), ((1, 0.25), "1, 0.25"), ("a", "a")],
)  # fmt: skip
def test_cells_are_formatted(value, text):
    assert format_cell(value) == text


def test_tables_of_objects_have_every_key_as_a_column():
    table = table_of([{"a_b": 1}, {"a_b": 2, "c": 3}], caption="t")
    assert table.columns == ["a b", "c"] and table.rows == [[1, None], [2, 3]]
    assert flatten({"a": {"b": 1, "c": {}}, "d": 2}) == {"a.b": 1, "a.c": {}, "d": 2}


def test_metrics_are_read_up_to_a_half_written_line(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1}\n\n{"step": 2, "loss": NaN}\n{"step": 3, "lo')
    assert [line["step"] for line in read_metrics(path)] == [1, 2]
    path.write_text('{"step": 1}\nbroken\n{"step": 2}\n')
    with pytest.raises(ValueError, match="metrics.jsonl: line 2: it is not readable as JSON"):
        read_metrics(path)
    path.write_text('{"step": 1}\n[2]\n')
    with pytest.raises(ValueError, match="line 2 is no JSON object with a step"):
        read_metrics(path)
    assert "line 2 is no JSON object with a step" in report_run(tmp_path).read_text()
    path.write_bytes(b'{"step": 1}\n{"note": "\xc3')
    assert len(read_metrics(path)) == 1


@pytest.fixture
def run(tmp_path, rng):
    """A run folder with all that `report_run` reads."""
    run = tmp_path / "dcgan-7"
    (run / "samples").mkdir(parents=True)
    for step in (100, 20, 3):
        grid = image_grid(rng.integers(0, 255, (4, 5, 5, 3), dtype=np.uint8))
        Image.fromarray(grid).save(run / f"samples/step_{step}.png")
    (run / "config.json").write_text(json.dumps({"method": "dcgan", "adam": {"lr": 2e-4}}))
    (run / "metrics.jsonl").write_text('{"step": 1, "loss": 2}\n{"step": 2, "loss": 1}\n{"st')
    curve = {"mean": [1.0, 0.5, 0.1], "std": [0.1, 0.1, 0.1]}
    results = {
        "commit": "abc123",
        "protocol": {"data": "samples:photos", "seeds": [0, 1]},
        "spectra": {"real": curve, "N.1.5": curve},
        "bypass": [{"tail": "N.1.5", "detection_rate": 0.02, "real_accuracy": 0.97}],
    }
    (run / "results.json").write_text(json.dumps(results))
    return run


def test_a_run_folder_becomes_a_page(run):
    page = Page(report_run(run))
    assert [h["id"] for h in page.all("h2")] == [f"section-{i}" for i in range(1, 8)]
    for words in ("Run dcgan-7", "abc123", "samples:photos", "real accuracy", "0.97", "adam.lr"):
        assert words in page.text
    assert len(page.all("img")) == 1 + 3 + 1
    # Steps are sorted as numbers.
    assert re.findall(r"step_\d+", page.text) == ["step_3", "step_20", "step_100"]
    assert page.all("img")[0]["alt"] == "Mean radial spectra of real, N.1.5"


def test_the_page_of_a_run_counts_what_was_taken_of_its_data(run):
    left_out = {"not an image": ["a.txt", "b.txt"]}
    data = {"images": 46, "held_out": 14, "left_out": left_out, "skipped": ["12.png: damaged"]}
    (run / "data.json").write_text(json.dumps(data))
    said = " ".join(Page(report_run(run)).text.split())
    for words in ("images 46", "held_out 14", "left_out.not an image 2", "skipped 1"):
        assert words in said
    assert "a.txt" not in said and "moved" not in said
    known = {"moved": ["gan.data: 'a' -> 'b'"], "before": [{"until_step": 7}, {}, 3]}
    (run / "fingerprint.json").write_text(json.dumps(known))
    said = " ".join(Page(report_run(run)).text.split())
    assert "moved gan.data: 'a' -> 'b'" in said
    assert "other data under the same names from step 7 on, from step None on" in said


def test_a_run_that_has_just_begun_becomes_a_page(run):
    for name in ("results.json", *(f"samples/step_{n}.png" for n in (3, 20, 100))):
        (run / name).unlink()
    (run / "metrics.jsonl").write_text('{"step"')
    page = Page(report_run(run))
    assert "No metric has been logged yet." in page.text and "dcgan" in page.text


def test_many_grids_are_thinned_with_first_and_last(run, rng):
    for step in range(200, 240):
        Image.new("RGB", (4, 4)).save(run / f"samples/step_{step}.png")
    page = Page(report_run(run))
    assert "Samples (6 of 43 grids)" in page.text
    steps = re.findall(r"step_(\d+)", page.text)
    assert len(steps) == 6 and (steps[0], steps[-1]) == ("3", "239")


def test_broken_run_folders_are_refused(run, tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a run folder"):
        report_run(tmp_path / "nothing")
    for content, message in [
        ('{"spectra": {"real": [1, 2]}}', "results.json: \"spectra\" must map labels"),
        ('{"spectra": 3}', "\"spectra\" must map labels"),
        ('{"reliability": {"last": [{"low": 0.1}]}}', "\"reliability\" must map labels to bins"),
        ("{", "results.json: it is not readable as JSON"),
        ("[]", "results.json is not a JSON object"),
    ]:  # fmt: skip
        (run / "results.json").write_text(content)
        with pytest.raises(ValueError, match=message):
            report_run(run)


def test_shares_have_bars_and_are_certain_only_where_they_are():
    said = {0.25: "25.0%", 0.0: "0.0%", 1.0: "100.0%", 1e-9: "under 0.1%", 0.99999: "over 99.9%"}
    assert {value: format_cell(Share(value)) for value in said} == said


def test_pairs_stand_beside_one_another_and_images_have_their_width(tmp_path, pixels):
    picture = Picture(pixels, alt="Noise", width=100)
    table = Table("Shares", ["a", "b"], [["x", Share(0.5)], ["y", 0.5]])
    sections = [Section("One", [picture, table], pairs=True), Section("Two", [table])]
    page = Page(write_report(tmp_path / "page.html", title="T", lead="", sections=sections))
    assert [section.get("class") for section in page.all("section")] == ["pairs", None]
    assert page.all("img")[0]["width"] == "100"
    assert [s["style"] for s in page.all("span") if "style" in s] == ["width: 50.0%"] * 2
