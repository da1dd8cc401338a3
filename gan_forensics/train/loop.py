"""`fit`: data -> step -> log -> evaluate -> sample -> checkpoint -> resume.

The only place of the project where training has side effects. It knows nothing of GANs, images or
text: it is given a learner, minibatches, and functions to call.
"""

import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from gan_forensics.files import say, shown
from gan_forensics.files.progress import progress_bar
from gan_forensics.runtime import (
    data_mesh,
    from_first,
    gathered,
    is_first,
    jit_step,
    local_copy,
    on_all,
    products,
    random_key,
    to_mesh,
)
from gan_forensics.runtime.distributed import (
    asked_to_stop,
    at_step,
    before_first_step,
    forward_interrupt,
    losing_none,
)
from gan_forensics.train.checkpoint import CheckpointError, Checkpoints
from gan_forensics.train.learner import Learner, without_older_start
from gan_forensics.train.log import MetricLog
from gan_forensics.train.plateau import Plateau, PlateauState, observe, scale_learning_rates
from gan_forensics.train.run_folder import RunFolderError, check_alike, holding
from gan_forensics.train.update import TrainState, make_step, minibatches_per_step

Callback = Callable[[TrainState, dict[str, float]], object]
_IN_ERROR = (
    "the state so far is in this error (in a notebook: import sys; state = sys.last_value.state); "
    "train with state=state"
)


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

    Example:
        >>> cadence = Cadence(steps=2000, sample_every=500)
        >>> cadence.log_every, cadence.checkpoint_every, cadence.evaluate_every
        (50, 1000, 0)
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
        state: as the last step left it.
    """

    def __init__(self, message: str, number: int, state: TrainState):
        super().__init__(message)
        self.signal, self.state = number, state


def fit(
    learner: Learner,
    batches: Minibatches,
    *,
    cadence: Cadence,
    seed: int,
    run: Path | str | None = None,
    start: TrainState | None = None,
    every: Mapping[int, Callback] | None = None,
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
    """Train a learner, in memory or in a run folder, from the start or from where it was.

    N + M steps in one go and N steps, an interruption of any kind, and M steps give the same
    state bit for bit on the same hardware.

    Of many processes (`gan_forensics.runtime.join`) each calls it alike, with its own part of the
    minibatches; the run folder is one that all of them share. Process 0 alone writes there, but all
    enter `evaluate` and `sample`, and all end together. States that functions are given, and that
    is returned, are those of this process.

    Args:
        learner: what learns; its config is saved, and compared when resuming.
        batches: this process's minibatches.
        cadence: how long, and how often to do what; `steps` includes those of `start`.
        seed: of the initial state and every key used while training.
        run: the run folder, made when missing; by default nothing is written.
        start: the state to start from, in the place of the learner's own; it is left as it is. The
            minibatches go on where those of its steps ended.
        every: steps -> function of the state and the means of the metrics since it was last called.
            The state is a copy, to be kept or not.
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
        InterruptedRunError: after SIGINT or SIGTERM, when the state is saved; it holds the state.
        CheckpointError: a checkpoint could not be written, or none could be read.
        ValueError: for a state of other networks, and a callback that is due every 0 steps.

    Example:
        >>> import jax.numpy as jnp
        >>> import numpy as np
        >>> import optax
        >>> from gan_forensics.data import ArraySource
        >>> from gan_forensics.train import Aux, Cadence, Learner, Update, fit, process_batches
        >>> def loss(trainable, frozen, stats, batch, key, step):
        ...     miss = trainable["line"]["slope"] * batch["x"] - batch["y"]
        ...     return (miss**2).mean(), Aux({}, {})
        >>> update = Update("line", ("line",), loss, optax.sgd(0.5))
        >>> learner = Learner(
        ...     "line", {}, (update,), init=lambda seed: ({"line": {"slope": jnp.zeros(())}}, {})
        ... )
        >>> x = np.linspace(-1, 1, 64, dtype=np.float32)
        >>> batches = process_batches(ArraySource(x=x, y=3 * x), batch_size=16, seed=0)
        >>> cadence = Cadence(steps=50)
        >>> state = fit(learner, batches, cadence=cadence, seed=0, progress=False)  # doctest: +SKIP
        >>> round(float(state.params["line"]["slope"]), 3)  # doctest: +SKIP
        3.0
    """
    mesh = mesh or data_mesh()
    run = None if run is None else Path(run)
    _check_callbacks(every)
    per_step = minibatches_per_step(learner.updates)
    if start is not None:
        _check_fits(learner, start)
        batches.restore({**batches.state(), "next_batch": int(start.step) * per_step})
    # Before anything is written: networks that cannot be made leave no run folder. A copy, since
    # the first step donates the state and others may hold its parameters.
    initial = jax.tree.map(np.array, start or learner.start(seed))
    with ExitStack() as stack:
        stack.enter_context(products(learner.precision))
        stack.enter_context(losing_none())
        state, rule, restored = on_all(initial, mesh), PlateauState(), None
        checkpoints = log = None
        config = {learner.kind: dict(learner.config), **(facts or {})}
        many = jax.process_count() > 1
        # Which may read a whole folder, and is for those who compare it.
        data = getattr(batches, "fingerprint", dict)() if many or run else {}
        if many:
            asked = {"seed": seed, "resume": resume, "best": best, **asdict(cadence)}
            check_alike({**config, "data": data, **asked, "run": run is not None})
        if run is not None:
            stack.enter_context(holding(run, config, data, resume=resume))
            checkpoints = Checkpoints(run, keep=cadence.keep, best=best)
            stack.enter_context(closing(checkpoints))
            restored = _restored(checkpoints, local_copy(state))
        if checkpoints and restored:
            state, host = restored
            if start is not None and int(start.step) != int(state.step):
                raise RunFolderError(
                    f"{shown(run)} is at step {int(state.step)}, and the state at step "
                    f"{int(start.step)}: load the folder's own, or give another folder"
                )
            try:
                batches.restore(host["data"])
                rule = PlateauState(**host["plateau"])
            except (KeyError, TypeError) as error:
                raise CheckpointError(
                    f"the checkpoint of step {int(state.step)} in {shown(checkpoints.folder)} does "
                    f"not say where it was in its data ({shown(repr(error))}): start anew in "
                    "another folder"
                ) from error
            state = without_older_start(learner, state, host, lambda: initial.params)
            state = on_all(state, mesh)
        if plateau and (rule.stopped or 0 < plateau.stop_after <= rule.unimproved):
            return local_copy(state)  # It stopped early, and is done.
        first = int(state.step)
        if run is not None and is_first():
            log = MetricLog(run, last_step=first, tensorboard=tensorboard)
            stack.enter_context(closing(log))
        stop = stack.enter_context(_stop_signals())
        bar = progress_bar(
            total=cadence.steps,
            initial=first,
            unit="step",
            on=progress and is_first(),
            desc=shown(run.name if run else learner.kind, most=60),
        )
        bar, players = stack.enter_context(bar), [update.name for update in learner.updates]
        metrics = _Metrics(log, bar, checkpoints, cadence.log_every, every or {}, players)
        step = jit_step(make_step(learner.updates, average_decay=learner.average_decay), mesh)
        key, compiled = on_all(random_key(seed), mesh), dict[tuple, Callable]()
        for now in range(first + 1, cadence.steps + 1):
            placed = to_mesh(_stacked(batches, per_step), mesh)
            # Those of sentences have several; all processes meet when each has compiled for one.
            shapes = tuple(leaf.shape for leaf in jax.tree.leaves(placed))
            if many and shapes not in compiled:
                compiled[shapes] = step.lower(state, placed, key).compile()
                before_first_step()
                gathered(0, "compiling")
            at_step(now)
            state, pending = compiled.get(shapes, step)(state, placed, key)
            # The metrics of the step before: fetching them does not wait for this one.
            metrics.collect()
            metrics.pending = (now, pending)
            bar.update()
            metrics.log_if_due(now - 1)
            metrics.call_if_due(now, state)
            last, evaluation = now == cadence.steps, {}
            stopped = asked_to_stop(now) if many else bool(stop)
            if evaluate and (_due(now, cadence.evaluate_every) or last):
                metrics.collect()
                measured = evaluate(local_copy(state))
                evaluation = from_first(lambda made=measured: made, f"the evaluation of step {now}")
                metrics.write(now, evaluation)
                if plateau:
                    rule, reduce, end = observe(plateau, rule, evaluation[plateau.metric])
                    if reduce:
                        slower = scale_learning_rates(
                            local_copy(state), factor=plateau.factor, floor=plateau.floor
                        )
                        state = on_all(slower, mesh)
                    if end and not last:
                        say(
                            f"stopping early: {plateau.metric} has not improved in "
                            f"{rule.unimproved} evaluations"
                        )
                    last = last or end
            if sample and run and (_due(now, cadence.sample_every) or last):
                metrics.collect()
                _sample(sample, local_copy(state), run, now)
            if last or stopped or _due(now, cadence.checkpoint_every) or (best and evaluation):
                metrics.collect()
                metrics.log_if_due(now, force=last or not stopped)
                if checkpoints:
                    host = {"data": batches.state(), "plateau": asdict(rule)}
                    save = partial(checkpoints.save, local_copy(state), host, metrics=evaluation)
                    from_first(save, f"the checkpoint of step {now}")
            if last:
                break
            if stopped:
                number = stop[0] if stop else signal.SIGTERM
                where = f"saved to {checkpoints.folder}; resume {run}" if checkpoints else _IN_ERROR
                raise InterruptedRunError(
                    f"{number.name} at step {now}: {where} to go on", number, local_copy(state)
                )
        return local_copy(state)


def _restored(
    checkpoints: Checkpoints, template: TrainState
) -> tuple[TrainState, dict[str, Any]] | None:
    """The newest whole checkpoint, which process 0 looks for and all processes read."""
    found: list[Any] = []

    def look() -> int | None:
        found.extend(checkpoints.restore(template) or ())
        return int(found[0].step) if found else None

    step = from_first(look, "looking for a checkpoint")
    if step is None:
        return None
    if not found:
        found.extend(checkpoints.read(step, template))
    return found[0], found[1]


def _sample(
    sample: Callable[[TrainState, Path], None], state: TrainState, run: Path, now: int
) -> None:
    """Have all processes draw samples, of which those of process 0 stay."""
    with ExitStack() as stack:
        if is_first():
            folder = run / "samples"
            folder.mkdir(exist_ok=True)
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sample(state, folder / f"step_{now:08d}")


def _check_callbacks(every: Any) -> None:
    """Refuse what does not map numbers of steps to functions (ValueError)."""
    how = "such as every={50: lambda state, metrics: kept.append(state)}"
    if every is not None and not isinstance(every, Mapping):
        raise ValueError(f"every maps a number of steps to a function, {how}, got {every!r}")
    for period, function in (every or {}).items():
        if type(period) is not int or period < 1:
            raise ValueError(
                f"every maps a number of steps, 1 or more, to a function, got {period!r}"
            )
        if not callable(function):
            raise ValueError(f"every maps a number of steps to a function, {how}, got {function!r}")


def _check_fits(learner: Learner, state: TrainState) -> None:
    """Refuse a state of other networks, or optimisers, than the learner's (ValueError)."""
    wanted, given = (
        {jax.tree_util.keystr(path, simple=True, separator="/"): np.shape(leaf)
         for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
        for tree in (jax.eval_shape(lambda: learner.start(0)), state)
    )  # fmt: skip
    for name in (*wanted, *given):
        here, there = wanted.get(name), given.get(name)
        if here != there:
            raise ValueError(
                f"the state does not fit what is trained: {name} is {_shape(there)} in the state "
                f"and {_shape(here)} in what is trained; give a state of its own, or leave it out"
            )


def _shape(shape: tuple[int, ...] | None) -> str:
    return "missing" if shape is None else str(list(shape))


class _Metrics:
    """The metrics of the last step, still on the device, and of those since the last line."""

    def __init__(
        self,
        log: MetricLog | None,
        bar: Any,
        checkpoints: Checkpoints | None,
        log_every: int,
        callbacks: Mapping[int, Callback],
        players: Sequence[str],
    ):
        self.log, self.bar, self.checkpoints, self.every = log, bar, checkpoints, log_every
        self.window: list[dict[str, float]] = []
        self.callbacks, self.players = callbacks, players
        self.windows: dict[int, list[dict[str, float]]] = {period: [] for period in callbacks}
        self.pending: tuple[int, dict[str, jax.Array]] | None = None
        self.logged = False

    def collect(self):
        """Fetch the pending metrics and stop at the first that is not finite."""
        if self.pending is None:
            return
        now, metrics = self.pending
        self.pending = None
        values = {name: float(value) for name, value in jax.device_get(metrics).items()}
        # One player's NaN is the next one's: who moved first is named.
        for name in sorted(values, key=lambda name: self.players.index(name.split("/")[0])):
            if not np.isfinite(value := values[name]):
                raise NonFiniteLossError(
                    f"step {now}: {name} is {value} (update {name.split('/')[0]!r}); "
                    f"{self._last_good()}. "
                    "Lower the learning rate or look at the data, then resume or start anew"
                )
        for window in (self.window, *self.windows.values()):
            window.append(values)
        if not self.logged:  # Till there are means, those of a step.
            self._show(values, refresh=False)

    def _last_good(self) -> str:
        if self.checkpoints is None:
            return "nothing was kept, since there is no run folder"
        good = self.checkpoints.steps()
        where = f"step {good[-1]}" if good else "none"
        return f"last good checkpoint: {where} in {self.checkpoints.folder}"

    def log_if_due(self, now: int, force: bool = False):
        if self.window and (force or _due(now, self.every)):
            means = _means(self.window)
            self.write(now, means)
            self.logged = True
            self._show(means)

    def _show(self, metrics: Mapping[str, float], refresh: bool = True):
        losses = {n.split("/")[0]: f"{v:.3g}" for n, v in metrics.items() if n.endswith("/loss")}
        self.bar.set_postfix(losses, refresh=refresh)

    def call_if_due(self, now: int, state: TrainState):
        for period, callback in self.callbacks.items():
            if _due(now, period):
                self.collect()
                # The next step takes the arrays of the state itself.
                copy = jax.tree.map(jnp.copy, local_copy(state))
                callback(copy, _means(self.windows[period]))

    def write(self, now: int, metrics: Mapping[str, float]):
        if self.log:
            self.log.write(now, metrics)


def _means(window: list[dict[str, float]]) -> dict[str, float]:
    """The means of the metrics of a window, which is empty then."""
    means = {name: float(np.mean([line[name] for line in window])) for name in window[-1]}
    window.clear()
    return means


def _stacked(batches: Minibatches, count: int) -> Any:
    parts = [next(batches) for _ in range(count)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *parts)


def _due(now: int, every: int) -> bool:
    return every > 0 and now % every == 0


@contextmanager
def _stop_signals() -> Iterator[list[signal.Signals]]:
    """Notes SIGINT and SIGTERM instead of dying at once; a second one is not held back.

    Of many processes SIGTERM is left to JAX, by which all of them hear of it, and SIGINT made one.
    """
    noted: list[signal.Signals] = []
    old = {}

    def restore():
        for number, handler in old.items():
            signal.signal(number, handler)

    def note(number, frame):
        noted.append(signal.Signals(number))
        restore()
        if many:
            forward_interrupt()

    many = jax.process_count() > 1
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT,) if many else (signal.SIGINT, signal.SIGTERM):
            old[number] = signal.signal(number, note)
    try:
        yield noted
    finally:
        restore()
