"""What experiments share: parts done once, folders of one recipe, how a command ends."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from gan_forensics.data import load_image
from gan_forensics.studies.runner import (
    carry_out,
    claim_recipe,
    stored_part,
    write_samples,
)
from gan_forensics.train import InterruptedRunError, RunFolderError


def test_a_part_is_made_once_for_the_same_question(tmp_path):
    calls = []

    def job():
        calls.append(1)
        return {"value": (len(calls),)}

    path = tmp_path / "parts" / "x.json"
    first = stored_part(path, {"a": (1, 2), "out": tmp_path}, job)
    assert first == stored_part(path, {"a": [1, 2], "out": str(tmp_path)}, job)
    assert first[0] == {"value": [1]} and first[1] >= 0
    assert stored_part(path, {"a": [3]}, job)[0] == {"value": [2]}


def test_a_part_of_before_without_its_seconds_is_found(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"asked": {"a": 1}, "result": [7]}))
    assert stored_part(path, {"a": 1}, lambda: pytest.fail("done again")) == ([7], 0)


def test_a_folder_keeps_one_recipe(tmp_path):
    note = tmp_path / "out" / "study.json"
    claim_recipe(note, {"steps": 2, "rates": (1, 2)})
    claim_recipe(note, {"steps": 2, "rates": [1, 2]})
    with pytest.raises(RunFolderError, match=r"steps: 2 -> 3\nchoose another folder"):
        claim_recipe(note, {"steps": 3, "rates": [1, 2]})


def test_what_was_found_is_said_with_its_page(tmp_path, capsys):
    experiment = SimpleNamespace(out=tmp_path)
    carry_out(experiment, lambda asked: {"finding": f"all is {asked is experiment}"})
    assert capsys.readouterr().out == f"\nall is True\n\nOpen {tmp_path / 'report.html'}\n"
    carry_out(experiment, lambda asked: {"a": 1}, say=lambda results: f"a {results['a']}")
    assert capsys.readouterr().out == f"a 1\nOpen {tmp_path / 'report.html'}\n"


def test_a_stopped_run_ends_the_command_with_its_signal(tmp_path, capsys):
    def run(experiment):
        raise InterruptedRunError("stopped", 15, None)

    with pytest.raises(SystemExit) as exit:
        carry_out(SimpleNamespace(out=tmp_path), run)
    assert exit.value.code == 143
    assert capsys.readouterr().err == "stopped (the same command again)\n"


def test_samples_are_grids_by_name(tmp_path):
    images = np.full((6, 4, 4, 3), 7, np.uint8)
    write_samples(tmp_path / "samples", {"a": images, "b": images[:2]}, columns=3)
    a, b = (load_image(tmp_path / "samples" / f"{name}.png") for name in "ab")
    assert a.shape[0] > b.shape[0] and a.shape[1] > b.shape[1]
