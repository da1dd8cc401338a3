"""Figures of shares against the severity of corruptions, a small panel for each kind."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from gan_forensics.report.plots import curve_style, tidy

COLUMNS = 4


class Point(NamedTuple):
    """A share at a severity, 0 for images as they are, with the ends of its interval."""

    severity: int
    value: float
    low: float
    high: float


def severity_figure(
    panels: Mapping[str, Mapping[str, Sequence[Point]]], *, title: str = "", value_label: str = ""
) -> Figure:
    """Curves over the severity with their intervals.

    Args:
        panels: kind -> series -> points by severity; colours follow the first panel's series.
        title: above the panels.
        value_label: of the value axes.

    Raises:
        ValueError: when there is nothing to draw.
    """
    if not panels:
        raise ValueError("no kind to draw: give kind -> series -> points")
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(7.6, 0.9 + 1.55 * rows), dpi=150, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    names = list(next(iter(panels.values())))
    for index, axes in enumerate(grid.flat):
        if index >= len(panels):
            axes.set_visible(False)
            continue
        kind, series = list(panels.items())[index]
        for name, points in series.items():
            colour, dash = curve_style(1 + names.index(name))
            x = [point.severity for point in points]
            axes.plot(x, [p.value for p in points], color=colour, ls=dash, lw=1.5, label=name)
            axes.vlines(x, [p.low for p in points], [p.high for p in points], color=colour, lw=0.6)
        tidy(axes, kind.replace("_", " "))
        axes.set_title(axes.get_title(loc="left"), loc="left", fontsize=8)
        axes.set(ylim=(-0.03, 1.03), xticks=range(6))
        if index + columns >= len(panels):
            axes.set_xlabel("severity", fontsize=8)
            axes.tick_params(labelbottom=True)
    figure.supylabel(value_label, fontsize=8)
    figure.suptitle(title, fontsize=10, x=0.02, ha="left")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3, frameon=False, fontsize=8)
    return figure
