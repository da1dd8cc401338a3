"""Paper presets are real: what they train can be built, compiled for 8 devices and run."""

import importlib
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.paper_presets import (
    DEVICES,
    RATE,
    WITHOUT_TRAINING,
    jobs,
    on_one_device,
    resized,
    row,
)
from gan_forensics.runtime import data_mesh, random_key, replicated, to_mesh
from gan_forensics.train import minibatches_per_step
from gan_forensics.train.cost import lowered_step, step_cost
from tests.test_experiments_presets import EXPERIMENTS

JOBS = jobs()
# Simulated devices share the memory of one machine. Compiling fills none of it. A step is run where
# the states of all devices, at the step's end those before it beside those after, have this room.
ROOM = 6 * 2**30


def test_every_paper_preset_says_what_it_trains_or_why_nothing():
    repmix = importlib.import_module("gan_forensics.experiments.repmix")
    named = {
        module.__name__.rpartition(".")[2]
        for module in (*EXPERIMENTS, repmix)
        if "paper" in module.PRESETS
    }
    assert named == {job.experiment for job in JOBS} | WITHOUT_TRAINING.keys()
    assert not WITHOUT_TRAINING.keys() & {job.experiment for job in JOBS}
    assert len({(job.experiment, job.name) for job in JOBS}) == len(JOBS)


def test_hours_are_those_of_the_measured_rate():
    (job,) = (job for job in JOBS if job.name == "autoencoder of toy worlds")
    learner, batch = job.make()
    cost = step_cost(learner, batch)
    steps = 10**9
    found = row(job._replace(steps=steps))[2:]
    parameters, size, flops, memory, _, hours, trainings, whole = [
        float(cell.replace(",", "")) for cell in found
    ]
    assert (size, trainings) == (100, 60)
    assert flops == pytest.approx(cost.flops / 1e9, rel=1e-3)
    assert parameters == pytest.approx(sum(cost.parameters.values()) / 1e6, rel=1e-2)
    assert hours == pytest.approx(steps * cost.flops / 82e12 / 3600, rel=1e-2)
    assert whole == pytest.approx(60 * hours, rel=2e-2)
    assert pytest.approx(82e12) == RATE
    whole_on_each = sum(
        cost.memory[name] for name in ("parameters", "optimisers", "statistics", "gradients")
    )
    assert whole_on_each < on_one_device(cost) < cost.total + cost.memory["gradients"]
    assert memory == pytest.approx(on_one_device(cost) / 2**20, rel=1e-2)


@pytest.mark.slow
def test_the_rate_is_that_of_the_step_that_was_timed():
    (job,) = (job for job in JOBS if job.name == "SNGAN 32x32, none")
    assert step_cost(*job.make()).flops / 25e-3 == pytest.approx(RATE, rel=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.experiment}: {job.name}")
def test_a_paper_preset_compiles_for_eight_devices(job):
    learner, batch = job.make()
    mesh, size = data_mesh(jax.devices()[:DEVICES]), min(x.shape[0] for x in batch.values())
    # Some published batches do not divide by 8.
    batch = resized(batch, math.ceil(size / DEVICES) * DEVICES)
    cost = step_cost(learner, batch)
    compiled = lowered_step(learner, batch, mesh).compile()
    memory = compiled.memory_analysis()
    taken = memory.argument_size_in_bytes + memory.temp_size_in_bytes
    print(
        f"{job.experiment}, {job.name}: {sum(cost.parameters.values()):,} parameters, "
        f"{cost.flops / 1e9:.4g} GFLOP a step, {taken / 2**20:.0f} MiB on each device, at most "
        f"{on_one_device(cost) / 2**20:.0f} foretold"
    )
    assert taken < 1.1 * on_one_device(cost) + 2**20
    size = min(x.shape[0] for x in batch.values())
    params = {x.shape for x in jax.tree.leaves(jax.eval_shape(lambda: learner.start(0)).params)}
    assert not params & _gathered(compiled.as_text(), examples=size)


@pytest.mark.slow
@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.experiment}: {job.name}")
def test_a_paper_preset_makes_a_step(job):
    learner, batch = job.make()
    batch, mesh = resized(batch, DEVICES), data_mesh(jax.devices()[:DEVICES])
    shapes = jax.eval_shape(lambda: learner.start(0))
    held = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(shapes))
    if 2 * DEVICES * held > ROOM:
        pytest.skip(f"the states of {DEVICES} devices take {2 * DEVICES * held / 2**30:.1f} GiB")
    rng, count = np.random.default_rng(0), minibatches_per_step(learner.updates)

    def drawn(x):
        whole = np.issubdtype(x.dtype, np.integer)
        values = rng.integers(0, 2, (count, *x.shape)) if whole else rng.random((count, *x.shape))
        return values.astype(x.dtype)

    state = jax.device_put(jax.tree.map(np.array, learner.start(0)), replicated(mesh))
    key = jax.device_put(random_key(0), replicated(mesh))
    step = lowered_step(learner, batch, mesh).compile()
    state, metrics = step(state, to_mesh(jax.tree.map(drawn, batch), mesh), key)
    assert int(state.step) == 1
    assert all(jnp.isfinite(value).all() for value in metrics.values()), metrics


def _gathered(program: str, *, examples: int) -> set[tuple[int, ...]]:
    """The shapes that a compiled program gathers.

    What has an axis as long as the batch is taken for examples: losses of pairs gather them.
    """
    found = re.findall(r"\[([\d,]+)\]\S* all-gather\(", program)
    shapes = {tuple(map(int, shape.split(","))) for shape in found}
    return {shape for shape in shapes if len(shape) > 1 and examples not in shape}
