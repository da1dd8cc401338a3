"""What augmented discriminators make of the generator, on twelve states: closed forms, brute force.

Of "On Data Augmentation for GAN Training" (Tran et al., IEEE Transactions on Image Processing
2021), where each transform has a discriminator of its own (DAG). The theorems were derived anew.
They hold for discriminators that share nothing; heads on one trunk are a restriction.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gan_forensics.experiments.discrete_games import (
    Action,
    Distribution,
    best_classifier,
    claim,
    claim_above,
    climb,
    expected_log,
    js,
    mixture,
    push,
    rotations,
)
from gan_forensics.report.figures import Figure
from gan_forensics.report.plots import COLOURS, FAINT, tidy

# Three images with four orientations each, which the data show in one.
ORBITS = (4, 4, 4)
STATES = sum(ORBITS)
DATA = np.zeros(STATES)
DATA[[0, 4, 8]] = (0.5, 0.3, 0.2)
WEIGHT = 0.2
PROBABILITIES = (0.0, 0.5, 0.8, 0.9, 1.0)
LOG2 = float(np.log(2))


def crop() -> Action:
    """The identity, and a map that joins states in pairs: it is not invertible."""
    states = np.arange(STATES)
    return np.stack([states, states // 2 * 2])


def turned(p: Distribution, action: Action) -> Distribution:
    """The distribution of every image turned once."""
    return push(p, action)[1]


def game_value(p: Distribution, q: Distribution) -> float:
    """max_D E_p log D + E_q log(1 - D), its D found by brute force."""
    return expected_log(np.stack([p, q]), best_classifier(np.stack([p, q])))


def dag_criterion(p_g: Distribution, p_d: Distribution, action: Action, weight: float) -> float:
    """JS(P_d || P_g) + weight mean_k JS(P_d^{T_k} || P_g^{T_k}): what DAG minimises, halved.

    The mean is over the transforms but the identity, each with its own discriminator.
    """
    pairs = zip(push(p_d, action)[1:], push(p_g, action)[1:], strict=True)
    return js(p_d, p_g) + weight * float(np.mean([js(p, q) for p, q in pairs]))


def shared_criterion(
    p_g: Distribution, p_d: Distribution, action: Action, probability: float = 1.0
) -> float:
    """JS of the mixtures: what one discriminator of all transforms sees.

    Each image is transformed with that probability, k uniform: 1 in DiffAugment with a uniform
    group, less in ADA.
    """
    seen = [(1 - probability) * p + probability * mixture(p, action) for p in (p_d, p_g)]
    return js(seen[0], seen[1])


def best_generator(
    p_d: Distribution, action: Action | None = None, weight: float = WEIGHT
) -> Distribution:
    """The generator at which gradient descent of the GAN's (or DAG's) criterion ends.

    Args:
        p_d: what the discriminator is shown as real.
        action: DAG's transforms; None for a GAN without.
        weight: of DAG's pairs.
    """

    def ascent(p_g):
        # d/dp_g of max_D E log D + E log(1 - D) is log(1 - D*), read where the image is sent.
        g = -_log_fake(p_d, p_g)
        if action is not None:
            pairs = zip(action[1:], push(p_d, action)[1:], push(p_g, action)[1:], strict=True)
            g -= weight * np.mean([_log_fake(p, q)[moved] for moved, p, q in pairs], axis=0)
        return g

    return climb(ascent, len(p_d), rate=0.5, steps=500)


def results() -> dict[str, Any]:
    """Every claim with its value and what it should be, and the arrays of the figures."""
    action = rotations(ORBITS)
    p_d, p_g = np.random.default_rng(0).dirichlet(np.ones(STATES), 2)
    own = js(p_d, p_g)
    pushed = list(zip(push(p_d, action), push(p_g, action), strict=True))
    values = [game_value(p, q) for p, q in pushed]
    rotated = turned(DATA, action)
    augmented = mixture(DATA, action)
    cropped = [push(p, crop())[1] for p in (p_d, p_g)]
    found = {
        "GAN": best_generator(DATA),
        "classical augmentation": best_generator(augmented),
        "DAG": best_generator(DATA, action),
        "DAG with crops": best_generator(DATA, crop()),
    }
    ada = [shared_criterion(rotated, DATA, action, p) for p in PROBABILITIES]
    claims = [
        claim(
            "Every rotation: the best discriminator by brute force has 2 JS(P_d || P_g) - 2 log 2",
            values,
            [2 * own - 2 * LOG2] * len(values),
        ),
        claim(
            "DAG, all heads: (1 + weight) (2 JS - 2 log 2)",
            values[0] + WEIGHT * np.mean(values[1:]),
            (1 + WEIGHT) * (2 * own - 2 * LOG2),
        ),
        claim_above("Crop: JS after it is below JS before it", own, js(cropped[0], cropped[1])),
        claim("The best generator of a GAN is the data", found["GAN"], DATA),
        claim(
            "Classical augmentation (of reals only): the best generator is the augmented data",
            found["classical augmentation"],
            augmented,
        ),
        claim(
            "and its JS from the data is (4 log 8/5 + log 2/5 + 3 log 2)/8, whatever the masses",
            js(DATA, found["classical augmentation"]),
            (4 * np.log(8 / 5) + np.log(2 / 5) + 3 * LOG2) / 8,
        ),
        claim("DAG: the best generator is the data", found["DAG"], DATA),
        claim("DAG with crops: the best generator is the data", found["DAG with crops"], DATA),
        claim(
            "One head for all rotations: the generator of turned data pays nothing (a leak)",
            shared_criterion(rotated, DATA, action),
            0,
        ),
        claim(
            "Heads of their own: it pays (1 + weight) log 2",
            dag_criterion(rotated, DATA, action, WEIGHT),
            (1 + WEIGHT) * LOG2,
        ),
        claim(
            f"One head, rotations with probability {', '.join(map(str, PROBABILITIES))}: it pays "
            "log 2 at 0 and less the more is rotated",
            ada,
            [_ada_at_turned(p) for p in PROBABILITIES],
        ),
    ]
    grid = np.linspace(0, 1, 41)
    return {
        "claims": claims,
        "best": {"data": DATA.tolist(), **{name: p.tolist() for name, p in found.items()}},
        "turned": {
            "probability": grid.tolist(),
            "one head": [shared_criterion(rotated, DATA, action, p) for p in grid],
            "DAG": dag_criterion(rotated, DATA, action, WEIGHT),
        },
    }


def figures(results: Mapping[str, Any]) -> list[tuple[str, Figure]]:
    """The best generators, and what turned data pay."""
    best = Figure(figsize=(6.4, 5.2), dpi=150, layout="constrained")
    arms = results["best"]
    for i, (axes, (name, mass)) in enumerate(
        zip(best.subplots(len(arms), 1, sharex=True, sharey=True), arms.items(), strict=True)
    ):
        axes.bar(np.arange(len(mass)), mass, 0.7, color=COLOURS[i])
        tidy(axes, name, grid="y")
    axes.set_xlabel("state: three images in four orientations each")
    paid = Figure(figsize=(6.4, 3.4), dpi=150, layout="constrained")
    axes = paid.subplots()
    turned = results["turned"]
    axes.plot(turned["probability"], turned["one head"], color=COLOURS[1], lw=1.8, label="one head")
    axes.axhline(turned["DAG"], color=COLOURS[2], lw=1.8, label="DAG")
    axes.axhline(0, color=FAINT, lw=0.8, ls=(0, (2, 2)))
    axes.set(xlabel="probability that an image is rotated", xlim=(0, 1))
    axes.legend(frameon=False, fontsize=8)
    tidy(axes, "Criterion of the generator of turned data, nats")
    return [
        (
            "Augmenting the reals alone, the best generator makes the augmented data; with DAG it "
            "makes the data, whether the transforms can be undone or not.",
            best,
        ),
        (
            "With one head for all rotations a generator of turned images pays ever less, and "
            "nothing where all are rotated; with heads of their own it pays (1 + weight) log 2.",
            paid,
        ),
    ]


def _log_fake(p: Distribution, q: Distribution) -> Distribution:
    """log(1 - D*) = log q / (p + q), -inf where q is 0, read only where the generator has mass."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(q / (p + q))


def _ada_at_turned(probability: float) -> float:
    """Of four orientations, one has 1 - 3p/4 of the reals, the next of the fakes, others p/4."""
    most, least = 1 - 0.75 * probability, 0.25 * probability
    middle = (most + least) / 2
    return most * np.log(most / middle) + (least * np.log(least / middle) if least else 0.0)
