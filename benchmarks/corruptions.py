"""Images a second and core of every corruption beside Pillow's JPEG; workers that feed a step.

    python -m benchmarks.corruptions [--sides 224 32] [--rounds 5] [--images 64] [--seconds 0.25]

Seconds of the processor are counted, which others on a machine do not stretch. A round takes every
kind and severity in turn, each between two runs of JPEG of quality 75; the ratio is that of its
time to the mean of both, and printed are medians over the rounds. No corruption may take longer
than 150 ms for an image of 224 pixels: the program exits with 1 where one does. The workers are
those of the random corruption that RepMix trains with, whose mean over kinds and severities counts,
for steps of so many images and seconds. Frost has its computed texture unless the photographs are
installed.
"""

import argparse
import math
import statistics
import sys
import time
from collections.abc import Sequence

import numpy as np

from gan_forensics.data import power_law_textures
from gan_forensics.data.augment import jpeg
from gan_forensics.data.corruptions import (
    CORRUPTIONS,
    SEVERITIES,
    TRAIN_CORRUPTIONS,
    corrupt,
)
from gan_forensics.data.perturbations import RandomCorruption, at_hand

MOST_MILLISECONDS = 150


def seconds(call) -> float:
    """Of the processor, for one call."""
    start = time.process_time()
    call()
    return time.process_time() - start


def measure(
    kinds: Sequence[str], side: int, rounds: int
) -> dict[tuple[str, int], tuple[float, float]]:
    """For every kind and severity the milliseconds of an image, and their ratio to JPEG's."""
    image = power_law_textures(1, side, exponent=1.2, seed=0)[0]
    times: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for attempt in range(rounds + 1):
        rng = np.random.default_rng(attempt)
        for kind in kinds:
            for severity in SEVERITIES:
                before = seconds(lambda: jpeg(image, 75))
                took = seconds(lambda k=kind, s=severity, r=rng: corrupt(image, k, s, r))
                beside = (before + seconds(lambda: jpeg(image, 75))) / 2
                if attempt:  # The first one fills caches and imports.
                    times.setdefault((kind, severity), []).append((1e3 * took, took / beside))
    return {
        name: (statistics.median(t for t, _ in each), statistics.median(r for _, r in each))
        for name, each in times.items()
    }


def main() -> None:
    """Print the tables and the workers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[224, 32])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=64, help="of a step")
    parser.add_argument("--seconds", type=float, default=0.25, help="of a step")
    given = parser.parse_args()
    kinds, trained = (at_hand(tuple(names))[0] for names in (CORRUPTIONS, TRAIN_CORRUPTIONS))
    slow = []
    for side in given.sides:
        found = measure(kinds, side, given.rounds)
        print(f"\n{side} pixels: images a second and core by severity; time / that of JPEG")
        for kind in kinds:
            each = [found[kind, severity] for severity in SEVERITIES]
            rates = "".join(f"{1e3 / ms:8.0f}" for ms, _ in each)
            ratios = "".join(f"{ratio:7.1f}" for _, ratio in each)
            print(f"  {kind:<19}{rates}  {ratios}")
        if side == 224:
            slow = [name for name, (ms, _) in found.items() if ms > MOST_MILLISECONDS]
        share = RandomCorruption(("contrast",)).probability
        mean = share * statistics.mean(found[kind, s][0] for kind in trained for s in SEVERITIES)
        workers = math.ceil(given.images * mean / 1e3 / given.seconds)
        print(
            f"  random corruption of training: {1e3 / mean:.0f} images a second and core; "
            f"{workers} workers feed {given.images} images every {given.seconds:g} s"
        )
    if slow:
        sys.exit(f"over {MOST_MILLISECONDS} ms an image of 224 pixels: {slow}")


if __name__ == "__main__":
    main()
