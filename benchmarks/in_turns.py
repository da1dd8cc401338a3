"""Sides of a benchmark that take turns call by call, each in a process of its own.

The speed of a shared machine moves by a third from minute to minute: only calls that follow each
other at once are compared. A round calls every side once; ratios are taken within rounds, and the
table gives their median and their quartiles. Two processes of the same code still differ by up to
12 % for as long as they live, however many rounds: near a bound, start the benchmark several times.

A benchmark has one function for each side, which prepares and returns the call to be timed; its
`main` is a parser of `arguments`, and `race`. The sides' processes are the benchmark itself with
`--side`, which answers every line it reads with the seconds of one call.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

Call = Callable[[], object]

WARM_UP = 2
ROOT = Path(__file__).resolve().parents[1]


def arguments(description: str, peer: str, rounds: int) -> argparse.ArgumentParser:
    """The parser of a benchmark whose side `peer` may live in another environment."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument(f"--python-with-{peer}", dest="peer_python", default=sys.executable)
    parser.add_argument("--only", nargs="+", metavar="SIDE", help="race these sides alone")
    parser.add_argument("--side", help=argparse.SUPPRESS)
    return parser


def race(
    benchmark: str, sides: Mapping[str, Callable[[], Call]], peer: str, given: argparse.Namespace
) -> dict[str, list[float]]:
    """The seconds of every counted call of every side, round by round.

    Args:
        benchmark: the module's name.
        sides: what prepares each side.
        peer: the side that is left out where it cannot be prepared: it may not be installed.
        given: what the parser of `arguments` read.
    """
    if given.side:
        _serve(sides[given.side]())
        sys.exit()
    if unknown := set(given.only or ()) - set(sides):
        sys.exit(f"no side {', '.join(sorted(unknown))}: there are {', '.join(sides)}")
    running = {}
    for side in given.only or sides:
        python = given.peer_python if side == peer else sys.executable
        process = subprocess.Popen(
            [python, "-m", f"benchmarks.{benchmark}", *sys.argv[1:], "--side", side],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if side == peer else None,
            text=True,
        )
        if process.stdout.readline():
            running[side] = process
        elif side == peer:
            print(f"{peer} is left out: {python} could not prepare it", file=sys.stderr)
        else:
            sys.exit(f"{side} ended with exit code {process.wait()}")
    seconds = {side: [] for side in running}
    for _ in range(given.rounds):
        for side, process in running.items():
            print(file=process.stdin, flush=True)
            seconds[side].append(float(process.stdout.readline()))
    for process in running.values():
        process.communicate()
    return seconds


def on_the_gpu() -> None:
    """Have PyTorch make its tensors and networks on a GPU where there is one, with TF32 products.

    XLA multiplies so by default; PyTorch has to be told.
    """
    import torch

    if torch.cuda.is_available():
        torch.set_default_device("cuda")
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True


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


def table(seconds: Mapping[str, list[float]]) -> None:
    """Print the sides' times, and how many times as fast the first one is as each of them."""
    first = next(iter(seconds))
    print(f"{'side':10} {'ms':>8} {'time / that of ' + first:>22}")
    for side, values in seconds.items():
        ratios = [v / o for v, o in zip(values, seconds[first], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
        print(
            f"{side:10} {1000 * statistics.median(values):8.0f} "
            f"{middle:8.2f} ({low:.2f} to {high:.2f})"
        )
