"""The page's server: whom it answers, what it takes in, and that all of it stays in memory."""

import asyncio
import hashlib
import html
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import warnings
from concurrent.futures import Future
from dataclasses import replace
from urllib.parse import quote, urlsplit

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from starlette.websockets import WebSocketDisconnect

from gan_forensics.inspector import paths, server
from gan_forensics.inspector.findings import Finding, Tools
from gan_forensics.inspector.jobs import Jobs, Limits
from tests.inspector_stand_ins import image_file, look_at_file, stand_ins

with warnings.catch_warnings(action="ignore"):  # It would rather have another httpx.
    from starlette.testclient import TestClient

PORT, ORIGIN = 8765, "http://127.0.0.1:8765"
TOKEN = "a-token"
HOSTILE = [
    "<img src=x onerror=alert(1)>.png",
    "../../etc/passwd",
    "two\nlines\r\nX-Evil: 1",
    "x" * 3000,
    "gnp.\u202eexe",
    "{{ 7 * 7 }}",
    "nul\0 and \x1b[2J",
]


@pytest.fixture(autouse=True, scope="module")
def own_stages():
    with stand_ins():
        yield


@pytest.fixture
def made():
    """Makes clients of fresh servers, with a cookie; closes them."""
    opened = []

    def make(limits=Limits(), cookie=True, **rest):  # noqa: B008
        app = server.application(Tools(), token=TOKEN, port=PORT, limits=limits, **rest)
        client = TestClient(app, base_url=ORIGIN, headers={"Origin": ORIGIN})
        client.__enter__()
        opened.append(client)
        if cookie:
            client.get(f"/?token={TOKEN}")
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)


def give(client, content, name="a.png", **headers):
    return client.post("/images", content=content, headers={"X-Name": quote(name), **headers})


def state(client, since=0):
    return client.get(f"/state?since={since}").json()


