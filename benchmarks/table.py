"""One table of how fast everything is, in Markdown: beside peers, and beside what bounds it.

    python -m benchmarks.table --python-with-torch other/venv/bin/python --out table.md
    python -m benchmarks.table --only dcgan sngan --rounds 3

Six minutes on two cores with five rounds, without the rows `sngan` and `detector`, of which
PyTorch's compiler takes long at first. Sides of a row take turns in processes of their own; ratios
are medians within rounds, with their quartiles. The environment with PyTorch also needs zennit and
this project.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from benchmarks.in_turns import COMPILED, PYTORCH, ROOT, TORCH, quartiles, take_turns

HEAD = """| what | ours | beside | theirs | time, ours / theirs | memory, ours / theirs |
|---|---|---|---|---|---|
"""
IN_PYTORCH = {TORCH: "PyTorch, eager", COMPILED: "PyTorch, `torch.compile`"}


class Line(NamedTuple):
    """A line of the table: our seconds and those of a peer or limit, a ratio and its quartiles."""

    what: str
    ours: float
    beside: str
    theirs: float
    ratio: tuple[float, ...]
    memory: tuple[float, ...] = ()

    def __str__(self) -> str:
        low, middle, high = (f"{x:.2f}" for x in self.ratio) if self.ratio else ("", "", "")
        ratio = f"{middle} ({low} to {high})" if low != high else middle
        memory = " / ".join(f"{x / 2**20:.0f}" for x in self.memory)
        cells = (self.what, _shown(self.ours), self.beside, _shown(self.theirs), ratio, memory)
        return f"| {' | '.join(cells)} |"


def _shown(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1e3 * seconds:.3g} ms"


class Given(NamedTuple):
    """What the command line says: an interpreter with PyTorch, and at most so many rounds."""

    peer_python: str
    rounds: int


def raced(
    what: str,
    benchmark: str,
    beside: Mapping[str, str],
    given: Given,
    *,
    rounds: int,
    arguments: Iterable[str] = (),
    ours: str = "ours",
    peers: Iterable[str] = PYTORCH,
) -> list[Line]:
    """Lines of a benchmark whose sides take turns: `ours` beside each of the others, by name."""
    pythons = {
        side: given.peer_python if side in tuple(peers) else sys.executable
        for side in (ours, *beside)
    }
    race = take_turns(
        benchmark,
        pythons,
        tuple(peers),
        rounds=min(rounds, given.rounds),
        arguments=tuple(arguments),
    )
    own = race.seconds[ours]
    return [
        Line(
            what,
            statistics.median(own),
            beside[side],
            statistics.median(theirs),
            quartiles(own, theirs),
            (race.memory[ours], race.memory[side]),
        )
        for side, theirs in race.seconds.items()
        if side != ours
    ]


def dcgan(given: Given) -> list[Line]:
    """A training step."""
    what = "step of DCGAN-64, width 32, batch 64"
    return raced(what, "dcgan_step", IN_PYTORCH, given, rounds=12)


def sngan(given: Given) -> list[Line]:
    """A training step."""
    what = "step of SNGAN-32, widths 64 and 32, batch 64"
    return raced(what, "sngan_step", IN_PYTORCH, given, rounds=8)


def dist_gan(given: Given) -> list[Line]:
    """A training step."""
    what = "step of Dist-GAN, 32x32, width 32, batch 64"
    return raced(what, "dist_gan_step", IN_PYTORCH, given, rounds=12)


def detector(given: Given) -> list[Line]:
    """A training step."""
    what = "step of a ResNet-50 detector, 224x224, batch 4"
    return raced(what, "detector_step", IN_PYTORCH, given, rounds=5)


def transformer(given: Given) -> list[Line]:
    """A training step."""
    what = "step of a Transformer, 2 layers, 16 pairs of 24 tokens"
    return raced(what, "transformer_step", IN_PYTORCH, given, rounds=20)


def autoencoder(given: Given) -> list[Line]:
    """Training steps."""
    what = "20 steps of the adversarial autoencoder, batch 100"
    return raced(what, "autoencoder_step", IN_PYTORCH, given, rounds=8)


def pipeline(given: Given) -> list[Line]:
    """What the input pipeline of detectors takes beside their step."""
    from benchmarks.detector import measure

    rates = measure("resnet50", 224, 8, min(4, given.rounds))
    ours, step = ([1 / rate for rate in rates[name]] for name in ("pipeline", "step"))
    return [
        Line(
            "input pipeline of a detector, an image of 224x224",
            statistics.median(ours),
            "its share of a step of ResNet-50",
            statistics.median(step),
            quartiles(ours, step),
        )
    ]


def features(given: Given) -> list[Line]:
    """Inception features."""
    what = "Inception features, 16 images"
    beside = {TORCH: IN_PYTORCH[TORCH]}
    return raced(what, "quality", beside, given, rounds=4)


def precision_recall(given: Given) -> list[Line]:
    """Precision, recall, density and coverage."""
    what = "precision and recall of 2 x 4,000 features of 2,048, float64"
    beside = {"product": "one product of all pairs"}
    arguments = ("--samples", "4000")
    return raced(what, "precision_recall", beside, given, rounds=3, arguments=arguments)


def relevance(given: Given) -> list[Line]:
    """Relevance propagation."""
    what = "relevance at 53 convolutions of ResNet-50, batch 4"
    beside = {"plain": "forward and backward pass", "zennit": "zennit"}
    return raced(what, "relevance", beside, given, rounds=5, ours="relevance", peers=("zennit",))


def spectra(given: Given) -> list[Line]:
    """Radial spectra, the best of several runs."""
    from benchmarks.spectra import LOOP, measure

    times = {name: ms / 1e3 for name, ms in measure(128, 64, 9).items()}
    ours = times["log_spectrum_curve, gray"]
    fastest = min((s, name) for name, s in times.items() if ".rfft2" in name or ".fft2" in name)
    peers = ((times[LOOP], "NumPy, loop over images and rings"), (fastest[0], fastest[1]))
    what = "radial spectrum of a 128x128 image, of 64"
    return [Line(what, ours, name, theirs, (ours / theirs,) * 3) for theirs, name in peers]


def scoring(given: Given) -> list[Line]:
    """A folder of images, from files to a table of verdicts."""
    what = "scoring 32 JPEG files of 224x224 by a ResNet-50"
    beside = {"limit": "decoding and the network alone"}
    return raced(what, "scoring", beside, given, rounds=4)


def start_up(given: Given) -> list[Line]:
    """From the start of a process to the end of its first step, without a cache and with it."""
    from benchmarks.start_up import cold_and_warm

    lines = []
    for name in ("DCGAN-64", "SNGAN-32"):
        cold, warm = cold_and_warm(name)
        what = f"to the first step of {name}, compiled before"
        lines.append(Line(what, warm, "ours with an empty cache", cold, (warm / cold,) * 3))
    return lines


ROWS: dict[str, Callable[[Given], list[Line]]] = {
    row.__name__: row
    for row in (
        dcgan,
        sngan,
        dist_gan,
        detector,
        transformer,
        autoencoder,
        pipeline,
        features,
        precision_recall,
        relevance,
        spectra,
        scoring,
        start_up,
    )
}


def machine(peer_python: str) -> str:
    """Processor, memory and versions, in a paragraph."""
    import jax

    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if "model name" in line]
    processor = names[0].split(":")[1].strip() if names else platform.processor()
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    ask = "from importlib.metadata import version; print(version('torch'), version('zennit'))"
    found = subprocess.run([peer_python, "-c", ask], capture_output=True, text=True)
    torch, zennit = found.stdout.split() if found.returncode == 0 else ("none", "none")
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    return (
        f"{processor}, {os.cpu_count()} cores, {gibibytes:.0f} GiB, {jax.default_backend()}; "
        f"Python {platform.python_version()}, JAX {jax.__version__}, NumPy {version('numpy')}, "
        f"SciPy {version('scipy')}; PyTorch {torch}, zennit {zennit}; "
        f"commit {commit.stdout.strip()}; load {os.getloadavg()[0]:.1f} at the start."
    )


def main() -> None:
    """Print the table, and write it after every row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", metavar="ROW", choices=ROWS, help=", ".join(ROWS))
    parser.add_argument("--rounds", type=int, default=12, help="at most, in any row")
    parser.add_argument("--python-with-torch", dest="peer_python", default=sys.executable)
    parser.add_argument("--out", type=Path, help="a file for the table")
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds must be 1 or more")
    text = f"{machine(given.peer_python)}\n\n{HEAD}"
    print(text, end="", flush=True)
    failed = []
    for name in given.only or ROWS:
        try:
            lines = ROWS[name](Given(given.peer_python, given.rounds))
        except Exception as error:
            print(f"{name} is left out: {error}", file=sys.stderr, flush=True)
            failed.append(name)
            continue
        added = "".join(f"{line}\n" for line in lines)
        print(added, end="", flush=True)
        text += added
        if given.out:
            given.out.write_text(text, encoding="utf-8")
    if failed:
        sys.exit(f"rows that are left out: {', '.join(failed)}")


if __name__ == "__main__":
    main()
