"""The face tracking study as a page: tables, curves and stills."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_forensics.faces.camera import CONVENTION
from gan_forensics.faces.metrics import LEVELS
from gan_forensics.report import Picture, Section, Table
from gan_forensics.report.blocks import Share
from gan_forensics.report.figures import Figure
from gan_forensics.report.plots import curve_style, label_ends, tidy
from gan_forensics.studies import pages
from gan_forensics.studies.face_measures import LOST, THRESHOLDS
from gan_forensics.studies.face_tracking import VARIANTS, coverage_of
from gan_forensics.studies.face_tracking_verdicts import (
    MEASURES,
    QUESTIONS,
    Clips,
    gain,
    methods_of,
    moving,
    values,
    verdict,
)

TITLE = "How well is a face followed in 3-D, and which part of the method is to thank?"


def _mean(clips: Clips, scene: str, method: str, measure: str, form: str = ".2f") -> str:
    some = values(clips, scene, method, measure)
    known = some[~np.isnan(some)]
    if not len(known):
        return "–"
    deviation = float(known.std(ddof=1)) if len(known) > 1 else None
    return pages.plus_minus(float(known.mean()), deviation, form)


def errors_table(clips: Clips, scene: str) -> Table:
    """All methods in one scene: mean ± deviation between seeds."""
    columns = {
        "landmarks": ".2f", "relative": ".2f", "normalised": ".3f", "geodesic": ".2f",
        "pitch_mae": ".2f", "yaw_mae": ".2f", "roll_mae": ".2f", "below": ".2f", "units": ".2f",
        "lost_at": ".0f", "lost_share": ".2f",
    }  # fmt: skip
    rows = [
        [name, *(_mean(clips, scene, name, column, form) for column, form in columns.items())]
        for name in methods_of({scene: clips[scene]})
    ]
    return Table(
        f"Scene '{scene}', mean ± standard deviation of {len(clips[scene])} seeds. Landmarks in "
        "pixels, absolute, with the offsets of frame 0 removed, and by the distance of the outer "
        "corners of the eyes; pose in degrees after alignment on frame 0: angle, mean absolute "
        "pitch, yaw and roll, share of frames below 5°; correlation of animation parameters with "
        f"the clip's own; frames until the error stays above {LOST:g} of the eyes' distance for 5 "
        "frames (the clip's length: never); share of frames that the method itself calls lost.",
        ["method", "px", "px, offsets removed", "of eyes' distance", "angle", "pitch", "yaw",
         "roll", "below 5°", "units' correlation", "lost at frame", "called lost"],
        rows,
    )  # fmt: skip


def drift_table(clips: Clips) -> Table:
    """Landmark errors in the first and last third of all scenes, and about an occlusion."""
    rows = []
    for scene in moving(clips):
        for name in methods_of({scene: clips[scene]}):
            parts = ("first", "last", "landmarks_hidden", "landmarks_after", "geodesic_hidden",
                     "geodesic_after")  # fmt: skip
            rows.append([f"{scene}: {name}", *(_mean(clips, scene, name, part) for part in parts)])
    return Table(
        "Drift and occlusion: landmark error in pixels in the first and the last third of a clip, "
        "in frames with at least 8 hidden landmarks and in those after the last of them; the same "
        "of the head's angle in degrees.",
        ["scene and method", "first third", "last third", "hidden, px", "after, px",
         "hidden, °", "after, °"],
        rows,
    )  # fmt: skip


def gains_table(clips: Clips) -> Table:
    """What every part of the method is worth, paired over seeds."""
    rows = []
    for other in methods_of(clips):
        if other not in QUESTIONS:
            continue
        for scene in moving(clips):
            row: list[Any] = [f"{QUESTIONS[other]}: {scene}"]
            for measure in MEASURES:
                found = gain(clips, scene, other, measure)
                row += [found.short("+.2f") if found.count > 1 else f"{found.mean:+.2f}",
                        verdict(found)]  # fmt: skip
            rows.append(row)
    return Table(
        "Error without it less error of the full method, mean over seeds and Student's 95 % "
        "interval: positive is in favour of the full method. What helps or HARMS is settled: its "
        "interval leaves 0 out.",
        ["what is judged", "landmarks, px", "by landmarks", "pose, °", "by pose"],
        rows,
    )


def jitter_table(clips: Clips) -> Table | None:
    """What methods make of a head that does not move."""
    if "still" not in clips:
        return None
    rows = [
        [
            name,
            *(
                _mean(clips, "still", name, measure, ".3f")
                for measure in ("jitter_degrees", "jitter_px", "geodesic", "relative", "landmarks")
            ),
        ]
        for name in methods_of({"still": clips["still"]})
    ]
    return Table(
        "Jitter on a still (a head at rest under new sensor noise and compression in every frame): "
        "RMS departure of angles (degrees) and of landmarks' coordinates (px) from their means; "
        "bias against the fit of frame 0 in degrees and px; absolute landmark error in px.",
        ["method", "jitter, °", "jitter, px", "bias, °", "bias, px", "error, px"],
        rows,
    )


def coverage_table(clips: Clips, inflation: float) -> Table:
    """How often true landmarks lie inside of stated intervals, raw and inflated."""
    rows = []
    for scene in clips:
        for name in methods_of({scene: clips[scene]}):
            if name not in VARIANTS:
                continue
            row: list[Any] = [f"{scene}: {name}"]
            for factor in (1.0, inflation):
                for level in LEVELS:
                    shares = [
                        coverage_of(by_method[name]["ratios"], factor, level)
                        for by_method in clips[scene].values()
                    ]
                    row.append(Share(np.mean(shares)))
            rows.append(row)
    return Table(
        "Share of landmarks' coordinates inside of the 50 and 90 % intervals, as stated by the "
        f"posterior and with all deviations times {inflation:.1f}, a factor fitted on other clips "
        "with the full method.",
        ["scene and method", "50 %, raw", "90 %, raw", "50 %, inflated", "90 %, inflated"],
        rows,
    )


def speed_table(clips: Clips) -> Table:
    """Milliseconds a frame, and seconds until the second frame, over all clips."""
    rows = []
    for name in methods_of(clips):
        frame, start = (
            np.concatenate([values(clips, scene, name, measure) for scene in clips])
            for measure in ("seconds", "start_seconds")
        )
        rows.append([name, 1e3 * float(np.median(frame)), float(np.median(start))])
    return Table(
        "Median over clips, without decoding; start-up includes compiling what is not cached yet.",
        ["method", "ms a frame", "s to start"],
        rows,
    )


def curves_figure(
    curves: Mapping[str, Sequence[float | None]],
    x: Sequence[float],
    *,
    title: str,
    label: str,
    below: str,
) -> Figure:
    """Lines by name, labelled at their ends; None is a gap."""
    figure = Figure(figsize=(7.6, 4.0), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    ends = []
    for index, (name, some) in enumerate(curves.items()):
        colour, dash = curve_style(index)
        line = np.array([np.nan if value is None else value for value in some])
        axes.plot(x, line, color=colour, ls=dash, lw=1.4)
        known = line[~np.isnan(line)]
        ends.append((float(known[-1]) if len(known) else 0.0, name, colour))
    axes.set(xlim=(x[0], x[-1]), ylabel=label, xlabel=below)
    axes.set_ylim(bottom=0)
    tidy(axes, title)
    label_ends(axes, ends)
    return figure


def _averaged(clips: Clips, scene: str, method: str, measure: str) -> list[float]:
    """A curve's mean over seeds, of those that have a value."""
    some = [by_method[method][measure] for by_method in clips[scene].values()]
    table = np.array([[np.nan if value is None else value for value in one] for one in some])
    known = ~np.isnan(table)
    total = np.where(known, table, 0).sum(0)
    return np.divide(total, known.sum(0), out=np.full(table.shape[1], np.nan),
                     where=known.any(0)).tolist()  # fmt: skip


