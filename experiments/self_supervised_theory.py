"""What rotation tasks reward, on twelve states: closed forms beside brute force.

Of self-supervised GANs (Chen et al., CVPR 2019) and the multi-class minimax game (Tran et al.,
"Self-supervised GAN: Analysis and Improvement with Multi-class Minimax Game", NeurIPS 2019). The
theorems were derived anew; the equations' numbers in the paper are not known to us.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

from gan_forensics.experiments.discrete_games import (
    ROTATIONS,
    Action,
    Distribution,
    best_classifier,
    claim,
    claim_above,
    climb,
    expected_log,
    kl,
    log_ratio,
    mixture,
    point_mass,
    push,
    rotations,
    stabilisers,
)
from gan_forensics.report.figures import Figure
from gan_forensics.report.plots import COLOURS, FAINT, label_ends, tidy

# Two images with four orientations, one with two, and two with one. The data show each in one
# canonical orientation; what they show of the last two is ambiguous.
ORBITS = (4, 4, 2, 1, 1)
STATES = sum(ORBITS)
SHOWN = (0, 4, 8, 10)
DATA = np.zeros(STATES)
DATA[list(SHOWN)] = (0.4, 0.3, 0.2, 0.1)
# Of the generator's part in the multi-class game where the GAN's own loss is played too.
LAMBDA = 0.1
COLLAPSED = 4

Classifier = Float[np.ndarray, "k s"]


def ss_classifier(p_d: Distribution, action: Action) -> Classifier:
    """C*_k(x) = p_d^{T_k}(x) / sum_j p_d^{T_j}(x); undefined (nan) where no rotated image lies."""
    with np.errstate(invalid="ignore"):
        pushed = push(p_d, action)
        return pushed / pushed.sum(0)


def ss_reward(p_d: Distribution, action: Action) -> Distribution:
    """Of an image in each state: (1/K) sum_k log C*_k(T_k x), in nats; -inf off the data."""
    log_c = log_ratio(push(p_d, action), push(p_d, action).sum(0))
    return _seen_rotated(log_c, action).mean(0)


def phi(p_g: Distribution, p_d: Distribution, action: Action) -> float:
    """Phi(G) = (1/K) sum_k E_{x ~ P_g^{T_k}} log C*_k(x): the generator's reward of the SS task."""
    return _mean(p_g, ss_reward(p_d, action))


def ms_classifier(p_g: Distribution, p_d: Distribution, action: Action) -> Classifier:
    """C* of the K+1 classes: p_d^{T_k} / S and, fake, sum_j p_g^{T_j} / S; S is their sum."""
    classes = np.concatenate([push(p_d, action), push(p_g, action).sum(0, keepdims=True)])
    with np.errstate(invalid="ignore"):
        return classes / classes.sum(0)


def ms_reward(p_g: Distribution, p_d: Distribution, action: Action) -> Distribution:
    """Of an image in each state: (1/K) sum_k log C*_k / C*_{K+1} at T_k x."""
    log_c = log_ratio(push(p_d, action), push(p_g, action).sum(0))
    return _seen_rotated(log_c, action).mean(0)


def phi_plus(p_g: Distribution, p_d: Distribution, action: Action) -> float:
    """Phi+(G, C*): the generator's objective of the multi-class game, at its best classifier."""
    return _mean(p_g, ms_reward(p_g, p_d, action))


def phi_plus_identity(p_g: Distribution, p_d: Distribution, action: Action) -> float:
    """The same as -KL(P_g^T || P_d^T) + Phi(G): match the data, and a bias that remains."""
    return -kl(mixture(p_g, action), mixture(p_d, action)) + phi(p_g, p_d, action)


def ms_optimum(p_d: Distribution, action: Action) -> Distribution:
    """argmax Phi+ = p_d / |Stab|, scaled; for data with one state of every orbit."""
    weights = p_d / stabilisers(action)
    return weights / weights.sum()


def ms_optimum_found(p_d: Distribution, action: Action, *, weight: float | None) -> Distribution:
    """The generator at which gradient ascent ends, with the best classifier of every step.

    Args:
        p_d, action: the data.
        weight: of Phi+ beside the GAN's own loss 2 JS(P_d || P_g); None without that loss.
    """

    def gradient(p_g):
        # That of Phi+ is the reward of its states less a constant, that of 2 JS is log(1 - D*).
        with np.errstate(divide="ignore", invalid="ignore"):
            reward = ms_reward(p_g, p_d, action)
            return reward if weight is None else weight * reward - np.log(p_g / (p_d + p_g))

    return climb(gradient, len(p_d), rate=0.5, steps=500)


