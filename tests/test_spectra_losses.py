import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_forensics.spectra import curve_cross_entropy, log_spectrum_curve, spectral_loss
from gan_forensics.spectra.losses import stop_gradient_at_ends
from tests import oracles


@pytest.fixture
def images(rng):
    fake = rng.uniform(-1, 1, (4, 16, 16, 3)).astype(np.float32)
    real = np.cumsum(np.cumsum(rng.normal(size=(4, 16, 16, 3)), 1), 2)
    return jnp.asarray(fake), jnp.asarray(real / np.abs(real).max(), jnp.float32)


def slow_curves(images):
    gray = np.asarray(images, np.float64) @ [0.2989, 0.5870, 0.1140]
    return np.stack([oracles.min_max(oracles.raw_log_curve(each)) for each in gray])


def test_cross_entropy_of_hand_worked_values():
    predicted, target = jnp.array([0.5, 0.25]), jnp.array([1.0, 0.0])
    expected = (np.log(2) - np.log(0.75)) / 2
    assert curve_cross_entropy(predicted, target) == pytest.approx(expected, rel=1e-6)


def test_cross_entropy_clamps_its_logs_at_minus_100():
    assert curve_cross_entropy(jnp.array([0.0, 1.0]), jnp.array([0.5, 0.5])) == pytest.approx(50)


def test_released_loss_predicts_real_curves_for_generated_targets(images):
    fake, real = images
    expected = oracles.cross_entropy(slow_curves(real), slow_curves(fake))
    assert spectral_loss(fake, real, mode="released") == pytest.approx(expected, rel=1e-4)


def test_differentiable_loss_predicts_generated_curves_for_the_mean_real_target(images):
    fake, real = images
    curves = slow_curves(fake)
    target = np.broadcast_to(slow_curves(real).mean(0), curves.shape)
    expected = oracles.cross_entropy(curves, target)
    assert spectral_loss(fake, real, mode="differentiable") == pytest.approx(expected, rel=1e-4)


def test_released_total_has_the_generators_gradient_times_1_plus_lambda_l(images):
    fake, real = images
    weight = 0.3

    def generator_loss(fake):
        return jnp.sum(jnp.sin(fake))

    def total(fake):
        return generator_loss(fake) * (1 + weight * spectral_loss(fake, real, mode="released"))

    factor = 1 + weight * spectral_loss(fake, real, mode="released")
    np.testing.assert_allclose(
        jax.grad(total)(fake), factor * jax.grad(generator_loss)(fake), rtol=1e-5
    )


def test_differentiable_gradient_equals_a_full_plane_float64_reference(images):
    fake, real = (np.asarray(each, np.float64).mean(-1) for each in images)
    target = np.mean([oracles.min_max(oracles.raw_log_curve(each)) for each in real], 0)
    y, x = np.mgrid[:16, :16]
    ring = np.floor(np.hypot(x - 7.5, y - 7.5)).ravel()
    members = (ring[:, None] == 1 + np.arange(9)[None, :]).astype(float)

    def reference(gray):
        log = 20 * jnp.log(jnp.abs(jnp.fft.fftshift(jnp.fft.fft2(gray), (1, 2)) + 1e-8))
        curves = log.reshape(4, -1) @ (members / members.sum(0, keepdims=True))
        low, high = curves.min(1, keepdims=True), curves.max(1, keepdims=True)
        p = jnp.clip((curves - low) / (high - low), 1e-7, 1 - 1e-7)
        t = jnp.broadcast_to(target, p.shape)
        return -jnp.mean(t * jnp.log(p) + (1 - t) * jnp.log(1 - p))

    with jax.enable_x64(True):
        expected = np.asarray(jax.jit(jax.grad(reference))(jnp.asarray(fake)))
    one_channel = [jnp.asarray(each, jnp.float32)[..., None] for each in (fake, real)]
    loss = lambda x: spectral_loss(x, one_channel[1], mode="differentiable")  # noqa: E731
    gradient = jax.jit(jax.grad(loss))(one_channel[0])[..., 0]
    scale = np.abs(expected).max()
    # Float32 against float64: the log of small coefficients has steep gradients.
    np.testing.assert_allclose(gradient / scale, expected / scale, atol=1e-4)


def test_no_gradient_flows_into_real_images(images):
    fake, real = images
    for mode in ("released", "differentiable"):
        gradient = jax.grad(lambda r, mode=mode: spectral_loss(fake, r, mode=mode))(real)
        assert (gradient == 0).all()


def test_descending_the_differentiable_loss_brings_the_curves_together(images):
    fake, real = images
    target = log_spectrum_curve(real).mean(0)

    def distance(fake):
        return float(jnp.abs(log_spectrum_curve(fake).mean(0) - target).mean())

    @jax.jit
    def step(x):
        gradient = jax.grad(lambda x: spectral_loss(x, real, mode="differentiable"))(x)
        return x - 0.02 * gradient / jnp.abs(gradient).max()

    moved = fake
    for _ in range(100):
        moved = step(moved)
    assert distance(moved) < 0.6 * distance(fake)


def test_gradients_are_finite_for_constant_generated_images(images):
    _, real = images
    for level in (0.0, 0.5):
        fake = jnp.full(real.shape, level)
        gradient = jax.jit(jax.grad(lambda x: spectral_loss(x, real, mode="differentiable")))(fake)
        assert np.isfinite(gradient).all()


def test_predictions_at_the_ends_get_no_gradient_and_others_the_full_one():
    p, t = jnp.array([0.0, 5e-8, 0.25, 1 - 6e-8, 1.0]), jnp.full(5, 0.5)
    gradient = jax.grad(lambda p: 5 * curve_cross_entropy(stop_gradient_at_ends(p), t))(p)
    np.testing.assert_allclose(gradient, [0, 0, -0.5 / 0.25 + 0.5 / 0.75, 0, 0], rtol=1e-5)


def test_an_unknown_mode_is_refused(images):
    with pytest.raises(ValueError, match="'released' or 'differentiable'"):
        spectral_loss(*images, mode="paper")


def test_images_of_different_sizes_are_refused(images):
    with pytest.raises(ValueError, match="differ in size"):
        spectral_loss(images[0][:, :8], images[1], mode="differentiable")


def test_released_mode_refuses_batches_it_cannot_pair(images):
    with pytest.raises(ValueError, match="got 2 fake and 4 real"):
        spectral_loss(images[0][:2], images[1], mode="released")
