"""Orbax checkpoints that know when they are whole.

A checkpoint holds the train state and a JSON record of the host (position in the data, plateau
rule, metrics). After Orbax has put it in place a manifest with the size and SHA-256 of every file
is added; a checkpoint without a manifest is half-written, one that differs from it is damaged, and
restoring takes the newest that is neither.

Nothing in a checkpoint is believed, since a stranger may have made it, with its manifest: its files
must be those of the manifest and no others, and its arrays those of the game, by name, type and
shape, before one of them is read.

Orbax and TensorStore, which load slowly, are imported where something is written or read.
"""

import json
import math
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from gan_forensics.files import (
    check_folder_out,
    plain_path,
    read_json,
    refuse_links,
    say,
    sha256_of,
    shown,
    written_beside,
)
from gan_forensics.files.archives import ALWAYS, MOST_RATIO
from gan_forensics.train.average import RECORD, WITHOUT_START
from gan_forensics.train.update import TrainState

if TYPE_CHECKING:
    from orbax.checkpoint import CheckpointManager

MANIFEST = "manifest.json"
UNRANKED = sys.float_info.max
# What optimisers keep of a learning rate that is a schedule.
_RATE = "/hyperparams_states/learning_rate/"
# So many damaged checkpoints are told of.
_SAID = 5
# Files may have so many times the bytes of the arrays that they are asked for, and so many more.
_MOST_BYTES, _MORE_BYTES = 4, 2**26
# What Orbax keeps as JSON beside the arrays.
_JSON = ("_CHECKPOINT_METADATA", "host/*", "metrics/*", "state/_*", "state/array_metadatas/*")


class CheckpointError(RuntimeError):
    """A checkpoint could not be written, or none could be read."""


