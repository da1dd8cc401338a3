import doctest

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, log_expit

from gan_forensics.gans import losses
from gan_forensics.gans.losses import LOSSES, cross_entropy

names = pytest.mark.parametrize("name", LOSSES)

# By hand, in float64: (on real, on fake, generator).
ORACLES = {
    "minimax": (lambda r: -log_expit(r), lambda f: -log_expit(-f), lambda f: log_expit(-f)),
    "non_saturating": (lambda r: -log_expit(r), lambda f: -log_expit(-f), lambda f: -log_expit(f)),
    "ns": (
        lambda r: -log_expit(r),
        lambda f: -log_expit(-f),
        lambda f: -np.log(expit(f) + 1e-8),
    ),
    "least_squares": (lambda r: (r - 1) ** 2, lambda f: f**2, lambda f: (f - 1) ** 2),
    "wasserstein": (lambda r: -r, lambda f: f, lambda f: -f),
    "hinge": (lambda r: np.maximum(1 - r, 0), lambda f: np.maximum(1 + f, 0), lambda f: -f),
    "hinge_v1": (
        lambda r: np.maximum(1 - r, 0),
        lambda f: np.maximum(1 + f, 0),
        lambda f: np.maximum(1 - f, 0),
    ),
}


@names
def test_losses_are_the_means_of_their_formulas(name, rng):
    r, f = (3 * rng.normal(size=n).astype(np.float32) for n in (7, 5))
    on_real, on_fake, on_generated = ORACLES[name]
    loss = LOSSES[name]
    discriminator = on_real(r.astype(float)).mean() + on_fake(f.astype(float)).mean()
    assert_allclose(loss.discriminator(jnp.asarray(r), jnp.asarray(f)), discriminator, rtol=1e-5)
    assert_allclose(loss.generator(jnp.asarray(f)), on_generated(f.astype(float)).mean(), rtol=1e-5)
    assert_allclose(loss.on_generated(jnp.asarray(f)), on_generated(f), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("minimax", 2 * np.log(2), -np.log(2)),
        ("non_saturating", 2 * np.log(2), np.log(2)),
        ("ns", 2 * np.log(2), np.log(2) - 2e-8),
        ("least_squares", 1, 1),
        ("wasserstein", 0, 0),
        ("hinge", 2, 0),
        ("hinge_v1", 2, 1),
    ],
)
def test_losses_of_an_undecided_discriminator(name, discriminator, generator):
    zeros = jnp.zeros(3)
    assert_allclose(LOSSES[name].discriminator(zeros, zeros), discriminator, rtol=1e-6)
    assert_allclose(LOSSES[name].generator(zeros), generator, rtol=1e-6)


@names
@pytest.mark.parametrize("logit", [-1e4, -100.0, 100.0, 1e4])
def test_huge_logits_have_finite_losses_and_gradients(name, logit):
    loss = LOSSES[name]
    for function in (loss.on_real, loss.on_fake, loss.on_generated):
        value, slope = jax.value_and_grad(function)(logit)
        assert np.isfinite(value) and np.isfinite(slope)


def test_only_saturating_generators_get_no_gradient_from_images_that_fool_nobody():
    """The guard of "ns" makes it one of them below a logit of about -18 = ln 1e-8."""
    slopes = {name: float(jax.grad(loss.on_generated)(-30.0)) for name, loss in LOSSES.items()}
    assert abs(slopes.pop("minimax")) < 1e-12
    assert abs(slopes.pop("ns")) < 1e-5
    assert jax.grad(LOSSES["ns"].on_generated)(-14.0) < -0.98
    assert all(slope <= -0.99 for slope in slopes.values())


@names
def test_discriminator_is_pushed_up_on_real_and_down_on_fake_images(name):
    loss = LOSSES[name]
    assert jax.grad(loss.on_real)(0.3) < 0 < jax.grad(loss.on_fake)(0.3)
    assert jax.grad(loss.on_generated)(0.3) < 0


def test_hinge_asks_no_more_beyond_its_margin():
    loss = LOSSES["hinge"]
    assert loss.discriminator(jnp.array([1.0, 5.0]), jnp.array([-1.0, -5.0])) == 0
    assert LOSSES["hinge_v1"].generator(jnp.array([1.0, 5.0])) == 0


@names
def test_means_are_float32_under_bfloat16(name):
    # 1000 logits of 0.3: a bfloat16 sum would stand still at 64 or so.
    logits = jnp.full(1000, 0.3, jnp.bfloat16)
    expected = ORACLES[name][2](float(logits[0]))
    loss = LOSSES[name].generator(logits)
    assert loss.dtype == jnp.float32
    assert_allclose(loss, expected, rtol=1e-5)


@pytest.mark.parametrize(("real_label", "fake_label"), [(1.0, 0.0), (0.9, 0.0), (0.8, 0.1)])
def test_smoothed_cross_entropy_is_that_of_the_labels(real_label, fake_label, rng):
    r, f = 3 * rng.normal(size=(2, 6))

    def bce(x, y):
        return -(y * log_expit(x) + (1 - y) * log_expit(-x)).mean()

    loss = cross_entropy(real_label=real_label, fake_label=fake_label)
    with jax.enable_x64(True):
        both = bce(r, real_label) + bce(f, fake_label)
        assert_allclose(loss.discriminator(r, f), both, rtol=1e-12)
        assert_allclose(loss.generator(f), bce(f, real_label), rtol=1e-12)
        if (real_label, fake_label) == (1, 0):
            plain = LOSSES["non_saturating"]
            assert_allclose(loss.discriminator(r, f), plain.discriminator(r, f), rtol=1e-12)
            assert_allclose(loss.generator(f), plain.generator(f), rtol=1e-12)


def test_smoothed_labels_must_be_probabilities():
    with pytest.raises(ValueError, match=r"in \[0, 1\], got 1.2 and 0"):
        cross_entropy(real_label=1.2)


def test_names_are_those_of_the_table():
    assert all(name == loss.name for name, loss in LOSSES.items())
    assert set(LOSSES) == set(ORACLES)


def test_documented_example_is_true():
    assert doctest.testmod(losses) == (0, 11)


def test_cross_entropies_agree_with_pytorch(rng):
    torch = pytest.importorskip("torch")
    r, f = (3 * rng.normal(size=6).astype(np.float32) for _ in range(2))

    def bce(logits, label):
        logits = torch.tensor(logits)
        target = torch.full_like(logits, label)
        return torch.nn.functional.binary_cross_entropy_with_logits(logits, target).item()

    r_jax, f_jax = jnp.asarray(r), jnp.asarray(f)
    for name, generator in (("non_saturating", bce(f, 1.0)), ("minimax", -bce(f, 0.0))):
        loss = LOSSES[name]
        assert_allclose(loss.discriminator(r_jax, f_jax), bce(r, 1.0) + bce(f, 0.0), rtol=1e-5)
        assert_allclose(loss.generator(f_jax), generator, rtol=1e-5)
