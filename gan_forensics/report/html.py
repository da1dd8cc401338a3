"""One self-contained HTML page: text, tables, facts and pictures, nothing loaded from elsewhere."""

import base64
import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure
from PIL import Image

from gan_forensics import __version__
from gan_forensics.data import ImageError, decode_image
from gan_forensics.files import read_bytes, shown, write_text
from gan_forensics.report.blocks import (
    GRID_WIDTH,
    Link,
    Picture,
    Section,
    Share,
    Table,
)
from gan_forensics.report.figures import is_number, save_figure
from gan_forensics.report.limits import (
    DEEPEST,
    MOST_CELL,
    MOST_ITEMS,
    MOST_NAME,
    bounded,
    page_text,
)

# Bytes of a picture file that a page holds.
MOST_PNG = 2**26
# Percent that readers may set for layers, without a script: the page's policy allows none.
OPACITIES = (0, 20, 40, 60, 80, 100)


def write_report(path: Path | str, *, title: str, lead: str, sections: Sequence[Section]) -> Path:
    """Write a page that needs neither network nor scripts; all text is escaped.

    What is too much for a page is cut, with a word (`report.limits`).

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

    Example:
        >>> import tempfile
        >>> some = [Section("Scores", ["All the same."])]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     page = write_report(f"{folder}/p.html", title="Mine", lead="", sections=some)
        ...     "All the same." in page.read_text()
        True
    """
    for link in (b for section in sections for b in section.blocks if isinstance(b, Link)):
        _address(link.file)
    for picture in (b for section in sections for b in section.blocks if isinstance(b, Picture)):
        if picture.layer is not None:
            _check_layer(picture.content, picture.layer)
    for table in (b for section in sections for b in section.blocks if isinstance(b, Table)):
        for number, row in enumerate(table.rows, start=1):
            if len(row) != len(table.columns):
                raise ValueError(
                    f"table '{shown(table.caption)}': row {number} has {len(row)} cells for "
                    f"{len(table.columns)} columns"
                )
    environment = page_environment("report")
    page = environment.get_template("report.html").render(
        title=title,
        lead=lead,
        sections=bounded(sections),
        embed=_embed,
        opacities=OPACITIES,
        version=__version__,
    )
    write_text(path, page)
    return Path(path)


def page_environment(folder: str) -> jinja2.Environment:
    """What fills the templates of a folder of this package: all text is escaped and printable.

    Example:
        >>> page_environment("report").from_string("{{ name }}").render(name="<b>\\u202e")
        '&lt;b&gt;\\\\u202e'
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gan_forensics", folder),
        autoescape=True,
        finalize=page_text,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # A page that stays open goes on as it began.
    )
    environment.filters["cell"] = lambda value: page_text(format_cell(value), MOST_CELL)
    environment.filters["name"] = lambda value: page_text(str(value), MOST_NAME)
    environment.filters["address"] = _address
    environment.tests["numeric"] = is_number
    environment.tests["share"] = lambda value: isinstance(value, Share)
    return environment


def _address(file: str) -> str:
    """What links to a file of that name beside the page; whatever else it may be is refused."""
    try:
        data = file.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = b""
    if data in (b"", b".", b"..") or {"/", "\\", "\0"} & {*file}:
        raise ValueError(
            f"link '{shown(file)}': give the name of a file in the page's folder, without a path"
        )
    return quote(data)


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
        data.write(read_bytes(content, most=MOST_PNG))
        try:
            if not data.getvalue().startswith(b"\x89PNG"):
                raise ImageError("it is none")
            height, width, _ = decode_image(data.getvalue(), name=shown(content)).shape
        except ImageError as error:
            raise ValueError(f"{shown(content)} is not a readable PNG image: {error}") from error
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


def format_cell(value: Any, deep: int = 0) -> str:
    """Text of a value: four significant digits, an en dash for what is missing, shares in percent.

    A share is 0 % or 100 % only where it is so to the last bit. Of long lists there are the first
    items, and how many more.
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
        if deep >= DEEPEST:
            return "…"
        left = len(value) - MOST_ITEMS
        items = ", ".join(format_cell(item, deep + 1) for item in value[:MOST_ITEMS])
        return items if left <= 0 else f"{items} ... ({left:,} more)"
    try:
        return str(value)
    except RecursionError:
        return "…"
