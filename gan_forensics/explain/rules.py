"""Rules of layer-wise relevance propagation for linear layers: one pure function each.

Bach et al. (PLoS ONE 2015), Montavon et al. (Pattern Recognition 2017 and LRP overview 2019). A
linear layer z_j = sum_i a_i w_ij + b_j passes the relevance R_j of its outputs to its inputs. A
rule here is a function

    rule(linear, a, w, b, R) -> R_in

where `linear(a, w)` is the layer without its bias (a convolution, a matrix product), w its kernel
and b its bias or None: for each channel, or shaped to stand beside the output. What the rules share
is `share`: with terms (w_k, a_k),

    z = sum_k linear(a_k, w_k),    S = R / z,    R_in = sum_k a_k linear^T(S, w_k).

All rules are linear in R and computed in the precision of their arguments. (x)^+ = max(x, 0),
(x)^- = min(x, 0). The guard of a small denominator is st(z) = z + epsilon (sgn z + [z = 0]). Rules
that take inputs apart by their sign may be told that none is negative, by `signed=False`, and are
spared half of the work.
"""

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Linear = Callable[[Array, Array], Array]
Rule = Callable[[Linear, Array, Array, Array | None, Array], Array]
# Whether a rule of signed parts leaves the bias out, or gives each part the bias of its sign.
Bias = Literal["none", "signed", "whole"]

EPSILON = 1e-6  # the stabiliser of every rule that has one


def stabilised(z: Float[Array, "*n"], epsilon: float) -> Float[Array, "*n"]:
    """`z + epsilon sgn(z)`, and `epsilon` where z is 0."""
    return z + jnp.where(z >= 0, epsilon, -epsilon).astype(z.dtype)


