"""Pictures without content: one colour, or so nearly one that what is left is rounding.

Whatever looks at the spectrum of such a picture sees its edges, its rounding, or an epsilon against
the logarithm of zero, and gives a number that looks like any other. Decided here, once, on the
pixels as a judge sees them (after its crop, in gray where it looks at gray levels alone); whoever
judges, fits or averages leaves such pictures out and says so.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Num, UInt8

# What is said of one.
FLAT = "a flat image has no spectrum to judge"
# A channel is flat where its pixels lie within SPREAD levels of one another (five neighbouring
# levels), but for a SHARE of them, or one pixel. Flat by it are: one colour, as JPEG too, noise of
# up to two levels, a gradient over four, a spot of a fourteenth of the side. Of the 64x64 crops of
# photographs with a deviation above 2 levels the one nearest to it has 1.2 % of its pixels
# elsewhere, of whole photographs at a 32nd of their light 1.5 %, of digits 6 %, of pages of text
# 57 %; of drawings in ink those are flat whose ink is less than SHARE.
SPREAD = 4
SHARE = 1 / 200
# Every so many pixels are looked at first: most pictures are seen not to be flat by them.
_STRIDE = 16


def flat(
    images: UInt8[np.ndarray, "n h w c"] | Sequence[UInt8[np.ndarray, "_h _w _c"]],
) -> Bool[np.ndarray, " n"]:
    """Which images are flat: in every channel all pixels but 1 in 200, or but one, are alike.

    Alike are pixels that lie within `SPREAD` levels of one another.

    Args:
        images: uint8, of any sizes and numbers of channels, as the judge sees them.
    """
    return np.array([_is_flat(np.asarray(image)) for image in images], bool)


def _is_flat(image: UInt8[np.ndarray, "h w c"]) -> bool:
    allowed = max(1, int(SHARE * image.shape[0] * image.shape[1]))
    channels = np.moveaxis(image, -1, 0).reshape(image.shape[-1], -1)
    # No part has more pixels elsewhere than the whole.
    few = channels[:, ::_STRIDE]
    return not any(_elsewhere(some) > allowed for part in (few, channels) for some in part)


def _elsewhere(levels: Num[np.ndarray, " k"]) -> int:
    """How many pixels lie outside the five neighbouring levels that hold the most."""
    counts = np.bincount(levels, minlength=256)
    return int(len(levels) - np.convolve(counts, np.ones(SPREAD + 1, int)).max())
