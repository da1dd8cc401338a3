"""Speed of the quality metrics: the Frechet distance, and the Inception network.

    python -m benchmarks.quality
    python -m benchmarks.quality --python-with-torch other/venv/bin/python

The distance is between two covariances of full rank with 2048 features, beside the formula through
`scipy.linalg.sqrtm`. The network takes images of 32x32 from uint8 to features, beside the same
network in PyTorch (eager, inference mode), in batches of 16; every side runs in a process of its
own, in turns, so that drift of the machine falls on both alike.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

FEATURES, SAMPLES = 2048, 4096
BATCH, WARM_UP, COUNTED = 16, 2, 5
SIDES = ("ours", "torch")


def frechet(rounds: int) -> None:
    """Print the seconds of both ways to the Frechet distance, and how far their values differ."""
    import numpy as np
    import scipy.linalg

    from gan_forensics.quality import frechet_distance

    rng = np.random.default_rng(0)
    sets = []
    for decay in (300, 250):
        # Features of a network have a falling spectrum.
        scale = np.exp(-np.arange(FEATURES) / decay) + 1e-2
        values = np.abs(rng.standard_normal((SAMPLES, FEATURES)) * scale[None, :])
        sets.append((values.mean(0), np.cov(values.T)))
    (m1, s1), (m2, s2) = sets

    def textbook() -> float:
        root = scipy.linalg.sqrtm(s1 @ s2)
        return float(((m1 - m2) ** 2).sum() + np.trace(s1 + s2 - 2 * np.real(root)))

    seconds: dict[str, list[float]] = {"ours": [], "sqrtm": []}
    values = {}
    for _ in range(rounds):
        for name, run in (("ours", lambda: frechet_distance(m1, s1, m2, s2)), ("sqrtm", textbook)):
            start = time.perf_counter()
            values[name] = run()
            seconds[name].append(time.perf_counter() - start)
    ratios = [t / o for t, o in zip(seconds["sqrtm"], seconds["ours"], strict=True)]
    print(f"Frechet distance, {FEATURES} features, float64")
    for name, each in seconds.items():
        print(f"  {name:6} {statistics.median(each):8.2f} s   value {values[name]:.10g}")
    print(
        f"  sqrtm / ours: {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"
    )


def ours() -> list[float]:
    """Seconds for each batch of the project's own network."""
    import jax
    import numpy as np

    from gan_forensics.nn.inception import InceptionV3, inception_input
    from gan_forensics.train import keep_scratch_memory

    keep_scratch_memory()
    network = InceptionV3()
    image = jax.ShapeDtypeStruct((1, 75, 75, 3), np.float32)
    shapes = jax.eval_shape(network.init, jax.random.key(0), image)
    rng = np.random.default_rng(0)
    # Any weights serve; variances must be positive.
    variables = jax.tree.map(
        lambda s: np.abs(0.03 * rng.standard_normal(s.shape)).astype(np.float32), shapes
    )
    run = jax.jit(lambda variables, images: network.apply(variables, inception_input(images)))
    variables = jax.device_put(variables)
    images = rng.integers(0, 256, (BATCH, 32, 32, 3), np.uint8)
    seconds = []
    for _ in range(WARM_UP + COUNTED):
        start = time.perf_counter()
        jax.block_until_ready(run(variables, images))
        seconds.append(time.perf_counter() - start)
    return seconds[WARM_UP:]


def pytorch() -> list[float]:
    """Seconds for each batch of the twin in PyTorch."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import torch

    from tests.twins_torch import inception_twin

    network = inception_twin()
    images = torch.randint(0, 256, (BATCH, 3, 32, 32), dtype=torch.uint8)
    seconds = []
    with torch.inference_mode():
        for _ in range(WARM_UP + COUNTED):
            start = time.perf_counter()
            # PyTorch's own bilinear resize, which costs as much as TensorFlow's.
            resized = torch.nn.functional.interpolate(images.float(), (299, 299), mode="bilinear")
            network((resized - 128) / 128)
            seconds.append(time.perf_counter() - start)
    return seconds[WARM_UP:]


def inception(rounds: int, python_with_torch: str) -> None:
    """Print the throughput of both sides."""
    medians: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side in SIDES:
            python = python_with_torch if side == "torch" else sys.executable
            command = [python, __file__, "--side", side]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode == 0:
                seconds = json.loads(result.stdout.splitlines()[-1])
                medians[side].append(statistics.median(seconds))
            elif side != "torch":
                sys.exit(result.stderr)
    print(f"Inception, batches of {BATCH}, float32")
    for side, values in medians.items():
        if not values:
            print(f"  {side:6} not installed")
            continue
        ratios = [v / o for v, o in zip(values, medians["ours"], strict=True)]
        print(
            f"  {side:6} {BATCH / statistics.median(values):8.2f} images/s   speed of ours / "
            f"{side}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )


def main() -> None:
    """Run both and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python-with-torch", default=sys.executable)
    parser.add_argument("--only", choices=("frechet", "inception"))
    parser.add_argument("--side", choices=SIDES, help="run one side and print its seconds")
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps({"ours": ours, "torch": pytorch}[arguments.side]()))
        return
    if arguments.only != "frechet":
        inception(arguments.rounds, arguments.python_with_torch)
    if arguments.only != "inception":
        frechet(arguments.rounds)


if __name__ == "__main__":
    main()