class Checkpoints:
    """The checkpoints of one run folder, in `checkpoints/<step>/`.

    Args:
        run: the run folder.
        keep: how many of the newest to keep.
        best: a metric, small is good, whose best checkpoint is kept as well; None for none.
        read_only: nothing is written, cleaned up or put aside: another process may be training.

    Example:
        >>> from pathlib import Path
        >>> Checkpoints(Path("runs/not_yet"), read_only=True).steps()
        []
        >>> Checkpoints(Path("runs/digits"), read_only=True).steps()  # doctest: +SKIP
        [20]
    """

    def __init__(
        self, run: Path, *, keep: int = 3, best: str | None = None, read_only: bool = False
    ):
        self.folder = run.resolve() / "checkpoints"
        self._keep, self._best, self._read_only = keep, best, read_only
        self._open = ExitStack()

    @cached_property
    def _plain(self) -> Path:
        """The folder under a path that Orbax and TensorStore take as it is."""
        return self._open.enter_context(plain_path(self.folder))

    @cached_property
    def _manager(self) -> "CheckpointManager":
        """What writes and keeps: made when it is needed, since it reads all that is there."""
        import orbax.checkpoint as ocp
        from orbax.checkpoint import checkpoint_managers as policies

        best, me = self._best, jax.process_index()
        self.folder.mkdir(parents=True, exist_ok=True)
        kept: list[policies.PreservationPolicy] = [policies.LatestN(self._keep)]
        if best:
            kept.append(policies.BestN(get_metric_fn=lambda m: m[best], n=1, reverse=True))
        manager = ocp.CheckpointManager(
            self._plain,
            options=ocp.CheckpointManagerOptions(
                enable_async_checkpointing=False,
                cleanup_tmp_directories=True,
                preservation_policy=policies.AnyPreservationPolicy(kept),
                best_fn=(lambda m: m[best]) if best else None,
                best_mode="min",
                # Whoever has one open writes alone.
                create=False,
                multiprocessing_options=ocp.options.MultiprocessingOptions(
                    primary_host=me,
                    active_processes={me} if jax.process_count() > 1 else None,
                    barrier_sync_key_prefix="checkpoints" if jax.process_count() > 1 else None,
                ),
            ),
        )
        self._open.callback(manager.close)
        return manager

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, ascending."""
        names = [path.name for path in self.folder.glob("[0-9]*") if path.is_dir()]
        # No signs, no leading zeros, no digits of other alphabets: as they are written.
        return sorted(int(name) for name in names if name.isdecimal() and name == str(int(name)))

    def save(
        self,
        state: TrainState,
        host: dict[str, Any],
        *,
        metrics: dict[str, float] | None = None,
    ) -> None:
        """Write the checkpoint of `state.step`; does nothing when it is there already.

        Args:
            state: of the run.
            host: JSON-able, what else going on needs; how averages are kept is added.
            metrics: of the step's evaluation.

        Raises:
            CheckpointError: when it cannot be written; older ones are untouched.
        """
        from orbax.checkpoint import args

        step = int(state.step)
        before = self.steps()
        if step in before:
            return
        # A checkpoint without an evaluation of its own ranks last.
        if state.average:
            host = {**host, RECORD: WITHOUT_START}
        ranked = {self._best: (metrics or {}).get(self._best, UNRANKED)} if self._best else None
        if jax.process_count() > 1:
            # Orbax takes arrays of all processes, or of none; this one has the whole state.
            state = jax.tree.map(np.asarray, state)
        try:
            self._manager.save(
                step,
                args=args.Composite(state=args.StandardSave(state), host=args.JsonSave(host)),
                metrics=ranked,
            )
            if problem := _misfit(self._plain / str(step), state):
                raise ValueError(f"what was written cannot be read again: {problem}")
            _write_manifest(self.folder / str(step))
        except Exception as error:
            # Exactly this step's folder and Orbax's temporary ones: never 120 for 12.
            for rest in (self.folder / str(step), *self.folder.glob(f"{step}.*")):
                shutil.rmtree(rest, ignore_errors=True)
            last = f"the newest good checkpoint is step {before[-1]}" if before else "there is none"
            raise CheckpointError(
                f"could not write the checkpoint of step {step} to {self.folder} "
                f"({_first_line(error)}); {last}: free some space and resume"
            ) from error

    def restore(self, template: TrainState) -> tuple[TrainState, dict[str, Any]] | None:
        """The newest whole checkpoint and its host record; None when there is none at all.

        With a metric `best` and `read_only` it is the best one by that metric.

        Args:
            template: a state of the same shape (arrays or shape structs with shardings).

        Damaged or half-written checkpoints are reported on standard error and, unless
        `read_only`, put aside as `checkpoints/damaged-<step>`.

        Raises:
            CheckpointError: when there are checkpoints and none can be read, or when the newest
                belongs to a game of other shapes.
        """
        steps = self.steps()
        most = _MOST_BYTES * _bytes(template) + _MORE_BYTES
        first = min(steps, key=self._rank) if steps and self._best and self._read_only else None
        odd = 0
        for step in sorted(steps, key=lambda step: (step == first, step), reverse=True):
            problem = manifest_problem(self.folder / str(step), most=most)
            if problem is None:
                state, host = self.read(step, template)
                if int(state.step) == step:
                    return state, host
                problem = f"it is a copy of step {int(state.step)}"
            aside = self.folder / f"damaged-{step}"
            done = "passed over" if self._read_only else f"put aside as {aside.name}"
            if (odd := odd + 1) <= _SAID:
                more = ", and of further ones nothing is said" if odd == _SAID else ""
                say(
                    f"checkpoint {shown(self.folder / str(step))}: {problem}; {done}, trying the "
                    f"one before{more}"
                )
            if self._read_only:
                continue
            shutil.rmtree(aside, ignore_errors=True)
            (self.folder / str(step)).rename(aside)
        if steps:
            raise CheckpointError(
                f"none of the checkpoints {shown(steps)} in {shown(self.folder)} is whole: "
                "start anew in another folder"
            )
        return None

    def read(self, step: int, template: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """One checkpoint and its host record, which is known to be whole.

        Raises:
            CheckpointError: when it cannot be read.
        """
        return _read(self._plain / str(step), template, self.folder / str(step))

    def _rank(self, step: int) -> tuple[float, int]:
        """The metric of a step, and among equal ones the newest first."""
        try:
            value = read_json(self.folder / str(step) / "metrics" / "metrics")[self._best]
        except (OSError, ValueError, KeyError, TypeError):
            value = UNRANKED
        whole = isinstance(value, int | float) and not math.isnan(value)
        return (value if whole else UNRANKED, -step)

    def close(self) -> None:
        """Release Orbax's resources."""
        self._open.close()


