import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.nn.spectral_norm import (
    Dense,
    SNConv,
    SNDense,
    SNEmbed,
    power_step,
    spectral_norm,
)

_jitted = jax.jit(spectral_norm, static_argnames="train")


def normalise(matrix, u, v, *, train):
    """`spectral_norm` as numpy arrays, which need no float64 mode."""
    return jax.tree.map(np.asarray, _jitted(matrix, u, v, train=train))


def drawn(rng, out=4, rest=7):
    """W, u and v, the vectors of length 1."""
    matrix, u, v = rng.normal(size=(out, rest)), rng.normal(size=out), rng.normal(size=rest)
    return matrix, u / np.linalg.norm(u), v / np.linalg.norm(v)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_sigma_never_exceeds_the_largest_singular_value_after_a_step(seed):
    matrix, u, v = drawn(np.random.default_rng(seed))
    with jax.enable_x64(True):
        normalised, u, v, sigma = normalise(matrix, u, v, train=True)
    top = np.linalg.norm(matrix, 2)
    assert 0 < sigma <= top * (1 + 1e-12)
    assert np.linalg.norm(normalised, 2) >= 1 - 1e-12
    assert_allclose([np.linalg.norm(u), np.linalg.norm(v)], 1)


def test_many_steps_find_the_largest_singular_value(rng):
    matrix, u, v = drawn(rng)
    with jax.enable_x64(True):
        for _ in range(200):
            normalised, u, v, sigma = normalise(matrix, u, v, train=True)
    assert_allclose(sigma, np.linalg.norm(matrix, 2), rtol=1e-10)
    assert_allclose(np.linalg.norm(normalised, 2), 1, rtol=1e-10)


def test_one_step_is_that_of_the_definition(rng):
    matrix, u, v = drawn(rng)
    with jax.enable_x64(True):
        found = normalise(matrix, u, v, train=True)
        kept = normalise(matrix, u, v, train=False)
    v_next = matrix.T @ u / np.linalg.norm(matrix.T @ u)
    u_next = matrix @ v_next / np.linalg.norm(matrix @ v_next)
    sigma = u_next @ matrix @ v_next
    for a, b in zip(found, (matrix / sigma, u_next, v_next, sigma), strict=True):
        assert_allclose(a, b, rtol=1e-12)
    for a, b in zip(kept, (matrix / (u @ matrix @ v), u, v, u @ matrix @ v), strict=True):
        assert_allclose(a, b, rtol=1e-12)


def test_scale_of_the_matrix_does_not_matter(rng):
    matrix, u, v = drawn(rng)
    with jax.enable_x64(True):
        for c in (1e-3, 7.0):
            for a, b in zip(
                normalise(c * matrix, u, v, train=True)[:3],
                normalise(matrix, u, v, train=True)[:3],
                strict=True,
            ):
                assert_allclose(a, b, rtol=1e-12)


def test_gradient_goes_through_the_matrix_alone_and_is_orthogonal_to_it(rng):
    matrix, u, v = drawn(rng)
    weights = rng.normal(size=matrix.shape)

    @jax.jit
    def slopes(matrix, u):
        def loss(matrix, u):
            normalised, u, v, sigma = spectral_norm(matrix, u, None, train=True)
            return (jnp.sin(normalised) * weights).sum(), (normalised, u, v, sigma)

        return jax.grad(loss, (0, 1), has_aux=True)(matrix, u)

    with jax.enable_x64(True):
        found = jax.tree.map(np.asarray, slopes(matrix, u))
    (slope, slope_u), (normalised, u, v, sigma) = found
    outer = np.outer(u, v)
    towards = np.cos(normalised) * weights
    expected = (towards - (towards * normalised).sum() * outer) / sigma
    assert_allclose(slope, expected, rtol=1e-10, atol=1e-12)
    assert_allclose((slope * matrix).sum(), 0, atol=1e-12)
    assert_array_equal(slope_u, 0)


