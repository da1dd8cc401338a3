"""Orbax checkpoints that know when they are whole.

A checkpoint holds the train state and a JSON record of the host (position in the data, plateau
rule, metrics). After Orbax has put it in place a manifest with the size and SHA-256 of every file
is added; a checkpoint without a manifest is half-written, one that differs from it is damaged, and
restoring takes the newest that is neither.
"""

import hashlib
import json
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import jax
import orbax.checkpoint as ocp
from orbax.checkpoint import checkpoint_managers as policies

from gan_forensics.files import say, written_beside
from gan_forensics.train.update import TrainState

MANIFEST = "manifest.json"
UNRANKED = sys.float_info.max


class CheckpointError(RuntimeError):
    """A checkpoint could not be written, or none could be read."""


class Checkpoints:
    """The checkpoints of one run folder, in `checkpoints/<step>/`.

    Args:
        run: the run folder.
        keep: how many of the newest to keep.
        best: a metric, small is good, whose best checkpoint is kept as well; None for none.
        read_only: nothing is written, cleaned up or put aside: another process may be training.
    """

    def __init__(
        self, run: Path, *, keep: int = 3, best: str | None = None, read_only: bool = False
    ):
        self.folder = run.absolute() / "checkpoints"
        kept: list[policies.PreservationPolicy] = [policies.LatestN(keep)]
        if best:
            kept.append(policies.BestN(get_metric_fn=lambda m: m[best], n=1, reverse=True))
        self._best, self._read_only = best, read_only
        # Orbax warns of what is meant here: that a folder to read from is not written to.
        log = logging.getLogger("absl")
        level = log.level
        try:
            if read_only:
                log.setLevel(logging.ERROR)
            self._manager = ocp.CheckpointManager(
                self.folder,
                options=ocp.CheckpointManagerOptions(
                    enable_async_checkpointing=False,
                    cleanup_tmp_directories=not read_only,
                    read_only=read_only,
                    create=not read_only,
                    preservation_policy=policies.AnyPreservationPolicy(kept),
                    best_fn=(lambda m: m[best]) if best else None,
                    best_mode="min",
                ),
            )
        finally:
            log.setLevel(level)

    def steps(self) -> list[int]:
        """The steps that have a checkpoint, ascending."""
        return sorted(self._manager.all_steps())

    def save(
        self,
        state: TrainState,
        host: dict[str, Any],
        *,
        metrics: dict[str, float] | None = None,
    ) -> None:
        """Write the checkpoint of `state.step`; does nothing when it is there already.

        Raises:
            CheckpointError: when it cannot be written; older ones are untouched.
        """
        step = int(state.step)
        before = self.steps()
        if step in before:
            return
        # A checkpoint without an evaluation of its own ranks last.
        ranked = {self._best: (metrics or {}).get(self._best, UNRANKED)} if self._best else None
        try:
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state), host=ocp.args.JsonSave(host)
                ),
                metrics=ranked,
            )
            if jax.process_index() == 0:
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
        first = self._manager.best_step() if self._best and self._read_only else None
        for step in sorted(steps, key=lambda step: (step == first, step), reverse=True):
            problem = manifest_problem(self.folder / str(step))
            if problem is None:
                return self._read(step, template)
            aside = self.folder / f"damaged-{step}"
            done = "passed over" if self._read_only else f"put aside as {aside.name}"
            say(f"checkpoint {self.folder / str(step)}: {problem}; {done}, trying the one before")
            if self._read_only:
                continue
            shutil.rmtree(aside, ignore_errors=True)
            (self.folder / str(step)).rename(aside)
            self._manager.reload()
        if steps:
            raise CheckpointError(
                f"none of the checkpoints {steps} in {self.folder} is whole: "
                "start anew in another folder"
            )
        return None

    def _read(self, step: int, template: TrainState):
        if misfit := _misfit(self.folder / str(step), template):
            raise CheckpointError(
                f"checkpoint {self.folder / str(step)} does not fit this game: {misfit}; was it "
                "made with other networks?"
            )
        shapes = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
        try:
            restored = self._manager.restore(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardRestore(shapes), host=ocp.args.JsonRestore()
                ),
            )
        except Exception as error:
            raise CheckpointError(
                f"checkpoint {self.folder / str(step)} does not fit this game "
                f"({_first_line(error)}): was it made with other networks or optimisers?"
            ) from error
        return restored["state"], restored["host"]

    def close(self) -> None:
        """Release Orbax's resources."""
        self._manager.close()


def _misfit(folder: Path, template: TrainState) -> str | None:
    """The first network array of another shape in a checkpoint, in words; None if there is none."""
    handler = ocp.StandardCheckpointHandler()
    stored = handler.metadata(folder / "state").tree["params"]  # pyright: ignore
    shapes = {name: list(x.shape) for name, x in _named(stored)}
    for name, x in _named(template.params):
        there = shapes.get(name)
        if there not in (None, list(x.shape)):
            return f"{name} is {there} in the checkpoint and {list(x.shape)} in the game"
    return None


def _named(arrays: Any) -> list[tuple[str, Any]]:
    leaves = jax.tree_util.tree_leaves_with_path(arrays, is_leaf=lambda x: hasattr(x, "shape"))
    return [(jax.tree_util.keystr(path, simple=True, separator="/"), x) for path, x in leaves]


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_manifest(folder: Path) -> None:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    record = {str(p.relative_to(folder)): [p.stat().st_size, _digest(p)] for p in files}
    with written_beside(folder / MANIFEST) as partial, partial.open("w", encoding="utf-8") as file:
        json.dump(record, file, indent=1)
        file.flush()
        os.fsync(file.fileno())


def manifest_problem(folder: Path) -> str | None:
    """What is wrong with a checkpoint folder, in words; None for a whole one."""
    try:
        record = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "half-written (no manifest)"
    except (OSError, json.JSONDecodeError):
        return "its manifest is unreadable"
    for name, (size, digest) in record.items():
        path = folder / name
        if not path.is_file():
            return f"file {name} is missing"
        if path.stat().st_size != size:
            return f"file {name} has {path.stat().st_size} bytes instead of {size}"
        if _digest(path) != digest:
            return f"file {name} is damaged (its checksum differs)"
    return None
