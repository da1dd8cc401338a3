import ast
import io
import logging
import os
import re
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path

import pytest

import gan_forensics
from gan_forensics.cli import entry
from gan_forensics.cli.entry import guarded, main, piped
from gan_forensics.cli.plain import plain_arguments
from gan_forensics.files import rows_kept, say, tell
from gan_forensics.files.terminal import has_colours, in_lines, warnings_said

NASTY = "a\x1b[2J\r\nb\u202ec\udcff\ud800"
PLAIN = r"a\x1b[2J\r\nb\u202ec\udcff\ud800"


def test_a_line_stays_one_and_has_an_end(capsys):
    say(NASTY, 3)
    tell("a  b", "", "x" * 10_000_000)
    out, err = capsys.readouterr()
    assert err == f"{PLAIN}\n3\n"
    first, second, long = out.splitlines()
    assert (first, second) == ("a  b", "") and len(long) < 4100 and "(10000000 characters)" in long


def test_an_error_is_said_in_lines_that_nothing_in_it_forges(capsys):
    def fail(error):
        raise error

    assert guarded(lambda: fail(ValueError(f"{NASTY}: wrong"))) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == r"gan-forensics: a\x1b[2J\r" and second == r"    b\u202ec\udcff\ud800: wrong"
    assert guarded(lambda: fail(RuntimeError("y\n" * 100_000))) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "    ... (99,980 more lines)"
    assert guarded(lambda: fail(RuntimeError(NASTY)), debug=True) == 1
    assert "\x1b" not in capsys.readouterr().err
    assert in_lines("one") == ["one"]


def test_warnings_stand_in_one_line():
    with warnings_said():
        said = warnings.formatwarning(NASTY, UserWarning, "a\n.py", 3)
    assert said == rf"a\n.py:3: UserWarning: {PLAIN}" + "\n"
    assert "\x1b" in warnings.formatwarning(NASTY, UserWarning, "a.py", 3)  # as it was before


def test_an_argument_that_is_wrong_use_steers_no_terminal(capsys):
    for line in (["detect", "score", "a", "--detector", "d", NASTY], ["train", NASTY]):
        with pytest.raises(SystemExit):
            main(line)
        err = capsys.readouterr().err
        assert "\x1b[2J" not in err and "\u202e" not in err and "x1b[2J" in err


