import gzip
import os
import re
import secrets
from pathlib import Path

import pytest

import gan_forensics
from gan_forensics.files import (
    escaped,
    file_stem,
    gunzip,
    gunzip_start,
    listed,
    private_folder,
    read_bytes,
    read_csv,
    read_json,
    refuse_links,
    rows_kept,
    shown,
    tables,
    unpacked,
    write_csv,
)
from gan_forensics.files.tables import cell


def test_names_stay_in_their_line_and_have_a_length():
    assert shown("a\nb\x1b[2J\u202eg\udcff\t") == r"a\nb\x1b[2J\u202eg\udcff\t"
    assert shown("größe 日本") == "größe 日本"
    assert shown("a" * 300) == "a" * 300
    cut = shown("ab" * 5000)
    assert len(cut) < 340 and "(10000 characters)" in cut and cut.startswith("ab" * 100)
    assert escaped("a" * 301) == "a" * 301


def test_a_list_of_names_says_how_many_it_leaves_out():
    assert listed([]) == ""
    assert listed(["a", "b\n", 3]) == r"a, b\n, 3"
    assert listed({"a": 1, "b": 2}, between="; ") == "a; b"
    assert listed(range(10_000), most=2) == "0, 1 ... (9,998 more)"
    assert len(listed(["x" * 10_000] * 10_000)) < 3000


def test_a_name_of_others_is_part_of_a_files_name():
    assert file_stem("a/b\x1b\udcff") == r"a_b\x1b\udcff" and file_stem("é" * 40) == "é" * 40
    names = ["é" * 40 + end for end in "abc"] + ["x" * 300, "中" * 27, "-" * 80, "-" * 81]
    stems = [file_stem(name) for name in names]
    assert len(set(stems)) == len(names) and max(len(stem.encode()) for stem in stems) == 80
    assert [stem[:3] for stem in stems] == [name[:3] for name in names]
    assert stems[0].startswith("é" * 35 + "-") and stems[-2] == names[-2]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\xff\xfe", "not readable as JSON"),
        (b"{", "not readable as JSON"),
        (b"[" * 100_000, "nested too deep"),
        (b"1" * 5000, "not readable as JSON"),
        (b" " * 101 + b"1", None),
    ],
)
def test_what_is_no_json_is_an_error_that_names_the_path(data, said, tmp_path):
    (tmp_path / "a.json").write_bytes(data)
    if said is None:
        assert read_json(tmp_path / "a.json") == 1
        with pytest.raises(ValueError, match="102 bytes, more than the 100"):
            read_json(tmp_path / "a.json", most=100)
    else:
        with pytest.raises(ValueError, match=rf"a\.json: it is {said}" if "not" in said else said):
            read_json(tmp_path / "a.json")


def test_pipes_and_devices_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ValueError, match="not a regular file"):
            read_bytes(path, most=10)
    with pytest.raises(FileNotFoundError):
        read_bytes(tmp_path / "none", most=10)


def test_gzip_is_unpacked_as_far_as_its_limit():
    data = gzip.compress(b"x" * 1000) + gzip.compress(b"y" * 10)
    assert gunzip(data, most=1010) == b"x" * 1000 + b"y" * 10
    with pytest.raises(ValueError, match="more than"):
        gunzip(data, most=1009)
    for broken in (data[:-3], b"\x1f\x8b junk", data[:100] + b"zzz"):
        with pytest.raises(ValueError, match="too early|whole gzip"):
            gunzip(broken, most=10**6)


def test_of_gzip_the_start_can_be_seen_alone():
    data = gzip.compress(b"x" * 1000)
    assert gunzip_start(data, 20) == b"x" * 20
    assert gunzip_start(data[:-8], 20) == b"x" * 20
    with pytest.raises(ValueError, match="whole gzip"):
        gunzip_start(b"text", 20)


def test_gzip_is_read_in_pieces_as_far_as_its_limit(tmp_path):
    path = tmp_path / "a.gz"
    path.write_bytes(gzip.compress(b"x" * 1000) + gzip.compress(b"y" * 10) + bytes(100))
    with unpacked(path, most=1010) as stream:
        assert stream.read(1005) == b"x" * 1000 + b"y" * 5 and stream.read(99) == b"y" * 5
        assert stream.read(1) == b""
    with unpacked(path, most=1009) as stream, pytest.raises(ValueError, match="to more than"):
        stream.read(2000)


