"""One mesh with one axis, `data`: the same jitted step on one device, eight, or a pod.

Parameters are replicated, minibatches are split along their batch axis, and XLA inserts the
reductions; batch statistics therefore span the global batch. What a step draws for every example
of a batch (noise, labels, mixes) is split likewise by `split_over_data`: XLA would draw, and
compute all that follows from it, on every device.
"""

import contextvars
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

from gan_forensics.runtime.compiler import jit
from gan_forensics.runtime.once import once_for_equal

_mesh: contextvars.ContextVar[Mesh | None] = contextvars.ContextVar("mesh traced for", default=None)


def data_mesh(devices=None) -> Mesh:
    """A mesh over the given devices with the axis `data`; by default over all of all processes.

    Those of a process lie side by side, so that its part of a batch does.

    Example:
        >>> import jax
        >>> mesh = data_mesh(jax.devices()[:1])
        >>> mesh.axis_names, mesh.size
        (('data',), 1)
    """
    if devices is None:
        devices = sorted(jax.devices(), key=lambda device: (device.process_index, device.id))
    return Mesh(np.asarray(devices), ("data",))


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding of parameters, statistics and optimiser states: a copy on every device.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import data_mesh, replicated
        >>> weights = jax.device_put(jnp.ones(3), replicated(data_mesh()))
        >>> weights.sharding.is_fully_replicated
        True
    """
    return NamedSharding(mesh, PartitionSpec())


def on_all(values: PyTree, mesh: Mesh) -> PyTree:
    """Copies of arrays on every device of a mesh; each process has the same values at hand.

    Unlike `jax.device_put`, which has the devices of several processes compare theirs.

    Example:
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import data_mesh, on_all
        >>> on_all({"kernel": jnp.ones(3)}, data_mesh())["kernel"].is_fully_replicated
        True
    """
    whole = replicated(mesh)
    if jax.process_count() == 1:
        return jax.device_put(values, whole)

    def place(array):
        if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
            implementation = jax.random.key_impl(array)
            return jax.random.wrap_key_data(place(jax.random.key_data(array)), impl=implementation)
        array = np.asarray(array)
        return jax.make_array_from_callback(array.shape, whole, lambda index: array[index])

    return jax.tree.map(place, values)


def local_copy(state: PyTree) -> PyTree:
    """What every device holds, as arrays of this process alone: the state itself, of one process.

    Example:
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import local_copy
        >>> local_copy({"kernel": jnp.ones(3)})["kernel"].shape
        (3,)
    """
    if jax.process_count() == 1:
        return state
    return jax.tree.map(lambda array: array.addressable_data(0), state)


def split_batch(mesh: Mesh) -> NamedSharding:
    """The sharding of minibatches [minibatches, batch, ...]: the batch axis over the devices."""
    return NamedSharding(mesh, PartitionSpec(None, "data"))


@once_for_equal
def jit_step(step: Callable, mesh: Mesh) -> Callable:
    """Compile a step (state, batches, key) -> (state, metrics) for a mesh.

    The state that goes in is donated to the one that comes out. A step is compiled once for a mesh.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> import numpy as np
        >>> from gan_forensics.runtime import data_mesh, jit_step, random_key, to_mesh
        >>> def step(state, batches, key):
        ...     return state + batches.sum(), {"mean": batches.mean()}
        >>> mesh = data_mesh(jax.devices()[:1])
        >>> batches = to_mesh(np.full((1, 4), 2, np.float32), mesh)
        >>> state, metrics = jit_step(step, mesh)(jnp.float32(1), batches, random_key(0))
        >>> float(state), float(metrics["mean"])
        (9.0, 2.0)
    """
    whole, split = replicated(mesh), split_batch(mesh)

    @functools.wraps(step)
    def traced(*arguments):
        token = _mesh.set(mesh)
        try:
            return step(*arguments)
        finally:
            _mesh.reset(token)

    return jit(
        traced,
        in_shardings=(whole, split, whole),
        out_shardings=(whole, whole),
        donate_argnums=0,
    )


def split_over_data(drawn: Array) -> Array:
    """An array [batch, ...] drawn in a step of `jit_step`, split over its devices.

    Values are what they were. Outside of such a step, on one device, and for a batch that cannot be
    split evenly, the array is left as it is.

    Example:
        >>> import jax
        >>> from gan_forensics.runtime import random_key, split_over_data
        >>> noise = jax.random.normal(random_key(0), (8, 2), "float32")
        >>> split_over_data(noise) is noise  # outside of a step
        True
    """
    mesh = _mesh.get()
    if mesh is None or mesh.size == 1 or drawn.shape[0] % mesh.size:
        return drawn
    return jax.lax.with_sharding_constraint(drawn, NamedSharding(mesh, PartitionSpec("data")))


def by_shares(function: Callable[[Array], Array], values: Array) -> Array:
    """A function of an array [batch, ...] that looks at each example alone.

    In a step of `jit_step` every device applies it to its own examples; elsewhere, and for a batch
    that cannot be split evenly, it is merely called. For what XLA does not split by itself, such as
    Fourier transforms; not within a `jax.jit` of their own, which would keep the devices of the
    step that traced it first.

    Example:
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import by_shares
        >>> by_shares(lambda x: jnp.abs(jnp.fft.fft(x)), jnp.ones((2, 4)))[0].tolist()
        [4.0, 0.0, 0.0, 0.0]
    """
    mesh = _mesh.get()
    if mesh is None or mesh.size == 1 or values.shape[0] % mesh.size:
        return function(values)
    split = PartitionSpec("data")
    return jax.shard_map(function, mesh=mesh, in_specs=split, out_specs=split)(values)


def to_mesh(batches: PyTree, mesh: Mesh) -> PyTree:
    """Place this process's part [minibatches, batch / processes, ...] of the minibatches.

    Raises:
        ValueError: when the global batch cannot be split evenly over the devices.

    Example:
        >>> import jax
        >>> import numpy as np
        >>> from gan_forensics.runtime import data_mesh, to_mesh
        >>> batches = {"image": np.zeros((2, 4, 8, 8, 3), np.uint8)}  # 2 minibatches of 4
        >>> placed = to_mesh(batches, data_mesh(jax.devices()[:1]))
        >>> placed["image"].shape, tuple(placed["image"].sharding.spec)
        ((2, 4, 8, 8, 3), (None, 'data'))
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
