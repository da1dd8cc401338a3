"""`gan-forensics collapse`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from gan_forensics.cli.checks import at_least
from gan_forensics.files import say, tell


@dataclass(frozen=True)
class Collapse:
    """See which modes a GAN keeps, on worlds whose modes are known.

    Points on grids of 9 and 25 modes, a plus of 13 and a sine of 12, and stacked digits of 1000:
    modes over training for several seeds, pictures of the points over time, and for stacks what
    the same counts say of real stacks of known numbers of modes.

    Try it:

    $ gan-forensics collapse dist-gan --worlds grid9

    $ gan-forensics collapse dcgan --task neighbour-embedding --worlds grid9 plus --seeds 0 1 2 3

    $ gan-forensics collapse sngan --task my_tasks:repulsion --out runs/repulsion

    The last one takes `repulsion`, a gan_forensics.gans.Task or a function that returns one, from
    my_tasks.py in this folder, and runs that file. A study that was stopped goes on when it is
    started again: worlds that are finished are kept.
    """

    method: Positional[str]
    """A method of `train` without classes."""
    task: Annotated[tuple[str, ...], arg(metavar="TASK")] = ()
    """Tasks on top: gradient-matching, neighbour-embedding, or MODULE:NAME of your own."""
    worlds: tuple[str, ...] = ()
    """Some of grid9, plus, sine, grid25, stacked; by default all that the method has networks
    for."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Of networks, minibatches and noise."""
    steps: int | None = None
    """Of training on every world; by default 8000 (grid9), 16000 (plus, sine), 24000 (grid25),
    1000 (stacked)."""
    width: int = 64
    """Of the hidden layers of networks for points."""
    n_dis: int = 1
    """Moves of the discriminator a step."""
    batch_size: int = 128
    """Points or images a minibatch."""
    digits: str = "samples:digits"
    """Source of the gray digits that are stacked."""
    images: int = 2000
    """Stacks measured at every look."""
    out: Path | None = None
    """Folder; by default runs/collapse-METHOD and its tasks."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.files import check_folder_out
        from gan_forensics.studies import collapse_run

        sizes = {"width": self.width, "n_dis": self.n_dis, "batch_size": self.batch_size}
        at_least(1, **sizes, images=self.images, steps=1 if self.steps is None else self.steps)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"--seeds {self.seeds}: give one or more, each once, from 0 on")
        named = "-".join([self.method, *(task.replace(":", "-") for task in self.task)])
        out = self.out or Path("runs") / f"collapse-{named}"
        check_folder_out(out)
        study = collapse_run.Collapse(
            self.method,
            out,
            tasks=self.task,
            worlds=self.worlds or None,
            seeds=self.seeds,
            steps=self.steps,
            digits=self.digits,
            images=self.images,
            **sizes,
        )
        results = collapse_run.run(study, say=say)
        tell(*results["finding"].split("\n"))
        tell(f"Open {out / 'report.html'}.")
