"""The run folder: one writer, one config.

config.json       what was asked for
fingerprint.json  on which data
metrics.jsonl     what was measured
checkpoints/      where to go on from
samples/          what it looked like

One that others made may hold anything: links in it are refused, for reading and for writing, and
what it says is a claim.
"""

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax

from gan_forensics.files import (
    check_folder_out,
    listed,
    names_it,
    no_link,
    read_json,
    refuse_links,
    say,
    shown,
    write_json,
)
from gan_forensics.runtime import from_first, gathered, is_first
from gan_forensics.train.checkpoint import Checkpoints

FINGERPRINT = "fingerprint.json"
# Read by all processes, to see that their folder is one; and the seconds till all must see it.
_TOKEN, _SHOWN_AFTER = ".shared.json", 15.0
# Under these names configs say where the data lie.
_PLACES = ("data", "real", "fake")


class RunFolderError(ValueError):
    """A run folder that is in use, taken, missing, damaged, or belongs to another config."""


@contextmanager
def writing(run: Path) -> Iterator[None]:
    """Hold a run folder for writing; made when missing.

    The lock belongs to the process and vanishes with it, however it dies.

    Raises:
        RunFolderError: when another process writes there.
        ValueError: when it cannot be made, or not be written to, or holds links, pipes or devices.
    """
    check_folder_out(run, "run folder")
    run.mkdir(parents=True, exist_ok=True)
    refuse_links(run)
    with open(run / ".lock", "a+", encoding="utf-8", opener=no_link) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise RunFolderError(
                f"another process ({shown(lock.read(100).strip() or 'unknown')}) is writing to "
                f"{shown(run)}: "
                "wait for it, stop it, or choose another folder"
            ) from None
        with names_it(run / ".lock"):
            lock.truncate(0)
            os.write(lock.fileno(), f"pid {os.getpid()}".encode())  # nothing is left to be flushed
        yield


@contextmanager
def holding(
    run: Path, config: dict[str, Any], data: Mapping[str, Any], *, resume: bool
) -> Iterator[None]:
    """Hold a run folder, claimed for a config and data: process 0 does, and the others see it.

    Arguments are those of `claim`.

    Raises:
        RunFolderError: as `writing` and `claim`, and where the folder is not the same to all.
        OtherProcessError: in the others, for what process 0 finds.
    """
    with ExitStack() as stack:
        from_first(lambda: stack.enter_context(writing(run)), "holding the run folder")
        _check_shared(run)
        from_first(lambda: claim(run, config, data, resume=resume), "claiming the run folder")
        yield


def check_alike(values: Mapping[str, Any]) -> None:
    """Refuse a job whose processes were started with other values, JSON-able by name.

    Raises:
        RunFolderError: naming what differs from another process.
    """
    mine = json.loads(json.dumps(dict(values)))
    for index, theirs in enumerate(gathered(mine, "comparing what all were started with")):
        if changes := differences(mine, theirs):
            raise RunFolderError(
                f"process {index} was started otherwise than this one (here -> there):"
                f"{in_lines(changes)}"
            )


def _check_shared(run: Path) -> None:
    """Refuse a folder that is not the same to all processes (RunFolderError)."""
    path, count = run / _TOKEN, jax.process_count()
    if count == 1:
        return

    def leave_token() -> str:
        token = secrets.token_hex(16)
        write_json(path, token)
        return token

    token = from_first(leave_token, "marking the run folder")
    seen = gathered(_reads(path, token), "reading the run folder")
    if is_first():
        path.unlink(missing_ok=True)
    if missing := [f"process {index}" for index, reads in enumerate(seen) if not reads]:
        raise RunFolderError(
            f"{shown(run)} is not shared between hosts: {listed(missing)} cannot read there what "
            "process 0 wrote. Give a folder on a file system that all of them have mounted"
        )


def _reads(path: Path, token: str) -> bool:
    """Whether a token is there, or comes: network file systems take a while to show files."""
    end = time.monotonic() + _SHOWN_AFTER
    while True:
        with suppress(OSError, ValueError):
            if read_json(path) == token:
                return True
        if time.monotonic() > end:
            return False
        time.sleep(0.2)


def check_new_run(run: Path) -> None:
    """Refuse a folder that holds a run, or anything else, for a new run (RunFolderError)."""
    if (run / "config.json").exists():
        raise RunFolderError(
            f"{shown(run)} holds a run already: go on with its state (state=load(run, gan)), or "
            "choose another folder"
        )
    if run.is_dir() and (others := sorted({path.name for path in run.iterdir()} - {".lock"})):
        raise RunFolderError(
            f"{shown(run)} holds {shown(others[0])}, and is no run folder: choose another folder"
        )


