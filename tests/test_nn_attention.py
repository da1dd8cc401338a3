import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.nn.attention import SelfAttention
from tests import oracles_resgan


def state_and_variables():
    """Published names, and the same arrays as variables, for 16 channels."""
    state = oracles_resgan.draw(oracles_resgan.attention(16), 0)
    variables: dict = {"params": {"gamma": state["attn_block.gamma"]}, "spectral_norm": {}}
    for part in ("theta", "phi", "g", "o"):
        name = f"attn_block.{part}.weight"
        kernel = state[f"{name}_orig"].transpose(2, 3, 1, 0)
        variables["params"][part] = {"kernel": kernel}
        variables["spectral_norm"][part] = {"u": state[f"{name}_u"], "v": state[f"{name}_v"]}
    return state, variables


def test_attention_agrees_with_the_sum_over_places_gradient_included(rng):
    state, variables = state_and_variables()
    x = rng.normal(size=(2, 4, 6, 16))

    @jax.jit
    def both(state, variables, x):
        def theirs(x):
            run = oracles_resgan.Pass(state, train=True)
            y = run.attention(x.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
            return jnp.sin(y).sum(), y

        def ours(x):
            y, _ = SelfAttention().apply(variables, x, train=True, mutable="spectral_norm")
            return jnp.sin(y).sum(), y

        return [jax.value_and_grad(f, has_aux=True)(x) for f in (theirs, ours)]

    with jax.enable_x64(True):
        double = jax.tree.map(lambda a: jnp.asarray(a, jnp.float64), (state, variables))
        results = jax.tree.map(np.asarray, both(*double, jnp.asarray(x)))
    ((_, y), slope), ((_, y_ours), slope_ours) = results
    assert np.abs(y - x).max() > 0.01
    assert_allclose(y_ours, y, atol=1e-12)
    assert_allclose(slope_ours, slope, atol=1e-12)


def test_attention_starts_as_the_identity(rng, getkey):
    x = jnp.asarray(rng.normal(size=(2, 4, 4, 8)), jnp.float32)
    for spectral in (False, True):
        layer = SelfAttention(spectral_norm=spectral)
        y, variables = layer.init_with_output(getkey(), x, train=False)
        assert_array_equal(y, x)
        assert variables["params"]["gamma"].shape == ()
        assert ("spectral_norm" in variables) == spectral


def test_attention_softmax_is_finite_for_large_scores(rng):
    _, variables = state_and_variables()
    x = jnp.asarray(1e3 * rng.normal(size=(1, 4, 4, 16)), jnp.float32)
    assert np.isfinite(SelfAttention().apply(variables, x, train=False)).all()


def test_attention_refuses_maps_that_are_too_narrow(getkey):
    with pytest.raises(ValueError, match="at least 8 channels.*got 4: make the network wider"):
        SelfAttention().init(getkey(), jnp.ones((1, 4, 4, 4)), train=False)