def released_gap(p_g: Distribution, p_d: Distribution, action: Action) -> float:
    """The released matching form, |CE of rotated fakes - CE of rotated reals|, at its best C.

    Its discriminator sees rotated reals and upright fakes, every class with the same weight.
    """
    classes = np.concatenate([push(p_d, action), p_g[None]])
    log_c = log_ratio(classes[:-1], classes.sum(0))
    per_state = _seen_rotated(log_c, action).mean(0)
    return abs(_mean(p_g, per_state) - _mean(p_d, per_state))


def released_gap_of_collapse(mass: float) -> float:
    """(1 - p)/4 log(1 + 1/p): its value for a generator of one unambiguous image of mass p."""
    return (1 - mass) / ROTATIONS * np.log(1 + 1 / mass)


def results() -> dict[str, Any]:
    """Every claim with its value and what it should be, and the arrays of the figures."""
    action = rotations(ORBITS)
    collapsed = point_mass(COLLAPSED, STATES)
    rng = np.random.default_rng(0)
    p_g, p_d = rng.dirichlet(np.ones(STATES), 2)
    pushed = push(p_d, action)
    with_fakes = np.concatenate([pushed, push(p_g, action).sum(0, keepdims=True)])
    alone, both = (ms_optimum_found(DATA, action, weight=w) for w in (None, LAMBDA))
    clear = rotations((4, 4, 4))
    clear_data, clear_other = np.zeros((2, 12))
    clear_data[[0, 4, 8]], clear_other[[0, 4, 8]] = (0.5, 0.3, 0.2), (0.1, 0.2, 0.7)
    ambiguity = -(0.2 * np.log(2) + 0.1 * np.log(4))
    mixtures = kl(mixture(p_g, action), mixture(p_d, action))
    claims = [
        claim(
            "SS: the best classifier by brute force is p_d^{T_k} / sum_j p_d^{T_j}",
            best_classifier(pushed),
            ss_classifier(p_d, action),
        ),
        claim(
            "SS: reward Phi of the data themselves is -(0.2 log 2 + 0.1 log 4)",
            phi(DATA, DATA, action),
            ambiguity,
        ),
        claim("SS: reward of one unambiguous image is 0", phi(collapsed, DATA, action), 0),
        claim_above(
            "SS: the collapsed generator beats the data at the task",
            phi(collapsed, DATA, action),
            phi(DATA, DATA, action),
        ),
        claim(
            "MS: the best classifier by brute force is p_d^{T_k} / S, fake sum_j p_g^{T_j} / S",
            best_classifier(with_fakes),
            ms_classifier(p_g, p_d, action),
        ),
        claim(
            "MS: Phi+ is the expectation of log C_k - log C_{K+1} at that classifier",
            _log_ratio_form(best_classifier(with_fakes), p_g, action),
            phi_plus(p_g, p_d, action),
        ),
        claim(
            "MS: Phi+ = -KL(P_g^T || P_d^T) + Phi",
            phi_plus(p_g, p_d, action),
            phi_plus_identity(p_g, p_d, action),
            tolerance=1e-13,
        ),
        claim_above("MS: KL(P_g^T || P_d^T) is above 0", mixtures, 0),
        claim_above("MS: and below KL(P_g || P_d)", kl(p_g, p_d), mixtures),
        claim(
            "MS: where orientations are clear, it is KL(P_g || P_d)",
            kl(mixture(clear_other, clear), mixture(clear_data, clear)),
            kl(clear_other, clear_data),
        ),
        claim(
            "MS: where orientations are clear, the best generator is the data",
            ms_optimum_found(clear_data, clear, weight=None),
            clear_data,
        ),
        claim("MS: and its reward 0", phi_plus(clear_data, clear_data, clear), 0),
        claim(
            "MS: where orientations are clear, collapse to an image of mass p has log p",
            [phi_plus(point_mass(s, 12), clear_data, clear) for s in (0, 4, 8)],
            np.log(clear_data[[0, 4, 8]]),
        ),
        claim(
            "MS: with ambiguous images the best generator is p_d / |Stab|, scaled",
            alone,
            ms_optimum(DATA, action),
        ),
        claim_above(
            "MS: it beats the data, so that a bias remains",
            phi_plus(alone, DATA, action),
            phi_plus(DATA, DATA, action),
        ),
        claim(
            f"MS with the GAN's loss, weight {LAMBDA}: one reward for all images at the optimum",
            _spread_at_optimum(both, action),
            0,
        ),
        claim(
            "Released matching form: 0 where the generator is the data",
            released_gap(DATA, DATA, action),
            0,
        ),
        claim(
            "Released matching form: (1 - p)/4 log(1 + 1/p) after collapse on a clear image",
            [released_gap(point_mass(s, 12), clear_data, clear) for s in (0, 4, 8)],
            [released_gap_of_collapse(p) for p in clear_data[[0, 4, 8]]],
        ),
    ]
    mixed = np.linspace(0, 1, 41)
    path = [(1 - t) * DATA + t * collapsed for t in mixed]
    return {
        "claims": claims,
        "optima": {
            "data": DATA[list(SHOWN)].tolist(),
            "MS": alone[list(SHOWN)].tolist(),
            f"MS, weight {LAMBDA}, with the GAN's loss": both[list(SHOWN)].tolist(),
        },
        "path": {
            "collapsed": mixed.tolist(),
            "SS": [phi(p, DATA, action) for p in path],
            "MS": [phi_plus(p, DATA, action) for p in path],
        },
    }