def scene_section(clips: Clips, scene: str, stills: np.ndarray | None) -> Section:
    """A scene: what it looks like, its table, its errors over time and their distribution."""
    methods = methods_of({scene: clips[scene]})
    blocks: list[Any] = []
    if stills is not None:
        said = "Frames of the first seed at equal distances, true landmarks as dots."
        blocks.append(Picture(stills, alt=f"Frames of the scene {scene}", caption=said, width=1000))
    blocks.append(errors_table(clips, scene))
    if scene != "still":
        # The held frame would set the scale of everything.
        shown = [name for name in methods if name != "frame 0 held"]
        over_time = {name: _averaged(clips, scene, name, "by_frame") for name in shown}
        frames = range(len(next(iter(over_time.values()))))
        blocks += [
            Picture(
                curves_figure(over_time, list(frames), title=f"Landmark error over time: {scene}",
                              label="mean error in pixels", below="frame"),
                alt="Curves of the error by frame", caption="Mean over seeds, absolute.",
            ),
            Picture(
                curves_figure({name: _averaged(clips, scene, name, "cumulative") for name in shown},
                              THRESHOLDS, title=f"Share of frames up to an error: {scene}",
                              label="share of frames", below="error by the distance of the eyes"),
                alt="Cumulative error curves", caption="Mean over seeds.",
            ),
        ]  # fmt: skip
    return Section(f"Scene: {scene}", blocks)


