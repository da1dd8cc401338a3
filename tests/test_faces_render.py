"""The renderer against a slow rasteriser; exactness, order, mirrors, culling, borders, normals."""

import os

import jax
import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from scipy.spatial import ConvexHull
from scipy.spatial.transform import Rotation

from gan_forensics.faces.camera import weak_perspective
from gan_forensics.faces.render import (
    _render_views,
    bilinear,
    render,
    render_views,
    vertex_normals,
)

HEIGHT, WIDTH = 48, 70
POSE = np.array([0.1, -0.2, 0.05, 32.3, 23.6, 19.0])


def ball(points=40, seed=1):
    """A closed mesh around the origin, wound so that normals point outwards."""
    vertices = np.random.default_rng(seed).normal(size=(points, 3))
    vertices /= np.linalg.norm(vertices, axis=1, keepdims=True)
    hull = ConvexHull(vertices)
    triangles = hull.simplices.copy()
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    inwards = (np.cross(b - a, c - a) * a).sum(1) < 0
    triangles[inwards] = triangles[inwards][:, ::-1]
    return vertices, triangles


def two_balls():
    """Two balls that cut into each other."""
    vertices, triangles = ball()
    return (
        np.concatenate([vertices, 0.7 * vertices + [0.8, 0.1, 0.3]]),
        np.concatenate([triangles, triangles + len(vertices)]),
    )


def slow_render(background, uv, depth, texture, texture_uv, triangles):
    """Triangle by triangle over all pixels, in double precision."""
    out, nearest = background.astype(float), np.full(background.shape, -np.inf)
    v, u = np.mgrid[: background.shape[0], : background.shape[1]]
    for corners in triangles:
        a, b, c = uv[corners]
        matrix = np.stack([b - a, c - a], 1)
        if np.linalg.det(matrix) > -1e-3:
            continue
        of_b, of_c = np.linalg.solve(matrix, np.stack([u - a[0], v - a[1]]).reshape(2, -1))
        weights = np.stack([1 - of_b - of_c, of_b, of_c], -1).reshape(*out.shape, 3)
        z = weights @ depth[corners]
        chosen = (weights.min(-1) >= 0) & (z > nearest)
        nearest[chosen] = z[chosen]
        places = (weights @ texture_uv[corners])[chosen].T[::-1]
        out[chosen] = map_coordinates(texture.astype(float), places, order=1, mode="nearest")
    return out


@pytest.fixture
def texture(rng):
    return rng.integers(0, 256, (HEIGHT, WIDTH)).astype(np.float32)


@pytest.fixture
def background(rng):
    return -1 - rng.random((HEIGHT, WIDTH)).astype(np.float32)


def drawn_by_poses(background, texture, poses):
    vertices, triangles = two_balls()
    uv, depth = weak_perspective(vertices[None], np.asarray(poses))
    texture_uv, _ = weak_perspective(vertices, POSE)
    return render_views(background, uv, depth, texture, texture_uv, triangles)


def test_views_are_those_of_a_slow_rasteriser(background, texture):
    vertices, triangles = two_balls()
    uv, depth = weak_perspective(vertices, POSE + [0.2, 0.3, -0.4, -6, 4, 2])
    texture_uv, _ = weak_perspective(vertices, POSE)
    wanted = slow_render(background, uv, depth, texture, texture_uv, triangles)
    found = np.asarray(render(background, uv, depth, texture, texture_uv, triangles))
    assert ((wanted >= 0) == (found >= 0)).mean() > 0.999, "but for a pixel that an edge touches"
    away = np.abs(found - wanted)[(wanted >= 0) == (found >= 0)]
    assert np.quantile(away, 0.999) < 0.05


def test_where_nothing_moves_the_texture_is_reproduced_to_the_last_bit(background, texture):
    found = np.asarray(drawn_by_poses(background, texture, [POSE])[0])
    drawn = found >= 0
    assert 0.25 < drawn.mean() < 0.75
    np.testing.assert_array_equal(found, np.where(drawn, texture, background))


