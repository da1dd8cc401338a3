"""`gan-forensics inspect --no-browser`: reports of files, folders and lists; what is refused."""

import hashlib
import io
import json
import re
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from gan_forensics.data import power_law_textures, save_png
from gan_forensics.forensics import fit_detector
from gan_forensics.forensics.spectrum_bands import make_bands
from gan_forensics.inspector.findings import Finding, Tools
from gan_forensics.inspector.inspection import opened, received, work_off
from gan_forensics.inspector.rendering import summary
from gan_forensics.inspector.report import TIMES, report_html, report_json, write_reports
from gan_forensics.inspector.stages import FIRST, LATER
from gan_forensics.spectra import ring_radii
from tests.test_cli import plain_terminal, read_csv, refused, run  # noqa: F401


@pytest.fixture(scope="module")
def suspects(tmp_path_factory):
    """A photograph-like PNG and JPEG, one with transparency, and what is no image."""
    folder = tmp_path_factory.mktemp("suspects")
    image = power_law_textures(1, 64, exponent=2.0, seed=0)[0]
    save_png(folder / "a.png", image)
    (folder / "below").mkdir()
    Image.fromarray(image).save(folder / "below" / "b.jpg", quality=90)
    clear = np.dstack([image, np.full(image.shape[:2], 100, np.uint8)])
    Image.fromarray(clear).save(folder / "clear.png")
    (folder / "damaged.jpg").write_bytes((folder / "below" / "b.jpg").read_bytes()[:300])
    (folder / "notes.txt").write_text("none")
    return folder


@pytest.fixture(scope="module")
def detector(tmp_path_factory):
    """A detector of images of 64 pixels."""
    path = tmp_path_factory.mktemp("detector") / "detector.npz"
    real, fake = (power_law_textures(100, 64, exponent=e, seed=1) for e in (2.0, 1.0))
    fit_detector(real, fake, features="durall", classifier="logistic").save(path)
    return path


def without_times(value):
    if isinstance(value, dict):
        return {name: without_times(of) for name, of in value.items() if name not in TIMES}
    return [without_times(of) for of in value] if isinstance(value, list) else value


def test_a_folder_gets_a_page_and_a_json_for_each_image_and_one_index(
    suspects, detector, tmp_path, capsys
):
    arguments = ["inspect", suspects, "--no-browser", "--detector", detector, "--out"]
    assert run(*arguments, tmp_path / "first") == 0
    said = capsys.readouterr()
    assert "2 of 4 have no verdict; the pages say why" in said.err
    assert "1 that are no image" in said.err or "notes.txt" in said.err or "left out" in said.err
    assert "index.html" in said.out
    index = json.loads((tmp_path / "first" / "index.json").read_text())
    names = [image["name"] for image in index["images"]]
    assert names == ["a.png", "below/b.jpg", "clear.png", "damaged.jpg"]
    by_name = {image["name"]: image for image in index["images"]}
    assert "transparent" in by_name["clear.png"]["refusal"]
    assert by_name["a.png"]["refusal"] == ""
    assert by_name["a.png"]["bytes"] == (suspects / "a.png").stat().st_size
    digest = hashlib.sha256(detector.read_bytes()).hexdigest()
    assert index["with"]["detectors"][0]["sha256"] == digest
    # Nothing of it is guessed again: the second run says the same but for the time.
    assert run(*arguments, tmp_path / "second") == 0
    files = sorted(path.name for path in (tmp_path / "first").iterdir())
    assert len(files) == 2 * 4 + 2
    for name in files:
        if name.endswith(".json"):
            one, two = (
                json.loads((tmp_path / out / name).read_text()) for out in ("first", "second")
            )
            assert without_times(one) == without_times(two)
    page = (tmp_path / "first" / "index.html").read_text()
    for name in files:
        if name.endswith(".html") and name != "index.html":
            assert f'href="./{name}"' in page
            assert "http://" not in (tmp_path / "first" / name).read_text().replace(
                "http://www.w3.org/2000/svg", ""
            )


