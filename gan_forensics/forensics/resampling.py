"""Enlargements of a picture, by the regular pattern that interpolation leaves.

Gallagher, "Detection of linear and cubic interpolation in JPEG compressed images" (CRV 2005): of
interpolated pixels the second difference is small at some places and large at others, by a period
that the factor gives. Its absolute value, averaged over rows, has a peak in its spectrum then; here
along rows and along columns, and only what both have counts: fences, blinds and lines of text have
theirs in one direction.

The blocks of codecs and the colour filters of cameras have periods that divide 16: whatever has is
left out, and enlargements by 2, 4 or 4/3 with it. Reductions and rotations are not seen.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Num

from gan_forensics.forensics.jpeg_history import is_drawn, middle

# The side of the square in the middle that is looked at, and the least.
SIDE, LEAST = 1024, 256
# A peak above is one: so many times the median power around it, in the direction where it is
# weaker. Chosen on 96 pictures, whose strongest false one was 9.7, of those made smaller by 0.55;
# what others give is measured in the tests.
PEAK = 12.0
# Lower frequencies are content; parts of 16 pixels are left out, with bins beside them.
_LOWEST, _PARTS, _BESIDE = 0.06, 16, 4.0
_TREND, _SPREAD, _AROUND, _MOST = 31, 63, 65, 6.0


class Enlargement(NamedTuple):
    """The strongest regular pattern of a picture.

    Attributes:
        peak: its power, in medians of that around it, in the direction where it is weaker.
        frequency: in periods a pixel, 0.06 to 0.5.
        factors: enlargements that leave it, beyond 1 and up to 4.

    Example:
        >>> Enlargement(300.0, 1 / 3, (1.5, 3.0)).found
        True
    """

    peak: float
    frequency: float
    factors: tuple[float, ...]

    @property
    def found(self) -> bool:
        """Whether it says that the picture was enlarged."""
        return self.peak > PEAK


def enlargement(levels: Num[np.ndarray, "h w"]) -> Enlargement | None:
    """The strongest pattern that an enlargement may have left.

    Args:
        levels: gray levels.

    Returns:
        None for what is too small, or drawn.

    Example:
        >>> enlargement(np.zeros((300, 300))) is None
        True
    """
    side = min(SIDE, *levels.shape)
    part, *_ = middle(levels, side)
    if side < LEAST or is_drawn(part):
        return None
    part = np.asarray(part, np.float32)
    across, down = (_spectrum(np.abs(np.diff(each, 2)).mean(0)) for each in (part, part.T))
    strength = np.minimum(across, down)
    place = int(strength.argmax())
    frequency = place / (side - 2)
    # A factor s has a period of s pixels; its frequency beyond a half appears mirrored.
    factors = sorted({round(1 / f, 2) for f in (frequency, 1 - frequency) if 0.25 <= f < 1})
    return Enlargement(float(strength[place]), frequency, tuple(factors))


def _spectrum(means: Float[np.ndarray, " n"]) -> Float[np.ndarray, " f"]:
    """Power over its median around, with neighbours' maxima; 0 where content or codecs have it."""
    from scipy.ndimage import maximum_filter1d, median_filter

    rest = means - median_filter(means, _TREND)
    rest = np.clip(rest / (median_filter(np.abs(rest), _SPREAD) + 1e-6), -_MOST, _MOST)
    power = np.abs(np.fft.rfft(rest * np.hanning(len(rest)))) ** 2
    ratio = maximum_filter1d(power / (median_filter(power, _AROUND) / np.log(2) + 1e-12), 3)
    frequency = np.arange(len(power)) / len(rest)
    away = np.abs(frequency * _PARTS - np.rint(frequency * _PARTS)) / _PARTS
    return np.where((frequency > _LOWEST) & (away > _BESIDE / len(rest)), ratio, 0)
