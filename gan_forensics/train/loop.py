"""`fit`: data -> step -> log -> evaluate -> sample -> checkpoint -> resume.

The only place of the project where training has side effects. It knows nothing of GANs, images or
text: it is given a learner, minibatches, and functions to call.
"""

import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from gan_forensics.runtime import data_mesh, jit_step, replicated, to_mesh
from gan_forensics.train.checkpoint import Checkpoints
from gan_forensics.train.learner import Learner
from gan_forensics.train.log import MetricLog
from gan_forensics.train.plateau import Plateau, PlateauState, observe, scale_learning_rates
from gan_forensics.train.run_folder import claim, writing
from gan_forensics.train.update import TrainState, make_step, minibatches_per_step


class Minibatches(Protocol):
    """An endless iterator of minibatches (nested numpy arrays) that can tell where it is."""

    def __next__(self) -> Any:
        """The next minibatch of this process."""
        ...

    def state(self) -> Any:
        """The position as JSON: after `restore` of it the next minibatch is the same one."""
        ...

    def restore(self, state: Any) -> None:
        """Go to a position."""
        ...


@dataclass(frozen=True)
class Cadence:
    """How long to train and how often to do what, in steps; 0 means never.

    A checkpoint is always written at the end.

    Attributes:
        steps: number of steps of the whole run, resumed parts included.
        log_every: steps between lines of metrics.jsonl (means over the steps between).
        checkpoint_every: steps between checkpoints.
        sample_every: steps between calls of `sample`.
        evaluate_every: steps between calls of `evaluate`.
        keep: how many of the newest checkpoints to keep.
    """

    steps: int
    log_every: int = 50
    checkpoint_every: int = 1000
    sample_every: int = 0
    evaluate_every: int = 0
    keep: int = 3


class NonFiniteLossError(FloatingPointError):
    """A loss or gradient became NaN or infinite."""


class InterruptedRunError(RuntimeError):
    """The run was asked to stop (SIGINT, SIGTERM), saved itself and left.

    Attributes:
        signal: the number of the signal.
    """

    def __init__(self, message: str, number: int):
        super().__init__(message)
        self.signal = number


def fit(
    learner: Learner,
    batches: Minibatches,
    *,
    run: Path,
    cadence: Cadence,
    seed: int,
    facts: Mapping[str, Any] | None = None,
    resume: bool = False,
    sample: Callable[[TrainState, Path], None] | None = None,
    evaluate: Callable[[TrainState], dict[str, float]] | None = None,
    best: str | None = None,
    plateau: Plateau | None = None,
    mesh: Mesh | None = None,
    progress: bool = True,
    tensorboard: bool = False,
) -> TrainState:
    """Train a learner in a run folder, from the start or from its newest checkpoint.

    N + M steps in one go and N steps, an interruption of any kind, and M steps give the same
    state bit for bit on the same hardware.

    Args:
        learner: what learns; its config is saved, and compared when resuming.
        batches: this process's minibatches.
        run: the run folder; made when missing.
        cadence: how long, and how often to do what.
        seed: of the initial state and every key used while training.
        facts: JSON-able facts that are saved and compared too, such as about the data.
        resume: go on from the newest checkpoint; with none, start.
        sample: `sample(state, path)` writes a look at the state to `path` plus a suffix.
        evaluate: returns metrics of a state, which are logged.
        best: the metric of `evaluate`, small is good, whose best checkpoint is kept; then every
            evaluation comes with a checkpoint.
        plateau: reduce learning rates and stop by a metric of `evaluate`.
        mesh: devices; by default all of them.
        progress: show a progress bar (on terminals).
        tensorboard: write TensorBoard events too.

    Raises:
        RunFolderError: the folder is in use, taken, or belongs to another config.
        NonFiniteLossError: a loss became NaN or infinite; says where to go on from.
        InterruptedRunError: after SIGINT or SIGTERM, when the state is saved.
        CheckpointError: a checkpoint could not be written, or none could be read.
    """
    mesh = mesh or data_mesh()
    # Before anything is written: networks that cannot be made leave no run folder. A copy, since
    # the first step donates the state and others may hold its parameters.
    start = jax.tree.map(np.array, learner.start(seed))
    with writing(run):
        claim(run, {learner.kind: dict(learner.config), **(facts or {})}, resume=resume)
        checkpoints = Checkpoints(run, keep=cadence.keep, best=best)
        try:
            state = jax.device_put(start, replicated(mesh))
            rule = PlateauState()
            if restored := checkpoints.restore(state):
                state, host = restored
                batches.restore(host["data"])
                rule = PlateauState.from_dict(host["plateau"])
            if plateau and _stopped(plateau, rule):
                return state  # It stopped early, and is done.
            log = MetricLog(run, last_step=int(state.step), tensorboard=tensorboard)
            try:
                session = _Session(run, cadence, checkpoints, batches, log, plateau, rule)
                return session.train(
                    state,
                    jit_step(make_step(learner.updates, average_decay=learner.average_decay), mesh),
                    per_step=minibatches_per_step(learner.updates),
                    key=jax.device_put(jax.random.key(seed), replicated(mesh)),
                    mesh=mesh,
                    sample=sample,
                    evaluate=evaluate,
                    best=best,
                    progress=progress,
                )
            finally:
                log.close()
        finally:
            checkpoints.close()


