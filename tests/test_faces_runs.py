"""The run folder of a track: nothing is lost, and going on gives what going through gives."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.faces import follow, runs
from gan_forensics.faces.detectors import Box
from gan_forensics.faces.initial import Found
from gan_forensics.faces.rows import (
    ANGLES,
    Columns,
    column_names,
    finished,
    read_track,
    row_of,
    rows_of,
    state_of,
    write_track,
)
from gan_forensics.faces.runs import CHECKPOINT, PARTIAL, TRACK, Clip, kept, track_clip
from gan_forensics.faces.tracker_config import TrackerConfig
from gan_forensics.files.archives import read_archive
from gan_forensics.train.run_folder import RunFolderError
from tests.small_tracks import (
    EMPTY,
    FACE,
    GONE,
    POINTS,
    Counting,
    clip_of,
    estimate,
    fit,
    stand_in,
)

CONFIG = TrackerConfig(inflation=3.0)
UNITS = ("jaw_drop", "lip_stretcher")
COLUMNS = Columns(UNITS, POINTS)
LEVELS = [FACE + 10 * math.sin(i) for i in range(23)]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    stand_in(monkeypatch)
    monkeypatch.setattr(runs, "CHECKPOINT_EVERY", 4)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return clip_of(tmp_path_factory.mktemp("clip") / "talk.webm", LEVELS)


def stopped_after(count):
    """A progress that dies with the process after so many frames."""

    def progress(frames):
        for number, frame in enumerate(frames):
            if number == count:
                raise KeyboardInterrupt
            yield frame

    return progress


def killed(clip, run, count, config=CONFIG, **options):
    with pytest.raises(KeyboardInterrupt):
        track_clip(clip, run, config, progress=stopped_after(count), **options)


# --- rows ---------------------------------------------------------------------------------------


def test_names_of_units_become_columns_without_numbers_and_actions():
    names = ["AUV11 Jaw drop (AU26/27)", "lip stretcher", "FAP 3 open_jaw", "Brow-Raiser (outer)"]
    assert column_names(names) == ("jaw_drop", "lip_stretcher", "open_jaw", "brow_raiser")
    for taken in (["jaw drop", "Jaw drop (AU26)"], ["yaw"], ["Energy"]):
        with pytest.raises(ValueError, match="have no names of their own"):
            column_names(taken)


def test_a_row_says_degrees_pixels_and_flags_of_an_estimate():
    columns = Columns(tuple("abcdef"), POINTS)
    state = np.array([0.1, -0.2, 0.3, 31.0, 22.0, 9.0, 0.5, 0, 0, 0, 0, -0.25])
    row = row_of(columns, 7, 0.28, estimate(state, 321.0, lost=True, found=True), "detector")
    assert set(row) == set(columns.streamed)
    assert_allclose([row[name] for name in ANGLES], np.degrees([-0.2, 0.1, 0.3]), rtol=1e-6)
    assert_allclose([row[f"{name}_sd_raw"] for name in ANGLES], np.degrees(0.01), rtol=1e-6)
    assert [row[k] for k in ("tx", "ty", "scale", "a", "f")] == [31.0, 22.0, 9.0, 0.5, -0.25]
    assert (row["frame"], row["time"], row["init"], row["energy"]) == (7, 0.28, "detector", 321.0)
    flags = [row[name] for name in ("accepted", "lost", "reinitialised", "learned", "visible")]
    assert flags == [1, 1, 1, 4, 5]
    assert (row["x_36"], row["y_36"], row["sd_raw_36"]) == (32.0, 21.0, 0.5)
    # And back: what is drawn is what was estimated.
    pose, animation = state_of(row, columns.units)
    assert_allclose(pose, state[:6], rtol=1e-6)
    assert_allclose(animation, state[6:], rtol=1e-6)


def streamed(yaw, jaw, accepted):
    """A table of streamed columns, one row a value."""
    table = {name: np.zeros(len(yaw)) for name in COLUMNS.streamed}
    return table | {
        "frame": np.arange(len(yaw)),
        "init": np.full(len(yaw), "box"),
        "yaw": np.array(yaw, float),
        "yaw_sd_raw": np.full(len(yaw), 0.5),
        "sd_raw_36": np.arange(len(yaw), dtype=float),
        "jaw_drop": np.array(jaw, float),
        "accepted": np.array(accepted, float),
    }


def test_relative_columns_are_about_the_median_of_accepted_frames():
    # The third is beyond the gate, and not lost.
    table = finished(COLUMNS, streamed([1, 2, 3], [0.1, 0.3, 9.0], [1, 1, 0]), inflation=4.0)
    assert list(table) == COLUMNS.finished
    assert_allclose(table["jaw_drop_relative"], [-0.1, 0.1, 8.8])
    assert_allclose(table["yaw_sd"], 2.0)
    assert_allclose(table["yaw_sd_raw"], 0.5)
    assert_allclose(table["sd_36"], [0, 4, 8])
    none = finished(COLUMNS, streamed([1], [0.5], [0]), inflation=1.0)
    assert np.isnan(none["jaw_drop_relative"]).all()


def test_a_track_is_read_as_it_was_written(tmp_path):
    table = finished(COLUMNS, streamed([1, np.nan], [0.25, 0.5], [0, 0]), inflation=1.0)
    write_track(tmp_path / TRACK, table)
    again = read_track(tmp_path / TRACK)
    assert list(again) == list(table)
    for name, values in table.items():
        assert_array_equal(again[name], values)
    assert (tmp_path / TRACK).read_text().splitlines()[2].startswith("1,0,,0,0")
    assert [row["jaw_drop"] for row in rows_of(again)] == [0.25, 0.5]


def test_a_row_that_was_cut_off_is_left_out_and_a_wrong_one_is_named(tmp_path):
    path = tmp_path / "track.csv"
    head = "frame,time,init,yaw,pitch,roll\n"
    path.write_text(head + "0,0,box,1,2,3\n1,0.04,box,1,2")
    assert read_track(path)["frame"].tolist() == [0]
    path.write_text(head)
    assert read_track(path)["yaw"].tolist() == []
    for text, message in (
        ("", "its first line names no frame"),
        ("frame,yaw\n1,2\n", "its first line names no frame"),
        (head + "0,0,box,1,2\n1,0,box,1,2,3\n", "line 2: 5 cells for 6 columns"),
        (head + "0,0,box,x,2,3\n", "column yaw: 'x' is no number"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_track(path)


# --- runs ---------------------------------------------------------------------------------------


def test_a_clip_becomes_rows_results_and_a_config(video, tmp_path):
    said = []
    done = track_clip(Clip(video), tmp_path / "run", CONFIG, say=said.append, facts={"jax": "1"})
    run = tmp_path / "run"
    assert {path.name for path in run.iterdir()} == {
        "config.json", "track.csv", "results.json", ".lock",
    }  # fmt: skip
    table = read_track(run / TRACK)
    assert table["frame"].tolist() == list(range(23))
    assert_allclose(table["time"], np.arange(23) / 25, atol=2e-3)
    # The first frame is its fit, and no search.
    assert table["energy"][0] == 150 and (table["energy"][1:] > 250).all()
    assert set(table["init"]) == {"landmarks"} and not table["lost"].any()
    assert_allclose(table["yaw_sd"], 3 * table["yaw_sd_raw"], rtol=1e-6)
    for name in column_names(done.wireframe.animation_names):
        assert abs(np.median(table[f"{name}_relative"])) < 1e-7
    results = json.loads((run / "results.json").read_text())
    assert results == done.results
    assert results["clip"]["frames_decoded"] == 23
    assert results["rows"]["frames"] == 23 and results["protocol"] == {"jax": "1"}
    assert results["gates"]["accepted_below"] == 400 and results["gates"]["typical"] == 200
    assert results["gates"]["learned_below"] is None  # infinite, which JSON has no word for
    assert results["face"]["init"] == "landmarks" and results["speed"]["frames_per_second"] > 0
    saved = json.loads((run / "config.json").read_text())["track"]
    assert saved["video"]["name"] == "talk.webm" and len(saved["video"]["sha256"]) == 64
    assert saved["tracker"]["inflation"] == 3.0
    assert any("the model fits the points to 1.5 px" in line for line in said)


# Before and after a checkpoint, at one, and before there is any.
@pytest.mark.parametrize("count", [2, 4, 6, 20])
def test_a_killed_run_keeps_its_rows_and_goes_on_bit_for_bit(count, video, tmp_path):
    through = track_clip(Clip(video), tmp_path / "through", CONFIG)
    killed(Clip(video), tmp_path / "run", count)
    assert len(read_track(tmp_path / "run" / PARTIAL)["frame"]) == count
    assert not (tmp_path / "run" / TRACK).exists()
    with (tmp_path / "run" / PARTIAL).open("a") as file:
        file.write("5,0.2,landma")  # killed in the middle of a row
    said = []
    went_on = track_clip(Clip(video), tmp_path / "run", CONFIG, resume=True, say=said.append)
    ours, theirs = (tmp_path / name / TRACK for name in ("run", "through"))
    assert ours.read_bytes() == theirs.read_bytes()
    resumed = f"resumed at frame {count // 4 * 4} (checkpoint)"
    assert said[0] == (
        resumed if count >= 4 else f"nothing to resume in {tmp_path / 'run'}: starts anew"
    )
    for one in (went_on.results, through.results):
        one["speed"] = None
    assert went_on.results == through.results


def test_an_interrupted_run_says_what_is_kept_and_where_it_goes_on(video, tmp_path):
    run = tmp_path / "run"
    assert kept(run) == f"{run} holds no rows yet"
    killed(Clip(video), run, 2)
    assert kept(run) == (
        f"2 rows are kept in {run / PARTIAL}; the same command with --resume starts anew (a "
        "checkpoint comes every 4 frames)"
    )
    killed(Clip(video), run, 7, resume=True)
    assert kept(run) == (
        f"7 rows are kept in {run / PARTIAL}; the same command with --resume goes on at frame 4"
    )


def test_figures_are_of_accepted_frames_alone(video, tmp_path, monkeypatch):
    """A search that ended in a wrong place is in its row, and in no headline."""
    track = Counting.track

    def beyond(self, frame, candidates=()):
        found = track(self, frame, candidates)
        if len(self.candidates) not in (3, 4):
            return found
        return replace(found, state=found.state + np.float32(9), accepted=False)

    monkeypatch.setattr(Counting, "track", beyond)
    done = track_clip(Clip(video), tmp_path / "run", CONFIG)
    assert done.results["rows"]["accepted"] == 21 and done.results["rows"]["beyond_the_gate"] == 2
    assert max(done.table["yaw"]) > 400 and not done.table["lost"].any()
    assert done.results["degrees"]["yaw"]["highest"] < 20
    assert done.results["medians"]["jaw_drop"] == np.median(
        done.table["jaw_drop"][done.table["accepted"] > 0]
    )


def test_every_row_is_in_the_file_before_the_next_frame_is_looked_at(video, tmp_path):
    seen = []

    def watched(frames):
        for frame in frames:
            seen.append(len((tmp_path / "run" / PARTIAL).read_text().splitlines()) - 1)
            yield frame

    track_clip(Clip(video), tmp_path / "run", CONFIG, progress=watched)
    # The first line may wait for the first row.
    assert seen[1:] == list(range(1, 23))


def test_rows_that_are_done_again_are_not_there_twice(video, tmp_path):
    killed(Clip(video), tmp_path / "run", 7)
    killed(Clip(video), tmp_path / "run", 1, resume=True)
    assert read_track(tmp_path / "run" / PARTIAL)["frame"].tolist() == [0, 1, 2, 3, 4]


def test_a_video_that_is_cut_off_keeps_the_rows_before_and_says_so(video, tmp_path):
    data = video.read_bytes()
    cut = tmp_path / "cut.webm"
    cut.write_bytes(data[: int(0.7 * len(data))])
    said = []
    done = track_clip(Clip(cut), tmp_path / "run", CONFIG, say=said.append)
    rows = len(done.table["frame"])
    assert 5 < rows < 23 and done.results["clip"]["frames_decoded"] == rows
    (note,) = [line for line in done.results["notes"] if "were decoded" in line]
    assert note in said and str(rows) in note


def test_a_run_that_is_killed_twice_and_after_its_last_frame_goes_on_too(
    video, tmp_path, monkeypatch
):
    clip = Clip(video, start=2, end=18, every=4)
    track_clip(clip, tmp_path / "through", CONFIG)
    monkeypatch.setattr(runs, "CHECKPOINT_EVERY", 1)
    killed(clip, tmp_path / "run", 2)
    killed(clip, tmp_path / "run", 1, resume=True)
    monkeypatch.setattr(runs, "write_track", None)
    with pytest.raises(TypeError):
        track_clip(clip, tmp_path / "run", CONFIG, resume=True)
    monkeypatch.setattr(runs, "write_track", write_track)
    done = track_clip(clip, tmp_path / "run", CONFIG, resume=True)
    assert done.table["frame"].tolist() == [2, 6, 10, 14]
    assert done.results["clip"]["frames_decoded"] == 18
    ours, theirs = (tmp_path / name / TRACK for name in ("run", "through"))
    assert ours.read_bytes() == theirs.read_bytes()


def test_a_run_to_the_end_of_the_video_that_only_lacks_its_end_goes_on(
    video, tmp_path, monkeypatch
):
    monkeypatch.setattr(runs, "CHECKPOINT_EVERY", 1)
    monkeypatch.setattr(runs, "write_track", None)
    with pytest.raises(TypeError):
        track_clip(Clip(video), tmp_path / "run", CONFIG)
    monkeypatch.setattr(runs, "write_track", write_track)
    done = track_clip(Clip(video), tmp_path / "run", CONFIG, resume=True)
    assert len(done.table["frame"]) == done.results["clip"]["frames_decoded"] == 23


def test_a_complete_run_is_read_and_not_done_again(video, tmp_path, monkeypatch):
    first = track_clip(Clip(video), tmp_path / "run", CONFIG)
    monkeypatch.setattr(follow.Follower, "follow", None)
    said = []
    again = track_clip(Clip(video), tmp_path / "run", CONFIG, resume=True, say=said.append)
    assert "is complete" in said[0] and again.results == first.results
    assert_array_equal(again.table["yaw"], read_track(tmp_path / "run" / TRACK)["yaw"])


def test_other_settings_another_video_and_a_broken_checkpoint_are_refused(video, tmp_path):
    run = tmp_path / "run"
    killed(Clip(video), run, 10)
    with pytest.raises(RunFolderError, match="holds a run already"):
        track_clip(Clip(video), run, CONFIG)
    with pytest.raises(RunFolderError, match="track.every: 1 -> 2"):
        track_clip(Clip(video, every=2), run, CONFIG, resume=True)
    with pytest.raises(RunFolderError, match="track.tracker.seed: 0 -> 1"):
        track_clip(Clip(video), run, TrackerConfig(inflation=3.0, seed=1), resume=True)
    other = clip_of(tmp_path / "talk.webm", LEVELS[::-1])
    with pytest.raises(RunFolderError, match="track.video.sha256"):
        track_clip(Clip(other), run, CONFIG, resume=True)
    header, _ = read_archive(run / CHECKPOINT)
    with (run / PARTIAL).open("r+b") as file:
        file.truncate(header["bytes"] - 1)
    with pytest.raises(RunFolderError, match="cannot be gone on from .*shorter than it says"):
        track_clip(Clip(video), run, CONFIG, resume=True)
    (run / CHECKPOINT).write_bytes(b"no archive")
    with pytest.raises(RunFolderError, match="remove the folder and start anew"):
        track_clip(Clip(video), run, CONFIG, resume=True)


def test_a_clip_may_begin_without_a_face_and_lose_and_find_it(tmp_path):
    levels = [EMPTY] * 3 + [FACE] * 4 + [GONE] * 7 + [FACE] * 8
    clip = Clip(clip_of(tmp_path / "clip.webm", levels))
    said = []
    done = track_clip(clip, tmp_path / "run", CONFIG, say=said.append)
    table = done.table
    assert table["init"].tolist() == ["none"] * 3 + ["landmarks"] * 19
    assert np.isnan(table["yaw"][:3]).all() and np.isfinite(table["yaw"][3:]).all()
    # Lost with frame 7; looked for in the fifth and the tenth frame after that.
    assert table["lost"].tolist() == [1] * 3 + [0] * 4 + [1] * 10 + [0] * 5
    assert np.flatnonzero(table["reinitialised"]).tolist() == [17]
    assert done.results["rows"] == {
        "frames": 22, "before_a_face_was_found": 3, "lost": 13, "found_again": 1,
        "beyond_the_gate": 0, "accepted": 9, "learned_from": 19,
    }  # fmt: skip
    assert "no face in the 3 frames before frame 3" in said[0]
    # And a run that is killed while it looks goes on looking.
    for count in (2, 9, 14):
        killed(clip, tmp_path / str(count), count)
        track_clip(clip, tmp_path / str(count), CONFIG, resume=True)
        assert (tmp_path / str(count) / TRACK).read_bytes() == (
            tmp_path / "run" / TRACK
        ).read_bytes()


def test_a_clip_without_a_face_is_an_error_that_says_what_to_do(tmp_path, monkeypatch):
    clip = Clip(clip_of(tmp_path / "clip.webm", [EMPTY] * 6))
    with pytest.raises(
        ValueError, match="no face was found in any of the 6 frames .*turned by 90.*--start"
    ):
        track_clip(clip, tmp_path / "run", CONFIG)
    # And its folder takes another try, with other settings.
    monkeypatch.setattr(follow, "LOOK_FOR", 4)
    with pytest.raises(ValueError, match="in any of the 4 frames .*--init"):
        track_clip(clip, tmp_path / "run", TrackerConfig(seed=1))
    with pytest.raises(ValueError, match="in the frame that"):
        track_clip(Clip(clip.video, end=1), tmp_path / "run", CONFIG)


def test_what_the_tracker_refuses_names_the_frame(video, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise ValueError("the head is turned too far away")

    monkeypatch.setattr(follow, "Tracker", refuse)
    with pytest.raises(ValueError, match="frame 5: the head is turned too far away"):
        track_clip(Clip(video, start=5), tmp_path / "run", CONFIG)


def given(monkeypatch, points, missed=None):
    """Let landmarks be given, and fitted as they always are here."""
    found = Found(fit(), "landmarks", missed=missed)
    monkeypatch.setattr(runs, "read_landmarks_csv", lambda path: points)
    monkeypatch.setattr(follow, "given_face", lambda *arguments: found)


def test_points_beside_the_face_and_without_a_0_are_warned_of(video, tmp_path, monkeypatch):
    points = np.ones((68, 2))
    given(monkeypatch, points)
    done = track_clip(Clip(video, init=video), tmp_path / "right", CONFIG)
    assert not any("WARNING" in note for note in done.results["notes"])
    points[0] = np.nan
    given(monkeypatch, points, Box(30.2, 4.0, 25.0, 25.0, 20))
    said = []
    done = track_clip(Clip(video, init=video), tmp_path / "run", CONFIG, say=said.append)
    beside, first = (line for line in said if line.startswith("WARNING"))
    assert beside.endswith(
        "do not lie on the face box found at x 30, y 4, 25 wide and 25 high: are they of this "
        "frame, in its pixels?"
    )
    assert "the points have a 1 and no 0" in first
    assert {beside, first} <= {*done.results["notes"]}
    assert done.results["face"]["box_the_points_miss"] == [30.2, 4.0, 25.0, 25.0]


def test_what_the_tracker_refuses_of_given_points_asks_about_these(video, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise ValueError("only 3 of 26 vertices face the camera; begin at another frame")

    given(monkeypatch, np.ones((68, 2)))
    monkeypatch.setattr(follow, "Tracker", refuse)
    with pytest.raises(ValueError, match="only 3 of 26 .* camera; the points .* from behind"):
        track_clip(Clip(video, init=video), tmp_path / "run", CONFIG)


def test_a_box_is_no_initialisation_and_every_row_says_so(video, tmp_path, monkeypatch):
    stand_in(monkeypatch, kind="box")
    said = []
    done = track_clip(Clip(video), tmp_path / "run", CONFIG, say=said.append)
    assert set(done.table["init"]) == {"box"}
    assert said[0].startswith("2 faces in frame 0: the largest is tracked, in the box [20.0, 12.0")
    assert said[0].endswith("the others: [1.0, 2.0, 8.0, 8.0]")
    assert said[1].startswith("WARNING: frame 0 has a face box")
    assert said[1] in done.results["notes"] and said[0] in done.results["notes"]
    assert said[2].startswith("the face is small: 1 px between the outer corners of its eyes")
    assert done.results["face"]["fit_residual_px"] is None
