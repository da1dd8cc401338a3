"""What processes tell each other, with two threads for processes and a dict for the coordinator."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import util

import jax
import pytest
from jax._src.distributed import global_state
from jax.experimental import multihost_utils

from gan_forensics.runtime import distributed, presence
from gan_forensics.runtime.board import Board
from gan_forensics.runtime.presence import Presence
from gan_forensics.train import RunFolderError, run_folder


class Coordinator:
    """The part of JAX's client that the board uses."""

    def __init__(self):
        self.notes, self.changed = {}, threading.Condition()

    def key_value_set(self, key, value, allow_overwrite=False):
        with self.changed:
            if key in self.notes and not allow_overwrite:
                raise jax.errors.JaxRuntimeError(f"ALREADY_EXISTS: {key}")
            self.notes[key] = value
            self.changed.notify_all()

    def key_value_try_get(self, key):
        with self.changed:
            if key not in self.notes:
                raise jax.errors.JaxRuntimeError(f"NOT_FOUND: {key}")
            return self.notes[key]

    def blocking_key_value_get(self, key, milliseconds):
        with self.changed:
            if not self.changed.wait_for(lambda: key in self.notes, milliseconds / 1000):
                raise jax.errors.JaxRuntimeError(f"DEADLINE_EXCEEDED: {key}")
            return self.notes[key]

    def key_value_dir_get(self, prefix):
        with self.changed:
            return [(key, value) for key, value in self.notes.items() if key.startswith(prefix)]


class Pair:
    """Two processes: each has a copy of the module, with its presence and its turns."""

    def __init__(self, ended):
        self.coordinator, self.here = Coordinator(), threading.local()
        self.ended = ended  # the codes of those that ended at once
        self.modules = [self._module(index) for index in (0, 1)]

    def _module(self, index):
        spec = util.find_spec(distributed.__name__)
        assert spec and spec.loader
        module = util.module_from_spec(spec)
        spec.loader.exec_module(module)
        with ThreadPoolExecutor(1) as thread:  # not the main one, whose signals stay as they are
            module._presence = thread.submit(Presence).result()
        module._presence.board = Board(self.coordinator, index, 2)
        return module

    def both(self, process):
        """What `process(module)` returns, or raises, in each of the two."""

        def run(index):
            self.here.index, self.here.module = index, self.modules[index]
            try:
                return process(self.modules[index])
            except Exception as error:
                return error

        with ThreadPoolExecutor(2) as threads:
            return list(threads.map(run, (0, 1)))

    def first(self, module):
        return module is self.modules[0]


@pytest.fixture
def pair(monkeypatch):
    for name, seconds in {"BEAT": 0.02, "GRACE": 0.1, "SEEN_OFF": 0.1}.items():
        monkeypatch.setattr(presence, name, seconds)
    ended = []
    # Before modules are made, which take it from there: it would end the tests themselves.
    monkeypatch.setattr(presence, "end_now", ended.append)
    found = Pair(ended)
    presences = [module._presence for module in found.modules]
    yield found
    for one in presences:
        one.stop()


def test_what_process_0_makes_all_have_in_their_order(pair):
    made = []

    def process(module):
        return [
            module.from_first(lambda n=n: made.append(n) or {"n": n}, "counting") for n in range(3)
        ]

    assert pair.both(process) == [[{"n": 0}, {"n": 1}, {"n": 2}]] * 2
    assert made == [0, 1, 2]


def test_what_process_0_fails_at_all_are_told(pair):
    def full():
        raise OSError("the disk is full")

    here, there = pair.both(lambda module: module.from_first(full, "saving"))
    assert type(here) is OSError
    assert type(there).__name__ == "OtherProcessError"
    assert str(there) == "process 0: the disk is full"


def test_what_each_has_is_gathered_by_its_number(pair):
    def process(module):
        return [
            module.gathered(f"{word} of {0 if pair.first(module) else 1}", "comparing")
            for word in ("a", "b")
        ]

    assert pair.both(process) == [[["a of 0", "a of 1"], ["b of 0", "b of 1"]]] * 2


def test_who_does_not_come_is_named(pair):
    def process(module):
        return pair.first(module) and module.gathered(0, "comparing", limit=0.05)

    here, _ = pair.both(process)
    assert type(here).__name__ == "OtherProcessError"
    assert "comparing: process 1" in str(here) and "did not come within 0 s" in str(here)