def replace_checkpoint(folder: Path, state: TrainState) -> None:
    """Keep one state in a folder that is none of a run, in the place of one that was kept there.

    Raises:
        ValueError: for a folder that holds anything else, or cannot be made.
        CheckpointError: when it cannot be written; what was there before is left.
    """
    check_folder_out(folder, "the folder of a state,")
    if folder.is_dir():
        refuse_links(folder)
        if others := sorted({path.name for path in folder.iterdir()} - {"checkpoints"}):
            raise ValueError(
                f"{shown(folder)} holds {shown(others[0])}, and so no state alone: choose another "
                "folder"
            )
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=".", dir=folder.parent))
    checkpoints = Checkpoints(beside)
    try:
        checkpoints.save(state, {})
        checkpoints.close()
        shutil.rmtree(folder, ignore_errors=True)
        beside.chmod(0o755)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _read(folder: Path, template: TrainState, named: Path) -> tuple[TrainState, dict[str, Any]]:
    import orbax.checkpoint as ocp

    name = shown(named)
    try:
        misfit = _misfit(folder, template)
    # Whatever Orbax and TensorStore raise at what a stranger wrote.
    except Exception as error:
        raise CheckpointError(
            f"checkpoint {name} cannot be read ({_first_line(error)}): its arrays are missing or "
            "damaged; remove it to go on from the one before, or start anew in another folder"
        ) from error
    if misfit:
        raise CheckpointError(
            f"checkpoint {name} does not fit this game: {misfit}; was it made with other networks?"
        )
    shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
    try:
        state = ocp.StandardCheckpointHandler().restore(
            folder / "state",  # pyright: ignore[reportArgumentType]
            args=ocp.args.StandardRestore(shapes),
        )
        return state, read_json(folder / "host" / "metadata")
    except Exception as error:
        raise CheckpointError(
            f"checkpoint {name} cannot be read ({_first_line(error)}): its arrays are damaged; "
            "remove it to go on from the one before, or start anew in another folder"
        ) from error


def _misfit(folder: Path, template: TrainState) -> str | None:
    """How the arrays of a checkpoint differ from those that are asked for; None if they do not."""
    wanted = dict(_named(template))
    record = read_json(folder / "state" / "_METADATA")
    if record["use_ocdbt"] is not True or record["use_zarr3"] is not False:
        return "its arrays are kept in another way"
    leaves = [
        v for v in record["tree_metadata"].values() if not v["value_metadata"]["skip_deserialize"]
    ]
    # Nothing is opened by a name that the game does not have.
    names = {"/".join(str(part["key"]) for part in v["key_metadata"]) for v in leaves}
    both = [name for name in wanted if name in names]
    for name, there in _opened(folder / "state", both).items():
        x = wanted[name]
        here, dtype = list(x.shape), there.dtype.numpy_dtype
        if list(there.shape) != here or dtype != x.dtype:
            kind = "" if dtype == x.dtype else f" {dtype}"
            return (
                f"{name} is{kind} {shown(list(there.shape))} in the checkpoint and {here} in the "
                "game"
            )
        if math.prod(there.chunk_layout.write_chunk.shape or ()) > max(1, math.prod(here)):
            return f"{name} is kept in parts that are larger than itself"
    for name in (*wanted, *sorted(names)):
        if (name in names) != (name in wanted):
            where = "checkpoint" if name in names else "game"
            rates = "; its learning rates are of another kind, a number or a schedule"
            return f"{shown(name)} is in the {where} alone{rates * (_RATE in name)}"
    packed = sum(path.stat().st_size for path in folder.rglob("*"))
    if _bytes(template) > max(ALWAYS, MOST_RATIO * packed):
        return f"its {packed} bytes would become {_bytes(template) / 2**30:.2g} GiB"
    return None


