"""Commands on damaged files, one after another in a process of their own.

    python -m tests.fuzz_commands FOLDER REPORT COUNT KIND...

Each ends with 0, 1 or 2, within the time limit, and says why in printable lines without a
traceback. Nothing is written but below FOLDER/in, and the home folder is not opened.
"""

import contextlib
import io
import json
import os
import shutil
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from tests import fuzz_worker
from tests.fuzz_images import SEEDS

SECONDS, MOST_SAID = 60.0, 200_000
# Beyond what there is after importing: what compiles needs more than what reads.
MEMORY = 4 << 30
Command = Callable[[Path, Path], list[str]]


def _score(path: Path, good: Path) -> list[str]:
    return [
        *("detect", "score", str(path), "--detector", str(good / "detector.npz")),
        *("--out", str(path.parent / "out" / "scores.csv")),
    ]


def _spectrum(scheme: str) -> Command:
    return lambda path, good: [
        *("spectrum", f"{scheme}:{path}", "--out", str(path.parent / "out")),
    ]


def _anomaly(path: Path, good: Path) -> list[str]:
    return [
        *("anomaly", str(path), "--label", "label", "--steps", "1", "--seeds", "1"),
        *("--out", str(path.parent / "out")),
    ]


def _sample(path: Path, good: Path) -> list[str]:
    run = path.with_name("run")
    shutil.rmtree(run, ignore_errors=True)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(run)
    return ["sample", str(run), "-n", "1", "--out", str(path.parent / "out")]


# What is done with a file of a kind: the command for its path and for the folder of good files.
COMMANDS: dict[str, Command] = {
    **dict.fromkeys(SEEDS, _score),
    "detector": lambda path, good: [
        *("detect", "score", str(good / "picture.png"), "--detector", str(path)),
        *("--out", str(path.parent / "out" / "scores.csv")),
    ],
    "attributor": lambda path, good: [
        *("attribute", "score", str(good / "picture.png"), "--model", str(path)),
        *("--out", str(path.parent / "out" / "sources.csv")),
    ],
    "npz-source": _spectrum("npz"),
    "csv-list": _spectrum("list"),
    "idx": _spectrum("idx"),
    **dict.fromkeys(("csv-table", "npz-table", "mat"), _anomaly),
    "checkpoint": _sample,
}


def problem_of(arguments: list[str]) -> str | None:
    """What is wrong with what a command said, or how it ended; None where nothing is."""
    from gan_forensics import cli

    said = io.StringIO()
    code: object = None
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            with fuzz_worker.time_limit(SECONDS):
                cli.main(arguments)
        except SystemExit as end:
            code = end.code or 0
        except fuzz_worker.TooSlow:
            return f"more than {SECONDS:g} seconds"
        except BaseException as error:
            return f"an uncaught {type(error).__name__}: {str(error)[:300]!r}"
    text = said.getvalue()
    if code not in (0, 1, 2):
        return f"ended with {code!r}: {text[-300:]!r}"
    if "Traceback" in text:
        return f"a traceback: {text[-600:]!r}"
    if len(text) > MOST_SAID:
        return f"{len(text)} characters said"
    lines = text.replace("\r", "\n").splitlines()  # bars go back to the start of their line
    odd = next((line for line in lines if not line.isprintable()), None)
    return None if odd is None else f"what is not printable: {odd[:300]!r}"


def main() -> None:
    """See the module's docstring."""
    folder, report, count, kinds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:]
    fuzz_worker.prepare(folder)
    (folder / "good").mkdir()
    (folder / "good" / "picture.png").write_bytes(fuzz_worker.seeds_of("png")[0])
    # It takes pictures of any size.
    (folder / "good" / "detector.npz").write_bytes(fuzz_worker.seeds_of("detector")[1])
    for kind in kinds:
        fuzz_worker.warm_up(kind)
    os.chdir(folder / "work")
    watch = fuzz_worker.Watch(folder)
    with open(report, "a", encoding="utf-8") as file:
        fuzz_worker.limit_process(MEMORY)
        for kind in kinds:
            path = fuzz_worker.furnish(folder, kind)
            (path.parent / "out").mkdir()
            # What is started and compiled for a good file is not a damaged one's doing.
            path.write_bytes(fuzz_worker.seeds_of(kind)[0])
            problem_of(COMMANDS[kind](path, folder / "good"))
            start, before = time.monotonic(), fuzz_worker.listing(folder / "home")
            for number in range(count):
                path.write_bytes(fuzz_worker.made(kind, number))
                arguments = COMMANDS[kind](path, folder / "good")
                watch.on, watch.where = True, ""
                problem = problem_of(arguments)
                watch.on = False
                if fuzz_worker.listing(folder / "home") != before:
                    problem = "the home folder changed"
                row = {"kind": kind, "number": number, "problem": watch.where or problem}
                file.write(json.dumps(row) + "\n")
                file.flush()
            counts = {"commands": count, "seconds": round(time.monotonic() - start, 1)}
            file.write(json.dumps({"kind": kind, "counts": counts}) + "\n")
            file.flush()


if __name__ == "__main__":
    main()
