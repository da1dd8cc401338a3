"""`jit` for programs that are dominated by convolutions, faster on CPUs.

XLA's CPU compiler hands convolutions and matrix products to a library of small kernels which, for
the maps of image networks, is up to three times slower than the compiler's own convolutions
(batch 64: 64 -> 64 channels, 32x32, 3x3, 37 ms against 20; 32 -> 64 channels, 4x4 stride 2, 9
against 5). The option below keeps the library for sums only. Other backends, and versions of XLA
that do not know the option, compile as ever.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax

_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE"}


def jit(function: Callable, **options: Any) -> Callable:
    """`jax.jit`, with `options` for it, compiled for fast convolutions; not within another jit.

    Decides at once for which backend it is, so call it in a function, not at import.

    Example:
        >>> import jax.numpy as jnp
        >>> total_of_squares = jit(lambda x: (x**2).sum())
        >>> int(total_of_squares(jnp.arange(4)))
        14
    """
    if _known():
        options["compiler_options"] = _OPTIONS
    return jax.jit(function, **options)


@functools.cache
def _known() -> bool:
    """Whether the default backend is a CPU whose compiler knows the option."""
    if jax.default_backend() != "cpu":
        return False
    try:
        jax.jit(lambda: 0, compiler_options=_OPTIONS).lower().compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
