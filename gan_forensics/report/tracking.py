"""The page of `track`: pose and animation over time, how sure, and where the face was lost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gan_forensics.faces.camera import CONVENTION
from gan_forensics.faces.gates import FRAMES
from gan_forensics.faces.rows import ANGLES, Table
from gan_forensics.files import listed
from gan_forensics.report.blocks import Block, Facts, Link, Picture, Section
from gan_forensics.report.figures import MOST_PANELS, Figure, cut, said_of
from gan_forensics.report.html import format_cell, write_report
from gan_forensics.report.plots import COLOURS, FAINT, INK, LONGEST_PANEL, tidy
from gan_forensics.report.run import flatten

BLUE, RED, GREEN = COLOURS[1], COLOURS[2], COLOURS[3]
# Of a normal distribution: half the width of an interval that holds 90 % of it.
NINETY = 1.645
# Rows that figures show at most: a page of an hour's video must still open.
MOST_POINTS = 3000
# Of results.json, the bounds that are drawn.
_GATES = {
    "typical": BLUE, "learned_below": GREEN, "accepted_below": RED, "wrong_place": FAINT,
}  # fmt: skip
METHOD = (
    "The method is Tran et al. 2013 (3D Face Pose and Animation Tracking via Eigen-Decomposition "
    "based Bayesian Approach) as far as its abstract tells; everything beyond that is this "
    "project's reconstruction."
)


def tracking_page(
    path: Path,
    track: Table,
    results: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    units: Sequence[str],
    stills: Sequence[tuple[str, np.ndarray]] = (),
    video: Path | None = None,
) -> Path:
    """Write the page of a tracked clip.

    Args:
        path: of the page.
        track: the columns of track.csv.
        results: what stands in results.json.
        config: what was asked for.
        units: columns of the animation units.
        stills: a caption and an image, uint8 [h, w, 3], of some frames of the overlay.
        video: the overlay, beside the page; None without one.
    """
    pictures: list[Block] = [
        Picture(image, alt=f"The face with its wireframe, {caption}", caption=caption)
        for caption, image in stills
    ]
    first: list[Block] = [f"{note[0].upper()}{note[1:]}." for note in results["notes"]]
    if video is not None:
        first.append(Link(f"{video.name}: the whole clip with the overlay", video.name))
    track, step = thinned(track)
    thin = f" Every {step}th row is drawn." if step > 1 else ""
    return write_report(
        path,
        title=f"A face in {results['clip']['name']}",
        lead=" ".join(summary(results)),
        sections=[
            Section("The face in its frames", [*first, *pictures[:1]]),
            Section(
                "Head pose",
                [
                    f"Convention: {CONVENTION}.",
                    Picture(
                        pose_figure(track),
                        alt="Yaw, pitch and roll in degrees over seconds",
                        caption="Line: the estimate. Pale band: where the angle lies in 90 of 100 "
                        "cases by the calibrated deviation. The tracker's own is "
                        f"{results['uncertainty_inflation']:g} times as narrow: a dark band, most "
                        f"often hidden by the line. Red: without a face. The axes are those of "
                        f"accepted frames; others may leave them.{thin}",
                    ),
                ],
            ),
            Section(
                "Animation",
                [
                    "1 is the full action of a unit, 0 the neutral face of the model. Whose mouth "
                    "and brows lie elsewhere than the model's has another level at rest: relative "
                    "to the clip's median the columns tell what the face does.",
                    Picture(
                        animation_figure(track, units),
                        alt="Animation units over seconds, absolute and relative to their median",
                        caption="Left: absolute. Right: relative to the median of the accepted "
                        f"frames.{thin}",
                    ),
                ],
            ),
            Section(
                "How well the face fits",
                [
                    Picture(
                        energy_figure(track, results["gates"]),
                        alt="Energy with its bounds, confidence and flags over seconds",
                        caption="Energy: mean over the visible vertices of the squared distance "
                        "from the appearance that was learned, in its own deviations. Its bounds "
                        "are made from the first accepted frames; those after the last frame are "
                        f"shown.{thin}",
                    )
                ],
            ),
            *([Section("Further frames", pictures[1:])] if pictures[1:] else []),
            Section("Numbers", [Facts(_plain(results))]),
            Section("Settings", [METHOD, Facts(_plain(config))]),
        ],
    )


def summary(results: Mapping[str, Any]) -> list[str]:
    """What became of a clip, in a few sentences."""
    rows, init = results["rows"], results["face"]["init"]
    lost, seen = rows["lost"], rows["frames"]
    said = (
        f"{seen} frame{'s' * (seen != 1)}: {rows['accepted']} accepted, "
        f"{rows['beyond_the_gate'] or 'none'} beyond the gate, {lost or 'none'} without a face"
    )
    if again := rows["found_again"]:
        said += f"; lost and found again {again} time{'s' * (again != 1)}"
    lines = [f"{said}."]
    if init == "box":
        lines.append(
            "Initialised by a face box, without landmarks: positions and angles are biased "
            "throughout (init=box)."
        )
    if degrees := results["degrees"]:
        each = (
            f"{name} {found['lowest']:+.0f} to {found['highest']:+.0f}"
            for name, found in degrees.items()
        )
        lines.append(f"Degrees in the accepted frames: {', '.join(each)}.")
    lines.append(_learned(results))
    if rate := results["speed"]["frames_per_second"]:
        lines.append(
            f"Tracked at {rate:.3g} frames per second; the start took "
            f"{results['speed']['start_up_seconds']:.0f} s more, and drawing and the page are "
            "not counted."
        )
    return lines


def _learned(results: Mapping[str, Any]) -> str:
    """In how many frames the appearance learned."""
    rows, gates = results["rows"], results["gates"]
    said = f"The appearance learned in {rows['learned_from']} of {rows['frames']} frames"
    if gates["accepted_frames_behind_them"] < FRAMES:
        return (
            f"{said}; the bound for it is not calibrated yet, which takes {FRAMES} accepted frames."
        )
    if (bound := gates["learned_below"]) is None:
        return f"{said}."
    return f"{said}: above an energy of {bound:.4g} nothing is learned."


def details(results: Mapping[str, Any]) -> list[str]:
    """What a clip was tracked with, in a few lines for a terminal; the page has them as facts."""
    clip, model, gates = results["clip"], results["model"], results["gates"]
    scale, face = results["working_scale"], results["face"]
    rate, apart = format_cell(clip["frames_per_second"]), scale["frame_pixels_per_pixel"]
    claimed, decoded = format_cell(clip["frames_claimed"]), clip["frames_decoded"]
    counted = (
        f"{claimed} frames claimed, {decoded} decoded"
        if clip["decoded_to_its_end"]
        else f"the first {decoded} of {claimed} frames claimed were decoded, as asked for"
    )
    box = f" box {format_cell(face['box'])}," if face["box"] else ""
    reduced = f"; the tracker works on the frame reduced {apart} times" if apart > 1 else ""
    energies = ", ".join(f"{name.replace('_', ' ')} {format_cell(gates[name])}" for name in _GATES)
    bias = ", ".join(
        f"{name} {value:+.2f}"
        for name, value in zip(
            ("pitch", "yaw", "roll"), results["bias_in_the_first_frame_degrees"], strict=True
        )
    )
    return [
        f"{clip['name']}: {clip['size']}, {clip['container']} ({clip['codec']}), {rate} frames per "
        f"second; {counted}",
        f"Model: {model['name']}; {model['landmarks']} landmarks, {model['tracked_vertices']} "
        f"tracked vertices; units: {listed(model['units'])}",
        f"Face: frame {face['frame']}, init={face['init']},{box} "
        f"{face['outer_eye_corners_px']:.0f} px between the eyes' outer corners{reduced}",
        f"Energy: {energies} (from {gates['accepted_frames_behind_them']} frames)",
        f"A search in the first frame ends beside its fit by {bias} degrees",
    ]


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Facts without what stands elsewhere on the page."""
    return {k: v for k, v in flatten(values).items() if k != "notes" and v not in (None, [], {})}