def real_section(real: Mapping[str, Any]) -> Section:
    """The real clip's table and curves."""
    chosen = real["chosen"]
    rows = []
    for name, one in real["methods"].items():
        row: list[Any] = [name]
        row += [one[key] for key in ("landmarks", "relative", "normalised", "first", "last")]
        row += [one["lost_at"], one["lost_share"]]
        for factor in (1.0, chosen["inflation"]):
            for level in LEVELS:
                row.append(
                    Share(coverage_of(one["ratios"], factor, level)) if "ratios" in one else None
                )
        rows.append([*row, 1e3 * one["seconds"]])
    table = Table(
        f"The first {real['frames']} frames of the real clip against landmarks of another method, "
        "which have errors of their own; all begin from those of frame 0. Errors in pixels, "
        "absolute, with offsets of frame 0 removed, by the eyes' distance, in the first and last "
        f"third. Rate {chosen['rate']:g} and inflation {chosen['inflation']:.1f} come from another "
        f"clip (its errors by rate: {_said_errors(chosen['errors'])} px).",
        ["method", "px", "px, offsets removed", "of eyes' distance", "first third", "last third",
         "lost at frame", "called lost", "50 %, raw", "90 %, raw", "50 %, inflated",
         "90 %, inflated", "ms a frame"],
        rows,
    )  # fmt: skip
    curves = {
        name: one["by_frame"] for name, one in real["methods"].items() if name != "frame 0 held"
    }
    figure = curves_figure(
        curves, list(range(real["frames"])), title="Landmark error over time: real clip",
        label="mean error in pixels", below="frame",
    )  # fmt: skip
    picture = Picture(figure, alt="Curves of the error by frame", caption="Absolute error.")
    return Section("Real clip", [table, picture])


def _said_errors(errors: Mapping[str, Sequence[float]]) -> str:
    return ", ".join(f"{rate}: {float(np.mean(some)):.2f}" for rate, some in errors.items())


def sections(results: Mapping[str, Any], stills: Mapping[str, np.ndarray]) -> list[Section]:
    """What was found, from results.json and pictures of the scenes."""
    clips, chosen = results["clips"], results["chosen"]
    found = [
        Section(
            "What each part of the method is worth",
            [
                f"The rate of the updates is {chosen['rate']:g}, chosen on other clips (their mean "
                f"errors by rate: {_said_errors(chosen['errors'])} px). Every method gets the same "
                "frames and the landmarks of frame 0 with errors of 2 px, never the true pose; the "
                "clips have another mesh, person, camera and light than the tracker.",
                gains_table(clips),
            ],
        ),
        *([real_section(results["real"])] if "real" in results else []),
        *(scene_section(clips, scene, stills.get(scene)) for scene in clips),
        Section("Drift and occlusion", [drift_table(clips)]),
    ]
    jitter = jitter_table(clips)
    if jitter is not None:
        found.append(Section("A still", [jitter]))
    return [
        *found,
        Section("Uncertainty", [coverage_table(clips, chosen["inflation"])]),
        Section("Speed", [speed_table(clips)]),
        Section("Convention of the angles", [CONVENTION + "."]),
    ]
