"""A GAN's training step as one side of a benchmark."""

from benchmarks.in_turns import Call
from gan_forensics.gans import GanConfig
from gan_forensics.runtime import random_key


def training_step(config: GanConfig, *, native: bool = False) -> Call:
    """A step on noise for images, compiled as in training, or with XLA's own convolutions."""
    import jax
    import numpy as np

    from gan_forensics.gans import build, init
    from gan_forensics.nn import conv_kernels
    from gan_forensics.runtime import (
        data_mesh,
        jit_step,
        keep_scratch_memory,
        products,
        replicated,
        to_mesh,
    )
    from gan_forensics.train import init_state, make_step

    if native:
        # As it would be without nn.conv: XLA's own derivatives too.
        conv_kernels.convolve = lambda x, w, g: conv_kernels.convolve_native(x, w, g=g)
        conv_kernels.input_adjoint = lambda y, w, g, image: conv_kernels.input_adjoint_native(
            y, w, g=g, image=image
        )
    else:
        keep_scratch_memory()
    gan = build(config)
    params, stats = init(gan)
    mesh = data_mesh()
    step = jit_step(make_step(gan.updates), mesh)
    state = jax.device_put(init_state(gan.updates, params, stats), replicated(mesh))
    moves = max(update.repeats for update in gan.updates)
    shape = (moves, config.batch_size, config.size, config.size, gan.config.channels)
    images = np.tanh(np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    batches = to_mesh({"image": images}, mesh)
    key = jax.device_put(random_key(0), replicated(mesh))

    def call():
        nonlocal state
        with products(config.precision):
            state, metrics = step(state, batches, key)
        jax.block_until_ready((state, metrics))

    return call
