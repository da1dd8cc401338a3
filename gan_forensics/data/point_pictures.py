"""Points as a picture: their density on a line or in a plane, next to that of real ones."""

import numpy as np
from jaxtyping import Float, UInt8

SIDE = 256


def points_picture(
    points: Float[np.ndarray, "n d"], *, like: Float[np.ndarray, "m d"]
) -> UInt8[np.ndarray, "h w 3"]:
    """Real points in gray and others in blue over them, seen along the first two coordinates.

    Points on a line are drawn as the bars of their histograms. The picture shows the range of the
    real points and a tenth of it to each side; others beyond it are not seen.

    Args:
        points: finite numbers.
        like: the real ones, which set the range.
    """
    # In float64, and of equal points too a range that their numbers do not swallow.
    points, like = points.astype(np.float64), like.astype(np.float64)
    low, high = like.min(0), like.max(0)
    margin = 0.1 * np.maximum(high - low, 1e-6 * np.maximum(np.abs(high), 1))
    low, high = low - margin, high + margin
    picture = np.full((SIDE, SIDE, 3), 255, np.uint8)
    for some, colour in ((like, (200, 200, 200)), (points, (31, 90, 166))):
        if some.shape[1] == 1:
            counts, _ = np.histogram(some[:, 0], 64, (float(low[0]), float(high[0])))
            expected = np.histogram(like[:, 0], 64, (float(low[0]), float(high[0])))[0]
            top = expected.max() / len(like) * 1.5
            bars = np.repeat(np.minimum(counts / len(some) / top, 1), SIDE // 64)
            inside = np.arange(SIDE)[::-1, None] < np.round(bars * SIDE)[None]
            picture[inside] = picture[inside] // 2 + np.array(colour, np.uint8) // 2
            continue
        places = (some[:, :2] - low[:2]) / (high - low)[:2] * (SIDE - 1)
        seen = ((places >= 0) & (places <= SIDE - 1)).all(1)
        columns, rows = np.round(places[seen]).astype(int).T
        picture[SIDE - 1 - rows, columns] = colour
    return picture
