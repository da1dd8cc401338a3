"""The maximum of the posterior on observations that have closed forms."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_forensics.faces import map_estimate as m
from gan_forensics.faces.gaussian import Gaussian

# Landmarks, descriptor's numbers, eigenpairs, numbers of a state.
K, N, J, D = 4, 5, 2, 3
RANDOM = np.random.default_rng(0)
VECTORS = np.linalg.qr(RANDOM.normal(size=(K, N, N)))[0][:, :J]
APPEARANCE = Gaussian(
    RANDOM.normal(size=(K, N)), VECTORS, RANDOM.uniform(1, 4, (K, J)), RANDOM.uniform(0.2, 0.9, K)
)
PLACES = RANDOM.normal(size=(K, 2, D))
DESCRIPTORS = RANDOM.normal(size=(K, N, 2))
PRIOR = m.Prior(RANDOM.normal(size=D), np.array([0.5, 2.0, 0.1]), np.array(1.0))
ALL, SOME = np.ones(K, bool), np.array([True, False, True, True])


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def points(state):
    return jnp.einsum("kcd,d->kc", PLACES, state)


def describe(bend, at, sense=1.0):
    """Linear in the places, or with `bend` 1 in their arc tangents, which make steps too long."""
    curved = (1 - bend) * at + bend * jnp.arctan(3 * at)
    slopes = (1 - bend) + bend * 3 / (1 + 9 * at * at)
    slopes = sense * DESCRIPTORS * slopes[:, None]
    return jnp.einsum("knc,kc->kn", DESCRIPTORS, curved), slopes


# Compiled once for all of these tests, as the next ones are.
@jax.jit
def _gauss_newton(bend, visible, prior, iterations, sense):
    seen = partial(describe, bend, sense=sense)
    return m.gauss_newton(seen, points, APPEARANCE, visible, prior, iterations=iterations)


def gauss_newton(bend, visible, prior, iterations, sense=1.0):
    return _gauss_newton(bend, visible, prior, iterations, sense)


@jax.jit
def nelder_mead(bend, visible, prior):
    seen, alone = partial(describe, bend), lambda at: describe(bend, at)[0]
    return m.nelder_mead(
        alone, points, APPEARANCE, visible, prior, evaluations=jnp.asarray(600), slopes=seen
    )


@jax.jit
def local(bend, visible, prior, x):
    """The local model at x, with the energy's own gradient and Hessian."""
    model = m._local_energy(partial(describe, bend), points, APPEARANCE, visible, prior)

    def energy(x):
        return model(x).energy

    return model(x), jax.grad(energy)(x), jax.hessian(energy)(x)


def kalman(visible, prior):
    """Mean and covariance after a linear observation: (P^-1 + sum_k c J' S^-1 J)^-1."""
    share = K / visible.sum()
    precision = float(prior.weight) * np.diag(prior.deviation**-2)
    pull = precision @ prior.mean
    for k in np.flatnonzero(visible):
        u = APPEARANCE.vectors[k]
        inside = u.T @ np.diag(APPEARANCE.values[k]) @ u
        s = np.linalg.inv(inside + APPEARANCE.residual[k] * (np.eye(N) - u.T @ u))
        slopes = DESCRIPTORS[k] @ PLACES[k]
        precision = precision + share * slopes.T @ s @ slopes
        pull = pull + share * slopes.T @ s @ APPEARANCE.mean[k]
    covariance = np.linalg.inv(precision)
    return covariance @ pull, covariance