def test_all_meet_before_the_first_step_and_once_more_when_signals_are_notices(pair, monkeypatch):
    monkeypatch.setattr(jax.config, "update", lambda *_: None)
    happened = []

    def manager():
        happened.append("asked by JAX")

    monkeypatch.setattr(global_state, "initialize_preemption_sync_manager", manager)

    def process(module):
        if not pair.first(module):
            time.sleep(0.2)
            happened.append("compiled")
        module.before_first_step()
        happened.append("stepping")
        assert module._presence.stepping
        module.before_first_step()  # of another shape

    assert pair.both(process) == [None, None]
    assert happened == ["compiled", "asked by JAX", "asked by JAX", "stepping", "stepping"]


def test_all_are_asked_to_stop_after_the_step_that_jax_agreed_on(pair, monkeypatch):
    monkeypatch.setattr(multihost_utils, "reached_preemption_sync_point", lambda step: step == 7)
    asked = pair.both(lambda module: [module.asked_to_stop(step) for step in (6, 7, 8)])
    assert asked == [[False, True, False]] * 2
    assert not distributed.asked_to_stop(7), "of one process"


def test_who_leaves_with_all_waits_for_them(pair, monkeypatch):
    left = []
    monkeypatch.setattr(jax.distributed, "shutdown", lambda: left.append("left"))

    def process(module):
        if not pair.first(module):
            time.sleep(0.2)
            left.append("done")
        module.leave(0, agreed=True)

    assert pair.both(process) == [None, None]
    assert left == ["done", "left", "left"] and not pair.ended


def test_who_fails_alone_leaves_word_and_the_other_ends(pair, monkeypatch):
    def process(module):
        monkeypatch.setattr(module, "end_now", lambda code: pair.ended.append(f"itself {code}"))
        if not pair.first(module):
            module._presence.word(2, "no such file")
            module.leave(1, "and what follows from it", agreed=False)
        else:
            module._presence._thread.join(5)

    pair.both(process)
    assert sorted(map(str, pair.ended)) == ["1", "itself 1"]
    assert pair.modules[0]._presence.board.now("word")["why"] == "no such file"


@pytest.mark.parametrize("dead", [0, 1])
def test_who_gives_no_sign_of_life_is_missed_and_who_works_is_not(dead, pair, monkeypatch, capsys):
    monkeypatch.setattr(presence, "MISSING", 0.5)
    time.sleep(0.6)
    assert not pair.ended
    pair.modules[dead]._presence.stop()
    pair.modules[1 - dead]._presence._thread.join(5)
    assert pair.ended == [1]
    assert f"process {dead}" in (said := capsys.readouterr().err)
    assert "has given no sign of life" in said


@pytest.fixture
def holding(pair, monkeypatch):
    """Hold a run folder in both processes."""
    for name in ("from_first", "gathered"):
        monkeypatch.setattr(
            run_folder, name, lambda *a, name=name: getattr(pair.here.module, name)(*a)
        )
    monkeypatch.setattr(run_folder, "is_first", lambda: pair.here.index == 0)
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    monkeypatch.setattr(run_folder, "_SHOWN_AFTER", 0.1)

    def hold(runs, configs):
        def process(module):
            index = pair.here.index
            with run_folder.holding(runs[index], configs[index], {}, resume=False):
                return sorted(path.name for path in runs[index].iterdir())

        return pair.both(process)

    return hold


def test_a_folder_that_all_share_is_held_by_process_0(holding, tmp_path):
    run = tmp_path / "run"
    assert holding([run, run], [{"rate": 1}] * 2) == [[".lock", "config.json"]] * 2


def test_a_folder_for_each_process_is_refused(holding, tmp_path):
    found = holding([tmp_path / "here", tmp_path / "there"], [{}, {}])
    for error in found:
        assert isinstance(error, RunFolderError)
        assert "is not shared: what it wrote there cannot be read by process 1" in str(error)
    assert not (tmp_path / "here" / "config.json").exists()


def test_who_was_started_otherwise_is_named_by_both(pair, holding):
    def process(module):
        run_folder.check_alike({"toy": {"rate": 1}, "steps": 3})
        run_folder.check_alike({"toy": {"rate": 1}, "steps": 3 + pair.here.index})

    for error, said in zip(pair.both(process), ("1 was", "0 was"), strict=True):
        assert isinstance(error, RunFolderError)
        assert f"process {said} started otherwise than this one" in str(error)
        assert "steps: " in str(error) and "rate" not in str(error)
