"""The page in Debian's Chromium: every way in, every control, and nothing leaves the machine."""

import contextlib
import io
import json
import re
import socket
import threading
import time
import types
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from playwright.sync_api import expect, sync_playwright

from gan_forensics.data import power_law_textures
from gan_forensics.inspector import server, stages
from gan_forensics.inspector.findings import Tools
from tests.browsers import CHROMIUM, needs_chromium
from tests.inspector_stand_ins import explain, image_file, judge, look_at_file, stand_ins
from tests.made_detectors import made_detector

pytestmark = needs_chromium
# Notes what the page's policy stopped, and whether a name ran as a script.
WATCH = """
window.stopped = [];
document.addEventListener(
  "securitypolicyviolation", (event) => window.stopped.push(event.violatedDirective));
"""
HOSTILE = [
    "<img src=x onerror=window.ran=1>.png",
    '"><script>window.ran=1</script>',
    "../../etc/passwd",
    "gnp.\u202eexe",
    "x" * 3000,
    "javascript:window.ran=1",
]
DETECTOR = types.SimpleNamespace(name="a stand-in", sha256="00")
regions = pytest.mark.parametrize("tools", [Tools(detectors=(("a.npz", DETECTOR),))], ids=[""])


@pytest.fixture(scope="module")
def chromium():
    expect.set_options(timeout=30_000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def served(tools):
    """The address of the page, served by a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        running = server.running(server.application(tools, token="t", port=port))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{port}"
        running.should_exit = True
        thread.join(10)


@pytest.fixture
def tools():
    return Tools()


@pytest.fixture
def page(chromium, tools):
    with stand_ins(), opened(chromium, tools) as page:
        yield page


@contextlib.contextmanager
def opened(chromium, tools):
    """The page, opened; at the end nothing of it was stopped, logged or sent elsewhere."""
    with served(tools) as address:
        context = chromium.new_context(viewport={"width": 1200, "height": 900})
        context.set_default_timeout(30_000)
        context.add_init_script(WATCH)
        asked, said = [], []
        context.on("request", lambda request: asked.append(request.url))
        context.route(re.compile(f"^(?!{address}|data:|blob:)"), lambda route: route.abort())
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("dialog", lambda dialog: said.append(dialog.message))
        page.goto(f"{address}/?token=t")
        assert page.url == f"{address}/"
        yield page
        assert page.evaluate("window.stopped") == []
        # What is answered by an error, Chromium notes too.
        assert [line for line in said if "responded with a status of" not in line] == []
        assert page.evaluate("window.ran") is None
        assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
        context.close()


def choose(page, *given, wait=True):
    """Choose files of these names; wait until all images are done."""
    page.set_input_files("[data-files]", [
        {"name": name, "mimeType": "image/png", "buffer": content} for name, content in given
    ])  # fmt: skip
    if wait:
        done(page, len(given))


def done(page, images):
    expect(page.locator("details.image")).to_have_count(images)
    expect(page.locator("[data-progress]")).to_be_hidden()
    assert "still looking" not in page.inner_text("[data-images]")


def transfer(page, name, content):
    """A DataTransfer of one file."""
    return page.evaluate_handle(
        """([name, bytes]) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], name, {type: "image/png"}));
          return data;
        }""",
        [name, [*content]],
    )


def test_a_chosen_file_is_shown_stage_by_stage(page):
    choose(page, ("a.png", image_file()))
    image = page.locator("details.image")
    assert image.get_attribute("open") is not None
    texts = image.inner_text()
    places = [texts.index(words) for words in ("a.png", "The verdict", "What it used", "The file")]
    assert places == sorted(places)
    for picture in page.locator("img").all():
        assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 64


def test_a_dropped_file_is_shown(page):
    data = transfer(page, "dropped.png", image_file())
    page.dispatch_event("body", "dragover", {"dataTransfer": data})
    expect(page.locator(".give")).to_have_class(re.compile("over"))
    page.dispatch_event("body", "drop", {"dataTransfer": data})
    done(page, 1)
    assert "dropped.png" in page.inner_text("h2 >> nth=1")


def test_a_pasted_picture_is_marked(page):
    page.evaluate(
        """data => document.dispatchEvent(
          new ClipboardEvent("paste", {clipboardData: data, bubbles: true}))""",
        transfer(page, "image.png", image_file()),
    )
    done(page, 1)
    assert "pasted" in page.inner_text("details.image > summary")


def test_a_folder_is_named(page, tmp_path):
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(image_file())
    page.fill("#place", str(tmp_path / "none"))
    page.press("#place", "Enter")
    expect(page.locator("[data-notices]")).to_contain_text("no such file")
    page.fill("#place", str(tmp_path / "nowhere"))
    page.press("#place", "Enter")
    expect(page.locator("[data-notices]")).to_contain_text("nowhere")
    expect(page.locator("[data-notices] li")).to_have_count(1)
    page.click("[data-close]")
    expect(page.locator("[data-notices] li")).to_have_count(0)
    page.fill("#place", str(tmp_path))
    page.click("text=Open")
    done(page, 2)
    expect(page.locator("#place")).to_have_value("")


def test_the_slider_fades_the_layer(page):
    choose(page, ("a.png", image_file()))
    slider, layer = page.locator("input[type=range]"), page.locator(".layer")
    opacity = "layer => Number(getComputedStyle(layer).opacity)"
    assert layer.evaluate(opacity) == pytest.approx(0.6)
    slider.press("ArrowLeft")
    assert layer.evaluate(opacity) == pytest.approx(0.59)
    slider.fill("0")
    assert layer.evaluate(opacity) == 0


@pytest.fixture
def scored(monkeypatch):
    """The regions that were scored."""
    asked = []

    def score_region(opened, tools, left, top, width, height):
        asked.append((left, top, width, height))
        return {"score": 0.25}

    monkeypatch.setattr(server, "score_region", score_region)
    return asked


@regions
def test_a_region_is_picked_by_mouse(page, scored):
    choose(page, ("a.png", image_file(side=240)))  # 256 x 240
    box = page.locator(".plate").bounding_box()
    page.mouse.move(box["x"] + 32, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + 96, box["y"] + 60, steps=4)
    page.mouse.move(box["x"] + 160, box["y"] + 120, steps=4)
    page.mouse.up()
    page.click("text=Score the region")
    expect(page.locator("[data-result]")).to_contain_text("0.25")
    assert np.abs(np.subtract(scored, [(32, 40, 128, 80)])).max() <= 1


@regions
def test_a_region_that_is_drawn_beyond_the_picture_ends_at_its_edge(page, scored):
    choose(page, ("a.png", image_file(side=240)))  # 256 x 240
    for x, y in ((300, 280), (-20, -20)):
        box, before = page.locator(".plate").bounding_box(), len(scored)
        page.mouse.move(box["x"] + 96, box["y"] + 120)
        page.mouse.down()
        page.mouse.move(box["x"] + x, box["y"] + y, steps=4)
        page.mouse.up()
        page.click("text=Score the region")
        while len(scored) == before:
            page.wait_for_timeout(20)
    assert np.abs(np.subtract(scored, [(96, 120, 160, 120), (0, 0, 96, 120)])).max() <= 1


def test_what_comes_later_is_brought_into_view(page):
    choose(page, *[(f"{number}.png", image_file()) for number in range(8)])
    page.evaluate("scrollTo(0, 0)")
    choose(page, ("late.png", image_file()), wait=False)
    done(page, 9)
    late = page.locator("details.image").last
    assert late.get_attribute("open") is not None
    expect(late.locator("summary").first).to_be_in_viewport()
    assert page.locator("details.image[open]").count() == 2


@regions
def test_a_region_is_picked_by_keyboard(page, scored):
    choose(page, ("a.png", image_file(side=240)))
    page.focus(".region > summary")
    page.keyboard.press("Enter")
    expect(page.locator(".frame")).to_be_visible()
    page.focus(".frame")
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "Shift+ArrowRight", "Shift+ArrowUp"):
        page.keyboard.press(key)
    page.keyboard.press("Enter")
    expect(page.locator("[data-result]")).to_contain_text("0.25")
    page.fill("[name=left]", "9999")
    page.press("[name=left]", "Enter")
    expect(page.locator("[name=left]")).to_have_value("112")
    page.wait_for_function("document.querySelector('[data-result]').textContent.includes('0.25')")
    assert scored == [(80, 92, 144, 104), (112, 92, 144, 104)]


def test_without_a_detector_no_region_is_offered(page):
    choose(page, ("a.png", image_file()))
    assert page.locator(".region, .frame, [data-plate]").count() == 0


def test_reports_are_saved_and_open_without_the_server(page, chromium, tmp_path):
    choose(page, ("a.png", image_file()), ("b.png", image_file()))
    for locator, private in ((".session", False), (".session", True), ("details.image", False)):
        tools = page.locator(f"{locator} [data-report]").first
        if private:
            page.check(".session [data-private]")
        with page.expect_download() as saving:
            tools.click()
        path = tmp_path / saving.value.suggested_filename
        saving.value.save_as(path)
        text = path.read_text(encoding="utf-8")
        assert ("47.11 N" in text) == private
        assert ("b.png" in text) == (locator == ".session")
    with page.expect_download() as saving:
        page.click("text=Report as JSON")
    assert json.loads(saving.value.path().read_text())["images"][0]["name"] == "a.png"
    context = chromium.new_context()
    context.add_init_script(WATCH)
    asked = []
    context.on("request", lambda request: asked.append(request.url))
    report = context.new_page()
    report.goto(path.as_uri())
    report.locator("input[type=range]").fill("0")
    assert report.evaluate("getComputedStyle(document.querySelector('.layer')).opacity") == "0"
    assert report.evaluate("window.stopped") == []
    assert report.evaluate("[...document.images].every(i => i.complete && i.naturalWidth)")
    assert asked == [path.as_uri()]
    context.close()


def test_a_file_that_is_malformed_is_told_and_the_next_one_shown(page):
    choose(page, ("broken.png", image_file()[:70]), ("fail.png", image_file()))
    broken, failed = page.locator("details.image").all()
    assert "No verdict possible: " in broken.locator("summary").first.inner_text()
    failed.locator("summary").first.click()
    assert "this <b>stage</b> fails" in failed.inner_text()
    assert "What it used" in failed.inner_text()


def test_what_is_too_large_is_told_and_not_sent(page):
    page.evaluate("""() => {
      const file = new File([new Uint8Array(10)], "huge.png");
      Object.defineProperty(file, "size", {value: 2 ** 40});
      const event = new Event("drop");
      event.dataTransfer = {items: [], files: [file]};
      document.dispatchEvent(event);
    }""")
    expect(page.locator("[data-notices]")).to_contain_text("huge.png: not received (larger than")


def test_fifty_files_show_progress_and_the_page_answers(page):
    def slowly(stage):
        return lambda opened, tools: (time.sleep(0.02), stage(opened, tools))[1]

    first = {"file": slowly(look_at_file), "verdict": slowly(judge)}
    with stand_ins(first, {"relevance": slowly(explain)}):
        given = [(f"{n:02}.png", image_file(colour=(5 * n, 0, 0))) for n in range(50)]
        choose(page, *given, wait=False)
        expect(page.locator("[data-status]")).to_contain_text("of 50")
        seen, slowest = set(), 0.0
        while page.locator("[data-progress]").is_visible():
            started = time.monotonic()
            page.fill("#place", f"/{len(seen)}")
            assert page.input_value("#place") == f"/{len(seen)}"
            slowest = max(slowest, time.monotonic() - started)
            seen.add(page.locator("[data-status]").text_content())
        done(page, 50)
    assert len(seen) > 5 and slowest < 2
    # From the first to the last there are fifty.
    assert all("of 50" in status and "of 49" not in status for status in seen)
    assert "still looking" not in page.inner_text("[data-images]")
    assert page.text_content("[role=status]") == "50 of 50 complete"
    assert page.title() == "Inspector"
    names = [name.strip() for name in page.locator("details.image h2").all_text_contents()]
    assert names == [name for name, _ in given]
    page.click("text=Remove all")
    page.focus("#place")
    expect(page.locator("[data-clear]")).to_have_text("Remove all")
    page.click("text=Remove all")
    assert page.locator("details.image").count() == 50
    page.click("text=Really remove all?")
    expect(page.locator("details.image")).to_have_count(0)


def test_hostile_names_are_text(page):
    choose(page, *[(name, image_file()) for name in HOSTILE])
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    names = page.locator("details.image h2").all_text_contents()
    assert names[:3] == HOSTILE[:3] and r"\u202e" in names[3] and "characters" in names[4]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("details.image script, img[src=x]").count() == 0


def test_one_image_is_removed(page):
    choose(page, ("a.png", image_file()), ("b.png", image_file()))
    page.press("details.image [data-remove]", "Enter")
    expect(page.locator("details.image")).to_have_count(1)
    assert "b.png" in page.inner_text("details.image")
    # Whoever goes by keyboard goes on at the next one, and at last where images are given.
    assert page.evaluate("document.activeElement.textContent.includes('b.png')")
    page.keyboard.press("Enter")
    page.press("details.image [data-remove]", "Enter")
    expect(page.locator("details.image")).to_have_count(0)
    assert page.evaluate("'files' in document.activeElement.dataset")


def test_the_page_says_when_its_server_does_not_answer_and_goes_on(page):
    page.route("**/state*", lambda route: route.fulfill(status=500, body="{}"))
    notices = page.locator("[data-notices] li")
    expect(notices).to_have_count(1)
    assert "does not answer" in notices.inner_text()
    page.wait_for_timeout(2500)
    assert notices.count() == 1
    page.unroute("**/state*")
    choose(page, ("a.png", image_file()))


@regions
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_is_accessible_narrow_and_wide(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.evaluate(axe())
    assert violations(page) == []
    choose(page, ("a.png", image_file(side=600)), ("fail.png", image_file()),
           ("broken.png", image_file()[:70]))  # fmt: skip
    page.fill("#place", "/none")
    page.press("#place", "Enter")
    expect(page.locator("[data-notices] li")).to_have_count(1)
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    for width in (1200, 400):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert violations(page) == []
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", shade))) < 60) == (scheme == "dark")


def test_the_sections_of_all_stages_are_accessible_narrow_and_wide(chromium):
    image = power_law_textures(1, 64, exponent=2.0, seed=3)[0]
    text = PngInfo()
    text.add_text("parameters", "a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1")
    given = []
    for kind, options in (("PNG", {"pnginfo": text}), ("JPEG", {"quality": 90})):
        file = io.BytesIO()
        Image.fromarray(image).save(file, kind, **options)
        given.append((f"a.{kind}", file.getvalue()))
    with opened(chromium, Tools(detectors=(("a.npz", made_detector(64)),))) as page:
        choose(page, *given)
        assert page.locator(".failed").all_inner_texts() == []
        page.click("#image-1 .region > summary")
        page.click("#image-1 >> text=Score the region")
        expect(page.locator("#image-1 [data-result]")).to_contain_text("is no verdict")
        page.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        page.evaluate(axe())
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert violations(page) == []
        page.set_viewport_size({"width": 400, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        shown = page.locator("#image-1 .stage:not(:empty)").evaluate_all(
            "sections => sections.map(section => section.dataset.slot)"
        )
        # An image of 64 pixels has no tiles, and there is nothing that knows generators.
        assert shown == [name for name in stages.SHOWN if name not in ("tiles", "attribution")]


def axe():
    """The rules of accessibility, as a script."""
    return files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")


def violations(page):
    """What breaks the rules of WCAG 2.2 A and AA, as axe finds it."""
    rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = page.evaluate(
        "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}})", rules
    )
    assert len(found["passes"]) > 10
    return [
        (one["id"], [node["target"] for node in one["nodes"]], one["help"])
        for one in found["violations"]
    ]


def test_all_is_reached_by_keyboard_and_what_has_the_focus_is_seen(page):
    choose(page, ("a.png", image_file()))
    page.evaluate("document.activeElement.blur()")
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        name, outline = page.evaluate("""() => {
          const e = document.activeElement;
          const shown = e.closest(".choose") ?? e;
          return [e.outerHTML.slice(0, 60), getComputedStyle(shown).outlineStyle];
        }""")
        if name.startswith("<body"):
            break
        seen.append(name)
        assert outline == "solid", name
    for part in ("data-files", "id=\"place\"", "report.html", "data-private", "data-clear",
                 "summary", "type=\"range\"", "data-remove"):  # fmt: skip
        assert any(part in name for name in seen), part
