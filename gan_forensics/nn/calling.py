"""Networks that anyone wrote, called alike: each is told in its own words that it trains.

A network is a Linen module. Its `__call__` takes its inputs first, then, by name, at most one of
`train`, `training`, `is_training` and `deterministic`, or none of them.
"""

import functools
import inspect
from collections.abc import Mapping
from typing import Any

# What each is while a network trains.
FLAGS = {"train": True, "training": True, "is_training": True, "deterministic": False}


def told(network: Any, *, train: bool) -> dict[str, Any]:
    """The keyword that tells a network whether it trains; empty for one that takes none.

    And for one whose constructor was told the same, which Flax's `merge_param` wants to hear once.
    """
    flag = flag_of(type(network))
    if flag is None:
        return {}
    said = train == FLAGS[flag]
    heard = getattr(network, flag, None)
    once = isinstance(heard, bool) and heard == said and _optional(type(network), flag)
    return {} if once else {flag: said}


@functools.cache
def flag_of(kind: type) -> str | None:
    """The name of `FLAGS` that the `__call__` of a class of networks takes."""
    taken = inspect.signature(kind.__call__).parameters
    return next((name for name in FLAGS if name in taken), None)


@functools.cache
def _optional(kind: type, flag: str) -> bool:
    """Whether a network that is not told at the call asks what its constructor was told."""
    return inspect.signature(kind.__call__).parameters[flag].default is None


def apply(network: Any, variables: Mapping[str, Any], *inputs: Any, train: bool, **options: Any):
    """`network.apply` of inputs; `options` are Flax's, such as `mutable` and `rngs`."""
    return network.apply(variables, *inputs, **told(network, train=train), **options)
