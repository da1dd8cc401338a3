"""The figures of the InfoMax-GAN experiment: arrays in, `Figure` out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from gan_forensics.report.figures import Figure
from gan_forensics.report.plots import COLOURS, FAINT, INK, label_ends, tidy

LABELS = {"without": "without InfoNCE", "with": "with InfoNCE"}


def forgetting_figure(result: Mapping[str, Any], looks: int) -> Figure:
    """Accuracy on the current task, and on all tasks seen so far, over the sequence of tasks."""
    current = np.asarray(result["current"])
    tasks = len(current) // looks
    figure = Figure(figsize=(7.6, 5.2), dpi=150, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    x = (np.arange(len(current)) + 1) / looks
    for colour, (arm, runs) in zip(COLOURS[1:], result["curves"].items(), strict=False):
        accuracy = np.asarray(runs)[:, 1:]
        own = np.take_along_axis(accuracy, current[None, :, None], axis=2)[..., 0]
        _band(upper, x, own, colour, LABELS[arm])
        seen = np.stack(
            [
                accuracy[:, i, np.unique(current[: i // looks * looks + 1])].mean(-1)
                for i in range(len(current))
            ],
            axis=1,
        )
        _band(lower, x, seen, colour, LABELS[arm])
    classes = len(np.unique(current))
    for axes, title in (
        (upper, "Accuracy on the current task"),
        (lower, "Mean accuracy on all tasks seen so far"),
    ):
        for task in range(tasks + 1):
            cycle = task % classes == 0
            axes.axvline(task, color=FAINT if cycle else "#dddddd", lw=1.2 if cycle else 0.6)
        axes.axhline(0.5, color=FAINT, lw=0.8, ls=(0, (2, 2)))
        tidy(axes, title, grid="y")
    lower.set(xlim=(0, tasks), xlabel=f"task ({classes} classes a cycle; dots: chance)")
    upper.legend(frameon=False, fontsize=8, loc="lower right", ncols=2)
    return figure


def diversity_figure(result: Mapping[str, Any]) -> Figure:
    """InfoNCE and its accuracy of diverse and collapsed batches, over training."""
    figure = Figure(figsize=(7.6, 3.4), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    steps = np.asarray(result["steps"])
    ends = []
    for colour, (kind, runs) in zip(COLOURS[1:], result["loss"].items(), strict=False):
        _band(left, steps, np.asarray(runs), colour, kind)
        ends.append((float(np.mean(runs, axis=0)[-1]), kind, colour))
        _band(right, steps, np.asarray(result["accuracy"][kind]), colour, kind)
    left.axhline(result["bound"], color=FAINT, lw=1, ls=(0, (2, 2)))
    tidy(left, "InfoNCE, nats (dots: log(1 + (N-1) L))", grid="y")
    tidy(right, "InfoNCE accuracy", grid="y")
    label_ends(left, ends)
    for axes in (left, right):
        axes.set_xlabel("training steps")
    return figure


def modes_figure(result: Mapping[str, Any]) -> Figure:
    """Every GAN as a dot, methods as columns; the mean as a line, real images dotted."""
    methods = list(dict.fromkeys(row["method"] for row in result["rows"]))
    seeds = list(dict.fromkeys(row["seed"] for row in result["rows"]))
    panels = (
        ("seen", "modes seen"),
        ("half_share", "half share"),
        ("effective", "effective modes"),
        ("kl", "KL, nats"),
        ("frechet", "Frechet distance"),
    )
    figure = Figure(figsize=(9.6, 3.0), dpi=150, layout="constrained")
    for axes, (name, title) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for place, method in enumerate(methods):
            rows = [row for row in result["rows"] if row["method"] == method]
            colour = COLOURS[1 + place]
            offsets = [0.08 * (seeds.index(row["seed"]) - (len(seeds) - 1) / 2) for row in rows]
            values = [row[name] for row in rows]
            axes.plot([place + offset for offset in offsets], values, "o", color=colour, ms=5)
            mean = float(np.mean(values))
            axes.plot([place - 0.28, place + 0.28], [mean, mean], color=colour, lw=2)
        axes.axhline(result["real"][name], color=INK, lw=0.9, ls=(0, (2, 2)))
        axes.set_xticks(range(len(methods)), methods, rotation=20)
        axes.set_xlim(-0.6, len(methods) - 0.4)
        tidy(axes, title, grid="y")
    return figure


def _band(axes, x, runs: Float[np.ndarray, "seeds n"], colour: str, label: str) -> None:
    mean = runs.mean(0)
    deviation = runs.std(0, ddof=1) if len(runs) > 1 else np.zeros_like(mean)
    axes.fill_between(x, mean - deviation, mean + deviation, color=colour, alpha=0.15, lw=0)
    axes.plot(x, mean, color=colour, lw=1.5, label=label)


def spread(values: Sequence[float]) -> tuple[float, float | None]:
    """Mean and standard deviation between seeds (n - 1); None for one seed."""
    array = np.asarray(values, float)
    return float(array.mean()), float(array.std(ddof=1)) if len(array) > 1 else None
