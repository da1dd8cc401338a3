"""What pages are made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

# About the width of the page's text, in CSS pixels.
GRID_WIDTH = 760


@dataclass(frozen=True)
class Picture:
    """A figure, a uint8 image [h, w, 3], or the path of a PNG file.

    Attributes:
        content: what to show; it is embedded into the page.
        alt: what can be seen, for readers who cannot see it.
        caption: below the picture.
        layer: uint8 [h, w, 4] to lie over an array [h, w, 3], as opaque as the reader sets.
        width: images are enlarged by whole factors up to about this width in CSS pixels.

    Example:
        >>> picture = Picture(np.zeros((8, 8, 3), np.uint8), alt="A black square")
        >>> picture.width
        760
    """

    content: Figure | np.ndarray | Path
    alt: str
    caption: str = ""
    layer: np.ndarray | None = None
    width: int = GRID_WIDTH


class Share(float):
    """A share in [0, 1]: a cell in percent, with a bar of that length."""


@dataclass(frozen=True)
class Table:
    """A table; the first column names the rows.

    Attributes:
        caption: what the table shows.
        columns: headings.
        rows: cells; numbers are formatted to four digits and aligned to the right.

    Example:
        >>> Table("AUC by arm", columns=["arm", "auc"], rows=[["a", 0.9], ["b", 0.8]]).columns
        ['arm', 'auc']
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Facts:
    """Names and values, such as a protocol or the settings of a run.

    Example:
        >>> Facts({"seeds": 3, "steps": 300}).values["seeds"]
        3
    """

    values: Mapping[str, Any]


@dataclass(frozen=True)
class Link:
    """A link to a file that lies beside the page, too large to be embedded.

    Attributes:
        text: what is linked.
        file: its name, without a folder.

    Example:
        >>> Link("the track", "track.csv").file
        'track.csv'
    """

    text: str
    file: str


Block = str | Picture | Table | Facts | Link


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it: paragraphs (plain strings), pictures, tables, facts.

    Attributes:
        title: the heading.
        blocks: below one another.
        pairs: whether they stand two and two beside one another instead; pictures with a layer
            have a line of their own.

    Example:
        >>> Section("Scores", ["Means.", Table("AUC", ["arm", "auc"], [["a", 0.9]])]).title
        'Scores'
    """

    title: str
    blocks: Sequence[Block] = ()
    pairs: bool = False
