"""A toy run in a run folder, as one of many processes, with a fault in it: a program for tests.

python -m tests.process_runs RUN STEPS FAULTS COORDINATOR PROCESSES INDEX

FAULTS is JSON: what a process does, and at which minibatch, evaluation or checkpoint. What it is
about to do it prints, so that a test can send its signal at that moment.
"""

import json
import resource
import sys
import time
from pathlib import Path

import jax
import numpy as np

from gan_forensics.cli.entry import guarded
from gan_forensics.runtime import join, presence
from gan_forensics.train import Cadence, Checkpoints, Learner, fit
from gan_forensics.train.log import MetricLog
from tests.games import GAMES, Gaussians

SIZE, SEED = 8, 1


def now(word: str, seconds: float = 0.0) -> None:
    """Print where this process is, and stay there for a while."""
    print(word, flush=True)
    time.sleep(seconds)


class Shared(Gaussians):
    """A process's rows of minibatches that are the same for any number of processes."""

    def __init__(self, index: int, count: int, faults: dict):
        super().__init__(SIZE)
        self.rows, self.faults = slice(index * SIZE // count, (index + 1) * SIZE // count), faults

    def __next__(self):
        late = self.next == self.faults.get("late_at")
        now(f"minibatch {self.next}", 1000.0 if late else self.faults.get("seconds", 0.0))
        if self.next == self.faults.get("unreadable_at"):
            raise OSError(f"minibatch {self.next} cannot be read")
        spoilt = self.next == self.faults.get("nan_at")
        x = super().__next__()["x"][self.rows]
        if spoilt:
            x[-1, 0] = np.nan
        return {"x": x}


def slow(owner: type, name: str, word: str, seconds: float) -> None:
    """Make a method print a word and take longer."""
    made = getattr(owner, name)

    def slowly(self, *arguments, **options):
        now(word, seconds)
        made(self, *arguments, **options)
        now(f"{word} done")

    setattr(owner, name, slowly)


def no_space_to_save(most: int) -> None:
    """Let no file of a checkpoint become larger, as on a disk that is full."""
    save = Checkpoints.save

    def limited(self, *arguments, **options):
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
        try:
            save(self, *arguments, **options)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            now("")  # The log is a file as well, and its last line may be half there.

    Checkpoints.save = limited


def evaluate(state) -> dict[str, float]:
    """A measurement that takes a while."""
    now("evaluating", 1.0)
    assert state.step.is_fully_addressable, "the state of all processes"
    return {"w": float(np.square(state.params["g"]["w"]).sum())}


def main(run: str, steps: str, faults: str, *job: str) -> None:
    """Join, train, leave."""
    told = json.loads(faults)
    own = {**told, **told.get(job[2], {})}
    for name in ("START", "PATIENCE", "MISSING", "NOTICE", "LIMIT"):
        setattr(presence, name, own.get(name, getattr(presence, name)))
    if int(job[1]) > 1:
        now("joining")
        join(job[0], int(job[1]), int(job[2]))
    if seconds := own.get("saving"):
        slow(Checkpoints, "save", "saving", seconds)
    if seconds := own.get("logging"):
        slow(MetricLog, "write", "logging", seconds)
    if most := own.get("largest_file"):
        no_space_to_save(most)
    updates, params, stats = GAMES["two"]()
    state = fit(
        Learner("toy", own.get("config", {}), updates, lambda _: (params, stats), ("g",)),
        Shared(int(job[2]), int(job[1]), own),
        run=Path(run),
        cadence=Cadence(int(steps), log_every=3, checkpoint_every=4, evaluate_every=4),
        seed=SEED,
        resume=own.get("resume", True),
        evaluate=evaluate if own.get("evaluate") else None,
        progress=False,
    )
    assert all(leaf.is_fully_addressable for leaf in jax.tree.leaves(state)), "of all processes"


if __name__ == "__main__":
    sys.exit(guarded(lambda: main(*sys.argv[1:])))
