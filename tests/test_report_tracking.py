"""The page of a tracked clip: what was lost is seen, and long clips make no endless page."""

import copy

import numpy as np
import pytest

from gan_forensics.faces.runs import Clip, track_clip
from gan_forensics.faces.tracker_config import TrackerConfig
from gan_forensics.report import tracking
from gan_forensics.report.tracking import (
    animation_figure,
    details,
    energy_figure,
    pose_figure,
    summary,
    thinned,
    tracking_page,
)
from gan_forensics.train.run_folder import read_config
from tests.small_tracks import EMPTY, FACE, GONE, clip_of, stand_in
from tests.test_report_html import Page

LEVELS = [EMPTY] * 2 + [FACE] * 6 + [GONE] * 7 + [FACE] * 6


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("track")
    with pytest.MonkeyPatch.context() as patch:
        stand_in(patch, kind="box")
        clip = Clip(clip_of(folder / "a talk.webm", LEVELS))
        return folder / "run", track_clip(clip, folder / "run", TrackerConfig(inflation=5.0))


def test_the_page_tells_of_a_box_of_others_and_of_what_was_lost(tracked):
    run, done = tracked
    still = ("frame 2, 0.08 s", np.zeros((8, 8, 3), np.uint8))
    page = Page(
        tracking_page(
            run / "report.html", done.table, done.results, read_config(run, "track"),
            units=done.columns.units, stills=[still, still], video=run / "overlay.webm",
        )
    )  # fmt: skip
    said = page.text
    assert "A face in a talk.webm" in said and "biased throughout (init=box)" in said
    assert "WARNING: frame 2 has a face box" in said and "2 faces in frame 2" in said
    assert "No face in the 2 frames before frame 2" in said
    assert (
        "9 accepted, none beyond the gate, 12 without a face; lost and found again 1 time." in said
    )
    assert "R = Rz(roll) Ry(yaw) Rx(pitch), about fixed axes" in said
    assert "this project's reconstruction" in said
    assert "The tracker's own is 5 times as narrow" in said
    for name, value in (("gates.accepted_below", "400"), ("uncertainty_inflation", "5")):
        assert f"{name} {value}" in said
    assert [a["href"] for a in page.all("a")][-1] == "./overlay.webm"
    assert len(page.all("img")) == 2 + 3


def test_a_summary_is_of_what_happened():
    results = {
        "rows": {
            "frames": 1, "accepted": 1, "beyond_the_gate": 0, "lost": 0, "found_again": 0,
            "learned_from": 0,
        },
        "gates": {"accepted_frames_behind_them": 1, "learned_below": 300.0},
        "face": {"init": "landmarks"},
        "degrees": {"yaw": {"lowest": -3.4, "highest": 12.6}},
        "speed": {"frames_per_second": None},
    }  # fmt: skip
    assert summary(results) == [
        "1 frame: 1 accepted, none beyond the gate, none without a face.",
        "Degrees in the accepted frames: yaw -3 to +13.",
        "The appearance learned in 0 of 1 frames; the bound for it is not calibrated yet, which "
        "takes 25 accepted frames.",
    ]
    results["rows"] |= {"frames": 99, "accepted": 86, "beyond_the_gate": 4, "lost": 9}
    results["rows"]["learned_from"] = 80
    results["gates"]["accepted_frames_behind_them"] = 25
    results["degrees"] = {}
    results["speed"] = {"frames_per_second": 31.25, "start_up_seconds": 12.2}
    assert summary(results) == [
        "99 frames: 86 accepted, 4 beyond the gate, 9 without a face.",
        "The appearance learned in 80 of 99 frames: above an energy of 300 nothing is learned.",
        "Tracked at 31.2 frames per second; the start took 12 s more, and drawing and the page "
        "are not counted.",
    ]


def test_details_tell_only_what_there_is(tracked):
    _, done = tracked
    results = copy.deepcopy(done.results)
    assert "21 frames claimed, 21 decoded" in details(results)[0]
    assert "box 20, 12, 24, 24," in details(results)[2] and "reduced" not in details(results)[2]
    results["clip"] |= {"decoded_to_its_end": False, "frames_decoded": 8}
    assert "the first 8 of 21 frames claimed were decoded, as asked for" in details(results)[0]
    results["face"]["box"] = None
    results["working_scale"]["frame_pixels_per_pixel"] = 3
    assert details(results)[2] == (
        "Face: frame 2, init=box, 1 px between the eyes' outer corners; the tracker works on the "
        "frame reduced 3 times"
    )


def red_spans(axes):
    return [patch.get_extents().width > 0 for patch in axes.patches]


def test_what_was_lost_is_red_in_every_panel(tracked):
    _, done = tracked
    for figure in (pose_figure(done.table), animation_figure(done.table, done.columns.units)):
        for axes in figure.axes:
            # Before the face was found, and while it was lost.
            assert red_spans(axes) == [True, True]
            # And there is no line there.
            (*_, line) = axes.lines
            assert (np.isnan(line.get_ydata()) == (done.table["lost"] > 0)).all()
    alone = {name: values[:1] for name, values in done.table.items()}
    assert red_spans(pose_figure(alone).axes[0]) == [True]


def test_pose_has_two_bands_and_energy_its_bounds_and_flags(tracked):
    _, done = tracked
    assert [len(axes.collections) for axes in pose_figure(done.table).axes] == [2, 2, 2]
    figure = energy_figure(done.table, done.results["gates"])
    _, _, flags = figure.axes
    # The bound for learning is infinite in this clip, and is not drawn.
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["typical", "accepted below", "wrong place"]
    assert [len(line.get_xdata()) for line in flags.lines] == [2 + 10, 1, 0]


def test_a_frame_that_was_not_accepted_does_not_widen_the_axes(tracked):
    _, done = tracked
    usual = [axes.get_ylim() for axes in pose_figure(done.table).axes]
    wild = {name: values.copy() for name, values in done.table.items()}
    row = np.flatnonzero(wild["accepted"] == 1)[2]
    wild["accepted"][row], wild["yaw"][row] = 0, 5000
    found = [axes.get_ylim() for axes in pose_figure(wild).axes]
    assert abs(found[0][1] - usual[0][1]) < 5 and found[0][1] < 100


def test_without_bounds_there_is_no_legend_and_no_complaint(tracked):
    _, done = tracked
    none = dict.fromkeys(done.results["gates"])
    blank = {**done.table, "energy": np.full(21, np.nan)}
    figure = energy_figure(blank, none)
    figure.canvas.draw()  # Warnings are errors here.
    assert not figure.legends


def test_a_long_clip_is_thinned(tracked, monkeypatch):
    _, done = tracked
    assert thinned(done.table)[1] == 1
    monkeypatch.setattr(tracking, "MOST_POINTS", 9)
    table, step = thinned(done.table)
    assert step == 3 and table["frame"].tolist() == [0, 3, 6, 9, 12, 15, 18]


def test_of_very_many_units_the_first_are_drawn(monkeypatch):
    monkeypatch.setattr(tracking, "MOST_PANELS", 2)
    names = [f"u{i}{end}" for i in range(3) for end in ("", "_relative")]
    track = {name: np.zeros(3) for name in ("time", "lost", *names)}
    figure = tracking.animation_figure(track, ["u0", "u1", "u2"])
    assert len(figure.axes) == 4 and figure.axes[1].get_title(loc="left") == "u0, relative"
    assert figure.axes[-1].get_xlabel() == "seconds; 2 of 3 units shown"
