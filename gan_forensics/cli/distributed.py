"""Training in many processes, as commands offer it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Distributed:
    """One process of many that train together, one for each host, or each GPU; see docs/pods.md."""

    distributed: bool = False
    """Train together with other processes, which run this same command with the same run folder and
    data. On TPU pods, SLURM, Open MPI and Kubernetes (extra `kubernetes`) who they are is known;
    elsewhere give the next three options. SLURM and Open MPI give a process one GPU, and need as
    many processes as GPUs."""
    coordinator: str | None = None
    """HOST:PORT of process 0, which listens there."""
    processes: int | None = None
    """How many processes there are."""
    process: int | None = None
    """The number of this process, from 0."""

    def join(self) -> None:
        """Join the others, if there are any, before anything is computed."""
        if not self.distributed:
            if (self.coordinator, self.processes, self.process) != (None, None, None):
                raise ValueError(
                    "--coordinator, --processes and --process say who the processes of "
                    "--distributed are: add that, or leave them out"
                )
            return
        from gan_forensics.runtime import join

        join(self.coordinator, self.processes, self.process)
