"""Games on finitely many states with a group of rotations, small enough to be solved outright.

A distribution is an array [s] that sums to 1, an action an array of integers [k, s]: where each of
its k maps takes every state. Logarithms are natural.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax, xlogy

Distribution = Float[np.ndarray, " s"]
Pushed = Float[np.ndarray, "k s"]
Action = Int[np.ndarray, "k s"]
ROTATIONS = 4


def rotations(orbits: Sequence[int]) -> Action:
    """The four rotations of states that lie orbit beside orbit.

    Args:
        orbits: size of each: 4 for images that have four orientations, 2 for those that a half
            turn leaves as they are, 1 for those that every turn does.

    Returns:
        [4, sum of orbits]; the first map is the identity.
    """
    starts = np.cumsum([0, *orbits[:-1]])
    turned = [
        np.concatenate([a + (np.arange(n) + k) % n for a, n in zip(starts, orbits, strict=True)])
        for k in range(ROTATIONS)
    ]
    return np.stack(turned)


def point_mass(state: int, states: int) -> Distribution:
    """All mass on one state."""
    return np.eye(states)[state]


def push(p: Distribution, action: Action) -> Pushed:
    """The distribution of T_k x for x ~ p, a row for each map; maps may join states."""
    pushed = np.zeros(action.shape)
    for row, moved in zip(pushed, action, strict=True):
        np.add.at(row, moved, p)
    return pushed


def mixture(p: Distribution, action: Action) -> Distribution:
    """P^T: the mean of all T_k x, k uniform."""
    return push(p, action).mean(0)


def stabilisers(action: Action) -> Int[np.ndarray, " s"]:
    """How many of the maps leave each state where it is: |Stab|."""
    return (action == np.arange(action.shape[1])).sum(0)


def kl(p: Distribution, q: Distribution) -> float:
    """KL(p || q); infinite where p has mass and q has none."""
    some = p > 0
    with np.errstate(divide="ignore"):
        return float((p[some] * np.log(p[some] / q[some])).sum())


def js(p: Distribution, q: Distribution) -> float:
    """The Jensen-Shannon divergence, 0 to log 2."""
    middle = (p + q) / 2
    return (kl(p, middle) + kl(q, middle)) / 2


def log_ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """log(a / b) with -inf where a is 0, +inf where only b is."""
    with np.errstate(divide="ignore"):
        return np.where(a > 0, np.log(np.where(a > 0, a, 1)) - np.log(b), -np.inf)


def best_classifier(weights: Float[np.ndarray, "k s"]) -> Float[np.ndarray, "k s"]:
    """By brute force, the C that maximises sum_k sum_x w_k(x) log C_k(x), C a softmax over k.

    With rows p and q it is the discriminator's game, max_D E_p log D + E_q log(1 - D).
    """
    total = weights.sum(0)

    def loss(flat):
        log_c = log_softmax(flat.reshape(weights.shape), axis=0)
        return -(weights * log_c).sum(), (total * np.exp(log_c) - weights).ravel()

    start = np.zeros(weights.size)
    exact = {"maxiter": 10_000, "ftol": 1e-16, "gtol": 1e-10}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options=exact)
    return softmax(found.x.reshape(weights.shape), axis=0)


def expected_log(weights: np.ndarray, c: np.ndarray) -> float:
    """sum_k sum_x w_k(x) log C_k(x), with 0 log 0 = 0."""
    return float(xlogy(weights, c).sum())


def climb(
    gradient: Callable[[Distribution], Distribution], states: int, *, rate: float, steps: int
) -> Distribution:
    """By brute force, where gradient ascent on the simplex ends, from the uniform distribution.

    Steps are multiplicative, p exp(rate g) (mirror ascent with the entropy), so that p stays a
    distribution. A state with gradient -inf loses all mass at once, and keeps none.
    """
    p = np.full(states, 1 / states)
    for _ in range(steps):
        g = np.where(p > 0, gradient(p), -np.inf)
        p = p * np.exp(rate * (g - g.max()))
        p /= p.sum()
    return p


def claim(text: str, value: Any, expected: Any, *, tolerance: float = 1e-5) -> dict[str, Any]:
    """What was computed beside what the closed form says, and whether they agree."""
    holds = np.allclose(value, expected, rtol=0, atol=tolerance)
    return _row(text, value, expected, holds)


def claim_above(text: str, value: float, bound: float) -> dict[str, Any]:
    """What was computed, and whether it lies clearly above a bound (by 1e-6)."""
    return _row(text, value, bound, value > bound + 1e-6)


def _row(text: str, value: Any, expected: Any, holds: Any) -> dict[str, Any]:
    plain = [np.asarray(x, np.float64).tolist() for x in (value, expected)]
    return {"claim": text, "value": plain[0], "expected": plain[1], "holds": bool(holds)}
