"""One mesh with one axis, `data`: the same jitted step on one device, eight, or a pod.

Parameters are replicated, minibatches are split along their batch axis, and XLA inserts the
reductions; batch statistics therefore span the global batch.
"""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import PyTree

from gan_forensics.train.compiler import jit
from gan_forensics.train.update import Step


def data_mesh(devices=None) -> Mesh:
    """A mesh over the given devices (default: all of all processes) with the axis `data`."""
    return Mesh(np.asarray(jax.devices() if devices is None else devices), ("data",))


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding of parameters, statistics and optimiser states: a copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def split_batch(mesh: Mesh) -> NamedSharding:
    """The sharding of minibatches [minibatches, batch, ...]: the batch axis over the devices."""
    return NamedSharding(mesh, PartitionSpec(None, "data"))


def jit_step(step: Step, mesh: Mesh) -> Step:
    """Compile a step for a mesh; the state that goes in is donated to the one that comes out."""
    whole, split = replicated(mesh), split_batch(mesh)
    return jit(
        step,
        in_shardings=(whole, split, whole),
        out_shardings=(whole, whole),
        donate_argnums=0,
    )


def to_mesh(batches: PyTree, mesh: Mesh) -> PyTree:
    """Place this process's part [minibatches, batch / processes, ...] of the minibatches.

    Raises:
        ValueError: when the global batch cannot be split evenly over the devices.
    """
    sharding = split_batch(mesh)

    def place(values):
        size = values.shape[1] * jax.process_count()
        if size % mesh.size:
            raise ValueError(
                f"a batch of {size} cannot be split over {mesh.size} devices: "
                f"choose a batch size that is a multiple of {mesh.size}"
            )
        return jax.make_array_from_process_local_data(sharding, values)

    return jax.tree.map(place, batches)
