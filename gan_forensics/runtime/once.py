"""Make a thing once for all equal arguments, so that what JAX compiles of it is compiled once.

JAX compiles a function object once for each of its arguments' shapes; one that is made anew, of the
same parts, it compiles again.
"""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

# Made things that are kept, of every function: the newest.
KEPT = 16

P = ParamSpec("P")
Made = TypeVar("Made")


def once_for_equal(make: Callable[P, Made]) -> Callable[P, Made]:
    """What a pure function makes, from memory where its arguments equal those of an earlier call.

    Arguments that cannot be hashed are equal to none. Only the newest 16 are kept.

    Example:
        >>> scaled = once_for_equal(lambda factor: jax.jit(lambda x: factor * x))
        >>> scaled(2) is scaled(2), scaled(2) is scaled(3)
        (True, False)
    """
    kept = functools.lru_cache(maxsize=KEPT)(make)

    @functools.wraps(make)
    def made(*args: P.args, **kwargs: P.kwargs) -> Made:
        try:
            hash((args, tuple(kwargs.items())))
        except TypeError:
            return make(*args, **kwargs)
        return kept(*args, **kwargs)

    return made
