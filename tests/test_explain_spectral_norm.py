"""Relevance of networks with spectral normalisation, against the same written without."""

from functools import cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.explain import (
    Composite,
    composites,
    max_activations,
    relevance,
    rules,
    unit_relevance,
)
from gan_forensics.nn.conv import Conv
from gan_forensics.nn.norms import BatchNorm
from gan_forensics.nn.resblocks import BlockConv
from gan_forensics.nn.resgan import Discriminator
from gan_forensics.nn.spectral_norm import Dense, SNConv, SNDense
from tests import oracles_nn

SHAPE = (2, 12, 12, 3)
BOX = partial(rules.box, low=-1, high=1)
# Where a mean of windows is a layer of its own it has its epsilon, so that this must be tiny.
COMPOSITES = {
    "epsilon": composites.epsilon_everywhere()._replace(epsilon=1e-14),
    "alpha 2 beta 1": Composite(first=BOX, conv=partial(rules.beta, beta=1.0), epsilon=1e-14),
    "gamma": Composite(rules.w_square, conv=rules.gamma, dense=rules.gamma, epsilon=1e-14),
}


class Normalised(nn.Module):
    """Every kind of normalised layer: with and without bias, batch norm, and a fused pooling."""

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.relu(SNConv(4, 3, name="first")(x, train=train))
        x = SNConv(5, 3, 2, 1, use_bias=False, name="strided")(x, train=train)
        x = nn.relu(BatchNorm(name="norm")(x, train=train))
        x = nn.relu(BlockConv(6, 3, pool=True, spectral_norm=True, name="pooled")(x, train=train))
        x = nn.leaky_relu(SNDense(5, name="hidden")(x.sum((1, 2)), train=train), 0.2)
        return Dense(1, name="logit")(x)


class Plain(nn.Module):
    """The same from ordinary layers; a mean of windows before a convolution is one behind it."""

    @nn.compact
    def __call__(self, x, *, train):
        x = nn.relu(Conv(4, 3, name="first")(x))
        x = Conv(5, 3, 2, 1, use_bias=False, name="strided")(x)
        x = nn.relu(BatchNorm(name="norm")(x, train=train))
        x = nn.avg_pool(x, (2, 2), (1, 1), ((1, 1), (1, 1)))
        x = nn.relu(Conv(6, 3, 2, 0, name="pooled")(x))
        x = nn.leaky_relu(nn.Dense(5, name="hidden")(x.sum((1, 2))), 0.2)
        return nn.Dense(1, name="logit")(x)


def network(module, shape=SHAPE, *, keeps_v=True):
    """Random variables in float64, u and v as well, and images in [-1, 1]."""
    variables = oracles_nn.drawn(module, shape)
    variables = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables)
    if not keeps_v:
        vectors = flatten_dict(variables["spectral_norm"])
        kept = {path: vector for path, vector in vectors.items() if path[-1] == "u"}
        variables["spectral_norm"] = unflatten_dict(kept)
    return variables, np.random.default_rng(1).uniform(-1, 1, shape)


def folded(variables):
    """The variables of the network without spectral norm: W / sigma, in NumPy."""
    params, vectors = (flatten_dict(variables[c]) for c in ("params", "spectral_norm"))
    for path in {path[:-1] for path in vectors}:
        kernel = params[*path, "kernel"]
        matrix = kernel.reshape(-1, kernel.shape[-1]).T
        u, v = vectors[*path, "u"], vectors.get((*path, "v"))
        if v is None:
            v = matrix.T @ u
            v = v / np.linalg.norm(v)
            u = matrix @ v
            u = u / np.linalg.norm(u)
        params[*path, "kernel"] = kernel / (u @ matrix @ v)
    rest = {c: tree for c, tree in variables.items() if c not in ("params", "spectral_norm")}
    return {"params": unflatten_dict(params), **rest}


def compiled(function, module, **options):
    return jax.jit(partial(function, module, **options))


compiled_once = cache(compiled)


def run(compiled, variables, x):
    with jax.enable_x64(True):
        return jax.tree.map(np.asarray, compiled(variables, jnp.asarray(x)))


def close(found, expected, rtol):
    assert_allclose(found, expected, rtol=rtol, atol=rtol * abs(expected).max())


