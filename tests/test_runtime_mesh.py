"""One device against four and eight simulated ones, with a real GAN and with toy games."""

import jax
import numpy as np
import pytest

from gan_forensics.gans import GanConfig, build, init
from gan_forensics.runtime import data_mesh, jit_step, replicated, to_mesh
from gan_forensics.train import init_state, make_step, minibatches_per_step
from tests.games import GAMES, Gaussians


def _run(updates, params, stats, batches, devices):
    mesh = data_mesh(jax.devices()[:devices])
    # Numpy leaves, since the step donates what it is given.
    state = jax.device_put(
        jax.tree.map(np.array, init_state(updates, params, stats)), replicated(mesh)
    )
    state, metrics = jit_step(make_step(updates), mesh)(
        state, to_mesh(batches, mesh), jax.device_put(jax.random.key(3), replicated(mesh))
    )
    return jax.device_get((state, metrics))


@pytest.mark.parametrize("devices", [4, 8])
@pytest.mark.parametrize("game", GAMES)
def test_toy_games_on_many_devices_equal_one(game, devices):
    updates, params, stats = GAMES[game]()
    data = Gaussians(16)
    count = minibatches_per_step(updates)
    batches = jax.tree.map(lambda *x: np.stack(x), *[next(data) for _ in range(count)])
    one, _ = _run(updates, params, stats, batches, 1)
    many, _ = _run(updates, params, stats, batches, devices)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["dcgan", "wgan-gp"])
@pytest.mark.parametrize("devices", [pytest.param(4, marks=pytest.mark.slow), 8])
def test_gradients_and_batch_statistics_on_many_devices_equal_one(method, devices, rng):
    # SGD, so that a step is the gradient: Adam's first step turns rounding into whole steps.
    import optax

    gan = build(GanConfig(method=method, size=16, width=4, latent=8, batch_size=8))
    updates = tuple(u._replace(optimizer=optax.sgd(1.0)) for u in gan.updates)
    params, stats = init(gan)
    shape = (minibatches_per_step(updates), 8, 16, 16, 3)
    batches = {"image": np.tanh(rng.standard_normal(shape)).astype(np.float32)}
    one, one_metrics = _run(updates, params, stats, batches, 1)
    many, many_metrics = _run(updates, params, stats, batches, devices)
    assert jax.tree.leaves(one.stats), "a GAN without batch statistics proves nothing"
    for a, b in zip(
        jax.tree.leaves((one, one_metrics)), jax.tree.leaves((many, many_metrics)), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5)


def test_a_batch_that_cannot_be_split_is_refused():
    with pytest.raises(ValueError, match="batch of 6 cannot be split over 4 devices"):
        to_mesh({"x": np.zeros((1, 6, 2), np.float32)}, data_mesh(jax.devices()[:4]))
