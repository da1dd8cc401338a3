"""Figures for papers and reports: arrays in, matplotlib `Figure` out.

Figures are made without pyplot, so that nothing global is opened, kept or styled.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from gan_forensics.data.survey import OnBadImage
from gan_forensics.files import listed, shown
from gan_forensics.report.figures import (
    LARGEST,
    LONGEST_NAME,
    MOST_BARS,
    MOST_CURVES,
    MOST_PANELS,
    Figure,
    cut,
    drawable,
    is_number,
    literal,
    said_of,
    thin,
)
from gan_forensics.spectra import Curve, mean_curves
from gan_forensics.spectra.curve_sets import check_labelled
from gan_forensics.spectra.curves import Normalise

# Okabe and Ito's colours, told apart by readers with any common colour vision; black stands for
# the reference. Yellow is left out: it is too light for lines on white.
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1.2)), (0, (6, 1.5, 1.5, 1.5)))
INK, FAINT = "#222222", "#8a8a8a"
# Letters of a title and of that of a small panel, and of names beside axes, to leave them room.
LONGEST_TITLE, LONGEST_PANEL = 100, 44
LONGEST_LABEL, LONGEST_SERIES = 44, 32
# Cycles per pixel; beyond it only the corners of the spectrum contribute, up to 0.707.
AXIS_NYQUIST = 0.5
# What the values of curves are, by how they were normalised (`spectra.log_spectrum_curve`).
CURVE_UNITS = {
    "min-max": "20 ln|F|, each image's curve scaled onto [0, 1]",
    "first": "20 ln|F|, each image's curve over its first value",
    "none": "20 ln|F|",
}


def stored_curves(spectra: Mapping[str, Mapping[str, Any]]) -> dict[str, Curve]:
    """Curves from the "spectra" of a results.json.

    Args:
        spectra: label -> mean, std, and where they are known count and cycles_per_pixel.

    Example:
        >>> curves = stored_curves({"real": {"mean": [0.0, 1.0], "std": [0.1, 0.1]}})
        >>> list(curves)
        ['real']
    """
    return {
        label: Curve(
            drawable(entry["mean"]),
            drawable(entry["std"]),
            entry.get("cycles_per_pixel"),
            entry.get("count"),
        )
        for label, entry in spectra.items()
    }


class Bar(NamedTuple):
    """One bar: what it is, its value, the ends of its line if known, the series it belongs to.

    Example:
        >>> Bar("N.1.5", 0.2, low=0.1, high=0.4).high
        0.4
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    series: str = ""


