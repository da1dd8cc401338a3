"""The run folder: one writer, one config.

config.json     what was asked for
metrics.jsonl   what was measured
checkpoints/    where to go on from
samples/        what it looked like
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gan_forensics.files import check_folder_out, no_link, write_json


class RunFolderError(ValueError):
    """A run folder that is in use, taken, missing, or belongs to another config."""


@contextmanager
def writing(run: Path) -> Iterator[None]:
    """Hold a run folder for writing; made when missing.

    The lock belongs to the process and vanishes with it, however it dies.

    Raises:
        RunFolderError: when another process writes there.
        ValueError: when it cannot be made, or not be written to, or its lock or samples are a
            link.
    """
    check_folder_out(run, "run folder")
    run.mkdir(parents=True, exist_ok=True)
    if (run / "samples").is_symlink():
        raise ValueError(f"{run / 'samples'}: it is a link, and nothing is written through one")
    with open(run / ".lock", "a+", encoding="utf-8", opener=no_link) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise RunFolderError(
                f"another process ({lock.read().strip() or 'unknown'}) is writing to {run}: "
                "wait for it, stop it, or choose another folder"
            ) from None
        lock.truncate(0)
        lock.write(f"pid {os.getpid()}")
        lock.flush()
        yield


def read_config(run: Path, kind: str | None = None) -> dict[str, Any]:
    """The config of a run: all that was saved, or that of a learner of a kind.

    Raises:
        RunFolderError: when the folder holds no run, or one of another kind, or its config is
            unreadable.
    """
    path = run / "config.json"
    if not path.exists():
        raise RunFolderError(f"{run} is not a run folder: it holds no config.json")
    try:
        saved = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise RunFolderError(f"{path} is not readable as JSON ({error})") from error
    if kind is None:
        return saved
    if not isinstance(saved, dict) or not isinstance(saved.get(kind), dict):
        other = next(iter(saved), "nothing") if isinstance(saved, dict) else "nothing"
        raise RunFolderError(f"{run} is a run folder of kind {other}, not {kind}")
    return saved[kind]


def claim(run: Path, config: dict[str, Any], *, resume: bool) -> None:
    """Check or write the config of a run folder.

    Raises:
        RunFolderError: when the folder holds a run and `resume` is false, or when the config
            differs from the one that the run was started with (the message lists how).
    """
    path = run / "config.json"
    config = json.loads(json.dumps(config))
    if path.exists():
        old = read_config(run)
        if not resume:
            raise RunFolderError(f"{run} holds a run already: resume it or choose another folder")
        if changes := differences(old, config):
            listed = "".join(f"\n  {line}" for line in changes)
            raise RunFolderError(
                f"cannot resume {run} with a changed config; differences (run -> now):{listed}"
            )
        return
    if (run / "checkpoints").exists():
        raise RunFolderError(f"{run} holds checkpoints but no config.json: choose another folder")
    write_json(path, config)


def differences(old: Any, new: Any, at: str = "") -> list[str]:
    """The places where two JSON values differ, as lines `a.b: 1 -> 2`."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for name in sorted(old.keys() | new.keys())
            for line in differences(old.get(name), new.get(name), f"{at}.{name}" if at else name)
        ]
    return [] if old == new else [f"{at}: {old!r} -> {new!r}"]
