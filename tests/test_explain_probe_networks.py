"""Relevance of networks that strangers wrote, against what their rules add up to."""

import contextlib
from functools import cache
from unittest import mock

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from numpy.testing import assert_allclose

from gan_forensics.explain import composites, equations, relevance
from tests import oracles_explain as oracle
from tests.probe_networks import NAMES, SqueezeExcite, probe


@pytest.fixture(autouse=True)
def _others_do_not_reshape_their_biases():
    with jax.numpy_rank_promotion("allow"):
        yield


def networks(*slow):
    """All names, of which some take longer."""
    return [pytest.param(name, marks=pytest.mark.slow if name in slow else ()) for name in NAMES]


LINEAR = composites.epsilon_everywhere(1e-14)


# The rules of this composite take long to compile.
@pytest.mark.parametrize("name", networks(*set(NAMES) - {"generator", "MLP"}))
def test_what_arrives_at_the_image_and_what_is_lost_is_what_was_explained(name):
    p = probe(name)

    def explained(parameters, x):
        return relevance(p.function, parameters, x, range=p.range, start=p.start)

    found = jax.tree.map(np.asarray, jax.jit(explained)(p.parameters, p.x))
    assert_allclose(found.logits, p.call(p.parameters, p.x), rtol=1e-4, atol=1e-5)
    check_conserved(found, p)
    assert np.isfinite(found.image).all() and found.image.any()


def check_conserved(found, p):
    """Relevance of the image and what is lost is that of the output, to 1e-4 of it."""
    begun = np.ones(len(p.x)) if p.start is None else per_image(p.start(jnp.asarray(found.logits)))
    arrived = per_image(found.image) + sum(found.lost.values())
    assert_allclose(arrived, begun, rtol=1e-4)


def per_image(values):
    values = np.asarray(values, np.float64)
    return values.sum(tuple(range(1, values.ndim)))


@pytest.mark.parametrize("name", networks("SAGAN"))
def test_without_epsilon_relevance_is_input_times_the_gradient_that_the_rules_make(
    name, monkeypatch
):
    # XLA's own convolutions, as on other backends, are compiled in half the time.
    monkeypatch.setattr(equations, "_fast_convolution", lambda equation, values: None)
    with jax.enable_x64(True):
        p = probe(name, dtype=np.float64)

        @jax.jit
        def both(x):
            found = relevance(
                p.function, p.parameters, x, range=p.range, start=p.start, composite=LINEAR
            )
            start = jnp.ones_like(found.logits) if p.start is None else p.start(found.logits)
            with rules_as_gradients():
                y, back = jax.vjp(lambda x: p.call(p.parameters, x), x)
            return found, x * back(start / y)[0]

        found, expected = jax.tree.map(np.asarray, both(jnp.asarray(p.x)))
    assert found.image.dtype == np.float64
    scale = abs(expected).max()
    assert_allclose(found.image, expected, rtol=1e-5, atol=1e-7 * scale)
    check_conserved(found, p)


@contextlib.contextmanager
def rules_as_gradients():
    """Within, gradient times input is what the rules without epsilon make of it.

    For layers, kinks, sums, maxima and the softmax it is so anyway. What is a function place by
    place, or a norm, is read as its input times a number that is given: all relevance passes. Of a
    product of two values each gets half, of a gate and a value the value all. Achtibat et al.
    (ICML 2024), appendix A.
    """
    still, einsum = jax.lax.stop_gradient, jnp.einsum

    def passing(function):
        def passed(*args, **kwargs):
            x = args[-1]
            return x * still(function(*args, **kwargs) / x)

        return passed

    def halves(spec, a, b, **options):
        if not (isinstance(a, jax.core.Tracer) and isinstance(b, jax.core.Tracer)):
            return einsum(spec, a, b, **options)
        return (einsum(spec, a, still(b), **options) + einsum(spec, still(a), b, **options)) / 2

    def excited(self, x):
        return x * still(self.gate(x))

    with contextlib.ExitStack() as patched:
        for owner, name, instead in (
            *((owner, name, passing(getattr(owner, name))) for owner, name in PASSED),
            (jnp, "einsum", halves),
            (SqueezeExcite, "__call__", excited),
        ):
            patched.enter_context(mock.patch.object(owner, name, instead))
        yield


