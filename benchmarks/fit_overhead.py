"""What `fit` costs beside the step itself, and whether its memory grows.

    python -m benchmarks.fit_overhead

The step is a small game on small images whose cost is set to about 20 ms; the same jitted step runs
in a bare loop on one minibatch and inside `fit` (shuffled minibatches, logs, checkpoints at the
end), in turns. The second part runs 10,000 steps of a tiny game and prints resident memory on the
way.
"""

import statistics
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_forensics.data import ArraySource, Batches
from gan_forensics.runtime import data_mesh, jit_step, keep_scratch_memory, random_key, to_mesh
from gan_forensics.train import Aux, Cadence, Learner, Update, fit, init_state, make_step

IMAGES = ArraySource(image=np.random.default_rng(0).integers(0, 256, (4096, 32, 32, 3), np.uint8))


def game(products: int) -> tuple[tuple[Update, ...], dict]:
    """One player that multiplies matrices `products` times a step."""

    def loss(trainable, frozen, stats, batch, key, step):
        y = batch["image"].reshape(64, -1)[:, :1024]
        for _ in range(products):
            y = jnp.tanh(y @ trainable["net"]["w"])
        return (y**2).mean(), Aux({}, {})

    w = jnp.asarray(np.random.default_rng(1).standard_normal((1024, 1024)) / 32, jnp.float32)
    return (Update("player", ("net",), loss, optax.sgd(1e-3)),), {"net": {"w": w}}


def bare(updates, params, steps: int) -> float:
    """Seconds per step of the step alone."""
    mesh = data_mesh()
    step = jit_step(make_step(updates), mesh)
    state = jax.tree.map(np.array, init_state(updates, params, {}))
    batch = next(Batches(IMAGES, batch_size=64, seed=0))
    batches = to_mesh(jax.tree.map(lambda x: x[None], batch), mesh)
    key = random_key(0)
    state, _ = step(state, batches, key)
    jax.block_until_ready(state)
    start = time.perf_counter()
    for _ in range(steps):
        state, metrics = step(state, batches, key)
        jax.block_until_ready(metrics)
    return (time.perf_counter() - start) / steps


def fitted(updates, params, steps: int) -> float:
    """Seconds per step inside `fit`, without compilation and without the checkpoint at the end."""
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        fit(
            Learner("game", {}, updates, lambda _: (params, {})),
            Batches(IMAGES, batch_size=64, seed=0),
            run=Path(folder) / "run",
            cadence=Cadence(steps + 20, log_every=50, evaluate_every=10),
            seed=0,
            evaluate=lambda state: times.append(time.perf_counter()) or {},
            progress=False,
        )
    # From step 10, when everything is compiled, to the last multiple of ten.
    return (times[-1] - times[0]) / (10 * (len(times) - 1))


def resident_megabytes() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def main() -> None:
    """Print both parts."""
    keep_scratch_memory()
    trial = 16
    products = max(1, round(trial * 0.020 / bare(*game(trial), 50)))
    updates, params = game(products)
    ratios, steps = [], 300
    for _ in range(5):
        alone, inside = bare(updates, params, steps), fitted(updates, params, steps)
        ratios.append(inside / alone)
        print(f"step alone {1000 * alone:.2f} ms, in fit {1000 * inside:.2f} ms")
    print(f"overhead of fit: {statistics.median(ratios) - 1:+.1%} (median of {len(ratios)})")

    updates, params = game(1)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            Learner("game", {}, updates, lambda _: (params, {})),
            Batches(IMAGES, batch_size=64, seed=0),
            run=Path(folder) / "run",
            cadence=Cadence(10_000, checkpoint_every=1000, evaluate_every=2000),
            seed=0,
            evaluate=lambda state: (
                print(f"step {int(state.step)}: {resident_megabytes():.0f} MB resident") or {}
            ),
            progress=False,
        )


if __name__ == "__main__":
    main()
