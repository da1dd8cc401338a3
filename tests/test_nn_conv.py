"""The three maps against XLA's native kernels and their derivatives, in float64."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.test_util import check_grads

from gan_forensics.nn import conv, conv_kernels
from gan_forensics.nn.conv import Conv, ConvTranspose, convolve, convolve_transpose
from gan_forensics.runtime import jit


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(autouse=True)
def _no_shortcut_for_small_maps(monkeypatch):
    # The images of these tests are small; the kernels for large ones are what they are about.
    monkeypatch.setattr(conv_kernels, "SMALL_MAP", 0)


def native(x, w, strides=1, padding="SAME", dilation=1, groups=1):
    if isinstance(padding, int):
        padding = [(padding, padding)] * 2
    return lax.conv_general_dilated(
        x,
        w,
        (strides, strides),
        padding,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=groups,
    )


# (image, channels, features, kernel, arguments): every kind that networks of the project use,
# and the corners between them.
CASES = {
    "4x4 stride 2, few channels": (16, 3, 8, 4, {"strides": 2, "padding": 1}),
    "4x4 stride 2": (16, 12, 8, 4, {"strides": 2, "padding": 1}),
    "4x4 over the whole map": (4, 6, 5, 4, {"padding": 0}),
    "3x3": (8, 12, 4, 3, {"padding": 1}),
    "3x3 fewer features": (8, 12, 10, 3, {"padding": 1}),
    "5x5 few features": (8, 16, 3, 5, {"padding": 2}),
    "7x7": (9, 10, 3, 7, {"padding": 3}),
    "1x1": (6, 9, 4, 1, {}),
    "3x3 stride 2 SAME, odd": (9, 10, 4, 3, {"strides": 2}),
    "3x3 stride 2 SAME, even": (8, 10, 4, 3, {"strides": 2}),
    "3x3 stride 3": (10, 10, 4, 3, {"strides": 3, "padding": "VALID"}),
    "2x2 stride 3 skips pixels": (11, 10, 4, 2, {"strides": 3, "padding": "VALID"}),
    "uneven padding": (7, 10, 4, 3, {"strides": 2, "padding": ((0, 2), (1, 0))}),
    "uneven padding, few features": (7, 10, 4, 3, {"padding": ((0, 2), (1, 0))}),
    "padding beyond the kernel, few features": (7, 10, 4, 2, {"padding": 3}),
    "few channels": (8, 4, 12, 3, {"padding": 1}),
    "many channels": (8, 48, 50, 3, {"padding": 1}),
    "many channels, one tile of rows": (4, 48, 48, 3, {"padding": ((1, 1), (0, 2))}),
    "many channels, rows left over": (6, 48, 48, 3, {"padding": 1}),
    "many channels, unpadded": (8, 48, 48, 3, {"padding": "VALID"}),
    "many channels, 3x5": (8, 48, 48, (3, 5), {"padding": ((1, 1), (2, 2))}),
    "dilated": (9, 10, 4, 3, {"padding": 2, "dilation": 2}),
    "grouped": (8, 12, 6, 3, {"padding": 1, "groups": 3}),
    "depthwise stride 2": (8, 10, 10, 3, {"strides": 2, "padding": 1, "groups": 10}),
}


def _case(name, rng, batch=6):
    size, channels, features, kernel, arguments = CASES[name]
    groups = arguments.get("groups", 1)
    x = rng.standard_normal((batch, size, size, channels))
    sides = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    w = rng.standard_normal((*sides, channels // groups, features))
    return jnp.asarray(x), jnp.asarray(w), arguments


@pytest.mark.parametrize("name", CASES)
def test_convolution_and_its_gradients_equal_the_native_ones(name, rng):
    x, w, arguments = _case(name, rng)
    y, ours = jax.vjp(lambda x, w: convolve(x, w, **arguments), x, w)
    expected, theirs = jax.vjp(lambda x, w: native(x, w, **arguments), x, w)
    np.testing.assert_allclose(y, expected, rtol=1e-11, atol=1e-11)
    cotangent = jnp.asarray(rng.standard_normal(y.shape))
    for own, other in zip(ours(cotangent), theirs(cotangent), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_second_derivatives_equal_the_native_ones(name, rng):
    # What a gradient penalty needs: the gradient, in x and w, of a function of a gradient.
    x, w, arguments = _case(name, rng, batch=2)

    def steepness(convolution):
        def penalty(x, w):
            slope = jax.grad(lambda x: jnp.sin(convolution(x, w, **arguments)).sum())(x)
            return (slope**2).sum()

        return jax.grad(penalty, argnums=(0, 1))(x, w)

    for own, other in zip(steepness(convolve), steepness(native), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_gradients_compiled_for_fast_convolutions_in_a_loop_equal_the_native_ones(name, rng):
    # Both compile convolutions otherwise.
    x, w, arguments = _case(name, rng, batch=4)

    def gradients(convolution):
        return jax.grad(lambda x, w: jnp.sin(convolution(x, w, **arguments)).sum(), (0, 1))(x, w)

    def in_a_loop(start):
        def move(total, _):
            return jax.tree.map(jnp.add, total, gradients(convolve)), None

        return lax.scan(move, start, length=3)[0]

    for own, other in zip(
        jit(in_a_loop)((jnp.zeros_like(x), jnp.zeros_like(w))), gradients(native), strict=True
    ):
        np.testing.assert_allclose(own, 3 * other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    "size, kernel, stride, dilation", itertools.product((5, 8), (1, 3, 4), (1, 2, 3), (1, 2))
)
def test_same_padding_is_xlas(size, kernel, stride, dilation):
    reach = (kernel - 1) * dilation + 1
    expected = lax.padtype_to_pads((size,), (reach,), (stride,), "SAME")[0]
    assert conv.same_padding(size, kernel, stride, dilation) == expected


@pytest.mark.parametrize(
    "kernel, strides, padding, extra",
    [(4, 2, 1, 0), (4, 1, 0, 0), (3, 2, 1, 1), (4, 2, "SAME", 0), (5, 2, "SAME", 0)],
)
def test_transposed_convolution_scatters_every_input_through_the_kernel(
    kernel, strides, padding, extra, rng
):
    # The definition y[s i + u - p] += x[i] k[u], as loops.
    x = rng.standard_normal((2, 3, 5, 4))
    k = rng.standard_normal((kernel, kernel, 4, 3))
    if padding == "SAME":  # TensorFlow's: of an odd number of places to cut, one more at the end
        before = (kernel - strides) // 2
        h, w = (n * strides for n in x.shape[1:3])
    else:
        before = padding
        h, w = ((n - 1) * strides - 2 * padding + kernel + extra for n in x.shape[1:3])
    y = np.zeros((2, h, w, 3))
    for i, j, u, v in itertools.product(range(3), range(5), range(kernel), range(kernel)):
        row, column = strides * i + u - before, strides * j + v - before
        if 0 <= row < h and 0 <= column < w:
            y[:, row, column] += x[:, i, j] @ k[u, v]
    own = convolve_transpose(
        jnp.asarray(x), jnp.asarray(k), strides=strides, padding=padding, output_padding=extra
    )
    np.testing.assert_allclose(own, y, rtol=1e-11, atol=1e-11)


def test_transposed_convolution_gradients_equal_finite_differences(rng):
    x = jnp.asarray(rng.standard_normal((2, 3, 3, 4)))
    k = jnp.asarray(rng.standard_normal((4, 4, 4, 2)))
    check_grads(
        lambda x, k: convolve_transpose(x, k, strides=2, padding=1), (x, k), 2, modes=["rev"]
    )


def test_convolutions_survive_vmap_and_jit(rng):
    x, w, arguments = _case("4x4 stride 2", rng)
    many = jnp.stack([w, 2 * w])
    together = jax.jit(jax.vmap(lambda w: convolve(x, w, **arguments)))(many)
    np.testing.assert_allclose(together[1], 2 * together[0], rtol=1e-12)


def test_layers_have_pytorchs_shapes_and_ranges_of_parameters(getkey):
    x = jnp.zeros((1, 8, 8, 6), jnp.float32)
    params = Conv(10, 3, groups=2).init(getkey(), x)["params"]
    assert params["kernel"].shape == (3, 3, 3, 10) and params["bias"].shape == (10,)
    bound = (3 * 3 * 3) ** -0.5
    assert 0.9 * bound < np.abs(params["kernel"]).max() <= bound
    params = ConvTranspose(10, 4, 2, 1).init(getkey(), x)["params"]
    assert params["kernel"].shape == (4, 4, 6, 10)
    bound = (4 * 4 * 10) ** -0.5  # PyTorch counts the outputs of a transposed convolution
    assert 0.9 * bound < np.abs(params["kernel"]).max() <= bound


def test_layers_compute_in_the_dtype_they_are_given(getkey):
    x = jnp.ones((1, 8, 8, 6), jnp.float32)
    layer = Conv(4, 3, dtype=jnp.bfloat16)
    variables = layer.init(getkey(), x)
    assert variables["params"]["kernel"].dtype == jnp.float32
    assert layer.apply(variables, x).dtype == jnp.bfloat16


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"padding": "same"}, "padding 'same'"),
        ({"padding": 0, "dilation": 9}, "does not fit"),
        ({"groups": 2}, "do not fit 2 groups"),
    ],
)
def test_impossible_convolutions_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        convolve(jnp.zeros((1, 8, 8, 6)), jnp.zeros((3, 3, 6, 4)), **arguments)
