"""Spatter of ImageNet-C (Hendrycks and Dietterich, ICLR 2019): drops of water, splashes of mud.

uint8 [h, w, 3] in and out, severities 1 to 5. The published code shapes drops by five functions of
OpenCV on bytes; they are written out here, and tested against OpenCV's.
"""

import numpy as np
from jaxtyping import Bool, Float, UInt8

from gan_forensics.data.corruption_scale import (
    Map,
    Pixels,
    Rng,
    at_own_size,
    levels,
    published_shape,
    unit,
)

# Mean and deviation of the liquid, deviation of its blur, threshold, strength of water or blur of
# mud, which of the two.
SPATTER = (
    (0.65, 0.3, 4, 0.69, 0.6, "water"),
    (0.65, 0.3, 3, 0.68, 0.6, "water"),
    (0.65, 0.3, 2, 0.68, 0.5, "water"),
    (0.65, 0.3, 1, 0.65, 1.5, "mud"),
    (0.67, 0.4, 1, 0.65, 1.5, "mud"),
)
WATER, MUD = np.array([175, 238, 238]) / 255, np.array([63, 42, 20]) / 255
MUD_EDGE = 0.8
# Canny's thresholds, and the farthest that the distance to an edge is told.
WEAK, STRONG, FAR = 50, 150, 20
RELIEF = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
Bytes = UInt8[np.ndarray, "h w"]


def spatter(image: Pixels, severity: int, rng: Rng) -> Pixels:
    """Smoothed noise beyond a threshold is liquid: light that is added, or mud that covers."""
    from scipy import ndimage

    mean, deviation, sigma, threshold, strength, kind = SPATTER[severity - 1]
    liquid = rng.normal(mean, deviation, published_shape(image.shape))
    liquid = ndimage.gaussian_filter(liquid, sigma, mode="nearest", truncate=4.0)
    liquid[liquid < threshold] = 0
    x = unit(image).astype(np.float32)
    if kind == "water":
        mask = at_own_size(strength * drops((liquid * 255).astype(np.uint8)), image.shape)
        return levels(x + mask[..., None] * WATER)
    mask = (liquid > threshold).astype(np.float32)
    mask = ndimage.gaussian_filter(mask, strength, mode="nearest", truncate=4.0)
    mask[mask < MUD_EDGE] = 0
    mask = at_own_size(mask, image.shape)[..., None]
    return levels(x * (1 - mask) + mask * MUD)


def drops(liquid: Bytes) -> Map:
    """The light of drops, in [0, 1]: the liquid times a relief that rises from its edges."""
    from scipy import ndimage

    near = np.minimum(distance(edges(liquid)), FAR).astype(np.float32)
    near = ndimage.uniform_filter(near, 3, mode="mirror").astype(np.uint8)
    relief = ndimage.correlate(equalised(near).astype(int), RELIEF, mode="mirror")
    relief = np.clip(relief, 0, 255)
    summed = ndimage.correlate(relief, np.ones((3, 3), int), mode="mirror")
    light = liquid * np.rint(summed / 9)
    return light / max(light.max(), 1)


def edges(layer: Bytes) -> Bool[np.ndarray, "h w"]:
    """Canny's edges, by the sum of the two absolute gradients and without smoothing.

    A pixel is thinned away unless it exceeds its two neighbours along the gradient, whose direction
    is one of four; what is weak stays where it touches what is strong.
    """
    from scipy import ndimage

    wide = layer.astype(int)
    down = ndimage.correlate1d(
        ndimage.correlate1d(wide, [-1, 0, 1], 0, mode="nearest"), [1, 2, 1], 1, mode="nearest"
    )
    right = ndimage.correlate1d(
        ndimage.correlate1d(wide, [-1, 0, 1], 1, mode="nearest"), [1, 2, 1], 0, mode="nearest"
    )
    size = np.abs(down) + np.abs(right)
    padded = np.pad(size, 1)

    def beside(rows: int, columns: int) -> np.ndarray:
        h, w = size.shape
        return padded[1 + rows : 1 + rows + h, 1 + columns : 1 + columns + w]

    # tan 22.5 degrees in fixed point, as OpenCV has it.
    flat = np.abs(right) * 13573
    steep = flat + (np.abs(right) << 16)
    rise = np.abs(down) << 15
    along_row = (size > beside(0, -1)) & (size >= beside(0, 1))
    along_column = (size > beside(-1, 0)) & (size >= beside(1, 0))
    falling = (size > beside(-1, -1)) & (size > beside(1, 1))
    rising = (size > beside(-1, 1)) & (size > beside(1, -1))
    slanted = np.where((right < 0) != (down < 0), rising, falling)
    kept = np.where(rise < flat, along_row, np.where(rise > steep, along_column, slanted))
    kept &= size > WEAK
    parts = np.asarray(ndimage.label(kept, np.ones((3, 3)))[0])  # pyright: ignore
    strong = np.unique(parts[kept & (size > STRONG)])
    return kept & np.isin(parts, strong)


def distance(edge: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Distance to the nearest edge in moves of 1, 1.4 (diagonal) and 2.1969 (knight's)."""
    from scipy import ndimage

    if not edge.any():
        return np.full(edge.shape, np.inf)
    nearest = ndimage.distance_transform_edt(~edge, return_distances=False, return_indices=True)
    apart = np.sort(np.abs(np.asarray(nearest) - np.indices(edge.shape)), axis=0)
    short, long = apart
    return np.where(
        long >= 2 * short,
        long - 2 * short + 2.1969 * short,
        2.1969 * (long - short) + 1.4 * (2 * short - long),
    )


def equalised(layer: Bytes) -> Bytes:
    """Levels spread so that each is the share of pixels that lie below it; the lowest becomes 0."""
    count = np.bincount(layer.ravel(), minlength=256)
    lowest = count.nonzero()[0][0]
    if count[lowest] == layer.size:
        return layer
    count[lowest], others = 0, layer.size - count[lowest]
    return np.rint(count.cumsum() * np.float32(255 / others)).astype(np.uint8)[layer]
