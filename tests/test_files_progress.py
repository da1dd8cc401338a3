import io
import sys
import types

import pytest

from gan_forensics.files import progress, say
from gan_forensics.files.progress import Lines, progress_bar


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes as it is told, in seconds; progress is shown."""
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    now = types.SimpleNamespace(seconds=100.0, monotonic=lambda: now.seconds)
    monkeypatch.setattr(progress, "time", now)
    return now


def _steps(bar, clock, count, seconds):
    for _ in range(count):
        clock.seconds += seconds
        bar.update()


def test_lines_come_at_growing_intervals_with_rate_and_what_is_left(clock, capsys):
    with progress_bar(total=400, unit="step", desc="run") as bar:
        clock.seconds += 0.5  # compiling
        _steps(bar, clock, 400, 0.5)
    said = capsys.readouterr().err.splitlines()
    assert [int(line.split()[1]) for line in said] == [3, 9, 19, 39, 119, 239, 359, 400]
    assert said[1] == "run: 9 of 400 steps (2%), 2 steps/s, 3 min 16 s left"
    assert said[-1] == "run: 400 of 400 steps (100%), 2 steps/s, took 3 min 20 s"


def test_short_work_says_its_numbers_at_the_end_and_nothing_else(clock, capsys):
    with progress_bar(total=3, initial=1, unit="step") as bar:
        _steps(bar, clock, 2, 0.1)
    assert capsys.readouterr().err == ""
    with progress_bar(total=3, initial=1, unit="step") as bar:
        bar.set_postfix({"generator": "1.25"}, refresh=False)
        _steps(bar, clock, 2, 0.1)
        bar.set_postfix({"generator": "0.5", "discriminator": "0.7"})
    assert capsys.readouterr().err == (
        "3 of 3 steps (100%), 10 steps/s, took 0.2 s; generator 0.5, discriminator 0.7\n"
    )


def test_a_line_shows_the_numbers_of_its_time(clock, capsys):
    with progress_bar(total=3, unit="step") as bar:
        bar.set_postfix({"loss": "3"}, refresh=False)
        _steps(bar, clock, 2, 1.5)
        bar.set_postfix({"loss": "2"}, refresh=False)
        _steps(bar, clock, 1, 1.5)
    said = capsys.readouterr().err.splitlines()
    assert [line.split("; ")[1] for line in said] == ["loss 3", "loss 2"]


def test_things_of_unknown_number_are_counted(clock, capsys):
    for _ in progress_bar(iter("ab"), unit="frame"):
        clock.seconds += 3
    first, second = capsys.readouterr().err.splitlines()
    assert (first, second) == ("1 frame", "2 frames, 0.333 frames/s")


def test_what_fails_ends_without_a_line(clock, capsys):
    with pytest.raises(ZeroDivisionError), progress_bar(total=3, unit="step") as bar:
        bar.set_postfix({"loss": "3"})
        raise ZeroDivisionError
    assert capsys.readouterr().err == ""


def test_without_standard_error_nothing_is_shown(clock, monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    with progress_bar(total=3, unit="step") as bar:
        bar.set_postfix({"loss": "3"})
        _steps(bar, clock, 3, 30)
    say("nothing")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("off", [{"on": False}, {}])
def test_progress_can_be_turned_off(off, clock, monkeypatch, capsys):
    if not off:
        monkeypatch.setenv("TQDM_DISABLE", "1")
    bar = progress_bar([1, 2], unit="step", **off)
    for _ in bar:
        clock.seconds += 30
        bar.set_postfix({"loss": "3"})
    assert not isinstance(bar, Lines) and capsys.readouterr().err == ""


@pytest.mark.parametrize(("term", "lines"), [("xterm", False), ("dumb", True)])
def test_terminals_that_go_back_in_a_line_have_bars(term, lines, clock, monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True  # pyright: ignore
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", term)
    with progress_bar(total=2, unit="step", desc="run") as bar:
        bar.update(2)
    assert isinstance(bar, Lines) is lines
    assert ("run: 100%" in terminal.getvalue()) is not lines


@pytest.mark.parametrize("config", [{"IPKernelApp": {}}, {}])
@pytest.mark.parametrize("widgets", [True, False])
def test_notebooks_with_widgets_have_bars_of_their_own(config, widgets, clock, monkeypatch):
    shell = types.SimpleNamespace(config=config)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    monkeypatch.setattr(progress.importlib.util, "find_spec", lambda name: widgets or None)
    notebook = types.SimpleNamespace(tqdm=lambda *_, **__: "widget")
    monkeypatch.setitem(sys.modules, "tqdm.notebook", notebook)
    found = progress_bar([1], unit="step")
    assert (found == "widget") is (bool(config) and widgets)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.41, "0.4 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 0 s"), (7500, "2 h 05 min")],
)
def test_times_are_in_words(seconds, said):
    assert progress._in_words(seconds) == said
