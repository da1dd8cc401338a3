import json
import os
import secrets

import pytest

from gan_forensics.data.files import no_link, write_json, write_text, written_beside
from gan_forensics.train.run_folder import writing


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


def test_processes_that_write_one_file_do_not_write_into_each_other(tmp_path):
    with written_beside(tmp_path / "a.npz") as mine:
        mine.write_text("mine")
        with written_beside(tmp_path / "a.npz") as other:
            other.write_text("other")
        assert mine.read_text() == "mine" and (tmp_path / "a.npz").read_text() == "other"
    assert (tmp_path / "a.npz").read_text() == "mine"


def test_a_link_in_the_way_is_replaced_and_what_it_leads_to_stays_as_it_was(tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("keep")
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "report.html").symlink_to(precious)
    write_text(folder / "report.html", "page")
    assert precious.read_text() == "keep"
    assert not (folder / "report.html").is_symlink()
    assert (folder / "report.html").read_text() == "page"


def test_the_name_beside_is_new_each_time_and_never_one_that_is_there(tmp_path, monkeypatch):
    names = []
    for _ in range(3):
        with written_beside(tmp_path / "a.csv") as partial:
            # The file is there already, and is nobody else's.
            assert partial.stat().st_size == 0 and not partial.is_symlink()
            names.append(partial.name)
    assert len(set(names)) == 3
    precious = tmp_path / "precious.txt"
    precious.write_text("keep")
    monkeypatch.setattr(secrets, "token_hex", lambda _: "known")
    (tmp_path / ".a.known.partial.csv").symlink_to(precious)
    with pytest.raises(FileExistsError, match="a.csv"), written_beside(tmp_path / "a.csv"):
        pass
    assert precious.read_text() == "keep"


def test_permissions_are_those_of_any_new_file(tmp_path):
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "a.txt", "")
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_names_as_long_as_the_system_allows_can_be_written(tmp_path):
    for name in (f"{'a' * 251}.csv", f"{'ä' * 125}.csv"):
        write_text(tmp_path / name, "x")
        assert (tmp_path / name).read_text() == "x"


def test_nothing_is_written_through_a_link(tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("keep")
    (tmp_path / "log.csv").symlink_to(precious)
    for mode in ("a", "w", "r+"):
        with pytest.raises(ValueError, match=r"log.csv: it is a link"):
            open(tmp_path / "log.csv", mode, opener=no_link)
    with pytest.raises(FileNotFoundError):
        open(tmp_path / "none" / "log.csv", "w", opener=no_link)
    with open(tmp_path / "new.csv", "w", opener=no_link) as file:
        file.write("x")
    assert precious.read_text() == "keep" and (tmp_path / "new.csv").read_text() == "x"


@pytest.mark.parametrize("name", [".lock", "samples"])
def test_a_run_folder_whose_lock_or_samples_are_a_link_is_refused(name, tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("keep")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / name).symlink_to(precious)
    with pytest.raises(ValueError, match=f"{name}: it is a link"), writing(tmp_path / "run"):
        pass
    assert precious.read_text() == "keep"