def read_config(run: Path | str, kind: str | None = None) -> dict[str, Any]:
    """The config of a run: all that was saved, or that of a learner of a kind.

    Raises:
        RunFolderError: when the folder holds no run, or one of another kind, or its config is
            unreadable.
        ValueError: when it holds links, pipes or devices.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as run:
        ...     _ = Path(run, "config.json").write_text('{"gan": {"method": "dcgan", "size": 32}}')
        ...     read_config(Path(run), "gan")["size"]
        32
    """
    run = Path(run)
    refuse_links(run)
    path = run / "config.json"
    try:
        saved = read_json(path)
    except FileNotFoundError:
        raise RunFolderError(f"{shown(run)} is not a run folder: it holds no config.json") from None
    except ValueError as error:
        raise RunFolderError(str(error)) from error
    if not isinstance(saved, dict):
        raise RunFolderError(f"{shown(path)}: it is no JSON object")
    if kind is None:
        return saved
    if not isinstance(saved.get(kind), dict):
        other = shown(next(iter(saved), "nothing"))
        raise RunFolderError(f"{shown(run)} is a run folder of kind {other}, not {kind}")
    return saved[kind]


def claim(
    run: Path,
    config: dict[str, Any],
    data: Mapping[str, Any] = MappingProxyType({}),
    *,
    resume: bool,
) -> None:
    """Check or write the config of a run folder, and the fingerprint of its data.

    Data that have moved, and are the same, are said and stand in the config from now on. Others
    under the same names are said as well, and what they were before stays in fingerprint.json.

    Args:
        run: the run folder.
        config: JSON-able.
        data: the fingerprint, `gan_forensics.data.fingerprint`.
        resume: whether the folder may hold a run.

    Raises:
        RunFolderError: when the folder holds a run and `resume` is false, or when the config, or
            the number of examples, differs from that which the run was started with (the message
            lists how).
    """
    path = run / "config.json"
    config = json.loads(json.dumps(config))
    if path.exists():
        if not resume:
            raise RunFolderError(
                f"{shown(run)} holds a run already: resume it or choose another folder"
            )
        _compare(run, read_config(run), config, data)
        return
    if (run / "checkpoints").exists():
        raise RunFolderError(
            f"{shown(run)} holds checkpoints but no config.json: choose another folder"
        )
    write_json(path, config)
    if data:
        write_json(run / FINGERPRINT, data)


def _compare(
    run: Path, old: dict[str, Any], config: dict[str, Any], data: Mapping[str, Any]
) -> None:
    """Compare a run with what it is to go on with."""
    known = _known_data(run) if data else {}
    others = [name for name, value in data.items() if known.get(name) != value]
    differ = f"their {' and '.join(others)} differ"
    changes = differences(old, config)
    refused = f"cannot resume {shown(run)} with a changed config; differences (run -> now):"
    if changes and (not known or differences(_placed(old, config), config)):
        raise RunFolderError(f"{refused}{in_lines(changes)}")
    if changes and others:
        raise RunFolderError(
            f"{refused}{in_lines(changes)}\nThe data there are others: {differ}. Put them where "
            "the run knows its data, or start anew in another folder"
        )
    steps = Checkpoints(run, read_only=True).steps()
    until = {"until_step": steps[-1] if steps else 0}
    if changes:
        places = "; ".join(changes)
        say(f"{shown(run)}: its data have moved, and are the same: {places}")
        moves = [*_list(known.pop("moved", None)), {**until, "places": places}]
        write_json(run / FINGERPRINT, {**known, "moved": moves})
        write_json(run / "config.json", config)
    elif known and "examples" in others:
        raise RunFolderError(
            f"cannot resume {shown(run)}: it was trained on {shown(known.get('examples'))} "
            f"examples, and its data have {data['examples']} now; give those that it was started "
            "with, or start anew in another folder"
        )
    elif known and others:
        say(
            f"{shown(run)}: its data are not those that it was trained on so far ({differ}); it "
            "goes on with what is there now"
        )
        kept = {"moved": known.pop("moved")} if "moved" in known else {}
        before = [*_list(known.pop("before", None)), {**until, **known}]
        write_json(run / FINGERPRINT, {**data, **kept, "before": before})


def _list(value: Any) -> list[Any]:
    """A list that a stranger's file may hold, or may not."""
    return value if isinstance(value, list) else []


def _known_data(run: Path) -> dict[str, Any]:
    """The fingerprint of the data so far; empty for a run that has none."""
    try:
        known = read_json(run / FINGERPRINT)
    except FileNotFoundError:
        return {}
    if not isinstance(known, dict):
        raise RunFolderError(f"{shown(run / FINGERPRINT)}: it is no JSON object; remove it")
    return known


def _placed(old: Any, new: Any) -> Any:
    """An old config with the places of the data of a new one."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return old
    return {
        name: new[name] if name in _PLACES and name in new else _placed(value, new.get(name))
        for name, value in old.items()
    }


def differences(old: Any, new: Any, at: str = "") -> list[str]:
    """The places where two JSON values differ, as lines `a.b: 1 -> 2`."""
    if isinstance(old, dict) and isinstance(new, dict):
        return [
            line
            for name in sorted(old.keys() | new.keys())
            for line in differences(old.get(name), new.get(name), f"{at}.{name}" if at else name)
        ]
    return [] if old == new else [f"{shown(at)}: {shown(repr(old))} -> {shown(repr(new))}"]


def in_lines(changes: Sequence[str], most: int = 20) -> str:
    """Differences as lines of a message, the first ones."""
    more = [f"... and {len(changes) - most} more"] if len(changes) > most else []
    return "".join(f"\n  {line}" for line in (*changes[:most], *more))