def pose_figure(track: Table) -> Figure:
    """Yaw, pitch and roll over time, each with its bands."""
    figure = Figure(figsize=(7.6, 5.6), dpi=150, layout="constrained")
    held = track["lost"] == 0
    for axes, name in zip(figure.subplots(3, 1, sharex=True), ANGLES, strict=True):
        time, values = track["time"], np.where(held, track[name], np.nan)
        for column, alpha in ((f"{name}_sd", 0.18), (f"{name}_sd_raw", 0.45)):
            reach = NINETY * track[column]
            axes.fill_between(time, values - reach, values + reach, color=BLUE, alpha=alpha, lw=0)
        axes.plot(time, values, color=BLUE, lw=1.2)
        kept = track["accepted"] == 1
        if kept.any():
            # A search that left the face may end anywhere, and where it is half gone the band is
            # wider than all that is to be seen.
            low, high = np.min(track[name][kept]), np.max(track[name][kept])
            room = max(0.08 * (high - low), 2 * NINETY * np.median(track[f"{name}_sd"][kept]), 0.5)
            axes.set_ylim(low - room, high + room)
        _shade_lost(axes, track)
        tidy(axes, name)
        axes.set_ylabel("degrees", fontsize=8)
    axes.set_xlabel("seconds", fontsize=8)
    return figure


