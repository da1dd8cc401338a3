"""Figures of shares against the strength of perturbations, a small panel for each family."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gan_forensics.report.figures import MOST_CURVES, Figure, literal, said_of
from gan_forensics.report.plots import FAINT, LONGEST_TITLE, curve_style, tidy

COLUMNS = 4
PLAIN = "as is"


class Point(NamedTuple):
    """A share at a strength, None for images as they are, with the ends of its interval."""

    strength: float | None
    value: float
    low: float
    high: float


class Panel(NamedTuple):
    """Curves of a family of perturbations.

    Attributes:
        title: above it.
        axis: what the strength is.
        series: name -> points, all from mild to strong.
    """

    title: str
    axis: str
    series: Mapping[str, Sequence[Point]]


def strength_figure(panels: Sequence[Panel], *, title: str = "", value_label: str = "") -> Figure:
    """Curves over the strength with their intervals, strengths at equal distances.

    Of more than `MOST_CURVES` the first ones are drawn, which the figure says.

    Args:
        panels: colours follow the first one's series.
        title: above the panels.
        value_label: of the value axes.

    Raises:
        ValueError: when there is nothing to draw.
    """
    if not panels:
        raise ValueError("nothing to draw: give a Panel for each family of perturbations")
    columns = min(COLUMNS, len(panels))
    rows = math.ceil(len(panels) / columns)
    asked = list(panels[0].series)
    names = asked[:MOST_CURVES]
    legend = math.ceil(len(names) / 3)
    size = (7.6, 0.7 + 0.2 * legend + 1.75 * rows)
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in list(grid.flat)[len(panels) :]:
        axes.set_visible(False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        series = {name: points for name, points in panel.series.items() if name in names}
        places = {
            strength: place
            for place, strength in enumerate(
                dict.fromkeys(p.strength for points in series.values() for p in points)
            )
        }
        for name, points in series.items():
            colour, dash = curve_style(1 + names.index(name))
            x = [places[point.strength] for point in points]
            axes.plot(
                x, [p.value for p in points], color=colour, ls=dash, lw=1.5, label=literal(name)
            )
            axes.vlines(x, [p.low for p in points], [p.high for p in points], color=colour, lw=0.6)
        tidy(axes, panel.title)
        axes.set_title(literal(panel.title), loc="left", fontsize=8)
        words = [PLAIN if strength is None else f"{strength:g}" for strength in places]
        axes.set_xticks(range(len(words)), words, fontsize=6)
        axes.set(ylim=(-0.03, 1.03))
        axes.set_xlabel(literal(panel.axis), fontsize=7)
    figure.supylabel(literal(value_label), fontsize=8)
    if said := said_of("", names, asked, "curves"):
        figure.supxlabel(said, fontsize=8, color=FAINT)
    figure.suptitle(literal(title, most=LONGEST_TITLE), fontsize=10, x=0.02, ha="left")
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3, frameon=False, fontsize=8)
    return figure
