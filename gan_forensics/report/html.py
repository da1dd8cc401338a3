"""One self-contained HTML page: text, tables, facts and pictures, nothing loaded from elsewhere."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from gan_forensics import __version__
from gan_forensics.files import write_text
from gan_forensics.report.figures import is_number, save_figure

# About the width of the page's text, in CSS pixels.
GRID_WIDTH = 760
# Percent that readers may set for layers, without a script: the page's policy allows none.
OPACITIES = (0, 20, 40, 60, 80, 100)


@dataclass(frozen=True)
class Picture:
    """A figure, a uint8 image [h, w, 3], or the path of a PNG file.

    Attributes:
        content: what to show; it is embedded into the page.
        alt: what can be seen, for readers who cannot see it.
        caption: below the picture.
        layer: uint8 [h, w, 4] to lie over an array [h, w, 3], as opaque as the reader sets.
        width: images are enlarged by whole factors up to about this width in CSS pixels.
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
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Facts:
    """Names and values, such as a protocol or the settings of a run."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class Link:
    """A link to a file that lies beside the page, too large to be embedded.

    Attributes:
        text: what is linked.
        file: its name, without a folder.
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
    """

    title: str
    blocks: Sequence[Block] = ()
    pairs: bool = False


def write_report(path: Path | str, *, title: str, lead: str, sections: Sequence[Section]) -> Path:
    """Write a page that needs neither network nor scripts; all text is escaped.

    Args:
        path: of the page.
        title: heading of the page.
        lead: the finding in a sentence or two, below the heading.
        sections: in reading order.

    Returns:
        The path.

    Raises:
        ValueError: when a table's rows do not fit its columns, a picture is none, or a link leads
            away from the page's folder.
    """
    for link in (b for section in sections for b in section.blocks if isinstance(b, Link)):
        if link.file in ("", ".", "..") or {"/", "\\"} & {*link.file}:
            raise ValueError(
                f"link {link.file!r}: give the name of a file in the page's folder, without a path"
            )
    for picture in (b for section in sections for b in section.blocks if isinstance(b, Picture)):
        if picture.layer is not None:
            _check_layer(picture.content, picture.layer)
    for table in (b for section in sections for b in section.blocks if isinstance(b, Table)):
        for number, row in enumerate(table.rows, start=1):
            if len(row) != len(table.columns):
                raise ValueError(
                    f"table {table.caption!r}: row {number} has {len(row)} cells for "
                    f"{len(table.columns)} columns"
                )
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gan_forensics", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = format_cell
    environment.tests["numeric"] = is_number
    environment.tests["share"] = lambda value: isinstance(value, Share)
    page = environment.get_template("report.html").render(
        title=title,
        lead=lead,
        sections=sections,
        embed=_embed,
        opacities=OPACITIES,
        version=__version__,
    )
    write_text(path, page)
    return Path(path)


def _check_layer(content: Figure | np.ndarray | Path, layer: np.ndarray) -> None:
    """Refuse a layer that does not lie on its picture pixel by pixel."""
    below = list(content.shape) if isinstance(content, np.ndarray) else type(content).__name__
    if layer.dtype != np.uint8 or [*layer.shape[:2], 3] != below or layer.shape[2:] != (4,):
        raise ValueError(
            "a layer must be uint8 [h, w, 4] over an array [h, w, 3], got "
            f"{layer.dtype} {list(layer.shape)} over {below}"
        )


def _embed(content: Figure | np.ndarray | Path, most: int = GRID_WIDTH) -> dict[str, Any]:
    """Data URL and size of a picture, enlarged up to a width of `most`."""
    kind, data, zoom = "png", io.BytesIO(), 1
    if isinstance(content, Figure):
        save_figure(content, data, "svg")
        kind, (width, height) = "svg+xml", 96 * content.get_size_inches()
    elif isinstance(content, Path):
        data.write(content.read_bytes())
        try:
            with Image.open(data, formats=["PNG"]) as image:
                image.verify()
                width, height = image.size
        except Exception as error:  # Pillow raises nearly anything on damaged files.
            raise ValueError(f"{content} is not a readable PNG image: {error}") from error
    else:
        array = np.asarray(content)
        fits = array.ndim == 3 and array.shape[-1] in (3, 4) and array.size
        if array.dtype != np.uint8 or not fits:
            raise ValueError(
                f"a picture must be a Figure, a PNG path or uint8 [h, w, 3], got {array.dtype} "
                f"{list(array.shape)}: tile images with image_grid"
            )
        Image.fromarray(array).save(data, format="PNG", optimize=True)
        height, width = array.shape[:2]
    if kind == "png":
        zoom = max(1, most // width)
    encoded = base64.b64encode(data.getvalue()).decode()
    return {
        # Base64 has no character that HTML could mistake.
        "url": Markup(f"data:image/{kind};base64,{encoded}"),
        "width": round(width * zoom),
        "height": round(height * zoom),
        "pixels": zoom > 1,
    }


def format_cell(value: Any) -> str:
    """Text of a value: four significant digits, an en dash for what is missing, shares in percent.

    A share is 0 % or 100 % only where it is so to the last bit.
    """
    if value is None:
        return "–"
    if isinstance(value, Share):
        if 0 < value < 0.001:
            return "under 0.1%"
        return "over 99.9%" if 0.999 < value < 1 else f"{value:.1%}"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return "–" if math.isnan(value) else f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(format_cell(item) for item in value)
    return str(value)
