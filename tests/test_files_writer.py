import ast
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from gan_forensics.files import (
    check_file_in,
    check_file_out,
    check_folder_out,
    in_words,
    no_link,
    write_json,
    write_text,
    writer,
    written_beside,
    written_once,
)
from gan_forensics.files.paths import is_stream, open_file
from gan_forensics.train.run_folder import writing


def test_a_file_appears_whole_in_folders_made_for_it(tmp_path):
    path = tmp_path / "new" / "deep" / "table.csv"
    with written_beside(path) as partial:
        partial.write_text("half")
        assert partial.parent == path.parent and partial.suffix == ".csv" and not path.exists()
    assert path.read_text() == "half" and os.listdir(path.parent) == ["table.csv"]


@pytest.mark.parametrize("links", [True, False])
def test_of_several_processes_the_first_one_writes_a_file(links, tmp_path, monkeypatch):
    def refuses(*names):
        raise PermissionError(1, "no hard links here")

    if not links:
        monkeypatch.setattr(writer.os, "link", refuses)
    path = tmp_path / "new" / "plan.jsonl"
    with written_once(path) as partial:
        partial.write_text("first")
    with pytest.raises(FileExistsError, match="plan.jsonl"):
        with written_once(path) as partial:
            partial.write_text("second")
    assert path.read_text() == "first" and os.listdir(path.parent) == ["plan.jsonl"]


LIMITED = """
import resource, sys
from pathlib import Path
from gan_forensics.files import in_words, rows_kept, write_csv, write_json, written_beside
from gan_forensics.train.run_folder import writing
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
def rows(path):
    with rows_kept(path, ["name"]) as add:
        for _ in range(3):
            add({"name": "long"})
def table(path):
    write_csv(path, [{"name": "x" * 10**5}])
def lock(path):
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    with writing(path):
        pass
def beside(path):
    write_json(path, "0123456789" * 10)
for write in (beside, table, rows, lock):
    try:
        write(Path(sys.argv[1]) / write.__name__)
    except OSError as error:
        print(in_words(error))
"""


def test_where_there_is_no_room_the_file_is_named_and_nothing_is_left(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True
    )
    words = "larger than files may be here (ulimit -f)"
    *others, rows, lock = done.stdout.splitlines()
    assert others == [f"{tmp_path / name}: {words}" for name in ("beside", "table")], done.stderr
    assert re.fullmatch(rf"{tmp_path}/rows\.partial-\w+: {re.escape(words)}", rows)
    assert lock == f"{tmp_path / 'lock' / '.lock'}: {words}"
    assert {name.partition(".")[0] for name in os.listdir(tmp_path)} == {"lock"}


def test_other_errors_name_what_they_did(tmp_path):
    for number, name in ((5, None), (28, "elsewhere")):
        with pytest.raises(OSError) as error, written_beside(tmp_path / "a") as partial:
            partial.write_text("x")
            raise OSError(number, "words", name)
        assert error.value.filename == name


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


def test_a_link_in_the_way_is_refused_and_what_it_leads_to_stays_as_it_was(tmp_path):
    precious = tmp_path / "precious.txt"
    precious.write_text("keep")
    folder = tmp_path / "run"
    folder.mkdir()
    for link, target in (("report.html", precious), ("nothing.html", tmp_path / "none")):
        (folder / link).symlink_to(target)
        with pytest.raises(ValueError, match=f"{link}: it is a link"):
            write_text(folder / link, "page")
        with pytest.raises(ValueError, match=f"--out .*{link}: it is a link"):
            check_file_out(folder / link)
        assert (folder / link).is_symlink()
    assert precious.read_text() == "keep" and sorted(os.listdir(folder)) == [
        "nothing.html",
        "report.html",
    ]


def test_pipes_and_devices_get_the_bytes_and_stay(tmp_path, capfd):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    check_file_out(pipe)
    got = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_text(pipe, "x" * 100_000)
    reader.join(timeout=60)
    assert got == [b"x" * 100_000] and pipe.is_fifo()
    write_text("/dev/null", "x")
    assert os.path.exists("/dev/null") and not os.path.isfile("/dev/null")
    check_file_out("/dev/stdout")
    print("before")
    write_text("/dev/stdout", "here\n")
    assert capfd.readouterr().out == "before\nhere\n" and os.listdir(tmp_path) == ["pipe"]


