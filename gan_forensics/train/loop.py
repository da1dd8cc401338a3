"""`fit`: data -> step -> log -> evaluate -> sample -> checkpoint -> resume.

The only place of the project where training has side effects. It knows nothing of GANs, images or
text: it is given a learner, minibatches, and functions to call.
"""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from gan_forensics.files import say, shown
from gan_forensics.files.progress import progress_bar
from gan_forensics.runtime import data_mesh, jit_step, products, random_key, replicated, to_mesh
from gan_forensics.train.average import RECORD, WITHOUT_START
from gan_forensics.train.checkpoint import CheckpointError, Checkpoints
from gan_forensics.train.learner import Learner, without_older_start
from gan_forensics.train.log import MetricLog
from gan_forensics.train.plateau import Plateau, PlateauState, observe, scale_learning_rates
from gan_forensics.train.run_folder import claim, writing
from gan_forensics.train.update import TrainState, make_step, minibatches_per_step


class Minibatches(Protocol):
    """An endless iterator of minibatches (nested numpy arrays) that can tell where it is.

    It may also have `fingerprint()`, which tells its data from others, wherever they lie, as JSON.
    """

    def __next__(self) -> Any:
        """The next minibatch of this process."""

    def state(self) -> Any:
        """The position as JSON: after `restore` of it the next minibatch is the same one."""

    def restore(self, state: Any) -> None:
        """Go to a position."""


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
        keep: how many of the newest checkpoints to keep, 1 or more.

    Raises:
        ValueError: for a negative number.
    """

    steps: int
    log_every: int = 50
    checkpoint_every: int = 1000
    sample_every: int = 0
    evaluate_every: int = 0
    keep: int = 3

    def __post_init__(self):
        for name, value in vars(self).items():
            least = 1 if name == "keep" else 0
            if value < least:
                raise ValueError(f"{name} must be {least} or more, got {value}")


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
        progress: show steps, rate and losses: a bar, or lines (`gan_forensics.files.progress`).
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
    with ExitStack() as stack:
        stack.enter_context(products(learner.precision))
        stack.enter_context(writing(run))
        config = {learner.kind: dict(learner.config), **(facts or {})}
        claim(run, config, getattr(batches, "fingerprint", dict)(), resume=resume)
        checkpoints = stack.enter_context(closing(Checkpoints(run, keep=cadence.keep, best=best)))
        state, rule = jax.device_put(start, replicated(mesh)), PlateauState()
        if restored := checkpoints.restore(state):
            state, host = restored
            try:
                batches.restore(host["data"])
                rule = PlateauState(**host["plateau"])
            except (KeyError, TypeError) as error:
                raise CheckpointError(
                    f"the checkpoint of step {int(state.step)} in {shown(checkpoints.folder)} does "
                    f"not say where it was in its data ({shown(repr(error))}): start anew in "
                    "another folder"
                ) from error
            state = without_older_start(learner, state, host, lambda: start.params)
        if plateau and (rule.stopped or 0 < plateau.stop_after <= rule.unimproved):
            return state  # It stopped early, and is done.
        first = int(state.step)
        log = stack.enter_context(closing(MetricLog(run, last_step=first, tensorboard=tensorboard)))
        stop = stack.enter_context(_stop_signals())
        bar = progress_bar(
            total=cadence.steps,
            initial=first,
            unit="step",
            on=progress and jax.process_index() == 0,
            desc=shown(run.name, most=60),
        )
        metrics = _Metrics(log, stack.enter_context(bar), checkpoints, cadence.log_every)
        per_step = minibatches_per_step(learner.updates)
        step = jit_step(make_step(learner.updates, average_decay=learner.average_decay), mesh)
        key = jax.device_put(random_key(seed), replicated(mesh))
        for now in range(first + 1, cadence.steps + 1):
            state, pending = step(state, to_mesh(_stacked(batches, per_step), mesh), key)
            # The metrics of the step before: fetching them does not wait for this one.
            metrics.collect()
            metrics.pending = (now, pending)
            bar.update()
            metrics.log_if_due(now - 1)
            last, evaluation = now == cadence.steps, {}
            if evaluate and (_due(now, cadence.evaluate_every) or last):
                metrics.collect()
                evaluation = evaluate(state)
                metrics.write(now, evaluation)
                if plateau:
                    rule, reduce, end = observe(plateau, rule, evaluation[plateau.metric])
                    if reduce:
                        state = scale_learning_rates(
                            state, factor=plateau.factor, floor=plateau.floor
                        )
                    if end and not last:
                        say(
                            f"stopping early: {plateau.metric} has not improved in "
                            f"{rule.unimproved} evaluations"
                        )
                    last = last or end
            if sample and (_due(now, cadence.sample_every) or last):
                metrics.collect()
                (run / "samples").mkdir(exist_ok=True)
                sample(state, run / "samples" / f"step_{now:08d}")
            if last or stop or _due(now, cadence.checkpoint_every) or (best and evaluation):
                metrics.collect()
                metrics.log_if_due(now, force=last or not stop)
                host = {"data": batches.state(), "plateau": asdict(rule)}
                if state.average:
                    host[RECORD] = WITHOUT_START
                checkpoints.save(state, host, metrics=evaluation)
            if last:
                break
            if stop:
                raise InterruptedRunError(
                    f"{stop[0].name} at step {now}: saved to {checkpoints.folder}; resume {run} "
                    "to go on",
                    stop[0],
                )
        return state


class _Metrics:
    """The metrics of the last step, still on the device, and of those since the last line."""

    def __init__(self, log: MetricLog, bar: Any, checkpoints: Checkpoints, every: int):
        self.log, self.bar, self.checkpoints, self.every = log, bar, checkpoints, every
        self.window: list[dict[str, float]] = []
        self.pending: tuple[int, dict[str, jax.Array]] | None = None
        self.logged = False

    def collect(self):
        """Fetch the pending metrics and stop at the first that is not finite."""
        if self.pending is None:
            return
        now, metrics = self.pending
        self.pending = None
        values = {name: float(value) for name, value in jax.device_get(metrics).items()}
        for name, value in values.items():
            if not np.isfinite(value):
                good = self.checkpoints.steps()
                where = f"step {good[-1]}" if good else "none"
                raise NonFiniteLossError(
                    f"step {now}: {name} is {value} (update {name.split('/')[0]!r}); "
                    f"last good checkpoint: {where} in {self.checkpoints.folder}. "
                    "Lower the learning rate or look at the data, then resume or start anew"
                )
        self.window.append(values)
        if not self.logged:  # Till there are means, those of a step.
            self._show(values, refresh=False)

    def log_if_due(self, now: int, force: bool = False):
        if self.window and (force or _due(now, self.every)):
            names = self.window[-1]
            means = {name: float(np.mean([line[name] for line in self.window])) for name in names}
            self.window.clear()
            self.write(now, means)
            self.logged = True
            self._show(means)

    def _show(self, metrics: Mapping[str, float], refresh: bool = True):
        losses = {n.split("/")[0]: f"{v:.3g}" for n, v in metrics.items() if n.endswith("/loss")}
        self.bar.set_postfix(losses, refresh=refresh)

    def write(self, now: int, metrics: Mapping[str, float]):
        if jax.process_index() == 0:
            self.log.write(now, metrics)


def _stacked(batches: Minibatches, count: int) -> Any:
    parts = [next(batches) for _ in range(count)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *parts)


def _due(now: int, every: int) -> bool:
    return every > 0 and now % every == 0


@contextmanager
def _stop_signals() -> Iterator[list[signal.Signals]]:
    """Notes SIGINT and SIGTERM instead of dying at once; a second one is not held back."""
    noted: list[signal.Signals] = []
    old = {}

    def restore():
        for number, handler in old.items():
            signal.signal(number, handler)

    def note(number, frame):
        noted.append(signal.Signals(number))
        restore()

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            old[number] = signal.signal(number, note)
    try:
        yield noted
    finally:
        restore()