def test_a_zero_vector_is_not_divided_by_zero():
    u, v = power_step(jnp.zeros((3, 2)), jnp.ones(3))
    assert_array_equal(u, 0)
    assert_array_equal(v, 0)


# Layers -----------------------------------------------------------------------------------------

LAYERS = {
    "conv": (SNConv(5, 3), (2, 4, 4, 6)),
    "dense": (SNDense(5), (2, 6)),
    "embed": (SNEmbed(5, 6), (2,)),
}
layers = pytest.mark.parametrize("name", LAYERS)


def setup(name, rng):
    layer, shape = LAYERS[name]
    x = rng.integers(5, size=shape) if name == "embed" else rng.normal(size=shape)
    return layer, jnp.asarray(x) if name == "embed" else jnp.asarray(x, jnp.float32)


def matrix_of(variables):
    """W [out, rest] of a layer, and where it stands."""
    params = variables["params"]
    if "embedding" in params:
        return np.asarray(params["embedding"])
    return np.asarray(params["kernel"]).reshape(-1, 5).T


@layers
def test_initial_vectors_know_the_largest_singular_value_in_either_mode(name, rng, getkey):
    layer, x = setup(name, rng)
    key = getkey()
    starts = [layer.init(key, x, train=train) for train in (False, True)]
    jax.tree.map(assert_array_equal, *map(dict, starts))
    matrix = matrix_of(starts[0])
    u, v = (np.asarray(starts[0]["spectral_norm"][part]) for part in "uv")
    assert u.shape == matrix.shape[:1] and v.shape == matrix.shape[1:]
    assert_allclose(u @ matrix @ v, np.linalg.norm(matrix, 2), rtol=0.05)


@layers
def test_training_keeps_the_vectors_of_its_step_and_inference_those_it_finds(name, rng, getkey):
    layer, x = setup(name, rng)
    variables = jax.tree.map(lambda a: a, dict(layer.init(getkey(), x, train=False)))
    matrix = matrix_of(variables)
    u = rng.normal(size=5).astype(np.float32)  # far from converged
    variables["spectral_norm"]["u"] = jnp.asarray(u)
    y, moved = layer.apply(variables, x, train=True, mutable="spectral_norm")
    v = matrix.T @ u / np.linalg.norm(matrix.T @ u)
    u = matrix @ v / np.linalg.norm(matrix @ v)
    assert_allclose(moved["spectral_norm"]["u"], u, atol=1e-6)
    assert_allclose(moved["spectral_norm"]["v"], v, atol=1e-6)

    variables |= moved
    again, unmoved = layer.apply(variables, x, train=False, mutable="spectral_norm")
    assert_allclose(again, y, atol=1e-6)
    jax.tree.map(assert_array_equal, unmoved, moved)
    expected = dense(layer, variables, matrix / (u @ matrix @ v), x)
    assert_allclose(y, expected, atol=1e-5)