def test_a_pipe_that_nobody_reads_from_is_not_waited_for_without_an_end(
    tmp_path, monkeypatch, capsys
):
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(writer, "SECONDS", 0.2)
    with pytest.raises(OSError, match="nobody read"):
        write_text(tmp_path / "pipe", "x")
    assert capsys.readouterr().err.count("waiting for somebody to read") == 1
    with pytest.raises(ValueError, match="give /dev/stdout"):
        check_file_out("-")


def test_what_is_half_a_character_is_written_as_its_code(tmp_path):
    write_text(tmp_path / "a", "x\udcff")
    assert (tmp_path / "a").read_text() == "x\\udcff"


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


# What writes beside `written_beside` and its like, and why it may.
_OTHER_WRITERS = {
    # To a new file in a new folder of a drawn name, or one that was just made.
    "gan_forensics/data/benchmark.py": {"open"},
    "gan_forensics/studies/face_clips.py": {"cv2.VideoWriter"},
    # In a run folder, in which links were refused, or a new one of a drawn name beside it.
    "gan_forensics/train/checkpoint.py": {"_manager.save", "mkdir", "rmtree", "rename"},
    "gan_forensics/train/log.py": {"open", "SummaryWriter"},
    "gan_forensics/train/loop.py": {"mkdir"},
    "gan_forensics/train/run_folder.py": {"mkdir", "open"},
    "gan_forensics/studies/runner.py": {"copytree"},
    # Lines that have to be there when the process is killed, to no link.
    "gan_forensics/forensics/attempts.py": {"mkdir", "open"},
    "gan_forensics/faces/runs.py": {"open"},
    # To a name that `written_beside` drew for them.
    "gan_forensics/anomaly/tables.py": {"open"},
    "gan_forensics/report/figures.py": {"savefig"},
    "gan_forensics/faces/video.py": {"cv2.VideoWriter", "open"},
    "experiments/face_landmarks.py": {"open"},
    # By pip.
    "experiments/fetch_catalogues.py": {"mkdir"},
}
_WRITERS = {
    "save", "savez", "savez_compressed", "savefig", "savemat", "mkdir", "makedirs", "rmtree",
    "copytree", "copyfile", "copy2", "move", "rename", "write_bytes", "touch", "symlink_to",
    "hardlink_to", "imwrite", "to_csv", "VideoWriter", "SummaryWriter", "memmap", "open_memmap",
}  # fmt: skip
# Names that `written_beside` gives, streams in memory, and what saves itself by `write_archive`.
_RIGHT = {"partial", "data", "stream", "buffer", "checkpoints"}
_OWN_SAVE = {"detector", "attributor", "bands", "trained", "model"}


def _writes(path):
    """Calls in a source file that write to a path, by what is called."""
    text = path.read_text()
    if not any(f"{name}(" in text for name in (*_WRITERS, "open")):
        return
    for node in ast.walk(ast.parse(text)):
        name = isinstance(node, ast.Call) and (
            getattr(node.func, "attr", "") or getattr(node.func, "id", "")
        )
        if not name or name not in {*_WRITERS, "open", "fdopen"}:
            continue
        called = ast.unparse(node.func)
        first = ast.unparse(node.args[0]) if node.args else ""
        target = called.partition(".")[0]
        if name in ("open", "fdopen"):
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            inner = [part for each in given for part in ast.walk(each)]
            texts = [str(part.value) for part in inner if isinstance(part, ast.Constant)]
            modes = [text for text in texts if re.fullmatch(r"[rwaxbt+]{1,3}", text)]
            if any(set(mode) & set("wax+") for mode in modes) and target != "partial":
                yield "open"
        elif name in _WRITERS and not {first, target} & _RIGHT:
            if not (name == "save" and target in _OWN_SAVE):
                yield (
                    "_manager.save"
                    if called == "self._manager.save"
                    else (called if called.startswith("cv2.") else name)
                )


