"""Speed of the quality metrics: the Frechet distance, and the Inception network.

    python -m benchmarks.quality
    python -m benchmarks.quality --python-with-torch other/venv/bin/python

The distance is between two covariances of full rank with 2048 features, beside the formula through
`scipy.linalg.sqrtm`. The network takes images of 32x32 from uint8 to features, beside the same
network in PyTorch (eager, inference mode), in batches of 16. Sides take turns call by call.
"""

import time

from benchmarks import in_turns
from gan_forensics.runtime import random_key

FEATURES, SAMPLES = 2048, 4096
BATCH = 16


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
    print(f"Frechet distance, {FEATURES} features, float64: {values}")
    in_turns.table(seconds)


def ours() -> in_turns.Call:
    """A batch of the project's own network."""
    import jax
    import numpy as np

    from gan_forensics.nn.inception import InceptionV3, inception_input
    from gan_forensics.runtime import keep_scratch_memory

    keep_scratch_memory()
    network = InceptionV3()
    image = jax.ShapeDtypeStruct((1, 75, 75, 3), np.float32)
    shapes = jax.eval_shape(network.init, random_key(0), image)
    rng = np.random.default_rng(0)
    # Any weights serve; variances must be positive.
    variables = jax.tree.map(
        lambda s: np.abs(0.03 * rng.standard_normal(s.shape)).astype(np.float32), shapes
    )
    run = jax.jit(lambda variables, images: network.apply(variables, inception_input(images)))
    variables = jax.device_put(variables)
    images = rng.integers(0, 256, (BATCH, 32, 32, 3), np.uint8)
    return lambda: jax.block_until_ready(run(variables, images))


def pytorch() -> in_turns.Call:
    """A batch of the twin in PyTorch."""
    import torch

    in_turns.on_the_gpu()

    from tests.twins_torch import inception_twin

    network = inception_twin()
    images = torch.randint(0, 256, (BATCH, 3, 32, 32), dtype=torch.uint8)

    @torch.inference_mode()
    def call():
        # PyTorch's own bilinear resize, which costs as much as TensorFlow's.
        resized = torch.nn.functional.interpolate(images.float(), (299, 299), mode="bilinear")
        network((resized - 128) / 128)

    return call


def main() -> None:
    """Run both and print the tables."""
    given = in_turns.arguments(__doc__, "torch", rounds=5).parse_args()
    seconds = in_turns.race("quality", {"ours": ours, "torch": pytorch}, ("torch",), given).seconds
    print(f"Inception, a batch of {BATCH}, float32")
    in_turns.table(seconds)
    frechet(given.rounds)


if __name__ == "__main__":
    main()
