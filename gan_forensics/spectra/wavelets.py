"""The orthonormal wavelet transform with Daubechies' four vanishing moments ("db4"), float64.

Daubechies, "Orthonormal bases of compactly supported wavelets" (Comm. Pure Appl. Math. 1988). Maps
are continued by reflection about their edges (half-sample symmetric), so that a level of n values
has floor((n + 7) / 2) coefficients: lengths and values are those of PyWavelets' mode "symmetric".
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64

# The scaling filter h of synthesis; analysis correlates with it.
SCALING = np.array(
    [
        0.2303778133088965,
        0.7148465705529157,
        0.6308807679298589,
        -0.027983769416859854,
        -0.18703481171909309,
        0.030841381835560764,
        0.0328830116668852,
        -0.010597401785069032,
    ]
)
TAPS = len(SCALING)
# g[k] = (-1)^k h[7 - k].
WAVELET = SCALING[::-1] * np.tile([1, -1], TAPS // 2)

Maps = Float64[np.ndarray, "..."]
# Coefficients of rough rows and smooth columns, smooth and rough, rough and rough: [3, ..., h, w].
Details = Float64[np.ndarray, "..."]


def most_levels(side: int) -> int:
    """How often a side can be halved with coefficients left that no edge reaches: PyWavelets' rule.

    floor(log2(side / 7)), at least 0: 4 from 112 pixels on, 3 from 56, 2 from 28, 1 from 14.
    """
    return max(0, (side // (TAPS - 1)).bit_length() - 1)


def decompose(maps: Float64[np.ndarray, "*b h w"], levels: int) -> tuple[Maps, list[Details]]:
    """The smooth remainder after some levels, and each level's details, the finest first."""
    details = []
    for _ in range(levels):
        low, high = _analyse(maps, -1)
        (maps, low_high), (high_low, high_high) = (_analyse(part, -2) for part in (low, high))
        details.append(np.stack([high_low, low_high, high_high]))
    return maps, details


def reconstruct(
    smooth: Maps | None, details: Sequence[Details], shape: tuple[int, int]
) -> Float64[np.ndarray, "*b h w"]:
    """Undo `decompose` of maps with the sides `shape`.

    Args:
        smooth: None for zeros.
        details: as `decompose` gave them, one level or more; changed as you like.
        shape: height and width of the result.
    """
    rest = np.zeros_like(details[-1][0]) if smooth is None else smooth
    for high_low, low_high, high_high in reversed(details):
        # A level of odd length comes back with one value too many.
        rest = rest[..., : high_low.shape[-2], : high_low.shape[-1]]
        low, high = _synthesise(rest, low_high, -2), _synthesise(high_low, high_high, -2)
        rest = _synthesise(low, high, -1)
    return rest[..., : shape[0], : shape[1]]


def _analyse(x: Maps, axis: int) -> tuple[Maps, Maps]:
    """Smooth and rough half along an axis: sum_k f[k] x[2 i + k - 6], x continued by reflection."""
    x = np.moveaxis(x, axis, -1)
    width = [(0, 0)] * (x.ndim - 1) + [(TAPS - 2, TAPS - 1)]
    x = np.pad(x, width, mode="symmetric")
    size = x.shape[-1] - TAPS  # The last of an even count of taps is dropped.
    taken = [x[..., k : k + size + 1 : 2] for k in range(TAPS)]
    halves = (sum(f * part for f, part in zip(filter_, taken, strict=True)) for filter_ in _BOTH)
    low, high = (np.moveaxis(np.asarray(half), -1, axis) for half in halves)
    return low, high


def _synthesise(low: Maps, high: Maps, axis: int) -> Maps:
    """Join two halves: x[n] = sum_i (a[i] h[n + 6 - 2 i] + d[i] g[n + 6 - 2 i])."""
    low, high = np.moveaxis(low, axis, -1), np.moveaxis(high, axis, -1)
    half = TAPS // 2
    pairs = low.shape[-1] - half + 1
    joined = np.empty((*low.shape[:-1], pairs, 2))
    for odd in (0, 1):
        joined[..., odd] = sum(
            SCALING[2 * q + odd] * low[..., half - 1 - q : half - 1 - q + pairs]
            + WAVELET[2 * q + odd] * high[..., half - 1 - q : half - 1 - q + pairs]
            for q in range(half)
        )
    return np.moveaxis(joined.reshape(*low.shape[:-1], 2 * pairs), -1, axis)


_BOTH = (SCALING, WAVELET)
