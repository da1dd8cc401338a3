"""The simplex against scipy's, move by move."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize, rosen

from gan_forensics.faces import simplex

CENTRE = np.array([0.3, -0.4, 1.0, 2.0])
MATRIX = np.array([[4, 1, 0, 0], [1, 3, 0.5, 0], [0, 0.5, 2, 0.2], [0, 0, 0.2, 1.0]])


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def quadratic(x):
    return (x - CENTRE) @ MATRIX @ (x - CENTRE)


def discontinuous(x):
    xp = np if isinstance(x, np.ndarray) else jnp
    return xp.floor(4 * xp.abs(x)).sum() + (x**2).sum()


def rippled(x):
    """Contractions fail on it, inside and outside, so that the simplex shrinks."""
    xp = np if isinstance(x, np.ndarray) else jnp
    return 10 * xp.cos(30 * x).sum() + (x**2).sum()


OBJECTIVES = {
    "rosenbrock": (rosenbrock, 3),
    "quadratic": (quadratic, 4),
    "floor": (discontinuous, 3),
    "ripples": (rippled, 4),
}


def first_corners(n):
    return np.random.default_rng(n).normal(size=(n + 1, n))


@pytest.mark.parametrize("name", list(OBJECTIVES))
def test_every_move_is_that_of_scipy(name):
    objective, n = OBJECTIVES[name]
    corners = first_corners(n)
    with jax.enable_x64(True):
        move = jax.jit(lambda s: simplex.step(objective, s))
        found = jax.jit(lambda c: simplex.begin(objective, c))(jnp.asarray(corners))
        lowest = np.inf
        for moves in range(41):
            if moves in (0, 1, 2, 5, 10, 25, 40):
                # scipy counts from 1: as many moves as its limit less one.
                options = {"initial_simplex": corners, "maxiter": moves + 1, "maxfev": 10**6}
                with np.testing.suppress_warnings() as quiet:
                    quiet.filter(RuntimeWarning)
                    expected = minimize(
                        objective,
                        corners[0],
                        method="Nelder-Mead",
                        options={**options, "xatol": 0, "fatol": 0},
                    )
                them, values = expected.final_simplex
                np.testing.assert_allclose(found.corners, them, rtol=1e-10, atol=1e-12)
                np.testing.assert_allclose(found.values, values, rtol=1e-10, atol=1e-12)
                assert found.evaluations == expected.nfev
            assert found.values[0] <= lowest
            lowest = found.values[0]
            found = move(found)


def test_the_functions_of_these_tests_are_those_meant():
    assert rosenbrock(np.array([0.2, 1.0, -0.5])) == pytest.approx(rosen([0.2, 1.0, -0.5]))


def test_minimising_stops_at_the_evaluations_asked_for_and_finds_the_minimum():
    corners = jnp.asarray(first_corners(4), jnp.float32)
    found = jax.jit(lambda c: simplex.minimise(quadratic, c, evaluations=300))(corners)
    assert 300 <= found.evaluations <= 300 + 6
    np.testing.assert_allclose(found.corners[0], CENTRE, atol=2e-3)


def test_a_shifted_objective_is_searched_by_the_shifted_simplex():
    corners = first_corners(4)
    shift = np.array([1.0, -2.0, 0.5, 4.0])
    with jax.enable_x64(True):
        here = simplex.minimise(quadratic, jnp.asarray(corners), evaluations=60)
        there = simplex.minimise(
            lambda x: quadratic(x - shift), jnp.asarray(corners + shift), evaluations=60
        )
        np.testing.assert_allclose(there.corners, here.corners + shift[None], atol=1e-9)