def test_the_verdict_is_that_of_detect_score(suspects, detector, tmp_path):
    assert run("inspect", suspects / "a.png", "--no-browser", "--detector", detector,
               "--out", tmp_path / "out") == 0  # fmt: skip
    scores = tmp_path / "scores.csv"
    assert run("detect", "score", suspects / "a.png", "--detector", detector, "--out", scores) == 0
    (row,) = read_csv(scores)
    (image,) = json.loads((tmp_path / "out" / "index.json").read_text())["images"]
    (found,) = image["findings"]["verdict"]["detectors"]
    assert found["verdict"] == row["verdict"]
    assert found["score"] == pytest.approx(float(row["score"]), rel=1e-3)


def test_without_a_detector_no_image_has_a_verdict(suspects, tmp_path, capsys):
    assert run("inspect", suspects, "--no-browser", "--out", tmp_path) == 0
    assert "no verdict of any of 4: no detector was given (--detector)" in capsys.readouterr().err
    page = (tmp_path / "index.html").read_text()
    assert "no verdict: no detector that knows such images (no detector was given)" in page
    (page,) = tmp_path.glob("0001-*.html")
    assert "A detector is made in two steps" in page.read_text()


def test_reports_of_an_earlier_run_are_told(suspects, tmp_path, capsys):
    for image, told in (("a.png", False), ("a.png", False), ("below/b.jpg", True)):
        assert run("inspect", suspects / image, "--no-browser", "--out", tmp_path) == 0
        said = " ".join(capsys.readouterr().err.split())
        assert ("holds 2 files of earlier reports too" in said) == told
    assert "(0001-a.html, ...); remove them" in said


def test_detectors_of_one_name_are_told_apart(suspects, detector, tmp_path):
    others = [tmp_path / name / "detector.npz" for name in "ab"]
    for other in others:
        other.parent.mkdir()
        other.write_bytes(detector.read_bytes())
    assert run("inspect", suspects / "a.png", "--no-browser", "--detector", *others, others[0],
               "--out", tmp_path / "out") == 0  # fmt: skip
    (image,) = json.loads((tmp_path / "out" / "index.json").read_text())["images"]
    found = image["findings"]["verdict"]
    assert [row["file"] for row in found["detectors"]] == [str(other) for other in others]
    assert all(str(other) in found["summary"] for other in others)


def test_lists_and_single_images_are_taken(suspects, tmp_path):
    listed = suspects / "list.csv"
    listed.write_text("path\nbelow/b.jpg\n")
    try:
        for given in (listed, suspects / "below" / "b.jpg"):
            out = tmp_path / given.stem
            assert run("inspect", given, "--no-browser", "--out", out) == 0
            (image,) = json.loads((out / "index.json").read_text())["images"]
            assert image["name"].endswith("b.jpg")
    finally:
        listed.unlink()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--no-browser"], "--no-browser: name images, folders or lists"),
        (["--out", "reports"], "--out: the page writes reports"),
        (["--with-private"], "--with-private: the page writes reports"),
        (["--port", 70000], "--port 70000"),
        (["nowhere", "--no-browser", "--port", 80], "--port: --no-browser opens no page"),
        (["nowhere", "--no-browser"], "nowhere"),
        (["nowhere"], "nowhere"),
    ],
)
def test_what_would_do_nothing_is_refused(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, "inspect", *arguments)


def test_wrong_certificates_and_weights_are_refused(suspects, detector, tmp_path, capsys):
    (tmp_path / "none.pem").write_text("none")
    image = [suspects / "a.png", "--no-browser", "--out", tmp_path / "out"]
    assert "0 certificates in" in refused(
        capsys, "inspect", *image, "--trust", tmp_path / "none.pem"
    )
    said = refused(capsys, "inspect", *image, "--detector", detector, "--weights", detector)
    assert "--weights: no detector looks at frozen features" in said


def test_an_image_has_the_digest_of_its_bytes_and_the_time_in_utc():
    before = datetime.now(UTC).replace(microsecond=0)
    one = received(b"bytes", "a.png", number=1)
    assert one.sha256 == hashlib.sha256(b"bytes").hexdigest() and one.received.endswith("Z")
    written = json.loads(report_json([one], Tools(), private=False))["written"]
    for time in (one.received, written):
        assert before <= datetime.fromisoformat(time) <= datetime.now(UTC)


