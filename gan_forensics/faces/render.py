"""A textured wireframe drawn over an image: the synthetic views from which appearance is learned.

Faces are filled triangle by triangle with a z-buffer, back faces culled, the texture taken from
another image (the clip's first frame) by an affine map per triangle and bilinear look-up. What is
interpolated is not the place in the texture but its distance from the place in the view, so that a
view in which no vertex moves reproduces the texture exactly.

Vertices are in image coordinates: (u to the right, v down), pixel centres at whole numbers.
Triangles are wound so that those which face the camera run anticlockwise on the screen, as a model
whose normals point outwards has them under the cameras of `faces.camera`.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

# Smaller triangles (twice their area, square pixels) are culled with those that face away.
_AREA = 1e-3
# Pixels on an edge belong to both triangles, however their weights round.
_EDGE = 1e-4


def render(
    background: Float[Array, "h w"],
    uv: Float[Array, "n 2"],
    depth: Float[Array, "n"],
    texture: Float[Array, "a b"],
    texture_uv: Float[Array, "n 2"],
    triangles: Int[np.ndarray, "t 3"],
) -> Float[Array, "h w"]:
    """Draw one view: `render_views` with a single one."""
    views = render_views(background, uv[None], depth[None], texture, texture_uv, triangles)
    return views[0]


def render_views(
    background: Float[Array, "h w"],
    uv: Float[Array, "views n 2"],
    depth: Float[Array, "views n"],
    texture: Float[Array, "a b"],
    texture_uv: Float[Array, "n 2"],
    triangles: Int[np.ndarray, "t 3"],
) -> Float[Array, "views h w"]:
    """Draw a textured wireframe over a background, once for every row of vertices.

    Args:
        background: gray levels; what no triangle covers is left as it is.
        uv: where the vertices are in each view, in pixels; they may lie outside.
        depth: of the vertices, larger where nearer to the camera.
        texture: gray levels.
        texture_uv: where the vertices are in the texture, in pixels.
        triangles: three vertices each; drawn where they run anticlockwise on the screen.

    Returns:
        The views. The order of the triangles does not matter.

    Raises:
        ValueError: if a vertex is not finite. Vertices are looked at before anything is compiled,
            so that this function cannot itself be traced.
    """
    if not (np.isfinite(uv).all() and np.isfinite(depth).all() and np.isfinite(texture_uv).all()):
        raise ValueError(
            "vertices to draw must be finite: check the pose; none may lie behind the camera"
        )
    corners = np.asarray(uv)[:, np.asarray(triangles)]
    extent = (corners.max(2) - corners.min(2)).max((0, 1), initial=0)
    # A triangle is drawn inside a window that holds any of them; in steps, to compile seldom.
    window = tuple(
        int(min(side, 16 * np.ceil((span + 2) / 16)))
        for side, span in zip(background.shape, extent[::-1], strict=True)
    )
    arrays = (jnp.asarray(x, float) for x in (background, uv, depth, texture, texture_uv))
    return _render_views(*arrays, jnp.asarray(triangles), window=window)


@partial(jax.jit, static_argnames="window")
def _render_views(background, uv, depth, texture, texture_uv, triangles, *, window):
    height, width = background.shape

    def draw(buffer, triangle):
        """Draw one triangle: depth, and how far it is to the texture in u and in v."""
        places, values = triangle
        a, b, c = places
        ab, ac = b - a, c - a
        # Twice the area. v points down: what faces the camera is anticlockwise when it is positive.
        area = ab[1] * ac[0] - ab[0] * ac[1]
        low = jnp.floor(places.min(0)).astype(jnp.int32)
        left = jnp.clip(low[0], 0, width - window[1])
        top = jnp.clip(low[1], 0, height - window[0])
        corner = (jnp.zeros_like(top), top, left)
        x = (left + jnp.arange(window[1])).astype(a.dtype)[None] - a[0]
        y = (top + jnp.arange(window[0])).astype(a.dtype)[:, None] - a[1]
        size = jnp.where(area > _AREA, area, 1)
        of_b = (y * ac[0] - x * ac[1]) / size
        of_c = (x * ab[1] - y * ab[0]) / size
        inside = jnp.minimum(jnp.minimum(of_b, of_c), 1 - of_b - of_c) >= -_EDGE
        # Through differences: what is the same at all corners stays exactly so.
        to_b, to_c = ((values[i] - values[0])[:, None, None] for i in (1, 2))
        new = values[0][:, None, None] + of_b[None] * to_b + of_c[None] * to_c
        old = jax.lax.dynamic_slice(buffer, corner, (3, *window))
        # At equal depth the way decides, so that the order of the triangles never does.
        more, same = new > old, new == old
        nearer = more[0] | (same[0] & (more[1] | (same[1] & more[2])))
        chosen = (nearer & inside & (area > _AREA))[None]
        # One buffer for all three: several would be copied for every triangle.
        new = jnp.where(chosen, new, old)
        return jax.lax.dynamic_update_slice(buffer, new, corner), None

    rows = jnp.arange(height, dtype=uv.dtype)[:, None]
    columns = jnp.arange(width, dtype=uv.dtype)[None]

    def view(vertices):
        uv, depth = vertices
        values = jnp.concatenate([depth[:, None], texture_uv - uv], 1)
        empty = jnp.zeros((3, height, width), uv.dtype).at[0].set(-jnp.inf)
        buffer, _ = jax.lax.scan(draw, empty, (uv[triangles], values[triangles]))
        drawn = bilinear(texture, columns + buffer[1], rows + buffer[2])
        return jnp.where(buffer[0] > -jnp.inf, drawn, background)

    return jax.lax.map(view, (uv, depth))


def bilinear(
    image: Float[Array, "h w"], u: Float[Array, "*n"], v: Float[Array, "*n"]
) -> Float[Array, "*n"]:
    """Gray levels between pixels; outside of the image those of its nearest pixel."""
    height, width = image.shape
    u, v = jnp.clip(u, 0, width - 1), jnp.clip(v, 0, height - 1)
    left = jnp.clip(jnp.floor(u), 0, max(width - 2, 0))
    top = jnp.clip(jnp.floor(v), 0, max(height - 2, 0))
    fu, fv = u - left, v - top
    left, top = left.astype(jnp.int32), top.astype(jnp.int32)
    right, bottom = jnp.minimum(left + 1, width - 1), jnp.minimum(top + 1, height - 1)
    above = image[top, left] * (1 - fu) + image[top, right] * fu
    below = image[bottom, left] * (1 - fu) + image[bottom, right] * fu
    return above * (1 - fv) + below * fv


def vertex_normals(
    vertices: Float[Array, "*b n 3"], triangles: Int[Array | np.ndarray, "t 3"]
) -> Float[Array, "*b n 3"]:
    """Unit normals of vertices: of the triangles around them, weighted by area.

    Zeros for a vertex that is in no triangle.
    """
    corners = vertices[..., triangles, :]
    edges = corners[..., 1:, :] - corners[..., :1, :]
    faces = jnp.cross(edges[..., 0, :], edges[..., 1, :])
    around = (triangles[:, :, None] == np.arange(vertices.shape[-2])[None, None]).any(1)
    normals = jnp.einsum("tn,...tc->...nc", around.astype(faces.dtype), faces)
    return normals / jnp.maximum(jnp.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
