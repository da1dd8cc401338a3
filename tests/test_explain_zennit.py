"""Rules against zennit, where it is installed (extra tests; the package never imports it)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.explain import rules
from gan_forensics.nn.conv import convolve

zennit_rules = pytest.importorskip("zennit.rules")
torch = pytest.importorskip("torch")

PAIRS = {
    "epsilon": (partial(rules.epsilon, epsilon=0.25), ("Epsilon", {"epsilon": 0.25})),
    "z plus": (rules.z_plus, ("ZPlus", {})),
    "alpha 2 beta 1": (rules.alpha_beta, ("AlphaBeta", {"alpha": 2, "beta": 1})),
    "gamma": (rules.gamma, ("Gamma", {"gamma": 0.25})),
    "w square": (rules.w_square, ("WSquare", {"zero_params": "bias"})),
    "flat": (rules.flat, ("Flat", {"zero_params": "bias"})),
    "box": (partial(rules.box, low=-2, high=3), ("ZBox", {"low": -2.0, "high": 3.0})),
}


@pytest.mark.parametrize("name", PAIRS)
def test_rule_of_a_convolution_is_zennits(name, rng):
    ours, (theirs, options) = PAIRS[name]
    a, w, b, r = (rng.normal(size=s) for s in ((2, 6, 5, 4), (3, 3, 4, 6), (6,), (2, 3, 3, 6)))
    layer = torch.nn.Conv2d(4, 6, 3, 2, 1).double()
    layer.weight.data = torch.from_numpy(w.transpose(3, 2, 0, 1).copy())
    layer.bias.data = torch.from_numpy(b)
    x = torch.from_numpy(a.transpose(0, 3, 1, 2).copy()).requires_grad_()
    if name == "box":
        options = {key: torch.full_like(x, value) for key, value in options.items()}
    hook = getattr(zennit_rules, theirs)(**options).register(layer)
    (expected,) = torch.autograd.grad(layer(x), x, torch.from_numpy(r.transpose(0, 3, 1, 2).copy()))
    hook.remove()
    linear = partial(convolve, strides=2, padding=1)
    with jax.enable_x64(True):
        result = jax.jit(partial(ours, linear))(*map(jnp.asarray, (a, w, b, r)))
    expected = expected.numpy().transpose(0, 2, 3, 1)
    assert_allclose(np.asarray(result), expected, rtol=1e-8, atol=1e-9 * abs(expected).max())