def dense(layer, variables, matrix, x):
    """The layer as a product with W / sigma."""
    if isinstance(layer, SNEmbed):
        return matrix[np.asarray(x)]
    bias = np.asarray(variables["params"]["bias"])
    if isinstance(layer, SNDense):
        return np.asarray(x) @ matrix.T + bias
    padded = np.pad(np.asarray(x), ((0, 0), (1, 1), (1, 1), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
    windows = windows.transpose(0, 1, 2, 4, 5, 3).reshape(2, 4, 4, -1)
    return windows @ matrix.T + bias


@layers
def test_layer_without_v_takes_a_step_at_inference_and_forgets_it(name, rng, getkey):
    layer, x = setup(name, rng)
    variables = dict(layer.init(getkey(), x, train=False))
    kept = rng.normal(size=5).astype(np.float32)
    variables["spectral_norm"] = {"u": jnp.asarray(kept)}
    at_inference, unmoved = layer.apply(variables, x, train=False, mutable="spectral_norm")
    assert_array_equal(unmoved["spectral_norm"]["u"], kept)
    in_training, moved = layer.apply(variables, x, train=True, mutable="spectral_norm")
    assert_allclose(at_inference, in_training, atol=1e-6)
    matrix = matrix_of(variables)
    u, _ = power_step(matrix, kept)
    assert list(moved["spectral_norm"]) == ["u"]
    assert_allclose(moved["spectral_norm"]["u"], u, atol=1e-6)


@layers
def test_result_is_of_the_layers_type_and_parameters_are_float32(name, rng, getkey):
    layer, x = setup(name, rng)
    layer = layer.clone(dtype=jnp.bfloat16)
    y, variables = layer.init_with_output(getkey(), x, train=True)
    assert y.dtype == jnp.bfloat16
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {np.dtype("float32")}


def test_label_outside_the_table_gives_nan(getkey):
    layer = SNEmbed(3, 4)
    variables = layer.init(getkey(), jnp.array([0]), train=False)
    y = layer.apply(variables, jnp.array([2, 3]), train=False)
    assert_array_equal(np.isnan(y).all(1), [False, True])


def test_dense_layers_start_as_pytorchs_and_differ_in_the_norm_alone(rng, getkey):
    x = jnp.asarray(rng.normal(size=(3, 16)), jnp.float32)
    key = getkey()
    plain, normalised = (layer(200) for layer in (Dense, SNDense))
    variables = plain.init(key, x)
    assert_array_equal(
        variables["params"]["kernel"], normalised.init(key, x, train=False)["params"]["kernel"]
    )
    for part in ("kernel", "bias"):
        assert 0.9 / 4 < np.abs(variables["params"][part]).max() <= 1 / 4
    kernel, bias = (np.asarray(variables["params"][part]) for part in ("kernel", "bias"))
    assert_allclose(plain.apply(variables, x), x @ kernel + bias[None], atol=1e-5)


@layers
def test_layer_agrees_with_pytorch_over_training_and_inference(name, rng):
    torch = pytest.importorskip("torch")
    layer, x = setup(name, rng)
    theirs = {
        "conv": lambda: torch.nn.Conv2d(6, 5, 3, padding=1),
        "dense": lambda: torch.nn.Linear(6, 5),
        "embed": lambda: torch.nn.Embedding(5, 6),
    }[name]()
    theirs = torch.nn.utils.spectral_norm(theirs)
    weight, u, v = (
        theirs.state_dict()[f"weight_{part}"].numpy().copy() for part in ("orig", "u", "v")
    )
    params = {"embedding": weight}
    if name == "dense":
        params = {"kernel": weight.T, "bias": theirs.bias.detach().numpy().copy()}
    if name == "conv":
        params = {"kernel": weight.transpose(2, 3, 1, 0), "bias": theirs.bias.detach().numpy()}
        v = v.reshape(6, 3, 3).transpose(1, 2, 0).reshape(-1)
    variables = {"params": params, "spectral_norm": {"u": u, "v": v}}
    x_torch = torch.tensor(np.array(x))
    x_torch = x_torch.permute(0, 3, 1, 2) if name == "conv" else x_torch

    def energy(params, stats):
        y, moved = layer.apply({"params": params, **stats}, x, train=True, mutable="spectral_norm")
        return jnp.sin(y).sum(), moved

    for _ in range(3):
        theirs.zero_grad()
        theirs(x_torch).sin().sum().backward()
        slope, moved = jax.grad(energy, has_aux=True)(
            variables["params"], {"spectral_norm": variables["spectral_norm"]}
        )
        variables |= moved
    expected = theirs.weight_orig.grad.numpy()
    found = slope["embedding"] if name == "embed" else slope["kernel"]
    if name != "embed":
        expected = expected.transpose(2, 3, 1, 0) if name == "conv" else expected.T
    assert_allclose(found, expected, atol=1e-5)
    assert_allclose(variables["spectral_norm"]["u"], theirs.weight_u.numpy(), atol=1e-5)
    with torch.no_grad():
        expected = theirs.eval()(x_torch)
    expected = expected.permute(0, 2, 3, 1) if name == "conv" else expected
    assert_allclose(layer.apply(variables, x, train=False), expected, atol=1e-5)
