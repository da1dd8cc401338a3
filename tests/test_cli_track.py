"""`track`, as a user has it; the tracker itself is a stand-in, see `small_tracks`."""

import json
from typing import get_type_hints

import pytest
from matplotlib.figure import Figure

from gan_forensics.cli.track import Track
from gan_forensics.faces import runs
from gan_forensics.faces.rows import read_track
from gan_forensics.faces.tracker_config import TrackerConfig
from gan_forensics.report import tracking
from tests.small_tracks import EMPTY, FACE, clip_of, stand_in
from tests.test_cli import plain_terminal, refused, run  # noqa: F401


@pytest.fixture(autouse=True)
def small(monkeypatch):
    stand_in(monkeypatch)
    # Drawing takes longer than all the rest; see `test_report_tracking`.
    for name in ("pose_figure", "animation_figure", "energy_figure"):
        monkeypatch.setattr(tracking, name, lambda *arguments: Figure(figsize=(1, 1)))


@pytest.fixture
def talk(tmp_path):
    return clip_of(tmp_path / "talk.webm", [FACE + i for i in range(8)])


def test_a_video_becomes_a_table_an_overlay_and_a_page(talk, tmp_path, capsys):
    out = tmp_path / "run"
    assert run("track", talk, "--out", out) == 0
    said = capsys.readouterr()
    assert {path.name for path in out.iterdir() if path.name != ".lock"} == {
        "config.json", "overlay.webm", "report.html", "results.json", "track.csv",
    }  # fmt: skip
    assert "8 frames: 8 accepted, none beyond the gate, none without a face." in said.out
    for words in (
        "talk.webm: 64x48, Matroska (VP80), 25 frames per second; 8 frames claimed, 8 decoded",
        "Model: the package's own face; 3 landmarks, 5 tracked vertices; units: jaw drop, lip",
        "Face: frame 0, init=landmarks, box 20, 12, 24, 24, 1 px",
        "The appearance learned in 8 of 8 frames.",
        "Energy: typical 200, learned below –, accepted below 400, wrong place 900 (from 25 frames",
        "ends beside its fit by pitch +0.10, yaw -0.20, roll +0.30 degrees",
    ):
        assert words in said.out
    assert f"Open {out / 'report.html'}; the rows are in {out / 'track.csv'}." in said.out
    assert "frame 0: the model fits the points" in said.err
    assert said.err.index("drawing overlay.webm") < said.err.index("writing report.html")
    results = json.loads((out / "results.json").read_text())
    assert results["speed"]["overlay_frames_per_second"] > 0
    assert {"commit", "jax", "hardware"} <= results["protocol"].keys()
    # And once more: nothing is tracked, the page and the video are made again.
    (out / "report.html").unlink()
    before = (out / "track.csv").read_bytes()
    assert run("track", talk, "--out", out, "--resume") == 0
    assert "is complete" in capsys.readouterr().err and (out / "report.html").exists()
    assert (out / "track.csv").read_bytes() == before


def test_options_act(talk, tmp_path, capsys):
    out = tmp_path / "run"
    chosen = ["--start", 1, "--end", 7, "--every", 3, "--views", 31, "--camera", "pinhole"]
    assert run("track", talk, "--out", out, "--no-video", *chosen) == 0
    assert read_track(out / "track.csv")["frame"].tolist() == [1, 4]
    assert not (out / "overlay.webm").exists()
    page = (out / "report.html").read_text()
    assert "overlay.webm" not in page and page.count("<img") == 2 + 3
    saved = json.loads((out / "config.json").read_text())["track"]
    assert (saved["tracker"]["views"], saved["tracker"]["camera"]) == (31, "pinhole")
    assert (saved["start"], saved["end"], saved["every"]) == (1, 7, 3)


def test_a_box_is_warned_of_on_the_terminal_and_on_the_page(talk, tmp_path, capsys, monkeypatch):
    stand_in(monkeypatch, kind="box")
    assert run("track", talk, "--out", tmp_path / "run", "--no-video") == 0
    said = capsys.readouterr()
    assert "WARNING: frame 0 has a face box" in said.err and "(init=box)" in said.out
    page = (tmp_path / "run" / "report.html").read_text()
    assert "WARNING: frame 0 has a face box" in page and "(init=box)" in page
    assert "the largest is tracked" in said.err and "the largest is tracked" in page