def ratio(r: Float[Array, "*n"], z: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """`r / z`, and 0 where z is 0: nothing was summed up there, so nothing is to be shared."""
    zero = z == 0
    return jnp.where(zero, 0, r / jnp.where(zero, 1, z))


def share(
    linear: Linear, terms: Sequence[tuple[Array, Array]], divide: Callable[[Array], Array]
) -> list[Array]:
    """What each term gets: `a_k linear^T(S, w_k)` with `S = divide(sum_k linear(a_k, w_k))`.

    Args:
        linear: the layer without bias.
        terms: pairs (a_k, w_k).
        divide: from the sum z to the S that goes back, usually R over a guarded z.
    """
    outputs = [jax.vjp(lambda a, w=w: linear(a, w), a) for a, w in terms]
    s = divide(reduce(jnp.add, [output for output, _ in outputs]))
    return [a * back(s)[0] for (a, _), (_, back) in zip(terms, outputs, strict=True)]


# Rules of linear layers -------------------------------------------------------------------------


def epsilon(linear, a, w, b, r, *, epsilon: float = EPSILON, bias: bool = True):
    """LRP-epsilon: `R_i = sum_j a_i w_ij R_j / st(z_j)`, z with its bias unless `bias` is False.

    The bias takes its part of the relevance: sum_i R_i = R (z - b) / st(z). With epsilon 0 (LRP-0)
    z must not vanish.
    """
    b = b if bias else None
    return share(linear, [(a, w)], _divider(r, b, epsilon))[0]


def beta(linear, a, w, b, r, *, beta: float = 0.0, bias: Bias = "none", signed: bool = True):
    """The beta rule `R_in = (1 + beta) P - beta N`, by default with beta 0.

    P shares R by the positive products, `P_i = sum_j (w_ij a_i)^+ R_j / z_j^+`, and N by the
    negative ones; both hold for inputs of either sign, with 0 where a denominator is 0. Alpha-beta
    with alpha = 1 + beta. `bias` "none" conserves relevance; "whole" adds all of b to both
    denominators, as the code of Chandrasegaran et al. (ECCV 2022) can; "signed" b^+ and b^-.
    """
    options: dict = {"epsilon": None, "bias": bias, "signed": signed}
    return alpha_beta(linear, a, w, b, r, alpha=1 + beta, beta=beta, **options)


def alpha_beta(
    linear,
    a,
    w,
    b,
    r,
    *,
    alpha: float = 2.0,
    beta: float = 1.0,
    epsilon: float | None = EPSILON,
    bias: Bias = "signed",
    signed: bool = True,
):
    """LRP-alpha-beta: `alpha P - beta N`, denominators guarded by st.

    P and N as in `beta`; their denominators get b^+ and b^- unless `bias` says otherwise. With
    `epsilon` None they are not guarded, and give 0 where they are 0.

    Raises:
        ValueError: unless alpha - beta = 1, without which no relevance would be conserved.
    """
    if abs(alpha - beta - 1) > 1e-9:
        raise ValueError(f"alpha {alpha} and beta {beta}: give alpha - beta = 1")
    plus, minus = _bias_parts(b, bias)
    result = alpha * _positive(linear, a, w, _divider(r, plus, epsilon), signed)
    if beta:
        result = result - beta * _negative(linear, a, w, _divider(r, minus, epsilon), signed)
    return result


def z_plus(linear, a, w, b, r, *, epsilon: float = EPSILON, bias: bool = True, signed: bool = True):
    """LRP-z+: alpha-beta with alpha 1, beta 0 and st; b^+ counts unless `bias` is False."""
    kind: Bias = "signed" if bias else "none"
    options: dict = {"epsilon": epsilon, "bias": kind, "signed": signed}
    return alpha_beta(linear, a, w, b, r, alpha=1, beta=0, **options)


def adaptive_beta(linear, a, w, b, r, *, maximum: float = 4.5, signed: bool = True):
    """The beta rule with a beta for every output: `min(-z_j^- / z_j, maximum)` where z_j > 0.

    z_j has its bias here, z_j^- is the sum of negative products; beta is 0 where z_j <= 0, so that
    what was inhibited more passes more of both signs (code of Chandrasegaran et al., ECCV 2022).
    """
    z = _added(linear(a, w), b)
    z_minus = linear(_plus(a), _minus(w)) + linear(_minus(a), _plus(w))
    factor = jnp.where(z > 0, jnp.minimum(-z_minus / jnp.where(z > 0, z, 1), maximum), 0)
    p = _positive(linear, a, w, _divider(r * (1 + factor), None, None), signed)
    return p - _negative(linear, a, w, _divider(r * factor, None, None), signed)


def gamma(linear, a, w, b, r, *, gamma: float = 0.25, epsilon: float = EPSILON, bias: bool = True):
    """LRP-gamma for inputs of either sign: what agrees with the output's sign counts more.

    Where z_j > 0 (with bias), positive products count 1 + gamma times, and R_j is shared by
    `a_i^+ (w + gamma w^+) + a_i^- (w + gamma w^-)`; where z_j < 0 negative products do, by
    `a_i^+ (w + gamma w^-) + a_i^- (w + gamma w^+)`. The bias counts like w beside a^+, in the
    denominator; without `bias` it counts nowhere. Nothing passes where z_j = 0.
    """
    up, down = w + gamma * _plus(w), w + gamma * _minus(w)
    b = b if bias else None
    z = _added(linear(a, w), b)
    result = jnp.zeros_like(a)
    sides = ((z > 0, up, down, _plus), (z < 0, down, up, _minus))
    for side, beside_plus, beside_minus, part in sides:
        offset = None if b is None else b + gamma * part(b)
        terms = [(_plus(a), beside_plus), (_minus(a), beside_minus)]
        divide = _divider(jnp.where(side, r, 0), offset, epsilon)
        result = result + sum(share(linear, terms, divide))
    return result


def w_square(linear, a, w, b, r, *, epsilon: float = EPSILON):
    """LRP-w^2: `R_i = sum_j w_ij^2 R_j / st(sum_i w_ij^2)`, whatever the input."""
    return _unweighted(linear, a, jnp.square(w), r, epsilon)


def flat(linear, a, w, b, r, *, epsilon: float = EPSILON):
    """LRP-flat: every input of an output gets as much, `R_i = sum_j R_j / st(number of inputs)`."""
    return _unweighted(linear, a, jnp.ones_like(w), r, epsilon)


def box(linear, a, w, b, r, *, low, high, epsilon: float = EPSILON):
    """LRP-zB for bounded inputs, low <= a <= high: the rule of a first layer.

    `R_i = sum_j q_ij R_j / st(sum_i q_ij)` with `q_ij = w_ij a_i - w_ij^+ low - w_ij^- high`, which
    is never negative for inputs within the bounds. The bias would cancel. Zero padding stays zero:
    what lies outside the image has no bounds.

    Args:
        low: the least value of an input: one number, one for each channel, or an array that may
            stand beside the inputs.
        high: the greatest, likewise.
    """
    low, high = (_channels(bound, a.ndim, a.dtype) for bound in (low, high))
    lowest = jnp.broadcast_to(low, (len(low), *a.shape[1:]))
    highest = jnp.broadcast_to(high, (len(high), *a.shape[1:]))
    z, back = jax.vjp(lambda a: linear(a, w), a)
    # The bounds are the same for every image: one forward each, shared by the whole batch.
    limits = linear(lowest, _plus(w)) + linear(highest, _minus(w))
    s = r / stabilised(z - jnp.broadcast_to(limits, z.shape), epsilon)
    _, back_low = jax.vjp(lambda a: linear(a, _plus(w)), a)
    _, back_high = jax.vjp(lambda a: linear(a, _minus(w)), a)
    return (
        a * back(s)[0]
        - jnp.broadcast_to(lowest, a.shape) * back_low(s)[0]
        - jnp.broadcast_to(highest, a.shape) * back_high(s)[0]
    )


# Their parts ------------------------------------------------------------------------------------


def _positive(linear, a, w, divide, signed):
    """Shares by the positive products `(w a)^+ = w^+ a^+ + w^- a^-`."""
    return _signed(linear, a, _plus(w), _minus(w), divide, signed)


def _negative(linear, a, w, divide, signed):
    """Shares by the negative products `(w a)^- = w^- a^+ + w^+ a^-`."""
    return _signed(linear, a, _minus(w), _plus(w), divide, signed)


def _signed(linear, a, beside_plus, beside_minus, divide, signed):
    # Behind a ReLU a^- is zero and half of the work would be done on zeros.
    def both(a):
        return sum(share(linear, [(_plus(a), beside_plus), (_minus(a), beside_minus)], divide))

    def positive_only(a):
        return share(linear, [(a, beside_plus)], divide)[0]

    if not signed:
        return positive_only(a)
    return jax.lax.cond(jnp.min(a) >= 0, positive_only, both, a)


def _unweighted(linear, a, w, r, epsilon):
    """Shares by the kernel alone, as if every input were 1."""
    z, back = jax.vjp(lambda a: linear(a, w), jnp.ones_like(a))
    return back(r / stabilised(z, epsilon))[0]


def _divider(r, b, epsilon: float | None):
    """The S = R / (z + b) of a rule: guarded by st, or 0 where the denominator is 0."""
    if epsilon is None:
        return lambda z: ratio(r, _added(z, b))
    return lambda z: r / stabilised(_added(z, b), epsilon)


def _bias_parts(b, bias: Bias):
    """What the denominators of the positive and of the negative products get."""
    if bias not in ("none", "signed", "whole"):
        raise ValueError(f"bias {bias!r}: give 'none', 'signed' or 'whole'")
    if b is None or bias == "none":
        return None, None
    return (_plus(b), _minus(b)) if bias == "signed" else (b, b)


def _added(z, b):
    return z if b is None else z + _channels(b, z.ndim, b.dtype)


def _channels(values, ndim: int, dtype):
    """Values for each channel, the last axis; those with all axes stand beside the map already."""
    values = jnp.asarray(values, dtype)
    return values if values.ndim == ndim else values.reshape((1,) * (ndim - 1) + (-1,))


def _plus(x):
    return jnp.maximum(x, 0)


def _minus(x):
    return jnp.minimum(x, 0)