def test_options_come_to_what_they_name(tmp_path):
    pytest.importorskip("cryptography")
    from tests.made_credentials import ANCHORS

    _, file = photograph("Ann Oakley")
    (tmp_path / "a.png").write_bytes(file.content)
    (tmp_path / "trust.pem").write_text(ANCHORS)
    curves = np.zeros((5, len(ring_radii(32, 32))))
    kinds = {("WebP", "up to 256 pixels"): curves}
    make_bands({"archive": kinds}, side=32, normalise="none").save(tmp_path / "bands.npz")
    assert run("inspect", tmp_path / "a.png", "--no-browser", "--with-private", "--trust",
               tmp_path / "trust.pem", "--bands", tmp_path / "bands.npz",
               "--out", tmp_path / "out") == 0  # fmt: skip
    text = (tmp_path / "out" / "index.json").read_text()
    known = json.loads(text)["with"]
    assert known["trusted_certificates"] == 1 and known["bands"] == ["archive"]
    assert "Ann Oakley" in text


def test_private_facts_are_left_out_unless_asked_for():
    one = received(b"bytes", "a.png", number=1)
    one.findings["file"] = Finding("file", {"container": "PNG"}, {"gps": "48.1 N"})
    public, private = (json.loads(report_json([one], Tools(), private=p)) for p in (False, True))
    assert "48.1" not in json.dumps(public)
    assert private["images"][0]["findings"]["file"]["private"] == {"gps": "48.1 N"}
    assert private["private"] and not public["private"]


def photograph(artist):
    """A small image that names who took it, received and opened."""
    exif, stream = Image.Exif(), io.BytesIO()
    exif[315] = artist
    Image.new("RGB", (16, 16)).save(stream, "PNG", exif=exif)
    one = received(stream.getvalue(), "a.png", number=1)
    return one, opened(one, stream.getvalue())


def test_what_is_not_done_is_told():
    one = received(b"bytes", "a.png", number=1)
    assert "Not complete: 1 of 1 were still" in report_html([one], Tools(), private=False)
    assert not json.loads(report_json([one], Tools(), private=False))["done"]
    one.worked = [*FIRST, *LATER]
    assert "Not complete" not in report_html([one], Tools(), private=False)
    assert json.loads(report_json([one], Tools(), private=False))["images"][0]["done"]


@pytest.mark.parametrize("private", [False, True])
def test_every_file_leaves_private_facts_out_or_none_does(private, tmp_path):
    (one, file), tools = photograph("Ann Oakley"), Tools()
    assert [*work_off(one, file, tools, {"file": FIRST["file"]})] == ["file"]
    write_reports([one], tools, tmp_path, private=private)
    index = tmp_path / "index.html"
    assert "Ann Oakley" not in index.read_text()
    for path in {*tmp_path.iterdir()} - {index}:
        assert ("Ann Oakley" in path.read_text()) == private, path


def test_the_verdict_after_carriers_has_the_last_word(tmp_path):
    one = received(b"bytes", "a.png", number=1)
    rows = [{"verdict": "generated"}, {"verdict": "photograph"}]
    one.findings["verdict"] = Finding("verdict", {"summary": "generated", "detectors": rows[:1]})
    assert "verdict-generated" in summary(one, served=False)
    one.findings["carriers"] = Finding("carriers", {"summary": "both", "detectors": rows})
    # Detectors that disagree have the colour of none of them.
    assert "verdict-none" in summary(one, served=False)
    one.errors["tiles"] = "tiles: it failed"
    (line,) = write_reports([one], Tools(), tmp_path, private=False)
    assert line.verdict == "both"
    (image,) = json.loads((tmp_path / "index.json").read_text())["images"]
    assert image["errors"] == one.errors


def test_names_of_strangers_stay_text(tmp_path):
    name = '../../<img src=x onerror=alert(1)>"\u202e\n.png'
    one = received(b"bytes", name, number=1)
    (line,) = write_reports([one], Tools(), tmp_path, private=False)
    written = sorted(path.name for path in tmp_path.iterdir())
    assert len(written) == 4 and all("/" not in each for each in written)
    for path in tmp_path.glob("*.html"):
        page = path.read_text()
        assert "<img src=x" not in page and "\u202e" not in page
    assert line.page in written


def test_reports_allow_only_their_own_script():
    page = report_html([received(b"bytes", "a.png", number=1)], Tools(), private=False)
    (policy,) = re.findall('Content-Security-Policy" content="([^"]*)"', page)
    assert "unsafe" not in policy and "script-src &#39;sha256-" in policy.replace("'", "&#39;")