def spectra_figure(
    curves: Mapping[str, Any],
    *,
    title: str = "",
    normalise: Normalise = "min-max",
    size: int | None = None,
    on_bad_image: OnBadImage = "stop",
) -> Figure:
    """Mean radial spectra with bands of one deviation, labelled at their right ends.

    The abscissa is the frequency of the rings, 0.5 being the Nyquist frequency of either axis; or
    the number of the ring, where the frequency of a curve is not known. The ordinate says what the
    values are.

    Args:
        curves: label -> images as `gan_forensics.data.as_images` takes them, such as a folder's
            path, of which the curve is drawn that `spectra.mean_curves` gives; or a `Curve`, or a
            tuple of its fields. The first one is drawn in black as the reference.
        title: above the axes.
        normalise: how curves are normalised, those that are given included.
        size: of images, as in `mean_curves`.
        on_bad_image: as there.

    Raises:
        ValueError: when there is no curve, a mean and its deviation or frequency differ in shape,
            for an unknown normalisation, and as `mean_curves`.

    Example:
        >>> noise = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
        >>> spectra_figure({"noise": noise}).axes[0].get_xlabel()
        'frequency in cycles per pixel'
    """
    check_labelled(curves)
    if not curves:
        raise ValueError("no curve to draw: give label -> images, or label -> (mean, deviation)")
    asked, curves = curves, dict(itertools.islice(curves.items(), MOST_CURVES))
    if normalise not in CURVE_UNITS:
        raise ValueError(f"normalise is {normalise!r}; use one of {listed(CURVE_UNITS)}")
    sets = {label: images for label, images in curves.items() if not _is_curve(images)}
    made = mean_curves(sets, normalise=normalise, size=size, on_bad_image=on_bad_image)
    drawn = {
        label: _checked(label, made[label] if label in made else Curve(*curve))
        for label, curve in curves.items()
    }
    known = all(curve.frequency is not None for curve in drawn.values())
    figure = Figure(figsize=(7.6, 4.4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    ends, last = [], 0.0
    # Many bands on top of each other would hide the lines.
    alpha = min(0.12, 0.6 / len(drawn))
    for index, (label, curve) in enumerate(drawn.items()):
        mean, deviation, frequency, images, _ = curve
        colour, dash = curve_style(index)
        name = cut(str(label), LONGEST_NAME - 15)
        x = frequency if known and frequency is not None else np.arange(len(mean))
        step = thin(len(mean))
        x, mean, deviation = x[::step], mean[::step], deviation[::step]
        axes.fill_between(x, mean - deviation, mean + deviation, color=colour, alpha=alpha, lw=0)
        axes.plot(
            x, mean, color=colour, ls=dash, lw=2.2 if index == 0 else 1.6, label=literal(label)
        )
        ends.append((float(mean[-1]), name if images is None else f"{name} (n = {images})", colour))
        last = max(last, float(x[-1]))
    if known:
        axes.axvline(AXIS_NYQUIST, color=FAINT, lw=1, ls=(0, (2, 2)), zorder=0)
        axes.annotate(
            "axis Nyquist",
            (AXIS_NYQUIST, 1),
            xycoords=("data", "axes fraction"),
            xytext=(4, -4),
            textcoords="offset points",
            va="top",
            color=FAINT,
            fontsize=8,
        )
        axes.set(xlim=(0, last), xlabel="frequency in cycles per pixel")
    else:
        axes.set(xlim=(0, max(last, 1)), xlabel="ring, from low to high frequency")
    axes.set_ylabel(CURVE_UNITS[normalise])
    flat = sum(curve.left_out["flat"]["count"] for curve in made.values() if curve.left_out)
    below = "band: one standard deviation over images" + f"; {flat} flat ones left out" * bool(flat)
    below = said_of(below, curves, asked, "curves")
    figure.supxlabel(below, fontsize=8, color=FAINT)
    tidy(axes, title)
    label_ends(axes, ends)
    return figure


def _is_curve(given: Any) -> bool:
    """Whether a `Curve` or its fields are given, rather than images."""
    return isinstance(given, Curve) or (
        isinstance(given, tuple) and len(given) > 1 and np.ndim(given[0]) == np.ndim(given[1]) == 1
    )


def _checked(label: str, curve: Curve) -> Curve:
    """The curve as arrays of one length."""
    mean, deviation = drawable(curve.mean), drawable(curve.deviation)
    frequency = None if curve.frequency is None else drawable(curve.frequency)
    name = f"'{shown(label)}'"
    if mean.ndim != 1 or mean.shape != deviation.shape:
        raise ValueError(
            f"curve {name}: mean {list(mean.shape)} and deviation {list(deviation.shape)} "
            "must be of one length"
        )
    if frequency is not None and frequency.shape != mean.shape:
        raise ValueError(f"curve {name}: {len(mean)} values at {frequency.size} frequencies")
    ends = [] if frequency is None else frequency
    if not mean.size or np.isnan(mean[-1]) or np.isnan(ends).any():
        raise ValueError(f"curve {name}: it has no end, or a frequency that is no number")
    return curve._replace(mean=mean, deviation=deviation, frequency=frequency)


def bars_figure(rows: Sequence[Bar], *, title: str = "", value_label: str = "") -> Figure:
    """Horizontal bars over [0, 1], lines from low to high; grouped by label, coloured by series.

    Of more than `MOST_BARS` the first ones are drawn, which the figure says.

    Args:
        rows: the bars; labels and series keep the order of their first appearance.
        title: above the axes.
        value_label: of the value axis.

    Example:
        >>> bars = [Bar("real", 0.05), Bar("fake", 0.9, 0.8, 1.0)]
        >>> len(bars_figure(bars, title="Called generated").axes)
        1
    """
    if not rows:
        raise ValueError("no bar to draw: give at least one Bar")
    asked, rows = rows, rows[:MOST_BARS]
    labels = list(dict.fromkeys(row.label for row in rows))
    series = list(dict.fromkeys(row.series for row in rows))
    height = 0.8 / len(series)
    size = (7.6, 1.3 + 0.26 * len(labels) * max(len(series), 1.6))
    figure = Figure(figsize=size, dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for index, name in enumerate(series):
        members = [row for row in rows if row.series == name]
        # Black is for references; bars start with the first colour.
        colour, _ = curve_style(index + 1)
        places = [labels.index(row.label) + (index + 0.5) * height - 0.4 for row in members]
        values = [row.value for row in members]
        axes.barh(
            places,
            values,
            height * 0.88,
            color=colour,
            alpha=0.85,
            label=literal(name, most=LONGEST_SERIES) or None,
        )
        for place, row in zip(places, members, strict=True):
            reach = row.value
            if row.low is not None and row.high is not None:
                axes.plot([row.low, row.high], [place, place], color=INK, lw=1.1, marker="|", ms=4)
                reach = max(row.value, row.high)
            axes.text(reach + 0.012, place, f"{row.value:.2f}", va="center", fontsize=7, color=INK)
    # A margin beside the largest value for the numbers, in which nothing is ticked.
    axes.set(xlim=(0, 1.08), ylim=(len(labels) - 0.45, -0.55))
    axes.set_xlabel(said_of(literal(value_label, most=LONGEST_TITLE), rows, asked, "bars"))
    axes.set_xticks([part / 5 for part in range(6)])
    axes.set_yticks(range(len(labels)), [literal(label, most=LONGEST_LABEL) for label in labels])
    axes.tick_params(axis="y", length=0)
    tidy(axes, title, grid="x")
    if series != [""]:
        figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    return figure


def metric_names(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names under which a log has numbers, in order of appearance."""
    return list(_logged(metrics))


def _logged(metrics: Sequence[Mapping[str, Any]]) -> dict[str, dict[float, float]]:
    """Name -> step -> value, of the lines of `metrics.jsonl`."""
    known: dict[str, dict[float, float]] = {}
    for line in metrics:
        step = line.get("step")
        if not is_number(step) or not abs(step) < LARGEST:  # pyright: ignore
            continue
        for name, value in line.items():
            if is_number(value) and name != "step":
                known.setdefault(name, {})[step] = value  # pyright: ignore
    return {name: dict(sorted(values.items())) for name, values in known.items()}


def losses_figure(
    metrics: Sequence[Mapping[str, Any]],
    *,
    names: Sequence[str] | None = None,
    title: str = "",
) -> Figure:
    """One small panel per metric over the training steps: raw values and their running median.

    Of more than `MOST_PANELS` metrics the first ones are drawn, which the figure says.

    Args:
        metrics: lines of `metrics.jsonl`, each with "step". Where a step has a metric twice, as
            after resuming from an earlier checkpoint, the later line counts.
        names: metrics to draw; by default every one with "loss" in its name, or all numbers where
            there is none.
        title: above the panels.

    Raises:
        ValueError: when there is nothing to draw.

    Example:
        >>> metrics = [{"step": step, "generator": 1 / step} for step in (1, 2, 3)]
        >>> figure = losses_figure(metrics)
        >>> len(figure.axes)
        1
    """
    known = _logged(metrics)
    names = names or default_metrics(list(known))
    if not names or not set(names) <= set(known):
        raise ValueError(
            f"metrics {listed(names)} are not among {listed(known) or 'those of the log'}: nothing "
            "to draw"
        )
    asked, names = names, names[:MOST_PANELS]
    columns = min(2, len(names))
    rows = math.ceil(len(names) / columns)
    figure = Figure(figsize=(7.6, 0.5 + 2.1 * rows), dpi=150, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True)
    for index, axes in enumerate(panels.flat):
        if index >= len(names):
            axes.set_visible(False)
            continue
        name = names[index]
        values = drawable(list(known[name].values()))
        some = np.arange(0, len(values), thin(len(values)))
        drawn = np.array(list(known[name]), float)[some]
        colour = COLOURS[1 + index % (len(COLOURS) - 1)]
        axes.plot(drawn, values[some], color=colour, lw=0.8, alpha=0.35)
        axes.plot(drawn, _running_median(values, some), color=colour, lw=1.6)
        tidy(axes, cut(name, LONGEST_PANEL))
        # The lowest visible panel of either column carries the abscissa.
        if index + columns >= len(names):
            axes.set_xlabel("step")
            axes.tick_params(labelbottom=True)
    figure.suptitle(literal(title, most=LONGEST_TITLE), fontsize=11, color=INK)
    if said := said_of("", names, asked, "metrics"):
        figure.supxlabel(said, fontsize=8, color=FAINT)
    return figure


def default_metrics(names: Sequence[str]) -> list[str]:
    """Of the names of a log those to draw: the losses, or all where there is none."""
    return [name for name in names if "loss" in name] or list(names)


def curve_style(index: int):
    """Colour and dash of the index-th curve: black for the first alone, dashes beyond the rest."""
    turn, colour = divmod(index - 1, len(COLOURS) - 1)
    return (COLOURS[1 + colour], DASHES[turn % len(DASHES)]) if index else (COLOURS[0], DASHES[0])


def tidy(axes: Axes, title: str, grid: str = "both") -> None:
    """The house style of axes: no box, faint grid, title to the left."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(FAINT)
    axes.tick_params(colors=INK, labelsize=8)
    axes.grid(axis=grid, color="#e4e4e4", lw=0.6)  # pyright: ignore[reportArgumentType]
    axes.set_axisbelow(True)
    axes.set_title(literal(title, most=LONGEST_TITLE), loc="left", fontsize=10, color=INK)


def label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Write labels beside the ends of the curves, moved apart where the ends are close."""
    low, high = axes.get_ylim()
    line = {"arrowstyle": "-", "lw": 0.7, "shrinkA": 2, "shrinkB": 0, "relpos": (0, 0.5)}
    places = spread_apart([(end - low) / (high - low) for end, _, _ in ends], gap=0.052)
    for (end, label, colour), place in zip(ends, places, strict=True):
        axes.annotate(
            literal(label),
            (1, end),
            xycoords=("axes fraction", "data"),
            xytext=(1.035, place),
            textcoords="axes fraction",
            va="center",
            color=colour,
            fontsize=8.5,
            annotation_clip=False,
            arrowprops={**line, "color": colour},
        )


def spread_apart(places: Sequence[float], *, gap: float) -> list[float]:
    """Move numbers as little as needed (least squares) to lie at least `gap` apart, order kept.

    Numbers i = 0, 1, ... in ascending order become i * gap + a non-decreasing sequence, so this is
    isotonic regression of places - i * gap; the result is then shifted up where it would start
    below 0.
    """
    from scipy.optimize import isotonic_regression

    order, steps = np.argsort(places, kind="stable"), gap * np.arange(len(places))
    moved = np.empty(len(places))
    moved[order] = np.maximum(isotonic_regression(np.asarray(places)[order] - steps).x, 0) + steps
    return moved.tolist()


def _running_median(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Median over a twentieth of the run around places of it, windows shrinking at the ends."""
    half = max(1, len(values) // 40)
    return np.array([np.median(values[max(0, i - half) : i + half + 1]) for i in places])
