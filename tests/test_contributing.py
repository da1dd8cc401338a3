"""The examples of CONTRIBUTING.md, each as it stands and in a folder of its own."""

import re
from pathlib import Path

import pytest

from gan_forensics.data.names import NAMED
from gan_forensics.forensics import FEATURES
from gan_forensics.gans import METHODS

TEXT = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"### (an? \w+)\n[^#]*?```python\n(.*?)```", TEXT, re.DOTALL))


@pytest.fixture(autouse=True)
def apart(monkeypatch, tmp_path):
    """What examples write lies elsewhere, and what they register is forgotten."""
    monkeypatch.chdir(tmp_path)
    tables = [(table, dict(table)) for table in (NAMED, FEATURES, METHODS)]
    yield
    for table, before in tables:
        table.clear()
        table.update(before)


def test_there_is_an_example_of_everything():
    assert list(EXAMPLES) == ["a task", "a method", "a learner", "a source", "a detector"]


@pytest.mark.parametrize("what", EXAMPLES)
def test_the_example_runs(what, capsys):
    lines = [line for line in EXAMPLES[what].splitlines() if line.strip()]
    assert len(lines) <= 15
    exec(compile(EXAMPLES[what], f"CONTRIBUTING.md, {what}", "exec"), {"__name__": "example"})
