"""Earlier JPEG compressions of a picture, by what they leave in the histograms of DCT coefficients.

Popescu and Farid, "Statistical tools for digital forensics" (IH 2004): a coefficient that was
rounded to multiples of q1 and then to those of q2 has a histogram with gaps or peaks at regular
distances. Which histogram it would have without q1 is told by the picture itself, moved by four
pixels against its blocks (Lukas and Fridrich, "Estimation of primary quantization matrix in double
compressed JPEG images", DFRWS 2003): each q1 is tried on it, and the nearest to the histogram that
is there is the estimate.

Of pixels that were stored without loss the grid of 8x8 blocks of an earlier JPEG is found as the
shift at which the most coefficients are nothing, and its quality as the one whose steps the other
coefficients are multiples of (Neelamani et al., IEEE TIP 2006).

Gray levels in [0, 255]; blocks lie at multiples of eight. Of large pictures the middle is taken.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num

from gan_forensics.data.jpeg_quality import libjpeg_tables
from gan_forensics.spectra.dct import dct2

# Sides of the middle that is looked at, and of the part of it on which the grid is looked for.
MIDDLE, PART = 1024, 256
# A score above says that there was an earlier compression. Chosen on three draws of 48 pictures, of
# which eight qualities alone reached 0.034; what others give is measured in the tests.
DOUBLE = 0.06
# The share of coefficients that are nothing on the grid of blocks and not on the next best one: of
# pictures that were never compressed at most 0.003, of JPEGs of qualities 50 to 95 at least 0.092.
GRID = 0.04
# Standard deviations of noise by which the coefficients must be multiples of a quality's steps.
STEPS = 12.0
# And the mean cosine of their multiples: 1 without noise, of libjpeg's tables 0.67 or more, of
# others that fit in part up to 0.5.
FIT = 0.6
# Of the neighbours of pixels so many are alike in drawings and pages of text, which have
# histograms of their own; in photographs at quality 60 up to 0.46.
DRAWN = 0.5
# The lowest frequencies along the zigzag, by rows and columns.
_LOWEST = ((0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (0, 3), (1, 2), (2, 1), (3, 0), (4, 0), (3, 1),
           (2, 2), (1, 3), (0, 4))  # fmt: skip
_LOW = (*_LOWEST, (5, 0), (4, 1), (3, 2), (2, 3), (1, 4), (0, 5))
_FEWEST_FREQUENCIES, _FEWEST, _MOST_MULTIPLE = 8, 200, 20
# Steps that are tried, and how finely coefficients are counted, in parts of a gray level.
_MOST_STEP, _FINE, _FINER = 64, 4, 16
# What the rounding of pixels adds to a coefficient: three places and their shares.
_ROUNDING = ((-0.4, 0.25), (0.0, 0.5), (0.4, 0.25))
# Qualities with steps that pixels' rounding leaves to be seen.
_QUALITIES, _LEAST_STEP, _NOTHING = range(30, 96), 3, 0.5


class EarlierJpeg(NamedTuple):
    """What was found of an earlier compression in a JPEG.

    Attributes:
        score: how much nearer the histograms are to those of two compressions than of one: the
            median over frequencies of the difference of total variation distances, -1 to 1.
        frequencies: that were looked at.
        quality: of libjpeg, 1 to 100, that fits the earlier compression best.

    Example:
        >>> EarlierJpeg(0.3, 14, 70).found
        True
    """

    score: float
    frequencies: int
    quality: int

    @property
    def found(self) -> bool:
        """Whether it says that there was one."""
        return self.score > DOUBLE


class JpegTraces(NamedTuple):
    """What was found of a JPEG in pixels that are stored otherwise.

    Attributes:
        gap: the share of coefficients that are nothing on the grid found, less that on the next
            best of 64; 0 to 1.
        grid: first row and column of its blocks, 0 to 7.
        quality: of libjpeg whose steps fit, 30 to 95; None where none does.

    Example:
        >>> JpegTraces(0.2, (0, 3), 85).found
        True
    """

    gap: float
    grid: tuple[int, int]
    quality: int | None

    @property
    def found(self) -> bool:
        """Whether it says that there was one."""
        return self.gap > GRID


def middle(
    levels: Num[np.ndarray, "h w *c"], side: int
) -> tuple[Num[np.ndarray, "a b *c"], int, int]:
    """The middle of a picture, with sides of at most so many, and its first row and column.

    Both are multiples of eight, so that blocks stay where they were.
    """
    top, left = (max(0, (n - side) // 2) // 8 * 8 for n in levels.shape[:2])
    return levels[top : top + side, left : left + side], top, left


def is_drawn(levels: Num[np.ndarray, "h w"]) -> bool:
    """Whether more than half of the pixels equal their right neighbours: no photograph.

    Example:
        >>> is_drawn(np.zeros((8, 8))), is_drawn(np.arange(64).reshape(8, 8))
        (True, False)
    """
    return bool((levels[:, 1:] == levels[:, :-1]).mean() > DRAWN)


def earlier_jpeg(levels: Num[np.ndarray, "h w"], table: Sequence[int]) -> EarlierJpeg | None:
    """Traces of an earlier compression, on the same grid, in the luminance of a JPEG.

    One whose steps are divided by the later ones leaves none, one much finer few.

    Args:
        levels: the luminance, as `jpeg_luminance` decodes it.
        table: the steps of luminance of the file, row by row.

    Returns:
        None for what is too small, too flat, or drawn.

    Example:
        >>> earlier_jpeg(np.zeros((64, 64)), np.ones(64)) is None
        True
    """
    part, *_ = middle(levels, MIDDLE)
    if is_drawn(part):
        return None
    steps = np.reshape(table, (8, 8))
    there, moved = blocks(part), blocks(part[4:, 4:])
    found, distances = [], []
    for row, column in _LOWEST:
        step = int(steps[row, column])
        if not 0 < step <= _MOST_STEP:
            continue
        multiples = np.abs(np.rint(there[:, row, column] / step)).astype(int)
        if (multiples > 0).sum() < _FEWEST:
            continue
        seen = np.bincount(np.minimum(multiples, _MOST_MULTIPLE), minlength=_MOST_MULTIPLE + 1)
        alone, tried = _distances(seen, np.abs(moved[:, row, column]), step)
        found.append((row, column))
        distances.append(np.concatenate([[alone], tried]))
    if len(found) < _FEWEST_FREQUENCIES:
        return None
    # By rows the frequencies, by columns the earlier step, 1 for none.
    by_step = np.array(distances)
    score = float(np.median(by_step[:, 0] - by_step[:, 1:].min(1)))
    rows = np.arange(len(found))
    by_quality = [
        by_step[rows, np.minimum(_steps(quality, found), _MOST_STEP) - 1].mean()
        for quality in range(1, 101)
    ]
    return EarlierJpeg(score, len(found), int(np.argmin(by_quality)) + 1)


def jpeg_traces(levels: Num[np.ndarray, "h w"]) -> JpegTraces | None:
    """Traces of an earlier JPEG in pixels that were not stored as one.

    Args:
        levels: gray levels, not rounded.

    Returns:
        None for what is too small, or drawn.

    Example:
        >>> jpeg_traces(np.zeros((600, 600))) is None
        True
    """
    part, top, left = middle(levels, MIDDLE + 8)
    if min(part.shape) < PART + 8 or is_drawn(part):
        return None
    tried, inner_top, inner_left = middle(part, PART + 8)
    nothing = np.empty((8, 8))
    for row in range(8):
        for column in range(8):
            coefficients = blocks(tried[row : row + PART, column : column + PART]).reshape(-1, 64)
            nothing[row, column] = (np.abs(coefficients[:, 1:]) < _NOTHING).mean()
    best = np.unravel_index(nothing.argmax(), nothing.shape)
    second, first = np.sort(nothing, axis=None)[-2:]
    # Starts of parts are multiples of eight.
    row, column = int(best[0]), int(best[1])
    assert not (top | left | inner_top | inner_left) & 7
    gap = float(first - second)
    quality = _quality(blocks(part[row:, column:])) if gap > GRID else None
    return JpegTraces(gap, (row, column), quality)


def blocks(levels: Num[np.ndarray, "h w"]) -> Float[np.ndarray, "n 8 8"]:
    """The DCT of the 8x8 blocks of a picture, as JPEG has them; rows and columns left over go."""
    height, width = (n // 8 for n in levels.shape)
    whole = np.asarray(levels[: 8 * height, : 8 * width], np.float64)
    return dct2(whole.reshape(height, 8, width, 8).swapaxes(1, 2).reshape(-1, 8, 8))


def _distances(
    seen: Int[np.ndarray, " k"], moved: Float[np.ndarray, " n"], step: int
) -> tuple[float, Float[np.ndarray, " s"]]:
    """How far a histogram of multiples is from those of one compression, and of two.

    Args:
        seen: how many coefficients are so many times the step.
        moved: absolute coefficients of the picture on a grid between its blocks.
        step: of the file.
    """
    last = len(seen) - 1
    top = (last + 1) * step * _FINE
    counts = np.bincount(np.minimum((moved * _FINE).astype(int), top), minlength=top + 1)
    if width := step * _FINE // 4:
        counts = np.convolve(counts, np.ones(2 * width + 1), "same")
    values = (np.arange(top + 1) + 0.5) / _FINE

    def distance(rounded: np.ndarray) -> float:
        expected = np.zeros(last + 1)
        for shift, share in _ROUNDING:
            places = np.minimum(np.abs(np.rint((rounded + shift) / step)), last).astype(int)
            expected += share * np.bincount(places, weights=counts, minlength=last + 1)
        if expected[1:].sum() <= 0:
            return 1.0
        shares = (part[1:] / part[1:].sum() for part in (seen, expected))
        return 0.5 * float(np.abs(next(shares) - next(shares)).sum())

    alone = distance(values)
    # One that divides the step leaves no trace, and is as if there were none.
    return alone, np.array([
        alone if step % first == 0 else distance(np.rint(values / first) * first)
        for first in range(2, _MOST_STEP + 1)
    ])  # fmt: skip


def _steps(quality: int, places: tuple[tuple[int, int], ...] | list[tuple[int, int]]) -> np.ndarray:
    luminance, _ = libjpeg_tables(quality)
    return np.array([luminance[8 * row + column] for row, column in places])


def _quality(coefficients: Float[np.ndarray, "n 8 8"]) -> int | None:
    """The quality whose steps coefficients are multiples of; None where there is none."""
    # Per frequency, how many coefficients have which value.
    finely = (np.rint(np.abs(coefficients[:, *place]) * _FINER).astype(int) for place in _LOW)
    counts = [np.bincount(values) for values in finely]
    best, most, sure = None, STEPS, False
    for quality in _QUALITIES:
        total, number = 0.0, 0
        for count, step in zip(counts, _steps(quality, _LOW), strict=True):
            if step >= _LEAST_STEP:
                first = step * _FINER // 2 + 1  # what is rounded to nothing is no sign
                values = np.arange(first, len(count)) / _FINER
                total += float(count[first:] @ np.cos(2 * np.pi * values / step))
                number += int(count[first:].sum())
        # Of no multiples a sum of as many cosines has the variance of half their number.
        deviations = total / np.sqrt(max(number, 1) / 2)
        if deviations > most:
            best, most, sure = quality, deviations, total / number > FIT
    return best if sure else None
