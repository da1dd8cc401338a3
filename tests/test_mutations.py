"""The lists of `tests/mutations.py` have not rotted: what they change is there, once."""

import subprocess

import pytest

from tests import mutations
from tests.mutations import Mutation


@pytest.mark.parametrize("area", mutations.areas())
def test_every_text_that_is_changed_occurs_exactly_once(area):
    listed = mutations.mutations(area)
    assert listed and len(set(listed)) == len(listed)
    for mutation in listed:
        mutations.changed(mutation, mutations.ROOT)
        for name in mutation.tests.split():
            if name.startswith("tests/"):
                assert (mutations.ROOT / name.partition("::")[0]).is_file(), name


def test_a_text_that_is_not_there_or_twice_is_refused(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\ny = 1\n")
    assert mutations.changed(Mutation("a.py", "x = 1", "x = 2", ""), tmp_path) == "x = 2\ny = 1\n"
    for old, new in (("z", "2"), ("= 1", "= 2"), ("x", "x")):
        with pytest.raises(ValueError, match="a.py has"):
            mutations.changed(Mutation("a.py", old, new, ""), tmp_path)


def test_a_change_that_tests_notice_is_killed_and_taken_back(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_text("x = 1\n")
    for code, said in ((0, "SURVIVED"), (1, "killed"), (2, "BROKEN (exit 2)")):
        seen = []

        def run(command, *, cwd, code=code, seen=seen, **_):
            seen.append((command[-2:], (cwd / "a.py").read_text()))
            return subprocess.CompletedProcess(command, code)

        monkeypatch.setattr(mutations.subprocess, "run", run)
        assert mutations.outcome(Mutation("a.py", "1", "2", "b.py c.py"), tmp_path) == said
        assert seen == [(["b.py", "c.py"], "x = 2\n")]
        assert (tmp_path / "a.py").read_text() == "x = 1\n"
