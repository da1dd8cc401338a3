"""Plots of likelihood ratios by which forensic laboratories judge a method: Tippett, PAV, ECE.

Their arrays are those of `gan_forensics.forensics.likelihood_ratios`. LRs are log10, of "generated"
over "photograph"; `weights` are as there.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes

from gan_forensics.forensics import likelihood_ratios
from gan_forensics.forensics.likelihood_ratios import INCONCLUSIVE, Weights
from gan_forensics.report.figures import Figure, drawable, literal, thin
from gan_forensics.report.plots import COLOURS, FAINT, INK, tidy

# Of generated images, of photographs, and of what either is compared with.
GENERATED, PHOTOGRAPH, REFERENCE = COLOURS[2], COLOURS[1], COLOURS[0]
DOTTED = (0, (1.5, 1.5))
Bounds = tuple[float, float]


def tippett_figure(
    real_log10_lr: Any,
    fake_log10_lr: Any,
    *,
    weights: Weights = None,
    bounds: Bounds | None = None,
    title: str = "",
) -> Figure:
    """Tippett plot: of either class, the share of images whose LR is at least so large.

    The further apart the curves, the better the LRs tell. What stands on the wrong side of 0 is
    misleading evidence; how much there is of it, the legend says.

    Args:
        real_log10_lr: of photographs [n], finite or infinite.
        fake_log10_lr: of generated images [m].
        weights: of these.
        bounds: (lower, upper) log10 LR that the reference data support, drawn as lines.
        title: above the axes.

    Raises:
        ValueError: when a class is empty or an LR is NaN.

    Example:
        >>> figure = tippett_figure([-2.0, -1.0, 0.3], [-0.1, 1.0, 2.0], bounds=(-2.0, 2.0))
        >>> figure.axes[0].get_xlabel()
        'log10 LR'
    """
    curves = likelihood_ratios.tippett(real_log10_lr, fake_log10_lr, weights=weights)
    figure, axes = _axes()
    left, right = _reach(curves.log10_lr, bounds)
    at = np.concatenate([[left], np.clip(curves.log10_lr, left, right), [right]])
    for name, share, colour in (
        ("generated", curves.fake, GENERATED),
        ("photographs", curves.real, PHOTOGRAPH),
    ):
        from_1, above_1 = (
            np.append(share, 0)[np.searchsorted(curves.log10_lr, 0, side=side)]
            for side in ("left", "right")
        )
        # Rounding must not make it -0.0 %.
        wrong = (max(1 - from_1, 0.0), "below") if name == "generated" else (above_1, "above")
        label = "{}: {:.1%} misleading (LR {} 1)".format(name, *wrong)
        # All images have the LR at the left end, none that at the right one.
        share = np.concatenate([[1.0], share, [0.0]])
        axes.plot(at, share, color=colour, lw=1.8, drawstyle="steps-pre", label=label)
    _mark(axes, bounds)
    axes.set(ylim=(-0.02, 1.02), xlabel="log10 LR")
    axes.set_ylabel("share of images with an LR of at least that")
    return _finished(figure, axes, title)


def pav_figure(
    real_log10_lr: Any,
    fake_log10_lr: Any,
    *,
    weights: Weights = None,
    bounds: Bounds | None = None,
    title: str = "",
) -> Figure:
    """PAV plot: LRs as they are stated against what pool-adjacent-violators makes of them.

    On the diagonal they are calibrated; above it they understate what speaks for "generated", below
    it they overstate it. Triangles at the edge: there the images seen are of one class alone and
    PAV is infinite.

    Args:
        real_log10_lr: of photographs [n], finite or infinite; ticks at the lower edge.
        fake_log10_lr: of generated images [m]; ticks at the upper edge.
        weights: of these.
        bounds: (lower, upper) log10 LR that the reference data support, drawn as lines.
        title: above the axes.

    Raises:
        ValueError: when a class is empty, an LR is NaN or none is finite.

    Example:
        >>> figure = pav_figure([-2.0, -1.0, 0.3], [-0.1, 1.0, 2.0])
        >>> figure.axes[0].get_ylabel()
        'log10 LR after PAV'
    """
    x, y = likelihood_ratios.pav_curve(real_log10_lr, fake_log10_lr, weights=weights)
    some = slice(None, None, thin(len(x)))
    x, y = x[some], y[some]
    figure, axes = _axes()
    finite = y[np.isfinite(y)]
    # Close to where it becomes infinite, PAV is as large as one likes.
    low = max(min(x[0], finite.min(initial=x[0])), x[0] - 1)
    high = min(max(x[-1], finite.max(initial=x[-1])), x[-1] + 1)
    axes.plot([low, high], [low, high], color=FAINT, lw=1, ls="--", label="calibrated")
    axes.plot(x, drawable(y), color=REFERENCE, lw=1.8, label="after PAV")
    for infinite, edge, marker in ((y == -np.inf, low, "v"), (y == np.inf, high, "^")):
        if infinite.any():
            ends = x[infinite][[0, -1]]
            axes.plot(ends, [edge, edge], color=REFERENCE, lw=0.8, ls=DOTTED, marker=marker, ms=5)
    for values, edge, colour, name in (
        (fake_log10_lr, 0.985, GENERATED, "generated images"),
        (real_log10_lr, 0.015, PHOTOGRAPH, "photographs"),
    ):
        values = np.clip(np.asarray(values, np.float64), low, high)
        values = values[:: thin(len(values))]
        axes.plot(
            values, np.full(len(values), edge), color=colour, ls="", marker="|", ms=7, mew=0.7,
            alpha=0.6, label=name, transform=axes.get_xaxis_transform(),
        )  # fmt: skip
    _mark(axes, bounds)
    room = 0.04 * (high - low)
    axes.set(xlim=(low, high), ylim=(low - room, high + room))
    axes.set(xlabel="log10 LR as stated", ylabel="log10 LR after PAV")
    return _finished(figure, axes, title)


def ece_figure(
    real_log10_lr: Any, fake_log10_lr: Any, *, weights: Weights = None, title: str = ""
) -> Figure:
    """ECE plot: how much is left to learn of an image's class, by the prior of whoever decides.

    Where the LRs as stated lie above the dotted line, it were better to go by the prior alone; what
    lies between them and the dashed line is lost by wrong calibration. At prior odds of 1 they are
    Cllr and Cllr_min.

    Args:
        real_log10_lr: of photographs [n], finite or infinite.
        fake_log10_lr: of generated images [m].
        weights: of these.
        title: above the axes.

    Raises:
        ValueError: when a class is empty or an LR is NaN.

    Example:
        >>> figure = ece_figure([-2.0, -1.0, 0.3], [-0.1, 1.0, 2.0])
        >>> [line.get_label() for line in figure.axes[0].lines][1:3]
        ['after PAV (Cllr_min 0.333)', 'no LR, the prior alone']
    """
    curves = likelihood_ratios.ece_curves(real_log10_lr, fake_log10_lr, weights=weights)
    cost = likelihood_ratios.cllr(real_log10_lr, fake_log10_lr, weights=weights)
    least = likelihood_ratios.cllr_min(real_log10_lr, fake_log10_lr, weights=weights)
    figure, axes = _axes()
    for values, colour, dash, label in (
        (curves.stated, GENERATED, "-", f"LRs as stated (Cllr {cost:.3f})"),
        (curves.pav, PHOTOGRAPH, "--", f"after PAV (Cllr_min {least:.3f})"),
        (curves.neutral, REFERENCE, DOTTED, "no LR, the prior alone"),
    ):
        x = curves.log10_prior_odds
        axes.plot(x, drawable(values), color=colour, ls=dash, lw=1.8, label=label)
    axes.axvline(0, color=FAINT, lw=0.8, zorder=0)
    # Badly calibrated LRs cost many bits: the axis ends where they would press the others flat.
    top = float(np.nanmax(drawable(np.minimum(curves.stated, 3.0)), initial=1.0))
    axes.set(xlim=(curves.log10_prior_odds[0], curves.log10_prior_odds[-1]), ylim=(0, 1.05 * top))
    axes.set_xlabel('prior log10 odds of "generated"')
    axes.set_ylabel("empirical cross-entropy in bits")
    return _finished(figure, axes, title)


def _axes() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.6, 4.4), dpi=150, layout="constrained")
    return figure, figure.add_subplot()


def _finished(figure: Figure, axes: Axes, title: str) -> Figure:
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    tidy(axes, title)
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=8)
    return figure


def _mark(axes: Axes, bounds: Bounds | None) -> None:
    """The range of LRs that say nothing, and the bounds beyond which none is stated."""
    near = np.log10(INCONCLUSIVE)
    label = f"inconclusive (1/{INCONCLUSIVE:g} to {INCONCLUSIVE:g})"
    axes.axvspan(-near, near, color="#efefef", lw=0, zorder=0, label=label)
    for place, bound in enumerate(bounds or ()):
        label = None if place else literal("bounds of the reference data")
        axes.axvline(bound, color=INK, lw=1, ls=DOTTED, zorder=1, label=label)


def _reach(values, bounds: Bounds | None) -> tuple[float, float]:
    """Where an axis ends: infinite LRs are drawn just beyond the finite ones."""
    finite = values[np.isfinite(values)]
    known = np.concatenate([finite, bounds or (), [-0.5, 0.5]])
    room = 0.08 * (known.max() - known.min())
    return float(known.min() - room), float(known.max() + room)
