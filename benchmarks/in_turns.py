"""Sides of a benchmark that take turns call by call, each in a process of its own.

The speed of a shared machine moves by a third from minute to minute: only calls that follow each
other at once are compared. A round calls every side once; ratios are taken within rounds, and the
table gives their median and their quartiles. Two processes of the same code still differ by up to
12 % for as long as they live, however many rounds: near a bound, start the benchmark several times.

A benchmark has one function for each side, which prepares and returns the call to be timed; its
`main` is a parser of `arguments`, and `race`. The sides' processes are the benchmark itself with
`--side`, which answers every line it reads with the seconds of one call, and at the end with the
most memory that it had.
"""

import argparse
import math
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

Call = Callable[[], object]

WARM_UP = 2
# How a benchmark calls PyTorch's side, and the same side through `torch.compile`.
PYTORCH = TORCH, COMPILED = "torch", "compiled"
ROOT = Path(__file__).resolve().parents[1]


def arguments(description: str, peer: str, rounds: int) -> argparse.ArgumentParser:
    """The parser of a benchmark whose side `peer` may live in another environment."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument(f"--python-with-{peer}", dest="peer_python", default=sys.executable)
    parser.add_argument("--only", nargs="+", metavar="SIDE", help="race these sides alone")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    return parser


class Race(NamedTuple):
    """What a race measured.

    Attributes:
        seconds: of every counted call of every side, round by round.
        memory: the most that the process of a side held, in bytes; NaN where no system tells it.
    """

    seconds: dict[str, list[float]]
    memory: dict[str, float]


def race(
    benchmark: str,
    sides: Mapping[str, Callable[[], Call]],
    peers: Collection[str],
    given: argparse.Namespace,
) -> Race:
    """Race the sides of a benchmark as its command line asks for.

    Args:
        benchmark: the module's name.
        sides: what prepares each side.
        peers: sides that are left out where they cannot be prepared: they may not be installed.
        given: what the parser of `arguments` read.
    """
    if given.side:
        _serve(sides[given.side]())
        sys.exit()
    if unknown := set(given.only or ()) - set(sides):
        sys.exit(f"no side {', '.join(sorted(unknown))}: there are {', '.join(sides)}")
    pythons = {
        side: given.peer_python if side in peers else sys.executable for side in given.only or sides
    }
    return take_turns(benchmark, pythons, peers, rounds=given.rounds, arguments=sys.argv[1:])


def take_turns(
    benchmark: str,
    pythons: Mapping[str, str],
    peers: Collection[str],
    *,
    rounds: int,
    arguments: Sequence[str] = (),
) -> Race:
    """Race sides, each by its own interpreter, in processes `BENCHMARK ARGUMENTS --side SIDE`."""
    running = {}
    for side, python in pythons.items():
        process = subprocess.Popen(
            [python, "-m", f"benchmarks.{benchmark}", *arguments, "--side", side],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if side in peers else None,
            text=True,
        )
        if process.stdout.readline():
            running[side] = process
        elif side in peers:
            print(f"{side} is left out: {python} could not prepare it", file=sys.stderr)
        else:
            raise RuntimeError(f"{side} ended with exit code {process.wait()}")
    seconds = {side: [] for side in running}
    for _ in range(rounds):
        for side, process in running.items():
            print(file=process.stdin, flush=True)
            seconds[side].append(float(process.stdout.readline()))
    memory = {side: float(process.communicate()[0]) for side, process in running.items()}
    return Race(seconds, memory)


def on_the_gpu() -> None:
    """Have PyTorch make its tensors and networks on a GPU where there is one, with TF32 products.

    XLA multiplies so by default; PyTorch has to be told.
    """
    import torch

    if torch.cuda.is_available():
        torch.set_default_device("cuda")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True


def compiled(network):
    """A network of PyTorch through `torch.compile`, for arrays of the shapes that come."""
    import torch

    return torch.compile(network, dynamic=False)


def _finished(call: Call) -> Call:
    """A call that waits for what PyTorch has started on a GPU."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return call

    def waited():
        call()
        torch.cuda.synchronize()

    return waited


def _serve(call: Call) -> None:
    call = _finished(call)
    for _ in range(WARM_UP):
        call()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        call()
        print(time.perf_counter() - start, flush=True)
    print(most_memory())


def most_memory() -> float:
    """The most bytes that this process held so far, as Linux tells it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return math.nan
    (kibibytes,) = re.findall(r"VmHWM:\s+(\d+) kB", status.read_text())
    return 1024.0 * int(kibibytes)


def quartiles(over: Sequence[float], under: Sequence[float]) -> tuple[float, float, float]:
    """Of the ratios within rounds: the low quartile, the median, the high one."""
    ratios = [a / b for a, b in zip(over, under, strict=True)]
    if len(ratios) == 1:
        ratios *= 2
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return low, middle, high


def table(seconds: Mapping[str, list[float]]) -> None:
    """Print the sides' times, and how many times as fast the first one is as each of them."""
    first = next(iter(seconds))
    print(f"{'side':10} {'ms':>8} {'time / that of ' + first:>22}")
    for side, values in seconds.items():
        low, middle, high = quartiles(values, seconds[first])
        print(
            f"{side:10} {1000 * statistics.median(values):8.0f} "
            f"{middle:8.2f} ({low:.2f} to {high:.2f})"
        )
