"""The page in a real browser: no console message, every picture decoded, nothing overflows."""

import json
import re
import subprocess
from html import unescape

import numpy as np
import pytest

from gan_forensics.data import image_grid
from gan_forensics.report import (
    Bar,
    Facts,
    Picture,
    Section,
    Table,
    bars_figure,
    losses_figure,
    spectra_figure,
    write_report,
)
from tests.browsers import CHROMIUM, needs_chromium

pytestmark = needs_chromium

# Replaces the page's own policy, which allows no script, in the copy that is looked into.
PROBE = """<script>addEventListener("load", () => {
  const seen = {
    images: [...document.images].map(i => [i.complete, i.naturalWidth, i.clientWidth]),
    width: [document.documentElement.scrollWidth, innerWidth],
  };
  const note = document.createElement("pre");
  note.id = "seen";
  note.textContent = JSON.stringify(seen);
  document.body.append(note);
})</script>"""


def browse(page, folder, width=1000):
    """Open a page; returns the DOM after loading and the console's messages."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    flags += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    flags += [f"--user-data-dir={folder}", "--enable-logging=stderr", "--v=0", "--dump-dom"]
    flags += ["--virtual-time-budget=3000", f"--window-size={width},800"]
    done = subprocess.run(
        [CHROMIUM, *flags, page.as_uri()], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    rng = np.random.default_rng(0)
    x = np.linspace(1, 0, 40)
    grid = image_grid(rng.integers(0, 255, (12, 16, 16, 3), dtype=np.uint8), 6)
    names = [f"a_rather_long_column_{i}" for i in range(14)]
    sections = [
        Section("Spectra", [Picture(spectra_figure({"real": (x, x / 9)}), alt="Spectra")]),
        Section("Bars", [Picture(bars_figure([Bar("N.1.5", 0.5, 0.4, 0.6)]), alt="Bars")]),
        Section(
            "Training",
            [Picture(losses_figure([{"step": i, "loss": i % 3} for i in range(9)]), alt="Losses")],
        ),
        Section("Samples", [Picture(grid, alt="Noise")]),
        Section("Numbers", [Table("Wide", names, [[0.5] * 14] * 3), Facts({"k" * 90: "v" * 300})]),
    ]
    path = tmp_path_factory.mktemp("page") / "report.html"
    return write_report(path, title="Report", lead="All parts.", sections=sections)


def test_the_page_opens_without_a_console_message(page, tmp_path):
    dom, console = browse(page, tmp_path)
    assert "All parts." in dom
    assert console == []


@pytest.mark.parametrize("width", [1000, 500])
def test_every_picture_loads_and_nothing_overflows(page, tmp_path, width):
    copy = tmp_path / "copy.html"
    source, policies = re.subn(
        r"<meta http-equiv=\"Content-Security-Policy\".*?>",
        PROBE,
        page.read_text(encoding="utf-8"),
    )
    assert policies == 1
    copy.write_text(source, encoding="utf-8")
    dom, console = browse(copy, tmp_path / "profile", width)
    seen = json.loads(unescape(re.search(r'<pre id="seen">(.*?)</pre>', dom)[1]))
    assert len(seen["images"]) == 4
    for complete, natural, shown in seen["images"]:
        assert complete and natural > 0 and 0 < shown <= width
    assert seen["width"][0] <= seen["width"][1]
    assert console == []


def test_the_opacity_of_layers_is_what_the_reader_chose(tmp_path):
    image, layer = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 4), 255, np.uint8)
    page = tmp_path / "layers.html"
    section = Section("Layers", [Picture(image, alt="Black", layer=layer)])
    write_report(page, title="Layers", lead="", sections=[section])
    probe = """<script>addEventListener("load", () => {
      const over = document.querySelector(".over"), seen = [];
      const note = () => seen.push(+getComputedStyle(over).opacity);
      note();
      for (const value of [0, 40, 100]) {
        document.querySelector(`input[value="${value}"]`).click();
        note();
      }
      document.title = JSON.stringify([seen, over.getBoundingClientRect().width]);
    })</script>"""
    text = re.sub(r"<meta http-equiv=\"Content-Security.*?>", probe, page.read_text("utf-8"))
    page.write_text(text, encoding="utf-8")
    dom, console = browse(page, tmp_path / "profile")
    seen, width = json.loads(unescape(re.search("<title>(.*?)</title>", dom)[1]))
    assert seen == [0.8, 0, 0.4, 1] and width > 700
    assert console == []


def test_a_script_in_the_page_would_be_blocked_and_reported(page, tmp_path):
    """The console is really listened to, and the page's policy really holds."""
    copy = tmp_path / "copy.html"
    text = page.read_text(encoding="utf-8")
    copy.write_text(text.replace("</body>", "<script>document.title = 'x'</script></body>"))
    dom, console = browse(copy, tmp_path / "profile")
    assert "<title>Report</title>" in dom
    assert any("Content Security Policy" in line for line in console)
