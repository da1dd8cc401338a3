"""Rates as coloured cells: detectors in rows, tails in columns."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from gan_forensics.report.figures import Figure, literal
from gan_forensics.report.plots import INK, LONGEST_TITLE


def rates_figure(
    rates: Float[np.ndarray, "rows columns"],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str = "",
    breaks: Sequence[int] = (),
) -> Figure:
    """Shares in cells, coloured from white (0) to blue (1), in per cent.

    Args:
        rates: in [0, 1]; NaN where there is nothing.
        rows, columns: their names.
        title: above.
        breaks: rows above which a gap separates groups.

    Raises:
        ValueError: for a table that does not fit its names.
    """
    rates = np.asarray(rates, float)
    if rates.shape != (len(rows), len(columns)) or not rates.size:
        raise ValueError(
            f"rates must be [{len(rows)}, {len(columns)}] as the names are, got {list(rates.shape)}"
        )
    gap = 0.3
    places = np.arange(len(rows)) + gap * np.searchsorted(
        list(breaks), np.arange(len(rows)), "right"
    )
    height = 0.21 * (places[-1] + 1) + 1.1
    figure = Figure(figsize=(7.6, height), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for place, line in zip(places, rates, strict=True):
        axes.imshow(
            line[None], cmap="Blues", vmin=0, vmax=1, aspect="auto",
            extent=(-0.5, len(columns) - 0.5, place + 0.5, place - 0.5),
        )  # fmt: skip
        for column, rate in enumerate(line):
            text = "–" if np.isnan(rate) else f"{100 * rate:.0f}"
            colour = "white" if rate > 0.55 else INK
            axes.text(column, place, text, ha="center", va="center", color=colour, fontsize=7)
    axes.set(xlim=(-0.5, len(columns) - 0.5), ylim=(places[-1] + 0.5, -0.5))
    axes.set_yticks(places, [literal(name) for name in rows], fontsize=7)
    axes.set_xticks(
        range(len(columns)),
        [literal(name) for name in columns],
        fontsize=7,
        rotation=40,
        ha="left",
        rotation_mode="anchor",
    )
    axes.xaxis.tick_top()
    axes.tick_params(colors=INK, length=0)
    axes.spines[:].set_visible(False)
    figure.suptitle(literal(title, most=LONGEST_TITLE), x=0.01, ha="left", fontsize=9.5, color=INK)
    return figure
