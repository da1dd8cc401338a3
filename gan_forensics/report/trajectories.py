"""Figures of training followed: a measure over steps, seed by seed, and points over time."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from gan_forensics.report.figures import Figure, literal
from gan_forensics.report.plots import COLOURS, FAINT, INK

COLUMNS = 4
_REAL = "#b8b8b8"


class Trajectory(NamedTuple):
    """A measure of several seeds over training.

    Attributes:
        steps: of the looks.
        values: [seed][look]; None or NaN where a seed had stopped.
    """

    steps: Sequence[int]
    values: Sequence[Sequence[float | None]]


def trajectories_figure(
    trajectories: Mapping[str, Trajectory], *, ylabel: str, top: float | None = None
) -> Figure:
    """A panel for each name: every seed pale, their mean bold.

    Args:
        trajectories: by name, in the order of the panels.
        ylabel: what is measured.
        top: a dashed line: what cannot be exceeded, or would be perfect.

    Raises:
        ValueError: when there is none.
    """
    if not trajectories:
        raise ValueError("no trajectory to draw: give name -> (steps, values)")
    columns = min(COLUMNS, len(trajectories))
    rows = math.ceil(len(trajectories) / columns)
    figure = Figure(figsize=(2.5 * columns + 0.6, 1.9 * rows + 0.4), dpi=140, layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for place, panel in enumerate(panels.flat):
        if place >= len(trajectories):
            panel.set_visible(False)
            continue
        name, (steps, values) = list(trajectories.items())[place]
        table = np.array([[np.nan if v is None else v for v in row] for row in values], float)
        for row in table:
            panel.plot(steps, row, color=COLOURS[1], lw=0.8, alpha=0.4)
        seen = np.isfinite(table).all(0)
        panel.plot(np.asarray(steps)[seen], table[:, seen].mean(0), color=COLOURS[1], lw=2)
        if top is not None:
            panel.axhline(top, color=FAINT, lw=0.9, ls=(0, (4, 3)))
        panel.set_title(literal(name), fontsize=8, color=INK)
        panel.tick_params(labelsize=7)
        panel.spines[["top", "right"]].set_visible(False)
        # With what is shared, only outer panels keep their numbers.
        below = place + columns < len(trajectories)
        panel.tick_params(labelbottom=not below)
    figure.supxlabel("steps", fontsize=8)
    figure.supylabel(literal(ylabel), fontsize=8)
    return figure


def sample_figure(points: Float[np.ndarray, "n d"]) -> Figure:
    """Points with axes: a histogram on a line, else the first two coordinates."""
    figure = Figure(figsize=(5, 5 if points.shape[1] > 1 else 3.2), dpi=140, layout="constrained")
    panel = figure.subplots()
    panel.spines[["top", "right"]].set_visible(False)
    if points.shape[1] == 1:
        panel.hist(points[:, 0], 60, density=True, color=COLOURS[1])
        panel.set_xlabel("x")
        panel.set_ylabel("density")
    else:
        panel.scatter(*points[:, :2].T, s=5, color=COLOURS[1], alpha=0.6, lw=0)
        panel.set_xlabel("first coordinate")
        panel.set_ylabel("second coordinate")
        panel.set_aspect("equal", adjustable="datalim")
    more = f", 2 of {points.shape[1]} coordinates" if points.shape[1] > 2 else ""
    panel.set_title(f"{len(points):,} generated points{more}", fontsize=9, color=INK)
    return figure


def points_figure(
    kept: Mapping[str, Mapping[str, Any]], real: Float[np.ndarray, "n d"], *, columns: int = 5
) -> Figure:
    """Points of the first seed over training: a row for each name, a column for each look.

    Points in the plane are dots over the real ones in gray; points on a line are their density over
    that of the real ones.

    Args:
        kept: name -> step, as text -> points [m, d].
        real: points of the data.
        columns: looks shown, at most.
    """
    looks = {name: list(some.items())[:columns] for name, some in kept.items()}
    width = max(len(some) for some in looks.values())
    rows = len(looks)
    size = (1.5 * width + 1.1, (1.5 if real.shape[1] > 1 else 1.1) * rows + 0.3)
    figure = Figure(figsize=size, dpi=140, layout="constrained")
    panels = figure.subplots(rows, width, squeeze=False, sharex=True, sharey=True)
    low, high = real.min(0), real.max(0)
    margin = 0.12 * (high - low)
    for row, (name, some) in enumerate(looks.items()):
        for column, panel in enumerate(panels[row]):
            panel.set_xticks([])
            panel.set_yticks([])
            if column >= len(some):
                panel.set_visible(False)
                continue
            step, points = some[column][0], np.asarray(some[column][1], float)
            panel.set_xlim(low[0] - margin[0], high[0] + margin[0])
            if real.shape[1] == 1:
                bins = np.linspace(low[0] - margin[0], high[0] + margin[0], 40).tolist()
                panel.hist(real[:, 0], bins, density=True, color=_REAL)
                inside = points[:, 0]
                panel.hist(inside, bins, density=True, histtype="step", color=COLOURS[1], lw=1.2)
                panel.set_ylim(0, 0.8)
            else:
                panel.scatter(*real[:1500, :2].T, s=1, color=_REAL, lw=0)
                panel.scatter(*points[:, :2].T, s=2.5, color=COLOURS[1], lw=0)
                panel.set_ylim(low[1] - margin[1], high[1] + margin[1])
                panel.set_aspect("equal")
            if row == 0:
                panel.set_title(f"step {int(step):,}", fontsize=7, color=INK)
            if column == 0:
                panel.set_ylabel(
                    literal(name).replace(" + ", "\n+ ").replace(", ", ",\n"),
                    fontsize=7,
                    rotation=0,
                    ha="right",
                    va="center",
                )
    return figure
