"""How faithful maps of evidence are, as `explain.faithfulness` measured it: pictures, words."""

from typing import TYPE_CHECKING

from gan_forensics.explain.faithful_results import LEVEL, interval
from gan_forensics.report.blocks import Table
from gan_forensics.report.figures import Figure, literal
from gan_forensics.report.plots import FAINT, INK, curve_style, tidy

if TYPE_CHECKING:
    from gan_forensics.explain import Faithfulness

WORDS = {"deletion": "most relevant removed first", "insertion": "most relevant put in first"}


def faithfulness_figure(measured: "Faithfulness") -> Figure:
    """Deletion and insertion curves for each baseline, their means over images.

    The band of a map is what Student's interval leaves of its distance from random orders, which
    are black: where it holds the black line, the map is not told from chance.

    Args:
        measured: of `explain.faithfulness`.
    """
    rows = len(measured.baselines)
    figure = Figure(figsize=(7.6, 0.9 + 2.6 * rows), dpi=150, layout="constrained")
    panels = figure.subplots(rows, 2, squeeze=False, sharex=True, sharey=True)
    chance = len(measured.methods) - 1
    for row, baseline in enumerate(measured.baselines):
        for column, (kind, words) in enumerate(WORDS.items()):
            axes, curves = panels[row][column], getattr(measured, kind)[:, row]
            for place, method in enumerate(measured.methods):
                colour, dash = curve_style(0 if place == chance else place + 1)
                mean = curves[place].mean(0)
                axes.plot(
                    measured.shares, mean, color=colour, ls=dash, lw=1.5, label=literal(method)
                )
                if place != chance:
                    apart = [interval(d) for d in (curves[place] - curves[chance]).T]
                    ends = [mean - [a.value - a.low for a in apart],
                            mean + [a.high - a.value for a in apart]]  # fmt: skip
                    axes.fill_between(measured.shares, *ends, color=colour, alpha=0.13, lw=0)
            tidy(axes, f"{kind}, {baseline}: {words}")
            axes.title.set_fontsize(8)
            axes.set(xlim=(0, 1))
        panels[row][0].set_ylabel("explained logit", fontsize=8, color=INK)
    for axes in panels[-1]:
        axes.set_xlabel("share of patches", fontsize=8, color=INK)
    figure.supxlabel(
        f"means of {measured.images} images; band: {100 * LEVEL:g} % interval of the distance from "
        f"random order",
        fontsize=7,
        color=FAINT,
    )
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=5, frameon=False, fontsize=8)
    return figure


def area_table(measured: "Faithfulness") -> Table:
    """The areas of all curves and what they gain on random orders, with their intervals."""
    areas = measured.areas()
    return Table(
        "Areas below the curves: the mean logit while places go (deletion: lower is better) or "
        "come (insertion: higher is better), with 95 % intervals over images",
        ["map", "curve", "baseline", "area", "better than random order by"],
        [
            [a.method, a.curve, a.baseline, str(a.value), str(a.gain)]
            if a.method != measured.methods[-1]
            else [a.method, a.curve, a.baseline, str(a.value), "–"]
            for a in areas
        ],
    )


def gain_words(measured: "Faithfulness", method: str) -> str:
    """Whether a map beats random orders on these images, in one plain sentence."""
    gain, images = measured.gain(method), measured.images
    ends = f"95 % interval {gain.low:.3g} to {gain.high:.3g} logits, {images} images"
    if gain.low > 0:
        return (
            f"On these images the {method} beats a random order: what it marks moves the logit by "
            f"{gain.value:.3g} more than random places do, on average ({ends})."
        )
    if gain.high < 0:
        return (
            f"On these images the {method} is worse than a random order: what it marks moves the "
            f"logit by {-gain.value:.3g} less than random places do ({ends}). Do not read it as "
            "the detector's reasons."
        )
    return (
        f"On these images the {method} does not beat a random order: the difference may be nothing "
        f"({gain.value:.3g}; {ends}). Do not read it as the detector's reasons."
    )
