"""Does the input pipeline of detectors keep up with the training step?

    python -m benchmarks.detector
    python -m benchmarks.detector --arch resnet_small --side 64

Images a second of both. Decoded 8-bit images in memory, 256/224 times as large as the crops, are
blurred and compressed with probability 1/2 each, mirrored and cropped; the step trains the network
on such batches. The two are measured in turns, each with the cores to itself; in training on a CPU
they share the cores.
"""

import argparse
import statistics
import time

import jax
import numpy as np

from gan_forensics.data import ArraySource, Batches
from gan_forensics.forensics.neural import make_network
from gan_forensics.forensics.neural_parts import RealAndFake
from gan_forensics.forensics.neural_training import (
    NETWORK,
    DetectorConfig,
    detector_update,
    initial_variables,
)
from gan_forensics.runtime import data_mesh, jit_step, keep_scratch_memory, random_key, to_mesh
from gan_forensics.train import init_state, make_step


def measure(arch: str, side: int, batch: int, rounds: int) -> dict[str, list[float]]:
    """Images a second of pipeline and step, round by round."""
    keep_scratch_memory()
    config = DetectorConfig(arch=arch, crop=side, batch_size=batch, seed=0)
    stored = round(side * 256 / 224)
    rng = np.random.default_rng(0)
    sources = (
        ArraySource(image=rng.integers(0, 256, (4 * batch, stored, stored, 3), np.uint8))
        for _ in range(2)
    )
    batches = Batches(
        RealAndFake(*sources),
        batch_size=batch,
        seed=0,
        transform=config.augmentation.transform,
    )
    params, stats = initial_variables(config)
    updates = (detector_update(make_network(config.arch, config.settings)),)
    mesh = data_mesh()
    step = jit_step(make_step(updates), mesh)
    state = init_state(updates, {NETWORK: params}, {NETWORK: stats})
    given = to_mesh(jax.tree.map(lambda x: x[None], next(batches)), mesh)
    key = random_key(0)
    for _ in range(2):  # The first one compiles; the second one knows where its own result lies.
        state, _ = step(state, given, key)

    rates: dict[str, list[float]] = {"pipeline": [], "step": []}
    for _ in range(rounds):
        for _ in range(4):  # What was made ahead while the step ran does not count.
            next(batches)
        start = time.perf_counter()
        for _ in range(4):
            next(batches)
        rates["pipeline"].append(4 * batch / (time.perf_counter() - start))
        time.sleep(1)
        start = time.perf_counter()
        state, metrics = step(state, given, key)
        jax.block_until_ready((state, metrics))
        rates["step"].append(batch / (time.perf_counter() - start))
    batches.close()
    return rates


def main() -> None:
    """Measure both in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="resnet50")
    parser.add_argument("--side", type=int, default=224, help="of the crops")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    rates = measure(given.arch, given.side, given.batch, given.rounds)
    print(f"{'':10} {'images/s':>9} {'times the step':>15}")
    for name, values in rates.items():
        ratios = [v / s for v, s in zip(values, rates["step"], strict=True)]
        print(f"{name:10} {statistics.median(values):9.1f} {statistics.median(ratios):15.2f}")


if __name__ == "__main__":
    main()