PASSED = (
    (nn, "gelu"), (nn, "relu6"), (nn, "hard_swish"), (nnx, "silu"), (jnp, "tanh"),
    (nn.LayerNorm, "__call__"), (nnx.GroupNorm, "__call__"),
)  # fmt: skip


def explained(function, parameters, x, **options):
    """In float64."""
    with jax.enable_x64(True):
        run = jax.jit(lambda x: relevance(function, parameters, x, **options))
        return jax.tree.map(np.asarray, run(jnp.asarray(x)))


@cache
def drawn(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).normal(size=shape)


class Folded(nn.Module):
    """Two convolutions with batch norm, then a product."""

    @nn.compact
    def __call__(self, x, train=False):
        for strides, features in ((1, 3), (2, 4)):
            x = nn.Conv(features, (3, 3), strides, padding=1, use_bias=features == 4)(x)
            x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        return nn.Dense(1)(x.reshape(x.shape[0], -1))


def test_convolutions_with_batch_norm_are_the_loops_of_their_rules():
    x = np.random.default_rng(0).uniform(-1, 1, (1, 5, 5, 2))
    params = {
        "Conv_0": {"kernel": drawn(3, 3, 2, 3)},
        "Conv_1": {"kernel": drawn(3, 3, 3, 4), "bias": drawn(4)},
        "Dense_0": {"kernel": drawn(36, 1), "bias": drawn(1)},
    }
    stats = {}
    for i, c in enumerate((3, 4)):
        params[f"BatchNorm_{i}"] = {"scale": 1 + 0.3 * drawn(c, seed=1), "bias": drawn(c, seed=2)}
        stats[f"BatchNorm_{i}"] = {"mean": drawn(c, seed=3), "var": 0.5 + drawn(c, seed=4) ** 2}
    variables = {"params": params, "batch_stats": stats}
    found = explained(Folded(), variables, x, range=(-1, 1.0))

    a, layers = x[0], []
    for i, (stride, size) in enumerate(((1, 5), (2, 5))):
        norm = (params[f"BatchNorm_{i}"][n] for n in ("scale", "bias"))
        moments = (stats[f"BatchNorm_{i}"][n] for n in ("mean", "var"))
        layer = params[f"Conv_{i}"]
        kernel, bias = oracle.folded(layer["kernel"], *norm, *moments, 1e-5)
        if "bias" in layer:
            scale = params[f"BatchNorm_{i}"]["scale"]
            bias = bias + layer["bias"] * scale / np.sqrt(stats[f"BatchNorm_{i}"]["var"] + 1e-5)
        pairs, shape = oracle.convolution(kernel, size, stride, pad=1)
        layers.append((pairs, a))
        a = np.maximum(oracle.forward(pairs, shape, a, bias), 0)
    dense = oracle.product(params["Dense_0"]["kernel"])
    r = oracle.epsilon(dense, a.ravel(), params["Dense_0"]["bias"], np.ones(1), eps=1e-6)
    r = oracle.beta_zero(*layers[1], r.reshape(a.shape))
    assert_allclose(found.layers["Conv_0"][0], r, rtol=1e-5, atol=1e-9)
    r = oracle.box(*layers[0], r, low=-1, high=1, eps=1e-6)
    assert_allclose(found.image[0], r, rtol=1e-5, atol=1e-9)


def test_a_transposed_convolution_is_the_loop_of_its_rule():
    x = np.random.default_rng(1).uniform(-1, 1, (1, 3, 3, 2))
    variables = {"params": {"kernel": drawn(3, 3, 2, 2), "bias": drawn(2)}}
    module = nn.ConvTranspose(2, (3, 3), (2, 2), padding="VALID")
    begin = drawn(1, 7, 7, 2)
    options = {"range": (-1, 1), "start": lambda y: jnp.asarray(begin)}
    pairs, shape = oracle.transposed(np.asarray(drawn(3, 3, 2, 2)), 3, 2)
    found = explained(module, variables, x, composite=composites.epsilon_everywhere(), **options)
    assert_allclose(found.logits[0], oracle.forward(pairs, shape, x[0], drawn(2)), rtol=1e-9)
    expected = oracle.epsilon(pairs, x[0], drawn(2), begin[0], eps=1e-6)
    assert_allclose(found.image[0], expected, rtol=1e-5, atol=1e-9)
    found = explained(module, variables, x, **options)
    expected = oracle.box(pairs, x[0], begin[0], low=-1, high=1, eps=1e-6)
    assert_allclose(found.image[0], expected, rtol=1e-5, atol=1e-9)