def test_a_plane_moved_by_an_affine_map_shows_the_texture_under_the_inverse_map(background):
    v, u = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    texture_uv = np.array([[0, 0], [69, 0], [0, 47], [69, 47]], np.float64)
    triangles = np.array([[0, 2, 1], [1, 2, 3]])
    matrix, shift = np.array([[0.6, 0.1], [-0.1, 0.5]]), np.array([9.0, 14])
    uv = texture_uv @ matrix.T + shift
    found = np.asarray(render(background, uv, np.zeros(4), 2 * u + 0.5 * v, texture_uv, triangles))
    back = np.linalg.solve(matrix, (np.stack([u, v], -1) - shift).reshape(-1, 2).T)
    wanted = (2 * back[0] + 0.5 * back[1]).reshape(u.shape)
    drawn = found >= 0
    assert 0.2 < drawn.mean() < 0.4
    np.testing.assert_allclose(found[drawn], wanted[drawn], atol=1e-3)


@pytest.mark.skipif(
    "emitters=false" in os.environ["XLA_FLAGS"],
    reason="the elder code generator rounds depths by their place; `make newest` runs it",
)
def test_the_order_of_triangles_does_not_matter(background, texture, rng):
    vertices, triangles = two_balls()
    uv, depth = weak_perspective(vertices, POSE + [0.2, 0.3, -0.4, 0, 0, 2])
    # Two sheets in one place: even where depths are equal, order must not decide.
    uv, depth = np.tile(uv, (2, 1)), np.tile(depth, 2)
    triangles = np.concatenate([triangles, triangles + len(vertices)])
    texture_uv = np.concatenate([uv[: len(vertices)], uv[len(vertices) :] + [3, 1]])
    first = render(background, uv, depth, texture, texture_uv, triangles)
    for order in (rng.permutation(len(triangles)), np.arange(len(triangles))[::-1]):
        again = render(background, uv, depth, texture, texture_uv, triangles[order])
        np.testing.assert_array_equal(again, first)


def test_mirrored_vertices_give_the_mirrored_view(background, texture):
    vertices, triangles = two_balls()
    uv, depth = weak_perspective(vertices, POSE + [0.2, 0.3, -0.4, 0, 0, 2])
    texture_uv, _ = weak_perspective(vertices, POSE)
    first = np.asarray(render(background, uv, depth, texture, texture_uv, triangles))
    uv, texture_uv = ([WIDTH - 1, 0] + [-1, 1] * x for x in (uv, texture_uv))
    flipped = background[:, ::-1], uv, depth, texture[:, ::-1], texture_uv, triangles[:, ::-1]
    np.testing.assert_allclose(np.asarray(render(*flipped))[:, ::-1], first, atol=2e-2)


def test_what_faces_away_is_not_drawn_and_what_is_nearer_hides_the_rest(background, texture):
    uv = np.array([[10, 10], [10, 30], [40, 10]], np.float64)  # anticlockwise on the screen
    both = np.concatenate([uv, uv + 2])
    depth = np.repeat([1.0, 2.0], 3)
    for triangle, levels in (([0, 1, 2], 100), ([3, 4, 5], 200)):
        texture = np.full_like(texture, levels)
        front = render(background, both, depth, texture, both, np.array([triangle]))
        assert (np.asarray(front) == levels).sum() > 250
        back = render(background, both, depth, texture, both, np.array([triangle[::-1]]))
        np.testing.assert_array_equal(back, background)
    sides = np.where(np.arange(WIDTH) < 35, 100, 200)[None] + np.zeros((HEIGHT, 1), np.float32)
    to_sides = np.array([[5, 5]] * 3 + [[60, 5]] * 3, np.float64)
    triangles = np.array([[0, 1, 2], [3, 4, 5]])
    for nearer, level in ((depth, 200), (-depth, 100)):
        found = np.asarray(render(background, both, nearer, sides, to_sides, triangles))
        assert found[15, 15] == level
    flat = np.array([[10, 10], [20, 20], [40, 40]], np.float64)
    found = render(background, flat, np.zeros(3), texture, flat, np.array([[0, 1, 2], [2, 1, 0]]))
    np.testing.assert_array_equal(found, background)


def test_a_neutral_ball_shows_its_front_half():
    vertices, triangles = ball(400)
    uv, depth = weak_perspective(vertices, np.array([0, 0, 0, 35, 24, 20.0]))
    front = np.where(depth[:, None] > 0, 200.0, 50.0)
    found = render(
        np.zeros((HEIGHT, WIDTH), np.float32), uv, depth, np.tile([50.0, 200], (2, 1)),
        np.concatenate([front > 100, np.zeros_like(front)], 1), triangles,
    )  # fmt: skip
    v, u = np.mgrid[:HEIGHT, :WIDTH]
    inner = np.hypot(u - 35, v - 24) < 15
    np.testing.assert_allclose(np.asarray(found)[inner], 200, atol=1e-2)