def finished(client, images=None):
    """The whole state once all images are done."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        found = state(client)
        if found["done"] == len(found["images"]) >= (images or 0) and not found["coming"]:
            return found
        time.sleep(0.02)
    raise AssertionError(found)


# ---- who is answered ----


def test_the_token_becomes_a_cookie_once_and_leaves_the_address(made):
    client = made(cookie=False)
    assert client.get("/").status_code == 403
    assert client.get("/?token=another").status_code == 403
    answer = client.get(f"/?token={TOKEN}", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    said = answer.headers["set-cookie"]
    parts = {part.strip().lower() for part in said.split(";")}
    assert {"httponly", "samesite=strict", "path=/"} <= parts
    assert TOKEN not in said and "domain" not in said.lower()
    assert "Inspector" in client.get("/").text
    # Whoever has the cookie may come by the printed address again, others not.
    assert client.get(f"/?token={TOKEN}").url == f"{ORIGIN}/"
    client.cookies.clear()
    assert client.get(f"/?token={TOKEN}").status_code == 403
    client.cookies.set(f"inspector-{PORT}", "guessed")
    assert client.get("/state").status_code == 403


@pytest.mark.parametrize(
    "host", ["evil.example", f"evil.example:{PORT}", "127.0.0.1", "127.0.0.1:80", "[::1]:8765", ""]
)
def test_another_name_is_refused(made, host):
    client = made()
    for path in ("/", "/state", f"/?token={TOKEN}"):
        assert client.get(path, headers={"Host": host}).status_code == 403
    assert client.get("/state").status_code == 200


def test_the_servers_other_name_serves(made):
    client = made(cookie=False)
    host = f"localhost:{PORT}"
    answer = client.get(f"/?token={TOKEN}", headers={"Host": host}, follow_redirects=False)
    assert answer.status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": f"https://127.0.0.1:{PORT}"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": f"http://localhost:{PORT}"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_what_changes_something_is_refused_to_other_pages(made, headers):
    client = made()
    number = give(client, image_file()).json()["number"]
    requests = [
        ("POST", "/images"), ("POST", "/paths"), ("POST", f"/images/{number}/region"),
        ("DELETE", f"/images/{number}"), ("DELETE", "/images"),
    ]  # fmt: skip
    for method, path in requests:
        assert client.request(method, path, headers=headers).status_code == 403, path
    assert len(finished(client)["images"]) == 1
    assert give(client, image_file(), **{"Sec-Fetch-Site": "same-origin"}).status_code == 201


def test_what_is_read_is_refused_to_other_pages_too(made):
    client = made()
    for site, status in (("cross-site", 403), ("same-site", 403), ("none", 200)):
        assert client.get("/state", headers={"Sec-Fetch-Site": site}).status_code == status
    # A link to the page may stand anywhere; it needs the cookie all the same.
    assert client.get("/", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_there_are_no_web_sockets(made):
    with pytest.raises(WebSocketDisconnect):
        with made().websocket_connect("/state"):
            pass


def test_every_answer_has_its_headers(made):
    client = made(Limits(file=100))
    answers = [client.get(path) for path in ("/", "/state", "/none", "/images/1/file/x.webp")]
    answers += [give(client, b"x" * 101), client.get("/", headers={"Host": "evil.example"})]
    assert [a.status_code for a in answers] == [200, 200, 404, 404, 413, 403]
    for answer in answers:
        headers = answer.headers
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        policy = headers["content-security-policy"]
        for rule in ("default-src", "form-action", "base-uri", "frame-ancestors"):
            assert f"{rule} 'none'" in policy
        assert "connect-src 'self';" in policy and "script-src 'sha256-" in policy
        assert "unsafe" not in policy and "*" not in policy
    assert not any("set-cookie" in answer.headers for answer in answers)


def test_the_page_names_nothing_of_elsewhere(made):
    page = made().get("/").text
    assert "http:" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https:" not in page and "//cdn" not in page


# ---- images in ----


def test_an_image_goes_through_all_stages(made):
    client, content = made(), image_file()
    number = give(client, content, "größe.png").json()["number"]
    image = finished(client)["images"][0]
    assert image["number"] == number and "größe.png" in image["all"]
    assert hashlib.sha256(content).hexdigest() in image["all"]
    for words in ("[48, 64, 3]", "47.11 N", "unsure: a stand-in", "What it used"):
        assert words in image["all"]
    picture = client.get(f"/images/{number}/relevance/layer.webp")
    assert picture.content[8:12] == b"WEBP" and picture.headers["content-type"] == "image/webp"


def test_a_page_gets_what_changed_and_nothing_else(made):
    client = made()
    give(client, image_file(), "first.png")
    before = finished(client)
    give(client, image_file(), "second.png")
    seen, since, end = {}, before["version"], time.monotonic() + 10
    while len(seen) < 2 or "relevance" not in seen["slots"]:
        found = state(client, since)
        since = found["version"]
        first, second = found["images"]
        assert {*first} == {"number"}
        if "all" in second:
            seen["all"] = second["all"]
        seen.setdefault("slots", {}).update(second.get("slots", {}))
        if "What it used" in second.get("all", ""):  # so quick that nothing was left to be told
            break
        assert time.monotonic() < end
    assert "second.png" in seen["all"]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(made, name):
    client = made()
    give(client, image_file(), name)
    give(client, image_file(), f"fail {name}")
    for image in finished(client, 2)["images"]:
        page = image["all"]
        assert "<img src=x" not in page and "<b>stage" not in page
        assert not any(mark in page for mark in ("\u202e", "\0", "\x1b", "\r"))
        assert len(page) < 20_000 and "49" not in page.replace(quote(name), "")[:300]
    text = html.unescape(page)
    assert name[:20].split("\n")[0].split("\0")[0].split("\u202e")[0] in text
    # None of it is a file's.
    assert client.get(f"/images/{quote(name, safe='')}/file/preview.webp").status_code == 404


def test_a_name_is_kept_as_far_as_names_go(made):
    client = made()
    give(client, image_file(), "x" * 3000)
    finished(client)
    assert client.get("/report.json").json()["images"][0]["name"] == "x" * 1000


def test_a_browsers_own_encoding_is_marked(made):
    client = made()
    give(client, image_file(), "image.png", **{"X-Pasted": "1"})
    give(client, image_file(), "image.png")
    # A file that was copied is pasted as it is.
    told = PngInfo()
    told.add_text("parameters", "a cat")
    file = io.BytesIO()
    Image.new("RGB", (64, 64)).save(file, "PNG", pnginfo=told)
    give(client, file.getvalue(), "image.png", **{"X-Pasted": "1"})
    give(client, image_file(), "cat.png", **{"X-Pasted": "1"})
    pages = [image["all"] for image in finished(client, 4)["images"]]
    assert ["pasted" in page for page in pages] == [True, False, False, False]


def test_what_is_too_large_is_refused(made):
    client = made(Limits(file=1000))
    answer = give(client, b"x" * 1001)
    assert answer.status_code == 413 and "1,000 bytes" in answer.json()["error"]
    assert state(client)["images"] == []
    assert give(client, b"x" * 1000).status_code == 201


def test_a_body_without_a_length_is_read_as_far_as_the_limit(made):
    client = made(Limits(file=1000))
    read, said = [], []
    cookies = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
    headers = {"host": f"127.0.0.1:{PORT}", "origin": ORIGIN, "cookie": cookies}
    scope = {
        "type": "http", "method": "POST", "path": "/images", "query_string": b"", "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip

    async def endless():
        read.append(1)
        return {"type": "http.request", "body": b"x" * 100, "more_body": len(read) < 1000}

    async def send(message):
        said.append(message)

    asyncio.run(client.app(scope, endless, send))
    assert said[0]["status"] == 413 and len(read) == 11
    # Of one that tells a length nothing is read.
    scope["headers"] += [(b"content-length", b"1001")]
    read.clear()
    asyncio.run(client.app(scope, endless, send))
    assert not read


def test_nothing_is_written_anywhere(made, monkeypatch, tmp_path):
    def refuse(*_, **__):
        raise AssertionError("a temporary file")

    for name in ("SpooledTemporaryFile", "TemporaryFile", "NamedTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, refuse)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    client = made()
    content = image_file() + b"\0" * 3_000_000  # More than a form parser keeps in memory.
    assert give(client, content).status_code == 201
    finished(client)
    assert [*tmp_path.iterdir()] == []


def test_a_form_is_the_bytes_that_it_is(made):
    client = made()
    give(client, b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\n')
    assert "not an image" in finished(client)["images"][0]["all"]


@pytest.mark.parametrize("content", [b"", b"text", image_file()[:60], b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_said_to_be_none(made, content):
    client = made()
    give(client, content, "broken.png")
    give(client, image_file())
    broken, whole = finished(client, 2)["images"]
    assert "No verdict is possible: " in broken["all"]
    assert "unsure: a stand-in" in whole["all"] and "The verdict" not in broken["all"]


def test_a_stage_that_fails_says_so_and_the_others_go_on(made):
    client = made()
    give(client, image_file(), "fail.png")
    page = finished(client)["images"][0]["all"]
    assert "file: this &lt;b&gt;stage&lt;/b&gt; fails" in page and "What it used" in page


def test_a_finding_that_cannot_be_shown_takes_no_other_with_it(made):
    with stand_ins(first={"file": lambda *_: Finding("file", {}), "verdict": look_at_file}):
        client = made()
        give(client, image_file())
        page = finished(client)["images"][0]["all"]
    assert "file: what was found cannot be shown" in page and "What it used" in page


# ---- limits ----


def test_the_oldest_go_where_there_are_too_many_and_that_is_said(made):
    client = made(Limits(images=3))
    for number in range(5):
        give(client, image_file(), f"{number}.png")
    found = finished(client)
    assert [image["number"] for image in found["images"]] == [3, 4, 5]
    assert [line.split()[0] for line in found["notices"]] == ["0.png", "1.png"]
    assert client.get("/images/1/file/preview.webp").status_code == 404


def test_bytes_of_files_and_of_pictures_are_bounded(made):
    content = image_file()
    jobs = Jobs(Tools(), Limits(content=3 * len(content)))
    for _ in range(5):
        jobs.receive(content, "a.png")
    assert len(jobs.all()) == 3
    jobs.start()
    end = time.monotonic() + 10
    while not all(held.inspection.done for held in jobs.all()) and time.monotonic() < end:
        time.sleep(0.01)
    # Their pictures take as much again: fewer of them are held, and one in any case.
    assert len(jobs.all()) == 1 and jobs.all()[0].inspection.number == 5
    jobs.stop()


def test_notices_are_bounded():
    jobs = Jobs(Tools(), Limits(notices=4))
    for number in range(100):
        jobs.notice(str(number))
    assert [line for _, line in jobs.notices] == ["96", "97", "98", "99"]


def test_first_stages_of_all_images_come_before_later_ones_of_any():
    seen = []

    def noted(stage):
        return lambda opened, _: seen.append((stage, opened.name))

    def another(opened, _):
        seen.append(("c", opened.name))
        if opened.name == "x":
            jobs.receive(image_file(), "w")

    with stand_ins({"a": noted("a"), "b": noted("b")}, {"c": another, "d": noted("d")}):
        jobs = Jobs(Tools())
        for name in "xyz":
            jobs.receive(image_file(), name)
        region = jobs.region(2, lambda opened: seen.append(("region", opened.name)))
        jobs.start()
        region.result(10)
        end = time.monotonic() + 10
        while len(seen) < 17 and time.monotonic() < end:
            time.sleep(0.01)
        jobs.stop()
    first = [(stage, name) for name in "xyz" for stage in "ab"]
    later = [(stage, name) for name in "xyz" for stage in "cd"]
    # One that comes in the middle of it has its first stages at once.
    later[1:1] = [("a", "w"), ("b", "w")]
    assert seen == [("region", "y"), *first, *later, ("c", "w"), ("d", "w")]


def test_an_image_is_opened_once_for_stages_in_a_row(monkeypatch):
    from gan_forensics.inspector import jobs as module

    opened, real = [], module.opened
    monkeypatch.setattr(module, "opened", lambda i, c: (opened.append(i.number), real(i, c))[1])
    jobs = Jobs(Tools())
    jobs.receive(image_file(), "x")
    jobs.start()
    end = time.monotonic() + 10
    while not jobs.all()[0].inspection.done and time.monotonic() < end:
        time.sleep(0.01)
    jobs.remove()
    assert opened == [1] and jobs._open is None
    jobs.stop()


def test_images_that_wait_hold_further_ones_up(made):
    free = threading.Event()

    def slow(opened, tools):
        free.wait(10)

    with stand_ins({"file": slow}, {}):
        client = made(Limits(waiting=2))
        give(client, image_file())
        give(client, image_file())
        third: Future = Future()
        thread = threading.Thread(
            target=lambda: third.set_result(give(client, image_file()).status_code)
        )
        thread.start()
        time.sleep(0.3)
        # The page answers all the while.
        assert not third.done() and len(state(client)["images"]) == 2
        free.set()
        assert third.result(10) == 201
        finished(client, 3)
        thread.join()


# ---- paths of this machine ----


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "in/b.png"):
        (tmp_path / name).write_bytes(image_file())
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "list.csv").write_text("path,label\nin/b.png,1\n")
    return tmp_path


def test_a_folder_a_file_and_a_csv_are_opened(made, folder):
    client = made()
    assert client.post("/paths", content=f" {folder} ").json() == {"images": 2}
    found = finished(client, 2)
    assert ["a.png" in found["images"][0]["all"], "in/b.png" in found["images"][1]["all"]]
    assert "2 of 4 files left out" in found["notices"][0]
    client.post("/paths", content=f"'{folder / 'a.png'}'")
    finished(client, 3)  # Two listings are read side by side.
    (folder / "a b.png").write_bytes(image_file())
    client.post("/paths", content=f"file://{folder}/a%20b.png")
    finished(client, 4)
    client.post("/paths", content=str(folder / "list.csv"))
    assert "in/b.png" in finished(client, 5)["images"][4]["all"]


@pytest.mark.parametrize("follow", [False, True])
def test_links_that_leave_a_folder_are_followed_where_that_is_asked_for(made, folder, follow):
    (folder / "in" / "out.png").symlink_to(folder / "a.png")
    client = made(follow_links=follow)
    assert client.post("/paths", content=str(folder / "in")).json() == {"images": 1 + follow}


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("", "name a folder"),
        ("/no/such/place", "/no/such/place: no such file; give an image, a folder of images or"),
        ("/dev/null", "not a regular file"),
        ("https://example.org/a.png", "download it"),
        ("nul\0", "no such file"),
        ("x" * 5000, "name is too long"),
    ],
)
def test_paths_that_name_nothing_are_refused_in_a_line(made, path, says):
    answer = made().post("/paths", content=path.encode())
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert says in error and "\n" not in error and len(error) < 1000


def test_files_that_cannot_be_read_are_said_and_the_others_go_on(made, folder):
    (folder / "list.csv").write_text("path\na.png\nin/b.png\n")
    named = paths.given(folder / "list.csv", print)
    (folder / "a.png").unlink()
    found = finished(made(named=named), 1)
    assert "in/b.png" in found["images"][0]["all"] and "a.png" in found["notices"][0]


def test_of_too_many_files_the_first_are_opened(made, folder):
    for number in range(5):
        (folder / f"{number}.png").write_bytes(image_file())
    client = made(Limits(images=3))
    client.post("/paths", content=str(folder))
    found = finished(client, 3)
    names = [sum(f"{n}.png" in image["all"] for n in range(3)) for image in found["images"]]
    assert names == [1, 1, 1]
    assert any("the first 3 of 7 images" in line for line in found["notices"])


# ---- regions, reports, removing ----


def test_a_region_is_scored(made, monkeypatch):
    asked = []

    def score_region(opened, tools, left, top, width, height):
        asked.append((opened.name, left, top, width, height))
        if width > 60:
            raise ValueError("too <wide>")
        return {"score": 0.5}

    monkeypatch.setattr(server, "score_region", score_region)
    client = made()
    number = give(client, image_file()).json()["number"]
    box = {"left": 1, "top": 2, "width": 16, "height": 20}
    answer = client.post(f"/images/{number}/region", json=box)
    assert answer.status_code == 200 and "0.5" in answer.json()["html"]
    wide = client.post(f"/images/{number}/region", json=box | {"width": 61})
    assert "too &lt;wide&gt;" in wide.json()["html"]
    assert asked == [("a.png", 1, 2, 16, 20), ("a.png", 1, 2, 61, 20)]
    assert client.post("/images/9/region", json=box).status_code == 404
    for wrong in (b"", b"[]", b"{}", b"{", json.dumps({**box, "left": "x"}).encode(),
                  b'{"left":1e999,"top":1,"width":1,"height":1}', b"[" * 5000):  # fmt: skip
        assert client.post(f"/images/{number}/region", content=wrong).status_code == 400


def test_reports_are_of_one_or_of_all_and_private_where_that_is_asked_for(made, monkeypatch):
    def written(inspections, tools, *, private):
        return json.dumps([[i.name for i in inspections], private])

    for name in ("report_html", "report_json"):
        monkeypatch.setattr(server, name, written)
    client = made()
    assert client.get("/report.html").status_code == 404
    for name in ("a.png", "b.png"):
        give(client, image_file(), name)
    finished(client, 2)
    for path, expected in (
        ("/report.json", [["a.png", "b.png"], False]),
        ("/images/2/report.html?private=1", [["b.png"], True]),
    ):
        answer = client.get(path)
        assert answer.json() == expected
        kind = "application/json" if "json" in path else "text/html; charset=utf-8"
        assert answer.headers["content-type"] == kind
        assert answer.headers["content-disposition"].startswith('attachment; filename="inspection')
    assert client.get("/report.pdf").status_code == 404
    assert client.get("/images/7/report.json").status_code == 404


def test_a_report_does_not_change_while_it_is_written():
    jobs = Jobs(Tools())
    jobs.receive(image_file(), "a.png")
    before = jobs.inspections()[0]
    held = jobs.all()[0].inspection
    held.worked.append("file")
    held.errors["file"] = "failed"
    assert before.worked == [] and before.errors == {}


def test_images_are_removed_one_or_all(made):
    client = made()
    for _ in range(3):
        give(client, image_file())
    finished(client, 3)
    assert client.delete("/images/2").status_code == 204
    assert [image["number"] for image in state(client)["images"]] == [1, 3]
    assert client.delete("/images").status_code == 204
    assert state(client)["images"] == []
    assert client.get("/images/1/file/preview.webp").status_code == 404


def test_the_queue_goes_on_when_something_breaks(monkeypatch):
    jobs = Jobs(Tools())
    monkeypatch.setattr(jobs, "_look_first", lambda number: 1 / 0)
    jobs.receive(b"", "a.png")
    jobs.start()
    assert jobs.region(1, lambda opened: opened.name).result(10) == "a.png"
    end = time.monotonic() + 10
    while not jobs.notices and time.monotonic() < end:
        time.sleep(0.01)
    assert "division by zero" in jobs.notices[0][1]
    jobs.stop()


def test_the_page_is_served_to_this_machine_alone_and_nothing_is_logged(monkeypatch, capsys):
    asked, running, real = Future(), Future(), server.running
    monkeypatch.setattr(server.webbrowser, "open", asked.set_result)

    def noted(app):
        running.set_result(real(app))
        return running.result()

    monkeypatch.setattr(server, "running", noted)
    thread = threading.Thread(target=server.serve, args=[Tools()], daemon=True)
    thread.start()
    address = asked.result(10)
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with opener.open(address, timeout=10) as answer:
        assert b"Inspector" in answer.read() and "server" not in answer.headers
        port = urlsplit(answer.url).port
        assert answer.url == f"http://127.0.0.1:{port}/"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(address, timeout=10)
    running.result().should_exit = True
    thread.join(10)
    said = capsys.readouterr()
    assert address in said.out and said.err == ""


def test_a_taken_port_is_said():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ValueError, match=f"--port {port}: .*leave it out for a free one"):
            server.serve(Tools(), port=port)


def test_the_record_of_an_image_knows_when_all_is_done():
    from gan_forensics.inspector.inspection import inspect

    done = inspect(image_file(), "a.png", Tools(), number=1)
    assert done.done and not replace(done, worked=["file"]).done
    assert {*done.pictures["relevance"]} == {"base", "layer"}
    assert not done.findings["relevance"].pictures


def test_a_missing_browser_fails_where_it_is_required():
    without = {**os.environ, "PATH": "", "GAN_FORENSICS_BROWSER": "required"}
    command = [sys.executable, "-c", "import tests.browsers"]
    result = subprocess.run(command, env=without, capture_output=True, text=True)
    assert result.returncode and "install chromium" in result.stderr


def test_what_the_first_image_would_wait_for_is_compiled_before_it():
    looked: list[tuple[int, ...]] = []

    def look(opened, tools):
        looked.append(opened.pixels.shape)
        raise ValueError("of no consequence")

    with stand_ins({"verdict": look}, {}):
        for detectors, times in (((), 0), ((("a.npz", object()),), 1)):
            jobs = Jobs(Tools(detectors))
            jobs.start()
            jobs.receive(image_file(), "a.png")
            end = time.monotonic() + 10
            while not jobs.all()[0].inspection.done and time.monotonic() < end:
                time.sleep(0.01)
            jobs.stop()
            assert len(looked) == times + 1
            assert looked[0][0] >= (1024 if times else 48)
            assert not jobs.notices
            looked.clear()
