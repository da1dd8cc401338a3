"""The parts of one step: what counts, where it is looked for, what is learned, how sure it is."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_forensics.faces import gaussian as g
from gan_forensics.faces import step
from gan_forensics.faces.camera import pinhole
from gan_forensics.faces.map_estimate import Posterior, Prior
from gan_forensics.faces.step import Bounds, Cut, Face, Setting
from gan_forensics.faces.tracker_config import TrackerConfig

SQUARE = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32)
# The only unit brings the right side of a square to the front, or the left to the back.
UNIT = np.array([[[0, 0, 0], [0, 0, 10], [0, 0, 10], [0, 0, 0]]], np.float32)
FACE = Face(
    jnp.asarray(SQUARE),
    jnp.asarray(UNIT),
    jnp.asarray([[0, 1, 2], [0, 2, 3]]),
    jnp.arange(4),
    jnp.asarray([2, 0]),
    jnp.asarray(0.25, jnp.float32),
)
STATE = np.array([0, 0, 0, 50, 50, 40, 0], np.float32)
CUT = Cut(jnp.zeros((12, 14)), jnp.asarray([6.0, 9.0]))


def setting(reduction=2, **config):
    return Setting(TrackerConfig(**config), (101, 101), reduction, 4)


def state(**changes):
    names = ("pitch", "yaw", "roll", "t_x", "t_y", "scale", "unit")
    changed = STATE.copy()
    for name, value in changes.items():
        changed[names.index(name)] = value
    return jnp.asarray(changed)


# Compiled once for all of these tests.
VISIBLE = jax.jit(partial(step.visible, setting(), FACE._replace(window=jnp.float32(0))))
PLACES = jax.jit(step.places, static_argnums=0)
UPDATE, MERGED = jax.jit(g.update), jax.jit(step._merged)


def seen(**changes):
    return np.asarray(VISIBLE(state(**changes))).tolist()


def test_vertices_count_that_face_the_camera_by_more_than_a_fifth():
    assert seen() == [True] * 4
    for angle in ("yaw", "pitch"):
        for sign in (1, -1):
            assert seen(**{angle: sign * np.arccos(0.21)}) == [True] * 4
            assert seen(**{angle: sign * np.arccos(0.19)}) == [False] * 4
    assert seen(roll=3.0) == [True] * 4
    assert seen(yaw=np.pi) == [False] * 4
    # The normal leans with what the animation moves: z / x = 10 / 2 units.
    assert seen(unit=0.9) == [True] * 4 and seen(unit=1.0) == [False] * 4


def test_vertices_count_up_to_the_centre_of_the_frames_last_pixel():
    assert seen(scale=50) == [True] * 4
    assert seen(scale=50, t_x=50.5) == [True, False, False, True]
    assert seen(scale=50, t_x=49.5) == [False, True, True, False]
    assert seen(scale=50, t_y=50.5) == [False, False, True, True]


def test_vertices_count_that_lie_a_bin_of_their_descriptor_inside_the_frame():
    # A bin is 1.5 keypoints wide, here 2 x 1.5 x .02 x 40 = 2.4 frame pixels; the square has 80.
    face = FACE._replace(window=jnp.float32(0.02))
    for place, count in ((42.5, 4), (42.3, 2), (57.5, 4), (57.7, 2)):
        assert int(step.visible(setting(), face, state(t_x=place)).sum()) == count
        assert int(step.visible(setting(), face, state(t_y=place)).sum()) == count
    assert int(step.visible(setting(reduction=1), face, state(t_x=42.3)).sum()) == 4


def test_the_pinhole_camera_has_its_centre_in_the_middle_of_the_frame():
    at = state(yaw=0.5, unit=0.1, t_x=20)
    found = PLACES(setting(camera="pinhole"), FACE, jnp.asarray([1, 3]), at)
    moved = SQUARE + 0.1 * UNIT[0]
    expected, _ = pinhole(moved, np.asarray(at)[:6], focal=1.2 * 101, centre=(50.0, 50.0))
    np.testing.assert_allclose(found, expected[[1, 3]], rtol=1e-5)


@pytest.fixture
def plain(monkeypatch):
    """Descriptors that are their places in working pixels, with size and stride behind."""

    def smooth(maps, points, *, size, stride):
        rest = jnp.broadcast_to(jnp.stack([size, stride * 1.0, maps]), (len(points), 3))
        return jnp.concatenate([points, rest], 1)

    def with_slopes(maps, points, *, size, stride):
        slopes = jnp.broadcast_to(jnp.eye(5, 2)[None], (len(points), 5, 2))
        return smooth(maps, points, size=size, stride=stride), slopes

    def rounded(maps, points, *, size):
        return 512 * smooth(maps, points, size=size, stride=0)

    monkeypatch.setattr(step, "places", PLACES)
    monkeypatch.setattr(step, "visible", lambda _setting, _face, state: VISIBLE(state))
    monkeypatch.setattr(step, "orientation_maps", lambda pixels, stride: jnp.float32(stride))
    monkeypatch.setattr(step, "smooth_sift", smooth)
    monkeypatch.setattr(step, "smooth_sift_with_jacobian", with_slopes)
    monkeypatch.setattr(step, "rounded_sift", rounded)


AT = jnp.asarray([[6.5, 9.5], [30.5, 13.5]])
WORKING = [[0, 0], [12, 2]]


def test_a_place_is_looked_for_where_its_square_of_pixels_became_one(plain):
    found = step.described(setting(), CUT, jnp.float32(7))(AT)
    np.testing.assert_allclose(found, np.c_[WORKING, np.tile([7, 4, 4], (2, 1))])
    full = step.described(setting(reduction=1), CUT, jnp.float32(7))(AT)
    np.testing.assert_allclose(full[:, :2], AT - jnp.asarray([[6.0, 9.0]]))
    # OpenCV's own descriptors want maps of every pixel, and a norm of one.
    sift = setting(solver="nelder-mead", descriptor="sift")
    found = step.described(sift, CUT, jnp.float32(7))(AT)
    np.testing.assert_allclose(found, np.c_[WORKING, np.tile([7, 0, 1], (2, 1))])


PRIOR = Prior(jnp.asarray(STATE), jnp.ones(7), jnp.float32(1))


def searched(monkeypatch, energies=(1, 2, 3, 6), prior=PRIOR, **config):
    """What `search` hands to its solver, and what it returns."""
    handed = {}

    def solver(name):
        def solve(describe, points, appearance, visible, prior, **limits):
            slopes = limits.pop("slopes", describe)
            handed.update(solver=name, at=points(prior.mean), visible=visible, limits=limits)
            handed.update(descriptors=describe(AT), slopes=slopes(AT)[1])
            return Posterior(
                prior.mean, jnp.asarray(energies, jnp.float32), jnp.eye(7), jnp.asarray(1)
            )

        return solve

    for name in ("gauss_newton", "nelder_mead"):
        monkeypatch.setattr(step, name, solver(name))
    found = step.search(setting(**config), FACE, None, CUT, prior)  # type: ignore[arg-type]
    return handed, found


def test_gauss_newton_is_given_slopes_by_frame_pixels_and_the_steps_asked_for(plain, monkeypatch):
    prior = PRIOR._replace(mean=state(scale=50, t_x=50.5))
    handed, (visible, _, energy) = searched(monkeypatch, prior=prior, iterations=3)
    assert handed["solver"] == "gauss_newton" and handed["limits"] == {"iterations": 3}
    np.testing.assert_allclose(handed["slopes"], np.tile(0.5 * np.eye(5, 2), (2, 1, 1)))
    found, by_point = handed["descriptors"]
    # Keypoints keep a size that goes by the scale of the frame before.
    np.testing.assert_allclose(found, np.c_[WORKING, np.tile([12.5, 4, 4], (2, 1))])
    np.testing.assert_allclose(handed["at"], [[0.5, 100], [100.5, 100], [100.5, 0], [0.5, 0]])
    assert visible.tolist() == handed["visible"].tolist() == [True, False, False, True]
    assert energy == (1 + 6) / 2


def test_the_simplex_is_given_plain_descriptors_and_the_evaluations_asked_for(plain, monkeypatch):
    handed, (_, _, energy) = searched(monkeypatch, solver="nelder-mead", evaluations=77)
    assert handed["solver"] == "nelder_mead" and handed["limits"] == {"evaluations": 77}
    np.testing.assert_allclose(handed["descriptors"][:, :3], np.c_[WORKING, [10, 10]])
    np.testing.assert_allclose(handed["slopes"], np.tile(0.5 * np.eye(5, 2), (2, 1, 1)))
    assert energy == 3


def test_a_face_that_is_not_seen_has_an_infinite_energy(plain, monkeypatch):
    prior = PRIOR._replace(mean=state(yaw=np.pi))
    _, (visible, _, energy) = searched(monkeypatch, prior=prior)
    assert not visible.any() and energy == np.inf


RANDOM = np.random.default_rng(0)
APPEARANCE = g.Gaussian(
    jnp.asarray(RANDOM.normal(size=(4, 5)), jnp.float32),
    jnp.asarray(np.linalg.qr(RANDOM.normal(size=(4, 5, 5)))[0][:, :2], jnp.float32),
    jnp.asarray(RANDOM.uniform(1, 4, (4, 2)), jnp.float32),
    jnp.asarray(RANDOM.uniform(0.2, 0.9, 4), jnp.float32),
)
NEW = jnp.asarray(RANDOM.normal(size=(4, 5)), jnp.float32)


def advanced(monkeypatch, frame=10.0, **config):
    """What a step without its search learns; three landmarks are visible and one is far off."""
    posterior = Posterior(state(), jnp.asarray([2.0, 3.0, 4.0, 5.0]), jnp.eye(7), jnp.asarray(1))
    visible, seen = jnp.asarray([True, False, True, True]), {}

    def described(setting, cut, size):
        seen["size"] = float(size)
        return lambda at: NEW + 0 * at[:, :1]

    monkeypatch.setattr(step, "search", lambda *_: (visible, posterior, jnp.float32(4)))
    monkeypatch.setattr(step, "described", described)
    monkeypatch.setattr(step, "places", lambda *_: jnp.zeros((4, 2)))
    monkeypatch.setattr(step, "update", UPDATE)
    monkeypatch.setattr(step, "_merged", MERGED)
    monkeypatch.setattr(step, "_found", lambda *found: found[2:])
    bounds = Bounds(jnp.float32(frame), jnp.asarray([5.0, 5.0, 1.0, 5.0]))
    plain = step.advance.__wrapped__
    appearance, found = plain(setting(**config), FACE, APPEARANCE, CUT, PRIOR, bounds)
    assert found[0] is visible and found[1] is posterior and found[2] == 4
    return appearance, found[3], seen


def test_only_visible_landmarks_within_their_bounds_learn_at_the_rate_asked_for(monkeypatch):
    found, learned, seen = advanced(monkeypatch, rate=0.25)
    assert learned.tolist() == [True, False, False, True] and seen["size"] == 10
    expected = UPDATE(APPEARANCE, NEW, jnp.asarray([0.25, 0, 0, 0.25]))
    for here, there, before in zip(found, expected, APPEARANCE, strict=True):
        np.testing.assert_array_equal(here, there)
        np.testing.assert_array_equal(here[1:3], before[1:3])


def test_nothing_is_learned_from_a_frame_beyond_its_bound_or_without_updates(monkeypatch):
    update: Literal["full", "none"]
    for frame, update in ((3.9, "full"), (10.0, "none")):
        found, learned, _ = advanced(monkeypatch, frame, update=update)
        assert not learned.any()
        for here, before in zip(found, APPEARANCE, strict=True):
            np.testing.assert_array_equal(here, before)


def test_a_full_update_moves_the_eigenvectors_and_weighs_the_new_frame_by_its_rate(monkeypatch):
    found, learned, _ = advanced(monkeypatch, rate=0.25, update="full")
    moved = np.asarray(learned)
    mean = 0.75 * APPEARANCE.mean + 0.25 * NEW
    np.testing.assert_allclose(found.mean[moved], mean[moved], rtol=1e-5)
    assert np.abs(found.vectors - APPEARANCE.vectors).max((1, 2))[moved].min() > 0.01
    for here, before in zip(found, APPEARANCE, strict=True):
        np.testing.assert_array_equal(here[~moved], before[~moved])


def test_landmarks_are_where_the_posterior_has_them_and_as_sure_along_one_axis():
    covariance = jnp.diag(jnp.asarray([0, 0, 0.01, 4, 0, 0, 0.25]))
    posterior = Posterior(state(t_x=51), jnp.zeros(4), covariance, jnp.asarray(1))
    found = jax.jit(partial(step._found, setting(), FACE))
    said = found(jnp.ones(4, bool), posterior, jnp.float32(4), jnp.zeros(4, bool))
    np.testing.assert_allclose(said.places, [[91, 10], [11, 90]], rtol=1e-6)
    # Roll turns both by 40 pixels a radian along each axis; the unit moves along the line of sight.
    expected = np.sqrt((4 + 0.01 * (40**2 + 40**2)) / 2)
    np.testing.assert_allclose(said.deviations, [expected, expected], rtol=1e-5)
    assert said.visible.all() and not said.learned.any() and said.energy == 4
