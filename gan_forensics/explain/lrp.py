"""Layer-wise relevance propagation: operations whose derivative is relevance.

Every operation here computes forward what its name says, exactly. Its custom derivative takes
relevance in place of the gradient and returns the relevance of its inputs, so that `jax.vjp` of a
network made of them propagates relevance: branches add up, jit, vmap and sharding work as always.
The rules of linear layers stand in `gan_forensics.explain.rules`.

Where relevance is not conserved, an operation has an argument `lost` [b], which is not used
forward: it is given back how much of the relevance of its output did not reach its inputs, for each
image. The axis of the images is told as an `Images`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.explain.rules import Linear, Rule, stabilised

# The stabiliser of sums and means. It is 1e-6 in float32, as in the released code of Chandrasegaran
# et al. (ECCV 2022): where two branches cancel exactly, relevance is divided by just this number.
EPSILON = 9.99999997475242707878e-07


class Images(NamedTuple):
    """Where the images of a batch are found in a value.

    Attributes:
        count: how many there are.
        axis: theirs, or that of which they are the outer part; None where it is not known: then
            all images are given the same part of a sum.

    Example:
        >>> Images(2).sums(jnp.ones((2, 3))).tolist()
        [3.0, 3.0]
    """

    count: int
    axis: int | None = 0

    def sums(self, r: Array) -> Float[Array, " b"]:
        """The sum over all of a value that belongs to each image."""
        if self.axis is None:
            return jnp.broadcast_to(r.sum() / self.count, (self.count,))
        return jnp.moveaxis(r, self.axis, 0).reshape(self.count, -1).sum(1)


def linear_layer(
    linear: Linear, rule: Rule, images: Images, reads: Images | None = None
) -> Callable[..., Array]:
    """The layer `(a, w, b, out, lost) -> linear(a, w) + b` with the rule as its derivative.

    `b` may be None, or has a value for each output, in the last axis or shaped to stand beside the
    result. `out` (shaped like the result) is not used forward; it is given back the relevance of
    the layer's output. What is lost is what the bias, dead units and epsilon swallowed. Kernel and
    bias get zeros.

    Args:
        linear: the layer without its bias.
        rule: of `gan_forensics.explain.rules`.
        images: in the output.
        reads: likewise in the input, by default in the same axis.
    """
    reads = images if reads is None else reads

    @jax.custom_vjp
    def relevance_layer(a, w, b, out, lost):
        y = linear(a, w)
        return y if b is None else y + (b if b.ndim == y.ndim else b[(None,) * (y.ndim - 1)])

    def forward(a, w, b, out, lost):
        return relevance_layer(a, w, b, out, lost), (a, w, b)

    def backward(saved, r):
        a, w, b = saved
        passed = rule(linear, a, w, b, r)
        leak = images.sums(r) - reads.sums(passed)
        return passed, *jax.tree.map(jnp.zeros_like, (w, b)), r, leak

    relevance_layer.defvjp(forward, backward)
    return relevance_layer


@jax.custom_vjp
def pass_through(x: Float[Array, "*n"], y: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """y, made of x place by place (an activation, a norm, a gate): all relevance passes on to x.

    Also where a ReLU is off. A gate g with y = g x, a sigmoid of something else, gets nothing
    (Arras et al., WASSA 2017), and neither do the statistics of a norm.
    """
    return y


pass_through.defvjp(lambda x, y: (y, None), lambda _, r: (r, jnp.zeros_like(r)))


def linear_sum(
    function: Callable[..., Array],
    parts: Sequence[Array],
    lost: Float[Array, " b"],
    *,
    images: Images,
    rest: Sequence[Any] = (),
    reads: Sequence[Images] = (),
    epsilon: float = EPSILON,
) -> Float[Array, "*m"]:
    """`z = function(parts, rest)`, linear in its parts: each gets what it adds, the epsilon rule.

    `R_k = x_k function_k^T(R / st(z))`: a residual sum, where `R_p = p R / st(p + q)`; a mean over
    places; a resize. Where p = -q the two parts are p / epsilon and -p / epsilon of the relevance,
    and sum to 0. What the constants of `rest` add is lost.

    Args:
        function: linear, with weights that are fixed.
        parts: the data.
        lost: see above.
        images: in the result.
        rest: constants, which get nothing.
        reads: images in the parts, needed where `rest` adds something.
        epsilon: the stabiliser.
    """

    @jax.custom_vjp
    def linear_sum(parts, rest, lost):
        return function(parts, rest)

    def forward(parts, rest, lost):
        z = function(parts, rest)
        return z, (parts, rest, z)

    def backward(saved, r):
        parts, rest, z = saved
        s = r / stabilised(z, epsilon)
        _, back = jax.vjp(lambda parts: function(parts, rest), parts)
        passed = tuple(x * g for x, g in zip(parts, back(s)[0], strict=True))
        if reads:
            leak = images.sums(r)
            for own, part in zip(reads, passed, strict=True):
                leak = leak - own.sums(part)
        else:
            leak = images.sums(r - z * s)
        return passed, None, leak

    linear_sum.defvjp(forward, backward)
    return linear_sum(tuple(parts), tuple(rest), lost)


def bilinear(
    function: Callable[[Array, Array], Array],
    p: Float[Array, "*n"],
    q: Float[Array, "*m"],
    lost: Float[Array, " b"],
    *,
    images: Images,
    epsilon: float = EPSILON,
) -> Float[Array, "*k"]:
    """`z = function(p, q)`, linear in both, as attention's products: each gets half, by epsilon.

    `R_p = p function^T(R / st(2 z))` (AttnLRP, Achtibat et al., ICML 2024, arXiv 2402.05602,
    proposition 3.3: R_ji(A) = sum_p A_ji V_ip R_jp / (2 O_jp + epsilon)).
    """

    @jax.custom_vjp
    def bilinear(p, q, lost):
        return function(p, q)

    def forward(p, q, lost):
        z = function(p, q)
        return z, (p, q, z)

    def backward(saved, r):
        p, q, z = saved
        s = r / stabilised(2 * z, epsilon)
        _, back = jax.vjp(function, p, q)
        to_p, to_q = back(s)
        return p * to_p, q * to_q, images.sums(r - 2 * z * s)

    bilinear.defvjp(forward, backward)
    return bilinear(p, q, lost)


@jax.custom_vjp
def product(p: Float[Array, "*n"], q: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """`p q`, place by place: each gets half of the relevance.

    The uniform rule (AttnLRP, Achtibat et al., ICML 2024, arXiv 2402.05602, section 3.3.1).
    """
    return p * q


product.defvjp(lambda p, q: (p * q, None), lambda _, r: (r / 2, r / 2))


def softmax(
    x: Float[Array, "*n"],
    y: Float[Array, "*n"],
    lost: Float[Array, " b"],
    *,
    axes: tuple[int, ...],
    images: Images,
) -> Float[Array, "*n"]:
    """`y = softmax(x)` over the axes: `R_i = x_i (R_i - y_i sum_j R_j)`, its Taylor expansion.

    A Taylor expansion at x, whose constant term is lost (AttnLRP, Achtibat et al., ICML 2024, arXiv
    2402.05602, proposition 3.1). What is masked, with y = 0, gets nothing.
    """

    @jax.custom_vjp
    def softmax(x, y, lost):
        return y

    def backward(saved, r):
        x, y = saved
        passed = jnp.where(y == 0, 0, x) * (r - y * r.sum(axes, keepdims=True))
        return passed, jnp.zeros_like(y), images.sums(r) - images.sums(passed)

    softmax.defvjp(lambda x, y, lost: (y, (x, y)), backward)
    return softmax(x, y, lost)


def moved(
    function: Callable[..., Array],
    parts: Sequence[Array],
    lost: Float[Array, " b"],
    *,
    images: Images,
    rest: Sequence[Any],
    reads: Sequence[Images],
) -> Float[Array, "*m"]:
    """`function(parts, rest)`, which puts data and constants side by side, unchanged.

    Relevance is moved back; that of the constants (padding, a class token) is lost.
    """

    @jax.custom_vjp
    def moved(parts, rest, lost):
        return function(parts, rest)

    def backward(saved, r):
        parts, rest = saved
        _, back = jax.vjp(lambda parts: function(parts, rest), parts)
        (passed,) = back(r)
        leak = images.sums(r)
        for own, part in zip(reads, passed, strict=True):
            leak = leak - own.sums(part)
        return passed, None, leak

    moved.defvjp(lambda parts, rest, lost: (function(parts, rest), (parts, rest)), backward)
    return moved(tuple(parts), tuple(rest), lost)