def test_vertices_may_lie_outside_of_the_frame(background, texture):
    far = [POSE + [0, 0, 0, 900, 0, 0], POSE + [0, 0, 0, 0, -900, 0]]
    for view in drawn_by_poses(background, texture, far):
        np.testing.assert_array_equal(view, background)
    vertices, triangles = two_balls()
    texture_uv, _ = weak_perspective(vertices, POSE)
    wide = np.pad(background, 40)
    for shift in ([-35, 0], [36, 10], [0, -26], [-30, 25]):
        uv, depth = weak_perspective(vertices, POSE + [0.1, 0.1, 0, *shift, 0])
        found = render(background, uv, depth, texture, texture_uv, triangles)
        larger = render(wide, uv + 40, depth, texture, texture_uv, triangles)
        drawn = (np.asarray(found) >= 0).mean()
        assert 0.01 < drawn < 0.5
        np.testing.assert_allclose(found, larger[40:-40, 40:-40], atol=2e-2)


def test_a_triangle_may_be_larger_than_the_frame_or_long_and_thin(background, texture):
    uv = np.array([[-500, -400], [-300, 900], [900, -300]], np.float64)
    found = render(background, uv, np.zeros(3), texture, uv, np.array([[0, 1, 2]]))
    np.testing.assert_array_equal(found, texture)
    for uv in (np.array([[2, 3], [2, 9], [68, 3.0]]), np.array([[3, 2], [3, 46], [9, 2.0]])):
        found = np.asarray(render(background, uv, np.zeros(3), texture, uv, np.array([[0, 1, 2]])))
        drawn = np.argwhere(found >= 0)
        np.testing.assert_array_equal(drawn.max(0)[::-1], np.maximum(uv[1], uv[2]))


def test_views_are_drawn_as_one_by_one_and_compiled_once(background, texture, rng):
    poses = POSE + rng.uniform(-1, 1, (5, 6)) * [0.3, 0.4, 0.3, 5, 5, 2]
    views = drawn_by_poses(background, texture, poses)
    compiled = _render_views._cache_size()
    drawn_by_poses(background, texture, poses + [0.02, 0.02, 0, 3, 1, 2])
    assert _render_views._cache_size() == compiled
    for pose, view in zip(poses, views, strict=True):
        (alone,) = drawn_by_poses(background, texture, [pose])
        np.testing.assert_allclose(alone, view, atol=1e-3)


def test_vertices_that_are_not_finite_are_refused(background, texture):
    uv = np.array([[10, 10], [10, np.nan], [40, 10]])
    with pytest.raises(ValueError, match="vertices to draw must be finite: check the pose"):
        render(background, uv, np.zeros(3), texture, uv, np.array([[0, 1, 2]]))


def test_bilinear_levels_are_scipys_and_stay_at_the_border_outside(texture, rng):
    u, v = rng.uniform(-5, 80, 300), rng.uniform(-5, 60, 300)
    wanted = map_coordinates(texture.astype(float), [v, u], order=1, mode="nearest")
    found = jax.jit(bilinear)(texture, u.astype(np.float32), v.astype(np.float32))
    np.testing.assert_allclose(found, wanted, atol=5e-3)
    v, u = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    np.testing.assert_array_equal(jax.jit(bilinear)(texture, u, v), texture)


def test_normals_point_outwards_have_norm_one_and_turn_with_the_model():
    vertices, triangles = ball(300)
    unused = np.concatenate([vertices, np.zeros((1, 3))])
    normals = np.asarray(vertex_normals(unused, triangles))
    np.testing.assert_allclose(np.linalg.norm(normals[:-1], axis=1), 1, atol=1e-6)
    assert (normals[:-1] * vertices).sum(1).min() > 0.95
    assert not normals[-1].any()
    turns = Rotation.random(3, rng=5).as_matrix()
    turned = jax.jit(lambda x: vertex_normals(x, triangles))(unused @ turns.swapaxes(-1, -2))
    np.testing.assert_allclose(turned, normals @ turns.swapaxes(-1, -2), atol=1e-5)


def test_the_normal_of_a_vertex_weighs_its_triangles_by_their_area():
    vertices = np.array([[0, 0, 0], [3, 0, 0], [0, 2, 0], [0, 0, 1.0]])
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    wanted = np.array([1 * 2, 0, 3 * 2]) / np.hypot(2, 6)
    np.testing.assert_allclose(vertex_normals(vertices, triangles)[0], wanted, atol=1e-6)
