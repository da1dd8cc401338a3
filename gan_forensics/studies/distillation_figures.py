"""Figures of the grid: accuracy and diffusion over temperature, and features in planes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gan_forensics.report.figures import Figure, literal
from gan_forensics.report.plots import COLOURS, FAINT, INK, tidy
from gan_forensics.studies.distillation import ARMS, HARD, MATCHED, SMOOTH
from gan_forensics.studies.distillation_verdicts import (
    ONE,
    TAUGHT_BY,
    Seeds,
    accuracies,
    diffusion,
    others,
    temperatures,
)

_COLOUR = {HARD: COLOURS[1], SMOOTH: COLOURS[2], MATCHED: COLOURS[6]}
_PART = {"train": "training samples", "validation": "validation samples"}


def accuracy_figure(seeds: Seeds) -> Figure:
    """Test accuracy of students over T, with one deviation of seeds; lines: without a teacher."""
    figure = Figure(figsize=(7.2, 3.8), dpi=140, layout="constrained")
    axes = figure.subplots()
    grid = temperatures(seeds)
    for shift, arm in zip((-0.06, 0.06, 0), ARMS, strict=True):
        values = np.stack([accuracies(seeds, arm, t) for t in grid])
        axes.errorbar(
            np.arange(len(grid)) + shift,
            values.mean(1),
            _deviation(values),
            color=_COLOUR[arm],
            marker="o",
            ms=4,
            capsize=3,
            lw=1.6,
            label=f"students of the {TAUGHT_BY[arm]}",
        )
    for labels, dash in ((HARD, "--"), (SMOOTH, ":")):
        axes.axhline(
            others(seeds, "alone", labels).mean(),
            color=FAINT,
            ls=dash,
            lw=1.2,
            label=f"no teacher, {labels} labels",
        )
    _over(axes, grid)
    axes.set_ylabel("test accuracy, %")
    axes.legend(fontsize=7, frameon=False)
    tidy(axes, "")
    return figure


def diffusion_figure(seeds: Seeds) -> Figure:
    """The mean diffusion index from T = 1 on, to similar classes and to all others."""
    figure = Figure(figsize=(8, 3.2), dpi=140, layout="constrained")
    grid = [t for t in temperatures(seeds) if t != ONE]
    for axes, part in zip(figure.subplots(1, 2, sharey=True), _PART, strict=True):
        for arm in ARMS:
            values = np.stack([diffusion(seeds, arm, t, part) for t in grid])  # [t, seeds, 2]
            for side, dash in ((0, "-"), (1, ":")):
                axes.errorbar(
                    np.arange(len(grid)),
                    values[..., side].mean(1),
                    _deviation(values[..., side]),
                    color=_COLOUR[arm],
                    ls=dash,
                    marker="o",
                    ms=3,
                    capsize=2,
                    lw=1.4,
                    label=f"{TAUGHT_BY[arm]}, to {'others' if side else 'similar classes'}",
                )
        axes.axhline(0, color=FAINT, lw=0.8)
        _over(axes, grid)
        tidy(axes, _PART[part])
    figure.axes[0].set_ylabel("index; above 0: closer")
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, fontsize=7, frameon=False, loc="outside lower center", ncols=3)
    return figure


def plane_figure(models: Mapping[str, Any], names: Sequence[str]) -> Figure:
    """Points of three classes: a column for each model, training above validation samples.

    Args:
        models: name -> part -> points of each class.
        names: of the three classes.
    """
    figure = Figure(figsize=(1.75 * len(models) + 0.3, 3.9), dpi=140, layout="constrained")
    panels = figure.subplots(len(_PART), len(models), squeeze=False)
    for column, (model, parts) in enumerate(models.items()):
        for row, part in enumerate(_PART):
            panel = panels[row, column]
            for colour, name, points in zip(COLOURS[1:], names, parts[part], strict=False):
                x, y = np.asarray(points).T
                panel.scatter(x, y, s=4, color=colour, lw=0, alpha=0.7, label=literal(name))
            # Validation samples on the axes of the training ones.
            whole = np.concatenate([np.concatenate(some) for some in parts.values()])
            low, high = whole.min(0), whole.max(0)
            margin = 0.06 * (high - low)
            panel.set(xlim=(low[0] - margin[0], high[0] + margin[0]))
            panel.set(ylim=(low[1] - margin[1], high[1] + margin[1]), xticks=[], yticks=[])
            if row == 0:
                panel.set_title(
                    literal(model).replace(" teacher", "\nteacher").replace(", ", "\n"),
                    fontsize=7,
                    color=INK,
                )
            if column == 0:
                panel.set_ylabel(_PART[part], fontsize=7)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        fontsize=7,
        frameon=False,
        loc="outside lower center",
        ncols=3,
        markerscale=3,
    )
    return figure


def _deviation(values: np.ndarray) -> np.ndarray | None:
    return values.std(1, ddof=1) if values.shape[1] > 1 else None


def _over(axes: Axes, grid: Sequence[str]) -> None:
    axes.set_xticks(np.arange(len(grid)), list(grid))
    axes.set_xlabel("temperature T")