def test_what_cannot_be_tracked_is_refused_in_a_line(talk, tmp_path, capsys, monkeypatch):
    empty = clip_of(tmp_path / "empty.webm", [EMPTY] * 3)
    (tmp_path / "text.mp4").write_text("no video")
    out = ["--out", tmp_path / "run"]
    for number, (arguments, message) in enumerate((
        ([tmp_path / "gone.mp4"], "gone.mp4: no such file"),
        ([tmp_path / "text.mp4"], "text.mp4: not a video"),
        ([tmp_path], "it is a folder; give one video file"),
        ([talk, "--model", tmp_path / "gone.wfm"], "gone.wfm: no such file; give a wireframe face"),
        ([talk, "--init", tmp_path / "gone.csv"], "gone.csv: no such file; give a CSV file"),
        ([talk, "--landmarks", tmp_path / "gone.dat"], "gone.dat: no such file; give dlib's"),
        ([talk, "--start", 50], "its 8 frames end before frame 50"),
        ([empty], "no face was found in any of the 3 frames"),
    )):  # fmt: skip
        assert message in refused(capsys, "track", *arguments, "--out", tmp_path / str(number))
    assert run("track", talk, *out, "--no-video") == 0
    capsys.readouterr()
    assert "holds a run already" in refused(capsys, "track", talk, *out)
    said = refused(capsys, "track", talk, *out, "--resume", "--views", 31)
    assert "track.tracker.views: 101 -> 31" in said


def test_a_run_that_was_interrupted_goes_on(talk, tmp_path, capsys, monkeypatch):
    out = tmp_path / "run"
    assert run("track", talk, "--out", tmp_path / "through", "--no-video") == 0
    monkeypatch.setattr(runs, "CHECKPOINT_EVERY", 2)
    follow = runs.Follower.follow

    def interrupted(self, frame):
        if frame.index == 5:
            raise KeyboardInterrupt
        return follow(self, frame)

    monkeypatch.setattr(runs.Follower, "follow", interrupted)
    assert run("track", talk, "--out", out, "--no-video") == 130
    assert read_track(out / "track.partial.csv")["frame"].tolist() == [0, 1, 2, 3, 4]
    said = capsys.readouterr().err
    assert f"5 rows are kept in {out / 'track.partial.csv'}; the same command with --resume" in said
    monkeypatch.setattr(runs.Follower, "follow", follow)
    assert run("track", talk, "--out", out, "--no-video", "--resume") == 0
    assert "resumed at frame 4 (checkpoint)" in capsys.readouterr().err
    assert (out / "track.csv").read_bytes() == (tmp_path / "through" / "track.csv").read_bytes()


def test_options_are_those_of_the_tracker():
    """They stand in the command once more, so that --help need not load JAX."""
    ours, theirs = get_type_hints(Track), get_type_hints(TrackerConfig)
    shared = {name: kind for name, kind in theirs.items() if name in ours}
    assert set(shared) == {
        "camera", "solver", "descriptor", "update", "rate", "views", "seed",
    }  # fmt: skip
    assert all(ours[name] == kind | None for name, kind in shared.items())
    default = TrackerConfig()
    assert (default.rate, default.views, default.seed) == (0.02, 101, 0)  # as --help says
    assert (default.camera, default.solver) == ("weak-perspective", "gauss-newton")
    assert (default.descriptor, default.update) == ("smooth", "eigenvalues")


def test_help_names_the_order_of_the_points_and_the_signs(capsys):
    assert run("track", "--help") == 0
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for words in ("36-41 and 42-47 the eyes", "48-59 the outer lips", "positive pitch looks down",
                  "init=box", "$ gan-forensics track talk.mp4", "reconstruction"):  # fmt: skip
        assert words in said
    assert all(f"--{name}" in said for name in ("init", "landmarks", "no-video", "resume"))


def test_every_setting_reaches_the_tracker(talk, tmp_path, monkeypatch):
    asked = []

    def track_clip(clip, out, config, **_):
        asked.append(config)
        raise ValueError("seen")

    monkeypatch.setattr(runs, "track_clip", track_clip)
    given = {
        "camera": "pinhole",
        "solver": "nelder-mead",
        "descriptor": "sift",
        "update": "full",
        "rate": 0.3,
        "views": 33,
        "seed": 7,
    }
    options = [word for name, value in given.items() for word in (f"--{name}", value)]
    assert run("track", talk, "--out", tmp_path / "run", *options) == 2
    assert asked == [TrackerConfig(**given)]
    assert run("track", talk, "--out", tmp_path / "run") == 2
    assert asked[1] == TrackerConfig()
