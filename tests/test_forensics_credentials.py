"""Content credentials: what holds, what does not, and that nobody is asked for anything."""

import io
import random
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("c2pa")

import c2pa

from gan_forensics.data.embedded import embedded
from gan_forensics.forensics import credentials as module
from gan_forensics.forensics import credentials_child
from gan_forensics.forensics.credentials import (
    Action,
    Ingredient,
    Origin,
    credentials,
    read_anchors,
)
from gan_forensics.forensics.source_types import source_type
from tests.made_credentials import ANCHORS, KINDS, changed, listener, picture, signed

CAMERA = signed(picture())


def looked(content, anchors=None):
    return credentials(content, embedded(content), anchors=anchors)


def at_once(content, kind="JPEG", anchors="") -> Any:
    """The same in this process, which is quicker."""
    said = credentials_child.said(content, KINDS[kind], anchors)
    return said["error"] if "error" in said else report(said)


def report(said):
    return module._credentials(module.parse_json(said["report"], "test"), "")


def test_signed_pictures_are_trusted_where_their_issuer_is():
    found = looked(CAMERA, ANCHORS)
    assert (found.state, found.failed, found.reason) == ("trusted", (), "")
    assert (found.issuer, found.signer, found.time) == ("Test Press", "Photo Desk", "")
    assert found.generator == "Test Camera 1.0" and found.title == "a picture"
    assert found.actions == (Action("created", "taken with a digital camera", "camera"),)
    assert found.ingredients == () and "stds.schema-org.CreativeWork" in found.statements
    assert found.private == {
        "author": "Ann Oakley",
        "serial number of the certificate": "4242",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_all_containers_are_looked_into(kind):
    content = signed(picture(kind), kind)
    assert b"c2pa" in content
    assert at_once(content, kind, ANCHORS).state == "trusted"
    assert at_once(content, kind).state == "unknown issuer"
    broken = at_once(changed(content), kind, ANCHORS)
    assert broken.state == "broken" and len(broken.failed) == 1


def test_a_byte_of_the_pixels_breaks_them():
    found = looked(changed(CAMERA), ANCHORS)
    assert found.state == "broken" and found.issuer == "Test Press"
    assert found.failed == (module._CHANGED,)


def test_a_byte_of_the_statements_breaks_them():
    found = at_once(changed(CAMERA, CAMERA.index(b"digitalCapture")), anchors=ANCHORS)
    assert found.state == "broken"
    assert "a statement was changed after signing" in found.failed


def test_an_edited_picture_names_what_it_was_made_from():
    generated = signed(picture(), source="trainedAlgorithmicMedia")
    source = "compositeWithTrainedAlgorithmicMedia"
    found = at_once(signed(picture(), parent=generated, source=source))
    assert found.ingredients == (
        Ingredient(
            "before.jpg",
            "an earlier version of the picture",
            "intact, of Test Press, for which nobody vouches",
            (Origin("made by a generative AI model", "generated"),),
        ),
    )
    assert found.actions == (
        Action("opened an earlier version"),
        Action(
            "edited", "edited with a generative AI model", "edited", "Editor",
            "2026-01-02T03:04:05Z", "Removed a lamp",
        ),
    )  # fmt: skip
    trusted = at_once(signed(picture(), parent=generated), anchors=ANCHORS)
    assert trusted.ingredients[0].state == "intact, of Test Press, which is trusted"
    spoilt = at_once(signed(picture(), parent=signed(picture(), parent=changed(generated))))
    assert spoilt.ingredients[0].origins == (
        Origin("made by a generative AI model", "generated", broken=True),
        Origin("taken with a digital camera", "changed"),
    )
    spoilt = at_once(signed(picture(), parent=changed(generated)))
    assert spoilt.state == "unknown issuer"
    assert spoilt.ingredients[0].state == f"broken: {module._CHANGED}"
    assert at_once(signed(picture(), parent=picture())).ingredients[0].state == "it had none"


def test_of_an_ingredient_counts_what_it_was():
    said = {
        (says, relationship): module._of_ingredient(says, relationship)
        for says in ("generated", "edited", "camera", "changed", "other")
        for relationship in ("parentOf", "componentOf", "inputTo")
    }
    assert [each for each, what in said.items() if what == "generated"] == [
        ("generated", "parentOf")
    ]
    assert [each for each, what in said.items() if what == "camera"] == [("camera", "parentOf")]
    assert [each for each, what in said.items() if what == "changed"] == [("changed", "parentOf")]
    assert [each for each, what in said.items() if what == "edited"] == [
        ("generated", "componentOf"), ("edited", "parentOf"), ("edited", "componentOf"),
    ]  # fmt: skip


def test_plain_files_have_none_and_start_no_program(monkeypatch):
    monkeypatch.setattr(subprocess, "run", None)
    assert looked(picture()).state == "absent"
    found = looked(picture("BMP"))
    assert found.state == "not looked for" and "format" in found.reason


def test_the_letters_alone_are_no_credentials():
    assert looked(picture(comment=b"c2pa")).state == "absent"


def test_boxes_of_which_nothing_can_be_read_are_broken_credentials():
    found = looked(CAMERA.replace(b"c2pa", b"c3pa"))
    assert found.state == "broken" and "no credentials can be read" in found.reason


def test_without_the_library_it_is_said_how_to_come_by_it(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert looked(picture()).state == "absent"
    found = looked(CAMERA)
    assert found.state == "not looked for"
    assert "pip install 'gan_forensics[credentials]'" in found.reason


def test_a_default_reader_fetches_what_a_file_names_and_ours_does_not():
    with listener() as (address, asked):
        content = signed(picture(), remote=f"{address}/manifest.c2pa")
        with pytest.raises(c2pa.C2paError, match="404"):
            c2pa.Reader("image/jpeg", io.BytesIO(content))
        assert asked == ["/manifest.c2pa"]
        asked.clear()
        found = looked(content, ANCHORS)
        assert found.state == "elsewhere" and found.remote == f"{address}/manifest.c2pa"
        assert "must fetch remote" in at_once(content)
        assert asked == []


@pytest.mark.parametrize("part", ["verify", "core"])
def test_each_setting_alone_keeps_the_reader_from_fetching(part, monkeypatch):
    monkeypatch.setattr(
        credentials_child, "_SETTINGS", {"version": 1, part: credentials_child._SETTINGS[part]}
    )
    with listener() as (address, asked):
        at_once(signed(picture(), remote=f"{address}/manifest.c2pa"))
        assert asked == []


def test_a_reader_that_would_fetch_cannot(tmp_path):
    """Whatever becomes of the settings, the program opens no connection."""
    source = Path(credentials_child.__file__).read_text(encoding="utf-8")
    fetching = source.replace('"remote_manifest_fetch": False', '"remote_manifest_fetch": True')
    fetching = fetching.replace('"allowed_network_hosts": [],', "")
    script = tmp_path / "child.py"
    with listener() as (address, asked):
        content = signed(picture(), remote=f"{address}/manifest.c2pa")
        for text in (fetching, fetching.replace("RLIMIT_NOFILE, 0", "RLIMIT_CORE, 0")):
            assert asked == []
            script.write_text(text, encoding="utf-8")
            command = [sys.executable, "-P", str(script), "image/jpeg", "0"]
            subprocess.run(command, input=content, capture_output=True, timeout=60)
        assert asked == ["/manifest.c2pa"]


def test_no_one_is_asked_whether_a_certificate_was_revoked(monkeypatch):
    with listener() as (address, asked):
        content = signed(picture(), responder=f"{address}/revoked")
        settings = {"verify": {"ocsp_fetch": True}, "trust": {"trust_anchors": ANCHORS}}
        context = c2pa.Context.from_dict({"version": 1, **settings})
        c2pa.Reader("image/jpeg", io.BytesIO(content), context=context).json()
        assert len(asked) == 1
        asked.clear()
        assert at_once(content, anchors=ANCHORS).state == "trusted" and asked == []
        only = {"version": 1, "verify": credentials_child._SETTINGS["verify"]}
        monkeypatch.setattr(credentials_child, "_SETTINGS", only)
        assert at_once(content, anchors=ANCHORS).state == "trusted" and asked == []


def test_files_that_take_hours_are_stopped(monkeypatch):
    content = signed(picture("AVIF"), "AVIF")
    assert looked(content).state == "unknown issuer"
    monkeypatch.setattr(module, "MOST_WAITING", 0.7)
    start = time.monotonic()
    found = looked(content + b"\0\0\0\x08free" * 300_000)
    assert time.monotonic() - start < 10
    assert found.state == "not looked for" and "was stopped after 5 seconds" in found.reason


@pytest.mark.slow
def test_the_program_stops_by_itself():
    content = signed(picture("AVIF"), "AVIF") + b"\0\0\0\x08free" * 300_000
    before = time.process_time()
    assert "was stopped after 5 seconds" in looked(content).reason
    assert time.process_time() - before < 2  # This process only waits.


def test_the_program_gets_so_much_memory_and_time():
    code = (
        "import resource, runpy, sys\nrunpy.run_path(sys.argv[1])['_limit'](0)\n"
        "print(resource.getrlimit(resource.RLIMIT_CPU)[0])\nbytearray(2**31)"
    )
    command = [sys.executable, "-c", code, credentials_child.__file__]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert found.stdout.strip() == "5" and "MemoryError" in found.stderr


def test_the_library_knows_each_setting():
    """It passes over those that it does not know; what it knows may not be of any type."""
    for part, settings in credentials_child._SETTINGS.items():
        for name in settings if isinstance(settings, dict) else ():
            with pytest.raises(c2pa.C2paError, match="invalid type"):
                c2pa.Context.from_dict({"version": 1, part: {name: {"no": "such"}}})
    c2pa.Context.from_dict({"version": 1, "verify": {"fetch": {"no": "such"}}}).close()


def test_a_library_that_cannot_be_loaded_is_named(tmp_path, monkeypatch):
    (tmp_path / "c2pa.py").write_text("raise OSError('no such machine')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = looked(CAMERA)
    assert (found.state, found.reason) == ("not looked for", "OSError: no such machine")


def test_a_program_that_breaks_is_told(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert "nothing is known of them" in looked(CAMERA).reason


def test_deep_boxes_are_refused():
    label = b"\0\0\0\x1ejumdc2as\0\x11\0\x10\x80\0\0\xaa\0\x38\x9b\x71\x03c2pa\0"
    size = 8 + len(label)
    boxes = b"".join(
        struct.pack(">L", size * number) + b"jumb" + label for number in range(10_000, 0, -1)
    )
    png = picture("PNG")
    content = png[:33] + struct.pack(">L", len(boxes)) + b"caBX" + boxes + bytes(4) + png[33:]
    found = looked(content)
    assert found.state == "broken" and "they cannot be read" in found.reason


def test_no_damage_makes_it_raise():
    draw = random.Random(0)
    start = CAMERA.index(b"jumb")
    for _ in range(100):
        mutated = bytearray(CAMERA)
        for _ in range(draw.randint(1, 6)):
            at = draw.randrange(start, start + 9000)
            mutated[at] = draw.choice([0, 1, 127, 128, 255, draw.randrange(256)])
        at_once(bytes(mutated))


def test_older_credentials_tell_what_did_not_hold_of_an_ingredient():
    status = [{"code": "assertion.dataHash.mismatch"}, {"code": "claimSignature.validated"}, 1]
    each = {"active_manifest": "b", "validation_status": status}
    found = module._ingredient(each, {"b": {}}, [])
    assert found.state == f"broken: {module._CHANGED}"


def test_an_ingredient_is_trusted_where_it_is_now():
    def said(code, url="self#jumbf=/c2pa/b/c2pa.signature"):
        return [{"code": f"signingCredential.{code}", "url": url}]

    each = {"active_manifest": "b"}
    then = each | {"validation_results": {"activeManifest": {"success": said("trusted")}}}
    other = {"success": said("trusted", "self#jumbf=/c2pa/c/c2pa.signature")}
    for ingredient, delta, trusted in (
        (each, {}, False), (each, {"success": said("trusted")}, True), (each, other, False),
        (then, {}, True), (then, {"failure": said("untrusted")}, False),
    ):  # fmt: skip
        state = module._ingredient(ingredient, {"b": {}}, [delta]).state
        assert state.startswith("intact, of somebody without a name, ")
        assert state.endswith("which is trusted") == trusted


@pytest.mark.parametrize("odd", [
    {"manifests": {"a": {}}, "active_manifest": "a", "validation_state": "Valid"},
    {"manifests": {"a": {"assertions": [1, {"label": 3}, {"label": "c2pa.actions", "data": None}],
                         "ingredients": {}, "claim_generator_info": [{"name": 1}]}},
     "active_manifest": "a", "validation_state": "New"},
])  # fmt: skip
def test_reports_of_any_form_are_read(odd):
    found = module._credentials(odd, "")
    assert found.state == ("unknown issuer" if odd["validation_state"] == "Valid" else "broken")


def test_what_breaks_an_ingredient_is_told():
    failure = {"failure": [{"code": "ingredient.manifest.mismatch"}]}
    results = {"activeManifest": {}, "ingredientDeltas": [{"validationDeltas": failure}]}
    said = {"manifests": {"a": {}}, "active_manifest": "a", "validation_state": "Invalid"}
    found = module._credentials({**said, "validation_results": results}, "")
    assert found.failed == ("the credentials of an ingredient were changed",)


def test_reports_without_what_is_needed_are_broken(monkeypatch):
    for said in ("{}", "[]", "no JSON", '{"manifests": {}, "active_manifest": "a"}'):
        monkeypatch.setattr(module, "_said", lambda *_, said=said: {"report": said})
        assert looked(CAMERA).state == "broken"


def test_very_many_statements_are_cut():
    action = {"action": "c2pa.edited", "description": "x" * 5000}
    statement = {"label": "c2pa.actions", "data": {"actions": [action] * 40}}
    manifest = {"assertions": [statement] * 2, "ingredients": [{"title": "part"}] * 90}
    said = {"manifests": {"a": manifest}, "active_manifest": "a", "validation_state": "Valid"}
    found = module._credentials(said, "")
    assert len(found.actions) == 50 and len(found.actions[0].description) == 300
    assert len(found.ingredients) == 50


def test_anchors_are_certificates_alone(tmp_path):
    path = tmp_path / "list.pem"
    path.write_text("# the list\n" + ANCHORS * 2, encoding="utf-8")
    assert read_anchors(path).count("BEGIN CERTIFICATE") == 2
    no_certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"
    lines = ANCHORS.split("\n")
    cut = "\n".join(lines[:3] + lines[-2:])
    for text in ("", "rubbish", no_certificate, cut, ANCHORS + no_certificate, ANCHORS + key):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(ValueError, match="give a file of certificates alone"):
            read_anchors(path)


def test_source_types_are_told_by_address_or_code():
    address = "https://cv.iptc.org/newscodes/digitalsourcetype/compositeSynthetic"
    assert source_type(address).says == "edited"
    assert source_type("digsrctype:trainedAlgorithmicMedia").says == "generated"
    assert source_type("http://c2pa.org/digitalsourcetype/trainedAlgorithmicData").code
    assert source_type("http://example.org/x") == ("", "other", "http://example.org/x")
