"""What faithfulness says of networks that have learned to see a trace."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gan_forensics.data.samples import photos
from gan_forensics.explain import faithfulness

SIDE, TRACE = 32, 12


class Network(nn.Module):
    """Three convolutions and a mean."""

    @nn.compact
    def __call__(self, x, train=False):
        for width in (8, 16, 16):
            x = nn.relu(nn.Conv(width, (3, 3))(x))
        return nn.Dense(1)(x.mean((1, 2)))


def traced(images, rng):
    """Photographs with the checkerboard of a transposed convolution in a square at random."""
    made = images.copy()
    board = 0.12 * (-1.0) ** np.add.outer(np.arange(TRACE), np.arange(TRACE))
    for image in made:
        row, column = rng.integers(0, SIDE - TRACE + 1, 2)
        image[row : row + TRACE, column : column + TRACE] += board[..., None]
    return np.clip(made, -1, 1).astype(np.float32)


def crops(split, count, rng):
    source = photos(size=SIDE, split=split)
    rows = rng.permutation(len(source))[:count].tolist()
    return np.stack([source[row]["image"] for row in rows]).astype(np.float32) / 127.5 - 1


@pytest.mark.slow
def test_relevance_beats_random_order_on_held_out_images_of_a_trained_network():
    """On 12 photographs and 12 with a trace, for three seeds of network and images."""
    network, optimizer = Network(), optax.adam(3e-3)

    @jax.jit
    def step(variables, state, x, label):
        def loss(variables):
            logits = network.apply(variables, x)[:, 0]
            return optax.sigmoid_binary_cross_entropy(logits, label).mean()

        change, state = optimizer.update(jax.grad(loss)(variables), state)
        return optax.apply_updates(variables, change), state

    for seed in range(3):
        rng = np.random.default_rng(seed)
        real = crops("train", 600, rng)
        fake = traced(real, rng)
        variables = network.init(jax.random.key(seed), real[:1])
        state = optimizer.init(variables)
        for _ in range(300):
            rows = rng.integers(0, len(real), 16)
            x = jnp.concatenate([real[rows], fake[rows]])
            variables, state = step(variables, state, x, jnp.repeat(jnp.arange(2.0), 16))
        held_out = crops("test", 24, rng)
        held_out[12:] = traced(held_out[12:], rng)
        right = (np.asarray(network.apply(variables, held_out))[:, 0] > 0) == (np.arange(24) > 11)
        found = faithfulness(network, variables, held_out, range=(-1, 1), steps=8)
        assert right.mean() > 0.8
        assert found.gain("relevance").low > 0
