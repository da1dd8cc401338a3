"""The range that a pixel may have: read, checked, and laid out beside images."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from gan_forensics.explain.composites import Composite, needs_bounds, stated_bounds
from gan_forensics.explain.intervals import Bounds

# Rounding of what normalises images, as a part of the range.
_ROUNDING = 1e-4


def pixel_bounds(x: Array, given: tuple[Any, Any] | None, composite: Composite) -> Bounds | None:
    """Bounds of the pixels [1, ..., 1 or c], checked where the pixels are known."""
    stated = stated_bounds(composite.first)
    if given is not None and stated is not None:
        raise ValueError(
            "bounds of a pixel stand in range= and in the composite: give them once, as range="
        )
    bounds = given if given is not None else stated
    if bounds is None:
        if needs_bounds(composite.first):
            raise ValueError(
                "the rule of the first layers needs the bounds of a pixel: give range=(-1, 1) for "
                "images of this house's GANs, range=composites.IMAGENET for images that went "
                "through preprocess"
            )
        return None
    least, most = _ends(bounds, x.shape[-1])
    slack = _ROUNDING * (most - least)
    if not isinstance(x, Tracer):
        seen = np.asarray(x, np.float64)
        inside = (seen >= least - slack) & (seen <= most + slack)
        if not inside.all():
            where = ""
            if least.ndim or most.ndim:
                # Say it of the first channel that breaks its own bounds.
                c = int(inside.reshape(-1, x.shape[-1]).all(0).argmin())
                seen, where = seen[..., c], f" of channel {c}"
                least, most = (np.broadcast_to(end, x.shape[-1])[c] for end in (least, most))
            raise ValueError(
                f"pixels{where} are from {seen.min():.4g} to {seen.max():.4g}, outside of the "
                f"stated range from {least:.4g} to {most:.4g}: give images as the network "
                "reads them, or the range that they have"
            )
    axes = (1,) * (x.ndim - 1)
    low, high = (
        jnp.broadcast_to(jnp.asarray(bound, x.dtype).reshape(*axes, -1), (1, *x.shape[1:]))
        for bound in (least, most)
    )
    return low, high


def _ends(bounds: Any, channels: int) -> list[np.ndarray]:
    """The least and the greatest, each one number or one for every channel."""
    try:
        least, most = (np.asarray(bound, np.float64) for bound in bounds)
    except (TypeError, ValueError):
        least = most = np.asarray(np.nan)
    fits = all(end.shape in ((), (1,), (channels,)) for end in (least, most))
    if not (fits and np.isfinite(least).all() and np.isfinite(most).all() and (least < most).all()):
        raise ValueError(
            f"range {bounds}: give the least and the greatest value of a pixel, finite numbers, or "
            f"{channels} of them each, one for every channel"
        )
    return [least, most]
