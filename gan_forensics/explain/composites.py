"""Which rule where: composites.

A composite names the rule of the first convolution (its inputs are pixels and bounded), of the
other convolutions, of matrix products, and the epsilon of sums and means. Everything else of a
network passes relevance on as it must. Any rule of `gan_forensics.explain.rules` will do:

    Composite(first=partial(box, low=-1, high=1), conv=partial(gamma, gamma=0.25))
"""

from functools import partial
from typing import NamedTuple

from gan_forensics.explain import rules
from gan_forensics.explain.lrp import EPSILON
from gan_forensics.explain.rules import Rule

# The bounds of a pixel after ImageNet's normalisation, over all three channels, as released (in
# float32): min (0 - mean) / std and max (1 - mean) / std.
LOW, HIGH = -2.1179039478302, 2.640000104904175


class Composite(NamedTuple):
    """The rules of one kind of layer each.

    Attributes:
        first: of the first convolution; that of the others if None.
        conv: of convolutions.
        dense: of matrix products.
        epsilon: the stabiliser of residual sums and of means.

    Example:
        >>> Composite().first is None
        True
    """

    first: Rule | None = None
    conv: Rule = partial(rules.beta, beta=0.0)
    dense: Rule = partial(rules.epsilon, epsilon=EPSILON)
    epsilon: float = EPSILON

    def rule(self, *, dense: bool, first: bool) -> Rule:
        """The rule of a layer."""
        if dense:
            return self.dense
        return self.first if first and self.first is not None else self.conv


def beta_zero(*, low=LOW, high=HIGH) -> Composite:
    """Box at the pixels, beta = 0 in between, epsilon in the end.

    The composite behind forensic features of ResNets (Chandrasegaran et al., ECCV 2022). `low` and
    `high` bound the network's input, as numbers or for each channel, by default after ImageNet's
    normalisation.
    """
    return Composite(first=partial(rules.box, low=low, high=high))


def beta_zero_everywhere() -> Composite:
    """The same with beta = 0 at the pixels too, as for EfficientNet."""
    return Composite()


def epsilon_everywhere(epsilon: float = EPSILON) -> Composite:
    """LRP-epsilon in all layers, biases included; with a tiny epsilon, input times gradient.

    That holds for piecewise linear networks: Shrikumar et al., arXiv 1605.01713.
    """
    rule = partial(rules.epsilon, epsilon=epsilon)
    return Composite(conv=rule, dense=rule, epsilon=epsilon)
