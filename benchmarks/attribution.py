"""Images a second that an attributor scores, and that RepMix's step trains on, beside its network.

    python -m benchmarks.attribution [--arch resnet_small] [--side 32] [--batch 64] [--rounds 7]

In turns, medians over the rounds, each as a ratio to a plain forward pass of the same images:
scoring from 8-bit images to probabilities (host work and padding included), a training step of
RepMix, and one of its network without mixing, gate and detection loss on as many images.
"""

import argparse
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from gan_forensics.forensics import attribution_networks as networks
from gan_forensics.forensics.attribution_config import AttributionConfig
from gan_forensics.forensics.attribution_networks import NETWORKS, NeuralModel
from gan_forensics.runtime import data_mesh, jit, jit_step, keep_scratch_memory, random_key, to_mesh
from gan_forensics.train import init_state, make_step, supervised_update

CLASSES = 8


def training(config: AttributionConfig, side: int, batch: int):
    """A function that makes one step and waits for it."""
    row, choices = NETWORKS[config.method], config.choices
    network = row.make(CLASSES, side, choices)
    variables = networks.start(network, 0, side)
    update = supervised_update(
        "attributor", network, lambda said, batch: row.loss(said, batch, 0, choices),
        row.optimizer(None, 100, choices), call=networks.call(config.method, choices, {}),
    )  # fmt: skip
    mesh, count = data_mesh(), 2 if row.mixes else 1
    rng = np.random.default_rng(0)
    one = {
        "image": rng.uniform(-1, 1, (batch, side, side, 3)).astype(np.float32),
        "label": rng.integers(CLASSES, size=(batch // count, count)),
        "weight": np.full((batch // count, count), 1 / count, np.float32),
    }
    given = to_mesh(jax.tree.map(lambda x: x[None], one), mesh)
    step, key = jit_step(make_step((update,)), mesh), random_key(0)
    params = {"attributor": variables.pop("params")}
    state = [init_state((update,), params, {"attributor": variables})]

    def run():
        state[0], metrics = step(state[0], given, key)
        jax.block_until_ready((state[0], metrics))

    return run


def main() -> None:
    """Measure in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--arch", default="resnet_small")
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    keep_scratch_memory()
    side, batch = arguments.side, arguments.batch
    config = AttributionConfig(arch=arguments.arch)
    network = NETWORKS["repmix"].make(CLASSES, side, config.choices)
    variables = networks.start(network, 0, side)
    model = NeuralModel("repmix", CLASSES, 0, side, config.choices, variables)
    images = np.random.default_rng(0).integers(0, 256, (batch, side, side, 3), np.uint8)
    floats = jnp.asarray(networks.as_floats(images))
    forward = jit(lambda v, x: network.apply(v, x, train=False))
    plain = AttributionConfig(method="resnet", arch=arguments.arch)
    jobs = {
        "forward": lambda: jax.block_until_ready(forward(variables, floats)),
        "scoring": lambda: model.outputs(images),
        "step of RepMix": training(config, side, batch),
        "step of the plain network": training(plain, side, batch),
    }
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for attempt in range(arguments.rounds + 2):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if attempt > 1:  # The first one compiles; the second one knows where its result lies.
                times[name].append(time.perf_counter() - start)
    print(f"{arguments.arch}, {side}x{side}, {batch} images at once")
    print(f"{'':26} {'images/s':>9} {'times a forward pass':>21}")
    for name, each in times.items():
        ratios = [a / b for a, b in zip(each, times["forward"], strict=True)]
        rate = batch / statistics.median(each)
        print(f"{name:26} {rate:9.0f} {statistics.median(ratios):21.2f}")


if __name__ == "__main__":
    main()
