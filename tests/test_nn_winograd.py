"""Winograd's convolution: the identity behind it, its rounding errors, and where it is used."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from gan_forensics.nn import winograd
from gan_forensics.nn.conv import convolve
from gan_forensics.runtime import data_mesh, replicated


def test_six_products_make_four_values_of_a_filter(rng):
    # One column and one channel: what is left is the filter along the rows, here of integers.
    signal = rng.integers(-9, 10, (2, 12)).astype(np.float32)
    taps = 24 * rng.integers(-9, 10, 3).astype(np.float32)  # so that G w is of integers too
    maps = winograd.images(jnp.asarray(signal).reshape(2, 12, 1, 1))
    kernels = winograd.kernels(jnp.asarray(taps).reshape(3, 1, 1, 1))
    assert len(maps) == len(kernels) == 6
    assert maps[0].shape == (2, 3, 1, 1)
    y = winograd.outputs([x * w for x, w in zip(maps, kernels, strict=True)])
    expected = [np.correlate(np.pad(row, 1), taps, "valid") for row in signal]
    np.testing.assert_allclose(y.reshape(2, 12), expected, rtol=1e-6, atol=0.02)


def test_rounding_errors_are_a_few_times_those_of_the_plain_sum(rng):
    # Positive maps, as behind a rectifier, whose mean is as large as their spread.
    x = np.maximum(rng.standard_normal((4, 16, 16, 64)), 0)
    w = rng.standard_normal((3, 3, 64, 64))
    with jax.enable_x64(True):
        exact = np.asarray(convolve(jnp.asarray(x), jnp.asarray(w), padding=1))
    y = convolve(jnp.asarray(x, jnp.float32), jnp.asarray(w, jnp.float32), padding=1)
    errors = (y - exact) / exact.std()
    assert np.sqrt((errors**2).mean()) < 2e-6
    assert np.abs(errors).max() < 3e-5


@pytest.mark.parametrize(
    "channels, features, dtype, convolutions",
    [
        (48, 48, "float32", 6),
        (47, 48, "float32", 1),
        (48, 47, "float32", 1),
        (48, 48, "bfloat16", 1),
    ],
)
def test_many_channels_in_full_precision_use_it(channels, features, dtype, convolutions):
    x, w = jnp.zeros((2, 8, 8, channels), dtype), jnp.zeros((3, 3, channels, features), dtype)
    traced = jax.jit(lambda x, w: convolve(x, w, padding=1)).trace(x, w)
    text = traced.lower(lowering_platforms=("cpu",)).as_text()
    assert text.count("stablehlo.convolution") == convolutions


def test_a_sharded_batch_stays_where_it_is(rng):
    mesh = data_mesh()
    x = rng.standard_normal((16, 8, 8, 48)).astype(np.float32)
    w = rng.standard_normal((3, 3, 48, 48)).astype(np.float32)
    function = jax.jit(lambda x, w: convolve(x, w, padding=1))
    by_image = NamedSharding(mesh, PartitionSpec("data"))
    sharded = jax.device_put(x, by_image), jax.device_put(w, replicated(mesh))
    compiled = function.lower(*sharded).compile()
    local = 16 // mesh.size
    assert f"f32[{local},2,8,48]" in compiled.as_text()  # a product
    assert "all-gather" not in compiled.as_text()
    np.testing.assert_allclose(compiled(*sharded), function(x, w), atol=2e-3)
