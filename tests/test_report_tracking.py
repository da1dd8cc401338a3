"""The page of a tracked clip: what was lost is seen, and long clips make no endless page."""

import numpy as np
import pytest

from gan_forensics.faces.runs import Clip, track_clip
from gan_forensics.faces.tracker_config import TrackerConfig
from gan_forensics.report import tracking
from gan_forensics.report.tracking import (
    animation_figure,
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
    assert "lost and found again 1 time." in said
    assert "R = Rz(roll) Ry(yaw) Rx(pitch), about fixed axes" in said
    assert "this project's reconstruction" in said
    assert "the calibrated one (pale), which is 5 times as wide" in said
    for name, value in (("gates.accepted_below", "400"), ("uncertainty_inflation", "5")):
        assert f"{name} {value}" in said
    assert [a["href"] for a in page.all("a")][-1] == "./overlay.webm"
    assert len(page.all("img")) == 2 + 3


def test_a_summary_is_of_what_happened():
    results = {
        "rows": {"frames": 1, "lost": 0, "found_again": 0},
        "face": {"init": "landmarks"},
        "degrees": {"yaw": {"lowest": -3.4, "highest": 12.6}},
        "speed": {"frames_per_second": None},
    }
    assert summary(results) == ["1 frame, none of them without a face.", "Degrees: yaw -3 to +13."]
    results["rows"] |= {"frames": 9, "lost": 9}
    results["degrees"] = {}
    assert summary(results) == ["9 frames, 9 of them without a face."]


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


def test_a_long_clip_is_thinned(tracked, monkeypatch):
    _, done = tracked
    assert thinned(done.table)[1] == 1
    monkeypatch.setattr(tracking, "MOST_POINTS", 9)
    table, step = thinned(done.table)
    assert step == 3 and table["frame"].tolist() == [0, 3, 6, 9, 12, 15, 18]