@pytest.mark.parametrize(
    "name, keeps_v", [*((name, True) for name in COMPOSITES), ("gamma", False)]
)
def test_relevance_is_that_of_the_network_with_folded_kernels(name, keeps_v):
    variables, x = network(Normalised(), keeps_v=keeps_v)
    composite = COMPOSITES[name]
    found = run(compiled(relevance, Normalised(), composite=composite), variables, x)
    plain = compiled_once(relevance, Plain(), composite=composite)
    expected = run(plain, folded(variables), x)
    with jax.enable_x64(True):
        logits = Normalised().apply(variables, jnp.asarray(x), train=False)
    assert_allclose(found.logits, logits, rtol=1e-12)
    assert_allclose(found.logits, expected.logits, rtol=1e-12)
    assert set(found.layers) == {"first", "strided", "pooled"}
    close(found.image, expected.image, 1e-9)
    for layer, r in found.layers.items():
        close(r, expected.layers[layer], 1e-9)
    assert set(found.lost) == set(expected.lost)
    for layer, lost in found.lost.items():
        assert_allclose(lost, expected.lost[layer], rtol=1e-9, atol=1e-12)
    assert_allclose(found.image.sum((1, 2, 3)) + sum(found.lost.values()), 1, rtol=1e-9)


def test_relevance_of_units_is_that_of_the_network_with_folded_kernels():
    variables, x = network(Normalised())
    options = dict(layer=("strided", "pooled"), which=jnp.array([0, 1]), channel=2)
    options["composite"] = COMPOSITES["alpha 2 beta 1"]
    found = run(compiled(unit_relevance, Normalised(), **options), variables, x)
    expected = run(compiled(unit_relevance, Plain(), **options), folded(variables), x)
    assert (found.value > 0).all()
    assert_allclose(found.value, expected.value, rtol=1e-12)
    assert_array_equal(found.place, expected.place)
    close(found.image, expected.image, 1e-9)


def test_largest_activations_of_normalised_convolutions_are_found():
    variables, x = network(Normalised())
    found = run(compiled(max_activations, Normalised()), variables, x)
    expected = run(compiled(max_activations, Plain()), folded(variables), x)
    assert set(found) == {"first", "strided", "pooled"}
    for layer, maxima in found.items():
        assert_allclose(maxima, expected[layer], rtol=1e-10)


class Labelled(nn.Module):
    """A projection discriminator and the labels of its images."""

    network: nn.Module

    @nn.compact
    def __call__(self, x, *, train):
        return self.network(x, jnp.arange(len(x)) % 3, train=train).logits


DISCRIMINATORS = {
    "wgan-gp": Discriminator(32, width=2, spectral_norm=False, pooling="mean"),
    "cgan-pd": Labelled(Discriminator(32, width=2, classes=3, shortcut_preact="identity")),
}


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_relevance_of_discriminators_without_epsilon_is_input_times_gradient(name):
    module = DISCRIMINATORS[name]
    variables, x = network(module, (2, 32, 32, 3))

    def logits(x):
        result = module.apply(variables, x, train=False)
        return getattr(result, "logits", result)

    with jax.enable_x64(True):
        value, slope = jax.jit(jax.value_and_grad(lambda x: logits(x).sum()))(jnp.asarray(x))
        expected = x * np.asarray(slope)
    tiny = composites.epsilon_everywhere(1e-14)
    found = run(compiled(relevance, module, composite=tiny, start=lambda y: y), variables, x)
    assert_allclose(found.logits.sum(), value, rtol=1e-9)
    close(found.image, expected, 1e-6)
    scope = "network." if name == "cgan-pd" else ""
    assert {f"{scope}block_1.conv_2", f"{scope}block_2.shortcut"} <= set(found.layers)


def test_relevance_of_a_discriminator_is_that_of_the_one_without_spectral_norm():
    module = Discriminator(32, width=2, rotations=4)
    composite = composites.beta_zero(low=-1, high=1)
    variables, x = network(module, (2, 32, 32, 3))
    found = run(compiled(relevance, module, composite=composite), variables, x)
    plain = compiled(relevance, module.clone(spectral_norm=False), composite=composite)
    expected = run(plain, folded(variables), x)
    assert_allclose(found.logits, expected.logits, rtol=1e-10)
    close(found.image, expected.image, 1e-6)
    for layer, r in expected.layers.items():
        close(found.layers[layer], r, 1e-6)
    # Relevance is lost where it is said to be; sums and pools lose epsilon's share alone.
    lost = sum(found.lost.values())
    assert_allclose(found.image.sum((1, 2, 3)) + lost, 1, rtol=1e-3)
    # What does not lead to the logit is no part of what is explained.
    assert "rotation" not in found.lost
