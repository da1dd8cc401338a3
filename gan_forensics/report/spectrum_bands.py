"""Pictures of the spectrum of one image, beside the bands of others."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8

from gan_forensics.forensics.spectrum_bands import Band
from gan_forensics.report.figures import Figure, drawable, literal, said_of
from gan_forensics.report.plots import AXIS_NYQUIST, COLOURS, FAINT, INK, tidy
from gan_forensics.spectra import log_dct

# Bands beyond which nobody tells them apart, and letters of their names beside their numbers.
MOST_BANDS, LONGEST = 5, 24
_HATCHES = ("", "//", "\\\\", "..", "xx")
# Of the logarithms of a spectrum, what is drawn in the darkest and in the brightest colour.
_DARKEST, _BRIGHTEST = 1, 99.8


def bands_figure(
    frequency: Float[np.ndarray, " rings"],
    curve: Float[np.ndarray, " rings"],
    bands: Sequence[Band],
) -> Figure:
    """The curve of an image, and where the middle nine tenths of others lie; to be read small.

    Args:
        frequency: of each ring, in cycles per pixel.
        curve: of the image.
        bands: that it is compared with, on the same rings; of more than `MOST_BANDS` the first ones
            are drawn, which the figure says.

    Example:
        >>> bands_figure(np.array([0.1, 0.5]), np.array([1.0, 0.0]), []).axes[0].get_xlabel()
        'frequency in cycles per pixel'
    """
    figure = Figure(figsize=(4.0, 3.4), dpi=180, layout="constrained")
    axes = figure.add_subplot()
    drawn = bands[:MOST_BANDS]
    # The reference of other figures is black; here black is the image.
    styles = zip(COLOURS[1:], _HATCHES, strict=False)
    for band, (colour, hatch) in zip(drawn, styles, strict=False):
        name = f"{literal(band.name, most=LONGEST)} (n = {band.images:,})"
        axes.fill_between(
            frequency, drawable(band.low), drawable(band.high), facecolor=(colour, 0.22),
            edgecolor=(colour, 0.5), hatch=hatch, lw=0.6, label=name,
        )  # fmt: skip
    axes.plot(frequency, curve, color=COLOURS[0], lw=1.8, label="this image")
    axes.axvline(AXIS_NYQUIST, color=INK, lw=1, ls=(0, (2, 2)), zorder=0)
    axes.annotate(
        "Nyquist", (AXIS_NYQUIST, 1), xycoords=("data", "axes fraction"), xytext=(4, -4),
        textcoords="offset points", va="top", color=INK, fontsize=9,
    )  # fmt: skip
    for place, text, side in ((0.0, "smooth", "left"), (1.0, "finest detail", "right")):
        axes.text(
            place, 1.01, text, transform=axes.transAxes, ha=side, va="bottom", fontsize=9,
            color=INK,
        )  # fmt: skip
    axes.set(xlim=(0, float(frequency[-1])), xlabel="frequency in cycles per pixel")
    axes.set_ylabel("strength (logarithm)")
    axes.set_xticks([0, 0.125, 0.25, 0.375, 0.5], ["0", "1/8", "1/4", "3/8", "1/2"])
    tidy(axes, "")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    if said := said_of("", drawn, bands, "bands"):
        figure.supxlabel(said, fontsize=8, color=FAINT)
    return figure


def dct_colours(gray: UInt8[np.ndarray, "n side side 1"]) -> UInt8[np.ndarray, "side side 3"]:
    """The mean log DCT of tiles as a picture, bright where it is strong.

    The lowest frequency is at the top left, the highest at the bottom right.

    Example:
        >>> dct_colours(np.random.default_rng(0).integers(0, 256, (2, 8, 8, 1), np.uint8)).shape
        (8, 8, 3)
    """
    values = log_dct(gray).mean((0, -1))
    low, high = np.percentile(values, (_DARKEST, _BRIGHTEST))
    scaled = np.clip((values - low) / (high - low if high > low else 1), 0, 1)
    return matplotlib.colormaps["viridis"](scaled, bytes=True)[..., :3]
