"""What experiments have in common: a command line, stored parts, one recipe a folder, samples."""

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from jaxtyping import UInt8

from gan_forensics.data import image_grid, save_png
from gan_forensics.files import (
    check_folder_out,
    read_json,
    refuse_links,
    shown,
    terminal,
    write_json,
)
from gan_forensics.runtime import keep_compiled, keep_scratch_memory, say_what_compiles
from gan_forensics.train import InterruptedRunError, RunFolderError
from gan_forensics.train.run_folder import differences, in_lines


def chosen(
    presets: Mapping[str, tuple[str, Any]],
    name: str,
    question: str,
    arguments: Sequence[str] | None,
    *,
    omit_prefixes: bool = False,
) -> Any:
    """What a command line asks of the script `name`: a preset, with whatever it changes in it.

    Args:
        presets: name -> (help, experiment), which is a frozen dataclass.
        name: of the module in `experiments`.
        question: what it answers, for `--help`.
        arguments: the command line; None for that of the process.
        omit_prefixes: let `--steps` mean `--study.steps`.
    """
    return tyro.extras.overridable_config_cli(
        dict(presets),
        prog=command(name),
        description=question,
        args=arguments,
        config=(tyro.conf.OmitArgPrefixes,) if omit_prefixes else (),
    )


def command(name: str) -> str:
    """What a script was started with: in a clone `python -m experiments.NAME`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    started = getattr(spec, "name", "")
    module = f"experiments.{name}"
    return f"python -m {started if started.endswith(f'.{module}') else module}"


def carry_out(
    experiment: Any,
    run: Callable[[Any], Mapping[str, Any]],
    *,
    say: Callable[[Mapping[str, Any]], str] = lambda results: f"\n{results['finding']}\n",
) -> None:
    """Run an experiment for the command line, and say what came out and where it lies.

    A run that a signal stopped ends the process with 128 + its number.

    Args:
        experiment: with `out`, the folder that gets report.html.
        run: experiment -> results.
        say: results -> what is printed of them.
    """
    try:
        prepare(experiment.out)
    except ValueError as error:
        terminal.say(error)
        sys.exit(2)
    try:
        results = run(experiment)
    except InterruptedRunError as error:
        terminal.say(f"{error} (the same command again)")
        sys.exit(128 + error.signal)
    terminal.tell(*say(results).split("\n"), f"Open {experiment.out / 'report.html'}")


def prepare(out: Path, option: str = "--out") -> None:
    """What comes before an experiment: its folder is looked at, what compiles is said and kept.

    Args:
        out: the folder.
        option: how it was given.

    Raises:
        ValueError: for a folder that cannot be made or written to.
    """
    check_folder_out(out, option)
    keep_scratch_memory()
    keep_compiled()
    say_what_compiles()


def as_json(values: Any) -> Any:
    """Values as they come back from a file: tuples are lists, paths are text."""
    return json.loads(json.dumps(values, default=str))


def stored_part(path: Path, asked: Mapping[str, Any], job: Callable[[], Any]) -> tuple[Any, float]:
    """The result of a job and its seconds, from its file where the same was asked for before.

    Args:
        path: of the file.
        asked: all that the result depends on.
        job: returns the result, JSON-able.

    Returns:
        The result as JSON knows it, and how long the job took (0 in older files without it).
    """
    asked = as_json(asked)
    if not path.exists() or read_part(path)["asked"] != asked:
        start = time.perf_counter()
        result = job()
        seconds = time.perf_counter() - start
        write_json(path, {"asked": asked, "result": result, "seconds": seconds})
    stored = read_part(path)
    return stored["result"], stored.get("seconds", 0.0)


def read_part(path: Path) -> dict[str, Any]:
    """What `stored_part` left in a file; raises ValueError for anything else."""
    stored = read_json(path)
    if not isinstance(stored, dict) or not {"asked", "result"} <= stored.keys():
        raise ValueError(f"{shown(path)}: it is no part of an experiment: remove it")
    return stored


def in_processes(
    job: Callable[..., Any], jobs: Sequence[tuple[Any, ...]], count: int | None = None
) -> list[Any]:
    """What a function returns for each tuple of arguments, several at once.

    Args:
        job: of a module, so that other processes find it.
        jobs: its arguments.
        count: processes, by default as many as cores; 1 stays in this one.
    """
    count = min(count or len(os.sched_getaffinity(0)), len(jobs))
    if count <= 1:
        return [job(*arguments) for arguments in jobs]
    # Started afresh: JAX's threads do not survive a fork.
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as pool:
        return [future.result() for future in [pool.submit(job, *each) for each in jobs]]


def process_copy(run: Path, name: str) -> Path:
    """A finished run folder for this process: itself, or in one of `in_processes` a copy.

    A run folder is one process's at a time. Where it does not exist, neither does the copy.

    Args:
        run: the run folder.
        name: what tells the copy from those of other processes.
    """
    if parent_process() is None:
        return run
    own = run.with_name(f"{run.name} for {name}")
    if run.exists() and not own.exists():
        refuse_links(run)
        shutil.copytree(run, own)
    return own


def claim_recipe(path: Path, recipe: Mapping[str, Any]) -> None:
    """Refuse a folder whose GANs were trained otherwise; note how they are in a new one.

    Args:
        path: of the note, in the folder.
        recipe: what the GANs' own configs do not hold.

    Raises:
        RunFolderError: with the differences.
    """
    if not path.exists():
        write_json(path, as_json(recipe))
    elif changes := differences(read_json(path), as_json(recipe)):
        raise RunFolderError(
            f"the GANs in {path.parent} were trained otherwise (there -> now):{in_lines(changes)}\n"
            "choose another folder, or the settings of this one"
        )


def write_samples(
    folder: Path, images: Mapping[str, UInt8[np.ndarray, "n h w c"]], *, columns: int
) -> None:
    """Write a grid of the images of each name, `folder/NAME.png`."""
    for name, some in images.items():
        save_png(folder / f"{name}.png", image_grid(some, columns))
