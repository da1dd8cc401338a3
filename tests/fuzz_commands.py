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


def _fit(scheme: str) -> Command:
    return lambda path, good: [
        *("detect", "fit", f"{scheme}:{path}", f"{scheme}:{path}", "--features", "dct"),
        *("--out", str(path.parent / "out" / "fitted.npz")),
    ]


def _augment(path: Path, good: Path) -> list[str]:
    return [
        *("augment", str(path), "--n", "2", "--method", "smote"),
        *("--out", str(path.parent / "out" / f"more{path.suffix}")),
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
    "npz-source": _fit("npz"),
    "csv-list": _fit("list"),
    "idx": _fit("idx"),
    **dict.fromkeys(("csv-table", "npz-table", "mat"), _augment),
    "checkpoint": _sample,
}
# Whose good files have too few pictures for their command.
TOO_FEW = ("npz-source", "csv-list", "idx")


def ended(arguments: list[str]) -> tuple[object, str]:
    """How a command ended, a number where it should, and what it said."""
    from gan_forensics import cli

    said = io.StringIO()
    code: object = "by itself"
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            with fuzz_worker.time_limit(SECONDS):
                cli.main(arguments)
        except SystemExit as end:
            code = end.code or 0
        except fuzz_worker.TooSlow:
            code = f"after {SECONDS:g} seconds"
        except BaseException as error:
            code = f"by an uncaught {type(error).__name__}: {str(error)[:300]!r}"
    return code, said.getvalue()


def problem_of(code: object, text: str) -> str | None:
    """What is wrong with how a command ended and what it said; None where nothing is."""
    if code not in (0, 1, 2):
        return f"it ended {code}: {text[-300:]!r}"
    if "Traceback" in text or "object has no attribute" in text:
        return f"a traceback, or what belongs into one: {text[-600:]!r}"
    if len(text) > MOST_SAID:
        return f"{len(text)} characters said"
    if code and not text.strip():
        return f"it ended with {code} without a word"
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

        def write(kind: str, **record: object) -> None:
            file.write(json.dumps({"kind": kind, **record}) + "\n")
            file.flush()

        for kind in kinds:
            path = fuzz_worker.furnish(folder, kind)
            (path.parent / "out").mkdir()
            # What is started and compiled for a good file is not a damaged one's doing.
            path.write_bytes(fuzz_worker.seeds_of(kind)[0])
            code, said = ended(COMMANDS[kind](path, folder / "good"))
            well = code == 0 or kind in TOO_FEW
            write(kind, number=-1, problem=None if well else f"the good file: {code} {said[-500:]}")
            start, before = time.monotonic(), fuzz_worker.listing(folder / "home")
            for number in range(count):
                path.write_bytes(fuzz_worker.made(kind, number))
                arguments = COMMANDS[kind](path, folder / "good")
                watch.on, watch.where = True, ""
                problem = problem_of(*ended(arguments))
                watch.on = False
                if fuzz_worker.listing(folder / "home") != before:
                    problem = "the home folder changed"
                write(kind, number=number, problem=watch.where or problem)
            counts = {"commands": count, "seconds": round(time.monotonic() - start, 1)}
            write(kind, counts=counts)


if __name__ == "__main__":
    main()