def test_csv_is_read_from_regular_files_of_text_alone(tmp_path, monkeypatch):
    path = tmp_path / "a.csv"
    path.write_bytes("\ufeffa,b\n\n1,\u00e9\n".encode())
    assert read_csv(path).lines == [(1, ["a", "b"]), (3, ["1", "\u00e9"])]
    for data in (b"a\xff\x02", b"a\0b", b"x" * 200_000):
        path.write_bytes(data)
        with pytest.raises(ValueError, match="a.csv: not read as CSV: "):
            read_csv(path)
    monkeypatch.setattr(tables, "MOST_CSV", 10)
    with pytest.raises(ValueError, match="200000 bytes"):
        read_csv(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="regular"):
        read_csv(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=cmd|'/C calc'!A0", "'=cmd|'/C calc'!A0"),
        ("@SUM(1)", "'@SUM(1)"),
        ("-2+3", "'-2+3"),
        ("+a", "'+a"),
        (" =1", "' =1"),
        ("= 1", "'= 1"),
        ("＝1", "'＝1"),
        ("\t=1", r"\t=1"),
        ("a\r\n=1", r"a\r\n=1"),
        ("a;=1", "a;'=1"),
        ("\udcff\ud800\u202e", r"\udcff\ud800\u202e"),
        *(
            (same, same)
            for same in ("x=1", "-", "+", "", " ", "-1.5e-05", "+1", ".5", "-inf", "a;b")
        ),
        (Path("=a"), "'=a"),
        (-3, -3),
        (None, None),
    ],
)
def test_cells_begin_no_formula_and_numbers_stay(text, written):
    assert cell(text) == written


def test_every_cell_of_a_table_is_one(tmp_path):
    write_csv(tmp_path / "a.csv", [{"=n": "=1,2", "m": -3}, {"=n": "a\nb", "m": None}])
    assert (tmp_path / "a.csv").read_bytes() == b"'=n,m\r\n\"'=1,2\",-3\r\na\\nb,\r\n"
    package = Path(gan_forensics.__file__).parent
    writers = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(
            r"csv\.(writer|DictWriter)|savetxt|\.to_csv\(", path.read_text(encoding="utf-8")
        )
    }
    assert writers == {"files/tables.py"}


def test_rows_that_were_ready_outlive_a_failure(tmp_path, capsys):
    path = tmp_path / "new" / "scores.csv"
    with rows_kept(path, ["path", "score"]) as add:
        (kept,) = path.parent.iterdir()
        add({"path": "a", "score": 1, "other": 2})
        assert kept.read_text() == "path,score\na,1\n"
    assert not list(path.parent.iterdir())
    with pytest.raises(KeyboardInterrupt), rows_kept(path, ["path", "score"]) as add:
        add({"path": "=a", "score": 1})
        raise KeyboardInterrupt
    (kept,) = path.parent.iterdir()
    assert kept.name.startswith("scores.partial-") and kept.read_text() == "path,score\n'=a,1\n"
    assert f"1 rows that were ready are in {kept}" in capsys.readouterr().err
    kept.unlink()
    with pytest.raises(KeyboardInterrupt), rows_kept(path, ["path", "score"]):
        raise KeyboardInterrupt
    assert not list(path.parent.iterdir())


def test_links_pipes_and_devices_in_a_run_folder_are_refused(tmp_path):
    run = tmp_path / "run"
    (run / "checkpoints" / "1").mkdir(parents=True)
    (run / "config.json").write_text("{}")
    refuse_links(run)
    (tmp_path / "link").symlink_to(run)
    refuse_links(tmp_path / "link")
    for make in (
        lambda path: path.symlink_to("/etc/passwd"),
        lambda path: path.symlink_to(tmp_path),
        lambda path: path.symlink_to(tmp_path / "none"),
        os.mkfifo,
    ):
        odd = run / "checkpoints" / "1" / "odd"
        make(odd)
        with pytest.raises(ValueError, match=r"odd: it is a (link|pipe)"):
            refuse_links(run)
        odd.unlink()


def test_a_folder_that_is_trusted_is_the_users_alone(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    private_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "entry").write_text("x")
    private_folder(folder)
    (folder / "link").symlink_to(folder / "entry")
    with pytest.raises(PermissionError, match="it is a link"):
        private_folder(folder)
    (folder / "link").unlink()
    for mode in (0o770, 0o707):
        folder.chmod(mode)
        with pytest.raises(PermissionError, match="others could have"):
            private_folder(folder)
    (tmp_path / "other").symlink_to(folder)
    with pytest.raises(PermissionError, match="a link"):
        private_folder(tmp_path / "other")
    with pytest.raises(PermissionError, match="run folder"):
        (tmp_path / "config.json").write_text("{}")
        private_folder(tmp_path / "inside" / "cache")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PermissionError, match="working folder"):
        private_folder(tmp_path / "new")
    (tmp_path / "config.json").unlink()
    private_folder(tmp_path / "default", chosen=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    private_folder(tmp_path / ".cache" / "mine")


def test_memory_is_asked_for_by_the_size_of_a_file(tmp_path):
    path = tmp_path / "small"
    path.write_bytes(b"small")
    assert read_bytes(path, most=2**50) == b"small"


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="Linux")
def test_a_file_that_says_0_of_itself_is_read_whole():
    assert len(read_bytes("/proc/self/smaps", most=2**30)) > 2**12


