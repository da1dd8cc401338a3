"""The overlay of a clip: the pose that a row has is the pose that is drawn."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.faces.draw import Canvas
from gan_forensics.faces.overlay import (
    VIDEO,
    Face,
    draw_clip,
    overlay,
    still_frames,
    words,
)
from gan_forensics.faces.rows import column_names
from gan_forensics.faces.runs import Clip, track_clip
from gan_forensics.faces.tracker_config import TrackerConfig
from gan_forensics.faces.video import frames, probe
from tests.small_tracks import EMPTY, FACE, HEIGHT, WIDTH, clip_of, stand_in, wireframe

UNITS = column_names(wireframe().animation_names)
ROW = {
    **dict.fromkeys(UNITS, 0.0),
    **{"yaw": 0.0, "pitch": 0.0, "roll": 0.0, "tx": 32.0, "ty": 24.0, "scale": 10.0},
    **{"yaw_sd": 1.0, "pitch_sd": 2.0, "roll_sd": 0.5, "frame": 3.0, "time": 0.12},
    **{"init": "box", "confidence": 0.5, "energy": 321.4},
    **{"accepted": 1.0, "lost": 0.0, "reinitialised": 0.0},
}
MODEL = Face(wireframe(), np.zeros(1), tuple(range(6)), UNITS, "weak-perspective")


def test_signs_of_angles_are_those_of_the_convention():
    def moved(**angles):
        """Ends of x, y and z axes in the image, seen from the origin."""
        axes = MODEL.placed(ROW | angles, HEIGHT, WIDTH)[2]
        assert_allclose(axes[0], (32, 24))
        return axes[1:] - axes[0]

    x, y, z = moved()
    assert x[0] > 0 and y[1] < 0 and np.abs(z).max() < 1e-9  # x right, y up, z at the camera
    assert moved(yaw=20.0)[2][0] > 0  # the nose goes right in the image
    assert moved(pitch=20.0)[2][1] > 0  # the nose goes down
    assert moved(roll=20.0)[0][1] < 0  # anticlockwise: what is right goes up


def test_vertices_follow_pose_and_units_in_either_camera():
    uv, landmarks, _ = MODEL.placed(ROW | {"scale": 20.0, "tx": 10.0}, HEIGHT, WIDTH)
    assert_allclose(uv[:4], [[-10, 44], [30, 44], [30, 4], [-10, 4]])
    assert_allclose(landmarks, uv[[4, 0, 1]])
    up, _, _ = MODEL.placed(ROW | {UNITS[2]: 1.0}, HEIGHT, WIDTH)
    assert_allclose(up[4], [32, 24 - 10 * 0.3])
    # A pinhole shows what is nearer larger; on its axis everything stays in the middle.
    pinhole = replace(MODEL, camera="pinhole")
    near, _, _ = pinhole.placed(ROW | {"tx": 31.5, "ty": 23.5}, HEIGHT, WIDTH)
    assert_allclose(near[4], (31.5, 23.5))
    assert_allclose(near[1] - near[0], (20, 0), atol=1e-9)
    turned = ROW | {"tx": 31.5, "ty": 23.5, "yaw": 40.0}
    tip = [face.placed(turned, HEIGHT, WIDTH)[0][4][0] - 31.5 for face in (pinhole, MODEL)]
    assert tip[0] > 1.02 * tip[1] > 0


def test_words_tell_the_numbers_and_the_flags_of_a_row():
    first, second = words(ROW | {"yaw": -3.14})
    assert (
        first
        == "frame 3   0.12 s   yaw -3.1 \u00b1 1.0   pitch +0.0 \u00b1 2.0   roll +0.0 \u00b1 0.5"
    )
    assert second == "init=box   confidence 0.50   energy 321"
    lost = ROW | {"lost": 1.0, "accepted": 0.0, "yaw_sd": np.nan}
    assert words(lost)[1].endswith("LOST") and "\u00b1" not in words(lost)[0]
    assert words(ROW | {"accepted": 0.0})[1].endswith("beyond the gate")
    assert words(ROW | {"reinitialised": 1.0})[1].endswith("found again")
    assert words(ROW | {"yaw": np.nan})[1] == "no face was found yet"


def test_a_row_without_a_pose_leaves_the_frame_as_it_is(rng):
    frame = rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    canvas = Canvas(HEIGHT, WIDTH, MODEL.wireframe.triangles)
    side = HEIGHT * canvas.zoom
    inner = (slice(40, side - 40), slice(40, WIDTH * canvas.zoom - 40))
    drawn = overlay(canvas, MODEL, frame, ROW | {"yaw": np.nan, "lost": 1.0})
    plain = canvas.draw(frame, None, None, None, ())
    assert (drawn[inner] == plain[inner]).all()
    assert (overlay(canvas, MODEL, frame, ROW)[inner] != plain[inner]).any()


def test_stills_are_spread_and_hold_the_frame_of_greatest_energy():
    table = {"frame": 10.0 * np.arange(100), "energy": np.ones(100)}
    table["energy"][[0, 37]] = np.nan, 9.0
    assert still_frames(table) == {0, 250, 370, 500, 740, 990}
    assert still_frames({"frame": np.array([4.0]), "energy": np.array([np.nan])}) == {4}


@pytest.fixture
def tracked(tmp_path, monkeypatch):
    stand_in(monkeypatch)
    clip = Clip(clip_of(tmp_path / "talk.webm", [EMPTY] * 2 + [FACE] * 12), start=1, every=2)
    return clip, tmp_path / "run", track_clip(clip, tmp_path / "run", TrackerConfig())


def test_a_clip_is_drawn_with_a_frame_for_every_row_at_its_own_speed(tracked):
    clip, run, done = tracked
    stills, video = draw_clip(clip, run, done)
    assert video is not None and video.path == run / VIDEO and video.frames_per_second > 0
    info = probe(video.path)
    size = Canvas(HEIGHT, WIDTH, MODEL.wireframe.triangles).size
    assert (info.height, info.width) == size
    assert info.fps == pytest.approx(12.5)
    assert len(list(frames(video.path))) == len(done.table["frame"]) == 7
    assert [caption for caption, _ in stills][0] == "frame 1, 0.04 s"
    assert all(still.shape == (*size, 3) for _, still in stills)


def test_without_a_video_there_are_the_same_stills(tracked):
    clip, run, done = tracked
    with_video, _ = draw_clip(clip, run, done)
    (run / VIDEO).unlink()
    stills, video = draw_clip(clip, run, done, video=False)
    assert video is None and not (run / VIDEO).exists()
    assert [caption for caption, _ in stills] == [caption for caption, _ in with_video]
    for (_, one), (_, other) in zip(stills, with_video, strict=True):
        assert (one == other).all()


def test_a_track_of_a_longer_clip_than_its_rows_is_drawn_to_its_last_row(tracked, monkeypatch):
    clip, run, done = tracked
    table = {name: values[:3] for name, values in done.table.items()}
    _, video = draw_clip(clip, run, done._replace(table=table))
    assert video is not None and len(list(frames(video.path))) == 3