@pytest.mark.parametrize(
    ("encoding", "said"),
    [
        ("ascii", r"1 +- 2 - +-| \u65e5"),
        ("latin-1", r"1 ± 2 - +-| \u65e5"),
        ("cp1252", r"1 ± 2 – +-| \u65e5"),
        ("utf-8", "1 ± 2 – ╭─│ 日"),
    ],
)
def test_what_a_terminal_lacks_is_spelled(encoding, said, monkeypatch):
    for name, print_line in (("stdout", tell), ("stderr", say)):
        written = io.BytesIO()
        monkeypatch.setattr(sys, name, io.TextIOWrapper(written, encoding))
        piped(lambda print_line=print_line: print_line("1 ± 2 – ╭─│ 日"))
        getattr(sys, name).flush()
        assert written.getvalue().decode(encoding) == f"{said}\n"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("environment", "terminals", "colours"),
    [
        ({"TERM": "xterm"}, 2, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, 2, True),
        ({"TERM": "xterm", "NO_COLOR": "0"}, 2, False),
        ({"TERM": "dumb"}, 2, False),
        ({"TERM": "xterm"}, 1, False),
    ],
)
def test_colours_are_for_terminals_that_want_them(environment, terminals, colours, monkeypatch):
    for name in ("TERM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.setattr(sys, "stderr", Terminal() if terminals == 2 else io.StringIO())
    assert has_colours() is colours
    with pytest.raises(SystemExit) as end:
        main(["anomaly", "--help"])
    assert end.value.code == 0 and ("\x1b[" in sys.stdout.getvalue()) is colours
    with pytest.raises(SystemExit) as end:
        main(["anomaly", "--steps", "1_0"])
    assert end.value.code == 2 and ("\x1b[" in sys.stderr.getvalue()) is colours


@pytest.mark.parametrize("columns", ["0", "1", "20", "39"])
def test_narrow_terminals_get_help_of_40_columns(columns, monkeypatch, capsys):
    # At one column the layout would never end: the width is looked at before the help is.
    monkeypatch.setenv("COLUMNS", columns)
    with plain_arguments():
        assert shutil.get_terminal_size().columns >= 40
        assert columns == "0" or os.environ["COLUMNS"] == "40"
    assert os.environ["COLUMNS"] == columns
    with pytest.raises(SystemExit) as end:
        main(["anomaly", "--help"])
    assert end.value.code == 0 and "--contamination" in capsys.readouterr().out


OPENED = ("read_text", "write_text", "open", "fdopen", "TextIOWrapper", "run")


def test_all_bars_are_made_in_one_place_and_all_files_are_in_utf_8():
    bars, files = set(), []
    for path in Path(gan_forensics.__file__).parent.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if not re.search(rf"\b({'|'.join(OPENED)})\(|tqdm", text):
            continue
        for call in ast.walk(ast.parse(text)):
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if name not in ("tqdm", *OPENED):
                continue
            said = ast.unparse(call)
            if name == "tqdm":
                bars.add(path.name)
            if name in OPENED and not _in_utf_8(name, call, said):
                files.append((path.name, said))
    assert bars == {"progress.py"} and not files


def _in_utf_8(name, call, said):
    if "encoding=" in said or "utf-8" in said:
        return True
    if name == "run":
        return "text=True" not in said and "universal_newlines" not in said
    if isinstance(call.func, ast.Name) and name in ("read_text", "write_text"):
        return True  # ours
    # Files of the system, in ASCII; descriptors, archives, pictures; what is of bytes.
    of_bytes = re.search(r"['\"](r|w|a|x)\+?b\+?['\"]|'wb' if|'r\+b' if", said)
    others = r"_GROUP|/proc|Path\(file\)|(os|Image|archive|tarfile|tensorstore|webbrowser)\.open\("
    return bool(of_bytes or re.search(others, said))


def test_nothing_is_printed_by_another_way():
    package = Path(gan_forensics.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"(?<!\w)print(_exc)?\(|sys\.std(out|err)\.write", line)
        and not line.lstrip().startswith((">>>", "..."))
    }
    # A translation is given to other programs to the letter.
    assert found == {"files/terminal.py", "cli/translate_text.py"}


def test_what_pillow_minds_is_not_said(capsys):
    def minded():
        warnings.warn_explicit("tag", UserWarning, "x.py", 1, module="PIL.TiffImagePlugin")
        logging.getLogger("PIL.TiffImagePlugin").error("tag")
        warnings.warn_explicit("ours", UserWarning, "x.py", 1, module="ours")

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        with warnings_said():
            minded()
    assert [str(one.message) for one in said] == ["ours"] and capsys.readouterr().err == ""


def test_a_message_has_so_many_lines_and_a_line_so_many_characters(capsys):
    assert in_lines("\n".join("x" * 20)) == ["x", *["    x"] * 19]
    assert in_lines("\n".join("x" * 21)) == ["x", *["    x"] * 19, "    ... (1 more lines)"]
    assert in_lines("a\n\n \nb") == ["a", "    b"]
    say("x" * 4000, "y" * 4001)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "x" * 4000 and second.endswith("(4001 characters)")
    with warnings_said():
        long = warnings.formatwarning("x" * 9999, UserWarning, "a.py", 3)
    assert len(long) < 4100 and long.endswith("\n")


def test_boxes_and_signs_are_spelled_in_ascii(monkeypatch):
    bytes_out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(bytes_out, "ascii"))
    piped(lambda: tell("─━│┃╭╿ ±–…×•"))
    assert bytes_out.getvalue() == b"--||++ +--...x*\n"
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", "spelled")


def test_a_command_that_is_asked_to_end_names_the_rows_that_it_keeps(tmp_path, monkeypatch, capsys):
    def command():
        with rows_kept(tmp_path / "a.csv", ["n"]) as keep:
            keep({"n": 1})
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(10)

    monkeypatch.setattr(entry, "_parsed", lambda arguments: command)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as end:
            main(["anything"])
    finally:
        signal.signal(signal.SIGTERM, before)
    (kept,) = tmp_path.iterdir()
    assert end.value.code == 143 and f"1 rows that were ready are in {kept}" in (
        capsys.readouterr().err
    )