class _Session:
    """The mutable side of one call of `fit`."""

    def __init__(self, run, cadence, checkpoints, batches, log, plateau, rule):
        self.run, self.cadence, self.checkpoints = run, cadence, checkpoints
        self.batches, self.log, self.plateau, self.rule = batches, log, plateau, rule
        self.window: list[dict[str, float]] = []
        self.pending: tuple[int, dict[str, jax.Array]] | None = None
        self.evaluation: dict[str, float] = {}

    def train(self, state, step, *, per_step, key, mesh, sample, evaluate, best, progress):
        cadence, first = self.cadence, int(state.step)
        bar = tqdm(
            total=cadence.steps,
            initial=first,
            unit="step",
            disable=None if progress and jax.process_index() == 0 else True,
            desc=self.run.name,
        )
        with _StopSignals() as stop, bar:
            for now in range(first + 1, cadence.steps + 1):
                state, metrics = step(state, self._minibatches(per_step, mesh), key)
                # The metrics of the step before: fetching them does not wait for this one.
                self._collect()
                self.pending = (now, metrics)
                bar.update()
                self._log_if_due(now - 1, bar)
                last = now == cadence.steps
                if evaluate and (_due(now, cadence.evaluate_every) or last):
                    self._collect()
                    self.evaluation = evaluate(state)
                    self._write(now, self.evaluation)
                    state, last = self._observe(state, last)
                if sample and (_due(now, cadence.sample_every) or last):
                    self._collect()
                    (self.run / "samples").mkdir(exist_ok=True)
                    sample(state, self.run / "samples" / f"step_{now:08d}")
                if (
                    last
                    or stop.number
                    or _due(now, cadence.checkpoint_every)
                    or (best and self.evaluation)
                ):
                    self._collect()
                    self._log_if_due(now, bar, force=last or not stop.number)
                    self._save(state)
                self.evaluation = {}
                if stop.number and not last:
                    raise InterruptedRunError(
                        f"{signal.Signals(stop.number).name} at step {now}: saved to "
                        f"{self.checkpoints.folder}; resume {self.run} to go on",
                        stop.number,
                    )
                if last:
                    break
        return state

    def _minibatches(self, count, mesh):
        parts = [next(self.batches) for _ in range(count)]
        return to_mesh(jax.tree.map(lambda *leaves: np.stack(leaves), *parts), mesh)

    def _collect(self):
        """Fetch the pending metrics and stop at the first that is not finite."""
        if self.pending is None:
            return
        now, metrics = self.pending
        self.pending = None
        values = {name: float(value) for name, value in jax.device_get(metrics).items()}
        bad = [name for name, value in values.items() if not np.isfinite(value)]
        if bad:
            good = self.checkpoints.steps()
            where = f"step {good[-1]}" if good else "none"
            raise NonFiniteLossError(
                f"step {now}: {bad[0]} is {values[bad[0]]} (update {bad[0].split('/')[0]!r}); "
                f"last good checkpoint: {where} in {self.checkpoints.folder}. "
                "Lower the learning rate or look at the data, then resume or start anew"
            )
        self.window.append(values)

    def _log_if_due(self, now, bar, force=False):
        if self.window and (force or _due(now, self.cadence.log_every)):
            names = self.window[-1]
            means = {name: float(np.mean([line[name] for line in self.window])) for name in names}
            self.window.clear()
            self._write(now, means)
            losses = {name: value for name, value in means.items() if name.endswith("/loss")}
            bar.set_postfix({name.split("/")[0]: f"{value:.3g}" for name, value in losses.items()})

    def _write(self, now, metrics):
        if jax.process_index() == 0:
            self.log.write(now, metrics)

    def _observe(self, state, last):
        rule = self.plateau
        if rule is None:
            return state, last
        self.rule, reduce, stop = observe(rule, self.rule, self.evaluation[rule.metric])
        if reduce:
            state = scale_learning_rates(state, factor=rule.factor, floor=rule.floor)
        if stop and not last:
            print(
                f"stopping early: {rule.metric} has not improved in {self.rule.unimproved} "
                "evaluations",
                file=sys.stderr,
            )
        return state, last or stop

    def _save(self, state):
        host = {"data": self.batches.state(), "plateau": self.rule.to_dict()}
        self.checkpoints.save(state, host, metrics=self.evaluation)


def _stopped(plateau: Plateau, rule: PlateauState) -> bool:
    """Whether a restored run was stopped by this rule."""
    return rule.stopped or bool(plateau.stop_after and rule.unimproved >= plateau.stop_after)


def _due(now: int, every: int) -> bool:
    return every > 0 and now % every == 0


class _StopSignals:
    """Notes SIGINT and SIGTERM instead of dying at once; a second one is not held back."""

    number = 0

    def __enter__(self):
        self._old = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._old[number] = signal.signal(number, self._note)
        return self

    def _note(self, number, frame):
        self.number = number
        self._restore()

    def _restore(self):
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def __exit__(self, *error):
        self._restore()
