import json
import os

import pytest

from gan_forensics.data.files import write_json, written_beside


def test_a_file_appears_whole_in_folders_made_for_it(tmp_path):
    path = tmp_path / "new" / "deep" / "table.csv"
    with written_beside(path) as partial:
        partial.write_text("half")
        assert partial.parent == path.parent and partial.suffix == ".csv" and not path.exists()
    assert path.read_text() == "half" and os.listdir(path.parent) == ["table.csv"]


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    write_json(tmp_path / "a.json", {"old": 1})
    with pytest.raises(OSError, match="disk"), written_beside(tmp_path / "a.json") as partial:
        partial.write_text("{")
        raise OSError("disk")
    assert json.loads((tmp_path / "a.json").read_text()) == {"old": 1}
    assert os.listdir(tmp_path) == ["a.json"]


def test_processes_that_write_one_file_do_not_write_into_each_other(tmp_path, monkeypatch):
    with written_beside(tmp_path / "a.npz") as mine:
        mine.write_text("mine")
        monkeypatch.setattr(os, "getpid", lambda: 1)
        with written_beside(tmp_path / "a.npz") as other:
            other.write_text("other")
        assert mine.read_text() == "mine" and (tmp_path / "a.npz").read_text() == "other"
    assert (tmp_path / "a.npz").read_text() == "mine"