def animation_figure(track: Table, units: Sequence[str]) -> Figure:
    """A row for each animation unit, or the first of very many: absolute, and less its median."""
    asked, units = units, units[:MOST_PANELS]
    figure = Figure(figsize=(7.6, 0.5 + 1.25 * len(units)), dpi=150, layout="constrained")
    panels = figure.subplots(len(units), 2, sharex=True, sharey="row", squeeze=False)
    for row, name in zip(panels, units, strict=True):
        for axes, column in zip(row, (name, f"{name}_relative"), strict=True):
            axes.axhline(0, color=FAINT, lw=0.8)
            held = np.where(track["lost"] == 0, track[column], np.nan)
            axes.plot(track["time"], held, color=GREEN, lw=1)
            _shade_lost(axes, track)
            said = column.removesuffix("_relative").replace("_", " ")
            tidy(axes, cut(said, LONGEST_PANEL) + ", relative" * (column != name))
    for axes in panels[-1]:
        axes.set_xlabel(said_of("seconds", units, asked, "units"), fontsize=8)
    return figure


def energy_figure(track: Table, gates: Mapping[str, float | None]) -> Figure:
    """Energy with its bounds, as they stand in results.json, confidence and flags."""
    figure = Figure(figsize=(7.6, 5.4), dpi=150, layout="constrained")
    energy, confidence, flags = figure.subplots(
        3, 1, sharex=True, gridspec_kw={"height_ratios": [2.2, 1.3, 1]}
    )
    time = track["time"]
    energy.plot(time, track["energy"], color=INK, lw=1)
    for name, colour in _GATES.items():
        if (value := gates[name]) is not None:
            label = name.replace("_", " ")
            energy.axhline(value, color=colour, lw=1, ls=(0, (4, 2)), label=label)
    energy.set_yscale("log")
    if any(gates[name] is not None for name in _GATES):
        figure.legend(loc="outside upper right", ncols=len(_GATES), frameon=False, fontsize=8)
    tidy(energy, "mean energy of the visible vertices")
    confidence.plot(time, track["confidence"], color=BLUE, lw=1.2)
    confidence.set_ylim(-0.03, 1.03)
    tidy(confidence, "confidence")
    beyond = (track["accepted"] == 0) & (track["lost"] == 0)
    marks = {
        "lost": (track["lost"] > 0, RED),
        "found again": (track["reinitialised"] > 0, BLUE),
        "beyond the gate": (beyond, FAINT),
    }
    for place, (where, colour) in enumerate(marks.values()):
        when = time[where]
        flags.plot(when, np.full(len(when), place), "|", color=colour, ms=10, mew=1)
    flags.set_yticks(range(len(marks)), list(marks))
    flags.set_ylim(len(marks) - 0.4, -0.6)
    tidy(flags, "flags", grid="x")
    flags.set_xlabel("seconds", fontsize=8)
    return figure


def _shade_lost(axes: Axes, track: Table) -> None:
    """Frames without a face in red over the whole height, each as wide as its share of time."""
    time, lost = track["time"], np.concatenate([[0], track["lost"] > 0, [0]]).astype(int)
    half = 0.5 * float(np.median(np.diff(time))) if len(time) > 1 else 0.5
    (begins,), (ends,) = np.nonzero(np.diff(lost) > 0), np.nonzero(np.diff(lost) < 0)
    for begin, end in zip(begins, ends, strict=True):
        axes.axvspan(time[begin] - half, time[end - 1] + half, color=RED, alpha=0.15, lw=0)


def thinned(track: Table) -> tuple[Table, int]:
    """Every so-manieth row of a long clip, for figures of a bounded size; and the step."""
    step = -(-len(track["frame"]) // MOST_POINTS)
    return {name: values[::step] for name, values in track.items()}, step