def test_everything_is_written_by_the_one_writer():
    root = Path(__file__).parents[1]
    found = {}
    for folder in ("gan_forensics", "experiments"):
        for path in sorted((root / folder).rglob("*.py")):
            if path.parent.name != "files" and (calls := set(_writes(path))):
                found[path.relative_to(root).as_posix()] = calls
    assert found == _OTHER_WRITERS


def test_names_in_refusals_of_writers_steer_no_terminal(tmp_path, monkeypatch):
    nasty = tmp_path / "\x1b[2J"
    nasty.mkdir()
    (nasty / "link").symlink_to(tmp_path)
    os.mkfifo(nasty / "pipe")
    (nasty / "file").write_text("")
    end = socket.socket(socket.AF_UNIX)
    monkeypatch.chdir(nasty)
    end.bind("socket")
    end.close()
    monkeypatch.setattr(writer, "SECONDS", 0.1)
    for wrong in (
        lambda: write_text(nasty / "link", ""),
        lambda: write_text(nasty / "pipe", ""),
        lambda: write_text(nasty / "socket", ""),
        lambda: open(nasty / "link", "w", opener=no_link),
        lambda: check_file_out(nasty),
        lambda: check_file_out(nasty / "link"),
        lambda: check_file_out(nasty / "file" / "a"),
        lambda: check_folder_out(nasty / "file"),
        lambda: check_file_in(nasty, "a table"),
        lambda: check_file_in(nasty / "none", "a table"),
        lambda: check_file_in(nasty / "pipe", "a table"),
    ):
        with pytest.raises((ValueError, OSError)) as refused:
            wrong()
        assert "\x1b" not in str(refused.value) and "x1b[2J" in str(refused.value)
    assert in_words(FileNotFoundError(2, "no", str(nasty))).endswith(
        r"\x1b[2J: no such file or folder"
    )
    with pytest.raises(FileNotFoundError, match="no such file; give a table"):
        check_file_in(nasty / "none", "a table")
    assert in_words(OSError("of a library")) == "of a library"
    assert in_words(OSError(99999, "new")) == "new"
    assert in_words(OSError(17, "is", "a", None, "b")) == "b: a file of that name is in the way"


def test_what_must_be_writable_is_asked_for_it(tmp_path, monkeypatch):
    asked = []
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(os, "access", lambda path, mode: asked.append((Path(path), mode)))
    for check in (check_folder_out, check_file_out):
        with pytest.raises(ValueError, match="you have no permission to write to"):
            check(tmp_path / "new" / "a")
    with pytest.raises(ValueError, match="--page .*pipe: you have no permission to write to it"):
        check_file_out(tmp_path / "pipe", "--page")
    assert asked == [*[(tmp_path, os.W_OK | os.X_OK)] * 2, (tmp_path / "pipe", os.W_OK)]


def test_a_link_that_leads_nowhere_is_in_the_way_of_a_folder(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "none")
    with pytest.raises(ValueError, match="link: it is no folder"):
        check_folder_out(tmp_path / "link")
    with pytest.raises(ValueError, match="--out .*link/a: .*/link is no folder"):
        check_file_out(tmp_path / "link" / "a")
    check_folder_out(tmp_path / "new")


@pytest.mark.parametrize(
    ("path", "number"),
    [
        ("/dev/stdout", 1), ("/dev/stderr", 2), ("/dev/fd/7", 7), ("/proc/self/fd/12", 12),
        ("/dev/../dev/stdout", 1), ("/dev/fd/x", None), ("/dev/null", None), ("a", None),
    ],
)  # fmt: skip
def test_open_files_have_their_numbers(path, number):
    assert open_file(path) == number
    assert number is None or is_stream(path)


def test_a_pipe_is_waited_for_a_minute_and_what_else_is_wrong_with_it_is_said_at_once(
    tmp_path, monkeypatch
):
    assert writer.SECONDS == 60
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    # Whoever reads slowly does not end the write.
    with writer._stream(pipe) as file:
        assert os.get_blocking(file.fileno())
    os.close(reader)
    pipe.unlink()
    monkeypatch.setattr(writer, "SECONDS", 0.1)
    with pytest.raises(FileNotFoundError):
        writer._stream(pipe)
