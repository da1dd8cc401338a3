"""The snippets of README's section on Python, in their order, in a folder with photographs."""

import re
from pathlib import Path

import numpy as np
import pytest

from gan_forensics.data import open_source, save_png, take
from gan_forensics.studies import by_name

TEXT = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
SECTION = TEXT[TEXT.index("## In Python\n") : TEXT.index("## Trust\n")]
SNIPPETS = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
# What makes the default test short: fewer steps of smaller networks.
SHORTER = {
    "steps=200": "steps=2",
    "steps=100": "steps=1",
    "{50: lambda": "{1: lambda",
    "GanConfig(size=32,": "GanConfig(size=16, width=2,",
    'as_images("photos", size=32)': 'as_images("photos", size=16)',
}


@pytest.fixture
def photographs(monkeypatch, tmp_path):
    """Folders of photographs where the snippets look for them."""
    monkeypatch.chdir(tmp_path)
    source = open_source("samples:photos", size=32)
    rows = np.linspace(0, len(source) - 1, 300).astype(int)
    for row, image in enumerate(take(source, rows)["image"]):
        save_png(Path("photos") / f"{row:03}.png", image)


def _run(snippets, size):
    names = {"__name__": "readme"}
    for place, snippet in enumerate(snippets):
        exec(compile(snippet, f"README.md, snippet {place}", "exec"), names)
        if not Path("suspects").exists():
            for row, image in enumerate(names["images"][:3]):
                save_png(Path("suspects") / f"{row}.png", image)
    assert names["generated"].shape == (256, size, size, 3)
    assert names["mine"].shape == (16, 16, 16, 3)
    assert int(names["state"].step) == (1 if size == 16 else 100)
    assert Path("d.npz").exists()
    return names


def test_every_snippet_of_the_section_runs(photographs, monkeypatch, capsys):
    text = "\0".join(SNIPPETS)
    for long, short in SHORTER.items():
        assert long in text
        text = text.replace(long, short)
    asked = []

    class Result:
        def table(self, name):
            asked.append(name)

    # The experiment is a test of its own.
    monkeypatch.setattr(by_name, "run", lambda *args, **options: asked.append(args) or Result())
    monkeypatch.setattr("gan_forensics.studies.run", by_name.run)
    _run(text.split("\0"), 16)
    assert asked == [("doping", "smoke"), "rows"]
    assert "discriminator/loss" in capsys.readouterr().out


@pytest.mark.slow
def test_every_snippet_of_the_section_runs_as_it_stands(photographs):
    names = _run(SNIPPETS, 32)
    assert names["run"]("doping", "smoke", out="runs/d").table("rows").shape[0] > 1
