"""Corruptions on the device: the host's with the same draws, moments where draws differ, keys."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data.corruption_scale import published_shape
from gan_forensics.data.corruptions import HELD_OUT_CORRUPTIONS, corrupt
from gan_forensics.data.device_corruptions import DEVICE_CORRUPTIONS, corrupt_on_device
from tests.test_data_corruptions import NO_DRAWS, picture

PLAIN = (
    "gaussian_blur", "defocus_blur", "zoom_blur", "brightness", "saturate", "contrast", "pixelate",
)  # fmt: skip
SHAPE = (30, 44, 3)


def host_draws(name, shape, seed):
    """What the host's corruption draws from `RandomState(seed)`, as the device takes it."""
    draws = np.random.RandomState(seed)
    if name == "impulse_noise":
        return draws.random_sample((2, *shape))
    if name == "fog":
        return [draws.uniform(-1, 1, (3, 2**octave, 2**octave)) for octave in range(8)]
    if name == "elastic_transform":
        return draws.uniform(-1, 1, (3, 2)), draws.uniform(-1, 1, (2, *published_shape(shape)))
    return draws.standard_normal(shape)


def applied(name, image, noise, severity):
    """The device's corruption of one image with given draws, in levels."""
    apply = jax.jit(DEVICE_CORRUPTIONS[name].apply, static_argnums=2)
    noise = jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), noise)
    made = np.clip(apply(jnp.asarray(image / 255, jnp.float32), noise, severity), 0, 1)
    return np.floor(made * 255 + 1e-3).astype(int)


@pytest.mark.parametrize("name", [n for n in PLAIN if n not in ("defocus_blur", "zoom_blur")])
def test_without_chance_the_device_does_what_the_host_does(name):
    images = np.stack([picture(*SHAPE[:2], seed) for seed in (0, 1)])
    images[:, :4] = [[[[0, 0, 0]]], [[[90, 90, 90]]]]
    severity = 4
    made = corrupt_on_device(images, name, severity, key=jax.random.key(0))
    expected = np.stack([corrupt(image, name, severity, NO_DRAWS) for image in images])
    apart = np.abs(np.asarray(made).astype(int) - expected)
    assert made.dtype == np.uint8 and apart.max() <= 1 and (apart > 0).mean() < 0.01


@pytest.mark.parametrize(
    ("name", "most"), [("gaussian_noise", 1), ("speckle_noise", 1), ("impulse_noise", 0)]
)
def test_with_the_hosts_draws_the_device_does_what_the_host_does(name, most):
    image = picture(*SHAPE[:2])
    found = applied(name, image, host_draws(name, SHAPE, 5), 2)
    apart = np.abs(found - corrupt(image, name, 2, np.random.RandomState(5)))
    assert apart.max() <= most and (apart > 0).mean() < 0.02


# Fog and the elastic transform take seconds to compile.
@pytest.mark.slow
@pytest.mark.parametrize("name", DEVICE_CORRUPTIONS)
@pytest.mark.parametrize("shape", [(224, 224, 3), (16, 40, 1), (300, 260, 3)])
def test_every_severity_and_size_is_the_hosts(name, shape):
    image = np.ascontiguousarray(picture(*shape[:2])[..., : shape[2]])
    for severity in (2, 5):
        if name in PLAIN:
            made = np.asarray(
                corrupt_on_device(image[None], name, severity, key=jax.random.key(0))
            )[0].astype(int)
        elif name == "shot_noise":
            continue
        else:
            made = applied(name, image, host_draws(name, shape, severity), severity)
        apart = np.abs(made - corrupt(image, name, severity, np.random.RandomState(severity)))
        assert (apart > 1).mean() < (0.005 if name == "elastic_transform" else 1e-4)
        # Sums in float64 end a hair below whole levels as well, and are cut off there; the host's
        # gray images are rounded before they are.
        assert shape[2] == 1 or (apart > 0).mean() < 0.06


@pytest.mark.slow
def test_photons_come_with_the_mean_and_the_deviation_of_their_number():
    flat = jnp.full((2, 64, 64, 3), 0.4)
    made = np.asarray(corrupt_on_device(flat, "shot_noise", 2, key=jax.random.key(1)))
    # Poisson(0.4 c) / c with c = 25.
    assert_allclose(made.mean(), 0.4, atol=0.003)
    assert_allclose(made.std(), np.sqrt(0.4 / 25), rtol=0.03)


def test_every_image_has_a_key_of_its_own_whatever_the_batch():
    images = np.stack([picture(16, 16)] * 3)
    first, again = (
        np.asarray(corrupt_on_device(images, "impulse_noise", 5, key=jax.random.key(2)))
        for _ in range(2)
    )
    assert_array_equal(first, again)
    part = corrupt_on_device(images[:2], "impulse_noise", 5, key=jax.random.key(2))
    assert_array_equal(part, first[:2])
    noise = first != images
    for one, other in ((0, 1), (1, 2)):
        assert abs(np.corrcoef(noise[one].ravel(), noise[other].ravel())[0, 1]) < 0.15


def test_floats_stay_floats_and_wrong_names_are_answered():
    x = jnp.full((1, 8, 8, 3), 0.5)
    made = corrupt_on_device(x, "brightness", 1, key=jax.random.key(0))
    assert_allclose(made, 0.6, rtol=1e-6)
    with pytest.raises(ValueError, match="unknown corruption on the device 'fogg'; did.* fog"):
        corrupt_on_device(x, "fogg", 1, key=jax.random.key(0))
    with pytest.raises(ValueError, match="severity of a corruption"):
        corrupt_on_device(x, "fog", 0, key=jax.random.key(0))
    assert {*HELD_OUT_CORRUPTIONS} & {*DEVICE_CORRUPTIONS} == {"zoom_blur"}
