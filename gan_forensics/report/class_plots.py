"""Figures of many classes: confusion, accuracy against severity, reliability."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Int

from gan_forensics.forensics.temperature import Bin
from gan_forensics.report.figures import MOST_CURVES, Figure, drawable, literal, said_of
from gan_forensics.report.plots import (
    FAINT,
    INK,
    LONGEST_TITLE,
    curve_style,
    label_ends,
    tidy,
)

# Longer names are cut in figures; tables have them in full.
LONGEST = 24
# Sources that a confusion matrix names and counts; of more it has the colours alone.
MOST_CLASSES = 50
# Bins of a reliability diagram.
MOST_BINS = 100


class Point(NamedTuple):
    """Accuracy at a severity, 0 for images as they are, and the ends of its interval if known."""

    severity: int
    accuracy: float
    low: float | None = None
    high: float | None = None


def confusion_figure(
    confusion: Int[np.ndarray, "true predicted"], names: Sequence[str], *, title: str = ""
) -> Figure:
    """Counts in cells, coloured by their share of the row: how each true source was called.

    Of more than `MOST_CLASSES` sources there are the colours alone, in the order of the names.

    Args:
        confusion: rows are true sources, columns predicted ones, in the order of the names.
        names: of the sources; readable up to about twenty.
        title: above.

    Raises:
        ValueError: for a table that is not square or does not fit the names.
    """
    counts = np.asarray(confusion)
    classes = len(names)
    if counts.shape != (classes, classes) or not classes:
        raise ValueError(
            f"a confusion matrix of {classes} sources must be [{classes}, {classes}], got "
            f"{list(counts.shape)}"
        )
    totals = counts.sum(1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    cell = min(0.62, 5.6 / classes)
    labels = [literal(name, most=LONGEST) for name in names]
    side = cell * classes
    width = min(7.6, side + 2.4)
    figure = Figure(figsize=(width, side + 1.6), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    # Digits fill a cell of `cell` inches, 72 points each; a digit is about 0.6 high letters wide.
    digits = len(str(int(counts.max(initial=0))))
    size = float(np.clip(0.7 * cell * 72 / (0.6 * max(digits, 2)), 4.5, 10))
    few = classes <= MOST_CLASSES
    for row in range(classes if few else 0):
        for column in range(classes):
            count = int(counts[row, column])
            colour = "white" if shares[row, column] > 0.55 else INK if count else FAINT
            axes.text(
                column, row, str(count), ha="center", va="center", color=colour, fontsize=size
            )
    places = range(classes if few else 0)
    axes.set_xticks(places, labels[: len(places)], rotation=90 if classes > 5 else 30, fontsize=8)
    if classes <= 5:
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    none = " (no images)"
    axes.set_yticks(
        places,
        [
            label + ("" if total else none)
            for _, label, total in zip(places, labels, totals[:, 0], strict=False)
        ],
        fontsize=8,
    )
    axes.set(xlabel="called", ylabel="true source")
    if not few:
        axes.set(ylabel=f"true source ({classes:,} in all, by their place in the list)")
    axes.tick_params(colors=INK, length=0)
    axes.spines[:].set_visible(False)
    axes.set_title(literal(title, most=LONGEST_TITLE), loc="left", fontsize=10, color=INK)
    bar = figure.colorbar(picture, ax=axes, shrink=0.6, aspect=22, pad=0.02)
    bar.set_label("share of the true source's images", fontsize=8, color=INK)
    bar.ax.tick_params(labelsize=7, colors=INK)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    return figure


def severity_figure(
    curves: Mapping[str, Sequence[Point]], *, chance: float | None = None, title: str = ""
) -> Figure:
    """Accuracy against the severity of corruptions, a curve for each, named at its end.

    Args:
        curves: by the corruption's name, points of ascending severity.
        chance: accuracy of guessing, a dotted line.
        title: above.

    Raises:
        ValueError: without a curve or a point.
    """
    if not curves or not all(curves.values()):
        raise ValueError("no curve to draw: give name -> points of accuracy")
    asked, curves = curves, dict(list(curves.items())[:MOST_CURVES])
    figure = Figure(figsize=(7.6, max(4.0, 0.24 * len(curves))), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    severities = [point.severity for points in curves.values() for point in points]
    ends, first, last = [], min(severities), max(severities)
    # Many bands on top of each other would hide the lines.
    alpha = min(0.15, 0.6 / len(curves))
    for index, (name, points) in enumerate(curves.items(), start=1):
        colour, dash = curve_style(index)
        x, y = [p.severity for p in points], [p.accuracy for p in points]
        axes.plot(x, y, color=colour, ls=dash, lw=1.5, marker="o", ms=2.6)
        known = [p for p in points if p.low is not None and p.high is not None]
        if known:
            low, high = [float(p.low or 0) for p in known], [float(p.high or 0) for p in known]
            axes.fill_between(
                [p.severity for p in known], low, high, color=colour, alpha=alpha, lw=0
            )
        ends.append((y[-1], name, colour))
    if chance is not None:
        axes.axhline(chance, color=FAINT, lw=1, ls=(0, (2, 2)), zorder=0)
        axes.annotate(
            "chance",
            (first, chance),
            xytext=(3, 3),
            textcoords="offset points",
            fontsize=8,
            color=FAINT,
        )
    axes.set(xlim=(first, max(last, first + 1)), ylim=(0, 1.02))
    severity = "severity (0: as they are)" if first == 0 else "severity"
    axes.set_xlabel(said_of(severity, curves, asked, "curves"))
    axes.set_ylabel("share of images attributed rightly")
    axes.set_xticks(range(first, max(last, first + 1) + 1))
    tidy(axes, title)
    label_ends(axes, ends)
    return figure


def reliability_figure(bins: Sequence[Bin], *, title: str = "") -> Figure:
    """Accuracy against confidence, with exact intervals, above the number of images in each bin.

    Args:
        bins: of `forensics.temperature.reliability`.
        title: above.

    Raises:
        ValueError: without a bin, with more than `MOST_BINS`, or with one that has no numbers.
    """
    if not 0 < len(bins) <= MOST_BINS:
        raise ValueError(
            f"{len(bins) or 'no'} bins to draw, at most {MOST_BINS}: give those of "
            "forensics.temperature.reliability"
        )
    if np.isnan(drawable([list(row) for row in bins])).any():
        raise ValueError("a bin to draw has what is no number")
    figure = Figure(figsize=(5.2, 5.2), dpi=150, layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3.4, 1))
    colour, _ = curve_style(1)
    axes.plot([0, 1], [0, 1], color=FAINT, lw=1, ls=(0, (2, 2)))
    x, y = np.array([[row.confidence, row.accuracy] for row in bins]).T
    reach = [y - [row.accuracy_low for row in bins], [row.accuracy_high for row in bins] - y]
    axes.errorbar(
        x, y, np.maximum(reach, 0), color=colour, marker="o", ms=4, lw=0, elinewidth=1.1, capsize=2
    )
    axes.text(0.03, 0.95, "right more often\nthan it says", fontsize=8, color=FAINT, va="top")
    axes.text(0.97, 0.05, "right less often\nthan it says", fontsize=8, color=FAINT, ha="right")
    axes.set(xlim=(0, 1), ylim=(0, 1.02), ylabel="accuracy")
    tidy(axes, title)
    widths = [row.high - row.low for row in bins]
    middles = [(row.low + row.high) / 2 for row in bins]
    below.bar(middles, [row.n for row in bins], np.multiply(0.9, widths), color=colour, alpha=0.85)
    below.set(xlabel="probability of the called class", ylabel="images")
    tidy(below, "", grid="y")
    return figure