def _opened(folder: Path, names: Iterable[str]) -> dict[str, Any]:
    """The arrays of a checkpoint by name, of which nothing is read yet.

    Not by Orbax, which leaves the event loop, with other arrays under way, at the first one that
    cannot be opened: each of them then prints a traceback.
    """
    import tensorstore

    base = {"driver": "file", "path": f"{folder}/"}
    waiting = {
        name: tensorstore.open(
            {
                "driver": "zarr",
                "kvstore": {"driver": "ocdbt", "base": base, "path": f"{name.replace('/', '.')}/"},
            },
            open=True,
        )
        for name in names
    }
    return {name: future.result() for name, future in waiting.items()}


def _bytes(arrays: Any) -> int:
    return sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(arrays))


def _named(arrays: Any) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(arrays, is_leaf=lambda x: hasattr(x, "shape"))
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), x) for path, x in leaves]


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {shown(lines[0]) if lines else ''}"


def _write_manifest(folder: Path) -> None:
    files = {name: path for name, path in _files(folder).items() if name != MANIFEST}
    record = {name: [path.stat().st_size, sha256_of(path)] for name, path in files.items()}
    with written_beside(folder / MANIFEST) as partial, partial.open("w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def _files(folder: Path) -> dict[str, Path]:
    """All that lies in a folder and is no folder itself, by its name from there."""
    found = sorted(
        Path(path, name)
        for path, folders, files in os.walk(folder)
        for name in (*files, *(each for each in folders if Path(path, each).is_symlink()))
    )
    return {path.relative_to(folder).as_posix(): path for path in found}


def manifest_problem(folder: Path, *, most: float = math.inf) -> str | None:
    """What is wrong with a checkpoint folder, in words; None for a whole one.

    Only what lies in the folder is looked at, whatever its manifest names.

    Args:
        folder: of one checkpoint.
        most: bytes that its files may have together.
    """
    try:
        record = read_json(folder / MANIFEST)
    except FileNotFoundError:
        return "half-written (no manifest)"
    except (OSError, ValueError):
        return "its manifest is unreadable"
    if not isinstance(record, dict) or not all(map(_is_entry, record.values())):
        return "its manifest is no list of files with their sizes and checksums"
    files = _files(folder)
    del files[MANIFEST]
    for name in (*record, *files):
        if name not in files:
            return f"file {shown(name)} is missing"
        if name not in record:
            return f"file {shown(name)} is not in its manifest"
    sizes = {}
    for name, path in files.items():
        status = path.lstat()
        if not stat.S_ISREG(status.st_mode):
            return f"{shown(name)} is no regular file"
        sizes[name] = status.st_size
        if status.st_size != record[name][0]:
            return f"file {shown(name)} has {status.st_size} bytes instead of {record[name][0]}"
    if sum(sizes.values()) > most:
        return f"its files have {sum(sizes.values())} bytes, far more than its arrays need"
    for name, path in files.items():
        if sha256_of(path) != record[name][1]:
            return f"file {shown(name)} is damaged (its checksum differs)"
    for path in (path for pattern in _JSON for path in folder.glob(pattern)):
        try:
            if path.name != "commit_success.txt":
                read_json(path)
        except (OSError, ValueError):
            return f"file {shown(path.relative_to(folder))} is not readable as JSON"
    return None


def _is_entry(value: Any) -> bool:
    """Whether a manifest says this of a file: its size and the SHA-256 of its bytes."""
    match value:
        case [int() as size, str() as digest]:
            return not isinstance(size, bool) and 0 <= size < 2**63 and len(digest) == 64
    return False
