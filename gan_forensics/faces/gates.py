"""Bounds on a clip's energies, taken from the clip itself.

Chi-square quantiles do not serve: descriptors overlap and images are no Gaussians, so that on well
tracked real frames typical energies lie far beyond them. Bounds are the median of the first
accepted frames plus so many median absolute deviations, and stay below what a wrong place and a
blank image have.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

# Accepted frames whose energies make the bounds.
FRAMES = 25


@dataclass(frozen=True)
class Gates:
    """Bounds that hold for a clip.

    Attributes:
        frame: largest mean energy of a frame that counts as tracked.
        landmarks: [k] largest energy of each landmark that is learned from.
        typical: median of the mean energies of the accepted frames.
        wrong: lowest mean energy of wrong places and of a blank image.
        frames: how many accepted frames made them.
    """

    frame: float
    landmarks: Float[np.ndarray, " k"]
    typical: float
    wrong: float
    frames: int

    def confidence(self, energy: float) -> float:
        """1 at the typical energy or below, 0 at that of a wrong place or above, between linear."""
        if not self.wrong > self.typical:
            return float(energy <= self.frame)
        return float(np.clip((self.wrong - energy) / (self.wrong - self.typical), 0, 1))


def gates(
    energies: Sequence[Float[np.ndarray, " k"]], visible: Sequence[np.ndarray], *, wrong: float,
    deviations: float,
) -> Gates:
    """Bounds from the energies of accepted frames.

    Until there are `FRAMES` of them the spread is not known: the bound of a frame is then half way
    from the median to `wrong`, and every landmark is learned from.

    Args:
        energies: [k] of each accepted frame.
        visible: [k], which of them count.
        wrong: lowest mean energy of a wrong place, or of a blank image.
        deviations: median absolute deviations that bounds lie above the median.
    """
    means = np.array([each[seen].mean() for each, seen in zip(energies, visible, strict=True)])
    typical = float(np.median(means))
    half_way = 0.5 * (typical + max(wrong, typical))
    if len(means) < FRAMES:
        return Gates(half_way, np.full(len(energies[0]), np.inf), typical, wrong, len(means))
    spread = float(np.median(np.abs(means - typical)))
    each = np.where(np.array(visible), np.array(energies), np.nan)
    counted = np.isfinite(each).any(0)
    each = np.where(counted, each, 0)
    medians = np.nanmedian(each, 0)
    spreads = np.nanmedian(np.abs(each - medians), 0)
    # One landmark's own spread may be tiny by chance; never less than is usual.
    landmarks = medians + deviations * np.maximum(spreads, np.median(spreads[counted]))
    return Gates(
        min(typical + deviations * spread, half_way) if wrong > typical else typical + deviations * spread,
        np.where(counted, landmarks, np.inf),
        typical,
        wrong,
        len(means),
    )
