"""The page of `track`: pose and animation over time, how sure, and where the face was lost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_forensics.faces.camera import CONVENTION
from gan_forensics.faces.rows import ANGLES, Table
from gan_forensics.report.html import Block, Facts, Link, Picture, Section, write_report
from gan_forensics.report.plots import COLOURS, FAINT, INK, literal, tidy
from gan_forensics.report.run import flatten

BLUE, RED, GREEN = COLOURS[1], COLOURS[2], COLOURS[3]
# Of a normal distribution: half the width of an interval that holds 90 % of it.
NINETY = 1.645
BOX_WARNING = (
    "Warning: no landmarks were given and no detector of landmarks: the mean face was laid on the "
    "face box. A box is no initialisation: positions are off by several pixels and the pose by "
    "degrees in every frame, by about as much as in the first one, and no gate can tell. Changes "
    "over time are truer than levels. Give --init or --landmarks."
)
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
    blocks: list[Block] = [
        Picture(image, alt=f"The face with its wireframe, {caption}", caption=caption)
        for caption, image in stills
    ]
    if video is not None:
        blocks.insert(0, Link(f"{video.name}: the whole clip with the overlay", video.name))
    boxed = "box" in track["init"]
    return write_report(
        path,
        title=f"A face in {results['clip']['name']}",
        lead=lead(track, results),
        sections=[
            Section(
                "The face in its frames",
                [*([BOX_WARNING] if boxed else []), *results["notes"], *blocks],
            ),
            Section(
                "Head pose",
                [
                    f"Convention: {CONVENTION}.",
                    Picture(
                        pose_figure(track),
                        alt="Yaw, pitch and roll in degrees over seconds",
                        caption="Line: the estimate. Band: where the angle lies in 90 of 100 cases "
                        "by the calibrated deviation (pale) and by the tracker's own (dark). Red: "
                        "lost, where the line says nothing.",
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
                        caption="Left: absolute. Right: relative to the median of the frames that "
                        "were not lost.",
                    ),
                ],
            ),
            Section(
                "How well the face fits",
                [
                    Picture(
                        energy_figure(track, results.get("gates", {})),
                        alt="Energy with its gates, confidence, visible landmarks and flags",
                        caption="Energy: mean over the visible landmarks of the squared distance "
                        "from the appearance that was learned, in its own deviations; its gates "
                        "come from the first accepted frames of this clip.",
                    )
                ],
            ),
            Section("Numbers", [Facts(_plain(results))]),
            Section("Settings", [METHOD, Facts(_plain(config))]),
        ],
    )


def lead(track: Table, results: Mapping[str, Any]) -> str:
    """What became of a clip, in two sentences."""
    seen, lost = len(track["frame"]), int(track["lost"].sum())
    held = track["lost"] == 0
    turned = ", ".join(
        f"{name} {np.nanmin(track[name][held]):.0f} to {np.nanmax(track[name][held]):.0f}"
        for name in ANGLES
        if held.any()
    )
    again = int(track["reinitialised"].sum())
    said = f"{seen} frames, of which {seen - lost} were tracked"
    said += f" and {lost} were lost" if lost else ""
    said += f" ({again} times found again)" if again else ""
    speed = results["speed"].get("frames_per_second")
    said += f"; {speed:.3g} frames per second" if speed else ""
    return f"{said}. In degrees: {turned}." if turned else f"{said}."


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Facts without what stands elsewhere on the page."""
    return {k: v for k, v in flatten(values).items() if k != "notes" and v not in (None, [], {})}


def pose_figure(track: Table) -> Figure:
    """Yaw, pitch and roll over time, each with its bands."""
    figure = Figure(figsize=(7.6, 5.6), dpi=150, layout="constrained")
    for axes, name in zip(figure.subplots(3, 1, sharex=True), ANGLES, strict=True):
        time, values = track["time"], track[name]
        for column, alpha in ((f"{name}_sd", 0.18), (f"{name}_sd_raw", 0.45)):
            reach = NINETY * track[column]
            axes.fill_between(time, values - reach, values + reach, color=BLUE, alpha=alpha, lw=0)
        axes.plot(time, values, color=BLUE, lw=1.2)
        _shade_lost(axes, track)
        tidy(axes, name)
        axes.set_ylabel("degrees", fontsize=8)
    axes.set_xlabel("seconds", fontsize=8)
    return figure


def animation_figure(track: Table, units: Sequence[str]) -> Figure:
    """A row for each animation unit: absolute and relative to the clip's median."""
    figure = Figure(figsize=(7.6, 0.5 + 1.25 * len(units)), dpi=150, layout="constrained")
    panels = figure.subplots(len(units), 2, sharex=True, sharey="row", squeeze=False)
    for row, name in zip(panels, units, strict=True):
        for axes, column in zip(row, (name, f"{name}_relative"), strict=True):
            axes.axhline(0, color=FAINT, lw=0.8)
            axes.plot(track["time"], track[column], color=GREEN, lw=1)
            _shade_lost(axes, track)
            tidy(axes, column.replace("_relative", ", relative").replace("_", " "))
    for axes in panels[-1]:
        axes.set_xlabel("seconds", fontsize=8)
    return figure


def energy_figure(track: Table, gates: Mapping[str, float]) -> Figure:
    """Energy with its gates, confidence, visible landmarks, and the flags of each frame."""
    figure = Figure(figsize=(7.6, 5.4), dpi=150, layout="constrained")
    energy, confidence, flags = figure.subplots(
        3, 1, sharex=True, gridspec_kw={"height_ratios": [2.2, 1.3, 1]}
    )
    time = track["time"]
    energy.plot(time, track["energy"], color=INK, lw=1)
    for index, (name, value) in enumerate(gates.items()):
        colour = (RED, BLUE, GREEN)[index % 3]
        energy.axhline(value, color=colour, lw=1, ls=(0, (4, 2)), label=literal(name))
    if np.nanmax(track["energy"], initial=0.0) > 0:
        energy.set_yscale("log")
    if gates:
        energy.legend(frameon=False, fontsize=8, loc="upper right")
    tidy(energy, "energy per visible landmark")
    confidence.plot(time, track["confidence"], color=BLUE, lw=1.2)
    confidence.set_ylim(-0.03, 1.03)
    tidy(confidence, "confidence")
    names = {"lost": RED, "reinitialised": BLUE, "not updated": FAINT}
    marked = {**track, "not updated": ((track["updated"] == 0) & (track["lost"] == 0)).astype(int)}
    for place, (name, colour) in enumerate(names.items()):
        when = time[np.asarray(marked[name]) > 0]
        flags.plot(when, np.full(len(when), place), "|", color=colour, ms=10, mew=1)
    flags.set_yticks(range(len(names)), ["lost", "re-initialised", "not updated"])
    flags.set_ylim(len(names) - 0.4, -0.6)
    tidy(flags, "flags", grid="x")
    flags.set_xlabel("seconds", fontsize=8)
    return figure


def _shade_lost(axes: Axes, track: Table) -> None:
    """Frames without a face that was found, in red over the whole height."""
    axes.fill_between(
        track["time"], 0, 1, where=(track["lost"] > 0).tolist(), color=RED, alpha=0.15, lw=0,
        transform=axes.get_xaxis_transform(),
    )  # fmt: skip
