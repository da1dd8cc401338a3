"""How exactly networks compute: the products of float32 numbers, or bfloat16 throughout.

Accelerators multiply matrices several times as fast when they round the factors first: to
TensorFloat-32 (10 bits after the leading one), or to bfloat16 (7). Left alone, JAX does that with
float32 arrays too: TensorFloat-32 on recent GPUs, bfloat16 on TPUs, and nothing on CPUs, which know
no such products.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp

# Of arrays and products; sums are float32 in all of them.
Precision = Literal["float32", "tf32", "bfloat16"]

_PRODUCTS = {"float32": "float32", "tf32": "tensorfloat32"}


def check_precision(precision: str | None) -> None:
    """Refuse an unknown precision (ValueError).

    Example:
        >>> check_precision("tf32")
        >>> check_precision("half")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        ValueError: unknown precision 'half'; choose float32, tf32, bfloat16, or leave it ...
    """
    if precision is not None and precision not in get_args(Precision):
        raise ValueError(
            f"unknown precision {precision!r}; choose {', '.join(get_args(Precision))}, or leave "
            "it to the backend"
        )


def products(precision: Precision | None) -> AbstractContextManager:
    """Within it, what is traced multiplies as `precision` says; None leaves it to the backend.

    Example:
        >>> import jax
        >>> with products("tf32"):
        ...     jax.config.jax_default_matmul_precision
        'tensorfloat32'
    """
    if precision not in _PRODUCTS:
        return nullcontext()
    return jax.default_matmul_precision(_PRODUCTS[precision])


def computation_dtype(precision: Precision | None) -> Any:
    """The dtype to give to networks; None is that of their inputs, float32.

    Example:
        >>> import flax.linen as nn
        >>> import jax.numpy as jnp
        >>> network = nn.Dense(8, dtype=computation_dtype("bfloat16"))
        >>> jnp.dtype(network.dtype).name
        'bfloat16'
        >>> computation_dtype("tf32") is None  # float32 arrays, whose products are rounded
        True
    """
    return jnp.bfloat16 if precision == "bfloat16" else None
