"""Power laws: natural images decay like A r^b with b near -1 in amplitude."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Float


class PowerLaw(NamedTuple):
    """value = amplitude * radius ** exponent, one pair per curve.

    Example:
        >>> law = PowerLaw(amplitude=3.0, exponent=-2.0)
        >>> law.amplitude * 2.0**law.exponent
        0.75
    """

    amplitude: Float[Array | np.ndarray, "*batch"]
    exponent: Float[Array | np.ndarray, "*batch"]


def power_law_fit(
    radius: Float[Array | np.ndarray, " n"], curve: Float[Array | np.ndarray, "*batch n"]
) -> PowerLaw:
    """Least-squares line through (ln radius, ln curve).

    Args:
        radius: positive, at least two of them different; in cycles per pixel from `ring_radii`.
        curve: positive amplitudes at these radii, with any batch axes; a raw log-spectrum curve c
            is turned into amplitudes by exp(c / 20). NumPy computes in float64, JAX in float32.

    Raises:
        ValueError: if the lengths differ or there are fewer than two points.

    Example:
        >>> import numpy as np
        >>> r = np.arange(1.0, 5.0)
        >>> [round(float(value), 6) for value in power_law_fit(r, 3.0 * r**-1.5)]
        [3.0, -1.5]
    """
    if radius.ndim != 1 or curve.shape[-1] != len(radius) or len(radius) < 2:
        raise ValueError(
            f"radius has shape {radius.shape}, curve {curve.shape}; give radius [n] and curve "
            "[..., n] with n of at least 2"
        )
    xp = curve.__array_namespace__()
    x = xp.log(xp.asarray(radius))
    centred = x - x.mean()
    y = xp.log(curve)
    exponent = (y @ centred) / (centred @ centred)
    return PowerLaw(xp.exp(y.mean(-1) - exponent * x.mean()), exponent)
