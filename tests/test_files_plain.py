"""Paths that libraries would read as patterns, addresses or escapes."""

import os
from pathlib import Path

import pytest

from gan_forensics.files import plain_path


@pytest.mark.parametrize("name", ["faces", "a b.c,d@e%f+g=h~i-j_k", "\u00e4\u4e2d", "..x"])
def test_a_plain_path_is_itself(name, tmp_path):
    folder = tmp_path / name
    with plain_path(folder / ".." / name) as path:
        assert path == folder
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["[64px]", "a*", "a?", "gs:x", "a\\b", "a\nb", "{x}", os.fsdecode(b"\xe9")]
)
def test_any_other_is_reached_by_a_link_that_goes(name, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / name).mkdir()
    with plain_path(tmp_path / name) as path:
        assert path.name == "folder" and path.resolve() == tmp_path / name
        assert path.parent.stat().st_mode & 0o077 == 0
        (path / "x").touch()
    assert os.listdir(tmp_path) == [name] and (tmp_path / name / "x").exists()


def test_a_temporary_folder_without_a_plain_path_is_refused(tmp_path, monkeypatch):
    (there := tmp_path / "t [1]").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(there))
    with pytest.raises(ValueError, match=r"set TMPDIR"), plain_path(Path(there, "a*")):
        pass
