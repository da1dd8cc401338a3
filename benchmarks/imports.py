"""What it costs to import an area, beside the libraries that it stands on.

    python -m benchmarks.imports [--turns 5]

Each import is a process of its own; seconds are the least of all turns, which alternate. Bytecode
is kept, as it is where a package is installed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time

from benchmarks.in_turns import ROOT

SPECTRA, TRAINING = "jax, numpy, matplotlib", "jax, flax, optax"
BESIDE = {
    "spectra": SPECTRA,
    "data": SPECTRA,
    "nn": TRAINING,
    "train": TRAINING,
    "gans": TRAINING,
    "quality": TRAINING,
    "forensics": TRAINING,
    "explain": TRAINING,
    "distill": TRAINING,
    "report": f"{TRAINING}, matplotlib.figure",
    "anomaly": f"{TRAINING}, sklearn.base",
}


def seconds(modules: str, cache: str) -> float:
    """How long a process takes that imports modules."""
    unset = "PYTHONDONTWRITEBYTECODE"
    own = {name: value for name, value in os.environ.items() if name != unset}
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", f"import {modules}"],
        cwd=ROOT,
        env={**own, "PYTHONPYCACHEPREFIX": cache},
        check=True,
    )
    return time.perf_counter() - start


def main() -> None:
    """Print a row for every area."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=5)
    turns = parser.parse_args().turns
    areas = {f"gan_forensics.{area}": beside for area, beside in BESIDE.items()}
    wanted = [*dict.fromkeys(areas.values()), *areas]
    with tempfile.TemporaryDirectory() as cache:
        for modules in wanted:
            seconds(modules, cache)
        rounds = [[seconds(modules, cache) for modules in wanted] for _ in range(turns)]
    least = dict(zip(wanted, map(min, zip(*rounds, strict=True)), strict=True))
    print(f"{'import':26} {'s':>5}  {'beside':40} {'s':>5} {'ratio':>6}")
    for area, beside in areas.items():
        ratio = least[area] / least[beside]
        print(f"{area:26} {least[area]:5.2f}  {beside:40} {least[beside]:5.2f} {ratio:6.2f}")


if __name__ == "__main__":
    main()