def test_as_much_as_is_asked_for_is_read_and_no_more(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_bytes(path, most=5) == b"12345"
    with pytest.raises(ValueError, match="a: 5 bytes, more than the 4 that are read"):
        read_bytes(path, most=4)
    for start, end in (("[", "]"), ('{"a":', "}")):
        path.write_text(start * 100 + "1" + end * 100)
        read_json(path)
        path.write_text(start * 101 + "1" + end * 101)
        with pytest.raises(ValueError, match="nested too deep"):
            read_json(path)
    path.write_text("a,b\n")
    monkeypatch.setattr(tables, "MOST_CSV", 4)
    assert read_csv(path).lines == [(1, ["a", "b"])]
    monkeypatch.setattr(tables, "MOST_CSV", 3)
    with pytest.raises(ValueError, match="a: 4 bytes, more than the 3 that are read"):
        read_csv(path)


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="Linux")
def test_a_file_that_says_0_of_itself_is_read_within_its_limit():
    for most in (0, 100):
        with pytest.raises(ValueError, match=f"{most + 1} bytes, more than the {most} that"):
            read_bytes("/proc/self/smaps", most=most)


def test_what_cannot_be_held_in_memory_is_said(tmp_path, monkeypatch):
    def no_memory(data):
        raise MemoryError

    monkeypatch.setattr(tables, "decoded", no_memory)
    (tmp_path / "a.csv").write_text("a\n")
    path = (tmp_path / "a.csv").rename(tmp_path / "\x1b.csv")
    with pytest.raises(ValueError, match=r"\\x1b.csv: its cells do not fit into memory"):
        read_csv(path)


def test_names_in_messages_of_readers_steer_no_terminal(tmp_path, capsys, monkeypatch):
    path = tmp_path / "\x1b[2J.csv"
    os.mkfifo(tmp_path / "\x1b[2Jpipe")
    path.write_bytes(gzip.compress(b"x" * 99))

    def read_some():
        with unpacked(path, most=9) as stream:
            stream.read(99)

    def read_large_csv():
        with monkeypatch.context() as patch:
            patch.setattr(tables, "MOST_CSV", 1)
            read_csv(path)

    def keep():
        with rows_kept(path, ["a"]) as add:
            add({"a": 1})
            raise KeyboardInterrupt

    for wrong in (
        lambda: read_bytes(tmp_path / "\x1b[2Jpipe", most=9),
        lambda: read_bytes(path, most=9),
        lambda: read_json(path),
        lambda: read_csv(path),
        read_large_csv,
        lambda: refuse_links(tmp_path),
        read_some,
        keep,
    ):
        with pytest.raises((ValueError, KeyboardInterrupt)) as refused:
            wrong()
        said = f"{refused.value}{capsys.readouterr().err}"
        assert "\x1b" not in said and "x1b[2J" in said


def test_kept_rows_go_to_a_new_file(tmp_path, monkeypatch):
    precious = tmp_path / "precious"
    precious.write_text("keep")
    monkeypatch.setattr(secrets, "token_hex", lambda _: "known")
    (tmp_path / "a.partial-known.csv").symlink_to(precious)
    with pytest.raises(FileExistsError, match="a.csv"), rows_kept(tmp_path / "a.csv", ["a"]):
        pass
    assert precious.read_text() == "keep"


def test_rows_for_a_pipe_are_not_kept_and_few_columns_are_empty_cells(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    with rows_kept(tmp_path / "pipe.csv", ["a"]) as add:
        add({"a": 1})
        assert os.listdir(tmp_path) == ["pipe.csv"]
    with rows_kept(tmp_path / ("b" * 200 + ".csv"), ["a", "b"]) as add:
        add({"b": 1})
        (kept,) = (tmp_path / name for name in os.listdir(tmp_path) if name[0] == "b")
        assert kept.read_text() == "a,b\n,1\n" and len(kept.name) < 70


def test_a_folder_of_others_is_not_trusted(tmp_path, monkeypatch):
    folder = tmp_path / "a" / "cache"
    private_folder(folder)
    (folder / "entry").write_text("x")
    folder.chmod(0o755)
    private_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(PermissionError, match="cannot write to"):
        private_folder(folder)
    monkeypatch.undo()
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    with pytest.raises(PermissionError, match="it belongs to somebody else"):
        private_folder(folder)
    monkeypatch.undo()
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        private_folder(tmp_path / "file")
