"""Where the face is in one frame: the maximum of the posterior, by two searches.

    E(b) = c sum_k (d_k(b) - mu_k)' Sigma_k^-1 (d_k(b) - mu_k) + (b - b')' Sigma_b^-1 (b - b')

b is the state (pose and animation), d_k(b) the descriptor at the projection of tracked vertex k,
N(mu_k, Sigma_k) what the synthetic views make it, b' the state before. Gaussian prior and
likelihood are those of Tran et al. (2013); that landmarks are independent, that the sum runs over
visible ones and is scaled to all (c), and the optimisers are this project's reconstruction.

The search runs on x = (b - b') / sd, so that a prior standard deviation is 1 in every direction.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from gan_forensics.faces import simplex
from gan_forensics.faces.gaussian import Gaussian, squared_distance

# A Gauss-Newton step shorter than this share of the prior's deviations ends the search.
TOLERANCE = 1e-3
# Relative rounding of an energy summed in float32: a step that raises it by less is no worse.
_ROUNDING = 1e-3


class Posterior(NamedTuple):
    """Outcome of a search.

    Attributes:
        state: b, where the energy is lowest.
        energies: squared Mahalanobis distance of each landmark there.
        covariance: of the state, by Laplace: the inverse of the Gauss-Newton Hessian of E / 2.
        iterations: steps of Gauss-Newton, or evaluations of the simplex.
    """

    state: Float[Array, "d"]
    energies: Float[Array, "k"]
    covariance: Float[Array, "d d"]
    iterations: Int[Array, ""]


class Prior(NamedTuple):
    """N(mean, diag(deviation^2)) over states.

    Attributes:
        mean: b'.
        deviation: standard deviations, which scale the search as well.
        weight: 1, or 0 to do without a prior.
    """

    mean: Float[Array, "d"]
    deviation: Float[Array, "d"]
    weight: Float[Array, ""]


class _Local(NamedTuple):
    energy: Float[Array, ""]
    energies: Float[Array, "k"]
    gradient: Float[Array, "d"]
    hessian: Float[Array, "d d"]


def _shares(visible: Bool[Array, "k"]) -> Float[Array, "k"]:
    """Weights of the landmarks: nought if hidden, else such that they add up to their number."""
    seen = visible.astype(jnp.float32)
    return seen * (len(seen) / jnp.maximum(seen.sum(), 1))


def whitened(gaussian: Gaussian, difference: Float[Array, "k d c"]) -> Float[Array, "k d c"]:
    """Sigma^-1 applied to columns, one Gaussian a landmark."""
    along = jnp.einsum("kjd,kdc->kjc", gaussian.vectors, difference)
    flat = 1 / gaussian.residual
    excess = 1 / gaussian.values - flat[:, None]
    lifted = jnp.einsum("kjd,kjc->kdc", gaussian.vectors, along * excess[..., None])
    return difference * flat[:, None, None] + lifted


def gauss_newton(
    describe: Callable[[Float[Array, "k 2"]], tuple[Float[Array, "k n"], Float[Array, "k n 2"]]],
    points: Callable[[Float[Array, "d"]], Float[Array, "k 2"]],
    appearance: Gaussian,
    visible: Bool[Array, "k"],
    prior: Prior,
    *,
    iterations: int,
) -> Posterior:
    """Minimise E by Gauss-Newton with Levenberg's damping on the whitened residuals.

    Args:
        describe: descriptors at points, and their derivatives by the points.
        points: of a state: where the tracked vertices appear.
        appearance: one Gaussian a landmark.
        visible: landmarks that count.
        prior: of the state; the search begins at its mean.
        iterations: steps at most.
    """
    local = _local_energy(describe, points, appearance, visible, prior)

    def is_open(search):
        count, _, _, _, done = search
        return (count < iterations) & ~done

    def move(search):
        count, x, here, damping, _ = search
        damped = here.hessian + jnp.diag(damping * jnp.diagonal(here.hessian) + 1e-9)
        step = jax.scipy.linalg.solve(damped, here.gradient, assume_a="pos")
        there = local(x - step)
        better = there.energy <= here.energy * (1 + _ROUNDING)
        done = jnp.abs(step).max() < TOLERANCE
        x = jnp.where(better, x - step, x)
        here = jax.tree.map(lambda new, old: jnp.where(better, new, old), there, here)
        return count + 1, x, here, jnp.where(better, damping / 10, damping * 10 + 1e-3), done

    x = jnp.zeros_like(prior.mean)
    first = (jnp.asarray(0), x, local(x), jnp.asarray(1e-3, x.dtype), jnp.asarray(False))
    count, x, here, _, _ = jax.lax.while_loop(is_open, move, first)
    return Posterior(
        prior.mean + prior.deviation * x, here.energies, _covariance(here.hessian, prior), count
    )


def nelder_mead(
    describe: Callable[[Float[Array, "k 2"]], Float[Array, "k n"]],
    points: Callable[[Float[Array, "d"]], Float[Array, "k 2"]],
    appearance: Gaussian,
    visible: Bool[Array, "k"],
    prior: Prior,
    *,
    evaluations: int,
    slopes: Callable[[Float[Array, "k 2"]], tuple[Float[Array, "k n"], Float[Array, "k n 2"]]],
) -> Posterior:
    """Minimise E by a simplex with corners one prior deviation away, for so many evaluations.

    Takes what `gauss_newton` takes, but `describe` gives descriptors alone and may have steps.
    `slopes` gives derivatives of descriptors like them, for the covariance at the end.
    """
    shares = _shares(visible)

    def energies(x):
        found = describe(points(prior.mean + prior.deviation * x))
        return squared_distance(appearance, found)

    def objective(x):
        return (shares * energies(x)).sum() + prior.weight * (x * x).sum()

    states = len(prior.mean)
    corners = jnp.eye(states + 1, states, -1, prior.mean.dtype)
    found = simplex.minimise(objective, corners, evaluations=evaluations)
    best = found.corners[0]
    hessian = _local_energy(slopes, points, appearance, visible, prior)(best).hessian
    return Posterior(
        prior.mean + prior.deviation * best,
        energies(best),
        _covariance(hessian, prior),
        found.evaluations,
    )


def _local_energy(describe, points, appearance, visible, prior) -> Callable[..., _Local]:
    """Energy, and gradient and Gauss-Newton Hessian of its half, at x."""
    shares = _shares(visible)

    def local(x):
        state = prior.mean + prior.deviation * x
        places = points(state)
        moves = jax.jacfwd(points)(state) * prior.deviation[None, None]
        descriptors, slopes = describe(places)
        difference = descriptors - appearance.mean
        columns = jnp.concatenate([difference[..., None], slopes], -1)
        # Of each landmark a 3 x 3 block: energy, its slope by (u, v), and their curvature.
        block = jnp.einsum("kda,kdb->kab", columns, whitened(appearance, columns))
        energies = block[:, 0, 0]
        energy = (shares * energies).sum() + prior.weight * (x * x).sum()
        gradient = jnp.einsum("k,kc,kcd->d", shares, block[:, 0, 1:], moves) + prior.weight * x
        hessian = jnp.einsum("k,kci,kce,kej->ij", shares, moves, block[:, 1:, 1:], moves)
        return _Local(
            energy, energies, gradient, hessian + prior.weight * jnp.eye(len(x), dtype=x.dtype)
        )

    return local


def _covariance(hessian: Float[Array, "d d"], prior: Prior) -> Float[Array, "d d"]:
    # A direction that nothing determines has a large variance and not an infinite one.
    inverse = jnp.linalg.inv(hessian + 1e-6 * jnp.eye(len(hessian), dtype=hessian.dtype))
    return inverse * (prior.deviation[:, None] * prior.deviation[None])