class Normed(nn.Module):
    """A product at each place, a norm, and a product of all."""

    groups: int

    @nn.compact
    def __call__(self, x):
        x = nn.Dense(4)(x)
        if self.groups:
            x = nn.GroupNorm(num_groups=self.groups, epsilon=1e-3)(x)
        else:
            x = nn.LayerNorm(epsilon=1e-3)(x)
        return nn.Dense(1)(x.reshape(x.shape[0], -1))


@pytest.mark.parametrize("groups", [0, 2])
def test_a_layer_or_group_norm_passes_what_arrives_to_what_it_read(groups):
    x = np.random.default_rng(2).uniform(-1, 1, (1, 2, 2, 3))
    name = "GroupNorm_0" if groups else "LayerNorm_0"
    params = {
        "Dense_0": {"kernel": drawn(3, 4), "bias": drawn(4)},
        name: {"scale": 1 + 0.3 * drawn(4, seed=1), "bias": drawn(4, seed=2)},
        "Dense_1": {"kernel": drawn(16, 1), "bias": drawn(1)},
    }
    options = {"range": (-1, 1), "composite": composites.epsilon_everywhere(1e-9)}
    found = explained(Normed(groups), {"params": params}, x, **options)
    place = oracle.product(params["Dense_0"]["kernel"])
    maps = np.stack([oracle.forward(place, (4,), a, drawn(4)) for a in x[0].reshape(4, 3)])
    if groups:
        normalised = oracle.normalised(maps.reshape(2, 2, 4), 2, 1e-3).reshape(4, 4)
    else:
        normalised = np.stack([oracle.normalised(row, 1, 1e-3) for row in maps])
    scale, bias = params[name]["scale"], params[name]["bias"]
    y = (normalised * scale + bias).ravel()
    r = oracle.epsilon(oracle.product(drawn(16, 1)), y, drawn(1), np.ones(1), eps=1e-9)
    expected = [
        oracle.epsilon(place, a, drawn(4), part, eps=1e-9)
        for a, part in zip(x[0].reshape(4, 3), r.reshape(4, 4), strict=True)
    ]
    assert_allclose(found.image.reshape(4, 3), expected, rtol=1e-5, atol=1e-9)


def attend(params, x):
    """Attention between the places of an image."""
    tokens = x.reshape(x.shape[0], -1, x.shape[-1])
    query, key, value = (tokens @ params[name] for name in ("query", "key", "value"))
    weights = jax.nn.softmax(jnp.einsum("bqc,bkc->bqk", query, key), axis=-1)
    found = jnp.einsum("bqk,bkd->bqd", weights, value)
    return found.reshape(x.shape[0], -1) @ params["head"]


def test_attention_is_the_loop_of_its_rules():
    x = np.random.default_rng(3).uniform(-1, 1, (1, 2, 2, 3))
    params = {name: drawn(3, 2, seed=i) for i, name in enumerate(("query", "key", "value"))}
    params["head"] = drawn(8, 1)
    options = {"range": (-1, 1), "composite": composites.epsilon_everywhere(1e-9)}
    found = explained(attend, params, x, **options)
    tokens = x.reshape(4, 3)
    query, key, value = (
        np.stack([oracle.forward(oracle.product(params[n]), (2,), t, 0) for t in tokens])
        for n in ("query", "key", "value")
    )
    out = (oracle.softmax(query @ key.T) @ value).ravel()
    r = oracle.epsilon(oracle.product(params["head"]), out, 0, np.ones(1), eps=1e-9)
    parts = oracle.attention(query, key, value, r.reshape(4, 2), eps=1e-9)
    expected = np.zeros((4, 3))
    for name, part in zip(("query", "key", "value"), parts, strict=True):
        pairs = oracle.product(params[name])
        expected += [
            oracle.epsilon(pairs, t, 0, row, eps=1e-9) for t, row in zip(tokens, part, strict=True)
        ]
    assert_allclose(found.image.reshape(4, 3), expected, rtol=1e-5, atol=1e-9)
