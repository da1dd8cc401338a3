"""Many processes over loopback, each with simulated devices of its own, as one job.

What they print goes to files; a signal is sent to one of them, or to all, when a line or a file
shows that they are where a test wants them; every wait has a limit, at which the stacks of all
processes are in the message; and however a test ends, no process outlives it.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent
# To `kill` and restart is what tests do; at the limit they shall say where processes stood.
_ABORTED = 5.0


class Job:
    """Processes that were started together; by index, 0 is the coordinator."""

    def __init__(self, folder: Path, environment: Mapping[str, str]):
        self.folder, self.environment = folder, environment
        self.processes: list[subprocess.Popen] = []
        # Told of every process, it ends them where the test itself is ended by force.
        self._reaper = subprocess.Popen(
            ["sh", "-c", 'while read one; do all="$all $one"; done; kill -9 $all'],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )

    def start(self, command: Sequence[object]) -> None:
        """Start the next process, by the next index."""
        index = len(self.processes)
        with self._log(index).open("wb") as log:
            process = subprocess.Popen(
                [str(word) for word in command],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.processes.append(process)
        assert self._reaper.stdin
        self._reaper.stdin.write(f"{process.pid}\n".encode())
        self._reaper.stdin.flush()

    def _log(self, index: int) -> Path:
        return self.folder / f"process_{index}.log"

    def said(self, index: int) -> str:
        """All that a process printed so far."""
        return self._log(index).read_text(errors="replace")

    def send(self, number: int, *indices: int) -> None:
        """Send a signal to the processes of these indices; to all when none is given."""
        for index in indices or range(len(self.processes)):
            self.processes[index].send_signal(number)

    def until(self, reached: Callable[[], object], what: str, seconds: float = 120) -> None:
        """Wait until something is so; a process that ends before, or the limit, fails the test."""
        end = time.monotonic() + seconds
        while not reached():
            codes = [process.poll() for process in self.processes]
            if any(code is not None for code in codes):
                if reached():
                    return
                raise AssertionError(f"before {what}: ended with {codes}\n{self._all_said()}")
            if time.monotonic() > end:
                raise AssertionError(f"not within {seconds} s: {what}\n{self._stacks()}")
            time.sleep(0.02)

    def until_said(self, pattern: str, *indices: int, seconds: float = 120) -> None:
        """Wait until the processes of these indices (all, when none is given) print a pattern."""
        for index in indices or range(len(self.processes)):
            self.until(
                lambda index=index: re.search(pattern, self.said(index)),
                f"{pattern!r} of process {index}",
                seconds,
            )

    def wait(self, seconds: float = 120) -> list[int]:
        """The exit codes of all; negative is the signal that ended a process."""
        end = time.monotonic() + seconds
        for process in self.processes:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                codes = [process.poll() for process in self.processes]
                raise AssertionError(
                    f"after {seconds} s the exit codes are {codes}\n{self._stacks()}"
                ) from None
        return [process.returncode for process in self.processes]

    def end(self) -> None:
        """Kill what still runs."""
        for process in (self._reaper, *self.processes):
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        for process in self.processes:
            process.wait()
        self._reaper.wait()
        assert self._reaper.stdin
        self._reaper.stdin.close()

    def _stacks(self) -> str:
        """What all printed, with the Python stacks of those that still run, which this ends."""
        self.send(signal.SIGABRT)  # PYTHONFAULTHANDLER has them write where they are
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_ABORTED)
        return self._all_said()

    def _all_said(self) -> str:
        parts = range(len(self.processes))
        return "\n".join(f"--- process {index}:\n{self.said(index)[-4000:]}" for index in parts)


@contextlib.contextmanager
def running(
    count: int,
    command: Callable[[int, str], Sequence[object]],
    folder: Path,
    *,
    devices: int = 8,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Job]:
    """Start a job of many processes, which are killed at the end.

    Args:
        count: of processes.
        command: (index, coordinator "127.0.0.1:PORT") -> words of the command line.
        folder: where their logs go; made when missing.
        devices: of all processes together, simulated on the CPU.
        environment: variables beside those of the tests.
    """
    folder.mkdir(parents=True, exist_ok=True)
    address = f"127.0.0.1:{_free_port()}"
    variables = {
        "PYTHONPATH": str(ROOT),
        "PYTHONFAULTHANDLER": "1",
        "PYTHONUNBUFFERED": "1",
        # Of flags that are given twice the last one counts.
        "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} "
        f"--xla_force_host_platform_device_count={devices // count}",
        **(environment or {}),
    }
    job = Job(folder, variables)
    try:
        for index in range(count):
            job.start(command(index, address))
        yield job
    finally:
        job.end()


def python(script: str, *arguments: object) -> list[object]:
    """The command line of a Python script."""
    return [sys.executable, "-c", script, *arguments]


def _free_port() -> int:
    """A port that nobody listens at, for the coordinator."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]
