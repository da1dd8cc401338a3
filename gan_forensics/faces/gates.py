"""Bounds on a clip's energies, taken from the clip itself.

Chi-square quantiles do not serve: descriptors overlap and images are no Gaussians, so that on well
tracked real frames typical energies lie far beyond them. What separates a face from no face is the
energy that searches about a wrong place and in a blank image end with; what is usual enough to
learn from is the median of the first accepted frames plus some median absolute deviations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

# Accepted frames whose energies make the bounds.
FRAMES = 25


@dataclass(frozen=True)
class Gates:
    """Bounds that hold for a clip.

    Attributes:
        frame: largest mean energy of a frame that counts as tracked: half way from `typical` to
            `wrong`.
        learn: largest mean energy of a frame that the appearance learns from.
        landmarks: [k] largest energy of each tracked vertex that learns.
        typical: median of the mean energies of the accepted frames.
        wrong: lowest mean energy of wrong places, and of a blank image.
        frames: how many accepted frames made them.
    """

    frame: float
    learn: float
    landmarks: Float[np.ndarray, " k"]
    typical: float
    wrong: float
    frames: int

    def confidence(self, energy: float) -> float:
        """1 at the typical energy or below, 0 at that of a wrong place or above, else between."""
        if self.wrong <= self.typical:
            return float(energy <= self.frame)
        return float(np.clip((self.wrong - energy) / (self.wrong - self.typical), 0, 1))


def gates(
    energies: Sequence[Float[np.ndarray, " k"]],
    visible: Sequence[Bool[np.ndarray, " k"]],
    *,
    wrong: float,
    deviations: float,
) -> Gates:
    """Bounds from the energies of accepted frames.

    Until there are `FRAMES` of them their spread is not known, and what is tracked is learned from.

    Args:
        energies: of the tracked vertices in each accepted frame.
        visible: which of them count.
        wrong: lowest mean energy of a wrong place, or of a blank image.
        deviations: median absolute deviations from the median up to which is learned.
    """
    each = np.where(np.array(visible), np.array(energies), np.nan)
    means = np.nanmean(each, 1)
    typical = float(np.median(means))
    frame = 0.5 * (typical + max(wrong, typical))
    if len(means) < FRAMES:
        return Gates(frame, frame, np.full(each.shape[1], np.inf), typical, wrong, len(means))
    learn = typical + deviations * float(np.median(np.abs(means - typical)))
    landmarks = np.full(each.shape[1], np.inf)
    seen = np.isfinite(each).any(0)
    medians = np.nanmedian(each[:, seen], 0)
    spreads = np.nanmedian(np.abs(each[:, seen] - medians), 0)
    # The spread of a single vertex may be tiny by chance: none counts for less than is usual.
    landmarks[seen] = medians + deviations * np.maximum(spreads, np.median(spreads))
    return Gates(frame, min(learn, frame), landmarks, typical, wrong, len(means))