def figures(results: Mapping[str, Any]) -> list[tuple[str, Figure]]:
    """Rewards on the way to collapse, and the best generators of the multi-class game."""
    path = results["path"]
    rewards = Figure(figsize=(6.4, 3.4), dpi=150, layout="constrained")
    axes = rewards.subplots()
    ends = []
    for colour, name in zip(COLOURS[1:], ("SS", "MS"), strict=False):
        axes.plot(path["collapsed"], path[name], color=colour, lw=1.8)
        ends.append((path[name][-1], name, colour))
    axes.axhline(0, color=FAINT, lw=0.8, ls=(0, (2, 2)))
    axes.set(xlabel="share of the generator on one image (0: the data)", xlim=(0, 1))
    tidy(axes, "The generator's reward, nats")
    label_ends(axes, ends)
    optima = Figure(figsize=(6.4, 3.4), dpi=150, layout="constrained")
    axes = optima.subplots()
    places = np.arange(len(SHOWN))
    for i, (colour, (name, mass)) in enumerate(
        zip(COLOURS, results["optima"].items(), strict=False)
    ):
        axes.bar(places + 0.27 * (i - 1), mass, 0.25, color=colour, label=name)
    axes.set_xticks(places, ["clear", "clear", "same at 180°", "same at 90°"])
    axes.legend(frameon=False, fontsize=8)
    tidy(axes, "Mass of each image", grid="y")
    return [
        (
            "The SS task pays more for one unambiguous image than for the data; the multi-class "
            "game pays less.",
            rewards,
        ),
        (
            "The best generator of the multi-class game has too little of symmetric images "
            "(p_d / |Stab|); beside the GAN's own loss less so.",
            optima,
        ),
    ]


def _seen_rotated(table: Classifier, action: Action) -> Classifier:
    """Row k of a table over states, read at T_k x for every x."""
    return np.take_along_axis(table, action, axis=1)


def _mean(p: Distribution, values: Distribution) -> float:
    """The expectation, which what has no mass leaves alone."""
    return float((p[p > 0] * values[p > 0]).sum())


def _log_ratio_form(c: Classifier, p_g: Distribution, action: Action) -> float:
    rotated = push(p_g, action) / ROTATIONS
    return expected_log(rotated, c[:-1]) - expected_log(rotated, np.tile(c[-1], (ROTATIONS, 1)))


def _spread_at_optimum(p_g: Distribution, action: Action) -> float:
    """Largest less smallest gradient on the shown states; 0 at a maximum inside the simplex."""
    shown = list(SHOWN)
    q, p = p_g[shown], DATA[shown]
    # From the closed form alone: LAMBDA log(p / (q |Stab|)) - log(q / (p + q)).
    ratio = log_ratio(p, q * stabilisers(action)[shown])
    return float(np.ptp(LAMBDA * ratio - np.log(q / (p + q))))
