"""The two networks of AutoGAN's simulator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.nn.autogan import Generator, PatchDiscriminator
from gan_forensics.nn.conv import ConvTranspose


def shapes(network, *side):
    x = jax.ShapeDtypeStruct((2, *side, 3), jnp.float32)
    return jax.eval_shape(lambda x: network.init_with_output(jax.random.key(0), x, train=False), x)


@pytest.mark.parametrize("upsampling", ["transposed", "nearest"])
def test_copies_have_the_size_of_their_images(upsampling):
    made, variables = shapes(Generator(4, 1, upsampling), 8, 12)
    assert made.shape == (2, 8, 12, 3)
    params = variables["params"]
    assert params["down_1"]["kernel"].shape == (3, 3, 8, 16)
    assert params["up_0"]["kernel"].shape == (3, 3, 16, 8)
    assert params["image"]["kernel"].shape == (7, 7, 4, 3)


def test_the_networks_have_the_parameters_of_cyclegan():
    # Its generator with nine blocks has 11,378,179 and its discriminator 2,764,737; norms have no
    # scale and bias there, and the layers before them a bias that they take away again.
    _, variables = shapes(Generator(), 256, 256)
    layers = 64 + 128 + 256 + 18 * 256 + 128 + 64
    count = sum(a.size for a in jax.tree.leaves(variables["params"]))
    assert count - 2 * layers + layers == 11_378_179
    made, variables = shapes(PatchDiscriminator(), 256, 256)
    assert made.shape == (2, 30, 30)
    count = sum(a.size for a in jax.tree.leaves(variables["params"]))
    layers = 128 + 256 + 512
    assert count - 2 * layers + layers == 2_764_737


def test_a_transposed_convolution_with_output_padding_doubles_the_side(rng):
    x = rng.normal(size=(1, 3, 2, 1)).astype(np.float32)
    layer = ConvTranspose(1, 3, 2, 1, output_padding=1, use_bias=False)
    kernel = rng.normal(size=(3, 3, 1, 1)).astype(np.float32)
    expected = np.zeros((8, 6))
    for i, j in np.ndindex(3, 2):
        expected[2 * i : 2 * i + 3, 2 * j : 2 * j + 3] += x[0, i, j, 0] * kernel[..., 0, 0]
    found = layer.apply({"params": {"kernel": kernel}}, x)
    assert_allclose(np.asarray(found)[0, ..., 0], expected[1:7, 1:5], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("network", "side", "message"),
    [
        (Generator(), (30, 32), "sides of 8 or more that 4 divides, got 30x32"),
        (Generator(), (4, 8), "sides of 8 or more"),
        (Generator(upsampling="bilinear"), (8, 8), "transposed or nearest"),  # pyright: ignore
        (PatchDiscriminator(), (16, 32), "too small for 3 layers .* at least 24"),
    ],
)
def test_what_the_networks_cannot_take_is_refused(network, side, message):
    with pytest.raises(ValueError, match=message):
        shapes(network, *side)
