"""The built documentation in a real browser: no network, no broken link, nothing overflows.

`make docs` builds it; the variable GAN_FORENSICS_SITE says where it is, build/docs/html. Without it
nothing is looked at, since building takes longer than a test may. Results on it are those of
tests/small_results.py.
"""

import functools
import os
import re
import shutil
import threading
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from playwright.sync_api import sync_playwright

from gan_forensics.studies import EXPERIMENTS
from tests.small_results import NAMES

SITE = Path(os.environ.get("GAN_FORENSICS_SITE", "no site")).resolve()
pytestmark = pytest.mark.skipif(
    "GAN_FORENSICS_SITE" not in os.environ, reason="GAN_FORENSICS_SITE names no built site"
)
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
# It leads to docs/index.html.
FIRST = "index.html"


class Quiet(SimpleHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/favicon.ico":  # Browsers ask for it; there is none.
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address():
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def chromium():
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(context, complaints):
    """A page of which all that goes wrong is noted."""
    page = context.new_page()
    page.on("console", lambda said: complaints.append((page.url, said.text)))
    page.on("pageerror", lambda error: complaints.append((page.url, str(error))))
    page.on("requestfailed", lambda request: complaints.append((page.url, request.url)))
    return page


def test_no_page_asks_another_host_and_none_is_wider_than_a_telephone(chromium, address):
    context = chromium.new_context(viewport={"width": 400, "height": 800}, color_scheme="dark")
    asked, complaints, wide = set(), [], []
    context.on("request", lambda request: asked.add(request.url))
    page = opened(context, complaints)
    for name in PAGES:
        if name == FIRST:
            continue
        assert page.goto(f"{address}/{name}", wait_until="load").ok
        sizes = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        whole, shown = page.evaluate(sizes)
        if whole > shown:
            wide.append((name, whole))
    context.close()
    assert len(PAGES) > 40 and len(asked) > len(PAGES)
    assert [url for url in asked if not url.startswith((address, "data:"))] == []
    assert (complaints, wide) == ([], [])


def test_pages_open_from_the_disk_and_are_searched_there(chromium):
    complaints = []
    context = chromium.new_context()
    page = opened(context, complaints)
    page.goto((SITE / FIRST).as_uri())
    page.wait_for_url("**/docs/index.html")
    page.get_by_role("link", name="What a verdict is worth").first.click()
    assert page.locator("math").count() == 2
    page.locator("input[name=q]").first.fill("inconclusive")
    page.keyboard.press("Enter")
    page.locator("#search-results li a", has_text="What a verdict is worth").wait_for()
    context.close()
    assert complaints == []


class Links(HTMLParser):
    """Addresses and anchors of a page."""

    def __init__(self, text):
        super().__init__()
        self.to, self.anchors = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.anchors |= {values[name] for name in ("id", "name") if values.get(name)}
        self.to |= {values[name] for name in ("href", "src") if values.get(name)}


def test_every_link_within_the_site_leads_somewhere():
    seen = {name: Links((SITE / name).read_text(encoding="utf-8")) for name in PAGES}
    broken, others = [], set()
    for name, links in seen.items():
        for link in links.to:
            parts = urlsplit(link)
            if parts.scheme:
                others.add((parts.scheme, parts.netloc))
                continue
            path = (SITE / name).parent / unquote(parts.path) if parts.path else SITE / name
            target = os.path.relpath(path.resolve(), SITE)
            known = seen[target].anchors if target in seen else set()
            if not path.exists() or (parts.fragment and unquote(parts.fragment) not in known):
                broken.append((name, link))
    assert sum(len(links.to) for links in seen.values()) > 1000
    assert broken == []
    assert {scheme for scheme, _ in others} <= {"https", "data", "mailto"}


def test_every_experiment_has_a_page_and_results_stand_on_it():
    for name in EXPERIMENTS:
        text = (SITE / "docs" / "papers" / f"{name}.html").read_text(encoding="utf-8")
        assert ("A test's results, which are no measurement." in text) == (name in NAMES)
        assert bool(re.search("_downloads/[0-9a-f]+/results.json", text)) == (name in NAMES)


@pytest.mark.parametrize("name", ["detector", "own_term", "spectra"])
def test_notebooks_show_what_they_print(name):
    text = (SITE / "docs" / "notebooks" / f"{name}.html").read_text(encoding="utf-8")
    cells = len(re.findall(r'class="cell_input ', text))
    assert cells > 5 and len(re.findall(r'class="cell_output ', text)) > cells / 2
