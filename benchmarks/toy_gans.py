"""Steps of GANs on points: neighbour embedding beside Dist-GAN, and seeds in turn beside one batch.

    python -m benchmarks.toy_gans [--seeds 8]

On the 9-mode grid, width 64, batch 128, one discriminator move a step. A step of neighbour
embedding is to cost at most 1.5 of Dist-GAN's. Whether seeds are better trained as one batch
depends on the backend: each row says what a step of one seed costs, without compiling, which has a
column of its own. Every number is the best of several runs, in one process.
"""

import argparse
import time
from collections.abc import Iterator

import jax
import numpy as np

from gan_forensics.data.toy_points import WORLDS
from gan_forensics.experiments.gn_gan_arms import groups
from gan_forensics.gans import GanConfig
from gan_forensics.train import train_seeds

WORLD, BATCH, STEPS = "toy:grid9", 128, 200
GROUPS = ("gan", "distance", "neighbours", "neighbours_matching")


def minibatches(seed: int) -> Iterator[dict[str, np.ndarray]]:
    """Points of the world."""
    data = WORLDS[WORLD].sample(18_000, seed=0).arrays["point"]
    rng = np.random.default_rng(seed)
    while True:
        yield {"point": data[rng.integers(len(data), size=BATCH)]}


def measure(group: str, seeds: int, *, batched: bool, repeats: int = 4) -> tuple[float, float]:
    """Milliseconds a step and seed, and seconds of the first run beside a later one: compiling."""
    config = GanConfig("dist-gan", data=WORLD, width=64, n_dis=1, batch_size=BATCH)
    learner = groups(config)[group].gan.learner
    times = []
    for _ in range(1 + repeats):
        start = time.perf_counter()
        train_seeds(
            learner,
            minibatches,
            seeds=range(seeds),
            steps=STEPS,
            batched=batched,
            metrics=("generator/loss",),
        )
        times.append(time.perf_counter() - start)
    return min(times[1:]) / STEPS / seeds * 1e3, times[0] - min(times[1:])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=8)
    seeds = parser.parse_args().seeds
    print(f"{WORLD}, float32, {jax.default_backend()}")
    print(f"{'arm':22} {'ms a step':>10} {'of distance':>12} {'compiling s':>12}")
    alone = {group: measure(group, 1, batched=False) for group in GROUPS}
    for group, (step, compiling) in alone.items():
        print(f"{group:22} {step:10.2f} {step / alone['distance'][0]:12.2f} {compiling:12.1f}")
    print(f"\n{seeds} seeds{'':14} {'in turn ms':>11} {'batched ms':>11} {'gain':>6}  compiling s")
    for group in GROUPS:
        (turn, first), (batch, second) = (
            measure(group, seeds, batched=batched) for batched in (False, True)
        )
        print(
            f"{group:22} {turn:11.2f} {batch:11.2f} {turn / batch:6.2f}  {first:.1f}, {second:.1f}"
        )


if __name__ == "__main__":
    main()
