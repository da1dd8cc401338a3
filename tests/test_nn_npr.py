"""NPR: the residual against nearest down- and up-sampling, and the network that reads it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.nn.npr import nearest_residual, npr


def test_the_residual_is_two_thirds_of_each_pixel_less_the_first_of_its_square():
    x = jnp.array([[1.0, 4.0, 2.0, 2.0], [7.0, 1.0, 5.0, -1.0]])[None, :, :, None]
    expected = [[0, 2, 0, 0], [4, 0, 2, -2]]
    assert_allclose(nearest_residual(x)[0, :, :, 0], expected, rtol=1e-6)


def test_odd_sides_lose_what_belongs_to_no_square(rng):
    x = rng.normal(size=(2, 5, 7, 3)).astype(np.float32)
    assert_array_equal(nearest_residual(x), nearest_residual(x[:, :4, :6]))


def test_nearest_upsampling_leaves_nothing_and_the_mean_does_not_matter(rng):
    small = rng.normal(size=(1, 3, 4, 3)).astype(np.float32)
    assert not np.any(nearest_residual(small.repeat(2, 1).repeat(2, 2)))
    x = rng.normal(size=(1, 4, 4, 3)).astype(np.float32)
    assert_allclose(nearest_residual(x + 5), nearest_residual(x), atol=1e-6)


def test_the_network_has_the_layers_of_the_paper():
    images = jax.ShapeDtypeStruct((1, 33, 20, 3), jnp.float32)
    params = jax.eval_shape(
        lambda x: npr().init(jax.random.key(0), x, train=False), images
    )["params"]  # fmt: skip
    assert params["conv1"]["kernel"].shape == (3, 3, 3, 64)
    kernels = [params[f"layer{s}.{i}"]["conv2"]["kernel"].shape for s, n in ((1, 3), (2, 4))
               for i in range(n)]  # fmt: skip
    assert kernels == [(3, 3, 64, 64)] * 3 + [(3, 3, 128, 128)] * 4
    assert params["fc"]["kernel"].shape == (512, 1)
    # torchvision's ResNet-50: the first two stages have 215,808 and 1,219,584 parameters.
    stem, last = 3 * 9 * 64 + 128, 513
    assert sum(a.size for a in jax.tree.leaves(params)) == stem + 215_808 + 1_219_584 + last


def test_images_smaller_than_a_place_are_refused():
    with pytest.raises(ValueError, match="sides of at least 8 pixels"):
        npr().init(jax.random.key(0), jnp.zeros((1, 7, 32, 3)), train=False)
