"""A plain renderer for synthetic clips: all triangles at once, nearest last, on numpy.

It shares nothing with the tracker's own, so that an error of that one is not in the truth as well.
"""

import numpy as np
from jaxtyping import Float, Int

_SIDES = (4, 8, 16, 32, 64, 128, 256, 1024)


def rasterise(
    uv: Float[np.ndarray, "v 2"],
    depth: Float[np.ndarray, " v"],
    triangles: Int[np.ndarray, "t 3"],
    values: Float[np.ndarray, "v c"],
    height: int,
    width: int,
) -> Float[np.ndarray, "h w c"]:
    """Values of the nearest surface at each pixel, linear in each triangle; NaN beside the mesh.

    Args:
        uv: places of the vertices, in pixels.
        depth: larger for what is nearer.
        triangles: seen from either side.
        values: of the vertices.
        height: of the result.
        width: of the result.
    """
    corners = uv[triangles]
    low = np.maximum(np.ceil(corners.min(1)), 0).astype(int)
    high = np.minimum(np.floor(corners.max(1)), (width - 1, height - 1)).astype(int)
    extent = (high - low + 1).max(1)
    seen = (high >= low).all(1)
    pixels, weights, owners = [], [], []
    # Triangles of about one size together: each has a square of candidates.
    for least, side in zip((0, *_SIDES), _SIDES, strict=False):
        chosen = np.flatnonzero(seen & (extent > least) & (extent <= side))
        if not len(chosen):
            continue
        steps = np.arange(side * side)
        x = low[chosen, :1] + steps % side
        y = low[chosen, 1:] + steps // side
        share = _barycentric(corners[chosen], x, y)
        inside = (x <= high[chosen, :1]) & (y <= high[chosen, 1:])
        for one in share:
            inside &= one > -1e-9
        pixels.append((y * width + x)[inside])
        weights.append(np.stack([one[inside] for one in share], 1))
        owners.append(np.broadcast_to(chosen[:, None], inside.shape)[inside])
    image = np.full((height * width, values.shape[1]), np.nan)
    if pixels:
        pixel, weight = np.concatenate(pixels), np.concatenate(weights)
        vertices = triangles[np.concatenate(owners)]
        order = np.argsort((weight * depth[vertices]).sum(-1), kind="stable")
        # Of what is assigned to one pixel, the last stays.
        nearest = np.full(height * width, -1)
        nearest[pixel[order]] = order
        hit = nearest >= 0
        chosen = nearest[hit]
        image[hit] = np.einsum("pk,pkc->pc", weight[chosen], values[vertices[chosen]])
    return image.reshape(height, width, -1)


def _barycentric(
    corners: Float[np.ndarray, "t 3 2"], x: Int[np.ndarray, "t p"], y: Int[np.ndarray, "t p"]
) -> tuple[Float[np.ndarray, "t p"], Float[np.ndarray, "t p"], Float[np.ndarray, "t p"]]:
    """Shares of the three corners in pixels: linear functions of x and y."""
    (ax, ay), (bx, by), (cx, cy) = (corners[:, k].T[..., None] for k in range(3))
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    # A triangle seen from its edge covers nothing: NaN is inside of no pixel.
    scale = 1 / np.where(area == 0, np.nan, area)
    second = (x - ax) * ((cy - ay) * scale) - (y - ay) * ((cx - ax) * scale)
    third = (y - ay) * ((bx - ax) * scale) - (x - ax) * ((by - ay) * scale)
    return 1 - second - third, second, third
