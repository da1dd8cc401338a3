"""`jit` with fast convolutions computes what `jax.jit` computes, and knows where it cannot help."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_forensics.nn.conv import convolve
from gan_forensics.runtime import compiler, jit


@pytest.fixture(autouse=True)
def fresh_decision():
    compiler._known.cache_clear()
    yield
    compiler._known.cache_clear()


@pytest.mark.parametrize(("channels", "features", "stride"), [(3, 16, 2), (16, 16, 1), (16, 3, 1)])
def test_convolutions_and_their_gradients_are_those_of_jax_jit(rng, channels, features, stride):
    x = jnp.asarray(rng.standard_normal((2, 20, 20, channels)), jnp.float32)
    w = jnp.asarray(rng.standard_normal((4, 4, channels, features)), jnp.float32)

    def loss(x, w):
        return jnp.sin(convolve(x, w, strides=stride, padding=1)).sum()

    gradients = jax.grad(loss, (0, 1))
    for ours, theirs in zip(jit(gradients)(x, w), jax.jit(gradients)(x, w), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-3)


def test_options_of_jax_jit_are_passed_on():
    f = jit(lambda x, n: x * n, static_argnums=1)
    assert f(2.0, 3) == 6.0


def test_a_compiler_that_does_not_know_the_option_compiles_as_ever(monkeypatch):
    monkeypatch.setattr(compiler, "_OPTIONS", {"xla_cpu_no_such_option": "1"})
    assert not compiler._known()
    assert jit(lambda x: x + 1)(1.0) == 2.0


def test_other_backends_compile_as_ever(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert not compiler._known()
