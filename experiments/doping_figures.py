"""Pictures of the DOPING experiment: worlds in both spaces, radius curves, paired gains."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_forensics.report.figures import Figure
from gan_forensics.report.plots import COLOURS, FAINT, INK, tidy

NORMAL, ANOMALY, *SHELLS = COLOURS[1:]


def world_figure(sweep: Mapping[str, Any], *, scale: float) -> Figure:
    """Codes with the prior's circles (left) and rows (right), with shells in both."""
    picture = sweep["picture"]
    y = np.array(picture["y"])
    figure = Figure(figsize=(8.4, 3.9), dpi=150, layout="constrained")
    latent, data = figure.subplots(1, 2)
    spaces = ("codes", latent, "latent space"), ("x", data, "data space (first two columns)")
    for name, axes, title in spaces:
        points = np.array(picture[name])[:, :2]
        for label, name, colour in ((0, "normal", NORMAL), (1, "anomaly", ANOMALY)):
            axes.scatter(*points[y == label].T, s=4, color=colour, alpha=0.5, lw=0, label=name)
        tidy(axes, title)
    angles = np.linspace(0, 2 * np.pi, 200)
    for colour, (radius, rows) in zip(SHELLS, picture["shells"].items(), strict=False):
        r = float(radius)
        latent.plot(r * np.cos(angles), r * np.sin(angles), color=colour, lw=1.4)
        rows = np.array(rows)[:, :2]
        label = f"shell r = {r:g} ({r / scale:g} dev.)"
        data.scatter(*rows.T, s=12, marker="x", lw=0.9, color=colour, label=label)
    # Far extrapolations would squeeze the rows into a dot.
    low, high = np.min(picture["x"], 0)[:2], np.max(picture["x"], 0)[:2]
    reach = 0.6 * (high - low).max()
    middle = (low + high) / 2
    data.set(
        xlim=(middle[0] - reach, middle[0] + reach), ylim=(middle[1] - reach, middle[1] + reach)
    )
    latent.set_aspect("equal", adjustable="datalim")
    data.set_aspect("equal")
    handles, labels = data.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncol=5, frameon=False, fontsize=7.5)
    return figure


def radius_figure(sweeps: Sequence[Mapping[str, Any]], *, headline: float) -> Figure:
    """AUC against the radius of the shell, with deviations over seeds; dashed: without doping."""
    worlds = list(dict.fromkeys(sweep["world"] for sweep in sweeps))
    figure = Figure(figsize=(2.9 * len(worlds) + 0.4, 3.2), dpi=150, layout="constrained")
    panels = figure.subplots(1, len(worlds), squeeze=False)[0]
    for axes, world in zip(panels, worlds, strict=True):
        members = [sweep for sweep in sweeps if sweep["world"] == world]
        for sweep, colour in zip(members, (NORMAL, ANOMALY), strict=False):
            radii = [row["radius"] for row in sweep["radii"]]
            mean = np.array([row["auc"] for row in sweep["radii"]])
            spread = np.array([row["auc_std"] or 0.0 for row in sweep["radii"]])
            axes.fill_between(radii, mean - spread, mean + spread, color=colour, alpha=0.15, lw=0)
            axes.plot(radii, mean, color=colour, marker="o", ms=3, lw=1.4, label=sweep["variant"])
        none = members[0]["none"]["auc"]
        axes.axhline(none, color=INK, lw=1, ls=(0, (4, 2)), label="no doping")
        axes.axvline(headline, color=FAINT, lw=0.8, ls=(0, (1, 2)))
        axes.set(xscale="log", xlabel="radius of the shell")
        tidy(axes, f"world {world}")
    panels[0].set_ylabel("AUC of the isolation forest")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncol=3, frameon=False, fontsize=8)
    return figure


def gains_figure(tables: Sequence[Mapping[str, Any]], *, detector: str, metric: str) -> Figure:
    """Paired gains over no augmentation with 95 % intervals, a panel for each table."""
    columns = min(4, len(tables))
    rows = -(-len(tables) // columns)
    names = [
        row["augmentation"]
        for row in tables[0]["rows"]
        if row["detector"] == detector and f"{metric}_gain" in row
    ]
    figure = Figure(
        figsize=(1.9 + 1.75 * columns, rows * (0.9 + 0.21 * len(names))),
        dpi=150,
        layout="constrained",
    )
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for index, axes in enumerate(panels.flat):
        if index >= len(tables):
            axes.set_visible(False)
            continue
        members = {
            row["augmentation"]: row for row in tables[index]["rows"] if row["detector"] == detector
        }
        axes.axvline(0, color=FAINT, lw=1)
        for place, name in enumerate(names):
            mean, low, high = members[name][f"{metric}_gain"]
            clear = low is not None and (low > 0 or high < 0)
            colour = (NORMAL if mean > 0 else ANOMALY) if clear else FAINT
            if low is not None:
                axes.plot([low, high], [place, place], color=colour, lw=1.6)
            axes.plot([mean], [place], "o", color=colour, ms=4)
        axes.set_yticks(range(len(names)), names)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.locator_params(axis="x", nbins=4)
        tidy(axes, tables[index]["task"]["name"])
    label = {"average_precision": "average precision", "f1": "F1"}.get(metric, metric)
    figure.supxlabel(f"gain in {label}\n{detector.replace('_', ' ')}, against none", fontsize=9)
    return figure
