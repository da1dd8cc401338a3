"""What transformed pairs and penalties cost: DAG and R3GAN beside the GANs that they stand on.

    python -m benchmarks.augmentation [--batch 64] [--width 32] [--rounds 5]

DAG with n transforms takes n - 1 further passes of the discriminator for real and generated images
in its own move, and for generated ones in the generator's. Counted by XLA's cost analysis, a step
is to need at most 1.05 of the base's operations and those of these passes. R3GAN's move of the
discriminator is to take at most 1.6 of that of the same loss without penalties. Times are of whole
steps, in turns, with the quartiles of the ratios.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from gan_forensics.gans import Gan, GanConfig, build, init
from gan_forensics.runtime import random_key
from gan_forensics.train import init_state, make_step

SIZE = 32


def batch_of(gan: Gan, batch: int) -> dict[str, jax.Array]:
    """One minibatch of noise for every move of a step."""
    shape = (1, batch, SIZE, SIZE, 3)
    return {"image": jax.random.uniform(random_key(1), shape, jnp.float32, -1.0)}


def operations(function: Callable, *arguments: Any) -> float:
    """Floating point operations of a compiled function, as XLA counts them."""
    counted: Any = jax.jit(function).lower(*arguments).compile().cost_analysis()
    return float((counted[0] if isinstance(counted, list) else counted)["flops"])


def extra_passes(gan: Gan, batch: int) -> float:
    """Operations of one further pass for the real and generated images of a step's moves."""
    params, stats = init(gan)
    network = gan.discriminator
    images = jnp.zeros((batch, SIZE, SIZE, 3))

    def logits(params, images):
        variables = {"params": params, **stats["discriminator"]}
        out, _ = network.apply(variables, images, train=True, mutable=[*stats["discriminator"]])
        return jnp.sum(out if isinstance(out, jax.Array) else out.logits)

    both = jnp.concatenate([images, images])
    own = operations(jax.value_and_grad(logits), params["discriminator"], both)
    through = operations(jax.value_and_grad(logits, 1), params["discriminator"], images)
    return own + through


def prepared(gan: Gan, batch: int, only: str | None = None) -> Callable[[], Any]:
    """A call of a step, or of the move of one player."""
    updates = tuple(u for u in gan.updates if only in (None, u.name))
    state = init_state(updates, *init(gan))
    data = jax.tree.map(
        lambda x: jnp.repeat(x, 2 if gan.updates[0].own_minibatches else 1, 0), batch_of(gan, batch)
    )
    step = jax.jit(make_step(updates))
    return lambda: jax.block_until_ready(step(state, data, random_key(0)))


def ratios(sides: dict[str, Callable[[], Any]], rounds: int) -> dict[str, tuple[float, str]]:
    """Milliseconds of every side, and its ratio to the first in the same round with quartiles."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for call in sides.values():
        call()
    for _ in range(rounds):
        for name, call in sides.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    first = next(iter(times.values()))
    found = {}
    for name, own in times.items():
        of = sorted(a / b for a, b in zip(own, first, strict=True))
        low, middle, high = statistics.quantiles(of, n=4)
        found[name] = (statistics.median(own) * 1e3, f"{middle:.2f} ({low:.2f} to {high:.2f})")
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    config = GanConfig("dcgan", size=SIZE, width=given.width, norm="none")
    base = build(config)
    print(f"DCGAN-{SIZE}, width {given.width}, batch {given.batch}, {jax.default_backend()}")
    print(f"{'augmentation':28} {'passes':>6} {'GFLOP':>7} {'of bound':>9} {'ms':>7}  ratio")
    pairs = extra_passes(base, given.batch)
    arms = {
        "none": (None, None, 0),
        "dag rotation": ("dag", "rotation", 3),
        "dag rotation, crop": ("dag", "rotation,crop", 7),
        "diffaugment": ("diffaugment", None, 0),
        "ada": ("ada", None, 0),
        "bcr": ("bcr", None, 1),
    }
    gans = {
        name: build(replace(config, augment=augment, transforms=transforms))
        for name, (augment, transforms, _) in arms.items()
    }
    counts = {}
    for name, gan in gans.items():
        state = init_state(gan.updates, *init(gan))
        arguments = (state, batch_of(gan, given.batch), random_key(0))
        counts[name] = operations(make_step(gan.updates), *arguments)
    measured = ratios({n: prepared(g, given.batch) for n, g in gans.items()}, given.rounds)
    for name, (_, _, passes) in arms.items():
        bound = counts["none"] + passes * pairs
        share = f"{counts[name] / bound:9.3f}" if passes != 1 else f"{'':9}"
        took, ratio = measured[name]
        print(f"{name:28} {passes:6} {counts[name] / 1e9:7.2f} {share} {took:7.1f}  {ratio}")

    sides = {
        name: prepared(build(replace(config, method=method, norm="none")), given.batch, only)
        for name, method, only in (
            ("non-saturating, D's move", "dcgan", "discriminator"),
            ("R3GAN, D's move", "r3gan", "discriminator"),
        )
    }
    print(f"\n{'move':28} {'ms':>7}  ratio (bound 1.6)")
    for name, (took, ratio) in ratios(sides, given.rounds).items():
        print(f"{name:28} {took:7.1f}  {ratio}")


if __name__ == "__main__":
    main()
