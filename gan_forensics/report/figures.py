"""The one way texts and numbers get on a figure, and a figure into a file.

Whatever names and numbers others gave: no text is read as a formula or run by LaTeX, no number is
beyond what axes bear, and what a figure draws is bounded.
"""

import io
import math
import re
import warnings
from collections.abc import Sized
from numbers import Number
from pathlib import Path
from typing import Any, BinaryIO

import matplotlib
import matplotlib.figure
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.text import Text

from gan_forensics.files import escaped

# Letters of a name, and of a text.
LONGEST_NAME = 60
LONGEST_TEXT = 200
# Of what a figure draws, beyond which nobody sees more.
MOST_CURVES = 24
MOST_PANELS = 24
MOST_BARS = 120
MOST_POINTS = 3000
# Axes of larger numbers overflow.
LARGEST = 1e30


def literal(text: object, *, most: int = LONGEST_NAME) -> str:
    """A name for a figure: as it stands there, in one line, no formula, and cut in its middle."""
    line = escaped(cut(str(text), most)).replace("$", r"\$")
    return f" {line}" if line.startswith("_") else line  # Legends leave out such names.


def cut(text: str, most: int) -> str:
    """Text of at most so many letters, dots in its middle for what is left out."""
    tail = most // 3
    return text if len(text) <= most else f"{text[: most - tail - 1]}…{text[len(text) - tail :]}"


def is_number(value: Any) -> bool:
    """Whether a value is a number to be drawn or aligned, and no truth value."""
    return isinstance(value, Number) and not isinstance(value, bool)


def drawable(values: Any) -> Float[np.ndarray, "..."]:
    """Numbers as axes bear them: NaN, a gap, for what is beyond them."""
    try:
        found = np.asarray(values, float)
    except OverflowError:  # whole numbers of hundreds of digits
        found = np.array([_bounded(value) for value in values], float)
    with np.errstate(invalid="ignore"):
        return np.where(np.abs(found) < LARGEST, found, np.nan)


def _bounded(value: Any) -> float:
    try:
        return math.nan if value is None else float(value)
    except OverflowError:
        return math.inf


def thin(length: int) -> int:
    """Every so-manieth of that many points is drawn."""
    return max(1, -(-length // MOST_POINTS))


def said_of(text: str, drawn: Sized, asked: Sized, what: str) -> str:
    """The text, and behind it how many are shown where it is not all: "24 of 400 metrics shown"."""
    if len(drawn) == len(asked):
        return text
    return f"{text}{'; ' * bool(text)}{len(drawn):,} of {len(asked):,} {what} shown"


class Figure(matplotlib.figure.Figure):
    """matplotlib's, which a notebook shows where it is the last line of a cell.

    Made without pyplot, so that nothing global is opened, kept or shown twice.
    """

    def _repr_png_(self) -> bytes:
        written = io.BytesIO()
        save_figure(self, written)
        return written.getvalue()


def save_figure(figure: matplotlib.figure.Figure, file: Path | BinaryIO, form: str = "png") -> None:
    """Write a figure, without a warning where the font lacks letters or names are very wide.

    Equal figures become equal files, and in SVG text becomes outlines, so that no font is needed.
    """
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        # What a settings file of matplotlib asks for, which may lie in a stranger's folder.
        text.set_usetex(False)
        # What `literal` was forgotten for; line breaks are ours.
        lines = (escaped(cut(line, LONGEST_TEXT)) for line in text.get_text().split("\n"))
        text.set_text(re.sub(r"(?<!\\)\$", r"\\$", "\n".join(lines)))
    settings: Any = {
        "svg.hashsalt": "gan_forensics",
        "svg.fonttype": "path",
        "svg.image_inline": True,
        "text.usetex": False,
    }
    dated: Any = {"metadata": {"Date": None}} if form == "svg" else {}
    with matplotlib.rc_context(settings), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .* missing from")
        warnings.filterwarnings("ignore", message="constrained_layout not applied")
        figure.savefig(file, format=form, **dated)


def figure_pixels(figure: matplotlib.figure.Figure) -> UInt8[np.ndarray, "h w 3"]:
    """A figure as a picture, on white, as `save_figure` would write it.

    Example:
        >>> figure_pixels(Figure(figsize=(2, 1), dpi=50)).shape
        (50, 100, 3)
    """
    written = io.BytesIO()
    save_figure(figure, written, "rgba")
    width, height = (round(inches * figure.dpi) for inches in figure.get_size_inches())
    return np.frombuffer(written.getvalue(), np.uint8).reshape(height, width, 4)[..., :3].copy()