@pytest.mark.parametrize("weight", [1.0, 0.0], ids=["prior", "no-prior"])
@pytest.mark.parametrize("visible", [ALL, SOME], ids=["all", "some"])
def test_of_a_linear_observation_the_posterior_is_the_kalman_update(visible, weight):
    prior = PRIOR._replace(weight=np.array(weight))
    mean, covariance = kalman(visible, prior)
    found = gauss_newton(0.0, visible, prior, 10)
    np.testing.assert_allclose(found.state, mean, rtol=1e-5, atol=1e-6)
    # A millionth of the prior's own precision is added.
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-4, atol=1e-7)
    assert found.iterations < 10
    by_simplex = nelder_mead(0.0, visible, prior)
    np.testing.assert_allclose(by_simplex.state, mean, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(by_simplex.covariance, covariance, rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(by_simplex.energies, found.energies, rtol=1e-2)
    assert 600 <= by_simplex.iterations < 610


def test_hidden_landmarks_pull_at_nothing_whatever_they_look_like():
    found, gradient, hessian = local(0.0, SOME, PRIOR, jnp.ones(D))
    everything, _, _ = local(0.0, ALL, PRIOR, jnp.ones(D))
    seen = np.asarray(everything.energies)[SOME]
    # The sum over the visible ones stands for all, and the prior weighs one.
    np.testing.assert_allclose(found.energy, K / 3 * seen.sum() + D, rtol=1e-6)
    np.testing.assert_allclose(found.energies, everything.energies, rtol=1e-12)
    np.testing.assert_allclose(2 * found.gradient, gradient, rtol=1e-6)
    np.testing.assert_allclose(2 * found.hessian, hessian, rtol=1e-6, atol=1e-9)


def test_the_gradient_is_that_of_the_energy_where_descriptors_bend():
    found, gradient, _ = local(1.0, ALL, PRIOR, jnp.asarray([0.3, -0.2, 1.5]))
    np.testing.assert_allclose(2 * found.gradient, gradient, rtol=1e-9)
    np.testing.assert_allclose(found.hessian, found.hessian.T, rtol=1e-9)


def test_steps_that_raise_the_energy_are_taken_back_and_shortened():
    far = PRIOR._replace(mean=np.array([1.5, 1.0, -2.0]), weight=np.array(0.0))
    before = local(1.0, ALL, far, jnp.zeros(D))[0].energy
    energies = []
    for iterations in range(0, 24, 3):
        found = gauss_newton(1.0, ALL, far, iterations)
        energies.append(float(found.energies.sum()))
        assert found.iterations <= iterations
    assert energies[0] == pytest.approx(float(before))
    assert (np.diff(energies) <= 2e-3 * np.abs(energies[:-1])).all()
    assert energies[-1] < 0.6 * energies[0]


def test_the_search_ends_with_a_step_shorter_than_a_thousandth_of_the_priors_deviation():
    states = np.array([gauss_newton(0.0, ALL, PRIOR, number).state for number in range(4)])
    # The damping of the first step leaves a thousandth of the way, that of the next next to none.
    steps = np.abs(np.diff(states, axis=0) / PRIOR.deviation).max(1)
    assert steps[0] > 1 and 1e-2 > steps[1] > 1e-3 and 1e-5 > steps[2] > 1e-8
    assert gauss_newton(0.0, ALL, PRIOR, 50).iterations == 3


@pytest.mark.parametrize("rise", [5e-4, 5e-3])
def test_a_step_that_raises_the_energy_by_less_than_a_thousandth_is_rounding(rise):
    free = PRIOR._replace(weight=np.array(0.0))
    best = gauss_newton(0.0, ALL, free, 10)
    curvature = local(0.0, ALL, free, jnp.zeros(D))[0].hessian[0, 0]
    # Slopes of the wrong sign lead from a place beside the minimum to twice as far.
    beside = np.sqrt(rise * best.energies.sum() / (3 * curvature)) * np.array([1, 0, 0])
    start = free._replace(mean=best.state + free.deviation * beside)
    found = gauss_newton(0.0, ALL, start, 1, -1.0)
    moved = (found.state - start.mean) / free.deviation
    np.testing.assert_allclose(moved, beside if rise < 1e-3 else 0, rtol=2e-2, atol=1e-4)


def test_a_part_of_the_state_that_moves_nothing_does_not_stop_the_others():
    still = PRIOR._replace(deviation=np.array([0.5, 2.0, 0.0]), weight=np.array(0.0))
    found = gauss_newton(0.0, ALL, still, 10)
    assert found.state[2] == still.mean[2]
    gradient = local(0.0, ALL, still, jnp.zeros(D))[0].gradient
    after = local(0.0, ALL, still._replace(mean=found.state), jnp.zeros(D))[0].gradient
    assert np.abs(after).max() < 1e-6 * np.abs(gradient).max()


def test_what_sees_nothing_stays_where_it_is_with_the_uncertainty_of_the_prior():
    nothing = np.zeros(K, bool)
    np.testing.assert_array_equal(m._shares(jnp.asarray(nothing)), 0)
    found = gauss_newton(0.0, nothing, PRIOR, 5)
    np.testing.assert_array_equal(found.state, PRIOR.mean)
    np.testing.assert_allclose(found.covariance, np.diag(PRIOR.deviation**2), rtol=1e-5, atol=1e-12)
    free = gauss_newton(0.0, nothing, PRIOR._replace(weight=np.array(0.0)), 5)
    np.testing.assert_array_equal(free.state, PRIOR.mean)
    deviations = np.sqrt(np.diagonal(free.covariance))
    np.testing.assert_allclose(deviations, 1000 * PRIOR.deviation, rtol=1e-3)
