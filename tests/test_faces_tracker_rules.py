"""What the tracker does between its searches, which are scripted here: bounds, losses, memory."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_forensics.faces import tracker as module
from gan_forensics.faces.camera import weak_perspective
from gan_forensics.faces.candide import default_units, load_wireframe
from gan_forensics.faces.fit import Fit
from gan_forensics.faces.gates import FRAMES
from gan_forensics.faces.gaussian import Gaussian
from gan_forensics.faces.map_estimate import Posterior
from gan_forensics.faces.step import Found, Setting
from gan_forensics.faces.tracker import Tracker
from gan_forensics.faces.tracker_config import TrackerConfig

WIREFRAME = load_wireframe()
UNITS = default_units(WIREFRAME)
TRACKED, D = len(WIREFRAME.tracked), 6 + len(UNITS)
# The eyes are this far apart in the frame: two of its pixels a side make a working pixel.
EYES = 176.0
WIDTH, HEIGHT = 701, 640
RANDOM = np.random.default_rng(0)
FRAMES_SEEN = RANDOM.integers(0, 256, (40, HEIGHT, WIDTH), dtype=np.uint8)
PATIENT = TrackerConfig(patience=3, deviations=4.0)


def fit_of(eyes=EYES, place=(350.0, 300.0)):
    apart = WIREFRAME.vertices[[WIREFRAME.landmarks[36], WIREFRAME.landmarks[45]]]
    scale = eyes / np.linalg.norm(apart[0] - apart[1])
    shape = np.zeros(len(WIREFRAME.shape))
    shape[0] = 0.5
    return Fit(
        np.array([0.0, 0.0, 0.0, *place, scale]), shape, np.zeros(len(UNITS)), UNITS, np.zeros(68)
    )


class Script:
    """Stands in for `step.advance`: what searches are asked, and the answers of a test."""

    def __init__(self, home):
        self.home, self.asked = np.asarray(home, np.float32), []
        self.moves, self.energy, self.seen = np.zeros(D, np.float32), None, TRACKED

    def __call__(self, setting, face, appearance, cut, prior, bounds):
        mean = np.asarray(prior.mean)
        self.asked.append((np.asarray(cut.pixels), np.asarray(cut.first), prior, bounds))
        state = mean + self.moves
        away = float(np.hypot(*(mean[3:5] - self.home)))
        energy = 100 + away if self.energy is None else self.energy
        visible = np.arange(TRACKED) < self.seen
        energies = energy + np.where(np.arange(TRACKED) % 2, 1.0, -1.0)
        posterior = Posterior(state, energies, np.eye(D), np.array(1))
        size = len(face.landmarks)
        places, deviations = np.zeros((size, 2)), np.arange(1.0, size + 1)
        learned = np.full(TRACKED, bool(energy <= bounds.frame))
        appearance = appearance._replace(mean=appearance.mean + float(learned[0]))
        return appearance, Found(
            posterior,
            visible,
            np.float32(energy),
            places,
            deviations,
            learned,
        )


@pytest.fixture
def begin(monkeypatch):
    """A tracker and the script that it goes by."""

    def learn(setting, face, crop, first, frame, state):
        parts = (np.zeros((TRACKED, 8)), np.zeros((TRACKED, 2, 8)), np.ones((TRACKED, 2)))
        return Gaussian(*(jnp.asarray(x) for x in (*parts, np.ones(TRACKED))))

    def begin(config=None, fit=None, frame=FRAMES_SEEN[0], **answers):
        fit = fit_of() if fit is None else fit
        script = Script(fit.pose[3:5])
        for name, value in answers.items():
            setattr(script, name, value)
        monkeypatch.setattr(module, "advance", script)
        return Tracker(WIREFRAME, fit, frame, config), script

    monkeypatch.setattr(module, "learn_appearance", learn)
    # Compiled once for all of these tests.
    for name, compiled in COMPILED.items():
        monkeypatch.setattr(
            module,
            name,
            lambda setting, *rest, at=compiled: at(PLAIN._replace(frame=setting.frame), *rest),
        )
    return begin


PLAIN = Setting(TrackerConfig(), (0, 0), 1, 1)
COMPILED = {
    name: jax.jit(getattr(module, name), static_argnums=0) for name in ("visible", "places")
}


def test_a_large_face_is_reduced_to_eighty_pixels_between_its_eyes(begin, monkeypatch):
    halves, crop = [], module._crop
    monkeypatch.setattr(
        module, "_crop", lambda half, setting: halves.append(half) or crop(half, setting)
    )
    tracker, script = begin()
    setting, face = tracker.setting, tracker._face
    assert (setting.reduction, setting.stride) == (2, 4)
    assert setting.frame == (WIDTH, HEIGHT)
    # Keypoints of nine eightieths of the eyes' distance, in working pixels of two.
    size = 9 * EYES / 80 / 2
    scale = fit_of().pose[5]
    np.testing.assert_allclose(face.window * scale, size, rtol=1e-6)
    shaped = WIREFRAME.vertices + 0.5 * WIREFRAME.shape[0]
    np.testing.assert_allclose(face.vertices, shaped, atol=1e-6)
    # Every tracked vertex fits with its window of four bins, whatever way the head is turned.
    reach = np.linalg.norm(shaped[list(WIREFRAME.tracked)], axis=-1).max() * scale / 2
    np.testing.assert_allclose(halves, 1.1 * reach + 3.5 * 1.5 * size, rtol=1e-6)
    assert min(tracker.crop.width, tracker.crop.height) >= 2 * halves[0]
    assert tracker.crop.reduction == 2
    assert script.asked[0][0].shape == (tracker.crop.height, tracker.crop.width)
    small, _ = begin(fit=fit_of(eyes=50.0))
    assert (small.setting.reduction, small.setting.stride) == (1, 2)
    assert small.problem(FRAMES_SEEN[0])[3].deviation[3] == pytest.approx(3 * 50 / 80)


@pytest.mark.parametrize("frame", [240, 241])
def test_crops_can_lie_in_the_middle_of_the_frame(frame):
    crop = module._crop(48.2, Setting(TrackerConfig(), (frame, 240), 1, 4))
    # Their sides go in steps of 32, for all but one row or column.
    assert crop.width == 128 + frame % 2 and crop.height == 128
    assert crop.cell == 4 and crop.frame == (frame, 240)
    assert module._crop(48.0, Setting(TrackerConfig(), (240, 240), 1, 4)).width == 96


def test_the_prior_is_as_wide_as_faces_move_from_frame_to_frame(begin):
    tracker, _ = begin()
    _, _, cut, prior, _ = tracker.problem(FRAMES_SEEN[1])
    scale = fit_of().pose[5]
    motion = [*np.radians([2, 3, 2]), *[3 * EYES / 80] * 2, 0.01 * scale]
    np.testing.assert_allclose(prior.deviation, motion + [0.12] * len(UNITS), rtol=1e-5)
    np.testing.assert_array_equal(prior.mean, tracker.first.state)
    assert prior.weight == 1
    half = FRAMES_SEEN[1].astype(np.float32)
    left, top = cut.first.astype(int)
    np.testing.assert_allclose(
        cut.pixels[5, 7], half[top + 10 : top + 12, left + 14 : left + 16].mean()
    )
    assert begin(TrackerConfig(prior=False))[0].problem(FRAMES_SEEN[1])[3].weight == 0


def test_the_first_estimate_is_the_fit_and_a_search_goes_on_from_where_it_ended(begin):
    moves = np.zeros(D, np.float32)
    moves[:3] = np.radians([0.5, -1, 2])
    tracker, script = begin(moves=moves)
    np.testing.assert_allclose(tracker.bias, [0.5, -1, 2], rtol=1e-4)
    pose = fit_of().pose
    np.testing.assert_allclose(tracker.first.state[:6], pose, rtol=1e-6)
    named = sorted(WIREFRAME.landmarks)
    corners = np.asarray(tracker._face.vertices)[[WIREFRAME.landmarks[p] for p in named]]
    np.testing.assert_allclose(
        tracker.first.landmarks[named], weak_perspective(corners, pose)[0], atol=1e-3
    )
    np.testing.assert_array_equal(tracker.first.landmark_sd[named], np.arange(len(named)) + 1)
    assert tracker.units == tuple(WIREFRAME.animation_names[unit] for unit in UNITS)
    tracker.track(FRAMES_SEEN[1])
    np.testing.assert_allclose(script.asked[-1][2].mean, tracker.first.state + moves, rtol=1e-6)


def test_wrong_places_lie_about_the_face_and_the_lowest_energy_there_counts(begin):
    tracker, script = begin()
    first, blank, *about = script.asked
    assert np.ptp(first[0]) > 0 and np.ptp(blank[0]) == 0
    home = tracker.first.state
    offsets = np.array([asked[2].mean[3:5] - home[3:5] for asked in about])
    # One and a half distances between eyes away, in frame pixels; above and left is room for all.
    np.testing.assert_allclose(np.hypot(*offsets.T), 240, rtol=1e-5)
    turns = np.degrees(np.arctan2(offsets[:, 1], offsets[:, 0])) % 360
    np.testing.assert_allclose(turns, 45 * np.arange(8), atol=1e-3)
    for asked in script.asked:
        assert asked[3].frame == -np.inf
        np.testing.assert_array_equal(asked[2].deviation, script.asked[0][2].deviation)
    # The blank frame's energy is that of home here; searches about the face have more.
    assert tracker.wrong == 100


def wrong_energy(begin, answer, fit=None):
    """The lowest energy of wrong places where the search of each start is answered by a test."""
    tracker, script = begin(fit=fit)

    def look(frame, start, wider):
        away = start[3:5] - script.home
        state, energy, seen = answer(frame, start, away)
        visible = np.arange(TRACKED) < seen
        posterior = Posterior(state, np.zeros(TRACKED), np.eye(D), np.array(1))
        return Found(posterior, visible, np.float32(energy), *[np.zeros(1)] * 3)

    tracker._look = look
    return tracker._wrong_energy(FRAMES_SEEN[0])


def test_wrong_places_that_lead_home_or_out_of_the_frame_or_show_no_face_do_not_count(begin):
    def answer(frame, start, away):
        if np.ptp(frame) == 0:
            return start, 900, TRACKED
        if away[0] > 200:
            return start - np.float32(0.6) * np.append([0, 0, 0, *away], np.zeros(D - 5)), 1, 26
        if away[0] < -200:
            return start, 2, TRACKED // 2 - 1
        if away[1] > 200:
            return start, 800 - np.float32(away[1]), TRACKED // 2
        return start, 1000, TRACKED

    assert wrong_energy(begin, answer) == pytest.approx(560)

    def blank_is_lower(frame, start, away):
        return start, 400 if np.ptp(frame) == 0 else 500, TRACKED

    assert wrong_energy(begin, blank_is_lower) == 400

    def outside(frame, start, away):
        inside = 0 <= start[3] < WIDTH and 0 <= start[4] < HEIGHT
        return start, 700 if inside else 3, TRACKED

    corner = fit_of(place=(230.0, 200.0))
    assert wrong_energy(begin, outside, corner) == 700


def test_a_face_of_too_few_visible_vertices_is_not_tracked(begin):
    tracker, script = begin()
    tracker.wrong = 1000.0
    tracker.gates = tracker._bounds()
    # Half of those of the first frame, and never less than eight.
    half = int(np.ceil(tracker._seen_first.sum() / 2))
    assert half > 8
    for seen, least in ((tracker._seen_first, half), (np.arange(26) < 10, 8)):
        tracker._seen_first = seen
        script.seen = least
        assert tracker.track(FRAMES_SEEN[1]).accepted
        script.seen = least - 1
        assert not tracker.track(FRAMES_SEEN[2]).accepted


def roomy(begin, config=None):
    """A tracker whose wrong places have an energy of 1100, so that 600 bounds a tracked frame."""
    tracker, script = begin(config)
    tracker.wrong = 1100.0
    tracker.gates = tracker._bounds()
    assert tracker.gates.frame == 600
    script.energy = 100.0
    return tracker, script


def test_a_face_is_lost_after_as_many_bad_frames_in_a_row_as_patience_says(begin):
    tracker, script = roomy(begin, PATIENT)
    script.moves[0] = 0.01
    good = tracker.track(FRAMES_SEEN[1]).state
    flags = []
    for energy in (900, 900, 100, 900, 900, 900):
        script.energy = float(energy)
        found = tracker.track(FRAMES_SEEN[2])
        flags.append((found.accepted, found.lost))
        if energy == 100:
            good = found.state
    assert flags == [(False, False)] * 2 + [(True, False)] + [(False, False)] * 2 + [(False, True)]
    np.testing.assert_array_equal(found.state, good)
    assert found.confidence == pytest.approx(0.2)


def test_a_search_without_numbers_begins_again_at_the_last_good_state(begin):
    tracker, script = roomy(begin)
    script.moves[3] = 1.0
    good = tracker.track(FRAMES_SEEN[1]).state
    for index, value in ((0, np.nan), (5, -1e4)):
        script.moves[:] = 0
        script.moves[index], script.energy = value, 900.0
        found = tracker.track(FRAMES_SEEN[2])
        np.testing.assert_array_equal(found.state, good)
    script.moves[:] = 0
    script.moves[0], script.energy = np.nan, 100.0
    assert not tracker.track(FRAMES_SEEN[3]).accepted
    # A frame that is beyond the gate, but has numbers, is gone on from.
    script.moves[:] = 0
    script.moves[3], script.energy = 2.0, 900.0
    assert tracker.track(FRAMES_SEEN[4]).state[3] == good[3] + 2


def test_a_repeated_frame_teaches_nothing_and_any_other_what_the_gates_allow(begin):
    tracker, script = roomy(begin)
    bounds = []
    for frame in (0, 1, 1, 2, 1):
        allowed = tracker.gates.learn
        tracker.track(FRAMES_SEEN[frame])
        bounds.append(float(script.asked[-1][3].frame) == np.float32(allowed))
        np.testing.assert_array_equal(
            script.asked[-1][3].landmarks, tracker.gates.landmarks.astype(np.float32)
        )
    assert bounds == [False, True, False, True, True]
    assert script.asked[-3][3].frame == -np.inf
    # What a search returns as learned is what the next one begins with.
    assert float(tracker._appearance.mean[0, 0]) == 3


def test_the_first_accepted_frames_make_the_bounds_once_and_for_all(begin):
    tracker, script = roomy(begin, PATIENT)
    assert tracker.gates.frames == 1
    levels = 100 + RANDOM.normal(0, 5, FRAMES + 5)
    for number, level in enumerate(levels):
        script.energy = float(level)
        tracker.track(FRAMES_SEEN[1 + number])
        # The first frame, that made the views, no longer counts.
        assert tracker.gates.frames == min(number + 1, FRAMES)
    typical = np.median(levels[:FRAMES])
    spread = np.median(np.abs(levels[:FRAMES] - typical))
    assert tracker.gates.typical == pytest.approx(typical, rel=1e-6)
    assert tracker.gates.learn == pytest.approx(typical + 4 * spread, rel=1e-5)
    assert np.isfinite(tracker.gates.landmarks).all()


def lose(tracker, script):
    script.energy = 900.0
    while not tracker.track(FRAMES_SEEN[9]).lost:
        pass


def test_a_lost_face_is_looked_for_widely_where_it_was_and_at_the_candidates(begin):
    tracker, script = roomy(begin)
    script.moves[6] = 0.1
    good = tracker.track(FRAMES_SEEN[1]).state
    script.moves[6] = 0.0
    narrow = np.asarray(script.asked[-1][2].deviation)
    lose(tracker, script)
    candidates = [np.arange(6) + np.array([0.1, 0, 0, 300, 200, 40]) for _ in range(2)]
    candidates[1][3] += 60
    asked = len(script.asked)
    script.energy = None
    script.home = candidates[1][3:5]
    found = tracker.track(FRAMES_SEEN[3], candidates)
    searches = script.asked[asked:]
    starts = np.array([each[2].mean for each in searches])
    np.testing.assert_allclose(starts[:, :6], [good[:6], *candidates], rtol=1e-6)
    np.testing.assert_allclose(starts[:, 6:], np.tile(good[6:], (3, 1)))
    for each in searches:
        np.testing.assert_allclose(each[2].deviation, 5 * narrow, rtol=1e-6)
        assert each[3].frame == -np.inf
    assert found.found and found.accepted and not found.lost and not tracker.lost
    np.testing.assert_allclose(found.state[:6], candidates[1], rtol=1e-6)
    script.moves[:] = 0
    tracker.track(FRAMES_SEEN[4])
    np.testing.assert_allclose(script.asked[-1][2].mean, found.state)
    np.testing.assert_allclose(script.asked[-1][2].deviation, narrow)


def test_a_lost_face_that_is_not_found_stays_where_it_was_last_seen(begin):
    tracker, script = roomy(begin)
    good = tracker.track(FRAMES_SEEN[1]).state
    lose(tracker, script)
    found = tracker.track(FRAMES_SEEN[3], [good[:6] + 5])
    assert found.lost and not found.found and not found.accepted
    np.testing.assert_array_equal(found.state, good)


def test_a_snapshot_holds_all_that_frames_change(begin):
    tracker, script = roomy(begin, PATIENT)
    for number in range(5):
        script.energy = 100.0 + number
        script.moves[0] = 0.01 * number
        tracker.track(FRAMES_SEEN[number + 1])
    script.energy = 900.0
    for _ in range(2):
        tracker.track(FRAMES_SEEN[6])
    arrays = {name: np.copy(array) for name, array in tracker.snapshot().items()}
    other, there = roomy(begin, PATIENT)
    other.restore(arrays)
    for name, array in other.snapshot().items():
        np.testing.assert_array_equal(array, arrays[name], name)
    assert other.gates.frames == 5 and other.gates.typical == tracker.gates.typical == 102
    there.energy = 900.0
    there.moves[:] = script.moves
    # The third bad frame in a row, which repeats the one before it, loses the face.
    found = other.track(FRAMES_SEEN[6])
    assert found.lost and there.asked[-1][3].frame == -np.inf
    np.testing.assert_array_equal(found.state, arrays["good"])
    assert not np.array_equal(arrays["good"], arrays["state"])
    lost, _ = roomy(begin, PATIENT)
    lost.restore(other.snapshot())
    assert lost.lost is True


def test_a_snapshot_of_another_tracker_is_refused(begin):
    tracker, _ = begin()
    arrays = tracker.snapshot()
    for name, array in arrays.items():
        wider = np.concatenate([array, array[..., :1]], -1) if array.size else array[:, 1:]
        for other in (None, wider, array[None]):
            changed = {key: old for key, old in arrays.items() if key != name}
            if other is not None:
                changed[name] = other
            with pytest.raises(ValueError, match=f"no {name} of shape"):
                tracker.restore(changed)
    # As many rows as there were accepted frames.
    rows = {name: np.ones((4, TRACKED), arrays[name].dtype) for name in ("energies", "visible")}
    tracker.restore({**arrays, **rows})
    assert tracker.gates.frames == 4


def test_a_fit_of_which_too_few_vertices_face_the_camera_is_refused(begin):
    fit = fit_of()
    pose = fit.pose.copy()
    pose[1] = np.pi
    with pytest.raises(ValueError, match=f"only 0 of {TRACKED} tracked vertices"):
        begin(fit=replace(fit, pose=pose))
