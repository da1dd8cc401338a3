"""One self-contained HTML page: text, tables, facts and pictures, nothing loaded from elsewhere."""

import base64
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2
import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from gan_forensics import __version__
from gan_forensics.data.files import write_text

# Grids of small images are enlarged by whole factors up to about this width in CSS pixels.
GRID_WIDTH = 760


@dataclass(frozen=True)
class Picture:
    """A figure, a uint8 image [h, w, 3], or the path of a PNG file.

    Attributes:
        content: what to show; it is embedded into the page.
        alt: what can be seen, for readers who cannot see it.
        caption: below the picture.
    """

    content: Figure | np.ndarray | Path
    alt: str
    caption: str = ""


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


Block = str | Picture | Table | Facts


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it: paragraphs (plain strings), pictures, tables, facts."""

    title: str
    blocks: Sequence[Block] = field(default_factory=tuple)


def write_report(path: Path | str, *, title: str, lead: str, sections: Sequence[Section]) -> Path:
    """Write a page that needs neither network nor scripts; all text is escaped.

    Args:
        path: of the page; written beside its place first and renamed into it.
        title: heading of the page.
        lead: the finding in a sentence or two, below the heading.
        sections: in reading order.

    Returns:
        The path.

    Raises:
        ValueError: when a table's rows do not fit its columns, or a picture is none.
    """
    path = Path(path)
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = (
        resources.files("gan_forensics.report").joinpath("report.html").read_text(encoding="utf-8")
    )
    page = environment.from_string(source).render(
        title=title,
        lead=lead,
        sections=[
            {
                "title": section.title,
                "anchor": f"section-{number}",
                "blocks": [_block(block) for block in section.blocks],
            }
            for number, section in enumerate(sections, start=1)
        ],
        version=__version__,
    )
    write_text(path, page)
    return path


def _block(block: Block) -> dict[str, Any]:
    """What the template needs to know of a block."""
    if isinstance(block, str):
        return {"kind": "prose", "paragraphs": [p for p in block.split("\n\n") if p.strip()]}
    if isinstance(block, Facts):
        return {"kind": "facts", "pairs": [(k, format_cell(v)) for k, v in block.values.items()]}
    if isinstance(block, Table):
        for number, row in enumerate(block.rows, start=1):
            if len(row) != len(block.columns):
                raise ValueError(
                    f"table {block.caption!r}: row {number} has {len(row)} cells for "
                    f"{len(block.columns)} columns"
                )
        rows = [[(format_cell(cell), _is_number(cell)) for cell in row] for row in block.rows]
        return {
            "kind": "table",
            "caption": block.caption,
            "columns": [
                # A heading stands over its numbers: to the right where the whole column is.
                (name, bool(rows) and all(row[i][1] for row in rows))
                for i, name in enumerate(block.columns)
            ],
            "rows": rows,
        }
    return {"kind": "picture", "alt": block.alt, "caption": block.caption} | _embed(block.content)


def _embed(content: Figure | np.ndarray | Path) -> dict[str, Any]:
    """Data URL and size of a picture."""
    if isinstance(content, Figure):
        # A fixed salt makes equal figures equal files; text becomes outlines, so no font is needed.
        with matplotlib.rc_context({"svg.hashsalt": "gan_forensics", "svg.fonttype": "path"}):
            data = io.BytesIO()
            content.savefig(data, format="svg", metadata={"Date": None})
        inches = content.get_size_inches()
        return {
            "url": _data_url("svg+xml", data.getvalue()),
            "width": round(96 * inches[0]),
            "height": round(96 * inches[1]),
            "pixels": False,
        }
    if isinstance(content, Path):
        data = content.read_bytes()
        try:
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                image.verify()
                width, height = image.size
        except Exception as error:  # Pillow raises nearly anything on damaged files.
            raise ValueError(f"{content} is not a readable PNG image: {error}") from error
    else:
        array = np.asarray(content)
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[-1] != 3 or not array.size:
            raise ValueError(
                f"a picture must be a Figure, a PNG path or uint8 [h, w, 3], got {array.dtype} "
                f"{list(array.shape)}: tile images with image_grid"
            )
        stream = io.BytesIO()
        Image.fromarray(array).save(stream, format="PNG", optimize=True)
        data, (height, width) = stream.getvalue(), array.shape[:2]
    zoom = max(1, GRID_WIDTH // width)
    return {
        "url": _data_url("png", data),
        "width": width * zoom,
        "height": height * zoom,
        "pixels": zoom > 1,
    }


def _data_url(kind: str, data: bytes) -> Markup:
    # Base64 has no character that HTML could mistake.
    return Markup(f"data:image/{kind};base64,{base64.b64encode(data).decode()}")


def format_cell(value: Any) -> str:
    """Text of a value: four significant digits, an en dash for what is missing."""
    if value is None:
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return "–" if math.isnan(value) else f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(format_cell(item) for item in value)
    return str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
