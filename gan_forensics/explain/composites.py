"""Which rule where: composites.

A composite names the rule of the first layers (no other stands between them and the pixels, which
are bounded), of other convolutions, of other matrix products, and the epsilon of sums, means and
attention. Everything else of a network passes relevance on as it must. Any rule of
`gan_forensics.explain.rules` will do:

    Composite(first=box, conv=partial(gamma, gamma=0.25))

The bounds of `box` are those of the data, told to `relevance` as `range=`.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from jaxtyping import Array

from gan_forensics.explain import rules
from gan_forensics.explain.lrp import EPSILON
from gan_forensics.explain.rules import Rule

# The bounds of a pixel after ImageNet's normalisation, over all three channels, as released (in
# float32): min (0 - mean) / std and max (1 - mean) / std. The range of what `preprocess` gives.
IMAGENET = (-2.1179039478302, 2.640000104904175)


class Composite(NamedTuple):
    """The rules of one kind of layer each.

    Attributes:
        first: of layers that read pixels; that of the others if None.
        conv: of convolutions.
        dense: of matrix products.
        epsilon: the stabiliser of residual sums, of means and of attention.

    Example:
        >>> Composite().first is None
        True
    """

    first: Callable[..., Array] | None = None
    conv: Rule = partial(rules.beta, beta=0.0)
    dense: Rule = partial(rules.epsilon, epsilon=EPSILON)
    epsilon: float = EPSILON

    def rule(self, *, dense: bool, first: bool) -> Callable[..., Array]:
        """The rule of a layer."""
        if first and self.first is not None:
            return self.first
        return self.dense if dense else self.conv


def beta_zero(*, low: Any = None, high: Any = None) -> Composite:
    """Box at the pixels, beta = 0 in between, epsilon in the end.

    The composite behind forensic features of ResNets (Chandrasegaran et al., ECCV 2022). `low` and
    `high` bound the network's input, as numbers or for each channel; by default they are the
    `range` that is told with the images.
    """
    if low is None and high is None:
        return Composite(first=rules.box)
    return Composite(first=partial(rules.box, low=low, high=high))


def beta_zero_everywhere() -> Composite:
    """The same with beta = 0 at the pixels too, as for EfficientNet: no bounds are needed."""
    return Composite()


def epsilon_everywhere(epsilon: float = EPSILON) -> Composite:
    """LRP-epsilon in all layers, biases included; with a tiny epsilon, input times gradient.

    That holds for piecewise linear networks: Shrikumar et al., arXiv 1605.01713. No bounds are
    needed.
    """
    rule = partial(rules.epsilon, epsilon=epsilon)
    return Composite(conv=rule, dense=rule, epsilon=epsilon)


def stated_bounds(rule: Callable[..., Array] | None) -> tuple[Any, Any] | None:
    """The bounds that stand in a rule itself."""
    stated = rule.keywords if isinstance(rule, partial) else {}
    return (stated["low"], stated["high"]) if {"low", "high"} <= set(stated) else None


def needs_bounds(rule: Callable[..., Array] | None) -> bool:
    """Whether a rule is one for bounded inputs."""
    return rule is not None and {"low", "high"} <= set(inspect.signature(rule).parameters)


def told(rule: Callable[..., Array], **facts: Any) -> Callable[..., Array]:
    """A rule with those facts about its inputs that it asks for."""
    asked = inspect.signature(rule).parameters
    return partial(rule, **{name: fact for name, fact in facts.items() if name in asked})
