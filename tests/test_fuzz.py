"""Files from outside, damaged in thousands of ways: nothing hangs, floods, runs or is overwritten.

What fails names a kind and a number: `python -m tests.fuzz_worker KIND NUMBER` replays that one.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import fuzz_commands, fuzz_worker

INPUTS, COMMANDS = 2000, 20
# Kinds that are read by one process after another; groups are of like cost.
GROUPS = {
    "pictures": ["png", "jpeg", "bmp", "gif", "tiff", "webp", "ppm", "jpeg2000", "avif", "heic"],
    "archives": ["npz-source", "npz-weights", "npz-table", "safetensors", "torch", "mat", "idx"],
    "packed": ["tar", "zip", "parquet"],
    "models": ["detector", "attributor", "bands", "vocabulary", "face-weights", "checkpoint"],
    "texts": ["csv-table", "csv-list", "csv-sources", "csv-landmarks", "csv-track", "wfm", "mo",
              "po", "sentences", "video"],
    "runs": ["config", "results", "data", "metrics", "manifest", "links", "benchmark"],
}  # fmt: skip
# What needs no compiler, and reads in a millisecond or two.
CHEAP = (
    *("png", "jpeg", "bmp", "gif", "tiff", "webp", "ppm", "jpeg2000", "avif", "heic", "idx"),
    "npz-source",
    *("npz-weights", "safetensors", "bands", "csv-list", "csv-sources", "wfm", "mo"),
    *("benchmark", "sentences"),
)


def test_every_kind_is_in_one_group():
    assert sorted(kind for kinds in GROUPS.values() for kind in kinds) == sorted(fuzz_worker.KINDS)


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_damaged_files_are_refused_in_a_line(group, tmp_path):
    counts, wrong = fuzz_worker.read_all(GROUPS[group], INPUTS, tmp_path)
    print(*(f"{kind}: {count}" for kind, count in counts.items()), sep="\n")
    assert not wrong, "\n".join([f"{len(wrong)} inputs went wrong", *wrong[:40]])
    for kind in GROUPS[group]:
        wanted = round(INPUTS * fuzz_worker.KINDS[kind].share)
        assert "skipped" in counts[kind] or counts[kind]["inputs"] == wanted


@pytest.mark.slow
def test_commands_end_with_a_line_on_damaged_files(tmp_path):
    report, files = tmp_path / "report.jsonl", tmp_path / "files"
    command = [sys.executable, "-m", "tests.fuzz_commands", str(files), str(report), str(COMMANDS)]
    with (tmp_path / "said.txt").open("w") as said:
        done = subprocess.run(
            [*command, *fuzz_commands.COMMANDS], stdout=said, stderr=said, timeout=600
        )
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    wrong = [row for row in rows if row.get("problem")]
    print(*(row for row in rows if "counts" in row), sep="\n")
    assert not wrong, "\n".join(map(str, wrong[:40]))
    assert done.returncode == 0, f"after {rows[-1:]}: {(tmp_path / 'said.txt').read_text()[-2000:]}"


@pytest.mark.parametrize("kind", CHEAP)
def test_some_damaged_files_of_a_kind_are_refused_in_a_line(kind, tmp_path, monkeypatch):
    path = fuzz_worker.furnish(tmp_path, kind)
    monkeypatch.chdir(tmp_path)
    for number in range(20):
        problem, _ = fuzz_worker.attempt(kind, path, fuzz_worker.made(kind, number))
        assert problem is None, f"{kind} {number}: {problem}"


@pytest.mark.parametrize(
    "error",
    [
        KeyError("a"),
        RecursionError("too deep"),
        json.JSONDecodeError("bad", "", 0),
        ValueError("input.npz: two\nlines"),
        ValueError("input.npz: \x1b[2J"),
        ValueError("input.npz: " + "a" * 5000),
        ValueError("no name"),
        ValueError(""),
        ValueError("input.npz: load it with weights_only=False"),
    ],
)
def test_what_is_no_line_of_words_is_found(error):
    assert fuzz_worker.problem_of(error, Path("in/input.npz")) is not None


def test_a_line_of_words_is_as_it_should_be():
    path = Path("in/input.npz")
    assert fuzz_worker.problem_of(ValueError(f"{path}: damaged"), path) is None
    assert fuzz_worker.problem_of(FileNotFoundError(2, "gone", str(path)), path) is None


_HARM = """
import os, sys, time
from pathlib import Path
from tests import fuzz_worker

HARMS = [
    lambda path: time.sleep(9),
    lambda path: bytearray(3 << 30),
    lambda path: bytearray(b"a") * (1 << 26),
    lambda path: open("../home/notes.txt").read(),
    lambda path: open("../other", "w"),
    lambda path: os.system("true"),
    lambda path: os.remove("../home/notes.txt"),
    lambda path: path.with_name("left").touch(),
]
fuzz_worker.SECONDS, fuzz_worker.FLOOD = 0.3, 1 << 25
folder = Path(sys.argv[1])
fuzz_worker.prepare(folder)
os.chdir(folder / "work")
fuzz_worker.limit_process()
for harm in HARMS:
    make = lambda draw, seeds: b"good"
    fuzz_worker.KINDS["harm"] = fuzz_worker.Kind(lambda: [b"good"], make, "input", harm)
    found = []
    fuzz_worker.batch(folder, "harm", range(1), lambda **row: found.append(row["problem"]))
    print(found[-1])
"""


def test_harm_is_found(tmp_path):
    command = [sys.executable, "-c", _HARM, str(tmp_path / "files")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found = done.stdout.splitlines()
    wanted = ("seconds", "memory", "memory", "opened", "wrote", "os.system", "os.remove", "left")
    assert len(found) == len(wanted)
    for words, said in zip(wanted, found, strict=True):
        assert words in said


def test_a_process_that_dies_is_followed_by_another(tmp_path, monkeypatch):
    script = tmp_path / "dies.py"
    script.write_text(
        "import json, os, sys\n"
        "kind, _, first = sys.argv[-1].partition(':')\n"
        "with open(sys.argv[sys.argv.index('--report') + 1], 'a') as report:\n"
        "    for number in range(int(first or 0), 5):\n"
        "        row = {'kind': kind, 'number': number, 'problem': None}\n"
        "        report.write(json.dumps(row) + '\\n')\n"
        "        report.flush()\n"
        "        if number == 2:\n"
        "            os.abort()\n"
        "    report.write(json.dumps({'kind': kind, 'counts': {'inputs': 2}}))\n"
    )
    monkeypatch.setattr(fuzz_worker, "COMMAND", [sys.executable, str(script)])
    counts, wrong = fuzz_worker.read_all(["png"], 5, tmp_path)
    assert counts == {"png": {"inputs": 2}}
    assert wrong == ["png 2: the process ended with -6"]


def test_inputs_are_the_same_again():
    first = [fuzz_worker.made("npz-source", number) for number in range(9)]
    assert first == [fuzz_worker.made("npz-source", number) for number in range(9)]
    assert len(set(first)) == 9
