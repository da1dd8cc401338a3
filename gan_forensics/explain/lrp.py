"""Layer-wise relevance propagation: operations whose derivative is relevance.

Every operation here computes forward what its name says, exactly. Its custom derivative takes
relevance in place of the gradient and returns the relevance of its inputs, so that `jax.vjp` of a
network made of them propagates relevance: branches add up, jit, vmap and sharding work as always.
The rules of linear layers stand in `gan_forensics.explain.rules`. Layout: maps [b, h, w, c].
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.explain.rules import Linear, Rule, stabilised

# The stabiliser of sums and means. It is 1e-6 in float32, as in the released code of Chandrasegaran
# et al. (ECCV 2022): where two branches cancel exactly, relevance is divided by just this number.
EPSILON = 9.99999997475242707878e-07


def linear_layer(linear: Linear, rule: Rule) -> Callable[..., Array]:
    """The layer `(a, w, b, out, lost) -> linear(a, w) + b` with the rule as its derivative.

    `b` may be None. `out` (shaped like the result) and `lost` [b] are not used forward; they are
    given back the relevance of the layer's output, and for each image how much of it did not reach
    the input (what the bias, dead units and epsilon swallowed). Kernel and bias get zeros.
    """

    @jax.custom_vjp
    def relevance_layer(a, w, b, out, lost):
        y = linear(a, w)
        return y if b is None else y + b.reshape((1,) * (y.ndim - 1) + (-1,))

    def forward(a, w, b, out, lost):
        return relevance_layer(a, w, b, out, lost), (a, w, b)

    def backward(saved, r):
        a, w, b = saved
        passed = rule(linear, a, w, b, r)
        leak = _per_image(r) - _per_image(passed)
        return passed, *jax.tree.map(jnp.zeros_like, (w, b)), r, leak

    relevance_layer.defvjp(forward, backward)
    return relevance_layer


@jax.custom_vjp
def pass_through(x: Float[Array, "*n"], y: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """y, made of x place by place (an activation, a norm): all relevance passes on to x.

    Also where a ReLU is off.
    """
    return y


pass_through.defvjp(lambda x, y: (y, None), lambda _, r: (r, jnp.zeros_like(r)))


@jax.custom_vjp
def gate(g: Float[Array, "*n"], v: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """`g v`, a value through a gate: all relevance goes to the value, none to the gate."""
    return g * v


gate.defvjp(lambda g, v: (g * v, g), lambda g, r: (jnp.zeros_like(g), r))


def residual_sum(
    p: Float[Array, "*n"], q: Float[Array, "*n"], *, epsilon: float = EPSILON
) -> Float[Array, "*n"]:
    """`s = p + q`; each gets its part, `R_p = p R / st(s)`: the epsilon rule on the pair.

    Where p = -q the parts are p / epsilon and -p / epsilon of the relevance, and sum to 0.
    """

    @jax.custom_vjp
    def residual_sum(p, q):
        return p + q

    def backward(saved, r):
        p, q = saved
        s = r / stabilised(p + q, epsilon)
        return p * s, q * s

    residual_sum.defvjp(lambda p, q: (p + q, (p, q)), backward)
    return residual_sum(p, q)


def sum_pool(
    pool: Callable[[Array], Array], x: Float[Array, "*n"], *, epsilon: float = EPSILON
) -> Float[Array, "*m"]:
    """`pool(x)`, any sum over places with fixed weights: `R_i = x_i pool^T(R / st(pool(x)))_i`."""

    @jax.custom_vjp
    def sum_pool(x):
        return pool(x)

    def backward(x, r):
        z, back = jax.vjp(pool, x)
        return (x * back(r / stabilised(z, epsilon))[0],)

    sum_pool.defvjp(lambda x: (pool(x), x), backward)
    return sum_pool(x)


def _per_image(r):
    return r.sum(tuple(range(1, r.ndim)))
