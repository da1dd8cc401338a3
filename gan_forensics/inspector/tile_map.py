"""A map of tiles over a picture: which of them a detector finds above its threshold."""

import numpy as np
from jaxtyping import Float64, Int, UInt8

from gan_forensics.data.images import pillow_resize
from gan_forensics.forensics.explanations import GENERATED, REAL

# The longer side of the map, in pixels; of large pictures the map is smaller than the picture.
LONGEST = 1024
# Of a tile that stands out most, and of lines.
_MOST, _LEAST, _LINE = 170, 40, 220
_HATCH = 8


def tile_map(
    pixels: UInt8[np.ndarray, "h w 3"],
    places: Int[np.ndarray, "k 2"],
    scores: Float64[np.ndarray, " k"],
    side: int,
    threshold: float,
) -> tuple[UInt8[np.ndarray, "_h _w 3"], UInt8[np.ndarray, "_h _w 4"]]:
    """A picture in gray, and a layer to lie over it.

    Tiles above the threshold are orange within a thick line, those at or below it blue, the fuller
    the further from it; flat ones are hatched.

    Args:
        pixels: of the picture.
        places: top and left of its tiles.
        scores: of these; NaN for flat ones.
        side: of a tile.
        threshold: of tiles.

    Example:
        >>> base, layer = tile_map(
        ...     np.zeros((64, 64, 3), np.uint8), np.array([[0, 0]]), np.array([1.0]), 32, 0.0
        ... )
        >>> layer[16, 16].tolist(), layer[40, 40].tolist()
        ([255, 112, 0, 170], [0, 0, 0, 0])
    """
    factor = min(1.0, LONGEST / max(pixels.shape[:2]))
    sides = [max(1, round(length * factor)) for length in pixels.shape[:2]]
    small = pixels if factor == 1 else pillow_resize(pixels, *sides)
    gray = small @ np.array([0.299, 0.587, 0.114])
    base = np.repeat(np.rint(gray)[..., None], 3, -1).astype(np.uint8)
    layer = np.zeros((*sides, 4), np.uint8)
    away = np.abs(scores - threshold)
    far = np.nanmax(away) if np.isfinite(away).any() else 1.0
    for (top, left), score, gap in zip(places.tolist(), scores, away, strict=True):
        y, x = round(top * factor), round(left * factor)
        y2, x2 = (
            max(start + 1, round((end + side) * factor)) for start, end in ((y, top), (x, left))
        )
        part = layer[y:y2, x:x2]
        if np.isnan(score):
            rows, columns = np.indices(part.shape[:2])
            part[(rows + columns) % _HATCH < 2] = (128, 128, 128, _LINE)
            continue
        above = score > threshold
        colour = GENERATED if above else REAL
        part[:] = (*colour, round(_LEAST + (_MOST - _LEAST) * gap / (far or 1.0)))
        if above and min(part.shape[:2]) > 6:
            part[:2] = part[-2:] = part[:, :2] = part[:, -2:] = (*colour, 255)
    return base, layer
