"""One device against four and eight simulated ones, with a real GAN and with toy games."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_forensics.gans import GanConfig, build, init
from gan_forensics.runtime import by_shares, data_mesh, jit_step, replicated, to_mesh
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


def test_what_is_done_by_shares_is_what_it_is_and_gathers_nothing(rng):
    """XLA gathers what it transforms by FFT."""
    images = rng.standard_normal((1, 16, 4, 4)).astype(np.float32)

    def step(state, batches, key):
        def energy(scale):
            return by_shares(lambda x: jnp.abs(jnp.fft.fft2(x)), scale * batches[0]).sum()

        return jax.grad(energy)(state), {}

    def made(devices):
        mesh = data_mesh(jax.devices()[:devices])
        # A function of its own, since a trace knows its devices.
        compiled = jit_step(lambda *given: step(*given), mesh).lower(
            jax.ShapeDtypeStruct((), jnp.float32),
            jax.ShapeDtypeStruct(images.shape, jnp.float32),
            jax.eval_shape(lambda: jax.random.key(0)),
        )
        return compiled.compile()

    expected = np.abs(np.fft.fft2(images)).sum()
    for devices in (1, 8):
        mesh = data_mesh(jax.devices()[:devices])
        compiled = made(devices)
        assert "all-gather" not in compiled.as_text()
        key = jax.device_put(jax.random.key(0), replicated(mesh))
        state = jax.device_put(np.float32(1), replicated(mesh))
        slope, _ = compiled(state, to_mesh(images, mesh), key)
        np.testing.assert_allclose(slope, expected, rtol=1e-5)
    assert by_shares(len, images[0]) == 16


def test_a_batch_that_cannot_be_split_is_refused():
    with pytest.raises(ValueError, match="batch of 6 cannot be split over 4 devices"):
        to_mesh({"x": np.zeros((1, 6, 2), np.float32)}, data_mesh(jax.devices()[:4]))
