"""The tracker on clips whose truth is known, its invariances, and what it does with bad frames."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import skimage

from gan_forensics.faces.camera import mirrored, weak_perspective
from gan_forensics.faces.candide import default_units, load_wireframe
from gan_forensics.faces.fit import fit_landmarks
from gan_forensics.faces.render import render_views
from gan_forensics.faces.tracker import Tracker
from gan_forensics.faces.tracker_config import TrackerConfig
from tests.face_points import MIRRORED, astronaut_points

WIREFRAME = load_wireframe()
UNITS = default_units(WIREFRAME)
LEFT, TOP, WIDTH, HEIGHT = 100, 0, 240, 240


@pytest.fixture(scope="module")
def astronaut():
    image = skimage.color.rgb2gray(skimage.data.astronaut())
    part = image[TOP : TOP + HEIGHT, LEFT : LEFT + WIDTH]
    return np.round(255 * part).astype(np.uint8), astronaut_points() - [LEFT, TOP]


@pytest.fixture(scope="module")
def fit(astronaut):
    _, points = astronaut
    return fit_landmarks(WIREFRAME, points, image_size=(WIDTH, HEIGHT), units=UNITS)


@pytest.fixture(scope="module")
def clip(astronaut, fit):
    """States, frames: a head that turns, nods and talks, under noise and a light that changes."""
    frame, _ = astronaut
    time = np.linspace(0, 1, 13)[:, None]
    states = np.concatenate([fit.pose, fit.animation])[None] + np.concatenate(
        [
            np.radians(6) * np.sin(3 * time),
            np.radians(14) * np.sin(2 * np.pi * time),
            np.radians(-5) * np.sin(4 * time),
            8 * time,
            -4 * np.sin(5 * time),
            0 * time,
            0.3 * np.sin(3 * time) ** 2,
            0 * np.repeat(time, len(UNITS) - 1, 1),
        ],
        1,
    )
    moved = WIREFRAME.vertices + np.einsum("s,snc->nc", fit.shape, WIREFRAME.shape)
    moved = moved + np.einsum("vm,mnc->vnc", states[:, 6:], WIREFRAME.animation[list(UNITS)])
    uv, depth = weak_perspective(moved, states[:, :6])
    views = render_views(
        jnp.asarray(frame, jnp.float32),
        jnp.asarray(uv),
        jnp.asarray(depth),
        jnp.asarray(frame, jnp.float32),
        jnp.asarray(uv[0]),
        WIREFRAME.triangles,
    )
    noise = np.random.default_rng(0).normal(0, 2, views.shape)
    light = 1 + 0.15 * np.sin(3 * time)[..., None]
    frames = np.clip(np.round(light * np.asarray(views) + noise), 0, 255).astype(np.uint8)
    return states, np.concatenate([frame[None], frames[1:]])


@pytest.fixture(scope="module")
def tracker(astronaut, fit):
    """A tracker that begins with the astronaut; `fresh` gives it back as it was."""
    return Tracker(WIREFRAME, fit, astronaut[0])


@pytest.fixture
def fresh(tracker):
    before = {name: array.copy() for name, array in tracker.snapshot().items()}
    yield tracker
    tracker.restore(before)


def errors(tracker, states, frames):
    """Degrees of pitch, yaw and roll, and jaw, that each estimate is away from the truth."""
    found = np.array([tracker.track(frame).state for frame in frames])
    return np.abs(np.degrees(found[:, :3] - states[:, :3])), np.abs(found[:, 6] - states[:, 6])


def test_pose_and_jaw_of_a_rendered_clip_are_found_within_a_degree_and_a_tenth(fresh, clip):
    states, frames = clip
    degrees, jaw = errors(fresh, states[1:], frames[1:])
    still = np.abs(np.degrees(states[1:, :3] - states[0, :3])).mean(0)
    assert (degrees.mean(0) < 1).all() and (degrees.mean(0)[:2] < still[:2] / 4).all()
    assert jaw.mean() < 0.1
    assert fresh.gates.typical < fresh.gates.frame < fresh.gates.wrong


def test_the_first_estimate_is_the_fit_and_says_how_far_a_search_is_from_it(tracker, fit):
    first = tracker.first
    np.testing.assert_allclose(first.state, [*fit.pose, *fit.animation], rtol=1e-6, atol=1e-6)
    assert first.accepted and not first.lost and first.confidence == 1
    assert 0 < max(abs(angle) for angle in tracker.bias) < 1
    named = sorted(WIREFRAME.landmarks)
    assert np.isfinite(first.landmarks[named]).all()
    assert np.isnan(np.delete(first.landmarks, named, 0)).all()
    residual = fit.residual[named]
    assert (first.landmark_sd[named] > 0).all() and np.isfinite(residual).all()


def test_a_static_clip_is_constant_from_its_second_frame(fresh, clip):
    _, frames = clip
    states = np.array([fresh.track(frames[0]).state for _ in range(8)])
    assert np.degrees(np.abs(states[1:, :3] - states[1, :3])).max() < 0.01
    again = np.degrees(states[1, :3] - fresh.first.state[:3])
    np.testing.assert_allclose(again, fresh.bias, atol=0.03)


def test_a_mirrored_clip_gives_the_mirrored_poses(fresh, astronaut, clip, fit):
    frame, points = astronaut
    mirrored_points = points[list(MIRRORED)] * [-1, 1] + [WIDTH - 1, 0]
    size = (WIDTH, HEIGHT)
    other_fit = fit_landmarks(WIREFRAME, mirrored_points, image_size=size, units=UNITS)
    other = Tracker(WIREFRAME, other_fit, np.ascontiguousarray(frame[:, ::-1]))
    for view in clip[1][1:]:
        state = fresh.track(view).state
        found = other.track(np.ascontiguousarray(view[:, ::-1])).state
        back = mirrored(found[:6], WIDTH)
        assert np.degrees(np.abs(back - state[:6])[:3]).max() < 1e-3
        np.testing.assert_allclose(back[3:6], state[3:6], atol=2e-3)
        np.testing.assert_allclose(found[6:], state[6:], atol=1e-3)


def test_a_face_that_is_blanked_is_lost_within_five_frames_and_found_again(fresh, clip):
    _, frames = clip
    fresh.track(frames[1])
    before = fresh.track(frames[2])
    blank = np.full_like(frames[0], 128)
    lost = [fresh.track(blank) for _ in range(8)]
    assert [each.lost for each in lost] == [False] * 4 + [True] * 4
    assert all(each.confidence == 0 and not each.learned.any() for each in lost)
    np.testing.assert_array_equal(lost[-1].state, before.state)
    # Landmarks belong to that state, and nothing is known of how far they are off.
    np.testing.assert_allclose(lost[-1].landmarks, before.landmarks, atol=1e-3)
    assert np.isnan(lost[-1].covariance).all() and np.isnan(lost[-1].landmark_sd).all()
    back = fresh.track(frames[3])
    assert back.found and not back.lost and back.accepted and back.confidence > 0.5
    after = fresh.track(frames[4])
    assert not after.found and not after.lost


def test_a_lost_face_that_moved_is_found_at_a_candidate(fresh, clip):
    _, frames = clip
    for _ in range(5):
        fresh.track(np.full_like(frames[0], 128))
    shifted = np.roll(frames[0], (30, 40), (0, 1))
    assert not fresh.track(shifted).found
    pose = fresh.first.state[:6] + np.array([0, 0, 0, 36, 33, 0], np.float32)
    found = fresh.track(shifted, [pose])
    assert found.found
    moved = found.state[3:5] - fresh.first.state[3:5]
    np.testing.assert_allclose(moved, [40, 30], atol=1)


def test_a_face_of_which_half_has_left_the_frame_is_not_accepted(fresh, clip):
    _, frames = clip
    width = frames[0].shape[1]
    seen = []
    for shift in range(8, 200, 8):
        moved = np.full_like(frames[0], 90)
        moved[:, shift:] = frames[0][:, : width - shift]
        seen.append(fresh.track(moved))
    counts = [int(each.visible.sum()) for each in seen if not each.lost]
    half = fresh.first.visible.sum() / 2
    assert counts[0] >= half > counts[-1] and seen[-1].lost
    assert all(each.visible.sum() >= half for each in seen if each.accepted)
    # As long as most of it is there it looks the same way, since it only moved.
    turned = [
        np.degrees(each.state[:3] - fresh.first.state[:3])
        for each in seen
        if each.accepted and each.visible.sum() > 1.5 * half
    ]
    assert len(turned) >= 5 and np.abs(turned).max() < 8


def test_a_restored_tracker_goes_on_bit_for_bit(fresh, clip):
    _, frames = clip
    for frame in frames[1:5]:
        fresh.track(frame)
    arrays = {name: array.copy() for name, array in fresh.snapshot().items()}
    expected = [fresh.track(frame) for frame in frames[5:9]]
    for frame in frames[9:]:
        fresh.track(frame)
    fresh.restore(arrays)
    for frame, there in zip(frames[5:9], expected, strict=True):
        here = fresh.track(frame)
        np.testing.assert_array_equal(here.state, there.state)
        np.testing.assert_array_equal(here.energies, there.energies)
    with pytest.raises(ValueError, match="no appearance_mean of shape"):
        fresh.restore({**arrays, "appearance_mean": np.zeros((3, 3))})


def test_frames_of_another_size_or_type_are_refused(tracker, clip):
    frame = clip[1][0]
    with pytest.raises(ValueError, match="240 x 200 pixels, the first one was 240 x 240"):
        tracker.track(frame[:200])
    with pytest.raises(ValueError, match=r"float64 of shape \[240, 240\]; give gray uint8"):
        tracker.track(frame.astype(float))
    with pytest.raises(ValueError, match=r"convert\('L'\)"):
        tracker.track(np.stack([frame] * 3, -1))


def test_a_fit_outside_of_the_frame_is_refused(astronaut, fit):
    away = replace(fit, pose=fit.pose + np.array([0, 0, 0, 900, 0, 0]))
    with pytest.raises(ValueError, match="begin at a"):
        Tracker(WIREFRAME, away, astronaut[0])


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="gauss-newton needs"):
        TrackerConfig(descriptor="sift")
    for wrong in (
        {"rate": 1.5},
        {"views": 10},
        {"components": 0},
        {"iterations": 0},
        {"evaluations": 0},
        {"patience": 0},
        {"deviations": 0.0},
        {"inflation": 0.0},
        {"rate": 0.0, "update": "full"},
        {"rate": 0.6, "update": "full"},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            TrackerConfig(**wrong)
    for rate in (0.0, 1.0):
        assert TrackerConfig(rate=rate).rate == rate


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"solver": "nelder-mead"},
        {"solver": "nelder-mead", "descriptor": "sift"},
        {"camera": "pinhole"},
        {"covariance": "isotropic"},
        {"update": "none"},
        {"update": "full"},
        {"prior": False},
    ],
    ids=lambda settings: "-".join(str(value) for value in settings.values()),
)
def test_every_other_way_tracks_too(settings, astronaut, clip):
    states, frames = clip
    frame, points = astronaut
    config = TrackerConfig(**settings)
    fit = fit_landmarks(
        WIREFRAME, points, image_size=(WIDTH, HEIGHT), units=UNITS, camera=config.camera
    )
    tracker = Tracker(WIREFRAME, fit, frame, config)
    degrees, _ = errors(tracker, states[1:], frames[1:])
    turned = np.abs(np.degrees(states[1:, :3] - states[0, :3])).mean(0)
    # Rounded descriptors have steps on which a simplex ends early, one variance for all directions
    # weighs the wrong ones: half of the movement is what all of them must find.
    assert (degrees.mean(0) < np.maximum(turned / 2, 3)).all()
