"""Experiments in small: as a user starts them, by shapes alone, and the least that is a study."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp

from gan_forensics.gans import build, init
from gan_forensics.studies import StudyConfig
from gan_forensics.train import init_state, make_step, minibatches_per_step

TINY_STUDY = StudyConfig(
    data="toy:powerlaw?n=160",
    size=16,
    tails=("BASELINE", "N.1.5"),
    steps=2,
    width=4,
    latent=8,
    batch_size=8,
    images=40,
    detectors=("durall-knn",),
    train_fraction=0.25,
    runs=2,
)


def command(module, *arguments):
    """Run an experiment in a process of its own, on the machine's own devices; what it printed."""
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    result = subprocess.run(
        [sys.executable, "-m", f"experiments.{module}", *map(str, arguments)],
        cwd=Path(__file__).parent.parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def step_fits_together(config):
    """A step of a GAN by shapes alone, as it must be; the number of parameters of each network."""
    gan = build(config)
    params, stats = jax.eval_shape(partial(init, gan))
    state = jax.eval_shape(partial(init_state, gan.updates), params, stats)
    count, side = minibatches_per_step(gan.updates), config.size
    shape = (count, config.batch_size, side, side, gan.config.channels)
    batch = {"image": jax.ShapeDtypeStruct(shape, jnp.float32)}
    key = jax.eval_shape(lambda: jax.random.key(0))
    after, metrics = jax.eval_shape(make_step(gan.updates), state, batch, key)
    before, then = (jax.tree.map(lambda x: (x.shape, x.dtype), tree) for tree in (state, after))
    assert before == then
    assert all(value.shape == () for value in metrics.values())
    return {name: sum(x.size for x in jax.tree.leaves(tree)) for name, tree in params.items()}


def tidy(rows, keys):
    """Rows with one seed each, of which no two are of the same seed and arm, with measures."""
    assert rows and all(type(row["seed"]) is int for row in rows)
    keys = keys.split()
    assert len({tuple(row[key] for key in keys) for row in rows}) == len(rows)
    measures = [{k: v for k, v in row.items() if k not in keys} for row in rows]
    assert all(any(isinstance(v, int | float) for v in row.values()) for row in measures)
