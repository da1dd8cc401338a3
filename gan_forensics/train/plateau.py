"""Reduce learning rates when a metric stops improving, and stop when it stays there.

The rule is PyTorch's `ReduceLROnPlateau` (mode min, absolute threshold) with early stopping, as
the schedule of Chandrasegaran et al. (CVPR 2021) uses it on the FID after every epoch. With
`restarts` it is the stopper of Wang et al. (CVPR 2020), which begins anew after every reduction.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp

from gan_forensics.train.update import TrainState


@dataclass(frozen=True)
class Plateau:
    """When to reduce and when to stop.

    Attributes:
        metric: the evaluation metric to watch; smaller is better.
        factor: what the learning rates are multiplied by.
        patience: evaluations without improvement that are tolerated before a reduction.
        threshold: how much smaller than the best a value must be to count as an improvement.
        floor: the smallest learning rate.
        stop_after: evaluations without improvement after which training stops; 0 for never.
        restarts: None, or how many reductions there are: each forgets the best value, and the one
            after the last stops training instead. A value then improves when it is smaller by the
            threshold or more (not: by more).
        restart_threshold: the threshold after the first reduction, with `restarts`.

    Example:
        >>> from gan_forensics.train.plateau import PlateauState, observe
        >>> rule, state = Plateau("fid", factor=0.1), PlateauState()
        >>> for fid in (50, 49.5, 49.2):  # never better by more than the threshold, 1
        ...     state, reduce, stop = observe(rule, state, fid)
        >>> reduce, stop
        (True, False)
    """

    metric: str
    factor: float
    patience: int = 1
    threshold: float = 1.0
    floor: float = 1e-6
    stop_after: int = 5
    restarts: int | None = None
    restart_threshold: float = 0.0


@dataclass(frozen=True)
class PlateauState:
    """What the rule remembers between evaluations; saved with every checkpoint."""

    best: float | None = None
    waited: int = 0
    unimproved: int = 0
    reductions: int = 0
    stopped: bool = False


def observe(rule: Plateau, state: PlateauState, value: float) -> tuple[PlateauState, bool, bool]:
    """Take in one evaluation: (new state, reduce the rates now?, stop now?)."""
    threshold = rule.restart_threshold if state.reductions else rule.threshold
    target = math.inf if state.best is None else state.best - threshold
    if value < target or (rule.restarts is not None and value == target):
        return replace(state, best=value, waited=0, unimproved=0), False, False
    state = replace(state, waited=state.waited + 1, unimproved=state.unimproved + 1)
    late = state.waited > rule.patience
    if rule.restarts is None:
        stop = 0 < rule.stop_after <= state.unimproved
        return replace(state, waited=0 if late else state.waited), late, stop
    if not late:
        return state, False, False
    if state.reductions < rule.restarts:
        return PlateauState(reductions=state.reductions + 1), True, False
    return replace(state, stopped=True), False, True


def scale_learning_rates(state: TrainState, *, factor: float, floor: float) -> TrainState:
    """Multiply every update's learning rate, not below `floor`.

    Raises:
        ValueError: for an optimiser whose rate is not in its state; wrap it in
            `optax.inject_hyperparams`.
    """
    opt: dict[str, Any] = {}
    for name, inner in dict[str, Any](state.opt).items():
        rates = getattr(inner, "hyperparams", {})
        if "learning_rate" not in rates:
            raise ValueError(
                f"the optimiser of update {name!r} keeps no learning rate in its state: make it "
                "with optax.inject_hyperparams(optax.adam)(learning_rate=...)"
            )
        rate = jnp.maximum(rates["learning_rate"] * factor, floor)
        opt[name] = inner._replace(hyperparams={**rates, "learning_rate": rate})
    return replace(state, opt=opt)
